"""Where an energy is finite, read off its program."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.core import Tracer
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from ..aliases import Position
from ..numerics import is_key
from .energy import Energy

# What has a finite value and finite derivatives at every finite argument, but for overflow; |x| has them almost
# everywhere.
_TOTAL = frozenset({
    "abs", "add", "add_any", "broadcast_in_dim", "clamp", "concatenate", "convert_element_type", "copy", "cos",
    "cosh", "cumsum", "dot_general", "dynamic_slice", "eq", "erf", "exp", "exp2", "expm1", "gather", "ge", "gt", "iota",
    "le", "logistic", "lt", "max", "min", "mul", "ne", "neg", "pad", "reduce_max", "reduce_min", "reduce_sum",
    "reshape", "rev", "select_n", "sign", "sin", "sinh", "slice", "split", "square", "squeeze", "stop_gradient", "sub",
    "tanh", "transpose", "atan", "and", "or", "not",
})  # fmt: skip
# Roots and logarithms of more than this, and quotients by it, are finite, and their derivatives in single precision.
_AWAY = 1e-12
_WRAPPERS = frozenset({"pjit", "jit", "closed_call", "custom_jvp_call", "custom_vjp_call", "remat", "checkpoint"})


def is_finite_everywhere(energy: Energy, x: Position) -> bool:
    """Whether E and its gradient can fail to be finite at a finite position only by overflow; by its program alone.

    A quotient, a root, a logarithm or an infinity that is written out may fail, and whatever is not known.
    """
    program = jax.make_jaxpr(energy.value)(x)
    return _all_finite(program.consts) and _floors(program.jaxpr) is not None


def _floors(jaxpr: Jaxpr, given: Sequence[float] = ()) -> list[float] | None:
    """What each output of a program is at least, −∞ where that is not known; `None` where one may be not finite.

    Args:
        jaxpr: the program.
        given: what each of its inputs is at least.
    """
    known: dict[Any, float] = dict(zip(jaxpr.invars, given, strict=False))

    def floor_of(variable: Any) -> float:
        if isinstance(variable, Literal):
            return float(np.min(variable.val)) if np.size(variable.val) else -math.inf
        return known.get(variable, -math.inf)

    for equation in jaxpr.eqns:
        name, floors = equation.primitive.name, [floor_of(variable) for variable in equation.invars]
        # An infinity that is written out is a wall.
        if not _all_finite([variable.val for variable in equation.invars if isinstance(variable, Literal)]):
            return None
        if name in _WRAPPERS:
            inner = [_open(value) for value in equation.params.values() if isinstance(value, ClosedJaxpr | Jaxpr)]
            found = [_floors(program, floors) for program in inner]
            if not found or any(one is None for one in found):
                return None
            if len(found) == 1:
                known.update(zip(equation.outvars, found[0] or (), strict=False))
        elif not _is_total(equation, floors):
            return None
        else:
            known[equation.outvars[0]] = _floor(equation, floors)
    return [floor_of(variable) for variable in jaxpr.outvars]


def _is_total(equation: Any, floors: Sequence[float]) -> bool:
    """Whether one operation is finite, with its derivatives, where its operands are at least so much."""
    match equation.primitive.name:
        case "integer_pow":
            return equation.params["y"] >= 0 or floors[0] > _AWAY
        case "div":
            return isinstance(equation.invars[1], Literal) or floors[1] > _AWAY
        case "log" | "sqrt" | "rsqrt":
            return floors[0] > _AWAY
        case "log1p":
            return floors[0] >= 0
        case name:
            return name in _TOTAL


def _floor(equation: Any, floors: Sequence[float]) -> float:
    """What the result of one operation is at least."""
    match equation.primitive.name:
        case "abs" | "exp" | "exp2" | "logistic" | "square":
            return 0.0
        case "cosh":
            return 1.0
        case "integer_pow" if equation.params["y"] % 2 == 0:
            return 0.0
        case "add" | "add_any":
            return sum(floors)
        case "max":
            return max(floors)
        case "mul" if equation.invars[0] is equation.invars[1]:
            return 0.0
        case "mul" if min(floors) >= 0:
            return math.prod(floors)
        case "broadcast_in_dim" | "reshape" | "reduce_max" | "reduce_min" | "slice" | "squeeze" | "transpose":
            return floors[0]
        case "reduce_sum" if floors[0] >= 0:
            return 0.0
    return -math.inf


def _all_finite(values: Any) -> bool:
    """Whether all numbers that are known are finite."""
    return all(
        isinstance(value, Tracer) or is_key(value) or bool(np.isfinite(value).all())
        for value in values
        if np.size(value)
    )


def _open(jaxpr: ClosedJaxpr | Jaxpr) -> Jaxpr:
    return jaxpr.jaxpr if isinstance(jaxpr, ClosedJaxpr) else jaxpr
