"""Claims about runs on a whole class of energies: proved by a certificate, or refuted by an energy that one can run."""

import dataclasses
import math
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
from .interpolant import extreme, positions_of
from .measures import Known, further
from .problem import EnergyClass, Problem, class_of_g, energy_class, refuse_what_is_no_sum, run_problem
from .run import Run
from .semidefinite import solve
from .sums import known_of_g
from .vector import Vector

# Below this, relative to the claim's largest coefficient, a violation is not told from rounding: a gradient of the
# energy that is built is off by the root of the rounding of its value.
_NOTICEABLE = 1e-5


@dataclasses.dataclass(frozen=True)
class Quantities:
    """A run's quantities, as a claim is written in them; products of two vectors stand for inner products.

    Attributes:
        x: the iterates less the minimizer, x[0], …, x[N].
        g: the gradients at the iterates; of a sum f + g those of f.
        E: the energies of the iterates less the minimum; of a sum those of the sum.
        q: the gradient of f at the minimizer; 0 but of a sum.
    """

    x: Sequence[Any]
    g: Sequence[Any]
    E: Sequence[Any]
    q: Any


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
            _, stated, _ = _condition(self.claim, self.problem, self.steps)
            return dataclasses.replace(self.certificate, conditions=(_plain(stated),)).check()
        if not isinstance(example := self.counterexample, Counterexample) or self.grade is not Grade.REFUTED:
            return False
        return _on_the_run(example.method, example.x0, self.steps, self.claim) < example.violation / 2 < 0

    def __repr__(self) -> str:
        """Grade and reason."""
        return f"{self.subject.name} on {self.energies}: {self.grade}; {self.reason}"


