"""From a function of JAX to a function of JavaScript."""

from collections.abc import Callable
from typing import Any

import jax

from gradientflow.flows.checks import by_name

from .algebra import ALGEBRA
from .control import evaluate
from .elementwise import ELEMENTWISE
from .nodes import LongProgramError, Node, Program
from .printing import NotWrittenError, printed
from .randomness import RANDOMNESS
from .shaping import SHAPING
from .values import Cells, cells, dtype_name, flat, key

_RULES = {**ELEMENTWISE, **SHAPING, **ALGEBRA, **RANDOMNESS}


@by_name
def to_javascript(fn: Callable[..., Any], *examples: Any) -> str:
    r"""A function of JAX as an expression of JavaScript, translated from its jaxpr: the same arithmetic, in one line.

    The expression is a function of the examples' leaves, in the order of `jax.tree.leaves`: numbers as numbers, arrays
    as JavaScript arrays, flat or nested row by row; a random key as its two words. It returns what `fn` returns
    likewise: a number, an array, flat row by row; of several leaves an array of these. Shapes and precisions are those
    of the examples: small arrays are written out, number by number, single precision rounds by `Math.fround`, integers
    wrap around as XLA's do; those of 64 bits are exact below 2⁵³, unsigned ones are `BigInt`.

    Sums run from the first to the last, powers are multiplied as XLA does it, random words are Threefry's: what is
    exact in IEEE arithmetic agrees with Python to the last digits, what is transcendental to about 4 units in them.

    Args:
        fn: any function of JAX: branches, loops and solves of small systems too.
        examples: what it would be called with: pytrees of numbers and arrays.

    Raises:
        TypeError: if `fn` is no function, or uses what has no counterpart, naming the primitive.

    References:
        R. Frostig, M. J. Johnson, C. Leary, Compiling machine learning programs via high-level tracing, SysML 2018, for
        what a jaxpr is traced from.

    Example:
        >>> import jax.numpy as jnp, gradientflow as gf
        >>> gf.to_javascript(lambda x, h: x - h * x**3, jnp.zeros(2), 0.1)
        '(a,d)=>{const b=a[0],c=a[1];return [b-d*(b*(b*b)),c-d*(c*(c*c))]}'
    """
    if not callable(fn):
        raise TypeError(f"to_javascript: `fn` must be a function of JAX, got {type(fn).__name__}; pass lambda x: ...")
    closed = jax.make_jaxpr(fn)(*examples)
    program = Program()
    try:
        arguments = [_argument(program, var.aval) for var in closed.jaxpr.invars]
        answers = evaluate(program, _RULES, closed, [value for _, value in arguments])
        results = [flat([answer]) if answer.shape or _is_key(answer) else answer[()] for answer in answers]
        return printed(program, [(kind, flat([value])) for kind, value in arguments], results)
    except (NotImplementedError, NotWrittenError) as reason:
        raise TypeError(
            f"to_javascript: `fn` uses {reason}, which is not translated; write it by arithmetic, loops and solves"
        ) from None
    except LongProgramError:
        raise TypeError(
            "to_javascript: `fn` is too long: arrays are written out number by number; use smaller shapes"
        ) from None


def _is_key(answer: Cells) -> bool:
    return any(node.op == "key" for node in answer.ravel()[:1])


def _argument(program: Program, aval: Any) -> tuple[str, Cells]:
    """How an argument is passed, and the nodes that stand for its numbers."""
    dtype = dtype_name(aval)

    def part(dtype: str) -> Node:
        return Node(dtype, "argument", block=program.root)

    if dtype == "key":
        return "nested", cells(aval.shape, lambda *_: key(part("u4"), part("u4")))
    kind = ("scalar", "array")[min(len(aval.shape), 1)] if len(aval.shape) < 2 else "nested"
    return kind, cells(aval.shape, lambda *_: part(dtype))
