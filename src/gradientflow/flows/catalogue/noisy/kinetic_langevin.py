"""Kinetic Langevin dynamics: a heavy ball with thermal noise."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from ...aliases import Increment, StepLength, Time
from ...checks import check_nonnegative
from ...energies.energy import Energy
from ...energies.energy import energy as as_energy
from ...flow import Flow, Parts
from ...linear.modes import modes_of
from ...linear.oscillation import decayed, oscillated
from ...noise import Noise
from ...state import Phase
from ..inertial.heavy_ball import HeavyBallFlow
from ..inertial.inertial import Friction, Inertial
from .langevin import check_no_wall


class KineticLangevin(Inertial):
    r"""Kinetic (underdamped) Langevin: $dx = v\,dt$, $m\,dv = -(\gamma v + \nabla E)\,dt + \sqrt{2\gamma T}\,dW$.

    State `Phase(x, v)`. Units: as `HeavyBallFlow`, the temperature in units of E.
    Stationary density ∝ e^{−(E + m‖v‖²/2)/T}: equipartition gives each velocity the variance T/m.

    Args:
        energy: the potential E.
        mass: m > 0.
        friction: γ ≥ 0.
        temperature: T ≥ 0; 0 is the heavy ball.

    Raises:
        ValueError: if an argument is out of its range.

    References:
        G. A. Pavliotis, Stochastic Processes and Applications, 2014, section 6.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.KineticLangevin(gf.energy(lambda x: x**2 / 2), mass=2.0, friction=1.0, temperature=2.0)
        >>> float(flow.diffusion(0.0, gf.Phase(0.0, 0.0))(1.0).v)
        1.0
    """

    equation: ClassVar[str] = "dx = v dt, m dv = −(γv + ∇E(x)) dt + √(2γT) dW"
    energy: Energy
    mass: Any
    friction: Any
    temperature: Any

    def __init__(
        self, energy: Callable[[Any], Any], mass: Any = 1.0, friction: Any = 1.0, temperature: Any = 1.0
    ) -> None:
        self.energy, self.mass, self.friction, self.temperature = as_energy(energy), mass, friction, temperature
        check_nonnegative("KineticLangevin", temperature=temperature)
        check_no_wall("KineticLangevin", self.energy, "noise")
        HeavyBallFlow(energy, mass, friction)

    @property
    def mechanics(self) -> HeavyBallFlow:
        """The same flow at temperature zero."""
        return HeavyBallFlow(self.energy, self.mass, self.friction)

    def drift(self, t: Time, z: Phase) -> Phase:
        """(v, −(γv + ∇E(x))/m)."""
        return self.mechanics.drift(t, z)

    def resolvent(self, t: Time, z: Phase, h: StepLength) -> Phase:
        """That of the heavy ball."""
        return self.mechanics.resolvent(t, z, h)

    @property
    def parts(self) -> Mapping[str, Flow]:
        """`transport`, `friction`, to which the noise belongs, and `force`."""
        thermostat = Thermostat(self.energy, self.mass, self.friction, self.temperature)
        return Parts(self, **{**self.mechanics.parts, "friction": thermostat})

    @property
    def noise(self) -> Noise:
        """(0, √(2γT) dW/m), one Brownian motion a coordinate of the velocity; position and velocity are two Gaussians.

        So its transition takes two increments.
        """
        return Noise(_velocity, lambda t, z: self._kicked, parts=2, transition=self._transition)

    def _kicked(self, increment: Any) -> Phase:
        return Phase(0 * increment, self._strength * increment)

    @property
    def _strength(self) -> Any:
        """√(2γT)/m, of the noise on the velocity."""
        return (2 * self.friction * self.temperature) ** 0.5 / self.mass

    def solution(self, t: Time, z: Phase, h: StepLength) -> Phase:
        """The mean on a quadratic, which is the heavy ball's."""
        return self.mechanics.solution(t, z, h)

    def _transition(self, t: Time, z: Phase, h: StepLength, noise: Increment) -> Phase:
        """On a quadratic, mode by mode: Gaussian around the heavy ball's motion, with its covariance."""
        lam, into, back = modes_of(self, "noise.transition")
        halves = (into(noise[0]), into(noise[1]))
        x, v = oscillated(self.friction / (2 * self.mass), lam / self.mass, h, halves)
        return self.solution(t, z, h) + self._strength * Phase(back(x), back(v))


class Thermostat(Inertial):
    """The part m dv = −γv dt + √(2γT) dW of kinetic Langevin: an Ornstein–Uhlenbeck process of the velocity."""

    energy: Energy
    mass: Any
    friction: Any
    temperature: Any

    @property
    def decay(self) -> Friction:
        """The same part at temperature zero."""
        return Friction(self.energy, self.friction / self.mass)

    def drift(self, t: Time, z: Phase) -> Phase:
        """(0, −(γ/m)v)."""
        return self.decay.drift(t, z)

    def resolvent(self, t: Time, z: Phase, h: StepLength) -> Phase:
        """(x, v/(1 + hγ/m)): that of the drift."""
        return self.decay.resolvent(t, z, h)

    def solution(self, t: Time, z: Phase, h: StepLength) -> Phase:
        """(x, e^{−hγ/m} v): the mean."""
        return self.decay.solution(t, z, h)

    @property
    def noise(self) -> Noise:
        """(0, √(2γT) dW/m), one Brownian motion a coordinate of the velocity."""
        whole = KineticLangevin(self.energy, self.mass, self.friction, self.temperature)
        return Noise(_velocity, whole.diffusion, transition=self._transition)

    def _transition(self, t: Time, z: Phase, h: StepLength, noise: Increment) -> Phase:
        """(x, e^{−hγ/m}v + √(T/m)√(1 − e^{−2hγ/m}) ξ), with ξ the increment in units of √h."""
        return self.solution(t, z, h) + self.diffusion(t, z)(decayed(self.friction / self.mass, h, noise))


def _velocity(z: Phase) -> Any:
    return z.v