@looks_at_numbers
def settle(claim: Any, method: Any, mu: Any, L: Any, steps: int = 1, nonsmooth: Any = (0, math.inf)) -> Settled:
    r"""Whether an inequality holds for every run of a method on every energy of F_{μ,L}.

    It is proved if it is a nonnegative combination of the class's inequalities and squares, in exact arithmetic.
    Otherwise the semidefinite program's dual tells points, gradients and energies that violate it; an energy of the
    class that has them is built, and the method is run on it.

    Args:
        claim: (quantities) ↦ what is claimed not to be negative, from the quantities' `x`, `g`, `E` and `q`: a
            combination of energies and of products of two vectors. Numbers in it are integers, fractions or dyadic
            floats. Of a sum whose E[0] is named, x₀ has an energy.
        method: a method with a constant step, or a schedule of steps; its own energy is not used.
        mu: μ; −L for energies that are smooth but not convex. Then the "minimizer" is a stationary point.
        L: L > μ, finite.
        steps: N.
        nonsmooth: (μ, L) of g, or `"indicator"`, where the method's energy is a `Composite(f, g)`; mu and L are then
            f's, and the μ of both together at least 0. Unless given g is convex.

    Raises:
        ValueError: if a number is out of its range, or the claim is not of this kind.
        TypeError: if the step is not a constant, or `steps` is no integer.
        NotExactError: if the recipe can't be read, or the claim holds an inexact number.

    References:
        A. B. Taylor, J. M. Hendrickx, F. Glineur, Smooth strongly convex interpolation and exact worst-case performance
        of first-order methods, Math. Programming 161, 2017.

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
    of_g = class_of_g("settle", nonsmooth)
    asked = run_problem("settle", method, energies, steps, of_g)
    refuse_what_is_no_sum("settle", asked, of_g)

    def settled(grade: Grade, reason: str, **found: Any) -> Settled:
        return Settled(method, energies, grade, reason, claim, steps, asked, **found)

    run, condition, largest = _condition(claim, asked, steps)
    best = solve([condition.as_floats()], least=[1.0])
    if not best.is_solved:
        return settled(Grade.UNKNOWN, f"the solver did not converge: {best.status}")
    lacking = float(best.weights[0])
    if lacking < _NOTICEABLE:
        plain = _plain(condition)
        without = dataclasses.replace(best, weights=np.zeros(0))
        certificate = with_slack([plain], solve([plain.as_floats()], fixed=[])) if lacking < 0 else None
        known = plain.inequalities
        motions = [] if asked.nonsmooth else quadratic_motions(known.at, [known.mu, 1 / known.inverse_L])
        for kernel in (*motions, *([np.vstack(motions)] if motions else []), None):
            certificate = certificate or without_slack(plain, without, kernel)
        if certificate is not None:
            words = "a nonnegative combination of inequalities and squares, exactly"
            return settled(Grade.PROVED, words, certificate=certificate)
        return settled(Grade.UNKNOWN, "it holds up to rounding, but no exact certificate was found")
    method_there, start, _ = extreme(asked, run, best)
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


def _condition(claim: Callable[[Any], Any], asked: Problem, steps: int) -> tuple[Run, Condition, Fraction]:
    """The run, the claimed form, divided by its largest coefficient, plus w times all squares; and that coefficient."""
    run = Run(asked, steps)
    places = [run.place_of(run.positions[k], str(k)) for k in range(steps + 1)]
    named = _named(claim, steps) if asked.nonsmooth else []
    of_g = {k: run.place_of(run.positions[k], str(k), part=1) for k in named}
    at, size = run.points(), run.size
    others = run.points(1) if asked.nonsmooth else None
    counts = [len(each.names) - 1 for each in (at, others) if each]
    ring = polynomials([f"v{i}" for i in range(size)] + [f"E{i}" for i in range(sum(counts))])
    vectors, heights = ([Exact(generator) for generator in part] for part in (ring.gens[:size], ring.gens[size:]))
    # What each vector of the basis is counted in.
    units = [Fraction(1), *[asked.unit] * (size - 1)]

    def vector(row: np.ndarray, counted_in: Fraction) -> Any:
        terms = zip(row[:size], units, vectors, strict=True)
        return sum((Exact(Fraction(c) * counted_in / unit) * v for c, unit, v in terms), 0 * vectors[0])

    positions = [vector(run.positions[k], Fraction(1)) for k in range(steps + 1)]
    gradients = [vector(at.gradients[1 + place], asked.unit) for place in places]
    gaps = [heights[place] for place in places]
    for k, place in of_g.items():
        gaps[k] = gaps[k] + heights[counts[0] + place]
    try:
        value = claim(Quantities(positions, gradients, gaps, vector(at.gradients[0], asked.unit)))
    except AttributeError as error:
        raise ValueError(f"settle: `claim` is made of the quantities x, g, E and q: {error}") from error
    except IndexError:
        raise ValueError(f"settle: `claim` asks for an iterate beyond `steps` = {steps}") from None
    except (NotExactError, TypeError, CoercionFailed, ExactQuotientFailed) as error:
        kind = NotExactError if isinstance(error, NotExactError) else ValueError
        raise kind(
            f"settle: `claim` returns what is claimed not to be negative, a combination of energies and products of "
            f"two vectors, without comparisons, roots and quotients: a >= b is a - b. {error}"
        ) from error
    form, values = _parsed(value, units, sum(counts))
    largest = max(abs(c) for c in (*form.ravel(), *values)) or Fraction(1)
    unit = np.array([[Fraction(int(i == j)) for j in range(size)] for i in range(size)], dtype=object)
    term = (unit[None], np.full((1, len(values)), Fraction(0), dtype=object))
    known = []
    if others is not None and asked.nonsmooth is not None:
        inside = run.by_prox(1) + list(of_g.values()) if asked.nonsmooth.indicator else []
        values[[counts[0] + place for place in inside]] = Fraction(0)
        all_of_g = known_of_g(others, asked.nonsmooth.bounds, counts[0], asked.unit, inside)
        known = [Known(*one) for one in zip(*all_of_g, strict=True)]
    within = Inequalities(at, asked.mu, asked.inverse_L, further(known))
    stated = Condition(r"\text{claimed}", (form / largest, values / largest), term, within, tuple(run.basis))
    return run, stated, largest


def _named(claim: Callable[[Any], Any], steps: int) -> list[int]:
    """Of which iterates a claim names the energy: of a sum only those need have one."""
    ring = polynomials(["v", *(f"E{k}" for k in range(steps + 1))])
    v, *E = map(Exact, ring.gens)
    try:
        value = claim(Quantities([v] * (steps + 1), [v] * (steps + 1), E, v))
    except Exception:
        return list(range(steps + 1))  # What is wrong with it is told where it is read.
    terms = value.value.terms() if isinstance(value, Exact) and isinstance(value.value, PolyElement) else []
    return [k for k in range(steps + 1) if any(powers[1 + k] for powers, _ in terms)]


def _parsed(value: Any, units: Sequence[Fraction], count: int) -> tuple[np.ndarray, np.ndarray]:
    """A polynomial in vectors and energies as a form in balanced units, and its coefficients of so many values."""
    size = len(units)
    form, values = (np.full(shape, Fraction(0), dtype=object) for shape in ((size, size), count))
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
        energy, found = method.flow.energy, positions_of(method, x0, steps)
        x = [Vector(np.asarray(row)) for row in found]
        g = [Vector(np.asarray(energy.smooth.grad(row))) for row in found]
        q = Vector(np.asarray(energy.smooth.grad(jnp.zeros_like(found[0]))))
        return float(claim(Quantities(x, g, [float(energy.value(row)) for row in found], q)))
