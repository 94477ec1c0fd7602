"""Implicit Runge–Kutta pairs of diffrax with the full Newton method.

diffrax's default, a chord method that gives up early, takes an order of magnitude more steps on curved valleys.
"""

from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import optimistix as optx

from ..aliases import Time
from ..numerics import max_norm


class StageNewton(optx.Newton):
    """Newton's method that stops at its first correction below `kappa` of the norm it is given.

    Optimistix would also ask for a residual below the absolute tolerance, which for slopes of a steep energy lies
    below rounding: stages would then pass by chance, and steps shrink to nothing.
    """

    def terminate(self, fn: Any, y: Any, args: Any, options: Any, state: Any, tags: Any) -> Any:
        """Whether to stop, and how that is called."""
        failed = state.result != optx.RESULTS.successful
        return failed | (state.diffsize < self.kappa), state.result


class _InTheState(eqx.Module):
    """How much a correction of a slope changes in the state, of what is tolerated there.

    Its numbers are leaves, for a root finder is handed on as a pytree; and they have no derivatives to give.
    """

    length: Any
    tolerated: Any

    def __call__(self, slopes: Any) -> Any:
        return max_norm(jax.tree.map(lambda f, scale: self.length * f / scale, slopes, self.tolerated))


class RejectsFailedStages:
    """Mixed into an implicit solver: its stages are solved as exactly as a step's error is, and a failure is survived.

    A correction of a slope is measured by what it changes in the state, h·δf against the tolerances of the step. A
    failed root find rejects the step, so that a shorter one is tried; left alone, a Newton iteration that runs out of
    steps ends the whole solve (diffrax issue 752).

    References:
        E. Hairer, G. Wanner, Solving Ordinary Differential Equations II, 2nd ed. 1996, section IV.8.
    """

    def step(self, terms: Any, t0: Time, t1: Time, y0: Any, args: Any, solver_state: Any, made_jump: Any) -> Any:
        """One step; its error estimate is infinite where a stage's equation was not solved."""
        finder = self.root_finder  # pyright: ignore[reportAttributeAccessIssue]
        tolerated = jax.tree.map(lambda y: finder.atol + finder.rtol * jnp.abs(y), y0)
        norm = jax.lax.stop_gradient(_InTheState(jnp.asarray(t1 - t0), tolerated))

        def stage_tolerances(solver: Any) -> Any:
            return solver.root_finder.rtol, solver.root_finder.atol, solver.root_finder.norm

        solver = eqx.tree_at(stage_tolerances, self, (0.0, 1.0, norm))
        inner = super(RejectsFailedStages, solver).step  # pyright: ignore[reportAttributeAccessIssue]
        y1, error, dense, state, result = inner(terms, t0, t1, y0, args, solver_state, made_jump)
        solved = result == dfx.RESULTS.successful
        error = jax.tree.map(lambda leaf: jnp.where(solved, leaf, jnp.inf), error)
        return y1, error, dense, state, dfx.RESULTS.successful


class NewtonKvaerno5(RejectsFailedStages, dfx.Kvaerno5):
    r"""Kvaerno's 5(4) pair, its stages $k_i = f(y + h\sum_j a_{ij}k_j)$ solved by Newton's method with a Jacobian.

    References:
        A. Kværnø, Singly diagonally implicit Runge–Kutta methods with an explicit first stage, BIT 44, 2004.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.GradientFlow(gf.landscapes.bowl())
        >>> path = gf.integrate(flow, [1.0, 0.0], 1.0, solver=gf.solvers.NewtonKvaerno5())
        >>> round(float(path.x[-1, 0]), 4)  # e⁻¹
        0.3679
    """


class NewtonKvaerno3(RejectsFailedStages, dfx.Kvaerno3):
    r"""Kvaerno's 3(2) pair, its stages $k_i = f(y + h\sum_j a_{ij}k_j)$ solved by Newton's method without a matrix.

    References:
        A. Kværnø, Singly diagonally implicit Runge–Kutta methods with an explicit first stage, BIT 44, 2004.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.GradientFlow(gf.landscapes.bowl())
        >>> path = gf.integrate(flow, [1.0, 0.0], 1.0, solver=gf.solvers.NewtonKvaerno3())
        >>> round(float(path.x[-1, 0]), 4)  # e⁻¹
        0.3679
    """
