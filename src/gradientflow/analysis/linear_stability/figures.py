"""Drawing of what the stability analyses found. Nothing here computes a result."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize

from ..results.figure import Panel, lay_out
from ..results.palette import COLOURS
from .step_limit import without_roots

if TYPE_CHECKING:
    from .bifurcation import Bifurcation
    from .edge import EdgeOfStability
    from .regions import StabilityMap, StabilityRegion
    from .stability import Stability
    from .sweep import StepSweep

_STABLE, _UNSTABLE = "#009E73", "#D55E00"
# How many steps are drawn, up to which spectral radius; and the shortest, to the longest, where that is too tall.
_DRAWN, _TALLEST, _SHORTEST = 320, 1.6, 1e-10
_BEHAVIOUR_COLOURS = {"monotone": "#0072B2", "oscillating": "#009E73", "growing": "#D55E00"}


def plot_stability(stability: "Stability", **user: Any) -> Any:
    """The spectral radius over the step with the limits, and the paths of the step's eigenvalues."""
    panels = [lambda ax: draw_radius(ax, stability), lambda ax: draw_eigenvalues(ax, stability)]
    return lay_out(panels, (12, 4.8), width_ratios=(1.4, 1), **user)


def draw_radius(ax: Axes, stability: "Stability") -> None:
    """The spectral radius over the step, and the limits."""
    hs, is_long = steps_drawn(stability)
    end = hs[-1]
    radius = np.asarray(stability.spectral_radius(hs))
    top = 2 * np.nanmax(radius) if is_long else _TALLEST
    ax.plot(hs, np.where(radius <= top, radius, np.nan), color="black", lw=2, label="all modes")
    ax.axhline(1, color="0.5", lw=0.8)
    if 0 < stability.limit < math.inf:
        formula = "" if stability.formula is None else f" = ${formula_latex(stability.formula)}$"
        ax.axvline(stability.limit, color=_UNSTABLE, lw=1.5)
        ax.axvspan(stability.limit, end, color=_UNSTABLE, alpha=0.08, lw=0)
        ax.plot([], [], color=_UNSTABLE, label=f"limit {stability.limit:.6g}{formula}, {stability.grade}")
    if stability.global_limit is not None and math.isfinite(stability.global_limit):
        ax.axvline(stability.global_limit, color="#0072B2", lw=1.5, ls="--",
                   label=f"safe from everywhere up to {stability.global_limit:.6g}")  # fmt: skip
    if stability.step is not None and stability.step <= end:
        ax.plot(stability.step, stability.spectral_radius(stability.step), "o", color=_STABLE, ms=8, zorder=4,
                label=f"this method's step {stability.step:.6g}")  # fmt: skip
    if is_long:
        ax.set(xscale="log", yscale="log", xlim=(hs[0], end), ylim=(np.nanmin(radius) / 2, top))
    else:
        ax.set(xlim=(0, end), ylim=(0, top))
    ax.set(xlabel="step h", ylabel="spectral radius of a step",
           title=f"{stability.discretizer.name} of {stability.flow.name}")  # fmt: skip
    ax.legend(loc="upper left", framealpha=0.95)


def draw_eigenvalues(ax: Axes, stability: "Stability") -> None:
    """Where the eigenvalues of a step go as it grows, against the unit circle."""
    hs, is_long = steps_drawn(stability)
    end = hs[-1]
    points = [stability.eigenvalues(float(h)) for h in hs]
    draw_unit_disk(ax)
    many = np.concatenate(points)
    steps = np.concatenate([np.full(len(w), h) for h, w in zip(hs, points, strict=True)])
    shown = np.abs(many) < 1.9
    norm = LogNorm(hs[0], end) if is_long else Normalize(0, end)
    drawn = ax.scatter(np.real(many[shown]), np.imag(many[shown]), c=steps[shown], s=7, cmap="viridis", norm=norm)
    if 0 < stability.limit < end:
        w = stability.eigenvalues(stability.limit)
        worst = complex(w[np.argmax(np.abs(w))])
        ax.plot(
            [worst.real, worst.real], [worst.imag, -worst.imag], "o", mfc="none", mec=_UNSTABLE, mew=2, ms=10, ls="",
            label="leave at the limit",
        )  # fmt: skip
        ax.legend(loc="upper right", fontsize=9)
    bar = ax.figure.colorbar(drawn, ax=ax, shrink=0.8)
    bar.set_label("step h")
    ax.set_title("Eigenvalues of a step")


def draw_unit_disk(ax: Axes) -> None:
    """The unit disk, in which eigenvalues of a step are stable."""
    angle = np.linspace(0, 2 * np.pi, 400)
    ax.fill(np.cos(angle), np.sin(angle), color=_STABLE, alpha=0.08, lw=0)
    ax.plot(np.cos(angle), np.sin(angle), color="black", lw=1)
    ax.set(aspect="equal", xlim=(-1.7, 1.7), ylim=(-1.4, 1.4), xlabel="Re w", ylabel="Im w")


