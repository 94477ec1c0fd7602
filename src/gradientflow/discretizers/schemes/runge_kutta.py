"""Explicit Runge–Kutta schemes, as data: a tableau of fractions is a scheme."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, ClassVar

import equinox as eqx

from gradientflow.flows import Flow, unknown_name

from ..discretizer import Discretizer
from .coefficients import Rational, advanced, combined


class Tableau(eqx.Module):
    """A Butcher tableau with exact entries.

    Attributes:
        name: the scheme's name.
        a: the stages' coefficients, row i with its i entries; strictly lower triangular.
        b: the weights.
        order: the order of accuracy.
        source: where it comes from.
    """

    name: str = eqx.field(static=True)
    a: tuple[tuple[Rational, ...], ...] = eqx.field(static=True)
    b: tuple[Rational, ...] = eqx.field(static=True)
    order: int = eqx.field(static=True)
    source: str = eqx.field(static=True, default="")


def _fractions(text: str) -> tuple[Fraction, ...]:
    return tuple(Fraction(entry) for entry in text.split())


def _tableau(name: str, order: int, source: str, b: str, *a: str) -> Tableau:
    return Tableau(name, ((), *(_fractions(row) for row in a)), _fractions(b), order, source)


TABLEAUS: Mapping[str, Tableau] = {
    tableau.name: tableau
    for tableau in (
        _tableau("euler", 1, "Cauchy 1847", "1"),
        _tableau("midpoint", 2, "Runge 1895", "0 1", "1/2"),
        _tableau("heun", 2, "Heun 1900", "1/2 1/2", "1"),
        _tableau("ralston", 2, "Ralston 1962", "1/4 3/4", "2/3"),
        _tableau("rk3", 3, "Kutta 1901", "1/6 2/3 1/6", "1/2", "-1 2"),
        _tableau("ssp3", 3, "Shu & Osher 1988", "1/6 1/6 2/3", "1", "1/4 1/4"),
        _tableau("rk4", 4, "Kutta 1901", "1/6 1/3 1/3 1/6", "1/2", "0 1/2", "0 0 1"),
        _tableau("rk38", 4, "Kutta 1901, the 3/8 rule", "1/8 3/8 3/8 1/8", "1/3", "-1/3 1", "1 -1 1"),
    )
}


class RungeKutta(Discretizer):
    r"""An explicit Runge–Kutta scheme: $k_i = f(t + c_i h, z + h\sum_{j<i} a_{ij}k_j)$, $z' = z + h\sum_i b_i k_i$.

    Args:
        tableau: a `Tableau`, or the name of one: euler, midpoint, heun, ralston, rk3, ssp3, rk4, rk38.

    Raises:
        ValueError: if there is no tableau of that name, or its shape is not a tableau's.

    References:
        E. Hairer, S. P. Nørsett, G. Wanner, Solving Ordinary Differential Equations I, 2nd ed. 1993, section II.1.

    Example:
        >>> from fractions import Fraction
        >>> import gradientflow as gf
        >>> gf.RungeKutta("rk4").step(gf.GradientFlow(gf.Mode(1)), 0, Fraction(1), Fraction(1))
        Fraction(3, 8)
    """

    equation: ClassVar[str] = "kᵢ = f(t + cᵢh, z + h Σ aᵢⱼkⱼ), z' = z + h Σ bᵢkᵢ"
    tableau: Tableau

    def __init__(self, tableau: str | Tableau) -> None:
        if isinstance(tableau, str):
            if tableau.lower() not in TABLEAUS:
                raise ValueError(f"RungeKutta: {unknown_name('tableau', tableau, TABLEAUS)}")
            tableau = TABLEAUS[tableau.lower()]
        if len(tableau.a) != len(tableau.b) or any(len(row) != i for i, row in enumerate(tableau.a)):
            raise ValueError(f"RungeKutta: `a` must have rows of 0, 1, …, {len(tableau.b) - 1} entries to fit `b`")
        self.tableau = tableau

    @property
    def name(self) -> str:
        """The tableau's name."""
        return self.tableau.name

    @property
    def order(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The tableau's order."""
        return self.tableau.order

    def step(self, flow: Flow, t: Any, z: Any, h: Any, **_: Any) -> Any:
        """One step of the tableau."""
        slopes: list[Any] = []
        for row in self.tableau.a:
            slopes.append(flow.drift(advanced(t, h, sum(row)), combined(z, h, row, slopes)))
        return combined(z, h, self.tableau.b, slopes)
