"""Bad input, answered by one line that names the argument, what it got and the remedy.

Values that are not plain numbers (traced arrays, exact symbols) pass: there is nothing to compare yet.
"""

import functools
import inspect
import math
import numbers
import os
import pathlib
import sysconfig
import traceback
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import gradientflow
from gradientflow._meant import meant_argument, misfit
from gradientflow._names import unknown_name as unknown_name

from .aliases import Time
from .numerics import as_floating, is_concrete
from .transforming import is_transformed

P = ParamSpec("P")
T = TypeVar("T")
# These multiply, but not as numbers do; and complex numbers have no order.
_NO_NUMBERS = (str, bytes, list, tuple, complex)
# What is longer is named by its type.
_SHOWN = 100


def check_number(where: str, **values: Any) -> None:
    """Refuses what is neither a real number nor an array or a symbol that may stand for one.

    Raises:
        TypeError: naming the argument and the value.
    """
    for name, value in values.items():
        if isinstance(value, _NO_NUMBERS) or not hasattr(value, "__mul__"):
            raise TypeError(f"{where}: `{name}` must be a real number, or an array of them, got {in_a_line(value)}")


def check_positive(where: str, **values: Any) -> None:
    """Refuses numbers that are not finite and > 0.

    Raises:
        TypeError: for what is no number, naming the argument and the value.
        ValueError: for any other number, likewise.
    """
    check_number(where, **values)
    for name, value in values.items():
        if _is_number(value) and not (math.isfinite(float(value)) and float(value) > 0):
            raise ValueError(f"{where}: `{name}` must be finite and positive, got {value}")


def check_rate(where: str, **values: Any) -> None:
    """Refuses what is neither a positive number nor a function, of the time or the step's number: a schedule, a rule.

    Raises:
        TypeError: for what is neither, naming the argument and the value.
        ValueError: for a number that is not finite and > 0, likewise.
    """
    check_positive(where, **{name: value for name, value in values.items() if not callable(value)})


def check_finite(where: str, **values: Any) -> None:
    """Refuses numbers that are infinite or not a number.

    Raises:
        TypeError: for what is no number, naming the argument and the value.
        ValueError: for infinities and NaN, likewise.
    """
    check_number(where, **values)
    for name, value in values.items():
        if _is_number(value) and not math.isfinite(float(value)):
            raise ValueError(f"{where}: `{name}` must be finite, got {value}")


def check_nonnegative(where: str, **values: Any) -> None:
    """Refuses numbers that are not finite and ≥ 0.

    Raises:
        TypeError: for what is no number, naming the argument and the value.
        ValueError: for any other number, likewise.
    """
    check_number(where, **values)
    for name, value in values.items():
        if _is_number(value) and not (math.isfinite(float(value)) and float(value) >= 0):
            raise ValueError(f"{where}: `{name}` must be finite and not negative, got {value}")


def check_fraction(where: str, **values: Any) -> None:
    """Refuses numbers outside [0, 1).

    Raises:
        TypeError: for what is no number, naming the argument and the value.
        ValueError: for any other number, likewise.
    """
    check_number(where, **values)
    for name, value in values.items():
        if _is_number(value) and not 0 <= float(value) < 1:
            raise ValueError(f"{where}: `{name}` must lie in [0, 1), got {value}")


def check_integer(where: str, least: int, **values: Any) -> None:
    """Refuses what is not an integer ≥ `least`.

    Raises:
        TypeError: if it is not an integer.
        ValueError: if it is too small.
    """
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, numbers.Integral):
            raise TypeError(f"{where}: `{name}` must be an integer, got {in_a_line(value)}")
        if value < least:
            raise ValueError(f"{where}: `{name}` must be at least {least}, got {value}")


def check_clock(where: str, t: Time, **values: Any) -> None:
    """Refuses a start before t = 0, and one at t = 0 with what must vanish there not zero.

    Raises:
        ValueError: naming the argument, and the remedy.
    """
    if float(t) < 0:
        raise ValueError(f"{where}: `t0` must not be negative, got {float(t):g}: its clock starts at 0")
    for name, value in values.items():
        if float(t) == 0 and any(np.any(np.asarray(leaf)) for leaf in jax.tree.leaves(value)):
            raise ValueError(
                f"{where}: at t = 0 `{name}` must be zero; to go on with another run's state, give its time as `t0`"
            )


def real_arrays(where: str, name: str, tree: Any, convert: Callable[[Any], Any] = as_floating) -> Any:
    """A pytree of numbers as floating-point arrays, of JAX's unless `convert` makes others.

    Raises:
        TypeError: naming the argument and what it got, if there is anything else in it, or nothing.
    """
    try:
        arrays = None if any(isinstance(leaf, bool | np.bool_) for leaf in jax.tree.leaves(tree)) else convert(tree)
    except (TypeError, ValueError):
        arrays = None
    if not jax.tree.leaves(arrays):
        of_module = isinstance(tree, eqx.Module)
        remedy = "; give arrays, of arrays, rest = eqx.partition(model, eqx.is_array)" if of_module else ""
        raise TypeError(f"{where}: `{name}` must hold real numbers only, got {in_a_line(tree)}{remedy}")
    return arrays


def moving_arrays(where: str, name: str, tree: Any) -> tuple[Any, Callable[[Any], Any] | None]:
    """What of a pytree moves, and what makes it whole again; all of it, and `None`, where no equinox module is in it.

    Raises:
        TypeError: as `real_arrays`.
    """
    nodes = jax.tree.leaves(tree, is_leaf=_is_module)
    if not any(map(_is_module, nodes)):
        return real_arrays(where, name, tree), None
    moving, fixed = eqx.partition(tree, eqx.is_inexact_array)
    return real_arrays(where, name, moving), lambda arrays: eqx.combine(arrays, fixed)


