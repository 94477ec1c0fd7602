"""Arithmetic on scalars of every type that JAX has: what one operation is in JavaScript.

Double precision is JavaScript's own, single precision rounds after every operation by `Math.fround`. Integers up to 32
bits wrap around; those of 64 bits are numbers where they are signed, exact below 2⁵³, and `BigInt` where they aren't.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from .nodes import (
    AND,
    BIT_AND,
    BIT_OR,
    BIT_XOR,
    CALL,
    CHOICE,
    COMPARE,
    EQUAL,
    OR,
    PRODUCT,
    SHIFT,
    SUM,
    UNARY,
    Node,
    Op,
    Program,
)

# A value's text, and how it is brought back into its type: (before, after, how tightly that binds, what it needs).
_WRAPPED = {
    "f4": ("Math.fround(", ")", CALL, CHOICE),
    "i4": ("", "|0", BIT_OR, BIT_OR),
    "u4": ("", ">>>0", SHIFT, SHIFT),
    "i2": ("", "<<16>>16", SHIFT, SHIFT),
    "i1": ("", "<<24>>24", SHIFT, SHIFT),
    "u2": ("", "&65535", BIT_AND, BIT_AND),
    "u1": ("", "&255", BIT_AND, BIT_AND),
    "u8": ("BigInt.asUintN(64,", ")", CALL, CHOICE),
}
_BINARY = {
    "add": ("{}+{}", SUM, (SUM, PRODUCT)),
    "sub": ("{}-{}", SUM, (SUM, PRODUCT)),
    "mul": ("{}*{}", PRODUCT, (PRODUCT, UNARY)),
    "div": ("{}/{}", PRODUCT, (PRODUCT, UNARY)),
    "rem": ("{}%{}", PRODUCT, (PRODUCT, UNARY)),
    "max": ("Math.max({},{})", CALL, (CHOICE, CHOICE)),
    "min": ("Math.min({},{})", CALL, (CHOICE, CHOICE)),
    "pow": ("Math.pow({},{})", CALL, (CHOICE, CHOICE)),
    "atan2": ("Math.atan2({},{})", CALL, (CHOICE, CHOICE)),
    "and": ("{}&{}", BIT_AND, (BIT_AND, EQUAL)),
    "or": ("{}|{}", BIT_OR, (BIT_OR, BIT_XOR)),
    "xor": ("{}^{}", BIT_XOR, (BIT_XOR, BIT_AND)),
}
_LOGICAL = {
    "and": Op("{}&&{}", AND, (AND, BIT_OR)),
    "or": Op("{}||{}", OR, (OR, AND)),
    "xor": Op("{}!=={}", EQUAL, (EQUAL, COMPARE)),
    "add": Op("{}||{}", OR, (OR, AND)),
    "mul": Op("{}&&{}", AND, (AND, BIT_OR)),
    "max": Op("{}||{}", OR, (OR, AND)),
    "min": Op("{}&&{}", AND, (AND, BIT_OR)),
}
COMPARISONS = {
    "eq": Op("{}==={}", EQUAL, (EQUAL, COMPARE)),
    "ne": Op("{}!=={}", EQUAL, (EQUAL, COMPARE)),
    "lt": Op("{}<{}", COMPARE, (COMPARE, SHIFT)),
    "le": Op("{}<={}", COMPARE, (COMPARE, SHIFT)),
    "gt": Op("{}>{}", COMPARE, (COMPARE, SHIFT)),
    "ge": Op("{}>={}", COMPARE, (COMPARE, SHIFT)),
}
_UNARY: dict[str, Op] = {
    "neg": Op("-{}", UNARY, (CALL,)),
    **{
        name: Op(f"Math.{function}({{}})", CALL, (CHOICE,))
        for name, function in {
            "abs": "abs", "sign": "sign", "floor": "floor", "ceil": "ceil", "exp": "exp", "log": "log",
            "log1p": "log1p", "expm1": "expm1", "sqrt": "sqrt", "cbrt": "cbrt", "sin": "sin", "cos": "cos",
            "tan": "tan", "asin": "asin", "acos": "acos", "atan": "atan", "sinh": "sinh", "cosh": "cosh",
            "tanh": "tanh", "asinh": "asinh", "acosh": "acosh", "atanh": "atanh",
        }.items()
    },
    "exp2": Op("Math.pow(2,{})", CALL, (CHOICE,)),
    "rsqrt": Op("1/Math.sqrt({})", PRODUCT, (CHOICE,)),
    "logistic": Op("1/(1+Math.exp(-{}))", PRODUCT, (CALL,)),
    "erf_inv": Op("erfInv({})", CALL, (CHOICE,), ("erfInv",)),
}  # fmt: skip
UNARY_NAMES, BINARY_NAMES = tuple(_UNARY), tuple(_BINARY)
# A truth value as a number.
OF_TRUTH = Op("+{}", UNARY, (CALL,))
_FOLDED: dict[str, Callable[..., Any]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "max": np.maximum, "min": np.minimum, "neg": np.negative,
    "abs": np.abs, "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor, "eq": np.equal,
    "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
    "sqrt": np.sqrt, "sign": np.sign, "floor": np.floor, "ceil": np.ceil,
}  # fmt: skip
_WIDTH = {"1": 8, "2": 16, "4": 32, "8": 64}


def width(dtype: str) -> int:
    """How many bits an integer has."""
    return _WIDTH[dtype[1]]


# What of two unsigned numbers of 64 bits is one again.
_STAYS = ("div", "rem", "and", "or", "xor")


@functools.cache
def wrapped(dtype: str, text: str, binds: int, needs: tuple[int, ...], helper: tuple[str, ...] = ()) -> Op:
    """An expression brought back into its type: rounded to single precision, or wrapped around."""
    if dtype not in _WRAPPED:
        return Op(text, binds, needs, helper)
    before, after, outer, inner = _WRAPPED[dtype]
    text = text if before or binds >= inner else f"({text})"
    return Op(f"{before}{text}{after}", outer, needs, helper)


def unary(program: Program, name: str, dtype: str, x: Node) -> Node:
    """A function of one number."""
    if name in _FOLDED and x.is_constant:
        return _fold(program, name, dtype, x)
    if dtype == "f4" and name == "erf_inv":
        return program.expression(dtype, Op("erfInvSingle({})", CALL, (CHOICE,), ("erfInvSingle",)), x)
    if name == "neg" and not isinstance(x.op, str) and x.op.text == "-{}" and dtype[0] == "f":
        return x.args[0]
    return program.expression(dtype, wrapped(dtype, *_UNARY[name]), x)


def binary(program: Program, name: str, dtype: str, a: Node, b: Node) -> Node:
    """A function of two numbers of one type."""
    if a.is_constant and b.is_constant and name in _FOLDED:
        return _fold(program, name, dtype, a, b)
    if dtype == "b1":
        return _logical(program, name, a, b)
    if (same := _neutral(program, name, dtype, a, b)) is not None:
        return same
    if name in ("max", "min") and dtype == "u8":
        return choose(program, compare(program, "gt" if name == "max" else "lt", a, b), a, b)
    if name == "mul" and dtype in ("i4", "u4"):
        return program.expression(dtype, wrapped(dtype, "Math.imul({},{})", CALL, (CHOICE, CHOICE)), a, b)
    if name == "div" and dtype == "i8":
        return program.expression(dtype, Op("Math.trunc({}/{})", CALL, (PRODUCT, UNARY)), a, b)
    if name == "pow" and dtype[0] != "f":
        raise NotImplementedError("pow of integers")
    if name in ("and", "or", "xor") and dtype == "i8":
        big = [convert(program, x, "u8") for x in (a, b)]
        return convert(program, binary(program, name, "u8", *big), "i8")
    if dtype == "u8" and name in _STAYS:
        return program.expression(dtype, Op(*_BINARY[name]), a, b)
    return program.expression(dtype, wrapped(dtype, *_BINARY[name]), a, b)


def compare(program: Program, name: str, a: Node, b: Node) -> Node:
    """Whether two numbers of one type stand in that order."""
    if a.is_constant and b.is_constant:
        return _fold(program, name, "b1", a, b)
    return program.expression("b1", COMPARISONS[name], a, b)


def negated(program: Program, x: Node) -> Node:
    """Not; of integers, every bit."""
    if x.dtype == "b1":
        if x.is_constant:
            return program.constant("b1", not x.value)
        return program.expression("b1", Op("!{}", UNARY, (UNARY,)), x)
    if x.dtype == "i8":
        return binary(program, "sub", "i8", unary(program, "neg", "i8", x), program.constant("i8", 1))
    return program.expression(x.dtype, wrapped(x.dtype, "~{}", UNARY, (UNARY,)), x)


def choose(program: Program, which: Node, yes: Node, no: Node) -> Node:
    """One of two values."""
    if yes is no:
        return yes
    if which.is_constant:
        return yes if which.value else no
    if yes.dtype == "key":
        words = [choose(program, which, a, b) for a, b in zip(yes.args, no.args, strict=True)]
        return Node("key", "key", tuple(words))
    return program.expression(yes.dtype, Op("{}?{}:{}", CHOICE, (OR, CHOICE, CHOICE)), which, yes, no)


def shift(program: Program, name: str, dtype: str, x: Node, by: Node) -> Node:
    """A shift of bits; by as many as there are, or more, it is 0, or the sign."""
    signs = name == "shift_right_arithmetic"
    if dtype == "i8":
        if signs:
            raise NotImplementedError("shift_right_arithmetic of int64")
        return convert(program, shift(program, name, "u8", convert(program, x, "u8"), convert(program, by, "u8")), "i8")
    bits = width(dtype)
    sign = {"shift_left": "<<", "shift_right_logical": ">>" if dtype == "u8" else ">>>"}.get(name, ">>")
    if name == "shift_right_logical" and dtype in ("i1", "i2"):
        raise NotImplementedError(f"shift_right_logical of {dtype}")
    shifted = (f"{{}}{sign}{{}}", SHIFT, (SHIFT, SUM))
    moved = program.expression(dtype, Op(*shifted) if sign == ">>" else wrapped(dtype, *shifted), x, by)
    far = binary(program, "sub", dtype, x, x) if not signs else _sign_bits(program, dtype, x, bits)
    if by.is_constant:
        return moved if by.value < bits else far
    return choose(program, compare(program, "lt", by, program.constant(by.dtype, bits)), moved, far)


def convert(program: Program, x: Node, dtype: str) -> Node:
    """A number as one of another type."""
    if x.dtype == dtype:
        return x
    if x.is_constant:
        with np.errstate(all="ignore"):
            return program.constant(dtype, np.asarray(x.value, _numpy(x.dtype)).astype(_numpy(dtype)).item())
    if dtype == "b1":
        return program.expression(dtype, COMPARISONS["ne"], x, program.constant(x.dtype, 0))
    if x.dtype == "b1" and dtype != "u8":
        return program.expression(dtype, OF_TRUTH, x)
    if x.dtype == "u8":
        return _from_big(program, x, dtype)
    if dtype == "u8":
        x = convert(program, x, "i8") if x.dtype[0] == "f" else x
        big = ("BigInt({})", CALL, (CHOICE,))
        return program.expression(dtype, wrapped(dtype, *big) if x.dtype[0] == "i" else Op(*big), x)
    if x.dtype[0] == "f" and dtype[0] != "f":
        top = 2 ** (width(dtype) - (dtype[0] == "i")) - 1
        bottom = -top - 1 if dtype[0] == "i" else 0
        low, high = program.constant("f8", bottom), program.constant("f8", top)
        return program.expression(dtype, Op("whole({},{},{})", CALL, (CHOICE,) * 3, ("whole",)), x, low, high)
    if dtype in ("f8", "i8"):
        # The same JavaScript number; its type is what differs.
        return program.expression(dtype, Op("{}", CALL, (CALL,)), x)
    return program.expression(dtype, wrapped(dtype, "{}", CALL, (UNARY,)), x)


def bitcast(program: Program, x: Node, dtype: str) -> Node:
    """The same bits as another type of the same width."""
    if x.dtype == dtype:
        return x
    if x.is_constant:
        return program.constant(dtype, np.asarray(x.value, _numpy(x.dtype)).view(_numpy(dtype)).item())
    if "f" not in x.dtype + dtype:
        return convert(program, x, dtype)
    if x.dtype == "i8":
        x = convert(program, x, "u8")
    between = "u8" if dtype == "i8" else dtype
    name = f"bits_{x.dtype}_{between}"
    found = program.expression(between, Op(f"{name}({{}})", CALL, (CHOICE,), ("bits", name)), x)
    return convert(program, found, dtype)


def power(program: Program, dtype: str, x: Node, y: int) -> Node:
    """An integer power, multiplied as XLA does it."""
    if y < 0:
        return binary(program, "div", dtype, program.constant(dtype, 1), power(program, dtype, x, -y))
    answer = None
    while y:
        if y & 1:
            answer = x if answer is None else binary(program, "mul", dtype, answer, x)
        y >>= 1
        if y:
            x = binary(program, "mul", dtype, x, x)
    return program.constant(dtype, 1) if answer is None else answer


def _numpy(dtype: str) -> np.dtype:
    return np.dtype(bool if dtype == "b1" else dtype)


def _fold(program: Program, name: str, dtype: str, *args: Node) -> Node:
    with np.errstate(all="ignore"):
        value = _FOLDED[name](*(np.asarray(arg.value, _numpy(arg.dtype)) for arg in args))
    return program.constant(dtype, value.astype(_numpy(dtype)).item())


def _is(x: Node, value: int | float) -> bool:
    return x.is_constant and x.value == value


def _neutral(program: Program, name: str, dtype: str, a: Node, b: Node) -> Node | None:
    """What is exact without computing: x·1, x/1, x − 0; of floats not x + 0, which is 0 where x is −0."""
    if name in ("mul", "div") and _is(b, 1):
        return a
    if name == "mul" and _is(a, 1):
        return b
    if name == "mul" and dtype[0] == "f" and (_is(a, -1) or _is(b, -1)):
        return unary(program, "neg", dtype, b if _is(a, -1) else a)
    if name == "add" and dtype[0] != "f" and _is(a, 0):
        return b
    zero = str(b.value) in ("0", "0.0") if b.is_constant else False
    if zero and (name == "sub" or (name == "add" and dtype[0] != "f")):
        return a
    return None


def _logical(program: Program, name: str, a: Node, b: Node) -> Node:
    for x, y in ((a, b), (b, a)):
        if x.is_constant and name in ("and", "or", "max", "min", "mul", "add"):
            neutral = name in ("and", "min", "mul")
            return y if bool(x.value) == neutral else x
    if a is b and name != "xor":
        return a
    return program.expression("b1", _LOGICAL[name], a, b)


def _sign_bits(program: Program, dtype: str, x: Node, bits: int) -> Node:
    return program.expression(dtype, wrapped(dtype, f"{{}}>>{bits - 1}", SHIFT, (SHIFT,)), x)


def _from_big(program: Program, x: Node, dtype: str) -> Node:
    if dtype[0] == "f":
        return program.expression(dtype, wrapped(dtype, "Number({})", CALL, (CHOICE,)), x)
    kind = "Int" if dtype[0] == "i" else "Uint"
    return program.expression(dtype, Op(f"Number(BigInt.as{kind}N({width(dtype)},{{}}))", CALL, (CHOICE,)), x)
