"""Scenes of paths and runs: the landscape with their ways growing, their energies below, on one clock."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from matplotlib.axes import Axes

from gradientflow.flows import Energy, Flow, Trajectory
from gradientflow.flows import energy as as_energy

from ..comparison.compare import Comparison
from ..comparison.figures import FLOW_COLOUR, draw_energies, styled, tracks_of
from ..comparison.plane import Track, bounds_around, draw_tracks, rows_of, smooth
from ..results.figure import blank
from ..results.grid import values_on
from ..results.palette import COLOURS
from .cuts import principal_plane
from .moving import Growing
from .scene import Scene, clock_words, now

_MARKERS = "osD^vPX*"
_SIZE, _FINE = (7.2, 7.6), 600
# So many lanes are told apart by their colours.
_TOLD_APART = 8

Run = tuple[str, Trajectory, str, str | None]


def of_comparison(comparison: Comparison, frames: int, title: str | None) -> Scene:
    """The flow, its discretizations, and what other flows those follow."""
    runs: list[Run] = [("flow", comparison.path, FLOW_COLOUR, None)]
    runs += [(label, entry.run, colour, marker) for (label, entry), colour, marker in styled(comparison)]
    return _scene(tracks_of(comparison), runs, comparison.flow.energy, comparison.minimum, frames, title)


def of_runs(given: Mapping[str, Trajectory], flow: Flow | None, frames: int, title: str | None) -> Scene:
    """Paths and runs, and each lane of batches."""
    energy = flow.energy if flow is not None and flow.has_energy else None
    runs: list[Run] = []
    for label, trajectory in given.items():
        lanes = _lanes(trajectory)
        for lane in lanes:
            shown = label or ("path" if _is_path(trajectory) else "run")
            only = _is_path(trajectory) and FLOW_COLOUR not in (run[2] for run in runs)
            colour = COLOURS[len(runs) % len(COLOURS)] if len(lanes) <= _TOLD_APART else COLOURS[0]
            name = shown if lane is lanes[0] else f"_{shown}"
            runs.append((name, lane, FLOW_COLOUR if only else colour,
                         None if _is_path(trajectory) else _MARKERS[len(runs) % len(_MARKERS)]))  # fmt: skip
    tracks = [
        Track(label, *(rows_of(run) if marker else smooth(run)), colour, marker=marker, lw=1.0 if marker else 2.0)
        for label, run, colour, marker in runs
    ]
    minimum = None if energy is None or energy.minimum is None else float(energy.minimum)
    return _scene(tracks, runs, energy, minimum, frames, title)


def _scene(tracks: Sequence[Track], runs: Sequence[Run], energy: Energy | None, minimum: float | None, frames: int,
           title: str | None) -> Scene:  # fmt: skip
    sizes = {track.points.shape[1] for track in tracks}
    if len(sizes) > 1:
        raise ValueError(f"film: all runs must have as many unknowns, got {', '.join(map(str, sorted(sizes)))}")
    figure = blank(*_SIZE)
    top, bottom = figure.subplots(2, 1, height_ratios=(3, 1))
    minimizer = None if energy is None or np.size(energy.minimizer) > 2 else energy.minimizer
    said = ""
    if sizes == {1}:
        lines = _draw_graph(top, energy, tracks, runs)
    else:
        if sizes != {2}:
            tracks, energy, share = _in_plane(tracks, runs[0][1], energy)
            minimizer, said = None, f"the plane of the first: {share:.0%} of its way"
        lines = draw_tracks(top, energy, tracks, minimizer)
        names = ("along the first direction", "along the second") if said else ("$x_1$", "$x_2$")
        top.set(xlabel=names[0], ylabel=names[1])
    top.set_title(said, loc="right", fontsize=10)
    energies = draw_energies(bottom, runs, minimum)
    bottom.set_title("")
    start, end = min(track.times[0] for track in tracks), max(track.times[-1] for track in tracks)
    clock = np.linspace(start, end, frames)
    moving = [Growing(line, track.times, clock, track.marker is None)
              for line, track in zip(lines, tracks, strict=True)]  # fmt: skip
    moving += [Growing(line, run.t, clock, marker is None)
               for line, (_, run, _, marker) in zip(energies, runs, strict=True)]  # fmt: skip
    if title is not None:
        figure.suptitle(title)
    named = [line for line in lines if not str(line.get_label()).startswith("_")]
    labels = [str(line.get_label()) for line in named]
    figure.legend(named, labels, loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    words = clock_words(top, "t", clock)
    return Scene(", ".join(labels), figure, [now(bottom, clock), *moving, words], words.said)


def _in_plane(tracks: Sequence[Track], first: Trajectory, energy: Energy | None) -> Any:
    """The tracks and the energy in the plane of the first run, and the share of its way that this holds."""
    end, axes, share = principal_plane("film", first)
    flat, unravel = ravel_pytree(end)
    rows = np.asarray(axes, dtype=float)
    seen = [
        Track(t.label, t.times, (t.points - np.asarray(flat)) @ rows.T, t.colour, t.marker, t.lw, t.dashed)
        for t in tracks
    ]
    if energy is None:
        return seen, None, share
    return seen, as_energy(lambda place: energy.value(unravel(flat + place @ axes))), share


def _draw_graph(ax: Axes, energy: Energy | None, tracks: Sequence[Track], runs: Sequence[Run]) -> list[Any]:
    """Of one unknown: E over x, and the ways on it."""
    (low, high), _ = bounds_around([np.repeat(track.points, 2, axis=1) for track in tracks], [])
    shape = np.shape(jax.tree.leaves(runs[0][1].x)[0][0])
    by_label = {label: run for label, run, _, _ in runs}
    xs = np.linspace(low, high, _FINE)
    if energy is not None:
        ax.plot(xs, _heights(energy, xs, shape), color="0.6", lw=1.5, zorder=1)
    lines = []
    for track in tracks:
        x = track.points[:, 0]
        if energy is not None:
            heights = _heights(energy, x, shape)
        else:
            run = by_label[track.label]
            heights = np.interp(track.times, np.asarray(run.t, float), np.asarray(run.energy, float))
        lines += ax.plot(x, heights, color=track.colour, marker=track.marker, ms=4, lw=track.lw, label=track.label)
    ax.set(xlabel="x", ylabel="E", xlim=(low, high))
    return lines


def _heights(energy: Energy, x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.asarray(values_on(energy, jnp.zeros(shape), jnp.ones((1, 1)), (jnp.asarray(x),)), dtype=float)


def _lanes(trajectory: Trajectory) -> list[Trajectory]:
    leading = np.ndim(trajectory.t) - 1
    if leading == 0:
        return [trajectory]
    flat = jax.tree.map(lambda leaf: np.asarray(leaf).reshape(-1, *np.shape(leaf)[leading:]), trajectory)
    return [jax.tree.map(lambda leaf, i=i: leaf[i], flat) for i in range(len(flat.t))]


def _is_path(trajectory: Trajectory) -> bool:
    return "solver" in trajectory.stats
