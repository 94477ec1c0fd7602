"""Named optimizers, as the flow and the discretizer that each of them is.

Parameters and conventions are optax's; the conversion to the flow's parameters is exact.
"""

from typing import Any

from gradientflow.flows import (
    Energy,
    GradientFlow,
    HeavyBallFlow,
    SignFlow,
    check_fraction,
    check_positive,
    check_rate,
    energy,
    is_zero,
)

from ..running.method import Method, written
from ..schemes.conjugate_gradients import ConjugateGradients, SteepestDescent
from ..schemes.euler import BackwardEuler, ForwardEuler
from ..schemes.momentum import MomentumEuler
from ..schemes.nesterov import NesterovExtrapolated


@written("x' = x − η∇E(x)")
def gradient_descent(E: Any, lr: Any) -> Method:
    r"""Gradient descent, $x' = x - \eta\nabla E(x)$: forward Euler of the gradient flow with h = η.

    Args:
        E: an energy or a callable.
        lr: η > 0, a schedule k ↦ η, or a step rule.

    Raises:
        ValueError: if a number is not finite and positive.

    References:
        A.-L. Cauchy, Méthode générale pour la résolution des systèmes d'équations simultanées, 1847.

    Example:
        >>> import gradientflow as gf
        >>> gf.optimizers.gradient_descent(gf.landscapes.bowl(), lr=0.1).step
        0.1
    """
    check_rate("gradient_descent", lr=lr)
    return Method(GradientFlow(energy(E)), ForwardEuler(), lr)


@written("x' = argmin_y E(y) + ‖y − x‖²/(2η)")
def proximal_point(E: Any, lr: Any) -> Method:
    r"""The proximal point method, $x' = \operatorname{prox}_{\eta E}(x)$: backward Euler of the gradient flow.

    Args:
        E: an energy or a callable.
        lr: η > 0, a schedule or a step rule.

    Raises:
        ValueError: if a number is not finite and positive.

    References:
        R. T. Rockafellar, Monotone operators and the proximal point algorithm, SIAM J. Control Optim. 14, 1976.

    Example:
        >>> import gradientflow as gf
        >>> gf.optimizers.proximal_point(gf.Quadratic([[3.0]]), lr=1.0).iterate([1.0], steps=1).x[-1].tolist()
        [0.25]
    """
    check_rate("proximal_point", lr=lr)
    return Method(GradientFlow(energy(E)), BackwardEuler(), lr)


@written("b' = βb + ∇E(x), x' = x − ηb'")
def momentum(E: Any, lr: Any, beta: Any = 0.9) -> Method:
    r"""Momentum, $b' = \beta b + \nabla E(x)$, $x' = x - \eta b'$: optax's and PyTorch's SGD with momentum.

    The heavy ball with friction 1 and mass $m = \beta\eta/(1-\beta)^2$, discretized with $h = \eta/(1-\beta)$: its
    clock is the gradient flow's own in the overdamped limit, so that equal times compare.

    Args:
        E: an energy or a callable.
        lr: η > 0.
        beta: 0 ≤ β < 1; 0 is gradient descent.

    Raises:
        ValueError: if a number is out of its range.
        TypeError: if `lr` is a schedule: another η at fixed β is another flow, not another step of this one.

    References:
        B. T. Polyak, Some methods of speeding up the convergence of iteration methods, 1964.

    Example:
        >>> import gradientflow as gf
        >>> method = gf.optimizers.momentum(gf.landscapes.bowl(), lr=0.25, beta=0.5)
        >>> method.step, method.flow.mass
        (0.5, 0.5)
    """
    if callable(lr):
        raise TypeError("momentum: `lr` must be a number; a schedule at fixed beta would change the flow at every step")
    check_positive("momentum", lr=lr)
    flow, h = heavy_ball_of(energy(E), lr, beta)
    if flow is None:
        return gradient_descent(E, lr)
    return Method(flow, MomentumEuler(), h)


def heavy_ball_of(E: Energy, lr: Any, beta: Any) -> tuple[HeavyBallFlow | None, Any]:
    """The heavy ball and the step that momentum's (η, β) stand for; no flow where β = 0, whose mass would vanish."""
    check_fraction("momentum", beta=beta)
    if is_zero(beta):
        return None, lr
    damping = 1 - beta
    return HeavyBallFlow(E, mass=beta * lr / (damping * damping), friction=1), lr / damping


