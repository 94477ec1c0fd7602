"""Nesterov's flow: inertia with a friction that vanishes like r/t."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import jax.numpy as jnp

from ...aliases import StepLength, Time
from ...checks import check_clock, check_positive
from ...discrete_gradients import DiscreteGradientRule
from ...duration import Duration
from ...energies.energy import Energy
from ...energies.energy import energy as as_energy
from ...facts import Decrease, OfParameter, Quantities
from ...flow import Flow
from ...linear.bessel import propagator
from ...linear.modes import modes_of
from ...numerics import inner, is_numeric
from ...state import Phase, lower
from .heavy_ball import HeavyBallFlow, inertial_parts
from .inertial import Inertial


def _ahead(q: Quantities) -> Any:
    """x − x* + tv/(r − 1)."""
    return q["x"] + q["s"] * q["v"] / (2 + q["d"])


class NesterovFlow(Inertial):
    r"""Nesterov's accelerated flow: $\ddot x + \tfrac rt\dot x + \nabla E(x) = 0$, from rest at t = 0.

    State `Phase(x, v)`, both shaped like the position. Units: x [X], t [T], E [X²/T²].
    At t = 0 the friction is infinite: only v = 0 goes on from there, with $\dot v(0) = -\nabla E/(1 + r)$, the limit.
    On convex energies and r ≥ 3, $E - E^* \le (r-1)^2\|x_0 - x^*\|^2/(2t^2)$; on any, $E + \tfrac12\|v\|^2$ falls.
    A mode of curvature λ is $x(t) = \Gamma(\nu+1)(2/\sqrt\lambda t)^\nu J_\nu(\sqrt\lambda t)\,x_0$, ν = (r − 1)/2.

    Parts: `transport` ẋ = v, `friction` v̇ = −(r/t)v, `force` v̇ = −∇E(x). Of a `Composite` energy f + g: `transport`
    ẋ = v, v̇ ∈ −∂g(x), `friction`, `force` v̇ = −∇f(x).

    Args:
        energy: the potential E.
        r: the friction is r/t, r > 0; below 3 the rate 1/t² is lost.

    Raises:
        ValueError: if `r` is not positive.

    References:
        W. Su, S. Boyd, E. J. Candès, A differential equation for modeling Nesterov's accelerated gradient method, JMLR
        17, 2016.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.NesterovFlow(gf.landscapes.bowl())
        >>> flow.drift(0.0, flow.init(gf.flows.as_floating([4.0, 1.0]))).v.tolist()
        [-1.0, -2.25]
    """

    equation: ClassVar[str] = "ẍ + (r/t)ẋ + ∇E(x) = 0"
    # Su, Boyd and Candès's theorem 5, with r = 3 + d, d ≥ 0, at the time s; and friction of any strength takes energy.
    facts: ClassVar[tuple[Decrease, ...]] = (
        Decrease(
            name="with friction r/t, r ≥ 3, E − E* ≤ (r−1)²‖x₀ − x*‖²/(2t²)",
            statement=r"\dot V \le 0,\quad "
            r"V = t^2(E - E^*) + \tfrac{(r-1)^2}{2}\left\|x - x^* + \tfrac{t}{r-1}v\right\|^2",
            bound=lambda q: 0 * q["E"],
            wrong=(r"\dot V \le -10 t(E - E^*)", lambda q: 10 * q["s"] * q["E"]),
            function=lambda q: q["s"] * q["s"] * q["E"] + (2 + q["d"]) * (2 + q["d"]) * _ahead(q) * _ahead(q) / 2,
            inequalities=lambda q: (
                ((2 + q["d"]) * q["s"], q["g"] * q["x"] - q["E"]),
                (q["d"] * q["s"], q["E"]),
            ),
            positive=lambda q: (((2 + q["d"]) * (2 + q["d"]) / 2, _ahead(q)),),
            assumption="on every convex E",
            needs=(OfParameter("r", "r ≥ 3", lambda flow: flow.r, lambda r: r >= 3), "convex"),
            symbols=("d", "s"),
            values=lambda s: {"r": 3 + s["d"]},
            clock="s",
        ),
        Decrease(
            name="NesterovFlow's own Lyapunov function never rises",
            statement=r"\dot V = -\tfrac rt\|v\|^2,\quad V = E + \tfrac12\|v\|^2",
            bound=lambda q: 0 * q["E"],
            wrong=(r"\dot V \le -10^6\,(E - E^*)", lambda q: 10**6 * q["E"]),
            squares=lambda q: ((q["r"] / q["s"], q["v"]),),
            symbols=("r", "s"),
            values=lambda s: {"r": s["r"]},
            clock="s",
        ),
    )
    energy: Energy
    r: Any

    def __init__(self, energy: Callable[[Any], Any], r: Any = 3.0) -> None:
        self.energy, self.r = as_energy(energy), r
        check_positive("NesterovFlow", r=r)

    def check_start(self, t: Time, z: Phase) -> None:
        """At t = 0 the velocity must be zero."""
        check_clock("NesterovFlow", t, v=z.v)

    def drift(self, t: Time, z: Phase) -> Phase:
        """(v, −(r/t)v − ∇E(x)); at t = 0 its limit from rest, (0, −∇E(x)/(1 + r))."""
        gradient = self.gradient(z.x)
        if not is_numeric(t):
            return Phase(z.v, -(self.r / t * z.v) - gradient)
        started = t != 0
        # Where the clock stands at zero, ∇E/(1 + r) is ∇E less the friction's limit.
        slowed = gradient * jnp.where(started, 1, 1 / (1 + self.r))
        return Phase(z.v, -(z.v * _rate(self.r, t)) - slowed)

    def resolvent(self, t: Time, z: Phase, h: StepLength) -> Phase:
        """That of a heavy ball with the friction r/t: one proximal step."""
        return HeavyBallFlow(self.energy, 1, self.r / t).resolvent(t, z, h)

    def discrete_gradient_step(self, t: Time, z: Phase, h: StepLength, rule: DiscreteGradientRule) -> Phase:
        """That of a heavy ball with the friction r/(t + h/2)."""
        return HeavyBallFlow(self.energy, 1, self.r / (t + h / 2)).discrete_gradient_step(t, z, h, rule)

    @property
    def parts(self) -> Mapping[str, Flow]:
        """`transport`, `friction` and `force`."""
        return inertial_parts(self, 1, VanishingFriction(self.energy, self.r))

    def solution(self, t: Time, z: Phase, h: StepLength) -> Phase:
        """Bessel functions, mode by mode of a quadratic; from t = 0 at rest, or from any t > 0."""
        if not self.energy.is_quadratic:
            return Flow.solution(self, t, z, h)
        lam, into, back = modes_of(self, "solution")
        force = into(self.gradient(z.x))
        flat, lam, (xx, xv, vx, vv) = _propagated(lam, self.r, t, h, force)
        # A particular solution: rest at the minimizer, or falling where nothing pulls back.
        away, fall = force / _where(flat, 1, lam), -force / (self.r + 1)
        v = into(z.v) - _where(flat, fall * t, 0)
        moved = _where(flat, fall * (h * t + h * h / 2), (xx - 1) * away) + xv * v
        speed = _where(flat, fall * (t + h), vx * away) + vv * v
        return Phase(z.x + back(moved), back(speed))

    def lyapunov(self, t: Time, z: Phase) -> Any:
        """E(x) + ‖v‖²/2, whose derivative is −(r/t)‖v‖²."""
        return self.energy.value(lower(z.x)) + inner(z.v, z.v) / 2


class VanishingFriction(Inertial):
    """The part v̇ = −(r/t)v of an inertial flow."""

    energy: Energy
    r: Any

    def drift(self, t: Time, z: Phase) -> Phase:
        """(0, −(r/t)v)."""
        return Phase(0 * z.v, -(z.v * self.r / t if not is_numeric(t) else z.v * _rate(self.r, t)))

    def resolvent(self, t: Time, z: Phase, h: StepLength) -> Phase:
        """(x, v·t/(t + hr))."""
        return Phase(z.x, z.v * t / (t + h * self.r))

    def solution(self, t: Time, z: Phase, h: StepLength) -> Phase:
        """(x, v·(t/(t + h))^r)."""
        return Phase(z.x, z.v * (t / (t + h)) ** self.r)


def _rate(r: Any, t: Time) -> Any:
    """r/t; 0 at t = 0, where the velocity it multiplies is 0."""
    return jnp.where(t == 0, 0, r / jnp.where(t == 0, 1, t))


def _propagated(lam: Any, r: Any, t: Time, h: StepLength, force: Any) -> tuple[Any, Any, tuple[Any, ...]]:
    """Which modes have no curvature, the curvatures for each entry of `force`, the propagator's entries row by row."""
    if isinstance(h, Duration):
        return False, lam, h.propagated_from_rest(lam, r)
    lam = jnp.broadcast_to(lam, jnp.shape(force))
    step = propagator(lam, r, t, h)
    return lam == 0, lam, tuple(step[..., i, j] for i in (0, 1) for j in (0, 1))


def _where(condition: Any, then: Any, other: Any) -> Any:
    """As jnp.where, whose `other` may be exact where the condition is known not to hold."""
    return other if condition is False else jnp.where(condition, then, other)
