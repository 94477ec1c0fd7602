"""Overdamped Langevin dynamics: descent with thermal noise."""

from collections.abc import Callable
from typing import Any, ClassVar

from ...aliases import Increment, State, StepLength, Time
from ...checks import check_nonnegative
from ...energies.energy import Energy
from ...energies.energy import energy as as_energy
from ...flow import FirstOrder
from ...linear.modes import modes_of
from ...linear.oscillation import decayed
from ...noise import Noise
from ...sets.penalties.indicator import Indicator
from ..descent.gradient import GradientFlow


class Langevin(FirstOrder):
    r"""Overdamped Langevin dynamics: $dx = -\nabla E(x)\,dt + \sqrt{2T}\,dW$.

    The state is the position. Units: x [X], t [T], E and the temperature [X²/T].
    Stationary density ∝ e^{−E/T}. The noise is additive, so Itô and Stratonovich agree.

    Args:
        energy: the potential E.
        temperature: T ≥ 0; 0 is the gradient flow.

    Raises:
        ValueError: if `temperature` is negative.

    References:
        G. A. Pavliotis, Stochastic Processes and Applications, 2014, section 4.5.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.Langevin(gf.energy(lambda x: x**2 / 2), temperature=2.0)
        >>> float(flow.diffusion(0.0, 0.0)(1.0))
        2.0
    """

    equation: ClassVar[str] = "dx = −∇E(x) dt + √(2T) dW"
    energy: Energy
    temperature: Any

    def __init__(self, energy: Callable[[Any], Any], temperature: Any = 1.0) -> None:
        self.energy, self.temperature = as_energy(energy), temperature
        check_nonnegative("Langevin", temperature=temperature)
        check_no_wall("Langevin", self.energy, "noise")

    def drift(self, t: Time, z: State) -> State:
        """−∇E(x)."""
        return -self.gradient(z)

    def resolvent(self, t: Time, z: State, h: StepLength) -> State:
        """prox_{hE}(x): that of the drift."""
        return GradientFlow(self.energy).resolvent(t, z, h)

    @property
    def noise(self) -> Noise:
        """√(2T) dW, one Brownian motion a coordinate."""
        return Noise(lambda z: z, lambda t, z: self._kicked, transition=self._transition)

    def solution(self, t: Time, z: State, h: StepLength) -> State:
        """The mean on a quadratic, which is the gradient flow's."""
        return GradientFlow(self.energy).solution(t, z, h)

    def _kicked(self, increment: Any) -> Any:
        # A power and no call of `sqrt`: exact numbers have it too, where they are squares.
        return (2 * self.temperature) ** 0.5 * increment

    def _transition(self, t: Time, z: State, h: StepLength, noise: Increment) -> Any:
        """On a quadratic, mode by mode: Gaussian around the gradient flow, with the variance T(1 − e^{−2λh})/λ."""
        lam, into, back = modes_of(self, "noise.transition")
        return self.solution(t, z, h) + self._kicked(back(decayed(lam, h, into(noise))))


def check_no_wall(where: str, energy: Energy, mover: str) -> None:
    """Refuses an energy with a wall, which what moves the flow would not heed.

    Raises:
        ValueError: naming the wall, and the remedy.
    """
    if isinstance(wall := energy.kinks, Indicator):
        raise ValueError(
            f"{where}: {mover} would carry the flow through the wall of {type(wall.constraint).__name__}; "
            "MirrorLangevin stays inside, or soften it: Composite(f, MoreauEnvelope(wall, delta))"
        )
