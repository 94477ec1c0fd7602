"""How far a scheme can be from the minimum after N steps, at worst over a class of energies."""

import dataclasses
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradientflow.discretizers import Method
from gradientflow.flows import Number, check_integer, looks_at_numbers
from gradientflow.flows.checks import in_a_line

from ..results.grades import Grade, Measured
from ..results.result import Drawn
from .certificate import (
    Certificate,
    is_count,
    is_listed,
    plain_proof,
    quadratic_motions,
    recognized,
    with_slack,
    without_slack,
)
from .choosing import LONG, chosen_for
from .conditions import Condition
from .courses import course_of
from .forms import rounded_up
from .growth import assumed
from .interpolant import extreme, positions_of
from .measures import MEASURES, PLACES, POWERS, Chosen, Initial, Measure, Place, bound_condition, bounded_run
from .problem import EnergyClass, Problem, class_of_g, energy_class, plus_g, refuse_what_is_no_sum, run_problem
from .semidefinite import Solution, solve
from .sums import rest_of_sum

_SLACKS = (1e-8, 1e-7, 1e-6, 1e-5, 1e-4)
# What rounding may add to a run's ratio.
_ROUNDED = 1e-6


@dataclasses.dataclass(frozen=True, repr=False)
class WorstRun(Measured):
    """A run on an energy of the class that is as bad as was found.

    Attributes:
        method: the method on that energy, whose minimizer is 0.
        x0: the start.
        ratio: final over initial, as the run gives it: but for rounding, no bound can be lower. Where it is the bound,
            that can't be improved; where it is less, the worst case is only approached, by energies that are ever
            flatter say.
        course: the same after each number of steps from 0 on, of which the last is the ratio, shape (N + 1,).
    """

    method: Method
    x0: np.ndarray
    ratio: float
    course: np.ndarray