def plot_region(region: "StabilityRegion", **user: Any) -> Any:
    """The stability region in the complex plane, with level lines inside."""
    return lay_out([lambda ax: draw_region(ax, region)], (7.2, 5.6), **user)


def draw_region(ax: Axes, region: "StabilityRegion") -> None:
    """Where the spectral radius is at most one, and level lines inside."""
    radius = np.minimum(region.radius, 1e6)
    ax.contourf(region.real, region.imaginary, radius, levels=[0, 1], colors=[_STABLE], alpha=0.18)
    lines = ax.contour(region.real, region.imaginary, radius, levels=[0.25, 0.5, 0.75], colors=_STABLE, linewidths=0.8)
    ax.clabel(lines, fmt="%.2f", fontsize=8)
    ax.contour(region.real, region.imaginary, radius, levels=[1], colors="black", linewidths=1.6)
    ax.axhline(0, color="0.6", lw=0.6)
    ax.axvline(0, color="0.6", lw=0.6)
    ax.set(aspect="equal", xlabel="Re z", ylabel="Im z", xlim=(region.real[0], region.real[-1]),
           ylim=(region.imaginary[0], region.imaginary[-1]),
           title=f"{region.scheme}: stable where $|R(z)| ≤ 1$, z = hλ\n"
                 f"real axis to {_number(region.intervals.real, '−')}, imaginary axis to "
                 f"{_number(region.intervals.imaginary, '±')}")  # fmt: skip


def plot_map(found: "StabilityMap", **user: Any) -> Any:
    """The spectral radius over two parameters, the boundary of stability, and the best pair."""
    return lay_out([lambda ax: draw_map(ax, found)], (7.6, 5.6), **user)


def draw_map(ax: Axes, found: "StabilityMap") -> None:
    """The spectral radius as colours, the boundary as a line, and the best pair as a star."""
    shown = np.ma.masked_invalid(np.where(found.radius <= 1, found.radius, np.nan))
    drawn = ax.pcolormesh(
        found.horizontal, found.vertical, shown, cmap="viridis_r", vmin=0.9 * found.best[2], vmax=1,
        shading="nearest", rasterized=True,
    )  # fmt: skip
    ax.set_facecolor("#f3d9cc")
    ax.contour(found.horizontal, found.vertical, found.radius, levels=[1], colors="black", linewidths=1.8)
    x, y, radius = found.best
    ax.plot(x, y, "*", mfc="gold", mec="black", ms=15)
    first, second = found.names
    ax.text(0.98, 0.02, f"★ {radius:.4g} at {first} = {x:.4g}, {second} = {y:.4g}", transform=ax.transAxes, ha="right",
            bbox={"facecolor": "white", "alpha": 0.85, "lw": 0})  # fmt: skip
    bar = ax.figure.colorbar(drawn, ax=ax)
    bar.set_label("spectral radius of a step: the slowest mode's factor")
    curvatures = ", ".join(f"{value:.4g}" for value in found.curvatures[:4])
    ax.set(xlabel=first, ylabel=second, title=f"{found.optimizer} on curvatures {curvatures}: unstable beyond the line")


def plot_sweep(sweep: "StepSweep", **user: Any) -> Any:
    """How fast over the step, predicted by the eigenvalues and measured on the runs; and the three behaviours."""
    behaviours = np.array([str(sweep.behaviour(i)) for i in range(len(sweep.h))])
    panels: list[Panel] = [lambda ax: _draw_factor(ax, sweep, behaviours)]
    panels += [lambda ax, name=name: _draw_behaviour(ax, sweep, behaviours, name) for name in _BEHAVIOUR_COLOURS]
    return lay_out(panels, (14, 4.2), width_ratios=(1.6, 1, 1, 1), **user)


