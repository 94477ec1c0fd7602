"""What does the Hessian of a network look like where its training ends?

Of 49 unknowns ten have four fifths of the curvature, half have next to none, and some eigenvalues are slightly
negative: gradient descent has stopped at no minimum, and need not. The greatest one limits its step, to 2/λ.
"""

import _networks
import _output
import _table
import jax
import numpy as np
from matplotlib.figure import Figure

import gradientflow as gf

X, Y = _networks.rings(120)


def logits(p: dict, x: jax.Array) -> jax.Array:
    """A layer of twelve tanh."""
    return (jax.numpy.tanh(x @ p["W01"] + p["b01"]) @ p["W02"] + p["b02"])[:, 0]


def main() -> None:
    """Trains to a small loss, and finds all eigenvalues, densely and by Lanczos' quadrature."""
    E = gf.energy(lambda p: _networks.cross_entropy(logits(p, X), Y))
    run = gf.optimizers.adam(E, lr=0.02).iterate(_networks.layers([2, 12, 1], 1.0), 1500, save_every=10)
    end = jax.tree.map(lambda leaf: leaf[-1], run.x)
    found, density = gf.curvature(E, end), gf.spectral_density(E, end)
    values = found.eigenvalues
    along = gf.curvature(E, run, top=2)
    limit = 2 / found.sharpness
    rise = [float(gf.optimizers.gradient_descent(E, h * limit).iterate(end, 60).energy[-1]) for h in (0.9, 1.5)]
    axes = (figure := Figure(figsize=(14, 4.4), layout="constrained")).subplots(1, 3)
    found.plot(ax=axes[0], title="All eigenvalues at the end")
    density.plot(ax=axes[1], title="Their density, from products with random vectors")
    along.plot(ax=axes[2], title="The two greatest along the training")
    small = int((np.abs(values) < 1e-2 * values[-1]).sum())
    total = float(np.sum(np.clip(values, 0, None)))
    _table.settle(
        ("the loss at the end", float(run.energy[-1]), run.energy[-1] < 0.05),
        ("eigenvalues below a hundredth of the greatest, of 49", small, small > 24),
        ("the ten greatest hold of all curvature", float(values[-10:].sum() / total), values[-10:].sum() > 0.8 * total),
        ("the least is slightly negative", float(values[0] / values[-1]), -0.1 < values[0] / values[-1] < 0),
        ("Lanczos' trace, to the sum of all", float(density.trace[0] / values.sum()),
         abs(density.trace[0] - values.sum()) < 4 * density.trace[1] + 1e-6),
        ("from here with 0.9 of the limit 2/λ the loss falls", rise[0], rise[0] < run.energy[-1]),
        ("and with 1.5 of it rises", rise[1], rise[1] > run.energy[-1]),
    )  # fmt: skip
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
