"""Flows that scale each coordinate by what its gradient has been: AdaGrad and RMSprop."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from ...checks import check_nonnegative, check_positive, check_rate
from ...energies.energy import Energy
from ...energies.energy import energy as as_energy
from ...flow import Flow, Parts
from ...numerics import zeros_like
from ...state import Vector, lift, lower
from .held import AdaptiveFlow, HeldGradient, at_time, averaged


class Scaled(Vector):
    """A position and what its squared gradients have come to.

    Attributes:
        x: position [X].
        s: accumulated or averaged (∂E)², shaped like the position [E²/X²].
    """

    x: Any
    s: Any


class ScaledStates(Flow):
    """A flow on states `Scaled(x, s)`: RMSprop's, and parts."""

    def init(self, x: Any) -> Scaled:
        """(x, 0)."""
        return Scaled(lift(x), zeros_like(lift(x)))

    def position(self, z: Scaled) -> Any:
        """x."""
        return lower(z.x)


class AdaGradFlow(AdaptiveFlow):
    r"""AdaGrad as a flow: $\dot s = (\nabla E)^2/\tau$, $\dot x = -\nabla E/(\sqrt{s + \varepsilon} + \delta)$.

    State `Scaled(x, s)`. Units: x [X], t [X] (the speed has no unit), τ [X]. Lyapunov function: E.
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

    def init(self, x: Any) -> Scaled:
        """(x, s(0))."""
        x = lift(x)
        return Scaled(x, jax.tree.map(lambda leaf: 0 * leaf + self.initial, x))

    def position(self, z: Scaled) -> Any:
        """x."""
        return lower(z.x)

    def drift(self, t: Any, z: Scaled) -> Scaled:
        """The sum of the parts."""
        return total_drift(self, t, z)

    @property
    def parts(self) -> Mapping[str, Flow]:
        """`averages` and `transport`."""
        return Parts(
            self,
            averages=Accumulation(self.energy, self.tau),
            transport=ScaledTransport(self.energy, self.epsilon, self.floor, self.rate),
        )

    def settled(self, x: Any) -> Scaled:
        """s(0) + (∇E)²: one step's, from the start that it has."""
        return Scaled(lift(x), self.init(x).s + squared(self.gradient(lift(x))))

    def inverse_preconditioner(self, t: Any, z: Scaled) -> Any:
        """1/(√(s + ε) + δ)."""
        return divided(jax.tree.map(jnp.ones_like, z.x), z.s, self.epsilon, self.floor)

    def held(self) -> Flow:
        """The gradient flow, at this one's rate."""
        return HeldGradient(self.energy, self.rate)

    def lyapunov(self, t: Any, z: Scaled) -> Any:
        """E(x)."""
        return self.energy.value(lower(z.x))


class RMSpropFlow(ScaledStates, AdaptiveFlow):
    r"""RMSprop as a flow: $\tau\dot s = (\nabla E)^2 - s$, $\dot x = -\nabla E/(\sqrt{s + \varepsilon} + \delta)$.

    State `Scaled(x, s)`. Units: x [X], t [X] (the speed has no unit), τ [X]. Lyapunov function: E.
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

    def drift(self, t: Any, z: Scaled) -> Scaled:
        """The sum of the parts."""
        return total_drift(self, t, z)

    @property
    def parts(self) -> Mapping[str, Flow]:
        """`averages` and `transport`."""
        return Parts(
            self,
            averages=Averaging(self.energy, self.tau),
            transport=ScaledTransport(self.energy, self.epsilon, self.floor, self.rate),
        )

    def settled(self, x: Any) -> Scaled:
        """s = (∇E)²."""
        return Scaled(lift(x), squared(self.gradient(lift(x))))

    def inverse_preconditioner(self, t: Any, z: Scaled) -> Any:
        """1/(√(s + ε) + δ)."""
        return divided(jax.tree.map(jnp.ones_like, z.x), z.s, self.epsilon, self.floor)

    def held(self) -> Flow:
        """The gradient flow, at this one's rate."""
        return HeldGradient(self.energy, self.rate)

    def lyapunov(self, t: Any, z: Scaled) -> Any:
        """E(x)."""
        return self.energy.value(lower(z.x))


class Accumulation(ScaledStates):
    """The part ṡ = (∇E)²/τ at frozen x."""

    energy: Energy
    tau: Any

    def drift(self, t: Any, z: Scaled) -> Scaled:
        """(0, (∇E)²/τ)."""
        return Scaled(zeros_like(z.x), squared(self.gradient(z.x)) / self.tau)

    def resolvent(self, t: Any, z: Scaled, h: Any) -> Scaled:
        """(x, s + h(∇E)²/τ): implicit is explicit."""
        return self.solution(t, z, h)

    def solution(self, t: Any, z: Scaled, h: Any) -> Scaled:
        """(x, s + h(∇E)²/τ)."""
        return Scaled(z.x, z.s + h * squared(self.gradient(z.x)) / self.tau)


class Averaging(ScaledStates):
    """The part τṡ = (∇E)² − s at frozen x."""

    energy: Energy
    tau: Any

    def drift(self, t: Any, z: Scaled) -> Scaled:
        """(0, ((∇E)² − s)/τ)."""
        return Scaled(zeros_like(z.x), (squared(self.gradient(z.x)) - z.s) / self.tau)

    def resolvent(self, t: Any, z: Scaled, h: Any) -> Scaled:
        """(x, (τs + h(∇E)²)/(τ + h))."""
        return Scaled(z.x, (self.tau * z.s + h * squared(self.gradient(z.x))) / (self.tau + h))

    def solution(self, t: Any, z: Scaled, h: Any) -> Scaled:
        """(x, βs + (1 − β)(∇E)²) with β = e^{−h/τ}."""
        return Scaled(z.x, averaged(z.s, squared(self.gradient(z.x)), h / self.tau))


class ScaledTransport(ScaledStates):
    """The part ẋ = −∇E/(√(s + ε) + δ) at frozen s."""

    energy: Energy
    epsilon: Any
    floor: Any
    rate: Any

    def drift(self, t: Any, z: Scaled) -> Scaled:
        """(−∇E/(√(s + ε) + δ), 0)."""
        speed = divided(self.gradient(z.x), z.s, self.epsilon, self.floor)
        return Scaled(-(at_time(self.rate, t) * speed), zeros_like(z.s))


def total_drift(flow: Flow, t: Any, z: Any) -> Any:
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
