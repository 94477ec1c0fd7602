"""The weights of penalties: one for all coordinates, one for each, or a pytree of these."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..aliases import Position
from ..checks import check_nonnegative, real_arrays
from ..numerics import is_concrete


def checked_weight(where: str, name: str, weight: Any) -> Any:
    """A checked weight: a number, an array of them, or a pytree of these.

    Raises:
        TypeError: for what is no number.
        ValueError: for one that is negative or not finite.
    """
    if isinstance(weight, (list, tuple, dict)):
        weight = real_arrays(where, name, weight)
    for one in jax.tree.leaves(weight):
        if is_concrete(one) and np.ndim(one):
            for number in (np.min(one), np.max(one)):
                check_nonnegative(where, **{name: number})
        check_nonnegative(where, **{name: one})
    return weight


def weights_of_leaves(where: str, weight: Any, x: Position) -> Any:
    """The weights as a pytree of the position's structure.

    Raises:
        ValueError: if there is not one for all leaves or one for each, or a shape does not fit.
    """
    structure = jax.tree.structure(x)
    if jax.tree_util.treedef_is_leaf(jax.tree.structure(weight)):
        weights = structure.unflatten([weight] * structure.num_leaves)
    elif jax.tree.structure(weight) == structure:
        weights = weight
    else:
        raise ValueError(
            f"{where}: `weight` must be one, or one for each leaf of the position {structure}, got {weight}"
        )
    for leaf, one in zip(jax.tree.leaves(x), jax.tree.leaves(weights), strict=True):
        if np.ndim(one) and np.shape(one) != (shape := np.shape(leaf)):
            try:
                fits = np.broadcast_shapes(np.shape(one), shape) == shape
            except ValueError:
                fits = False
            if not fits:
                raise ValueError(f"{where}: weights of shape {np.shape(one)} don't fit a position of shape {shape}")
    return weights


def without_the_last(weight: Any, count: int) -> Any:
    """One weight for all of `count` coordinates as weights that leave the last alone; others as they are."""
    one_for_all = jax.tree_util.treedef_is_leaf(jax.tree.structure(weight)) and np.ndim(weight) == 0
    return weight * jnp.ones(count).at[-1].set(0) if one_for_all else weight
