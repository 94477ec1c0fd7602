"""Adam and AdamW in continuous time."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from ...checks import check_clock, check_nonnegative, check_positive, check_rate
from ...energies.energy import Energy
from ...energies.energy import energy as as_energy
from ...flow import Flow, Parts, UnansweredQuestionError
from ...numerics import inner, zeros_like
from ...state import Vector, lift, lower
from .held import AdaptiveFlow, HeldMoments, at_time, averaged
from .scaled import divided, squared, total_drift


class Moments(Vector):
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
    """A flow on states `Moments(x, m, s)`: Adam's, and its parts."""

    def init(self, x: Any) -> Moments:
        """(x, 0, 0)."""
        x = lift(x)
        return Moments(x, zeros_like(x), zeros_like(x))

    def position(self, z: Moments) -> Any:
        """x."""
        return lower(z.x)


class MomentFlow(MomentStates, AdaptiveFlow):
    """What Adam and AdamW share: the averages of the gradient and of its square, and what they drive."""

    epsilon: eqx.AbstractVar[Any]
    epsilon_root: eqx.AbstractVar[Any]

    def settled(self, x: Any) -> Moments:
        """(x, ∇E, (∇E)²)."""
        gradient = self.gradient(lift(x))
        return Moments(lift(x), gradient, squared(gradient))

    def inverse_preconditioner(self, t: Any, z: Moments) -> Any:
        """1/(√(ŝ + ε₀) + ε)."""
        _, square = _corrected(self, jnp.asarray(t), z)
        return divided(jax.tree.map(jnp.ones_like, z.x), square, self.epsilon_root, self.epsilon)

    def velocity(self, z: Moments) -> Any:
        """m, which drives x."""
        return z.m

    def check_start(self, t: Any, z: Moments) -> None:
        """At t = 0 both averages must be zero."""
        check_clock(type(self).__name__, t, m=z.m, s=z.s)

    def drift(self, t: Any, z: Moments) -> Moments:
        """The sum of the parts."""
        return total_drift(self, t, z)


