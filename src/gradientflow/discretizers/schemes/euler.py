"""The one-stage schemes: forward Euler, backward Euler and the implicit midpoint rule."""

from typing import Any, ClassVar

from gradientflow.flows import Flow
from gradientflow.flows.aliases import State, StepLength, Time

from ..discretizer import Discretizer


class ForwardEuler(Discretizer):
    r"""Forward Euler: $z' = z + h f(t, z)$. Of a gradient flow: gradient descent, $x' = x - h\nabla E(x)$.

    Order 1. On a mode λ of a gradient flow it multiplies by 1 − hλ: stable iff hλ < 2.

    References:
        A.-L. Cauchy, Méthode générale pour la résolution des systèmes d'équations simultanées, 1847.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.GradientFlow(gf.Mode(2.0))
        >>> gf.ForwardEuler().step(flow, 0.0, 1.0, 0.25)
        0.5
    """

    equation: ClassVar[str] = "z' = z + h f(t, z)"
    order: ClassVar[int | None] = 1

    def step(self, flow: Flow, t: Time, z: State, h: StepLength, **_: Any) -> State:
        """The state z + h f(t, z)."""
        return z + h * flow.drift(t, z)


class BackwardEuler(Discretizer):
    r"""Backward Euler: $z' = z + h f(t + h, z')$. Of a gradient flow: the proximal point method.

    Order 1. On a mode λ of a gradient flow it divides by 1 + hλ: stable for every h on convex energies.

    References:
        R. T. Rockafellar, Monotone operators and the proximal point algorithm, SIAM J. Control Optim. 14, 1976.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.GradientFlow(gf.Mode(3.0))
        >>> gf.BackwardEuler().step(flow, 0.0, 1.0, 1.0)
        0.25
    """

    equation: ClassVar[str] = "z' = z + h f(t + h, z')"
    order: ClassVar[int | None] = 1

    def step(self, flow: Flow, t: Time, z: State, h: StepLength, **_: Any) -> State:
        """The resolvent over h."""
        return flow.resolvent(t + h, z, h)


class ImplicitMidpoint(Discretizer):
    r"""Implicit midpoint rule: $z' = z + h f(t + \tfrac h2, \tfrac{z + z'}2)$.

    A resolvent over h/2, then a reflection of z in the midpoint it finds. Order 2; symmetric and symplectic.

    References:
        E. Hairer, C. Lubich, G. Wanner, Geometric Numerical Integration, 2nd ed. 2006, section II.1.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.GradientFlow(gf.Mode(2.0))
        >>> gf.ImplicitMidpoint().step(flow, 0.0, 1.0, 1.0)
        0.0
    """

    equation: ClassVar[str] = "z' = z + h f(t + h/2, (z + z')/2)"
    order: ClassVar[int | None] = 2

    def step(self, flow: Flow, t: Time, z: State, h: StepLength, **_: Any) -> State:
        """2m − z with m the resolvent over h/2."""
        middle = flow.resolvent(t + h / 2, z, h / 2)
        return 2 * middle - z
