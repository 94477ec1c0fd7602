"""Positive roots of polynomials over ℚ, isolated exactly, and the first at which a condition fails."""

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import sympy

# Roots are isolated to so many relative binary digits.
_DIGITS = 80


@dataclasses.dataclass(frozen=True)
class PositiveRoot:
    """A positive real algebraic number: the only root of an irreducible polynomial in an interval.

    Attributes:
        polynomial: irreducible over ℚ.
        low: a rational that is not above it.
        high: a rational that is not below it.
    """

    polynomial: sympy.Poly
    low: Fraction
    high: Fraction

    def expression(self) -> sympy.Expr:
        """The number in closed form where its degree is at most 2, else as the root of its polynomial."""
        index = self.polynomial.count_roots(None, sympy.Rational(self.high.numerator, self.high.denominator)) - 1
        return sympy.rootof(self.polynomial.as_expr(), self.polynomial.gen, index)

    def __float__(self) -> float:
        return float((self.low + self.high) / 2)


def first_failure(conditions: Sequence[sympy.Poly], holds: Callable[[Fraction], bool]) -> PositiveRoot | None:
    """The least upper bound of the s for which something holds on all of (0, s).

    Args:
        conditions: nonzero polynomials over ℚ in one variable, at whose zeros alone it can start or cease to hold.
        holds: whether it holds at a rational point that is no such zero.

    Returns:
        A root of a condition, or `None` where it holds for all s > 0.

    Raises:
        AlwaysFailsError: if it doesn't hold for small s.
    """
    factors = list(dict.fromkeys(f for condition in conditions for f, _ in condition.factor_list()[1]))
    found = _isolated([factor for factor in factors if factor.degree() > 0])
    previous = Fraction(0)
    for i, root in enumerate([*found, None]):
        sample = (previous + root.low) / 2 if root is not None else 2 * previous + 1
        if not holds(sample):
            if i == 0:
                raise AlwaysFailsError
            return found[i - 1]
        if root is not None:
            previous = root.high
    return None


class AlwaysFailsError(ArithmeticError):
    """The condition fails however small the number."""


def _isolated(factors: Sequence[sympy.Poly]) -> list[PositiveRoot]:
    """The positive roots of distinct irreducible polynomials, in order, in tight disjoint intervals."""
    roots = []
    for factor in factors:
        intervals: Any = factor.intervals(inf=0)
        for (low, high), _ in intervals:
            if high > 0:
                roots.append(_refined(factor, low, high))
    roots.sort(key=lambda root: root.low)
    for before, after in itertools.pairwise(roots):
        if not before.high < after.low:
            raise ArithmeticError(f"roots of {before.polynomial} and {after.polynomial} are too close to tell apart")
    return roots


def _refined(factor: sympy.Poly, low: Any, high: Any) -> PositiveRoot:
    """The isolating interval, narrowed until it is tight relative to the root."""
    while low == 0 or high > 2 * low:
        low, high = factor.refine_root(low, high, steps=4)
    low, high = factor.refine_root(low, high, eps=low / 2**_DIGITS) if low != high else (low, high)
    return PositiveRoot(factor, _fraction(low), _fraction(high))


def _fraction(number: Any) -> Fraction:
    return Fraction(int(number.p), int(number.q))
