"""Drawing of sweeps. Nothing here computes a result."""

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap, LogNorm, Normalize
from matplotlib.patches import Patch

from gradientflow.flows import OUTCOMES

from ..results.figure import lay_out
from ..results.palette import COLOURS
from .basins import Elsewhere, named
from .result import NOT_RUN

if TYPE_CHECKING:
    from .basins import Basins
    from .result import Sweep
    from .tune import Tuned

_NAMES = [*map(str, OUTCOMES), NOT_RUN]
_COLOUR_OF = {
    "converged": COLOURS[2], "reached the end": COLOURS[0], "diverged": COLOURS[1], "cycling": COLOURS[3],
    "standing still": COLOURS[7], "precision floor": COLOURS[5], "out of steps": COLOURS[4],
    "running off": "#000000", NOT_RUN: "#D9D9D9",
}  # fmt: skip
_GREYS = ("#000000", "#595959", "#A6A6A6", "#D9D9D9", "#7F5F3F")
# So many minima are named beside the picture.
_MOST_NAMED = 20
# Beyond this ratio values are spread over a logarithmic scale.
_LINEAR = 100
# A logarithmic scale of energies goes so far down: rounding below it says nothing.
_DEEPEST = 1e-30


def plot_sweep(sweep: "Sweep", **user: Any) -> Any:
    """The energy at the end over one parameter, coloured by outcome; over two, maps of energy and outcome.

    Of more than two axes, the least energy over the others is shown; starts in the plane are shown where they are.
    """
    if _are_starts(sweep):
        return lay_out([lambda ax: _draw_starts(ax, sweep)], (6.5, 6), **user)
    if len(sweep.lanes.shape) == 1:
        return lay_out([lambda ax: _draw_line(ax, sweep)], (8, 4.8), **user)
    return lay_out([lambda ax: _draw_energy(ax, sweep), lambda ax: _draw_outcome(ax, sweep)], (13, 5), **user)


def _are_starts(sweep: "Sweep") -> bool:
    columns = list(sweep.lanes.columns.items())
    if len(columns) != 1 or columns[0][0] != "x0":
        return False
    values = columns[0][1].values
    return isinstance(values, np.ndarray) and values.ndim == 2 and values.shape[1] == 2


def plot_tuned(tuned: "Tuned", **user: Any) -> Any:
    """The energies that each method's trials reached, best first: how low, and how much tuning it asks for."""
    return lay_out([lambda ax: _draw_tuned(ax, tuned)], (8, 4.8), **user)


def _draw_tuned(ax: Axes, tuned: "Tuned") -> None:
    spread = []
    for (label, found), colour in zip(tuned.sweeps.items(), itertools.cycle(COLOURS), strict=False):
        kept = np.isfinite(found.energy) & (found.outcome != "diverged")
        energy = np.sort(found.energy[kept].ravel())
        share = np.arange(len(energy) + 1) / found.energy.size
        # Of names that begin with an underscore matplotlib's legends say nothing.
        shown = f"{label.lstrip('_')}: {tuned.energy[label]:.3g} at best"
        ax.stairs(energy, share, baseline=None, color=colour, label=shown)
        spread.append(energy)
    ax.set(
        xlabel="share of the trials, best first; what is missing diverged", ylabel="energy at the end", xlim=(0, 1),
        yscale="log" if _is_wide(np.concatenate(spread)) else "linear",
        title=f"{tuned.trials} trials of {tuned.budget:,} steps for every method",
    )  # fmt: skip
    ax.legend()


def plot_basins(found: "Basins", **user: Any) -> Any:
    """The picture, a colour a minimum, with the minima as stars; grey where none is reached."""
    return lay_out([lambda ax: _draw_basins(ax, found)], (7.5, 6), **user)


