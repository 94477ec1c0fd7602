"""Other libraries' steps as discretizers."""

from typing import Any

import diffrax as dfx
import jax.numpy as jnp

from gradientflow.flows import Flow
from gradientflow.flows.solvers import vector_field

from .discretizer import Discretizer


class FromDiffrax(Discretizer):
    """One step of any diffrax solver of ordinary differential equations, at the step size that is asked.

    The solver's own state (a stage it reuses, say) is this scheme's memory.

    Args:
        solver: a diffrax solver; an implicit one needs a root finder with tolerances of its own.

    Raises:
        TypeError: if it is not a diffrax solver.

    Example:
        >>> import diffrax, gradientflow as gf
        >>> flow = gf.GradientFlow(gf.landscapes.bowl())
        >>> gf.iterate(flow, gf.FromDiffrax(diffrax.Euler()), [3.0, 1.0], step=0.1, steps=1).x[-1].round(4)
        Array([2.7, 0.1], dtype=...)
    """

    solver: dfx.AbstractSolver

    def __init__(self, solver: dfx.AbstractSolver) -> None:
        if not isinstance(solver, dfx.AbstractSolver):
            raise TypeError(f"FromDiffrax: `solver` must be a diffrax solver such as diffrax.Tsit5(), got {solver!r}")
        self.solver = solver

    @property
    def order(self) -> int | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The order that the solver reports."""
        return self.solver.order(dfx.ODETerm(lambda t, y, args: y))

    def init(self, flow: Flow, t: Any, z: Any, h: Any) -> Any:
        """The solver's own initial state, in a tuple: it may be `None`."""
        return (self.solver.init(vector_field(flow), t, t + h, z, None),)

    def step(self, flow: Flow, t: Any, z: Any, h: Any, *, noise: Any = None, memory: Any = None) -> Any:
        """One `solver.step` over [t, t + h]."""
        z, _, _, state, _ = self.solver.step(
            vector_field(flow), t, t + h, z, None, memory[0], made_jump=jnp.asarray(False)
        )
        return z, (state,)
