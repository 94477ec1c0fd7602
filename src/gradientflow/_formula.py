"""Formulas typed as text: their syntax, their constants, and those of second degree in exact numbers.

Nothing numerical is imported here, so that the shell answers a typo at once. A formula is parsed over a whitelist of
syntax and never evaluated as Python.
"""

import ast
import math
import operator
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from ._names import unknown_name

BINARY: Mapping[type[ast.operator], Callable[..., Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.Pow: lambda a, b: _power(a, b),
}  # fmt: skip
UNARY: Mapping[type[ast.unaryop], Callable[..., Any]] = {ast.UAdd: operator.pos, ast.USub: operator.neg}
FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "sqrt": math.sqrt, "exp": math.exp, "log": math.log, "abs": abs, "sin": math.sin, "cos": math.cos, "tan": math.tan,
    "sinh": math.sinh, "cosh": math.cosh, "tanh": math.tanh, "atan": math.atan, "min": min, "max": max,
}  # fmt: skip
CONSTANTS: Mapping[str, float] = {"pi": math.pi, "e": math.e}
_ARITY = {"min": 2, "max": 2}
_LONGEST = 2_000
LARGEST_POWER = 64
_LONG_SUM = 32
# Programs grow with it, and a longer one than this takes longer to compile than anybody waits.
_MOST_OPERATIONS = 200

# A polynomial of second degree: coefficients by the indices of the variables that they multiply, (), (i,) or (i, j).
Polynomial = dict[tuple[int, ...], Fraction]


def parse(text: str) -> ast.expr:
    """A formula's syntax tree, with each part that has no variable as one number: a fraction where it is one.

    Raises:
        ValueError: if the text is no formula, saying which part.
    """
    if len(text) > _LONGEST:
        raise ValueError(f"expression: at most {_LONGEST} characters, got {len(text)}; write a Python function instead")
    try:
        tree = _balanced(ast.parse(text.strip().replace("^", "**"), mode="eval").body)
        _check(tree)
        return _folded(tree)
    except SyntaxError as error:
        # Where it ends too soon Python names no character.
        where = f" at character {error.offset}" if error.offset else ""
        raise ValueError(f"expression: {text!r} is not a formula: {error.msg}{where}") from None
    except (RecursionError, MemoryError):
        raise ValueError("expression: nested too deeply; write a Python function instead") from None


def variables_of(tree: ast.expr) -> list[str]:
    """The names that stand for coordinates, sorted as people number them: x, y, z or x1, x2, …, x10."""
    functions = {id(call.func) for call in ast.walk(tree) if isinstance(call, ast.Call)}
    names = {name.id for name in ast.walk(tree) if isinstance(name, ast.Name) and id(name) not in functions}
    return sorted(names - set(CONSTANTS), key=lambda name: (len(name), name))


def is_long(tree: ast.expr) -> bool:
    """Whether a formula's program would take minutes to compile."""
    return _operations(tree) > _MOST_OPERATIONS


def check_size(tree: ast.expr, text: str) -> None:
    """Refuses a formula whose program would take minutes to compile.

    Raises:
        ValueError: saying how long it is.
    """
    if is_long(tree):
        raise ValueError(
            f"expression: {_operations(tree)} operations in '{text[:20]}…' take minutes to compile, at most "
            f"{_MOST_OPERATIONS} are taken; write a Python function over arrays, or collect terms"
        )


def second_degree(node: ast.expr, variables: tuple[str, ...]) -> Polynomial | None:
    """A formula as a polynomial of degree at most two in exact numbers; `None` if it isn't one as it is written.

    Numbers are the decimals that were typed; constants that are no fractions, √2 say, the floats that stand for them.
    """
    match node:
        case ast.Constant(value=value):
            return {(): Fraction(value)}  # pyright: ignore
        case ast.Name(id=name):
            return {(variables.index(name),): Fraction(1)}
        case ast.UnaryOp(op=op, operand=operand):
            return times(_sign(op), second_degree(operand, variables))
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as op, right=right):
            return plus(second_degree(left, variables), times(_sign(op), second_degree(right, variables)))
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return times(second_degree(left, variables), second_degree(right, variables))
        case ast.BinOp(left=left, op=ast.Div(), right=ast.Constant(value=divisor)):
            return times(second_degree(left, variables), {(): 1 / Fraction(divisor)})  # pyright: ignore
        case ast.BinOp(left=left, op=ast.Pow(), right=ast.Constant(value=exponent)) if exponent in (0, 1, 2):
            base = second_degree(left, variables)
            return ({(): Fraction(1)}, base, times(base, base))[int(exponent)]  # pyright: ignore
    return None


def plus(left: Polynomial | None, right: Polynomial | None) -> Polynomial | None:
    """The sum."""
    if left is None or right is None:
        return None
    return {key: left.get(key, Fraction(0)) + right.get(key, Fraction(0)) for key in left | right}


def times(left: Polynomial | None, right: Polynomial | None) -> Polynomial | None:
    """The product; `None` beyond the second degree."""
    if left is None or right is None:
        return None
    product: Polynomial = {}
    for a, p in left.items():
        for b, q in right.items():
            if p * q == 0:
                continue
            if len(a + b) > 2:
                return None
            key = tuple(sorted(a + b))
            product[key] = product.get(key, Fraction(0)) + p * q
    return product


