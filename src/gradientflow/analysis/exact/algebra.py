"""SymPy's sparse fields and rings, which type checkers know too little of."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from sympy import QQ
from sympy.polys.fields import FracField
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
