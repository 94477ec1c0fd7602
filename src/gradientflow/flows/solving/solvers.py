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
from .rosenbrock import RosenbrockWanner

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


class Tolerances(eqx.Module):
    """What a step's error is held to.

    Attributes:
        rtol: relative to the state.
        atol: absolute [X]; `None`: rtol times the largest entry so far, or 1 where that is larger, so that a problem
            in other units of x is solved to the same relative accuracy.
    """

    rtol: Any
    atol: Any = None

    def absolute(self, largest: Any) -> Any:
        """The absolute tolerance where the state's largest entry so far is known [X]."""
        return self.rtol * jnp.minimum(1, largest) if self.atol is None else self.atol


class Controller(dfx.AbstractAdaptiveStepSizeController):
    """The steps whose error is within tolerances, from a given first one on, which may be traced.

    diffrax checks a `dt0` by a call to the host. Its state is the inner controller's and the largest entry so far.

    Attributes:
        rtol: the relative tolerance, as implicit stages ask for it.
        atol: the absolute tolerance, likewise [X].
        norm: how errors are measured.
        tolerances: what a step's error is held to.
        first: the first step [T].
        largest: the largest entry of the state so far [X].
    """

    rtol: Any
    atol: Any
    norm: Callable[[Any], Any]
    tolerances: Tolerances
    first: Any
    largest: Any

    def __init__(self, tolerances: Tolerances, first: Any, largest: Any) -> None:
        self.rtol, self.atol, self.norm = tolerances.rtol, tolerances.absolute(largest), optx.rms_norm
        self.tolerances, self.first, self.largest = tolerances, first, largest

    def wrap(self, direction: Any) -> "Controller":
        """The same: time runs forward."""
        return self

    def init(
        self, terms: Any, t0: Any, t1: Any, y0: Any, dt0: Any, args: Any, func: Any, error_order: Any
    ) -> tuple[Any, Any]:
        """The end of the first step, and the controller's state."""
        end, inner = self._pid(self.atol).init(terms, t0, t1, y0, self.first, args, func, error_order)
        return end, (inner, self.largest)

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
        """The inner controller's choice."""
        inner, largest = controller_state
        keep, *following, inner, result = self._pid(self.tolerances.absolute(largest)).adapt_step_size(
            t0, t1, y0, y1_candidate, args, y_error, error_order, inner
        )
        reached = jnp.maximum(largest, jax.lax.stop_gradient(max_norm(y1_candidate)))
        return keep, *following, (inner, jnp.where(keep, reached, largest)), result

    def _pid(self, atol: Any) -> Any:
        return dfx.PIDController(rtol=self.rtol, atol=atol, norm=self.norm)


# What stands in a root finder's tolerances that are to be its step's.
_AS_THE_STEP: Any = with_stepsize_controller_tols(optx.Newton)().rtol


def held_to(solver: Any, controller: Controller) -> Any:
    """The solver, with the equations of its stages solved to what its steps are held to, where it leaves that open."""
    finder = getattr(solver, "root_finder", None)
    if finder is None:
        return solver
    names = [name for name in ("rtol", "atol", "norm") if getattr(finder, name, None) is _AS_THE_STEP]
    if not names:
        return solver
    return eqx.tree_at(
        lambda solver: [getattr(solver.root_finder, name) for name in names],
        solver,
        [getattr(controller, name) for name in names],
    )


def explicit() -> dfx.AbstractSolver:
    """Tsitouras' 5(4) pair."""
    return dfx.Tsit5()


def implicit(n: int, dtype: Any) -> dfx.AbstractSolver:
    """For n unknowns: a Rosenbrock–Wanner method; beyond a few hundred, Kvaerno's 3(2) with matrix-free Newton."""
    if n <= LARGEST_DENSE:
        return RosenbrockWanner()
    newton = with_stepsize_controller_tols(StageNewton)
    finder = newton(linear_solver=krylov(dtype), cauchy_termination=False)
    return NewtonKvaerno3(root_finder=finder, root_find_max_steps=20)


_NAMED: Mapping[str, Callable[[int, Any], dfx.AbstractSolver]] = {
    "tsit5": lambda n, dtype: dfx.Tsit5(),
    "dopri5": lambda n, dtype: dfx.Dopri5(),
    "dopri8": lambda n, dtype: dfx.Dopri8(),
    "kvaerno5": lambda n, dtype: NewtonKvaerno5(
        root_finder=with_stepsize_controller_tols(StageNewton)(cauchy_termination=False), root_find_max_steps=20
    ),
    "rosenbrock-wanner": lambda n, dtype: RosenbrockWanner(),
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
