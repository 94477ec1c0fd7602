"""Scenes of paths and runs: the landscape with their ways growing, their energies below, on one clock."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from gradientflow.flows import Energy, Flow, Trajectory
from gradientflow.flows import energy as as_energy

from ..comparison.compare import Comparison
from ..comparison.figures import FLOW_COLOUR, draw_energies, styled, tracks_of
from ..comparison.plane import Track, draw_tracks, rows_of, smooth
from ..results.figure import blank
from ..results.grid import values_on
from ..results.palette import COLOURS
from .cuts import principal_plane
from .frames import core_of, count_drawable, cut_far, cut_run, cut_track, frame_around, how_long
from .moving import Growing
from .scene import Scene, clock_words, now

_MARKERS = "osD^vPX*"
_SIZE, _FINE = (7.2, 7.6), 600
# So many lanes are told apart by their colours.
_TOLD_APART = 8

Run = tuple[str, Trajectory, str, str | None]


def of_comparison(comparison: Comparison, frames: int, title: str | None) -> Scene:
    """The flow, its discretizations, and what other flows those follow."""
    runs: list[Run] = [("flow", smooth(comparison.path), FLOW_COLOUR, None)]
    runs += [(label, entry.run, colour, marker) for (label, entry), colour, marker in styled(comparison)]
    return _scene(tracks_of(comparison), runs, runs[:1], comparison.flow.energy, comparison.minimum, frames, title)


def of_runs(given: Mapping[str, Trajectory], flow: Flow | None, frames: int, title: str | None) -> Scene:
    """Paths and runs, and each lane of batches."""
    energy = flow.energy if flow is not None and flow.has_energy else None
    runs: list[Run] = []
    for label, trajectory in given.items():
        lanes = _lanes(trajectory)
        for i, lane in enumerate(lanes):
            shown = label or ("path" if _is_path(trajectory) else "run")
            only = _is_path(trajectory) and FLOW_COLOUR not in (run[2] for run in runs)
            colour = COLOURS[len(runs) % len(COLOURS)] if len(lanes) <= _TOLD_APART else COLOURS[0]
            name = _name(shown, lanes, i)
            runs.append((name, smooth(lane), FLOW_COLOUR if only else colour,
                         None if _is_path(trajectory) else _MARKERS[len(runs) % len(_MARKERS)]))  # fmt: skip
    tracks = [
        Track(label, *rows_of(run), colour, marker=marker, lw=1.0 if marker else 2.0)
        for label, run, colour, marker in runs
    ]
    minimum = None if energy is None or energy.minimum is None else float(energy.minimum)
    return _scene(tracks, runs, runs, energy, minimum, frames, title)


def _scene(tracks: Sequence[Track], runs: Sequence[Run], held: Sequence[Run], energy: Energy | None,
           minimum: float | None, frames: int, title: str | None) -> Scene:  # fmt: skip
    """The scene, whose frame holds all starts, the ways of some of the runs, and their energies."""
    sizes = {track.points.shape[1] for track in tracks}
    if len(sizes) > 1:
        raise ValueError(f"film: all runs must have as many unknowns, got {', '.join(map(str, sorted(sizes)))}")
    core = core_of([(cut_run(run), count_drawable(rows_of(run)[1]) < len(run)) for _, run, _, _ in held])
    core = np.concatenate([core, *(track.points[:1] for track in tracks)])
    ends = {track.label: said for track in tracks if (said := how_long(track))}
    tracks, runs = [cut_track(track) for track in tracks], [(run[0], cut_run(run[1]), *run[2:]) for run in runs]
    figure = blank(*_SIZE)
    top, bottom = figure.subplots(2, 1, height_ratios=(3, 1))
    minimizer = None if energy is None or np.size(energy.minimizer) > 2 else energy.minimizer
    said = ""
    if sizes == {1}:
        lines = _draw_graph(top, energy, tracks, runs, core)
    else:
        if sizes != {2}:
            tracks, core, energy, share = _in_plane(tracks, core, runs[0][1], energy)
            minimizer, said = None, f"the plane of the first: {share:.0%} of its way"
        known = [] if minimizer is None else [np.asarray(minimizer)]
        lines = draw_tracks(top, energy, tracks, minimizer, frame_around(core, tracks, known))
        names = ("along the first direction", "along the second") if said else ("$x_1$", "$x_2$")
        top.set(xlabel=names[0], ylabel=names[1])
    top.set_title(said, loc="right", fontsize=10)
    energies = draw_energies(bottom, runs, minimum)
    if minimum is not None:
        _show_all(bottom, energies[: len(held)])
    start, end = min(track.times[0] for track in tracks), max(track.times[-1] for track in tracks)
    clock = np.linspace(start, end, frames)
    # All of the clock, though energies at the minimum are not drawn.
    bottom.set(title="", xlim=(start - 0.03 * (end - start), end + 0.03 * (end - start)))
    moving = [Growing(line, track.times, clock, track.marker is None)
              for line, track in zip(lines, tracks, strict=True)]  # fmt: skip
    moving += [Growing(line, run.t, clock, marker is None)
               for line, (_, run, _, marker) in zip(energies, runs, strict=True)]  # fmt: skip
    if title is not None:
        figure.suptitle(title)
    named = [line for line in lines if not str(line.get_label()).startswith("_")]
    labels = [str(line.get_label()) for line in named]
    labels = [f"{label}, {ends[label]}" if label in ends else label for label in labels]
    figure.legend(named, labels, loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    words = clock_words(top, "t", clock)
    return Scene(", ".join(labels), figure, [now(bottom, clock), *moving, words], words.said)


def _show_all(ax: Axes, lines: Sequence[Line2D]) -> None:
    """No energy above the axis."""
    highest = max((np.nanmax(y) for line in lines if np.isfinite(y := np.asarray(line.get_ydata())).any()), default=0.0)
    ax.set_ylim(top=max(ax.get_ylim()[1], 3 * float(highest)))


def _in_plane(tracks: Sequence[Track], core: np.ndarray, first: Trajectory, energy: Energy | None) -> Any:
    """Tracks, core and energy in the plane of the first run, and the share of its way that this holds."""
    end, axes, share = principal_plane("film", cut_far(first, core))
    flat, unravel = ravel_pytree(end)
    rows = np.asarray(axes, dtype=float)
    seen = [dataclasses.replace(track, points=(track.points - np.asarray(flat)) @ rows.T) for track in tracks]
    core = (core - np.asarray(flat)) @ rows.T
    if energy is None:
        return seen, core, None, share
    return seen, core, as_energy(lambda place: energy.value(unravel(flat + place @ axes))), share


def _draw_graph(
    ax: Axes, energy: Energy | None, tracks: Sequence[Track], runs: Sequence[Run], core: np.ndarray
) -> list[Any]:
    """Of one unknown: E over x, and the ways on it."""
    doubled = [dataclasses.replace(track, points=np.repeat(track.points, 2, axis=1)) for track in tracks]
    (low, high), _ = frame_around(np.repeat(core, 2, axis=1), doubled, [])
    shape = np.shape(jax.tree.leaves(runs[0][1].x)[0][0])
    xs = np.linspace(low, high, _FINE)
    lines, seen = [], []
    if energy is not None:
        seen.append(_heights(energy, xs, shape))
        ax.plot(xs, seen[0], color="0.6", lw=1.5, zorder=1)
    for i, track in enumerate(tracks):
        x = track.points[:, 0]
        if energy is not None:
            heights = _heights(energy, x, shape)
        else:
            run = runs[i][1]
            heights = np.interp(track.times, np.asarray(run.t, float), np.asarray(run.energy, float))
        lines += ax.plot(x, heights, color=track.colour, marker=track.marker, ms=4, lw=track.lw, label=track.label)
        seen.append(heights[(x >= low) & (x <= high)])
    # As high as what is in the frame: the rest leaves it.
    found = np.concatenate(seen)
    least, most = np.min(found := found[np.isfinite(found)], initial=np.inf), np.max(found, initial=-np.inf)
    ax.set(xlabel="x", ylabel="E", xlim=(low, high))
    if least < most:
        ax.set_ylim(least - 0.05 * (most - least), most + 0.05 * (most - least))
    return lines


def _heights(energy: Energy, x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.asarray(values_on(energy, jnp.zeros(shape), jnp.ones((1, 1)), (jnp.asarray(x),)), dtype=float)


def _lanes(trajectory: Trajectory) -> list[Trajectory]:
    leading = np.ndim(trajectory.t) - 1
    if leading == 0:
        return [trajectory]
    flat = jax.tree.map(lambda leaf: np.asarray(leaf).reshape(-1, *np.shape(leaf)[leading:]), trajectory)
    return [jax.tree.map(lambda leaf, i=i: leaf[i], flat) for i in range(len(flat.t))]


def _name(shown: str, lanes: Sequence[Trajectory], i: int) -> str:
    """What the legend calls a lane: each where colours tell them apart, all of them by the first one else."""
    if len(lanes) == 1:
        return shown
    if len(lanes) <= _TOLD_APART:
        return f"{shown} {i + 1}"
    lost = sum(count_drawable(rows_of(lane)[1]) < len(lane) for lane in lanes) if i == 0 else 0
    said = f", {lost} of them not drawn to the end" if lost else ""
    return f"_{shown}" if i else f"{shown}: {len(lanes)} lanes{said}"


def _is_path(trajectory: Trajectory) -> bool:
    return "solver" in trajectory.stats
