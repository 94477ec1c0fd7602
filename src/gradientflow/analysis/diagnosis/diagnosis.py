"""What `why` answers: what happened, why, the evidence, and what would have helped."""

import dataclasses
import os
import pathlib
import textwrap

import numpy as np
import pandas as pd

from gradientflow import _files

from ..results.grades import Grade, Graded
from ..results.result import Drawn
from .causes import Cause

_WIDTH = 100


@dataclasses.dataclass(frozen=True, repr=False)
class Diagnosis(Graded, Drawn):
    """Why a training run does what it does.

    `.plot()` draws the loss with where it began, the norms, the sharpness against its threshold, and the replays.

    Attributes:
        cause: the cause; of several true ones the most specific that alone, taken away, lets the run survive.
        also: the others.
        step: the step at which it began; that of the first step where nothing did.
        happened: what happened, in a sentence.
        says: why, in a sentence.
        observed: the evidence, a sentence each.
        helps: what would have helped, a sentence each.
        safe_scale: the largest multiple of the updates with which the run survives, to 20 %, as by
            `optax.chain(optimizer, optax.scale(s))` from the start: finite, and the loss at the end below the start's,
            or, gone on with where it had stopped falling, at its level.
            At least 1 where the run survives; 0 where no multiple was found.
        local_scale: the multiple that the curvature at the start allows; NaN where it can't be read, as of averages of
            squared gradients that have seen none yet.
        evidence: a row a step: loss, norms of gradient, update and parameters, overall and by layer, the share of
            the updates lost in rounding.
        sharpness: a row a reading: sharpness, its error, its threshold, their ratio, by layer.
        replays: a row a replay: what was changed, from which step, how it ended.
        survived: whether the run itself was finite, and ended below its start.
        steps: how many steps were asked for: what was not seen in so many is not said.
    """

    drawn_by = "diagnosis.figures:plot_diagnosis"

    cause: Cause
    also: tuple[Cause, ...]
    step: int
    happened: str
    says: str
    observed: tuple[str, ...]
    helps: tuple[str, ...]
    safe_scale: float
    local_scale: float
    evidence: pd.DataFrame
    sharpness: pd.DataFrame
    replays: pd.DataFrame
    survived: bool
    steps: int

    @property
    def grade(self) -> Grade:
        """Measured, by runs of so many steps; unknown where the evidence doesn't decide."""
        return Grade.UNKNOWN if self.cause is Cause.UNKNOWN else Grade.MEASURED

    def why_so(self) -> str:
        """Why it has its grade."""
        if self.cause is Cause.UNKNOWN:
            return "no cause that was checked stood its replay"
        return f"seen in runs of {self.steps} steps, in floating point"

    @property
    def headline(self) -> str:
        """The cause, what happened and why."""
        return "\n".join(["why: " + self.cause.replace("_", " "), self.happened, *([self.says] if self.says else [])])

    def table(self) -> pd.DataFrame:
        """The replays."""
        return self.replays

    def __repr__(self) -> str:
        """In words: what happened, since when, why, the evidence, what would have helped, each with its grade."""
        also = f"; also {', '.join(c.replace('_', ' ') for c in self.also)}" if self.also else ""
        lines = [f"{self.cause.replace('_', ' ')}{also} ({self.grade}: {self.reason})", ""]
        lines += _wrapped("What happened", [self.happened])
        lines += _wrapped("Why", [self.says] if self.says else [])
        lines += _wrapped("Evidence (measured)", self.observed)
        lines += _wrapped("What would have helped (tried where it says so)" if self.helps else "", self.helps)
        lines += _wrapped("How long a step may be", [self.scale_in_words()])
        if len(self.replays):
            lines += ["", "Replays, one thing changed in each:"]
            lines += ["  " + line for line in _shown(self.replays).to_string(index=False).split("\n")]
        return "\n".join(lines)

    def save(self, directory: str | os.PathLike[str]) -> None:
        """Writes report.html, one file that links to nothing, and its tables as CSV beside it.

        Args:
            directory: the folder, made if it isn't there.

        Raises:
            ValueError: if it can't be written.
        """
        from .report import report

        page, figure = report(self), self.plot()

        def fill(folder: pathlib.Path) -> None:
            figure.savefig(folder / "figures" / "why.png", dpi=110)
            (folder / "report.html").write_text(page, encoding="utf-8")
            for name in ("evidence", "replays", "sharpness"):
                getattr(self, name).to_csv(folder / f"{name}.csv", index=name == "evidence")

        _files.write_folder(directory, fill)

    def to_dict(self) -> dict[str, object]:
        """All but the tables of evidence, in plain values: for JSON."""
        return {
            "cause": str(self.cause), "also": [str(c) for c in self.also], "step": self.step, "grade": str(self.grade),
            "reason": self.reason, "happened": self.happened, "why": self.says, "evidence": list(self.observed),
            "helps": list(self.helps), "safe_scale": _plain(self.safe_scale), "local_scale": _plain(self.local_scale),
            "replays": [{k: _plain(v) for k, v in row.items()} for row in self.replays.to_dict("records")],
        }  # fmt: skip

    def scale_in_words(self) -> str:
        """How long a step may be, in a sentence or two."""
        if np.isnan(self.safe_scale):
            return "Not asked."
        if self.safe_scale == 0:
            measured = "No multiple of the updates was found with which the run survives"
        else:
            least = "at least " if self.safe_scale >= 1024 else ""
            measured = (
                f"With updates multiplied by up to {least}{self.safe_scale:.3g} (to 20 %) the loss ends below its start"
            )
        local = ""
        if np.isfinite(self.local_scale):
            local = (
                f" The curvature at the start allows {self.local_scale:.3g} (measured there; it changes on the way)."
            )
        limit = ": a limit, no advice" if self.safe_scale else ""
        return f"{measured} (measured by runs of {self.steps} steps from the start){limit}.{local}"


def _wrapped(title: str, sentences: object) -> list[str]:
    if not sentences:
        return []
    lines = [title + ":"]
    for sentence in sentences:  # pyright: ignore[reportGeneralTypeIssues]
        text = sentence[:1].upper() + sentence[1:]
        text = text if text.endswith((".", "`")) else text + "."
        lines += textwrap.wrap(text, _WIDTH, initial_indent="  ", subsequent_indent="  ")
    return lines


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    def cell(value: object) -> str:
        if isinstance(value, (float, np.floating)):
            return "–" if np.isnan(value) else f"{value:.4g}"
        if isinstance(value, (bool, np.bool_)):
            return "yes" if value else "no"
        return str(value)

    return table.map(cell)


def _plain(value: object) -> object:
    if isinstance(value, (float, np.floating)):
        return float(value) if np.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value
