"""Drawing: figures of what the analyses computed. Nothing here computes a result."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from gradientflow.flows import Energy, Trajectory

from ..results.palette import COLOURS

if TYPE_CHECKING:
    from .compare import Comparison

FLOW_COLOUR = "black"
_MARKERS = "osD^vPX*"
_GRID = 160


def plot_comparison(comparison: "Comparison") -> Figure:
    """The plane (where there is one), energy over time, and the error against the flow, side by side."""
    planar = is_planar(comparison.path.x)
    figure = Figure(figsize=(15 if planar else 10, 5.0), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, 3 if planar else 2))
    if planar:
        draw_plane(axes[0], comparison)
    draw_energy(axes[-2], comparison)
    draw_errors(axes[-1], comparison)
    _legend_below(figure, axes[-2])
    return figure


def plot_plane(comparison: "Comparison") -> Figure:
    """Contours of the energy, its gradient field, the flow and the iterates."""
    figure = Figure(figsize=(7.5, 6.6), layout="constrained")
    ax = figure.subplots()
    draw_plane(ax, comparison)
    _legend_below(figure, ax, columns=2)
    return figure


def plot_curves(comparison: "Comparison") -> Figure:
    """Energy, distance to the minimizer (where it is known) and error against the flow, over the flow's time."""
    known = comparison.flow.energy.minimizer is not None
    figure = Figure(figsize=(15 if known else 10, 4.8), layout="constrained")
    axes = figure.subplots(1, 3 if known else 2)
    draw_energy(axes[0], comparison)
    if known:
        draw_distance(axes[1], comparison)
    draw_errors(axes[-1], comparison)
    _legend_below(figure, axes[0])
    return figure


def plot_orders(comparison: "Comparison") -> Figure:
    """The largest error of each method against its step, with the slope that it shows."""
    figure = Figure(figsize=(7.5, 5.0), layout="constrained")
    ax = figure.subplots()
    for (label, entry), colour, marker in _styled(comparison):
        if entry.order is None:
            continue
        finite = np.isfinite(entry.order.errors) & (entry.order.errors < 1e6)
        ax.loglog(
            entry.order.steps[finite], entry.order.errors[finite], color=colour, marker=marker, ms=4,
            label=f"{label}: order {entry.order.order:.2f}",
        )  # fmt: skip
    ax.set(xlabel="step h", ylabel="largest error against the flow", title="How the error falls with the step")
    ax.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter("{x:.3g}")
    ax.xaxis.set_minor_formatter(ticker.NullFormatter())
    ax.grid(True, which="major", alpha=0.3)
    if ax.lines:
        ax.legend(fontsize=9)
    return figure


def plot_trajectory(trajectory: Trajectory) -> Figure:
    """Energy and gradient norm over time, and the path where it is in the plane."""
    planar = is_planar(trajectory.x)
    figure = Figure(figsize=(15 if planar else 10, 4.4), layout="constrained")
    axes = figure.subplots(1, 3 if planar else 2)
    axes[0].plot(trajectory.t, trajectory.energy, color=FLOW_COLOUR)
    axes[0].set(xlabel="time t", ylabel="energy E", title="Energy")
    axes[1].semilogy(trajectory.t, np.maximum(np.asarray(trajectory.grad_norm), 1e-300), color=FLOW_COLOUR)
    axes[1].set(xlabel="time t", ylabel="‖∇E‖∞", title="Gradient")
    for ax in axes:
        ax.grid(True, alpha=0.3)
    if planar:
        points = np.asarray(trajectory.x)
        axes[2].plot(points[:, 0], points[:, 1], color=FLOW_COLOUR, marker=".", ms=3)
        axes[2].plot(*points[0], "o", mfc="white", mec="black")
        axes[2].set(xlabel="$x_1$", ylabel="$x_2$", title=str(trajectory.status))
    return figure


def is_planar(x: Any) -> bool:
    """Whether positions are points of the plane."""
    return isinstance(x, jax.Array) and x.ndim == 2 and x.shape[1] == 2


