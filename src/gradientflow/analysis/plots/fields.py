"""Pictures in a plane: vector fields, phase portraits, the surface of an energy."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from matplotlib.axes import Axes

from gradientflow.flows import Flow, GradientFlow, Trajectory, integrate
from gradientflow.flows.checks import by_name, in_a_line

from ..comparison.plane import draw_levels
from ..results.figure import lay_out
from ..results.grid import drifts_on, values_on
from ..results.palette import COLOURS
from .asked import Box, box_of, flow_of, paths_of, planar_state

_GRID = 121
# Starts on the border of a portrait, and how many times its diagonal they may go at the usual speed.
_STARTS, _WAYS = 10, 12.0
_SIZE = (6.4, 5.6)
# To find a minimum that nobody told.
_MOST_STEPS = 2_000


@by_name
def field(
    flow: Any, box: Any, *, t: float = 0.0, paths: Trajectory | Iterable[Trajectory] = (), ax: Any = None,
    figsize: Sequence[float] | None = None, title: str | None = None,
) -> Any:  # fmt: skip
    """The vector field of a flow in the plane as stream lines, over the contours of its energy.

    Args:
        flow: with positions in the plane; or an energy, or a function of two variables, for its gradient flow.
        box: ((x0, x1), (y0, y1)).
        t: the time, of a field that depends on it [T].
        paths: trajectories to draw on it, or one.
        ax: axes to draw into instead of a figure of its own.
        figsize: width and height in inches; without `ax`.
        title: a title; the flow's equation unless given.

    Returns:
        The figure, which a notebook shows; with `ax`, the axes.

    Raises:
        TypeError: for what is neither flow nor energy.
        ValueError: if the states are not points of the plane, or `box` is none.

    References:
        S. H. Strogatz, Nonlinear Dynamics and Chaos, 2nd ed. 2015, chapter 6.

    Example:
        >>> import gradientflow as gf
        >>> figure = gf.plots.field(gf.landscapes.himmelblau(), ((-5, 5), (-5, 5)))
        >>> len(figure.axes)
        1
    """
    flow, box = flow_of("field", flow), box_of("field", box)
    z, drawn = planar_state("field", flow), paths_of("field", paths)
    is_position = jax.tree.structure(flow.position(z)) == jax.tree.structure(z)

    def draw(ax: Axes) -> None:
        if flow.has_energy and is_position:
            xs, ys = _axes(box)
            draw_levels(ax, xs, ys, _values(flow, z, xs, ys))
        _streams(ax, flow, z, box, t)
        for i, path in enumerate(drawn):
            _track(ax, path.x if is_position else path.state, COLOURS[i % len(COLOURS)])
        names = ("x", "y") if is_position else ("x", "v")
        ax.set(xlim=box[0], ylim=box[1], xlabel=names[0], ylabel=names[1], title=flow.equation or flow.name)

    return lay_out([draw], _SIZE, ax=ax, figsize=figsize, title=title)


@by_name
def phase_portrait(
    flow: Any, box: Any, *, starts: Any = None, t1: float | None = None, ax: Any = None,
    figsize: Sequence[float] | None = None, title: str | None = None,
) -> Any:  # fmt: skip
    """A phase portrait: stream lines, the nullclines, and paths from all around.

    Of a flow with inertia on an energy of one variable the plane is that of position and velocity; of one without it
    that of two positions. The title says what kind of rest the minimum is, by the eigenvalues of the drift's Jacobian:
    a node where paths come straight, a spiral where they swing, between them critical damping.

    Args:
        flow: with states of two entries; or an energy of two variables, for its gradient flow.
        box: ((x0, x1), (v0, v1)).
        starts: states to draw paths from, shape (k, 2); around the border unless given.
        t1: for how long [T]; some times across the box unless given.
        ax: axes to draw into instead of a figure of its own.
        figsize: width and height in inches; without `ax`.
        title: a title; chosen unless given.

    Returns:
        The figure, which a notebook shows; with `ax`, the axes.

    Raises:
        TypeError: for what is neither flow nor energy.
        ValueError: if states have not two entries, or `box` or `starts` are none.

    References:
        S. H. Strogatz, Nonlinear Dynamics and Chaos, 2nd ed. 2015, chapter 6.

    Example:
        >>> import gradientflow as gf
        >>> import jax.numpy as jnp
        >>> pendulum = gf.HeavyBallFlow(lambda x: 1 - jnp.cos(x), mass=1.0, friction=0.3)
        >>> figure = gf.plots.phase_portrait(pendulum, ((-4, 4), (-3, 3)))
        >>> len(figure.axes)
        1
    """
    flow, box = flow_of("phase_portrait", flow), box_of("phase_portrait", box)
    z = planar_state("phase_portrait", flow)
    _, unravel = ravel_pytree(z)
    begun = _starts(box) if starts is None else _checked_starts(starts)

    def draw(ax: Axes) -> None:
        xs, ys, slopes = _streams(ax, flow, z, box, 0.0)
        for component, colour, style in ((0, COLOURS[0], "--"), (1, COLOURS[1], ":")):
            if np.nanmin(slopes[..., component]) < 0 < np.nanmax(slopes[..., component]):
                ax.contour(
                    xs, ys, slopes[..., component], levels=[0], colors=[colour], linestyles=style, linewidths=1.5
                )
        end = _time_across(slopes, box) if t1 is None else float(t1)
        for start in begun:
            path = integrate(flow, None, end, state=unravel(jnp.asarray(start)))
            _track(ax, path.state, "black")
        has_velocity = flow.velocity(z) is not None
        names = ("position x", "velocity v") if has_velocity else ("x", "y")
        rest = _rest(flow, z, box)
        kind = "" if rest is None else rest_kind(flow, rest)
        ax.set(xlim=box[0], ylim=box[1], xlabel=names[0], ylabel=names[1],
               title=f"{flow.name}: {kind} at the minimum" if kind else flow.name)  # fmt: skip
        for name, colour, style in ((names[0], COLOURS[0], "--"), (names[1], COLOURS[1], ":")):
            ax.plot([], [], color=colour, ls=style, label=f"{name} stands still")
        ax.legend(loc="upper right", fontsize=9)

    return lay_out([draw], _SIZE, ax=ax, figsize=figsize, title=title)


@by_name
def surface(
    E: Any, box: Any, *, paths: Trajectory | Iterable[Trajectory] = (), figsize: Sequence[float] | None = None,
    title: str | None = None,
) -> Any:  # fmt: skip
    """The surface of an energy of two variables, with trajectories on it.

    Args:
        E: an energy, or a function of two variables.
        box: ((x0, x1), (y0, y1)).
        paths: trajectories to draw on it, or one.
        figsize: width and height in inches.
        title: a title; none unless given.

    Returns:
        The figure, which a notebook shows.

    Raises:
        TypeError: for what is no energy.
        ValueError: if it is not one of two variables, or `box` is none.

    Example:
        >>> import gradientflow as gf
        >>> len(gf.plots.surface(gf.landscapes.bowl(), ((-2, 2), (-1, 1))).axes)
        1
    """
    flow, box = flow_of("surface", E), box_of("surface", box)
    z, drawn = planar_state("surface", flow), paths_of("surface", paths)

    def draw(ax: Any) -> None:
        xs, ys = _axes(box)
        values = _values(flow, z, xs, ys)
        ax.plot_surface(*np.meshgrid(xs, ys), values, cmap="YlGnBu", alpha=0.75, rcount=60, ccount=60, linewidth=0)
        for i, path in enumerate(drawn):
            points, heights = np.asarray(path.x), np.asarray(path.energy)
            inside = ((points >= [b[0] for b in box]) & (points <= [b[1] for b in box])).all(axis=1)
            ax.plot(*points[inside].T, heights[inside], color=COLOURS[i % len(COLOURS)], lw=2, zorder=5)
        ax.set(xlabel="x", ylabel="y", zlabel="$E$")

    return lay_out([draw], (7.0, 5.6), figsize=figsize, title=title, subplot_kw={"projection": "3d"})


def rest_kind(flow: Flow, z: Any) -> str:
    """What kind of rest a flow has at a state: a node, a spiral, a centre, a saddle; "" where its Jacobian is singular.

    By the trace and the determinant of the Jacobian of the drift.
    """
    flat, unravel = ravel_pytree(z)
    jacobian = np.asarray(jax.jacfwd(lambda s: ravel_pytree(flow.drift(0.0, unravel(s)))[0])(flat), dtype=float)
    trace, determinant = float(np.trace(jacobian)), float(np.linalg.det(jacobian))
    rounding = 1e-9 * max(trace**2, abs(determinant))
    discriminant = trace**2 - 4 * determinant
    if not np.isfinite(jacobian).all() or abs(determinant) <= 1e-12 * np.abs(jacobian).max() ** 2:
        return ""
    if determinant < 0:
        return "a saddle"
    steadily = "a stable" if trace < 0 else "an unstable"
    if abs(trace) <= 1e-9 * abs(determinant) ** 0.5:
        return "a centre"
    if abs(discriminant) <= 4 * rounding:
        return f"{steadily} node, critically damped" if flow.velocity(z) is not None else f"{steadily} node"
    return f"{steadily} spiral" if discriminant < 0 else f"{steadily} node"


def _rest(flow: Flow, z: Any, box: Box) -> Any:
    """The state at rest at the minimizer, known or found from the middle of the box; `None` where there is none."""
    if not flow.has_energy:
        return None
    x = flow.position(z)
    at = flow.energy.minimizer
    if at is None:
        middle = np.array([sum(bounds) / 2 for bounds in box])[: max(np.size(x), 1)]
        begin = jnp.reshape(jnp.asarray(middle[: np.size(x)]), np.shape(x))
        path = integrate(GradientFlow(flow.energy), begin, math.inf, max_steps=_MOST_STEPS)
        if path.status != "converged":
            return None
        at = path.x[-1]
    return flow.init(jnp.reshape(jnp.asarray(at, float), np.shape(x)))


def _axes(box: Box) -> tuple[np.ndarray, np.ndarray]:
    (a, b), (c, d) = box
    return np.linspace(a, b, _GRID), np.linspace(c, d, _GRID)


def _values(flow: Flow, z: Any, xs: np.ndarray, ys: np.ndarray) -> np.ndarray:
    origin = jax.tree.map(jnp.zeros_like, flow.position(z))
    return np.asarray(values_on(flow.energy, origin, jnp.eye(2), (jnp.asarray(xs), jnp.asarray(ys))), dtype=float)


def _streams(ax: Axes, flow: Flow, z: Any, box: Box, t: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    xs, ys = _axes(box)
    slopes = np.asarray(drifts_on(flow, z, jnp.asarray(t, float), (jnp.asarray(xs), jnp.asarray(ys))), dtype=float)
    shown = np.where(np.isfinite(slopes), slopes, 0)
    ax.streamplot(xs, ys, shown[..., 0], shown[..., 1], color="0.6", linewidth=0.8, arrowsize=0.9, density=1.1)
    return xs, ys, slopes


def _track(ax: Axes, states: Any, colour: str) -> None:
    points = np.concatenate([np.asarray(leaf).reshape(len(leaf), -1) for leaf in jax.tree.leaves(states)], axis=1)
    ax.plot(*points.T, color=colour, lw=1.6)
    ax.plot(*points[0], "o", color=colour, ms=3.5)


def _starts(box: Box) -> np.ndarray:
    """Points around the border, a little inside."""
    (a, b), (c, d) = box
    angles = 2 * np.pi * (np.arange(_STARTS) + 0.5) / _STARTS
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    square = 0.95 * circle / np.abs(circle).max(axis=1, keepdims=True)
    return np.array([(a + b) / 2, (c + d) / 2]) + square * np.array([b - a, d - c]) / 2


def _checked_starts(starts: Any) -> np.ndarray:
    points = np.asarray(starts, dtype=float)
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise ValueError(
            f"phase_portrait: `starts` must be states of two numbers, shape (k, 2), got {in_a_line(starts)}"
        )
    return points


def _time_across(slopes: np.ndarray, box: Box) -> float:
    """How long some ways across the box take at the usual speed."""
    speed = np.linalg.norm(slopes, axis=-1)
    usual = float(np.median(speed[np.isfinite(speed)]))
    (a, b), (c, d) = box
    return _WAYS * math.hypot(b - a, d - c) / max(usual, 1e-12)
