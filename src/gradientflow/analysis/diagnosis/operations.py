"""The first operation whose inputs are finite and whose output is not: by name, with the user's line."""

import dataclasses
import linecache
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.extend.core as jex
import jax.numpy as jnp
import numpy as np

_CALLS = ("jaxpr", "call_jaxpr", "fun_jaxpr")
_FOLLOWED = {"pjit", "jit", "closed_call", "core_call", "remat", "checkpoint", "remat2", "custom_jvp_call",
             "custom_vjp_call", "custom_vjp_call_jaxpr"}  # fmt: skip
_OURS = str(pathlib.Path(__file__).parents[2])
# Of an operation with a name of its own in JAX, the name a user knows.
_NAMES = {
    "integer_pow": "power",
    "pow": "power",
    "reduce_sum": "sum",
    "dot_general": "matrix product",
    "mul": "product",
    "add": "sum",
    "sub": "difference",
    "add_any": "sum of gradients",
    "reduce_max": "maximum",
}


@dataclasses.dataclass(frozen=True)
class Operation:
    """An operation that made what is not finite of what is.

    Attributes:
        name: of the primitive: log, sqrt, div, …
        derivative: whether it was its derivative.
        says: what happened, in words: "log of 0".
        line: file:line and code of the user's; empty where it isn't known.
        narrow: whether it overflowed for its precision: a float16 beyond 65,504, say.
        dtype: the precision it computed in.
    """

    name: str
    derivative: bool
    says: str
    line: str
    narrow: bool
    dtype: str


class _Found(Exception):
    def __init__(self, equation: Any, values: Sequence[Any], out: Sequence[Any]) -> None:
        self.equation, self.values, self.out = equation, values, out


def first_not_finite(loss: Callable[..., Any], *arguments: Any) -> Operation | None:
    """The operation of a loss, or of its derivative, that makes what is not finite; `None` where there is none.

    Args:
        loss: a function of the parameters first.
        arguments: where to look.
    """
    found = _look(jax.make_jaxpr(loss)(*arguments), arguments, _broke)
    if found is not None:
        return _operation(found, derivative=False)
    found = _look(jax.make_jaxpr(jax.grad(loss))(*arguments), arguments, _broke)
    if found is None:
        return None
    # Which operation of the loss itself has no derivative there: one on the same line rather than another.
    place = line_of(found.equation)
    others: list[_Found] = []

    def bends(equation: Any, values: Sequence[Any], out: Sequence[Any]) -> bool:
        if _slope_is_not_finite(equation, values):
            others.append(_Found(equation, values, out))
        return False

    _look(jax.make_jaxpr(loss)(*arguments), arguments, bends)
    same = [other for other in others if line_of(other.equation) == place]
    chosen = (same or others or [None])[0]
    return _operation(found, derivative=True) if chosen is None else _operation(chosen, derivative=True)


def _look(closed: Any, arguments: Any, test: Callable[..., bool]) -> _Found | None:
    try:
        _run(closed.jaxpr, closed.consts, [jnp.asarray(a) if not hasattr(a, "dtype") else a
                                          for a in jax.tree.leaves(arguments)], test)  # fmt: skip
    except _Found as found:
        return found
    return None


def _run(jaxpr: Any, consts: Sequence[Any], arguments: Sequence[Any], test: Callable[..., bool],
         outer: Any = None) -> list[Any]:  # fmt: skip
    known: dict[Any, Any] = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *arguments], strict=True))

    def read(variable: Any) -> Any:
        return variable.val if isinstance(variable, jex.Literal) else known[variable]

    for own in jaxpr.eqns:
        # What a library compiled once and for all has no line of the user's: the one that called it has.
        equation = own if outer is None or line_of(own) else own.replace(source_info=outer.source_info)
        values = [read(variable) for variable in equation.invars]
        name = equation.primitive.name
        inner = followed(equation)
        if inner is not None:
            out = _run(*inner, values, test, equation)
        elif name == "cond":
            branch = equation.params["branches"][int(np.clip(int(values[0]), 0, len(equation.params["branches"]) - 1))]
            out = _run(branch.jaxpr, branch.consts, values[1:], test, equation)
        else:
            out = bound(equation, values)
            if name == "scan" and _broke(equation, values, out):
                _scan(equation, values, test)
            if test(equation, values, out):
                raise _Found(equation, values, out)
        known.update(zip(equation.outvars, out, strict=True))
    return [read(variable) for variable in jaxpr.outvars]


def _scan(equation: Any, values: Sequence[Any], test: Callable[..., bool]) -> None:
    """A scan's turns one by one, to find the operation inside."""
    params = equation.params
    consts, carried, body = params["num_consts"], params["num_carry"], params["jaxpr"]
    carry, over = list(values[consts : consts + carried]), values[consts + carried :]
    turns = range(params["length"])
    for turn in reversed(turns) if params["reverse"] else turns:
        given = [*values[:consts], *carry, *(leaf[turn] for leaf in over)]
        carry = _run(body.jaxpr, body.consts, given, test, equation)[:carried]


def followed(equation: Any) -> tuple[Any, Sequence[Any]] | None:
    """The program that an operation calls, and its constants; `None` of one that is looked at as a whole."""
    inner = next((equation.params[key] for key in _CALLS if key in equation.params), None)
    if equation.primitive.name not in _FOLLOWED or inner is None:
        return None
    return (inner.jaxpr, inner.consts) if hasattr(inner, "consts") else (inner, ())


def bound(equation: Any, values: Sequence[Any]) -> list[Any]:
    """What an operation answers."""
    asked: Any = equation.primitive.get_bind_params(equation.params)
    functions, parameters = asked if isinstance(asked, tuple) else ((), asked)
    out = equation.primitive.bind(*functions, *values, **parameters)
    return list(out) if equation.primitive.multiple_results else [out]


