"""Figures that show themselves in a notebook, and how one is laid out from its panels."""

import io
import os
import re
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib.figure
import numpy as np
from matplotlib.axes import Axes
from matplotlib.layout_engine import PlaceHolderLayoutEngine
from matplotlib.legend import Legend
from matplotlib.transforms import Bbox, ScaledTranslation, blended_transform_factory

from gradientflow.flows import Number
from gradientflow.flows.checks import in_a_line

# Dots an inch in a notebook, and those that it shows an inch with: two to one, so that screens of high density show
# sharp lines.
_DRAWN, _SHOWN = 144, 72

# A title too long for the user's axes is set in this size [points], a letter of which is so wide on average.
_SMALL, _LETTER = 9, 0.5
# A legend that covers more than this share of them is set below, in this size.
_COVERED, _TINY = 0.3, 7.5

Panel = Callable[[Axes], Any]


class Figure(matplotlib.figure.Figure):
    """A figure made outside of pyplot, which a notebook shows whatever the backend.

    Where a backend of the notebook has its own way to show figures, that is taken, and nothing is shown twice: no other
    figure of the user's is touched, and no setting is.
    """

    def _repr_png_(self) -> tuple[bytes, dict[str, float]]:
        """For notebooks: the picture, and the size at which to show it."""
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=_DRAWN)
        width, height = self.get_size_inches() * _SHOWN
        return buffer.getvalue(), {"width": float(width), "height": float(height)}


class _LegendBelow(Legend):
    """One that may be wider than its axes: a layout makes room for its height, and is not stretched by its width."""

    def get_tightbbox(self, renderer: Any = None) -> Bbox:
        """For layouts: as high as it is, and as wide as the axes."""
        box, across = self.get_window_extent(renderer), self.parent.bbox
        return Bbox([[across.x0, box.y0], [across.x1, box.y1]])


def blank(width: float, height: float) -> Figure:
    """An empty one, of so many inches, that makes room for what is put on it."""
    return Figure(figsize=(width, height), layout="constrained")


def lay_out(
    panels: Sequence[Panel],
    size: Sequence[Number],
    *,
    ax: Any = None,
    figsize: Sequence[Number] | None = None,
    title: str | None = None,
    legend_below: int = 0,
    shape: tuple[int, int] | None = None,
    **subplots: Any,
) -> Any:
    """Draws panels side by side into a figure of its own, or into the user's axes.

    Args:
        panels: each draws into the axes that it is given; the first is the main one.
        size: the figure's size in inches, unless the user gives one.
        ax: axes to draw into: one, for the main panel alone, or as many as there are panels. Where a
            legend stands below them, and their figure has no layout of its own, room is made for it once.
        figsize: the user's size; with `ax` there is no figure to size.
        title: the user's title, of the figure, or of the first axes given.
        legend_below: in how many columns one legend stands below all panels, that of the main one; 0 for none.
        shape: rows and columns, if the panels don't stand side by side.
        subplots: what else `Figure.subplots` takes.

    Returns:
        The figure; or the axes that were given, as pandas does: theirs is the user's to show, and to be shown once.

    Raises:
        TypeError: if `ax` isn't axes.
        ValueError: if they are not as many as the panels, or `figsize` is given with them.
    """
    if ax is None:
        figure = blank(*_size(size, figsize))
        drawn = list(figure.subplots(*(shape or (1, len(panels))), squeeze=False, **subplots).ravel())
    else:
        if figsize is not None:
            raise ValueError("plot: `figsize` is the size of a new figure; with `ax` set that of its own figure")
        drawn = _given_axes(ax, len(panels))
        figure = drawn[0].figure.figure
    for axes, draw in zip(drawn, panels, strict=False):
        draw(axes)
    if legend_below and ax is None:
        _legend_below(figure, drawn[0], legend_below)
    elif legend_below:
        drawn[0].legend(fontsize=9)
    if title is not None:
        if ax is None and len(drawn) > 1:
            figure.suptitle(title)
        else:
            drawn[0].set_title(title)
    if ax is not None:
        for axes in drawn:
            _fit_title(axes)
        moved = [_fit_legend(axes, drawn if legend_below and axes is drawn[0] else [axes]) for axes in drawn]
        if any(moved) or isinstance(figure.get_layout_engine(), PlaceHolderLayoutEngine):
            _make_room(figure)
    return figure if ax is None else ax


