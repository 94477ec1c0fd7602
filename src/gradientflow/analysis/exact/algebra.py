"""SymPy's sparse fields and rings, which type checkers know too little of."""

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from sympy import QQ
from sympy.polys.fields import FracElement, FracField
from sympy.polys.matrices import DomainMatrix
from sympy.polys.rings import PolyRing


def rational_functions(names: Sequence[Any]) -> Any:
    """The field ℚ(names) of rational functions; ℚ itself if there are none."""
    return FracField(tuple(names), QQ) if names else QQ


def polynomials(names: Sequence[str], coefficients: Any = QQ) -> Any:
    """The ring of polynomials in `names` over ℚ or over a field of rational functions."""
    return PolyRing(tuple(names), coefficients if coefficients == QQ else coefficients.to_domain())


def rational(value: Fraction) -> Any:
    """A fraction as an element of ℚ."""
    return QQ(value.numerator, value.denominator)


def fraction(value: Any) -> Fraction:
    """An element of ℚ, or any rational number, as a fraction."""
    return Fraction(int(value.numerator), int(value.denominator))


def value_at(element: Any, values: Mapping[str, Fraction]) -> Fraction:
    """A rational function, or a rational, where its generators have values, by name.

    Raises:
        ZeroDivisionError: if its denominator vanishes there.
    """
    if not isinstance(element, FracElement):
        return fraction(element)
    given = [values[str(symbol)] for symbol in element.field.symbols]

    def summed(part: Any) -> Fraction:
        terms = (fraction(c) * math.prod(map(pow, given, powers)) for powers, c in part.terms())
        return sum(terms, Fraction(0))

    return summed(element.numer) / summed(element.denom)


def solution_near(rows: Sequence[Sequence[Any]], guess: Sequence[Fraction]) -> list[Fraction] | None:
    """Numbers with Σⱼ aᵢⱼxⱼ + aᵢ₀ = 0 for all i, the constant coming last; `None` if there are none.

    By exact elimination; those that are left free are as guessed.
    """
    entries = [[rational(Fraction(entry)) for entry in row] for row in rows]
    system: Any = DomainMatrix(entries, (len(entries), len(guess) + 1), QQ)
    reduced, pivots = system.rref()
    if len(guess) in pivots:
        return None
    found, dense = list(guess), reduced.to_list()
    for i, pivot in enumerate(pivots):
        row = [fraction(entry) for entry in dense[i]]
        found[pivot] = -row[-1] - sum((row[j] * found[j] for j in range(len(guess)) if j != pivot), Fraction(0))
    return found
