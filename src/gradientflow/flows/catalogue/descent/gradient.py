"""The gradient flow."""

from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx

from ...aliases import State, StepLength, Time
from ...discrete_gradients import DiscreteGradientRule
from ...energies.composite import ProximalSemigroup
from ...energies.energy import Energy
from ...energies.energy import energy as as_energy
from ...energies.prox import prox_of_vector
from ...facts import Decrease
from ...flow import FirstOrder, Flow, Parts, UnansweredQuestionError
from ...linear.modes import modes_of
from ...numerics import relaxed
from ...state import lower

_HALF_SQUARE = r"\tfrac{d}{dt}\tfrac{1}{2}\|x - x^*\|^2"
_STRONGLY_CONVEX: dict[str, Any] = {
    "assumption": "on every μ-strongly convex E",
    "needs": ("differentiable", "strongly convex"),
    "symbols": ("mu",),
}


class GradientFlow(FirstOrder):
    r"""Steepest descent in continuous time: $\dot x = -\nabla E(x)$.

    The state is the position. Units: x [X], t [T], E [X²/T] (the friction is 1).
    Lyapunov function: E, with $\dot E = -\|\nabla E\|^2$. On a quadratic, $x(t) = x^* + e^{-tH}(x_0 - x^*)$.
    Its resolvent is the proximal map of hE.

    Of a `Composite` energy E = f + g it is the inclusion $\dot x \in -\nabla f(x) - \partial g(x)$: the solution moves
    with its element of least norm, which is the drift, and E falls by that norm's square. Parts: `smooth` ẋ = −∇f(x),
    `nonsmooth` ẋ ∈ −∂g(x), whose resolvent is g's proximal map.

    Args:
        energy: the potential E.

    References:
        L. Ambrosio, N. Gigli, G. Savaré, Gradient Flows, 2nd ed. 2008, section 1.
        H. Brézis, Opérateurs maximaux monotones, 1973, chapter III.

    Example:
        >>> import gradientflow as gf
        >>> float(gf.GradientFlow(gf.energy(lambda x: x**2)).drift(0.0, 3.0))
        -6.0
    """

    equation: ClassVar[str] = "ẋ = −∇E(x)"
    facts: ClassVar[tuple[Decrease, ...]] = (
        Decrease(
            name="E falls along the gradient flow",
            statement=r"\dot E = -\|\nabla E\|^2",
            bound=lambda q: q["g"] * q["g"],
            wrong=(r"\dot E \le -2\|\nabla E\|^2", lambda q: 2 * q["g"] * q["g"]),
        ),
        Decrease(
            name="the distance to the minimizer falls",
            statement=rf"{_HALF_SQUARE} \le -(E - E^*)",
            bound=lambda q: q["E"],
            wrong=(rf"{_HALF_SQUARE} \le -3(E - E^*)", lambda q: 3 * q["E"]),
            function=lambda q: q["x"] * q["x"] / 2,
            inequalities=lambda q: ((1, q["g"] * q["x"] - q["E"]),),
            assumption="on every convex E",
            needs=("differentiable", "convex"),
        ),
        Decrease(
            name="E − E* decays as exp(−2μt)",
            statement=r"\tfrac{d}{dt}(E - E^*) \le -2\mu (E - E^*)",
            bound=lambda q: 2 * q["mu"] * q["E"],
            wrong=(r"\tfrac{d}{dt}(E - E^*) \le -4\mu (E - E^*)", lambda q: 4 * q["mu"] * q["E"]),
            inequalities=lambda q: ((2 * q["mu"], q["g"] * q["x"] - q["E"] - q["mu"] * q["x"] * q["x"] / 2),),
            squares=lambda q: ((1, q["g"] - q["mu"] * q["x"]),),
            **_STRONGLY_CONVEX,
        ),
        Decrease(
            name="‖x − x*‖ decays as exp(−μt)",
            statement=rf"{_HALF_SQUARE} \le -\mu\|x - x^*\|^2",
            bound=lambda q: q["mu"] * q["x"] * q["x"],
            wrong=(rf"{_HALF_SQUARE} \le -2\mu\|x - x^*\|^2", lambda q: 2 * q["mu"] * q["x"] * q["x"]),
            function=lambda q: q["x"] * q["x"] / 2,
            inequalities=lambda q: ((1, q["g"] * q["x"] - q["mu"] * q["x"] * q["x"]),),
            **_STRONGLY_CONVEX,
        ),
    )
    energy: Energy = eqx.field(converter=as_energy)

    @property
    def is_gradient_flow(self) -> bool:
        """It is, unless a subclass moves otherwise."""
        return type(self).drift is GradientFlow.drift and type(self).gradient is Flow.gradient

    def drift(self, t: Time, z: State) -> State:
        """−∇E(x)."""
        return -self.gradient(z)

    def resolvent(self, t: Time, z: State, h: StepLength) -> State:
        """prox_{hE}(x)."""
        return prox_of_vector(self.energy, z, h)

    def discrete_gradient_step(self, t: Time, z: State, h: StepLength, rule: DiscreteGradientRule) -> State:
        """The x' with x' = x − h∇̄E(x, x')."""
        return rule.solve(self.energy, z, h)

    @property
    def parts(self) -> Mapping[str, Flow]:
        """`smooth` and `nonsmooth`, of a composite energy."""
        if self.energy.nonsmooth is None:
            why = (
                "its field has parts only where its energy is a Composite(f, g), which no exact reading stands for; "
                "a scheme of momentum is one of HeavyBallFlow(energy)"
            )
            raise UnansweredQuestionError(self, "parts", why)
        smooth, nonsmooth = GradientFlow(self.energy.smooth), GradientFlow(self.energy.nonsmooth)
        return Parts(self, smooth=smooth, nonsmooth=nonsmooth)

    def solution(self, t: Time, z: State, h: StepLength) -> State:
        """x* + e^{−hH}(x − x*), mode by mode; a mode without curvature moves at constant speed.

        Of an energy whose proximal maps are a semigroup, the proximal map.
        """
        if isinstance(self.energy, ProximalSemigroup):
            return self.resolvent(t, z, h)
        lam, into, back = modes_of(self, "solution")
        return z - back(into(self.gradient(z)) * relaxed(lam, h))

    def lyapunov(self, t: Time, z: State) -> Any:
        """E(x)."""
        return self.energy.value(lower(z))