def _draw_basins(ax: Axes, found: "Basins") -> None:
    colours = {label: COLOURS[label % len(COLOURS)] for label in range(len(found.minima))}
    colours |= {int(label): grey for label, grey in zip(Elsewhere, _GREYS, strict=True)}
    present = sorted(np.unique(found.labels).tolist(), key=lambda label: (label < 0, abs(label)))
    picture = np.searchsorted(sorted(present), found.labels)
    shades = ListedColormap([colours[label] for label in sorted(present)])
    norm = BoundaryNorm(np.arange(len(present) + 1) - 0.5, len(present))
    ax.pcolormesh(found.x, found.y, picture, cmap=shades, norm=norm, shading="nearest", rasterized=True)
    inside = [place for place in found.minima
              if found.x[0] <= place[0] <= found.x[-1] and found.y[0] <= place[1] <= found.y[-1]]  # fmt: skip
    if inside:
        ax.plot(*np.transpose(inside), "*", color="white", mec="black", ms=13, ls="")
    words = {label: named(label) if label < 0 else f"minimum {label}" for label in present}
    patches = [Patch(color=colours[label], label=words[label]) for label in present[:_MOST_NAMED]]
    ax.legend(handles=patches, fontsize=9, loc="upper left", bbox_to_anchor=(1, 1))
    ax.set(xlabel="start, $x_1$", ylabel="start, $x_2$", title=f"Basins of {found.of}")


def _draw_line(ax: Axes, sweep: "Sweep") -> None:
    axis_name, at, words = _axis(sweep, 0)
    shown, norm, label = _energies(sweep)
    # What has no number, or none that fits, is an arrow at the edge, and no line leads there.
    below, foot, top = np.isneginf(np.asarray(sweep.energy, float)), float(norm.vmin or 0), float(norm.vmax or 0)
    above = ~below & ~(shown < top)
    height = np.where(below, foot, np.where(above, top, shown))
    ax.plot(at, np.where(below | above, np.nan, shown), color="0.75", lw=1, zorder=1)
    for outcome in _seen(sweep):
        for part, marker, where in ((~(below | above), "o", ""), (above, "^", ", above"), (below, "v", ", below")):
            here, name = (sweep.outcome == outcome) & part, outcome + where
            if here.any():
                ax.scatter(at[here], height[here], s=24, marker=marker, color=_COLOUR_OF[outcome], label=name, zorder=2)
    _scale(ax.set_xscale, at, words)
    ax.set(xlabel=axis_name, ylabel=label, yscale="log" if isinstance(norm, LogNorm) else "linear")
    if words is not None:
        ax.set_xticks(at, words)
    ax.legend(fontsize=9)


def _draw_energy(ax: Axes, sweep: "Sweep") -> None:
    shown, norm, label = _energies(sweep)
    mesh = _mesh(ax, sweep, shown, norm=norm, cmap="viridis")
    ax.figure.colorbar(mesh, ax=ax, label=label)
    ax.set_facecolor("0.85")


def _draw_outcome(ax: Axes, sweep: "Sweep") -> None:
    codes = np.array([_NAMES.index(word) for word in sweep.outcome.ravel()]).reshape(sweep.outcome.shape)
    if codes.ndim > 2:
        flat = np.asarray(sweep.energy, float).reshape(*codes.shape[:2], -1)
        best = np.where(np.isfinite(flat), flat, np.inf).argmin(axis=2)
        codes = np.take_along_axis(codes.reshape(*codes.shape[:2], -1), best[..., None], axis=2)[..., 0]
    colours = ListedColormap([_COLOUR_OF[name] for name in _NAMES])
    _mesh(ax, sweep, codes, norm=BoundaryNorm(np.arange(len(_NAMES) + 1) - 0.5, len(_NAMES)), cmap=colours)
    patches = [Patch(color=_COLOUR_OF[name], label=name) for name in _seen(sweep)]
    ax.legend(handles=patches, fontsize=9, loc="upper left", bbox_to_anchor=(1, 1))


