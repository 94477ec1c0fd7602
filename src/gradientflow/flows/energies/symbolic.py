"""Energies given as SymPy expressions."""

import functools
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import equinox as eqx

from gradientflow._formula import Polynomial, coefficients, plus, times

from ..aliases import Position
from ..checks import by_name, in_a_line
from .energy import Energy
from .quadratic import Quadratic


class SymbolicEnergy(Energy):
    """An energy given by a SymPy expression; made by `from_sympy`.

    Attributes:
        expression: E, a SymPy expression.
        symbols: its variables, the coordinates in order.
    """

    expression: Any = eqx.field(static=True)
    symbols: tuple[Any, ...] = eqx.field(static=True)

    def value(self, x: Position) -> Any:
        """The expression's value at the position x, of shape (n,)."""
        return _compiled(self.expression, self.symbols)(*(x[i] for i in range(len(self.symbols))))


class QuadraticSymbolic(SymbolicEnergy, Quadratic):
    """A SymPy expression of second degree: a quadratic, with H, b and c rounded once from its exact coefficients.

    Attributes:
        expression: E, a SymPy expression.
        symbols: its variables, the coordinates in order.
        H, b, c: as those of `Quadratic`.
    """

    def __init__(self, expression: Any, symbols: tuple[Any, ...], H: Any, b: Any, c: Any) -> None:
        self.expression, self.symbols = expression, symbols
        Quadratic.__init__(self, H, b, c)


@by_name
def from_sympy(expr: Any, symbols: Any) -> SymbolicEnergy:
    """An energy from a SymPy expression, on arrays of shape (n,); of second degree it is a quadratic.

    Args:
        expr: a real SymPy expression; `Piecewise`, `Max`, `Abs` and the elementary functions are understood.
        symbols: its variables in the order of the coordinates, symbols or their names.

    Raises:
        TypeError: if `expr` is not a SymPy expression.
        ValueError: if it has a variable that is not among the symbols, or a symbol is given twice.

    References:
        A. Meurer et al., SymPy: symbolic computing in Python, PeerJ Computer Science 3, 2017.

    Example:
        >>> import sympy, gradientflow as gf
        >>> x, y = sympy.symbols("x y")
        >>> E = gf.from_sympy((1 - x) ** 2 + 100 * (y - x**2) ** 2, [x, y])
        >>> E.grad(gf.flows.as_floating([0.0, 1.0])).tolist()
        [-2.0, 200.0]
    """
    import sympy

    if not isinstance(expr, sympy.Expr):
        raise TypeError(
            f"from_sympy: `expr` must be a SymPy expression, got {in_a_line(expr)}; give text to from_expression"
        )
    given = [symbols] if isinstance(symbols, (str, sympy.Symbol)) else symbols
    # A name stands for the expression's own symbol, whatever is assumed of it.
    own = {str(symbol): symbol for symbol in expr.free_symbols}
    ordered = tuple(own.get(name, sympy.Symbol(name)) for name in map(str, given))
    if not ordered or len(set(ordered)) < len(ordered):
        raise ValueError(f"from_sympy: `symbols` must name every coordinate once, got {in_a_line(symbols)}")
    missing = sorted(expr.free_symbols - set(ordered), key=str)
    if missing:
        raise ValueError(
            f"from_sympy: the variable {missing[0]} is not among the symbols {', '.join(map(str, ordered))}; add "
            f"it, or put in its value with expr.subs({missing[0]}, ...)"
        )
    if (polynomial := _second_degree(expr, ordered)) is not None:
        return QuadraticSymbolic(expr, ordered, *coefficients(polynomial, len(ordered)))
    return SymbolicEnergy(expr, ordered)


def _second_degree(node: Any, symbols: tuple[Any, ...]) -> Polynomial | None:
    """An expression as a polynomial of degree at most two in exact numbers; `None` if it isn't one as it is written."""
    if node in symbols:
        return {(symbols.index(node),): Fraction(1)}
    if node.is_number:
        if node.is_Rational:
            return {(): Fraction(int(node.p), int(node.q))}
        return {(): Fraction(float(node))} if node.is_finite and node.is_real else None
    if node.is_Add or node.is_Mul:
        parts = (_second_degree(part, symbols) for part in node.args)
        return functools.reduce(plus if node.is_Add else times, parts)
    if node.is_Pow and node.exp == 2:
        base = _second_degree(node.base, symbols)
        return times(base, base)
    return None


@functools.lru_cache(maxsize=128)
def _compiled(expression: Any, symbols: tuple[Any, ...]) -> Callable[..., Any]:
    import jax.numpy as jnp
    import sympy

    function = sympy.lambdify(symbols, expression, modules="jax")
    return lambda *values: jnp.asarray(function(*values), jnp.result_type(*values))
