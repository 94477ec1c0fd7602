"""Deciding equations between exact expressions: an identity is a proof, a point where it fails a refutation."""

import itertools
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from sympy.polys.fields import FracElement

from ..exact.algebra import rational
from ..exact.leaf import Exact
from ..results.grades import Grade
from .claims import Claim

# Values that are tried in search of a point where an equation fails; generic, so that few polynomials vanish on all.
_TRIED = (Fraction(2), Fraction(3), Fraction(1, 2), Fraction(5), Fraction(1))
_MOST_POINTS = 2_000

Equations = Mapping[str, tuple[Exact, Exact]]


def decide_equations(
    name: str,
    statement: str,
    equations: Equations,
    reason: str,
    sibling: Claim | None = None,
    at_start: Mapping[str, int] | None = None,
) -> Claim:
    """A claim that left and right are equal: proved if their difference is identically zero, else refuted by a point.

    Args:
        name: what the claim is about.
        statement: it, in LaTeX.
        equations: left and right, exact, by a name that says what they are.
        reason: how it is proved, if it is.
        sibling: the false statement that goes with it.
        at_start: the values at t = 0 of the functions of time among the generators: where a counterexample is looked
            for.
    """
    unequal = {label: pair for label, pair in equations.items() if (pair[0] - pair[1]).value}
    if not unequal:
        return Claim(name, statement, Grade.PROVED, reason, None, sibling)
    for label, (left, right) in unequal.items():
        point = _point_of_failure((left - right).value, at_start or {})
        if point is not None:
            what = f"{label} are {_at(left, point)} and {_at(right, point)} at {_spelled(point, left, right, at_start)}"
            return Claim(name, statement, Grade.REFUTED, f"{label} differ", what, sibling)
    what = f"{', '.join(unequal)} differ as functions of time"
    return Claim(name, statement, Grade.REFUTED, what, what, sibling)


def _point_of_failure(difference: Any, fixed: Mapping[str, int]) -> dict[str, Fraction] | None:
    """Rational values of the generators at which it is not zero, those that are fixed being what they are."""
    if not isinstance(difference, FracElement):
        return {}
    names = [str(symbol) for symbol in difference.field.symbols]
    free = [name for name in names if name not in fixed]
    # Each name starts from another value, so that no two are equal at the first point.
    tried = [_TRIED[i % len(_TRIED) :] + _TRIED[: i % len(_TRIED)] for i in range(len(free))]
    for values in itertools.islice(itertools.product(*tried), _MOST_POINTS):
        chosen = dict(zip(free, values, strict=True))
        point = {name: Fraction(fixed[name]) if name in fixed else chosen[name] for name in names}
        if _evaluated(difference.denom, point) and _evaluated(difference.numer, point):
            return point
    return None


def _at(value: Exact, point: Mapping[str, Fraction]) -> Any:
    element = value.value
    if not isinstance(element, FracElement):
        return element
    return _evaluated(element.numer, point) / _evaluated(element.denom, point)


def _evaluated(polynomial: Any, point: Mapping[str, Fraction]) -> Any:
    return polynomial(*(rational(value) for value in point.values()))


def _spelled(point: Mapping[str, Fraction], left: Exact, right: Exact, at_start: Mapping[str, int] | None) -> str:
    """The values that matter; those of functions of time are told by t = 0."""
    elements = [value.value for value in (left, right) if isinstance(value.value, FracElement)]
    used = {str(symbol) for element in elements for symbol in element.as_expr().free_symbols}
    told = [f"{name} = {value}" for name, value in point.items() if name in used and name not in (at_start or {})]
    return ", ".join([*(["t = 0"] if at_start else []), *told]) or "every point"


def refuted_sibling(claim: Claim) -> Claim | None:
    """The claim if it was refuted, as a false statement should be; none where it happens to be true or undecided."""
    return claim if claim.grade is Grade.REFUTED else None
