"""How does a gradient flow of a field move its interfaces, and how long may a step of it be?

Of Σ ε²|Du|²/2 + (u² − 1)²/4 on a grid a droplet shrinks by its curvature, R² = R₀² − 2ε²t, and noise coarsens. The
grid's finest ripples hold forward Euler to steps of 2/(2 + 8ε²/δ²); with the discrete gradient E falls at thirty times
that, and the droplet keeps its law.
"""

import _output
import _table
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import gradientflow as gf

jax.config.update("jax_enable_x64", True)
N, EPS, RADIUS, END = 48, 0.03, 0.36, 36.0
FAR = np.hypot(*np.meshgrid(*[(np.arange(N) + 0.5) / N - 0.5] * 2))


def energy(u):
    """Ginzburg and Landau's, a term a cell, on a periodic grid; its gradient flow is u̇ = ε²Δu − u³ + u."""
    steps = [(jnp.roll(u, -1, axis) - u) * N for axis in (0, 1)]
    return jnp.sum(EPS**2 / 2 * (steps[0] ** 2 + steps[1] ** 2) + (u**2 - 1) ** 2 / 4)


def main() -> None:
    """A droplet by three schemes, and what noise becomes."""
    flow, limit = gf.GradientFlow(energy), 2 / (2 + 8 * (EPS * N) ** 2)
    droplet = jnp.asarray(np.tanh((RADIUS - FAR) / (np.sqrt(2) * EPS)))
    steepest = float(gf.curvature(energy, jnp.ones((N, N)), top=1).eigenvalues[-1])
    short = gf.iterate(flow, gf.ForwardEuler(), droplet, step=0.9 * limit, steps=int(END / limit / 0.9), save_every=20)
    beyond = gf.iterate(flow, gf.ForwardEuler(), droplet, step=1.05 * limit, steps=800)
    long = gf.iterate(flow, gf.DiscreteGradient(), droplet, step=30 * limit, steps=round(END / limit / 30))
    noise = jax.random.normal(jax.random.key(3), (N, N))
    coarse = gf.iterate(flow, gf.DiscreteGradient(), noise / 10, step=1.0, steps=25)
    by_euler, by_gradient = (np.sqrt(np.mean((run.x + 1) / 2, axis=(1, 2)) / np.pi) for run in (short, long))
    law = np.sqrt(RADIUS**2 - 2 * EPS**2 * np.asarray(short.t))
    _table.settle(
        ("steepest curvature · limit, which is 2", steepest * limit, abs(steepest * limit - 2) < 1e-6),
        ("forward Euler at 1.05 of it: E rises by", rise := float(np.diff(beyond.energy).max()), rise > 1),
        ("30 limits a step: E rises at most by", r := float(np.diff(long.energy).max()), r < 0),
        ("R against √(R₀² − 2ε²t), forward Euler", e := float(abs(by_euler - law).max()), e < 0.01),
        ("the same at 30 limits a step", e := float(abs(by_gradient[-1] - law[-1])), e < 0.02),
        ("noise: E falls to a share of", share := float(coarse.energy[-1] / coarse.energy[0]), share < 0.2),
    )
    axes = (figure := Figure(figsize=(13, 3.9), layout="constrained")).subplots(1, 4)
    for ax, k in zip(axes, (4, 10, 25), strict=False):
        ax.imshow(coarse.x[k], cmap="coolwarm", vmin=-1, vmax=1, extent=(-0.5, 0.5, -0.5, 0.5))
        ax.set(title=f"noise, t = {float(coarse.t[k]):g}", xticks=[], yticks=[])
    axes[3].plot(short.t, by_euler, color="#0072B2", label="forward Euler, 0.9 of its limit")
    axes[3].plot(long.t, by_gradient, "o", color="#D55E00", ms=4, label="discrete gradient, 30 limits")
    axes[3].plot(short.t, law, "k--", lw=1, label=r"$\sqrt{R_0^2 - 2\varepsilon^2t}$")
    _ = axes[3].set(xlabel="time t", title="A droplet's radius"), axes[3].legend(fontsize=8)
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
