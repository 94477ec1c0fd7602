"""Small networks for classification, as functions of dictionaries of arrays, and their data."""

import itertools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes

jax.config.update("jax_enable_x64", True)
Parameters = dict[str, jax.Array]


def clusters(count: int, key: int = 0) -> tuple[jax.Array, jax.Array]:
    """Two Gaussian clusters of the plane at ±(1.2, 1.2), and their labels 0 and 1."""
    labels = jnp.arange(count) % 2
    noise = jax.random.normal(jax.random.key(key), (count, 2))
    return noise + 1.2 * (2 * labels[:, None] - 1), labels.astype(float)


def rings(count: int, key: int = 0) -> tuple[jax.Array, jax.Array]:
    """Two noisy rings of the plane, of radius 1 and 2, and their labels 0 and 1."""
    labels, (first, second) = jnp.arange(count) % 2, jax.random.split(jax.random.key(key))
    angle = jax.random.uniform(first, (count,), maxval=2 * jnp.pi)
    radius = 1.0 + labels + 0.15 * jax.random.normal(second, (count,))
    return radius[:, None] * jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=1), labels.astype(float)


def layers(widths: Sequence[int], scale: float, key: int = 0) -> Parameters:
    """Weights from N(0, scale/n_in) and biases of 0, a layer of each width after the first: `W1`, `b1`, `W2`, …."""
    keys, found = jax.random.split(jax.random.key(key), len(widths)), {}
    for i, (n_in, n_out) in enumerate(itertools.pairwise(widths), start=1):
        found[f"W{i:02}"] = jax.random.normal(keys[i], (n_in, n_out)) * (scale / n_in) ** 0.5
        found[f"b{i:02}"] = jnp.zeros(n_out)
    return found


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """The mean of log(1 + e^{−s}), s the logit with the sign of its label."""
    return jnp.mean(jnp.logaddexp(0.0, logits) - labels * logits)


def accuracy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """The share of logits that have the sign of their labels."""
    return jnp.mean((logits > 0) == (labels > 0.5))


def draw_boundary(ax: Axes, logits: Callable, x: jax.Array, labels: jax.Array) -> None:
    """Data in the plane, and where a network, a function of positions, says which."""
    side, colours = np.linspace(-4, 4, 120), np.array(["#0072B2", "#D55E00"])
    at = logits(jnp.asarray(np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2))).reshape(120, 120)
    ax.contourf(side, side, at, [-np.inf, 0, np.inf], colors=colours, alpha=0.15)
    ax.contour(side, side, at, [0], colors="black", linewidths=1.2)
    ax.scatter(*x.T, c=colours[np.asarray(labels, dtype=int)], s=12)
    ax.set(xlabel="$x_1$", ylabel="$x_2$")
