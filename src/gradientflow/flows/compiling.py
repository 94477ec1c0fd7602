"""What XLA makes of programs: compiled in a moment where they are small, and loops that it steps through quickly."""

import dataclasses
import functools
import logging
import os
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .transforming import is_transformed

P = ParamSpec("P")
T = TypeVar("T")

# On the CPU a third of a first call is XLA's search for speed, which a state of a few numbers never pays back. Without
# it a first `integrate` takes 2.4 s of processor time for 3.8, and ten thousand steps of small states as long as before
# (measured: 0.5 to 1.1 of the time; 1.1 to 1.5 where hundreds of rows of data go through exponentials).
_IN_A_MOMENT = {
    "xla_cpu_use_fusion_emitters": False,
    "xla_cpu_parallel_codegen_split_count": 1,
    "xla_backend_optimization_level": 1,
}
# Who has set one of them for the process knows better.
_IN_A_MOMENT = {name: value for name, value in _IN_A_MOMENT.items() if name not in os.environ.get("XLA_FLAGS", "")}
# How many entries all arguments of a program have that is small; of one that has a lane for each of many.
_SMALL, SMALL_LANES = 2**12, 2**16
# And of one of a training that is looked into, whose few hundred steps are over before it is compiled for speed.
SMALL_TRAINING = 2**20

# A loop's body is stepped through without queues where no array in it is larger than so many bytes: rows are put into a
# small block first, so many at most (measured: a step of 2 µs in place of 4). Blocks of fewer than some gain nothing.
_UNQUEUED, _MOST_AT_ONCE, _FEWEST_AT_ONCE = 512, 32, 4


def entries_of(args: Any) -> int:
    """How many numbers its arrays hold."""
    return sum(leaf.size for leaf in jax.tree.leaves(args) if isinstance(leaf, (jax.Array, np.ndarray)))


def compiled(
    function: Callable[P, T], small: int = _SMALL, jit: Any = None, work: Callable[[Any], int] = entries_of
) -> Callable[P, T]:
    """A function as a program of the host's, compiled in a moment where it is small.

    Of its arguments the arrays are traced, whatever else is in them is part of the program. In somebody's own trace, on
    other devices than the CPU, and with an XLA that doesn't know how, it is compiled as always.

    Args:
        function: what is compiled.
        small: how much work it has at most, where it is.
        jit: what compiles it where its arguments are to be taken otherwise, `jax.jit` where all are traced.
        work: how much that is, from its arguments: how many entries they have.
    """
    in_traces = (jit or eqx.filter_jit)(function)
    make = jit or functools.partial(_Program, told=in_traces)
    for_speed = make(function)
    in_a_moment = [make(function, compiler_options=_IN_A_MOMENT)] if _IN_A_MOMENT else []

    @functools.wraps(function)
    def called(*args: P.args, **options: P.kwargs) -> T:
        if is_transformed():
            return in_traces(*args, **options)
        if in_a_moment and work(args) <= small and jax.default_backend() == "cpu":
            try:
                return in_a_moment[0](*args, **options)
            except jax.errors.JaxRuntimeError as error:
                if "compile option" not in str(error):
                    raise
                in_a_moment.clear()
        return for_speed(*args, **options)

    return called


class _Program:
    """A function as a program of the arrays in its arguments: equinox's `filter_jit`, for a part of its cost.

    A call of that takes longer than a solve in the plane, which makes three (measured: 0.17 ms where 0.03 do).

    Args:
        function: what is compiled.
        told: the same by `filter_jit`, which words the errors that equinox raises inside of programs.
        options: for `jax.jit`.
    """

    def __init__(self, function: Callable[..., Any], told: Callable[..., Any], **options: Any) -> None:
        def of_arrays(arrays: list[Any], rest: _Rest) -> tuple[list[Any], _Rest]:
            args, named = rest.around(arrays)
            answers, around = _parted(function(*args, **named))
            distinct = Distinct.of(answers)
            return distinct.leaves(answers), around.at(distinct.places)

        of_arrays.__name__ = getattr(function, "__name__", type(function).__name__)  # Which logs and profiles show.
        self._told = told
        self._run = jax.jit(of_arrays, static_argnums=1, **options)

    def __call__(self, *args: Any, **named: Any) -> Any:
        _CALLBACKS.addFilter(_no_word_of_equinox)
        try:
            arrays, rest = self._run(*_parted((args, named)))
            if arrays:
                arrays[0].block_until_ready()  # What fails in the program fails here.
        except (jax.errors.JaxRuntimeError, ValueError) as error:
            if _OF_EQUINOX not in str(error):
                raise
            return self._told(*args, **named)
        finally:
            _CALLBACKS.removeFilter(_no_word_of_equinox)
        return rest.around(arrays)


