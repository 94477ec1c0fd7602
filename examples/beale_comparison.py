"""On Beale's function adaptive methods beat gradient descent, momentum and Nesterov in a lecture's figure: by how much?

After 10⁴ steps with the lecture's learning rates, 10⁻³ for RMSprop and Adam and 10⁻⁶ for the others, by three orders of
magnitude and more. But that compares learning rates. Each with its best of a grid, from (1, 1.5) momentum is first past
10⁻⁴, in 114 steps, Nesterov and Adam in 122, RMSprop in 166, plain descent in 292. From (4, 3), where the gradient is
large, only RMSprop and Adam get there in 2000 steps: there the other rates have to suit the steepest place on the way.
"""

import _output
import jax
import numpy as np
from matplotlib.figure import Figure

import gradientflow as gf

jax.config.update("jax_enable_x64", True)
E = gf.landscapes.beale()
METHODS = {
    "gradient descent": (lambda lr: gf.optimizers.gradient_descent(E, lr), 1e-6, "black"),
    "momentum": (lambda lr: gf.optimizers.momentum(E, lr, beta=0.9), 1e-6, "#CC79A7"),
    "NesterovFlow": (lambda lr: gf.optimizers.nesterov(E, lr, beta=0.9), 1e-6, "#56B4E9"),
    "RMSprop": (lambda lr: gf.optimizers.rmsprop(E, lr, decay=0.9, eps=1e-8), 1e-3, "#0072B2"),
    "Adam": (lambda lr: gf.optimizers.adam(E, lr, b1=0.9, b2=0.99, eps=1e-8), 1e-3, "#D55E00"),
}


def main() -> None:
    """Runs all with the lecture's rates, and each with many."""
    axes = (figure := Figure(figsize=(12, 9), layout="constrained")).subplots(2, 2)
    x, y = np.meshgrid(np.linspace(0, 4.5, 150), np.linspace(-0.5, 3.3, 150))
    for row, start in zip(axes, ([1.0, 1.5], [4.0, 3.0]), strict=True):
        row[0].contour(x, y, E(np.array([x, y])), np.geomspace(0.05, 2e4, 16), colors="0.85", linewidths=0.8)
        given, best = {}, {}
        for label, (method, lr, colour) in METHODS.items():
            run = method(lr).iterate(start, steps=10_000, save_every=10)
            given[label] = float(run.energy[-1])
            row[0].plot(*run.x.T, color=colour, lw=1.5, label=label)
            rates = 10.0 ** np.arange(-5 if lr < 1e-5 else -3, 0.1 if lr > 1e-5 else -1, 0.5)
            energies = [method(rate).iterate(start, steps=2000, save_every=2).energy for rate in rates]
            low = [np.flatnonzero(np.asarray(energy) < 1e-4) for energy in energies]
            needed = np.array([2.0 * rows[0] if len(rows) else np.nan for rows in low])
            best[label] = int(np.nanmin(needed, initial=9999))
            row[1].loglog(rates, needed, "o-", color=colour, label=label)
        print(f"from {tuple(start)}, the lecture's rates: E =", {label: f"{v:.2g}" for label, v in given.items()})
        print("    steps to E < 10⁻⁴ at the best rate:", best)
        assert max(given["RMSprop"], given["Adam"]) < 1e-3 * given["NesterovFlow"]
        near, far = [best["momentum"], best["gradient descent"]], [best["Adam"], best["RMSprop"]]
        assert near == [114, 292] if start == [1.0, 1.5] else max(far) < 800 < min(near) == 9999
        row[0].plot(3, 0.5, "k*", ms=12)
        row[0].set(xlim=(0, 4.5), ylim=(-0.5, 3.3), title=f"From {tuple(start)}: the lecture's rates, 10⁴ steps")
        row[1].set(xlabel="learning rate", ylim=(80, 2500), title="steps until E < 10⁻⁴, where they arrive within 2000")

    axes[0, 0].legend()
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
