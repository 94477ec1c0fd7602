"""What the host sees of a solve between its stretches, and what it makes of it: whether it goes on, and how it ended.

Nothing here is compiled: a solve alone is watched like each lane of many that go side by side.
"""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..aliases import Position
from ..status import Evidence, Status, decide, unseen
from .choice import FAR, is_stiff
from .integration import Carry
from .stretch import End, Measured, Stretch, joined

# The exponent p of a gradient's fall t^(−p) up to which a path is taken to run off; see `_falls_too_slowly`.
_SLOWEST_ARRIVAL = 1.1
# The share of the whole way that the second half of the time must still have moved for that.
_STILL = 1e-2
# What a position is beyond where it was before counts from this share of that range on.
_NEW = 1e-3
# The share of the fall for whose sake nobody goes so many times as far as for the rest of it.
_LAST_BIT = 1e-4


@dataclasses.dataclass(frozen=True)
class Limits:
    """The checked arguments of a solve; `atol` and `gtol` are `None` unless given."""

    t0: float
    t1: float
    ts: np.ndarray | None
    rtol: float
    atol: float | None
    gtol: float | None
    max_steps: int

    @property
    def to_rest(self) -> bool:
        """Whether the solve may end before its time."""
        return self.gtol is not None or math.isinf(self.t1)

    def times(self, dtype: Any) -> np.ndarray | None:
        """The times to save at since the start, as a precision holds them."""
        return None if self.ts is None else np.asarray(self.ts - self.t0, dtype).astype(float)

    def end(self, dtype: Any) -> float:
        """When the solve ends, likewise: an end between two floats would never be reached."""
        times = self.times(dtype)
        return float(np.asarray(self.t1 - self.t0, dtype)) if times is None else float(times[-1])


class Watched:
    """A solve as it is seen: its stretches so far, and whether it has ended.

    Args:
        limits: what was asked for.
        dtype: the precision.
        room: how many rows a stretch has room for.
        has_energy: whether the flow has an energy.
        radius: the fastest mode's |λ| at the start [1/T].
    """

    def __init__(self, limits: Limits, dtype: Any, room: int, has_energy: bool, radius: float) -> None:
        self.limits, self.dtype, self.room = limits, dtype, room
        self.has_energy, self.radius, self.end = has_energy, radius, limits.end(dtype)
        self.stretches: list[Stretch] = []
        self.runs_off = self.stuck = self.ended = False
        self.state: Any = None

    def take(self, state: Carry, stretch: Stretch) -> None:
        """Looks at one more stretch.

        Args:
            state: where the solve stands after it, on the host.
            stretch: its rows that are new, on the host.
        """
        self.state = state
        self.stretches.append(stretch)
        limits = self.limits
        self.stuck = bool(state.stuck) or (limits.to_rest and self._unchanged())
        by_number = limits.gtol is not None and bool(state.rest)
        if math.isinf(limits.t1):
            asked = (bool(state.spent) or by_number or self.stuck) and not self._held_up()
            self.runs_off = self._far_and_flat() or (asked and self._runs_off())
        tried = int(state.taken) + int(state.rejected)
        done = float(state.s) >= self.end or bool(state.rest) or self.runs_off or self.stuck
        self.ended = done or tried >= limits.max_steps

    def status(self) -> Status:
        """How it ended."""
        _, seen, end = joined(self.stretches)
        first, last = (jax.tree.map(lambda leaf, i=i: leaf[i], seen) for i in (0, -1))
        with np.errstate(all="ignore"):
            seen = ending(
                self.limits, self.dtype, self.state, first, last, end, self.runs_off, self.stuck, self.radius,
                self.has_energy,
            )  # fmt: skip
            return decide(seen)

    def _unchanged(self) -> bool:
        """Whether a whole stretch of steps moved the state, or E, by no more than rounding."""
        rows, seen, _ = self.stretches[-1]
        states, energy = jax.tree.map(np.asarray, (rows.z, seen.energy))
        if self.limits.ts is not None or len(energy) < self.room // 2:
            return False
        largest = max(float(np.max(np.abs(leaf[-1]), initial=0)) for leaf in jax.tree.leaves(states))
        rounding = 4 * float(jnp.finfo(self.dtype).eps)
        level = self.has_energy and float(np.ptp(energy)) <= rounding * abs(float(energy[-1]))
        return _moved(states, 0) <= rounding * largest or level

    def _far_and_flat(self) -> bool:
        """Whether it has gone very far on the last bit of the fall, its gradient no faster than t^(−p) with p ≤ 1."""
        if len(self.stretches[-1].rows.s) < self.room // 2:
            return False
        rows, seen, _ = joined(self.stretches)
        energy, away = np.asarray(seen.energy, float), np.maximum.accumulate(np.asarray(seen.away, float))
        first = int(np.argmax(energy - energy[-1] <= _LAST_BIT * (energy[0] - energy[-1])))
        if not (energy[-1] < energy[0] and away[-1] > away[first] / _LAST_BIT):
            return False
        (s0, s1), (g0, g1) = (np.asarray(each, float)[[first, -1]] for each in (rows.s, seen.residual))
        return g1 > 0 and math.log(g0 / g1) <= _SLOWEST_ARRIVAL * math.log(s1 / s0)

    def _held_up(self) -> bool:
        """Whether it ends in finite time, where E ends or ever steeper: how its gradient falls is no question then."""
        start = jax.tree.map(lambda leaf: leaf[0], self.stretches[0].measured.x)
        return bool(self.state.stuck) and float(self.state.moved) <= FAR * (1 + float(_reach(start, 0)))

    def _runs_off(self) -> bool:
        rows, seen, _ = joined(self.stretches)
        elapsed, positions = np.asarray(rows.s, float), jax.tree.map(np.asarray, seen.x)
        slowly = _falls_too_slowly(elapsed, positions, np.asarray(seen.residual))
        return slowly and _leaves_its_range(elapsed, positions)


