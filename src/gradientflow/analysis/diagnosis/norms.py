"""Sizes and shapes of pytrees."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def all_finite(tree: Any) -> Any:
    """Whether all entries of a pytree are finite."""
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]))


def leaf_norm(leaf: Any) -> Any:
    """‖·‖, in which no square overflows."""
    leaf = leaf.astype(jnp.promote_types(leaf.dtype, jnp.float32))
    largest = jnp.max(jnp.abs(leaf), initial=0)
    scaled = leaf / jnp.where((largest == 0) | ~jnp.isfinite(largest), 1, largest)
    return jnp.where(largest == 0, 0.0, largest * jnp.sqrt(jnp.sum(scaled**2)))


def tree_norm(tree: Any) -> Any:
    """‖·‖ of a pytree, in which no square overflows."""
    return leaf_norm(jnp.stack([leaf_norm(leaf) for leaf in jax.tree.leaves(tree)]))


def host_norm(tree: Any) -> float:
    """‖·‖ of a pytree, in double precision on the host."""
    with np.errstate(all="ignore"):
        return float(np.sqrt(sum(np.sum(np.square(np.asarray(leaf, float))) for leaf in jax.tree.leaves(tree))))


def shape_of(batch: Any) -> Any:
    """A batch's structure, with its leaves' shapes and precisions."""
    return jax.tree.structure(batch), [(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(batch)]


def alike(batches: Sequence[Any]) -> list[list[int]]:
    """Places of batches of one shape together."""
    groups: list[tuple[Any, list[int]]] = []
    for i, batch in enumerate(batches):
        shape = shape_of(batch)
        for other, places in groups:
            if other == shape:
                places.append(i)
                break
        else:
            groups.append((shape, [i]))
    return [places for _, places in groups]
