"""How penalties shrink: coordinates, vectors and singular values, drawn towards 0."""

from typing import Any

import jax.numpy as jnp

from ..aliases import Position


def soft_threshold(x: Position, threshold: Any) -> Any:
    """A position drawn towards 0 by the threshold."""
    return jnp.sign(x) * jnp.maximum(jnp.abs(x) - threshold, 0)


def share_kept(norm: Any, threshold: Any) -> Any:
    """The share of a vector that is left when it is shortened."""
    return jnp.maximum(norm - threshold, 0) / jnp.where(norm == 0, 1, norm)


def singular_values(x: Position) -> tuple[Any, Any, Any]:
    """A matrix, or a stack of them, as UΣVᵀ."""
    if jnp.ndim(x) < 2:
        raise ValueError(f"Nuclear: a position must be a matrix, got shape {jnp.shape(x)}; L1 is for vectors")
    u, sigma, v = jnp.linalg.svd(x, full_matrices=False)
    return u, sigma, v


def singular_threshold(x: Position, threshold: Any) -> Any:
    """A matrix with its singular values drawn towards 0."""
    u, sigma, v = singular_values(x)
    return (u * soft_threshold(sigma, threshold)[..., None, :]) @ v