def _is_float(value: Any) -> bool:
    return jnp.issubdtype(jnp.result_type(value), jnp.inexact)


def _all_finite(value: Any) -> bool:
    return not _is_float(value) or bool(jnp.all(jnp.isfinite(value)))


def _broke(equation: Any, values: Sequence[Any], out: Sequence[Any]) -> bool:
    """Whether an operation makes what is not finite of what is; a constant that it fills in, −∞ of a mask, is none."""
    if not values or not any(_is_float(value) for value in values):
        return False
    if equation.primitive.name in ("scatter", "select_n", "while"):
        return equation.primitive.name == "while" and all(map(_all_finite, values)) and not all(map(_all_finite, out))
    return all(map(_all_finite, values)) and not all(map(_all_finite, out))


def _slope_is_not_finite(equation: Any, values: Sequence[Any]) -> bool:
    floats = [i for i, value in enumerate(values) if _is_float(value)]
    if not floats or not all(map(_all_finite, values)) or equation.primitive.multiple_results:
        return False

    def of(*moved: Any) -> Any:
        filled = list(values)
        for i, value in zip(floats, moved, strict=True):
            filled[i] = value
        return bound(equation, filled)[0]

    given = [jnp.asarray(values[i]) for i in floats]
    try:
        _, slope = jax.jvp(of, given, [jnp.ones_like(value) for value in given])
    except (TypeError, NotImplementedError, ValueError):
        # What has no derivative has none that is not finite.
        return False
    return _is_float(slope) and not _all_finite(slope)


def _operation(found: _Found, derivative: bool) -> Operation:
    equation, values = found.equation, [v for v in found.values if _is_float(v)]
    name = equation.primitive.name
    dtype = str(jnp.result_type(found.out[0]))
    at = _input_where(equation, values, found.out, derivative)
    largest = max((float(jnp.max(jnp.abs(v.astype(jnp.float32) if v.dtype.itemsize < 4 else v), initial=0))
                   for v in map(jnp.asarray, values)), default=0.0)  # fmt: skip
    first = np.ravel(np.asarray(found.out[0], float))
    first = first[~np.isfinite(first)]
    overflow = not derivative and bool(len(first)) and not np.isnan(first[0]) and _overflows(name, at)
    narrow = overflow and jnp.dtype(dtype).itemsize < 4
    return Operation(name, derivative, _says(name, at, derivative, overflow, dtype, largest), line_of(equation),
                     narrow, dtype)  # fmt: skip


def _input_where(equation: Any, values: Sequence[Any], out: Sequence[Any], derivative: bool) -> list[float]:
    """The inputs of the first entry that isn't finite, where the operation goes entry by entry."""
    shape = jnp.shape(out[0])
    arrays = [jnp.asarray(v) for v in values]
    if not arrays or any(a.shape not in (shape, ()) for a in arrays):
        return []
    flat = [np.ravel(np.broadcast_to(np.asarray(a, float), shape)) for a in arrays]
    if derivative:
        for candidate in (0.0, 1.0, -1.0):
            places = np.flatnonzero(flat[-1] == candidate)
            if places.size:
                return [float(f[places[0]]) for f in flat]
        return [float(f[0]) for f in flat] if flat[0].size else []
    places = np.flatnonzero(~np.isfinite(np.ravel(np.asarray(out[0], float))))
    return [float(f[places[0]]) for f in flat] if places.size else []


def _overflows(name: str, at: Sequence[float]) -> bool:
    """Whether an infinity is a number too large, and no pole."""
    if name in ("log", "log1p", "sqrt", "rsqrt", "acos", "asin", "atanh", "acosh"):
        return False
    if name in ("div", "rem") and at and at[-1] == 0:
        return False
    return not (name in ("pow", "integer_pow") and at and at[0] == 0)


def _says(name: str, at: Sequence[float], derivative: bool, overflow: bool, dtype: str, largest: float) -> str:
    shown = _NAMES.get(name, name)
    if derivative:
        where = f" at {at[-1] if name == 'div' else at[0]:.4g}" if at else ""
        return f"the derivative of {shown}{where} is not finite"
    if name == "div" and at and at[-1] == 0:
        return f"division by 0 ({at[0]:.4g}/0)"
    if overflow:
        at_most = f"{float(jnp.finfo(dtype).max):.4g}"
        if name in ("exp", "exp2", "expm1", "sinh", "cosh"):
            return f"{shown} of {at[0] if at else largest:.4g} overflows {dtype} (at most {at_most})"
        return f"a {shown} overflows {dtype} (at most {at_most}; its inputs reach {largest:.4g})"
    if at and at[0] < 0 and name in ("log", "sqrt", "rsqrt", "pow", "log1p"):
        return f"{shown} of a negative number ({at[0]:.4g})"
    if name == "gather":
        return "an index lies outside of what it is taken from (a label beyond the number of classes, say)"
    return f"{shown} of {at[0]:.4g}" if at else f"{shown} is not finite"


def line_of(equation: Any) -> str:
    """The user's own line: the innermost frame that is neither JAX's nor ours."""
    trace = equation.source_info.traceback
    for frame in trace.frames if trace is not None else ():
        name = frame.file_name
        library = any(f"/{part}/" in name for part in ("jax", "jaxlib", "equinox", "optax", "flax", "site-packages"))
        if library or name.startswith(_OURS) or name.startswith("<frozen") or "/lib/python" in name:
            continue
        code = linecache.getline(name, frame.line_num).strip()
        return f"{pathlib.Path(name).name}:{frame.line_num}" + (f", `{code}`" if code else "")
    return ""
