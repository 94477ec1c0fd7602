"""Leaves, precisions and norms: the small numerical vocabulary that every floor shares."""

import functools
import inspect
import numbers
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from .aliases import StepLength
from .duration import Duration

# Up to so many unknowns a dense Hessian is cheaper to form and factor than to be multiplied by many times.
LARGEST_DENSE = 200
# A real number as users give it.
Number = float | int | np.floating | np.integer | jax.Array


def default_rtol(dtype: Any) -> float:
    """The relative tolerance of a solver's step unless one is given: 1e-8 in double precision, 1e-5 in single."""
    return 1e-8 if jnp.finfo(dtype).bits >= 64 else 1e-5


def tightest_rtol(dtype: Any) -> float:
    """The smallest relative tolerance that a precision can hold.

    Thirty-two units in the last place: error estimates are differences of stages, which cancel more than a digit.
    """
    return 32 * float(jnp.finfo(dtype).eps)


def dtype_of(tree: Any) -> Any:
    """The common floating-point type of a pytree's leaves."""
    leaves = jax.tree.leaves(tree)
    types = {getattr(leaf, "dtype", None) for leaf in leaves}
    alike = types.pop() if len(types) == 1 else None
    return jnp.result_type(*leaves) if alike is None else alike


def as_floating(tree: Any) -> Any:
    """Leaves as JAX arrays; integers and booleans become the default floating-point type.

    A list or tuple that holds nothing but numbers, nested or not, is one array; any other is a pytree.
    """
    # By NumPy first: JAX makes a program for every shape. The type is given again, or a Python float would stay weakly
    # typed and yield to any other precision.
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, leaf.dtype), as_floating_on_host(tree))


def as_floating_on_host(tree: Any) -> Any:
    """The same, but that what is no array of JAX's becomes one of NumPy's: nothing is put on a device."""

    def convert(leaf: Any) -> jax.Array | np.ndarray:
        array = leaf if isinstance(leaf, jax.Array) else _written_out(leaf)
        if not jnp.issubdtype(array.dtype, jnp.number) and array.dtype != bool:
            array = jnp.asarray(leaf)
        if jnp.issubdtype(array.dtype, jnp.complexfloating):
            raise TypeError(f"positions are real, got {array.dtype}")
        dtype = jax.dtypes.canonicalize_dtype(array.dtype if jnp.issubdtype(array.dtype, jnp.floating) else float)
        return array if array.dtype == dtype and isinstance(array, np.ndarray) else array.astype(dtype)

    return jax.tree.map(convert, tree, is_leaf=is_nested_numbers)


def _written_out(numbers: Any) -> Any:
    # NumPy can't hold what is being traced.
    of_jax = any(isinstance(number, jax.Array) for number in jax.tree.leaves(numbers))
    return jnp.asarray(numbers) if of_jax else np.asarray(numbers)


def is_nested_numbers(tree: Any) -> bool:
    """Whether it is a list or tuple that holds nothing but numbers, nested or not: one array, written out.

    A number may be one of JAX's or NumPy's too, an array without axes, and be traced.
    """
    if type(tree) not in (list, tuple) or not tree:
        return False
    return all(_is_scalar(item) or is_nested_numbers(item) for item in tree)


def _is_scalar(item: Any) -> bool:
    return isinstance(item, (numbers.Real, np.generic)) or (
        isinstance(item, (jax.Array, np.ndarray)) and item.ndim == 0
    )


def as_arrays(tree: Any) -> Any:
    """A list of numbers as a floating-point array; whatever else it is, as it is."""
    return as_floating(tree) if is_nested_numbers(tree) else tree


def as_differentiable(tree: Any) -> Any:
    """The same, but that integers are floating-point numbers too: of others there is no derivative."""
    integers = any(jnp.issubdtype(getattr(leaf, "dtype", type(leaf)), np.integer) for leaf in jax.tree.leaves(tree))
    return as_floating(tree) if integers or is_nested_numbers(tree) else tree


def take_lists(cls: type, *names: str) -> None:
    """Lets methods that a class itself defines take lists of numbers in the place of arrays."""
    for name in names:
        method = cls.__dict__.get(name)
        if inspect.isfunction(method):
            setattr(cls, name, _taking_lists(method))


def _taking_lists(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def taking(self: Any, *arguments: Any, **named: Any) -> Any:
        return method(self, *map(as_arrays, arguments), **{name: as_arrays(value) for name, value in named.items()})

    return taking


def numbers_to_arrays(tree: Any, dtype: Any, integers: bool = True) -> Any:
    """Python numbers among the leaves as arrays, so that another value of a parameter does not recompile.

    Args:
        tree: the pytree.
        dtype: of the arrays.
        integers: whether integers are parameters too, and not counts that code loops over.
    """
    left_alone = (bool, np.bool_) if integers else (bool, np.bool_, int, np.integer)

    def convert(leaf: Any) -> Any:
        is_number = isinstance(leaf, numbers.Real) and not isinstance(leaf, left_alone)
        # NumPy's: no program and no device is needed to make it.
        return np.asarray(float(leaf), dtype) if is_number else leaf

    return jax.tree.map(convert, tree)


def on_host(tree: Any) -> Any:
    """A pytree with NumPy's arrays for JAX's; on the CPU as views of what is there anyway.

    There `jax.device_get` takes ten times as long, 8 µs an array.
    """
    if jax.default_backend() != "cpu":
        return jax.device_get(tree)
    return jax.tree.map(lambda leaf: np.asarray(leaf) if isinstance(leaf, jax.Array) else leaf, tree)


def is_concrete(*trees: Any) -> bool:
    """Whether values can be looked at: no leaf is being traced."""
    return not any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(trees))


