"""Closed forms of iterates: recurrences on any energy, powers on quadratic modes, stationary covariances."""

import math
from collections.abc import Mapping
from typing import Any

import sympy

from gradientflow.discretizers import (
    BackwardEuler,
    DiscreteGradient,
    Discretizer,
    EulerMaruyama,
    ForwardEuler,
    ImplicitMidpoint,
    MomentumEuler,
    RungeKutta,
)
from gradientflow.flows import GradientFlow, HeavyBallFlow, Langevin, Mode, Phase

from ..exact.algebra import polynomials, rational_functions
from ..exact.blame import blaming
from ..exact.leaf import Exact
from ..exact.linear_forms import generic_state, linear_form
from ..exact.mode import ExactMode
from ..linear_stability.reading import Recipe
from .abstract_energy import AbstractEnergy
from .claims import Claim
from .decide import decide_equations, refuted_sibling


def power_claim(discretizer: Discretizer) -> Claim | None:
    """x_k = R^k x₀ on every mode of the gradient flow, R being the textbook's: put into the step that runs.

    `None` for schemes without a formula of their own here; `cayley_hamilton_claim` covers every scheme.
    """
    field = rational_functions(("lambda", "h", "x0", "R_k"))
    lam, h, x0, power = (Exact(generator) for generator in field.gens)
    factor = _textbook_factor(discretizer, lam * h)
    if factor is None:
        return None
    flow = GradientFlow(ExactMode(lam))
    (state,), _ = generic_state(field, 1, None)
    with blaming(discretizer, flow):
        # The step must multiply whatever state it is given; R^k x₀ is one.
        (multiplier,) = linear_form(discretizer.step(flow, Exact(0), state, h), 1, field.zero)
    after = Exact(multiplier) * power * x0
    name = f"iterates of {discretizer.name} on every mode"
    false = _textbook_factor(discretizer, -(lam * h))
    sibling = refuted_sibling(
        decide_equations(name, _power(false), {"x_(k+1) and R x_k": (after, false * power * x0)}, "")
    )
    reason = "put into the step that runs, R^k x₀ goes to R^(k+1) x₀ identically"
    return decide_equations(name, _power(factor), {"x_(k+1) and R x_k": (after, factor * power * x0)}, reason, sibling)


def _textbook_factor(discretizer: Discretizer, z: Exact) -> Any:
    """R at hλ = z, as textbooks give it."""
    named = (ForwardEuler, BackwardEuler, ImplicitMidpoint, DiscreteGradient, RungeKutta)
    if not any(type(discretizer).step is each.step for each in named):
        return None  # a subclass with a step of its own is another scheme
    match discretizer:
        case ForwardEuler():
            return 1 - z
        case BackwardEuler():
            return 1 / (1 + z)
        case ImplicitMidpoint() | DiscreteGradient(rule="gonzalez" | "average"):
            return (2 - z) / (2 + z)
        case RungeKutta(tableau=tableau) if len(tableau.b) == tableau.order:
            return sum(((-z) ** k / math.factorial(k) for k in range(1, tableau.order + 1)), start=1 + 0 * z)
    return None


def _power(factor: Exact) -> str:
    return rf"x_k = \left({sympy.latex(factor.value.as_expr())}\right)^k x_0"


def cayley_hamilton_claim(discretizer: Discretizer, recipe: Recipe) -> Claim:
    """The powers of the step's matrix obey its characteristic recurrence, z_{k+n} from the n before, on every mode."""
    reading = recipe.read_symbolically()
    amplification, polynomial = reading.amplification, reading.polynomial
    field = amplification.field
    coefficients = [field(p) / field(polynomial[0]) for p in polynomial]
    name = f"powers of the step of {discretizer.name}"

    def equations(c: list[Any]) -> dict[str, tuple[Exact, Exact]]:
        value = amplification.evaluated(c)
        return {f"p(A)[{i},{j}] and 0": (Exact(entry), Exact(field.zero))
                for i, row in enumerate(value) for j, entry in enumerate(row)}  # fmt: skip

    false = [*coefficients[:-1], -coefficients[-1]]
    sibling = refuted_sibling(decide_equations(name, _recurrence(false), equations(false), ""))
    reason = "the step is linear in the state, and its matrix satisfies p(A) = 0 identically"
    return decide_equations(name, _recurrence(coefficients), equations(coefficients), reason, sibling)


