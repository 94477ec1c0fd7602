r"""Implicit equations without a good first guess: along the path of solutions that begins at a step of length zero.

$d + G(d) = 0$ is the end, $u = 0$, of the curve $d + e^u G(d) = 0$, which begins at $d = 0$ for $u \to -\infty$. Where
$\|d + e^u G(d)\|$ vanishes for no u on the boundary of a ball around 0, the part of the curve that begins there reaches
u = 0 (the degree of the identity is one): it may turn back in u, and is therefore followed by its length.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import lineax as lx

from .implicit import krylov
from .numerics import LARGEST_DENSE

# Newton steps at a point, and points tried, before it is given up.
_NEWTON_STEPS, _MOST_POINTS = 12, 400
# The first length along the curve and the longest, in units of ‖d‖ and of u; how far a point may be from its prediction
# and how far the curve may turn, or it may be another curve.
_FIRST, _LONGEST, _AWAY, _STRAIGHT = 0.3, 0.7, 0.5, 0.8
# The beginning of the curve: where d is −eᵘG(0) within a fifth.
_NEAR, _BACK = 0.2, 1.4


class _Point(NamedTuple):
    """Where the search stands.

    Attributes:
        d: the last point found.
        u: its logarithm of the step's fraction; before the curve is found, where its beginning is looked for.
        along: the curve's direction there, in units of ‖d‖ and of u, a unit vector of n + 1 entries.
        length: how far to go along it next.
        on_curve: whether it has been found.
        done: whether d solves the equation.
        tried: how many points were tried.
    """

    d: jax.Array
    u: jax.Array
    along: jax.Array
    length: jax.Array
    on_curve: jax.Array
    done: jax.Array
    tried: jax.Array


def solve_from_zero(
    equation: Callable[[jax.Array], jax.Array], tolerance: Callable[[jax.Array], jax.Array], like: jax.Array
) -> jax.Array:
    """The d with `equation(d)` = 0, equation(d) = d + G(d), or NaN: by Newton's method from 0, else along the curve.

    Derivatives are those of the implicit function, of any order.

    Args:
        equation: d ↦ d + G(d), shape (n,).
        tolerance: d ↦ how large an entry of the equation may be left.
        like: an array of shape (n,) and of d's type.

    References:
        E. L. Allgower, K. Georg, Introduction to Numerical Continuation Methods, 2003, chapter 2 and theorem 11.1.1.
    """

    def solve(equation: Callable[[jax.Array], jax.Array], zero: jax.Array) -> jax.Array:
        return _followed(equation, tolerance, zero)

    return jax.lax.custom_root(equation, jnp.zeros_like(like), solve, solve_linear)


def solve_linear(apply: Callable[[jax.Array], jax.Array], right: jax.Array) -> jax.Array:
    """The d with apply(d) = right of a linear map: dense, or with a Krylov solver where n is large."""
    operator = lx.FunctionLinearOperator(apply, jax.eval_shape(lambda: right))
    dense = right.size <= LARGEST_DENSE
    solver = lx.AutoLinearSolver(well_posed=None) if dense else krylov(right.dtype)
    return lx.linear_solve(operator, right, solver, throw=False).value


def _followed(equation: Any, tolerance: Any, zero: jax.Array) -> jax.Array:
    slope, n, dtype = equation(zero), zero.size, zero.dtype
    roughly = 10 * float(jnp.finfo(dtype).eps) ** 0.5
    in_u = jnp.zeros(n + 1, dtype).at[n].set(1)

    def left(d: jax.Array, u: jax.Array) -> jax.Array:
        return d + jnp.exp(u) * (equation(d) - d)

    def corrected(d: jax.Array, u: jax.Array, normal: jax.Array, ends: jax.Array) -> tuple[Any, Any, Any]:
        """The point of the curve in the plane through (d, u) with a normal, and whether it is one."""

        def residual(point: jax.Array) -> jax.Array:
            off = normal[:n] @ (point[:n] - d) + normal[n] * (point[n] - u)
            return jnp.append(left(point[:n], point[n]), off)

        def solved(point: jax.Array, miss: jax.Array) -> jax.Array:
            allowed = jnp.where(ends, tolerance(point[:n]), roughly * _norm(point[:n]))
            return jnp.max(jnp.abs(miss[:n])) <= allowed

        def step(state: tuple[Any, Any, Any, Any]) -> tuple[Any, Any, Any, Any]:
            point, miss, was_solved, k = state
            before = solved(point, miss)
            point = point - solve_linear(lambda v: jax.jvp(residual, (point,), (v,))[1], miss)
            # The end takes one step more than it needs, which leaves rounding alone.
            return point, residual(point), was_solved | before, k + 1

        def goes_on(state: tuple[Any, Any, Any, Any]) -> jax.Array:
            point, miss, was_solved, k = state
            enough = jnp.where(ends, was_solved, solved(point, miss))
            return (k == 0) | ((k < _NEWTON_STEPS) & ~enough & jnp.all(jnp.isfinite(miss)))

        start = jnp.append(d, u)
        begin = start, residual(start), jnp.asarray(False), jnp.asarray(0)
        point, miss, _, _ = jax.lax.while_loop(goes_on, step, begin)
        return point[:n], point[n], solved(point, miss)

    def tangent(d: jax.Array, u: jax.Array, forward: jax.Array) -> jax.Array:
        """The curve's direction at one of its points, in units of ‖d‖ and of u; forward · it is positive."""

        def bordered(v: jax.Array) -> jax.Array:
            return jnp.append(jax.jvp(left, (d, u), (v[:n], v[n]))[1], forward @ v)

        found = solve_linear(bordered, in_u) / jnp.append(jnp.full(n, _norm(d)), 1)
        return found / _norm(found)

    def one(at: _Point) -> _Point:
        size = jnp.where(at.on_curve, _norm(at.d), 1)
        ahead = jnp.where(at.on_curve, at.length, 0)
        # Not beyond the end: there the plane is u = 0.
        climb = ahead * at.along[n]
        ends = at.u + climb >= 0
        ahead = jnp.where(ends & at.on_curve, -at.u / jnp.where(at.along[n] == 0, 1, at.along[n]), ahead)
        u = jnp.where(ends, 0, at.u + climb)
        guess = jnp.where(at.on_curve, at.d + ahead * size * at.along[:n], 0)
        upright = ends | ~at.on_curve
        normal = jnp.where(upright, in_u, at.along / jnp.append(jnp.full(n, size), 1))
        d, v, solved = corrected(guess, u, normal, ends)
        begun = _norm(d + jnp.exp(v) * slope) <= _NEAR * _norm(d)
        chord = jnp.append((d - at.d) / size, v - at.u)
        chord = chord / _norm(chord)
        # The end may lie a little behind.
        turned = jnp.where(ends, jnp.abs(chord @ at.along), chord @ at.along)
        close = _norm(jnp.append((d - guess) / size, v - u)) <= _AWAY * at.length
        good = solved & jnp.where(at.on_curve, close & (turned >= _STRAIGHT), begun | ends)
        along = tangent(d, v, jnp.where(at.on_curve, chord / jnp.append(jnp.full(n, size), 1), in_u))
        longer, shorter = jnp.minimum(1.5 * at.length, _LONGEST), at.length / 2
        return _Point(
            d=jnp.where(good, d, at.d),
            u=jnp.where(good, v, jnp.where(at.on_curve, at.u, at.u - _BACK)),
            along=jnp.where(good, along, at.along),
            length=jnp.where(at.on_curve, jnp.where(good, longer, shorter), at.length),
            on_curve=at.on_curve | good,
            done=good & ends,
            tried=at.tried + 1,
        )

    def goes_on(at: _Point) -> jax.Array:
        return ~at.done & (at.tried < _MOST_POINTS) & (at.length > roughly)

    nothing = jnp.max(jnp.abs(slope)) == 0
    start = _Point(
        zero, jnp.zeros((), dtype), in_u, jnp.asarray(_FIRST, dtype), jnp.asarray(False), nothing, jnp.asarray(0)
    )
    end = jax.lax.while_loop(goes_on, one, start)
    return jnp.where(end.done, end.d, jnp.nan)


