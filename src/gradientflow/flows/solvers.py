"""Which diffrax solver integrates a flow, and the two things diffrax leaves to its user.

Stiff flows get an implicit solver with the full Newton method: diffrax's default, a chord method that gives up early,
takes an order of magnitude more steps on curved valleys.
"""

from collections.abc import Callable, Mapping
from typing import Any

import diffrax as dfx
import jax
import jax.numpy as jnp
import optimistix as optx
from diffrax import with_stepsize_controller_tols

from .checks import unknown_name
from .flow import Flow
from .resolvent import LARGEST_DENSE, krylov

# Beyond this many unknowns an implicit solve is not chosen unasked: its Krylov iterations cost more than small steps.
LARGEST_IMPLICIT = 20_000


class RejectsFailedStages:
    """Mixed into an implicit solver: a failed root find rejects the step, so that a shorter one is tried.

    Left alone, a Newton iteration that runs out of steps ends the whole solve (diffrax issue 752).
    """

    def step(self, terms: Any, t0: Any, t1: Any, y0: Any, args: Any, solver_state: Any, made_jump: Any) -> Any:
        """One step; its error estimate is infinite where a stage's equation was not solved."""
        inner = super().step  # pyright: ignore[reportAttributeAccessIssue]
        y1, error, dense, state, result = inner(terms, t0, t1, y0, args, solver_state, made_jump)
        solved = result == dfx.RESULTS.successful
        error = jax.tree.map(lambda leaf: jnp.where(solved, leaf, jnp.inf), error)
        return y1, error, dense, state, dfx.RESULTS.successful


class NewtonKvaerno5(RejectsFailedStages, dfx.Kvaerno5):
    """Kvaerno's 5(4) pair, its stages solved by Newton's method with a dense Jacobian."""


class NewtonKvaerno3(RejectsFailedStages, dfx.Kvaerno3):
    """Kvaerno's 3(2) pair, its stages solved by Newton's method without a matrix."""


def explicit() -> dfx.AbstractSolver:
    """Tsitouras' 5(4) pair."""
    return dfx.Tsit5()


def implicit(n: int, dtype: Any) -> dfx.AbstractSolver:
    """For n unknowns: Kvaerno's 5(4) with dense Newton; beyond a few hundred, 3(2) with matrix-free Newton."""
    newton = with_stepsize_controller_tols(optx.Newton)
    if n <= LARGEST_DENSE:
        return NewtonKvaerno5(root_finder=newton(), root_find_max_steps=20)
    return NewtonKvaerno3(root_finder=newton(linear_solver=krylov(dtype)), root_find_max_steps=20)


_NAMED: Mapping[str, Callable[[int, Any], dfx.AbstractSolver]] = {
    "tsit5": lambda n, dtype: dfx.Tsit5(),
    "dopri5": lambda n, dtype: dfx.Dopri5(),
    "dopri8": lambda n, dtype: dfx.Dopri8(),
    "kvaerno5": implicit,
}


def named(name: str, n: int, dtype: Any) -> dfx.AbstractSolver:
    """The solver of that name for n unknowns.

    Raises:
        ValueError: if there is none, naming the nearest.
    """
    if name.lower() not in _NAMED:
        raise ValueError(f"integrate: {unknown_name('solver', name, _NAMED)}")
    return _NAMED[name.lower()](n, dtype)


def vector_field(flow: Flow) -> dfx.ODETerm:
    """A flow's drift as diffrax's term, with infinities as NaN.

    A trial step that overflows to infinity makes diffrax's next step length NaN, and nothing after it is accepted; a
    step that meets NaN is rejected and halved.
    """

    def field(t: Any, z: Any, _: Any) -> Any:
        drift = flow.drift(t, z)
        return jax.tree.map(lambda f, a: jnp.where(jnp.isfinite(f), f, jnp.nan).astype(a.dtype), drift, z)

    return dfx.ODETerm(field)