@dataclasses.dataclass(frozen=True)
class WorstCaseBound(Drawn):
    r"""What N steps guarantee on all of F_{μ,L}: final ≤ value · initial.

    Its figure: the bound at the last step, and the course up to it of the worst run and of that on the worst quadratic.

    Attributes:
        subject: the method; its own energy is not used.
        energies: the class.
        steps: N.
        final: what is bounded: `gap` is $E(x_N) - E^*$, `distance` $\|x_N - x^*\|^2$, `gradient` $\|\nabla E(x_N)\|^2$.
        initial: what it is bounded by, the same of x₀: `distance` or `gap` or `gradient`; of a sum also the `state`.
        at: where: at the `last` iterate, at the `best` of x₀, …, x_N, or at their `average`.
        exact: the factor as a fraction, never below the truth; `None` where none was found.
        grade: *proved* where the multipliers are exact without any slack; *certified* where they are a solver's
            numbers with slack, checked again in exact arithmetic; *unknown* where there are none.
        reason: how it was decided, or what the solver said.
        certificate: the proof's numbers.
        problem: what was read.
        chosen: of a long run, the pairs of points by whose inequalities it is bounded; `None` is by all.
    """

    drawn_by = "worst_case.figures:plot_bound"

    subject: Method
    energies: EnergyClass
    steps: int
    final: Measure
    initial: Initial
    at: Place
    exact: Fraction | None
    grade: Grade
    reason: str
    certificate: Certificate | None
    problem: Problem
    chosen: Chosen | None = None

    @property
    def value(self) -> float:
        """The factor, rounded up; ∞ where none was found."""
        if self.exact is None:
            return math.inf
        return rounded_up(self.exact)

    @property
    def final_unit(self) -> Fraction:
        """What the final measure is counted in by the certificate."""
        return self.problem.unit ** POWERS[self.final]

    def check(self) -> bool:
        """Whether the certificate proves the factor, by exact arithmetic alone: no solver is asked."""
        if not (isinstance(self.certificate, Certificate) and isinstance(self.exact, Fraction)):
            return False
        if not (isinstance(self.problem, Problem) and self.problem.is_of(self.subject, self.energies)):
            return False
        known = all(isinstance(name, str) for name in (self.final, self.initial, self.at))
        if not (known and self.final in MEASURES and self.initial in POWERS and self.at in PLACES):
            return False
        if not is_count(self.steps) or self.grade not in (Grade.PROVED, Grade.CERTIFIED):
            return False
        if not is_listed(self.certificate.weights) or len(self.certificate.weights) != 1:
            return False
        if self.certificate.weights[0] > self.exact / _unit(self.problem, self.final, self.initial):
            return False
        try:
            stated = bound_condition(self.problem, self.steps, self.final, self.initial, self.at, self.chosen)
            return dataclasses.replace(self.certificate, conditions=(stated,)).check()
        except (TypeError, ValueError):
            return False  # Pairs that are none.

    def worst(self) -> "WorstRun":
        """An energy of the class, and a start, from the program's dual, and what the method does there.

        Raises:
            ValueError: if the class holds energies that are not convex, whose least value is not known then; if more is
                assumed of them; if the steps are searched for; if there is no bound; or if the energy is too steep to
                run on.
        """
        if self.exact is None or self.energies.mu < 0 or self.problem.assuming or self.problem.searched:
            raise ValueError(
                "worst: needs a bound, of a method with given steps, on a class of convex energies with nothing "
                "assumed beside"
            )
        asked, condition = bounded_run(self.problem, self.steps, self.final, self.initial, self.at, self.chosen)
        method, start, basis = extreme(self.problem, asked, solve([condition.as_floats()], least=[1.0]))
        with jax.enable_x64(True):
            x, is_sum = np.asarray(positions_of(method, start, self.steps)), self.problem.nonsmooth is not None

            def measured(measure: Measure, x: Any) -> float:
                if measure == "gap":
                    return float(method.flow.energy.value(x))
                vector = x if measure == "distance" else method.flow.energy.grad(x)
                return float(jnp.vdot(vector, vector))

            if self.initial == "state":
                first = float(np.sum((asked.moved[:, : asked.size].astype(float) @ basis) ** 2))
            else:
                first = measured(self.initial, x[0])
            course = (
                course_of(x, lambda rows: np.array([measured(self.final, row) for row in rows]), self.at, is_sum)
                / first
            )
        ratio = float(course[-1])
        if ratio > self.value * (1 + _ROUNDED):
            raise ValueError(
                f"worst: on the energy that was found the ratio is {ratio:.9g}, above the bound: it is too steep for "
                "double precision to run on"
            )
        return WorstRun(method, start, ratio, course)

    def latex(self, longest: Number = 12) -> str:
        """The proof as a formula.

        Args:
            longest: fractions of more characters are written as decimals, and what they are in with ≈; the certificate
                has them all, and `latex(math.inf)` writes them all.

        Raises:
            ValueError: if there is no certificate.
        """
        from .proof import bound_proof

        return bound_proof(self, longest)

    def __repr__(self) -> str:
        """The bound in words."""
        exact = f" = {self.exact}" if self.exact is not None and self.exact.denominator < 10**6 else ""
        return (
            f"{self.subject.name} on {self.energies}{plus_g(self.problem)}{_assuming(self.problem)}, "
            f"{self.steps} steps: {_at(self.final, self.at)} ≤ {self.value:.9g}{exact} · {_factor(self.initial)}, "
            f"{self.grade}\n{self.reason}"
        )


_SHOWN = {"gap": "E({}) − E*", "distance": "‖{} − x*‖²", "gradient": "‖∇E({})‖²", "state": "‖z_0 − z*‖²"}


def _assuming(asked: Problem) -> str:
    return "".join(f" with {name.replace('_', ' ')} {float(m * asked.unit):g}" for name, m in asked.assuming)


def _factor(measure: Initial) -> str:
    """The initial measure as a factor: a difference in brackets."""
    shown = _SHOWN[measure].format("x_0")
    return f"({shown})" if measure == "gap" else shown


def _at(measure: Measure, at: Place) -> str:
    shown = _SHOWN[measure].format({"last": "x_N", "best": "x_k", "average": "x̄"}[at])
    return f"the least {shown}, k = 0 … N," if at == "best" else shown


