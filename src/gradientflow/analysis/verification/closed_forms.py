r"""Closed forms of linear flows on one quadratic mode: candidates, put into the drift that runs.

By the spectral theorem every symmetric H is a sum of such modes, so that what is proved for all λ is proved for all
quadratics: $e^{-tH}$ acts on a mode as $e^{-\lambda t}$.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import sympy

from gradientflow.flows import (
    Flow,
    GradientFlow,
    HeavyBallFlow,
    HessianDampedFlow,
    KineticLangevin,
    Langevin,
    Mode,
    NesterovFlow,
    NewtonFlow,
    Phase,
)

from ..exact.blame import blaming
from ..exact.leaf import Exact
from ..exact.motion import Motion, TimeFunction, motion
from .claims import Claim
from .decide import decide_equations, refuted_sibling

# Where means and covariances start, and the strength of the noise.
_STARTS = "x0 v0 p0 q0 r0 s"
_IDENTITY = "put into the drift, its derivative is the drift identically, and at t = 0 it is the start"


@dataclasses.dataclass(frozen=True)
class ClosedForm:
    """A solution on one mode, exact.

    Attributes:
        name: of the case.
        flow: the flow on the mode, with exact parameters.
        motion: the functions of time that it is made of.
        solution: (x₀, v₀) ↦ the state at time t; a flow without velocity ignores v₀.
        wrong: the same with a wrong rate or sign.
        consequence: what follows for the whole quadratic, in LaTeX.
        time: the clock, where the flow depends on it.
        from_rest: whether it is the solution from rest, whatever v₀.
    """

    name: str
    flow: Flow
    motion: Motion
    solution: Callable[[Any, Any], Any]
    wrong: Callable[[Any, Any], Any]
    consequence: str = ""
    time: Exact = dataclasses.field(default_factory=lambda: Exact(0))
    from_rest: bool = False


def _exponential(name: str, rate: Callable[[Any], Any]) -> TimeFunction:
    """e^{−rt}, the rate r being a formula in the constants."""
    return TimeFunction(lambda g: -(rate(g) * g[name]), 1, lambda s, t: sympy.exp(-rate(s) * t))


def overdamped(flow_class: type[Flow], **parameters: Any) -> ClosedForm:
    """x₀e^{−λt}, of the gradient flow and of the mean of Langevin dynamics."""
    clock, g = motion(f"lambda {_STARTS}", e=_exponential("e", lambda s: s["lambda"]))
    flow = flow_class(Mode(g["lambda"]), **{name: make(g) for name, make in parameters.items()})  # pyright: ignore
    whole = r",\quad\text{so that}\quad x(t) = x^* + e^{-tH}(x_0 - x^*)"
    return ClosedForm("every mode", flow, clock, lambda x, _: x * g["e"], lambda x, _: x / g["e"], whole)


def underdamped(make_flow: Callable[[Any, Any, Any, Any], Flow]) -> ClosedForm:
    """The damped oscillation of a mode with γ² < 4mλ: a = γ/2m, ω² = λ/m − a²."""
    clock, g = motion(
        f"m a omega {_STARTS}",
        e=_exponential("e", lambda s: s["a"]),
        c=TimeFunction(lambda g: -g["omega"] * g["k"], 1, lambda s, t: sympy.cos(s["omega"] * t)),
        k=TimeFunction(lambda g: g["omega"] * g["c"], 0, lambda s, t: sympy.sin(s["omega"] * t)),
    )
    m, a, w, e, c, k = (g[name] for name in ("m", "a", "omega", "e", "c", "k"))
    flow = make_flow(m * (a * a + w * w), m, 2 * m * a, g["s"])

    def solution(x: Any, v: Any) -> Phase:
        return Phase(e * (x * c + (v + a * x) / w * k), e * (v * c - (a * v + (a * a + w * w) * x) / w * k))

    def wrong(x: Any, v: Any) -> Phase:
        return Phase(e * (x * c - (v + a * x) / w * k), e * (v * c + (a * v + (a * a + w * w) * x) / w * k))

    return ClosedForm("under-damped", flow, clock, solution, wrong)


def overdamped_mode(make_flow: Callable[[Any, Any, Any, Any], Flow]) -> ClosedForm:
    """The two decays of a mode with γ² > 4mλ: rates a ∓ σ, σ² = a² − λ/m."""
    slow, fast = _exponential("p", lambda s: s["a"] - s["sigma"]), _exponential("q", lambda s: s["a"] + s["sigma"])
    clock, g = motion(f"m a sigma {_STARTS}", p=slow, q=fast)
    m, a, w, p, q = (g[name] for name in ("m", "a", "sigma", "p", "q"))
    flow = make_flow(m * (a * a - w * w), m, 2 * m * a, g["s"])

    def combined(x: Any, v: Any, p: Any, q: Any) -> Phase:
        slow, fast = (a + w) * x + v, (a - w) * x + v
        return Phase((slow * p - fast * q) / (2 * w), ((a + w) * fast * q - (a - w) * slow * p) / (2 * w))

    return ClosedForm("over-damped", flow, clock, lambda x, v: combined(x, v, p, q), lambda x, v: combined(x, v, q, p))


def critically_damped(make_flow: Callable[[Any, Any, Any, Any], Flow]) -> ClosedForm:
    """The decay of a mode with γ² = 4mλ, with one rate a."""
    time = TimeFunction(lambda g: g["tau"] / g["tau"], 0, lambda s, t: t)
    clock, g = motion(f"m a {_STARTS}", e=_exponential("e", lambda s: s["a"]), tau=time)
    m, a, e, t = (g[name] for name in ("m", "a", "e", "tau"))
    flow = make_flow(m * a * a, m, 2 * m * a, g["s"])

    def solution(x: Any, v: Any) -> Phase:
        slope = v + a * x
        return Phase(e * (x + slope * t), e * (v - a * slope * t))

    def wrong(x: Any, v: Any) -> Phase:
        slope = v + a * x
        return Phase(e * (x + 2 * slope * t), e * (v - 2 * a * slope * t))

    return ClosedForm("critically damped", flow, clock, solution, wrong)


def heavy_ball(lam: Any, m: Any, friction: Any, _: Any) -> Flow:
    """The heavy ball on a mode."""
    return HeavyBallFlow(Mode(lam), mass=m, friction=friction)


def kinetic_langevin(lam: Any, m: Any, friction: Any, s: Any) -> Flow:
    """Kinetic Langevin on a mode, with the temperature that gives its noise the strength s: 2γT = s²."""
    return KineticLangevin(Mode(lam), mass=m, friction=friction, temperature=s * s / (2 * friction))


def hessian_damped(lam: Any, m: Any, friction: Any, _: Any) -> Flow:
    """Hessian-damped inertia on a mode, β = 1, with what viscous friction it takes to have that friction in all."""
    return HessianDampedFlow(Mode(lam / m), friction=(friction - lam) / m, damping=1, gain=1)


INERTIAL = (underdamped, critically_damped, overdamped_mode)


def newton_flow() -> ClosedForm:
    """Newton's flow on a mode: the rate λ/(λ + ε)."""
    decay = _exponential("e", lambda s: s["lambda"] / (s["lambda"] + s["epsilon"]))
    clock, g = motion(f"lambda epsilon {_STARTS}", e=decay)
    flow = NewtonFlow(Mode(g["lambda"]), regularization=g["epsilon"])
    return ClosedForm("every mode", flow, clock, lambda x, _: x * g["e"], lambda x, _: x / g["e"])


