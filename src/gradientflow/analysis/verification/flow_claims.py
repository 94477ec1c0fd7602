"""What is claimed of a flow: closed forms per mode, and Lyapunov functions on general energies."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import jax
import numpy as np

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
    UnansweredQuestionError,
)

from ..exact.leaf import NotExactError
from ..linear_stability.curvature import Curvatures
from ..results.grades import Grade
from . import closed_forms, lyapunov_functions
from .abstract_energy import setting
from .claims import Claim
from .closed_forms import INERTIAL, ClosedForm, gradient_flow, heavy_ball, kinetic_langevin, langevin, solution_claim
from .conditions import Asked, Condition, number, under
from .decrease import Decrease, decide_decrease, own_decrease
from .lyapunov_functions import GRADIENT_FLOW, HEAVY_BALL, strongly_convex_heavy_ball, tight_heavy_ball
from .matrix_exponential import matrix_exponential_claim
from .moments import covariance_claim, stationary_claim
from .overdamped_limit import overdamped_limit_claim


def flow_claims(flow: Flow, curvatures: Curvatures | None) -> Iterator[Claim]:
    """The claims about a flow, each under its conditions."""
    # A subclass has a drift of its own: what textbooks say of its parent need not hold of it.
    asked = Asked(flow.energy, curvatures)
    if type(flow) is GradientFlow:
        yield under(solution_claim(gradient_flow(), "gradient flow on quadratics"), asked.quadratic)
        situation = setting(flow, ("mu",), symbolic=True)
        yield from (under(decide_decrease(claim, situation), *_needs(claim, asked)) for claim in GRADIENT_FLOW)
    elif type(flow) is HeavyBallFlow:
        for form in (make(heavy_ball) for make in INERTIAL):
            claim = solution_claim(form, "heavy ball on quadratics", _how_many(form, flow, curvatures))
            yield under(claim, asked.quadratic)
        yield overdamped_limit_claim()
        situation = setting(flow, symbolic=True)
        yield from (under(decide_decrease(claim, situation), *_needs(claim, asked)) for claim in HEAVY_BALL)
        tuned = _tuned_friction(flow, asked)
        yield under(strongly_convex_heavy_ball(), *tuned)
        yield under(tight_heavy_ball(), *tuned)
    elif type(flow) is NesterovFlow:
        yield under(solution_claim(closed_forms.nesterov_flow(), "Nesterov's flow on quadratics"), asked.quadratic)
        bounded, falls = lyapunov_functions.nesterov_flow()
        r = float(flow.r)
        yield under(bounded, number("r", "r ≥ 3", r, r >= 3), asked.convex)
        yield under(falls, asked.differentiable)
    elif type(flow) is HessianDampedFlow:
        for form in (make(closed_forms.hessian_damped) for make in INERTIAL):
            yield under(solution_claim(form, "Hessian-damped inertia on quadratics"), asked.quadratic)
        yield under(lyapunov_functions.hessian_damped(), asked.differentiable)
    elif type(flow) is NewtonFlow:
        yield under(solution_claim(closed_forms.newton_flow(), "Newton's flow on quadratics"), asked.quadratic)
        shift = float(flow.regularization)
        plain = number("the regularization", "the regularization is 0", shift, shift == 0)
        yield under(lyapunov_functions.newton_flow(), plain, asked.invertible)
    elif type(flow) is Langevin:
        yield under(solution_claim(langevin(), "mean of Langevin dynamics on quadratics"), asked.quadratic)
        yield under(covariance_claim(langevin(), "Langevin dynamics"), asked.quadratic, asked.invertible)
        yield under(stationary_claim(langevin(), "Langevin dynamics"), asked.quadratic, asked.strongly_convex())
    elif type(flow) is KineticLangevin:
        friction = float(flow.friction)
        rubbed = number("the friction", "the friction is positive", friction, friction > 0)
        for form in (make(kinetic_langevin) for make in INERTIAL):
            how_many = _how_many(form, flow, curvatures)
            yield under(solution_claim(form, "mean of kinetic Langevin", how_many), asked.quadratic)
            claim = covariance_claim(form, "kinetic Langevin", how_many)
            yield under(claim, asked.quadratic, asked.invertible, rubbed)
        claim = stationary_claim(INERTIAL[0](kinetic_langevin), "kinetic Langevin: equipartition")
        yield under(claim, asked.quadratic, asked.strongly_convex(), rubbed)
    else:
        yield from _own_claims(flow, asked)


def _needs(claim: Decrease, asked: Asked) -> tuple[Condition, ...]:
    """What a claim about a Lyapunov function needs of the energy."""
    match claim.needs:
        case "convex":
            return asked.differentiable, asked.convex
        case "strongly convex":
            return asked.differentiable, asked.strongly_convex()
    return (asked.differentiable,)


def _tuned_friction(flow: HeavyBallFlow, asked: Asked) -> tuple[Condition, ...]:
    """Mass 1 and friction 2√μ for a μ of which E is strongly convex: then of each smaller one too."""
    mass, friction = float(flow.mass), float(flow.friction)
    mu = Fraction(friction) ** 2 / 4
    tuned = f"E is strongly convex with μ = friction²/4 = {float(mu):.6g}"
    return (
        number("the mass", "the mass is 1", mass, mass == 1),
        number("the friction", "the friction is positive", friction, friction > 0),
        asked.strongly_convex(mu, tuned),
    )


def _own_claims(flow: Flow, asked: Asked) -> Iterator[Claim]:
    """Of a user's own flow: its matrix exponential on a mode, and its own Lyapunov function."""
    exponential = "closed form on a mode", r"z(t) = e^{At} z_0"
    falls = "its own Lyapunov function never rises", r"\dot V \le 0"
    try:
        situation = setting(flow)
    except (NotExactError, UnansweredQuestionError) as error:
        yield Claim(*exponential, Grade.UNKNOWN, str(error))
        yield Claim(*falls, Grade.UNKNOWN, str(error))
        return
    if situation.at_origin and not _is_at_origin(flow.energy):
        why = "it depends on where the minimizer is, which must be 0 for what is proved here"
        yield Claim(*exponential, Grade.UNKNOWN, why)
        yield Claim(*falls, Grade.UNKNOWN, why)
        return
    try:
        yield under(matrix_exponential_claim(flow), asked.quadratic)
    except (NotExactError, UnansweredQuestionError) as error:
        yield Claim(*exponential, Grade.UNKNOWN, str(error))
    if situation.flow.brownian(situation.state) is not None:
        yield Claim(*falls, Grade.UNKNOWN, "it has noise, which the drift's proof leaves out")
    elif situation.function is None:
        yield Claim(*falls, Grade.UNKNOWN, "it gives no Lyapunov function")
    else:
        own = own_decrease(situation)
        yield under(decide_decrease(own, situation), *_needs(own, asked))


def _is_at_origin(energy: Any) -> bool:
    """Whether the minimizer is known to be 0."""
    if isinstance(energy, Mode):
        return True
    known = energy.minimizer
    return known is not None and all(not np.any(np.asarray(leaf)) for leaf in jax.tree.leaves(known))


def _how_many(form: ClosedForm, flow: Any, curvatures: Curvatures | None) -> str:
    """How many of a quadratic's modes are in a regime, from their curvatures in floating point."""
    if curvatures is None:
        return ""
    m, friction = float(flow.mass), float(flow.friction)
    critical = friction * friction / (4 * m)
    values = np.asarray(curvatures.values)
    near = np.abs(values - critical) <= 1e-12 * max(critical, 1e-300)
    counts = {
        "under-damped": (values > critical) & ~near,
        "critically damped": near,
        "over-damped": (values < critical) & ~near,
    }
    return f" ({int(counts[form.name].sum())} of {len(values)} modes)"
