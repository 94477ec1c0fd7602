"""Certificates: numbers that prove a bound, checked on fractions; and how a solver's floats become such numbers."""

import dataclasses
import numbers
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from ..exact.algebra import solution_near
from ..results.grades import Grade, Graded
from ..results.result import described
from .conditions import Condition, Points
from .semidefinite import Solution, solve

# A solver's numbers are rounded to multiples of this. It is finer than they are good for.
_GRID = 2**44
# Where a certificate has no slack, its numbers are guessed as fractions, with the first of these denominators that
# comes so near that it would hardly do so by chance.
_DENOMINATORS = (20, 200, 2_000)
_CHANCE = 0.04
# Of fractions with such denominators one says that they can be read.
_READABLE = 10_000
# Elimination takes that many rows, pivots, columns and bits in ten seconds or so: of long fractions a float's are.
_LONGEST_ELIMINATION = 1e9
# How precise what a solver minimizes is, relatively.
_PRECISION = 1e-7
# What a solver leaves of a number that is zero, relative to the largest.
_VANISHING = 2e-5


@dataclasses.dataclass(frozen=True, repr=False)
class Certificate(Graded):
    """A proof: conditions on all energies of a class, and the weights and multipliers under which they hold.

    Attributes:
        conditions: what must hold, in fractions.
        weights: w.
        multipliers: λ ≥ 0 of every condition.
    """

    conditions: tuple[Condition, ...]
    weights: tuple[Fraction, ...]
    multipliers: tuple[tuple[Fraction, ...], ...]

    def fields(self) -> dict[str, str]:
        """What must hold, as LaTeX, and the fractions under which it does."""
        multipliers = "; ".join(", ".join(map(str, some)) for some in self.multipliers)
        return {
            "conditions": "; ".join(condition.statement for condition in self.conditions),
            "weights": described(", ".join(map(str, self.weights))),
            "multipliers": described(multipliers),
        }

    @property
    def grade(self) -> Grade:
        """Proved if the check holds, which is exact; else nothing."""
        return Grade.PROVED if self.check() else Grade.UNKNOWN

    def check(self) -> bool:
        """Whether it proves what it should, by exact arithmetic alone: no solver is asked.

        Raises:
            TypeError: if a number is a float.
        """
        if not (
            _are_numbers(self.weights) and is_listed(self.multipliers) and all(map(_are_numbers, self.multipliers))
        ):
            return False
        if not (is_listed(self.conditions) and all(isinstance(each, Condition) for each in self.conditions)):
            return False
        pairs = list(zip(self.conditions, self.multipliers, strict=False))
        fits = len(pairs) == len(self.conditions) == len(self.multipliers) and all(
            len(multipliers) == len(condition.inequalities.names) and len(self.weights) == len(condition.terms[0])
            for condition, multipliers in pairs
        )
        return fits and all(condition.holds(self.weights, multipliers) for condition, multipliers in pairs)


def is_listed(value: Any) -> bool:
    """Whether a certificate's numbers can be in it."""
    return isinstance(value, list | tuple)


