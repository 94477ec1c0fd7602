r"""How far noise in the gradients keeps a scheme from the minimizer, at worst over a class of energies.

The gradients are $\nabla E(y_k) + e_k$ with $\mathbb E e_k = 0$ whatever came before, and $\mathbb E\|e_k\|^2 \le
\sigma^2$. Let $V = \zeta^\top P\zeta + p(E(y) - E^*) \ge 0$ with ζ = (ξ − ξ*, ∇E(y)), and along any step
$V_k - V_{k+1} - \|x_k - x^*\|^2 + \gamma\|e_k\|^2 + \langle e_k, a^\top\xi_k + b\nabla E(y_k)\rangle \ge 0$. The
product is 0 on average, so that the mean of $\mathbb E\|x_k - x^*\|^2$ over k ends below $\gamma\sigma^2$.

References:
    B. Van Scoy, L. Lessard, The speed-robustness trade-off for first-order methods with additive gradient noise,
    arXiv:2109.05059, 2021.
"""

import dataclasses
import math
from fractions import Fraction
from typing import Any

import numpy as np

from gradientflow.discretizers import Method
from gradientflow.flows import Number, looks_at_numbers

from ..exact.leaf import NotExactError
from ..results.grades import Grade
from ..results.result import Drawn
from .certificate import Certificate, with_slack, without_slack
from .conditions import Condition, Inequalities, points
from .decrease import told
from .forms import product, rounded_up
from .problem import EnergyClass, Problem, energy_class, problem
from .semidefinite import solve

# By how much more than ‖x − x*‖² V falls for the solver, so that rounding has slack to use up; relative.
_SLACKS = (1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3)


@dataclasses.dataclass(frozen=True)
class WorstCaseNoise(Drawn):
    r"""What noise of the gradients costs at worst on F_{μ,L}: the mean of E‖x_k − x*‖² ends below gain·σ².

    Its figure: the gain on quadratics over their curvature, below what is certified.

    Attributes:
        subject: the method; its own energy is not used.
        energies: the class.
        exact: the gain γ as a fraction, never below the truth [T²X²/E² of the gradients' variance]; `None` where none
            was found.
        quadratics: the gain on the most sensitive quadratic of the class, in floating point: no bound can be lower.
        curvature: that quadratic's.
        grade: *proved* where the multipliers are exact without any slack; *certified* where they are a solver's
            numbers with slack, checked again in exact arithmetic; *unknown* where there are none.
        reason: how it was decided, or what the solver said.
        certificate: the proof's numbers.
        problem: what was read.
    """

    drawn_by = "worst_case.figures:plot_noise"

    subject: Method
    energies: EnergyClass
    exact: Fraction | None
    quadratics: float
    curvature: float
    grade: Grade
    reason: str
    certificate: Certificate | None
    problem: Problem

    @property
    def gain(self) -> float:
        """γ, rounded up; ∞ where none was found."""
        if self.exact is None:
            return math.inf
        return rounded_up(self.exact)

    def exact_lyapunov(self) -> dict[tuple[str, str] | str, Fraction]:
        """V in the user's own units, as the certificate has it: what stands before every product, and before E − E*."""
        if self.certificate is None:
            return {}
        sizes = [*self.problem.scales, self.problem.unit]
        named = dict(zip(self.certificate.conditions[1].basis, sizes, strict=True))
        return told(self.certificate.weights, named, ["E_1"], self.problem.unit)

    def check(self) -> bool:
        """Whether the certificate proves the gain, by exact arithmetic alone: no solver is asked."""
        if not (isinstance(self.certificate, Certificate) and isinstance(self.exact, Fraction)):
            return False
        if not (isinstance(self.problem, Problem) and self.problem.is_of(self.subject, self.energies)):
            return False
        if self.grade not in (Grade.PROVED, Grade.CERTIFIED):
            return False
        stated = dataclasses.replace(self.certificate, conditions=tuple(_conditions(self.problem)))
        return stated.check() and _gain(self.problem, stated.weights) <= self.exact

    def latex(self, longest: Number = 12) -> str:
        """The proof as a formula.

        Args:
            longest: fractions of more characters are written as decimals, and what they are in with ≈.

        Raises:
            ValueError: if there is no certificate.
        """
        from .proof import noise_proof

        return noise_proof(self, longest)

    def __repr__(self) -> str:
        """Gain, grade, and what the quadratics alone would give."""
        exact = f" = {self.exact}" if self.exact is not None and self.exact.denominator < 10**6 else ""
        return (
            f"{self.subject.name} on {self.energies}: mean of E‖x_k − x*‖² ≤ {self.gain:.9g}{exact} · σ², "
            f"{self.grade}\n{self.reason}\nmost sensitive quadratic: {self.quadratics:.9g} at curvature "
            f"{self.curvature:.6g}"
        )


