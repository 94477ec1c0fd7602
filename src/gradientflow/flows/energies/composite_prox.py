"""The proximal map of a composite energy: implicit in both of its parts."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optimistix as optx

from ..aliases import Position, StepLength
from ..implicit import newton, or_nan
from ..numerics import all_finite, dtype_of, inner, l2_norm, max_norm, size
from ..state import lift, lower
from .energy import Energy

_MOST_STEPS = 2_000
_POWERS = 5


def composite_prox(energy: Energy, x: Position, h: StepLength) -> Any:
    r"""$\arg\min_y hf(y) + hg(y) + \tfrac12\|y - x\|^2$ of a position given as a vector.

    It solves $y = \operatorname{prox}_{hg}(x - h\nabla f(y))$ by Newton's method, with the generalized derivative of
    g's proximal map. That finds the kinks on which the answer lies, or cycles; then accelerated proximal gradient steps
    with restarts find them first. For convex f the answer is the minimizer, else a stationary point; NaN where neither
    finds one.

    References:
        L. Qi, J. Sun, A nonsmooth version of Newton's method, Math. Programming 58, 1993.
    """
    f, g = energy.smooth, energy.nonsmooth
    assert g is not None

    def slope(y: Any) -> Any:
        """Of the smooth part, hf(y) + ½‖y − x‖²."""
        return jax.tree.map(lambda a, b, s: a - b + h * s, y, x, lift(f.grad(lower(y))))

    def descended(y: Any, s: Any) -> Any:
        """A proximal gradient step; with s = 1 it is the right-hand side of the equation."""
        return lift(g.prox(lower(jax.tree.map(lambda a, d: a - s * d, y, slope(y))), s * h))

    def residual(y: Any, _: Any = None) -> Any:
        return jax.tree.map(jnp.subtract, y, descended(y, 1))

    def polish(y: Any) -> Any:
        return optx.root_find(residual, newton(dtype, size(x)), y, max_steps=30, throw=False).value

    def good(y: Any) -> jax.Array:
        return all_finite(y) & (max_norm(residual(y)) <= precision**0.5 * scale)

    def from_afar(_: Any) -> Any:
        near = _accelerated(slope, descended, start, precision**0.5 * scale)
        polished = polish(near)
        return jax.tree.map(lambda a, b: jnp.where(good(polished), a, b), polished, near)

    dtype = dtype_of(x)
    precision = float(jnp.finfo(dtype).eps)
    start = lift(g.prox(lower(x), h))
    scale = max_norm(x) + h * max_norm(lift(f.grad(lower(start))))
    first = polish(start)
    best = jax.lax.cond(good(first), lambda _: first, from_afar, None)
    # Newton's answer is off the kinks by rounding: a short step, which does not magnify errors, lands on them.
    landed = descended(best, 1 / _steepest(slope, best))
    return or_nan(good(best), landed)


def _steepest(slope: Any, y: Any) -> Any:
    """About the largest curvature of the smooth part at y, by a few powers of its Hessian."""

    def apply(v: Any) -> Any:
        return jax.jvp(slope, (y,), (v,))[1]

    v = jax.tree.map(jnp.ones_like, y)
    for _ in range(_POWERS):
        v = apply(v / l2_norm(v))
    return l2_norm(v)


class _Run(NamedTuple):
    y: Any
    ahead: Any
    theta: Any
    step: Any
    moved: Any
    k: Any


def _accelerated(slope: Any, descended: Any, start: Any, tolerance: Any) -> Any:
    """Accelerated proximal gradient steps with backtracking, restarted where they turn uphill."""

    def going(run: _Run) -> Any:
        return (run.moved > tolerance) & (run.k < _MOST_STEPS)

    def one(run: _Run) -> _Run:
        new = descended(run.ahead, run.step)
        away = jax.tree.map(jnp.subtract, new, run.ahead)
        steeper = jax.tree.map(jnp.subtract, slope(new), slope(run.ahead))
        # By slopes, not values, which rounding hides near the end.
        taken = inner(steeper, away) * run.step <= inner(away, away)
        progress = jax.tree.map(jnp.subtract, new, run.y)
        restart = inner(away, progress) < 0
        theta = (1 + jnp.sqrt(1 + 4 * run.theta**2)) / 2
        momentum = jnp.where(restart, 0, (run.theta - 1) / theta)
        ahead = jax.tree.map(lambda a, d: a + momentum * d, new, progress)
        theta = jnp.where(restart, 1, theta)
        kept = _Run(run.y, run.ahead, run.theta, run.step / 2, run.moved, run.k + 1)
        moved = max_norm(away) / run.step
        tried = _Run(new, ahead, theta, run.step, moved, run.k + 1)
        return jax.tree.map(lambda a, b: jnp.where(taken, a, b), tried, kept)

    unit = jnp.ones((), dtype_of(start))
    run = _Run(start, start, unit, unit, unit * jnp.inf, jnp.asarray(0))
    return jax.lax.while_loop(going, one, run).y
