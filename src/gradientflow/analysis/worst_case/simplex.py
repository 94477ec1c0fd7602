"""Small quadratic programs over the simplex, in closed form on each of its faces."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def faces_of(count: int, dimension: int) -> np.ndarray:
    """The faces of a simplex of `count` corners that a minimum needs in so many dimensions, as rows of 0 and 1."""
    sizes = range(1, min(count, dimension + 1) + 1)
    chosen = (each for size in sizes for each in itertools.combinations(range(count), size))
    return np.array([[float(i in face) for i in range(count)] for face in chosen])


@jax.jit
def least_on_simplex(gram: Any, pull: Any, faces: Any) -> Any:
    r"""Where $\tfrac12\alpha^\top G\alpha - p^\top\alpha$ is least over α ≥ 0 with Σα = 1, G ⪰ 0.

    A stationary point on every face, of which the best feasible one is it.

    Args:
        gram: G, shape (k, k).
        pull: p, shape (k,).
        faces: as rows of 0 and 1, shape (f, k).
    """
    count, lengths = len(pull), jnp.sqrt(jnp.diagonal(gram))
    # In units in which all corners are as long: some may be far longer than the others.
    longest = jnp.max(lengths)
    units = 1 / jnp.where(lengths > 0, lengths, jnp.where(longest > 0, longest, 1))
    scaled = units[:, None] * gram * units

    def on_face(face: Any) -> tuple[Any, Any]:
        both = face[:, None] * face[None, :]
        top = jnp.hstack([scaled * both + jnp.diag(1 - face), (face * units)[:, None]])
        system = jnp.vstack([top, jnp.append(face * units, 0.0)])
        alpha = units * (jnp.linalg.pinv(system, hermitian=True) @ jnp.append(units * pull * face, 1.0))[:count] * face
        alpha = jnp.clip(alpha, 0, None)
        alpha = alpha / jnp.sum(alpha)
        value = alpha @ gram @ alpha / 2 - pull @ alpha
        return jnp.where(jnp.isfinite(value), value, jnp.inf), alpha

    values, weights = jax.vmap(on_face)(faces)
    return weights[jnp.argmin(values)]
