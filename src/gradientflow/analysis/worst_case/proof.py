"""Certificates as formulas: what is a nonnegative combination of which inequalities and squares."""

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from gradientflow.flows import Number

from .certificate import Certificate

if TYPE_CHECKING:
    from .bound import WorstCaseBound
    from .noise import WorstCaseNoise
    from .rate import WorstCaseRate

# Decimals stand for longer fractions.
_ROUNDED = re.compile(r"\d\.\d|\\cdot 10\^")


def rate_proof(found: "WorstCaseRate", longest: Number) -> str:
    r"""The identity $\rho^2V_k - V_{k+1} = \sum\lambda_{ij}I_{ij} + \text{squares}$, and that for V, in LaTeX."""
    certificate, problem = _given(found.certificate), found.problem
    head = _equation("r" if problem.is_flow else r"\rho", _number(found.exact or Fraction(0), longest))
    if len(certificate.conditions) > 1:
        head += r",\quad " + _equation("V" if problem.is_flow else "V_k", _lyapunov(found.exact_lyapunov(), longest))
    return _lines(head, certificate, longest, problem.scales, problem.unit)


def noise_proof(found: "WorstCaseNoise", longest: Number) -> str:
    r"""That $\gamma\|e\|^2 + V_k - V_{k+1} - \|x_k - x^*\|^2 + \langle e, c_k\rangle \ge 0$, and V."""
    certificate, problem = _given(found.certificate), found.problem
    head = _equation(r"\gamma", _number(found.exact or Fraction(0), longest))
    head += r",\quad " + _equation("V_k", _lyapunov(found.exact_lyapunov(), longest))
    return _lines(head, certificate, longest, problem.scales, problem.unit)


def bound_proof(found: "WorstCaseBound", longest: Number) -> str:
    r"""The identity $\tau\|x_0 - x^*\|^2 - (E_N - E^*) = \sum\lambda_{ij}I_{ij} + \text{squares}$, in LaTeX."""
    certificate, problem = _given(found.certificate), found.problem
    head = _equation(r"\tau", _number(found.exact or Fraction(0), longest))
    # The identity was found in units of the final measure.
    return _lines(head, certificate, longest, [Fraction(1)], problem.unit, found.final_unit)


def _equation(left: str, right: str) -> str:
    """What is rounded is not equal."""
    return rf"{left} \approx {right}" if _ROUNDED.search(right) else f"{left} = {right}"


def _lines(
    head: str, certificate: Certificate, longest: Number, scales: Sequence[Fraction], unit: Fraction,
    scale: Fraction = Fraction(1),
) -> str:  # fmt: skip
    lines = [head]
    for condition, multipliers in zip(certificate.conditions, certificate.multipliers, strict=True):
        known = condition.inequalities
        units = [unit] * len(known.pairs) + list(known.further.units if known.further else ())
        counted = zip(multipliers, units, known.names, strict=True)
        terms = [rf"{_number(m * scale / own, longest)}\,{name}" for m, own, name in counted if m]
        # What each vector of the basis is counted in: the states' scales, then gradients.
        sizes = [*scales, *[unit] * (condition.size - len(scales))]
        squares = _squares(
            condition.remainder(certificate.weights, multipliers), condition.basis, sizes, scale, longest
        )
        lines.append(_equation(condition.statement, " + ".join([*terms, *squares] or ["0"])))
    return r"\begin{gathered}" + r"\\ ".join(lines) + r"\end{gathered}"


def _squares(
    form: np.ndarray, names: Sequence[str], sizes: Sequence[Fraction], scale: Fraction, longest: Number
) -> list[str]:
    """S as a sum of squares with positive weights, by completing them one by one."""
    rest, squares = [[Fraction(entry) for entry in row] for row in form], []
    for i in range(len(rest)):
        pivot = rest[i][i]
        if pivot == 0:
            continue
        row = [entry / pivot for entry in rest[i]]
        rest = [[rest[a][b] - pivot * row[a] * row[b] for b in range(len(rest))] for a in range(len(rest))]
        # In the user's units the square is (zᵢ/sᵢ + …)².
        own = sizes[i]
        inner = [(r * own / size, name) for r, size, name in zip(row, sizes, names, strict=True) if r]
        squares.append(rf"{_number(pivot * scale / own**2, longest)}\,\|{_sum(inner, longest)}\|^2")
    return squares


def _lyapunov(coefficients: dict[Any, Fraction], longest: Number) -> str:
    terms = []
    for key, value in coefficients.items():
        if isinstance(key, str):
            terms.append((value, _energy(*key.split("_"))))
        else:
            a, b = key
            terms.append((value, rf"\|{a}\|^2" if a == b else rf"\langle {a}, {b}\rangle"))
    return _sum(terms, longest)


def _energy(energy: str, place: str) -> str:
    """An energy less its minimum; of the parts of a sum less the tangent at x*."""
    if energy == "E":
        return r"(E - E^*)" if place == "1" else rf"(E_{{{place}}} - E^*)"
    sign = "-" if energy == "f" else "+"
    return rf"({energy}_{{{place}}} - {energy}^* {sign} \langle \nabla f(x^*), y_{{{place}}} - x^*\rangle)"


def _sum(terms: Sequence[tuple[Fraction, str]], longest: Number) -> str:
    text = ""
    for value, name in terms:
        sign = ("-" if value < 0 else "") if not text else (" - " if value < 0 else " + ")
        size = abs(value)
        text += sign + (name if size == 1 else rf"{_number(size, longest)}\,{name}")
    return text


def _number(value: Fraction, longest: Number) -> str:
    if value.denominator == 1:
        return str(value.numerator)
    if len(str(value)) <= longest:
        sign = "-" if value < 0 else ""
        return rf"{sign}\tfrac{{{abs(value.numerator)}}}{{{value.denominator}}}"
    text = f"{float(value):.6g}"
    if "e" in text:
        mantissa, exponent = text.split("e")
        return rf"{mantissa}\cdot 10^{{{int(exponent)}}}"
    return text


def _given(certificate: Certificate | None) -> Certificate:
    if certificate is None:
        raise ValueError("latex: there is no certificate, and so no proof to show")
    return certificate
