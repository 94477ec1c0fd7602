"""Programs that the host calls: compiled in a moment where they are small, for speed where they are large."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import equinox as eqx
import jax
import numpy as np

from .transforming import is_transformed

P, T = ParamSpec("P"), TypeVar("T")

# On the CPU half of a first call is XLA's search for speed, which a state of a few numbers never pays back: without it
# a first `integrate` takes 2.4 s of processor time for 3.8, and ten thousand steps of small states as long as before
# (measured: 0.5 to 1.1 of the time; 1.1 to 1.5 where hundreds of rows of data go through exponentials).
_IN_A_MOMENT = {
    "xla_cpu_use_fusion_emitters": False,
    "xla_cpu_parallel_codegen_split_count": 1,
    "xla_backend_optimization_level": 1,
}
# Entries of all arguments.
_SMALL = 2**12


def program(function: Callable[P, T]) -> Callable[P, T]:
    """A function as a compiled program, as `equinox.filter_jit` makes it, in a moment where its arguments are small.

    In somebody's own trace, on other devices than the CPU, and with an XLA that doesn't know how, as always.
    """
    for_speed = eqx.filter_jit(function)
    in_a_moment = [eqx.filter_jit(function, compiler_options=_IN_A_MOMENT)]

    @functools.wraps(function)
    def called(*args: P.args, **options: P.kwargs) -> T:
        if in_a_moment and _is_small(args) and not is_transformed() and jax.default_backend() == "cpu":
            try:
                return in_a_moment[0](*args, **options)
            except jax.errors.JaxRuntimeError as error:
                if "compile option" not in str(error):
                    raise
                in_a_moment.clear()
        return for_speed(*args, **options)

    return called


def _is_small(tree: Any) -> bool:
    left = _SMALL
    for leaf in jax.tree.leaves(tree):
        left -= leaf.size if isinstance(leaf, (jax.Array, np.ndarray)) else 0
    return left >= 0