@looks_at_numbers
def worst_case_noise(method: Any, mu: Any, L: Any) -> WorstCaseNoise:
    r"""How far noise in the gradients keeps a method from the minimizer on *every* energy of F_{μ,L}.

    With $\nabla E(y_k) + e_k$ in the gradient's place, $\mathbb E[e_k] = 0$ whatever came before and
    $\mathbb E\|e_k\|^2 \le \sigma^2$ over all coordinates together, the mean over $k < N$ of
    $\mathbb E\|x_k - x^*\|^2$ is at most $\gamma\sigma^2$ as N → ∞.

    The least γ that a function $V = \zeta^\top P\zeta + p(E(y) - E^*)$ of state and gradient proves is found by a
    semidefinite program and checked in exact arithmetic. Of gradient descent with h ≤ 2/(L + μ) it is
    $h/(\mu(2 - h\mu))$.

    Args:
        method: a method with a constant step that asks one gradient a step, at a point that it knows; its own energy is
            not used.
        mu: μ > 0.
        L: L > μ, finite.

    Raises:
        ValueError: if a number is out of its range.
        TypeError: if the step is not a constant.
        NotExactError: if the recipe can't be read, or asks other than one gradient a step.

    References:
        B. Van Scoy, L. Lessard, The speed-robustness trade-off for first-order methods with additive gradient noise,
        arXiv:2109.05059, 2021.

    Example:
        >>> import gradientflow as gf
        >>> from fractions import Fraction
        >>> descent = gf.optimizers.gradient_descent(gf.landscapes.bowl(), lr=Fraction(1, 4))
        >>> gf.analysis.worst_case_noise(descent, mu=1, L=4).exact
        Fraction(1, 7)
    """
    energies = energy_class("worst_case_noise", mu, L, strongly=True)
    if energies.L is None:
        raise ValueError("worst_case_noise: `L` must be finite")
    asked = problem("worst_case_noise", method, energies)
    if asked.space.gradients != 1 or asked.space.D.any() or asked.space.position_inputs.any():
        raise NotExactError(
            "worst_case_noise: needs a scheme that asks one gradient a step, at a point that it knows; this one asks "
            f"{'for one at an implicit point' if asked.space.gradients == 1 else f'{asked.space.gradients} a step'}"
        )
    quadratics, curvature = _on_quadratics(asked)

    def result(grade: Grade, reason: str, certificate: Certificate | None = None) -> WorstCaseNoise:
        exact = None if certificate is None else _gain(asked, certificate.weights)
        return WorstCaseNoise(method, energies, exact, quadratics, curvature, grade, reason, certificate, asked)

    if not math.isfinite(quadratics):
        return result(Grade.UNKNOWN, "on a quadratic of the class it does not converge")
    proof = _of_distance(asked) if asked.space.states == 1 else None
    if proof is not None and _gain(asked, proof.weights) <= quadratics * (1 + _SLACKS[1]):
        return result(Grade.PROVED, "V is a multiple of ‖x − x*‖²: its multipliers are exact", proof)
    costs = [float(i == _place_of_gain(asked)) for i in range(len(_conditions(asked)[0].terms[0]))]
    for slack in _SLACKS:
        asked_more = [_with_slack(condition, slack).as_floats() for condition in _conditions(asked)]
        found = solve(asked_more, least=costs)
        if not found.is_solved:
            return result(Grade.UNKNOWN, f"the solver found no bound: {found.status}")
        if certificate := with_slack(_conditions(asked), found):
            reason = f"found numerically and checked in exact arithmetic, with slack {slack:g}"
            return result(Grade.CERTIFIED, reason, certificate)
    return result(Grade.UNKNOWN, "the solver's numbers left no certificate in exact arithmetic")


