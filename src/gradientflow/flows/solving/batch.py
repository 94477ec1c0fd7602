"""Many solves side by side, a lane each: how each of them ends, the lanes that have ended being dropped on the way.

A short solve to a time or to rest is known by its ends; so lanes are taken through their first stretch without rows, a
few steps at a time, and those that are still there stay together. What is left after that has its rows kept and looked
at as a solve alone has: whether it runs off, stands still, or needs another solver, they alone tell.
"""

import dataclasses
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np

from ..aliases import StepLength
from ..numerics import dtype_of, on_host, size
from ..status import Status, decide
from .choice import first_step, held_back, is_stiff, most_explicit
from .integration import Carry
from .side_by_side import (
    Build,
    Kind,
    Program,
    advanced_each,
    begun,
    ends,
    handed_over_each,
    kind_of,
    look_at,
    may_hand_over,
    radii,
    until_few_go,
)
from .solve import STEPS_BETWEEN_TIMES, looking_later, padded, room_for, tolerances_of
from .stretch import cut, joined
from .watched import Limits, Watched, ending, surely_ended

# Lanes that go side by side: with the memory of their solver they stay in a processor's cache. Those that have ended
# are dropped when no more than a share is left; of so few as the least number none is, which of small states are more:
# a hundred of those take hardly longer than ten, and another number of lanes is another program.
_LANES, _FEWEST, _FEWEST_SMALL, _SHARE = 1024, 16, 128, 8
# What the rows of lanes that go side by side may take [bytes].
_ROWS = 2**27
# Steps that stability alone may ask of an explicit solver, where states are so small that an implicit step costs as
# much as a few of those.
_STIFF_STEPS, _SMALL = 60.0, 8


class Ended(NamedTuple):
    """How solves ended, an entry a lane.

    Attributes:
        x: the last positions.
        energy: E there.
        grad_norm: ‖∇E‖∞ there.
        t: the time there [T].
        steps: how many steps were taken.
        status: how they ended, without what was seen.
        rows: what was asked to be kept: by name, with the axis of times after the lanes'.
    """

    x: Any
    energy: Any
    grad_norm: Any
    t: Any
    steps: Any
    status: Status
    rows: dict[str, Any]


def solve_batch(
    build: Build, shared: Any, lanes: Any, limits: Limits, solver: Any = None, keep: tuple[str, ...] = ()
) -> Ended:
    """The ends of a batch of solves, on the host.

    Args:
        build: makes a lane's flow and its first state; equal ones stand for the same program.
        shared: what it is given for all lanes.
        lanes: what it is given for each, a pytree of NumPy's arrays with the lanes' axis first.
        limits: as for a solve alone.
        solver: as for `integrate`.
        keep: what is kept at the times that the limits name: `energy`, `grad_norm`, `x`.
    """
    kind = kind_of(build, shared, _lane(lanes))
    dtype, asked = dtype_of(kind.z0), _Asked(limits, keep, kind)
    end = limits.end(dtype)
    gtol = None if limits.gtol is None else np.asarray(limits.gtol, dtype)
    program = Program(
        build, shared, tolerances_of(limits, dtype), np.asarray(limits.t0, dtype), gtol, solver, False, False, end,
        limits.to_rest,
    )  # fmt: skip
    count = len(jax.tree.leaves(lanes)[0])
    looks = _of(on_host(look_at(program, _all(lanes, count))), np.arange(count))
    stiff = is_stiff(looks.radius, end, _STIFF_STEPS if size(kind.z0) <= _SMALL else asked.most_explicit)
    h = np.asarray(first_step(looks, end, np), dtype)
    parts: list[tuple[np.ndarray, Ended]] = []
    for is_so in (False, True):
        # Lanes that take as long go together.
        index = np.flatnonzero(stiff == is_so)
        index = index[np.argsort(looks.radius[index], kind="stable")]
        if len(index):
            group = dataclasses.replace(program, stiff=is_so)
            parts.append((index, _solved(group, _of(lanes, index), h[index], looks.radius[index], asked)))
    if len(parts) == 1 and (parts[0][0] == np.arange(count)).all():
        return parts[0][1]
    order = np.argsort(np.concatenate([index for index, _ in parts]))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[order], *(ended for _, ended in parts))


