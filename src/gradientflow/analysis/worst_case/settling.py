"""Claims about runs on a whole class of energies: proved by a certificate, or refuted by an energy that one can run."""

import dataclasses
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from sympy import QQ
from sympy.polys.polyerrors import CoercionFailed, ExactQuotientFailed
from sympy.polys.rings import PolyElement

from gradientflow.discretizers import Method
from gradientflow.flows import Energy, check_integer, looks_at_numbers
from gradientflow.flows.checks import in_a_line

from ..exact.algebra import fraction, polynomials
from ..exact.leaf import Exact, NotExactError
from ..results.grades import Grade, Graded
from ..results.result import Result
from .certificate import Certificate, is_count, quadratic_motions, with_slack, without_slack
from .conditions import Condition, Inequalities
from .interpolant import extreme
from .problem import EnergyClass, Problem, energy_class, run_problem
from .run import Run
from .semidefinite import solve

# Below this, relative to the claim's largest coefficient, a violation is not told from rounding: a gradient of the
# energy that is built is off by the root of the rounding of its value.
_NOTICEABLE = 1e-5


@dataclasses.dataclass(frozen=True)
class Quantities:
    """A run's quantities, as a claim is written in them; products of two vectors stand for inner products.

    Attributes:
        x: the iterates less the minimizer, x[0], …, x[N].
        g: the gradients at the iterates.
        E: the energies of the iterates less the minimum.
    """

    x: Sequence[Any]
    g: Sequence[Any]
    E: Sequence[Any]


@dataclasses.dataclass(frozen=True, repr=False)
class Counterexample(Graded):
    """An energy of the class, and a start from which a claim fails on it.

    Attributes:
        method: the method on that energy.
        x0: the start, shape (r,); the minimizer is 0.
        violation: the claimed quantity on the run: negative.
        claim: (quantities) ↦ what is claimed not to be negative.
        steps: N.
    """

    method: Method
    x0: np.ndarray
    violation: float
    claim: Callable[[Any], Any]
    steps: int

    @property
    def grade(self) -> Grade:
        """The claim is refuted, as far as it is violated on the run."""
        return Grade.REFUTED if self.violation < 0 else Grade.UNKNOWN

    @property
    def energy(self) -> Energy:
        """The energy, to be evaluated, plotted or minimized."""
        return self.method.flow.energy

    def run(self) -> float:
        """Runs the method on the energy again, and returns the claimed quantity."""
        return _on_the_run(self.method, self.x0, self.steps, self.claim)


@dataclasses.dataclass(frozen=True)
class Settled(Result):
    """A claim about N steps of a method on all of F_{μ,L}, decided.

    Attributes:
        subject: the method; its own energy is not used.
        energies: the class.
        grade: *proved*, *refuted* or *unknown*.
        reason: how it was decided.
        claim: (quantities) ↦ what is claimed not to be negative.
        steps: N.
        problem: what was read.
        certificate: the proof's numbers, where it is proved.
        counterexample: the energy and the start, where it is refuted.
    """

    subject: Method
    energies: EnergyClass
    grade: Grade
    reason: str
    claim: Callable[[Any], Any]
    steps: int
    problem: Problem
    certificate: Certificate | None = None
    counterexample: Counterexample | None = None

    def check(self) -> bool:
        """Whether the certificate proves the claim by exact arithmetic, or the counterexample refutes it when run."""
        if not (isinstance(self.problem, Problem) and self.problem.is_of(self.subject, self.energies)):
            return False
        if not is_count(self.steps) or not callable(self.claim):
            return False
        if isinstance(self.certificate, Certificate) and self.grade is Grade.PROVED:
            stated, _ = _condition(self.claim, self.problem, self.steps)
            return dataclasses.replace(self.certificate, conditions=(_plain(stated),)).check()
        if not isinstance(example := self.counterexample, Counterexample) or self.grade is not Grade.REFUTED:
            return False
        return _on_the_run(example.method, example.x0, self.steps, self.claim) < example.violation / 2 < 0

    def __repr__(self) -> str:
        """Grade and reason."""
        return f"{self.subject.name} on {self.energies}: {self.grade}; {self.reason}"


