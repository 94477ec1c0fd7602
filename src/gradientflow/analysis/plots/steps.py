"""The scene of a stability reading: the eigenvalues of a step, as the step grows."""

import numpy as np

from ..linear_stability.figures import draw_radius, draw_unit_disk, steps_drawn
from ..linear_stability.stability import Stability
from ..results.figure import blank
from ..results.palette import COLOURS
from .moving import Growing, Moving
from .scene import Scene, clock_words, now


def of_stability(stability: Stability, frames: int, title: str | None) -> Scene:
    """Left the eigenvalues w(h) against the unit circle, right the spectral radius; the clock is h."""
    drawn, is_long = steps_drawn(stability)
    hs = np.geomspace(drawn[0], drawn[-1], frames) if is_long else np.linspace(drawn[0], drawn[-1], frames)
    roots = [stability.eigenvalues(float(h)) for h in hs]
    places = np.full((frames, max(map(len, roots)), 2), np.nan)
    for place, w in zip(places, roots, strict=True):
        place[: len(w)] = np.column_stack([np.real(w), np.imag(w)])
    figure = blank(10.4, 5.2)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.15))
    draw_unit_disk(left)
    left.set_title("eigenvalues of a step", loc="right", fontsize=11)
    # Where they have been.
    order = np.concatenate([np.full(places.shape[1], h) for h in hs])
    (behind,) = left.plot(*places.reshape(-1, 2).T, ls="", marker=".", ms=2.5, color=COLOURS[0], alpha=0.5)
    (dots,) = left.plot([], [], "o", color=COLOURS[1], ms=9, mec="white", mew=1.0, zorder=4)
    draw_radius(right, stability)
    trail = Growing(behind, order, hs, steadily=False)
    trail.head.set_markersize(0)
    tracks = [now(right, hs), trail, Moving(dots, places), words := clock_words(left, "h", hs)]
    if title is not None:
        figure.suptitle(title)
    return Scene(f"stability of {stability.discretizer.name} of {stability.flow.name}", figure, tracks, words.said)
