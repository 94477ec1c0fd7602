"""SymPy's sparse fields and rings, which type checkers know too little of."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from sympy import QQ
from sympy.polys.fields import FracField
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
