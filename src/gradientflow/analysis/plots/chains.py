"""Chains: some of them over time, and how often all of them are where."""

import contextlib
import math
from typing import Any

import jax
import numpy as np
from matplotlib.axes import Axes

from gradientflow.discretizers import Chains
from gradientflow.flows import AbstractQuadratic, Flow
from gradientflow.flows.checks import in_a_line

from ..results.figure import Panel, lay_out
from ..results.palette import COLOURS
from ..stochastic.gaussian import stationary_law
from .ensembles import density_on_the_line

# So many coordinates are drawn, of so many chains over time, with so many bars.
_COORDINATES, _CHAINS, _BARS, _FINE = 3, 4, 50, 400


def plot_chains(chains: Chains, flow: Flow | None, **user: Any) -> Any:
    """A row for each of the first coordinates: some chains over time, and the draws of all, with a density.

    Raises:
        TypeError: if `flow` is no flow.
        ValueError: if no chain stayed finite.
    """
    if flow is not None and not isinstance(flow, Flow):
        raise TypeError(f"plot: `flow` must be the flow that was sampled, got {in_a_line(flow)}")
    kept = np.asarray(chains.finite)
    if not kept.any():
        raise ValueError(f"plot: no chain stayed finite, {chains!r}")
    shape = chains.energy.shape
    x = np.concatenate([np.asarray(leaf, float).reshape(*shape, -1) for leaf in jax.tree.leaves(chains.x)], axis=-1)
    t, x = np.asarray(chains.t, dtype=float), x[kept, :, :]
    panels: list[Panel] = []
    rows = min(x.shape[-1], _COORDINATES)
    for i in range(rows):
        name = f"$x_{i + 1}$" if x.shape[-1] > 1 else "x"
        panels.append(lambda ax, i=i, name=name: _draw_traces(ax, chains, t, x[..., i], name))
        panels.append(lambda ax, i=i, name=name: _draw_draws(ax, x[..., i], name, _density(chains, flow, x, i)))
    size = (11, 1.2 + 2.6 * rows)
    return lay_out(panels, size, shape=(rows, 2), width_ratios=(1.6, 1), **user)


def _draw_traces(ax: Axes, chains: Chains, t: np.ndarray, x: np.ndarray, name: str) -> None:
    seen = min(len(x), _CHAINS)
    for row, colour in zip(x[:seen], COLOURS, strict=False):
        ax.plot(t, row, color=colour, lw=0.8)
    told = (
        f"{seen} chain{'s' * (seen > 1)}" if seen == len(chains.finite) else f"{seen} of {len(chains.finite):,} chains"
    )
    ax.set(xlabel="time t", ylabel=name, title=f"{told}, {chains.stats['scheme']}, h = {chains.stats['step']:g}")
    ax.grid(True, alpha=0.3)


def _draw_draws(ax: Axes, x: np.ndarray, name: str, density: tuple[np.ndarray, np.ndarray] | None) -> None:
    ax.hist(x.ravel(), bins=_BARS, density=True, color=COLOURS[5], alpha=0.6, label=f"{x.size:,} draws")
    if density is not None:
        ax.plot(*density, color="black", lw=1.5, label="the flow's")
    ax.set(
        xlabel=name, ylabel="how often", title="All draws" if density is None else "All draws, and the flow's density"
    )
    ax.legend(fontsize=9)


def _density(chains: Chains, flow: Flow | None, x: np.ndarray, i: int) -> tuple[np.ndarray, np.ndarray] | None:
    """The flow's stationary density of a coordinate, where it is known: on a quadratic, or over the line."""
    if flow is None:
        return None
    low, high = float(x[..., i].min()), float(x[..., i].max())
    if isinstance(flow.energy, AbstractQuadratic):
        first = jax.tree.map(lambda leaf: leaf[0, 0], chains.x)
        # What is not affine with additive noise has another law, and a flat mode none.
        with contextlib.suppress(ValueError, TypeError):
            law = stationary_law(flow, first)
            mean, deviation = float(law.mean[i]), math.sqrt(float(law.covariance[i, i]))
            at = np.linspace(min(low, mean - 4 * deviation), max(high, mean + 4 * deviation), _FINE)
            return at, np.exp(-(((at - mean) / deviation) ** 2) / 2) / (deviation * math.sqrt(2 * math.pi))
    temperature = getattr(flow, "temperature", None)
    if x.shape[-1] > 1 or temperature is None or not float(temperature) > 0:
        return None
    leaf = jax.tree.leaves(chains.x)[0]
    return density_on_the_line(flow.energy, float(temperature), (low, max(high, low + 1e-9)), leaf.shape[2:])
