"""Energies, gradients and drifts at the points of a grid: one program for each structure of what is drawn."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from gradientflow.flows import Energy, Flow, compiled

# Points at once.
_AT_ONCE = 4_096


@compiled
def values_on(energy: Energy, origin: Any, directions: Any, axes: Any) -> jax.Array:
    """E at the origin plus so much of each direction, shape (…, second axis, first axis).

    Args:
        energy: the energy.
        origin: a position.
        directions: shape (k, n).
        axes: k vectors, how far to go along each.
    """
    flat, unravel = ravel_pytree(origin)
    return _each(lambda place: energy.value(unravel(flat + place @ directions)), axes)


@compiled
def gradients_on(energy: Energy, axes: Any) -> jax.Array:
    """∇E at the points of the plane on a grid, shape (second axis, first axis, 2)."""
    return _each(energy.grad, axes)


@compiled
def drifts_on(flow: Flow, like: Any, t: Any, axes: Any) -> jax.Array:
    """A flow's drift at states of two entries on a grid, flat: shape (second axis, first axis, 2)."""
    _, unravel = ravel_pytree(like)
    return _each(lambda place: ravel_pytree(flow.drift(t, unravel(place)))[0], axes)


def _each(function: Any, axes: Any) -> jax.Array:
    mesh = jnp.meshgrid(*axes)
    places = jnp.stack(mesh, axis=-1)
    found = jax.lax.map(function, places.reshape(-1, places.shape[-1]), batch_size=_AT_ONCE)
    return found.reshape(mesh[0].shape + found.shape[1:])
