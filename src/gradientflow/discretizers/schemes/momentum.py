"""The momentum scheme: the heavy ball with its friction taken implicitly."""

from typing import Any, ClassVar

from gradientflow.flows import Flow
from gradientflow.flows.aliases import State, StepLength, Time

from ..discretizer import Discretizer


class MomentumEuler(Discretizer):
    r"""Momentum: the force explicit, the friction implicit, then transport with the new velocity.

    Of the heavy ball: $v' = (mv - h\nabla E(x))/(m + \gamma h)$, $x' = x + hv'$. In the optimizer's own words
    $x' = x + \beta(x - x_{-1}) - \eta\nabla E(x)$ with $\beta = m/(m + \gamma h)$ and $\eta = h^2/(m + \gamma h)$.

    Order 1. On a mode λ at fixed m and γ: stable iff $h < (\gamma + \sqrt{\gamma^2 + 4m\lambda})/\lambda$.

    References:
        N. Qian, On the momentum term in gradient descent learning algorithms, Neural Networks 12, 1999.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.HeavyBallFlow(gf.Mode(1.0), mass=1.0, friction=1.0)
        >>> gf.MomentumEuler().step(flow, 0.0, gf.Phase(1.0, 0.0), 1.0)
        Phase(x=0.5, v=-0.5)
    """

    equation: ClassVar[str] = "(m + γh)v' = mv − h∇E(x), x' = x + hv'"
    order: ClassVar[int | None] = 1

    def step(self, flow: Flow, t: Time, z: State, h: StepLength, **_: Any) -> State:
        """`force` by its drift, `friction` by its resolvent, `transport` by its drift, each at the time reached."""
        parts = flow.parts
        z = z + h * parts["force"].drift(t, z)
        z = parts["friction"].resolvent(t + h, z, h)
        return z + h * parts["transport"].drift(t + h, z)