class _Asked(NamedTuple):
    """What is asked of all lanes: limits, what is kept; and what they are."""

    limits: Limits
    keep: tuple[str, ...]
    kind: Kind

    @property
    def dtype(self) -> Any:
        return dtype_of(self.kind.z0)

    @property
    def most_explicit(self) -> float:
        """How many steps for stability's sake an explicit solver is worth."""
        return most_explicit(self.kind.is_gradient_flow, self.kind.z0, self.limits.rtol)

    @property
    def times(self) -> Any:
        """The times to save at, with room after them."""
        times = self.limits.times(self.dtype)
        return None if times is None else padded(times).astype(self.dtype)

    @property
    def room(self) -> int:
        """For how many rows of a lane there is room."""
        return room_for(self.kind.z0) if self.times is None else len(self.times)


def _solved(program: Program, lanes: Any, h: StepLength, radius: Any, asked: _Asked) -> Ended:
    """Lanes that one kind of solver is for."""
    limits, count = asked.limits, len(h)
    if asked.keep:
        return _with_rows(program, lanes, h, radius, asked)
    room = room_for(asked.kind.z0)
    fewest = _FEWEST_SMALL if size(asked.kind.z0) <= _SMALL else _FEWEST
    carry = _through_the_first(program, lanes, h, min(room, limits.max_steps), fewest)
    known = surely_ended(limits, asked.dtype, room, carry)
    first, last, end = on_host(ends(program, *_all((lanes, carry), count)))
    first, last, end = _of((first, last, end), np.arange(count))
    evidence = ending(limits, asked.dtype, carry, first, last, end, False, carry.stuck, radius, asked.kind.has_energy)
    status = eqx.tree_at(lambda status: status.evidence, decide(evidence), None)
    ended = Ended(last.x, last.energy, last.grad_norm, evidence.time, carry.taken, status, {})
    again = np.flatnonzero(~known)
    if not len(again):
        return ended
    found = _with_rows(program, _of(lanes, again), h[again], radius[again], asked)
    return replaced(ended, again, found)


def replaced(ended: Ended, index: np.ndarray, by: Ended) -> Ended:
    """Ends of lanes, some of them by others."""

    def put(whole: Any, part: Any) -> Any:
        whole = np.array(whole)
        whole[index] = part
        return whole

    return jax.tree.map(put, ended, by)


