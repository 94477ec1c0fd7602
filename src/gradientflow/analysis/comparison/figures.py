"""Drawing: figures of what the analyses computed. Nothing here computes a result."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from gradientflow.flows import Trajectory
from gradientflow.flows.saved import take_apart

from ..results.figure import Panel, lay_out
from ..results.palette import COLOURS
from .plane import Track, draw_tracks, rows_of, smooth

if TYPE_CHECKING:
    from .compare import Comparison
    from .observed_order import ObservedOrder

FLOW_COLOUR = "black"
_MARKERS = "osD^vPX*"
# Beyond this ratio, curves are not told apart on a linear scale.
_LINEAR = 1e3
# Ticks of an axis overshoot its end, by as many powers of ten as it has.
_LARGEST = 1e120
# So far is seen of what diverges, beside what converges.
_TALLEST = 3e11
# Larger errors are those of a run that diverges, and show no order.
_TALLEST_ERROR = 1e6
# So many unknowns are told apart over time, and drawn.
_MOST_UNKNOWNS = 6
# One line, and one of many.
_WIDTHS = (1.5, 0.8)


def plot_comparison(comparison: "Comparison", **user: Any) -> Any:
    """The plane (where there is one), energy over time, and the error against the flow, side by side."""
    planar = is_planar(comparison.path.x)
    panels = [draw_plane] * planar + [draw_energy, draw_errors]
    return lay_out(_of(comparison, panels), (15 if planar else 10, 5.0), legend_below=4, **user)


def plot_plane(comparison: "Comparison", **user: Any) -> Any:
    """Contours of the energy, its gradient field, the flow and the iterates."""
    return lay_out(_of(comparison, [draw_plane]), (7.5, 6.6), legend_below=2, **user)


def plot_curves(comparison: "Comparison", **user: Any) -> Any:
    """Energy, distance to the minimizer (where it is known) and error against the flow, over the flow's time."""
    known = comparison.flow.energy.minimizer is not None
    panels = [draw_energy] + [draw_distance] * known + [draw_errors]
    return lay_out(_of(comparison, panels), (15 if known else 10, 4.8), legend_below=4, **user)


def plot_orders(comparison: "Comparison", **user: Any) -> Any:
    """The largest error of each method against its step, with the slope that it shows."""
    return lay_out(_of(comparison, [draw_orders]), (7.5, 5.0), **user)


def draw_orders(ax: Axes, comparison: "Comparison") -> None:
    """Errors over the step, on logarithmic scales."""
    for (label, entry), colour, marker in styled(comparison):
        if entry.order is not None:
            _draw_order(ax, entry.order, f"{label}: order", color=colour, marker=marker, ms=4)
    _label_orders(ax)


def plot_order(order: "ObservedOrder", **user: Any) -> Any:
    """The largest error against the step, with the slope that it shows."""

    def draw(ax: Axes) -> None:
        _draw_order(ax, order, "order", color=COLOURS[0], marker="o", ms=4)
        _label_orders(ax)

    return lay_out([draw], (7.5, 5.0), **user)


def _draw_order(ax: Axes, order: "ObservedOrder", label: str, **style: Any) -> None:
    finite = np.isfinite(order.errors) & (order.errors < _TALLEST_ERROR)
    ax.loglog(order.h[finite], order.errors[finite], label=f"{label} {order.order:.2f}", **style)


def _label_orders(ax: Axes) -> None:
    ax.set(xlabel="step h", ylabel="largest error against the flow", title="How the error falls with the step")
    ax.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter("{x:.3g}")
    ax.xaxis.set_minor_formatter(ticker.NullFormatter())
    ax.grid(True, which="major", alpha=0.3)
    if ax.lines:
        ax.legend(fontsize=9)


def plot_trajectory(trajectory: Trajectory, **user: Any) -> Any:
    """Energy and gradient norm over time, and the path in the plane or few unknowns over time; of a batch all lanes."""
    fine = smooth(trajectory)
    panels: list[Panel] = [lambda ax: _draw_own_energy(ax, fine), lambda ax: _draw_own_gradient(ax, fine)]
    leading = trajectory.t.ndim
    unknowns = sum(math.prod(leaf.shape[leading:]) for leaf in jax.tree.leaves(trajectory.x))
    if is_planar(trajectory.x, leading):
        panels.append(lambda ax: _draw_own_path(ax, fine, trajectory))
    elif unknowns <= (_MOST_UNKNOWNS if leading == 1 else 1):
        panels.append(lambda ax: _draw_own_unknowns(ax, fine, trajectory))
    return lay_out(panels, (5 * len(panels), 4.4), **user)


def _draw_own_energy(ax: Axes, trajectory: Trajectory) -> None:
    t, energy = _lanes(trajectory, trajectory.energy)
    energy = _drawable(energy)
    ax.plot(t, energy, color=FLOW_COLOUR, lw=_WIDTHS[t.shape[1] > 1])
    ax.set(xlabel="time t", ylabel="energy E", title="Energy")
    scale_for(ax, [energy])
    ax.grid(True, alpha=0.3)


