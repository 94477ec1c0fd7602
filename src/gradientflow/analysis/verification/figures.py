"""Drawing of how runs' numbers compare with what is proved. Nothing here computes a result."""

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes

from ..results.figure import Panel, lay_out
from ..results.palette import COLOURS

if TYPE_CHECKING:
    from .claims import Evidence, Verification

# A shade and a sign for each verdict, which words tell too.
_SHADES = {
    "proved": "#009E73", "certified": "#56B4E9", "measured": "#0072B2", "unknown": "#C8C8C8", "refuted": "#D55E00",
    "does not apply": "white",
}  # fmt: skip
# Longer names of claims are broken into lines.
_NAME = 44


def plot_verification(found: "Verification", **user: Any) -> Any:
    """The claims by their verdicts; and of a run how far its numbers are from the closed form."""
    evidence = {claim.name: claim.evidence for claim in found.claims if claim.evidence is not None}
    panels: list[Panel] = [lambda ax: _draw_claims(ax, found)]
    if evidence:
        panels.append(lambda ax: _draw_evidence(ax, evidence, legend=True))
    height = max(2.4, 1.2 + 0.45 * len(found.claims))
    return lay_out(panels, (8 if len(panels) == 1 else 13, max(height, 4.2 * (len(panels) > 1))), **user)


def _draw_claims(ax: Axes, found: "Verification") -> None:
    names = [textwrap.fill(claim.name, _NAME) for claim in found.claims]
    for row, claim in enumerate(found.claims):
        dark = claim.verdict in ("proved", "measured", "refuted")
        ax.barh(row, 1, height=0.8, color=_SHADES[claim.verdict], edgecolor="0.5", lw=0.8)
        sibling = "" if claim.sibling is None else f"; its false sibling {claim.sibling.grade}"
        ax.text(0.02, row, f"{claim.verdict}{sibling}", va="center", fontsize=9, color="white" if dark else "black")
    ax.set_yticks(range(len(names)), names, fontsize=9)
    ax.set(xticks=[], xlim=(0, 1), ylim=(len(names) - 0.5, -0.5), title=f"{found.subject}: {found.grade}")


def plot_evidence(evidence: "Mapping[str, Evidence]", **user: Any) -> Any:
    """The distance of each run from its proved closed form, and what is allowed, over time."""
    return lay_out([lambda ax: _draw_evidence(ax, evidence)], (10, 4.6), legend_below=4, **user)


def _draw_evidence(ax: Axes, evidence: "Mapping[str, Evidence]", legend: bool = False) -> None:
    for i, (label, found) in enumerate(evidence.items()):
        colour = COLOURS[i % len(COLOURS)]
        shown = np.isfinite(found.difference) & (found.difference > 0)
        ax.semilogy(found.t[shown], found.difference[shown], color=colour, marker=".", ms=3, lw=1, label=label)
        ax.semilogy(found.t, found.allowed, color=colour, ls=":", lw=1)
    ax.plot([], [], color="0.3", ls=":", label="allowed")
    ax.set(xlabel="time t", ylabel="largest difference of an entry", title="Runs against their proved closed forms")
    ax.grid(True, alpha=0.3)
    if legend:
        ax.legend(fontsize=9)
