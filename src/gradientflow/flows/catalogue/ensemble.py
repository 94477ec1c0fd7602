"""What flows of interacting particles share: many positions of one energy, each moved by all."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from ..aliases import Position, State
from ..flow import Flow
from ..state import lift, lower


class Ensemble(Flow):
    """A flow of particles: its positions are N positions of the energy, along the leading axis of every array."""

    def init(self, x: Position) -> State:
        """The particles, at least two."""
        leaves = jax.tree.leaves(x)
        counts = {jnp.shape(leaf)[0] if jnp.ndim(leaf) else 0 for leaf in leaves}
        if len(counts) != 1 or min(counts) < 2:
            raise ValueError(
                f"{type(self).__name__}: `x0` must hold at least two particles along every array's leading axis, got "
                f"shapes {[jnp.shape(leaf) for leaf in leaves]}"
            )
        return lift(x)

    def position(self, z: State) -> Position:
        """The particles."""
        return lower(z)

    def rows(self, z: State) -> tuple[Any, Any, Callable[[Any], Any]]:
        """The particles and ∇E at each, as the rows of matrices, and such a matrix as a state again."""
        x = lower(z)
        unravel = ravel_pytree(jax.tree.map(lambda leaf: leaf[0], x))[1]
        matrix = jax.vmap(lambda one: ravel_pytree(one)[0])
        forces = matrix(lower(self.gradient(z)))
        # The gradient is that of the mean: N times smaller than the particles' own.
        return matrix(x), len(forces) * forces, lambda rows: lift(jax.vmap(unravel)(rows))