def _draw_own_gradient(ax: Axes, trajectory: Trajectory) -> None:
    t, norm = _lanes(trajectory, trajectory.grad_norm)
    norm = _drawable(norm)
    # A line through one point is not seen.
    alone = "." if (norm > 0).sum() == 1 else None
    ax.semilogy(t, np.where(norm > 0, norm, np.nan), color=FLOW_COLOUR, lw=_WIDTHS[t.shape[1] > 1], marker=alone)
    ax.update_datalim([(t.min(), 1.0), (t.max(), 1.0)], updatey=False)
    ax.autoscale_view(scaley=False)
    ax.set(xlabel="time t", ylabel="‖∇E‖∞", title="Gradient")
    ax.grid(True, alpha=0.3)


def _draw_own_path(ax: Axes, fine: Trajectory, trajectory: Trajectory) -> None:
    def lanes(run: Trajectory) -> np.ndarray:
        return np.asarray(run.x).reshape(-1, len(np.atleast_2d(run.t)[0]), 2)

    points = lanes(trajectory)
    for lane in lanes(fine):
        ax.plot(
            *lane.T,
            color=FLOW_COLOUR,
            marker=".",
            ms=3,
            lw=_WIDTHS[len(points) > 1],
            markevery=_marks(fine, trajectory),
        )
    ax.plot(points[:, 0, 0], points[:, 0, 1], "o", mfc="white", mec="black")
    ax.set(xlabel="$x_1$", ylabel="$x_2$", title=str(trajectory.status))
    ax.grid(True, alpha=0.3)


def _draw_own_unknowns(ax: Axes, fine: Trajectory, trajectory: Trajectory) -> None:
    leaves: dict[str, np.ndarray] = {}
    take_apart("x", fine.x, leaves)
    curves = {
        f"{name}{list(index) if index else ''}": _lanes(fine, leaf[(..., *index)])[1]
        for name, leaf in leaves.items()
        for index in np.ndindex(leaf.shape[fine.t.ndim :])
    }
    t, _ = _lanes(fine, fine.energy)
    for (name, values), colour in zip(curves.items(), COLOURS, strict=False):
        ax.plot(
            t, _drawable(values), color=colour if len(curves) > 1 else FLOW_COLOUR, label=name, marker=".", ms=3,
            lw=_WIDTHS[t.shape[1] > 1], markevery=_marks(fine, trajectory),
        )  # fmt: skip
    ax.set(xlabel="time t", ylabel="position x", title=str(trajectory.status))
    scale_for(ax, list(curves.values()))
    if len(curves) > 1:
        ax.legend(fontsize=9)
    ax.grid(True, alpha=0.3)


def _marks(fine: Trajectory, trajectory: Trajectory) -> list[int] | None:
    """Where the solver stood; everywhere of what was not made finer."""
    if fine is trajectory:
        return None
    return np.searchsorted(np.asarray(fine.t), np.asarray(trajectory.t, float)).tolist()


def _drawable(values: np.ndarray) -> np.ndarray:
    """Values with what is not finite, or too large for an axis around it, left out."""
    return np.where(np.abs(values) < _LARGEST, values, np.nan)


def _lanes(trajectory: Trajectory, values: Any) -> tuple[np.ndarray, np.ndarray]:
    """Times and values with one column a lane."""
    n = trajectory.t.shape[-1]
    return np.asarray(trajectory.t, dtype=float).reshape(-1, n).T, np.asarray(values, dtype=float).reshape(-1, n).T


def _of(comparison: "Comparison", draws: Sequence[Any]) -> list[Panel]:
    return [lambda ax, draw=draw: draw(ax, comparison) for draw in draws]


def is_planar(x: Any, leading: int = 1) -> bool:
    """Whether positions, with so many leading axes, are points of the plane."""
    return isinstance(x, jax.Array) and x.ndim == leading + 1 and x.shape[-1] == 2


def scale_for(ax: Axes, curves: Sequence[np.ndarray]) -> None:
    """The scale on which curves can be seen: logarithmic where they span many powers of ten, on both sides of 0 too."""
    values = np.concatenate([curve[np.isfinite(_drawable(curve))].ravel() for curve in curves])
    if not values.size:
        return
    starts = np.concatenate([np.atleast_1d(curve[0]) for curve in curves])
    size = np.abs(starts[np.isfinite(starts)]).max(initial=0.0) or 1.0
    if values.min() > 0 and values.max() > _LINEAR * values.min():
        ax.set_yscale("log")
    elif np.abs(values).max() > _LINEAR * size:
        size = 10 ** math.ceil(math.log10(size))
        ax.set_yscale("symlog", linthresh=size)
        # Its own ticks stand on one another around zero.
        ticks = ticker.SymmetricalLogLocator(base=10, linthresh=size)
        ticks.set_params(numticks=7)
        ax.yaxis.set_major_locator(ticks)


def draw_plane(ax: Axes, comparison: "Comparison") -> None:
    """Contours and gradient field, the flow's path, and the iterates of each method."""
    energy = comparison.flow.energy
    draw_tracks(ax, energy, tracks_of(comparison), energy.minimizer)
    ax.set(xlabel="$x_1$", ylabel="$x_2$", title="The flow and its discretizations")


