"""AdaDelta in continuous time."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from ...aliases import Position, StepLength, Time
from ...checks import check_positive, check_rate
from ...energies.energy import Energy
from ...energies.energy import energy as as_energy
from ...flow import Flow, Parts
from ...numerics import relaxed, zeros_like
from ...state import Vector, lift, lower
from .held import AdaptiveFlow, HeldGradient, at_time, averaged
from .scaled import squared, total_drift


class DeltasState(Vector):
    """AdaDelta's state.

    Attributes:
        x: position [X].
        s: averaged (∂E)², shaped like the position [E²/X²].
        d: averaged squares of the velocity, likewise [X²/T²].
    """

    x: Any
    s: Any
    d: Any


class DeltaStates(Flow):
    """A flow on states `DeltasState(x, s, d)`: AdaDelta's, and its parts."""

    def init(self, x: Position) -> DeltasState:
        """(x, 0, 0)."""
        x = lift(x)
        return DeltasState(x, zeros_like(x), zeros_like(x))

    def position(self, z: DeltasState) -> Position:
        """x."""
        return lower(z.x)


class AdaDeltaFlow(DeltaStates, AdaptiveFlow):
    r"""AdaDelta in continuous time: RMSprop with a numerator that remembers velocities.

    $\dot x = -v$ with $v = \sqrt{d + \varepsilon}\,\nabla E/\sqrt{s + \varepsilon}$, $\tau\dot s = (\nabla E)^2 - s$,
    $\tau\dot d = v^2 - d$. State `DeltasState(x, s, d)`. Lyapunov function: E.
    From d = s = 0 it is the gradient flow itself: v and ∇E are averaged alike and start alike, so that v = ∇E solves
    it, whatever ε and τ. What the optimizer adapts comes from its steps, where d lags behind s by one.

    Parts: `gradients` ṡ, `transport` ẋ, `deltas` ḋ.

    Args:
        energy: the potential E.
        tau: τ > 0, the time over which squares are averaged.
        epsilon: ε > 0, inside both roots.
        rate: a factor of the speed, or a function t ↦ factor.

    Raises:
        ValueError: if an argument is out of its range.

    References:
        M. D. Zeiler, ADADELTA: an adaptive learning rate method, arXiv:1212.5701, 2012.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.AdaDeltaFlow(gf.energy(lambda x: x**2))
        >>> float(flow.drift(0.0, flow.init(3.0)).x)
        -6.0
    """

    equation: ClassVar[str] = "ẋ = −v, v = √(d + ε)∇E/√(s + ε), τṡ = (∇E)² − s, τḋ = v² − d"
    energy: Energy
    tau: Any
    epsilon: Any
    rate: Any

    def __init__(self, energy: Callable[[Any], Any], tau: Any = 10.0, epsilon: Any = 1e-6, rate: Any = 1.0) -> None:
        self.energy, self.tau, self.epsilon, self.rate = as_energy(energy), tau, epsilon, rate
        check_rate("AdaDeltaFlow", rate=rate)
        check_positive("AdaDeltaFlow", tau=tau, epsilon=epsilon)

    def drift(self, t: Time, z: DeltasState) -> DeltasState:
        """The sum of the parts."""
        return total_drift(self, t, z)

    @property
    def parts(self) -> Mapping[str, Flow]:
        """`gradients`, `transport` and `deltas`."""
        return Parts(
            self,
            gradients=DeltaAverages(self.energy, self.tau),
            transport=DeltaTransport(self.energy, self.epsilon, self.rate),
            deltas=DeltaSquares(self.energy, self.tau, self.epsilon),
        )

    def settled(self, x: Position) -> DeltasState:
        """s = d = (∇E)²: where gradients don't change, d tends to s."""
        square = squared(self.gradient(lift(x)))
        return DeltasState(lift(x), square, square)

    def inverse_preconditioner(self, t: Time, z: DeltasState) -> Any:
        """√(d + ε)/√(s + ε)."""
        return delta(jax.tree.map(jnp.ones_like, z.x), z, self.epsilon)

    def held(self) -> Flow:
        """The gradient flow, at this one's rate."""
        return HeldGradient(self.energy, self.rate)

    def lyapunov(self, t: Time, z: DeltasState) -> Any:
        """E(x)."""
        return self.energy.value(lower(z.x))


class DeltaAverages(DeltaStates):
    """The part τṡ = (∇E)² − s."""

    energy: Energy
    tau: Any

    def drift(self, t: Time, z: DeltasState) -> DeltasState:
        """(0, ((∇E)² − s)/τ, 0)."""
        return DeltasState(0 * z.x, (squared(self.gradient(z.x)) - z.s) / self.tau, 0 * z.d)

    def solution(self, t: Time, z: DeltasState, h: StepLength) -> DeltasState:
        """(x, βs + (1 − β)(∇E)², d) with β = e^{−h/τ}."""
        return DeltasState(z.x, averaged(z.s, squared(self.gradient(z.x)), h / self.tau), z.d)


class DeltaTransport(DeltaStates):
    """The part ẋ = −v."""

    energy: Energy
    epsilon: Any
    rate: Any

    def drift(self, t: Time, z: DeltasState) -> DeltasState:
        """(−v, 0, 0)."""
        speed = at_time(self.rate, t) * delta(self.gradient(z.x), z, self.epsilon)
        return DeltasState(-speed, zeros_like(z.s), zeros_like(z.d))


class DeltaSquares(DeltaStates):
    """The part τḋ = v² − d."""

    energy: Energy
    tau: Any
    epsilon: Any

    def drift(self, t: Time, z: DeltasState) -> DeltasState:
        """(0, 0, (v² − d)/τ)."""
        square = squared(delta(self.gradient(z.x), z, self.epsilon))
        return DeltasState(0 * z.x, 0 * z.s, (square - z.d) / self.tau)

    def solution(self, t: Time, z: DeltasState, h: StepLength) -> DeltasState:
        """(x, s, d(t + h)): v² is linear in d, so d is exponential, at the rate (1 − (∇E)²/(s + ε))/τ."""

        def one(g: Any, s: Any, d: Any) -> Any:
            gain = g * g / (s + self.epsilon)
            return d + (gain * (d + self.epsilon) - d) * relaxed((1 - gain) / self.tau, h) / self.tau

        return DeltasState(z.x, z.s, jax.tree.map(one, self.gradient(z.x), z.s, z.d))

    def frozen(self, t: Time, z: DeltasState, h: StepLength) -> DeltasState:
        """(x, s, βd + (1 − β)v²) with β = e^{−h/τ} and v² kept as it is: the exponential Euler method."""
        square = squared(delta(self.gradient(z.x), z, self.epsilon))
        return DeltasState(z.x, z.s, averaged(z.d, square, h / self.tau))


def delta(gradient: Any, z: DeltasState, epsilon: Any) -> Any:
    """√(d + ε)∇E/√(s + ε)."""
    return jax.tree.map(lambda g, s, d: jnp.sqrt(d + epsilon) / jnp.sqrt(s + epsilon) * g, gradient, z.s, z.d)
