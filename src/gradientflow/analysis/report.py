"""A comparison on disk: a page to read, figures, data, and the experiment that makes them again."""

import base64
import io
import os
import pathlib
import shutil
import tempfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np
from matplotlib.figure import Figure

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

    Everything is made in a temporary folder first, so that a failure leaves nothing half-written.

    Raises:
        ValueError: if the directory can't be written.
    """
    target = pathlib.Path(directory)
    check_writable(target)
    drawn = _draw(comparison)
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        (folder / "figures").mkdir()
        for name, figure in drawn.items():
            figure.savefig(folder / "figures" / f"{name}.png", dpi=140)
        comparison.to_xarray().to_netcdf(folder / "data.nc", engine="h5netcdf")
        comparison.table().to_csv(folder / "table.csv")
        (folder / "report.html").write_text(render_html(comparison, drawn, experiment), encoding="utf-8")
        if experiment is not None:
            (folder / "EXPERIMENT.toml").write_text(experiment, encoding="utf-8")
        shutil.copytree(folder, target, dirs_exist_ok=True)


def check_writable(directory: str | os.PathLike[str]) -> None:
    """Refuses a directory that can't be made or written to, before any work is done.

    Raises:
        ValueError: naming it.
    """
    target = pathlib.Path(directory)
    try:
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=target):
            pass
    except OSError as error:
        raise ValueError(f"out: directory {str(target)!r} can't be written: {error.strerror}") from None


def render_html(comparison: "Comparison", drawn: Mapping[str, Figure], experiment: str | None) -> str:
    """One page without links to anything outside itself."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("gradientflow.analysis", "templates"), autoescape=True, trim_blocks=True
    )
    table = comparison.table()
    return environment.get_template("report.html.jinja").render(
        flow=type(comparison.flow).__name__,
        columns=list(table.columns),
        rows=[(label, [_cell(value) for value in row]) for label, row in zip(table.index, table.values, strict=True)],
        figures=[(name, _EXPLANATIONS[name], _inline(figure)) for name, figure in drawn.items()],
        notes=_notes(comparison),
        experiment=experiment,
        version=_version(),
    )


def _draw(comparison: "Comparison") -> dict[str, Figure]:
    drawn = {}
    if figures.is_planar(comparison.path.x):
        drawn["plane"] = figures.plot_plane(comparison)
    drawn["curves"] = figures.plot_curves(comparison)
    if any(entry.order is not None for entry in comparison.entries.values()):
        drawn["orders"] = figures.plot_orders(comparison)
    return drawn


def _notes(comparison: "Comparison") -> list[tuple[str, str]]:
    """How each trajectory ended, in its own words."""
    notes = [("flow", f"{comparison.path.status}: {comparison.path.status.detail}")]
    return notes + [
        (label, f"{entry.run.status}: {entry.run.status.detail}") for label, entry in comparison.entries.items()
    ]


def _cell(value: Any) -> str:
    if isinstance(value, (float, np.floating)):
        return "–" if np.isnan(value) else f"{value:.4g}"
    return str(value)


def _inline(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return base64.b64encode(buffer.getvalue()).decode()


def _version() -> str:
    import gradientflow

    return gradientflow.__version__
