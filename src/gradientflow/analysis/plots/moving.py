"""What moves in a film: lines that grow, points that move, words that change; on axes that are drawn once."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

# Nothing farther than this from the picture is told to a page [pixels].
_FAR = 1e4


class Growing:
    """A line that grows to where it is at each frame's time, with a dot at its head.

    Args:
        line: the whole of it, on its axes.
        times: of its points, in increasing order.
        clock: the time of each frame.
        steadily: whether it moves between its points too, as a path does; iterates stay where they are.
    """

    def __init__(self, line: Line2D, times: Any, clock: np.ndarray, steadily: bool) -> None:
        points, times = np.asarray(line.get_xydata(), dtype=float), np.asarray(times, dtype=float)
        ax: Any = line.axes
        if steadily:
            finer = np.union1d(times, clock[(clock >= times[0]) & (clock <= times[-1])])
            # Straight on the paper, whatever the scale.
            with np.errstate(invalid="ignore", divide="ignore"):
                drawn = ax.transScale.transform(points)
                drawn = np.column_stack([np.interp(finer, times, column) for column in drawn.T])
                points, times = ax.transScale.inverted().transform(drawn), finer
        self.line, self.points = line, points
        self.counts = np.maximum(np.searchsorted(times, clock + 1e-9 * np.ptp(clock), side="right"), 1)
        size = 4 + 1.2 * line.get_linewidth()
        (self.head,) = ax.plot([], [], "o", color=line.get_color(), mec="white", mew=0.8, ms=size, zorder=5)
        self.artists: list[Artist] = [line, self.head]

    def show(self, k: int) -> None:
        """Sets it to a frame."""
        grown = self.points[: self.counts[k]]
        self.line.set_data(*grown.T)
        self.head.set_data(*grown[-1:].T)

    def told(self, height: float) -> dict[str, Any]:
        """It, for a page."""
        points = _pixels(self.head.axes, self.points, height)
        return {"kind": "growing", "points": points, "counts": self.counts.tolist(), **_style(self.line),
                "head": float(self.head.get_markersize())}  # fmt: skip


class Moving:
    """Points, or a line through them, that are elsewhere in each frame.

    Args:
        line: how they are drawn, on its axes.
        places: shape (frames, m, 2).
    """

    def __init__(self, line: Line2D, places: np.ndarray) -> None:
        self.line, self.places = line, np.asarray(places, dtype=float)
        self.artists: list[Artist] = [line]

    def show(self, k: int) -> None:
        """Sets them to a frame."""
        self.line.set_data(*self.places[k].T)

    def told(self, height: float) -> dict[str, Any]:
        """They, for a page."""
        frames, m, _ = self.places.shape
        points = _pixels(self.line.axes, self.places.reshape(-1, 2), height)
        return {"kind": "moving", "points": points, "each": m, "frames": frames, **_style(self.line)}


class Words:
    """Words that change, at their place.

    Args:
        text: how they are written.
        said: of each frame what.
    """

    def __init__(self, text: Text, said: Sequence[str]) -> None:
        self.text, self.said = text, list(said)
        self.artists: list[Artist] = [text]

    def show(self, k: int) -> None:
        """Sets them to a frame."""
        self.text.set_text(self.said[k])

    def told(self, height: float) -> dict[str, Any]:
        """They, for a page."""
        x, y = self.text.get_transform().transform(self.text.get_position())
        return {"kind": "words", "said": self.said, "x": round(float(x), 1), "y": round(height - float(y), 1),
                "size": float(self.text.get_fontsize()), "colour": to_hex(self.text.get_color())}  # fmt: skip


Track = Growing | Moving | Words


def set_up(figure: Figure, tracks: Sequence[Track], visible: bool) -> FigureCanvasAgg:
    """The figure laid out for good, with what moves shown, or left out of what is drawn."""
    canvas = FigureCanvasAgg(figure)
    if figure.get_layout_engine() is not None:
        for track in tracks:
            track.show(0)
        canvas.draw()
        figure.set_layout_engine("none")
    for track in tracks:
        for artist in track.artists:
            artist.set_visible(visible)
    return canvas


def pictures(figure: Figure, tracks: Sequence[Track], frames: Sequence[int]) -> Iterator[np.ndarray]:
    """The frames, shape (height, width, 3): all that stands is drawn once."""
    canvas = set_up(figure, tracks, visible=False)
    canvas.draw()
    still = canvas.copy_from_bbox(figure.bbox)
    set_up(figure, tracks, visible=True)
    artists = sorted((a for track in tracks for a in track.artists), key=lambda artist: artist.get_zorder())
    for k in frames:
        canvas.restore_region(still)
        for track in tracks:
            track.show(k)
        for artist in artists:
            artist.draw(canvas.get_renderer())
        yield np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _pixels(ax: Any, points: np.ndarray, height: float) -> list[float | None]:
    """Points in pixels from the upper left, one after the other; `None` for what can't be drawn."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        found = ax.transData.transform(points)
    found[:, 1] = height - found[:, 1]
    flat = np.clip(np.where(np.isfinite(found), found, np.nan), -_FAR, _FAR).ravel().round(1)
    return [None if np.isnan(value) else value for value in flat.tolist()]


def _style(line: Line2D) -> dict[str, Any]:
    ax: Any = line.axes
    height = ax.figure.bbox.height
    x0, y0, x1, y1 = ax.bbox.extents
    alpha = line.get_alpha()
    return {
        "colour": to_hex(line.get_color()), "width": float(line.get_linewidth()),
        "dashed": line.get_linestyle() == "--",
        "line": line.get_linestyle() not in ("None", "none", ""), "alpha": 1.0 if alpha is None else float(alpha),
        "size": 0.0 if line.get_marker() in ("None", "none", "") else float(line.get_markersize()),
        "clip": [round(float(v), 1) for v in (x0, height - y1, x1 - x0, y1 - y0)],
    }  # fmt: skip
