"""The scene of an ensemble: particles on the landscape, and how often they are where."""

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from scipy.integrate import cumulative_trapezoid

from gradientflow.discretizers import Chains
from gradientflow.flows import Energy, Flow

from ..comparison.plane import draw_landscape
from ..results.figure import blank
from ..results.grid import values_on
from ..results.palette import COLOURS
from .moving import Moving, Track
from .scene import Scene, clock_words

# So many particles are drawn one by one; the others count in the histogram.
_SEEN, _BARS, _FINE = 400, 60, 400
# What this share of all draws leaves aside on each side is not in the frame.
_OUTSIDE = 5e-4
# The quadrature of a density: so many points, on so many times as wide an interval at first as chains were in, doubled
# so many times at most, until this logarithm of the density, of which 1 is the most, is not reached at its ends.
_QUADRATURE, _WIDE, _DOUBLINGS, _NOTHING = 20_001, 10.0, 8, -40.0


def of_chains(chains: Chains, flow: Flow | None, frames: int, title: str | None) -> Scene:
    """Particles on the graph with their histogram, or on the plane.

    Raises:
        ValueError: if the position is neither one number nor two.
    """
    leaves = jax.tree.leaves(chains.x)
    x = np.asarray(leaves[0], dtype=float)
    x = x.reshape(*x.shape[:2], -1)[np.asarray(chains.finite)]
    if len(leaves) > 1 or x.shape[2] > 2 or not len(x):
        raise ValueError(f"film: chains must have positions of one or two numbers, and stay finite, got {chains!r}")
    t = np.asarray(chains.t, dtype=float)
    clock = np.linspace(t[0], t[-1], frames)
    rows = x[:, np.clip(np.searchsorted(t, clock + 1e-9 * np.ptp(t), side="right") - 1, 0, None)]
    energy = None if flow is None else flow.energy
    box = [tuple(np.quantile(x[..., i], (_OUTSIDE, 1 - _OUTSIDE))) for i in range(x.shape[2])]
    box = [(low - 0.08 * (high - low), high + 0.08 * (high - low)) for low, high in box]
    if x.shape[2] == 1:
        shape = leaves[0].shape[2:]
        density, temperature = None, getattr(flow, "temperature", None)
        if flow is not None and temperature is not None and float(temperature) > 0:
            density = density_on_the_line(flow.energy, float(temperature), box[0], shape)
            box = [(min(box[0][0], density[0][0]), max(box[0][1], density[0][-1]))]
        figure = blank(7.2, 7.0)
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(1, 1.2))
        tracks: list[Track] = [_on_the_graph(top, energy, rows[..., 0], box[0], shape)]
        tracks.append(_histogram(bottom, density, rows[..., 0], box[0]))
    else:
        figure = blank(7.2, 6.8)
        top = figure.subplots()
        if energy is not None:
            draw_landscape(top, energy, box)
        (dots,) = top.plot([], [], "o", color=COLOURS[1], ms=4, alpha=0.7, mec="none")
        top.set(xlim=box[0], ylim=box[1], xlabel="$x_1$", ylabel="$x_2$")
        tracks = [Moving(dots, np.swapaxes(rows[:_SEEN], 0, 1))]
    seen = min(len(x), _SEEN)
    told = f"{seen} particles" if seen == len(x) else f"{seen} of {len(x):,} particles"
    top.set_title(f"{told}, {chains.stats['scheme']}, h = {chains.stats['step']:g}", loc="right", fontsize=10)
    words = clock_words(top, "t", clock)
    if title is not None:
        figure.suptitle(title)
    return Scene(f"{len(x):,} particles", figure, [*tracks, words], words.said)


def _on_the_graph(
    ax: Axes, energy: Energy | None, rows: np.ndarray, box: tuple[float, float], shape: tuple[int, ...]
) -> Moving:
    xs, seen = np.linspace(*box, _FINE), rows[:_SEEN].T
    heights = np.zeros_like(seen)
    if energy is None:
        ax.set_yticks([])
    else:
        graph = _values(energy, xs, shape)
        ax.plot(xs, graph, color="0.6", lw=1.5)
        heights = np.interp(seen, xs, graph)
        ax.set_ylabel("E")
    (dots,) = ax.plot([], [], "o", color=COLOURS[1], ms=5, alpha=0.45, mec="none")
    ax.set_xlim(box)
    return Moving(dots, np.stack([seen, heights], axis=-1))


def density_on_the_line(
    energy: Energy, temperature: float, near: tuple[float, float], shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """e^(−E/T) normalized over the line, on a grid where it has its mass: places and values.

    By the trapezoidal rule, on an interval around a near one that is doubled until nothing is left at its ends, and
    again where there is something. Where there is none such, E has no density, and its mass on the near one is 1.
    """

    def logs(low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
        xs = np.linspace(low, high, _QUADRATURE)
        found = -_values(energy, xs, shape) / temperature
        found = np.where(np.isfinite(found), found, -np.inf)
        return xs, found - found.max()

    middle, width = (near[0] + near[1]) / 2, max(near[1] - near[0], 1e-9)
    for doubled in range(_DOUBLINGS):
        half = _WIDE * width * 2**doubled
        xs, found = logs(middle - half, middle + half)
        if max(found[0], found[-1]) < _NOTHING:
            inside = np.flatnonzero(found > _NOTHING)
            xs, found = logs(float(xs[inside[0] - 1]), float(xs[inside[-1] + 1]))
            break
    else:
        xs, found = logs(*near)
    mass = cumulative_trapezoid(np.exp(found), xs, initial=0)
    kept = (mass >= _OUTSIDE * mass[-1]) & (mass <= (1 - _OUTSIDE) * mass[-1])
    return xs[kept], np.exp(found[kept]) / mass[-1]


def _histogram(
    ax: Axes, density: tuple[np.ndarray, np.ndarray] | None, rows: np.ndarray, box: tuple[float, float]
) -> Moving:
    """Bars as one line that moves, and the density where the temperature is known."""
    edges = np.linspace(*box, _BARS + 1)
    counts = np.array([np.histogram(now, edges)[0] for now in rows.T]) / (len(rows) * np.diff(edges))
    stairs = np.repeat(counts, 2, axis=1)
    bars = np.pad(
        np.stack([np.broadcast_to(np.repeat(edges, 2)[1:-1], stairs.shape), stairs], axis=-1), ((0, 0), (1, 1), (0, 0))
    )
    bars[:, 0, 0], bars[:, -1, 0] = edges[0], edges[-1]
    (line,) = ax.plot([], [], color=COLOURS[1], lw=1.4, label="the particles")
    settled = counts[len(counts) // 2 :].max()
    if density is not None:
        ax.plot(*density, "--", color="black", lw=1.2, label="$e^{-E/T}$, normalized")
        settled = max(settled, density[1].max())
    ax.legend(loc="upper right", fontsize=9)
    # At the start all may be in one place: that bar leaves the frame.
    ax.set(xlim=box, ylim=(0, 1.35 * settled), xlabel="x", ylabel="how often")
    return Moving(line, bars)


def _values(energy: Energy, xs: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.asarray(values_on(energy, jnp.zeros(shape), jnp.ones((1, 1)), (jnp.asarray(xs),)), dtype=float)
