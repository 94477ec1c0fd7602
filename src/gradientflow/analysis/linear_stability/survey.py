"""Several methods' limits at one minimizer, side by side, with their report."""

import dataclasses
import math
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from gradientflow._files import write_folder
from gradientflow.flows import AbstractQuadratic, Mode, UnansweredQuestionError, size

from ..exact.leaf import NotExactError
from ..results.grades import Grade, weakest
from ..results.page import describe_energy, file_names, inline_figure, inline_formula, render_page
from ..results.result import Result
from .figures import formula_latex, plot_region, plot_stability
from .preconditioned import learning_rate
from .regions import stability_region
from .stability import Stability
from .step_limit import readable


@dataclasses.dataclass(frozen=True)
class StabilitySurvey(Result):
    """The limits of several methods on one energy.

    Attributes:
        entries: what was found of each method, by label.
    """

    entries: Mapping[str, Stability]

    @property
    def grade(self) -> Grade:
        """That of the least certain entry; refuted if one is."""
        return weakest(found.grade for found in self.entries.values())

    def table(self) -> pd.DataFrame:
        """One row a method.

        Columns: its step h [T], the limit of h at the minimizer, the same in lr at fixed other parameters, the step
            that is safe from everywhere, the formula, the grade, and the verdict on its step.
        """
        return pd.DataFrame([_row(label, found) for label, found in self.entries.items()]).set_index("method")

    @property
    def plain(self) -> Stability:
        """The first entry whose curvatures are the energy's own, if there is one, and no adaptive method's P⁻¹H."""
        found = list(self.entries.values())
        return next((each for each in found if each.held is None), found[0])

    @property
    def scope(self) -> str:
        """From where the limits hold, in words."""
        first = self.plain
        if first.held is not None:
            return "P is held as it is: limits hold while squared gradients are what they are there"
        if not first.is_local:
            return "the energy is quadratic: limits hold from every start"
        quadratic = isinstance(first.flow.energy, (AbstractQuadratic, Mode))
        why = "the step is not linear" if quadratic else "the energy is not quadratic"
        return f"{why}: limits are those of the linearization, and hold near the minimizer only"

    def save(self, directory: str | os.PathLike[str], experiment: str | None = None) -> None:
        """Writes `report.html`, `table.csv`, `figures/` and, where there is one, `EXPERIMENT.toml`.

        Raises:
            ValueError: if the directory can't be written.
        """
        sections = {"The spectral radius of a step, and its eigenvalues": {}, "In the complex plane": {}}
        for label, found in self.entries.items():
            sections["The spectral radius of a step, and its eigenvalues"][label] = plot_stability(found)
            region = _region(found)
            if region is not None:
                sections["In the complex plane"][f"{label}: z = hλ"] = region
        table = self.table()

        def fill(folder: pathlib.Path) -> None:
            drawn = [pair for figures in sections.values() for pair in figures.items()]
            for name, (_, figure) in zip(file_names(label for label, _ in drawn), drawn, strict=True):
                figure.savefig(folder / "figures" / f"{name}.png", dpi=140)
            table.to_csv(folder / "table.csv")
            (folder / "report.html").write_text(self._page(table, sections, experiment), encoding="utf-8")
            if experiment is not None:
                (folder / "EXPERIMENT.toml").write_text(experiment, encoding="utf-8")

        write_folder(directory, fill)

    def _page(self, table: pd.DataFrame, sections: Mapping[str, Mapping[str, Figure]], experiment: str | None) -> str:
        first = self.plain
        low, high = (float(sum(bracket) / 2) for bracket in (first.curvatures.least, first.curvatures.greatest))
        rows = [{"method": label} | {column: _cell(value) for column, value in row.items()}
                for label, row in table.iterrows()]  # fmt: skip
        return render_page(
            "stability.html.jinja",
            energy=describe_energy(first.flow.energy),
            dimension=size(first.at),
            curvatures=f"{low:.6g} to {high:.6g}, {first.curvatures.grade}: {first.curvatures.how}",
            rows=rows,
            formulas={label: _image(found) for label, found in self.entries.items()},
            reasons={label: _reason(found) for label, found in self.entries.items()},
            scope=f"{self.scope[0].upper()}{self.scope[1:]}.",
            sections=[(heading, [(label, inline_figure(figure)) for label, figure in figures.items()])
                      for heading, figures in sections.items() if figures],
            experiment=experiment,
        )  # fmt: skip

    def __repr__(self) -> str:
        """The table."""
        return self.table().to_string(float_format=lambda value: f"{value:.6g}", na_rep="–")


def _row(label: str, found: Stability) -> dict[str, Any]:
    return {
        "method": label,
        "h": math.nan if found.step is None else found.step,
        "limit of h": found.limit,
        "limit of lr": math.nan if found.lr_limit is None else found.lr_limit,
        "from everywhere": _from_everywhere(found),
        "formula": readable(found.formula),
        "grade": str(found.grade),
        "verdict": _verdict(found),
    }


def _from_everywhere(found: Stability) -> float:
    """The step below which it converges from every start: on a quadratic, linear steps do up to the limit itself."""
    proved = math.nan if found.global_limit is None else found.global_limit
    return proved if found.is_local else float(np.fmax(found.limit, proved))


def _verdict(found: Stability) -> str:
    lr = None if found.method is None else learning_rate(found.method)
    if found.held is not None and lr is not None and found.lr_limit is not None:
        if lr <= found.lr_limit:
            return f"stable while P is as it is, {found.held.where}"
        return f"unstable {found.held.where}: lr is {lr / found.lr_limit:.3g} times the limit"
    if found.step is None:
        return "no constant step"
    if found.step >= found.limit:
        return f"unstable: h is {found.step / found.limit:.3g} times the limit" if found.limit > 0 else "unstable"
    return "stable, from everywhere" if found.step <= _from_everywhere(found) else "stable near the minimizer"


def _reason(found: Stability) -> str:
    parts = [found.step_limit.cause, f"from everywhere: {found.global_reason}", found.unread]
    return "; ".join(part for part in parts if part)


def _region(found: Stability) -> Figure | None:
    """The stability region of a scheme that the gradient flow alone can be asked for."""
    if found.reading is None or found.reading.amplification.size > 1:
        return None
    try:
        return plot_region(stability_region(found.discretizer))
    except (NotExactError, UnansweredQuestionError):
        return None


def _image(found: Stability) -> str | None:
    return None if found.formula is None else inline_formula(formula_latex(found.formula))


def _cell(value: Any) -> str:
    if isinstance(value, (float, np.floating)):
        return "–" if math.isnan(value) else "∞" if math.isinf(value) else f"{value:.6g}"
    return str(value)