def _conditions(asked: Problem) -> list[Condition]:
    r"""$\gamma\|e\|^2 + V_k - V_{k+1} - \|x_k - x^*\|^2 + \langle e, a\xi + bu\rangle \ge 0$, and V ≥ 0.

    The weights are P's, then p, γ, a and b.
    """
    space = asked.space
    n = space.states
    zero, unit = space.A[0, 0] * 0, np.eye(n + 3, dtype=int).astype(space.A.dtype)
    state, here, noise, there = unit[:n], unit[n : n + 1], unit[n + 1 : n + 2], unit[n + 2 :]
    known_at_first = unit[: n + 1]
    after = np.vstack([space.A @ state + space.B @ (here + noise), there])
    a, b = np.triu_indices(n + 1)
    known = Inequalities(
        points(np.vstack([space.C @ state, space.C @ after[:n]]), np.vstack([here, there]), ("k", "k+1")),
        asked.mu, asked.inverse_L,
    )  # fmt: skip
    falling = product(known_at_first[a], known_at_first[b]) - product(after[a], after[b])
    none = np.full((1, n + 3, n + 3), zero)
    apart = product(np.repeat(noise, n + 1, axis=0), known_at_first)
    forms = np.concatenate([falling, none, product(noise, noise), apart])
    values = np.full((len(forms), 2), zero)
    values[len(falling)] = [zero + 1, zero - 1]
    position = (space.position @ state)[0]
    names = (*space.names, "g", "e", "g'")
    falls = Condition(
        r"\gamma\|e\|^2 + V_k - V_{k+1} - \|x_k - x^*\|^2 + \langle e, c_k\rangle",
        (-product(position, position), np.full(2, zero)), (forms, values), known, names,
    )  # fmt: skip
    square = np.concatenate([product(known_at_first[a], known_at_first[b]), np.repeat(none, n + 3, axis=0)])
    only = Inequalities(points(space.C @ state[:, : n + 1], here[:, : n + 1], ("k",)), asked.mu, asked.inverse_L)
    inside = square[:, : n + 1, : n + 1]
    return [falls, Condition("V_k", (inside[-1], np.full(1, zero)), (inside, values[:, :1]), only, names[: n + 1])]


def _with_slack(condition: Condition, slack: float) -> Condition:
    """The same of so much more of all squares, relative to a state's."""
    form, values = condition.constant
    return dataclasses.replace(condition, constant=(form - Fraction(slack) * np.eye(len(form), dtype=int), values))


def _of_distance(asked: Problem) -> Certificate | None:
    """An exact certificate whose V is a multiple of ‖x − x*‖² alone, for a system of one state."""
    falls, positive = _conditions(asked)
    # The weights of x², of γ and of what e is multiplied by.
    kept = [0, _place_of_gain(asked), *range(_place_of_gain(asked) + 1, len(falls.terms[0]))]
    alone = dataclasses.replace(falls, terms=(falls.terms[0][kept], falls.terms[1][kept]))
    found = solve([alone.as_floats()], least=[0.0, 1.0, 0.0, 0.0])
    if not found.is_solved:
        return None
    for lam in (asked.mu, 1 / asked.inverse_L):
        # S annihilates e, and the motion on the most sensitive quadratic.
        here = lam * asked.space.C[0, 0]
        after = asked.space.A[0, 0] + asked.space.B[0, 0] * here
        motion = [Fraction(1), here, Fraction(0), here * after]
        noise = [Fraction(0), Fraction(0), Fraction(1), here * asked.space.B[0, 0]]
        proof = without_slack(alone, found, np.array([motion, noise], dtype=object))
        if proof is not None:
            weights = [Fraction(0)] * len(falls.terms[0])
            for place, weight in zip(kept, proof.weights, strict=True):
                weights[place] = weight
            both = Certificate((falls, positive), tuple(weights), (*proof.multipliers, (Fraction(0),) * 2))
            return both if both.check() else None
    return None


def _gain(asked: Problem, weights: Any) -> Fraction:
    """γ, of gradients in the user's own units."""
    return Fraction(weights[_place_of_gain(asked)]) / asked.unit**2


def _place_of_gain(asked: Problem) -> int:
    n = asked.space.states + 1
    return n * (n + 1) // 2 + 1


def _on_quadratics(asked: Problem) -> tuple[float, float]:
    """The greatest gain on a quadratic, ∞ where one does not converge, and the curvature it is at."""
    curvatures, gains = gains_on_quadratics(asked)
    worst = int(np.argmax(gains))
    return float(gains[worst]), float(curvatures[worst]) if np.isfinite(gains[worst]) else math.nan


def gains_on_quadratics(asked: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Quadratics' curvatures, and the gain on each, ∞ where it does not converge; in the user's own units."""
    floats = asked.space.as_floats()
    curvatures, loops = floats.closed_loop(asked.curvatures)
    n = asked.space.states
    gains, settles = np.full(len(loops), math.inf), np.abs(np.linalg.eigvals(loops)).max(axis=-1) < 1
    loops = loops[settles]
    # X = MXMᵀ + BBᵀ as linear equations for X's entries.
    twice = np.einsum("kij,kab->kiajb", loops, loops).reshape(-1, n * n, n * n)
    made = np.broadcast_to((floats.B @ floats.B.T).reshape(-1, 1), (len(loops), n * n, 1))
    spread = np.linalg.solve(np.eye(n * n) - twice, made).reshape(-1, n, n)
    found = np.einsum("i,kij,j->k", floats.position[0], spread, floats.position[0])
    gains[settles] = found / float(asked.unit) ** 2
    return curvatures[:, 0] * float(asked.unit), gains