# Where JAX logs what callbacks raise; of equinox's errors the exception says all there is to say.
_CALLBACKS, _OF_EQUINOX = logging.getLogger("jax._src.callback"), "_EquinoxRuntimeError"


def _no_word_of_equinox(record: logging.LogRecord) -> bool:
    return not (record.exc_info and record.exc_info[0] and record.exc_info[0].__name__ == _OF_EQUINOX)


@dataclasses.dataclass(frozen=True, eq=False)
class _Place:
    """Stands for the array of a number, one for each; a leaf itself may be anything else."""

    number: int


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class _Rest:
    """What of a pytree is no array: its structure, and its leaves with a `_Place` where an array is."""

    structure: Any
    leaves: tuple[Any, ...]

    def around(self, arrays: Sequence[Any]) -> Any:
        """The pytree with its arrays."""
        each = [arrays[leaf.number] if type(leaf) is _Place else leaf for leaf in self.leaves]
        return jax.tree.unflatten(self.structure, each)

    def at(self, places: Sequence[int]) -> "_Rest":
        """The same, with its arrays in other places."""
        each = [_place(places[leaf.number]) if type(leaf) is _Place else leaf for leaf in self.leaves]
        return _Rest(self.structure, tuple(each))


def _parted(tree: Any) -> tuple[list[Any], _Rest]:
    """The arrays of a pytree, and the rest."""
    leaves, structure = jax.tree.flatten(tree)
    arrays: list[Any] = []
    for place, leaf in enumerate(leaves):
        if eqx.is_array(leaf):
            leaves[place] = _place(len(arrays))
            arrays.append(leaf)
    return arrays, _Rest(structure, tuple(leaves))


@functools.cache
def _place(number: int) -> _Place:
    return _Place(number)


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Distinct:
    """Which leaves of a pytree are one and the same, as those of a state that is the position too: held once.

    Attributes:
        structure: the pytree's.
        places: of each leaf its number among those that are distinct.
        firsts: the leaf at which each of these is met first.
    """

    structure: Any
    places: tuple[int, ...]
    firsts: tuple[int, ...]

    @classmethod
    def of(cls, tree: Any) -> "Distinct":
        """Those of a pytree as it is, traced or not."""
        leaves, structure = jax.tree.flatten(tree)
        numbers: dict[int, int] = {}
        places = tuple([numbers.setdefault(id(leaf), len(numbers)) for leaf in leaves])
        return cls(structure, places, tuple([places.index(number) for number in range(len(numbers))]))

    def leaves(self, tree: Any) -> list[Any]:
        """Each distinct leaf of a pytree of the same kind."""
        leaves = jax.tree.leaves(tree)
        return [leaves[first] for first in self.firsts]

    def around(self, leaves: Sequence[Any]) -> Any:
        """The pytree, from its distinct leaves."""
        return self.structure.unflatten([leaves[place] for place in self.places])


def map_distinct(function: Callable[[Any], Any], tree: Any) -> Any:
    """`jax.tree.map`, but that leaves which are one stay one, and are asked for once."""
    distinct = Distinct.of(tree)
    return distinct.around([function(leaf) for leaf in distinct.leaves(tree)])


def on_device(tree: Any) -> Any:
    """A pytree's arrays as JAX's; leaves which are one stay one. `jnp.asarray` makes a program for every shape."""
    distinct = Distinct.of(tree)
    return distinct.around(jax.device_put(distinct.leaves(tree)))


def rows_at_once(row: Any, room: int) -> int:
    """How many rows a loop is to put into a block before that is put among the others.

    Args:
        row: a row, or its shapes.
        room: for how many rows there is room in all.

    Returns:
        The number, or 0 where each is better put in its place at once.
    """
    entry = max(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(row))
    most = min(_MOST_AT_ONCE, _UNQUEUED // max(entry, 1))
    return most if room > most >= _FEWEST_AT_ONCE else 0


def put_rows(buffers: Any, rows: Any, start: Any) -> Any:
    """Buffers with rows in their places from `start` on.

    Args:
        buffers: a stacked pytree.
        rows: of the same structure; all have a place in it.
        start: where the first belongs, traced or not.
    """

    def put(buffer: Any, part: Any) -> Any:
        part = jnp.asarray(part, buffer.dtype)
        if jax.typeof(buffer).sharding == jax.typeof(part).sharding:
            return jax.lax.dynamic_update_slice_in_dim(buffer, part, start, 0, allow_negative_indices=False)
        # What several devices share does not fit into a slice of a buffer that one holds. To scatter is a loop, which
        # takes as long to compile as a step.
        return buffer.at[start + np.arange(len(part))].set(part)

    return jax.tree.map(put, buffers, rows)
