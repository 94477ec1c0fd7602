"""The figures of worst cases."""

from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch

from gradientflow.flows import Quadratic

from ..results.figure import lay_out
from ..results.grades import Grade
from ..results.palette import COLOURS

if TYPE_CHECKING:
    from .convergence_map import ConvergenceMap
    from .cycles import Cycle

_SHADES = {
    "proved": "#009E73",
    "a quadratic refutes it": "#D55E00",
    "a cycle refutes it": "#E69F00",
    "unknown": "#C8C8C8",
}
# Up to so many cells the periods are legible.
_LEGIBLE = 400


def plot_convergence_map(found: "ConvergenceMap", **user: Any) -> Any:
    """Each cell by how it was decided; cycles with their periods."""
    return lay_out([lambda ax: _draw_cells(ax, found)], (7.6, 5.6), **user)


def _draw_cells(ax: Axes, found: "ConvergenceMap") -> None:
    kinds = np.full(found.grades.shape, 3)
    kinds[found.grades == Grade.PROVED] = 0
    kinds[found.periods == 1] = 1
    kinds[found.periods > 1] = 2
    ax.pcolormesh(
        found.horizontal, found.vertical, kinds, cmap=ListedColormap(list(_SHADES.values())), vmin=-0.5, vmax=3.5,
        shading="nearest",
    )  # fmt: skip
    written = np.argwhere((found.periods > 1) & (found.periods.size <= _LEGIBLE)).tolist()
    for i, j in written:
        x, y = float(found.horizontal[j]), float(found.vertical[i])
        ax.text(x, y, f"{found.periods[i, j]}", ha="center", va="center", fontsize=8)
    ax.legend(
        handles=[Patch(color=shade, label=label) for label, shade in _SHADES.items()], loc="upper center", ncols=4,
        bbox_to_anchor=(0.5, -0.12), frameon=False,
    )  # fmt: skip
    first, second = found.names
    numbers = "; numbers are cycles' periods" if written else ""
    ax.set(xlabel=first, ylabel=second, title=f"{found.optimizer} on all of {found.energies}{numbers}")


def plot_cycle(cycle: "Cycle", **user: Any) -> Any:
    """The energy's levels, the orbit on them, and its distance to the minimizer."""
    panels = [lambda ax: _draw_orbit(ax, cycle), lambda ax: _draw_distance(ax, cycle)]
    return lay_out(panels, (11, 4.8), width_ratios=(1.15, 1), **user)


def _draw_orbit(left: Axes, cycle: "Cycle") -> None:
    reach = 1.35 * float(np.abs(cycle.points).max())
    axis = np.linspace(-reach, reach, 161)
    levels = cycle.values(np.stack(np.meshgrid(axis, axis), axis=-1))
    left.contour(axis, axis, levels, levels=14, colors="0.75", linewidths=0.8)
    closed = np.vstack([cycle.points, cycle.points[:1]])
    left.plot(closed[:, 0], closed[:, 1], "o-", color=COLOURS[1], label=f"the cycle, {cycle.period} steps")
    left.plot(0, 0, "*", color="black", ms=12, label="minimizer")
    title = f"an energy of {cycle.energies} on which it never arrives"
    left.set(aspect="equal", title=title, xlabel="$x_1$", ylabel="$x_2$")
    left.legend(loc="upper right")


def _draw_distance(right: Axes, cycle: "Cycle") -> None:
    steps = max(60, 4 * cycle.period)
    run = cycle.run(steps)
    rate, lam = cycle.problem.slowest()
    on_quadratic = cycle.run(steps, Quadratic(lam * jnp.eye(2)))
    right.semilogy(np.linalg.norm(run, axis=-1), ".-", color=COLOURS[1], label="on this energy")
    label = f"on the slowest quadratic: {rate:.4g} a step"
    right.semilogy(np.linalg.norm(on_quadratic, axis=-1), ".-", color=COLOURS[0], label=label)
    right.set(xlabel="step k", ylabel="$\\|x_k - x^*\\|$", title="distance to the minimizer")
    right.legend(loc="lower left")
    right.grid(True, alpha=0.3)
