"""Cuts through an energy of many unknowns: along a line, and in a plane, which a run may span."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from matplotlib.axes import Axes

from gradientflow.flows import Trajectory, check_fits, check_positive
from gradientflow.flows.checks import by_name, in_a_line, position_arrays

from ..comparison.plane import draw_levels
from ..curvature.spectrum import energy_of
from ..results.figure import lay_out
from ..results.grid import values_on
from ..results.palette import COLOURS

_LINE, _GRID = 201, 81
_SEED = 0
# A run's plane is drawn so many times as wide as the run is in it.
_ROOM = 1.3


@by_name
def slice(
    E: Any, x: Any, direction: Any = None, *, span: float = 1.0, ax: Any = None,
    figsize: Sequence[float] | None = None, title: str | None = None,
) -> Any:  # fmt: skip
    """E along a line through a point, beside the quadratic that touches it there.

    Args:
        E: the energy, or any function of a pytree that returns a real scalar.
        x: the point, any pytree.
        direction: shaped like x, of any length; that of −∇E unless given, a random one where ∇E vanishes.
        span: how far to go each way [X].
        ax: axes to draw into instead of a figure of its own.
        figsize: width and height in inches; without `ax`.
        title: a title; chosen unless given.

    Raises:
        ValueError: for a direction of length 0, or one that is not shaped like x.

    References:
        I. J. Goodfellow, O. Vinyals, A. M. Saxe, Qualitatively characterizing neural network optimization problems,
        ICLR 2015.

    Example:
        >>> import gradientflow as gf
        >>> gf.plots.slice(gf.landscapes.beale(), [1.0, 1.0]).axes[0].get_title()
        'Along −∇E'
    """
    check_positive("slice", span=span)
    energy = energy_of("slice", E)
    x = position_arrays("slice", "x", x)
    check_fits("slice", "x", energy, x)
    gradient, _ = ravel_pytree(energy.grad(x))
    asked = -gradient if direction is None else _flat("slice", direction, x)
    if direction is None and not float(jnp.linalg.norm(gradient)) > 0:
        asked = jax.random.normal(jax.random.key(_SEED), gradient.shape, gradient.dtype)
    unit = _unit("slice", asked)
    s = np.linspace(-span, span, _LINE)
    values = np.asarray(values_on(energy, x, unit[None], (jnp.asarray(s),)), dtype=float)
    _, unravel = ravel_pytree(x)
    slope, curved = float(gradient @ unit), float(ravel_pytree(energy.hvp(x, unravel(unit)))[0] @ unit)
    model = float(energy.value(x)) + slope * s + curved * s**2 / 2

    def draw(ax: Axes) -> None:
        ax.plot(s, values, color=COLOURS[0], lw=2, label="$E(x + sd)$")
        ax.plot(
            s, model, color=COLOURS[1], ls="--", label=f"its quadratic at x: slope {slope:.3g}, curvature {curved:.3g}"
        )
        ax.plot(0, model[_LINE // 2], "o", color="black", ms=5)
        ax.set(
            xlabel="s, along d of length 1", ylabel="$E$", title="Along −∇E" if direction is None else "Along a line"
        )
        ax.legend(fontsize=9)
        ax.grid(True, alpha=0.3)

    return lay_out([draw], (6.4, 4.4), ax=ax, figsize=figsize, title=title)


@by_name
def plane(
    E: Any, x: Any, directions: Any = None, *, span: float = 1.0, ax: Any = None,
    figsize: Sequence[float] | None = None, title: str | None = None,
) -> Any:  # fmt: skip
    """Contours of E in a plane: through a point, or the plane in which most of a run lies.

    Of a run the plane is that of its two principal directions about its end, and the title says what share of the way
    it holds: what is drawn of the rest is a projection, and lies at another height than the contours say.

    Args:
        E: the energy, or any function of a pytree that returns a real scalar.
        x: a point, any pytree; or a run or path.
        directions: two, shaped like x; two random ones of a point, and a run's own, unless given.
        span: how far to go each way, of a point [X].
        ax: axes to draw into instead of a figure of its own.
        figsize: width and height in inches; without `ax`.
        title: a title; chosen unless given.

    Raises:
        ValueError: for directions that are not two, not shaped like x, or along one line.

    References:
        H. Li, Z. Xu, G. Taylor, C. Studer, T. Goldstein, Visualizing the loss landscape of neural nets, NeurIPS 2018.

    Example:
        >>> import gradientflow as gf
        >>> gf.plots.plane(gf.landscapes.beale(), [1.0, 1.0]).axes[0].get_title()
        'A plane'
    """
    check_positive("plane", span=span)
    energy = energy_of("plane", E)
    track, share = None, 1.0
    if isinstance(x, Trajectory):
        origin, axes, share = principal_plane("plane", x) if directions is None else (_end(x), None, 1.0)
        axes = _pair(directions, origin) if axes is None else axes
        track = (_rows(x) - ravel_pytree(origin)[0]) @ np.asarray(axes).T
    else:
        origin = position_arrays("plane", "x", x)
        axes = _pair(directions, origin)
    check_fits("plane", "x", energy, origin)
    low, high = (-np.full(2, span), np.full(2, span)) if track is None else _frame(track)
    s, t = (np.linspace(low[i], high[i], _GRID) for i in range(2))
    values = np.asarray(values_on(energy, origin, jnp.asarray(axes), (jnp.asarray(s), jnp.asarray(t))), dtype=float)

    def draw(ax: Axes) -> None:
        if (drawn := draw_levels(ax, s, t, values)) is not None:
            ax.figure.colorbar(drawn, ax=ax, label="$E$ above the least here", format="%.1g")
        if track is not None:
            ax.plot(*track.T, color=COLOURS[1], lw=1.6, marker=".", ms=3)
        ax.plot(0, 0, "+", color="black", ms=10)
        said = (
            f"The plane of the run: {share:.0%} of its way" if track is not None and directions is None else "A plane"
        )
        ax.set(xlabel="along the first direction", ylabel="along the second", title=said)

    return lay_out([draw], (7.0, 5.4), ax=ax, figsize=figsize, title=title)


def principal_plane(where: str, run: Trajectory) -> tuple[Any, jax.Array, float]:
    """The end of a run, the two principal directions of its way there, (2, n), and the share of squares they hold.

    Raises:
        ValueError: for a run that does not move.
    """
    away = _rows(run) - _rows(run)[-1]
    away = away[np.isfinite(away).all(axis=1)]
    _, singular, rows = np.linalg.svd(away, full_matrices=False)
    if not len(singular) or not singular[0] > 0:
        raise ValueError(f"{where}: the run does not move, and spans no plane")
    if len(rows) < 2 or rows.shape[1] < 2:
        raise ValueError(f"{where}: a run of one unknown or one step spans no plane; `gf.plots.slice` draws a line")
    flat, _ = ravel_pytree(_end(run))
    share = float((singular[:2] ** 2).sum() / (singular**2).sum())
    return _end(run), jnp.asarray(rows[:2], flat.dtype), share


def _end(run: Trajectory) -> Any:
    return jax.tree.map(lambda leaf: leaf[-1], run.x)


def _rows(run: Trajectory) -> np.ndarray:
    leaves = [np.asarray(leaf, dtype=float) for leaf in jax.tree.leaves(run.x)]
    return np.concatenate([leaf.reshape(len(leaf), -1) for leaf in leaves], axis=1)


def _flat(where: str, direction: Any, x: Any) -> jax.Array:
    given = position_arrays(where, "direction", direction)
    shapes = [[leaf.shape for leaf in jax.tree.leaves(tree)] for tree in (given, x)]
    if jax.tree.structure(given) != jax.tree.structure(x) or shapes[0] != shapes[1]:
        raise ValueError(f"{where}: a direction must be shaped like x, got {in_a_line(direction)}")
    return ravel_pytree(given)[0]


def _unit(where: str, direction: jax.Array) -> jax.Array:
    length = float(jnp.linalg.norm(direction))
    if not (np.isfinite(length) and length > 0):
        raise ValueError(f"{where}: a direction must have a length, got one of {length:g}")
    return direction / length


def _pair(directions: Any, origin: Any) -> jax.Array:
    """Two directions at right angles, of length 1."""
    flat, _ = ravel_pytree(origin)
    if directions is None:
        first, second = jax.random.normal(jax.random.key(_SEED), (2, flat.size), flat.dtype)
    else:
        if len(directions) != 2:
            raise ValueError(f"plane: `directions` must be two, got {len(directions)}")
        first, second = (_flat("plane", direction, origin) for direction in directions)
    first = _unit("plane", first)
    across = second - (second @ first) * first
    if not float(jnp.linalg.norm(across)) > 1e-6 * float(jnp.linalg.norm(second)):
        raise ValueError("plane: `directions` lie along one line; give two that don't")
    return jnp.stack([first, _unit("plane", across)])


def _frame(track: Any) -> tuple[np.ndarray, np.ndarray]:
    track = np.asarray(track)
    finite = track[np.isfinite(track).all(axis=1)]
    low, high = finite.min(axis=0), finite.max(axis=0)
    half = _ROOM * np.maximum((high - low) / 2, 0.1 * (high - low).max())
    return (low + high) / 2 - half, (low + high) / 2 + half
