"""The figures of worst cases."""

import contextlib
import math
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from gradientflow.flows import Quadratic

from ..results.figure import lay_out
from ..results.grades import Grade
from ..results.palette import COLOURS
from .courses import worst_on_quadratics
from .noise import gains_on_quadratics
from .problem import plus_g

if TYPE_CHECKING:
    from .bound import WorstCaseBound
    from .convergence_map import ConvergenceMap
    from .cycles import Cycle
    from .designing import Design
    from .formula import WorstCaseFormula
    from .noise import WorstCaseNoise
    from .rate import WorstCaseRate

_SHADES = {
    "proved": "#009E73",
    "a quadratic refutes it": "#D55E00",
    "a cycle refutes it": "#E69F00",
    "unknown": "#C8C8C8",
}
# Up to so many cells the periods are legible.
_LEGIBLE = 400
# How far a rate is followed down, and in how many steps at most; and fractions with how small a denominator are told.
_DECADES, _MOST_STEPS, _SHORT = 3, 10_000, 10**6
_MEASURED = {
    "gap": "E({}) - E^*",
    "distance": "\\|{} - x^*\\|^2",
    "gradient": "\\|\\nabla E({})\\|^2",
    "state": "\\|z_0 - z^*\\|^2",
}


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


def plot_rate(found: "WorstCaseRate", **user: Any) -> Any:
    """The guarantee over the steps beside the slowest quadratic, and the factor on quadratics over their curvature."""
    panels = [lambda ax: _draw_decay(ax, found), lambda ax: _draw_factors(ax, found)]
    return lay_out(panels, (11.5, 4.6), **user)


def _draw_decay(ax: Axes, found: "WorstCaseRate") -> None:
    is_flow = found.problem.is_flow
    # Logarithms of the distance a step, or a unit of time.
    slopes = [-found.rate, -found.quadratics] if is_flow else np.log([found.rate, found.quadratics]).tolist()
    certified, slowest = slopes
    speed = max(abs(slope) for slope in slopes if math.isfinite(slope))
    end = _DECADES * math.log(10) / max(speed, 1e-12)
    ks = np.linspace(0, end, 101) if is_flow else np.arange(min(max(10, math.ceil(end)), _MOST_STEPS) + 1)
    power = "$e^{-rt}$, r" if is_flow else "$ρ^k$, ρ"
    ax.semilogy(
        ks,
        np.exp(slowest * ks),
        "--",
        color=COLOURS[0],
        label=f"the slowest quadratic: {power} = {found.quadratics:.5g}",
    )
    low, high = np.exp(slowest * ks), np.exp(slowest * ks)
    if found.exact is not None:
        bound = np.exp(certified * ks)
        ax.semilogy(ks, bound, color=COLOURS[1], label=f"{found.grade} for all: {power} = {found.rate:.5g}")
        high = np.maximum(bound, high)
    bottom, top = 0.5 * low.min(), 2 * high.max()
    ax.fill_between(ks, bottom, low, color="0.5", alpha=0.15, lw=0, label="promised by none: that quadratic is slower")
    if found.exact is not None:
        ax.fill_between(ks, high, top, color=COLOURS[1], alpha=0.12, lw=0, label="impossible, C being large enough")
    ax.set(
        xlim=(0, ks[-1]), ylim=(bottom, top), xlabel="time t" if is_flow else "step k",
        ylabel=f"$\\|x{'(t)' if is_flow else '_k'} - x^*\\|$ / C",
        title=f"{found.subject.name} on {found.energies}{plus_g(found.problem)}",
    )  # fmt: skip
    ax.legend(fontsize=9)
    ax.grid(True, alpha=0.3)


def _draw_factors(ax: Axes, found: "WorstCaseRate") -> None:
    is_flow = found.problem.is_flow
    curvatures, slowness = found.problem.over_curvatures()
    lam = np.unique(curvatures)
    # Of a sum the slowest of all g that go with an f.
    of_each = np.array([slowness[curvatures == value].max() for value in lam]) * (-1 if is_flow else 1)
    ax.plot(lam, of_each, color=COLOURS[0], label="on the quadratic of this curvature")
    ax.plot(found.curvature, found.quadratics, "o", color=COLOURS[0], ms=7, label="the slowest of them")
    values = [*of_each, 0.0]
    if found.exact is not None:
        values.append(found.rate)
        ax.axhline(found.rate, color=COLOURS[1], label=f"{found.grade} for all energies: {found.rate:.5g}")
    room = 0.12 * (max(values) - min(values))
    low, high = min(values) - (room if min(values) < 0 else 0), max(values) + room
    if found.exact is not None:
        shaded = (low, found.rate) if is_flow else (found.rate, high)
        ax.axhspan(*shaded, color=COLOURS[1], alpha=0.12, lw=0, label="impossible")
    what = "rate r of the distance [1/T]" if is_flow else "factor of the distance a step"
    ax.set(xlabel="curvature λ", ylabel=what, title="On quadratics, and on all", ylim=(low, high))
    _along_curvatures(ax, lam)
    ax.legend(fontsize=9)


