"""Proofs in fractions, place by place in a family's ranges, each by the same few inequalities."""

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from ..exact.algebra import solution_near
from .certificate import Certificate, kernel_of, recognized, simplest_near
from .conditions import Condition
from .decrease import distance_conditions, scheme_conditions
from .problem import Problem
from .rate import distance_rate
from .search import fastest_rate
from .semidefinite import Solution, solve
from .sums import INFINITE, motions

# By so many inequalities at most a step is proved, of which those are taken that will do at the first places.
_MOST, _FIRST = 4, 3
# A margin that a solver leaves of one that is 0.
_TIGHT = 1e-7
# What of S is 0, relative to the numbers that it is made of.
_VANISHING = 1e-5


@dataclasses.dataclass(frozen=True)
class Place:
    """A place in the ranges, and what is asked there.

    Attributes:
        at: what the variables are.
        asked: the method on the class.
        squared_rate: the best ρ²; NaN where none was found.
        is_exact: whether that is a fraction.
    """

    at: tuple[Fraction, ...]
    asked: Problem
    squared_rate: Any
    is_exact: bool

    @property
    def conditions(self) -> list[Condition]:
        """What a Lyapunov function must satisfy: ‖x − x*‖² of a method with one state."""
        space, bounds = self.asked.space, self.asked.bounds()
        if space.states == 1:
            return distance_conditions(space, bounds, False)
        return scheme_conditions(space, bounds, self.squared_rate)

    @property
    def motions(self) -> list[np.ndarray]:
        """What a method with one state does on quadratics of curvature μ and L: where ρ is theirs, S annihilates it."""
        asked = self.asked
        if asked.space.states > 1:
            return []
        return motions(asked.space, [[asked.mu, 1 / asked.inverse_L if asked.inverse_L else INFINITE]])


def place(at: tuple[Fraction, ...], asked: Problem) -> Place:
    """A place, with the best rate there."""
    if asked.space.states == 1:
        plain = distance_rate(asked)
        if plain is not None:
            return Place(at, asked, plain[3].weights[0], True)
    best, _ = fastest_rate(asked, asked.slowest()[0])
    if best is None:
        return Place(at, asked, math.nan, False)
    # A root has the shorter fraction, where it has one.
    root = recognized(best)
    squared = recognized(best**2) if root is None else root**2
    return Place(at, asked, best**2 if squared is None else squared, squared is not None)


def by_few_inequalities(places: Sequence[Place]) -> Iterator[list[tuple[tuple[Fraction, ...], Certificate]]]:
    """Certificates at places whose ρ² is a fraction, where there are; for one choice of inequalities after another."""
    stated = [(each, each.conditions) for each in places]
    names = stated[0][1][0].inequalities.names
    tried: list[tuple[int, ...]] = []
    for size in range(1, min(_MOST, len(names)) + 1):
        for some in itertools.combinations(range(len(names)), size):
            if any(set(few) <= set(some) for few in tried):
                continue
            if all(_by(conditions, some, each.squared_rate) is not None for each, conditions in stated[:_FIRST]):
                tried.append(some)
                found = ((each.at, _exactly(each, conditions, some)) for each, conditions in stated)
                yield [(at, certificate) for at, certificate in found if certificate is not None]


def _by(conditions: Sequence[Condition], some: Sequence[int], squared: Fraction) -> Solution | None:
    """What a solver finds where the first condition is to hold by some of its inequalities only."""
    floats = [condition.as_floats() for condition in conditions]
    floats[0] = _with(floats[0], some)
    found = solve(floats, fixed=[float(squared)] if len(floats) == 1 else None)
    return found if found.is_solved and found.margin > -_TIGHT else None


def _with(condition: Condition, some: Sequence[int]) -> Condition:
    known = condition.inequalities
    chosen = tuple(known.pairs[i] for i in some)
    return dataclasses.replace(condition, inequalities=dataclasses.replace(known, chosen=chosen))


def _exactly(each: Place, conditions: Sequence[Condition], some: Sequence[int]) -> Certificate | None:
    """The same in fractions: what S annihilates is guessed, or a quadratic's motion, and the equations are solved."""
    found = _by(conditions, some, each.squared_rate)
    if found is None:
        return None
    guesses = (_solved(conditions, some, each.squared_rate, found, kernel) for kernel in (None, *each.motions))
    return next((certificate for certificate in guesses if certificate is not None), None)


def _solved(
    conditions: Sequence[Condition], some: Sequence[int], squared: Fraction, found: Solution, kernel: np.ndarray | None
) -> Certificate | None:
    few = [_with(conditions[0], some), *conditions[1:]]
    weights, alone = found.weights, len(few) == 1
    # What is homogeneous is counted in the last multiplier.
    scale = 1.0 if alone else float(found.multipliers[0][-1])
    if not scale > 0:
        return None
    numbers = np.concatenate([weights, *found.multipliers]) / scale
    fixed = {i: squared for i in range(len(weights))} if alone else {len(weights) + len(some) - 1: Fraction(1)}
    size = float(np.abs(numbers).max())
    rows, offset = [], len(weights)
    for condition, multipliers in zip(few, found.multipliers, strict=True):
        floats = condition.as_floats().remainder((weights / scale).tolist(), (multipliers / scale).tolist())
        vanishing = kernel_of(floats, _VANISHING * size) if kernel is None else kernel
        of_weights, of_multipliers, sums = condition.annihilating(vanishing)
        own = np.zeros((len(sums), len(numbers) + 1), dtype=object)
        own[:, : len(weights)], own[:, offset : offset + len(multipliers)] = of_weights, of_multipliers
        own[:, -1] = -sums
        rows.append(own)
        offset += len(multipliers)
    system = np.vstack(rows)
    for place, value in fixed.items():
        system[:, -1] = system[:, -1] + system[:, place] * value
    free = [i for i in range(len(numbers)) if i not in fixed and (i < len(weights) or numbers[i] > _VANISHING * size)]
    solved = solution_near(system[:, [*free, -1]].tolist(), [simplest_near(numbers[i]) for i in free])
    if solved is None:
        return None
    exact = [fixed.get(i, Fraction(0)) for i in range(len(numbers))]
    for place, value in zip(free, solved, strict=True):
        exact[place] = value
    ends = np.cumsum([len(weights), *map(len, found.multipliers)]).tolist()
    spread = [Fraction(0)] * len(conditions[0].inequalities.names)
    for place, value in zip(some, exact[ends[0] : ends[1]], strict=True):
        spread[place] = value
    others = [tuple(exact[a:b]) for a, b in itertools.pairwise(ends[1:])]
    certificate = Certificate(tuple(conditions), tuple(exact[: ends[0]]), (tuple(spread), *others))
    return certificate if certificate.check() else None
