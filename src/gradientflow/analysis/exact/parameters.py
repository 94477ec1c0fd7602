"""A flow's and a scheme's parameters as exact numbers or symbols, and another energy in place of a flow's own."""

import functools
import numbers
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import equinox as eqx
import jax
import numpy as np

from gradientflow.flows import Energy, Flow, Mode

from .leaf import Exact, NotExactError

# Parameters are shown by their customary symbols.
_SYMBOLS = {"mass": "m", "friction": "gamma", "temperature": "T"}

Convert = Callable[[str, Fraction], Any]


def with_energy(flow: Flow, energy: Energy, convert: Convert) -> Flow:
    """The flow on another energy, each of its numbers converted.

    Args:
        flow: the flow.
        energy: what its energy is replaced by.
        convert: (symbol, value) ↦ what to put in the number's place; the value is the dyadic rational that a float is.

    Raises:
        NotExactError: if a parameter is an array, so that modes may not decouple.
    """
    bare = eqx.tree_at(lambda flow: flow.energy, flow, Mode(None), is_leaf=lambda leaf: leaf is flow.energy)
    return eqx.tree_at(lambda flow: flow.energy, with_parameters(bare, convert), energy)


def with_parameters(tree: Any, convert: Convert, integers: bool = True) -> Any:
    """A module with each of its numbers converted.

    Args:
        tree: a flow, a scheme, …
        convert: as in `with_energy`.
        integers: whether integers are parameters too; a scheme's are counts (of stages, say) that it may loop over.

    Raises:
        NotExactError: if a parameter is an array.
    """
    return jax.tree_util.tree_map_with_path(functools.partial(_converted, convert, integers), tree)


def symbols_of(*trees: Any, integers: bool = True) -> dict[str, Fraction]:
    """The numbers of modules by symbol, as the dyadic rationals that they are."""
    found: dict[str, Fraction] = {}

    def note(name: str, value: Fraction) -> Fraction:
        found[name] = value
        return value

    with_parameters(trees, note, integers)
    return found


def _converted(convert: Convert, integers: bool, path: Any, leaf: Any) -> Any:
    if isinstance(leaf, Exact) or callable(leaf):
        return leaf
    names = [str(getattr(key, "name", getattr(key, "key", ""))) for key in path]
    name = next((name for name in reversed(names) if name), "parameter")
    if isinstance(leaf, (jax.Array, np.ndarray)) and np.ndim(leaf):
        raise NotExactError(f"the parameter `{name}` is an array of shape {np.shape(leaf)}: modes may not decouple")
    is_count = isinstance(leaf, bool) or (isinstance(leaf, int) and not integers)
    if isinstance(leaf, (numbers.Real, np.generic, jax.Array, np.ndarray)) and not is_count:
        value = leaf if isinstance(leaf, numbers.Rational) else float(leaf)
        return convert(_SYMBOLS.get(name, name), Fraction(value))
    return leaf
