"""Rational functions through exact values: of the least degree that fits them all, with some left over to tell."""

import itertools
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from sympy import QQ
from sympy.polys.matrices import DomainMatrix

from ..exact.algebra import rational, value_at

# So many values more than a function has coefficients must agree.
_LEFT_OVER = 2


def rational_through(places: Sequence[Sequence[Fraction]], values: Sequence[Fraction], field: Any) -> Any:
    """The rational function of the least total degree with these values; `None` where they are too few to tell.

    Args:
        places: a point of each value.
        values: the values.
        field: what it is to be an element of; its generators are the coordinates.
    """
    degree, powers = 0, [(0,) * len(field.gens)]
    while 2 * len(powers) - 1 + _LEFT_OVER <= len(values):
        rows = []
        for place, value in zip(places, values, strict=True):
            monomials = [_monomial(place, power) for power in powers]
            rows.append([rational(m) for m in (*monomials, *(-value * m for m in monomials))])
        system: Any = DomainMatrix(rows, (len(rows), 2 * len(powers)), QQ)
        for vector in system.nullspace().to_list():
            above, below = (_polynomial(part, powers, field) for part in (vector[: len(powers)], vector[len(powers) :]))
            # Numerator and denominator may vanish together at places through which the quotient does not go.
            if below and _goes_through(found := above / below, places, values):
                return found
        degree += 1
        powers = [p for p in itertools.product(range(degree + 1), repeat=len(field.gens)) if sum(p) <= degree]
    return None


def _goes_through(found: Any, places: Sequence[Sequence[Fraction]], values: Sequence[Fraction]) -> bool:
    names = list(map(str, found.field.symbols))
    try:
        return all(
            value_at(found, dict(zip(names, place, strict=True))) == value
            for place, value in zip(places, values, strict=True)
        )
    except ZeroDivisionError:
        return False


def _monomial(place: Sequence[Any], power: Sequence[int]) -> Any:
    value: Any = Fraction(1)
    for coordinate, exponent in zip(place, power, strict=True):
        value = value * coordinate**exponent
    return value


def _polynomial(coefficients: Sequence[Any], powers: Sequence[Sequence[int]], field: Any) -> Any:
    found = field.zero
    for coefficient, power in zip(coefficients, powers, strict=True):
        term = field.one * coefficient
        for generator, exponent in zip(field.gens, power, strict=True):
            term = term * generator**exponent
        found = found + term
    return found
