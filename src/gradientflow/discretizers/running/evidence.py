"""What is seen of an iteration in its saved rows: everything by which its end is decided. Pure: it may be traced."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from gradientflow.flows import Evidence, Flow, dtype_of, is_stationary, max_norm

from ..iteration import Iteration, Seen
from ..oracle import is_random

# A gradient that has not fallen to this share has not arrived.
_FALLEN = 0.1
# One that has grown to this many times the first while the energy fell goes off to where there is no minimum.
_RUNS_OFF = 10
# Longer cycles than this are not looked for.
_LONGEST_CYCLE = 16
# Rows of which medians are taken.
_SAMPLED = 256
_FEW = 8
# States within so many units in the last place of each other are one.
_ROUNDING = 64


class Rows(eqx.Module):
    """What is saved: arrays with one row a saved step.

    Attributes:
        k: the step's number.
        t: the time [T].
        z: the states.
        x: the positions, as the user's own pytree.
        energy: E(x).
        grad_norm: ‖∇E(x)‖∞.
    """

    k: Any
    t: Any
    z: Any
    x: Any
    energy: Any
    grad_norm: Any


def evidence_of(iteration: Iteration, rows: Rows, count: Any, gtol: Any) -> Evidence:
    """What is seen of a run in its first `count` rows."""
    flow, energy, grad_norm = iteration.flow, rows.energy, rows.grad_norm
    index = jnp.arange(len(rows.k))
    last = jnp.asarray(count - 1)
    end = jax.tree.map(lambda leaf: leaf[last], rows)
    heated = flow.brownian(end.z) is not None
    noisy = heated or (isinstance(iteration.oracle, Seen) and is_random(iteration.oracle.oracle))
    finite = [_finite(rows.z) & _finite(rows.x), jnp.isfinite(energy), jnp.isfinite(grad_norm)]
    all_finite = finite[0] & finite[1] & finite[2]
    lost_rows = (index < count) & ~all_finite
    is_lost, lost_row = lost_rows.any(), jnp.argmax(lost_rows)
    none = jnp.asarray(-1, rows.k.dtype)
    second = jnp.minimum(1, last)
    every = jnp.maximum(rows.k[second], 1)
    step = (rows.t[second] - rows.t[0]) / every
    rise, rise_before, change = _rises(energy, last, noisy)
    residual, speed = _unrest(flow, end)
    # An energy without a minimum falls so far that by its own scale any gradient is small: it must have fallen too.
    fallen = residual <= jnp.maximum(gtol, _FALLEN * grad_norm[0])
    settled = fallen & is_stationary(gtol, energy[0], energy[last], residual, speed)
    back, moved, extent = _returns(rows.z, last)
    rounding = _ROUNDING * float(jnp.finfo(dtype_of(rows.z)).eps) * extent
    recurs = jnp.where(settled | is_lost | noisy, 0, back)
    cycle = jnp.where((recurs > 1) & (moved > rounding), recurs, 0)
    return Evidence(
        steps=end.k,
        at_end=jnp.asarray(True),
        out_of_steps=jnp.asarray(False),
        noisy=jnp.asarray(noisy),
        heated=jnp.asarray(heated),
        settled=settled,
        lost_from=jnp.where(is_lost, rows.k[lost_row], none),
        lost=jnp.where(is_lost, sum(bit * ~finite[place][lost_row] for place, bit in enumerate((1, 2, 4))), 0),
        rises_from=_rises_from(jnp.where(all_finite, energy, jnp.inf), rows.k, jnp.where(is_lost, lost_row, last)),
        rise=rise,
        rise_before=rise_before,
        first_fall=step * _squared_norm(flow, rows),
        change=change / every,
        still=(recurs == 1) & (every == 1),
        resolved=step * residual > rounding,
        recurs=recurs * every,
        cycle_from=jnp.where(
            recurs > 0, rows.k[_recurs_from(rows.z, recurs, last, jnp.where(recurs > 1, moved, extent))], none
        ),
        period=cycle * every,
        runs_off=(energy[last] < energy[0]) & (grad_norm[last] > _RUNS_OFF * grad_norm[0]) & (grad_norm[0] > 0),
        time=end.t,
        energy=jnp.stack([energy[0], energy[last]]),
        grad_norm=jnp.stack([grad_norm[0], grad_norm[last]]),
    )


def _finite(rows: Any) -> Any:
    """Which rows are finite."""
    leaves = [jnp.isfinite(leaf).reshape(len(leaf), -1).all(axis=1) for leaf in jax.tree.leaves(rows)]
    return jnp.stack(leaves).all(axis=0)


def _squared_norm(flow: Flow, rows: Rows) -> Any:
    """‖∇E(x₀)‖²."""
    gradient = flow.energy.grad(jax.tree.map(lambda leaf: leaf[0], rows.x))
    return sum(jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(gradient))


def _rises(energy: Any, last: Any, noisy: bool) -> tuple[Any, Any, Any]:
    """How far E lies above its start at the end, how far at most in the first half, and its median change in a row."""
    above = energy - energy[0]

    def sampled(low: Any, high: Any) -> Any:
        """Row numbers spread evenly from `low` to `high`."""
        return (low + (high - low) * jnp.linspace(0, 1, _SAMPLED)).astype(int)

    before = sampled(0, jnp.maximum(last - 1, 0))
    change = jnp.median(jnp.abs(energy[jnp.minimum(before + 1, last)] - energy[before]))
    if noisy:
        middle, end = (
            jnp.median(above[sampled(3 * last // 8, last // 2)]),
            jnp.median(above[sampled(7 * last // 8, last)]),
        )
        return end, middle, change
    first_half = jnp.arange(len(energy)) <= last // 2
    return above[last], jnp.max(jnp.where(first_half, above, 0)), change


def _rises_from(energy: Any, k: Any, last: Any) -> Any:
    """The first step of the last rise of E above its start, which begins at the lowest point before; −1 for none.

    Between the last time that E was above its start before and the last time that it was not, that is.
    """
    index = jnp.arange(len(energy))
    low = (energy <= energy[0]) & (index <= last)
    turn = jnp.max(jnp.where(low, index, -1))
    before = jnp.max(jnp.where(~low & (index < turn), index, -1))
    stretch = (index > before) & (index <= turn)
    least = jnp.min(jnp.where(stretch, energy, jnp.inf))
    begin = jnp.max(jnp.where(stretch & (energy == least), index, 0))
    # Of rows that lie several steps apart, the one after which it began to rise.
    return jnp.where((turn >= 0) & (turn < last), k[begin] + 1, -1)


def _returns(states: Any, last: Any) -> tuple[Any, Any, Any]:
    """After how many rows the last state comes back, 0 for never; how far it moves meanwhile, and how large it is."""
    leaves = jax.tree.leaves(states)

    def distance(back: Any) -> Any:
        index = jnp.maximum(last - back, 0)
        return jnp.max(jnp.stack([jnp.max(jnp.abs(leaf[last] - leaf[index]), initial=0) for leaf in leaves]))

    extent = jnp.max(jnp.stack([jnp.max(jnp.abs(leaf[last]), initial=0) for leaf in leaves]))
    backs = jnp.arange(1, _LONGEST_CYCLE + 1)
    # Twice around, or a slow end that turns back once would be taken for a cycle.
    distances = jax.lax.map(lambda back: jnp.stack([distance(back), distance(2 * back)]), backs)
    inside = 2 * backs <= last
    moved = jnp.max(jnp.where(inside, distances[:, 0], 0))
    eps = float(jnp.finfo(leaves[0].dtype).eps)
    tolerance = jnp.maximum(eps**0.5 * moved, 4 * eps * extent)
    returned = inside & (distances <= tolerance).all(axis=1)
    return jnp.where(returned.any(), backs[jnp.argmax(returned)], 0), moved, extent


def _recurs_from(states: Any, recurs: Any, last: Any, scale: Any) -> Any:
    """The first row from which on each state comes back after `recurs` rows."""

    def search(_: None) -> Any:
        leaves = [leaf.reshape(len(leaf), -1) for leaf in jax.tree.leaves(states)]
        index = jnp.arange(len(leaves[0]))
        later = jnp.minimum(index + recurs, last)
        away = jnp.max(jnp.stack([jnp.max(jnp.abs(leaf[later] - leaf), axis=1) for leaf in leaves]), axis=0)
        tolerance = float(jnp.finfo(leaves[0].dtype).eps) ** 0.5 * scale
        not_yet = (away > tolerance) & (index + recurs <= last)
        return jnp.max(jnp.where(not_yet, index, -1)) + 1

    return jax.lax.cond(recurs > 0, search, lambda _: jnp.zeros_like(last), None)


def _unrest(flow: Flow, end: Rows) -> tuple[Any, Any]:
    """What the last iterate's gradient and velocity lack to being zero, what a constraint takes up aside."""
    velocity = flow.velocity(end.z)
    # Not the last state's own: an iterate is where the scheme reads it, which need not be the state's position.
    return max_norm(flow.residual(flow.init(end.x))), 0.0 if velocity is None else max_norm(velocity)
