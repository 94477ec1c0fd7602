"""Signs of rational functions where all their variables are positive, and of symmetric matrices of them."""

import itertools
from fractions import Fraction
from typing import Any

import numpy as np
from sympy import Poly, oo
from sympy.polys.fields import FracElement

from .algebra import fraction

# A polynomial that is positive on the orthant, its border and at infinity has positive coefficients only after it is
# multiplied by (1 + Σs)ᴺ with N large enough, a homogeneous one by (Σs)ᴺ (Pólya).
_POWERS = 6


def is_positive(element: Any) -> bool:
    """Whether a rational function is shown to be positive, and defined, wherever its variables are.

    In one variable that is decided by Sturm's theorem; in several it is shown by coefficients, or not.
    """
    return _sign(element, strictly=True)


def is_nonnegative(element: Any) -> bool:
    """Whether it is shown to be nowhere negative, and defined."""
    return _sign(element, strictly=False)


def is_defined(element: Any) -> bool:
    """Whether it is shown to have no pole where its variables are positive."""
    return not isinstance(element, FracElement) or is_positive(element.field.one / element.denom**2)


def definite_pivots(matrix: np.ndarray) -> list[int] | None:
    """Which rows of a symmetric matrix of rational functions have pivots that are not 0 identically.

    The others are combinations of those. `None` where the matrix is not shown to be positive semidefinite, with pivots
    that are positive wherever the variables are, so that its rank is the same everywhere.
    """
    rest, left, found = [list(row) for row in matrix], list(range(len(matrix))), []
    while left:
        place = next((i for i in left if rest[i][i]), None)
        if place is None:
            # A semidefinite matrix with nothing on its diagonal is 0.
            return None if any(rest[i][j] for i in left for j in left) else found
        if not is_positive(pivot := rest[place][place]):
            return None
        left.remove(place)
        found.append(place)
        for i, j in itertools.product(left, repeat=2):
            rest[i][j] = rest[i][j] - rest[i][place] * rest[place][j] / pivot
    return found


def _sign(element: Any, strictly: bool) -> bool:
    if not isinstance(element, FracElement):
        value = fraction(element)
        return value > 0 or (value == 0 and not strictly)
    if not element:
        return not strictly
    numerator, denominator = element.numer, element.denom
    if _is_signed(-denominator, strictly=True):
        numerator, denominator = -numerator, -denominator
    return _is_signed(denominator, strictly=True) and _is_signed(numerator, strictly)


def _is_signed(polynomial: Any, strictly: bool) -> bool:
    """Whether a polynomial that is not 0 is shown to be positive, or not negative, where its variables are positive."""
    if all(fraction(c) > 0 for c in polynomial.coeffs()):
        return True
    ring = polynomial.ring
    if sum(map(fraction, polynomial.coeffs()), Fraction(0)) < 0:
        return False
    if ring.ngens == 1:
        return _has_no_crossing(polynomial, strictly)
    for total in (sum(ring.gens, ring.one), sum(ring.gens, ring.zero)):
        widened = polynomial
        for _ in range(_POWERS):
            widened = widened * total
            if all(fraction(c) > 0 for c in widened.coeffs()):
                return True
    return False


def _has_no_crossing(polynomial: Any, strictly: bool) -> bool:
    """Whether a polynomial of one variable has no positive root, or changes its sign at none."""
    whole: Any = Poly(polynomial.as_expr(), *polynomial.ring.symbols)
    # Its sign far out is everywhere its sign, then.
    if whole.LC() < 0:
        return False
    for factor, multiplicity in whole.sqf_list()[1]:
        roots = int(factor.count_roots(0, oo)) - (factor.eval(0) == 0)
        if roots and (strictly or multiplicity % 2):
            return False
    return True
