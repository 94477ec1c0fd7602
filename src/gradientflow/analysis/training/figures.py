"""Drawing of what was found about training. Nothing here computes a result."""

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes

from gradientflow.discretizers import MinibatchWithReplacement

from ..results.figure import lay_out
from ..results.palette import COLOURS

if TYPE_CHECKING:
    from .gradient_noise import GradientNoise
    from .learning_rate import SuggestedRate
    from .report import TrainingReport
    from .validation import ValidationCurve


def plot_gradient_noise(noise: "GradientNoise", **user: Any) -> Any:
    """The noise of a batch's gradient over the batch size, beside the gradient."""
    return lay_out([lambda ax: _draw_noise(ax, noise)], (7, 4.6), **user)


def _draw_noise(ax: Axes, noise: "GradientNoise") -> None:
    sizes = np.unique(np.geomspace(1, noise.count, 60).astype(int))
    without = [np.sqrt(noise.variance(int(size))) for size in sizes[:-1]]
    independent = [np.sqrt(noise.variance(MinibatchWithReplacement(int(size)))) for size in sizes]
    ax.loglog(sizes[:-1], without, color=COLOURS[0], lw=2, label="a batch of an epoch")
    ax.loglog(sizes, independent, "--", color=COLOURS[1], lw=1.5, label="with replacement: ∝ 1/√B")
    ax.axhline(noise.grad_norm, color="black", lw=1, label="the gradient itself, ‖g‖")
    if sizes[0] <= noise.noise_scale <= sizes[-1]:
        ax.axvline(noise.noise_scale, color="0.5", lw=1, ls=":", label=f"noise scale {noise.noise_scale:.3g}")
    ax.set(xlabel="batch size B", ylabel="size of the gradient's noise", title=f"{noise.count} examples")
    ax.legend()


def plot_validation(curve: "ValidationCurve", **user: Any) -> Any:
    """Both curves over the steps, with the best row marked."""
    return lay_out([lambda ax: _draw_validation(ax, curve)], (7, 4.6), **user)


def _draw_validation(ax: Axes, curve: "ValidationCurve") -> None:
    ax.plot(curve.steps, curve.training, color=COLOURS[0], label="training")
    ax.plot(curve.steps, curve.validation, color=COLOURS[1], label="validation")
    best = curve.best
    ax.plot(curve.steps[best], curve.validation[best], "*", color="black", ms=14, zorder=4,
            label=f"best: step {curve.steps[best]}")  # fmt: skip
    ax.set(xlabel="step k", ylabel="energy")
    ax.legend()


def plot_rates(found: "SuggestedRate", **user: Any) -> Any:
    """The loss after short trials over their learning rates, with what is as good as the best."""
    return lay_out([lambda ax: _draw_rates(ax, found)], (7, 4.6), **user)


def _draw_rates(ax: Axes, found: "SuggestedRate") -> None:
    fine = ~found.failed
    ax.semilogx(found.rates[fine], found.losses[fine], "o-", color=COLOURS[0], label=f"after {found.steps} steps")
    top = found.start + 0.1 * (found.start - np.min(found.losses[fine], initial=found.start))
    ax.plot(found.rates[~fine], np.full(int(np.sum(~fine)), top), "x", color=COLOURS[1], label="failed")
    ax.axhline(found.start, color="0.6", lw=1, label="at the start")
    if np.isfinite(found.lr):
        ax.axvspan(*found.range, color=COLOURS[2], alpha=0.2, label="as good as the best")
        ax.axvline(found.lr, color="black", lw=1.5, label=f"lr = {found.lr:.3g}")
    ax.set(xlabel="learning rate", ylabel="loss")
    ax.legend(fontsize=9)


def plot_report(found: "TrainingReport", **user: Any) -> Any:
    """The loss over the last steps, beside the norms and the curvature."""
    return lay_out([lambda ax: _draw_watched(ax, found), lambda ax: _draw_norms(ax, found)], (11, 4.4), **user)


def _draw_watched(ax: Axes, found: "TrainingReport") -> None:
    _draw_over_steps(ax, found, {"value": "loss"})
    ax.set(xlabel="step k", ylabel="loss")


def _draw_norms(ax: Axes, found: "TrainingReport") -> None:
    _draw_over_steps(ax, found, {"grad_norm": "‖g‖", "update_norm": "‖update‖", "sharpness": "greatest curvature"})
    ax.set(xlabel="step k")
    ax.legend(fontsize=9)


def _draw_over_steps(ax: Axes, found: "TrainingReport", columns: dict[str, str]) -> None:
    for i, (name, label) in enumerate(columns.items()):
        values = found.evidence[name].to_numpy()
        seen = np.isfinite(values)
        steps = found.evidence.index.to_numpy()[seen]
        ax.plot(steps, values[seen], "o-" if name == "sharpness" else ".-", color=COLOURS[i], label=label)
        if seen.any() and (values[seen] > 0).all():
            ax.set_yscale("log")
    for step, colour in ((found.step, COLOURS[2]), (found.bad_step, COLOURS[1])):
        if step is not None:
            ax.axvline(step, color=colour, lw=1, ls=":")
