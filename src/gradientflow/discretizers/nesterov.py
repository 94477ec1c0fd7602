"""Nesterov's scheme: the force at the point to which momentum alone would lead."""

from typing import Any, ClassVar

from gradientflow.flows import Flow

from .discretizer import Discretizer


class NesterovStep(Discretizer):
    r"""Nesterov's accelerated gradient: coast with the friction implicit, ask the force there, then move.

    $y = x + h\beta v$, $v' = \beta v - \tfrac hm\nabla E(y)$, $x' = x + hv'$. In the optimizer's own words
    $x' = y - \eta\nabla E(y)$, $y' = x' + \beta'(x' - x)$. Of the heavy ball $\beta = m/(m + \gamma h)$ and
    $\eta = h^2/m$; of `Nesterov` with r = 3 it is $\eta = h^2$ and $\beta_k = (k+1)/(k+4)$ for $y_k$, the textbook's
    $(k-1)/(k+2)$ two steps on.

    Its iterates are the points x; `NesterovLookahead` is the same scheme at the points y, where libraries keep it.
    Order 1. On a mode λ with constant β: stable iff $\eta\lambda < (2 + 2\beta)/(1 + 2\beta)$.

    References:
        Y. Nesterov, A method of solving a convex programming problem with convergence rate O(1/k²), 1983.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.HeavyBall(gf.Mode(1.0), mass=1.0, friction=1.0)
        >>> gf.NesterovStep().step(flow, 0.0, gf.Phase(1.0, 1.0), 1.0)
        Phase(x=0.0, v=-1.0)
    """

    equation: ClassVar[str] = "y = x + βhv, v' = βv − (h/m)∇E(y), x' = x + hv'"
    order: ClassVar[int | None] = 1

    def step(self, flow: Flow, t: Any, z: Any, h: Any, **_: Any) -> Any:
        """`friction` by its resolvent, `force` at where `transport` would lead from there, `transport` by its drift."""
        parts = flow.parts
        slowed = parts["friction"].resolvent(t + h, z, h)
        ahead = slowed + h * parts["transport"].drift(t + h, slowed)
        kicked = slowed + h * parts["force"].drift(t + h, ahead)
        return kicked + h * parts["transport"].drift(t + h, kicked)


class NesterovLookahead(Discretizer):
    r"""Nesterov's accelerated gradient at the points y where it asks the force: optax's and PyTorch's convention.

    $v' = \beta v - \tfrac hm\nabla E(y)$, $y' = y + hv' + h(\beta'v' - \beta v)$: with a constant step the same
    run as `NesterovStep`'s, seen at $y = x + h\beta v$. Started at rest both start at one point.

    Order 1; the same step limit.

    References:
        I. Sutskever, J. Martens, G. Dahl, G. Hinton, On the importance of initialization and momentum in deep learning,
        ICML 2013.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.HeavyBall(gf.Mode(1.0), mass=1.0, friction=1.0)
        >>> gf.NesterovLookahead().step(flow, 0.0, gf.Phase(1.5, 1.0), 1.0)
        Phase(x=-0.5, v=-1.0)
    """

    equation: ClassVar[str] = "NesterovStep's run, seen at its points y"
    order: ClassVar[int | None] = 1

    def step(self, flow: Flow, t: Any, z: Any, h: Any, **_: Any) -> Any:
        """The state's position is y; the next coast is the friction's resolvent one step later."""
        friction, force, transport = (flow.parts[name] for name in ("friction", "force", "transport"))
        slowed = friction.resolvent(t + h, z, h)
        kicked = slowed + h * force.drift(t + h, slowed)
        coasting = friction.resolvent(t + h + h, kicked, h)
        moved = transport.drift(t + h, kicked) + transport.drift(t + h, coasting) - transport.drift(t + h, slowed)
        return kicked + h * moved
