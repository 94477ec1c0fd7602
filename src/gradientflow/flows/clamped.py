"""Entries that an array doesn't have: Python refuses to read them, JAX reads the nearest one in silence."""

import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jax.extend.core import Jaxpr, Literal

# What is computed of an index written as a number: it counts from the end if it is negative.
_OF_NUMBERS: Mapping[str, Callable[..., Any]] = {
    "lt": operator.lt,
    "add": operator.add,
    "select_n": lambda which, no, yes: yes if which else no,
}


def entry_beyond(program: Jaxpr) -> tuple[int, int] | None:
    """The first entry that a program reads by a number, and how many there are, where it isn't one of them; or `None`.

    A start that is shorter than its energy would else run, as another energy's.

    Args:
        program: as traced; what is called in it is looked at too.
    """
    known: dict[Any, Any] = {}

    def number(variable: Any) -> Any:
        value = variable.val if isinstance(variable, Literal) else known.get(variable)
        return value if value is not None and np.ndim(value) == 0 else None

    for equation in program.eqns:
        inputs = [number(variable) for variable in equation.invars]
        if (of := _OF_NUMBERS.get(equation.primitive.name)) and None not in inputs:
            known[equation.outvars[0]] = of(*inputs)
        elif equation.primitive.name == "dynamic_slice":
            array: Any = equation.invars[0]
            sizes = equation.params["slice_sizes"]
            for index, size, length in zip(inputs[1:], sizes, array.aval.shape, strict=True):
                # Of longer slices it is a way to ask for the last ones.
                if size == 1 and index is not None and not 0 <= index < length:
                    return int(index if index >= 0 else index - length), int(length)
        elif (inner := equation.params.get("jaxpr")) is not None and (found := entry_beyond(_opened(inner))):
            return found
    return None


def _opened(program: Any) -> Jaxpr:
    return getattr(program, "jaxpr", program)
