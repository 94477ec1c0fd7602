"""Running an iteration: one compiled loop, its rows, and what was seen on the way.

A run whose counts and values are known is a loop with a traced count, so that another number of steps does not compile
again; its rows go into buffers that are cut to length afterwards. Under a transformation it is a scan of static length,
which has a reverse mode, checkpointed where not every step is saved.
"""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from gradientflow.flows import (
    FIELD_BEFORE,
    Distinct,
    Flow,
    Left,
    Status,
    all_finite,
    along,
    compiled,
    decide,
    dtype_of,
    each_row,
    left_to_do,
    left_where_known,
    look_beyond,
    max_norm,
    nothing_known,
    on_device,
    on_host,
    put_rows,
    rows_at_once,
    rows_of,
    size,
    small,
)
from gradientflow.flows.aliases import State, Time

from ..iteration import Carry, Iteration
from .evidence import Ends, Rows, ends_of, evidence_of, may_be_at_rest, measured
from .returning import TAIL

# Rows measured at once: enough to fill the vector units, few enough to bound the memory of a large energy.
_BATCH = 64
# Rows are rounded up to a power of two up to this size [bytes], so that another number of them does not compile again.
_ROUNDED_UP = 2**26


def run_known(iteration: Iteration, z0: State, t0: Time, gtol: Any, steps: int, save_every: int) -> tuple[Rows, Status]:
    """A run whose values are known."""
    blocks, rest = divmod(steps, save_every)
    count = blocks + 1 + (rest > 0)
    every = None if save_every == 1 else (np.asarray(save_every), np.asarray(rest))
    rows, ends, carries = _loop(iteration, z0, t0, np.asarray(blocks), every, _capacity(count, z0))
    rows = rows_of(rows, count)
    tail = jax.tree.map(lambda leaf: leaf[max(count - TAIL, 0) :], rows.z)
    told, tail, ends = on_host((dataclasses.replace(rows, z=None, x=None), tail, ends))
    left: Left | None = None
    if gtol is None:
        left = nothing_known(told.energy.dtype)
        if may_be_at_rest(told, ends):
            way = small(dtype_of(ends.last)).way * ends.moved
            left = left_where_known(iteration.flow, told.t[-1], ends.last, way)
    with np.errstate(all="ignore"):
        status = decide(evidence_of(iteration, told, tail, ends, left, gtol))
        if save_every > 1:
            status = _to_the_step(iteration, status, carries, save_every)
        else:
            status = _told_of_the_field(iteration.flow, rows, status)
    status = look_beyond(iteration.flow, told.t[-1], ends.last, status)
    return on_device(dataclasses.replace(rows, finite=None)), status


@eqx.filter_jit
def run_traced(
    iteration: Iteration, z0: State, t0: Time, gtol: Any, steps: int, save_every: int
) -> tuple[Rows, Status]:
    """A run of which anything is traced: a scan over blocks of a scan over steps."""
    blocks, rest = divmod(steps, save_every)

    def block(carry: Carry, _: None) -> tuple[Carry, tuple[Any, ...]]:
        # Memory in reverse mode is that of the blocks and of one block's steps.
        advanced = iteration.one if save_every == 1 else jax.checkpoint(lambda c: iteration.many(c, save_every))
        carry = advanced(carry)
        return carry, _kept(iteration, carry)

    carry = first = iteration.start(z0, t0)
    carry, kept = jax.lax.scan(block, carry, None, length=blocks)
    ends = [_kept(iteration, first)]
    if rest:
        ends.append(_kept(iteration, jax.checkpoint(lambda c: iteration.many(c, rest))(carry)))
    head, *tail = [jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], end) for end in ends]
    k, t, z, x = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), head, kept, *tail)
    rows = Rows(k, t, z, x, *along(measured, (z, x), iteration.flow))
    seen = jax.tree.map(jax.lax.stop_gradient, rows)
    ends = ends_of(iteration.flow, *(jax.tree.map(lambda leaf, i=i: leaf[i], (seen.z, seen.x)) for i in (0, -1)))
    last = jax.tree.map(lambda leaf: leaf[-TAIL:], seen.z)
    left: Left | None = None
    if gtol is None:
        end = iteration.flow.init(ends.last)
        left = left_to_do(iteration.flow, seen.t[-1], end, small(dtype_of(end)).way * ends.moved)
    return rows, decide(evidence_of(iteration, seen, last, ends, left, gtol))


