"""A comparison on disk: a page to read, figures, data, and the experiment that makes them again."""

import os
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from matplotlib.figure import Figure

from gradientflow._files import write_folder
from gradientflow.flows.saved import as_netcdf

from ..results.page import describe_energy, inline_figure, render_page
from . import figures

if TYPE_CHECKING:
    from .compare import Comparison

_EXPLANATIONS = {
    "plane": "Contours of the energy are spaced by equal ratios; arrows show the direction of −∇E. The black line is "
    "the flow, the star its minimizer where known, the open circle the start. A dashed line is the path of a method's "
    "own flow, where that is another flow.",
    "curves": "All methods on the flow's clock: an iterate stands at the sum of the steps before it. Each error is "
    "measured against the method's own flow.",
    "orders": "The step is halved until the slope settles. A method of order p loses a factor 2ᵖ of its error with "
    "each halving.",
}


def save_comparison(comparison: "Comparison", directory: str | os.PathLike[str], experiment: str | None) -> None:
    """Writes `report.html`, `data.nc`, `table.csv`, `figures/` and, where there is one, `EXPERIMENT.toml`.

    Raises:
        ValueError: if the directory can't be written.
    """
    drawn = _draw(comparison)

    def fill(folder: pathlib.Path) -> None:
        for name, figure in drawn.items():
            figure.savefig(folder / "figures" / f"{name}.png", dpi=140)
        (folder / "data.nc").write_bytes(as_netcdf(comparison.to_xarray()))
        comparison.table().to_csv(folder / "table.csv")
        (folder / "report.html").write_text(render_html(comparison, drawn, experiment), encoding="utf-8")
        if experiment is not None:
            (folder / "EXPERIMENT.toml").write_text(experiment, encoding="utf-8")

    write_folder(directory, fill)


def render_html(comparison: "Comparison", drawn: Mapping[str, Figure], experiment: str | None) -> str:
    """One page without links to anything outside itself."""
    path = comparison.path
    return render_page(
        "comparison.html.jinja",
        energy=describe_energy(comparison.flow.energy),
        dimension=sum(int(np.size(leaf[0])) for leaf in jax.tree.leaves(path.x)),
        end=f"{float(path.t[-1]):.4g}",
        precision=path.stats["precision"],
        rows=_rows(comparison),
        figures=[(name, _EXPLANATIONS[name], inline_figure(figure)) for name, figure in drawn.items()],
        experiment=experiment,
    )


def _rows(comparison: "Comparison") -> list[dict[str, str]]:
    """The table's cells as a reader wants them: what a method is, in one cell, and its order beside the claim."""
    rows = []
    trajectories = [comparison.path, *(entry.run for entry in comparison.entries.values())]
    for (label, row), trajectory in zip(comparison.table().iterrows(), trajectories, strict=True):
        order = _cell(row["observed order"])
        rows.append({
            "method": str(label),
            "is": f"{row['scheme']} of {row['flow']}",
            "h": _cell(row["h"]),
            "steps": str(row["steps"]),
            "largest error": _cell(row["largest error"]),
            "last error": _cell(row["last error"]),
            "order": order if np.isnan(row["claimed order"]) else f"{order} ({row['claimed order']:.0f})",
            "energy": _cell(row["energy"]),
            "‖∇E‖∞": _cell(row["grad norm"]),
            "status": str(trajectory.status),
            "detail": trajectory.status.detail,
        })  # fmt: skip
    return rows


def _draw(comparison: "Comparison") -> dict[str, Figure]:
    drawn = {}
    if figures.is_planar(comparison.path.x):
        drawn["plane"] = figures.plot_plane(comparison)
    drawn["curves"] = figures.plot_curves(comparison)
    if any(entry.order is not None for entry in comparison.entries.values()):
        drawn["orders"] = figures.plot_orders(comparison)
    return drawn


def _cell(value: Any) -> str:
    if isinstance(value, (float, np.floating)):
        return "–" if np.isnan(value) else f"{value:.4g}"
    return str(value)
