"""Many runs side by side, a lane each: how each of them ends, without the rows in between where they decide nothing.

A first pass keeps nothing but the last states, and whether all was finite on the way. That is enough to say how a run
ended that rose nowhere above its start and goes through no cycle. Of what is lost it is looked up from which step on,
in a second pass that goes no further; the other lanes are run again, with their rows.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from gradientflow.flows import (
    SMALL_LANES,
    Ended,
    Left,
    Status,
    all_finite,
    compiled,
    decide,
    dtype_of,
    is_finite_everywhere,
    left_to_do,
    max_norm,
    once_per_shape,
    replaced,
    size,
    small,
    unseen,
)

from ..iteration import Carry, Iteration
from .evidence import ends_of, is_noisy, measured, seen_of, uneventful
from .returning import TAIL, returns
from .run import run_traced

# What lanes that run side by side may take, with and without their rows [bytes].
_WITH_ROWS, _WITHOUT = 2**27, 2**25
# Every so many steps it is looked at how far lanes have been, of which an overflow is known.
_SELDOM = 64
# Lanes with rows at once: more of them only leave the caches.
_MOST_WITH_ROWS = 1024
# Lost lanes at once, few and many: those that are lost at about the same time.
_LOST_AT_ONCE = 64, 1024


# (what all lanes share, what a lane has) ↦ its iteration, its first state, and the time there.
Build = Callable[[Any, Any], tuple[Iteration, Any, Any]]


def run_batch(
    build: Build, shared: Any, lanes: Any, steps: int, gtol: Any = None, keep: tuple[str, ...] = (), save_every: int = 1
) -> Ended:
    """The ends of a batch of runs, on the host.

    Args:
        build: makes a lane's iteration; equal ones stand for the same program.
        shared: what it is given for all lanes.
        lanes: what it is given for each, a pytree of NumPy's arrays with the lanes' axis first.
        steps: how many each takes.
        gtol: as for `iterate`.
        keep: of which rows are kept: `energy`, `grad_norm`, `x`.
        save_every: every how many steps there is a row.
    """
    if keep and save_every > 1:
        # How they end is seen at every step, whatever is kept.
        ended = run_batch(build, shared, lanes, steps, gtol)
        return ended._replace(rows=_all_with_rows(build, shared, lanes, steps, gtol, keep, save_every).rows)
    if keep or _by_chance(build, shared, _lane(lanes)):
        return _all_with_rows(build, shared, lanes, steps, gtol, keep, 1)
    count, tail = len(jax.tree.leaves(lanes)[0]), min(TAIL, steps + 1)
    # Another number of lanes is one of few, most of which are there.
    all_of_them = _filled(lanes, -(-count // (grain := max(8, 1 << max(count.bit_length() - 4, 0)))) * grain)
    found = jax.device_get(_without_rows(build, shared, all_of_them, np.asarray(steps), tail, gtol))
    ended, plain, lost_by = jax.tree.map(lambda leaf: leaf[:count], found)
    # What is lost early first, so that those that go side by side end together.
    if len(lost := np.flatnonzero(lost_by >= 0)):
        lost = lost[np.argsort(lost_by[lost], kind="stable")]
        found = _of(ended, lost)
        status = _all_lost(build, shared, _of(lanes, lost), found, steps)
        ended = replaced(ended, lost, found._replace(status=status))
    if len(again := np.flatnonzero(~plain & (lost_by < 0))):
        ended = replaced(ended, again, _all_with_rows(build, shared, _of(lanes, again), steps, gtol, (), 1))
    return ended


def _of(lanes: Any, index: np.ndarray) -> Any:
    return jax.tree.map(lambda leaf: leaf[index], lanes)


def _filled(lanes: Any, count: int) -> Any:
    """So many lanes, by the first one once more."""
    more = count - len(jax.tree.leaves(lanes)[0])
    return jax.tree.map(lambda leaf: np.concatenate([leaf, np.repeat(leaf[:1], more, axis=0)]), lanes)


def lanes_at_once(build: Build, shared: Any, lanes: Any, steps: int, with_rows: bool, save_every: int) -> int:
    """How many lanes to run side by side, so that what is kept of them stays small: a power of two.

    Args:
        build: as for `run_batch`.
        shared: likewise.
        lanes: likewise; only shapes are looked at.
        steps: how many steps each takes.
        with_rows: whether rows are kept.
        save_every: every how many steps there is a row.
    """
    lane = _lane(lanes)
    state = _states(build, shared, lane)
    rows = steps // save_every + 2 if with_rows else TAIL
    # As they are filled and as they are put together: states, positions, and four numbers each.
    entry = max(leaf.dtype.itemsize for leaf in jax.tree.leaves(state))
    one = rows * entry * (4 * size(state) + 8) if with_rows else 2 * rows * size(state) * entry
    one += sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(lane))
    most = min(_MOST_WITH_ROWS, _WITH_ROWS // one) if with_rows else _WITHOUT // one
    return 1 << (max(most, 1).bit_length() - 1)


def _lane(lanes: Any) -> Any:
    """The shapes of one of them."""
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), lanes)


@once_per_shape
def _by_chance(build: Build, shared: Any, lane: Any) -> bool:
    def asked(shared: Any, lane: Any) -> bool:
        return is_noisy(build(shared, lane)[0])

    return eqx.filter_eval_shape(asked, shared, lane)


@once_per_shape
def _states(build: Build, shared: Any, lane: Any) -> Any:
    """The shapes of what a lane carries from step to step."""

    def started(shared: Any, lane: Any) -> Any:
        iteration, z0, t0 = build(shared, lane)
        carry = iteration.start(z0, t0)
        return carry.z, carry.memory, carry.rule_state

    return eqx.filter_eval_shape(started, shared, lane)


# Lanes on the last axis, side by side in memory as vector units take them; the step's number is the same in all.
_SIDE_BY_SIDE: Any = Carry(-1, None, -1, -1, -1, -1, -1)


@functools.partial(compiled, small=SMALL_LANES)
def _without_rows(build: Build, shared: Any, lanes: Any, steps: Any, tail: int, gtol: Any) -> tuple[Ended, Any, Any]:
    """How lanes end, of which this is all that there is to know, and by which step the others are lost, or −1."""

    def start(lane: Any) -> tuple[Carry, Carry, Any]:
        iteration, z0, t0 = build(shared, lane)
        carry = iteration.start(z0, t0)
        return carry, iteration.one(carry), _unharmed(iteration, carry)

    def one(lane: Any, carry: Carry) -> Carry:
        return build(shared, lane)[0].advanced(carry)

    def watch(lane: Any, carry: Carry, unharmed: Any) -> Any:
        return jax.tree.map(jnp.maximum, unharmed, _unharmed(build(shared, lane)[0], carry))

    def see(lane: Any, first: Carry, second: Carry, last: Carry, returned: Any, unharmed: Any) -> tuple[Ended, Any]:
        iteration, _, _ = build(shared, lane)
        return _end(iteration, first, second, iteration.with_time(last), returned, unharmed, gtol)

    one_of_each = jax.vmap(one, in_axes=(0, _SIDE_BY_SIDE), out_axes=_SIDE_BY_SIDE)
    watch_each = jax.vmap(watch, in_axes=(0, _SIDE_BY_SIDE, -1), out_axes=-1)
    first, second, unharmed = jax.vmap(start, out_axes=(_SIDE_BY_SIDE, 0, -1))(lanes)
    every = 1 if _must_be_watched(build, shared, lanes) else _SELDOM

    def watched(carry: Carry, looped: tuple[Carry, Any, Any]) -> tuple[Carry, Any, Any]:
        _, unharmed, lost = looped
        unharmed = watch_each(lanes, carry, unharmed)
        intact = jax.vmap(all_finite, in_axes=-1)(unharmed)
        return carry, unharmed, jnp.where(intact | (lost >= 0), lost, carry.k)

    def some(count: Any, looped: tuple[Carry, Any, Any]) -> tuple[Carry, Any, Any]:
        return watched(jax.lax.fori_loop(0, count, lambda _, carry: one_of_each(lanes, carry), looped[0]), looped)

    def step(looped: tuple[Carry, Any, Any], _: Any) -> tuple[tuple[Carry, Any, Any], Any]:
        carry = one_of_each(lanes, looped[0])
        return watched(carry, looped) if every == 1 else (carry, *looped[1:]), carry.z

    blocks, rest = jnp.divmod(steps - tail + 1, every)
    none = jnp.full(len(jax.tree.leaves(lanes)[0]), -1)
    looped = jax.lax.fori_loop(0, blocks, lambda _, looped: some(every, looped), (first, unharmed, none))
    looped = some(rest, looped) if every > 1 else looped
    before = looped[0].z
    looped, states = jax.lax.scan(step, looped, None, length=tail - 1)
    last, unharmed, lost = watched(looped[0], looped)
    states = jax.tree.map(lambda leaf, rows: jnp.concatenate([leaf[None], rows]), before, states)
    ended, plain = jax.vmap(see, in_axes=(0, _SIDE_BY_SIDE, 0, _SIDE_BY_SIDE, -1, -1))(
        lanes, first, second, last, returns(jnp, states, lanes=1), unharmed
    )
    return ended, plain, lost


def _must_be_watched(build: Build, shared: Any, lanes: Any) -> bool:
    """Whether more than an overflow can make E or ∇E not finite, at every step that is."""

    def asked(shared: Any, lane: Any) -> bool:
        iteration, z0, t0 = build(shared, lane)
        return not is_finite_everywhere(iteration.flow.energy, iteration.position(iteration.start(z0, t0)))

    return eqx.filter_eval_shape(asked, shared, _lane(lanes))


def _unharmed(iteration: Iteration, carry: Carry) -> Any:
    """What grows to more than is allowed where E or ∇E may have been not finite: how far it has been, entry by entry.

    Where more than an overflow can go wrong, it is looked at itself, 1 for what is not finite.
    """
    flow, z = iteration.flow, carry.z
    x = iteration.position(carry)
    if is_finite_everywhere(flow.energy, x):
        return jax.tree.map(jnp.abs, z)
    energy, grad_norm, finite = measured((z, x), flow)
    return jnp.where(finite & jnp.isfinite(energy) & jnp.isfinite(grad_norm), 0.0, jnp.inf)


def _end(
    iteration: Iteration, first: Carry, second: Carry, last: Carry, returned: Any, unharmed: Any, gtol: Any
) -> tuple[Ended, Any]:
    """How a run ended that was finite on its way and ends no higher than it began, and whether it was and does."""
    flow = iteration.flow
    pairs = [(carry.z, iteration.position(carry)) for carry in (first, last)]
    energy, grad_norm, finite = (
        jnp.stack(both) for both in zip(*(measured(pair, flow) for pair in pairs), strict=True)
    )
    ends = ends_of(flow, *pairs)
    left: Left | None = None
    if gtol is None:
        end = flow.init(ends.last)
        left = left_to_do(flow, last.t, end, small(dtype_of(end)).way * ends.moved)
    course = uneventful(first, second, last, energy, grad_norm)
    seen = seen_of(iteration, course, last.z, returned, ends, left, gtol)
    finite = finite & jnp.isfinite(energy) & jnp.isfinite(grad_norm)
    # A polynomial of the eighth degree does not overflow there; an exponential that does takes the state along.
    never_far = max_norm(unharmed) <= float(jnp.finfo(energy.dtype).max) ** 0.125
    plain = finite.all() & never_far & (energy[1] <= energy[0]) & (seen.period <= 1)
    return Ended(ends.last, energy[1], grad_norm[1], last.t, last.k, _bare(decide(seen)), {}), plain


def _all_lost(build: Build, shared: Any, lanes: Any, ended: Ended, steps: int) -> Status:
    """The statuses of lanes that are lost, in the order in which they are."""
    few, many = _LOST_AT_ONCE
    count = len(ended.energy)
    at_once = few if count <= few else many
    parts = []
    for start in range(0, count, at_once):
        some = _filled(jax.tree.map(lambda leaf, i=start: leaf[i : i + at_once], lanes), at_once)
        parts.append(jax.device_get(_where_lost(build, shared, some, np.asarray(steps))))
    lost_from, rises_from = (np.concatenate(part)[:count] for part in zip(*parts, strict=True))
    seen = unseen(np, np.stack([ended.energy] * 2), np.stack([ended.grad_norm] * 2))
    seen = dataclasses.replace(seen, lost_from=lost_from, rises_from=rises_from)
    return _bare(decide(seen))


@functools.partial(compiled, small=SMALL_LANES)
def _where_lost(build: Build, shared: Any, lanes: Any, most: Any) -> tuple[Any, Any]:
    """The first steps after which something is not finite, and the first ones of the rises of E that lead there.

    That is what rows tell, which are not kept: the last stretch over which E is no higher than at the start, and the
    last of its lowest points.
    """

    def look(lane: Any, carry: Carry) -> tuple[Any, Any]:
        iteration, _, _ = build(shared, lane)
        energy, grad_norm, finite = measured((carry.z, iteration.position(carry)), iteration.flow)
        return energy, finite & jnp.isfinite(energy) & jnp.isfinite(grad_norm)

    def start(lane: Any) -> Carry:
        iteration, z0, t0 = build(shared, lane)
        return iteration.start(z0, t0)

    def one(lane: Any, carry: Carry) -> Carry:
        return build(shared, lane)[0].one(carry)

    one_of_each = jax.vmap(one, in_axes=(0, _SIDE_BY_SIDE), out_axes=_SIDE_BY_SIDE)
    look_at_each = jax.vmap(look, in_axes=(0, _SIDE_BY_SIDE))
    first = jax.vmap(start, out_axes=_SIDE_BY_SIDE)(lanes)
    energy0, finite = look_at_each(lanes, first)

    def goes_on(looped: Any) -> Any:
        carry, lost, *_ = looped
        return (carry.k < most) & (lost < 0).any()

    def step(looped: Any) -> Any:
        carry, lost, was_low, least, begin = looped
        carry = one_of_each(lanes, carry)
        energy, finite = look_at_each(lanes, carry)
        alive, low = lost < 0, finite & (energy <= energy0)
        lowest = alive & low & (~was_low | (energy <= least))
        return (
            carry, jnp.where(alive & ~finite, carry.k, lost), low, jnp.where(lowest, energy, least),
            jnp.where(lowest, carry.k, begin),
        )  # fmt: skip

    zero = jnp.zeros_like(energy0, dtype=int)
    begun = first, jnp.where(finite, -1, 0), finite, energy0, zero
    _, lost, _, _, begin = jax.lax.while_loop(goes_on, step, begun)
    return lost, jnp.where(lost > 0, begin + 1, -1)


def _all_with_rows(
    build: Build, shared: Any, lanes: Any, steps: int, gtol: Any, keep: tuple[str, ...], save_every: int
) -> Ended:
    count = len(jax.tree.leaves(lanes)[0])
    most = lanes_at_once(build, shared, lanes, steps, True, save_every)
    parts = []
    for start in range(0, count, most):
        some = jax.tree.map(lambda leaf, i=start: leaf[i : i + most], lanes)
        length = min(most, count - start)
        filled = _filled(some, 1 << (length - 1).bit_length())
        found = jax.device_get(_with_rows(build, shared, filled, steps, gtol, keep, save_every))
        parts.append(jax.tree.map(lambda leaf, n=length: leaf[:n], found))
    return parts[0] if len(parts) == 1 else jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)


@functools.partial(compiled, small=SMALL_LANES)
def _with_rows(
    build: Build, shared: Any, lanes: Any, steps: int, gtol: Any, keep: tuple[str, ...], save_every: int
) -> Ended:
    def run(lane: Any) -> Ended:
        iteration, z0, t0 = build(shared, lane)
        rows, status = run_traced(iteration, z0, t0, gtol, steps, save_every)
        x, energy, grad_norm, t, k = jax.tree.map(
            lambda leaf: leaf[-1], (rows.x, rows.energy, rows.grad_norm, rows.t, rows.k)
        )
        asked = {name: getattr(rows, name) for name in (*keep, "k")} if keep else {}
        return Ended(x, energy, grad_norm, t, k, _bare(status), asked)

    return jax.vmap(run)(lanes)


def _bare(status: Status) -> Status:
    return eqx.tree_at(lambda status: status.evidence, status, None)
