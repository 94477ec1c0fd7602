"""What is true of a flow or a method, proved from the code that runs it."""

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import jax.numpy as jnp
import numpy as np
import sympy
from sympy import QQ
from sympy.polys.matrices import DomainMatrix

from gradientflow.discretizers import (
    ConstantStep,
    DiscreteGradient,
    Discretizer,
    EulerMaruyama,
    Method,
    MomentumEuler,
    as_step_rule,
)
from gradientflow.flows import (
    AbstractQuadratic,
    Flow,
    GradientFlow,
    HeavyBallFlow,
    Langevin,
    Mode,
    Trajectory,
    UnansweredQuestionError,
    begin,
    refuse_traced,
)
from gradientflow.flows.checks import by_name

from ..exact.algebra import rational
from ..exact.inertia import inertia
from ..exact.leaf import NotExactError
from ..exact.unit_disk import is_simple_von_neumann
from ..linear_stability.curvature import Curvatures, curvatures_at, exact_constant, exact_hessian, exact_linear
from ..linear_stability.reading import ModeReading, Recipe
from ..linear_stability.step_limit import StepLimit, exact_limit, without_roots
from ..results.grades import Grade
from .claims import Claim, Verification
from .conditions import Asked, Condition, under
from .decide import refuted_sibling
from .energy_law import energy_law_claim
from .flow_claims import flow_claims
from .iterates import cayley_hamilton_claim, momentum_claim, power_claim, stationary_variance_claim
from .runs import iterates_claim, path_claim

_LONGEST_SHOWN = 24
# Modes tried in search of one that a step beyond the limit makes grow.
_MOST_TRIED = 32


@by_name
def verify(subject: Flow | Method, run: Trajectory | None = None) -> Verification:
    r"""Proves what can be proved of a flow or a method, each claim beside a false one that the same code refutes.

    What is put into the flow's drift, or the method's step, on exact numbers: the flow's own closed form per mode, its
    `solution` as it runs (where it has none and is linear on a mode, its matrix exponential), with noise mean and
    covariance; Lyapunov functions on general energies; and of a method the powers of its step, its recurrence and its
    step limit. On a quadratic of up to 30 unknowns its curvatures and its minimizer are exact too.

    Args:
        subject: the flow or the method. A user's own flow has its `drift`, `solution` and `lyapunov` read likewise.
        run: a path of the flow, or a run of the method, whose numbers are measured against the closed forms.

    Raises:
        TypeError: if `subject` is neither, or `run` isn't one of its trajectories; under jit, vmap or grad.

    References:
        H. K. Khalil, Nonlinear Systems, 3rd ed. 2002, chapter 4, for Lyapunov functions.

    Example:
        >>> import gradientflow as gf
        >>> found = gf.verify(gf.GradientFlow(gf.LeastSquares([[4, 1], [1, 3]], [1, 2])))
        >>> found.all_proved
        True
        >>> print(found.claims[1].statement)
        x^* = \left(\tfrac{1}{11}, \tfrac{7}{11}\right),\quad E^* = 0
    """
    if isinstance(subject, Method):
        flow, method = subject.flow, subject
        name = method.name
    elif isinstance(subject, Flow):
        flow, method, name = subject, None, subject.name
    else:
        raise TypeError(f"verify: `subject` must be a flow or a Method, got {type(subject).__name__}")
    if run is not None and (not isinstance(run, Trajectory) or ("scheme" in run.stats) != (method is not None)):
        made_by = "method.iterate" if method is not None else "integrate"
        raise TypeError(f"verify: `run` must be made by {made_by} from what is verified, got {type(run).__name__}")
    refuse_traced("verify", subject, run)
    quadratic = isinstance(flow.energy, (AbstractQuadratic, Mode))
    claims: list[Claim | None] = []
    curvatures = None
    if quadratic:
        curvatures = curvatures_at(flow.energy, _any_position(flow.energy))
        claims += [_curvature_claim(flow, curvatures), _minimizer_claim(flow)]
    claims += list(flow_claims(flow, curvatures))
    if method is not None:
        claims += list(_method_claims(method, curvatures))
    if run is not None:
        claims.append(_run_claim(flow, method, run))
    return Verification(name, tuple(claim for claim in claims if claim is not None))