def surely_ended(limits: Limits, dtype: Any, room: int, state: Carry) -> Any:
    """Where a first stretch ended a solve, and how is seen at its ends alone; `state` may hold an entry a lane.

    Fewer rows than half the room are no reason to ask whether anything changes any more.
    """
    at_end = np.asarray(state.s) >= limits.end(dtype)
    if not limits.to_rest:
        return at_end
    known = limits.gtol is None or math.isfinite(limits.t1)
    quick = np.asarray(state.taken) < room // 2 - 1
    return known & quick & (np.asarray(state.rest) | at_end) & ~np.asarray(state.spent) & ~np.asarray(state.stuck)


def ending(
    limits: Limits, dtype: Any, state: Carry, first: Measured, last: Measured, end: End, runs_off: Any, stuck: Any,
    radius: Any, has_energy: bool,
) -> Evidence:  # fmt: skip
    """What is seen of a solve that has ended, on the host; all may hold an entry a lane.

    Args:
        limits: what was asked for.
        dtype: the precision.
        state: where it stands.
        first: what was measured at its start.
        last: what was measured at its end.
        end: what else was seen there.
        runs_off: whether it goes to infinity while its energy falls, as far as its way tells.
        stuck: whether nothing moves any more.
        radius: the fastest mode's |λ| at the start [1/T].
        has_energy: whether the flow has an energy.
    """
    start, reach = _reach(first.x, np.ndim(first.energy)), _reach(last.x, np.ndim(first.energy))
    at_end = np.asarray(state.s) >= limits.end(dtype)
    # A minimum may be far from the start; then there is rest.
    far = (last.energy < first.energy) & (reach > FAR * (1 + start)) & ~np.asarray(end.rest)
    # So is an energy that falls without bound in finite time, by far more than the first slope would have brought.
    expected = np.square(np.asarray(first.residual, float)) * np.asarray(state.s, float)
    far = far | (np.asarray(state.stuck) & (first.energy - last.energy > FAR * expected))
    lost = np.asarray(stuck) & ~np.asarray(end.drift_finite)
    return dataclasses.replace(
        unseen(np, np.stack([first.energy, last.energy]), np.stack([first.grad_norm, last.grad_norm])),
        steps=state.taken,
        time=np.asarray(limits.t0 + np.asarray(state.s, float)),
        at_end=np.asarray(at_end),
        out_of_steps=np.asarray(~at_end),
        settled=end.rest,
        lost_from=np.where(lost, state.taken, -1),
        lost=np.where(lost, 8, 0),
        still=np.asarray(stuck),
        climbs=np.asarray(end.climbs),
        resolved=np.asarray(last.residual > float(jnp.finfo(dtype).eps) ** 0.5 * first.residual),
        runs_off=np.asarray(~at_end & (far | runs_off)),
        left=end.left,
        moved=state.moved,
        reach=np.asarray(reach),
        stiff=np.asarray(is_stiff(radius, limits.end(dtype))),
        has_energy=has_energy,
    )


def _reach(x: Position, lanes: int) -> Any:
    """The largest entry of a position, of each lane's where there is an axis of lanes."""
    leaves = [np.abs(np.asarray(leaf)) for leaf in jax.tree.leaves(x)]
    return np.max([leaf.max(axis=tuple(range(lanes, leaf.ndim)), initial=0) for leaf in leaves], axis=0)


def _falls_too_slowly(elapsed: np.ndarray, positions: Any, residuals: np.ndarray) -> bool:
    """Whether the gradient falls so slowly, as t^(−p) with p ≤ 1, that what it still moves adds up to infinity.

    Towards a minimizer, however flat, the fall is faster: p = (q − 1)/(q − 2) for an energy like |x|^q, and any
    exponential beats every p. The steepest slope over the last half of the time counts, and only where the state still
    moved in it: a gradient that is nothing but rounding does not fall either.
    """
    half = int(np.searchsorted(elapsed, elapsed[-1] / 2, side="right")) - 1
    late = (np.arange(len(elapsed)) >= max(half, 1)) & (elapsed < elapsed[-1])
    if not late.any() or _moved(positions, half) <= _STILL * _moved(positions, 0):
        return False
    norms = np.maximum(residuals.astype(float), 1e-300)
    fall = np.log(norms[late] / norms[-1])
    return float(np.max(fall / np.log(elapsed[-1] / elapsed[late]))) <= _SLOWEST_ARRIVAL


def _leaves_its_range(elapsed: np.ndarray, positions: Any) -> bool:
    """Whether over the last half of the time it is anywhere that it was not before: what oscillates goes nowhere."""
    half = int(np.searchsorted(elapsed, elapsed[-1] / 2, side="right"))
    for leaf in jax.tree.leaves(positions):
        before, late = leaf[: max(half, 1)], leaf[half:]
        low, high = before.min(axis=0), before.max(axis=0)
        slack = _NEW * (high - low)
        if len(late) and bool(((late > high + slack) | (late < low - slack)).any()):
            return True
    return False


def _moved(states: Any, row: int) -> float:
    """How far the last state is from that of a row."""
    return max(float(np.max(np.abs(leaf[-1] - leaf[row]), initial=0)) for leaf in jax.tree.leaves(states))
