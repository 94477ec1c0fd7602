"""Lanes that are lost: from which step on, and where the rise began that led there."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradientflow.flows import SMALL_LANES, Ended, Status, compiled, decide, on_host, unseen

from ..iteration import Carry
from .evidence import measured
from .side_by_side import SIDE_BY_SIDE, Build, bare, filled

# Lanes at once, few and many: those that are lost at about the same time.
_AT_ONCE = 64, 1024


def all_lost(build: Build, shared: Any, lanes: Any, ended: Ended, steps: int) -> Status:
    """The statuses of lanes that are lost, in the order in which they are."""
    few, many = _AT_ONCE
    count = len(ended.energy)
    at_once = few if count <= few else many
    parts = []
    for start in range(0, count, at_once):
        some = filled(jax.tree.map(lambda leaf, i=start: leaf[i : i + at_once], lanes), at_once)
        parts.append(on_host(_where_lost(build, shared, some, np.asarray(steps))))
    lost_from, rises_from = (np.concatenate(part)[:count] for part in zip(*parts, strict=True))
    seen = unseen(np, np.stack([ended.energy] * 2), np.stack([ended.grad_norm] * 2))
    seen = dataclasses.replace(seen, lost_from=lost_from, rises_from=rises_from)
    return bare(decide(seen))


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

    one_of_each = jax.vmap(one, in_axes=(0, SIDE_BY_SIDE), out_axes=SIDE_BY_SIDE)
    look_at_each = jax.vmap(look, in_axes=(0, SIDE_BY_SIDE))
    first = jax.vmap(start, out_axes=SIDE_BY_SIDE)(lanes)
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
