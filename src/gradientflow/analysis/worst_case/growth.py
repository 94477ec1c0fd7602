r"""What an energy may be assumed to do beside its class: conditions between x, ∇E(x) and E(x) − E*, with m > 0.

They ask less than strong convexity, and energies that are not convex have them.

References:
    H. Karimi, J. Nutini, M. Schmidt, Linear convergence of gradient and proximal-gradient methods under the
    Polyak–Łojasiewicz condition, ECML PKDD 2016: the conditions, and which follow from which.
"""

from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from gradientflow.flows import unknown_name
from gradientflow.flows.checks import in_a_line

from ..exact.subject import exact_number
from .conditions import Points
from .forms import product


class Growth(NamedTuple):
    """A condition: that c_E(E − E*) + a form in x − x* and ∇E is not negative.

    Attributes:
        of_energy: c_E.
        form: (m, ⟨x, x⟩, ⟨x, g⟩, ⟨g, g⟩) ↦ the form.
        shown: in LaTeX, with the point's name in place of `i`.
        power: of the unit of gradients, in which it is counted.
    """

    of_energy: int
    form: Callable[[Any, Any, Any, Any], Any]
    shown: str
    power: int = 1


GROWTH = {
    "polyak_lojasiewicz": Growth(-1, lambda m, xx, xg, gg: gg / (2 * m), r"(\tfrac1{2m}\|g_{i}\|^2 - E_{i} + E^*)"),
    "quadratic_growth": Growth(1, lambda m, xx, xg, gg: -xx * (m / 2), r"(E_{i} - E^* - \tfrac m2\|x_{i} - x^*\|^2)"),
    "restricted_secant": Growth(
        0, lambda m, xx, xg, gg: xg - xx * m, r"(\langle g_{i}, x_{i} - x^*\rangle - m\|x_{i} - x^*\|^2)"
    ),
    "quasi_strong": Growth(
        -1,
        lambda m, xx, xg, gg: xg - xx * (m / 2),
        r"(\langle g_{i}, x_{i} - x^*\rangle - E_{i} + E^* - \tfrac m2\|x_{i} - x^*\|^2)",
    ),
    "error_bound": Growth(0, lambda m, xx, xg, gg: gg - xx * (m * m), r"(\|g_{i}\|^2 - m^2\|x_{i} - x^*\|^2)", 2),
}


def assumed(where: str, assuming: Any) -> dict[str, Fraction]:
    """The conditions asked for, by name, each with its m exactly.

    Raises:
        TypeError: if it is no mapping.
        ValueError: if a name is unknown, or an m is not positive.
    """
    if assuming is None:
        return {}
    if not isinstance(assuming, dict):
        raise TypeError(
            f"{where}: `assuming` must be conditions by name, {{'polyak_lojasiewicz': 0.1}} say, got "
            f"{in_a_line(assuming)}"
        )
    found = {}
    for name, value in assuming.items():
        if name not in GROWTH:
            raise ValueError(f"{where}: `assuming`: {unknown_name('condition', str(name), GROWTH)}")
        m = exact_number(where, f"assuming[{name!r}]", value)
        if m is None or m <= 0:
            raise ValueError(f"{where}: `assuming[{name!r}]` must be finite and positive, got {value}")
        found[name] = m
    return found


def growth_at(place: int, points: Points, name: str, m: Fraction) -> tuple[np.ndarray, np.ndarray, str]:
    """A condition at one of the points after the minimizer: its form, its coefficients of values, and its name."""
    condition, x, g = GROWTH[name], points.x[place + 1], points.gradients[place + 1]
    values = np.full(len(points.names) - 1, Fraction(0), dtype=object)
    values[place] += condition.of_energy
    form = condition.form(m, product(x, x), product(x, g), product(g, g))
    return form, values, condition.shown.replace("{i}", f"{{{points.names[place + 1]}}}")
