"""Drawing of many runs at once: medians, and the bands within which eight of ten are. Nothing is computed."""

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes

from ..results.figure import lay_out
from ..results.palette import COLOURS
from .ensemble import quantiles
from .figures import FLOW_COLOUR, axis_limits

if TYPE_CHECKING:
    from .ensemble import EnsembleComparison

_BEYOND = 1e300


def plot_ensemble(found: "EnsembleComparison", **user: Any) -> Any:
    """Energies, and errors against each method's own flow where they are measured, over time."""
    panels = [lambda ax: _draw_energies(ax, found)]
    if any(entry.errors is not None for entry in found.entries.values()):
        panels.append(lambda ax: _draw_errors(ax, found))
    return lay_out(panels, (5.5 * len(panels) + 1, 4.6), legend_below=4, **user)


def _draw_energies(ax: Axes, found: "EnsembleComparison") -> None:
    minimum = found.flow.energy.minimum
    base = 0.0 if minimum is None else float(minimum)
    curves = []
    if found.path is not None:
        rows = found.path.rows
        curves.append(_band(ax, rows["t"], rows["energy"] - base, FLOW_COLOUR, "flow", 2.2))
    for label, entry, colour in _coloured(found):
        curves.append(_band(ax, entry.t, entry.runs.rows["energy"] - base, colour, label, 1.4))
    ax.set(xlabel="time t", ylabel="$E(x)$" if minimum is None else "$E(x) - E^*$",
           title=f"Energy of {found.lanes} runs: median, and eight of ten")  # fmt: skip
    if minimum is not None:
        ax.set(yscale="log", ylim=axis_limits(curves, 1e-16))
    ax.grid(True, alpha=0.3)


def _draw_errors(ax: Axes, found: "EnsembleComparison") -> None:
    measured = [(label, entry, colour) for label, entry, colour in _coloured(found) if entry.errors is not None]
    curves = [_band(ax, entry.t, entry.errors, colour, label, 1.4) for label, entry, colour in measured]
    ax.set(xlabel="time t", ylabel="$‖x_k - x(t_k)‖$", title="Error against the method's own flow",
           yscale="log", ylim=axis_limits(curves, 1e-14))  # fmt: skip
    ax.grid(True, alpha=0.3)


def _coloured(found: "EnsembleComparison") -> list[tuple[str, Any, str]]:
    items = enumerate(found.entries.items())
    return [(label, entry, COLOURS[i % len(COLOURS)]) for i, (label, entry) in items]


def _band(ax: Axes, times: Any, values: Any, colour: str, label: str, width: float) -> np.ndarray:
    low, median, high = quantiles(np.asarray(values, dtype=float))
    # What is not finite is beyond the axis, and 0 has no place on a logarithmic one.
    low, median, high = (np.where(each == 0, np.nan, np.minimum(each, _BEYOND)) for each in (low, median, high))
    ax.fill_between(times, low, high, color=colour, alpha=0.18, lw=0)
    ax.plot(times, median, color=colour, lw=width, label=label)
    return np.concatenate([low, median, high])
