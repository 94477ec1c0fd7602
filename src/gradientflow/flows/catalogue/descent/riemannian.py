"""Descent in a metric that changes from point to point: Riemannian and natural gradient flows."""

from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from jax.flatten_util import ravel_pytree

from ...aliases import Position, State, Time
from ...checks import check_nonnegative, in_a_line
from ...energies.energy import Energy
from ...energies.energy import energy as as_energy
from ...energies.hessian import solve_symmetric
from ...flow import FirstOrder
from ...implicit import or_nan
from ...numerics import all_finite, is_concrete
from ...state import lift, lower
from ...told import Told
from .preconditioned import check_metric


class RiemannianFlow(FirstOrder):
    r"""The gradient flow on a manifold with one chart: $\dot x = -G(x)^{-1}\nabla E(x)$.

    The state is the position, any pytree. Lyapunov function: E, with $\dot E = -\|\nabla E\|^2_{G(x)^{-1}}$.
    With G the Fisher information of a model (`FisherMetric`) it is the natural gradient flow: its path does not
    depend on how the model is parametrized.

    Args:
        energy: the potential E.
        metric: x ↦ G(x), symmetric positive definite: an array of shape (n, n) that acts on the raveled position, or
            a lineax operator on pytrees like the position.

    Raises:
        TypeError: if `metric` is not a function.

    References:
        S. Amari, Natural gradient works efficiently in learning, Neural Computation 10, 1998.

    Example:
        >>> import jax.numpy as jnp, gradientflow as gf
        >>> flow = gf.RiemannianFlow(gf.landscapes.bowl(), lambda x: jnp.diag(1 + x**2))
        >>> flow.drift(0.0, gf.flows.as_floating([3.0, 1.0])).round(4).tolist()
        [-0.3, -4.5]
    """

    equation: ClassVar[str] = "ẋ = −G(x)⁻¹∇E(x)"
    energy: Energy
    metric: Callable[[Any], Any]

    def __init__(self, energy: Callable[[Any], Any], metric: Any) -> None:
        if not callable(metric):
            raise TypeError(
                f"RiemannianFlow: `metric` must be a function x -> G(x), got {in_a_line(metric)}; a constant one is "
                "PreconditionedFlow(energy, G)"
            )
        self.energy, self.metric = as_energy(energy), metric

    def drift(self, t: Time, z: State) -> State:
        """−G(x)⁻¹∇E(x)."""
        x = lower(z)
        gradient, metric = self.energy.grad(x), self.metric(x)
        if isinstance(metric, lx.AbstractLinearOperator):
            # Its own check would call back to the host.
            found = lx.linear_solve(metric, gradient, lx.AutoLinearSolver(well_posed=None), throw=False)
            return -lift(or_nan(found.result == lx.RESULTS.successful, found.value))
        flat, unravel = ravel_pytree(gradient)
        return -lift(unravel(solve_symmetric(metric, flat, semidefinite=True)))

    def check_start(self, t: Time, z: State) -> None:
        """Refuses a metric that is not positive definite there, or singular along ∇E."""
        metric = self.metric(jax.tree.map(jnp.asarray, lower(z)))
        if isinstance(metric, lx.AbstractLinearOperator) or not is_concrete(metric, z):
            return
        check_metric("RiemannianFlow", np.asarray(metric), semidefinite=True)
        if not bool(all_finite(self.drift(t, z))):
            raise ValueError(
                "RiemannianFlow: `metric` is singular at the start, and ∇E is not in its range; damp it: G(x) + εI"
            )

    def lyapunov(self, t: Time, z: State) -> Any:
        """E(x)."""
        return self.energy.value(lower(z))


class FisherMetric(Told):
    r"""The Fisher information of a categorical model: $G(x) = \sum_k p_k\,\nabla\log p_k\,\nabla\log p_k^\top$.

    Averaged over examples, where there are several. It is the exact sum over outcomes, not the empirical one over
    labels.

    Args:
        probabilities: x ↦ the probabilities of the outcomes, of shape (..., outcomes); each row sums to 1.
        damping: added to the diagonal, for directions of which the model says nothing.

    References:
        J. Martens, New insights and perspectives on the natural gradient method, JMLR 21, 2020, section 5.

    Example:
        >>> import jax, jax.numpy as jnp, gradientflow as gf
        >>> coin = gf.FisherMetric(lambda x: jnp.stack([x[0], 1 - x[0]]))
        >>> coin(gf.flows.as_floating([0.5])).round(4).tolist()
        [[4.0]]
    """

    probabilities: Callable[[Any], Any]
    damping: Any = 0.0

    def __check_init__(self) -> None:
        check_nonnegative("FisherMetric", damping=self.damping)

    def __call__(self, x: Position) -> jax.Array:
        """G(x), of shape (n, n), on the raveled position."""
        flat, unravel = ravel_pytree(x)

        def roots(flat: Any) -> Any:
            p = self.probabilities(unravel(flat))
            # An outcome that never happens tells nothing, and the root's derivative at 0 is infinite.
            return jnp.where(p > 0, jnp.sqrt(jnp.where(p > 0, p, 1)), 0)

        # p ∇log p ∇log pᵀ = 4 ∇√p ∇√pᵀ: one Jacobian is all it takes.
        jacobian = jax.jacobian(roots)(flat)
        examples = np.prod(jacobian.shape[:-2], dtype=int)
        rows = jacobian.reshape(-1, flat.size)
        return 4 * rows.T @ rows / examples + self.damping * jnp.eye(flat.size, dtype=flat.dtype)
