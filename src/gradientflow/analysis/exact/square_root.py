"""Square roots in ℚ and in fields of rational functions, where they are rational."""

import math
from typing import Any

from sympy import QQ


def square_root(value: Any) -> Any:
    """The root of a perfect square in ℚ or ℚ(a, b, …) for positive a, b, …: of a² it is a, of (a − b)² there is none.

    `None` where there is none: √((a − b)²) is |a − b|, which is not rational. So a root's coefficients have one sign.
    """
    if not hasattr(value, "numer"):
        return _rational_root(value)
    numerator, denominator = _polynomial_root(value.numer), _polynomial_root(value.denom)
    if numerator is None or denominator is None:
        return None
    return value.field(numerator) / value.field(denominator)


def _polynomial_root(polynomial: Any) -> Any:
    if not polynomial:
        return polynomial
    coefficient, factors = polynomial.factor_list()
    root = _rational_root(coefficient)
    if root is None or any(exponent % 2 for _, exponent in factors):
        return None
    found: Any = math.prod((factor ** (exponent // 2) for factor, exponent in factors), start=polynomial.ring(root))
    if all(c > 0 for c in found.coeffs()):
        return found
    return -found if all(c < 0 for c in found.coeffs()) else None


def _rational_root(value: Any) -> Any:
    value = QQ.convert(value)
    numerator, denominator = int(value.numerator), int(value.denominator)
    if numerator < 0 or math.isqrt(numerator) ** 2 != numerator or math.isqrt(denominator) ** 2 != denominator:
        return None
    return QQ(math.isqrt(numerator), math.isqrt(denominator))
