"""How far a scheme can be from the minimum after N steps, at worst over a class of energies."""

import dataclasses
import math
from fractions import Fraction
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from gradientflow.discretizers import Method
from gradientflow.flows import check_integer, looks_at_numbers
from gradientflow.flows.checks import in_a_line

from ..results.grades import Grade, Measured
from ..results.result import Result
from .certificate import Certificate, quadratic_motions, with_slack, without_slack
from .conditions import Condition, Inequalities, product
from .interpolant import extreme
from .problem import EnergyClass, Problem, energy_class, problem
from .run import Run
from .semidefinite import solve

Measure = Literal["gap", "distance", "gradient"]
# How many powers of the unit of gradients a measure has: E, ‖x‖², ‖∇E‖².
_POWERS = {"gap": 1, "distance": 0, "gradient": 2}
_SLACKS = (1e-8, 1e-7, 1e-6, 1e-5, 1e-4)


@dataclasses.dataclass(frozen=True, repr=False)
class WorstRun(Measured):
    """A run on an energy of the class that is as bad as was found.

    Attributes:
        method: the method on that energy, whose minimizer is 0.
        x0: the start.
        ratio: final over initial, as the run gives it: but for rounding, no bound can be lower. Where it is the bound,
            that can't be improved; where it is less, the worst case is only approached, by energies that are ever
            flatter say.
    """

    method: Method
    x0: np.ndarray
    ratio: float


@dataclasses.dataclass(frozen=True)
class WorstCaseBound(Result):
    r"""What N steps guarantee on all of F_{μ,L}: final ≤ value · initial.

    Attributes:
        subject: the method; its own energy is not used.
        energies: the class.
        steps: N.
        final: what is bounded: `gap` is $E(x_N) - E^*$, `distance` $\|x_N - x^*\|^2$, `gradient` $\|\nabla E(x_N)\|^2$.
        initial: what it is bounded by, the same of x₀: `distance` or `gap` or `gradient`.
        exact: the factor as a fraction, never below the truth; `None` where none was found.
        grade: *proved* where the multipliers are exact without any slack; *certified* where they are a solver's
            numbers with slack, checked again in exact arithmetic; *unknown* where there are none.
        reason: how it was decided, or what the solver said.
        certificate: the proof's numbers.
        problem: what was read.
    """

    subject: Method
    energies: EnergyClass
    steps: int
    final: Measure
    initial: Measure
    exact: Fraction | None
    grade: Grade
    reason: str
    certificate: Certificate | None
    problem: Problem

    @property
    def value(self) -> float:
        """The factor, rounded up; ∞ where none was found."""
        if self.exact is None:
            return math.inf
        nearest = float(self.exact)
        return nearest if Fraction(nearest) >= self.exact else math.nextafter(nearest, math.inf)

    @property
    def final_unit(self) -> Fraction:
        """What the final measure is counted in by the certificate."""
        return self.problem.unit ** _POWERS[self.final]

    def check(self) -> bool:
        """Whether the certificate proves the factor, by exact arithmetic alone: no solver is asked."""
        if self.certificate is None or not isinstance(self.exact, Fraction):
            return False
        if self.energies != self.problem.energies or len(self.certificate.weights) != 1:
            return False
        if self.certificate.weights[0] > self.exact / _unit(self.problem, self.final, self.initial):
            return False
        stated = _condition(self.problem, self.steps, self.final, self.initial)
        return dataclasses.replace(self.certificate, conditions=(stated,)).check()

    def worst(self) -> "WorstRun":
        """An energy of the class, and a start, from the program's dual, and what the method does there.

        Raises:
            ValueError: if the class has no bound above, or if there is no bound.
        """
        if self.energies.L is None or self.exact is None:
            raise ValueError("worst: needs a bound, and a class with a finite L")
        condition = _condition(self.problem, self.steps, self.final, self.initial)
        method, start = extreme(self.problem, condition, solve([condition.as_floats()], least=[1.0]))
        with jax.enable_x64(True):
            run = method.iterate(jnp.asarray(start), steps=self.steps)

            def measured(measure: Measure, k: int) -> float:
                if measure == "gap":
                    return float(run.energy[k])
                vector = run.x[k] if measure == "distance" else method.flow.energy.grad(run.x[k])
                return float(jnp.vdot(vector, vector))

            return WorstRun(method, start, measured(self.final, -1) / measured(self.initial, 0))

    def latex(self) -> str:
        """The proof as a formula."""
        from .proof import bound_proof

        return bound_proof(self)

    def __repr__(self) -> str:
        """The bound in words."""
        exact = f" = {self.exact}" if self.exact is not None and self.exact.denominator < 10**6 else ""
        return (
            f"{self.subject.name} on {self.energies}, {self.steps} steps: "
            f"{_SHOWN[self.final].format('N')} ≤ {self.value:.9g}{exact} · {_SHOWN[self.initial].format('0')}, "
            f"{self.grade}\n{self.reason}"
        )


