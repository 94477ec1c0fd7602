"""How fast a scheme or a flow converges on every energy of a class: a Lyapunov function, found and proved."""

import dataclasses
import math
from fractions import Fraction
from typing import Any

from gradientflow.discretizers import Method
from gradientflow.flows import Flow, Number, looks_at_numbers

from ..results.grades import Grade
from ..results.result import Drawn
from .certificate import Certificate, is_listed, without_slack
from .decrease import distance_conditions, told
from .forms import rounded_up
from .problem import EnergyClass, Problem, class_of_g, energy_class, plus_g, problem, refuse_what_is_no_sum
from .search import certificate_at, conditions_at, fastest_rate, given_up, is_definite
from .semidefinite import solve
from .sums import INFINITE, follows_state, motions

# By how much the best rate is given up until a certificate is left some slack; relative.
_SLACKS = (1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)


@dataclasses.dataclass(frozen=True)
class WorstCaseRate(Drawn):
    r"""How fast distances to the minimizer shrink at worst, over all of F_{μ,L}.

    Its figure: the guarantee over the steps, or the time, beside the slowest quadratic's decay; and the factor on
    quadratics over their curvature, below what is certified.

    Attributes:
        subject: the method or flow; its own energy is not used.
        energies: the class.
        exact: the rate as a fraction: of a scheme ρ with $\|x_k - x^*\| \le C\rho^k$, an upper bound; of a flow r with
            $\|x(t) - x^*\| \le Ce^{-rt}$ [1/T], a lower bound; `None` where none was found.
        quadratics: the rate on the slowest quadratic of the class, in floating point: no bound can be better.
        curvature: that quadratic's.
        grade: *proved* where the multipliers are exact without any slack; *certified* where they are a solver's
            numbers with slack, checked again in exact arithmetic; *unknown* where there are none.
        reason: how it was decided, or what the solver said.
        certificate: the proof's numbers.
        problem: what was read.
    """

    drawn_by = "worst_case.figures:plot_rate"

    subject: Method | Flow
    energies: EnergyClass
    exact: Fraction | None
    quadratics: float
    curvature: float
    grade: Grade
    reason: str
    certificate: Certificate | None
    problem: Problem

    @property
    def rate(self) -> float:
        """The rate, rounded to the safe side: ρ a step, or r a unit of time; NaN where none was found."""
        if self.exact is None:
            return math.nan
        return -rounded_up(-self.exact) if self.problem.is_flow else rounded_up(self.exact)

    @property
    def lyapunov(self) -> dict[tuple[str, str] | str, float]:
        """V: the coefficient of every product of two vectors, and of every E(yᵢ) − E*, in the user's own units.

        Of a sum f + g vectors are counted from where they rest, and of f(yᵢ) the tangent at x* is taken off, of g
        likewise.
        """
        return {key: float(weight) for key, weight in self.exact_lyapunov().items()}

    def exact_lyapunov(self) -> dict[tuple[str, str] | str, Fraction]:
        """V as the certificate has it, without rounding."""
        if self.certificate is None:
            return {}
        space, found = self.problem.space, self.certificate.weights
        if len(found) == 1:
            return {(space.names[0], space.names[0]): Fraction(1)}
        names = self.certificate.conditions[1].basis
        sizes = [*self.problem.scales, *[self.problem.unit] * (len(names) - space.states)]
        if self.problem.is_flow:
            names, sizes = names[: space.states], sizes[: space.states]
        of_what = ["fg"[part] for part in space.parts] if self.problem.nonsmooth else "E" * len(found)
        energies = [f"{energy}_{i}" for i, energy in enumerate(of_what, start=1)]
        return told(found, dict(zip(names, sizes, strict=True)), energies, self.problem.unit)

    def check(self) -> bool:
        """Whether the certificate proves the rate, by exact arithmetic alone: no solver is asked."""
        if not (isinstance(self.certificate, Certificate) and isinstance(self.exact, Fraction)):
            return False
        if not (isinstance(self.problem, Problem) and self.problem.is_of(self.subject, self.energies)):
            return False
        if (self.exact < 0 and not self.problem.is_flow) or self.grade not in (Grade.PROVED, Grade.CERTIFIED):
            return False
        problem, found = self.problem, self.certificate
        if not is_listed(found.weights):
            return False
        if len(found.weights) == 1:
            if not follows_state(problem.space, _bounded(problem)):
                return False
            stated = distance_conditions(problem.space, problem.bounds(), problem.is_flow)
            claimed = -2 * self.exact if problem.is_flow else self.exact**2
            if found.weights[0] > claimed:
                return False
            return dataclasses.replace(found, conditions=tuple(stated)).check()
        restated = dataclasses.replace(found, conditions=tuple(conditions_at(problem, self.exact)))
        return restated.check() and is_definite(restated, problem)

    @property
    def factor(self) -> float:
        """By what distances shrink a step, or a unit of time: ρ, or e^{−r}."""
        return math.exp(-self.rate) if self.problem.is_flow else self.rate

    def latex(self, longest: Number = 12) -> str:
        """The proof as a formula: what is a nonnegative combination of which inequalities and squares.

        Args:
            longest: fractions of more characters are written as decimals, and what they are in with ≈; the certificate
                has them all, and `latex(math.inf)` writes them all.

        Raises:
            ValueError: if there is no certificate.
        """
        from .proof import rate_proof

        return rate_proof(self, longest)

    def __repr__(self) -> str:
        """Rate, grade, and what the quadratics alone would give."""
        name = self.subject.name
        what = "r per unit time" if self.problem.is_flow else "ρ a step"
        return (
            f"{name} on {self.energies}{plus_g(self.problem)}: {what} = {self.rate:.9g}, {self.grade}\n{self.reason}\n"
            f"slowest quadratic: {self.quadratics:.9g} at curvature {self.curvature:.6g}"
        )


