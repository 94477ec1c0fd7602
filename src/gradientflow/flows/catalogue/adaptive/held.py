r"""Adaptive flows with what they adapt held as it is: then they are linear in the gradient.

With the preconditioner P held the speed is $P^{-1}$ times what is driven by averages of the gradient. In coordinates
$y = \sqrt P\,x$ that is the same motion with P = 1, of an energy with the Hessian $P^{-1/2} H P^{-1/2}$.
"""

import abc
import math
import numbers
from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp

from ...aliases import Position, State, StepLength, Time
from ...energies.energy import Energy
from ...flow import FirstOrder, Flow, Parts, UnansweredQuestionError
from ...numerics import zeros_like
from ...state import Vector, lift, lower


class AdaptiveFlow(Flow):
    """A flow that divides its speed, coordinate by coordinate, by what its gradients have been."""

    @abc.abstractmethod
    def settled(self, x: Position) -> Any:
        """The state at a position whose averages hold the gradient there and nothing else."""

    @abc.abstractmethod
    def inverse_preconditioner(self, t: Time, z: State) -> Any:
        """P⁻¹ by coordinate, as the speed is multiplied by it at the state z; t = ∞ for averages that have settled."""

    @abc.abstractmethod
    def held(self) -> Flow:
        """The flow with P = 1 held, on states without what is adapted."""


class DecayTime(eqx.Module):
    """The time τ with e^{−h/τ} = β for the one step h, where β is an exact number, which has no logarithm.

    Args:
        step: h.
        kept: β.
    """

    step: Any
    kept: Any

    def __rtruediv__(self, h: StepLength) -> Any:
        """h/τ."""
        if isinstance(self.kept, numbers.Real):
            return -math.log(self.kept) * (h / self.step)
        if h is not self.step:
            raise TypeError("an average's decay is an exact number for the optimizer's own step only")
        return Elapsed(self.kept)

    def __truediv__(self, other: Any) -> Any:
        """Nothing: log β₁/log β₂ is no exact number."""
        raise UnansweredQuestionError(self, "τ/τ'", "a ratio of two averages' times has no exact number")

    __mul__ = None  # It is a number to whoever checks one, but nothing multiplies by it.


class Elapsed(eqx.Module):
    """A time so long that an average keeps β of itself.

    Args:
        kept: β.
    """

    kept: Any


class Still(FirstOrder):
    """Nothing moves: what is adapted, held."""

    energy: Energy

    def drift(self, t: Time, z: State) -> State:
        """0."""
        return zeros_like(z)

    def solution(self, t: Time, z: State, h: StepLength) -> State:
        """The state itself."""
        return z

    def frozen(self, t: Time, z: State, h: StepLength) -> Any:
        """The state itself."""
        return z


class HeldGradient(FirstOrder):
    """ẋ = −ρ∇E: AdaGrad, RMSprop and AdaDelta with P = 1 held.

    Args:
        energy: the potential E.
        rate: ρ, a number or a function of time.
    """

    equation: ClassVar[str] = "ẋ = −ρ∇E"
    energy: Energy
    rate: Any

    def drift(self, t: Time, z: State) -> State:
        """−ρ∇E."""
        return -(at_time(self.rate, t) * self.gradient(z))

    @property
    def parts(self) -> Mapping[str, Flow]:
        """`transport` is all of it."""
        still = Still(self.energy)
        return Parts(self, averages=still, gradients=still, deltas=still, transport=self)


class Mean(Vector):
    """A position and an averaged gradient.

    Attributes:
        x: position [X].
        m: averaged gradient, shaped like the position [E/X].
    """

    x: Any
    m: Any


class HeldStates(Flow):
    """A flow on states `Mean(x, m)`."""

    def init(self, x: Position) -> Mean:
        """(x, 0)."""
        return Mean(lift(x), zeros_like(lift(x)))

    def position(self, z: Mean) -> Position:
        """x."""
        return lower(z.x)


class HeldMoments(HeldStates):
    """τṁ = ∇E − m, ẋ = −ρ(m + wx): Adam and AdamW with P = 1 held and bias corrections that have settled.

    Args:
        energy: the potential E.
        tau: τ, the time over which gradients are averaged.
        weight_decay: w.
        rate: ρ, a number or a function of time.
    """

    equation: ClassVar[str] = "ẋ = −ρ(m + wx), τṁ = ∇E − m"
    energy: Energy
    tau: Any
    weight_decay: Any
    rate: Any

    def drift(self, t: Time, z: Mean) -> Mean:
        """The sum of the parts."""
        return self.parts["averages"].drift(t, z) + self.parts["transport"].drift(t, z)

    @property
    def parts(self) -> Mapping[str, Flow]:
        """`averages` and `transport`."""
        return Parts(
            self,
            averages=HeldAverage(self.energy, self.tau),
            transport=HeldTransport(self.energy, self.weight_decay, self.rate),
        )


class HeldTransport(HeldStates):
    """The part ẋ = −ρ(m + wx)."""

    energy: Energy
    weight_decay: Any
    rate: Any

    def drift(self, t: Time, z: Mean) -> Mean:
        """(−ρ(m + wx), 0)."""
        return Mean(-(at_time(self.rate, t) * (z.m + self.weight_decay * z.x)), zeros_like(z.m))


class HeldAverage(HeldStates):
    """The part τṁ = ∇E − m at frozen x."""

    energy: Energy
    tau: Any

    def drift(self, t: Time, z: Mean) -> Mean:
        """(0, (∇E − m)/τ)."""
        return Mean(zeros_like(z.x), (self.gradient(z.x) - z.m) / self.tau)

    def solution(self, t: Time, z: Mean, h: StepLength) -> Mean:
        """(x, βm + (1 − β)∇E) with β = e^{−h/τ}."""
        return Mean(z.x, averaged(z.m, self.gradient(z.x), h / self.tau))


def at_time(rate: Any, t: Time) -> Any:
    """A factor that may be a function of time."""
    return rate(t) if callable(rate) else rate


def averaged(old: Any, new: Any, elapsed: Any) -> Any:
    """An average that relaxes to `new` for `elapsed` times its own time: (1 − β)new + βold with β = e^{−elapsed}."""
    if isinstance(elapsed, Elapsed):
        return (1 - elapsed.kept) * new + elapsed.kept * old
    # As optax rounds it, not by expm1: near a minimum adaptive steps are chaotic, and one last digit is another run.
    # In half a precision 1 − β would be 0 and the average never start.
    decay = jnp.exp(-jnp.asarray(elapsed, jnp.promote_types(jnp.result_type(elapsed), jnp.float32)))
    share, kept = (factor.astype(jnp.result_type(elapsed)) for factor in (1 - decay, decay))
    return share * new + kept * old
