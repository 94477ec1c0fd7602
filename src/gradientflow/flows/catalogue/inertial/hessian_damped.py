"""Inertial flows with Hessian-driven damping, among them the high-resolution limits of Nesterov's method."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any, ClassVar

from ...aliases import StepLength, Time
from ...checks import check_nonnegative, check_positive
from ...energies.energy import Energy
from ...energies.energy import energy as as_energy
from ...facts import Decrease
from ...flow import Flow
from ...linear.modes import modes_of
from ...linear.oscillation import damped_oscillation
from ...numerics import inner
from ...state import Phase, lift, lower
from .inertial import Inertial


class HessianDampedFlow(Inertial):
    r"""Hessian-damped inertia: $\ddot x + \gamma\dot x + \beta\nabla^2E(x)\dot x + b\nabla E(x) = 0$.

    State `Phase(x, v)`. Units: x [X], t [T], E [X²/T²], γ [1/T], β [T], b without unit. The Hessian damps the steep
    modes more, which takes out the heavy ball's oscillations: a mode of curvature λ has friction γ + βλ. Lyapunov
    function: $V = (b + \beta\gamma)E + \tfrac12\|v + \beta\nabla E\|^2$ with $\dot V = -\gamma\|v\|^2 -
    b\beta\|\nabla E\|^2$, on every E.

    Args:
        energy: the potential E.
        friction: γ ≥ 0.
        damping: β ≥ 0.
        gain: b > 0.

    Raises:
        ValueError: if an argument is out of its range.

    References:
        F. Alvarez, H. Attouch, J. Bolte, P. Redont, A second-order gradient-like dissipative dynamical system with
        Hessian-driven damping, J. Math. Pures Appl. 81, 2002.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.HessianDampedFlow(gf.Mode(4.0), friction=1.0, damping=0.5)
        >>> flow.drift(0.0, gf.Phase(1.0, 2.0))
        Phase(x=2.0, v=-10.0)
    """

    equation: ClassVar[str] = "ẍ + γẋ + β∇²E(x)ẋ + b∇E(x) = 0"
    facts: ClassVar[tuple[Decrease, ...]] = (
        Decrease(
            name="HessianDampedFlow's own Lyapunov function never rises",
            statement=r"\dot V = -\gamma\|v\|^2 - b\beta\|\nabla E\|^2,\quad "
            r"V = (b + \beta\gamma)E + \tfrac12\|v + \beta\nabla E\|^2",
            bound=lambda q: 0 * q["E"],
            wrong=(r"\dot V \le -10^6\,(E - E^*)", lambda q: 10**6 * q["E"]),
            squares=lambda q: ((q["gamma"], q["v"]), (q["gain"] * q["damping"], q["g"])),
            positive=lambda q: ((Fraction(1, 2), q["v"] + q["damping"] * q["g"]),),
        ),
    )
    energy: Energy
    friction: Any
    damping: Any
    gain: Any

    def __init__(self, energy: Callable[[Any], Any], friction: Any = 1.0, damping: Any = 1.0, gain: Any = 1.0) -> None:
        self.energy, self.friction, self.damping, self.gain = as_energy(energy), friction, damping, gain
        check_nonnegative("HessianDampedFlow", friction=friction, damping=damping)
        check_positive("HessianDampedFlow", gain=gain)

    def drift(self, t: Time, z: Phase) -> Phase:
        """(v, −γv − βHv − b∇E(x))."""
        stiff = lift(self.energy.hvp(lower(z.x), lower(z.v)))
        return Phase(z.v, -(self.friction * z.v + self.damping * stiff + self.gain * self.gradient(z.x)))

    def solution(self, t: Time, z: Phase, h: StepLength) -> Phase:
        """The damped oscillation of every mode of a quadratic, its friction γ + βλ."""
        if not self.energy.is_quadratic:
            return Flow.solution(self, t, z, h)
        lam, into, back = modes_of(self, "solution")
        a = (self.friction + self.damping * lam) / 2
        cosine, sine, work = damped_oscillation(a, self.gain * lam, h)
        push, v = -self.gain * into(self.gradient(z.x)), into(z.v)
        return Phase(z.x + back(v * sine + push * work), back(v * (cosine - a * sine) + push * sine))

    def lyapunov(self, t: Time, z: Phase) -> Any:
        """(b + βγ)E(x) + ‖v + β∇E(x)‖²/2."""
        ahead = z.v + self.damping * self.gradient(z.x)
        return (self.gain + self.damping * self.friction) * self.energy.value(lower(z.x)) + inner(ahead, ahead) / 2


def high_resolution(energy: Energy, step: Any, mu: Any) -> HessianDampedFlow:
    r"""The high-resolution flow of Nesterov's method for μ-strongly convex energies with the gradient step s.

    $\ddot x + 2\sqrt\mu\dot x + \sqrt s\,\nabla^2E(x)\dot x + (1 + \sqrt{\mu s})\nabla E(x) = 0$: what tells the method
    from the heavy ball's, whose flow is the same without the Hessian. It starts with
    $v = -2\sqrt s\,\nabla E(x_0)/(1 + \sqrt{\mu s})$, not at rest.

    Args:
        energy: the potential E.
        step: s > 0, the method's learning rate.
        mu: μ > 0.

    Raises:
        ValueError: if a number is not positive.

    References:
        B. Shi, S. S. Du, M. I. Jordan, W. J. Su, Understanding the acceleration phenomenon via high-resolution
        differential equations, Math. Program. 195, 2022, introduction.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.flows.high_resolution(gf.Mode(1.0), step=0.25, mu=0.25)
        >>> flow.friction, flow.damping, flow.gain
        (1.0, 0.5, 1.25)
    """
    check_positive("high_resolution", step=step, mu=mu)
    root, rate = step**0.5, mu**0.5
    return HessianDampedFlow(energy, friction=2 * rate, damping=root, gain=1 + root * rate)
