"""Drawing of a log. Nothing here computes a result."""

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes

from ..results.figure import lay_out
from ..results.palette import COLOURS

if TYPE_CHECKING:
    from .log import LogReading


def plot_log(found: "LogReading", **user: Any) -> Any:
    """The loss and where it began; the norms and the learning rate where the log has them."""
    others = [name for name in ("lr", "grad_norm", "update_norm") if name in found.log]
    panels = [lambda ax: _draw_loss(ax, found), *([lambda ax: _draw_others(ax, found, others)] if others else [])]
    return lay_out(panels, (6.5 * len(panels), 4.2), **user)


def _draw_loss(ax: Axes, found: "LogReading") -> None:
    loss = found.log["loss"].to_numpy(dtype=float)
    ax.plot(found.log["step"], np.where(np.isfinite(loss), loss, np.nan), color=COLOURS[0], lw=1.5, label="loss")
    counter = found.log.attrs.get("counter", "step")
    if found.step is not None:
        ax.axvline(found.step, color=COLOURS[1], ls="--", lw=1.2, label=f"from {counter} {found.step}")
    finite = loss[np.isfinite(loss)]
    if len(finite) and finite.min() > 0 and finite.max() > 20 * finite.min():
        ax.set_yscale("log")
    ax.set(xlabel=counter, ylabel="loss", title=found.verdict)
    ax.legend(fontsize=9)


def _draw_others(ax: Axes, found: "LogReading", names: list[str]) -> None:
    for colour, name in zip(COLOURS, names, strict=False):
        values = found.log[name].to_numpy(dtype=float)
        ax.plot(found.log["step"], np.where(values > 0, values, np.nan), color=colour, lw=1.5, label=name)
    ax.set(xlabel=found.log.attrs.get("counter", "step"), yscale="log", title="beside it")
    ax.legend(fontsize=9)
