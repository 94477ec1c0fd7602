"""What second-order flows share: states (x, v), and the parts that an inertial field splits into."""

from typing import Any

import jax.numpy as jnp

from ...aliases import Position, StepLength, Time
from ...energies.energy import Energy
from ...flow import Flow
from ...state import Phase, lift, lower


class Inertial(Flow):
    """A second-order flow ẋ = v, v̇ = a(t, x, v): its states are `Phase(x, v)`, both shaped like the position."""

    def init(self, x: Position) -> Phase:
        """(x, 0): at rest."""
        x = lift(x)
        return Phase(x, 0 * x)

    def position(self, z: Phase) -> Position:
        """x."""
        return lower(z.x)

    def velocity(self, z: Phase) -> Any:
        """v."""
        return z.v


class Transport(Inertial):
    """The part ẋ = v of an inertial flow: positions drift at frozen velocity."""

    energy: Energy

    def drift(self, t: Time, z: Phase) -> Phase:
        """(v, 0)."""
        return Phase(z.v, 0 * z.v)

    def resolvent(self, t: Time, z: Phase, h: StepLength) -> Phase:
        """(x + hv, v): the velocity does not change, so implicit is explicit."""
        return self.solution(t, z, h)

    def solution(self, t: Time, z: Phase, h: StepLength) -> Phase:
        """(x + hv, v)."""
        return Phase(z.x + h * z.v, z.v)


class Friction(Inertial):
    """The part v̇ = −(γ/m)v of an inertial flow."""

    energy: Energy
    rate: Any

    def drift(self, t: Time, z: Phase) -> Phase:
        """(0, −(γ/m)v)."""
        return Phase(0 * z.v, -(self.rate * z.v))

    def resolvent(self, t: Time, z: Phase, h: StepLength) -> Phase:
        """(x, v/(1 + hγ/m))."""
        return Phase(z.x, z.v / (1 + h * self.rate))

    def solution(self, t: Time, z: Phase, h: StepLength) -> Phase:
        """(x, e^{−hγ/m} v)."""
        return Phase(z.x, z.v * jnp.exp(-h * self.rate))


class Force(Inertial):
    """The part v̇ = −∇E(x)/m of an inertial flow: a kick at frozen position."""

    energy: Energy
    mass: Any

    def drift(self, t: Time, z: Phase) -> Phase:
        """(0, −∇E(x)/m)."""
        return Phase(0 * z.v, -self.gradient(z.x) / self.mass)

    def resolvent(self, t: Time, z: Phase, h: StepLength) -> Phase:
        """(x, v − h∇E(x)/m): the position does not change, so implicit is explicit."""
        return self.solution(t, z, h)

    def solution(self, t: Time, z: Phase, h: StepLength) -> Phase:
        """(x, v − h∇E(x)/m)."""
        return z + h * self.drift(t, z)
