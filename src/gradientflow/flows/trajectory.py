"""Trajectories: what integrating a flow and iterating a discretizer both return."""

import dataclasses
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from gradientflow._files import write_file
from gradientflow._meant import meant_attribute

from .aliases import Position, Time
from .checks import refuse_traced
from .compiling import compiled, map_distinct, put_rows
from .energies.energy import Energy
from .numerics import Number, max_norm
from .saved import as_netcdf, free_name, storable, take_apart
from .status import Status

# Positions evaluated at once: enough to fill the vector units, few enough to bound the memory of a large energy.
_BATCH = 64


@jax.tree_util.register_pytree_node_class
class Stats(Mapping[str, Any]):
    """What a trajectory took, by name: numbers, which may be traced, and words, which belong to its structure."""

    numbers: dict[str, Any]
    words: tuple[tuple[str, str], ...]

    def __init__(self, **named: Any) -> None:
        self.numbers = {name: value for name, value in named.items() if not isinstance(value, str)}
        self.words = tuple((name, value) for name, value in named.items() if isinstance(value, str))

    def tree_flatten(self) -> tuple[tuple[Any], Any]:
        """The numbers, and the words."""
        return (self.numbers,), self.words

    @classmethod
    def tree_unflatten(cls, words: Any, numbers: Any) -> "Stats":
        """From both."""
        stats = cls()
        (stats.numbers,), stats.words = numbers, words
        return stats

    def __getitem__(self, name: str) -> Any:
        """The number or the word of that name."""
        return dict(self.words)[name] if name in dict(self.words) else self.numbers[name]

    def __iter__(self) -> Iterator[str]:
        """The names."""
        yield from (name for name, _ in self.words)
        yield from self.numbers

    def __len__(self) -> int:
        """How many there are."""
        return len(self.words) + len(self.numbers)

    def __repr__(self) -> str:
        """As a dictionary's."""
        return f"Stats({dict(self)})"

    def __eq__(self, other: object) -> bool:
        """Whether names and values are the same, of another one or a dictionary."""
        return isinstance(other, Mapping) and dict(self) == dict(other)

    def __hash__(self) -> int:
        """That of the words."""
        return hash(self.words)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class Trajectory:
    """A path of a flow or a run of a discretizer, saved at n times.

    It is a pytree: runs go in and out of `jit`, `vmap` and `grad`. Of a batch all arrays have the lanes' axis first.

    Attributes:
        t: the flow's time, shape (n,). Iterates live on it too: t_k is the sum of the steps before k.
        x: positions: the user's pytree with a leading axis of length n.
        state: full states with the same leading axis; `state[-1]` starts another run.
        energy: E(x), shape (n,).
        grad_norm: ‖∇E(x)‖∞, shape (n,).
        status: how it ended.
        stats: what it took: solver or scheme, steps, tolerances, precision.
        steps: the index of the step at which each row was saved.
        evaluate: the dense evaluation behind `path(t)`, where there is one: positions, energies and gradient norms.

    Example:
        >>> import gradientflow as gf
        >>> descent = gf.optimizers.gradient_descent(gf.landscapes.bowl(), lr=0.1)
        >>> run = descent.iterate([3.0, 1.0], steps=10)
        >>> run.x.shape, str(run.status)
        ((11, 2), 'reached the end')
    """

    t: jax.Array | np.ndarray
    x: Any
    state: Any
    energy: jax.Array | np.ndarray
    grad_norm: jax.Array | np.ndarray
    status: Status
    stats: Stats
    steps: jax.Array | np.ndarray
    evaluate: Callable[[Any], Any] | None = dataclasses.field(default=None, metadata={"static": True})

    def __call__(self, t: Time) -> Any:
        """The position at any time between the first and the last, at the accuracy of the solve itself.

        Args:
            t: a time or an array of times, within [t[0], t[-1]].

        Raises:
            TypeError: for iterates and for trajectories read from a file, which exist at their saved times only.
            ValueError: for a time outside the trajectory.
        """
        if self.evaluate is None:
            raise TypeError("this trajectory exists at its saved times only (`.t`, `.x`); integrate the flow for more")
        refuse_traced("path(t)", self.t)
        first, last = np.asarray(self.t, float)[[0, -1]].tolist()
        asked = np.asarray(t, dtype=float)
        # A sum of steps misses the end by a few units in the last place; that is still the end.
        slack = 8 * float(jnp.finfo(self.t.dtype).eps) * max(abs(first), abs(last))
        if not np.all((asked >= first - slack) & (asked <= last + slack)):
            raise ValueError(f"path(t): `t` must lie in [{first}, {last}], got {t}")
        return self.evaluate(np.clip(asked, first, last))[0]

    def __len__(self) -> int:
        """The number of saved times."""
        return len(self.t)

    def __eq__(self, other: object) -> Any:
        """Whether all rows and words are the same."""
        return eqx.tree_equal(self, other)

    def __repr__(self) -> str:
        """One line: how it ended, and where; of a batch how many lanes ended how."""
        if isinstance(self.t, Tracer):
            return f"Trajectory(being traced, t: {self.t.shape})"
        if self.t.ndim > 1:
            lanes = "×".join(map(str, self.t.shape[:-1]))
            return f"Trajectory(a batch of {lanes}: {self.status}; {self.t.shape[-1]} times each)"
        between = f"{self.status}; {len(self)} times from {float(self.t[0]):g} to {float(self.t[-1]):g}"
        if self.is_of_a_field:
            return f"Trajectory({between}; ‖f‖∞ {float(self.grad_norm[0]):.3g} → {float(self.grad_norm[-1]):.3g})"
        return (
            f"Trajectory({between}; energy {float(self.energy[0]):.6g} → {float(self.energy[-1]):.6g}; "
            f"‖∇E‖∞ {float(self.grad_norm[-1]):.2g})"
        )

    @property
    def is_of_a_field(self) -> bool:
        """Whether it has no energy to tell of: in a field's rows it is 0, and `grad_norm` is ‖f‖∞."""
        if (evidence := self.status.evidence) is not None:
            return not evidence.has_energy
        # Files hold the rows alone.
        return not np.any(self.energy) and bool(np.any(self.grad_norm))

    if not TYPE_CHECKING:  # or a type checker would take any attribute for one that it has

        def __getattr__(self, name: str) -> Any:
            """Nothing: of what it doesn't have it tells what was meant."""
            raise meant_attribute(self, name)

    def table(self) -> Any:
        """A `pandas.DataFrame` over t, a row a saved time: the step, energy, gradient norm, and the position's numbers.

        Those of an array are x[0], x[1], …, of a pytree its leaves' names with their indices.

        Raises:
            TypeError: under jit, vmap or grad.
            ValueError: for a batch.
        """
        import pandas as pd

        refuse_traced("table", self.t)
        self._refuse_batch("table")
        leaves: dict[str, np.ndarray] = {}
        take_apart("x", self.x, leaves)
        columns: dict[str, Any] = {"step": self.steps, "energy": self.energy, "grad norm": self.grad_norm}
        for name, leaf in leaves.items():
            for index in np.ndindex(leaf.shape[1:]):
                columns[f"{name}{list(index) if index else ''}"] = leaf[:, *index]
        data = {name: np.asarray(column) for name, column in columns.items()}
        return pd.DataFrame(data, index=pd.Index(np.asarray(self.t), name="t"))

    def _refuse_batch(self, where: str) -> None:
        if self.t.ndim > 1:
            raise ValueError(
                f"{where}: a batch has no one time axis; take a lane of it, jax.tree.map(lambda a: a[0], run) say"
            )

    def to_xarray(self) -> Any:
        """An `xarray.Dataset` over `t`: energy, grad_norm, step, and one variable a leaf of the position and state."""
        import xarray as xr

        refuse_traced("to_xarray", self.t)
        self._refuse_batch("to_xarray")
        data: dict[str, Any] = {
            "energy": ("t", storable(self.energy)),
            "grad_norm": ("t", storable(self.grad_norm)),
            "step": ("t", np.asarray(self.steps)),
        }
        leaves: dict[str, np.ndarray] = {}
        structure = {
            prefix: take_apart(prefix, tree, leaves) for prefix, tree in (("x", self.x), ("state", self.state))
        }
        for name, leaf in leaves.items():
            data[name] = (["t", *(free_name(f"{name}_{axis}", leaves) for axis in range(leaf.ndim - 1))], leaf)
        attributes = {
            "outcome": str(self.status.outcome),
            "detail": self.status.detail,
            "step": -1 if self.status.step is None else self.status.step,
            "first_not_finite": -1 if self.status.first_not_finite is None else self.status.first_not_finite,
            "stats": json.dumps({key: _plain(value) for key, value in self.stats.items()}),
            "structure": json.dumps(structure | {"dtype": str(self.t.dtype)}),
        }
        return xr.Dataset(data, coords={"t": storable(self.t)}, attrs=attributes)

    def save(self, file: str | os.PathLike[str]) -> None:
        """Writes a NetCDF file, which `load` and any NetCDF reader read; an older one stays until it is written.

        Raises:
            OSError: if it can't be written.
        """
        write_file("save", file, as_netcdf(self.to_xarray()))

    def plot(self, ax: Any = None, *, figsize: Sequence[Number] | None = None, title: str | None = None) -> Any:
        """A figure, which a notebook shows: energy and gradient norm over time, and the path if it is in the plane.

        Of one unknown, or of three to six, it is their values over time.

        Args:
            ax: axes to draw into instead: one, for the energy alone, or as many as there are panels.
            figsize: width and height in inches; without `ax`.
            title: a title; chosen unless given.

        Raises:
            TypeError: if `ax` isn't axes; under jit, vmap or grad.
            ValueError: if they are not as many as the panels, or `figsize` is given with them.
        """
        refuse_traced("plot", self.t)
        from gradientflow.analysis.comparison.figures import plot_trajectory

        return plot_trajectory(self, ax=ax, figsize=figsize, title=title)

    def _repr_html_(self) -> str | None:
        """For notebooks: how it ended, and what it took."""
        if isinstance(self.t, Tracer):
            return None
        from gradientflow.analysis.results.html import show_trajectory

        return show_trajectory(self)


