"""Arrays of scalars of the program: NumPy moves them about, since their shapes are known."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .nodes import Node, Program

# An object array of nodes; NumPy's types know nothing of what is in one.
Cells = Any
# What a JavaScript number can stand for.
_KNOWN = ("f8", "f4", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "b1")


def dtype_name(aval: Any) -> str:
    """The short name of an abstract value's type.

    Raises:
        NotImplementedError: for a type that has no counterpart.
    """
    if jnp.issubdtype(aval.dtype, jax.dtypes.prng_key):
        return "key"
    name = np.dtype(aval.dtype).str[1:] if aval.dtype != jnp.bfloat16 else "bfloat16"
    if name not in _KNOWN:
        raise NotImplementedError(f"numbers of type {aval.dtype}")
    return name


def cells(shape: Sequence[int], made: Callable[..., Any]) -> Cells:
    """An array of nodes, each made for its index."""
    array: Cells = np.empty(tuple(shape), dtype=object)
    for index in np.ndindex(*array.shape):
        array[index] = made(*index)
    return array


def each(function: Callable[..., Node], *arrays: Cells) -> Cells:
    """A function of scalars on arrays of one shape, or on scalars beside them."""
    arrays = tuple(np.broadcast_arrays(*arrays)) if len(arrays) > 1 else arrays
    return cells(arrays[0].shape, lambda *index: function(*(array[index] for array in arrays)))


def constants(program: Program, value: Any) -> Cells:
    """An array that is known now; of a key, its two words."""
    value = jnp.asarray(value) if not hasattr(value, "dtype") else value
    dtype = dtype_name(value)
    if dtype == "key":
        words = np.asarray(jax.random.key_data(value))
        return cells(words.shape[:-1], lambda *i: key(*(program.constant("u4", word) for word in words[i])))
    array = np.asarray(value)
    return cells(array.shape, lambda *i: program.constant(dtype, array[i]))


def key(first: Node, second: Node) -> Node:
    """A random key: two words of 32 bits."""
    return Node("key", "key", (first, second))


def flat(arrays: Sequence[Cells]) -> list[Node]:
    """All scalars of arrays, a key as its words."""
    return [word for array in arrays for node in array.ravel() for word in (node.args if node.op == "key" else [node])]


def unflat(nodes: Sequence[Node], like: Sequence[Cells]) -> list[Cells]:
    """Scalars as arrays of these shapes again."""
    rest = iter(nodes)

    def taken(node: Node) -> Node:
        return key(next(rest), next(rest)) if node.op == "key" else next(rest)

    return [cells(array.shape, lambda *i, a=array: taken(a[i])) for array in like]
