"""Where an energy is finite, read off its program."""

from typing import Any

import jax
import numpy as np
from jax.core import Tracer
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

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
_WRAPPERS = frozenset({"pjit", "jit", "closed_call", "custom_jvp_call", "custom_vjp_call", "remat", "checkpoint"})


def is_finite_everywhere(energy: Energy, x: Any) -> bool:
    """Whether E and its gradient can fail to be finite at a finite position only by overflow; by its program alone.

    A quotient, a root, a logarithm or an infinity that is written out may fail, and whatever is not known.
    """
    program = jax.make_jaxpr(energy.value)(x)
    return _all_finite(program.consts) and _is_total(program.jaxpr)


def _is_total(jaxpr: Jaxpr) -> bool:
    for equation in jaxpr.eqns:
        name = equation.primitive.name
        # An infinity that is written out is a wall.
        if not _all_finite([variable.val for variable in equation.invars if isinstance(variable, Literal)]):
            return False
        if name in _WRAPPERS:
            inner = [_open(value) for value in equation.params.values() if isinstance(value, ClosedJaxpr | Jaxpr)]
            if not (inner and all(map(_is_total, inner))):
                return False
        elif name == "integer_pow":
            if equation.params["y"] < 0:
                return False
        elif name == "div":
            if not isinstance(equation.invars[1], Literal):
                return False
        elif name not in _TOTAL:
            return False
    return True


def _all_finite(values: Any) -> bool:
    """Whether all numbers that are known are finite."""
    return all(
        isinstance(value, Tracer) or is_key(value) or bool(np.isfinite(value).all())
        for value in values
        if np.size(value)
    )


def _open(jaxpr: ClosedJaxpr | Jaxpr) -> Jaxpr:
    return jaxpr.jaxpr if isinstance(jaxpr, ClosedJaxpr) else jaxpr
