"""What is proved of a flow and of several methods, in one report."""

import dataclasses
import os
import pathlib
from collections import Counter
from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from gradientflow._files import write_folder

from ..results.grades import Grade, weakest
from ..results.page import inline_figure, inline_formula, render_page
from ..results.result import Result
from .claims import Claim, Evidence, Verification
from .figures import plot_evidence


@dataclasses.dataclass(frozen=True)
class VerificationSurvey(Result):
    """What is proved on one energy.

    Attributes:
        energy: the energy in a line; may be empty.
        entries: what was found of each flow and method, by label.
    """

    energy: str
    entries: Mapping[str, Verification]

    @property
    def grade(self) -> Grade:
        """That of the least certain entry; refuted if one is."""
        return weakest(found.grade for found in self.entries.values())

    def claims(self) -> dict[str, tuple[Claim, ...]]:
        """The claims by label, each where it is made first: methods share what is true of their flow."""
        seen: set[tuple[str, str]] = set()
        found = {}
        for label, verification in self.entries.items():
            new = tuple(c for c in verification.claims if (c.name, c.statement) not in seen)
            # A run's numbers are its own, whatever they are called.
            seen |= {(claim.name, claim.statement) for claim in new if claim.sibling is not None}
            if new:
                found[label] = new
        return found

    def table(self) -> pd.DataFrame:
        """One row a claim, with the subject it was made of."""
        tables = [Verification(label, claims).table().assign(subject=label) for label, claims in self.claims().items()]
        return pd.concat(tables).reset_index().set_index("subject")

    def save(self, directory: str | os.PathLike[str], experiment: str | None = None) -> None:
        """Writes `report.html`, `table.csv`, `figures/` where runs were given, and `EXPERIMENT.toml` if there is one.

        Raises:
            ValueError: if the directory can't be written.
        """
        evidence = self._evidence()
        figure = plot_evidence(evidence) if evidence else None

        def fill(folder: pathlib.Path) -> None:
            if figure is None:
                (folder / "figures").rmdir()
            else:
                figure.savefig(folder / "figures" / "runs.png", dpi=140)
            self.table().to_csv(folder / "table.csv")
            (folder / "report.html").write_text(self._page(figure, experiment), encoding="utf-8")
            if experiment is not None:
                (folder / "EXPERIMENT.toml").write_text(experiment, encoding="utf-8")

        write_folder(directory, fill)

    def _evidence(self) -> dict[str, Evidence]:
        """The numbers behind claims about runs, by label."""
        return {
            label: claim.evidence
            for label, claims in self.claims().items()
            for claim in claims
            if claim.evidence is not None
        }

    def _page(self, figure: Figure | None, experiment: str | None) -> str:
        subjects = self.claims()
        grades = Counter(claim.verdict for claims in subjects.values() for claim in claims)
        return render_page(
            "verification.html.jinja",
            energy=self.energy or "Flows and methods",
            counts=", ".join(f"{count} {grade}" for grade, count in grades.items()),
            subjects=[
                (
                    label,
                    [
                        {**_fields(claim), "verdict": claim.verdict, "formula": inline_formula(claim.statement)}
                        for claim in claims
                    ],
                )
                for label, claims in subjects.items()
            ],
            figure=None if figure is None else inline_figure(figure),
            experiment=experiment,
        )

    def __repr__(self) -> str:
        """One line a claim."""
        return "\n".join(repr(Verification(label, claims)) for label, claims in self.claims().items())


def _fields(claim: Claim) -> dict[str, object]:
    return {field.name: getattr(claim, field.name) for field in dataclasses.fields(claim)}
