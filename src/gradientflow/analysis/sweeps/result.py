"""What a sweep found: how each lane ended, with its labels."""

import dataclasses
import html
from collections import Counter
from typing import Any

import jax
import numpy as np

from gradientflow.flows import OUTCOMES, Ended, take_apart

from ..results.grades import Measured
from ..results.html import show_table
from ..results.result import Drawn
from .lanes import Lanes

NOT_RUN = "not run"
# So many lanes are shown in a notebook: those of least energy.
_SHOWN = 20


@dataclasses.dataclass(frozen=True, repr=False)
class Sweep(Measured, Drawn):
    """How each lane of a sweep ended. Arrays have the sweep's axes first, in the order of `over`.

    `.plot()` draws the energy at the end over one parameter, coloured by outcome, or a map over two.

    Attributes:
        lanes: the values swept.
        x: the positions at the end, the user's pytree.
        energy: E there.
        grad_norm: ‖∇E‖∞ there.
        t: the time there [T].
        steps: how many steps were taken.
        code: the outcome's position in `gf.Outcome`; −1 for a lane that was not run.
        step: where the outcome began: the first bad step, the first of a cycle; −1 for none.
        first_not_finite: the first step after which something is not finite; −1 for none.
        rows: what was recorded, by name, with an axis of rows last or before x's own; `k` and `t` beside it.
        is_flow: whether it is of a Flow.
        done: how many lanes were run.
    """

    drawn_by = "sweeps.figures:plot_sweep"

    lanes: Lanes
    x: Any
    energy: np.ndarray
    grad_norm: np.ndarray
    t: np.ndarray
    steps: np.ndarray
    code: np.ndarray
    step: np.ndarray
    first_not_finite: np.ndarray
    rows: dict[str, Any]
    is_flow: bool
    done: int

    @property
    def dims(self) -> tuple[str, ...]:
        """The names of the axes."""
        return self.lanes.dims

    @property
    def outcome(self) -> np.ndarray:
        """The outcomes' names."""
        return np.array([*map(str, OUTCOMES), NOT_RUN])[self.code]

    @property
    def tally(self) -> str:
        """How many lanes ended how."""
        counts = Counter(dict(zip(*np.unique(self.outcome, return_counts=True), strict=True)))
        return ", ".join(f"{count:,} {outcome}" for outcome, count in counts.most_common())

    @property
    def best(self) -> dict[str, Any]:
        """The values of the lane of least energy among those that did not diverge; empty where there is none."""
        found = self._best_lane
        return {} if found is None else self.lanes.one(found)

    @property
    def _best_lane(self) -> int | None:
        energy = np.where((self.outcome == "diverged") | ~np.isfinite(self.energy), np.inf, self.energy).ravel()
        return int(energy.argmin()) if len(energy) and np.isfinite(energy.min()) else None

    @property
    def headline(self) -> str:
        """What was swept, how it ended, and the best lane."""
        names = " × ".join(f"{name} ({length:,})" for name, length in zip(self.dims, self.lanes.shape, strict=True))
        lines = [f"Sweep over {names}, {self.grade}", f"  {self.tally}"]
        if self.done < len(self.lanes):
            lines.append(f"  interrupted: {self.done:,} of {len(self.lanes):,} lanes were run")
        if (lane := self._best_lane) is not None:
            values = ", ".join(f"{name} = {_shown(value)}" for name, value in self.lanes.one(lane).items())
            lines.append(f"  least energy {self.energy.ravel()[lane]:.6g} at {values}")
        return "\n".join(lines)

    def table(self) -> Any:
        """One row a lane: its values, energy, gradient, outcome, where that began, and steps or time taken."""
        import pandas as pd

        index = np.arange(len(self.lanes))
        places = np.unravel_index(index, self.lanes.shape)
        data: dict[str, Any] = {}
        for place, axis in zip(places, self.lanes.axes, strict=True):
            for name, column in axis.items():
                values = {"number": column.values, "thing": np.array([*map(_shown, column.at(np.arange(len(column))))])
                          if column.kind == "thing" else None}.get(column.kind)  # fmt: skip
                data[name] = place if values is None else values[place]
        data |= {"energy": self.energy.ravel(), "grad_norm": self.grad_norm.ravel(), "outcome": self.outcome.ravel(),
                 "step": self.step.ravel(), "t" if self.is_flow else "steps":
                 (self.t if self.is_flow else self.steps).ravel()}  # fmt: skip
        return pd.DataFrame(data).set_index(list(self.lanes.columns))

    def to_xarray(self) -> Any:
        """An `xarray.Dataset` over the names of `over`; names zipped together share an axis called by all of them.

        Variables: energy, grad_norm, x (or one a leaf of it) at the end, outcome as words, step and first_not_finite
        (−1 for none), steps or t; and what was recorded.
        """
        import xarray as xr

        dims = self.dims
        data: dict[str, Any] = {
            "energy": (dims, self.energy), "grad_norm": (dims, self.grad_norm), "outcome": (dims, self.outcome),
            "step": (dims, self.step), "first_not_finite": (dims, self.first_not_finite),
        }  # fmt: skip
        data |= {"t": (dims, self.t)} if self.is_flow else {"steps": (dims, self.steps)}
        self._put(data, "x", self.x, dims)
        along = "time" if self.is_flow else "k"
        for name, tree in self.rows.items():
            if name not in ("t", "k"):
                self._put(data, f"{name}_history", tree, (*dims, along))
        coordinates: dict[str, Any] = {}
        for dim, axis in zip(dims, self.lanes.axes, strict=True):
            for name, column in axis.items():
                if column.kind in ("number", "thing"):
                    things = column.values if column.kind == "number" else np.array([_shown(v) for v in column.values])
                    coordinates[name] = (dim, things)
                elif column.kind == "array" or column.kind == "x0":
                    self._put(data, "start" if name == "x0" else f"{name}_value", column.values, (dim,))
        if self.rows:
            coordinates[along] = (along, self.rows["t" if self.is_flow else "k"])
        attributes = {"tally": self.tally, "lanes run": self.done}
        return xr.Dataset(data, coords=coordinates, attrs=attributes)

    @staticmethod
    def _put(data: dict[str, Any], name: str, tree: Any, dims: tuple[str, ...]) -> None:
        leaves: dict[str, np.ndarray] = {}
        take_apart(name, tree, leaves)
        for own, leaf in leaves.items():
            data[own] = ((*dims, *(f"{own}_{axis}" for axis in range(leaf.ndim - len(dims)))), leaf)

    def __repr__(self) -> str:
        """What was swept, how it ended, and the best lane."""
        return self.headline

    def _repr_html_(self) -> str:
        """For notebooks: the same, with the lanes of least energy."""
        lines = "".join(f"<p>{html.escape(line)}</p>" for line in self.headline.split("\n"))
        table = self.table().sort_values("energy").head(_SHOWN)
        return f"<div>{lines}{show_table(table)}</div>"


def sweep_of(lanes: Lanes, ended: Ended, is_flow: bool, done: int) -> Sweep:
    """The result, from arrays with one axis of lanes."""
    shape = lanes.shape

    def unfolded(leaf: Any) -> Any:
        return leaf.reshape((*shape, *leaf.shape[1:]))

    # The rows of all lanes are at the same steps, or times.
    along = {name: ended.rows[name][0] for name in ("t", "k") if name in ended.rows}
    rows = jax.tree.map(unfolded, {name: tree for name, tree in ended.rows.items() if name not in along})
    status = ended.status
    return Sweep(
        lanes=lanes, x=jax.tree.map(unfolded, ended.x), energy=unfolded(ended.energy),
        grad_norm=unfolded(ended.grad_norm), t=unfolded(ended.t), steps=unfolded(ended.steps),
        code=unfolded(status.code), step=unfolded(status._step),
        first_not_finite=unfolded(status._first_not_finite), rows=rows | along, is_flow=is_flow, done=done,
    )  # fmt: skip


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if hasattr(value, "shape"):
        return np.array2string(np.asarray(value), precision=4)
    return getattr(value, "__name__", str(value))
