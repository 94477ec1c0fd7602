"""Whether an energy's Hessian is the same everywhere, read off its program."""

from collections.abc import Sequence
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from ..aliases import Position
from .energy import Energy

# Equations that only wrap a program, whose arguments are the equation's.
_WRAPPERS = frozenset({"pjit", "jit", "closed_call", "remat", "checkpoint"})


def has_constant_hessian(energy: Energy, x: Position) -> bool:
    """Whether the product of the Hessian with a vector is computed without a look at the position.

    Then E is a quadratic, whatever it is written as, unless its derivatives are not E's own (`stop_gradient`). The
    other way round there is no certainty: a program may look at the position and make nothing of it.

    Args:
        energy: E.
        x: a position; only structure, shapes and types are looked at.
    """
    program = jax.make_jaxpr(energy.hvp)(x, x).jaxpr
    looked_at = _inputs(program, [True] * len(program.outvars))
    return not any(looked_at[: len(jax.tree.leaves(x))])


def _inputs(program: Jaxpr, outputs: Sequence[bool]) -> list[bool]:
    """Which inputs some of a program's outputs are computed from."""
    needed = {variable for variable, wanted in zip(program.outvars, outputs, strict=True) if wanted}
    for equation in reversed(program.eqns):
        wanted = [variable in needed for variable in equation.outvars]
        if any(wanted):
            used = _inputs_of(equation, wanted)
            needed |= {
                variable
                for variable, is_used in zip(equation.invars, used, strict=True)
                if is_used and not isinstance(variable, Literal)
            }
    return [variable in needed for variable in program.invars]


def _inputs_of(equation: Any, outputs: Sequence[bool]) -> list[bool]:
    inner = [value for value in equation.params.values() if isinstance(value, ClosedJaxpr | Jaxpr)]
    if equation.primitive.name in _WRAPPERS and len(inner) == 1:
        (program,) = inner
        return _inputs(program.jaxpr if isinstance(program, ClosedJaxpr) else program, outputs)
    return [True] * len(equation.invars)
