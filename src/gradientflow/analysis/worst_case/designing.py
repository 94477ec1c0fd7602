"""A scheme from a wish: the numbers of a family of methods with which it is fastest at worst over a class."""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd

from gradientflow.discretizers import Method
from gradientflow.flows import Mode, check_integer, looks_at_numbers
from gradientflow.flows.checks import in_a_line

from ..exact.algebra import rational_functions
from ..exact.leaf import Exact, NotExactError
from ..exact.state_reading import Reading
from ..exact.subject import exact_number, read_family
from ..results.grades import Grade
from ..results.result import Drawn
from .problem import EnergyClass, Problem, balanced, energy_class
from .rate import WorstCaseRate, worst_case_rate
from .search import fastest_rate

# Places that are looked at on quadratics alone, of how many of the fastest the rate is asked, and from how many of
# those the search starts.
_LOOKED_AT, _ASKED, _STARTS = 512, 32, 3
# When the search ends: how far apart places are, of the ranges, and rates.
_PLACE, _RATE = 1e-5, 1e-7
# Parameters are rounded to so many digits: a rate hardly knows more.
_DIGITS = 6
# Beyond this a rate is none.
_NONE = 10.0


@dataclasses.dataclass(frozen=True, repr=False)
class Design(Drawn):
    r"""The fastest of a family on all of F_{μ,L} that was found.

    Its figure: ρ of all that was tried, over each of the parameters, and the one that was chosen.

    Attributes:
        method: with these parameters, on the energy x²/2.
        parameters: by name, as the fractions that the method's floats are.
        rate: what is certified of it.
        tried: each of the parameters that were tried, and ρ there in floating point; NaN where it does not converge on
            all of the class, or no Lyapunov function of this form was found.
    """

    drawn_by = "worst_case.figures:plot_design"

    method: Method
    parameters: dict[str, Fraction]
    rate: WorstCaseRate
    tried: pd.DataFrame

    @property
    def grade(self) -> Grade:
        """Of the rate. That no other parameters are faster is not said: the search is a local one."""
        return self.rate.grade

    @property
    def reason(self) -> str:
        """How it was found."""
        return f"{len(self.tried)} sets of parameters were tried, from the best on quadratics"

    def table(self) -> pd.DataFrame:
        """What was tried, the fastest first."""
        return self.tried.sort_values("rho", ignore_index=True)

    def __repr__(self) -> str:
        """The parameters and the rate."""
        numbers = ", ".join(f"{name} = {float(value):.6g}" for name, value in self.parameters.items())
        return f"{numbers}\n{self.rate}\n{self.reason}"


@looks_at_numbers
def design(optimizer: Any, mu: Any, L: Any, tries: int = 400, **ranges: Any) -> Design:
    r"""The numbers with which a family of methods is fastest at worst on F_{μ,L}: a search over certified rates.

    The step is read once, with symbols for the numbers. Of numbers all over the ranges those are looked for that are
    fast on quadratics; from there Nelder and Mead's method goes on, by the rate that semidefinite programs find, and
    what it ends at is rounded and certified as `worst_case_rate` does.

    Args:
        optimizer: (energy, **numbers) ↦ a method, `optimizers.nesterov` say, or a function of yours, linear in its
            gradients with rational coefficients of the numbers.
        mu: μ > 0.
        L: L > μ.
        tries: how many rates are computed at most.
        ranges: of each number, by name: (least, greatest).

    Raises:
        ValueError: if a range is none, or μ or L are out of range.
        TypeError: if `optimizer` makes no method.
        NotExactError: if the step can't be read, naming the line; or no numbers within the ranges converge.

    References:
        B. Van Scoy, R. A. Freeman, K. M. Lynch, The fastest known globally convergent first-order method for minimizing
        strongly convex functions, IEEE Control Systems Letters 2, 2018: the triple momentum method, ρ = 1 − 1/√κ.

    Example:
        >>> import gradientflow as gf
        >>> found = gf.analysis.design(gf.optimizers.gradient_descent, mu=1, L=9, lr=(0, 1))
        >>> round(float(found.parameters["lr"]), 4), round(found.rate.rate, 4)
        (0.2, 0.8)
    """
    # A tenth of a second to load, which those who ask other questions need not wait for.
    from scipy.optimize import minimize
    from scipy.stats import qmc

    check_integer("design", 1, tries=tries)
    energies = energy_class("design", mu, L, strongly=True)
    box = _box(optimizer, ranges)
    middle = {name: (least + greatest) / 2 for name, (least, greatest) in box.items()}
    family = _Family(optimizer, tuple(box), energies, middle)
    low, high = np.array(list(box.values())).T
    tried: list[tuple[np.ndarray, float]] = []

    def slowness(unit: np.ndarray) -> float:
        place = low + (high - low) * unit
        found = family.slowness(place)
        tried.append((place, found))
        return found

    units = qmc.Halton(len(box), rng=0).random(_LOOKED_AT)
    looks = np.array([family.on_quadratics(low + (high - low) * unit) for unit in units])
    if not looks.min() < 1:
        names = " and ".join(box)
        raise NotExactError(f"design: no {names} within the ranges converge on the quadratics of {energies}")
    fast = units[np.argsort(looks)[: min(_ASKED, tries)]]
    starts = fast[np.argsort([slowness(unit) for unit in fast])[:_STARTS]]
    each = (tries - len(fast)) // len(starts)
    for start in starts if each else ():
        minimize(
            slowness, start, method="Nelder-Mead", bounds=[(0, 1)] * len(box),
            options={"maxfev": each, "xatol": _PLACE, "fatol": _RATE, "initial_simplex": _simplex(start)},
        )  # fmt: skip
    place, _ = min(tried, key=lambda one: one[1])
    parameters = {name: _rounded(value) for name, value in zip(box, place, strict=True)}
    rows = [dict(zip(box, at, strict=True)) | {"rho": rho if rho < 1 else np.nan} for at, rho in tried]
    method = family.method(list(parameters.values()))
    # Read once more, and held against what runs, like any other.
    return Design(method, parameters, worst_case_rate(method, mu, L), pd.DataFrame(rows))


