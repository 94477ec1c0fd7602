"""Methods and classes with numbers that are not chosen yet, read once over a field of rational functions."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import sympy

from gradientflow.flows import Mode
from gradientflow.flows.checks import in_a_line

from ..exact.algebra import rational_functions, value_at
from ..exact.leaf import Exact, NotExactError
from ..exact.positive import is_defined, is_nonnegative, is_positive
from ..exact.state_reading import Reading
from ..exact.state_space import StateSpace
from ..exact.subject import exact_number, read_family, read_subject
from .conditions import Condition
from .decrease import Bounds, distance_conditions, scheme_conditions
from .problem import EnergyClass, Problem

# How many values of a number there are to look at.
_VALUES = 40


@dataclasses.dataclass
class Family:
    """Methods and their classes, by numbers in open ranges.

    Each number is a function of a variable that may be any positive number, in which all else is a rational function.

    Attributes:
        optimizer: (energy, **numbers) ↦ a method.
        mu: μ, a number or a function of the numbers.
        L: L likewise; ∞ for no bound.
        ranges: of each number, by name, the ends; the upper one may be ∞.
    """

    optimizer: Callable[..., Any]
    mu: Any
    L: Any
    ranges: Mapping[str, tuple[Fraction, Fraction | None]]

    def __post_init__(self) -> None:
        where = "worst_case_formula"
        self.field = rational_functions([sympy.Symbol(f"s_{name}", positive=True) for name in self.ranges])
        one = self.field.one
        self._numbers = {
            name: one * low + s if high is None else (one * low + one * high * s) / (1 + s)
            for (name, (low, high)), s in zip(self.ranges.items(), self.field.gens, strict=True)
        }
        sample = {name: float(value) for name, value in self.numbers_at((Fraction(1),) * len(self.ranges)).items()}
        hint = " (of √κ take the root as the number)"
        self.reading: Reading = read_family(where, self.optimizer, self._symbols(), self.field, sample, hint)
        self.space = _space(self.reading, self.field)
        self.lowest, highest = (self.element(name, given) for name, given in (("mu", self.mu), ("L", self.L)))
        if self.lowest is None:
            raise ValueError(f"{where}: `mu` must be finite, got {self.mu}")
        self.highest = highest

    @property
    def unit(self) -> Any:
        """What gradients are counted in: L, or 1 where there is none."""
        return self.field.one if self.highest is None else self.highest

    @property
    def counted(self) -> StateSpace:
        """The system with its gradients counted in `unit`."""
        return self.space.with_gradients_in(self.unit)

    @property
    def is_sound(self) -> bool:
        """Whether 0 < μ < L and the step is defined, shown for all numbers in their ranges."""
        space, unit = self.space, self.highest
        known = (space.A, space.B, space.C, space.D, space.position, space.position_inputs)
        entries = [entry for matrix in known for entry in matrix.ravel()]
        return (
            is_positive(self.lowest)
            and (unit is None or (is_defined(unit) and is_positive(unit - self.lowest)))
            and all(map(is_defined, entries))
        )

    def element(self, name: str, given: Any) -> Any:
        """A number, or a function of the numbers, as a rational function; `None` for ∞."""
        try:
            value = given(**self._symbols()) if callable(given) else given
        except NotExactError as error:
            raise NotExactError(f"worst_case_formula: `{name}` must be a rational function: {error}") from error
        if isinstance(value, Exact):
            return self.field.one * value.value
        value = exact_number("worst_case_formula", name, value)
        return None if value is None else self.field.one * value

    def places(self) -> Iterator[tuple[Fraction, ...]]:
        """Points at which the variables are, the simplest first."""
        values = [list(itertools.islice(_simple_between(*ends), _VALUES)) for ends in self.ranges.values()]
        ordered = sorted(itertools.product(*map(range, map(len, values))), key=lambda some: (sum(some), some))
        return (tuple(of[i] for of, i in zip(values, some, strict=True)) for some in ordered)

    def at(self, place: tuple[Fraction, ...]) -> Problem:
        """What is asked where the variables have values.

        Raises:
            NotExactError: if it does not rest at a minimizer, or a state is one too many.
            ValueError: if μ and L are no class there.
        """
        space = self.reading.at(*place)
        if space.minimal() is not space:
            raise NotExactError("worst_case_formula: the method has a state that nothing depends on")
        mu, L = (None if each is None else self.valued(each, place) for each in (self.lowest, self.highest))
        if mu is None or mu <= 0 or (L is not None and mu >= L):
            raise ValueError(
                f"worst_case_formula: μ must be positive and less than L, got μ = {mu} and L = {L} at "
                + ", ".join(f"{name} = {value}" for name, value in self.numbers_at(place).items())
            )
        method = self.optimizer(Mode(1.0), **self.numbers_at(place))
        unit = self.valued(self.unit, place)
        inverse_L = Fraction(0) if L is None else unit / L
        one = (Fraction(1),) * space.states
        return Problem(method, EnergyClass(mu, L), space.with_gradients_in(unit), unit, one, mu / unit, inverse_L)

    def check_at(self, place: tuple[Fraction, ...]) -> None:
        """Whether the method with these numbers is the one that was read with symbols.

        Raises:
            NotExactError: if it is another.
        """
        asked = self.at(place)
        read = read_subject("worst_case_formula", asked.subject, False).with_gradients_in(asked.unit)
        mine, its = ((each.A, each.B, each.C, each.D, each.position) for each in (asked.space, read))
        if not all(np.array_equal(a, b) for a, b in zip(mine, its, strict=True)):
            numbers = ", ".join(f"{name} = {value}" for name, value in self.numbers_at(place).items())
            raise NotExactError(
                f"worst_case_formula: with {numbers} the optimizer makes another method than with symbols"
            )

    def numbers_at(self, place: tuple[Fraction, ...]) -> dict[str, Fraction]:
        """The numbers where the variables have values."""
        return {name: self.valued(element, place) for name, element in self._numbers.items()}

    def valued(self, element: Any, place: tuple[Fraction, ...]) -> Fraction:
        """A rational function where the variables have values."""
        return value_at(element, dict(zip(map(str, self.field.symbols), place, strict=True)))

    def conditions(self, squared_rate: Any) -> list[Condition]:
        """What a Lyapunov function must satisfy, in rational functions: ‖x − x*‖² of a method with one state."""
        unit = self.unit
        inverse_L = self.field.zero if self.highest is None else unit / self.highest
        space, bounds = self.counted, Bounds(self.lowest / unit, inverse_L)
        if space.states == 1:
            return distance_conditions(space, bounds, False)
        return scheme_conditions(space, bounds, squared_rate)

    def told(self, element: Any) -> sympy.Expr:
        """A rational function of the variables in the numbers themselves."""
        expression: Any = element.as_expr() if hasattr(element, "as_expr") else sympy.Rational(element)
        for (name, (low, high)), s in zip(self.ranges.items(), self.field.symbols, strict=True):
            x = sympy.Symbol(name)
            low = sympy.Rational(low.numerator, low.denominator)
            there = x - low if high is None else (x - low) / (sympy.Rational(high.numerator, high.denominator) - x)
            expression = expression.subs(s, there)
        factored: Any = sympy.factor(expression)
        return factored

    def root(self, squared: Any) -> sympy.Expr:
        """The root of what is nowhere negative, in the numbers themselves."""
        root: Any = sympy.factor(sympy.sqrt(squared.as_expr()).replace(sympy.Abs, lambda inside: inside))
        if not root.is_rational_function(*self.field.symbols):
            return sympy.sqrt(self.told(squared))
        element = self.field.from_expr(root)
        signed = element if is_nonnegative(element) else -element
        if not is_nonnegative(signed):
            return sympy.Abs(self.told(element))
        told: Any = self.told(signed)
        if not told.is_Mul or told.args[0] != -1:
            return told
        # A minus before a bracket goes into it.
        numerator, denominator = told.as_numer_denom()
        return sympy.expand(numerator) / denominator

    def _symbols(self) -> dict[str, Exact]:
        return {name: Exact(element) for name, element in self._numbers.items()}


def _space(reading: Reading, field: Any) -> StateSpace:
    """The system with its coefficients as they are.

    Raises:
        NotExactError: if it is not shown to rest where the gradient vanishes.
    """
    n = len(reading.names)
    if not len(reading.points):
        raise NotExactError("worst_case_formula: it asks for no gradient: it does not depend on the energy")
    after, points, position, start = (rows * field.one for rows in (
        reading.after, reading.points, reading.position, reading.start))  # fmt: skip
    rest = start[:, :1]
    stays = after[:, :n] @ rest - rest
    leads = np.vstack([points[:, :n], position[:, :n]]) @ rest
    if stays.any() or any(entry != 1 for entry in leads.ravel()):
        raise NotExactError("worst_case_formula: it does not rest where the gradient vanishes: it is no descent of E")
    return StateSpace(
        after[:, :n], after[:, n:], points[:, :n], points[:, n:], position[:, :n], position[:, n:], rest, start,
        reading.start_points * field.one, reading.names, reading.parts, reading.start_parts,
    )  # fmt: skip


def ranges_of(where: str, given: Mapping[str, Any]) -> dict[str, tuple[Fraction, Fraction | None]]:
    """The ranges of numbers, checked.

    Raises:
        ValueError: if one is none.
    """
    if not given:
        raise ValueError(f"{where}: give the range of a number, kappa=(1, math.inf) say")
    found = {}
    for name, ends in given.items():
        if not isinstance(ends, (tuple, list)) or len(ends) != 2:
            raise ValueError(f"{where}: `{name}` must be a range (least, greatest), got {in_a_line(ends)}")
        low, high = (exact_number(where, name, end) for end in ends)
        if low is None or (high is not None and low >= high) or (high is None and ends[1] != math.inf):
            raise ValueError(f"{where}: `{name}` must be a range (least, greatest), got {in_a_line(ends)}")
        found[name] = (low, high)
    return found


def _simple_between(low: Fraction, high: Fraction | None) -> Iterator[Fraction]:
    """What a number's variable is where the number, or what it is above its least, is a short fraction; shortest first.

    What is read off a solver's digits is short there too.
    """
    for size in itertools.count(2):
        for denominator in range(1, size):
            above = Fraction(size - denominator, denominator)
            if above.denominator != denominator:
                continue
            if high is None:
                yield above
            elif low < (number := math.floor(low) + above) < high:
                yield (number - low) / (high - number)
