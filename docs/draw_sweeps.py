"""Draws a sweep and a picture of basins, for `many-runs.md`: run by hand, `python docs/draw_sweeps.py`."""

import dataclasses
import pathlib

import jax
import numpy as np
from matplotlib.figure import Figure

import gradientflow as gf

jax.config.update("jax_enable_x64", True)

FIGURES = pathlib.Path(__file__).parent / "figures"


def draw_sweep() -> None:
    """Momentum on Rosenbrock's valley over learning rate and β."""
    E = gf.landscapes.rosenbrock()
    found = gf.sweep(
        lambda lr, beta: gf.optimizers.momentum(E, lr=lr, beta=beta),
        [-1.2, 1.0],
        over={"lr": np.geomspace(1e-5, 1e-1, 160), "beta": np.linspace(0.01, 0.99, 120)},
        steps=1_000,
    )
    print(found)
    found.plot().savefig(FIGURES / "sweep_momentum.png", dpi=80)


def _numbered_like(whole: gf.Basins, found: gf.Basins) -> gf.Basins:
    """The same picture, its minima numbered, and so coloured, as those of one that reaches them all."""
    away = np.linalg.norm(whole.minima[None] - found.minima[:, None], axis=2)
    number = np.argmin(away, axis=1)
    labels = np.where(found.labels >= 0, number[np.maximum(found.labels, 0)], found.labels)
    # One that is not reached has no star.
    minima = np.full_like(whole.minima, np.nan)
    minima[number] = found.minima
    return dataclasses.replace(found, labels=labels, minima=minima, energy=whole.energy)


def draw_basins() -> None:
    """Himmelblau's four minima: of the flow, and of gradient descent with a step beyond what some of them bear."""
    E = gf.landscapes.himmelblau()
    figure = Figure(figsize=(13, 5.6), layout="constrained")
    flow, descent = figure.subplots(1, 2)
    box = ((-5, 5), (-5, 5))
    of_flow = gf.basins(gf.GradientFlow(E), box, resolution=400)
    of_descent = _numbered_like(of_flow, gf.basins(gf.optimizers.gradient_descent(E, lr=0.018), box, resolution=400))
    for ax, found, title in (
        (flow, of_flow, "the gradient flow"),
        (descent, of_descent, "gradient descent, lr = 0.018"),
    ):
        print(found)
        found.plot(ax=ax, title=title)
    figure.savefig(FIGURES / "basins_himmelblau.png", dpi=80)


if __name__ == "__main__":
    draw_sweep()
    draw_basins()
