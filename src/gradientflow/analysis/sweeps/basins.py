"""Which minimum each start of a rectangle reaches."""

import dataclasses
import enum
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from gradientflow.discretizers import Method
from gradientflow.flows import Energy, Flow, check_integer, looks_at_numbers
from gradientflow.flows.checks import in_a_line

from ..results.grades import Measured
from ..results.result import Drawn
from .sweep import sweep

# Two ends are one minimum if they are so near, as a share of the box.
_SAME = 1e-4
# Every so many points of the grid are asked for first, and from how many points on that pays.
_COARSE, _PAYS = 8, 96
_UNKNOWN = -100
_NEWTON = 8


class Elsewhere(enum.IntEnum):
    """The labels of starts that reach no minimum.

    Attributes:
        DIVERGED: not finite, or by a rise that does not end.
        RUNNING_OFF: E falls for ever, and nothing comes to rest.
        NOT_ARRIVED: still on its way when the steps ended.
        NO_MINIMUM: at rest at a saddle or a maximum.
        CYCLING: on a cycle.
    """

    DIVERGED = -1
    RUNNING_OFF = -2
    NOT_ARRIVED = -3
    NO_MINIMUM = -4
    CYCLING = -5


_CODES = {
    "diverged": Elsewhere.DIVERGED, "running off": Elsewhere.RUNNING_OFF, "cycling": Elsewhere.CYCLING,
}  # fmt: skip


@dataclasses.dataclass(frozen=True, repr=False)
class Basins(Measured, Drawn):
    """Which minimum each start reaches.

    `.plot()` draws the picture, with the minima on it.

    Attributes:
        x: the first coordinates of the grid, ends included, shape (nx,) [X].
        y: the second, shape (ny,) [X].
        labels: of each start the number of its minimum, or an `Elsewhere`, all of which are negative; shape (ny, nx).
        minima: the minima, in the order of their energies, shape (k, 2) [X].
        energy: E there, shape (k,).
        starts: how many starts were run; the others lie among ones that reach the same minimum.
        of: what they are the basins of.
    """

    drawn_by = "sweeps.figures:plot_basins"

    x: np.ndarray
    y: np.ndarray
    labels: np.ndarray
    minima: np.ndarray
    energy: np.ndarray
    starts: int
    of: str

    def table(self) -> Any:
        """One row a minimum, and one for each way to reach none: where it is, E there, its share of the box."""
        import pandas as pd

        rows = []
        for label in [*range(len(self.minima)), *sorted(Elsewhere, reverse=True)]:
            share = float((self.labels == int(label)).mean())
            if isinstance(label, Elsewhere):
                if share:
                    rows.append({"reached": named(label), "x": np.nan, "y": np.nan, "energy": np.nan, "share": share})
            else:
                x, y = self.minima[label]
                rows.append(
                    {"reached": f"minimum {label}", "x": x, "y": y, "energy": self.energy[label], "share": share}
                )
        return pd.DataFrame(rows).set_index("reached")

    @property
    def headline(self) -> str:
        """What was asked, and from how many starts."""
        return f"Basins of {self.of}: {len(self.x)} × {len(self.y)} starts, of which {self.starts:,} were run"

    def __repr__(self) -> str:
        """The table."""
        table = self.table().to_string(float_format=lambda value: f"{value:.6g}", na_rep="–")
        return f"{self.headline}\n{table}\n{self.grade}"


def named(label: int) -> str:
    """A negative label in words."""
    return Elsewhere(label).name.lower().replace("_", " ")


