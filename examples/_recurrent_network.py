"""A small recurrent network, and a task for its memory."""

import equinox as eqx
import jax
import jax.numpy as jnp

jax.config.update("jax_enable_x64", True)
INPUTS = jax.random.uniform(jax.random.key(0), (16, 40), minval=-1)


class Network(eqx.Module):
    """A tanh cell of twelve units that reads numbers and answers with one.

    Args:
        key: of its random weights.
        radius: about the spectral radius of the recurrent ones.
    """

    recurrent: jax.Array
    inward: jax.Array
    outward: jax.Array

    def __init__(self, key: jax.Array, radius: float) -> None:
        normals = jax.random.normal(key, (14, 12))
        self.recurrent, self.inward, self.outward = radius * normals[:12] / 12**0.5, normals[12], normals[13] / 12**0.5

    def __call__(self, inputs: jax.Array) -> jax.Array:
        """The answer to a sequence of numbers."""

        def cell(state: jax.Array, x: jax.Array) -> tuple[jax.Array, None]:
            return jnp.tanh(self.recurrent @ state + self.inward * x), None

        return self.outward @ jax.lax.scan(cell, jnp.zeros(12), inputs)[0]


@eqx.filter_jit
def recall(network: Network, length: int = 40) -> jax.Array:
    """The mean squared error in recalling the fifth last of the inputs; answering 0 has an error of 1/3.

    Args:
        network: the network.
        length: that of the sequences, at most 40.
    """
    return jnp.mean((jax.vmap(network)(INPUTS[:, -length:]) - INPUTS[:, -5]) ** 2)
