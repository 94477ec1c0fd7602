"""What flows that scale each coordinate by its past gradients share: states, parts, averages."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ...aliases import Position, State, StepLength, Time
from ...energies.energy import Energy
from ...flow import Flow
from ...numerics import zeros_like
from ...state import Vector, lift, lower
from .held import AdaptiveFlow, HeldGradient, at_time, averaged


class ScaledState(Vector):
    """A position and what its squared gradients have come to.

    Attributes:
        x: position [X].
        s: accumulated or averaged (∂E)², shaped like the position [E²/X²].
    """

    x: Any
    s: Any


class ScaledStates(Flow):
    """A flow on states `ScaledState(x, s)`: RMSprop's, and parts."""

    def init(self, x: Position) -> ScaledState:
        """(x, 0)."""
        return ScaledState(lift(x), zeros_like(lift(x)))

    def position(self, z: ScaledState) -> Position:
        """x."""
        return lower(z.x)


class ScaledFlow(ScaledStates, AdaptiveFlow):
    """What AdaGrad and RMSprop share: a speed ∇E/(√(s + ε) + δ), whatever s has come to. Lyapunov function: E."""

    epsilon: eqx.AbstractVar[Any]
    floor: eqx.AbstractVar[Any]
    rate: eqx.AbstractVar[Any]

    def inverse_preconditioner(self, t: Time, z: ScaledState) -> Any:
        """1/(√(s + ε) + δ)."""
        return divided(jax.tree.map(jnp.ones_like, z.x), z.s, self.epsilon, self.floor)

    def held(self) -> Flow:
        """The gradient flow, at this one's rate."""
        return HeldGradient(self.energy, self.rate)

    def drift(self, t: Time, z: ScaledState) -> ScaledState:
        """The sum of the parts."""
        return total_drift(self, t, z)

    def lyapunov(self, t: Time, z: ScaledState) -> Any:
        """E(x)."""
        return self.energy.value(lower(z.x))


class Accumulation(ScaledStates):
    """The part ṡ = (∇E)²/τ at frozen x."""

    energy: Energy
    tau: Any

    def drift(self, t: Time, z: ScaledState) -> ScaledState:
        """(0, (∇E)²/τ)."""
        return ScaledState(zeros_like(z.x), squared(self.gradient(z.x)) / self.tau)

    def resolvent(self, t: Time, z: ScaledState, h: StepLength) -> ScaledState:
        """(x, s + h(∇E)²/τ): implicit is explicit."""
        return self.solution(t, z, h)

    def solution(self, t: Time, z: ScaledState, h: StepLength) -> ScaledState:
        """(x, s + h(∇E)²/τ)."""
        return ScaledState(z.x, z.s + h * squared(self.gradient(z.x)) / self.tau)


class Averaging(ScaledStates):
    """The part τṡ = (∇E)² − s at frozen x."""

    energy: Energy
    tau: Any

    def drift(self, t: Time, z: ScaledState) -> ScaledState:
        """(0, ((∇E)² − s)/τ)."""
        return ScaledState(zeros_like(z.x), (squared(self.gradient(z.x)) - z.s) / self.tau)

    def resolvent(self, t: Time, z: ScaledState, h: StepLength) -> ScaledState:
        """(x, (τs + h(∇E)²)/(τ + h))."""
        return ScaledState(z.x, (self.tau * z.s + h * squared(self.gradient(z.x))) / (self.tau + h))

    def solution(self, t: Time, z: ScaledState, h: StepLength) -> ScaledState:
        """(x, βs + (1 − β)(∇E)²) with β = e^{−h/τ}."""
        return ScaledState(z.x, averaged(z.s, squared(self.gradient(z.x)), h / self.tau))


class ScaledTransport(ScaledStates):
    """The part ẋ = −∇E/(√(s + ε) + δ) at frozen s."""

    energy: Energy
    epsilon: Any
    floor: Any
    rate: Any

    def drift(self, t: Time, z: ScaledState) -> ScaledState:
        """(−∇E/(√(s + ε) + δ), 0)."""
        speed = divided(self.gradient(z.x), z.s, self.epsilon, self.floor)
        return ScaledState(-(at_time(self.rate, t) * speed), zeros_like(z.s))


def total_drift(flow: Flow, t: Time, z: State) -> Any:
    """The sum of a flow's parts' drifts."""
    first, *others = (part.drift(t, z) for part in flow.parts.values())
    return sum(others, start=first)


def squared(gradient: Any) -> Any:
    """The squares of a vector's entries."""
    return jax.tree.map(lambda g: g * g, gradient)


def divided(gradient: Any, squares: Any, epsilon: Any, floor: Any) -> Any:
    """g/(√(s + ε) + δ); 0 where g is, even over 0."""

    def one(g: Any, s: Any) -> Any:
        within = s + epsilon
        # The root's derivative at 0 is infinite, and a Newton method would ask for it.
        below = jnp.where(within > 0, jnp.sqrt(jnp.where(within > 0, within, 1)), 0) + floor
        return jnp.where((below == 0) & (g == 0), 0, g * (1 / jnp.where((below == 0) & (g == 0), 1, below)))

    return jax.tree.map(one, gradient, squares)
