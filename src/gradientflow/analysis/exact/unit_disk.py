r"""Where a polynomial's roots lie against the unit circle, decided exactly.

A *simple von Neumann* polynomial has its roots in the closed unit disk and those on the circle simple: exactly then do
the iterates of its matrix stay bounded. Decided by reducing the degree one by one (the Jury, or Schur–Cohn,
conditions).

References:
    J. J. H. Miller, On the location of zeros of certain classes of polynomials with applications to numerical analysis,
    J. Inst. Maths Applics 8, 1971.
"""

from collections.abc import Sequence
from typing import Any


def is_simple_von_neumann(coefficients: Sequence[Any]) -> bool:
    """Whether all roots lie in the closed unit disk, and those on the unit circle are simple.

    Args:
        coefficients: rational, from the highest power down.
    """
    polynomial = list(coefficients)
    while len(polynomial) > 1:
        reduced = _reduced(polynomial)
        if not any(reduced):
            return is_schur(_derivative(polynomial))
        if not reduced[0] > 0:
            return False
        polynomial = reduced
    return bool(polynomial[0])


def is_schur(coefficients: Sequence[Any]) -> bool:
    """Whether all roots lie in the open unit disk."""
    polynomial = list(coefficients)
    while len(polynomial) > 1:
        polynomial = _reduced(polynomial)
        if not polynomial[0] > 0:
            return False
    return bool(polynomial[0])


def critical_polynomials(coefficients: Sequence[Any]) -> list[Any] | None:
    """The polynomials in the parameters where alone stability can be lost or won: their zeros bound the stable cells.

    Args:
        coefficients: from the highest power of w down, elements of a polynomial ring in the parameters.

    Returns:
        Factors of the leading entries of the reduced polynomials; `None` where no parameters are stable.
    """
    polynomial, found = _primitive(list(coefficients)), []
    while len(polynomial) > 1:
        reduced = _reduced(polynomial)
        if not any(reduced):
            polynomial = _derivative(polynomial)
        elif not reduced[0]:
            return None
        else:
            # lead² − last², by its factors: they cost less to look into.
            found += [polynomial[0] - polynomial[-1], polynomial[0] + polynomial[-1]]
            polynomial = _primitive(reduced)
    return found


def _reduced(polynomial: list[Any]) -> list[Any]:
    """(p*(0) p(w) − p(0) p*(w))/w, where p* has p's coefficients in reverse."""
    lead, last, n = polynomial[0], polynomial[-1], len(polynomial) - 1
    return [lead * polynomial[i] - last * polynomial[n - i] for i in range(n)]


def _derivative(polynomial: list[Any]) -> list[Any]:
    n = len(polynomial) - 1
    return [coefficient * (n - i) for i, coefficient in enumerate(polynomial[:-1])]


def _primitive(polynomial: list[Any]) -> list[Any]:
    common = polynomial[0]
    for coefficient in polynomial[1:]:
        common = common.gcd(coefficient)
    return [coefficient.quo(common) for coefficient in polynomial] if common else polynomial
