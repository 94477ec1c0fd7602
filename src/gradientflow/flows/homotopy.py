r"""Implicit equations without a good first guess: along the path of solutions that begins at a step of length zero.

$d + G(d) = 0$ is the end, $u = 0$, of the curve $d + e^u G(d) = 0$, which begins at $d = 0$ for $u \to -\infty$. Where
$\|d + e^u G(d)\|$ vanishes for no u on the boundary of a ball around 0, the part of the curve that begins there reaches
u = 0 (the degree of the identity is one): it may turn back in u, and is therefore followed by its length.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import jax.scipy.linalg as jsl
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

# d ↦ d + G(d), and the size of what its entries are rounded from, beside x + d.
Equation = Callable[[jax.Array], tuple[jax.Array, jax.Array]]


class _Search(NamedTuple):
    """Where the search stands: points are (d, u), of n + 1 entries.

    Attributes:
        last: the last point found; before the curve is found, where its beginning is looked for, with d = 0.
        along: the curve's direction there, in units of ‖d‖ and of u, a unit vector.
        length: how far to go along it next.
        on_curve: whether it has been found.
        done: whether the last point solves the equation.
        tried: how many points were tried.
        off: where Newton's method stands for the next, as its difference from the prediction.
        steps: how many it took.
        was_solved: whether it has been near enough.
    """

    last: jax.Array
    along: jax.Array
    length: jax.Array
    on_curve: jax.Array
    done: jax.Array
    tried: jax.Array
    off: jax.Array
    steps: jax.Array
    was_solved: jax.Array


def solve_from_zero(equation: Equation, x: jax.Array) -> jax.Array:
    """The d with d + G(d) = 0, or NaN: by Newton's method from 0, else along the curve.

    Derivatives are those of the implicit function, of any order.

    Args:
        equation: d ↦ d + G(d), shape (n,), and the size of what it is rounded from.
        x: the position to which it adds d, shape (n,), and which is rounded too.

    References:
        E. L. Allgower, K. Georg, Introduction to Numerical Continuation Methods, 2003, chapter 2 and theorem 11.1.1.
    """

    def solve(_: Any, zero: jax.Array) -> jax.Array:
        return _followed(equation, x, zero)

    return jax.lax.custom_root(lambda d: equation(d)[0], jnp.zeros_like(x), solve, solve_linear)


def solve_linear(apply: Callable[[jax.Array], jax.Array], right: jax.Array) -> jax.Array:
    """The d with apply(d) = right of a linear map: dense, or with a Krylov solver where n is large."""
    operator = lx.FunctionLinearOperator(apply, jax.eval_shape(lambda: right))
    dense = right.size <= LARGEST_DENSE
    solver = lx.AutoLinearSolver(well_posed=None) if dense else krylov(right.dtype)
    return lx.linear_solve(operator, right, solver, throw=False).value


def _followed(equation: Equation, x: jax.Array, zero: jax.Array) -> jax.Array:
    slope, n, dtype = equation(zero)[0], zero.size, zero.dtype
    roughly = 10 * float(jnp.finfo(dtype).eps) ** 0.5
    in_u = jnp.zeros(n + 1, dtype).at[n].set(1)

    def left(point: jax.Array) -> tuple[jax.Array, jax.Array]:
        d, fraction = point[:n], jnp.exp(point[n])
        value, size = equation(d)
        return d + fraction * (value - d), fraction * size

    def one(at: _Search) -> _Search:
        """One step of Newton's method; where it has got there, the next point is begun."""
        unit = jnp.append(jnp.full(n, jnp.where(at.on_curve, _norm(at.last[:n]), 1)), 1)
        climb = at.length * at.along[n]
        # Not beyond the end: there the plane is u = 0.
        ends = at.last[n] + jnp.where(at.on_curve, climb, 0) >= 0
        ahead = at.length * jnp.where(ends, -at.last[n] / jnp.where(climb == 0, 1, climb), 1)
        guess = at.last + jnp.where(at.on_curve, ahead, 0) * unit * at.along
        normal = jnp.where(ends | ~at.on_curve, in_u, at.along / unit)

        # The point of the curve in the plane through the guess.
        point = (guess + at.off).at[n].set(jnp.where(ends, 0, guess[n] + at.off[n]))
        miss, moved, size = jax.linearize(left, point, has_aux=True)
        d, far = point[:n], _norm(point[:n])
        within = allowed(d, moved(jnp.append(x + d, 0)), size)
        solved = (far > 0) & (jnp.max(jnp.abs(miss)) <= within + jnp.where(ends, 0, roughly * far))
        # The end takes one step more than it needs, which leaves rounding alone.
        found = solved & (at.was_solved | ~ends)
        lost = ~jnp.all(jnp.isfinite(miss)) | (at.steps >= _NEWTON_STEPS)
        # Newton's step and the curve's direction are solutions of one linear system.
        right = jnp.where(found, in_u, jnp.append(miss, normal @ at.off))
        solution, sign = _solved_with_sign(lambda v: jnp.append(moved(v), normal @ v), right)

        begun = _norm(d + jnp.exp(point[n]) * slope) <= _NEAR * far
        chord = (point - at.last) / unit
        turned = chord @ at.along / _norm(chord)
        straight = jnp.where(ends, jnp.abs(turned), turned) >= _STRAIGHT  # The end may lie a little behind.
        close = _norm(at.off / unit) <= _AWAY * at.length
        good = found & jnp.where(at.on_curve, close & straight, begun | ends)
        # Beyond a fold, jumped over, the curve comes back: the determinant with its direction keeps its sign along it.
        direction = sign * solution / jnp.append(jnp.full(n, far), 1)
        over = found | lost
        back = jnp.where(at.on_curve, at.last, at.last - _BACK * in_u)
        longer, shorter = jnp.minimum(1.5 * at.length, _LONGEST), at.length / 2
        return _Search(
            last=jnp.where(good, point, jnp.where(over, back, at.last)),
            along=jnp.where(good, direction / _norm(direction), at.along),
            length=jnp.where(at.on_curve & over, jnp.where(good, longer, shorter), at.length),
            on_curve=at.on_curve | good,
            done=good & ends,
            tried=at.tried + over,
            off=jnp.where(over, 0, at.off - solution),
            steps=jnp.where(over, 0, at.steps + 1),
            was_solved=~over & (at.was_solved | solved),
        )

    def goes_on(at: _Search) -> jax.Array:
        return ~at.done & (at.tried < _MOST_POINTS) & (at.length > roughly)

    no, none, nowhere = jnp.asarray(False), jnp.asarray(0), jnp.zeros(n + 1, dtype)
    at_rest = jnp.max(jnp.abs(slope)) == 0
    start = _Search(nowhere, in_u, jnp.asarray(_FIRST, dtype), no, at_rest, none, nowhere, none, no)
    end = jax.lax.while_loop(goes_on, one, start)
    return jnp.where(end.done, end.last[:n], jnp.nan)