def _norm(vector: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.sum(vector * vector))


def solve_between(
    equation: Callable[[jax.Array], jax.Array], tolerance: Callable[[jax.Array], jax.Array], zero: jax.Array
) -> jax.Array:
    """The number d with `equation(d)` = 0 nearest to 0 as its signs tell, or NaN where they never change.

    Between two points at which the signs differ, by Newton's method and by halving. Where the equation jumps over 0,
    the near side. It has no derivatives.

    Args:
        equation: d ↦ a number.
        tolerance: d ↦ how much of it may be left.
        zero: 0, in d's type.
    """
    first = equation(zero)
    away = -jnp.sign(first)

    def short(d: jax.Array) -> jax.Array:
        # What is not a number lies behind a wall: too far.
        return away * equation(d) < 0

    def widen(ends: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        _, far, k = ends
        return far, 2 * far, k + 1

    def is_short(ends: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
        return short(ends[1]) & (ends[2] < _MOST_POINTS)

    near, far, _ = jax.lax.while_loop(is_short, widen, (zero, -first, jnp.asarray(0)))
    # Asked before rounding decides on which side of 0 the far end is.
    enclosed = ~short(far) & jnp.isfinite(far) & jnp.isfinite(first)
    eps = float(jnp.finfo(zero.dtype).eps)

    def halve(state: tuple[Any, ...]) -> tuple[Any, ...]:
        near, far, d, _, k = state
        miss, slope = jax.jvp(equation, (d,), (jnp.ones_like(d),))
        solved, ahead = jnp.abs(miss) <= tolerance(d), away * miss < 0
        near, far = jnp.where(ahead, d, near), jnp.where(ahead, far, d)
        newton = d - miss / jnp.where(slope == 0, 1, slope)
        inside = (away * (newton - near) > 0) & (away * (far - newton) > 0) & (solved | (k % 3 < 2))
        # Where it is solved, one step more leaves rounding alone.
        better = jnp.where(inside, newton, jnp.where(solved, d, (near + far) / 2))
        return near, far, better, solved, k + 1

    def goes_on(state: tuple[Any, ...]) -> jax.Array:
        near, far, _, solved, k = state
        return ~solved & (jnp.abs(far - near) > 2 * eps * jnp.abs(far)) & (k < _MOST_POINTS)

    start = near, far, jnp.where(near == 0, far, (near + far) / 2), first == 0, jnp.asarray(0)
    near, far, d, solved, _ = jax.lax.while_loop(goes_on, halve, start)
    found = jnp.where(solved, d, near)
    return jnp.where(enclosed, found, jnp.nan)
