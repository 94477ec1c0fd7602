"""A landscape of the plane with ways through it, drawn or filmed."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.lines import Line2D

from gradientflow.flows import Energy, Trajectory

from ..results.grid import gradients_on, values_on

_GRID = 160
# A smooth path is drawn through so many points, whatever was saved of it.
_SMOOTH = 600
# Of longer runs points are not marked one by one.
_FEW = 60


@dataclasses.dataclass(frozen=True, eq=False)
class Track:
    """A way through the plane.

    Attributes:
        label: what the legend calls it.
        times: shape (n,), in increasing order [T].
        points: shape (n, 2) [X].
        colour: its colour.
        marker: the mark of each point, of a run of few; `None` for a path.
        lw: the width of its line.
        dashed: whether that is dashed.
    """

    label: str
    times: np.ndarray
    points: np.ndarray
    colour: str
    marker: str | None = None
    lw: float = 1.0
    dashed: bool = False


def draw_tracks(
    ax: Axes, energy: Energy | None, tracks: Sequence[Track], minimizer: Any = None,
    box: Sequence[tuple[float, float]] | None = None,
) -> list[Line2D]:  # fmt: skip
    """Contours and gradient field of an energy where there is one, and the tracks, the first one below the others.

    In a box, or around the first track.
    """
    known = [] if minimizer is None else [np.asarray(minimizer)]
    box = bounds_around([track.points for track in tracks], known) if box is None else box
    if energy is not None:
        draw_landscape(ax, energy, box)
    lines = []
    for track in tracks:
        first = track is tracks[0]
        lines += ax.plot(
            *track.points.T, color=track.colour, marker=None if len(track.points) > _FEW else track.marker, ms=4,
            lw=track.lw, ls="--" if track.dashed else "-", alpha=0.8 if track.dashed else None, label=track.label,
            zorder=1.5 if first else 2,
        )  # fmt: skip
    starts = np.unique([track.points[0] for track in tracks], axis=0)
    ax.plot(*starts.T, "o", mfc="white", mec="black", ms=7 if len(starts) == 1 else 4, zorder=4)
    for point in known:
        ax.plot(*point, "*", mfc="gold", mec="black", ms=13, zorder=4)
    ax.set(xlim=box[0], ylim=box[1])
    return lines


def draw_landscape(ax: Axes, energy: Energy, box: Sequence[tuple[float, float]]) -> None:
    """Filled contours of an energy on the plane, spaced by ratios above its least value there, and −∇E as arrows."""
    xs, ys = (np.linspace(*bounds, _GRID) for bounds in box)
    fine = jnp.asarray(xs), jnp.asarray(ys)
    draw_levels(ax, xs, ys, np.asarray(values_on(energy, jnp.zeros(2), jnp.eye(2), fine), dtype=float))
    coarse = [np.linspace(*bounds, 17)[1:-1] for bounds in box]
    arrows = -np.asarray(gradients_on(energy, tuple(map(jnp.asarray, coarse))), dtype=float)
    with np.errstate(invalid="ignore", divide="ignore"):
        arrows = arrows / np.linalg.norm(arrows, axis=-1, keepdims=True)
    ax.quiver(
        *coarse, *np.moveaxis(arrows, -1, 0), color="0.35", alpha=0.45, width=0.0025, scale=32, angles="xy", pivot="mid"
    )


def draw_levels(ax: Axes, xs: np.ndarray, ys: np.ndarray, values: np.ndarray) -> Any:
    """Filled contours of values on a grid, spaced by ratios above the least; `None` where there is nothing to tell."""
    gap = np.where(np.isfinite(values), values, np.nan)
    gap = gap - np.nanmin(gap)
    if not (top := float(np.nanmax(gap))) > 0:
        return None
    levels = top * np.geomspace(1e-4, 1.0, 17)
    norm = LogNorm(levels[0], levels[-1])
    filled = ax.contourf(xs, ys, np.maximum(gap, levels[0]), levels=levels, cmap="YlGnBu", alpha=0.4, norm=norm)
    ax.contour(xs, ys, gap, levels=levels, colors="white", linewidths=0.5)
    return filled


def rows_of(trajectory: Trajectory) -> tuple[np.ndarray, np.ndarray]:
    """Times and positions that were saved, positions as vectors."""
    rows = [np.asarray(leaf, dtype=float) for leaf in jax.tree.leaves(trajectory.x)]
    return np.asarray(trajectory.t, dtype=float), np.concatenate([row.reshape(len(row), -1) for row in rows], axis=1)


def smooth(path: Trajectory) -> Trajectory:
    """A path with its positions, energies and gradient norms between the saved times too, where it knows them.

    Between two steps of the solver much may happen: a curve through their ends alone is another one.
    """
    if path.evaluate is None or path.t.ndim > 1 or len(path) >= _SMOOTH:
        return path
    times = np.asarray(path.t, dtype=float)
    finer = np.union1d(times, np.linspace(times[0], times[-1], _SMOOTH))
    x, energy, grad_norm = path.evaluate(finer)
    return dataclasses.replace(path, t=finer, x=x, energy=energy, grad_norm=grad_norm)


def bounds_around(tracks: Sequence[np.ndarray], extra: Sequence[np.ndarray]) -> tuple[tuple[float, float], ...]:
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