def _fit_title(ax: Axes) -> None:
    """Breaks a title into lines that the axes have room for: there may be other axes beside them."""
    text = ax.title
    width = ax.get_position(original=True).width * ax.figure.figure.get_figwidth() * 72

    def room(size: Any) -> int:
        return max(1, int(width / (_LETTER * size)))

    lines = text.get_text().splitlines()
    if max(map(len, lines), default=0) > room(float(text.get_fontsize())):
        # A formula is not broken.
        held = (re.sub(r"\$[^$]*\$", lambda math: math[0].replace(" ", "\u00a0"), line) for line in lines)
        broken = "\n".join(textwrap.fill(line, room(_SMALL), break_long_words=False) for line in held)
        text.set(text=broken.replace("\u00a0", " "), fontsize=min(_SMALL, float(text.get_fontsize())))


def _fit_legend(ax: Axes, beside: Sequence[Axes]) -> bool:
    """Sets a legend that would cover a line, or much of the axes, below them and those that it speaks of too.

    Returns:
        whether it did.
    """
    legend = ax.get_legend()
    if legend is None or not legend.get_texts():
        return False
    box = legend.get_window_extent()
    paths = (line.get_transform().transform_path(line.get_path()) for line in ax.lines)
    covers = any(path.intersects_bbox(box, False) for path in paths)
    if box.width * box.height < _COVERED * ax.bbox.width * ax.bbox.height and not covers:
        return False
    figure = ax.figure.figure
    places = [one.get_position(original=True) for one in beside if one.figure is ax.figure]
    left, right = min(place.x0 for place in places), max(place.x1 for place in places)
    middle, across = 0.5, ax.transAxes
    if len(places) > 1:
        middle, across = (left + right) / 2, blended_transform_factory(ax.figure.transSubfigure, ax.transAxes)
    # Below the numbers at the axis and its name, however high the axes become.
    lower = ScaledTranslation(0, -(4.2 if ax.get_xlabel() else 2.4) * _SMALL / 72, figure.dpi_scale_trans)
    handles: Any = legend.legend_handles
    for columns in range(len(handles), 0, -1):
        below = ax.legend(
            handles, [text.get_text() for text in legend.get_texts()], fontsize=_TINY, frameon=False, ncols=columns,
            loc="upper center", bbox_to_anchor=(middle, 0), bbox_transform=across + lower, borderaxespad=0,
            columnspacing=1, handlelength=1.5,
        )  # fmt: skip
        # Matplotlib has no way to be given the class of a legend.
        below.__class__ = _LegendBelow
        if below.get_window_extent().width <= (right - left) * ax.figure.bbox.width:
            break
    return True


def _make_room(figure: Any) -> None:
    """Lays a figure out that has no layout, once, as if its owner had asked for it: what they set afterwards holds."""
    free = isinstance(figure.get_layout_engine(), PlaceHolderLayoutEngine | None)
    if free and all(ax.get_subplotspec() and ax.figure is figure for ax in figure.axes):
        figure.tight_layout()


def _size(size: Sequence[Number], figsize: Any) -> tuple[float, float]:
    try:
        width, height = (float(number) for number in (size if figsize is None else figsize))
    except (TypeError, ValueError):
        width = height = 0.0
    if not (0 < width < np.inf and 0 < height < np.inf):
        raise ValueError(
            f"plot: `figsize` must be a width and a height in inches, (8, 4) say, got {in_a_line(figsize)}"
        )
    return width, height


def _given_axes(ax: Any, count: int) -> list[Axes]:
    given = [ax] if isinstance(ax, Axes) else list(np.ravel(np.asarray(ax, dtype=object)))
    if not given or not all(isinstance(one, Axes) for one in given):
        remedy = f"; plot().savefig({ax!r}) writes a file" if isinstance(ax, str | os.PathLike) else ""
        raise TypeError(f"plot: `ax` must be matplotlib axes, or several, got {in_a_line(ax)}{remedy}")
    if len(given) not in (1, count):
        raise ValueError(f"plot: `ax` must be one axes, for the main panel, or {count}, got {len(given)}")
    return given


def _legend_below(figure: Any, ax: Axes, columns: int) -> None:
    """One legend for all axes, where it covers no data; the flow comes first."""
    handles, labels = ax.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda i: labels[i] != "flow")
    figure.legend(
        [handles[i] for i in order], [labels[i] for i in order], loc="outside lower center", ncols=columns,
        fontsize=9, frameon=False,
    )  # fmt: skip