def _recurrence(coefficients: list[Any]) -> str:
    n = len(coefficients) - 1
    terms = []
    for k, coefficient in enumerate(coefficients[1:], start=1):
        if coefficient:
            shift = f"k+{n - k}" if n > k else "k"
            terms.append(rf"\left({sympy.latex(sympy.factor((-coefficient).as_expr()))}\right) z_{{{shift}}}")
    return rf"z_{{k+{n}}} = {' + '.join(terms) or '0'}"


def momentum_claim() -> Claim:
    """Momentum in the optimizer's own words, on every energy: x' = x + β(x − x₋) − η∇E(x)."""
    field = rational_functions(("h", "m", "gamma"))
    h, m, friction = (Exact(generator) for generator in field.gens)
    ring = polynomials(("x", "x_before", "g"), field)
    x, before, g = (Exact(generator) for generator in ring.gens)
    flow = HeavyBallFlow(AbstractEnergy(x, x * 0, g), mass=m, friction=friction)
    scheme = MomentumEuler()
    with blaming(scheme, flow):
        after = scheme.step(flow, Exact(0), Phase(x, (x - before) / h), h).x
    beta, eta = m / (m + friction * h), h * h / (m + friction * h)
    name = "momentum in the optimizer's own words"
    tail = r"\beta = \tfrac{m}{m + \gamma h},\ \eta = \tfrac{h^2}{m + \gamma h}"
    false = {"x' and its recurrence": (after, x + beta * (x - before) - 2 * eta * g)}
    right = {"x' and its recurrence": (after, x + beta * (x - before) - eta * g)}
    sibling = decide_equations(name, rf"x' = x + \beta(x - x_-) - 2\eta\nabla E(x),\quad {tail}", false, "")
    return decide_equations(
        name, rf"x' = x + \beta(x - x_-) - \eta\nabla E(x),\quad {tail}", right,
        "the step that runs, on free x, x₋ and ∇E(x), identically", refuted_sibling(sibling),
    )  # fmt: skip


def stationary_variance_claim() -> Claim:
    """The variance at which unadjusted Langevin stays on a mode, temperature T: too large by 1/(1 − hλ/2)."""
    field = rational_functions(("lambda", "h", "s"))
    lam, h, s = (Exact(generator) for generator in field.gens)
    ring = polynomials(("x", "dW"), field)
    x, increment = (Exact(generator) for generator in ring.gens)
    temperature = s * s / 2
    flow, scheme = Langevin(Mode(lam), temperature=temperature), EulerMaruyama()
    with blaming(scheme, flow):
        after = scheme.step(flow, Exact(0), x, h, noise=increment)
    a, b = (Exact(after.value.coeff(generator)) for generator in ring.gens)
    name = "stationary variance of unadjusted Langevin"

    def equations(variance: Exact) -> Mapping[str, tuple[Exact, Exact]]:
        return {"a step's variance and itself": (a * a * variance + b * b * h, variance)}

    biased = temperature / (lam * (1 - h * lam / 2))
    sibling = decide_equations(name, r"\sigma^2 = \tfrac{T}{\lambda}", equations(temperature / lam), "")
    return decide_equations(
        name, r"\sigma^2 = \frac{T}{\lambda}\,\frac{1}{1 - h\lambda/2}", equations(biased),
        "the variance that the step that runs gives back, identically", refuted_sibling(sibling),
    )  # fmt: skip