def coefficients(polynomial: Polynomial, n: int) -> tuple[list[list[float]], list[float], float]:
    """H, b and c of ½xᵀHx − bᵀx + c, each rounded once."""
    H = [[Fraction(0)] * n for _ in range(n)]
    b = [-polynomial.get((i,), Fraction(0)) for i in range(n)]
    for key, value in polynomial.items():
        if len(key) == 2:
            H[key[0]][key[1]] += value
            H[key[1]][key[0]] += value
    return [list(map(float, row)) for row in H], list(map(float, b)), float(polynomial.get((), 0))


def _operations(tree: ast.expr) -> int:
    return sum(isinstance(node, (ast.BinOp, ast.Call)) for node in ast.walk(tree))


def _sign(op: ast.operator | ast.unaryop) -> Polynomial:
    return {(): Fraction(-1 if isinstance(op, (ast.Sub, ast.USub)) else 1)}


def _balanced(node: ast.expr) -> ast.expr:
    """A long sum as sums of sums: as Python parses it, it is nested as deeply as it is long."""
    terms: list[tuple[bool, ast.expr]] = []
    rest = node
    while isinstance(rest, ast.BinOp) and isinstance(rest.op, (ast.Add, ast.Sub)):
        terms.append((isinstance(rest.op, ast.Add), rest.right))
        rest = rest.left
    terms.append((True, rest))
    if len(terms) <= _LONG_SUM:
        return node
    terms.reverse()
    while len(terms) > 1:
        terms = [_joined(*terms[i : i + 2]) for i in range(0, len(terms), 2)]
    added, whole = terms[0]
    return whole if added else ast.UnaryOp(ast.USub(), whole)


def _joined(one: tuple[bool, ast.expr], other: tuple[bool, ast.expr] | None = None) -> tuple[bool, ast.expr]:
    if other is None:
        return one
    if one[0] == other[0]:
        return one[0], ast.BinOp(one[1], ast.Add(), other[1])
    first, second = (one, other) if one[0] else (other, one)
    return True, ast.BinOp(first[1], ast.Sub(), second[1])


def _folded(node: ast.expr) -> ast.expr:
    """The tree with each part that has no variable as one number."""
    match node:
        case ast.Constant():
            # The decimal that was typed, not the float beside it.
            return _number(Fraction(ast.unparse(node)), node)
        case ast.Name(id=name):
            return _number(CONSTANTS[name], node) if name in CONSTANTS else node
        case ast.BinOp(left=left, op=op, right=right):
            parts = [_folded(left), _folded(right)]
            function, folded = BINARY[type(op)], ast.BinOp(parts[0], op, parts[1])
        case ast.UnaryOp(op=op, operand=operand):
            parts = [_folded(operand)]
            function, folded = UNARY[type(op)], ast.UnaryOp(op, parts[0])
        case ast.Call(func=ast.Name(id=name) as called, args=arguments):
            parts = [_folded(argument) for argument in arguments]
            function, folded = FUNCTIONS[name], ast.Call(called, parts, [])
        case _:
            raise AssertionError(ast.dump(node))
    values: list[Any] = [part.value for part in parts if isinstance(part, ast.Constant)]
    if len(values) < len(parts):
        if isinstance(folded, ast.BinOp) and isinstance(folded.op, ast.Div) and _is_zero(folded.right):
            raise ValueError(f"expression: {_shown(node)} divides by 0")
        return folded
    try:
        return _number(function(*values), node)
    except (ArithmeticError, ValueError):
        return _number(math.nan, node)


def _is_zero(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value == 0


def _number(value: Any, node: ast.expr) -> ast.expr:
    try:
        finite = math.isfinite(float(value))
    except OverflowError:
        finite = False
    if not finite:
        raise ValueError(f"expression: {_shown(node)} is not a finite number")
    return ast.Constant(value)


def _power(base: Any, exponent: Any) -> Any:
    """Exact where it is short."""
    exact = isinstance(base, Fraction) and isinstance(exponent, Fraction) and exponent.denominator == 1
    return base ** int(exponent) if exact and abs(exponent) <= LARGEST_POWER else math.pow(base, exponent)


def _check(node: ast.expr) -> None:
    match node:
        case ast.Constant(value=value) if isinstance(value, (int, float)) and not isinstance(value, bool):
            if abs(value) > 1e300:
                raise ValueError(f"expression: the number {ast.unparse(node)[:20]} is too large")
        case ast.Name(id=name):
            if name in FUNCTIONS:
                raise ValueError(f"expression: {name} is a function; write {name}(x), say")
        case ast.BinOp(left=left, op=op, right=right) if type(op) in BINARY:
            _check(left)
            _check(right)
        case ast.UnaryOp(op=op, operand=operand) if type(op) in UNARY:
            _check(operand)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in FUNCTIONS:
            if len(args) != _ARITY.get(name, 1):
                raise ValueError(f"expression: {name} takes {_ARITY.get(name, 1)} argument(s), got {len(args)}")
            for argument in args:
                _check(argument)
        case ast.Call(func=ast.Name(id=name)):
            raise ValueError(f"expression: {unknown_name('function', name, FUNCTIONS)}")
        case ast.Attribute(attr="py"):
            raise ValueError(
                f"expression: {_shown(node)} is not allowed; of a file name its function, FILE.py:FUNCTION"
            )
        case _:
            raise ValueError(f"expression: {_shown(node)} is not allowed; only arithmetic and functions are")


def _shown(node: ast.expr) -> str:
    text = ast.unparse(node).replace("**", "^")
    return repr(text if len(text) <= 60 else text[:59] + "…")
