"""Does batch normalization lower the greatest curvature of a loss? On a 5 → 10 → 1 net, over scales of weights.

The book prints a fall from 8.50 to 2.10. With small weights it rises, by 13 at a tenth of the usual scale; at the usual
one it falls by a third; at ten times to less than a hundredth. The loss doesn't know the scale of W₁ any more.
"""

import _output
import _table
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import gradientflow as gf

jax.config.update("jax_enable_x64", True)
X = jax.random.normal(jax.random.key(0), (100, 5))
Y = jnp.sin(X[:, 0]) + 0.5 * X[:, 1]


def loss(p: dict, normalized: bool) -> jax.Array:
    """Half the mean squared error of W₂ReLU(W₁x), with or without normalization before the ReLU."""
    inward = X @ p["W1"] + p["b1"]
    standard = (inward - inward.mean(axis=0)) / jnp.sqrt(inward.var(axis=0) + 1e-12)
    return jnp.mean((jax.nn.relu(standard if normalized else inward) @ p["W2"] - Y) ** 2) / 2


def start(seed: int, scale: float) -> dict:
    """Weights from N(0, scale²/n)."""
    W = scale * jax.random.normal(jax.random.key(seed), (6, 10)) / 5**0.5
    return {"W1": W[:5], "b1": jnp.zeros(10), "W2": W[5] / 2**0.5}


def main() -> None:
    """Finds the greatest eigenvalue with and without, over eleven scales and eight seeds."""
    scales = np.geomspace(0.1, 10, 11)
    kinds = {"plain": lambda p: loss(p, False), "normalized": lambda p: loss(p, True)}
    tops = {name: np.array([[gf.curvature(E, start(seed, s)).sharpness for s in scales] for seed in range(8)])
            for name, E in kinds.items()}  # fmt: skip
    middle = np.median(ratio := tops["normalized"] / tops["plain"], axis=0)
    apart = abs(np.diff([loss(start(0, s) | {"W2": start(0, 1.0)["W2"]}, True) for s in (0.1, 10.0)])[0])
    left, right = (figure := Figure(figsize=(12, 4.6), layout="constrained")).subplots(1, 2)
    for (name, top), colour in zip(tops.items(), ("#0072B2", "#D55E00"), strict=True):
        left.loglog(scales, top.T, color=colour, alpha=0.3, lw=0.8)
        left.loglog(scales, np.median(top, axis=0), color=colour, lw=2.2, label=name)
    left.set(xlabel="scale of the weights", title="Greatest eigenvalue of the Hessian, eight seeds")
    right.loglog(scales, ratio.T, "0.6", scales, 0 * scales + 2.10 / 8.50, "--", lw=0.8)
    right.set(xlabel="scale of the weights", title="Normalized to plain; dashed as the book prints it")
    left.legend()
    _table.settle(
        ("at a tenth of the usual scale it rises, by", float(middle[0]), bool((ratio[:, 0] > 2).all())),
        ("at the usual scale, by", float(middle[5]), 0.5 < middle[5] < 2),
        ("at ten times it falls, to", float(middle[-1]), bool((ratio[:, -1] < 0.5).all())),
        ("the loss doesn't know the scale of W₁", float(apart), apart < 1e-8),
    )  # fmt: skip
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
