r"""Whether a function of the state falls along a flow, on general energies.

V and the drift are what the flow answers, $\dot V$ is the chain rule, and a bound $\dot V \le -\rho V$ is an identity
$\dot V + \rho V = -\sum_i \alpha_i I_i - \sum_j \beta_j \|u_j\|^2$ with $\alpha_i, \beta_j \ge 0$, where
$I_i \ge 0$ says that E is convex. The identity is checked exactly; the weights are what makes it a proof.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from sympy import QQ
from sympy.polys.fields import FracElement

from gradientflow.flows import Flow, UnansweredQuestionError
from gradientflow.flows.facts import Decrease

from ..exact.algebra import fraction
from ..exact.leaf import Exact
from ..results.grades import Grade
from .abstract_energy import GAP, GENERATORS, GRADIENT, POSITION, VELOCITY, Setting, monomial, setting
from .claims import Claim
from .decide import refuted_sibling

_SQUARES = {name: monomial(name, name) for name in (POSITION, VELOCITY, GRADIENT)}
_CROSSED, _LINEAR_GAP = monomial(POSITION, GRADIENT), monomial(GAP)


def decide_fact(fact: Decrease, flow: Flow) -> Claim:
    """A flow's fact, read on the flow's own code with its parameters as symbols, or as what the fact says they are."""
    said = fact.values
    values = None if said is None else lambda symbols: _exactly(said(symbols))
    situation = setting(flow, fact.symbols, values is None, values, fact.clock)
    return decide_decrease(fact, situation)


def _exactly(values: Mapping[str, Any]) -> Mapping[str, Exact]:
    return {name: value if isinstance(value, Exact) else Exact(value) for name, value in values.items()}


def decide_decrease(claim: Decrease, situation: Setting) -> Claim:
    """Proved if the weights prove it, refuted by a quadratic on which V falls too slowly, else unknown."""
    q = situation.quantities
    function = own_function(situation) if claim.function is None else claim.function(q)
    falls = situation.derivative(function)
    squares = [(weight, weight * (vector * vector)) for weight, vector in claim.positive(q)]
    held = claim.held(q)
    parts = [*(square for _, square in squares), *(weight * quantity for weight, quantity in held)]
    rest = function - sum(parts, start=0 * function)
    if not (_is_positive(rest) and all(_is_nonnegative(weight) for weight, _ in (*squares, *held))):
        return Claim(claim.name, claim.statement, Grade.UNKNOWN, "V is not seen to be positive")
    sibling = refuted_sibling(
        _decide(f"{claim.name}, too fast", claim.wrong[0], falls, claim.wrong[1](q), (), (), situation)
    )
    return _decide(
        claim.name, claim.statement, falls, claim.bound(q), claim.inequalities(q), claim.squares(q), situation,
        claim.assumption, sibling,
    )  # fmt: skip


def _decide(
    name: str,
    statement: str,
    falls: Exact,
    bound: Any,
    inequalities: Sequence[tuple[Any, Any]],
    squares: Sequence[tuple[Any, Any]],
    situation: Setting,
    assumption: str = "",
    sibling: Claim | None = None,
) -> Claim:
    excess = falls + bound
    rest = excess
    for weight, quantity in inequalities:
        rest = rest + weight * quantity
    for weight, vector in squares:
        rest = rest + weight * (vector * vector)
    weights = [weight for weight, _ in (*inequalities, *squares)]
    if not rest.value and all(map(_is_nonnegative, weights)):
        parts = [_counted(len(inequalities), "inequality", "inequalities"), _counted(len(squares), "square", "squares")]
        used = " and ".join(part for part in parts if part)
        reason = f"V̇ + B is minus a nonnegative combination of {used}" if used else "V̇ + B vanishes"
        return Claim(name, statement, Grade.PROVED, f"{reason}, identically; {assumption}", None, sibling)
    where = _violation(excess, situation)
    if where is not None:
        return Claim(name, statement, Grade.REFUTED, "it fails on a quadratic", where, sibling)
    return Claim(name, statement, Grade.UNKNOWN, "no proof and no quadratic against it was found", None, sibling)


def _violation(excess: Exact, situation: Setting) -> str | None:
    """A quadratic λx²/2, λ ≥ μ, and a state at which V̇ + B > 0, as text."""
    names = [name for name in situation.quantities if name not in GENERATORS]
    for curvature, velocity in itertools.product((1, 2), (0, 1, -1, 3)):
        lam, x, v = Fraction(curvature), Fraction(1), Fraction(velocity)
        values = (x, v, lam * x, lam * x * x / 2, Fraction(0), Fraction(0), lam * v, x)
        number = sum(
            _at_ones(c) * math.prod(a**k for a, k in zip(values, m, strict=True)) for m, c in excess.value.terms()
        )
        if number > 0:
            shown = "".join(f", {name} = 1" for name in names)
            moving = f", v = {v}" if excess.value.degree(situation.quantities[VELOCITY].value) > 0 else ""
            return f"E = {lam}·x²/2, x = {x}{moving}{shown}: V̇ exceeds its bound by {number}"
    return None


def _at_ones(coefficient: Any) -> Fraction:
    """A coefficient where every parameter is 1."""
    if isinstance(coefficient, FracElement):
        ones = [QQ(1)] * len(coefficient.field.gens)
        coefficient = coefficient.numer(*ones) / coefficient.denom(*ones)
    return fraction(coefficient)


def _is_nonnegative(weight: Any) -> bool:
    """Whether a weight is a quotient of polynomials with nonnegative coefficients: the parameters are positive."""
    value = weight.value if isinstance(weight, Exact) else weight
    if not isinstance(value, FracElement):
        return bool(value >= 0)
    return all(c >= 0 for part in (value.numer, value.denom) for c in part.coeffs())


def _is_positive(function: Exact) -> bool:
    """Whether V is a nonnegative combination of E − E* and squares."""
    allowed = {*_SQUARES.values(), _LINEAR_GAP}
    return all(monomial in allowed and _is_nonnegative(weight) for monomial, weight in function.value.terms())


def own_decrease(situation: Setting) -> Decrease:
    r"""The claim that a flow's own Lyapunov function never rises, with the weights read off its derivative.

    It is proved where $\dot V$ has only negative multiples of squares and of $\langle\nabla E, x - x^*\rangle$,
    which is not negative on convex energies.
    """
    falls = situation.derivative(own_function(situation)).value
    gens = {name: situation.quantities[name] for name in (POSITION, VELOCITY, GRADIENT)}
    weighted = {monomial: -Exact(weight) for monomial, weight in falls.terms()}
    squares = [(weighted[unit], gens[name]) for name, unit in _SQUARES.items() if unit in weighted]
    crossed = [(weighted[_CROSSED], gens[GRADIENT] * gens[POSITION])] if _CROSSED in weighted else []
    return Decrease(
        name=f"{situation.flow.name}'s own Lyapunov function never rises",
        statement=r"\dot V \le 0",
        bound=lambda q: 0 * q[GAP],
        inequalities=lambda q: crossed,
        squares=lambda q: squares,
        assumption=("on every convex E" if crossed else "on every differentiable E")
        + (" whose minimizer is 0" if situation.at_origin else ""),
        wrong=(r"\dot V \le -10^6\,(E - E^*)", lambda q: 10**6 * q[GAP]),
        needs=("differentiable", "convex") if crossed else ("differentiable",),
    )


def _counted(n: int, one: str, many: str) -> str:
    return f"{n} {one if n == 1 else many}" if n else ""


def own_function(situation: Setting) -> Exact:
    """The flow's own Lyapunov function."""
    if situation.function is None:
        raise UnansweredQuestionError(situation.flow, "lyapunov", "no Lyapunov function is known")
    return situation.function