@dataclasses.dataclass
class _Family:
    """The methods that an optimizer makes, read once with symbols for their numbers."""

    optimizer: Callable[..., Any]
    names: tuple[str, ...]
    energies: EnergyClass
    sample: dict[str, float]

    def __post_init__(self) -> None:
        field = rational_functions(tuple(f"p{i}" for i in range(len(self.names))))
        symbols = dict(zip(self.names, map(Exact, field.gens), strict=True))
        self.reading: Reading = read_family("design", self.optimizer, symbols, field, self.sample)

    def method(self, values: list[Fraction]) -> Method:
        """The method with given numbers, on the energy x²/2."""
        return self.optimizer(Mode(1.0), **dict(zip(self.names, map(float, values), strict=True)))

    def on_quadratics(self, place: np.ndarray) -> float:
        """ρ on the slowest quadratic."""
        return self._asked(place)[1]

    def slowness(self, place: np.ndarray) -> float:
        """ρ, which may be more than 1, or what is more than any where it diverges on a quadratic."""
        asked, quadratics = self._asked(place)
        if asked is None or quadratics >= 1:
            return _NONE + quadratics
        rate, _ = fastest_rate(asked, quadratics, _NONE)
        return _NONE if rate is None else rate

    def _asked(self, place: np.ndarray) -> tuple[Problem | None, float]:
        try:
            values = [Fraction(float(value)) for value in place]
            asked = balanced(self.method(values), self.energies, self.reading.at(*values).minimal())
        except (ValueError, NotExactError):
            return None, _NONE
        return asked, min(asked.slowest()[0], _NONE)


def _box(optimizer: Any, ranges: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    if not callable(optimizer):
        raise TypeError(
            f"design: `optimizer` must make a method, as optimizers.nesterov does, got {in_a_line(optimizer)}"
        )
    taken = list(inspect.signature(optimizer).parameters)[1:]
    if not ranges:
        raise ValueError(f"design: give the range of a number, {taken[0] if taken else 'lr'}=(0, 1) say")
    box = {}
    for name, given in ranges.items():
        if name not in taken:
            raise ValueError(
                f"design: {getattr(optimizer, '__name__', 'the optimizer')} takes no `{name}`, but {', '.join(taken)}"
            )
        if not isinstance(given, (tuple, list)) or len(given) != 2:
            raise ValueError(f"design: `{name}` must be a range (least, greatest), got {in_a_line(given)}")
        least, greatest = (exact_number("design", name, end) for end in given)
        if least is None or greatest is None or least >= greatest:
            raise ValueError(f"design: `{name}` must be a finite range (least, greatest), got {in_a_line(given)}")
        box[name] = (float(least), float(greatest))
    return box


def _simplex(start: np.ndarray) -> np.ndarray:
    """A start and one neighbour along each axis, inside the unit box."""
    return np.vstack([start, start + np.diag(np.where(start < 1 / 2, 1, -1) / 20)])


def _rounded(value: float) -> Fraction:
    return Fraction(float(f"{value:.{_DIGITS}g}"))
