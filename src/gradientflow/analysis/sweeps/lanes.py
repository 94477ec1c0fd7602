"""The lanes of a sweep: which values each of them has, products of axes unless they are zipped."""

import dataclasses
import functools
import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradientflow.flows import position_arrays, unknown_name
from gradientflow.flows.checks import in_a_line

# What `over` may name beside the arguments of `make`.
_BESIDE = ("x0", "key")


@dataclasses.dataclass(frozen=True)
class Column:
    """The values of one name, along its axis.

    Attributes:
        kind: `number`, `array` (one a lane), `thing` (whatever else), `x0` or `key`.
        values: an array, a pytree of arrays with the axis first, or a list of things.
    """

    kind: str
    values: Any

    def at(self, index: np.ndarray) -> Any:
        """The values at some places of the axis."""
        if self.kind == "thing":
            return [self.values[i] for i in index]
        return jax.tree.map(lambda leaf: leaf[index], self.values)

    def __len__(self) -> int:
        """How many there are."""
        return len(self.values) if self.kind == "thing" else len(jax.tree.leaves(self.values)[0])


@dataclasses.dataclass(frozen=True)
class Lanes:
    """All lanes: the product of the axes, each with the columns that go along it.

    Attributes:
        axes: the columns of each axis, by name.
    """

    axes: tuple[dict[str, Column], ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return tuple(len(next(iter(axis.values()))) for axis in self.axes)

    @property
    def dims(self) -> tuple[str, ...]:
        """The name of each axis: its column's, or those of its columns together."""
        return tuple("_".join(axis) for axis in self.axes)

    @property
    def columns(self) -> dict[str, Column]:
        """All columns by name."""
        return {name: column for axis in self.axes for name, column in axis.items()}

    def __len__(self) -> int:
        """How many lanes there are."""
        return math.prod(self.shape)

    def at(self, index: np.ndarray) -> dict[str, Any]:
        """The values of some lanes by name."""
        places = np.unravel_index(index, self.shape)
        return {
            name: column.at(place)
            for place, axis in zip(places, self.axes, strict=True)
            for name, column in axis.items()
        }

    def one(self, lane: int) -> dict[str, Any]:
        """The values of one lane as its own run is given them."""
        found = {}
        for name, value in self.at(np.array([lane])).items():
            kind = self.columns[name].kind
            if kind == "thing":
                found[name] = value[0]
            elif kind == "number":
                found[name] = float(value[0])
            else:
                found[name] = jax.tree.map(lambda leaf: leaf[0], value)
        return found


def lanes_of(make: Any, over: Any, zipped: Any) -> Lanes:
    """The lanes that were asked for.

    Raises:
        TypeError: if `over` is no mapping, or `make` takes what it does not name.
        ValueError: for names that `make` does not take, with the nearest; for values that are empty, or do not zip.
    """
    if not isinstance(over, Mapping) or not over:
        raise TypeError(f"sweep: `over` must name what to sweep, over={{'lr': lrs}} say, got {in_a_line(over)}")
    taken = arguments_of(make)
    for name in over:
        if taken is not None and name not in taken and name not in _BESIDE:
            raise ValueError(f"sweep: `over`: {unknown_name('argument of make', name, [*taken, *_BESIDE])}")
    missing = [name for name, needed in (taken or {}).items() if needed and name not in over]
    if missing:
        raise TypeError(f"sweep: make takes `{missing[0]}` too; name it in `over`, or give it a default")
    columns = {name: _column(name, values) for name, values in over.items()}
    together = _together(columns, zipped)
    if not together:
        return Lanes(tuple({name: column} for name, column in columns.items()))
    lengths = {name: len(columns[name]) for name in together}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{length} of {name}" for name, length in lengths.items())
        raise ValueError(f"sweep: zipped values must be equally many, got {told}")
    axes: list[dict[str, Column]] = []
    for name, column in columns.items():
        if name == together[0]:
            axes.append({each: columns[each] for each in together})
        elif name not in together:
            axes.append({name: column})
    return Lanes(tuple(axes))


def arguments_of(make: Any) -> dict[str, bool] | None:
    """The names that `make` takes, and whether it must be given them; `None` where it takes any.

    Raises:
        TypeError: if it is no function.
    """
    if not callable(make):
        raise TypeError(
            f"sweep: `make` must be a function from parameters to a Method or a Flow, got {in_a_line(make)}"
        )
    parameters = inspect.signature(make).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return None
    given = make.keywords if isinstance(make, functools.partial) else {}
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {
        name: parameter.default is parameter.empty and name not in given
        for name, parameter in parameters.items()
        if parameter.kind in named
    }


def _together(columns: Mapping[str, Column], zipped: Any) -> list[str]:
    if zipped is True:
        return list(columns)
    names = [] if zipped in (False, None, ()) else [zipped] if isinstance(zipped, str) else list(zipped)
    for name in names:
        if name not in columns:
            raise ValueError(f"sweep: `zipped`: {unknown_name('name', str(name), columns)}")
    return [name for name in columns if name in names]


def _column(name: str, values: Any) -> Column:
    if name == "x0":
        x0 = jax.tree.map(np.asarray, position_arrays("sweep", "over['x0']", values))
        lengths = {np.shape(leaf)[:1] for leaf in jax.tree.leaves(x0)}
        if len(lengths) != 1 or () in lengths:
            raise ValueError("sweep: over['x0'] must hold starts along a first axis, the same number in every leaf")
        if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(x0)):
            raise ValueError("sweep: over['x0'] must be finite")
        column = Column("x0", x0)
    elif name == "key":
        column = Column("key", _keys(values))
    else:
        column = _parameter(name, values)
    if not len(column):
        raise ValueError(f"sweep: over[{name!r}] is empty; give at least one value")
    return column


def _parameter(name: str, values: Any) -> Column:
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Sequence | np.ndarray | jax.Array):
        values = (
            list(values) if hasattr(values, "__iter__") and not isinstance(values, str | bytes | Mapping) else values
        )
    if not hasattr(values, "__len__") or np.ndim(np.asarray(values, dtype=object)) == 0:
        raise TypeError(f"sweep: over[{name!r}] must hold values, one a lane, got {in_a_line(values)}")
    try:
        array = np.asarray(values)
    except ValueError:
        array = np.asarray([None])
    if array.dtype.kind not in "iuf" and array.dtype.name != "bfloat16":
        return Column("thing", list(values))
    array = array.astype(float) if array.dtype.kind in "iu" else array
    if np.isnan(array).any():
        raise ValueError(f"sweep: over[{name!r}] holds {int(np.isnan(array).sum())} that are not a number")
    return Column("number" if array.ndim == 1 else "array", array)


def _keys(values: Any) -> np.ndarray:
    """The data of keys, of seeds too."""
    array = values if isinstance(values, jax.Array) else np.asarray(values)
    if isinstance(array, jax.Array) and jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        return np.asarray(jax.random.key_data(array))
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise TypeError(f"sweep: over['key'] must hold seeds or keys made by jax.random.key, got {in_a_line(values)}")
    return np.asarray(jax.vmap(lambda seed: jax.random.key_data(jax.random.key(seed)))(array))
