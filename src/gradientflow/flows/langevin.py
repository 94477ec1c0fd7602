"""Langevin flows: descent with thermal noise, overdamped and kinetic."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from .checks import check_nonnegative
from .energies import Energy
from .flow import FirstOrder, Flow
from .gradient import GradientFlow
from .heavy_ball import HeavyBall
from .inertial import Inertial
from .vectors import Phase


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

    def __init__(self, energy: Energy, temperature: Any = 1.0) -> None:
        self.energy, self.temperature = energy, temperature
        check_nonnegative("Langevin", temperature=temperature)

    def drift(self, t: Any, z: Any) -> Any:
        """−∇E(x)."""
        return -self.gradient(z)

    def resolvent(self, t: Any, z: Any, h: Any) -> Any:
        """prox_{hE}(x): that of the drift."""
        return GradientFlow(self.energy).resolvent(t, z, h)

    def diffusion(self, t: Any, z: Any) -> Callable[[Any], Any]:
        """dW ↦ √(2T) dW."""
        # A power and no call of `sqrt`: exact numbers have it too, where they are squares.
        return lambda increment: (2 * self.temperature) ** 0.5 * increment

    def brownian(self, z: Any) -> Any:
        """One Brownian motion a coordinate."""
        return z


class KineticLangevin(Inertial):
    r"""Kinetic (underdamped) Langevin: $dx = v\,dt$, $m\,dv = -(\gamma v + \nabla E)\,dt + \sqrt{2\gamma T}\,dW$.

    State `Phase(x, v)`. Units: as `HeavyBall`, the temperature in units of E.
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

    def __init__(self, energy: Energy, mass: Any = 1.0, friction: Any = 1.0, temperature: Any = 1.0) -> None:
        self.energy, self.mass, self.friction, self.temperature = energy, mass, friction, temperature
        check_nonnegative("KineticLangevin", temperature=temperature)
        HeavyBall(energy, mass, friction)

    @property
    def mechanics(self) -> HeavyBall:
        """The same flow at temperature zero."""
        return HeavyBall(self.energy, self.mass, self.friction)

    def drift(self, t: Any, z: Phase) -> Phase:
        """(v, −(γv + ∇E(x))/m)."""
        return self.mechanics.drift(t, z)

    def resolvent(self, t: Any, z: Phase, h: Any) -> Phase:
        """That of the heavy ball."""
        return self.mechanics.resolvent(t, z, h)

    @property
    def parts(self) -> Mapping[str, Flow]:
        """`transport`, `friction` and `force` of the heavy ball; the noise belongs to none of them."""
        return self.mechanics.parts

    def diffusion(self, t: Any, z: Phase) -> Callable[[Any], Phase]:
        """dW ↦ (0, √(2γT) dW/m)."""

        def map_increment(increment: Any) -> Phase:
            return Phase(0 * increment, (2 * self.friction * self.temperature) ** 0.5 / self.mass * increment)

        return map_increment

    def brownian(self, z: Phase) -> Any:
        """One Brownian motion a coordinate of the velocity."""
        return z.v
