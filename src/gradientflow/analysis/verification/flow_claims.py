"""What is claimed of a flow: closed forms per mode, and Lyapunov functions on general energies."""

from collections.abc import Iterator
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
from gradientflow.flows.facts import Decrease, OfParameter, StronglyConvex, facts_of

from ..exact.leaf import NotExactError
from ..linear_stability.curvature import Curvatures
from ..results.grades import Grade
from . import closed_forms
from .abstract_energy import setting
from .claims import Claim
from .closed_forms import INERTIAL, ClosedForm, gradient_flow, heavy_ball, kinetic_langevin, langevin, solution_claim
from .conditions import Asked, Condition, number, under
from .decrease import decide_decrease, decide_fact, own_decrease
from .matrix_exponential import matrix_exponential_claim
from .moments import covariance_claim, stationary_claim
from .overdamped_limit import overdamped_limit_claim


def flow_claims(flow: Flow, curvatures: Curvatures | None) -> Iterator[Claim]:
    """The claims about a flow, each under its conditions."""
    # A subclass has a drift of its own: what textbooks say of its parent need not hold of it.
    asked = Asked(flow.energy, curvatures)
    if type(flow) is GradientFlow:
        yield under(solution_claim(gradient_flow(), "gradient flow on quadratics"), asked.quadratic)
    elif type(flow) is HeavyBallFlow:
        for form in (make(heavy_ball) for make in INERTIAL):
            claim = solution_claim(form, "heavy ball on quadratics", _how_many(form, flow, curvatures))
            yield under(claim, asked.quadratic)
        yield overdamped_limit_claim()
    elif type(flow) is NesterovFlow:
        yield under(solution_claim(closed_forms.nesterov_flow(), "Nesterov's flow on quadratics"), asked.quadratic)
    elif type(flow) is HessianDampedFlow:
        for form in (make(closed_forms.hessian_damped) for make in INERTIAL):
            yield under(solution_claim(form, "Hessian-damped inertia on quadratics"), asked.quadratic)
    elif type(flow) is NewtonFlow:
        yield under(solution_claim(closed_forms.newton_flow(), "Newton's flow on quadratics"), asked.quadratic)
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
    for fact in facts_of(flow):
        yield under(decide_fact(fact, flow), *_needs(fact, flow, asked))


def _needs(fact: Decrease, flow: Flow, asked: Asked) -> tuple[Condition, ...]:
    """What a fact needs of the energy and of the flow's parameters, and whether it is so."""

    def one(need: str | OfParameter | StronglyConvex) -> Condition:
        match need:
            case OfParameter(name, words, value, holds):
                found = float(value(flow))
                return number(name, words, found, holds(found))
            case StronglyConvex(words, of):
                mu = of(flow)
                return asked.strongly_convex(mu, words.format(mu=float(mu)))
        return {
            "differentiable": lambda: asked.differentiable,
            "convex": lambda: asked.convex,
            "strongly convex": asked.strongly_convex,
            "invertible": lambda: asked.invertible,
        }[need]()

    return tuple(map(one, fact.needs))


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
        yield under(decide_decrease(own, situation), *_needs(own, flow, asked))


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