def draw_plane(ax: Axes, comparison: "Comparison") -> None:
    """Contours and gradient field, the flow's path, and the iterates of each method."""
    energy = comparison.flow.energy
    tracks = [np.asarray(comparison.path.x)]
    for entry in comparison.entries.values():
        tracks.append(np.asarray(entry.run.x))
        if type(entry.method.flow) is not type(comparison.flow):
            tracks.append(np.asarray(entry.path.x))
    minimizer = energy.minimizer
    box = _frame(tracks, [] if minimizer is None else [np.asarray(minimizer)])
    draw_landscape(ax, energy, box)
    for (label, entry), colour, marker in _styled(comparison):
        points = np.asarray(entry.run.x)
        if type(entry.method.flow) is not type(comparison.flow):
            own = np.asarray(entry.path.x)
            ax.plot(own[:, 0], own[:, 1], color=colour, lw=1.0, ls="--", alpha=0.8)
        many = len(points) > 60
        ax.plot(
            points[:, 0], points[:, 1], color=colour, marker=None if many else marker, ms=4, lw=1.0, label=label,
        )  # fmt: skip
    track = tracks[0]
    ax.plot(track[:, 0], track[:, 1], color=FLOW_COLOUR, lw=3.0, label="flow", zorder=1.5)
    ax.plot(*track[0], "o", mfc="white", mec="black", ms=7, zorder=4)
    if minimizer is not None:
        ax.plot(*np.asarray(minimizer), "*", mfc="gold", mec="black", ms=13, zorder=4)
    ax.set(xlim=box[0], ylim=box[1], xlabel="$x_1$", ylabel="$x_2$", title="The flow and its discretizations")


def draw_landscape(ax: Axes, energy: Energy, box: Sequence[tuple[float, float]]) -> None:
    """Filled contours of an energy on the plane, spaced by ratios above its least value there, and −∇E as arrows."""
    xs, ys = (np.linspace(*bounds, _GRID) for bounds in box)
    grid = jnp.asarray(np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2))
    values = np.asarray(jax.lax.map(energy.value, grid, batch_size=4096), dtype=float).reshape(_GRID, _GRID)
    gap = values - np.nanmin(values)
    top = np.nanmax(gap)
    levels = top * np.geomspace(1e-4, 1.0, 17)
    if np.isfinite(top) and top > 0:
        norm = LogNorm(levels[0], levels[-1])
        ax.contourf(xs, ys, np.maximum(gap, levels[0]), levels=levels, cmap="YlGnBu", norm=norm, alpha=0.4)
        ax.contour(xs, ys, gap, levels=levels, colors="white", linewidths=0.5)
    coarse = np.stack(np.meshgrid(*(np.linspace(*bounds, 17)[1:-1] for bounds in box)), axis=-1).reshape(-1, 2)
    arrows = -np.asarray(jax.vmap(energy.grad)(jnp.asarray(coarse)), dtype=float)
    lengths = np.linalg.norm(arrows, axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        arrows = arrows / lengths
    ax.quiver(*coarse.T, *arrows.T, color="0.35", alpha=0.45, width=0.0025, scale=32, angles="xy", pivot="mid")


def draw_energy(ax: Axes, comparison: "Comparison") -> None:
    """The energy above its minimum, over time, on a logarithmic scale; the energy itself where there is no minimum."""
    minimum = comparison.minimum
    base = 0.0 if minimum is None else minimum
    gaps = [np.asarray(comparison.path.energy, dtype=float) - base]
    _curve(ax, comparison.path, gaps[0], FLOW_COLOUR, "flow", positive=minimum is not None, lw=2.2)
    for (label, entry), colour, marker in _styled(comparison):
        gaps.append(np.asarray(entry.run.energy, dtype=float) - base)
        marker = _sparse_marker(entry.run, marker)
        _curve(ax, entry.run, gaps[-1], colour, label, positive=minimum is not None, marker=marker, ms=4, lw=1.0)
    ax.set(xlabel="time t", title="Energy", ylabel="$E(x)$" if minimum is None else "$E(x) - E^*$")
    if minimum is not None:
        top, bottom = _range(gaps)
        ax.set(yscale="log", ylim=(max(bottom / 3, top * 1e-16), min(top * 3, 1e12)))
    ax.grid(True, alpha=0.3)


def draw_distance(ax: Axes, comparison: "Comparison") -> None:
    """The distance to the minimizer, over time."""
    target = jnp.asarray(comparison.flow.energy.minimizer)

    def away(trajectory: Trajectory) -> np.ndarray:
        return np.linalg.norm((np.asarray(trajectory.x) - np.asarray(target)).reshape(len(trajectory), -1), axis=1)

    distances = [away(comparison.path)]
    _curve(ax, comparison.path, distances[0], FLOW_COLOUR, "flow", lw=2.2)
    for (label, entry), colour, marker in _styled(comparison):
        distances.append(away(entry.run))
        _curve(ax, entry.run, distances[-1], colour, label, marker=_sparse_marker(entry.run, marker), ms=4, lw=1.0)
    top, bottom = _range(distances)
    ax.set(
        yscale="log", xlabel="time t", ylabel="$‖x - x^*‖$", title="Distance to the minimizer",
        ylim=(max(bottom / 3, top * 1e-16), min(top * 3, 1e12)),
    )  # fmt: skip
    ax.grid(True, alpha=0.3)


def draw_errors(ax: Axes, comparison: "Comparison") -> None:
    """The distance of each method's iterates from its own flow, over time."""
    errors = []
    for (label, entry), colour, marker in _styled(comparison):
        errors.append(entry.error)
        _curve(ax, entry.run, entry.error, colour, label, marker=_sparse_marker(entry.run, marker), ms=4, lw=1.0)
    top, bottom = _range(errors)
    ax.set(
        yscale="log", xlabel="time t", ylabel="$‖x_k - x(t_k)‖$", title="Error against the method's own flow",
        ylim=(max(bottom / 3, top * 1e-14), min(top * 3, 1e12)),
    )  # fmt: skip
    ax.grid(True, alpha=0.3)


def _legend_below(figure: Figure, ax: Axes, columns: int = 4) -> None:
    """One legend for all axes, where it covers no data."""
    handles, labels = ax.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda i: labels[i] != "flow")
    figure.legend(
        [handles[i] for i in order], [labels[i] for i in order], loc="outside lower center", ncols=columns,
        fontsize=9, frameon=False,
    )  # fmt: skip


