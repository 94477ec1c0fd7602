"""The heavy ball: a mass in the energy's landscape with linear friction."""

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, ClassVar

from ...aliases import StepLength, Time
from ...checks import check_nonnegative, check_positive
from ...discrete_gradients import DiscreteGradientRule
from ...energies.energy import Energy
from ...energies.energy import energy as as_energy
from ...energies.prox import prox_of_vector
from ...facts import Decrease, OfParameter, Quantities, StronglyConvex
from ...flow import Flow, Parts
from ...linear.modes import modes_of
from ...linear.oscillation import damped_oscillation
from ...numerics import inner
from ...state import Phase, lower
from .inertial import Force, Friction, Inertial, Transport

_MECHANICAL = r"\tfrac{d}{dt}\left(E + \tfrac{m}{2}\|v\|^2\right)"
# Mass 1 and friction 2√μ for a μ of which E is strongly convex: then of each smaller one too.
_TUNED: dict[str, Any] = {
    "assumption": "on every μ-strongly convex E",
    "symbols": ("r",),
    "values": lambda s: {"m": 1, "gamma": 2 * s["r"]},
    "needs": (
        OfParameter("the mass", "the mass is 1", lambda flow: flow.mass, lambda mass: mass == 1),
        OfParameter("the friction", "the friction is positive", lambda flow: flow.friction, lambda v: v > 0),
        StronglyConvex(
            "E is strongly convex with μ = friction²/4 = {mu:.6g}", lambda flow: Fraction(float(flow.friction)) ** 2 / 4
        ),
    ),
}


def _pulled(q: Quantities) -> Any:
    """v + √μ(x − x*)."""
    return q["v"] + q["r"] * q["x"]


def _tight(q: Quantities) -> Any:
    """E − E* + ½‖v + (4/3)√μ(x − x*)‖² − (4/9)μ‖x − x*‖²."""
    ahead = q["v"] + 4 * q["r"] * q["x"] / 3
    return q["E"] + ahead * ahead / 2 - 4 * q["r"] * q["r"] * q["x"] * q["x"] / 9