def _through_the_first(program: Program, lanes: Any, h: StepLength, most: int, fewest: int) -> Carry:
    """Where lanes stand after a first stretch, those that end in it making room for others on the way."""
    count = len(h)
    carry = jax.tree.map(lambda leaf: np.array(leaf)[:count], on_host(begun(program, *_all((lanes, h), count))))
    waiting = np.arange(count)
    while len(waiting):
        side_by_side, waiting = waiting[:_LANES], waiting[_LANES:]
        number = len(side_by_side)
        some, at = _filled(_of((lanes, carry), side_by_side), number, fewest)
        length = len(at.s)
        few = np.asarray(length // _SHARE if length > fewest else 0)
        goes = np.arange(length) < number
        now, goes = on_host(until_few_go(program, some, at, goes, np.asarray(most), few))

        def put(whole: Any, part: Any, index: Any = side_by_side) -> None:
            whole[index] = part[: len(index)]

        jax.tree.map(put, carry, now)
        waiting = np.concatenate([side_by_side[goes[:number]], waiting])
    return carry


def _with_rows(program: Program, lanes: Any, h: StepLength, radius: Any, asked: _Asked) -> Ended:
    """Lanes whose rows tell how they end, or are asked for: as many at once as there is memory for their rows."""
    at_once = max(1, _ROWS // (asked.room * asked.dtype.itemsize * (4 * size(asked.kind.z0) + 8)))
    parts: list[Ended] = []
    for start in range(0, len(h), at_once):
        some = np.arange(start, min(start + at_once, len(h)))
        watched = [
            Watched(asked.limits, asked.dtype, asked.room, asked.kind.has_energy, float(radius[i])) for i in some
        ]
        _watch(program, _of(lanes, some), h[some], watched, asked)
        parts += [_end_of(lane, asked.keep) for lane in watched]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *parts)


def _watch(program: Program, lanes: Any, h: StepLength, watched: list[Watched], asked: _Asked) -> None:
    """Stretch after stretch, until all lanes have ended."""
    count, limits, times = len(h), asked.limits, asked.times
    carry = jax.tree.map(np.array, _of(on_host(begun(program, *_filled((lanes, h), count))), np.arange(count)))
    groups = [(program, np.arange(count), carry)]
    while groups:
        program, index, carry = groups.pop()
        tried = carry.taken + carry.rejected
        between = asked.room if times is None else STEPS_BETWEEN_TIMES
        most = np.minimum(between, limits.max_steps - tried)
        some, at, tries = _filled((_of(lanes, index), carry, most), len(index))
        whole = np.asarray(program.whole, asked.dtype)
        carry, stretch = advanced_each(program, some, at, tries, times, whole, asked.room)
        carry, stretch = _of(on_host((carry, stretch)), np.arange(len(index)))
        for i, lane in enumerate(index):
            state = _of(dataclasses.replace(carry, z=None, solver=None, controller=None), i)
            watched[lane].take(state, cut(_of(stretch, i), first=0 if tried[i] == 0 else 1))
        on = np.flatnonzero([not watched[lane].ended for lane in index])
        if not len(on):
            continue
        index, carry = index[on], looking_later(_of(carry, on))
        held = np.zeros(len(index), bool)
        if may_hand_over(program, _lane(lanes)):
            radius = radii(program, *_filled((_of(lanes, index), carry), len(index)))
            rest = program.whole - np.asarray(carry.s, float)
            each = zip(np.asarray(radius)[: len(index)], carry.h, rest, carry.taken, strict=True)
            held = np.array(
                [
                    held_back(float(r), float(step), float(left), int(taken), asked.most_explicit)
                    for r, step, left, taken in each
                ]
            )
        if held.any():
            after = dataclasses.replace(program, handed_over=True)
            over = np.flatnonzero(held)
            given = _filled(_of((_of(lanes, index), carry), over), len(over))
            groups.append((after, index[over], _of(on_host(handed_over_each(after, *given)), np.arange(len(over)))))
        if not held.all():
            groups.append((program, index[~held], _of(carry, np.flatnonzero(~held))))


def _end_of(lane: Watched, keep: tuple[str, ...]) -> Ended:
    """How a lane ended, with its rows at the times that were asked for, NaN at those that it did not reach."""
    status = lane.status()
    _, seen, _ = joined(lane.stretches)
    last, times = jax.tree.map(lambda leaf: np.asarray(leaf)[-1], seen), lane.limits.times(lane.dtype)
    rows: dict[str, Any] = {}
    if keep and times is not None:
        count, first = len(times), 1 if times[0] > 0 else 0

        def at_times(leaf: Any) -> Any:
            got = np.asarray(leaf)[first : first + count]
            return np.concatenate([got, np.full((count - len(got), *got.shape[1:]), np.nan, got.dtype)])

        rows = {name: jax.tree.map(at_times, getattr(seen, name)) for name in keep}
        rows["t"] = lane.limits.ts
    evidence: Any = status.evidence
    return Ended(
        last.x, last.energy, last.grad_norm, np.asarray(evidence.time), np.asarray(evidence.steps),
        eqx.tree_at(lambda status: status.evidence, status, None), rows,
    )  # fmt: skip


def _lane(lanes: Any) -> Any:
    """The shapes of one of them."""
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), lanes)


def _of(tree: Any, index: Any) -> Any:
    """Some lanes of all."""
    return jax.tree.map(lambda leaf: np.asarray(leaf)[index], tree)


def _all(tree: Any, count: int) -> Any:
    """All lanes, and the first once more up to a number of which there are few; what takes a moment is done at once."""
    grain = max(_FEWEST, 1 << max(count.bit_length() - 4, 0))
    return _with_more(tree, -(-count // grain) * grain - count)


def _filled(tree: Any, count: int, fewest: int = _FEWEST) -> Any:
    """Up to one of few lengths with the first lane once more: another number of lanes does not compile again."""
    length = fewest
    while length < count:
        length *= _SHARE
    return _with_more(tree, length - count)


def _with_more(tree: Any, more: int) -> Any:
    return jax.tree.map(lambda leaf: np.concatenate([leaf, np.repeat(leaf[:1], more, axis=0)]), tree) if more else tree
