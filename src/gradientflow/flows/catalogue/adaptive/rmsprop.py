"""RMSprop in continuous time."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from ...aliases import Position
from ...checks import check_nonnegative, check_positive, check_rate
from ...energies.energy import Energy
from ...energies.energy import energy as as_energy
from ...flow import Flow, Parts
from ...state import lift
from .scaled import Averaging, ScaledFlow, ScaledState, ScaledTransport, squared


class RMSpropFlow(ScaledFlow):
    r"""RMSprop as a flow: $\tau\dot s = (\nabla E)^2 - s$, $\dot x = -\nabla E/(\sqrt{s + \varepsilon} + \delta)$.

    State `ScaledState(x, s)`. Units: x [X], t [X] (the speed has no unit), τ [X]. Lyapunov function: E.
    s is the average of the squared gradient over a time τ, and starts at 0: the first speed is $\nabla
    E/\sqrt\varepsilon$.

    Parts: `averages` ṡ at frozen x, `transport` ẋ at frozen s.

    Args:
        energy: the potential E.
        tau: τ > 0, the time over which squares are averaged.
        epsilon: ε ≥ 0, inside the root (optax) [E²/X²].
        floor: δ ≥ 0, outside the root (PyTorch) [E/X].
        rate: a factor of the speed, or a function t ↦ factor.

    Raises:
        ValueError: if an argument is out of its range.

    References:
        T. Tieleman, G. Hinton, Neural Networks for Machine Learning, lecture 6.5, 2012.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.RMSpropFlow(gf.energy(lambda x: x**2), tau=2.0)
        >>> float(flow.drift(0.0, flow.init(3.0)).s)
        18.0
    """

    equation: ClassVar[str] = "ẋ = −∇E/(√(s + ε) + δ), τṡ = (∇E)² − s"
    energy: Energy
    tau: Any
    epsilon: Any
    floor: Any
    rate: Any

    def __init__(
        self, energy: Callable[[Any], Any], tau: Any = 0.01, epsilon: Any = 1e-8, floor: Any = 0.0, rate: Any = 1.0
    ) -> None:
        self.energy, self.tau, self.epsilon, self.floor, self.rate = as_energy(energy), tau, epsilon, floor, rate
        check_rate("RMSpropFlow", rate=rate)
        check_positive("RMSpropFlow", tau=tau)
        check_nonnegative("RMSpropFlow", epsilon=epsilon, floor=floor)

    @property
    def parts(self) -> Mapping[str, Flow]:
        """`averages` and `transport`."""
        return Parts(
            self,
            averages=Averaging(self.energy, self.tau),
            transport=ScaledTransport(self.energy, self.epsilon, self.floor, self.rate),
        )

    def settled(self, x: Position) -> ScaledState:
        """s = (∇E)²."""
        return ScaledState(lift(x), squared(self.gradient(lift(x))))
