"""AdaGrad in continuous time."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import jax

from ...aliases import Position
from ...checks import check_nonnegative, check_positive, check_rate
from ...energies.energy import Energy
from ...energies.energy import energy as as_energy
from ...flow import Flow, Parts
from ...state import lift
from .scaled import Accumulation, ScaledFlow, ScaledState, ScaledTransport, squared


class AdaGradFlow(ScaledFlow):
    r"""AdaGrad as a flow: $\dot s = (\nabla E)^2/\tau$, $\dot x = -\nabla E/(\sqrt{s + \varepsilon} + \delta)$.

    State `ScaledState(x, s)`. Units: x [X], t [X] (the speed has no unit), τ [X]. Lyapunov function: E.
    Where ∇E = 0 the speed is 0, even if s + ε is.

    Parts: `averages` ṡ at frozen x, `transport` ẋ at frozen s.

    Args:
        energy: the potential E.
        tau: τ > 0, the time in which s grows by one squared gradient: an optimizer's learning rate.
        epsilon: ε ≥ 0, inside the root (optax) [E²/X²].
        floor: δ ≥ 0, outside the root (PyTorch) [E/X].
        initial: s(0) ≥ 0 [E²/X²].
        rate: a factor of the speed, or a function t ↦ factor.

    Raises:
        ValueError: if an argument is out of its range.

    References:
        J. Duchi, E. Hazan, Y. Singer, Adaptive subgradient methods for online learning and stochastic optimization,
        JMLR 12, 2011.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.AdaGradFlow(gf.energy(lambda x: x**2), epsilon=0.0, initial=4.0)
        >>> float(flow.drift(0.0, flow.init(3.0)).x)
        -3.0
    """

    equation: ClassVar[str] = "ẋ = −∇E/(√(s + ε) + δ), τṡ = (∇E)²"
    energy: Energy
    tau: Any
    epsilon: Any
    floor: Any
    initial: Any
    rate: Any

    def __init__(
        self,
        energy: Callable[[Any], Any],
        tau: Any = 1.0,
        epsilon: Any = 1e-7,
        floor: Any = 0.0,
        initial: Any = 0.1,
        rate: Any = 1.0,
    ) -> None:
        self.energy, self.tau, self.epsilon, self.floor = as_energy(energy), tau, epsilon, floor
        self.initial, self.rate = initial, rate
        check_rate("AdaGradFlow", rate=rate)
        check_positive("AdaGradFlow", tau=tau)
        check_nonnegative("AdaGradFlow", epsilon=epsilon, floor=floor, initial=initial)

    def init(self, x: Position) -> ScaledState:
        """(x, s(0))."""
        x = lift(x)
        return ScaledState(x, jax.tree.map(lambda leaf: 0 * leaf + self.initial, x))

    @property
    def parts(self) -> Mapping[str, Flow]:
        """`averages` and `transport`."""
        return Parts(
            self,
            averages=Accumulation(self.energy, self.tau),
            transport=ScaledTransport(self.energy, self.epsilon, self.floor, self.rate),
        )

    def settled(self, x: Position) -> ScaledState:
        """s(0) + (∇E)²: one step's, from the start that it has."""
        return ScaledState(lift(x), self.init(x).s + squared(self.gradient(lift(x))))