class AdamFlow(MomentFlow):
    r"""Adam in continuous time, from m = s = 0 at t = 0.

    $\tau_1\dot m = \nabla E - m$, $\tau_2\dot s = (\nabla E)^2 - s$,
    $\dot x = -\hat m/(\sqrt{\hat s + \varepsilon_0} + \varepsilon)$, with the bias corrections
    $\hat m = m/(1 - e^{-t/\tau_1})$, $\hat s = s/(1 - e^{-t/\tau_2})$, by coordinate.

    State `Moments(x, m, s)`. Units: x [X], t [X] (the speed has no unit), τ₁, τ₂ [X].
    At t = 0 both corrected averages are the gradient's own, their limit, and it moves like sign descent: where
    gradients vary slowly it goes on so, $\dot x \approx -\operatorname{sign}\nabla E$; where they are mostly noise
    the speed is their signal-to-noise ratio. Lyapunov function for τ₂ ≥ τ₁/3: $V = E + \frac{\tau_1}{2(1 -
    e^{-t/\tau_1})} \sum_i m_i^2/(\sqrt{\hat s_i + \varepsilon_0} + \varepsilon)$.

    Parts: `averages` ṁ and ṡ at frozen x, `transport` ẋ at frozen m and s.

    Args:
        energy: the potential E.
        tau1: τ₁ > 0, the time over which gradients are averaged; an optimizer's β₁ is e^{−η/τ₁}.
        tau2: τ₂ > 0, the time over which their squares are.
        epsilon: ε ≥ 0, outside the root [E/X].
        epsilon_root: ε₀ ≥ 0, inside the root [E²/X²].
        rate: a factor of the speed, or a function t ↦ factor.

    Raises:
        ValueError: if an argument is out of its range.

    References:
        D. P. Kingma, J. Ba, Adam: a method for stochastic optimization, ICLR 2015.
        A. Barakat, P. Bianchi, Convergence and dynamical behavior of the ADAM algorithm for nonconvex stochastic
        optimization, SIAM J. Optim. 31, 2021, for the flow.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.AdamFlow(gf.energy(lambda x: x**2), epsilon=0.0)
        >>> float(flow.drift(0.0, flow.init(3.0)).x)
        -1.0
    """

    equation: ClassVar[str] = "ẋ = −m̂/(√(ŝ + ε₀) + ε), τ₁ṁ = ∇E − m, τ₂ṡ = (∇E)² − s"
    energy: Energy
    tau1: Any
    tau2: Any
    epsilon: Any
    epsilon_root: Any
    rate: Any

    def __init__(
        self,
        energy: Callable[[Any], Any],
        tau1: Any = 0.01,
        tau2: Any = 1.0,
        epsilon: Any = 1e-8,
        epsilon_root: Any = 0.0,
        rate: Any = 1.0,
    ) -> None:
        self.energy, self.tau1, self.tau2 = as_energy(energy), tau1, tau2
        self.epsilon, self.epsilon_root, self.rate = epsilon, epsilon_root, rate
        check_rate("AdamFlow", rate=rate)
        check_positive("AdamFlow", tau1=tau1, tau2=tau2)
        check_nonnegative("AdamFlow", epsilon=epsilon, epsilon_root=epsilon_root)

    def held(self) -> Flow:
        """m at its own pace, and what it drives."""
        return HeldMoments(self.energy, self.tau1, 0, self.rate)

    @property
    def parts(self) -> Mapping[str, Flow]:
        """`averages` and `transport`."""
        scale = (self.epsilon, self.epsilon_root)
        return Parts(
            self,
            averages=MomentAverages(self.energy, self.tau1, self.tau2),
            transport=MomentTransport(self.energy, self.tau1, self.tau2, *scale, 0.0, self.rate),
        )

    def lyapunov(self, t: Any, z: Moments) -> Any:
        """E(x) + ρτ₁/(2(1 − e^{−t/τ₁}))·Σ m²/(√(ŝ + ε₀) + ε), ρ the rate; none is known for a rate that changes."""
        if callable(self.rate):
            raise UnansweredQuestionError(self, "lyapunov", "with a rate that changes in time none is known")
        mean, square = _corrected(self, t, z)
        weighted = divided(mean, square, self.epsilon_root, self.epsilon)
        return self.energy.value(lower(z.x)) + self.rate * self.tau1 / 2 * inner(z.m, weighted)


class AdamWFlow(MomentFlow):
    r"""AdamW in continuous time: Adam's flow with decoupled weight decay, $\dot x = \dots - wx$.

    State, units and parts as `AdamFlow`. With ε₀ = 0 it rests where $\partial_iE/(|\partial_iE| + \varepsilon) = -wx_i$
    for every coordinate: for a small ε not where a penalized energy is least, but where ∇E itself all but vanishes, or
    at the bound $|x_i| = 1/w$. No Lyapunov function is known.

    Args:
        energy: the potential E.
        tau1: τ₁ > 0.
        tau2: τ₂ > 0.
        epsilon: ε ≥ 0, outside the root [E/X].
        epsilon_root: ε₀ ≥ 0, inside the root [E²/X²].
        weight_decay: w ≥ 0 [1/X].
        rate: a factor of the speed, the decay's too, or a function t ↦ factor.

    Raises:
        ValueError: if an argument is out of its range.

    References:
        I. Loshchilov, F. Hutter, Decoupled weight decay regularization, ICLR 2019.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.AdamWFlow(gf.energy(lambda x: x**2), epsilon=0.0, weight_decay=0.5)
        >>> float(flow.drift(0.0, flow.init(3.0)).x)
        -2.5
    """

    equation: ClassVar[str] = "ẋ = −m̂/(√(ŝ + ε₀) + ε) − wx, m and s as Adam's"
    energy: Energy
    tau1: Any
    tau2: Any
    epsilon: Any
    epsilon_root: Any
    weight_decay: Any
    rate: Any

    def __init__(
        self,
        energy: Callable[[Any], Any],
        tau1: Any = 0.01,
        tau2: Any = 1.0,
        epsilon: Any = 1e-8,
        epsilon_root: Any = 0.0,
        weight_decay: Any = 1e-4,
        rate: Any = 1.0,
    ) -> None:
        self.energy, self.tau1, self.tau2, self.epsilon = as_energy(energy), tau1, tau2, epsilon
        self.epsilon_root, self.weight_decay, self.rate = epsilon_root, weight_decay, rate
        check_rate("AdamWFlow", rate=rate)
        check_positive("AdamWFlow", tau1=tau1, tau2=tau2)
        check_nonnegative("AdamWFlow", epsilon=epsilon, epsilon_root=epsilon_root, weight_decay=weight_decay)

    def held(self) -> Flow:
        """m at its own pace, and what it drives."""
        return HeldMoments(self.energy, self.tau1, self.weight_decay, self.rate)

    @property
    def parts(self) -> Mapping[str, Flow]:
        """`averages` and `transport`."""
        scale = (self.epsilon, self.epsilon_root, self.weight_decay)
        return Parts(
            self,
            averages=MomentAverages(self.energy, self.tau1, self.tau2),
            transport=MomentTransport(self.energy, self.tau1, self.tau2, *scale, self.rate),
        )