def _along_curvatures(ax: Axes, lam: np.ndarray) -> None:
    if lam[0] > 0 and lam[-1] > 30 * lam[0]:
        ax.set_xscale("log")
    ax.grid(True, alpha=0.3)


def plot_bound(bound: "WorstCaseBound", **user: Any) -> Any:
    """The bound at the last step, and the course up to it on the worst energy and on the worst quadratic."""
    return lay_out([lambda ax: _draw_courses(ax, bound)], (7.6, 5), **user)


def _draw_courses(ax: Axes, bound: "WorstCaseBound") -> None:
    ks = np.arange(bound.steps + 1)
    if bound.problem.nonsmooth is None:
        lam, course = worst_on_quadratics(bound.problem, bound.steps, bound.final, bound.initial, bound.at)
        ax.plot(
            ks, course, "s--", color=COLOURS[0], ms=5, label=f"the worst quadratic after {bound.steps}: λ = {lam:.5g}"
        )
    # Not of every bound an energy is known on which it is attained.
    with contextlib.suppress(ValueError):
        worst = bound.worst()
        ax.plot(ks, worst.course, "o-", color=COLOURS[1], ms=5, label=f"the worst run found: {worst.ratio:.5g}")
    drawn = np.concatenate([np.asarray(line.get_ydata(), float) for line in ax.lines] or [np.ones(1)])
    drawn = drawn[np.isfinite(drawn) & (drawn > 0)]
    if bound.exact is not None:
        drawn = np.append(drawn, bound.value)
    low, high = drawn.min() / 2, 2 * drawn.max()
    if bound.exact is not None:
        exact = f" = {bound.exact}" if bound.exact.denominator < _SHORT else ""
        ax.plot(bound.steps, bound.value, "_", color="black", ms=22, mew=2.5,
                label=f"no more after {bound.steps}, {bound.grade}: {bound.value:.5g}{exact}")  # fmt: skip
        ax.fill_between([bound.steps - 0.25, bound.steps + 0.25], bound.value, high, color="0.5", alpha=0.3, lw=0,
                        label="impossible")  # fmt: skip
    final, initial = (_MEASURED[name] for name in (bound.final, bound.initial))
    where = {"last": "x_k", "best": "x_{j \\leq k}", "average": "\\bar{x}_k"}[bound.at]
    start = initial.format("x_0")
    ax.set(
        yscale="log", ylim=(low, high), xlabel="step k", ylabel=f"${final.format(where)}$ over ${start}$",
        title=f"{bound.subject.name} on {bound.energies}{plus_g(bound.problem)}",
    )  # fmt: skip
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(fontsize=9)
    ax.grid(True, alpha=0.3)


def plot_noise(found: "WorstCaseNoise", **user: Any) -> Any:
    """The gain on quadratics over their curvature, below what no energy of the class exceeds."""
    return lay_out([lambda ax: _draw_gains(ax, found)], (7.2, 4.8), **user)


def _draw_gains(ax: Axes, found: "WorstCaseNoise") -> None:
    lam, gains = gains_on_quadratics(found.problem)
    settles = np.isfinite(gains)
    ax.plot(lam, np.where(settles, gains, np.nan), color=COLOURS[0], label="on the quadratic of this curvature")
    values = gains[settles]
    if math.isfinite(found.quadratics):
        ax.plot(found.curvature, found.quadratics, "o", color=COLOURS[0], ms=7, label="the most sensitive of them")
    else:
        ax.plot([], [], " ", label="where there is none it does not converge")
    if found.exact is not None:
        values = np.append(values, found.gain)
        ax.axhline(found.gain, color=COLOURS[1], label=f"{found.grade} for all energies: {found.gain:.5g}")
        ax.axhspan(found.gain, 2 * found.gain, color=COLOURS[1], alpha=0.12, lw=0, label="impossible")
    if len(values):
        ax.set_ylim(values.min() / 1.5, 1.5 * values.max())
    ax.set(
        yscale="log", xlabel="curvature λ", ylabel="mean of E‖x − x*‖² over σ²",
        title=f"Noise: {found.subject.name} on {found.energies}",
    )  # fmt: skip
    _along_curvatures(ax, lam)
    ax.legend(fontsize=9)


