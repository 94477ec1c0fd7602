"""A flow's and a scheme's parameters as exact numbers or symbols, and another energy in place of a flow's own."""

import math
import numbers
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import jax
import numpy as np

from gradientflow.flows import Energy, Flow, Mode, with_energy

from .leaf import Exact, NotExactError

# Parameters are shown by their customary symbols.
SYMBOLS = {"mass": "m", "friction": "gamma", "temperature": "T"}
# Names that readings use for themselves.
_RESERVED = re.compile(r"lambda|h|t|eta|mu|[evxgECS]|z\d*|f\d+|dW|[cxvpqr]0")

Convert = Callable[[str, Fraction], Any]


def flow_converted(flow: Flow, energy: Energy, convert: Convert) -> Flow:
    """The flow on another energy, each of its numbers converted.

    Args:
        flow: the flow.
        energy: what its energy is replaced by.
        convert: (symbol, value) ↦ what to put in the number's place; the value is the dyadic rational that a float is.

    Raises:
        NotExactError: if a parameter is an array, so that modes may not decouple.
    """
    return with_energy(with_parameters(with_energy(flow, Mode(None)), convert), energy)


def with_parameters(tree: Any, convert: Convert, integers: bool = True, suffix: str = "") -> Any:
    """A module with each of its numbers converted.

    Args:
        tree: a flow, a scheme, …
        convert: as in `flow_converted`. No two numbers have one symbol.
        integers: whether integers are parameters too; a scheme's are counts (of stages, say) that it may loop over.
        suffix: what symbols end in, to tell one module's from another's.

    Raises:
        NotExactError: if a parameter is an array.
    """
    taken: set[str] = set()

    def one(path: Any, leaf: Any) -> Any:
        if isinstance(leaf, Exact) or callable(leaf):
            return leaf
        words = [str(getattr(key, "name", getattr(key, "key", ""))) for key in path]
        name = next((word for word in reversed(words) if word), "parameter")
        if isinstance(leaf, (jax.Array, np.ndarray)) and np.ndim(leaf):
            raise NotExactError(f"the parameter `{name}` is an array of shape {np.shape(leaf)}: modes may not decouple")
        is_count = isinstance(leaf, bool) or (isinstance(leaf, (int, np.integer)) and not integers)
        if not isinstance(leaf, (numbers.Real, np.generic, jax.Array, np.ndarray)) or is_count:
            return leaf
        if not math.isfinite(leaf):
            raise NotExactError(f"the parameter `{name}` is {leaf}, which is no number to compute with exactly")
        symbol = _unique(SYMBOLS.get(name, name) + suffix, taken)
        return convert(symbol, Fraction(leaf if isinstance(leaf, numbers.Rational) else float(leaf)))

    return jax.tree_util.tree_map_with_path(one, tree)


def symbols_of(tree: Any, integers: bool = True, suffix: str = "") -> dict[str, Fraction]:
    """The numbers of a module by symbol, as the dyadic rationals that they are."""
    found: dict[str, Fraction] = {}

    def note(name: str, value: Fraction) -> Fraction:
        found[name] = value
        return value

    with_parameters(tree, note, integers, suffix)
    return found


def symbols_of_flow(flow: Flow) -> dict[str, Fraction]:
    """The numbers of a flow, its energy's aside."""
    return symbols_of(flow_converted(flow, Mode(None), lambda _, value: value))


def _unique(name: str, taken: set[str]) -> str:
    """The name, numbered where it is another's or a reading's own."""
    candidate, k = name, 1
    while candidate in taken or _RESERVED.fullmatch(candidate):
        candidate, k = f"{name}_{k}", k + 1
    taken.add(candidate)
    return candidate
