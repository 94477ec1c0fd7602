"""How far should a step go along the gradient? Exactly to the least energy, and still it zigzags; conjugate, it ends.

With exact steps each gradient is at right angles to the last one, and the error falls by (κ−1)/(κ+1) a step at worst.
Conjugate gradients end after as many steps as there are unknowns. A fixed step is either short and slow or overshoots.
The best of a grid is a little worse at first, and better soon: what is not exact breaks the zigzag.
"""

import _output
import _table
import jax
import numpy as np
from matplotlib.figure import Figure

import gradientflow as gf

jax.config.update("jax_enable_x64", True)


def main() -> None:
    """Runs five ways to choose a step from the worst start, and conjugate gradients in forty unknowns."""
    kappa, descent = 12.0, gf.optimizers.gradient_descent
    E = gf.Quadratic(np.diag([1.0, kappa]))
    ways = {
        "exact steps": (gf.optimizers.steepest_descent(E), "#0072B2"),
        "conjugate gradients": (gf.optimizers.conjugate_gradients(E), "#D55E00"),
        "fixed, h = 0.3/L: slow": (descent(E, 0.3 / kappa), "#009E73"),
        "fixed, h = 1.9/L: overshoots": (descent(E, 1.9 / kappa), "#CC79A7"),
        "the best of a grid": (descent(E, gf.GridSearch()), "#E69F00"),
        "Wolfe's conditions": (descent(E, gf.WolfeSearch()), "#56B4E9"),
    }
    left, right = (figure := Figure(figsize=(13, 5), layout="constrained")).subplots(1, 2, width_ratios=(1.5, 1))
    gf.plots.landscape(E, ((-2.0, 13.0), (-3.2, 2.2)), ax=left, title="From the worst start, κ = 12")
    runs = {name: method.iterate([kappa, 1.0], 25) for name, (method, _) in ways.items()}
    for name, run in runs.items():
        left.plot(*run.x.T, ".-", color=ways[name][1], lw=1.2)
        right.semilogy(np.maximum(run.energy, 1e-18), ".-", color=ways[name][1], lw=1.2, label=name)
    right.set(xlabel="step k", ylabel="E", ylim=(1e-18, None), title="Energies")
    right.legend()
    exact, conjugate = runs["exact steps"], runs["conjugate gradients"]
    steps, ratio = np.diff(exact.x[:12], axis=0), runs["the best of a grid"].energy / exact.energy
    angles = np.abs(np.sum(steps[1:] * steps[:-1], axis=1)) / np.linalg.norm(steps[1:], axis=1) ** 2
    rate = np.sqrt(exact.energy[1:12] / exact.energy[:11])
    many = gf.Quadratic(np.diag(np.linspace(1, 100, 40)))
    ends = gf.optimizers.conjugate_gradients(many).iterate(np.ones(40), 40)
    turns = np.sign(runs["fixed, h = 1.9/L: overshoots"].x[:, 1])
    _table.settle(
        ("an exact step is at right angles to the last", float(angles.max()), angles.max() < 1e-6),
        ("from here each falls by (κ−1)/(κ+1) exactly", float(rate[0]), np.allclose(rate, (kappa - 1) / (kappa + 1))),
        ("conjugate gradients end after 2 steps", float(conjugate.energy[2]), conjugate.energy[2] < 1e-25),
        ("and in 40 unknowns after 40", float(ends.energy[40] / ends.energy[0]), ends.energy[40] < 1e-20),
        ("but not before, for 40 curvatures", float(ends.energy[20] / ends.energy[0]), ends.energy[20] > 1e-6),
        ("a long fixed step always crosses the valley", "", bool(np.diff(turns).all())),
        ("the grid's first step is a little worse", float(ratio[1]), 1 < ratio[1] < 1.1),
        ("after 25 it is a thousand times lower", float(ratio[25]), ratio[25] < 1e-3),
    )  # fmt: skip
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
