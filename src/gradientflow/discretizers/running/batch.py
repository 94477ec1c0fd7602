"""Many runs side by side, a lane each: how each of them ends, without the rows in between where they decide nothing.

A first pass keeps nothing but the last states, and whether all was finite on the way. That is enough to say how a run
ended that rose nowhere above its start and goes through no cycle. Of what is lost it is looked up from which step on,
in a second pass that goes no further; the other lanes are run again, with their rows.
"""

import functools
import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from gradientflow.flows import (
    SMALL_LANES,
    Ended,
    Left,
    all_finite,
    compiled,
    decide,
    dtype_of,
    entries_of,
    is_finite_everywhere,
    left_to_do,
    max_norm,
    on_host,
    once_per_shape,
    replaced,
    size,
    small,
)

from ..iteration import Carry, Iteration
from .evidence import ends_of, is_noisy, measured, seen_of, uneventful
from .lost import all_lost
from .returning import TAIL, returns
from .run import run_traced
from .side_by_side import SIDE_BY_SIDE, Build, bare, filled

# What lanes that run side by side may take, with and without their rows [bytes].
_WITH_ROWS, _WITHOUT = 2**27, 2**25
# Every so many steps it is looked at how far lanes have been, of which an overflow is known.
_SELDOM = 64
# Lanes with rows at once: more of them only leave the caches.
_MOST_WITH_ROWS = 1024
# Of those that there is memory for such a share at once: their rows stay in the caches (measured: 128 lanes in the
# plane take 1,000 steps in 7 ms, 512 of them at once in 54). Of long histories still so many.
_ROWS_IN_CACHE, _FEWEST_WITH_ROWS = 8, 4
# Steps of all lanes together that are over before a loop is compiled for speed.
_SMALL_STEPS = 2**20


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
    all_of_them = filled(lanes, -(-count // (grain := max(8, 1 << max(count.bit_length() - 4, 0)))) * grain)
    way = _without_rows(build, shared, all_of_them, np.asarray(steps), tail)
    found = on_host((*_seen(build, shared, all_of_them, way, gtol), way.lost))
    ended, plain, lost_by = jax.tree.map(lambda leaf: leaf[:count], found)
    # What is lost early first, so that those that go side by side end together.
    if len(lost := np.flatnonzero(lost_by >= 0)):
        lost = lost[np.argsort(lost_by[lost], kind="stable")]
        found = _of(ended, lost)
        status = all_lost(build, shared, _of(lanes, lost), found, steps)
        ended = replaced(ended, lost, found._replace(status=status))
    if len(again := np.flatnonzero(~plain & (lost_by < 0))):
        ended = replaced(ended, again, _all_with_rows(build, shared, _of(lanes, again), steps, gtol, (), 1))
    return ended


def _of(lanes: Any, index: np.ndarray) -> Any:
    return jax.tree.map(lambda leaf: leaf[index], lanes)


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


class _Way(NamedTuple):
    """What is kept of the way of lanes of which no rows are: carries, and what the rows in between tell.

    Attributes:
        first: where they start.
        step: how long their first step is [T].
        last: where they end, the time untold.
        returned: whether the last states were there before, as `returns` tells.
        unharmed: how far they have been, as `_unharmed` tells.
        lost: by which step they are lost, or −1.
    """

    first: Carry
    step: Any
    last: Carry
    returned: Any
    unharmed: Any
    lost: Any


_LANES: Any = _Way(SIDE_BY_SIDE, 0, SIDE_BY_SIDE, -1, -1, 0)


def _steps_of_all(args: Any) -> int:
    """How many entries are stepped, all steps together."""
    _, _, lanes, steps, _ = args
    return entries_of(lanes) * int(steps)


@functools.partial(compiled, small=_SMALL_STEPS, work=_steps_of_all)
def _without_rows(build: Build, shared: Any, lanes: Any, steps: Any, tail: int) -> _Way:
    """All steps of all lanes."""

    def start(lane: Any) -> tuple[Carry, Any, Any]:
        iteration, z0, t0 = build(shared, lane)
        carry = iteration.start(z0, t0)
        return carry, iteration.one(carry).t - carry.t, _unharmed(iteration, carry)

    def one(lane: Any, carry: Carry) -> Carry:
        return build(shared, lane)[0].advanced(carry)

    def watch(lane: Any, carry: Carry, unharmed: Any) -> Any:
        return jax.tree.map(jnp.maximum, unharmed, _unharmed(build(shared, lane)[0], carry))

    one_of_each = jax.vmap(one, in_axes=(0, SIDE_BY_SIDE), out_axes=SIDE_BY_SIDE)
    watch_each = jax.vmap(watch, in_axes=(0, SIDE_BY_SIDE, -1), out_axes=-1)
    first, length, unharmed = jax.vmap(start, out_axes=(SIDE_BY_SIDE, 0, -1))(lanes)
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

    before_tail = steps - tail + 1
    none = jnp.full(len(jax.tree.leaves(lanes)[0]), -1)
    blocks = -(-before_tail // every)
    looped = jax.lax.fori_loop(
        0, blocks, lambda i, looped: some(jnp.minimum(every, before_tail - i * every), looped), (first, unharmed, none)
    )
    before = looped[0].z
    looped, states = jax.lax.scan(step, looped, None, length=tail - 1)
    last, unharmed, lost = watched(looped[0], looped)
    states = jax.tree.map(lambda leaf, rows: jnp.concatenate([leaf[None], rows]), before, states)
    return _Way(first, length, last, returns(jnp, states, lanes=1), unharmed, lost)


@functools.partial(compiled, small=SMALL_LANES, work=lambda args: entries_of(args[2]))
def _seen(build: Build, shared: Any, lanes: Any, way: _Way, gtol: Any) -> tuple[Ended, Any]:
    """How lanes end, and of which this is all that there is to know."""

    def see(lane: Any, way: _Way) -> tuple[Ended, Any]:
        return _end(build(shared, lane)[0], way, gtol)

    return jax.vmap(see, in_axes=(0, _LANES))(lanes, way)


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


def _end(iteration: Iteration, way: _Way, gtol: Any) -> tuple[Ended, Any]:
    """How a run ended that was finite on its way and ends no higher than it began, and whether it was and does."""
    flow, first, last = iteration.flow, way.first, iteration.with_time(way.last)
    pairs = [(carry.z, iteration.position(carry)) for carry in (first, last)]
    energy, grad_norm, finite = (
        jnp.stack(both) for both in zip(*(measured(pair, flow) for pair in pairs), strict=True)
    )
    ends = ends_of(flow, *pairs)
    left: Left | None = None
    if gtol is None:
        end = flow.init(ends.last)
        left = left_to_do(flow, last.t, end, small(dtype_of(end)).way * ends.moved)
    course = uneventful(way.step, last, energy, grad_norm)
    seen = seen_of(iteration, course, last.z, way.returned, ends, left, gtol)
    finite = finite & jnp.isfinite(energy) & jnp.isfinite(grad_norm)
    # A polynomial of the eighth degree does not overflow there; an exponential that does takes the state along.
    never_far = max_norm(way.unharmed) <= float(jnp.finfo(energy.dtype).max) ** 0.125
    plain = finite.all() & never_far & (energy[1] <= energy[0]) & (seen.period <= 1)
    return Ended(ends.last, energy[1], grad_norm[1], last.t, last.k, bare(decide(seen)), {}), plain


def _all_with_rows(
    build: Build, shared: Any, lanes: Any, steps: int, gtol: Any, keep: tuple[str, ...], save_every: int
) -> Ended:
    count = len(jax.tree.leaves(lanes)[0])
    most = max(_FEWEST_WITH_ROWS, lanes_at_once(build, shared, lanes, steps, True, save_every) // _ROWS_IN_CACHE)
    parts = []
    for start in range(0, count, most):
        some = jax.tree.map(lambda leaf, i=start: leaf[i : i + most], lanes)
        length = min(most, count - start)
        whole = filled(some, 1 << (length - 1).bit_length())
        found = on_host(_with_rows(build, shared, whole, steps, gtol, keep, save_every))
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
        return Ended(x, energy, grad_norm, t, k, bare(status), asked)

    return jax.vmap(run)(lanes)