def _is_module(node: Any) -> bool:
    return isinstance(node, eqx.Module)


def refuse_traced(where: str, *trees: Any) -> None:
    """Refuses what is being traced, by a question that looks at numbers.

    Raises:
        TypeError: saying so.
    """
    if is_transformed() or not is_concrete(*trees):
        raise TypeError(
            f"{where}: it looks at the numbers that it is asked about, which jit, vmap and grad don't tell; "
            "ask outside, once for each"
        )


def by_name(function: Callable[P, T]) -> Callable[P, T]:
    """A function that tells whoever names an argument that it doesn't have which one was meant, and how it is called.

    Raises:
        TypeError: naming both, and all that it takes; of arguments that are missing or too many, how it is called.
    """
    signature = inspect.signature(function)
    parameters = signature.parameters.values()
    known = [one.name for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
    names = frozenset(known)
    takes_any = any(one.kind is one.VAR_KEYWORD for one in parameters)

    @functools.wraps(function)
    def called(*args: P.args, **options: P.kwargs) -> T:
        if not (takes_any or names.issuperset(options)):
            unknown = next(name for name in options if name not in names)
            raise TypeError(meant_argument(function.__name__, unknown, known))
        try:
            return function(*args, **options)
        except TypeError:
            told = misfit(function.__name__, signature, args, options)
            if not told:
                raise
        raise TypeError(told)

    return called


def looks_at_numbers(question: Callable[P, T]) -> Callable[P, T]:
    """A question that looks at numbers: asked under jit, vmap or grad it is refused in one line, whatever it would do.

    Raises:
        TypeError: as `refuse_traced`.
    """
    named = by_name(question)

    @functools.wraps(question)
    def asked(*args: P.args, **options: P.kwargs) -> T:
        refuse_traced(question.__name__, args, options)
        return named(*args, **options)

    return asked


@functools.cache
def machine_memory() -> float:
    """What this machine has [bytes]; infinite where that is not known."""
    return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")) if hasattr(os, "sysconf") else math.inf


def in_a_line(value: Any) -> str:
    """A value as it is written, or its type where that is long; a class where an instance was meant with its remedy."""
    if isinstance(value, type):
        return f"the class; make one, {value.__name__}(…)"
    written = repr(value)
    return type(value).__name__ if "\n" in written or len(written) > _SHOWN else written


def position_arrays(where: str, name: str, tree: Any, convert: Callable[[Any], Any] = as_floating) -> Any:
    """A position as floating-point arrays of one precision, which is that of time and steps too.

    Raises:
        TypeError: as `real_arrays`, or naming the leaves of another precision.
    """
    arrays = real_arrays(where, name, tree, convert)
    if len({leaf.dtype for leaf in jax.tree.leaves(arrays)}) > 1:
        precisions: dict[str, list[str]] = {}
        for path, leaf in jax.tree_util.tree_leaves_with_path(arrays):
            precisions.setdefault(str(leaf.dtype), []).append(jax.tree_util.keystr(path))
        found = ", ".join(f"{precision} ({', '.join(paths[:3])})" for precision, paths in precisions.items())
        finest = str(jnp.result_type(*jax.tree.leaves(arrays)))
        raise TypeError(
            f"{where}: the leaves of `{name}` must have one precision, got {found}; give "
            f"jax.tree.map(lambda leaf: jnp.asarray(leaf, {finest!r}), {name})"
        )
    return arrays


def bounds(where: str, lower: Any, upper: Any, fixed: bool = False) -> tuple[Any, Any]:
    """A lower and an upper bound, lists as arrays.

    Args:
        where: who asks.
        lower: the lower bound.
        upper: the upper one.
        fixed: whether both may be equal.

    Raises:
        TypeError: for what is no number.
        ValueError: if the upper one is not above the lower one.
    """
    both = {"lower": lower, "upper": upper}
    both = {k: real_arrays(where, k, v) if isinstance(v, (list, tuple)) else v for k, v in both.items()}
    check_number(where, **both)
    if not is_concrete(both):
        return both["lower"], both["upper"]
    lowest, highest = np.asarray(both["lower"]), np.asarray(both["upper"])
    if not np.all(highest >= lowest if fixed else highest > lowest):
        relation = "not be below" if fixed else "be above"
        raise ValueError(f"{where}: `upper` must {relation} `lower`, got {both['lower']} and {both['upper']}")
    return both["lower"], both["upper"]


def is_zero(value: Any) -> bool:
    """Whether it is the number 0; what is traced or symbolic is not."""
    return _is_number(value) and float(value) == 0


def _is_number(value: Any) -> bool:
    if isinstance(value, (numbers.Real, np.generic)):
        return True
    return isinstance(value, (jax.Array, np.ndarray)) and value.ndim == 0 and is_concrete(value)


def users_line(error: BaseException) -> str:
    """Where an error was raised, outside the libraries that a user's function runs in: `, mine.py:12, the line`.

    A function of another library has no line of the user's: then it is that function's, the first of them.
    """
    around = tuple(module.__path__[0] for module in (jax, eqx, gradientflow))
    installed = tuple(sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib"))
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(around)]
    if not frames:
        return ""
    frame = next((frame for frame in reversed(frames) if not frame.filename.startswith(installed)), frames[0])
    return f", {pathlib.Path(frame.filename).name}:{frame.lineno}, `{frame.line}`"