def tracks_of(comparison: "Comparison") -> list[Track]:
    """The way of the flow, of each method, and of a method's own flow where that is another."""
    found = [Track("flow", *rows_of(smooth(comparison.path)), FLOW_COLOUR, lw=3.0)]
    for (label, entry), colour, marker in styled(comparison):
        if not eqx.tree_equal(entry.method.flow, comparison.flow):
            found.append(Track(f"{label}: its own flow", *rows_of(smooth(entry.path)), colour, lw=1.0, dashed=True))
        found.append(Track(label, *rows_of(entry.run), colour, marker=marker))
    return found


def draw_energy(ax: Axes, comparison: "Comparison") -> None:
    """The energy above its minimum, over time, on a logarithmic scale; the energy itself where there is no minimum."""
    runs = [("flow", smooth(comparison.path), FLOW_COLOUR, None)]
    runs += [(label, entry.run, colour, marker) for (label, entry), colour, marker in styled(comparison)]
    draw_energies(ax, runs, comparison.minimum)


def draw_energies(
    ax: Axes, runs: Sequence[tuple[str, Trajectory, str, str | None]], minimum: float | None
) -> list[Line2D]:
    """Energies over time, above a minimum where there is one.

    Args:
        ax: where.
        runs: of each its label, itself, its colour, and the mark of its points, `None` for a flow.
        minimum: the energy's.
    """
    base = 0.0 if minimum is None else minimum
    gaps, lines = [], []
    for label, run, colour, marker in runs:
        gaps.append(np.asarray(run.energy, dtype=float) - base)
        style = {"lw": 2.2} if marker is None else {"lw": 1.0, "ms": 4, "marker": _sparse_marker(run, marker)}
        lines.append(_curve(ax, run, gaps[-1], colour, label, positive=minimum is not None, **style))
    ax.set(xlabel="time t", title="Energy", ylabel="$E(x)$" if minimum is None else "$E(x) - E^*$")
    if minimum is not None:
        ax.set(yscale="log", ylim=axis_limits(gaps, 1e-16))
    else:
        scale_for(ax, gaps)
    ax.grid(True, alpha=0.3)
    return lines


def draw_distance(ax: Axes, comparison: "Comparison") -> None:
    """The distance to the minimizer, over time."""
    target = jnp.asarray(comparison.flow.energy.minimizer)

    def away(trajectory: Trajectory) -> np.ndarray:
        return np.linalg.norm((np.asarray(trajectory.x) - np.asarray(target)).reshape(len(trajectory), -1), axis=1)

    path = smooth(comparison.path)
    distances = [away(path)]
    _curve(ax, path, distances[0], FLOW_COLOUR, "flow", lw=2.2)
    for (label, entry), colour, marker in styled(comparison):
        distances.append(away(entry.run))
        _curve(ax, entry.run, distances[-1], colour, label, marker=_sparse_marker(entry.run, marker), ms=4, lw=1.0)
    ax.set(
        yscale="log", xlabel="time t", ylabel="$‖x - x^*‖$", title="Distance to the minimizer",
        ylim=axis_limits(distances, 1e-16),
    )  # fmt: skip
    ax.grid(True, alpha=0.3)


def draw_errors(ax: Axes, comparison: "Comparison") -> None:
    """The distance of each method's iterates from its own flow, over time."""
    errors = []
    for (label, entry), colour, marker in styled(comparison):
        errors.append(entry.error)
        _curve(ax, entry.run, entry.error, colour, label, marker=_sparse_marker(entry.run, marker), ms=4, lw=1.0)
    ax.set(
        yscale="log", xlabel="time t", ylabel="$‖x_k - x(t_k)‖$", title="Error against the method's own flow",
        ylim=axis_limits(errors, 1e-14),
    )  # fmt: skip
    ax.grid(True, alpha=0.3)


def styled(comparison: "Comparison") -> list[tuple[tuple[str, Any], str, str]]:
    """Each method with its label, its colour and its marker."""
    items = list(comparison.entries.items())
    return [(item, COLOURS[i % len(COLOURS)], _MARKERS[i % len(_MARKERS)]) for i, item in enumerate(items)]


def _curve(
    ax: Axes, trajectory: Trajectory, values: np.ndarray, colour: str, label: str, positive: bool = True, **style: Any
) -> Line2D:
    shown = np.where((values > 0) | (not positive), _drawable(values), np.nan)
    return ax.plot(np.asarray(trajectory.t), shown, color=colour, label=label, **style)[0]


def _sparse_marker(trajectory: Trajectory, marker: str) -> str | None:
    return marker if len(trajectory) <= 60 else None


def axis_limits(curves: Sequence[np.ndarray], least: float) -> tuple[float, float]:
    """An axis from the least to the greatest, at most so many powers of ten; what diverges runs out of it."""
    values = np.concatenate([curve[np.isfinite(curve) & (curve > 0)] for curve in curves])
    top, bottom = (float(values.max()), float(values.min())) if len(values) else (1.0, 1e-3)
    top = min(top, _TALLEST)
    return max(min(bottom, top / 3) / 3, top * least), top * 3
