r"""Functions of time as exact numbers: a field of rational functions in e^{−at}, cos ωt, …, with their derivative."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import sympy
from sympy.polys.fields import FracElement

from .algebra import rational_functions
from .leaf import Exact


@dataclasses.dataclass(frozen=True)
class Motion:
    """A field ℚ(parameters, functions of time) and what the functions are.

    Attributes:
        field: the field; its generators are the parameters and the functions.
        slopes: the functions' derivatives, by name; a generator that isn't here is a constant.
        starts: the functions' values at t = 0, by name.
        meanings: the functions as formulas in the constants and t, by name.
    """

    field: Any
    slopes: Mapping[str, Exact]
    starts: Mapping[str, int]
    meanings: Mapping[str, sympy.Expr]

    @property
    def generators(self) -> dict[str, Exact]:
        """The parameters and the functions as exact leaves, by name."""
        return _generators(self.field)

    def derivative(self, value: Exact) -> Exact:
        """d/dt, by the chain rule."""
        element = self._element(value)
        total = self.field.zero
        for symbol, generator in zip(self.field.symbols, self.field.gens, strict=True):
            if str(symbol) in self.slopes:
                total += element.diff(generator) * self._element(self.slopes[str(symbol)])
        return Exact(total)

    def at_zero(self, value: Exact) -> Exact:
        """The value at t = 0."""
        element = self._element(value)
        names = [str(symbol) for symbol in self.field.symbols]
        starts = [(self.field.ring.gens[names.index(name)], start) for name, start in self.starts.items()]
        numerator, denominator = (part.compose(starts) for part in (element.numer, element.denom))
        return Exact(self.field(numerator) / self.field(denominator))

    def expression(self, value: Exact) -> sympy.Expr:
        """The value as a formula in the constants and t, ordered by the functions of time."""
        element = self._element(value)
        meanings = {sympy.Symbol(name): meaning for name, meaning in self.meanings.items()}
        ordered = sympy.collect(element.numer.as_expr(), list(meanings), func=sympy.factor)
        return (ordered / element.denom.as_expr()).subs(meanings, simultaneous=True)

    def _element(self, value: Any) -> FracElement:
        element = value.value if isinstance(value, Exact) else value
        return element if isinstance(element, FracElement) else self.field(element)


class TimeFunction(NamedTuple):
    """A function of time among a motion's generators.

    Attributes:
        slope: (generators by name) ↦ its derivative.
        start: its value at t = 0.
        meaning: (symbols by name, t) ↦ what it is.
    """

    slope: Callable[[Mapping[str, Exact]], Exact]
    start: int
    meaning: Callable[[Mapping[str, sympy.Symbol], sympy.Symbol], sympy.Expr]


def motion(constants: str, **functions: TimeFunction) -> tuple[Motion, dict[str, Exact]]:
    """A motion, and its generators by name.

    Args:
        constants: the constants' names, separated by spaces.
        functions: the functions of time, by name.
    """
    field = rational_functions([*constants.split(), *functions])
    generators = _generators(field)
    symbols, t = {str(symbol): symbol for symbol in field.symbols}, sympy.Symbol("t")
    return Motion(
        field,
        {name: function.slope(generators) for name, function in functions.items()},
        {name: function.start for name, function in functions.items()},
        {name: function.meaning(symbols, t) for name, function in functions.items()},
    ), generators


def _generators(field: Any) -> dict[str, Exact]:
    return {str(symbol): Exact(generator) for symbol, generator in zip(field.symbols, field.gens, strict=True)}