class HeavyBallFlow(Inertial):
    r"""Heavy ball with friction: $m\ddot x + \gamma\dot x + \nabla E(x) = 0$.

    State `Phase(x, v)`, both shaped like the position. Units: x [X], t [T], E [M X²/T²], m [M], γ [M/T].
    Lyapunov function: $V = E(x) + \tfrac m2\|v\|^2$ with $\dot V = -\gamma\|v\|^2$.
    As m → 0 the positions follow $\gamma\dot x = -\nabla E$, the overdamped limit.

    Parts: `transport` ẋ = v, `friction` v̇ = −(γ/m)v, `force` v̇ = −∇E(x)/m. Of a `Composite` energy f + g: `transport`
    ẋ = v, v̇ ∈ −∂g(x)/m, `friction`, `force` v̇ = −∇f(x)/m.

    Args:
        energy: the potential E.
        mass: m > 0.
        friction: γ ≥ 0; $2\sqrt{m\lambda}$ damps the mode of curvature λ critically.

    Raises:
        ValueError: if `mass` is not positive or `friction` is negative.

    References:
        B. T. Polyak, Some methods of speeding up the convergence of iteration methods, 1964.

    Example:
        >>> import gradientflow as gf
        >>> ball = gf.HeavyBallFlow(gf.energy(lambda x: x**2), mass=2.0)
        >>> float(ball.drift(0.0, gf.Phase(3.0, 0.0)).v)
        -3.0
    """

    equation: ClassVar[str] = "mẍ + γẋ + ∇E(x) = 0"
    facts: ClassVar[tuple[Decrease, ...]] = (
        Decrease(
            name="the mechanical energy falls",
            statement=rf"{_MECHANICAL} = -\gamma\|v\|^2",
            bound=lambda q: q["gamma"] * q["v"] * q["v"],
            wrong=(rf"{_MECHANICAL} \le -2\gamma\|v\|^2", lambda q: 2 * q["gamma"] * q["v"] * q["v"]),
        ),
        # A. C. Wilson, B. Recht, M. I. Jordan, A Lyapunov analysis of accelerated methods in optimization, JMLR 22,
        # 2021.
        Decrease(
            name="with friction 2√μ, E − E* decays as exp(−√μ t)",
            statement=r"\dot V \le -\sqrt{\mu}\, V,\quad V = E - E^* + \tfrac{1}{2}\|v + \sqrt{\mu}(x - x^*)\|^2",
            bound=lambda q: q["r"] * (q["E"] + _pulled(q) * _pulled(q) / 2),
            wrong=(r"\dot V \le -3\sqrt{\mu}\, V", lambda q: 3 * q["r"] * (q["E"] + _pulled(q) * _pulled(q) / 2)),
            function=lambda q: q["E"] + _pulled(q) * _pulled(q) / 2,
            inequalities=lambda q: ((q["r"], q["g"] * q["x"] - q["E"] - q["r"] * q["r"] * q["x"] * q["x"] / 2),),
            squares=lambda q: ((q["r"] / 2, q["v"]),),
            positive=lambda q: ((Fraction(1, 2), _pulled(q)),),
            **_TUNED,
        ),
        # The greatest rate with that friction: V is what a semidefinite program returns, its numbers recognized. For
        # such functions see J. M. Sanz-Serna, K. C. Zygalakis, The connections between Lyapunov functions for some
        # optimization algorithms and differential equations, SIAM J. Numer. Anal. 59, 2021.
        Decrease(
            name="with friction 2√μ, E − E* decays as exp(−(4/3)√μ t)",
            statement=r"\dot V \le -\tfrac{4}{3}\sqrt{\mu}\, V,\quad "
            r"V = E - E^* + \tfrac{1}{2}\|v + \tfrac{4}{3}\sqrt{\mu}(x - x^*)\|^2 - \tfrac{4}{9}\mu\|x - x^*\|^2",
            bound=lambda q: 4 * q["r"] * _tight(q) / 3,
            wrong=(r"\dot V \le -3\sqrt{\mu}\, V", lambda q: 3 * q["r"] * _tight(q)),
            function=_tight,
            inequalities=lambda q: (
                (4 * q["r"] / 3, q["g"] * q["x"] - q["E"] - q["r"] * q["r"] * q["x"] * q["x"] / 2),
            ),
            squares=lambda q: ((2 * q["r"] * q["r"] * q["r"] / 27, q["x"]),),
            positive=lambda q: (
                (Fraction(1, 2), q["v"] + 4 * q["r"] * q["x"] / 3),
                (q["r"] * q["r"] / 18, q["x"]),
            ),
            held=lambda q: ((1, q["E"] - q["r"] * q["r"] * q["x"] * q["x"] / 2),),
            **_TUNED,
        ),
    )
    energy: Energy
    mass: Any
    friction: Any

    def __init__(self, energy: Callable[[Any], Any], mass: Any = 1.0, friction: Any = 1.0) -> None:
        self.energy, self.mass, self.friction = as_energy(energy), mass, friction
        check_positive("HeavyBallFlow", mass=mass)
        check_nonnegative("HeavyBallFlow", friction=friction)

    def drift(self, t: Time, z: Phase) -> Phase:
        """(v, −(γv + ∇E(x))/m)."""
        return Phase(z.v, -(self.friction * z.v + self.gradient(z.x)) / self.mass)

    def resolvent(self, t: Time, z: Phase, h: StepLength) -> Phase:
        """One proximal step: x' = prox of h²/(m + γh)·E at x + hmv/(m + γh), and v' = (x' − x)/h."""
        inertia = self.mass + self.friction * h
        x = prox_of_vector(self.energy, z.x + z.v * (h * self.mass / inertia), h * h / inertia)
        return Phase(x, (x - z.x) / h)

    def discrete_gradient_step(self, t: Time, z: Phase, h: StepLength, rule: DiscreteGradientRule) -> Phase:
        """One step of a gradient flow: x' = x + (2hmv − h²∇̄E(x, x'))/(2m + γh), and v' = 2(x' − x)/h − v."""
        inertia = 2 * self.mass + self.friction * h
        x = rule.solve(self.energy, z.x, h * h / inertia, z.v * (2 * h * self.mass / inertia))
        return Phase(x, (x - z.x) * 2 / h - z.v)

    @property
    def parts(self) -> Mapping[str, Flow]:
        """`transport`, `friction` and `force`."""
        return inertial_parts(self, self.mass, Friction(self.energy, self.friction / self.mass))

    def solution(self, t: Time, z: Phase, h: StepLength) -> Phase:
        """The damped oscillation of every mode of a quadratic: under-, critically or over-damped."""
        lam, into, back = modes_of(self, "solution")
        cosine, sine, work = damped_oscillation(self.friction / (2 * self.mass), lam / self.mass, h)
        push, v = -into(self.gradient(z.x)) / self.mass, into(z.v)
        slope = cosine - self.friction / (2 * self.mass) * sine
        return Phase(z.x + back(v * sine + push * work), back(v * slope + push * sine))

    def lyapunov(self, t: Time, z: Phase) -> Any:
        """E(x) + m‖v‖²/2."""
        return self.energy.value(lower(z.x)) + self.mass * inner(z.v, z.v) / 2


def inertial_parts(flow: Inertial, mass: Any, friction: Inertial) -> Parts:
    """`transport`, `friction` and `force`; of a composite energy f + g the force is f's, and the transport feels g.

    A step of backward Euler of that transport, ẋ = v, mv̇ ∈ −∂g(x), is a proximal step on g.
    """
    E = flow.energy
    if E.nonsmooth is not None:
        return Parts(
            flow, transport=HeavyBallFlow(E.nonsmooth, mass, 0), friction=friction, force=Force(E.smooth, mass)
        )
    return Parts(flow, transport=Transport(E), friction=friction, force=Force(E, mass))
