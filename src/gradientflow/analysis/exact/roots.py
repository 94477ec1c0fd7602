"""Positive roots of polynomials over ℚ, isolated exactly, and the first at which a condition fails."""

import dataclasses
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import mpmath
import sympy
from sympy import QQ

from .leaf import NotExactError

# Roots are isolated to so many relative binary digits.
_DIGITS = 80
# Polynomials of higher degree are not factored: at this one it takes a second or two, twice as far minutes.
_HIGHEST_DEGREE = 24
# To isolate roots takes time like the degree cubed by the coefficients' binary digits: so much of it some ten seconds.
_LONGEST = 10**9


@dataclasses.dataclass(frozen=True)
class PositiveRoot:
    """A positive real algebraic number: the only root of a square-free polynomial in an interval.

    Attributes:
        polynomial: square-free over ℚ.
        low: a rational that is not above it.
        high: a rational that is not below it.
    """

    polynomial: sympy.Poly
    low: Fraction
    high: Fraction

    def is_root_of(self, other: sympy.Poly) -> bool:
        """Whether it is a root of another polynomial too."""
        common: Any = sympy.gcd(self.polynomial, other)
        return bool(not common.is_ground and common.count_roots(*self._ends()) > 0)

    def expression(self) -> sympy.Expr:
        """The number in closed form where its degree is at most 2, else as the root of its polynomial.

        Raises:
            NotExactError: if it is irrational and its polynomial of a degree that takes long to factor.
        """
        rational = self._rational()
        if rational is not None:
            return sympy.Rational(rational.numerator, rational.denominator)
        if self.polynomial.degree() > _HIGHEST_DEGREE:
            raise NotExactError(
                f"the number is a root of a polynomial of degree {self.polynomial.degree()}, about {float(self):.12g}; "
                f"beyond degree {_HIGHEST_DEGREE} its exact expression takes too long"
            )
        low, high = self._ends()
        factors = (factor for factor, _ in self.polynomial.factor_list()[1])
        factor = next(factor for factor in factors if factor.degree() > 0 and factor.count_roots(low, high) > 0)
        return sympy.rootof(factor.as_expr(), factor.gen, factor.count_roots(None, high) - 1)

    def _rational(self) -> Fraction | None:
        """The number itself if it is rational: to see that takes a moment, to factor a polynomial minutes."""
        coefficients, middle = _coefficients(self.polynomial), (self.low + self.high) / 2
        # Its denominator divides the first coefficient, so that two candidates are further apart than this.
        largest = abs(coefficients[0])
        with mpmath.workprec(2 * largest.bit_length() + 2 * _DIGITS):
            near = mpmath.mpf(middle.numerator) / middle.denominator
            for _ in range(mpmath.mp.prec.bit_length()):
                value, slope = mpmath.polyval(coefficients, near, derivative=1)
                near -= value / slope if slope else 0
            digits = mpmath.mp.prec - 1
            near = Fraction(int(mpmath.nint(near * mpmath.mpf(2) ** digits)), 2**digits)
        simple = near.limit_denominator(largest)
        return simple if self.low <= simple <= self.high and _sign(coefficients, simple) == 0 else None

    def times(self, factor: Fraction) -> "PositiveRoot":
        """The root times a positive rational."""
        inverse = sympy.Rational(factor.denominator, factor.numerator)
        coefficients = self.polynomial.all_coeffs()
        scaled = [c * inverse ** (len(coefficients) - 1 - i) for i, c in enumerate(coefficients)]
        return PositiveRoot(sympy.Poly(scaled, self.polynomial.gen, domain=QQ), self.low * factor, self.high * factor)

    def __float__(self) -> float:
        return float((self.low + self.high) / 2)

    def _ends(self) -> tuple[sympy.Rational, sympy.Rational]:
        return tuple(sympy.Rational(end.numerator, end.denominator) for end in (self.low, self.high))  # pyright: ignore