def _solved_with_sign(apply: Callable[[jax.Array], jax.Array], right: jax.Array) -> tuple[jax.Array, Any]:
    """The v with apply(v) = right of a linear map, and the sign of its determinant; of a large one 1, unread."""
    if right.size > LARGEST_DENSE:
        return solve_linear(apply, right), 1
    places = jnp.arange(right.size)
    lu, swaps = jsl.lu_factor(jax.vmap(apply, out_axes=1)(jnp.eye(right.size, dtype=right.dtype)))
    sign = jnp.prod(jnp.sign(jnp.diagonal(lu))) * jnp.prod(jnp.where(swaps == places, 1, -1))
    return jsl.lu_solve((lu, swaps), right), sign


def allowed(d: jax.Array, moved: jax.Array, size: jax.Array) -> jax.Array:
    """How much of an equation rounding and Newton's method may leave.

    Args:
        d: where.
        moved: the equation's derivative there along x + d.
        size: that of what it is rounded from else.
    """
    eps = float(jnp.finfo(d.dtype).eps)
    return eps**0.75 * jnp.max(jnp.abs(d)) + 8 * eps * (jnp.max(jnp.abs(moved)) + size)


def _norm(vector: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.sum(vector * vector))


def solve_between(equation: Equation, x: jax.Array) -> jax.Array:
    """The number d with d + G(d) = 0 nearest to 0 as its signs tell, or NaN where they never change.

    Between two points at which the signs differ, by Newton's method and by halving. Where the equation jumps over 0,
    the near side. It has no derivatives.

    Args:
        equation: d ↦ d + G(d), and the size of what it is rounded from.
        x: the number to which it adds d, and which is rounded too.
    """
    first = equation(jnp.zeros_like(x))[0]
    away = -jnp.sign(first)

    def short(d: jax.Array) -> jax.Array:
        # What is not a number lies behind a wall: too far.
        return away * equation(d)[0] < 0

    def widen(ends: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        _, far, k = ends
        return far, 2 * far, k + 1

    def is_short(ends: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
        return short(ends[1]) & (ends[2] < _MOST_POINTS)

    near, far, _ = jax.lax.while_loop(is_short, widen, (jnp.zeros_like(x), -first, jnp.asarray(0)))
    # Asked before rounding decides on which side of 0 the far end is.
    enclosed = ~short(far) & jnp.isfinite(far) & jnp.isfinite(first)
    eps = float(jnp.finfo(x.dtype).eps)

    def halve(state: tuple[Any, ...]) -> tuple[Any, ...]:
        near, far, d, _, k = state
        miss, slope, size = jax.jvp(equation, (d,), (jnp.ones_like(d),), has_aux=True)
        solved, ahead = jnp.abs(miss) <= allowed(d, slope * (x + d), size), away * miss < 0
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
