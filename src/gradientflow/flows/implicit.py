"""Implicit equations: Newton's method by optimistix, and the resolvent of a vector field."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import lineax as lx
import optimistix as optx

from .aliases import State, StepLength, Time
from .numerics import LARGEST_DENSE, all_finite, dtype_of, size


def newton(dtype: Any, n: int, positive: bool = False) -> optx.AbstractRootFinder:
    """The Newton method for n unknowns: dense, or with a Krylov solver where n is large."""
    tolerance = float(jnp.finfo(dtype).eps) ** 0.75
    linear = lx.AutoLinearSolver(well_posed=None) if n <= LARGEST_DENSE else krylov(dtype, positive)
    return optx.Newton(rtol=tolerance, atol=tolerance, linear_solver=linear)


def krylov(dtype: Any, positive: bool = False) -> lx.AbstractLinearSolver:
    """A matrix-free linear solver for the steps of an inexact Newton method: three digits are enough of each.

    The absolute tolerance is rounding, not zero: it is what an entry of the right-hand side that is zero is held to.
    """
    atol = float(jnp.finfo(dtype).eps)
    if positive:
        return lx.CG(rtol=1e-3, atol=atol, max_steps=500)
    return lx.GMRES(rtol=1e-3, atol=atol, restart=50, stagnation_iters=50, max_steps=500)


def or_nan(ok: jax.Array, tree: Any) -> Any:
    """The tree, or NaN in its place."""
    return jax.tree.map(lambda leaf: jnp.where(ok, leaf, jnp.nan), tree)


def solve_resolvent(drift: Callable[[Any, Any], Any], t: Time, z: State, h: StepLength) -> Any:
    """The y with y = z + h f(t, y) found by Newton's method from z, or NaN.

    Args:
        drift: f(t, z).
        t: the time at which f is asked.
        z: the state the step starts from.
        h: the step.
    """

    def equation(y: Any, _: Any) -> Any:
        return jax.tree.map(lambda a, b, f: a - b - h * f, y, z, drift(t, y))

    found = optx.root_find(equation, newton(dtype_of(z), size(z)), z, max_steps=50, throw=False)
    solved = (found.result == optx.RESULTS.successful) & all_finite(found.value)
    return or_nan(solved, found.value)