def first_failure(
    conditions: Sequence[sympy.Poly], holds: Callable[[Fraction], bool]
) -> tuple[PositiveRoot | None, list[PositiveRoot]]:
    """The least upper bound of the s for which something holds on (0, s), but perhaps at isolated points.

    Args:
        conditions: nonzero polynomials over ℚ in one variable, at whose zeros alone it can start or cease to hold.
        holds: whether it holds at a rational point that is no such zero.

    Returns:
        A root of a condition, or `None` where it holds for all s > 0; and the roots below it, which were passed.

    Raises:
        AlwaysFailsError: if it doesn't hold for small s.
        NotExactError: for conditions whose roots take minutes to isolate.
    """
    _refuse_long(conditions)
    found = _isolated(conditions)
    previous = Fraction(0)
    for i, root in enumerate([*found, None]):
        sample = (previous + root.low) / 2 if root is not None else 2 * previous + 1
        if not holds(sample):
            if i == 0:
                raise AlwaysFailsError
            return _of_least_degree(found[i - 1], conditions), found[: i - 1]
        if root is not None:
            previous = root.high
    return None, found


class AlwaysFailsError(ArithmeticError):
    """The condition fails however small the number."""


def _refuse_long(conditions: Sequence[sympy.Poly]) -> None:
    for condition in conditions:
        degree, digits = condition.degree(), max(abs(c).bit_length() for c in _coefficients(condition))
        if degree**3 * digits > _LONGEST:
            raise NotExactError(
                f"where it is stable hangs on roots of a polynomial of degree {degree} with coefficients of "
                f"{digits} binary digits, which take minutes to isolate"
            )


def _of_least_degree(root: PositiveRoot, conditions: Sequence[sympy.Poly]) -> PositiveRoot:
    """The root as one of the first condition that vanishes there: the fewer others, the sooner it is factored."""
    parts = sorted((condition.sqf_part() for condition in conditions), key=lambda part: part.degree())
    return dataclasses.replace(root, polynomial=next(part for part in parts if root.is_root_of(part)))


def _isolated(conditions: Sequence[sympy.Poly]) -> list[PositiveRoot]:
    """The positive roots of polynomials, in order, in tight disjoint intervals. Nothing is factored: it takes long."""
    union: Any = None
    for condition in conditions:
        part = condition.sqf_part()
        union = part if union is None else sympy.lcm(union, part)
    if union is None or union.is_ground:
        return []
    # Roots at 0 are no positive roots, and intervals that touch it would have to be told from them.
    while union.eval(0) == 0:
        union = union.quo(sympy.Poly(union.gen, union.gen, domain=QQ))
    intervals: Any = union.intervals(inf=0, sqf=True)
    return [_refined(union, low, high) for low, high in intervals]


def _refined(polynomial: Any, low: Any, high: Any) -> PositiveRoot:
    """The isolating interval, narrowed until it is tight relative to the root."""
    while low != high and (low == 0 or high > 2 * low or not polynomial.eval(low) * polynomial.eval(high) < 0):
        low, high = polynomial.refine_root(low, high, steps=4)
    # By bisection, a sign a digit: SymPy's own refinement transforms the whole polynomial at each.
    coefficients = _coefficients(polynomial)
    low, high = _fraction(low), _fraction(high)
    rises = _sign(coefficients, high) > 0
    while high - low > low / 2**_DIGITS:
        middle = (low + high) / 2
        sign = _sign(coefficients, middle)
        if sign == 0:
            low = high = middle
        elif (sign > 0) == rises:
            high = middle
        else:
            low = middle
    return PositiveRoot(polynomial, low, high)


def _coefficients(polynomial: Any) -> list[int]:
    """Those of an integer multiple."""
    return [int(c) for c in polynomial.clear_denoms()[1].all_coeffs()]


def _sign(coefficients: list[int], at: Fraction) -> int:
    """The sign of a polynomial with integer coefficients, from the highest power down, in integers alone."""
    value, power = 0, 1
    for coefficient in coefficients:
        value, power = value * at.numerator + coefficient * power, power * at.denominator
    return (value > 0) - (value < 0)


def _fraction(number: Any) -> Fraction:
    return Fraction(int(number.p), int(number.q))