_SHOWN = {"gap": "E(x_{}) − E*", "distance": "‖x_{} − x*‖²", "gradient": "‖∇E(x_{})‖²"}


@looks_at_numbers
def worst_case_bound(
    method: Any, steps: int, mu: Any, L: Any, final: Any = "gap", initial: Any = "distance"
) -> WorstCaseBound:
    r"""What N steps from rest guarantee on every energy of F_{μ,L}, convex ones (μ = 0) included.

    A semidefinite program over all values and gradients that the run may meet; what the solver returns is turned into
    fractions and checked in exact arithmetic.

    Args:
        method: a method with a constant step; its own energy is not used.
        steps: N ≥ 1.
        mu: μ ≥ 0.
        L: L > μ, or `math.inf` for proximal schemes.
        final: what is bounded at x_N: `gap`, `distance` (squared) or `gradient` (squared).
        initial: by what of x₀.

    Raises:
        ValueError: if a number is out of its range, or a measure is unknown.
        TypeError: if the step is not a constant, or `steps` is no integer.
        NotExactError: if the recipe can't be read, naming the line.

    References:
        Y. Drori, M. Teboulle, Performance of first-order methods for smooth convex minimization: a novel approach,
        Math. Programming 145, 2014.

    Example:
        >>> import gradientflow as gf
        >>> descent = gf.optimizers.gradient_descent(gf.landscapes.bowl(), lr=1)
        >>> gf.worst_case_bound(descent, steps=5, mu=0, L=1).exact
        Fraction(1, 22)
    """
    check_integer("worst_case_bound", 1, steps=steps)
    for name, measure in (("final", final), ("initial", initial)):
        if not isinstance(measure, str) or measure not in _POWERS:
            raise ValueError(
                f"worst_case_bound: `{name}` must be one of {', '.join(_POWERS)}, got {in_a_line(measure)}"
            )
    energies = energy_class("worst_case_bound", mu, L, strongly=False)
    asked = problem("worst_case_bound", method, energies)
    condition = _condition(asked, steps, final, initial)
    floats = condition.as_floats()
    unit = _unit(asked, final, initial)

    def result(weight: Fraction | None, grade: Grade, reason: str, certificate: Certificate | None) -> WorstCaseBound:
        factor = None if weight is None else weight * unit
        return WorstCaseBound(method, energies, steps, final, initial, factor, grade, reason, certificate, asked)

    best = solve([floats], least=[1.0])
    if not best.is_solved:
        return result(None, Grade.UNKNOWN, f"the solver found no bound: {best.status}", None)
    curvatures = [asked.mu, *([1 / asked.inverse_L] if asked.inverse_L else [])]
    motions = quadratic_motions(condition.inequalities.at, curvatures)
    for kernel in (None, *motions):
        certificate = without_slack(condition, best, kernel)
        if certificate is not None and float(certificate.weights[0]) <= best.weights[0] * (1 + _SLACKS[1]):
            return result(certificate.weights[0], Grade.PROVED, "its multipliers are exact", certificate)
    for slack in _SLACKS:
        weight = float(best.weights[0]) * (1 + slack)
        certificate = with_slack([condition], solve([floats], fixed=[weight]))
        if certificate is not None:
            reason = f"found numerically and checked in exact arithmetic, with slack {slack:g}"
            return result(certificate.weights[0], Grade.CERTIFIED, reason, certificate)
    return result(None, Grade.UNKNOWN, "the solver's numbers left no certificate in exact arithmetic", None)


def _unit(asked: Problem, final: Measure, initial: Measure) -> Fraction:
    return asked.unit ** (_POWERS[final] - _POWERS[initial])


def _condition(asked: Problem, steps: int, final: Measure, initial: Measure) -> Condition:
    """That τ·initial − final ≥ 0 for runs of N steps; τ is the weight."""
    run = Run(asked, steps)
    places = {k: run.place(k) for k, measure in ((steps, final), (0, initial)) if measure != "distance"}
    at = run.points()
    constant = _measured(final, places.get(steps), run.row(steps), at.gradients)
    term = _measured(initial, places.get(0), run.row(0), at.gradients)
    return Condition(
        r"\tau\,\text{initial} - \text{final}", (-constant[0], -constant[1]), (term[0][None], term[1][None]),
        Inequalities(at, asked.mu, asked.inverse_L), ("x_0", *(f"g_{{{name}}}" for name in run.names)),
    )  # fmt: skip


def _measured(
    measure: Measure, where: int | None, row: np.ndarray, gradients: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """A measure of the iterate with this row as a form, and its coefficients of values."""
    values = np.zeros(len(gradients) - 1, dtype=row.dtype)
    nothing = np.zeros((row.shape[1], row.shape[1]), dtype=row.dtype)
    if measure == "distance" or where is None:
        return product(row, row)[0], values
    if measure == "gap":
        values[where] += 1
        return nothing, values
    gradient = gradients[where + 1]
    return product(gradient, gradient), values