@looks_at_numbers
def basins(
    subject: Any,
    box: Any,
    resolution: Any = 200,
    *,
    steps: int = 1_000,
    rtol: Any = 1e-6,
    max_steps: int = 4_096,
) -> Basins:
    """Which minimum each start of a rectangle reaches, by a method or by a flow; a smaller box is the zoom.

    A start counts as arrived by the test for rest of `iterate` and `integrate`, which depends on no units. Of a flow,
    whose basins have smooth borders, a coarse grid is run first and refined where a neighbour reaches something else;
    of a method every start is run.

    Args:
        subject: a Method or a Flow, whose positions have shape (2,).
        box: ((x0, x1), (y0, y1)) [X].
        resolution: how many starts along each side, or (nx, ny).
        steps: of a Method, how many steps.
        rtol: of a Flow, the tolerance of a step: near a border it decides where a path goes.
        max_steps: of a Flow, how many steps to try.

    Raises:
        TypeError: if `subject` is neither.
        ValueError: for a box that is none.

    References:
        H. E. Nusse, J. A. Yorke, Basins of attraction, Science 271, 1996.

    Example:
        >>> import gradientflow as gf
        >>> found = gf.basins(gf.GradientFlow(gf.landscapes.double_well()), ((-2, 2), (-1, 1)), resolution=4)
        >>> found.labels.tolist()[0], found.minima.round(3).tolist()
        ([0, 0, 1, 1], [[-1.0, 0.0], [1.0, 0.0]])
    """
    if not isinstance(subject, Method | Flow):
        raise TypeError(f"basins: the first argument must be a Method or a Flow, got {type(subject).__name__}")
    x, y = _axes(box, resolution)
    search = _Search(subject, x, y, steps, rtol, max_steps)
    is_flow = isinstance(subject, Flow)
    for stride in _strides(min(len(x), len(y))) if is_flow else [1]:
        search.refine(stride)
    return search.found()


def _axes(box: Any, resolution: Any) -> tuple[np.ndarray, np.ndarray]:
    try:
        bounds = np.asarray(box, dtype=float)
    except (TypeError, ValueError):
        bounds = np.empty(0)
    if bounds.shape != (2, 2) or not np.isfinite(bounds).all() or not (bounds[:, 1] > bounds[:, 0]).all():
        raise ValueError(f"basins: `box` must be ((x0, x1), (y0, y1)) with x0 < x1 and y0 < y1, got {in_a_line(box)}")
    sides: Any = resolution if isinstance(resolution, tuple | list) and len(resolution) == 2 else (resolution,) * 2
    nx, ny = sides
    check_integer("basins", 2, resolution=nx)
    check_integer("basins", 2, resolution=ny)
    x0, x1, y0, y1 = map(float, bounds.ravel())
    return np.linspace(x0, x1, int(nx)), np.linspace(y0, y1, int(ny))


def _strides(count: int) -> list[int]:
    if count < _PAYS:
        return [1]
    return [2**power for power in range(_COARSE.bit_length() - 1, -1, -1)]


class _Itself(eqx.Module):
    """Makes the same of no parameters."""

    subject: Any

    def __call__(self) -> Any:
        return self.subject


