"""Claims: what is said, how certain it is, and what refutes it."""

import dataclasses
import os
from collections.abc import Iterator

import numpy as np
import pandas as pd

from ..results.grades import Grade, weakest
from ..results.result import Drawn, Result


@dataclasses.dataclass(frozen=True)
class Evidence:
    """A run's numbers against a closed form.

    Attributes:
        t: the times, shape (n,).
        difference: the largest difference of an entry of the position at each, shape (n,).
        allowed: how large it may be, shape (n,).
    """

    t: np.ndarray
    difference: np.ndarray
    allowed: np.ndarray


@dataclasses.dataclass(frozen=True)
class Claim(Result):
    """One statement, decided.

    Attributes:
        name: what it is about, in a few words.
        statement: the statement, in LaTeX.
        grade: how certain it is.
        reason: how it was decided.
        counterexample: where it fails, if it is refuted; else `None`.
        sibling: a false statement of the same kind (a wrong sign, a factor of two) that the same code was given: it
            must be refuted, or the proof would prove anything. `None` for measured claims.
        evidence: the numbers behind a claim about a run; else `None`.
        applies: whether it is about what was asked: the conditions under which it is made were tested on it. `None`
            where that is not known. Where it doesn't apply its grade is unknown, and the reason says why.
    """

    name: str
    statement: str
    grade: Grade
    reason: str
    counterexample: str | None = None
    sibling: "Claim | None" = None
    evidence: Evidence | None = dataclasses.field(default=None, repr=False)
    applies: bool | None = True

    @property
    def verdict(self) -> str:
        """Its grade, or that it does not apply."""
        return "does not apply" if self.applies is False else str(self.grade)

    def latex(self) -> str:
        """The statement."""
        return self.statement

    def __repr__(self) -> str:
        """The verdict, and how it was found."""
        return f"{self.name}, {self.verdict}: {self.reason}"


@dataclasses.dataclass(frozen=True)
class Verification(Drawn):
    """What `verify` found.

    Its figure: the claims by their grades; and of a run how far its numbers are from the closed form, and may be.

    Attributes:
        subject: what it is about.
        claims: the claims, decided.
    """

    drawn_by = "verification.figures:plot_verification"

    subject: str
    claims: tuple[Claim, ...]

    @property
    def grade(self) -> Grade:
        """That of the least certain claim that applies; refuted if one is."""
        return weakest(claim.grade for claim in self.claims if claim.applies)

    @property
    def all_proved(self) -> bool:
        """Whether every claim that applies is proved, and every false sibling refuted.

        Claims that don't apply to what was asked, or of which that isn't known, don't count; nor do those about a run's
        numbers, which are measured.
        """
        about_formulas = [claim for claim in self.claims if claim.applies and claim.grade is not Grade.MEASURED]
        siblings = [claim.sibling for claim in about_formulas if claim.sibling is not None]
        return all(claim.grade is Grade.PROVED for claim in about_formulas) and all(
            sibling.grade is Grade.REFUTED for sibling in siblings
        )

    @property
    def headline(self) -> str:
        """What it is about."""
        return self.subject

    def table(self) -> pd.DataFrame:
        """One row a claim: name, grade, statement in LaTeX, reason, and the false sibling's counterexample."""
        rows = [
            {"claim": c.name, "grade": c.verdict, "statement": c.statement, "reason": c.reason,
             "counterexample": c.counterexample or "",
             "false sibling": "" if c.sibling is None else f"{c.sibling.grade}: {c.sibling.counterexample}"}
            for c in self.claims
        ]  # fmt: skip
        return pd.DataFrame(rows).set_index("claim")

    def latex(self) -> str:
        """The statements that apply, a line each behind its grade."""
        stated = [claim for claim in self.claims if claim.applies is not False]
        lines = [rf"&\text{{{claim.grade}:}} && {claim.statement}" for claim in stated]
        return "\n".join([r"\begin{aligned}", " \\\\\n".join(lines), r"\end{aligned}"])

    def save(self, directory: str | os.PathLike[str]) -> None:
        """Writes `report.html` and `table.csv` into a directory, made if it isn't there.

        Raises:
            ValueError: if the directory can't be written.
        """
        from .survey import VerificationSurvey

        VerificationSurvey("", {self.subject: self}).save(directory)

    def __iter__(self) -> Iterator[Claim]:
        return iter(self.claims)

    def __repr__(self) -> str:
        """One line a claim."""
        width = max((len(claim.verdict) for claim in self.claims), default=0)
        lines = [f"{claim.verdict:>{max(width, 9)}}  {claim.name}: {claim.reason}" for claim in self.claims]
        return "\n".join([f"{self.subject}, {self.grade}", *lines])