def nesterov_flow() -> ClosedForm:
    r"""Nesterov's flow on a mode λ = ω², from rest: Bessel functions scaled to 1 at t = 0, with r = 2ν + 1.

    The generators are $F = \Gamma(\nu+1)(2/\omega t)^\nu J_\nu(\omega t)$ and G, the same for ν + 1; their
    derivatives are Bessel's recurrences.
    """

    def scaled(order: int) -> Callable[[Any, Any], Any]:
        def meaning(s: Any, t: Any) -> Any:
            n, w = s["nu"] + order, s["omega"] * t
            return sympy.gamma(n + 1) * (2 / w) ** n * sympy.besselj(n, w)

        return meaning

    clock, g = motion(
        f"omega nu {_STARTS}",
        tau=TimeFunction(lambda g: g["tau"] / g["tau"], 0, lambda s, t: t),
        F=TimeFunction(lambda g: -(g["omega"] ** 2 * g["tau"] * g["G"]) / (2 * (g["nu"] + 1)), 1, scaled(0)),
        G=TimeFunction(lambda g: 2 * (g["nu"] + 1) / g["tau"] * (g["F"] - g["G"]), 1, scaled(1)),
    )
    omega, nu, tau, first, second = (g[name] for name in ("omega", "nu", "tau", "F", "G"))
    flow = NesterovFlow(Mode(omega * omega), r=2 * nu + 1)

    def solution(x: Any, _: Any) -> Phase:
        return Phase(x * first, -(omega * omega * tau * x * second) / (2 * (nu + 1)))

    def wrong(x: Any, _: Any) -> Phase:
        return Phase(x * second, -(omega * omega * tau * x * second) / (2 * (nu + 1)))

    return ClosedForm("every mode from rest", flow, clock, solution, wrong, time=tau, from_rest=True)


def langevin() -> ClosedForm:
    """Overdamped Langevin on a mode, with the temperature that gives its noise the strength s: 2T = s²."""
    return overdamped(Langevin, temperature=lambda g: g["s"] * g["s"] / 2)


def gradient_flow() -> ClosedForm:
    """The gradient flow on a mode."""
    return overdamped(GradientFlow)


def solution_claim(form: ClosedForm, subject: str, how_many: str = "") -> Claim:
    """The claim that the closed form solves the flow (in the mean, where there is noise), with its false sibling."""
    x0, v0 = (form.motion.generators[start] for start in ("x0", "v0"))
    name = f"{subject}, {form.name}{how_many}"

    def equations(state: Any) -> dict[str, tuple[Exact, Exact]]:
        with blaming(form.flow):
            drift = jax.tree.leaves(form.flow.drift(form.time, state))
        leaves, starts = jax.tree.leaves(state), [x0, v0 * 0 if form.from_rest else v0]
        names = ["x", "v"]
        found = {}
        for label, leaf, slope, start in zip(names, leaves, drift, starts, strict=False):
            found[f"d{label}/dt and the drift"] = form.motion.derivative(leaf), slope
            found[f"{label}(0) and its start"] = form.motion.at_zero(leaf), start
        return found

    wrong = form.wrong(x0, v0)
    starts = form.motion.starts
    sibling = refuted_sibling(decide_equations(name, _statement(form, wrong), equations(wrong), "", at_start=starts))
    right = form.solution(x0, v0)
    return decide_equations(
        name, _statement(form, right) + form.consequence, equations(right), _IDENTITY, sibling, starts
    )


def _statement(form: ClosedForm, state: Any) -> str:
    x = form.motion.expression(jax.tree.leaves(state)[0])
    lam = form.flow.energy.lam.value.as_expr()  # pyright: ignore[reportAttributeAccessIssue]
    where = "" if lam == sympy.Symbol("lambda") else rf",\quad \lambda = {sympy.latex(sympy.expand(lam))}"
    return rf"x(t) = {sympy.latex(x)}{where}"
