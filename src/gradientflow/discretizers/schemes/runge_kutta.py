"""Explicit Runge–Kutta schemes, as data: a tableau of fractions is a scheme."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, ClassVar

import equinox as eqx

from gradientflow.flows import Flow, Told, unknown_name
from gradientflow.flows.aliases import State, StepLength, Time
from gradientflow.flows.checks import in_a_line

from ..discretizer import Discretizer
from .coefficients import Rational, advanced, combined


class Tableau(Told):
    """A Butcher tableau with exact entries.

    Attributes:
        name: the scheme's name.
        a: the stages' coefficients, strictly lower triangular: row i with its i entries, or the whole square.
        b: the weights.
        order: the order of accuracy.
        source: where it comes from.

    Entries are integers, fractions, or text such as "1/6"; floats only where they are what they seem, as 0.5 is.

    Raises:
        TypeError: if an entry is none of these.
        ValueError: if an entry is not finite, or `a` does not fit `b` or is that of an implicit scheme.

    References:
        J. C. Butcher, Implicit Runge–Kutta processes, Math. Comp. 18, 1964.
        E. Hairer, S. P. Nørsett, G. Wanner, Solving Ordinary Differential Equations I, 2nd ed. 1993, chapter II.

    Example:
        >>> import gradientflow as gf
        >>> heun = gf.Tableau("Heun", [[0, 0], [1, 0]], ["1/2", "1/2"], order=2)
        >>> heun.a, heun.b
        (((), (Fraction(1, 1),)), (Fraction(1, 2), Fraction(1, 2)))
    """

    name: str = eqx.field(static=True)
    a: tuple[tuple[Rational, ...], ...] = eqx.field(static=True)
    b: tuple[Rational, ...] = eqx.field(static=True)
    order: int = eqx.field(static=True)
    source: str = eqx.field(static=True)

    def __init__(self, name: str, a: Any, b: Any, order: int, source: str = "") -> None:
        self.name, self.order, self.source = name, order, source
        self.b = tuple(_fraction("b", entry) for entry in b)
        rows = [tuple(_fraction("a", entry) for entry in row) for row in a]
        n = len(self.b)
        if len(rows) != n or any(len(row) not in (i, n) for i, row in enumerate(rows)):
            raise ValueError(
                f"Tableau: `a` must have {n} rows to fit `b`, of 0, 1, …, {n - 1} entries or of {n} each, got rows of "
                f"{[len(row) for row in rows]}"
            )
        for i, row in enumerate(rows):
            if any(row[i:]):
                raise ValueError(
                    f"Tableau: `a` is implicit, with {next(filter(None, row[i:]))} on or above the diagonal in row "
                    f"{i + 1}; RungeKutta is explicit. BackwardEuler and ImplicitMidpoint are not, nor are diffrax's: "
                    "FromDiffrax(diffrax.Kvaerno5())"
                )
        self.a = tuple(row[:i] for i, row in enumerate(rows))


# A float with a longer denominator is a rounded fraction, and exact readings would take it at its word.
_LONGEST_DENOMINATOR = 2**20


def _fraction(name: str, entry: Any) -> Fraction:
    try:
        value = Fraction(entry)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        kind = ValueError if isinstance(entry, (str, float)) else TypeError
        raise kind(
            f"Tableau: the entries of `{name}` must be numbers such as 1, '1/6' or 0.5, got {in_a_line(entry)}"
        ) from None
    if isinstance(entry, float) and value.denominator > _LONGEST_DENOMINATOR:
        near = value.limit_denominator(1000)
        raise ValueError(f"Tableau: an entry of `{name}`, {entry!r}, is rounded; write it as a fraction, '{near}' say")
    return value


def _tableau(name: str, order: int, source: str, b: str, *a: str) -> Tableau:
    return Tableau(name, ((), *(row.split() for row in a)), b.split(), order, source)


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
        TypeError: if it is neither.
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
        if not isinstance(tableau, Tableau):
            got = in_a_line(tableau)
            raise TypeError(f"RungeKutta: `tableau` must be a Tableau(name, a, b, order) or the name of one, got {got}")
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

    def step(self, flow: Flow, t: Time, z: State, h: StepLength, **_: Any) -> State:
        """One step of the tableau."""
        slopes: list[Any] = []
        for row in self.tableau.a:
            slopes.append(flow.drift(advanced(t, h, sum(row)), combined(z, h, row, slopes)))
        return combined(z, h, self.tableau.b, slopes)
