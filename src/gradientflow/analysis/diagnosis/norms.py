"""Sizes and shapes of pytrees."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradientflow.flows import l2_norm


def leaf_norm(leaf: Any) -> Any:
    """‖·‖ of a leaf, in single precision at least."""
    return l2_norm(leaf.astype(jnp.promote_types(leaf.dtype, jnp.float32)))


def tree_norm(tree: Any) -> Any:
    """‖·‖ of a pytree, likewise."""
    return l2_norm([leaf.astype(jnp.promote_types(leaf.dtype, jnp.float32)) for leaf in jax.tree.leaves(tree)])


def host_norm(tree: Any) -> float:
    """‖·‖ of a pytree, in double precision on the host."""
    with np.errstate(all="ignore"):
        return float(np.sqrt(sum(np.sum(np.square(np.asarray(leaf, float))) for leaf in jax.tree.leaves(tree))))


def shape_of(batch: Any) -> Any:
    """A batch's structure, with its leaves' shapes and precisions."""
    return jax.tree.structure(batch), tuple((leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(batch))


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
