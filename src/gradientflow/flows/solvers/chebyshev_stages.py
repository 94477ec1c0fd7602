r"""The stages of Runge–Kutta–Chebyshev methods: the three-term recurrence of Chebyshev polynomials.

Values and derivatives of $T_j$ at a rational $w_0$ are rational, so that with an exact damping all coefficients are
exact; with a float they are floats, by the same recurrences.

References:
    P. J. van der Houwen, B. P. Sommeijer, On the internal stability of explicit m-stage Runge–Kutta methods for large
    m-values, Z. Angew. Math. Mech. 60, 1980.
"""

import functools
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from ..aliases import Position


class ChebyshevStage(NamedTuple):
    r"""How far stage j has moved: $d_j = \mu d_{j-1} + \nu d_{j-2} + h\tilde\mu F_{j-1} + h\tilde\gamma F_0$."""

    last: Any
    before: Any
    slope: Any
    first: Any
    # Where the stage is reached: t + ch.
    time: Any


@functools.cache
def first_order(stages: int, damping: Fraction | float) -> tuple[ChebyshevStage, ...]:
    r"""Of $R(z) = T_s(w_0 + w_1z)/T_s(w_0)$, $w_1 = T_s(w_0)/T_s'(w_0)$ at $w_0 = 1 + \varepsilon/s^2$; s ≥ 1."""
    w0 = 1 + damping / stages**2
    T, dT, _ = _chebyshev(stages, w0)
    return _recurrence(w0, T[-1] / dT[-1], [1 / value for value in T], [Fraction(0)] * (stages + 1))


@functools.cache
def second_order(stages: int, damping: Fraction | float) -> tuple[ChebyshevStage, ...]:
    r"""Of RKC: $R(z) = 1 - b_sT_s(w_0) + b_sT_s(w_0 + w_1z)$, $b_s = T_s''/T_s'^2$, $w_1 = T_s'/T_s''$; s ≥ 2."""
    w0 = 1 + damping / stages**2
    T, dT, ddT = _chebyshev(stages, w0)
    b = [second / (first * first) for first, second in zip(dT[2:], ddT[2:], strict=True)]
    b = [b[0], b[0], *b]
    return _recurrence(w0, dT[-1] / ddT[-1], b, [1 - weight * value for weight, value in zip(b, T, strict=True)])


def _recurrence(w0: Any, w1: Any, b: Sequence[Any], a: Sequence[Any]) -> tuple[ChebyshevStage, ...]:
    """The stages whose stability functions are $a_j + b_jT_j(w_0 + w_1z)$."""
    found = [ChebyshevStage(Fraction(0), Fraction(0), b[1] * w1, Fraction(0), b[1] * w1)]
    times = [Fraction(0), b[1] * w1]
    for j in range(2, len(b)):
        ratio = b[j] / b[j - 1]
        last, before, slope = 2 * w0 * ratio, -b[j] / b[j - 2], 2 * w1 * ratio
        first = -a[j - 1] * slope
        times.append(last * times[-1] + before * times[-2] + slope + first)
        found.append(ChebyshevStage(last, before, slope, first, times[-1]))
    return tuple(found)


def _chebyshev(degree: int, x: Position) -> tuple[list[Any], list[Any], list[Any]]:
    """T_j, T_j' and T_j'' at x for j = 0, …, degree."""
    T, dT, ddT = [Fraction(1), x], [Fraction(0), Fraction(1)], [Fraction(0), Fraction(0)]
    for _ in range(degree - 1):
        ddT.append(4 * dT[-1] + 2 * x * ddT[-1] - ddT[-2])
        dT.append(2 * T[-1] + 2 * x * dT[-1] - dT[-2])
        T.append(2 * x * T[-1] - T[-2])
    return T, dT, ddT