def _method_claims(method: Method, curvatures: Curvatures | None) -> Iterator[Claim | None]:
    flow, scheme = method.flow, method.discretizer
    if type(flow) is HeavyBallFlow and type(scheme) is MomentumEuler:
        yield momentum_claim()
    if type(flow) is Langevin and type(scheme) is EulerMaruyama:
        asked = Asked(flow.energy, curvatures)
        yield under(
            stationary_variance_claim(), asked.quadratic, asked.strongly_convex(), *_below_two(method, curvatures)
        )
    if isinstance(scheme, DiscreteGradient) and type(scheme).step is DiscreteGradient.step:
        yield under(energy_law_claim(flow, scheme), Asked(flow.energy, curvatures).differentiable)
    rule = as_step_rule(method.step)
    recipe = Recipe(flow, scheme, taken=rule.h if isinstance(rule, ConstantStep) else None)
    try:
        powers = power_claim(scheme) if type(flow) is GradientFlow else None
        yield powers or cayley_hamilton_claim(scheme, recipe)
        if curvatures is not None and curvatures.least[1] >= 0:
            reading = recipe.read()
            yield _limit_claim(scheme, reading, exact_limit(recipe, reading, curvatures), curvatures)
    except (NotExactError, UnansweredQuestionError) as error:
        yield Claim("iterates on a mode", r"z_k = A^k z_0", Grade.UNKNOWN, str(error))


def _below_two(method: Method, curvatures: Curvatures | None) -> tuple[Condition, ...]:
    """Whether hλ < 2 on all modes, beyond which unadjusted Langevin has no stationary law."""
    rule = as_step_rule(method.step)
    if curvatures is None or not isinstance(rule, ConstantStep):
        return (Condition("hλ < 2 on all modes", None, "that is not known here"),)
    product = Fraction(float(rule.h)) * curvatures.greatest[1]
    return (Condition("hλ < 2 on all modes", product < 2, f"here hλ is {float(product):.6g}"),)


def _curvature_claim(flow: Flow, curvatures: Curvatures) -> Claim:
    """That H has no negative eigenvalue, with its extreme eigenvalues' brackets."""
    name, (least, greatest) = "H is positive semidefinite", (curvatures.least, curvatures.greatest)
    low, high = (float(sum(bracket) / 2) for bracket in (least, greatest))
    if least[1] < 0:
        found = f"the least curvature is {low:.6g}"
        return Claim(name, r"H \succeq 0", Grade.REFUTED, found, found)
    if least[0] < 0:
        reason = f"floating point can't tell the least curvature, {low:.3g}, from 0; {curvatures.how}"
        return Claim(name, r"H \succeq 0", Grade.UNKNOWN, reason)
    statement = rf"0 \le \lambda_{{\min}} \approx {low:.12g},\quad \lambda_{{\max}} \approx {high:.12g}"
    hessian, sibling = exact_hessian(flow.energy), None
    if hessian is not None and greatest[0] > 0:
        smaller = greatest[0] * 99 / 100
        above = inertia(hessian, smaller).positive
        grade, where = Grade.REFUTED if above else Grade.UNKNOWN, f"{above} of the eigenvalues are above"
        wrong = rf"\lambda_{{\max}} \le {float(smaller):.6g}"
        sibling = refuted_sibling(Claim("H is smaller", wrong, grade, "", where))
    return Claim(name, statement, curvatures.grade, curvatures.how, None, sibling)


def _minimizer_claim(flow: Flow) -> Claim | None:
    """The minimizer of a small quadratic, exactly."""
    hessian, linear = exact_hessian(flow.energy), exact_linear(flow.energy)
    if hessian is None or linear is None or inertia(hessian).negative or inertia(hessian).zero:
        return None
    h, b = _matrix(hessian), _matrix([[entry] for entry in linear])
    x = h.lu_solve(b)
    fractions = [Fraction(int(v.numerator), int(v.denominator)) for v in x.to_list_flat()]
    shown = ", ".join(_spelled(value) for value in fractions[:4]) + (r", \dots" if len(fractions) > 4 else "")
    exactly = all(len(str(value)) <= _LONGEST_SHOWN for value in fractions[:4])
    relation = "=" if exactly else r"\approx"
    statement = rf"x^* {relation} \left({shown}\right)"
    products = (v * w for v, w in zip(fractions, linear, strict=True))
    least = exact_constant(flow.energy) - sum(products, Fraction(0)) / 2
    statement += rf",\quad E^* {_related(least)}"
    grade = Grade.REFUTED if _any_nonzero(h * x - b) else Grade.PROVED
    sibling = None
    if any(linear):
        twice = Grade.REFUTED if _any_nonzero(h * (x * QQ(2)) - b) else Grade.UNKNOWN
        sibling = refuted_sibling(Claim("twice the minimizer", "2x^*", twice, "", "H(2x*) − b is not zero"))
    claim = Claim(
        "the minimizer", statement, grade, "Hx* = b, solved and checked in rational arithmetic", None, sibling
    )
    return under(claim, _is_position(flow, [float(value) for value in fractions]))


