"""Where the derivative of a step says nothing of the step: kinks, branches, steps that stand still, steps that age."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from gradientflow.discretizers import Discretizer, advance
from gradientflow.flows import Flow, compiled, dtype_of, size

from .jacobian import (
    LARGEST_DENSE,
    SEEDS,
    directions,
    drift_jacobian,
    extent_of,
    flat_step,
    jacobian_of,
    moved,
    some_time,
    time_scale,
    transpose_times,
)

# Points near and nearer, as powers of the rounding: what a step does to them is seen in its digits. A step is carried
# off that is longer than so many times the distance, and two sides differ that do by so much of their sum.
_NEAR, _LEAP, _BEND, _OF_THE_REST = (0.6, 0.65), 1e2, 0.05, 5
# It is as long from nearer if it carries off more by this share of what the distance is less by.
_ALL = 0.8
# A drift along what a step leaves alone that is more than this share of the greatest, or a change of a step with its
# age; and after how many steps it is looked for.
_MOVES, _AGED = 1e-6, 1_000


def leaves_at_once(flow: Flow, discretizer: Discretizer, z: Any) -> bool:
    """Whether a step is as long from however near the point: it depends on the direction only, as a sign does."""
    near, nearer = _quotients(flow, discretizer, z)
    # Then what it carries off grows as the distance shrinks, whatever the precision.
    closer = float(jnp.finfo(dtype_of(z)).eps) ** (_NEAR[0] - _NEAR[1])
    return bool(nearer[0] > _ALL * closer * near[0] and near[0] > _LEAP)


def has_no_derivative(flow: Flow, discretizer: Discretizer, z: Any) -> bool:
    """Whether what a step does differs from side to side, from near to nearer, or is no sum for two ways together."""

    def bends(seed: int) -> bool:
        near, nearer = _quotients(flow, discretizer, z, seed)
        return max(near[1], nearer[1]) > _BEND or abs(nearer[0] - near[0]) > _BEND * (near[0] + nearer[0])

    return any(bends(seed) for seed in SEEDS)


def bends_less_from_nearer(flow: Flow, discretizer: Discretizer, z: Any) -> bool:
    """Whether the two sides differ less from nearer, as they do where a derivative changes quickly, and at no kink."""
    closer = float(jnp.finfo(dtype_of(z)).eps) ** (_NEAR[1] - _NEAR[0])
    shares = np.array([[share for _, share in _quotients(flow, discretizer, z, seed)] for seed in SEEDS])
    near, nearer = shares.sum(axis=0)
    return bool(nearer < (1 + closer) / 2 * near)


def differs_beside(flow: Flow, discretizer: Discretizer, z: Any) -> bool:
    """Whether the derivative of a step at a point is not what it does beside it, as where branches meet.

    Of a maximum of two, or where x = 0 is a case of its own, automatic differentiation takes at the point a mean, or
    that case, which is no branch that a path meets.
    """
    dtype, t = dtype_of(z), some_time(flow, discretizer, z)
    h, at = jnp.asarray(0.1 * time_scale(flow, z), dtype), jnp.asarray(t, dtype)
    distance = float(jnp.finfo(dtype).eps) ** _NEAR[0] * max(1.0, extent_of(z))
    for seed in SEEDS:
        there, back = moved(flow, discretizer, z, t, ((distance, 0.0), (-distance, 0.0)), seed=seed)
        beside = np.asarray((there - back) / (2 * distance), float)
        (along, weights), scale = directions(beside.size, seed), np.abs(beside).max()
        row = np.asarray(transpose_times(flow, discretizer, z, h, at, jnp.asarray(weights, dtype)), float)
        if _OF_THE_REST * abs(row @ along - weights @ beside) > _BEND * np.abs(weights).sum() * scale:
            return True
    return False


def stands_still(flow: Flow, discretizer: Discretizer, z: Any) -> bool:
    """Whether along some direction a step does not move to first order, though the flow does: w = 1 says nothing then.

    Not looked for beyond as many unknowns as a Jacobian is formed for.
    """
    dtype, t = dtype_of(z), jnp.asarray(some_time(flow, discretizer, z), dtype_of(z))
    step, n = jnp.asarray(0.1 * time_scale(flow, z), dtype), size(z)
    total = flat_step(flow, discretizer, z, step, t)[0].size
    if total > LARGEST_DENSE:
        return False
    matrix = np.asarray(jacobian_of(flow, discretizer, z, step, t), float)
    drift = np.asarray(drift_jacobian(flow, z, t), float)
    if not (np.isfinite(matrix).all() and np.isfinite(drift).all()):
        return False
    _, sizes, rows = np.linalg.svd(matrix - np.eye(total))
    # The state comes before the memory.
    still = rows[sizes <= float(jnp.finfo(dtype).eps) ** 0.6, :n]
    return bool((np.abs(still @ drift.T) > _MOVES * np.abs(drift).max(initial=0)).any())


def changes_with_age(flow: Flow, discretizer: Discretizer, z: Any) -> bool:
    """Whether what is kept from step to step counts them, so that from the same state a later step is another one."""
    first, second, aged = (np.asarray(_step_of_age(flow, discretizer, z, age), float) for age in (1, 2, _AGED))
    if not (np.isfinite(first).all() and np.isfinite(aged).all()):
        return False
    # The very first step may start what is kept.
    return bool(max(abs(second - first).max(), abs(aged - first).max()) > _MOVES * (1 + abs(first).max()))


def _step_of_age(flow: Flow, discretizer: Discretizer, z: Any, age: int) -> jax.Array:
    """A short step from away from z, with what is kept after so many steps at z."""
    dtype, t = dtype_of(z), some_time(flow, discretizer, z)
    h = 0.1 * time_scale(flow, z)
    away = jax.tree.map(jnp.ones_like, z)
    return _after(flow, discretizer, z, jnp.asarray(h, dtype), jnp.asarray(t, dtype), away, np.asarray(age))


@compiled
def _after(
    flow: Flow, discretizer: Discretizer, z: Any, h: jax.Array, t: jax.Array, away: Any, age: Any
) -> jax.Array:  # fmt: skip
    def one(_: Any, memory: Any) -> Any:
        return advance(discretizer, flow, t, z, h, memory=memory)[1]

    memory = jax.lax.fori_loop(0, age, one, discretizer.init(flow, t, z, h))
    return ravel_pytree(advance(discretizer, flow, t, jax.tree.map(jnp.add, z, away), h, memory=memory)[0])[0]


def _quotients(flow: Flow, discretizer: Discretizer, z: Any, seed: int = 1) -> list[tuple[float, float]]:
    """Near the point, and nearer: how far a step carries off what is away by 1, and how much it is unlike a linear map.

    That is, by how much the two sides differ, or two ways together from their sum, as a share.
    """
    dtype, t, extent = dtype_of(z), some_time(flow, discretizer, z), extent_of(z)
    found = []
    for rounding in _NEAR:
        distance = float(jnp.finfo(dtype).eps) ** rounding * max(1.0, extent)
        pairs = ((0.0, 0.0), (distance, 0.0), (-distance, 0.0), (0.0, distance), (distance, distance))
        rest, there, back, aside, both = moved(flow, discretizer, z, t, pairs, seed=seed)
        right, left = (there - rest) / distance, (rest - back) / distance
        scale = float(jnp.abs(right).max() + jnp.abs(left).max())
        # Most of a short step is the identity, which is a sum: what is none of the rest is a smaller share.
        no_sum = _OF_THE_REST * jnp.abs((both - aside) / distance - right).max()
        apart = max(float(jnp.abs(right - left).max()), float(no_sum))
        found.append((scale / 2, apart / max(scale, 1e-300)))
    return found
