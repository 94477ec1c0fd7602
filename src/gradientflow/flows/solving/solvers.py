"""Which diffrax solver integrates a flow, and the two things diffrax leaves to its user.

Stiff flows get an implicit solver with the full Newton method: diffrax's default, a chord method that gives up early,
takes an order of magnitude more steps on curved valleys.
"""

from collections.abc import Callable, Mapping
from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import optimistix as optx
from diffrax import with_stepsize_controller_tols

from ..checks import unknown_name
from ..flow import Flow
from ..implicit import krylov
from ..numerics import LARGEST_DENSE, max_norm

# Beyond this many unknowns an implicit solve is not chosen unasked: its Krylov iterations cost more than small steps.
LARGEST_IMPLICIT = 20_000


class StageNewton(optx.Newton):
    """Newton's method that stops at its first correction below `kappa` of the norm it is given.

    Optimistix would also ask for a residual below the absolute tolerance, which for slopes of a steep energy lies
    below rounding: stages would then pass by chance, and steps shrink to nothing.
    """

    def terminate(self, fn: Any, y: Any, args: Any, options: Any, state: Any, tags: Any) -> Any:
        """Whether to stop, and how that is called."""
        failed = state.result != optx.RESULTS.successful
        return failed | (state.diffsize < self.kappa), state.result


class RejectsFailedStages:
    """Mixed into an implicit solver: its stages are solved as exactly as a step's error is, and a failure is survived.

    A correction of a slope is measured by what it changes in the state, h·δf against the tolerances of the step. A
    failed root find rejects the step, so that a shorter one is tried; left alone, a Newton iteration that runs out of
    steps ends the whole solve (diffrax issue 752).

    References:
        E. Hairer, G. Wanner, Solving Ordinary Differential Equations II, 2nd ed. 1996, section IV.8.
    """

    def step(self, terms: Any, t0: Any, t1: Any, y0: Any, args: Any, solver_state: Any, made_jump: Any) -> Any:
        """One step; its error estimate is infinite where a stage's equation was not solved."""
        finder = self.root_finder  # pyright: ignore[reportAttributeAccessIssue]

        def norm(slopes: Any) -> Any:
            tolerated = jax.tree.map(lambda y: finder.atol + finder.rtol * jnp.abs(y), y0)
            return max_norm(jax.tree.map(lambda f, scale: (t1 - t0) * f / scale, slopes, tolerated))

        def stage_tolerances(solver: Any) -> Any:
            return solver.root_finder.rtol, solver.root_finder.atol, solver.root_finder.norm

        solver = eqx.tree_at(stage_tolerances, self, (0.0, 1.0, norm))
        inner = super(RejectsFailedStages, solver).step  # pyright: ignore[reportAttributeAccessIssue]
        y1, error, dense, state, result = inner(terms, t0, t1, y0, args, solver_state, made_jump)
        solved = result == dfx.RESULTS.successful
        error = jax.tree.map(lambda leaf: jnp.where(solved, leaf, jnp.inf), error)
        return y1, error, dense, state, dfx.RESULTS.successful


class NewtonKvaerno5(RejectsFailedStages, dfx.Kvaerno5):
    """Kvaerno's 5(4) pair, its stages solved by Newton's method with a dense Jacobian."""


class NewtonKvaerno3(RejectsFailedStages, dfx.Kvaerno3):
    """Kvaerno's 3(2) pair, its stages solved by Newton's method without a matrix."""


class StartsWith(dfx.AbstractAdaptiveStepSizeController):
    """A controller whose first step is given, traced or not: diffrax checks its own `dt0` by a call to the host.

    Attributes:
        rtol: the relative tolerance of a step.
        atol: its absolute tolerance.
        norm: how errors are measured.
        controller: the controller that goes on.
        first: the first step.
    """

    rtol: Any
    atol: Any
    norm: Callable[[Any], Any]
    controller: dfx.PIDController
    first: Any

    def wrap(self, direction: Any) -> "StartsWith":
        """The same for a direction of time."""
        wrapped = self.controller.wrap(direction)
        return StartsWith(self.rtol, self.atol, self.norm, wrapped, self.first * direction)

    def init(
        self, terms: Any, t0: Any, t1: Any, y0: Any, dt0: Any, args: Any, func: Any, error_order: Any
    ) -> tuple[Any, Any]:
        """The end of the first step, and the controller's state."""
        return self.controller.init(terms, t0, t1, y0, self.first, args, func, error_order)

    def adapt_step_size(
        self,
        t0: Any,
        t1: Any,
        y0: Any,
        y1_candidate: Any,
        args: Any,
        y_error: Any,
        error_order: Any,
        controller_state: Any,
    ) -> Any:
        """The controller's own choice."""
        return self.controller.adapt_step_size(t0, t1, y0, y1_candidate, args, y_error, error_order, controller_state)


def controller(rtol: Any, atol: Any, first: Any) -> StartsWith:
    """Steps whose error is within tolerances, from a first one on."""
    pid: Any = dfx.PIDController(rtol=rtol, atol=atol)
    return StartsWith(pid.rtol, pid.atol, pid.norm, pid, first)


def explicit() -> dfx.AbstractSolver:
    """Tsitouras' 5(4) pair."""
    return dfx.Tsit5()


def implicit(n: int, dtype: Any) -> dfx.AbstractSolver:
    """For n unknowns: Kvaerno's 5(4) with dense Newton; beyond a few hundred, 3(2) with matrix-free Newton."""
    newton = with_stepsize_controller_tols(StageNewton)
    if n <= LARGEST_DENSE:
        return NewtonKvaerno5(root_finder=newton(cauchy_termination=False), root_find_max_steps=20)
    finder = newton(linear_solver=krylov(dtype), cauchy_termination=False)
    return NewtonKvaerno3(root_finder=finder, root_find_max_steps=20)


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


def finite_drift(flow: Flow, t: Any, z: Any) -> Any:
    """A flow's drift in the state's precision, with infinities as NaN.

    A trial step that overflows to infinity makes diffrax's next step length NaN, and nothing after it is accepted; a
    step that meets NaN is rejected and halved.
    """
    return jax.tree.map(lambda f, a: jnp.where(jnp.isfinite(f), f, jnp.nan).astype(a.dtype), flow.drift(t, z), z)


def vector_field(flow: Flow) -> dfx.ODETerm:
    """A flow's drift as diffrax's term."""
    return dfx.ODETerm(lambda t, z, _: finite_drift(flow, t, z))
