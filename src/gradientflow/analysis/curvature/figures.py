"""Drawing of what was found about curvature. Nothing here computes a result."""

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..results.figure import lay_out
from ..results.palette import COLOURS

if TYPE_CHECKING:
    from .spectrum import Spectrum

# So many curves are told apart.
_CURVES = 8


def plot_spectrum(spectrum: "Spectrum", **user: Any) -> Figure:
    """The eigenvalues, by rank or along the run, beside the leaves' shares in the direction of the greatest."""
    panels = [lambda ax: _draw_values(ax, spectrum)]
    if len(spectrum.by_leaf) > 1:
        panels.append(lambda ax: _draw_shares(ax, spectrum))
    return lay_out(panels, (5.5 * len(panels) + 1, 4.4), **user)


def _draw_values(ax: Axes, spectrum: "Spectrum") -> None:
    values = spectrum.eigenvalues
    ax.axhline(0, color="0.7", lw=1)
    if spectrum.steps is not None:
        for i in range(min(values.shape[1], _CURVES)):
            ax.plot(spectrum.steps, values[:, -1 - i], color=COLOURS[i], lw=2 if i == 0 else 1.2, label=f"λ{i + 1}")
        ax.set(xlabel="step k", ylabel="eigenvalue of the Hessian")
        ax.legend(fontsize=9)
        return
    rank = np.arange(1, len(values) + 1)
    ax.errorbar(rank, values[::-1], yerr=spectrum.residuals[::-1], fmt="o", ms=4, color=COLOURS[0])
    size = np.abs(values[values != 0])
    if size.size and size.max() > 1e3 * size.min():
        ax.set_yscale("symlog", linthresh=max(float(size.min()), 1e-6 * float(size.max())))
    ax.set(xlabel="rank, the greatest first", ylabel="eigenvalue of the Hessian", title=f"{spectrum.count} unknowns")


def _draw_shares(ax: Axes, spectrum: "Spectrum") -> None:
    names = list(spectrum.by_leaf)
    if spectrum.steps is not None:
        colours = [COLOURS[i % len(COLOURS)] for i in range(len(names))]
        ax.stackplot(spectrum.steps, [spectrum.by_leaf[name] for name in names], labels=names, colors=colours)
        ax.set(xlabel="step k", ylabel="share in the direction of the greatest", ylim=(0, 1))
        ax.legend(fontsize=9)
        return
    ax.barh(names, [spectrum.by_leaf[name] for name in names], color=COLOURS[0])
    ax.invert_yaxis()
    ax.set(xlabel="share in the direction of the greatest", xlim=(0, 1))
