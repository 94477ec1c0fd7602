"""What XLA makes of programs: compiled in a moment where they are small, and loops that it steps through quickly."""

import functools
import os
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import equinox as eqx
import jax
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


def compiled(function: Callable[P, T], small: int = _SMALL, jit: Any = eqx.filter_jit) -> Callable[P, T]:
    """A function as a program of the host's, compiled in a moment where it is small.

    In somebody's own trace, on other devices than the CPU, and with an XLA that doesn't know how, as always.

    Args:
        function: what is compiled.
        small: how many entries all its arguments have at most, where it is.
        jit: what compiles it, `jax.jit` where all arguments are traced.
    """
    for_speed = jit(function)
    in_a_moment = [jit(function, compiler_options=_IN_A_MOMENT)] if _IN_A_MOMENT else []

    @functools.wraps(function)
    def called(*args: P.args, **options: P.kwargs) -> T:
        if in_a_moment and _entries(args) <= small and not is_transformed() and jax.default_backend() == "cpu":
            try:
                return in_a_moment[0](*args, **options)
            except jax.errors.JaxRuntimeError as error:
                if "compile option" not in str(error):
                    raise
                in_a_moment.clear()
        return for_speed(*args, **options)

    return called


def _entries(tree: Any) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree) if isinstance(leaf, (jax.Array, np.ndarray)))


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
