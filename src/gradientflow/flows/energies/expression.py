"""Energies typed as text: parsed over a whitelist of syntax, never evaluated as Python."""

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from ..checks import unknown_name
from .energy import Energy

_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}  # fmt: skip
_UNARY: Mapping[type[ast.unaryop], Callable[[Any], Any]] = {ast.UAdd: operator.pos, ast.USub: operator.neg}
_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "sqrt": jnp.sqrt, "exp": jnp.exp, "log": jnp.log, "abs": jnp.abs, "sin": jnp.sin, "cos": jnp.cos, "tan": jnp.tan,
    "sinh": jnp.sinh, "cosh": jnp.cosh, "tanh": jnp.tanh, "atan": jnp.arctan, "min": jnp.minimum, "max": jnp.maximum,
}  # fmt: skip
_ARITY = {"min": 2, "max": 2}
_CONSTANTS = {"pi": math.pi, "e": math.e}
_LONGEST = 2_000


class ExpressionEnergy(Energy):
    """An energy given by a formula in named variables; made by `from_expression`.

    Attributes:
        text: the formula.
        variables: the names of the coordinates, in order.
    """

    text: str = eqx.field(static=True)
    variables: tuple[str, ...] = eqx.field(static=True)

    def value(self, x: Any) -> Any:
        """The formula's value at the position x, of shape (n,)."""
        return _evaluate(_parse(self.text), dict(zip(self.variables, x, strict=True)))


def from_expression(text: str, variables: tuple[str, ...] | None = None) -> ExpressionEnergy:
    """An energy from a formula such as `"(1 - x)^2 + 100*(y - x^2)^2"`.

    Numbers, names, `+ - * / ^ **`, parentheses and a fixed list of functions are all that is understood.

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
    found = _names(_parse(text))
    if variables is None:
        variables = tuple(sorted(found, key=lambda name: (len(name), name)))
    missing = [name for name in found if name not in variables]
    if missing:
        raise ValueError(f"expression: variable {missing[0]!r} is not among the variables {', '.join(variables)}")
    if not variables:
        raise ValueError(f"expression: no variable in {text!r}; an energy is a function of x, y, …")
    return ExpressionEnergy(text, tuple(variables))


def _parse(text: str) -> ast.expr:
    if len(text) > _LONGEST:
        raise ValueError(f"expression: at most {_LONGEST} characters, got {len(text)}; write a Python function instead")
    try:
        tree = ast.parse(text.strip().replace("^", "**"), mode="eval").body
        _check(tree)
    except SyntaxError as error:
        raise ValueError(f"expression: {text!r} is not a formula: {error.msg} at character {error.offset}") from None
    except (RecursionError, MemoryError):
        raise ValueError("expression: nested too deeply; write a Python function instead") from None
    return tree


def _check(node: ast.expr) -> None:
    match node:
        case ast.Constant(value=value) if isinstance(value, (int, float)) and not isinstance(value, bool):
            if abs(value) > 1e300:
                raise ValueError(f"expression: the number {ast.unparse(node)[:20]} is too large")
        case ast.Name():
            pass
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            _check(left)
            _check(right)
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
            _check(operand)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
            if len(args) != _ARITY.get(name, 1):
                raise ValueError(f"expression: {name} takes {_ARITY.get(name, 1)} argument(s), got {len(args)}")
            for argument in args:
                _check(argument)
        case ast.Call(func=ast.Name(id=name)):
            raise ValueError(f"expression: {unknown_name('function', name, _FUNCTIONS)}")
        case _:
            raise ValueError(
                f"expression: {ast.unparse(node)[:60]!r} is not allowed; only arithmetic and functions are"
            )


def _names(node: ast.expr) -> set[str]:
    functions = {id(call.func) for call in ast.walk(node) if isinstance(call, ast.Call)}
    names = {name.id for name in ast.walk(node) if isinstance(name, ast.Name) and id(name) not in functions}
    return names - set(_CONSTANTS)


def _evaluate(node: ast.expr, values: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant(value=value):
            # Integers stay integers, so that x**2 is a product and not exp(2 log x), which has no gradient at 0.
            return value
        case ast.Name(id=name):
            return values[name] if name in values else _CONSTANTS[name]
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _power(_evaluate(left, values), _evaluate(right, values))
        case ast.BinOp(left=left, op=op, right=right):
            return _BINARY[type(op)](_evaluate(left, values), _evaluate(right, values))
        case ast.UnaryOp(op=op, operand=operand):
            return _UNARY[type(op)](_evaluate(operand, values))
        case ast.Call(func=ast.Name(id=name), args=args):
            return _FUNCTIONS[name](*(_evaluate(argument, values) for argument in args))
    raise AssertionError(ast.dump(node))


def _power(base: Any, exponent: Any) -> Any:
    if isinstance(exponent, (int, float)):
        # Floats on both sides keep a tower of constants from growing into an integer of a million digits.
        if isinstance(base, (int, float)):
            try:
                return float(base) ** float(exponent)
            except (OverflowError, ZeroDivisionError) as error:
                raise ValueError(f"expression: {base}^{exponent}: {error}") from None
        small_integer = float(exponent).is_integer() and abs(exponent) <= 64
        return base ** (int(exponent) if small_integer else float(exponent))
    return base**exponent
