"""What was read on one coordinate, beside the step that runs: on random vectors in three dimensions."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import jaxpr_as_fun

from gradientflow.discretizers import Discretizer, advance
from gradientflow.flows import AbstractQuadratic, Composite, Flow, Mode, Quadratic, with_energy, with_smooth_part

from .draws import kept_generators, reseed
from .leaf import Exact, ImpureError, NotExactError

# Three modes, not an eigenvector of which is a coordinate, and values for a reading's symbols: dyadic, so that floating
# point holds them, and from step to step all different.
_CURVATURES = (Fraction(1, 2), Fraction(5, 4), Fraction(3))
_VALUES = tuple(Fraction(k, 16) for k in (6, 9, 13, 5, 11))
# What is linear is so at any size: a step that is clipped, or switches far out, is another one there.
# Sizes and what is no difference, as powers of the resolution of the numbers.
_SIZES, _ALIKE = (-0.5, 0.25), 0.3
# A time that is no step's, for what must not depend on it.
TIME = 0.75
# Differences beyond so many times what rounding the state does to the step are none of rounding.
_SENSITIVITY = 1e4
# So often a step is asked alike: one that takes one of two values by chance is found out but for one time in 2ⁿ.
_REPEATED = 16
# On an energy of so many unknowns at most a scheme is run beside its reading.
MOST_UNKNOWNS = 200
_REMEMBERED = 4_096
_agreed: set[Any] = set()

Matrices = Callable[[Sequence[Fraction], Sequence[Fraction]], np.ndarray]


class Trial(NamedTuple):
    """A step to run: what is read, with its numbers as exact leaves.

    Attributes:
        flow: the flow, whatever its energy.
        discretizer: the scheme.
        h: the step, an exact leaf or `None`.
        t: when it is taken, an exact leaf; `None` where the time must not matter.
    """

    flow: Flow
    discretizer: Discretizer
    h: Any
    t: Any = None


class DriftAsStep(Discretizer):
    """Not a scheme: reads a drift's matrix as if it were a step's."""

    def step(self, flow: Flow, t: Any, z: Any, h: Any, **_: Any) -> Any:
        """The drift."""
        return flow.drift(t, z)


def check_on_vectors(trial: Trial, symbols: int, value: Callable[[Any, Sequence[Fraction]], Fraction],
                     matrices: Matrices) -> None:  # fmt: skip
    """Compares a linear reading with the step itself, at several values of its symbols.

    Args:
        trial: what was read.
        symbols: how many symbols its numbers hold.
        value: (an exact value, values of the symbols) ↦ the number.
        matrices: (values of the symbols, curvatures) ↦ the matrices that were read, (modes, size, size), or with a row
            more, the position's.

    Raises:
        NotExactError: if the step on vectors is another one.
        ImpureError: if it is another one every time.
    """
    trial = trial._replace(flow=with_smooth_part(trial.flow, Mode(None)))
    for shift in range(len(_VALUES) if symbols else 1):
        values = [_VALUES[(shift + i) % len(_VALUES)] for i in range(symbols)]
        try:
            expected = matrices(values, _CURVATURES)
            numbers = jax.tree.map(
                lambda leaf, at=values: float(value(leaf.value, at)) if isinstance(leaf, Exact) else leaf, trial
            )
        except (ZeroDivisionError, np.linalg.LinAlgError):
            continue
        key = _key(numbers, expected)
        if key is None or key not in _agreed:
            _compare(numbers, expected, repeated=0 if shift else _REPEATED)
            if key is not None:
                if len(_agreed) >= _REMEMBERED:
                    _agreed.clear()
                _agreed.add(key)


def _key(trial: Trial, expected: np.ndarray) -> Any:
    """What a comparison depends on; `None` where it can't be told."""
    leaves, structure = jax.tree.flatten(trial)
    try:
        key = structure, tuple(leaves), expected.tobytes()
        hash(key)
    except TypeError:
        return None
    return key


def is_shipped(cls: type) -> bool:
    """Whether a class is the package's own, and no user's."""
    return cls.__module__.startswith("gradientflow.")


def looks_further(flow: Flow, discretizer: Discretizer) -> bool:
    """Whether a step may look at what no mode has, and the flow's energy is one to try it on: a small quadratic."""
    return (
        not is_shipped(type(discretizer))
        and isinstance(flow.energy, AbstractQuadratic)
        and flow.energy.linear.size <= MOST_UNKNOWNS
    )


def check_on_own_energy(trial: Trial, expected: Callable[[np.ndarray], np.ndarray]) -> None:
    """Compares what was read with the step on the flow's own energy: a step may look at that, or at its size.

    Args:
        trial: the step, all its numbers being floats; the energy is a quadratic.
        expected: curvatures ↦ the matrices that were read, as in `check_on_vectors`.

    Raises:
        NotExactError: if it is another step there.
        ImpureError: if it is another one every time.
    """
    energy: Any = trial.flow.energy
    if (rest := energy.minimizer) is not None:
        curvatures, modes = np.linalg.eigh(np.asarray(energy.hessian, float))
        with kept_generators():
            _hold(trial, expected(curvatures), modes, rest, "on the flow's own energy", 0)


