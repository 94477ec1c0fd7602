"""A diagnosis as one page that links to nothing outside itself."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..results.page import inline_figure, render_page

if TYPE_CHECKING:
    from .diagnosis import Diagnosis
    from .log import LogReading


def report(found: "Diagnosis") -> str:
    """The page."""
    sections = [
        ("What happened", [_sentence(found.happened)]),
        ("Why", [_sentence(found.says)]),
        ("Evidence", [_sentence(one) for one in found.observed]),
        ("What would have helped", [_sentence(one) for one in found.helps]),
        ("How long a step may be", [found.scale_in_words()]),
    ]
    tables = [
        ("Replays", "The run again from a checkpoint, with one thing changed. It survives if it stays finite and ends "
         "below the start of the run.", *_cells(found.replays)),
        ("Sharpness", "λ_max(P⁻¹H) of the optimizer's own step with what it adapts held, against the greatest that is "
         "stable; by layer: the share of the unstable direction.", *_cells(found.sharpness)),
    ]  # fmt: skip
    caption = "The loss; sizes of gradient, update and parameters; the sharpness against its threshold; the replays."
    return render_page(
        "diagnosis.html.jinja", cause=found.cause.replace("_", " "), grade=str(found.grade), reason=found.reason,
        subject="From step " + str(found.step) + ".", horizon=f"{found.steps} steps",
        sections=[(heading, lines) for heading, lines in sections if any(lines)],
        figures=[(caption, inline_figure(found.plot()))], tables=[t for t in tables if t[3]],
    )  # fmt: skip


def report_log(found: "LogReading") -> str:
    """The page of what a log says."""
    sections = [("What is seen", [_sentence(one) for one in found.seen]),
                ("What that can mean", [_sentence(one) for one in found.meanings]),
                ("What would tell", [_sentence(one) for one in found.would_tell])]  # fmt: skip
    return render_page(
        "diagnosis.html.jinja", cause=found.verdict, grade=str(found.grade), reason=found.reason,
        subject=f"From a log of {len(found.log)} rows.", horizon=f"{len(found.log)} rows",
        sections=[(heading, lines) for heading, lines in sections if lines],
        figures=[("The loss over the steps.", inline_figure(found.plot()))], tables=[],
    )  # fmt: skip


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if not text or text.endswith((".", "`")) else text + "."


def _cells(table: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    table = table.loc[:, [not (column == "").all() for _, column in table.items()]]
    return [str(c) for c in table.columns], [[_cell(v) for v in row] for row in table.itertuples(index=False)]


def _cell(value: Any) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (float, np.floating)):
        return "–" if np.isnan(value) else f"{value:.4g}"
    return str(value)
