"""Past the limit: where iterates settle as the step grows, doubling their period on the way to chaos."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from gradientflow.discretizers import Discretizer, Iteration, Method, as_method, check_answers
from gradientflow.flows import (
    Flow,
    all_finite,
    check_integer,
    dtype_of,
    is_stochastic,
    l2_norm,
    looks_at_numbers,
    max_norm,
    prepare,
)

from ..results.grades import Measured
from ..results.result import Drawn

# The longest cycle that is told from chaos.
_LONGEST_PERIOD = 64
# Steps h run at a time: enough to fill the vector units, few enough that those that run away leave together.
_LANES = 64
# Every so many steps it is looked at whether any of them is left.
_SELDOM = 64
# So many stretches of steps with one period are named.
_MOST_NAMED = 12
# The exponent p of the fall k^(−p) of its steps up to which a state is taken to run away, and how much larger than
# rounding its steps must be to say so.
_SLOWEST_ARRIVAL, _RESOLVED = 1.1, 1e5


@dataclasses.dataclass(frozen=True, repr=False)
class Bifurcation(Measured, Drawn):
    """Where iterates settle, over the step.

    `.plot()` draws the values settled on, and the Lyapunov exponent, over the step.

    Attributes:
        h: the steps, shape (n,).
        values: what was observed of the last iterates with each, shape (n, keep); NaN where they ran away.
        exponent: the Lyapunov exponent a step, log|growth of a small error|, shape (n,): negative where iterates settle
            on a cycle, positive where they are chaotic, NaN where they ran away.
        states: one combination of all coordinates of the same iterates, shape (n, keep), which tells periods.
    """

    drawn_by = "linear_stability.figures:plot_bifurcation"

    h: np.ndarray
    values: np.ndarray
    exponent: np.ndarray
    states: np.ndarray

    @property
    def period(self) -> np.ndarray:
        """The length of the cycle settled on, 1 being rest; 0 where none up to 64 is seen, −1 where it runs away.

        None is seen in chaos, on longer cycles, and of what goes on at one speed.

        It is the whole state's, whatever is observed. What dies away as the exponent says it does is no period.
        """
        states, keep = self.states, self.states.shape[1]
        scale = np.nanmax(np.abs(states), axis=1, initial=0, where=np.isfinite(states))
        found = np.zeros(len(self.h), dtype=int)
        quarter = max(keep // 4, 1)
        for period in range(min(_LONGEST_PERIOD, keep // 2), 0, -1):
            apart = np.abs(states[:, period:] - states[:, :-period])
            first, last = apart[:, :quarter].max(axis=1), apart[:, -quarter:].max(axis=1)
            with np.errstate(invalid="ignore"):
                # Where a cycle of twice the length begins, a small error decays thrice as fast as what is left; where
                # that is settled on, what is left does not decay.
                dies = (self.exponent < 0) & (last <= first * np.exp(self.exponent * (keep - period - quarter) / 3))
            found[(apart.max(axis=1) <= 1e-6 * np.maximum(scale, 1e-6)) | dies] = period
        found[~np.isfinite(states).all(axis=1)] = -1
        return found

    @property
    def headline(self) -> str:
        """Which cycles are settled on, each with the steps between which it is seen."""
        words = {1: "rest", 0: "no cycle", -1: "runs away"}
        period = self.period
        runs = np.split(np.arange(len(period)), np.flatnonzero(np.diff(period)) + 1)
        cycles = [(int(period[run[0]]), _span(self.h[run])) for run in runs]
        seen = [f"{words.get(length, f'period {length}')} {span}" for length, span in cycles]
        kept = seen if len(seen) <= _MOST_NAMED else [*seen[:_MOST_NAMED], f"… {len(seen) - _MOST_NAMED} more"]
        return f"Bifurcation: {', '.join(kept)}"

    def __repr__(self) -> str:
        """The headline, and the grade."""
        return f"{self.headline}; {self.grade}"

    def first(self, period: int) -> float | None:
        """The first step at which a cycle of that length is seen, or `None`."""
        seen = np.flatnonzero(self.period == period)
        return float(self.h[seen[0]]) if len(seen) else None


def _span(h: np.ndarray) -> str:
    return f"at h = {h[0]:.6g}" if len(h) == 1 else f"from h = {h[0]:.6g} to {h[-1]:.6g}"


@looks_at_numbers
def bifurcation(
    flow: Flow | Method,
    discretizer: Discretizer | None = None,
    x0: Any = None,
    h: Sequence[float] | np.ndarray = (),
    *,
    settle: int = 2_000,
    keep: int = 256,
    observe: Callable[[Any], Any] | None = None,
) -> Bifurcation:
    """Runs a scheme with many steps for long, and keeps the iterates that it settles on.

    Args:
        flow: the flow, without noise; or a Method, of whose own step nothing is used.
        discretizer: the scheme, without memory; left out with a Method.
        x0: the start of all; off any symmetry, or they keep it.
        h: the steps [T], positive and increasing.
        settle: how many steps to let pass.
        keep: how many to keep then.
        observe: position ↦ the number to keep; its first coordinate unless given.

    Raises:
        ValueError: for steps that aren't positive and increasing.
        TypeError: for a flow with noise or a scheme with memory.

    References:
        R. M. May, Simple mathematical models with very complicated dynamics, Nature 261, 1976.

    Example:
        >>> import gradientflow as gf
        >>> E = gf.energy(lambda x: x**4 / 4 - x**2 / 2)
        >>> found = gf.bifurcation(gf.GradientFlow(E), gf.ForwardEuler(), 0.7, [0.9, 1.1, 1.25, 1.45])
        >>> found.period.tolist()
        [1, 2, 4, 0]
    """
    _, asked, discretizer, _ = as_method("bifurcation", flow, discretizer)
    flow, z = prepare("bifurcation", asked, x0, None)
    check_answers(flow, discretizer, z)
    check_integer("bifurcation", 1, settle=settle, keep=keep)
    steps = np.asarray(h, dtype=float)
    if steps.ndim != 1 or not steps.size or not steps[0] > 0 or not (np.diff(steps) > 0).all():
        raise ValueError(f"bifurcation: `h` must be positive increasing steps, got {h}")
    if is_stochastic(flow, z):
        raise TypeError(f"bifurcation: {type(flow).__name__} has noise; what it settles on is a density")
    if Iteration(flow, discretizer, steps[0]).start(z).memory is not None:
        raise TypeError(f"bifurcation: {type(discretizer).__name__} has memory, which is not followed here")
    some = np.pad(steps, (0, -len(steps) % _LANES), mode="edge").astype(dtype_of(z)).reshape(-1, _LANES)
    settled = [_settle(flow, discretizer, z, h, np.asarray(settle), keep, observe or _first_coordinate) for h in some]
    values, states, sizes, exponent = (
        np.concatenate(parts).astype(float)[: len(steps)] for parts in zip(*jax.device_get(settled), strict=True)
    )
    lost = ~(np.isfinite(values).all(axis=1) & np.isfinite(states).all(axis=1)) | _runs_away(sizes, exponent)
    if keep >= _SELDOM:
        lost |= _creeps_away(states, float(np.finfo(dtype_of(z)).eps))
    values[lost], states[lost], exponent[lost] = np.nan, np.nan, np.nan
    return Bifurcation(steps, values, exponent, states)


def _runs_away(sizes: np.ndarray, exponent: np.ndarray) -> np.ndarray:
    """Where the state grows as a small error does: on a chaotic set that is bounded only the error would."""
    quarter = max(sizes.shape[1] // 4, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        growth = np.log(sizes[:, -quarter:].max(axis=1) / sizes[:, :quarter].max(axis=1))
        return (exponent > 0) & (growth >= exponent * (sizes.shape[1] - quarter) / 2)


def _creeps_away(states: np.ndarray, eps: float) -> np.ndarray:
    """Where it goes one way by steps that fall like k^(−p) with p ≤ 1, which add up to infinity: down e^(−x) say.

    Their logarithmic slope is then −p/k, so that its inverse changes by 1/p a step; on the way to a minimum, however
    flat, p > 1. Where rounding hides that change nothing is said.
    """
    ahead = np.diff(states, axis=1)
    one_way = (ahead > 0).all(axis=1) | (ahead < 0).all(axis=1)
    half = ahead.shape[1] // 2
    with np.errstate(divide="ignore", invalid="ignore"):
        resolved = np.abs(ahead).min(axis=1, initial=np.inf) > _RESOLVED * eps * np.abs(states).max(axis=1)
        early, middle, late = np.log(np.abs(ahead[:, [0, half, 2 * half - 1]])).T
        slopes = (early - middle) / half, (middle - late) / (half - 1)
        power = (half - 0.5) / (1 / slopes[1] - 1 / slopes[0])
        return one_way & resolved & (slopes[1] > 0) & (power > 0) & (power <= _SLOWEST_ARRIVAL)


def _combination(z: Any) -> jax.Array:
    """A number that changes with each coordinate: they count unequally, so that no symmetry cancels two of them."""
    flat = ravel_pytree(z)[0]
    return flat @ (1 + jnp.sin(1.0 + jnp.arange(flat.size, dtype=flat.dtype)) / 2)


def _first_coordinate(x: Any) -> jax.Array:
    return jnp.ravel(jax.tree.leaves(x)[0])[0]


@eqx.filter_jit
def _settle(
    flow: Flow, discretizer: Discretizer, z: Any, h: Any, settle: Any, keep: int, observe: Callable[[Any], Any]
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Of a few steps side by side: what is kept of the last states, their sizes, and the growth of a small error."""

    def one(h: Any, state: Any, error: Any) -> tuple[Any, Any, Any]:
        iteration = Iteration(flow, discretizer, h)
        state, image = jax.jvp(lambda s: iteration.one(iteration.start(s)).z, (state,), (error,))
        growth = l2_norm(image)
        return state, jax.tree.map(lambda leaf: leaf / jnp.where(growth > 0, growth, 1), image), growth

    def seen(h: Any, state: Any) -> tuple[Any, Any, Any]:
        iteration = Iteration(flow, discretizer, h)
        return observe(iteration.position(iteration.start(state))), _combination(state), max_norm(state)

    def advanced(carry: tuple[Any, Any], _: Any) -> tuple[tuple[Any, Any], Any]:
        state, error, growth = jax.vmap(one)(h, *carry)
        return (state, error), (*jax.vmap(seen)(h, state), jnp.log(growth))

    def pass_by(looped: tuple[Any, Any]) -> tuple[Any, Any]:
        k, carry = looped
        later = jnp.minimum(k + _SELDOM, settle)
        return later, jax.lax.fori_loop(k, later, lambda _, carry: advanced(carry, None)[0], carry)

    def goes_on(looped: tuple[Any, Any]) -> Any:
        k, (state, _) = looped
        return (k < settle) & jax.vmap(all_finite)(state).any()

    each = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (len(h), *leaf.shape)), z)
    start = each, jax.tree.map(jnp.ones_like, each)
    _, settled = jax.lax.while_loop(goes_on, pass_by, (jnp.zeros_like(settle), start))
    _, rows = jax.lax.scan(advanced, settled, None, length=keep)
    values, states, sizes, growths = jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 0, 1), rows)
    return values, states, sizes, growths.mean(axis=1)