def _draw_behaviour(ax: Axes, sweep: "StepSweep", behaviours: np.ndarray, name: str) -> None:
    mine = np.flatnonzero(behaviours == name)
    ax.set(title=f"{name}", xlabel="step k", ylabel="$E(x) - E^*$")
    if not len(mine):
        ax.text(0.5, 0.5, "no step does", transform=ax.transAxes, ha="center", color="0.4")
        return
    i = int(mine[len(mine) // 2]) if name != "growing" else int(mine[0])
    rows = sweep.runs.rows
    gap = np.asarray(rows["energy"][i], dtype=float) - _least_energy(sweep)
    shown = np.where((gap > 0) & (gap < 1e30), gap, np.nan)
    ax.semilogy(rows["k"], shown, color=_BEHAVIOUR_COLOURS[name], marker=".", ms=3)
    ax.set_title(f"{name}\nh·λ = {sweep.h[i] * _greatest(sweep):.3g}")
    ax.grid(True, alpha=0.3)


def _draw_factor(ax: Axes, sweep: "StepSweep", behaviours: np.ndarray) -> None:
    top = _greatest(sweep)
    ax.plot(sweep.h * top, sweep.predicted, color="black", label="predicted: spectral radius")
    for name, colour in _BEHAVIOUR_COLOURS.items():
        mine = behaviours == name
        ax.plot(sweep.h[mine] * top, sweep.measured[mine], "o", ms=4, color=colour, label=f"measured, {name}")
    ax.axhline(1, color="0.5", lw=0.8)
    if math.isfinite(sweep.stability.limit):
        ax.axvline(sweep.stability.limit * top, color=_UNSTABLE, lw=1, ls="--")
    ax.set(
        xlabel="h · λ",
        ylabel="factor of the error a step",
        title="How fast",
        ylim=(0, max(1.2, min(2.5, sweep.predicted.max()))),
    )
    ax.legend(fontsize=8)


def plot_bifurcation(found: "Bifurcation", **user: Any) -> Any:
    """The values settled on, and the Lyapunov exponent, over the step."""
    panels = [lambda ax: _draw_settled(ax, found), lambda ax: _draw_exponent(ax, found)]
    return lay_out(panels, (10, 6.4), shape=(2, 1), sharex=True, height_ratios=(2, 1), **user)


def _draw_settled(top: Axes, found: "Bifurcation") -> None:
    hs = np.repeat(found.h, found.values.shape[1])
    top.plot(hs, found.values.ravel(), ",", color="black", alpha=0.4, rasterized=True)
    top.set(xlabel="step h", ylabel="iterates settled on", title="From rest to cycles to chaos as the step grows")
    top.grid(True, alpha=0.25)
    for period in (2, 4, 8):
        step = found.first(period)
        if step is not None:
            top.axvline(step, color=COLOURS[1], lw=0.7, ls=":")
            top.annotate(f" period {period}", (step, 0.985), xycoords=("data", "axes fraction"), rotation=90, va="top",
                         fontsize=8, color=COLOURS[1])  # fmt: skip


def _draw_exponent(bottom: Axes, found: "Bifurcation") -> None:
    colours = np.where(found.exponent > 0, _UNSTABLE, "#0072B2")
    bottom.axhline(0, color="0.5", lw=0.8)
    bottom.scatter(found.h, found.exponent, c=colours, s=3)
    bottom.set(xlabel="step h", ylabel="Lyapunov exponent a step", ylim=(max(np.nanmin(found.exponent), -2.5), None))
    bottom.grid(True, alpha=0.25)


def plot_edge(found: "EdgeOfStability", **user: Any) -> Any:
    """The sharpness against what the step allows, and the energy, along a run."""
    return lay_out([lambda ax: _draw_ratio(ax, found), lambda ax: _draw_sharpness(ax, found)], (11, 4.4), **user)


def _draw_ratio(left: Axes, found: "EdgeOfStability") -> None:
    left.semilogy(found.steps, found.ratio, color=COLOURS[0], lw=1.5)
    left.axhline(1, color=_UNSTABLE, lw=1.2)
    left.fill_between(found.steps, found.ratio, 1, where=found.ratio > 1, color=_UNSTABLE, alpha=0.15)
    left.set(xlabel="step k", ylabel="h / limit of the curvature there", title="Above 1 the linearization is unstable")
    left.grid(True, alpha=0.3)


def _draw_sharpness(right: Axes, found: "EdgeOfStability") -> None:
    right.semilogy(found.steps, found.sharpness, color=COLOURS[0], label="sharpness: greatest curvature")
    other = right.twinx()
    other.plot(found.steps, found.energy, color="0.45", lw=1, label="energy (right)")
    right.set(xlabel="step k", ylabel="sharpness", title="Sharpness and energy along the run")
    other.set_ylabel("energy")
    lines = [*right.lines, *other.lines]
    right.legend(lines, [str(line.get_label()) for line in lines], fontsize=9)
    right.grid(True, alpha=0.3)


def steps_drawn(stability: "Stability") -> tuple[np.ndarray, bool]:
    """The steps to draw, and whether they span powers of ten: where equal ones all leave the frame."""
    end = _longest_drawn(stability)
    steps = np.linspace(end / _DRAWN, end, _DRAWN)
    if stability.spectral_radius(steps[0]) <= _TALLEST:
        return steps, False
    return end * np.geomspace(_SHORTEST, 1, _DRAWN), True


def _longest_drawn(stability: "Stability") -> float:
    top = float(stability.curvatures.greatest[1])
    candidates = [stability.limit, stability.global_limit, stability.step]
    if not 0 < stability.limit < math.inf:
        candidates.append(8 / top if top > 0 else 8.0)
    return 1.35 * max(v for v in candidates if v is not None and 0 < v < math.inf)


def _greatest(sweep: "StepSweep") -> float:
    return float(sum(sweep.stability.curvatures.greatest) / 2)


def _least_energy(sweep: "StepSweep") -> float:
    energy = sweep.stability.flow.energy
    return float(energy.value(sweep.stability.at))


def formula_latex(formula: sympy.Expr) -> str:
    """A limit as LaTeX, with irrational roots as numbers."""
    return sympy.latex(without_roots(formula), fold_short_frac=True)


def _number(value: sympy.Expr, sign: str) -> str:
    if value == sympy.oo:
        return f"{sign}∞"
    return "0" if value == 0 else f"{sign}{float(value):.6g}"