@looks_at_numbers
def settle(claim: Any, method: Any, mu: Any, L: Any, steps: int = 1) -> Settled:
    r"""Whether an inequality holds for every run of a method on every energy of F_{μ,L}.

    It is proved if it is a nonnegative combination of the class's inequalities and squares, in exact arithmetic.
    Otherwise the semidefinite program's dual tells points, gradients and energies that violate it; an energy of the
    class that has them is built, and the method is run on it.

    Args:
        claim: (quantities) ↦ what is claimed not to be negative, from the quantities' `x`, `g` and `E`: a combination
            of energies and of products of two vectors. Numbers in it are integers, fractions or dyadic floats.
        method: a method with a constant step; its own energy is not used.
        mu: μ; −L for energies that are smooth but not convex. Then the "minimizer" is a stationary point.
        L: L > μ, finite.
        steps: N.

    Raises:
        ValueError: if a number is out of its range, or the claim is not of this kind.
        TypeError: if the step is not a constant, or `steps` is no integer.
        NotExactError: if the recipe can't be read, or the claim holds an inexact number.

    Example:
        The descent lemma at η = 1, of smooth energies, convex or not:

        >>> import gradientflow as gf
        >>> descent = gf.optimizers.gradient_descent(gf.landscapes.bowl(), lr=1)
        >>> print(gf.settle(lambda run: run.E[0] - run.E[1] - run.g[0] * run.g[0] / 2, descent, mu=-1, L=1).grade)
        proved
    """
    check_integer("settle", 1, steps=steps)
    if not callable(claim):
        raise TypeError(
            f"settle: `claim` must be a function such as lambda run: run.E[0] - run.E[1], got {in_a_line(claim)}"
        )
    energies = energy_class("settle", mu, L, strongly=False, convex=False)
    if energies.L is None:
        raise ValueError("settle: `L` must be finite")
    asked = run_problem("settle", method, energies, steps)

    def settled(grade: Grade, reason: str, **found: Any) -> Settled:
        return Settled(method, energies, grade, reason, claim, steps, asked, **found)

    condition, largest = _condition(claim, asked, steps)
    best = solve([condition.as_floats()], least=[1.0])
    if not best.is_solved:
        return settled(Grade.UNKNOWN, f"the solver did not converge: {best.status}")
    lacking = float(best.weights[0])
    if lacking < _NOTICEABLE:
        plain = _plain(condition)
        without = dataclasses.replace(best, weights=np.zeros(0))
        certificate = with_slack([plain], solve([plain.as_floats()], fixed=[])) if lacking < 0 else None
        known = plain.inequalities
        motions = quadratic_motions(known.at, [known.mu, 1 / known.inverse_L])
        for kernel in (*motions, *([np.vstack(motions)] if motions else []), None):
            certificate = certificate or without_slack(plain, without, kernel)
        if certificate is not None:
            words = "a nonnegative combination of inequalities and squares, exactly"
            return settled(Grade.PROVED, words, certificate=certificate)
        return settled(Grade.UNKNOWN, "it holds up to rounding, but no exact certificate was found")
    method_there, start = extreme(asked, condition, best)
    violation = _on_the_run(method_there, start, steps, claim)
    # By duality the claimed quantity should be −w times the coefficient that the form was divided by.
    if not violation < -lacking * float(largest) / 2:
        return settled(Grade.UNKNOWN, "no certificate, and no energy against it that runs")
    words = f"on an energy of the class the claimed quantity is {violation:.6g} (`.counterexample.run()`)"
    found = Counterexample(method_there, start, violation, claim, steps)
    return settled(Grade.REFUTED, words, counterexample=found)


def _plain(condition: Condition) -> Condition:
    """The claimed form alone."""
    return dataclasses.replace(condition, terms=tuple(part[:0] for part in condition.terms))


