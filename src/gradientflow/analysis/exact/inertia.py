"""How many eigenvalues of a rational symmetric matrix lie below, at and above a number: exactly, by Sylvester's law."""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import NamedTuple

Matrix = Sequence[Sequence[Fraction]]

# A bracket is halved until its ends agree to so much of themselves: to the digits that tables show.
_RELATIVE_WIDTH = Fraction(1, 2**22)


class Inertia(NamedTuple):
    """The numbers of negative, zero and positive eigenvalues."""

    negative: int
    zero: int
    positive: int


def inertia(matrix: Matrix, shift: Fraction = Fraction(0)) -> Inertia:
    """The inertia of A − shift·I, by symmetric fraction-free elimination on integers.

    Args:
        matrix: A, symmetric, with rational entries.
        shift: a rational number.
    """
    rest, previous, signs = _integers(matrix, shift), 1, []
    while rest:
        _bring_pivot_to_front(rest)
        pivot = rest[0][0]
        if pivot == 0:
            break
        signs.append((pivot > 0) == (previous > 0))
        rest = [[(pivot * row[j] - row[0] * rest[0][j]) // previous for j in range(1, len(row))] for row in rest[1:]]
        previous = pivot
    positive = sum(signs)
    return Inertia(len(signs) - positive, len(rest), positive)


def bracket_greatest(matrix: Matrix, guess: float, width: float) -> tuple[Fraction, Fraction]:
    """Rationals between which the greatest eigenvalue lies, each side proved by an inertia count.

    Args:
        matrix: symmetric, with rational entries.
        guess: about where it is.
        width: how far off the guess may be, > 0; the bracket is widened until it holds.
    """
    counts = inertia(matrix)
    if not counts.positive and counts.zero:
        return Fraction(0), Fraction(0)

    def is_above(point: Fraction) -> bool:
        return inertia(matrix, point)[1:] == (0, 0)

    center, above, below = Fraction(guess), Fraction(width), Fraction(width)
    # A guess that is the eigenvalue itself, as of a diagonal matrix, leaves nothing to bracket.
    at_guess = inertia(matrix, center)
    if at_guess.zero and not at_guess.positive:
        return center, center
    while not is_above(center + above):
        above *= 2
    while is_above(center - below):
        below *= 2
    low, high = center - below, center + above
    # The bracket has the eigenvalue's own sign: its end towards 0 is found by going to 0 ever faster.
    power = 1
    while counts.positive and low <= 0:
        low, power = (high / 2**power, 2 * power)
        if is_above(low):
            low, high = Fraction(0), low
    power = 1
    while not counts.positive and high >= 0:
        high, power = (low / 2**power, 2 * power)
        if not is_above(high):
            low, high = high, Fraction(0)
    return _halved(low, high, is_above)


def _halved(low: Fraction, high: Fraction, is_above: Callable[[Fraction], bool]) -> tuple[Fraction, Fraction]:
    """A bracket of one sign whose ends agree in their first digits, or that ends in 0."""
    while low * high > 0 and high - low > _RELATIVE_WIDTH * min(abs(low), abs(high)):
        # Between ends of different orders of magnitude the exponent is halved.
        orders = _order(high) - _order(low)
        middle = (low + high) / 2 if abs(orders) < 2 else low * Fraction(2) ** (orders // 2)
        low, high = (low, middle) if is_above(middle) else (middle, high)
    return low, high


def _order(number: Fraction) -> int:
    """The exponent of the power of two near its size."""
    return number.numerator.bit_length() - number.denominator.bit_length()


def _integers(matrix: Matrix, shift: Fraction) -> list[list[int]]:
    """A − shift·I times a positive common denominator."""
    scale = math.lcm(shift.denominator, *(entry.denominator for row in matrix for entry in row))
    integers = [[int(entry * scale) for entry in row] for row in matrix]
    for i, row in enumerate(integers):
        row[i] -= int(shift * scale)
    return integers


def _bring_pivot_to_front(rest: list[list[int]]) -> None:
    """A congruence that makes the first diagonal entry nonzero, if the matrix isn't zero."""
    k = next((i for i in range(len(rest)) if rest[i][i]), None)
    if k is None:
        found = next(((i, j) for i in range(len(rest)) for j in range(i) if rest[i][j]), None)
        if found is None:
            return
        k, j = found
        for row in rest:
            row[k] += row[j]
        rest[k] = [a + b for a, b in zip(rest[k], rest[j], strict=True)]
    rest[0], rest[k] = rest[k], rest[0]
    for row in rest:
        row[0], row[k] = row[k], row[0]
