"""How fast a flow's fastest mode is, without forming its Jacobian."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..aliases import State, Time
from ..compiling import compiled
from ..flow import Flow
from ..numerics import LARGEST_DENSE, drawn, l2_norm, size


@compiled
def spectral_radius(flow: Flow, t: Time, z: State, iterations: int = 15) -> jax.Array:
    """An estimate, from below, of the largest |eigenvalue| of ∂f/∂z at (t, z), by power iteration.

    For a gradient flow that is the largest curvature |λ|. Units: 1/T. Good to about a factor of two, which is what
    choosing a first step or a solver needs.
    """
    start = _direction(z)

    def multiply(carry: tuple[Any, Any], _: None) -> tuple[tuple[Any, Any], None]:
        direction, _radius = carry
        norm = l2_norm(direction)
        unit = jax.tree.map(lambda leaf: leaf / jnp.where(norm > 0, norm, 1), direction)
        image = jax.jvp(lambda state: flow.drift(t, state), (z,), (unit,))[1]
        return (image, l2_norm(image)), None

    (_, radius), _ = jax.lax.scan(multiply, (start, jnp.zeros_like(l2_norm(start))), None, length=iterations)
    return radius


def _direction(z: State) -> Any:
    """Where the iteration starts: at random.

    For a small state by NumPy, a constant of the program: a generator of random numbers would be half of that program,
    compiled anew for every flow.
    """
    leaves, structure = jax.tree.flatten(z)
    if size(z) > LARGEST_DENSE:
        return drawn(jax.random.normal, jax.random.split(jax.random.key(0), len(leaves)), z)
    rng = np.random.default_rng(0)
    return structure.unflatten([jnp.asarray(rng.normal(size=leaf.shape), leaf.dtype) for leaf in leaves])