def is_count(value: Any) -> bool:
    """Whether it is a number of steps; 3.0 is none."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and int(value) >= 1


def _are_numbers(value: Any) -> bool:
    return is_listed(value) and all(isinstance(each, numbers.Real) for each in value)


def with_slack(conditions: Sequence[Condition], found: Solution) -> Certificate | None:
    """A certificate from a solution with a margin: rounding may use it up, and then there is none."""
    if any(len(condition.unsupported) for condition in conditions):
        return _on_the_equations(conditions, found)
    weights = [_rounded(w) for w in found.weights]
    multipliers = [
        condition.balanced(weights, [max(_rounded(m), Fraction(0)) for m in some])
        for condition, some in zip(conditions, found.multipliers, strict=True)
    ]
    return _checked(conditions, weights, multipliers)


def quadratic_motions(at: Points, curvatures: Sequence[Fraction]) -> list[np.ndarray]:
    """The start 1 with the gradients that a run has on quadratics λx²/2, each as a row over the basis of the points.

    Where a worst case is such a quadratic, the remainder S annihilates it. A point may depend on its own gradient and
    on those before it; a quadratic on which that has no solution is left out.
    """
    motions = []
    for lam in curvatures:
        values: list[Fraction] = [Fraction(1)]
        for i, row in enumerate(at.x[1:], start=1):
            before = sum((Fraction(c) * value for c, value in zip(row[:i], values, strict=True)), Fraction(0))
            if lam * row[i] == 1:
                break
            values.append(lam * before / (1 - lam * row[i]))
        else:
            motions.append(np.array([values], dtype=object))
    return motions


def _on_the_equations(conditions: Sequence[Condition], found: Solution) -> Certificate | None:
    """The same where more must vanish than the values: all equations are solved exactly, near the solution."""
    rows, sizes = [], [len(some) for some in found.multipliers]
    for k, condition in enumerate(conditions):
        of_weights, of_multipliers, sums = condition.equations()
        others = [np.array([Fraction(0)] * len(sums), dtype=object)]
        before, after = others * sum(sizes[:k]), others * sum(sizes[k + 1 :])
        rows += np.vstack([of_weights.T, *before, of_multipliers.T, *after, -sums[None]]).T.tolist()
    count, multipliers = len(found.weights), np.concatenate(found.multipliers)
    ends = np.cumsum(sizes).tolist()
    for vanishing in (_VANISHING, 0):
        # What is solved for first takes up the rounding of the rest: the largest have the most to spare.
        active = np.flatnonzero(multipliers > vanishing * multipliers.max())
        active = active[np.argsort(-multipliers[active], kind="stable")]
        kept = [*range(count), *(count + active).tolist(), -1]
        guess = [_rounded(number) for number in (*found.weights, *multipliers[active])]
        solved = solution_near([[row[i] for i in kept] for row in rows], guess)
        if solved is None:
            continue
        exact = _spread(solved[count:], active, len(multipliers))
        within = [exact[end - size : end] for size, end in zip(sizes, ends, strict=True)]
        certificate = _checked(conditions, solved[:count], within)
        if certificate is not None:
            return certificate
    return None


def _spread(values: Sequence[Fraction], places: np.ndarray, size: int) -> list[Fraction]:
    """Values at their places among zeros."""
    spread = [Fraction(0)] * size
    for place, value in zip(places.tolist(), values, strict=True):
        spread[place] = value
    return spread


def without_slack(condition: Condition, found: Solution, kernel: np.ndarray | None = None) -> Certificate | None:
    """A certificate from a solution at the optimum, where the remainder S is singular and nothing may be rounded.

    The vectors that S annihilates are known, as rows, or guessed as fractions; then Sn = 0 are linear equations for the
    weights and the multipliers that don't vanish, which are solved exactly.
    """
    kernel = _kernel(condition, found) if kernel is None else kernel
    multipliers = found.multipliers[0]
    active = np.flatnonzero(multipliers > _VANISHING * multipliers.max())
    of_weights, of_multipliers, sums = condition.annihilating(kernel)
    rows = np.hstack([of_weights, of_multipliers[:, active], -sums[:, None]]).tolist()
    if len(rows) * min(len(rows), len(rows[0])) * len(rows[0]) * _longest(rows) > _LONGEST_ELIMINATION:
        return None
    guess = [simplest_near(number) for number in (*found.weights, *multipliers[active])]
    solved = solution_near(rows, guess)
    if solved is None:
        return None
    count = len(found.weights)
    return _checked([condition], solved[:count], [_spread(solved[count:], active, len(multipliers))])


def plain_proof(condition: Condition, weight: Fraction, kernels: Sequence[np.ndarray | None]) -> Certificate | None:
    """Of the proofs with a weight one with few terms, in fractions that can be read if there are such.

    One that connects each point with the minimizer and the next, as far as that will do; else one whose multipliers
    have the least sum; `None` if none is found.

    Args:
        condition: with one weight.
        weight: what it is.
        kernels: what the remainder S may annihilate, as `without_slack` takes it.
    """
    floats, found = condition.as_floats(), None
    far = condition.inequalities.far
    for prices in (far, [1.0] * len(far)):
        cheapest = solve([floats], fixed=[float(weight)], prices=prices)
        if not cheapest.is_solved:
            continue
        proofs = (without_slack(condition, cheapest, kernel) for kernel in kernels)
        proof = next((proof for proof in proofs if proof is not None and proof.weights[0] <= weight), None)
        if proof is not None and max(m.denominator for m in proof.multipliers[0]) <= _READABLE:
            return proof
        found = found or proof
    return found


def _longest(rows: Sequence[Sequence[Any]]) -> int:
    """How many bits the longest fraction has."""
    fractions = (Fraction(entry) for row in rows for entry in row if entry)
    return max((f.numerator.bit_length() + f.denominator.bit_length() for f in fractions), default=0)


def recognized(number: float) -> Fraction | None:
    """The simple fraction that a solver's number is, if it is one."""
    found, exact = simplest_near(number), Fraction(float(number))
    return found if found != exact and abs(found - exact) <= _PRECISION * abs(exact) else None


def _checked(
    conditions: Sequence[Condition], weights: Sequence[Fraction], multipliers: Sequence[Sequence[Fraction]]
) -> Certificate | None:
    certificate = Certificate(tuple(conditions), tuple(weights), tuple(map(tuple, multipliers)))
    return certificate if certificate.check() else None


def _rounded(number: float) -> Fraction:
    return Fraction(round(float(number) * _GRID), _GRID) if np.isfinite(number) else Fraction(0)


def simplest_near(number: float) -> Fraction:
    """The simplest fraction that comes so near as it would hardly do by chance; else the float itself."""
    exact = Fraction(float(number))
    guesses = ((bound, exact.limit_denominator(bound)) for bound in _DENOMINATORS)
    return next((guess for bound, guess in guesses if abs(guess - exact) < _CHANCE / bound**2), exact)


def _kernel(condition: Condition, found: Solution) -> np.ndarray:
    """Vectors in fractions that S annihilates, as rows, as far as a solution in floats tells."""
    numbers = ([Fraction(float(n)) for n in some] for some in (found.weights, found.multipliers[0]))
    form = condition.remainder(*numbers).astype(float)
    return kernel_of(form, max(_VANISHING, 10 * _VANISHING * float(np.linalg.eigvalsh(form)[-1])))


def kernel_of(form: np.ndarray, vanishing: float) -> np.ndarray:
    """Vectors in fractions that a form in floats annihilates, as rows; less than `vanishing` is nothing."""
    eigenvalues, vectors = np.linalg.eigh(form)
    basis = _reduced_rows(vectors[:, eigenvalues < vanishing].T)
    return np.array([[simplest_near(entry) for entry in row] for row in basis], dtype=object).reshape(basis.shape)


def _reduced_rows(rows: np.ndarray) -> np.ndarray:
    """Gauss–Jordan with complete pivoting among the columns: a basis of the row space whose entries are simple."""
    rows = rows.copy()
    for i in range(len(rows)):
        k, pivot = np.unravel_index(np.abs(rows[i:]).argmax(), rows[i:].shape)
        rows[[i, i + int(k)]] = rows[[i + int(k), i]]
        rows[i] /= rows[i, pivot]
        for j in range(len(rows)):
            if j != i:
                rows[j] -= rows[j, pivot] * rows[i]
    return rows