def _condition(claim: Callable[[Any], Any], asked: Problem, steps: int) -> tuple[Condition, Fraction]:
    """The claimed form, divided by its largest coefficient, plus w times all squares; and that coefficient."""
    run = Run(asked, steps)
    places = [run.place(k) for k in range(steps + 1)]
    at, size = run.points(), run.size
    ring = polynomials([f"v{i}" for i in range(size)] + [f"E{i}" for i in range(size - 1)])
    vectors, heights = ([Exact(generator) for generator in part] for part in (ring.gens[:size], ring.gens[size:]))
    # What each vector of the basis is counted in.
    units = [Fraction(1), *[asked.unit] * (size - 1)]
    positions = []
    for k in range(steps + 1):
        row = zip(run.row(k)[0], units, vectors, strict=True)
        positions.append(sum((Exact(Fraction(c) / unit) * v for c, unit, v in row), 0 * vectors[0]))
    gradients, gaps = [vectors[1 + place] for place in places], [heights[place] for place in places]
    try:
        value = claim(Quantities(positions, gradients, gaps))
    except IndexError:
        raise ValueError(f"settle: `claim` asks for an iterate beyond `steps` = {steps}") from None
    except (NotExactError, TypeError, CoercionFailed, ExactQuotientFailed) as error:
        kind = NotExactError if isinstance(error, NotExactError) else ValueError
        raise kind(
            f"settle: `claim` returns what is claimed not to be negative, a combination of energies and products of "
            f"two vectors, without comparisons, roots and quotients: a >= b is a - b. {error}"
        ) from error
    form, values = _parsed(value, units)
    largest = max(abs(c) for c in (*form.ravel(), *values)) or Fraction(1)
    unit = np.array([[Fraction(int(i == j)) for j in range(size)] for i in range(size)], dtype=object)
    term = (unit[None], np.full((1, size - 1), Fraction(0), dtype=object))
    basis = tuple(run.basis)
    known = Inequalities(at, asked.mu, asked.inverse_L)
    return Condition(r"\text{claimed}", (form / largest, values / largest), term, known, basis), largest


def _parsed(value: Any, units: Sequence[Fraction]) -> tuple[np.ndarray, np.ndarray]:
    """A polynomial in vectors and energies as a form in balanced units, and its coefficients of values."""
    size = len(units)
    form, values = (np.full(shape, Fraction(0), dtype=object) for shape in ((size, size), size - 1))
    terms = value.value.terms() if isinstance(value, Exact) and isinstance(value.value, PolyElement) else [((), QQ(1))]
    for powers, coefficient in terms:
        c = fraction(coefficient)
        match [i for i, power in enumerate(powers) for _ in range(power)]:
            case [i] if i >= size:
                # Energies and gradients are counted in the same unit.
                values[i - size] += c * units[-1]
            case [i, j] if j < size:
                form[i, j] += c * units[i] * units[j] / 2
                form[j, i] += c * units[i] * units[j] / 2
            case _:
                raise ValueError(
                    "settle: `claim` must combine energies and products of two vectors, such as run.E[0] - run.E[1] - "
                    f"run.g[0] * run.g[0]; it returned {value}"
                )
    return form, values


def _on_the_run(method: Method, x0: np.ndarray, steps: int, claim: Callable[[Any], Any]) -> float:
    """The claimed quantity along the method's run, in double precision whatever is set."""
    with jax.enable_x64(True):
        run = method.iterate(jnp.asarray(x0), steps=steps)
        energy = method.flow.energy
        x = [_Vector(np.asarray(row)) for row in run.x]
        g = [_Vector(np.asarray(energy.grad(row))) for row in run.x]
        return float(claim(Quantities(x, g, [float(value) for value in run.energy])))


class _Vector:
    """An array whose product with its like is the inner product, as claims write it."""

    __array_ufunc__ = None

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __add__(self, other: Any) -> "_Vector":
        return _Vector(self.array + other.array)

    def __sub__(self, other: Any) -> "_Vector":
        return _Vector(self.array - other.array)

    def __radd__(self, other: Any) -> "_Vector":
        # Python's sum() starts from 0.
        return self if isinstance(other, int) and other == 0 else NotImplemented

    def __pow__(self, exponent: Any) -> float:
        if exponent != 2:
            raise ValueError(f"settle: vectors are only squared, not raised to {exponent}")
        return self * self

    def __neg__(self) -> "_Vector":
        return _Vector(-self.array)

    def __mul__(self, other: Any) -> Any:
        return float(self.array @ other.array) if isinstance(other, _Vector) else _Vector(self.array * float(other))

    def __rmul__(self, other: Any) -> "_Vector":
        return _Vector(float(other) * self.array)

    def __truediv__(self, other: Any) -> "_Vector":
        return _Vector(self.array / float(other))
