"""What Adam and AdamW share: the state with its moments, parts, bias corrections."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ...aliases import Position, StepLength, Time
from ...checks import check_clock
from ...energies.energy import Energy
from ...flow import Flow
from ...numerics import zeros_like
from ...state import Vector, lift, lower
from .held import AdaptiveFlow, at_time, averaged
from .scaled import divided, squared, total_drift


class MomentsState(Vector):
    """Adam's state.

    Attributes:
        x: position [X].
        m: averaged gradient, shaped like the position [E/X].
        s: averaged squared gradient, likewise [E²/X²].
    """

    x: Any
    m: Any
    s: Any


class MomentStates(Flow):
    """A flow on states `MomentsState(x, m, s)`: Adam's, and its parts."""

    def init(self, x: Position) -> MomentsState:
        """(x, 0, 0)."""
        x = lift(x)
        return MomentsState(x, zeros_like(x), zeros_like(x))

    def position(self, z: MomentsState) -> Position:
        """x."""
        return lower(z.x)


class MomentFlow(MomentStates, AdaptiveFlow):
    """What Adam and AdamW share: the averages of the gradient and of its square, and what they drive."""

    epsilon: eqx.AbstractVar[Any]
    epsilon_root: eqx.AbstractVar[Any]

    def settled(self, x: Position) -> MomentsState:
        """(x, ∇E, (∇E)²)."""
        gradient = self.gradient(lift(x))
        return MomentsState(lift(x), gradient, squared(gradient))

    def inverse_preconditioner(self, t: Time, z: MomentsState) -> Any:
        """1/(√(ŝ + ε₀) + ε)."""
        _, square = corrected(self, jnp.asarray(t), z)
        return divided(jax.tree.map(jnp.ones_like, z.x), square, self.epsilon_root, self.epsilon)

    def velocity(self, z: MomentsState) -> Any:
        """m, which drives x."""
        return z.m

    def check_start(self, t: Time, z: MomentsState) -> None:
        """At t = 0 both averages must be zero."""
        check_clock(type(self).__name__, t, m=z.m, s=z.s)

    def drift(self, t: Time, z: MomentsState) -> MomentsState:
        """The sum of the parts."""
        return total_drift(self, t, z)


class MomentAverages(MomentStates):
    """The part τ₁ṁ = ∇E − m, τ₂ṡ = (∇E)² − s at frozen x."""

    energy: Energy
    tau1: Any
    tau2: Any

    def drift(self, t: Time, z: MomentsState) -> MomentsState:
        """(0, (∇E − m)/τ₁, ((∇E)² − s)/τ₂)."""
        gradient = self.gradient(z.x)
        return MomentsState(zeros_like(z.x), (gradient - z.m) / self.tau1, (squared(gradient) - z.s) / self.tau2)

    def resolvent(self, t: Time, z: MomentsState, h: StepLength) -> MomentsState:
        """The implicit averages: (τ₁m + h∇E)/(τ₁ + h), and s likewise."""
        gradient = self.gradient(z.x)
        m = (self.tau1 * z.m + h * gradient) / (self.tau1 + h)
        return MomentsState(z.x, m, (self.tau2 * z.s + h * squared(gradient)) / (self.tau2 + h))

    def solution(self, t: Time, z: MomentsState, h: StepLength) -> MomentsState:
        """(x, β₁m + (1 − β₁)∇E, β₂s + (1 − β₂)(∇E)²) with β = e^{−h/τ}."""
        gradient = self.gradient(z.x)
        m = averaged(z.m, gradient, h / self.tau1)
        return MomentsState(z.x, m, averaged(z.s, squared(gradient), h / self.tau2))


class MomentTransport(MomentStates):
    """The part ẋ = −m̂/(√(ŝ + ε₀) + ε) − wx at frozen averages."""

    energy: Energy
    tau1: Any
    tau2: Any
    epsilon: Any
    epsilon_root: Any
    weight_decay: Any
    rate: Any

    def drift(self, t: Time, z: MomentsState) -> MomentsState:
        """(−m̂/(√(ŝ + ε₀) + ε) − wx, 0, 0)."""
        mean, square = corrected(self, t, z)
        speed = divided(mean, square, self.epsilon_root, self.epsilon) + self.weight_decay * z.x
        return MomentsState(-(at_time(self.rate, t) * speed), zeros_like(z.m), zeros_like(z.s))


def corrected(flow: Any, t: Time, z: MomentsState) -> tuple[Any, Any]:
    """The bias-corrected averages; at t = 0 their limits, ∇E and its square."""
    started = t != 0
    first, second = (-jnp.expm1(-jnp.where(started, t, 1) / tau) for tau in (flow.tau1, flow.tau2))
    gradient = flow.gradient(z.x)
    mean = jax.tree.map(lambda m, g: jnp.where(started, m / first, g), z.m, gradient)
    return mean, jax.tree.map(lambda s, g: jnp.where(started, s / second, g * g), z.s, gradient)