def measure(energy: Energy, x: Position) -> tuple[jax.Array, jax.Array]:
    """E and ‖∇E‖∞ at every position of a stacked pytree."""
    return along(_energy_and_grad_norm, x, energy)


def _energy_and_grad_norm(position: Any, energy: Energy) -> tuple[Any, Any]:
    return energy.value(position), max_norm(energy.grad(position))


def along(function: Callable[..., Any], rows: Any, *arguments: Any) -> Any:
    """`function(row, *arguments)` for every row of a stacked pytree, in bounded memory."""
    return _map_rows(function, rows, arguments)


@compiled
def _map_rows(function: Callable[..., Any], rows: Any, arguments: tuple[Any, ...]) -> Any:
    # JAX's own batches don't take leaves without entries.
    batch = _BATCH if all(leaf.size for leaf in jax.tree.leaves(rows)) else None
    return jax.lax.map(lambda row: function(row, *arguments), rows, batch_size=batch)


def each_row(function: Callable[..., Any], rows: Any, count: Any, batch: int = _BATCH) -> Any:
    """`function` of each of the first `count` stacked rows; what lies beyond is not asked for. To be compiled.

    Args:
        function: of one row.
        rows: at most as many as a batch, or a multiple of that.
        count: how many are filled; it may be traced.
        batch: how many are taken at once: the last batch costs as much as the others.
    """
    capacity = len(jax.tree.leaves(rows)[0])
    batch = min(batch, capacity)
    # Traced once, for the shapes of the answers and for the loop.
    of_each = jax.jit(jax.vmap(function))
    part = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((batch, *leaf.shape[1:]), leaf.dtype), rows)
    shapes = jax.eval_shape(of_each, part)
    buffers = jax.tree.map(lambda leaf: jnp.zeros((capacity, *leaf.shape[1:]), leaf.dtype), shapes)

    def some(index: Any, buffers: Any) -> Any:
        start = index * batch
        part = jax.tree.map(
            lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, start, batch, allow_negative_indices=False), rows
        )
        return put_rows(buffers, of_each(part), start)

    return jax.lax.fori_loop(0, -(-count // batch), some, buffers)


def rows_of(rows: Any, count: int) -> Any:
    """The first rows of buffers; on the CPU by NumPy, without a program for every number of them."""
    on_host = jax.default_backend() == "cpu"
    return map_distinct(lambda leaf: (np.asarray(leaf) if on_host else leaf)[:count], rows)


def distance(left: Any, right: Any) -> np.ndarray:
    """The Euclidean distance of two stacked pytrees row by row; NaN for the rows that only one has."""
    pairs = zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True)
    pairs = [(np.asarray(a, dtype=float), np.asarray(b, dtype=float)) for a, b in pairs]
    rows, common = len(pairs[0][0]), min(len(pairs[0][0]), len(pairs[0][1]))
    with np.errstate(invalid="ignore", over="ignore"):
        squares = sum(((a[:common] - b[:common]) ** 2).reshape(common, -1).sum(axis=1) for a, b in pairs)
        return np.concatenate([np.sqrt(squares), np.full(rows - common, np.nan)])


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, (np.generic, np.ndarray, jax.Array)) else value
