"""What is seen of an iteration in its saved rows: everything by which its end is decided.

The same formulas run on NumPy's arrays, where values are known and nothing need be compiled, and on traced ones.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradientflow.flows import Evidence, Flow, Left, all_finite, at_rest, dtype_of, max_norm, small
from gradientflow.flows.aliases import State

from ..iteration import Carry, Iteration, Seen
from ..oracle import is_random
from .returning import returns

# A gradient that has not fallen to this share of the largest is not asked whether the end is at rest.
_FALLEN = 1e-2
# One that has grown to this many times the first while the energy fell goes off to where there is no minimum.
_RUNS_OFF = 10
# Rows of which medians are taken, and fewer rows than that of which a median says nothing.
_SAMPLED = 256
_FEW = 8
# States within so many units in the last place of each other are one.
_ROUNDING = 64


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class Rows:
    """What is saved: arrays with one row a saved step.

    Attributes:
        k: the step's number.
        t: the time [T].
        z: the states.
        x: the positions, as the user's own pytree.
        energy: E(x).
        grad_norm: ‖∇E(x)‖∞.
        finite: whether state and position are finite.
    """

    k: Any
    t: Any
    z: Any
    x: Any
    energy: Any
    grad_norm: Any
    finite: Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class Ends:
    """What only the flow can say of the two ends of a run.

    Attributes:
        squared_gradient: ‖∇E(x₀)‖² [E²/X²].
        residual: what the last iterate's gradient lacks to being zero, what a constraint takes up aside [E/X].
        speed: what its velocity lacks to being zero [X/T].
        moved: how far the last iterate is from the first [X].
        reach: the largest entry of the last position [X].
        last: the last position.
    """

    squared_gradient: Any
    residual: Any
    speed: Any
    moved: Any
    reach: Any
    last: Any


def measured(row: tuple[Any, Any], flow: Flow) -> tuple[Any, Any, Any]:
    """Of a state and its position: E, ‖∇E‖∞, and whether both are finite."""
    _, x = row
    return flow.energy.value(x), max_norm(flow.energy.grad(x)), all_finite(row)


def ends_of(flow: Flow, first: tuple[Any, Any], last: tuple[Any, Any]) -> Ends:
    """What is seen at the first and the last state with their positions."""
    gradient = flow.energy.grad(first[1])
    velocity = flow.velocity(last[0])
    # Not the last state's own: an iterate is where the scheme reads it, which need not be the state's position.
    residual = flow.residual(flow.init(last[1]))
    moved = max_norm(jax.tree.map(lambda a, b: a - b, last[1], first[1]))
    return Ends(
        squared_gradient=sum(jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(gradient)),
        residual=max_norm(residual),
        speed=jnp.zeros(()) if velocity is None else max_norm(velocity),
        moved=moved,
        reach=max_norm(last[1]),
        last=last[1],
    )


def may_be_at_rest(rows: Rows, ends: Ends) -> bool:
    """Whether the end of a run whose values are known is worth the question whether it is at rest.

    Its gradient has fallen to a hundredth of the largest, or it hardly moved at all.
    """
    grad_norm = np.where(np.isfinite(rows.grad_norm), rows.grad_norm, 0)
    size_of = max((float(np.max(np.abs(leaf), initial=0)) for leaf in jax.tree.leaves(ends.last)), default=0.0)
    still = ends.moved <= float(jnp.finfo(rows.energy.dtype).eps) ** 0.5 * size_of
    return bool((ends.residual <= _FALLEN * grad_norm.max()) | still)


def evidence_of(iteration: Iteration, rows: Rows, tail: Any, ends: Ends, left: Left | None, gtol: Any) -> Evidence:
    """What is seen of a run in its rows.

    Args:
        iteration: whose run it is.
        rows: its rows; the states and positions among them are not looked at.
        tail: the last states, at most `TAIL` of them.
        ends: what was seen at its ends.
        left: what the Newton step from its end says is left to do, or `None` where a number is the criterion.
        gtol: an absolute criterion for rest [E/X], or `None` for the Newton step.
    """
    xp: Any = np if isinstance(rows.energy, np.ndarray) else jnp
    z = jax.tree.map(lambda leaf: leaf[-1], tail)
    course = _course_of(xp, rows, is_noisy(iteration))
    seen = seen_of(iteration, course, z, returns(xp, tail), ends, left, gtol)
    if xp is np and not seen.recurs:
        return seen
    since = rows.k[_recurs_from(xp, rows.energy, seen.recurs // course.every)]
    return dataclasses.replace(seen, cycle_from=xp.where(seen.recurs > 0, since, -1))


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class Course:
    """What the way from the start to the end tells.

    Attributes:
        steps: how many steps were taken.
        every: how many of them lie between two rows.
        step: the first one's length [T].
        time: the time of the end [T].
        energy: E at the start and at the end [E].
        grad_norm: ‖∇E‖∞ there [E/X].
        lost_from: the step from which something is not finite, or −1.
        lost: what was not.
        rises_from: the first step of the last rise, or −1.
        rise: E at the end less E at the start, a median where chance moves it [E].
        rise_before: the largest such rise over the first half [E].
        change: the median change of E in a row [E].
    """

    steps: Any
    every: Any
    step: Any
    time: Any
    energy: Any
    grad_norm: Any
    lost_from: Any
    lost: Any
    rises_from: Any
    rise: Any
    rise_before: Any
    change: Any


def uneventful(step: Any, last: Carry, energy: Any, grad_norm: Any) -> Course:
    """The course of a run that chance does not move, that was finite on its way and ends no higher than it began.

    Of such a run no row is needed: where it rose, and how far, decides nothing.

    Args:
        step: the first one's length [T].
        last: where it ends.
        energy: E at the start and at the end.
        grad_norm: ‖∇E‖∞ there.
    """
    none, zero = jnp.full_like(last.k, -1), jnp.zeros_like(energy[0])
    return Course(
        steps=last.k, every=jnp.ones_like(last.k), step=step, time=last.t, energy=energy,
        grad_norm=grad_norm, lost_from=none, lost=jnp.zeros_like(none), rises_from=none, rise=energy[-1] - energy[0],
        rise_before=zero, change=zero,
    )  # fmt: skip


def is_noisy(iteration: Iteration) -> bool:
    """Whether chance moves it: a Brownian motion, or an oracle."""
    oracle = iteration.oracle
    return iteration.noise is not None or (isinstance(oracle, Seen) and is_random(oracle.oracle))


def _course_of(xp: Any, rows: Rows, noisy: bool) -> Course:
    """That of a run whose rows are known."""
    energy, grad_norm, k = rows.energy, rows.grad_norm, rows.k
    last = len(k) - 1
    finite = rows.finite & xp.isfinite(energy) & xp.isfinite(grad_norm)
    is_lost, lost_row = ~finite.all(), xp.argmin(finite)
    lost = [~rows.finite[lost_row], ~xp.isfinite(energy[lost_row]), ~xp.isfinite(grad_norm[lost_row])]
    every = xp.maximum(k[min(1, last)], 1)
    rise, rise_before, change = _rises(xp, energy, noisy)
    return Course(
        steps=k[-1],
        every=every,
        step=(rows.t[min(1, last)] - rows.t[0]) / every,
        time=rows.t[-1],
        energy=energy[np.array([0, -1])],
        grad_norm=grad_norm[np.array([0, -1])],
        lost_from=xp.where(is_lost, k[lost_row], -1),
        lost=xp.where(is_lost, sum(bit * what for bit, what in zip((1, 2, 4), lost, strict=True)), 0),
        rises_from=_rises_from(xp, xp.where(finite, energy, xp.inf), k, xp.where(is_lost, lost_row, last)),
        rise=rise,
        rise_before=rise_before,
        change=change,
    )


def seen_of(
    iteration: Iteration,
    course: Course,
    z: State,
    returned: tuple[Any, Any, Any],
    ends: Ends,
    left: Left | None,
    gtol: Any,
) -> Evidence:
    """What is seen of a run, but for where a cycle of it began, which only its rows tell: −1.

    Args:
        iteration: whose run it is.
        course: what its way tells.
        z: the last state.
        returned: whether it was there before, as `returns` tells.
        ends: what was seen at its ends.
        left: what the Newton step from its end says is left to do, or `None` where a number is the criterion.
        gtol: an absolute criterion for rest [E/X], or `None` for the Newton step.
    """
    xp: Any = np if isinstance(course.energy, np.ndarray) else jnp
    noisy, heated = is_noisy(iteration), iteration.noise is not None
    (energy0, energy), (grad_norm0, grad_norm) = course.energy, course.grad_norm
    every, step = course.every, course.step
    if left is not None:
        dtype = dtype_of(z)
        # What it still moves with its velocity in a step is as little of the way as what is left of it is to be.
        goes_on = step * ends.speed > small(dtype).way * ends.moved
        settled = ~goes_on & at_rest(left, ends.moved, energy0, energy, dtype, xp)
    else:
        settled = (ends.residual <= gtol) & (ends.speed <= gtol)
    back, moved, extent = returned
    eps = float(jnp.finfo(dtype_of(z)).eps)
    recurs = xp.where(settled | (course.lost_from >= 0) | noisy, 0, back)
    cycle = xp.where((recurs > 1) & (moved > _ROUNDING * eps * extent), recurs, 0)
    return Evidence(
        steps=course.steps,
        at_end=xp.asarray(True),
        out_of_steps=xp.asarray(False),
        noisy=xp.asarray(noisy),
        heated=xp.asarray(heated),
        settled=settled,
        lost_from=course.lost_from,
        lost=course.lost,
        rises_from=course.rises_from,
        rise=course.rise,
        rise_before=course.rise_before,
        first_fall=step * ends.squared_gradient,
        change=course.change / every,
        still=(recurs == 1) & (every == 1),
        climbs=xp.asarray(False),
        resolved=step * xp.maximum(ends.residual, grad_norm) > _ROUNDING * eps * ends.reach,
        recurs=recurs * every,
        cycle_from=xp.full_like(course.lost_from, -1),
        period=cycle * every,
        runs_off=(energy < energy0) & (grad_norm > _RUNS_OFF * grad_norm0) & (grad_norm0 > 0),
        time=course.time,
        energy=course.energy,
        grad_norm=course.grad_norm,
        left=left,
        moved=ends.moved,
        reach=ends.reach,
        stiff=xp.asarray(False),
        has_energy=iteration.flow.has_energy,
    )


def _rises(xp: Any, energy: Any, noisy: bool) -> tuple[Any, Any, Any]:
    """How far E lies above its start at the end, how far at most in the first half, and its median change in a row."""
    last = len(energy) - 1
    above = energy - energy[0]
    before = np.linspace(0, max(last - 1, 0), min(last, _SAMPLED)).astype(int)
    change = xp.median(xp.abs(energy[before + 1] - energy[before])) if last else xp.zeros_like(energy[0])
    if not noisy:
        return above[-1], xp.maximum(above[: last // 2 + 1].max(), 0), change
    if last < _FEW:
        return xp.zeros_like(energy[0]), xp.zeros_like(energy[0]), change
    middle, end = (above[low * last // 8 : high * last // 8 + 1] for low, high in ((3, 4), (7, 8)))
    return xp.median(end), xp.median(middle), change


def _rises_from(xp: Any, energy: Any, k: Any, last: Any) -> Any:
    """The first step of the last rise of E above its start, which begins at the lowest point before; −1 for none.

    Between the last time that E was above its start before and the last time that it was not, that is.
    """
    if xp is np and energy[last] <= energy[0]:
        return np.asarray(-1)
    index = np.arange(len(energy))
    low = (energy <= energy[0]) & (index <= last)
    turn = xp.max(xp.where(low, index, -1))
    before = xp.max(xp.where(~low & (index < turn), index, -1))
    stretch = (index > before) & (index <= turn)
    least = xp.min(xp.where(stretch, energy, xp.inf))
    begin = xp.max(xp.where(stretch & (energy == least), index, 0))
    # Of rows that lie several steps apart, the one after which it began to rise.
    return xp.where((turn >= 0) & (turn < last), k[begin] + 1, -1)


def _recurs_from(xp: Any, energy: Any, recurs: Any) -> Any:
    """The first row from which on E comes back after `recurs` rows, to half its digits."""
    index = np.arange(len(energy))
    later = xp.minimum(index + recurs, len(energy) - 1)
    tolerance = float(jnp.finfo(energy.dtype).eps) ** 0.5 * xp.abs(energy[-1])
    not_yet = (xp.abs(energy[later] - energy) > tolerance) & (index + recurs < len(energy))
    return xp.max(xp.where(not_yet, index, -1)) + 1
