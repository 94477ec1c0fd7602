"""A function's program, followed value by value: what changes its sign with its arguments, and what stays."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.extend.core as jex
import jax.numpy as jnp
import numpy as np

ODD, EVEN, MIXED, ZERO = "odd", "even", "mixed", "zero"
# A function of one odd value, entry by entry, that bends: its factor, what comes over what goes in, is even.
BENT = "bent"
# What a program calls by these is followed inside.
_CALLS = ("jaxpr", "call_jaxpr", "fun_jaxpr")
_FOLLOWED = {"pjit", "jit", "closed_call", "core_call", "remat", "checkpoint", "custom_jvp_call", "custom_vjp_call"}


def parity_of(plus: Any, minus: Any) -> str:
    """Whether what came of arguments and of their opposites is alike, opposite, neither, or 0 and so both."""
    if jnp.issubdtype(jnp.result_type(plus), jax.dtypes.prng_key):
        plus, minus = jax.random.key_data(plus), jax.random.key_data(minus)
    plus, minus = np.asarray(plus), np.asarray(minus)
    if plus.dtype.kind not in "fc" and not jnp.issubdtype(plus.dtype, jnp.inexact):
        return EVEN if np.array_equal(plus, minus) else MIXED
    plus, minus = plus.astype(float), minus.astype(float)
    size = max(np.abs(plus).max(initial=0), np.abs(minus).max(initial=0))
    if size == 0:
        return ZERO
    if np.array_equal(plus, minus, equal_nan=True):
        return EVEN
    if not np.isfinite(size):
        return MIXED
    slack = 1e-4 * size
    if np.abs(plus - minus).max() <= slack:
        return EVEN
    return ODD if np.abs(plus + minus).max() <= slack else MIXED


class Program:
    """A function's program on arrays.

    Args:
        function: a pure function of pytrees.
        arguments: some of its kind.
    """

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self._closed: Any = jax.make_jaxpr(function)(*arguments)
        self._parities: list[list[str]] = []

    def note(self, plus: tuple[Any, ...], minus: tuple[Any, ...]) -> None:
        """Tells every value's parity from the program run on arguments and on their opposites."""
        self._parities = []

        def inside(equation: Any, pairs: Sequence[Any], follow: Callable[[], list[Any]]) -> list[Any]:
            start = len(self._parities)
            out = follow()
            within = [parity for parities in self._parities[start:] for parity in parities]
            odd = [pair for pair in pairs if parity_of(*pair) == ODD]
            alone = len(odd) == len(out) == 1 and np.shape(odd[0][0]) == np.shape(out[0][0])
            if MIXED in within and alone and parity_of(*out[0]) == ODD:
                self._parities[start:] = [[BENT]]
                return out
            self._parities.insert(start, [])
            return out

        def run(equation: Any, pairs: Sequence[Any]) -> list[Any]:
            sides = [_bound(equation, [pair[side] for pair in pairs]) for side in (0, 1)]
            pairs = list(zip(*sides, strict=True))
            self._parities.append([parity_of(*pair) for pair in pairs])
            return pairs

        arguments = list(zip(jax.tree.leaves(plus), jax.tree.leaves(minus), strict=True))
        consts = [(c, c) for c in self._closed.consts]
        _followed(self._closed.jaxpr, consts, arguments, run, inside, lambda value: (value, value))

    def linear(self, arguments: tuple[Any, ...], tangents: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """The program's results, and their derivatives along tangents with those of even values left out.

        Args:
            arguments: as the function takes them.
            tangents: a leaf of the arguments each; `None` is 0.
        """
        noted = iter(self._parities)

        def inside(equation: Any, pairs: Sequence[Any], follow: Callable[[], list[Any]]) -> list[Any]:
            if next(noted) != [BENT]:
                return follow()
            ((value, tangent),) = [pair for pair in pairs if pair[1] is not None] or [(None, None)]
            (out,) = _bound(equation, [pair[0] for pair in pairs])
            if tangent is None:
                return [(out, None)]
            factor = jnp.where(value == 0, 1, out / jnp.where(value == 0, 1, value))
            return [(out, factor * tangent)]

        def run(equation: Any, pairs: Sequence[Any]) -> list[Any]:
            values, directions = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
            moving = [i for i, direction in enumerate(directions) if direction is not None]

            def of(*moved: Any) -> list[Any]:
                filled = list(values)
                for i, value in zip(moving, moved, strict=True):
                    filled[i] = value
                return _bound(equation, filled)

            parities = next(noted)
            if not moving or all(parity == EVEN for parity in parities):
                return [(value, None) for value in of(*[values[i] for i in moving])]
            out, changes = jax.jvp(of, [values[i] for i in moving], [directions[i] for i in moving])
            return [
                (value, None if parity == EVEN or not jnp.issubdtype(value.dtype, jnp.inexact) else change)
                for value, change, parity in zip(out, changes, parities, strict=True)
            ]

        leaves = jax.tree.leaves(arguments)
        pairs = [
            (leaf, None if tangent is None else jnp.asarray(tangent, leaf.dtype))
            for leaf, tangent in zip(map(jnp.asarray, leaves), tangents, strict=True)
        ]
        consts = [(c, None) for c in self._closed.consts]
        out = _followed(self._closed.jaxpr, consts, pairs, run, inside, lambda value: (value, None))
        return [pair[0] for pair in out], [pair[1] for pair in out]


def _followed(jaxpr: Any, consts: Sequence[Any], arguments: Sequence[Any], run: Callable[..., list[Any]],
              inside: Callable[..., list[Any]], literal: Callable[[Any], Any]) -> list[Any]:  # fmt: skip
    """A program run on whatever stands for its values, one equation after the other, in the same order every time."""
    known: dict[Any, Any] = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *arguments], strict=True))

    def read(variable: Any) -> Any:
        return literal(variable.val) if isinstance(variable, jex.Literal) else known[variable]

    for equation in jaxpr.eqns:
        given = [read(variable) for variable in equation.invars]
        inner = next((equation.params[name] for name in _CALLS if name in equation.params), None)
        if equation.primitive.name in _FOLLOWED and inner is not None:
            body, held = (inner.jaxpr, inner.consts) if hasattr(inner, "consts") else (inner, ())
            consts = [literal(c) for c in held]
            out = inside(equation, given, partial(_followed, body, consts, given, run, inside, literal))
        else:
            out = run(equation, given)
        known.update(zip(equation.outvars, out, strict=True))
    return [read(variable) for variable in jaxpr.outvars]


def _bound(equation: Any, values: Sequence[Any]) -> list[Any]:
    """One equation on values."""
    asked: Any = equation.primitive.get_bind_params(equation.params)
    functions, parameters = asked if isinstance(asked, tuple) else ((), asked)
    out = equation.primitive.bind(*functions, *values, **parameters)
    return list(out) if equation.primitive.multiple_results else [out]