class MomentAverages(MomentStates):
    """The part τ₁ṁ = ∇E − m, τ₂ṡ = (∇E)² − s at frozen x."""

    energy: Energy
    tau1: Any
    tau2: Any

    def drift(self, t: Any, z: Moments) -> Moments:
        """(0, (∇E − m)/τ₁, ((∇E)² − s)/τ₂)."""
        gradient = self.gradient(z.x)
        return Moments(zeros_like(z.x), (gradient - z.m) / self.tau1, (squared(gradient) - z.s) / self.tau2)

    def resolvent(self, t: Any, z: Moments, h: Any) -> Moments:
        """The implicit averages: (τ₁m + h∇E)/(τ₁ + h), and s likewise."""
        gradient = self.gradient(z.x)
        m = (self.tau1 * z.m + h * gradient) / (self.tau1 + h)
        return Moments(z.x, m, (self.tau2 * z.s + h * squared(gradient)) / (self.tau2 + h))

    def solution(self, t: Any, z: Moments, h: Any) -> Moments:
        """(x, β₁m + (1 − β₁)∇E, β₂s + (1 − β₂)(∇E)²) with β = e^{−h/τ}."""
        gradient = self.gradient(z.x)
        m = averaged(z.m, gradient, h / self.tau1)
        return Moments(z.x, m, averaged(z.s, squared(gradient), h / self.tau2))


class MomentTransport(MomentStates):
    """The part ẋ = −m̂/(√(ŝ + ε₀) + ε) − wx at frozen averages."""

    energy: Energy
    tau1: Any
    tau2: Any
    epsilon: Any
    epsilon_root: Any
    weight_decay: Any
    rate: Any

    def drift(self, t: Any, z: Moments) -> Moments:
        """(−m̂/(√(ŝ + ε₀) + ε) − wx, 0, 0)."""
        mean, square = _corrected(self, t, z)
        speed = divided(mean, square, self.epsilon_root, self.epsilon) + self.weight_decay * z.x
        return Moments(-(at_time(self.rate, t) * speed), zeros_like(z.m), zeros_like(z.s))


def _corrected(flow: Any, t: Any, z: Moments) -> tuple[Any, Any]:
    """The bias-corrected averages; at t = 0 their limits, ∇E and its square."""
    started = t != 0
    first, second = (-jnp.expm1(-jnp.where(started, t, 1) / tau) for tau in (flow.tau1, flow.tau2))
    gradient = flow.gradient(z.x)
    mean = jax.tree.map(lambda m, g: jnp.where(started, m / first, g), z.m, gradient)
    return mean, jax.tree.map(lambda s, g: jnp.where(started, s / second, g * g), z.s, gradient)
