"""Drawing of how runs' numbers compare with what is proved. Nothing here computes a result."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes

from ..results.figure import lay_out
from ..results.palette import COLOURS

if TYPE_CHECKING:
    from .claims import Evidence


def plot_evidence(evidence: "Mapping[str, Evidence]", **user: Any) -> Any:
    """The distance of each run from its proved closed form, and what is allowed, over time."""
    return lay_out([lambda ax: _draw_evidence(ax, evidence)], (10, 4.6), legend_below=4, **user)


def _draw_evidence(ax: Axes, evidence: "Mapping[str, Evidence]") -> None:
    for i, (label, found) in enumerate(evidence.items()):
        colour = COLOURS[i % len(COLOURS)]
        shown = np.isfinite(found.difference) & (found.difference > 0)
        ax.semilogy(found.t[shown], found.difference[shown], color=colour, marker=".", ms=3, lw=1, label=label)
        ax.semilogy(found.t, found.allowed, color=colour, ls=":", lw=1)
    ax.plot([], [], color="0.3", ls=":", label="allowed")
    ax.set(xlabel="time t", ylabel="largest difference of an entry", title="Runs against their proved closed forms")
    ax.grid(True, alpha=0.3)
