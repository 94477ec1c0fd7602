"""The exact leaf: what a recipe is run on where its answer is to be a proof."""

import math
import numbers
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from fractions import Fraction
from typing import Any, NoReturn

from sympy import QQ

from .square_root import square_root

# A float of at most so many significant bits was typed as it is (0.5, 1.75); more come from rounding (0.1, 1/6).
_DYADIC_BITS = 20


# The refusals of the reading under way: a recipe may catch one, and go on with another step than the one that runs.
_refusals: ContextVar[list["NotExactError"] | None] = ContextVar("refusals", default=None)


class NotExactError(TypeError):
    """A recipe did something that exact numbers don't allow; the message names the line and the remedy."""

    def __init__(self, *message: Any) -> None:
        super().__init__(*message)
        if (refusals := _refusals.get()) is not None:
            refusals.append(self)


class ImpureError(NotExactError):
    """A step that, asked twice alike, answers differently.

    Args:
        name: whose step.
    """

    def __init__(self, name: str = "the step") -> None:
        super().__init__(
            f"{name}, asked twice alike, answers differently: a step must be a function of its arguments, without "
            "counters and random draws of its own; noise comes as `noise`, and what it keeps as `memory`"
        )


@contextmanager
def heeded() -> Iterator[None]:
    """Lets no one inside catch a refusal and go on.

    Raises:
        NotExactError: the last one that was caught.
    """
    refusals: list[NotExactError] = []
    before = _refusals.set(refusals)
    try:
        yield
    finally:
        _refusals.reset(before)
    if refusals:
        raise refusals[-1]


class Exact:
    """An exact number: a rational, or an element of a polynomial ring or field over the rationals.

    It adds, multiplies and divides with integers, fractions, dyadic floats such as 0.5, and its like. Whatever would
    make a proof a lie it refuses: an inexact float, an array, a branch on its value, a function that is not rational.

    Attributes:
        value: a rational, or an element of one of SymPy's sparse rings or fields.

    Example:
        >>> from gradientflow.analysis import Exact
        >>> Exact(1) / 3 + 0.5
        Exact(5/6)
    """

    __slots__ = ("value",)
    # NumPy scalars would otherwise compute with it elementwise instead of deferring to the methods below.
    __array_ufunc__ = None

    def __init__(self, value: Any) -> None:
        self.value = _operand(value) if isinstance(value, numbers.Real) else value

    def __add__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a + b)

    def __sub__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a - b)

    def __rsub__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: b - a)

    def __mul__(self, other: Any) -> Any:
        return self._with(other, self._kind(other).multiplied)

    def __truediv__(self, other: Any) -> Any:
        return self._with(other, self._kind(other).divided)

    def __rtruediv__(self, other: Any) -> Any:
        divided = self._kind(other).divided
        return self._with(other, lambda a, b: divided(b, a))

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> "Exact":
        return type(self)(-self.value)

    def __pow__(self, exponent: Any) -> "Exact":
        if isinstance(exponent, numbers.Integral):
            power = Exact(self.value ** abs(int(exponent)))
            return power if int(exponent) >= 0 else 1 / power
        if exponent == 0.5:
            root = square_root(self.value)
            if root is not None:
                return Exact(root)
        raise NotExactError(f"({self.value}) ** {exponent!r} is not rational")

    def _with(self, other: Any, operation: Callable[[Any, Any], Any]) -> Any:
        operand = other.value if isinstance(other, Exact) else _operand(other)
        return operand if operand is NotImplemented else self._kind(other)(operation(self.value, operand))

    def _kind(self, other: Any) -> "type[Exact]":
        """The class of a result: the narrower of the two operands', which refuses more."""
        return type(other) if isinstance(other, type(self)) else type(self)

    @classmethod
    def multiplied(cls, left: Any, right: Any) -> Any:
        """The product of two values."""
        return left * right

    @classmethod
    def divided(cls, left: Any, right: Any) -> Any:
        """The quotient of two values."""
        return left / right

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise NotExactError("a test or conversion of a value: a recipe that is read exactly may not depend on values")

    __bool__ = __float__ = __int__ = __index__ = __complex__ = __abs__ = __array__ = _refuse
    __round__ = __floor__ = __ceil__ = __trunc__ = _refuse
    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __divmod__ = __rdivmod__ = _refuse
    # JAX looks whether there is one before it refuses in words of its own, which a recipe may catch.
    __jax_array__ = property(_refuse)
    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = _refuse
    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __repr__(self) -> str:
        """Its value."""
        return f"Exact({self.value})"


def _operand(value: Any) -> Any:
    """A number as a rational, if it is exact; `NotImplemented` for what is not a number (a state, say)."""
    if isinstance(value, numbers.Rational) and not isinstance(value, bool):
        return QQ(int(value.numerator), int(value.denominator))
    if isinstance(value, float):
        return _dyadic(value)
    if hasattr(value, "dtype"):
        raise NotExactError(f"an array or array scalar of type {value.dtype}: computed or drawn, and so not exact")
    return NotImplemented


def _dyadic(value: float) -> Any:
    if not math.isfinite(value):
        raise NotExactError(f"the float {value!r} is not a number to compute with exactly")
    numerator, denominator = value.as_integer_ratio()
    if denominator > 1 and numerator.bit_length() > _DYADIC_BITS:
        near = Fraction(value).limit_denominator(1000)
        short = float(near) == value
        remedy = f" as Fraction({near.numerator}, {near.denominator})" if short else " as a Fraction"
        in_a_step = f"; in a step, whose arrays take no Fraction, h*{near}" if short else ""
        raise NotExactError(f"the float {value!r} is rounded; write it{remedy}, and h*(2/3) as h*2/3{in_a_step}")
    return QQ(numerator, denominator)