def _to_the_step(iteration: Iteration, status: Status, carries: Carry, save_every: int) -> Status:
    """What the saved rows leave open, by replaying a stretch: which step was the first bad one, how long a cycle is."""
    evidence: Any = status.evidence
    lost, recurs, steps = int(evidence.lost_from), int(evidence.recurs), int(evidence.steps)
    if lost > 0:
        row = -(-lost // save_every)
        before = jax.tree.map(lambda leaf: leaf[row - 1], carries)
        known = (row - 1) * save_every
        found = known + int(_steps_until_lost(iteration, before, np.asarray(lost - known)))
        return decide(dataclasses.replace(evidence, lost_from=np.asarray(found)))
    if recurs > 0:
        last = jax.tree.map(lambda leaf: leaf[-(-steps // save_every)], carries)
        period = np.asarray(_steps_until_back(iteration, last, np.asarray(recurs)))
        return decide(dataclasses.replace(evidence, period=period, still=np.asarray(period == 1)))
    return status


def _told_of_the_field(flow: Flow, rows: Rows, status: Status) -> Status:
    """What was lost, and whether it was lost by a field that is not finite at the last state at which all else is."""
    seen: Any = status.evidence
    row = int(seen.lost_from) - 1
    if row < 0 or bool(_is_finite_field(flow, *jax.tree.map(lambda leaf: leaf[row], (rows.t, rows.z)))):
        return status
    return dataclasses.replace(status, evidence=dataclasses.replace(seen, lost=seen.lost | FIELD_BEFORE))


@compiled
def _is_finite_field(flow: Flow, t: Time, z: State) -> Any:
    return all_finite(flow.drift(t, z))


@compiled
def _loop(iteration: Iteration, z0: State, t0: Time, blocks: Any, every: Any, capacity: int) -> tuple[Rows, Ends, Any]:
    """All of a run in one program: `every` is (steps in a block, steps after the last block), or `None` for 1 and 0."""
    first = iteration.start(z0, t0)

    def saved(carry: Carry) -> tuple[Any, Any]:
        return _kept(iteration, carry), None if every is None else carry

    # What is saved is often a leaf of what else is: the position of a state that is one.
    shapes, distinct = jax.eval_shape(lambda carry: (saved(carry), Distinct.of(saved(carry))), first)
    shapes = distinct.leaves(shapes)

    def put(buffers: Any, index: Any, carry: Carry) -> Any:
        row = [jnp.asarray(leaf)[None] for leaf in distinct.leaves(saved(carry))]
        return put_rows(buffers, row, index)

    def block(index: Any, looped: tuple[Carry, Any]) -> tuple[Carry, Any]:
        carry, buffers = looped
        carry = iteration.one(carry) if every is None else iteration.many(carry, every[0])
        return carry, put(buffers, index, carry)

    at_once = rows_at_once(shapes, capacity)

    def empty(room: int) -> Any:
        return jax.tree.map(lambda leaf: jnp.zeros((room, *leaf.shape), leaf.dtype), shapes)

    def some(index: Any, looped: tuple[Carry, Any, Any]) -> tuple[Carry, Any, Any]:
        carry, part, buffers = looped
        done = index * at_once
        carry, part = jax.lax.fori_loop(0, jnp.minimum(at_once, blocks - done), block, (carry, part))
        return carry, part, put_rows(buffers, part, done + 1)

    buffers = put(empty(capacity + at_once), 0, first)
    if at_once:
        looped = first, empty(at_once), buffers
        carry, _, buffers = jax.lax.fori_loop(0, -(-blocks // at_once), some, looped)
    else:
        carry, buffers = jax.lax.fori_loop(1, blocks + 1, block, (first, buffers))
    buffers = jax.tree.map(lambda leaf: leaf[:capacity], buffers)
    count = blocks + 1
    if every is not None:
        # Without a rest this writes the last row once more.
        buffers = put(buffers, blocks + (every[1] > 0), iteration.many(carry, every[1]))
        count = count + (every[1] > 0)
    (k, t, z, x), carries = distinct.around(buffers)
    rows = Rows(k, t, z, x, *each_row(lambda row: measured(row, iteration.flow), (z, x), count))
    ends = ends_of(iteration.flow, *(jax.tree.map(lambda leaf, i=i: leaf[i], (z, x)) for i in (0, count - 1)))
    return rows, ends, carries


def _kept(iteration: Iteration, carry: Carry) -> tuple[Any, Any, Any, Any]:
    return carry.k, carry.t, carry.z, iteration.position(carry)


def _capacity(count: int, z: State) -> int:
    """For how many rows there is room."""
    power = 1 << (count - 1).bit_length()
    entry = jnp.finfo(jax.tree.leaves(z)[0].dtype).bits // 8
    if max(power, _BATCH) * size(z) * entry <= _ROUNDED_UP:
        return max(power, _BATCH)
    return count if count <= _BATCH else -(-count // _BATCH) * _BATCH


@compiled
def _steps_until_lost(iteration: Iteration, carry: Carry, most: Any) -> Any:
    """How many steps it takes until something is not finite: none is kept, or memory would grow with the steps."""

    def going(state: tuple[Carry, Any]) -> Any:
        carry, count = state
        x = iteration.position(carry)
        energy = iteration.flow.energy
        return (count < most) & all_finite((carry.z, energy.value(x), energy.grad(x)))

    def one(state: tuple[Carry, Any]) -> tuple[Carry, Any]:
        carry, count = state
        return iteration.one(carry), count + 1

    return jax.lax.while_loop(going, one, (carry, jnp.zeros_like(most)))[1]


@compiled
def _steps_until_back(iteration: Iteration, carry: Carry, most: Any) -> Any:
    """How many steps it takes until the state is where it was, to half the digits of the way that it goes."""
    start = carry.z

    def away(z: State) -> Any:
        return max_norm(jax.tree.map(lambda a, b: a - b, z, start))

    def one(state: tuple[Carry, Any, Any, Any]) -> tuple[Carry, Any, Any, Any]:
        carry, count, farthest, _ = state
        carry = iteration.one(carry)
        distance = away(carry.z)
        return carry, count + 1, jnp.maximum(farthest, distance), distance

    def going(state: tuple[Carry, Any, Any, Any]) -> Any:
        _, count, farthest, distance = state
        tolerance = float(jnp.finfo(farthest.dtype).eps) ** 0.5 * farthest
        return (count < most) & ((count == 0) | (distance > tolerance))

    zero = jnp.zeros_like(away(start))
    _, count, farthest, distance = jax.lax.while_loop(going, one, (carry, jnp.zeros_like(most), zero, zero))
    tolerance = float(jnp.finfo(farthest.dtype).eps) ** 0.5 * farthest
    return jnp.where(distance <= tolerance, count, 0)