@written("b' = βb + ∇E(x), x' = x − η(∇E(x) + βb')")
def nesterov(E: Any, lr: Any, beta: Any = 0.9) -> Method:
    r"""Nesterov momentum, $b' = \beta b + \nabla E(x)$, $x' = x - \eta(\nabla E(x) + \beta b')$, as in optax.

    The iterates are the points at which gradients are asked, the textbook's y; so are PyTorch's. It is the heavy ball
    with friction 1 and mass $m = \eta\beta^2/(1-\beta)^2$ under `NesterovExtrapolated` with $h = \eta\beta/(1-\beta)$.
    The textbook's own iterates x are those of `NesterovScheme` on that flow, or on `NesterovFlow` for the β that grows.

    Args:
        E: an energy or a callable.
        lr: η > 0.
        beta: 0 ≤ β < 1; 0 is gradient descent.

    Raises:
        ValueError: if a number is out of its range.
        TypeError: if `lr` is a schedule: another η at fixed β is another flow, not another step of this one.

    References:
        Y. Nesterov, A method of solving a convex programming problem with convergence rate O(1/k²), 1983.
        I. Sutskever, J. Martens, G. Dahl, G. Hinton, On the importance of initialization and momentum in deep learning,
        ICML 2013.

    Example:
        >>> import gradientflow as gf
        >>> method = gf.optimizers.nesterov(gf.landscapes.bowl(), lr=0.25, beta=0.5)
        >>> method.step, method.flow.mass
        (0.25, 0.25)
    """
    if callable(lr):
        raise TypeError("nesterov: `lr` must be a number; a schedule at fixed beta would change the flow at every step")
    check_positive("nesterov", lr=lr)
    check_fraction("nesterov", beta=beta)
    if is_zero(beta):
        return gradient_descent(E, lr)
    damping = 1 - beta
    flow = HeavyBallFlow(energy(E), mass=beta * beta * lr / (damping * damping), friction=1)
    return Method(flow, NesterovExtrapolated(), beta * lr / damping)


@written("x' = x − η sign ∇E(x)")
def sign_descent(E: Any, lr: Any) -> Method:
    r"""Sign descent, $x' = x - \eta\operatorname{sign}\nabla E(x)$: forward Euler of the sign flow with h = η.

    Args:
        E: an energy or a callable.
        lr: η > 0, a schedule k ↦ η, or a step rule.

    Raises:
        ValueError: if a number is not finite and positive.

    References:
        J. Bernstein et al., signSGD: compressed optimisation for non-convex problems, ICML 2018.

    Example:
        >>> import gradientflow as gf
        >>> gf.optimizers.sign_descent(gf.landscapes.bowl(), lr=0.5).iterate([3.0, 1.0], steps=1).x[-1].tolist()
        [2.5, 0.5]
    """
    check_rate("sign_descent", lr=lr)
    return Method(SignFlow(energy(E), smoothing=0.0), ForwardEuler(), lr)


@written("x' = x + αd', d' = −∇E + βd, α exact along d'")
def conjugate_gradients(E: Any) -> Method:
    r"""Conjugate gradients: the gradient flow by `ConjugateGradients`, whose clock counts its iterations.

    Args:
        E: an energy or a callable.

    References:
        M. R. Hestenes, E. Stiefel, Methods of conjugate gradients for solving linear systems, J. Res. NBS 49, 1952.
        E. Polak, G. Ribière, Note sur la convergence de méthodes de directions conjuguées, 1969.

    Example:
        >>> import gradientflow as gf
        >>> E = gf.Quadratic([[4.0, 1.0], [1.0, 3.0]], [1.0, 2.0])
        >>> str(gf.optimizers.conjugate_gradients(E).iterate([2.0, 1.0], steps=2).status)
        'converged'
    """
    return Method(GradientFlow(energy(E)), ConjugateGradients(), 1.0)


@written("x' = x − α∇E(x), α exact: ⟨g, g⟩/⟨g, Hg⟩")
def steepest_descent(E: Any) -> Method:
    r"""Steepest descent with exact steps: the gradient flow by `SteepestDescent`, whose clock counts its iterations.

    Args:
        E: an energy or a callable.

    References:
        A.-L. Cauchy, Méthode générale pour la résolution des systèmes d'équations simultanées, 1847.

    Example:
        >>> import gradientflow as gf
        >>> method = gf.optimizers.steepest_descent(gf.Quadratic([[1.0, 0.0], [0.0, 3.0]]))
        >>> method.iterate([3.0, 1.0], steps=2).x[-1].tolist()
        [0.75, 0.25]
    """
    return Method(GradientFlow(energy(E)), SteepestDescent(), 1.0)