@looks_at_numbers
def worst_case_rate(subject: Any, mu: Any, L: Any, nonsmooth: Any = (0, math.inf)) -> WorstCaseRate:
    r"""How fast distances to the minimizer shrink on *every* μ-strongly convex energy with L-Lipschitz gradient.

    The step is run once with an oracle in the energy's place, so that its matrices are exact; then a Lyapunov function
    of the state, the gradients and the energies is searched for by semidefinite programs, and what the solver returns
    is rounded to fractions and checked in exact arithmetic. The result is never better than the truth.

    Args:
        subject: a method with a constant step, or a flow; its own energy is not used.
        mu: μ > 0; of a sum also 0, where g is strongly convex.
        L: L > μ; `math.inf` for proximal schemes and flows.
        nonsmooth: (μ, L) of g, where the method's energy is a `Composite(f, g)`; mu and L are then f's. Unless given g
            is convex; μ < 0 is weakly convex, where f's μ makes up for it.

    Raises:
        ValueError: if μ ≤ 0 or μ ≥ L.
        TypeError: if the step is not a constant.
        NotExactError: if the recipe can't be read, naming the line.

    References:
        A. B. Taylor, B. Van Scoy, L. Lessard, Lyapunov functions for first-order methods, ICML 2018.

    Example:
        >>> import gradientflow as gf
        >>> from fractions import Fraction
        >>> E = gf.landscapes.bowl()
        >>> found = gf.worst_case_rate(gf.optimizers.gradient_descent(E, lr=Fraction(2, 11)), mu=1, L=10)
        >>> found.exact, print(found.grade)
        proved
        (Fraction(9, 11), None)
    """
    of_g = class_of_g("worst_case_rate", nonsmooth)
    energies = energy_class("worst_case_rate", mu, L, strongly=of_g.mu <= 0)
    asked = problem("worst_case_rate", subject, energies, flows=True, nonsmooth=of_g)
    refuse_what_is_no_sum("worst_case_rate", asked, of_g)
    return rate_of(asked)