def is_key(value: Any) -> bool:
    """Whether it is a random key, or an array of them, which are no numbers."""
    return hasattr(value, "dtype") and jnp.issubdtype(value.dtype, jax.dtypes.prng_key)


def all_finite(tree: Any) -> jax.Array:
    """Whether every entry of every leaf is finite; a scalar that may be traced."""
    finite = [jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]
    return functools.reduce(jnp.logical_and, finite) if finite else jnp.asarray(True)


def max_norm(tree: Any) -> jax.Array:
    """The largest absolute entry over all leaves."""
    return functools.reduce(jnp.maximum, [jnp.max(jnp.abs(leaf), initial=0.0) for leaf in jax.tree.leaves(tree)])


def inner(left: Any, right: Any) -> Any:
    """The Euclidean inner product of two pytrees of one structure.

    Leaves that are not numbers or arrays stand for whole vectors, their product for the inner product.
    """
    return sum(map(_total, jax.tree.leaves(left), jax.tree.leaves(right)))


def _total(a: Any, b: Any) -> Any:
    product = a * b
    return jnp.sum(jnp.asarray(product)) if is_numeric(product) else product


def is_numeric(value: Any) -> bool:
    """Whether it is a number or an array, traced or not; exact leaves and symbols are not."""
    return isinstance(value, (jax.Array, np.ndarray, np.generic, float, int))


def relaxed(rate: Any, h: StepLength) -> Any:
    """∫₀ʰ e^{−rate·s} ds = (1 − e^{−h·rate})/rate, and h where the rate is 0."""
    if isinstance(h, Duration):
        return h.relaxed(rate)
    safe = jnp.where(rate == 0, 1, rate)
    return jnp.where(rate == 0, h, -jnp.expm1(-h * safe) / safe)


def l2_norm(tree: Any) -> jax.Array:
    """The Euclidean norm over all leaves; no square in it overflows, or vanishes beside none that is larger.

    Its derivative at 0 is 0.
    """
    unit, scale = scaled_to_unit(tree)
    square = inner(unit, unit)
    return scale * jnp.where(square == 0, 0, jnp.sqrt(jnp.where(square == 0, 1, square)))


def scaled_to_unit(tree: Any) -> tuple[Any, Any]:
    """A pytree over a power of two near its largest entry, and that power: squares of the first are safe.

    Powers of two change no digit. Leaves that are not numbers or arrays stay as they are.
    """
    if not all(map(is_numeric, jax.tree.leaves(tree))):
        return tree, 1
    scale = power_of_two_near(max_norm(tree))
    return jax.tree.map(lambda leaf: leaf / scale.astype(jnp.result_type(leaf)), tree), scale


def inner_ratio(a: Any, b: Any, c: Any, d: Any) -> Any:
    """⟨a, b⟩/⟨c, d⟩, 0 where the denominator is; only the quotient need be a number that does not overflow."""
    (a, of_a), (b, of_b), (c, of_c), (d, of_d) = map(scaled_to_unit, (a, b, c, d))
    above, below = inner(a, b), inner(c, d)
    return of_a / of_c * (of_b / of_d) * jnp.where(below == 0, 0, above / jnp.where(below == 0, 1, below))


def power_of_two_near(size: Any) -> jax.Array:
    """A power of two within a factor of 3 of a size ≥ 0, a constant to derivatives; 1 for 0 and what is not finite."""
    size = jax.lax.stop_gradient(jnp.asarray(size))
    # Half of it, or the largest would be rounded up to infinity.
    near = jax.lax.reduce_precision(size / 2, int(jnp.finfo(size.dtype).nexp), 0)
    return jnp.where((near > 0) & jnp.isfinite(near), near, jnp.ones_like(near))


def zeros_like(tree: Any) -> Any:
    """0 in every leaf, which `0 * leaf` is not where a leaf has overflowed; exact leaves are multiplied."""
    return jax.tree.map(lambda leaf: jnp.zeros_like(leaf) if is_numeric(leaf) else 0 * leaf, tree)


def drawn(draw: Callable[..., Any], keys: Any, like: Any) -> Any:
    """Independent draws in the shape of a pytree: `draw(key, shape, dtype)` for every leaf, each with its own key."""
    leaves, structure = jax.tree.flatten(like)
    each = zip(keys, leaves, strict=True)
    return structure.unflatten([draw(key, jnp.shape(leaf), jnp.result_type(leaf)) for key, leaf in each])


def size(tree: Any) -> int:
    """The number of scalars in a pytree."""
    return sum(int(np.size(leaf)) for leaf in jax.tree.leaves(tree))
