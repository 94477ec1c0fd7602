"""Drawing of what was found about curvature. Nothing here computes a result."""

from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from gradientflow.flows import along

from ..results.figure import lay_out
from ..results.palette import COLOURS

if TYPE_CHECKING:
    from .density import SpectralDensity
    from .spectrum import Spectrum
    from .stationary import StationaryPoints

# So many curves are told apart.
_CURVES = 8
# Of each kind the mark and its colour.
_MARKS = {
    "minimum": ("o", COLOURS[2]), "saddle": ("X", COLOURS[1]), "maximum": ("^", COLOURS[0]),
    "degenerate": ("s", COLOURS[3]),
}  # fmt: skip
_GRID = 160
# Points of a curve.
_FINE = 800


def plot_spectrum(spectrum: "Spectrum", **user: Any) -> Any:
    """The eigenvalues, by rank or along the run, beside the leaves' shares in the direction of the greatest."""
    panels = [lambda ax: _draw_values(ax, spectrum)]
    if len(spectrum.by_leaf) > 1:
        panels.append(lambda ax: _draw_shares(ax, spectrum))
    return lay_out(panels, (5.5 * len(panels) + 1, 4.4), **user)


def plot_density(density: "SpectralDensity", **user: Any) -> Any:
    """The density over the eigenvalues, on a logarithmic scale, with the nodes below it."""
    return lay_out([lambda ax: _draw_density(ax, density)], (7.0, 4.4), **user)


def _draw_density(ax: Axes, density: "SpectralDensity") -> None:
    seen = density.nodes[density.weights > 0]
    margin = 4 * density.width
    values = np.linspace(seen.min() - margin, seen.max() + margin, _FINE)
    found = density.at(values)
    ax.fill_between(values, found, color=COLOURS[0], alpha=0.18, lw=0)
    ax.plot(values, found, color=COLOURS[0])
    ax.axvline(0, color="0.7", lw=1)
    # What a single eigenvalue would add is the least that is of interest.
    top, one = float(found.max()), 1 / (density.count * density.width)
    ax.set(yscale="log", ylim=(min(one, top / 10) / 10, 2 * top), xlabel="eigenvalue of the Hessian",
           ylabel="density", title=f"{density.count:,} unknowns")  # fmt: skip
    ax.grid(True, alpha=0.3)


def _draw_values(ax: Axes, spectrum: "Spectrum") -> None:
    values = spectrum.eigenvalues
    ax.axhline(0, color="0.7", lw=1)
    if spectrum.steps is not None:
        for i in range(min(values.shape[1], _CURVES)):
            ax.plot(spectrum.steps, values[:, -1 - i], color=COLOURS[i], lw=2 if i == 0 else 1.2, label=f"λ{i + 1}")
        ax.set(xlabel="step k", ylabel="eigenvalue of the Hessian")
        ax.legend(fontsize=9)
        return
    rank = np.arange(1, len(values) + 1)
    ax.errorbar(rank, values[::-1], yerr=spectrum.residuals[::-1], fmt="o", ms=4, color=COLOURS[0])
    size = np.abs(values[values != 0])
    if size.size and size.max() > 1e3 * size.min():
        ax.set_yscale("symlog", linthresh=max(float(size.min()), 1e-6 * float(size.max())))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel="rank, the greatest first", ylabel="eigenvalue of the Hessian", title=f"{spectrum.count} unknowns")


def _draw_shares(ax: Axes, spectrum: "Spectrum") -> None:
    names = list(spectrum.by_leaf)
    if spectrum.steps is not None:
        colours = [COLOURS[i % len(COLOURS)] for i in range(len(names))]
        ax.stackplot(spectrum.steps, [spectrum.by_leaf[name] for name in names], labels=names, colors=colours)
        ax.set(xlabel="step k", ylabel="share in the direction of the greatest", ylim=(0, 1))
        ax.legend(fontsize=9)
        return
    ax.barh(names, [spectrum.by_leaf[name] for name in names], color=COLOURS[0])
    ax.invert_yaxis()
    ax.set(xlabel="share in the direction of the greatest", xlim=(0, 1))


def plot_stationary(found: "StationaryPoints", **user: Any) -> Any:
    """The points on the energy's contours, or its graph; beyond two dimensions energies over indices."""
    draw = {1: _draw_line, 2: _draw_plane}.get(len(found.box), _draw_indices)
    return lay_out([lambda ax: draw(ax, found)], (6.4, 5.2), **user)


def _mark(ax: Axes, found: "StationaryPoints", across: np.ndarray, up: np.ndarray) -> None:
    for kind, (mark, colour) in _MARKS.items():
        rows = [i for i, own in enumerate(found.kinds) if own == kind]
        if rows:
            ax.scatter(across[rows], up[rows], marker=mark, s=60, color=colour, edgecolor="white", zorder=4,
                       label=f"{kind} ({len(rows)})")  # fmt: skip
    if found.kinds:
        ax.legend(fontsize=9)


def _draw_plane(ax: Axes, found: "StationaryPoints") -> None:
    x, y = (np.linspace(low, high, _GRID) for low, high in found.box)
    grid = jnp.stack(jnp.meshgrid(jnp.asarray(x), jnp.asarray(y)), axis=-1).reshape(-1, 2)
    values = np.asarray(along(_value, grid, found.function)).reshape(_GRID, _GRID)
    levels = np.unique(np.quantile(values[np.isfinite(values)], np.linspace(0.01, 0.99, 24)))
    if len(levels) > 1:
        ax.contour(x, y, values, levels=levels, cmap="Greys_r", linewidths=0.8)
    _mark(ax, found, found.points[:, 0], found.points[:, 1])
    ax.set(xlabel="$x_1$", ylabel="$x_2$", xlim=found.box[0], ylim=found.box[1])


def _draw_line(ax: Axes, found: "StationaryPoints") -> None:
    x = np.linspace(found.box[0, 0], found.box[0, 1], 4 * _GRID)
    values = along(_value, jnp.asarray(x).reshape(-1, *found.points.shape[1:]), found.function)
    ax.plot(x, values, color="0.4")
    _mark(ax, found, found.points.reshape(-1), found.energy)
    ax.set(xlabel="x", ylabel="E")


def _draw_indices(ax: Axes, found: "StationaryPoints") -> None:
    _mark(ax, found, found.index, found.energy)
    ax.set(xlabel="index: negative eigenvalues", ylabel="E")


def _value(x: Any, energy: Any) -> Any:
    return energy.value(x)