def _styled(comparison: "Comparison") -> list[tuple[tuple[str, Any], str, str]]:
    items = list(comparison.entries.items())
    return [(item, COLOURS[i % len(COLOURS)], _MARKERS[i % len(_MARKERS)]) for i, item in enumerate(items)]


def _curve(
    ax: Axes, trajectory: Trajectory, values: np.ndarray, colour: str, label: str, positive: bool = True, **style: Any
) -> None:
    shown = np.where(np.isfinite(values) & ((values > 0) | (not positive)), values, np.nan)
    ax.plot(np.asarray(trajectory.t), shown, color=colour, label=label, **style)


def _sparse_marker(trajectory: Trajectory, marker: str) -> str | None:
    return marker if len(trajectory) <= 60 else None


def _range(curves: Sequence[np.ndarray]) -> tuple[float, float]:
    values = np.concatenate([curve[np.isfinite(curve) & (curve > 0)] for curve in curves])
    return (float(values.max()), float(values.min())) if len(values) else (1.0, 1e-3)


def _frame(tracks: Sequence[np.ndarray], extra: Sequence[np.ndarray]) -> tuple[tuple[float, float], ...]:
    """Bounds that show the flow and whatever iterates stay near it: one that diverges must not shrink the rest."""
    core = np.concatenate([tracks[0], *(point[None] for point in extra)])
    low, high = np.nanmin(core, axis=0), np.nanmax(core, axis=0)
    size = np.maximum(high - low, 0.25 * (high - low).max() + 1e-9)
    for track in tracks[1:]:
        near = track[np.isfinite(track).all(axis=1)]
        near = near[((near > low - size) & (near < high + size)).all(axis=1)]
        if len(near):
            low, high = np.minimum(low, near.min(axis=0)), np.maximum(high, near.max(axis=0))
    margin = 0.12 * np.maximum(high - low, 0.25 * (high - low).max() + 1e-9)
    return tuple((float(a), float(b)) for a, b in zip(low - margin, high + margin, strict=True))