class _Search:
    """Starts that were run, and the minima that they reached."""

    def __init__(self, subject: Any, x: np.ndarray, y: np.ndarray, steps: int, rtol: Any, max_steps: int) -> None:
        self.subject, self.x, self.y = subject, x, y
        self.options: dict[str, Any] = {"steps": steps}
        if isinstance(subject, Flow):
            self.options = {"t1": math.inf, "rtol": rtol, "max_steps": max_steps}
        self.energy = subject.flow.energy if isinstance(subject, Method) else subject.energy
        self.labels = np.full((len(y), len(x)), _UNKNOWN)
        self.same = _SAME * max(np.ptp(x), np.ptp(y))
        self.places: list[np.ndarray] = []
        self.is_minimum: list[bool] = []
        self.starts = 0
        self.coarse: tuple[np.ndarray, np.ndarray] | None = None

    def refine(self, stride: int) -> None:
        """Labels every so-manieth point of the grid, without a run where all around reach the same minimum."""
        rows, columns = (np.unique([*range(0, len(axis), stride), len(axis) - 1]) for axis in (self.y, self.x))
        if self.coarse is not None:
            self._fill(rows, columns)
        i, j = (grid.ravel() for grid in np.meshgrid(rows, columns, indexing="ij"))
        unknown = self.labels[i, j] == _UNKNOWN
        i, j = i[unknown], j[unknown]
        if len(i):
            self.labels[i, j] = self._reached(np.stack([self.x[j], self.y[i]], axis=1))
        self.coarse = rows, columns

    def _fill(self, rows: np.ndarray, columns: np.ndarray) -> None:
        """What lies in a cell of the coarser grid that has one label all around it, the next cells included."""
        assert self.coarse is not None
        up, across = self.coarse
        known = np.pad(self.labels[np.ix_(up, across)], 1, mode="edge")
        windows = np.lib.stride_tricks.sliding_window_view(known, (4, 4))
        even = windows.min(axis=(2, 3)) == windows.max(axis=(2, 3))
        cell_of_row = np.clip(np.searchsorted(up, rows, side="right") - 1, 0, len(up) - 2)
        cell_of_column = np.clip(np.searchsorted(across, columns, side="right") - 1, 0, len(across) - 2)
        cells = np.ix_(cell_of_row, cell_of_column)
        target = np.ix_(rows, columns)
        of_cell = self.labels[np.ix_(up[cell_of_row], across[cell_of_column])]
        now = self.labels[target]
        self.labels[target] = np.where((now == _UNKNOWN) & even[cells], of_cell, now)

    def _reached(self, starts: np.ndarray) -> np.ndarray:
        ended = sweep(_Itself(self.subject), over={"x0": starts}, **self.options)
        self.starts += len(starts)
        labels = np.array([_CODES.get(word, Elsewhere.NOT_ARRIVED) for word in ended.outcome])
        here = np.flatnonzero(ended.outcome == "converged")
        labels[here] = self._minimum_of(np.asarray(ended.x)[here])
        return labels

    def _minimum_of(self, ends: np.ndarray) -> np.ndarray:
        """The number of each end's place; new ones are looked at."""
        found = np.full(len(ends), -1)
        for number, place in enumerate(self.places):
            found[(found < 0) & (np.abs(ends - place).max(axis=1) <= self.same)] = number
        while (left := np.flatnonzero(found < 0)).size:
            first = ends[left[0]]
            place, is_minimum = _looked_at(self.energy, first)
            # An end that Newton's method leads away from is a place of its own.
            place = place if np.abs(place - first).max() <= self.same else first
            self.places.append(place)
            self.is_minimum.append(is_minimum)
            near = np.abs(ends[left] - place).max(axis=1) <= self.same
            near[0] = True
            found[left[near]] = len(self.places) - 1
        return found

    def found(self) -> Basins:
        """The result: minima in the order of their energies, from left to right where these are equal."""
        energies = [float(self.energy.value(jax.device_put(place))) for place in self.places]
        order = [number for number, good in enumerate(self.is_minimum) if good]
        # What the energies of the box's corners round by makes no order; nor does the last digit of a place.
        corners = np.stack(np.meshgrid(self.x[[0, -1]], self.y[[0, -1]]), axis=-1).reshape(4, 2)
        there = jax.device_get(_values(self.energy, jax.device_put(corners)))
        sizes = np.abs([*energies, *there.tolist()])
        scale = float(np.max(sizes, where=np.isfinite(sizes), initial=0.0)) or 1.0
        order.sort(key=lambda number: (round(energies[number] / scale, 9), *np.round(self.places[number] / self.same)))
        names = {old: new for new, old in enumerate(order)}
        table = np.array([names.get(number, Elsewhere.NO_MINIMUM) for number in range(len(self.places))], dtype=int)
        labels = self.labels.copy()
        labels[labels >= 0] = table[labels[labels >= 0]] if len(table) else labels[labels >= 0]
        minima = np.array([self.places[number] for number in order]).reshape(-1, 2)
        energy = np.array([energies[number] for number in order])
        return Basins(self.x, self.y, labels, minima, energy, self.starts, self.subject.name)


@eqx.filter_jit
def _values(energy: Energy, places: Any) -> Any:
    return jax.vmap(energy.value)(places)


def _looked_at(energy: Energy, end: np.ndarray) -> tuple[np.ndarray, bool]:
    """A place of rest to its last digits, and whether it is a minimum."""
    place, values = jax.device_get(_newton(energy, jax.device_put(end)))
    eps = float(jnp.finfo(place.dtype).eps)
    return place, bool(values.min() >= -(eps**0.5) * np.abs(values).max())


@eqx.filter_jit
def _newton(energy: Energy, x: Any) -> tuple[Any, Any]:
    def hessian(x: Any) -> Any:
        return jax.vmap(lambda v: energy.hvp(x, v))(jnp.eye(len(x), dtype=x.dtype))

    def one(_: Any, x: Any) -> Any:
        gradient = energy.grad(x)
        y = x - jnp.linalg.lstsq(hessian(x), gradient)[0]
        return jnp.where(jnp.abs(energy.grad(y)).max() < jnp.abs(gradient).max(), y, x)

    x = jax.lax.fori_loop(0, _NEWTON, one, x)
    return x, jnp.linalg.eigvalsh(hessian(x))
