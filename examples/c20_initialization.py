"""How large should the first weights be? Seven layers of ReLU from N(0, 1/n), from N(0, 2/n), and from ones.

With 1/n signals shrink by √2 a layer on their way forward, and errors on their way back: so the gradient is smaller by
exactly 2^(7/2) for what the network answers, at every layer. Where all weights are one, all units stay the same.
"""

import _networks
import _output
import _table
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import gradientflow as gf

X, Y = _networks.rings(120)
WIDTHS = [2, *[16] * 7, 1]


def logits(p: dict, x: jax.Array) -> jax.Array:
    """A ReLU network."""
    for i in range(1, 8):
        x = jax.nn.relu(x @ p[f"W{i:02}"] + p[f"b{i:02}"])
    return (x @ p["W08"] + p["b08"])[:, 0]


def main() -> None:
    """Trains from the three, and follows the gradient's norm at each layer for a hundred steps."""
    E = gf.energy(lambda p: _networks.cross_entropy(logits(p, X), Y))
    ones = {name: jnp.ones_like(leaf) * (name[0] == "W") for name, leaf in _networks.layers(WIDTHS, 1.0).items()}
    starts = {"N(0, 1/n)": _networks.layers(WIDTHS, 1.0), "N(0, 2/n)": _networks.layers(WIDTHS, 2.0), "ones": ones}
    axes = (figure := Figure(figsize=(14, 8), layout="constrained")).subplots(2, 3)
    ends, first, shown = {}, {}, jax.jit(jax.vmap(lambda p: jax.tree.map(jnp.linalg.norm, E.grad(p))))
    for column, (name, start) in enumerate(starts.items()):
        run = gf.optimizers.momentum(E, lr=0.005 if name != "ones" else 1e-13, beta=0.9).iterate(start, 400)
        norms = shown(jax.tree.map(lambda leaf: leaf[:101], run.x))
        axes[0, column].semilogy(np.array([norms[f"W{i:02}"] for i in range(1, 9)]).T, label=range(1, 9))
        axes[0, column].set(xlabel="step k", title=f"Gradient norms from {name}")
        axes[1, 0].semilogy(run.energy, label=name)
        axes[1, 1].plot(right := jax.vmap(lambda p: _networks.accuracy(logits(p, X), Y))(run.x))
        ends[name] = run, float(right[-1]), jax.tree.map(lambda leaf: leaf[-1], run.x)
        answer = jax.grad(lambda p: logits(p, X) @ (2 * Y - 1))(start)
        first[name] = np.array([float(jnp.linalg.norm(answer[f"W{i:02}"])) for i in range(1, 9)])
    _networks.draw_boundary(axes[1, 2], lambda x: logits(ends["N(0, 2/n)"][2], x), X, Y)
    axes[0, 0].legend(ncols=2, fontsize=8, title="layer")
    for ax, title in zip(axes[1], ("Loss", "Share that is right", "From N(0, 2/n)"), strict=True):
        ax.set_title(title)
    axes[1, 0].legend()
    symmetric, ratio = ends["ones"][0].x["W02"][-1], first["N(0, 2/n)"] / first["N(0, 1/n)"]
    _table.settle(
        ("from ones all units stay the same", float(jnp.ptp(symmetric)), bool(jnp.ptp(symmetric) == 0)),
        ("1/n: gradients are 2^(7/2) smaller at each layer", float(ratio[0]), np.allclose(ratio, 2**3.5)),
        ("2/n gets 95 % right", ends["N(0, 2/n)"][1], ends["N(0, 2/n)"][1] > 0.95),
    )  # fmt: skip
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
