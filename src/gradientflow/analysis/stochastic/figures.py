"""Drawing of what was found of noise. Nothing here computes a result."""

from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes

from ..results.figure import lay_out
from ..results.palette import COLOURS

if TYPE_CHECKING:
    from .density import StationaryDensity
    from .strong_order import StrongOrder


def plot_density(density: "StationaryDensity", **user: Any) -> Any:
    """The scheme's density over the flow's, e^{−E/T}."""
    return lay_out([lambda ax: _draw_density(ax, density)], (7, 4.6), **user)


def _draw_density(ax: Axes, density: "StationaryDensity") -> None:
    ax.fill_between(density.x, density.flow, color="0.85", label="the flow's, ∝ exp(−E/T)")
    ax.plot(density.x, density.scheme, color=COLOURS[1], label="the scheme's")
    ax.set(xlabel="x", ylabel="stationary density", title="What long runs visit")
    ax.set_ylim(bottom=0)
    ax.legend()


def plot_strong_order(found: "StrongOrder", **user: Any) -> Any:
    """Errors along one Brownian path over the step, with their sampling errors and the line fitted to them."""
    return lay_out([lambda ax: _draw_strong_order(ax, found)], (7, 4.6), **user)


def _draw_strong_order(ax: Axes, found: "StrongOrder") -> None:
    h = found.h
    ax.errorbar(
        h, found.errors, 2 * found.standard_errors, fmt="o", color=COLOURS[0], capsize=3, label="± 2 standard errors"
    )
    middle = (found.errors / h**found.order).prod() ** (1 / len(h))
    ax.plot(h, middle * h**found.order, color="0.4", lw=1, label=f"order {found.order:.2f}")
    ax.set(
        xscale="log", yscale="log", xlabel="step h", ylabel="root-mean-square error at the end",
        title="How the error along one Brownian path falls with the step",
    )  # fmt: skip
    ax.grid(True, which="major", alpha=0.3)
    ax.legend()
