"""Does a two-layer network of sigmoids, its gradient derived by hand, tell two Gaussian clusters apart?

The formulas of back-propagation are automatic differentiation's. With a step of 1 the loss falls at every step. With
0.01 it barely moves; with 300 it bursts every forty steps, and comes back: sigmoids saturate, and nothing diverges.
"""

import _networks
import _output
import _table
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import gradientflow as gf

X, Y = _networks.clusters(200)


def logits(p: dict, x: jax.Array) -> jax.Array:
    """W₂σ(W₁x + b₁) + b₂."""
    return (jax.nn.sigmoid(x @ p["W01"] + p["b01"]) @ p["W02"] + p["b02"])[:, 0]


def by_hand(p: dict) -> dict:
    """The gradient of the mean cross-entropy: errors go back through W₂ and σ' = σ(1 − σ)."""
    hidden = jax.nn.sigmoid(X @ p["W01"] + p["b01"])
    error = (jax.nn.sigmoid(logits(p, X)) - Y)[:, None] / len(Y)
    back = error @ p["W02"].T * hidden * (1 - hidden)
    return {"W01": X.T @ back, "b01": back.sum(axis=0), "W02": hidden.T @ error, "b02": error.sum(axis=0)}


def main() -> None:
    """Checks the gradient, trains with three steps, and draws losses, accuracies and the boundary."""
    E, start = gf.energy(lambda p: _networks.cross_entropy(logits(p, X), Y)), _networks.layers([2, 5, 1], 1.0)
    apart = max(float(jnp.abs(leaf - by_hand(start)[name]).max()) for name, leaf in E.grad(start).items())
    runs = {lr: gf.optimizers.gradient_descent(E, lr=lr).iterate(start, 400) for lr in (0.01, 1.0, 300.0)}
    right = {lr: jax.vmap(lambda p: _networks.accuracy(logits(p, X), Y))(run.x) for lr, run in runs.items()}
    axes = (figure := Figure(figsize=(14, 4.4), layout="constrained")).subplots(1, 3)
    for (lr, run), colour in zip(runs.items(), ("C2", "C0", "C1"), strict=True):
        axes[0].semilogy(run.energy, color=colour, label=f"step {lr:g}")
        axes[1].plot(right[lr], color=colour)
    axes[0].legend(loc="center right")
    axes[1].set(xlabel="step k", ylabel="share that is right", title="Accuracy")
    _networks.draw_boundary(axes[2], lambda x: logits(jax.tree.map(lambda leaf: leaf[-1], runs[1.0].x), x), X, Y)
    for ax, title in zip(axes, ("Loss over steps", "Share that is right", "Decision boundary, step 1"), strict=True):
        ax.set_title(title)
    good, best, rise = runs[1.0].energy, float(right[1.0][-1]), float(np.diff(runs[300.0].energy).max())
    _table.settle(
        ("by hand and by differentiation agree", apart, apart < 1e-14),
        ("95 % are right after 400 steps of 1", best, best >= 0.95),
        ("the loss falls at every one", float(good[-1]), bool((np.diff(good) < 0).all())),
        ("with 0.01 most of the fall is missing", float(runs[0.01].energy[-1]), runs[0.01].energy[-1] > 2 * good[-1]),
        ("with 300 the loss rises on the way", rise, rise > 1),
    )  # fmt: skip
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
