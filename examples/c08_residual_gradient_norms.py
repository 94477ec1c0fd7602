"""Twenty-four layers of tanh: what do skip connections do to errors and gradients, layer by layer, along a training?

Plain, the error that comes back to the first layer is a millionth of the last one's. The gradient in the weights is as
small at every layer: it is error times signal, and where errors are large signals have vanished. With h + F(h) a layer
multiplies errors by I + W, in place of W: the same descent learns, if in jumps, for curvature has come back as well.
"""

import _networks
import _output
import _table
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import gradientflow as gf

X, Y = (part[np.arange(120) % 6 > 0] for part in _networks.rings(120))  # Uneven, or errors would cancel in a sum.
DEPTH, WIDTH = 24, 8


def network(p: dict, x: jax.Array, skip: float) -> jax.Array:
    """A layer in, so many of equal width, each skip·h + tanh(Wh + b), and a layer out."""
    first, rest = jnp.tanh(x @ p["in"]), (p["W"], p["b"])
    return jax.lax.scan(lambda h, own: (skip * h + jnp.tanh(h @ own[0] + own[1]), None), first, rest)[0] @ p["out"]


def main() -> None:
    """Trains both from the same weights, and follows the gradient's norm at every layer."""
    draw = np.random.default_rng(0).normal
    start = {"in": draw(size=(2, WIDTH)), "W": draw(size=(DEPTH, WIDTH, WIDTH)) / (2 * WIDTH**0.5),
             "b": np.zeros((DEPTH, WIDTH)), "out": draw(size=WIDTH) / WIDTH}  # fmt: skip
    axes = (figure := Figure(figsize=(14, 4.6), layout="constrained")).subplots(1, 3)
    spread, falls, weights = {}, {}, {}
    for ax, skip, name in ((axes[0], 0.0, "plain"), (axes[1], 1.0, "residual")):
        E = gf.energy(lambda p, skip=skip: _networks.cross_entropy(network(p, X, skip), Y))
        run = gf.optimizers.gradient_descent(E, lr=0.05).iterate(start, 400, save_every=4)
        errors = np.linalg.norm((slopes := jax.jit(jax.vmap(E.grad))(run.x))["b"], axis=2)
        for i in range(0, DEPTH, 3):
            ax.semilogy(run.steps, errors[:, i], color=(i / DEPTH, 0.45, 1 - i / DEPTH), label=f"layer {i + 1}")
        ax.set(xlabel="step k", ylim=(1e-12, 10), title=f"{name}: the error at a layer")
        axes[2].plot(run.steps, run.energy, label=name)
        spread[name], weights[name] = errors[:, 0] / errors[:, -1], np.linalg.norm(slopes["W"], axis=(2, 3))[0]
        falls[name] = float(run.energy[-1] / run.energy[0])
    axes[1].legend(fontsize=8, ncols=2)
    axes[2].legend(title="loss over steps")
    plain, residual, (ours, theirs) = spread["plain"].max(), spread["residual"].min(), weights.values()
    _table.settle(
        ("plain: first layer's error to the last one's, at most", float(plain), plain < 1e-5),
        ("residual: at least", float(residual), residual > 0.05),
        ("plain: the weights' gradients differ by", float(ours.max() / ours.min()), ours.max() < 50 * ours.min()),
        ("the greatest of them, to residual ones", float(ours.max() / theirs.min()), ours.max() < 1e-5 * theirs.min()),
        ("plain: the loss, to what it was", falls["plain"], falls["plain"] > 0.9),
        ("residual: the loss", falls["residual"], falls["residual"] < 0.2),
    )  # fmt: skip
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
