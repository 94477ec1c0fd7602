"""An energy as it is: its graph on a line, its contours in the plane."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes

from gradientflow.flows import Energy, Flow, Trajectory
from gradientflow.flows.checks import by_name, in_a_line

from ..comparison.plane import draw_landscape, rows_of
from ..curvature.spectrum import energy_of
from ..results.figure import lay_out
from ..results.grid import values_on
from ..results.palette import COLOURS
from .asked import paths_of, planar_state
from .fields import field, phase_portrait

_FINE = 600


@by_name
def landscape(
    E: Any, box: Any = None, *, paths: Trajectory | Iterable[Trajectory] = (), ax: Any = None,
    figsize: Sequence[float] | None = None, title: str | None = None,
) -> Any:  # fmt: skip
    """Contours of an energy in the plane with −∇E as arrows and its minimizer, or its graph on a line.

    Args:
        E: the energy, or a function, of two numbers, or of one.
        box: ((x0, x1), (y0, y1)), or (x0, x1); where a landscape is usually drawn unless given.
        paths: trajectories to draw on it, or one.
        ax: axes to draw into instead of a figure of its own.
        figsize: width and height in inches; without `ax`.
        title: a title.

    Returns:
        The figure, which a notebook shows; with `ax`, the axes.

    Raises:
        TypeError: for what is no energy.
        ValueError: if `box` is none, or not given where no domain is known.

    Example:
        >>> import gradientflow as gf
        >>> len(gf.plots.landscape(gf.landscapes.beale()).axes)
        1
    """
    energy = energy_of("landscape", E)
    bounds = _bounds(getattr(energy, "domain", None) if box is None else box)
    drawn = paths_of("plot", paths)
    if len(bounds) == 2 and not _takes(energy, (2,)):
        raise ValueError(
            "plot: a box of two pairs of bounds is for an energy of two numbers, and this one takes none such; "
            "gf.plots.plane(E, x) cuts one of more unknowns"
        )

    def plane(ax: Axes) -> None:
        draw_landscape(ax, energy, bounds)
        minimizers = getattr(energy, "minima", ()) or (() if energy.minimizer is None else (energy.minimizer,))
        for point in minimizers:
            ax.plot(*np.asarray(point), "*", mfc="gold", mec="black", ms=13, zorder=4)
        for i, path in enumerate(drawn):
            points = rows_of(path)[1]
            ax.plot(*points.T, ".-", color=COLOURS[i % len(COLOURS)], ms=4, lw=1.4)
            ax.plot(*points[0], "o", mfc="white", mec="black", ms=6, zorder=4)
        ax.set(xlim=bounds[0], ylim=bounds[1], xlabel="$x_1$", ylabel="$x_2$")

    def graph(ax: Axes) -> None:
        xs = np.linspace(*bounds[0], _FINE)
        ax.plot(xs, _on_a_line(energy, xs), color="0.4", lw=1.8)
        for i, path in enumerate(drawn):
            x = rows_of(path)[1][:, 0]
            ax.plot(x, np.asarray(path.energy), ".-", color=COLOURS[i % len(COLOURS)], ms=6, lw=1.0)
        ax.set(xlim=bounds[0], xlabel="x", ylabel="E")
        ax.grid(True, alpha=0.3)

    return lay_out([plane if len(bounds) == 2 else graph], (6.4, 5.2), ax=ax, figsize=figsize, title=title)


def plot_flow(flow: Flow, box: Any = None, **user: Any) -> Any:
    """The field of a flow of points of the plane; of place and velocity its phase portrait.

    Raises:
        ValueError: if the states are neither, or `box` is none or not given where no domain is known.
    """
    z = planar_state("plot", flow)
    draw = field if flow.velocity(z) is None else phase_portrait
    if box is None and (draw is field and flow.has_energy):
        box = getattr(flow.energy, "domain", None)
    return draw(flow, _bounds(box), **user)


def _takes(energy: Energy, shape: tuple[int, ...]) -> bool:
    try:
        return jax.eval_shape(energy.value, jnp.zeros(shape)).shape == ()
    except Exception:
        # What an energy says to a position of another shape is its own affair.
        return False


def _on_a_line(energy: Energy, xs: np.ndarray) -> np.ndarray:
    # Of a number, or of a vector of one.
    for shape in ((), (1,)):
        if _takes(energy, shape):
            return np.asarray(values_on(energy, jnp.zeros(shape), jnp.ones((1, 1)), (jnp.asarray(xs),)), dtype=float)
    raise ValueError("plot: a box of one pair of bounds is for an energy of one number; this one takes none")


def _bounds(box: Any) -> tuple[tuple[float, float], ...]:
    if box is None:
        raise ValueError("plot: `box` must say where to draw, ((-2, 2), (-1, 1)) say; only landscapes know it")
    try:
        found = np.asarray(box, dtype=float).reshape(-1, 2)
    except (TypeError, ValueError):
        found = np.full((1, 2), math.nan)
    if len(found) > 2 or not (np.isfinite(found).all() and (found[:, 0] < found[:, 1]).all()):
        raise ValueError(
            f"plot: `box` must be two pairs of bounds, ((-2, 2), (-1, 1)) say, or one, got {in_a_line(box)}"
        )
    return tuple((float(a), float(b)) for a, b in found)
