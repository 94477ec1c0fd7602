"""Energies typed as text: parsed over a whitelist of syntax, never evaluated as Python."""

import ast
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from gradientflow._formula import (
    BINARY,
    LARGEST_POWER,
    UNARY,
    check_size,
    coefficients,
    is_long,
    parse,
    second_degree,
    variables_of,
)

from ..aliases import Position
from ..checks import by_name
from .energy import Energy
from .quadratic import Quadratic

_ON_ARRAYS: Mapping[str, Callable[..., Any]] = {
    "sqrt": jnp.sqrt, "exp": jnp.exp, "log": jnp.log, "abs": jnp.abs, "sin": jnp.sin, "cos": jnp.cos, "tan": jnp.tan,
    "sinh": jnp.sinh, "cosh": jnp.cosh, "tanh": jnp.tanh, "atan": jnp.arctan, "min": jnp.minimum, "max": jnp.maximum,
}  # fmt: skip


class ExpressionEnergy(Energy):
    """An energy given by a formula in named variables; made by `from_expression`.

    Attributes:
        text: the formula.
        variables: the names of the coordinates, in order.
    """

    text: str = eqx.field(static=True)
    variables: tuple[str, ...] = eqx.field(static=True)

    def value(self, x: Position) -> Any:
        """The formula's value at the position x, of shape (n,).

        Raises:
            ValueError: if there are not as many numbers as variables.
        """
        if len(x) != len(self.variables):
            raise ValueError(f"the formula has {len(self.variables)} variables, {', '.join(self.variables)}")
        return _evaluate(parse(self.text), dict(zip(self.variables, x, strict=True)))


class QuadraticExpression(ExpressionEnergy, Quadratic):
    """A formula of second degree: a quadratic, with H, b and c rounded once from the formula's exact coefficients.

    Attributes:
        text: the formula.
        variables: the names of the coordinates, in order.
        H, b, c: as those of `Quadratic`.
    """

    # The same function, but for how it is written: what is known of the one is known of the other.
    grad = Quadratic.grad
    hessian, linear = Quadratic.hessian, Quadratic.linear  # pyright: ignore[reportIncompatibleMethodOverride]
    minimizer, minimum = Quadratic.minimizer, Quadratic.minimum  # pyright: ignore[reportIncompatibleMethodOverride]
    curvature = Quadratic.curvature  # pyright: ignore[reportIncompatibleMethodOverride]

    def __init__(self, text: str, variables: tuple[str, ...], H: Any, b: Any, c: Any) -> None:
        self.text, self.variables = text, variables
        Quadratic.__init__(self, H, b, c)

    def value(self, x: Position) -> Any:
        """The formula's value as it is typed, where nothing cancels that does not there."""
        return Quadratic.value(self, x) if is_long(parse(self.text)) else ExpressionEnergy.value(self, x)


@by_name
def from_expression(text: str, variables: tuple[str, ...] | None = None) -> ExpressionEnergy:
    """An energy from a formula such as `"(1 - x)^2 + 100*(y - x^2)^2"`.

    Numbers, names, `+ - * / ^ **`, parentheses and a fixed list of functions are all that is understood. A formula of
    second degree is a quadratic: what is proved of `Quadratic` is proved of it.

    Args:
        text: the formula.
        variables: the coordinates' names in order; unless given, the names found, sorted as people number
            them (x, y, z or x1, x2, …, x10).

    Raises:
        ValueError: if the text is not such a formula, saying which part.

    Example:
        >>> import gradientflow as gf
        >>> E = gf.from_expression("x^2 + 3*y")
        >>> E.variables, float(E([2.0, 1.0]))
        (('x', 'y'), 7.0)
    """
    tree = parse(text)
    found = variables_of(tree)
    names = tuple(found) if variables is None else tuple(variables)
    missing = [name for name in found if name not in names]
    if missing:
        raise ValueError(f"expression: variable {missing[0]!r} is not among the variables {', '.join(names)}")
    if not names:
        raise ValueError(f"expression: no variable in {text!r}; an energy is a function of x, y, …")
    if (polynomial := second_degree(tree, names)) is not None:
        return QuadraticExpression(text, names, *coefficients(polynomial, len(names)))
    check_size(tree, text)
    return ExpressionEnergy(text, names)


def _evaluate(node: ast.expr, values: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant(value=value):
            return float(value)  # pyright: ignore[reportArgumentType]
        case ast.Name(id=name):
            return values[name]
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _power(_evaluate(left, values), _evaluate(right, values))
        case ast.BinOp(left=left, op=op, right=right):
            return BINARY[type(op)](_evaluate(left, values), _evaluate(right, values))
        case ast.UnaryOp(op=op, operand=operand):
            return UNARY[type(op)](_evaluate(operand, values))
        case ast.Call(func=ast.Name(id=name), args=args):
            return _ON_ARRAYS[name](*(_evaluate(argument, values) for argument in args))
    raise AssertionError(ast.dump(node))


def _power(base: Any, exponent: Any) -> Any:
    # An integer is one, so that x^2 is a product and not exp(2 log x), which has no gradient at 0.
    if isinstance(exponent, float) and exponent.is_integer() and abs(exponent) <= LARGEST_POWER:
        return base ** int(exponent)
    return base**exponent
