"""What was read on one coordinate, beside the step that runs: on random vectors in three dimensions."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gradientflow.discretizers import Discretizer, advance
from gradientflow.flows import Flow, Mode, Quadratic, with_smooth_part

from .draws import reseed
from .leaf import Exact, ImpureError, NotExactError

# Three modes, not an eigenvector of which is a coordinate, and values for a reading's symbols: dyadic, so that floating
# point holds them, and from step to step all different.
_CURVATURES = (Fraction(1, 2), Fraction(5, 4), Fraction(3))
_VALUES = tuple(Fraction(k, 16) for k in (6, 9, 13, 5, 11))
# Differences beyond so many times what rounding the state does to the step are none of rounding.
_SENSITIVITY = 1e4
# So often a step is asked alike: one that takes one of two values by chance is found out but for one time in 2ⁿ.
_REPEATED = 16
_REMEMBERED = 4_096
_agreed: set[Any] = set()

Matrices = Callable[[Sequence[Fraction], Sequence[Fraction]], np.ndarray]


class Trial(NamedTuple):
    """A step to run: what is read, with its numbers as exact leaves.

    Attributes:
        flow: the flow, whatever its energy.
        discretizer: the scheme.
        h: the step, an exact leaf or `None`.
    """

    flow: Flow
    discretizer: Discretizer
    h: Any


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
        matrices: (values of the symbols, curvatures) ↦ the matrices that were read, (modes, size, size).

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


def _compare(trial: Trial, expected: np.ndarray, repeated: int) -> None:
    draw = np.random.default_rng(0)
    modes, _ = np.linalg.qr(draw.normal(size=(3, 3)))
    hessian = modes @ np.diag([float(lam) for lam in _CURVATURES]) @ modes.T
    flow = with_smooth_part(trial.flow, Quadratic(jnp.asarray((hessian + hessian.T) / 2)))
    name = type(trial.discretizer).__name__
    try:
        rest = flow.init(jnp.zeros(3))
        memory = trial.discretizer.init(flow, 0.0, rest, trial.h)
        leaves, structure = jax.tree.flatten((rest, memory))
        moving = [
            i for i, leaf in enumerate(leaves) if hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.inexact)
        ]
        start = draw.normal(size=(len(moving), 3))

        def step(given: np.ndarray) -> np.ndarray:
            reseed()
            filled = list(leaves)
            for i, vector in zip(moving, given, strict=True):
                filled[i] = jnp.asarray(vector, leaves[i].dtype)
            z, remembered = jax.tree.unflatten(structure, filled)
            out = jax.tree.leaves(advance(trial.discretizer, flow, 0.75, z, trial.h, memory=remembered))
            return np.array([np.broadcast_to(np.asarray(out[i], dtype=float), 3) for i in moving])

        found = step(start)
        alike = all(np.array_equal(found, step(start), equal_nan=True) for _ in range(repeated))
    except NotExactError:
        raise
    except Exception as error:
        # What runs on no arrays can't be held against the step itself, and nothing is proved of it.
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise NotExactError(f"{name} was read on one coordinate and can't be run on vectors beside it: {why}") from None
    if not alike:
        raise ImpureError(name)
    if expected.shape[1:] != (len(moving), len(moving)):
        raise NotExactError(
            f"{name} is another step on vectors: {len(moving)} vectors, where one coordinate has {expected.shape[-1]}"
        )
    given = np.einsum("jk,ki->ij", start, modes)
    predicted = np.einsum("irj,ij,ki->rk", expected, given, modes)
    scale = np.einsum("irj,ij->ri", np.abs(expected), np.abs(given)).max()
    eps = float(jnp.finfo(jnp.zeros(()).dtype).eps)
    allowed = eps**0.6 * scale
    away = np.abs(found - predicted).max()
    if away <= allowed:
        return
    if any(not np.array_equal(found, step(start), equal_nan=True) for _ in range(_REPEATED)):
        raise ImpureError(name)
    moved = np.abs(step(start * (1 + eps)) - found).max()
    if not away <= allowed + _SENSITIVITY * moved:
        raise NotExactError(
            f"{name} is another step on vectors than on one coordinate: on a quadratic of three unknowns it is off by "
            f"{away:.2g} from what was read; a step must treat all coordinates alike"
        )