def rate_of(asked: Problem) -> WorstCaseRate:
    """The worst-case rate of what was read."""
    quadratics, curvature = asked.slowest()

    def result(exact: Fraction | None, grade: Grade, reason: str, certificate: Certificate | None) -> WorstCaseRate:
        return WorstCaseRate(
            asked.subject, asked.energies, exact, quadratics, curvature, grade, reason, certificate, asked
        )

    plain = distance_rate(asked) if asked.space.states == 1 else None
    if plain is not None and _as_good(float(plain[0]), quadratics, asked):
        return result(*plain)
    best, words = fastest_rate(asked, quadratics)
    if plain is not None and (best is None or _as_good(float(plain[0]), best, asked)):
        return result(*plain)
    if best is None:
        return result(None, Grade.UNKNOWN, words, None)
    for slack in _SLACKS:
        rate = Fraction(given_up(best, slack, asked))
        certificate = certificate_at(asked, rate)
        if certificate is not None:
            reason = f"a Lyapunov function found numerically and checked in exact arithmetic, with slack {slack:g}"
            if not _falls(rate, asked):
                reason = f"no convergence is promised, only how fast it may grow: {reason}"
            return result(rate, Grade.CERTIFIED, reason, certificate)
    return result(None, Grade.UNKNOWN, "the solver's numbers left no certificate in exact arithmetic", None)


def _as_good(rate: float, best: float, asked: Problem) -> bool:
    """Whether a rate is as good as the best, up to what the search may miss."""
    limit = given_up(best, _SLACKS[1], asked)
    return rate >= limit if asked.is_flow else rate <= limit


def _falls(rate: Fraction, asked: Problem) -> bool:
    """Whether what has this rate falls, and the minimizer is reached."""
    return rate > 0 if asked.is_flow else rate < 1


def distance_rate(asked: Problem) -> tuple[Fraction, Grade, str, Certificate] | None:
    """The best rate at which ‖x − x*‖² itself falls, exactly; `None` where it could not be made exact."""
    if not follows_state(asked.space, _bounded(asked)):
        return None
    conditions = distance_conditions(asked.space, asked.bounds(), asked.is_flow)
    floats = distance_conditions(asked.space.as_floats(), asked.bounds(float), asked.is_flow)
    found = solve(floats, least=[1.0])
    if not found.is_solved:
        return None
    # At the optimum S annihilates the motion on the slowest quadratic; else what the solver's numbers say.
    of_parts = [(asked.mu, asked.inverse_L), *([asked.nonsmooth.bounds] if asked.nonsmooth else [])]
    kernels = motions(asked.space, [_ends(*bounds) for bounds in of_parts])
    tried = [without_slack(conditions[0], found, kernel) for kernel in (*kernels, None)]
    certificate = min((c for c in tried if c is not None), key=lambda c: c.weights[0], default=None)
    if certificate is None:
        return None
    weight = certificate.weights[0]
    rate = -weight / 2 if asked.is_flow else _root(weight)
    what = "‖x − x*‖² itself falls" if _falls(rate, asked) else "‖x − x*‖² may grow, and by no more than that"
    if asked.space.position_inputs.any():
        what = what.replace("x", "z") + ", of which the position is a Lipschitz function"
    what = f"{what}: its multipliers are exact"
    return rate, Grade.PROVED, what, certificate


def _bounded(asked: Problem) -> tuple[bool, bool]:
    """Whether the gradients of E, or of f and of g, are Lipschitz."""
    return bool(asked.inverse_L), asked.nonsmooth is not None and asked.nonsmooth.L is not None


def _ends(mu: Fraction, inverse_L: Fraction) -> list[Fraction | None]:
    """The least and the greatest curvature."""
    return [mu, 1 / inverse_L if inverse_L else INFINITE]


def _root(square: Fraction) -> Fraction:
    """√, exactly where it is rational, else rounded up."""
    p, q = math.isqrt(square.numerator), math.isqrt(square.denominator)
    if Fraction(p, q) ** 2 == square:
        return Fraction(p, q)
    digits = 10**40
    return Fraction(math.isqrt(square.numerator * digits * digits // square.denominator) + 1, digits)
