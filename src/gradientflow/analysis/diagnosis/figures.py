"""Drawing of a diagnosis. Nothing here computes a result."""

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes

from ..results.figure import lay_out
from ..results.palette import COLOURS

if TYPE_CHECKING:
    from .diagnosis import Diagnosis

# Of the replays so many are drawn, and labels are cut.
_MOST_REPLAYS, _LABEL = 12, 34


def plot_diagnosis(found: "Diagnosis", **user: Any) -> Any:
    """The loss and where it began, the norms, the sharpness against its threshold, and how the replays ended."""
    panels = [_draw_loss, _draw_norms, _draw_sharpness, _draw_replays]
    return lay_out([lambda ax, draw=draw: draw(ax, found) for draw in panels], (12, 8), shape=(2, 2), **user)


def _draw_loss(ax: Axes, found: "Diagnosis") -> None:
    steps, loss = found.evidence.index.to_numpy(), found.evidence["loss"].to_numpy()
    ax.plot(steps, loss, color=COLOURS[0], lw=1.5, label="loss of each step's batch")
    odd = found.evidence["not finite"].to_numpy() != ""
    if found.cause not in ("healthy", "step_too_short") or not found.survived:
        ax.axvline(found.step, color=COLOURS[1], ls="--", lw=1.2, label=f"it began at step {found.step}")
    if odd.any():
        ax.axvline(steps[odd][0], color="black", ls=":", lw=1.2, label=f"not finite from step {steps[odd][0]}")
    _scale(ax, loss)
    ax.set(xlabel="step", ylabel="loss", title=found.cause.replace("_", " "))
    ax.legend(fontsize=9)


def _draw_norms(ax: Axes, found: "Diagnosis") -> None:
    steps = found.evidence.index.to_numpy()
    for colour, name, label in zip(
        COLOURS, ("gradient", "update", "params"), ("‖gradient‖", "‖update‖", "‖params‖"), strict=False
    ):
        values = found.evidence[name].to_numpy(dtype=float)
        ax.plot(steps, np.where(np.isfinite(values) & (values > 0), values, np.nan), color=colour, lw=1.5, label=label)
    ax.set(xlabel="step", title="sizes", yscale="log")
    ax.legend(fontsize=9)


def _draw_sharpness(ax: Axes, found: "Diagnosis") -> None:
    table = found.sharpness
    good = np.isfinite(table["ratio"].to_numpy(dtype=float)) & (table["ratio"].to_numpy(dtype=float) > 0)
    ax.set(xlabel="before step", title="sharpness of the step, of what it may be")
    if not good.any():
        why = next((str(reason) for reason in table["why not"] if reason), "nothing to read")
        ax.text(0.5, 0.5, why, transform=ax.transAxes, ha="center", va="center", wrap=True)
        ax.set(xticks=[], yticks=[])
        return
    ax.plot(table["step"][good], table["ratio"][good], "o-", color=COLOURS[0], label="λ_max(P⁻¹H) / threshold")
    ax.axhline(1, color=COLOURS[1], ls="--", lw=1.2, label="above this the step is too long")
    ax.set_yscale("log")
    ax.legend(fontsize=9)


def _draw_replays(ax: Axes, found: "Diagnosis") -> None:
    table = found.replays.iloc[:_MOST_REPLAYS]
    ax.set(title="the run again, one thing changed", xlabel="loss at the end")
    if not len(table):
        ax.text(0.5, 0.5, "no replay was needed", transform=ax.transAxes, ha="center", va="center")
        ax.set(xticks=[], yticks=[])
        return
    loss = table["loss at the end"].to_numpy(dtype=float)
    good = table["survives"].to_numpy(dtype=bool)
    finite = np.isfinite(loss)
    start = float(found.evidence["loss"].iloc[0])
    known = loss[finite]
    positive = (len(known) == 0 or known.min() > 0) and start > 0
    shown_to = [start, *np.minimum(known, 100 * abs(start))]
    wide = positive and (len(known) < len(loss) or max(shown_to) > 30 * min(shown_to))
    # What ended as high as astronomy is "very high" here: a mark at the edge.
    edge = (100 if wide else 2) * max(abs(start), *np.abs(known[known < 100 * abs(start)]), 1e-12)
    edge = min(edge, 100 * max(abs(start), 1e-12))
    low = max(float(known.min()) if len(known) else start, start * 1e-8) if positive else None
    places = np.arange(len(table))[::-1]
    for place, value, ok in zip(places, loss, good, strict=True):
        shown = edge if not np.isfinite(value) or value > edge else max(value, low) if low is not None else value
        ax.plot(shown, place, "o" if ok else "x", color=COLOURS[2] if ok else COLOURS[1], ms=8, mew=2)
    ax.plot([], [], "o", color=COLOURS[2], label="survives")
    ax.plot([], [], "x", color=COLOURS[1], mew=2, ls="", label="does not (at the edge: far higher, or not finite)")
    ax.axvline(start, color="0.5", lw=1, ls=":", label="loss at the start")
    if wide:
        ax.set_xscale("log")
    ax.set_yticks(places, [_short(label, k) for label, k in zip(table["changed"], table["from step"], strict=True)],
                  fontsize=8)  # fmt: skip
    ax.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.3, -0.16), ncols=3, frameon=False)


def _short(label: str, k: int) -> str:
    cut = label if len(label) <= _LABEL else label[: _LABEL - 1] + "…"
    return f"{cut}, from {k}"


def _scale(ax: Axes, loss: np.ndarray) -> None:
    finite = loss[np.isfinite(loss)]
    if len(finite) and finite.min() > 0 and finite.max() > 20 * finite.min():
        ax.set_yscale("log")
    elif len(finite) and np.abs(finite).max() > 1e6:
        ax.set_yscale("symlog")
