"""What of ways a picture is made to hold: all of them, but not how far a run goes that diverges."""

import dataclasses
from collections.abc import Sequence

import jax
import numpy as np

from gradientflow.flows import Trajectory

from ..comparison.plane import Track, bounds_around, rows_of

# Squares and margins of what is larger overflow.
_LARGEST = 1e120
# A run goes away whose last energy is so many times higher above the lowest than half of all are.
_RISEN = 20.0
# So many times as far as the core is wide.
_FAR = 100.0


def count_drawable(points: np.ndarray) -> int:
    """How many points there are, at least one, before the first that is not finite, or too large to draw."""
    lost = ~(np.abs(points) < _LARGEST).all(axis=1)
    return max(1, int(np.argmax(lost))) if lost.any() else len(points)


def cut_run(run: Trajectory) -> Trajectory:
    """A run as long as it can be drawn."""
    return _first_rows(run, count_drawable(rows_of(run)[1]))


def cut_far(run: Trajectory, core: np.ndarray) -> Trajectory:
    """A run until it is so far from the core that nothing of that is to be seen from there."""
    points = rows_of(run)[1]
    far = np.linalg.norm(points - core[0], axis=1) > _FAR * np.linalg.norm(np.ptp(core, axis=0))
    return _first_rows(run, max(3, int(np.argmax(far))) if far.any() else len(run))


def _first_rows(run: Trajectory, n: int) -> Trajectory:
    x = jax.tree.map(lambda leaf: leaf[:n], run.x)
    return run if n == len(run) else dataclasses.replace(run, t=run.t[:n], x=x, energy=run.energy[:n])


def cut_track(track: Track) -> Track:
    """A way as long as it can be drawn."""
    n = count_drawable(track.points)
    return (
        track if n == len(track.points) else dataclasses.replace(track, times=track.times[:n], points=track.points[:n])
    )


def how_long(track: Track) -> str:
    """Until when a way can be drawn, in words; "" where that is all of it."""
    n = count_drawable(track.points)
    if n == len(track.points):
        return ""
    return f"{'drawn' if np.isfinite(track.points[n]).all() else 'finite'} until t = {track.times[n - 1]:.4g}"


def core_of(runs: Sequence[tuple[Trajectory, bool]]) -> np.ndarray:
    """Points that a frame must hold, (m, n): where runs start, and their ways; of runs that go away what is below.

    Args:
        runs: each as long as it can be drawn, and whether it goes on beyond.
    """
    parts, away = [], []
    for run, goes_on in runs:
        points = rows_of(run)[1]
        heights = np.asarray(run.energy, dtype=float)
        has_energy = heights.any()
        if not has_energy:
            # A field: how far it is from its start.
            heights = ((points - points[0]) ** 2).sum(axis=1)
        with np.errstate(invalid="ignore"):
            risen = heights - heights.min()
            usual = float(np.median(risen))
            leaves = goes_on or not risen[-1] <= _RISEN * usual
            most = heights[0] if has_energy else usual
        parts.append(points[:1])
        parts.append(points[heights <= most] if leaves else points)
        away.append(points[:2] if leaves else None)
    if all(first is not None for first in away):
        # Nothing else says how large the picture is.
        parts += away
    core = np.concatenate(parts)
    core = core[np.isfinite(core).all(axis=1)]
    if not len(core):
        core = np.zeros((1, parts[0].shape[1]))
    return core if np.ptp(core, axis=0).any() else np.concatenate([core[:1] - 0.5, core[:1] + 0.5])


def frame_around(core: np.ndarray, tracks: Sequence[Track], known: Sequence[np.ndarray]) -> tuple:
    """Bounds that hold the core and what is known, and whatever of the ways stays near them."""
    return bounds_around([core, *(track.points for track in tracks)], known)