def _is_position(flow: Flow, x: list[float]) -> Condition:
    """Whether a flow has such a position: a constraint, or the domain of a geometry, may end before it."""
    try:
        begin("verify", flow, x, None)
        holds = True
    except ValueError:
        holds = False
    return Condition("the flow has its positions", holds, f"the solution of Hx = b is no position of {flow.name}")


def _any_nonzero(matrix: DomainMatrix) -> bool:
    return any(entry for entry in matrix.to_list_flat())


def _limit_claim(scheme: Discretizer, reading: ModeReading, limit: StepLimit, curvatures: Curvatures) -> Claim:
    """The step limit, and that one and a half times as much is not stable."""
    name = f"step limit of {scheme.name}"
    if limit.value == 0:
        return Claim(name, r"\text{no step is stable}", limit.grade, limit.cause)
    lam = curvatures.greatest[0]
    if math.isinf(limit.value):
        claimed, wrong, h = (
            r"\text{every } h > 0 \text{ is stable}",
            r"\text{no } h > 2/\lambda \text{ is stable}",
            4 / lam,
        )
    else:
        formula = "" if limit.formula is None else sympy.latex(without_roots(limit.formula)) + " = "
        claimed, h = rf"\text{{stable for }} 0 < h < {formula}{limit.value:.12g}", Fraction(limit.high) * 3 / 2
        wrong = rf"h = {float(h):.6g} \text{{ is stable}}"
    refutes = math.isinf(limit.value)
    others = [] if refutes else [Fraction(v) for v in np.unique(curvatures.values)[:_MOST_TRIED].tolist()]
    sibling = None
    for curvature in [lam, *others]:
        point = rational(curvature), rational(h)
        stable = is_simple_von_neumann([p(*point) for p in reading.polynomial])
        if stable == refutes:
            verdict = "stable" if stable else "not stable"
            says = f"at h = {float(h):.6g} the step on curvature {float(curvature):.6g} is {verdict}"
            sibling = Claim(name, wrong, Grade.REFUTED, "", says)
            break
    reason = limit.cause if refutes else f"{limit.cause}; just beyond it some mode grows"
    return Claim(name, claimed, limit.grade, reason, None, sibling)


def _run_claim(flow: Flow, method: Method | None, run: Trajectory) -> Claim:
    """The run's numbers against the closed forms, where there are any."""
    name, statement = "the run's numbers", r"x(t_k) \text{ as in closed form}"
    if not isinstance(flow.energy, AbstractQuadratic):
        return Claim(name, statement, Grade.UNKNOWN, "no closed form: the energy is not a quadratic on arrays")
    if flow.brownian(run.state) is not None:
        return Claim(name, statement, Grade.UNKNOWN, "one noisy path neither confirms nor refutes a mean")
    if method is not None and type(flow) not in (GradientFlow, HeavyBallFlow):
        return Claim(name, statement, Grade.UNKNOWN, f"where {flow.name} comes to rest is not known here")
    if method is not None:
        try:
            found = iterates_claim(method, run)
        except (NotExactError, UnansweredQuestionError) as error:
            return Claim(name, statement, Grade.UNKNOWN, str(error))
        why = "the step is not constant, the scheme has memory or another position, or nothing is at rest"
        return found or Claim(name, statement, Grade.UNKNOWN, why)
    try:
        return path_claim(flow, run)
    except UnansweredQuestionError:
        return Claim(name, statement, Grade.UNKNOWN, f"no closed form of {flow.name} is known here")


def _any_position(energy: Any) -> Any:
    """A position of a quadratic: its curvatures are the same everywhere."""
    return jnp.zeros(()) if isinstance(energy, Mode) else jnp.zeros(energy.linear.shape, energy.linear.dtype)


def _matrix(rows: list[list[Fraction]]) -> DomainMatrix:
    entries = [[rational(entry) for entry in row] for row in rows]
    return DomainMatrix(entries, (len(entries), len(entries[0])), QQ)


def _related(value: Fraction) -> str:
    """`= 1/2`, or `≈ 0.5123` for fractions that nobody would read."""
    return f"= {_spelled(value)}" if len(str(value)) <= _LONGEST_SHOWN else rf"\approx {float(value):.10g}"


def _spelled(value: Fraction) -> str:
    if len(str(value)) > _LONGEST_SHOWN:
        return f"{float(value):.10g}"
    return str(value) if value.denominator == 1 else rf"\tfrac{{{value.numerator}}}{{{value.denominator}}}"