def plot_design(found: "Design", **user: Any) -> Any:
    """ρ of all that was tried over each parameter, and the one that was chosen."""
    panels = [lambda ax, name=name: _draw_tried(ax, found, name) for name in found.parameters]
    return lay_out(panels, (1.6 + 4.6 * len(panels), 4.6), sharey=True, legend_below=3, **user)


def _draw_tried(ax: Axes, found: "Design", name: str) -> None:
    at, rho = found.tried[name].to_numpy(), found.tried["rho"].to_numpy()
    none = np.isnan(rho)
    ax.plot(at[~none], rho[~none], "o", color=COLOURS[0], ms=4, alpha=0.5, mec="none", label="tried")
    if none.any():
        # Above all rates that are one.
        ax.plot(at[none], np.ones(none.sum()), "x", color="0.5", ms=4, label="tried, and no rate found")
    best = float(found.parameters[name])
    ax.plot(best, found.rate.rate, "*", color=COLOURS[1], mec="black", ms=15, zorder=3,
            label=f"chosen: ρ = {found.rate.rate:.5g}, {found.grade}")  # fmt: skip
    title = f"{name} = {best:.6g}"
    if name == next(iter(found.parameters)):
        title = f"{found.method.name} on {found.rate.energies}\n{title}"
        ax.set_ylabel("ρ: factor of the distance a step, at worst")
    ax.set(xlabel=name, title=title)
    ax.grid(True, alpha=0.3)


def plot_formula(found: "WorstCaseFormula", **user: Any) -> Any:
    """ρ over a number, or over two, and the places that were looked at; over further ones it is not drawn."""
    names = list(found.family.ranges)[:2]
    draw = _draw_rate_over_two if len(found.family.ranges) == 2 else _draw_rate_over_one
    return lay_out([lambda ax: draw(ax, found, names)], (6.6, 4.6), **user)


def _draw_rate_over_one(ax: Axes, found: "WorstCaseFormula", names: list[str]) -> None:
    name = names[0]
    at, rho = (found.grid[key].to_numpy(dtype=float) for key in (name, "rho"))
    if found.rate is not None and len(found.family.ranges) == 1:
        within = np.linspace(at.min(), at.max(), 400)
        values = np.broadcast_to(_evaluated(found, within), within.shape)
        ax.plot(within, values, color=COLOURS[0], label=rf"$\rho = {_shown_rate(found)}$, {found.grade}")
    ax.plot(at, rho, "o", color=COLOURS[1], ms=4, label="the best at a place, measured")
    ax.set(xlabel=name, ylabel="ρ: factor of the distance a step, at worst")
    ax.legend()
    ax.grid(True, alpha=0.3)


def _draw_rate_over_two(ax: Axes, found: "WorstCaseFormula", names: list[str]) -> None:
    first, second = (found.grid[name].to_numpy(dtype=float) for name in names)
    if found.rate is not None:
        x, y = np.meshgrid(np.linspace(first.min(), first.max(), 120), np.linspace(second.min(), second.max(), 120))
        levels = ax.contour(x, y, np.broadcast_to(_evaluated(found, x, y), x.shape), 12, cmap="viridis")
        ax.clabel(levels, fontsize=8)
    ax.plot(first, second, ".", color="0.6", ms=4)
    title = f"no formula, {found.grade}" if found.rate is None else rf"$\rho = {_shown_rate(found)}$, {found.grade}"
    ax.set(xlabel=names[0], ylabel=names[1], title=title)


def _evaluated(found: "WorstCaseFormula", *at: np.ndarray) -> np.ndarray:
    import sympy

    return np.asarray(sympy.lambdify(list(found.family.ranges), found.rate)(*at), dtype=float)


def _shown_rate(found: "WorstCaseFormula") -> str:
    import sympy

    return sympy.latex(found.rate)