def _compare(trial: Trial, expected: np.ndarray, repeated: int) -> None:
    modes, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    hessian = modes @ np.diag([float(lam) for lam in _CURVATURES]) @ modes.T
    flow = with_smooth_part(trial.flow, Quadratic(jnp.asarray((hessian + hessian.T) / 2)))
    # Other readings leave a penalty as it is; this one asks two energies.
    if isinstance(flow.energy.nonsmooth, Mode) and flow.energy.nonsmooth.lam is None:
        other = modes @ np.diag([float(lam) for lam in reversed(_CURVATURES)]) @ modes.T
        flow = with_energy(flow, Composite(flow.energy.smooth, Quadratic(jnp.asarray((other + other.T) / 2))))
    where = "on a quadratic of three unknowns"
    _hold(trial._replace(flow=flow), expected, modes, jnp.zeros(3), where, repeated)


def _hold(trial: Trial, expected: np.ndarray, modes: np.ndarray, rest: Any, where: str, repeated: int) -> None:
    """Holds a reading against the step from a random state around a minimizer, the Hessian's eigenvectors given."""
    flow = trial.flow
    name = type(flow if isinstance(trial.discretizer, DriftAsStep) else trial.discretizer).__name__
    try:
        still = flow.init(rest)
        memory = trial.discretizer.init(flow, 0.0, still, trial.h)
        leaves, structure = jax.tree.flatten((still, memory))
        moving = [
            i for i, leaf in enumerate(leaves) if hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.inexact)
        ]
        start = np.random.default_rng(1).normal(size=(len(moving), len(modes)))

        def moved_by(given: Any) -> Any:
            filled = list(leaves)
            for i, vector in zip(moving, given, strict=True):
                filled[i] = leaves[i] + jnp.asarray(vector, leaves[i].dtype)
            z, remembered = jax.tree.unflatten(structure, filled)
            t = TIME if trial.t is None else trial.t
            out = jax.tree.leaves(advance(trial.discretizer, flow, t, z, trial.h, memory=remembered))
            rows = [out[i] - leaves[i] for i in moving]
            if expected.shape[1] > expected.shape[2]:
                rows += [x - rest for x in jax.tree.leaves(trial.discretizer.position(flow, z, trial.h))]
            return [jnp.broadcast_to(row, len(modes)) for row in rows]

        def step(given: np.ndarray, run: Callable[[Any], Any] = moved_by) -> np.ndarray:
            reseed()
            return np.array([np.asarray(row, dtype=float) for row in run(given)])

        def compiled(given: np.ndarray) -> Any:
            # What is compiled is what was traced. Run operation by operation it needs no program of its own.
            return jaxpr_as_fun(jax.make_jaxpr(moved_by)(given))(given)

        found = step(start)
        alike = all(np.array_equal(found, step(start), equal_nan=True) for _ in range(repeated))
        eps = max(float(jnp.finfo(leaves[i].dtype).eps) for i in moving)
        others = {f"from states {eps**power:.0e} times as large": step(start * eps**power) / eps**power
                  for power in _SIZES}  # fmt: skip
        if not (is_shipped(type(trial.discretizer)) and is_shipped(type(flow))):
            others["compiled"] = step(start, compiled)
    except NotExactError:
        raise
    except Exception as error:
        # What runs on no arrays can't be held against the step itself, and nothing is proved of it.
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise NotExactError(f"{name} was read on one coordinate and can't be run on vectors beside it: {why}") from None
    if not alike:
        raise ImpureError(name)
    if (len(found), len(moving)) != expected.shape[1:]:
        raise NotExactError(
            f"{name} is another step on vectors: {len(moving)} vectors, where one coordinate has {expected.shape[-1]}"
        )
    given = np.einsum("jk,ki->ij", start, modes)
    predicted = np.einsum("irj,ij,ki->rk", expected, given, modes)
    scale = np.einsum("irj,ij->ri", np.abs(expected), np.abs(given)).max()
    for where_else, other in others.items():
        if not np.abs(other - found).max() <= eps**_ALIKE * max(np.abs(found).max(), np.abs(start).max()):
            raise NotExactError(f"{name} is another step on vectors than on one coordinate: {where_else} it is another")
    allowed = eps**0.6 * scale
    away = np.abs(found - predicted).max()
    if away <= allowed:
        return
    if any(not np.array_equal(found, step(start), equal_nan=True) for _ in range(_REPEATED)):
        raise ImpureError(name)
    moved = np.abs(step(start * (1 + eps)) - found).max()
    if not away <= allowed + _SENSITIVITY * moved:
        raise NotExactError(
            f"{name} is another step on vectors than on one coordinate: {where} it is off by {away:.2g} "
            "from what was read; a step must treat all coordinates alike"
        )
