"""Descent in another metric, the same everywhere."""

from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import jax.scipy.linalg as jsl
import numpy as np
from jax.flatten_util import ravel_pytree

from ...aliases import State, StepLength, Time
from ...checks import real_arrays
from ...discrete_gradients import DiscreteGradientRule
from ...energies.energy import Energy
from ...energies.energy import energy as as_energy
from ...energies.quadratic import AbstractQuadratic
from ...flow import FirstOrder, Flow
from ...numerics import is_concrete, relaxed
from ...state import lower


class PreconditionedFlow(FirstOrder):
    r"""The gradient flow in a constant metric: $\dot x = -G^{-1}\nabla E(x)$.

    The state is the position, any pytree of n numbers. Units: x [X], E [X²/T] for a G without unit.
    Lyapunov function: E, with $\dot E = -\|\nabla E\|^2_{G^{-1}}$. On a quadratic
    $x(t) = x^* + e^{-tG^{-1}H}(x_0 - x^*)$; with G = H every mode decays alike.

    Args:
        energy: the potential E.
        metric: G, symmetric positive definite, of shape (n, n), on the raveled position; or its diagonal, of
            shape (n,).

    Raises:
        ValueError: if G is not symmetric positive definite.

    References:
        S. Boyd, L. Vandenberghe, Convex Optimization, 2004, section 9.4.1: steepest descent in a quadratic norm.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.PreconditionedFlow(gf.Quadratic([[1.0, 0.0], [0.0, 9.0]]), [1.0, 9.0])
        >>> flow.drift(0.0, gf.flows.as_floating([3.0, 1.0])).tolist()
        [-3.0, -1.0]
    """

    equation: ClassVar[str] = "ẋ = −G⁻¹∇E(x)"
    energy: Energy
    metric: jax.Array

    def __init__(self, energy: Callable[[Any], Any], metric: Any) -> None:
        self.energy, self.metric = as_energy(energy), real_arrays("PreconditionedFlow", "metric", metric)
        if is_concrete(self.metric):
            check_metric("PreconditionedFlow", np.asarray(self.metric))

    def drift(self, t: Time, z: State) -> State:
        """−G⁻¹∇E(x)."""
        flat, unravel = ravel_pytree(self.gradient(z))
        if self.metric.ndim == 1:
            return -unravel(flat / self.metric)
        return -unravel(jsl.cho_solve((jnp.linalg.cholesky(self.metric), True), flat))

    def discrete_gradient_step(self, t: Time, z: State, h: StepLength, rule: DiscreteGradientRule) -> State:
        """That of the gradient flow in the coordinates Cᵀx, G = CCᵀ: E falls by ‖x' − x‖²_G/h."""
        flat, unravel = ravel_pytree(z)
        root = jnp.sqrt(self.metric) if self.metric.ndim == 1 else jnp.linalg.cholesky(self.metric)

        def back(u: jax.Array) -> jax.Array:
            return u / root if root.ndim == 1 else jsl.solve_triangular(root.T, u)

        def value(u: jax.Array) -> Any:
            return self.energy.value(lower(unravel(back(u))))

        u = root * flat if root.ndim == 1 else root.T @ flat
        return unravel(back(rule.solve(as_energy(value), u, h)))

    def solution(self, t: Time, z: State, h: StepLength) -> State:
        """x* + e^{−hG⁻¹H}(x − x*), by the modes of the quadratic in the metric G = CCᵀ."""
        if not isinstance(self.energy, AbstractQuadratic):
            return Flow.solution(self, t, z, h)
        root = jnp.linalg.cholesky(jnp.diag(self.metric) if self.metric.ndim == 1 else self.metric)
        half = jsl.solve_triangular(root, self.energy.hessian, lower=True)
        rates, modes = jnp.linalg.eigh(jsl.solve_triangular(root, half.T, lower=True))
        force = modes.T @ jsl.solve_triangular(root, self.gradient(z), lower=True)
        return z - jsl.solve_triangular(root.T, modes @ (relaxed(rates, h) * force))

    def lyapunov(self, t: Time, z: State) -> Any:
        """E(x)."""
        return self.energy.value(lower(z))


def check_metric(where: str, metric: np.ndarray, semidefinite: bool = False) -> None:
    """Refuses what is no symmetric positive definite matrix, nor the diagonal of one.

    Raises:
        ValueError: naming what is wrong with it.
    """
    shaped = metric.ndim == 1 or (metric.ndim == 2 and metric.shape[0] == metric.shape[1])
    if not shaped:
        raise ValueError(f"{where}: `metric` must have shape (n, n) or (n,), got {metric.shape}")
    if metric.ndim == 2 and not np.allclose(metric, metric.T, rtol=1e-12, atol=1e-14 * np.abs(metric).max()):
        raise ValueError(f"{where}: `metric` must be symmetric; pass (G + G.T) / 2")
    values = metric if metric.ndim == 1 else np.linalg.eigvalsh(metric)
    least = float(values.min())
    rounding = 16 * values.size * float(np.finfo(metric.dtype).eps) * float(np.abs(values).max())
    if not (least >= -rounding if semidefinite else least > 0):
        raise ValueError(f"{where}: `metric` must be positive definite, its least eigenvalue is {least:g}")
