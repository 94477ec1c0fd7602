"""Certificates as formulas: what is a nonnegative combination of which inequalities and squares."""

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from .certificate import Certificate

if TYPE_CHECKING:
    from .bound import WorstCaseBound
    from .rate import WorstCaseRate

# Longer fractions of a solver's are shown as decimals; the certificate keeps them. A proof shows its own.
_LONGEST = 12


def rate_proof(found: "WorstCaseRate") -> str:
    r"""The identity $\rho^2V_k - V_{k+1} = \sum\lambda_{ij}I_{ij} + \text{squares}$, and that for V, in LaTeX."""
    certificate, problem = _given(found.certificate), found.problem
    rate = _number(found.exact or Fraction(0))
    head = rf"r = {rate}" if problem.is_flow else rf"\rho = {rate}"
    if len(certificate.conditions) > 1:
        head += rf",\quad {'V' if problem.is_flow else 'V_k'} = {_lyapunov(found.lyapunov)}"
    return _lines(head, certificate, problem.scales, problem.unit)


def bound_proof(found: "WorstCaseBound") -> str:
    r"""The identity $\tau\cdot\text{initial} - \text{final} = \sum\lambda_{ij}I_{ij} + \text{squares}$, in LaTeX."""
    certificate, problem = _given(found.certificate), found.problem
    head = rf"\tau = {_number(found.exact or Fraction(0))}"
    # The identity was found in units of the final measure.
    return _lines(head, certificate, [Fraction(1)], problem.unit, found.final_unit)


def _lines(
    head: str, certificate: Certificate, scales: Sequence[Fraction], unit: Fraction, scale: Fraction = Fraction(1)
) -> str:
    lines = [head]
    for condition, multipliers in zip(certificate.conditions, certificate.multipliers, strict=True):
        known = condition.inequalities
        units = [unit] * len(known.pairs) + list(known.further.units if known.further else ())
        counted = zip(multipliers, units, known.names, strict=True)
        terms = [rf"{_number(m * scale / own)}\,{name}" for m, own, name in counted if m]
        # What each vector of the basis is counted in: the states' scales, then gradients.
        sizes = [*scales, *[unit] * (condition.size - len(scales))]
        squares = _squares(condition.remainder(certificate.weights, multipliers), condition.basis, sizes, scale)
        lines.append(condition.statement + " = " + " + ".join([*terms, *squares] or ["0"]))
    return r"\begin{gathered}" + r"\\ ".join(lines) + r"\end{gathered}"


def _squares(form: np.ndarray, names: Sequence[str], sizes: Sequence[Fraction], scale: Fraction) -> list[str]:
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
        squares.append(rf"{_number(pivot * scale / own**2)}\,\|{_sum(inner)}\|^2")
    return squares


def _lyapunov(coefficients: dict[Any, float]) -> str:
    terms = []
    for key, value in coefficients.items():
        if isinstance(key, str):
            terms.append((Fraction(value), _energy(*key.split("_"))))
        else:
            a, b = key
            terms.append((Fraction(value), rf"\|{a}\|^2" if a == b else rf"\langle {a}, {b}\rangle"))
    return _sum(terms)


def _energy(energy: str, place: str) -> str:
    """An energy less its minimum; of the parts of a sum less the tangent at x*."""
    if energy == "E":
        return r"(E - E^*)" if place == "1" else rf"(E_{{{place}}} - E^*)"
    sign = "-" if energy == "f" else "+"
    return rf"({energy}_{{{place}}} - {energy}^* {sign} \langle \nabla f(x^*), y_{{{place}}} - x^*\rangle)"


def _sum(terms: Sequence[tuple[Fraction, str]]) -> str:
    text = ""
    for value, name in terms:
        sign = ("-" if value < 0 else "") if not text else (" - " if value < 0 else " + ")
        size = abs(value)
        text += sign + (name if size == 1 else rf"{_number(size)}\,{name}")
    return text


def _number(value: Fraction) -> str:
    if value.denominator == 1:
        return str(value.numerator)
    if len(str(value)) <= _LONGEST:
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
