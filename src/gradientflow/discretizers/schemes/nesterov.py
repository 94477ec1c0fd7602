"""Nesterov's scheme: the force at the point to which momentum alone would lead."""

from typing import Any, ClassVar

import jax.numpy as jnp

from gradientflow.flows import Flow, Phase, inner
from gradientflow.flows.aliases import State, StepLength, Time

from ..discretizer import Discretizer


class NesterovScheme(Discretizer):
    r"""Nesterov's accelerated gradient: coast with the friction implicit, ask the force there, then move.

    $y = x + h\beta v$, $v' = \beta v - \tfrac hm\nabla E(y)$, $x' = x + hv'$. In the optimizer's own words
    $x' = y - \eta\nabla E(y)$, $y' = x' + \beta'(x' - x)$. Of the heavy ball $\beta = m/(m + \gamma h)$ and
    $\eta = h^2/m$; of `NesterovFlow` with r = 3 it is $\eta = h^2$ and $\beta_k = (k+1)/(k+4)$ for $y_k$, the
    textbook's $(k-1)/(k+2)$ two steps on.

    Of a `Composite` energy f + g, whose transport feels g, the last line is $x' = \operatorname{prox}_{\eta g}(y -
    \eta\nabla f(y))$, $v' = (x' - x)/h$: that is FISTA.

    Its iterates are the points x; `NesterovExtrapolated` is the same scheme at the points y, where libraries keep it.
    Order 1. On a mode λ with constant β: stable iff $\eta\lambda < (2 + 2\beta)/(1 + 2\beta)$.

    References:
        Y. Nesterov, A method of solving a convex programming problem with convergence rate O(1/k²), 1983.
        A. Beck, M. Teboulle, A fast iterative shrinkage-thresholding algorithm, SIAM J. Imaging Sci. 2, 2009.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.HeavyBallFlow(gf.Mode(1.0), mass=1.0, friction=1.0)
        >>> gf.NesterovScheme().step(flow, 0.0, gf.Phase(1.0, 1.0), 1.0)
        Phase(x=0.0, v=-1.0)
    """

    equation: ClassVar[str] = "y = x + βhv, v' = βv − (h/m)∇E(y), x' = x + hv'"
    order: ClassVar[int | None] = 1

    def step(self, flow: Flow, t: Time, z: State, h: StepLength, **_: Any) -> State:
        """`friction` by its resolvent, `force` at where `transport` would lead next, `transport` by its resolvent."""
        return _ahead_and_next(*_parts(flow), t, z, h)[1]


class RestartedNesterov(Discretizer):
    r"""`NesterovScheme` that starts from rest again whenever it was led uphill.

    It tells by $\langle y - x', x' - x\rangle > 0$, with $y - x'$ the direction of the (proximal) gradient at y: then
    the velocity is dropped, and the clock that the friction goes by starts from 0. Near a quadratic minimum that
    recovers the linear rate of the best constant friction, without knowing μ.

    Memory: the friction's clock, and which share of the velocity is kept, 1 or 0.

    References:
        B. O'Donoghue, E. J. Candès, Adaptive restart for accelerated gradient schemes, Found. Comput. Math. 15, 2015.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.NesterovFlow(gf.Quadratic([[1.0, 0.0], [0.0, 100.0]]))
        >>> plain, restarted = (gf.iterate(flow, scheme, [1.0, 1.0], step=0.1, steps=200).energy[-1]
        ...                     for scheme in (gf.NesterovScheme(), gf.RestartedNesterov()))
        >>> bool(restarted < 1e-6 * plain)
        True
    """

    equation: ClassVar[str] = "NesterovScheme, from rest again after ⟨y − x', x' − x⟩ > 0"

    def init(self, flow: Flow, t: Time, z: State, h: StepLength) -> Any:
        """The clock as it is, and all of the velocity."""
        return jnp.asarray(t), jnp.ones((), jnp.result_type(t))

    def step(self, flow: Flow, t: Time, z: State, h: StepLength, *, memory: Any = None, **_: Any) -> State:
        """One step by the memory's clock, and whether it was uphill."""
        parts, (clock, kept) = _parts(flow), memory
        ahead, z = _ahead_and_next(*parts, clock, Phase(z.x, z.v * kept), h)
        uphill = inner(ahead.x - z.x, z.v) > 0
        return z, (jnp.where(uphill, 0, clock + h), jnp.where(uphill, 0, jnp.ones_like(kept)))


def _parts(flow: Flow) -> tuple[Flow, Flow, Flow]:
    return flow.parts["friction"], flow.parts["force"], flow.parts["transport"]


def _ahead_and_next(friction: Flow, force: Flow, transport: Flow, t: Time, z: State, h: StepLength) -> tuple[Any, Any]:
    """Where momentum alone would lead, and the next state."""
    slowed = friction.resolvent(t + h, z, h)
    ahead = slowed + h * transport.drift(t + h, slowed)
    kicked = slowed + h * force.drift(t + h, ahead)
    return ahead, transport.resolvent(t + h, kicked, h)


class NesterovExtrapolated(Discretizer):
    r"""Nesterov's accelerated gradient at the points y where it asks the force: optax's and PyTorch's convention.

    $v' = \beta v - \tfrac hm\nabla E(y)$, $y' = y + hv' + h(\beta'v' - \beta v)$: with a constant step the same
    run as `NesterovScheme`'s, seen at $y = x + h\beta v$. Started at rest both start at one point.

    Order 1; the same step limit.

    References:
        I. Sutskever, J. Martens, G. Dahl, G. Hinton, On the importance of initialization and momentum in deep learning,
        ICML 2013.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.HeavyBallFlow(gf.Mode(1.0), mass=1.0, friction=1.0)
        >>> gf.NesterovExtrapolated().step(flow, 0.0, gf.Phase(1.5, 1.0), 1.0)
        Phase(x=-0.5, v=-1.0)
    """

    equation: ClassVar[str] = "NesterovScheme's run, seen at its points y"
    order: ClassVar[int | None] = 1

    def step(self, flow: Flow, t: Time, z: State, h: StepLength, **_: Any) -> State:
        """The state's position is y; the next coast is the friction's resolvent one step later."""
        friction, force, transport = _parts(flow)
        slowed = friction.resolvent(t + h, z, h)
        kicked = slowed + h * force.drift(t + h, slowed)
        coasting = friction.resolvent(t + h + h, kicked, h)
        moved = transport.drift(t + h, kicked) + transport.drift(t + h, coasting) - transport.drift(t + h, slowed)
        return kicked + h * moved
