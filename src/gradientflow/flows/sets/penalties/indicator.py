"""The penalty that holds a set."""

from typing import Any

import jax
import jax.numpy as jnp

from ...aliases import Position, StepLength
from ...checks import in_a_line
from ...energies.composite import ProximalSemigroup
from ...numerics import dtype_of
from ..constraints import Constraint


class Indicator(ProximalSemigroup):
    r"""The wall around a convex set C: 0 inside, ∞ outside.

    $\operatorname{prox}_{hg}$ is the projection on C, whatever h, and $\partial g(x)$ the normal cone $N_C(x)$. A point
    off the set by rounding is in it.

    Args:
        constraint: C, one of `constraints`.

    Raises:
        TypeError: if it is none.

    References:
        R. T. Rockafellar, Convex Analysis, 1970, section 4.

    Example:
        >>> import gradientflow as gf
        >>> wall = gf.penalties.Indicator(gf.constraints.Box(0.0, 1.0))
        >>> float(wall([0.5, 2.0])), wall.prox(gf.flows.as_floating([0.5, 2.0]), 0.1).tolist()
        (inf, [0.5, 1.0])
    """

    constraint: Constraint

    def __init__(self, constraint: Any) -> None:
        if not isinstance(constraint, Constraint):
            raise TypeError(
                f"Indicator: `constraint` must be one such as constraints.Box(0, 1), got {in_a_line(constraint)}"
            )
        self.constraint = constraint

    def value(self, x: Position) -> Any:
        """0 or ∞."""
        return jnp.where(self.constraint.contains(x), 0, jnp.inf).astype(dtype_of(x))

    def prox(self, x: Position, h: StepLength) -> Any:
        """The nearest point of C."""
        return self.constraint.project(x)

    def least_subgradient(self, x: Position, slope: Any) -> Any:
        """−P_T(−slope): what the wall does not hold back."""
        tangent = self.constraint.project_tangent(x, jax.tree.map(lambda s: -s, slope))
        return jax.tree.map(lambda v: -v, tangent)