def _draw_starts(ax: Axes, sweep: "Sweep") -> None:
    x0 = sweep.lanes.columns["x0"].values
    size = float(np.clip(2e4 / len(x0), 1, 20))
    for outcome in _seen(sweep):
        here = sweep.outcome == outcome
        ax.scatter(*x0[here].T, s=size, color=_COLOUR_OF[outcome], label=outcome, lw=0)
    ax.set(xlabel="start, $x_1$", ylabel="start, $x_2$", aspect="equal")
    ax.legend(fontsize=9, loc="upper left", bbox_to_anchor=(1, 1))


def _mesh(ax: Axes, sweep: "Sweep", values: np.ndarray, **look: Any) -> Any:
    (name, at, words), (other, up, other_words) = _axis(sweep, 0), _axis(sweep, 1)
    mesh = ax.pcolormesh(_edges(at, words), _edges(up, other_words), values.T, **look)
    _scale(ax.set_xscale, at, words)
    _scale(ax.set_yscale, up, other_words)
    if words is not None:
        ax.set_xticks(at, words)
    if other_words is not None:
        ax.set_yticks(up, other_words)
    ax.set(xlabel=name, ylabel=other)
    return mesh


def _axis(sweep: "Sweep", number: int) -> tuple[str, np.ndarray, list[str] | None]:
    """Its name, where its values are, and their words where they are no increasing numbers."""
    axis, name = sweep.lanes.axes[number], sweep.dims[number]
    column = next(iter(axis.values()))
    places = np.arange(len(column), dtype=float)
    if column.kind == "thing":
        return name, places, [getattr(value, "__name__", str(value)) for value in column.values]
    ascends = column.kind == "number" and ((np.diff(column.values) > 0).all() or (np.diff(column.values) < 0).all())
    if ascends:
        return (name if len(axis) == 1 else next(iter(axis))), column.values, None
    return f"{name}, its number", places, None


def _edges(at: np.ndarray, words: Any) -> np.ndarray:
    """Between the values, half-way on the scale on which they are drawn."""
    if len(at) == 1:
        return np.array([at[0] - 0.5, at[0] + 0.5])
    logarithmic = words is None and _is_wide(at)
    x = np.log(at) if logarithmic else at
    middle = (x[1:] + x[:-1]) / 2
    edges = np.concatenate([[2 * x[0] - middle[0]], middle, [2 * x[-1] - middle[-1]]])
    return np.exp(edges) if logarithmic else edges


def _scale(setter: Any, values: np.ndarray, words: Any) -> None:
    if words is None and _is_wide(values):
        setter("log")


def _is_wide(values: np.ndarray) -> bool:
    finite = values[np.isfinite(values)]
    return bool(finite.size and finite.min() > 0 and finite.max() >= _LINEAR * finite.min())


def _energies(sweep: "Sweep") -> tuple[np.ndarray, Normalize, str]:
    """The energies at the end as they are drawn, their scale, and its label; NaN where there is no number.

    What diverged is drawn no higher than a little above all that did not; on a logarithmic scale zeros are at its foot.
    """
    energy = np.asarray(sweep.energy, float)
    finite = energy[np.isfinite(energy)]
    low = float(min(finite.min(initial=0.0), 0.0))
    kept = energy[np.isfinite(energy) & ~np.isin(sweep.outcome, ["diverged", "running off"])]
    kept = (kept if kept.size else finite) - low
    positive = kept[kept > 0]
    wide = bool(positive.size) and positive.max() > _LINEAR * positive.min()
    top = float(kept.max(initial=0.0)) * (10 if wide else 1.25) or 1.0
    foot = float(max(positive.min(), top * _DEEPEST)) if wide else 0.0
    if energy.ndim > 2:
        energy = energy.min(axis=tuple(range(2, energy.ndim)))
    shown = np.where(np.isfinite(energy), np.clip(energy - low, foot, top), np.nan)
    label = "energy at the end" if low == 0 else f"energy at the end + {-low:.4g}"
    return shown, LogNorm(foot, top) if wide else Normalize(0.0, top), label


def _seen(sweep: "Sweep") -> list[str]:
    return [name for name in _NAMES if (sweep.outcome == name).any()]
