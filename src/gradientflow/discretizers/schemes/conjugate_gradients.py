"""Descent by exact steps along a line: steepest descent and conjugate gradients of the gradient flow."""

from typing import Any, ClassVar

import jax.numpy as jnp

from gradientflow.flows import (
    Flow,
    UnansweredQuestionError,
    inner,
    inner_ratio,
    lift,
    lower,
    scaled_to_unit,
)
from gradientflow.flows.aliases import State, StepLength, Time

from ..discretizer import Discretizer


class ConjugateGradients(Discretizer):
    r"""Conjugate gradients: $x' = x + \alpha d$, $\alpha = \frac{d^\top r}{d^\top Hd}$, $d' = r' + \beta d$.

    $r = -\nabla E(x)$, $\beta = \max(0, r'^\top(r' - r)/r^\top r)$: Polak–Ribière's, which on a quadratic is
    Fletcher–Reeves', since successive residuals are orthogonal there. Elsewhere it restarts by itself where a step led
    nowhere, while Fletcher–Reeves', without a line search to repair a bad direction, would keep it.

    A discretization of the gradient flow with steps of its own: h is only the clock and moves nothing. On a quadratic
    of n unknowns with H > 0 it ends after n steps, up to rounding, and stays; one product with H a step, since the
    memory carries the residual, $r' = r - \alpha Hd$. After k steps the error in the H-norm is at most
    $1/T_k(\frac{\kappa+1}{\kappa-1}) \le 2(\frac{\sqrt\kappa-1}{\sqrt\kappa+1})^k$ times the first.

    On any other energy α is Newton's step along d, by the Hessian at x, and r' is asked anew: nothing says that the
    energy falls. Where $d^\top Hd < 0$ its modulus is taken, so that a step still starts downhill; where it is 0, and
    at a stationary point, the step is 0.

    References:
        M. R. Hestenes, E. Stiefel, Methods of conjugate gradients for solving linear systems, J. Res. NBS 49, 1952.
        E. Polak, G. Ribière, Note sur la convergence de méthodes de directions conjuguées, 1969.
        J. Nocedal, S. J. Wright, Numerical Optimization, 2nd ed. 2006, chapter 5.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.GradientFlow(gf.Quadratic([[4.0, 1.0], [1.0, 3.0]], [1.0, 2.0]))
        >>> run = gf.iterate(flow, gf.ConjugateGradients(), [2.0, 1.0], step=1.0, steps=2)
        >>> [round(float(x) * 11, 10) for x in run.x[-1]]
        [1.0, 7.0]
    """

    equation: ClassVar[str] = "x' = x + αd', d' = −∇E + βd, α = −⟨∇E, d'⟩/⟨d', Hd'⟩"
    clock_only: ClassVar[bool] = True

    def init(self, flow: Flow, t: Time, z: State, h: StepLength) -> Any:
        """Direction and residual: the drift."""
        residual = _residual(flow, t, z)
        return residual, residual

    def step(self, flow: Flow, t: Time, z: State, h: StepLength, *, memory: Any = None, **_: Any) -> State:
        """To the model's minimum along the direction; the next direction and residual."""
        direction, residual = memory
        z, after = _line_step(flow, t + h, z, direction, residual)
        beta = inner_ratio(after, after - residual, residual, residual)
        return z, (after + jnp.maximum(beta, 0) * direction, after)


class SteepestDescent(Discretizer):
    r"""Steepest descent with exact steps: $x' = x + \alpha r$, $r = -\nabla E(x)$, $\alpha = r^\top r/r^\top Hr$.

    A discretization of the gradient flow with steps of its own: h is only the clock and moves nothing. On a quadratic
    with H > 0 each step is to the minimum along r, with one product with H, since the memory carries the residual,
    $r' = r - \alpha Hr$; a step leaves at most $(\frac{\kappa-1}{\kappa+1})^2$ of the energy's excess.

    On any other energy α is Newton's step along r, by the Hessian at x, and r' is asked anew: nothing says that the
    energy falls. Where $r^\top Hr < 0$ its modulus is taken; where it is 0, and at a stationary point, the step is 0.

    References:
        A.-L. Cauchy, Méthode générale pour la résolution des systèmes d'équations simultanées, 1847.
        H. Akaike, On a successive transformation of probability distribution and its application to the analysis of the
        optimum gradient method, Ann. Inst. Statist. Math. 11, 1959.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.GradientFlow(gf.Quadratic([[1.0, 0.0], [0.0, 3.0]]))
        >>> gf.iterate(flow, gf.SteepestDescent(), [3.0, 1.0], step=1.0, steps=1).x[-1].tolist()
        [1.5, -0.5]
    """

    equation: ClassVar[str] = "x' = x + αr, r' = r − αHr, α = ⟨r, r⟩/⟨r, Hr⟩"
    clock_only: ClassVar[bool] = True

    def init(self, flow: Flow, t: Time, z: State, h: StepLength) -> Any:
        """The residual: the drift."""
        return _residual(flow, t, z)

    def step(self, flow: Flow, t: Time, z: State, h: StepLength, *, memory: Any = None, **_: Any) -> State:
        """To the model's minimum along the residual; the next residual."""
        return _line_step(flow, t + h, z, memory, memory)


def _residual(flow: Flow, t: Time, z: State) -> Any:
    if not flow.is_gradient_flow:
        why = "its drift is not −∇E, whose derivative that would be; use GradientFlow"
        raise UnansweredQuestionError(flow, "energy.hvp", why)
    return flow.drift(t, z)


def _line_step(flow: Flow, t: Time, z: State, direction: Any, residual: Any) -> tuple[Any, Any]:
    """The minimum along a direction of the energy's quadratic model, and the residual there, at time t."""
    # A direction is one whatever its length, but its product with H may overflow.
    direction, _ = scaled_to_unit(direction)
    product = lift(flow.energy.hvp(lower(z), lower(direction)))
    alpha = inner_ratio(direction, residual, direction, product)
    alpha = jnp.where(inner(direction, product) < 0, -alpha, alpha)
    z = z + alpha * direction
    # Of a quadratic the product says what the residual becomes.
    return z, residual - alpha * product if flow.energy.is_quadratic else flow.drift(t, z)
