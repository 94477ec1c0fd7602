"""Drawing of what was found about curvature. Nothing here computes a result."""

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from gradientflow.flows import along

from ..results.figure import lay_out
from ..results.grid import values_on
from ..results.palette import COLOURS

if TYPE_CHECKING:
    from .density import SpectralDensity
    from .spectrum import Spectrum
    from .stationary import StationaryPoints
    from .taylor import TaylorModel

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


def plot_taylor(model: "TaylorModel", **user: Any) -> Any:
    """The model beside the energy around the point."""
    draw = {1: _draw_parabola, 2: _draw_paraboloid}.get(len(model.eigenvalues), _draw_terms)
    return lay_out([lambda ax: draw(ax, model)], (6.6, 5.4), **user)


def _draw_paraboloid(ax: Axes, model: "TaylorModel") -> None:
    flat, _ = ravel_pytree(model.x)
    at, half = np.asarray(flat, dtype=float), _reach(model)
    x, y = (np.linspace(c - half, c + half, _GRID) for c in at)
    axes = jnp.asarray(x), jnp.asarray(y)
    origin = jax.tree.map(jnp.zeros_like, model.x)
    values = np.asarray(values_on(model.function, origin, jnp.eye(2), axes), dtype=float)
    own = np.asarray(values_on(model.energy, jnp.zeros(2), jnp.eye(2), axes), dtype=float)
    levels = np.unique(np.quantile(values[np.isfinite(values)], np.linspace(0.02, 0.98, 14)))
    ax.contourf(x, y, values, levels=levels, cmap="YlGnBu", alpha=0.4, extend="both")
    ax.contour(x, y, own, levels=levels, colors=COLOURS[1], linewidths=1.1, linestyles="--")
    for value, v, colour in zip(model.eigenvalues, model.eigenvectors.T, (COLOURS[0], COLOURS[2]), strict=True):
        arrow = 0.35 * half * v
        ax.annotate("", tuple(at + arrow), tuple(at), arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 2})
        ax.plot([], [], color=colour, lw=2, label=f"eigenvector of λ = {value:.4g}")
    ax.plot([], [], color=COLOURS[1], ls="--", label=f"contours of the model, a {model.kind}")
    ax.plot(*at, "o", color="black", ms=6, zorder=4)
    ax.set(aspect="equal", xlabel="$x_1$", ylabel="$x_2$", xlim=(x[0], x[-1]), ylim=(y[0], y[-1]),
           title="E, and its quadratic at the point")  # fmt: skip
    ax.legend(fontsize=9, loc="upper right")


def _draw_parabola(ax: Axes, model: "TaylorModel") -> None:
    flat, _ = ravel_pytree(model.x)
    at, half = float(flat[0]), _reach(model)
    x = np.linspace(at - half, at + half, _FINE)
    origin = jax.tree.map(jnp.zeros_like, model.x)
    values = np.asarray(values_on(model.function, origin, jnp.ones((1, 1)), (jnp.asarray(x),)), dtype=float)
    own = model.value + model.gradient[0] * (x - at) + model.hessian[0, 0] * (x - at) ** 2 / 2
    ax.plot(x, values, color="0.4", lw=2, label="E")
    ax.plot(x, own, color=COLOURS[1], ls="--", label=f"its quadratic: curvature {model.hessian[0, 0]:.4g}")
    ax.plot(at, model.value, "o", color="black", ms=6)
    spread = np.nanmax(values) - np.nanmin(values)
    ax.set(xlabel="x", ylabel="E", ylim=(np.nanmin(values) - spread / 2, np.nanmax(values) + spread / 2))
    ax.legend(fontsize=9)
    ax.grid(True, alpha=0.3)


def _draw_terms(ax: Axes, model: "TaylorModel") -> None:
    rank = np.arange(1, len(model.eigenvalues) + 1)
    ax.axhline(0, color="0.7", lw=1)
    ax.plot(rank, model.eigenvalues, "o", ms=4, color=COLOURS[0], label="curvature")
    ax.plot(rank, model.eigenvectors.T @ model.gradient, "x", ms=5, color=COLOURS[1], label="slope of E")
    ax.set(xlabel="eigenvector of the Hessian", ylabel="along it")
    ax.legend(fontsize=9)


def _reach(model: "TaylorModel") -> float:
    """How far to draw: a little past the model's stationary point, unless that is far beyond the point's own size."""
    step = float(np.abs(np.asarray(ravel_pytree(model.newton_step)[0], dtype=float)).max())
    size = float(np.abs(np.asarray(ravel_pytree(model.x)[0], dtype=float)).max())
    step = 1.5 * step if np.isfinite(step) and step > 0 else size or 1.0
    return float(np.clip(step, 0.3 * size, 1.5 * size)) if size else step


def _value(x: Any, energy: Any) -> Any:
    return energy.value(x)
