"""A scene: a figure that stands, what moves on it, and what its clock says."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .moving import Moving, Track, Words

# A shorter time is told by powers of ten.
_SHORT = 1e-4


@dataclasses.dataclass(frozen=True, eq=False)
class Scene:
    """What a film shows.

    Attributes:
        name: in a word or two.
        figure: all that stands.
        tracks: what moves on it.
        said: what the clock says, of each frame.
    """

    name: str
    figure: Figure
    tracks: Sequence[Track]
    said: Sequence[str]


def clock_words(ax: Axes, letter: str, clock: np.ndarray) -> Words:
    """The clock, above the axes on the left, with as many digits as it takes to tell frames apart."""
    digits = max(0, min(6, math.ceil(-math.log10(np.ptp(clock) / len(clock)))))
    form = f".{digits}f" if np.ptp(clock) > _SHORT else ".4g"
    said = [f"{letter} = {value:{form}}" for value in clock]
    text = ax.text(0.0, 1.02, said[-1], transform=ax.transAxes, fontsize=12, fontweight="bold", va="bottom")
    return Words(text, said)


def now(ax: Axes, clock: np.ndarray) -> Moving:
    """A line that goes with the clock along the first axis."""
    low, high = ax.get_ylim()
    places = np.stack([np.stack([clock, np.full(len(clock), y)], axis=-1) for y in (low, high)], axis=1)
    (line,) = ax.plot([], [], color="0.4", lw=0.9, zorder=1)
    ax.set_ylim(low, high)
    return Moving(line, places)
