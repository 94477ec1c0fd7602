"""Optimizers in other geometries: Newton, natural, mirror, projected and accelerated gradient."""

from typing import Any

from gradientflow.flows import (
    MirrorFlow,
    NesterovFlow,
    NewtonFlow,
    PreconditionedFlow,
    ProjectedFlow,
    RiemannianFlow,
    check_positive,
    check_rate,
    energy,
)

from ..running.method import Method, written
from ..schemes.euler import ForwardEuler
from ..schemes.forward_backward import ForwardBackward
from ..schemes.nesterov import NesterovScheme


@written("x' = x − η(∇²E(x) + εI)⁻¹∇E(x)")
def newton(E: Any, lr: Any = 1.0, regularization: Any = 0.0) -> Method:
    r"""Newton's method, $x' = x - \eta(\nabla^2E(x) + \varepsilon I)^{-1}\nabla E(x)$; damped where η < 1.

    Forward Euler of Newton's flow with h = η: on quadratics every error shrinks by 1 − η.

    Args:
        E: an energy or a callable.
        lr: η > 0, a schedule or a step rule.
        regularization: ε ≥ 0 [E/X²].

    Raises:
        ValueError: if a number is out of its range.

    References:
        J. Nocedal, S. J. Wright, Numerical Optimization, 2nd ed. 2006, section 3.3.

    Example:
        >>> import gradientflow as gf
        >>> gf.optimizers.newton(gf.landscapes.rosenbrock()).iterate([-1.2, 1.0], steps=7).x[-1].round(4)
        Array([1., 1.], dtype=...)
    """
    check_rate("newton", lr=lr)
    return Method(NewtonFlow(energy(E), regularization), ForwardEuler(), lr)


@written("x' = x − ηG(x)⁻¹∇E(x)", "ForwardEuler of RiemannianFlow, or of PreconditionedFlow")
def natural_gradient(E: Any, lr: Any, metric: Any) -> Method:
    r"""Natural gradient descent, $x' = x - \eta G(x)^{-1}\nabla E(x)$; with a constant G, preconditioned descent.

    Args:
        E: an energy or a callable.
        lr: η > 0, a schedule or a step rule.
        metric: x ↦ G(x), such as a `FisherMetric`; or a constant G, a matrix or its diagonal.

    Raises:
        ValueError: if η is not positive, or a constant G not symmetric positive definite.

    References:
        S. Amari, Natural gradient works efficiently in learning, Neural Computation 10, 1998.

    Example:
        >>> import gradientflow as gf
        >>> method = gf.optimizers.natural_gradient(gf.landscapes.bowl(), lr=1.0, metric=[1.0, 9.0])
        >>> method.iterate([3.0, 1.0], steps=1).x[-1].tolist()
        [0.0, 0.0]
    """
    check_rate("natural_gradient", lr=lr)
    flow = (RiemannianFlow if callable(metric) else PreconditionedFlow)(energy(E), metric)
    return Method(flow, ForwardEuler(), lr)


@written("∇φ(x') = ∇φ(x) − η∇E(x)", "ForwardEuler of MirrorFlow")
def mirror_descent(E: Any, lr: Any, potential: Any) -> Method:
    r"""Mirror descent, $\nabla\varphi(x') = \nabla\varphi(x) - \eta\nabla E(x)$.

    With the entropy it is exponentiated gradient descent.

    Args:
        E: an energy or a callable.
        lr: η > 0, a schedule or a step rule.
        potential: φ, one of `potentials`.

    Raises:
        ValueError: if η is not positive.
        TypeError: if `potential` is none.

    References:
        A. Nemirovski, D. Yudin, Problem Complexity and Method Efficiency in Optimization, 1983.
        A. Beck, M. Teboulle, Mirror descent and nonlinear projected subgradient methods, Oper. Res. Lett. 31, 2003.

    Example:
        >>> import gradientflow as gf
        >>> E = gf.energy(lambda x: x[0] + 2 * x[1])
        >>> method = gf.optimizers.mirror_descent(E, lr=1.0, potential=gf.potentials.Entropy())
        >>> method.iterate([0.5, 0.5], steps=1).x[-1].round(4)
        Array([0.7311, 0.2689], dtype=...)
    """
    check_rate("mirror_descent", lr=lr)
    return Method(MirrorFlow(energy(E), potential), ForwardEuler(), lr)


@written("x' = P_C(x − η∇E(x))", "ForwardBackward of ProjectedFlow")
def projected_gradient(E: Any, lr: Any, constraint: Any) -> Method:
    r"""Projected gradient descent, $x' = P_C(x - \eta\nabla E(x))$.

    Args:
        E: an energy or a callable.
        lr: η > 0, a schedule or a step rule.
        constraint: C, one of `constraints`.

    Raises:
        ValueError: if η is not positive.
        TypeError: if `constraint` is none.

    References:
        E. S. Levitin, B. T. Polyak, Constrained minimization methods, USSR Comput. Math. Math. Phys. 6, 1966.

    Example:
        >>> import gradientflow as gf
        >>> method = gf.optimizers.projected_gradient(gf.landscapes.bowl(), 0.1, gf.constraints.Box(1.0, 4.0))
        >>> method.iterate([3.0, 1.5], steps=1).x[-1].round(4)
        Array([2.7, 1. ], dtype=...)
    """
    check_rate("projected_gradient", lr=lr)
    flow = ProjectedFlow(energy(E), constraint)
    return Method(flow, ForwardBackward(), lr)


@written("x' = y − η∇E(y), y' = x' + (k + 2)/(k + r + 2)·(x' − x)")
def accelerated_gradient(E: Any, lr: Any, r: Any = 3.0) -> Method:
    r"""Nesterov's accelerated gradient for convex energies, its momentum growing as 1 − r/k.

    `NesterovScheme` of Nesterov's flow with h = √η, from rest. $E - E^* = O(1/k^2)$ for η ≤ 1/L.

    Args:
        E: an energy or a callable.
        lr: η > 0.
        r: the flow's friction is r/t; at least 3 for the rate.

    Raises:
        ValueError: if a number is not positive.
        TypeError: if `lr` is a schedule: the momentum goes by the flow's clock.

    References:
        Y. Nesterov, A method of solving a convex programming problem with convergence rate O(1/k²), 1983.
        W. Su, S. Boyd, E. J. Candès, A differential equation for modeling Nesterov's accelerated gradient method, JMLR
        17, 2016.

    Example:
        >>> import gradientflow as gf
        >>> gf.optimizers.accelerated_gradient(gf.landscapes.bowl(), lr=0.0625).step
        0.25
    """
    if callable(lr):
        raise TypeError("accelerated_gradient: `lr` must be a number: the momentum goes by the flow's clock")
    check_positive("accelerated_gradient", lr=lr)
    return Method(NesterovFlow(energy(E), r), NesterovScheme(), lr**0.5)