@looks_at_numbers
def worst_case_bound(
    method: Any, steps: int, mu: Any, L: Any, final: Any = "gap", initial: Any = "distance", at: Any = "last",
    nonsmooth: Any = (0, math.inf), assuming: Any = None,
) -> WorstCaseBound:  # fmt: skip
    r"""What N steps from rest guarantee on every energy of F_{μ,L}, convex ones (μ = 0) included.

    With μ < 0 it is the smooth energies that are bounded below, convex or not, on which a step of 1/L leads no further
    down than E*: $E - E^* \ge \|\nabla E\|^2/(2L)$.

    A semidefinite program over all values and gradients that the run may meet; what the solver returns is turned into
    fractions and checked in exact arithmetic.

    Args:
        method: a method with a constant step, or a schedule of steps; its own energy is not used. Coefficients that
            change with the time, such as those of Nesterov's friction 3/t, are read at each step. Gradient descent may
            have an `ExactLineSearch`: of each step it is known then that ∇E at its end is orthogonal to the one before,
            which holds where E has a least value along it.
        steps: N ≥ 1.
        mu: μ; −L for all smooth energies.
        L: L > μ, or `math.inf` for proximal schemes.
        final: what is bounded: `gap`, `distance` (squared) or `gradient` (squared).
        initial: by what of x₀, the first position; of a sum also by the `state` z₀, ‖z₀ − z*‖² with all that the
            scheme keeps, each counted as positions are (Douglas–Rachford's z, ADMM's x and u): z* is where it rests.
        at: at the `last` iterate x_N, at the `best` of x₀, …, x_N, or at their `average`.
        nonsmooth: (μ, L) of g, where the method's energy is a `Composite(f, g)`; mu and L are then f's. Unless given g
            is convex; μ < 0 is weakly convex, where f's μ makes up for it; `"indicator"` says that it is a convex
            set's, so that f is minimized on that. Of a sum the `best` and the `average` are of x₁, …, x_N: x₀ need not
            have an energy.
        assuming: what else is known of the energy, by name, each with its m > 0 [E/X²], at every x, x* being the
            minimizer: `polyak_lojasiewicz` ‖∇E‖² ≥ 2m(E − E*); `quadratic_growth` E − E* ≥ m‖x − x*‖²/2;
            `restricted_secant` ⟨∇E, x − x*⟩ ≥ m‖x − x*‖²; `quasi_strong` ⟨∇E, x − x*⟩ ≥ E − E* + m‖x − x*‖²/2;
            `error_bound` ‖∇E‖ ≥ m‖x − x*‖. What is bounded holds; that an energy with these conditions attains it is
            not said, since they are asked at the run's points alone.

    Raises:
        ValueError: if a number is out of its range, or a measure is unknown.
        TypeError: if the step is not a constant, or `steps` is no integer.
        NotExactError: if the recipe can't be read, naming the line.

    References:
        Y. Drori, M. Teboulle, Performance of first-order methods for smooth convex minimization: a novel approach,
        Math. Programming 145, 2014; E. de Klerk, F. Glineur, A. B. Taylor, On the worst-case complexity of the gradient
        method with exact line search for smooth strongly convex functions, Optim. Letters 11, 2017.

    Example:
        >>> import gradientflow as gf
        >>> descent = gf.optimizers.gradient_descent(gf.landscapes.bowl(), lr=1)
        >>> gf.worst_case_bound(descent, steps=5, mu=0, L=1).exact
        Fraction(1, 22)
        >>> gf.worst_case_bound(descent, steps=2, mu=-1, L=1, final="gradient", initial="gap", at="best").exact
        Fraction(1, 2)
    """
    check_integer("worst_case_bound", 1, steps=steps)
    for name, measure, known in (("final", final, MEASURES), ("initial", initial, tuple(POWERS))):
        if not isinstance(measure, str) or measure not in known:
            raise ValueError(f"worst_case_bound: `{name}` must be one of {', '.join(known)}, got {in_a_line(measure)}")
    if not isinstance(at, str) or at not in PLACES:
        raise ValueError(f"worst_case_bound: `at` must be one of {', '.join(PLACES)}, got {in_a_line(at)}")
    energies = energy_class("worst_case_bound", mu, L, strongly=False, convex=False)
    if energies.mu < 0 and energies.L is None:
        raise ValueError("worst_case_bound: `L` must be finite where `mu` is negative")
    of_g = class_of_g("worst_case_bound", nonsmooth)
    conditions = assumed("worst_case_bound", assuming)
    asked = run_problem("worst_case_bound", method, energies, steps, of_g)
    refuse_what_is_no_sum("worst_case_bound", asked, of_g)
    if asked.nonsmooth is None and initial == "state":
        raise ValueError(
            "worst_case_bound: `initial` may be the `state` of a method of a sum f + g only; give `distance`"
        )
    if asked.nonsmooth is not None and ("gradient" in (final, initial) or energies.mu < 0):
        raise ValueError("worst_case_bound: of a sum f + g give `gap` or `distance`, and mu ≥ 0: it has no gradient")
    if asked.nonsmooth is not None and conditions:
        raise ValueError("worst_case_bound: `assuming` is of one energy, and this is a method of a sum f + g")
    asked = dataclasses.replace(asked, assuming=tuple((name, m / asked.unit) for name, m in conditions.items()))
    chosen: Chosen | None = None
    if steps > LONG:
        chosen, condition, best = chosen_for(asked, lambda pairs: bounded_run(asked, steps, final, initial, at, pairs))
    else:
        condition = bound_condition(asked, steps, final, initial, at)
        best = solve([condition.as_floats()], least=[1.0])
    unit = _unit(asked, final, initial)

    def result(weight: Fraction | None, grade: Grade, reason: str, certificate: Certificate | None) -> WorstCaseBound:
        factor = None if weight is None else weight * unit
        return WorstCaseBound(
            method, energies, steps, final, initial, at, factor, grade, reason, certificate, asked, chosen
        )

    if not best.is_solved:
        hint = _hint(asked, initial, best.status)
        return result(None, Grade.UNKNOWN, f"the solver found no bound: {best.status}{hint}", None)
    curvatures = [asked.mu, *([1 / asked.inverse_L] if asked.inverse_L else [])]
    motions = [] if asked.nonsmooth or asked.searched else quadratic_motions(condition.inequalities.at, curvatures)
    proof = _proof(condition, best, (None, *motions))
    if proof is not None:
        return result(proof.weights[0], Grade.PROVED, "its multipliers are exact", proof)
    within = condition
    for slack in _SLACKS if chosen is None else _SLACKS[1::2]:
        weight = float(best.weights[0]) * (1 + slack)
        found = solve([within.as_floats()], fixed=[weight])
        certificate = with_slack([within], found)
        if certificate is None and found.is_solved and not within.flat:
            within = condition.flattened(found.weights.tolist(), found.multipliers[0].tolist())
            certificate = with_slack([within], solve([within.as_floats()], fixed=[weight])) if within.flat else None
        if certificate is not None:
            reason = f"found numerically and checked in exact arithmetic, with slack {slack:g}"
            return result(certificate.weights[0], Grade.CERTIFIED, reason, certificate)
    return result(None, Grade.UNKNOWN, "the solver's numbers left no certificate in exact arithmetic", None)


def _hint(asked: Problem, initial: Initial, status: str) -> str:
    """What it may mean that the solver found nothing."""
    if status == "DualInfeasible":
        return "; any bound would hold: no energy of the class meets the conditions"
    if asked.nonsmooth and initial != "state" and rest_of_sum("worst_case_bound", asked.space).any():
        return "; what it keeps does not rest at x*: ask initial='state'"
    return ""


def _proof(condition: Condition, best: Solution, kernels: Sequence[np.ndarray | None]) -> Certificate | None:
    """A certificate without slack that is as good as what the solver found: one with few terms where there is one."""
    weight = recognized(best.weights[0])
    if weight is not None and (plain := plain_proof(condition, weight, kernels)) is not None:
        return plain
    proofs = (without_slack(condition, best, kernel) for kernel in kernels)
    return next((p for p in proofs if p and float(p.weights[0]) <= best.weights[0] * (1 + _SLACKS[1])), None)


def _unit(asked: Problem, final: Measure, initial: Initial) -> Fraction:
    return asked.unit ** (POWERS[final] - POWERS[initial])
