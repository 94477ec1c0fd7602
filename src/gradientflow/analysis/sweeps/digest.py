"""A digest of anything that decides what a sweep finds, the same in every process."""

import dataclasses
import functools
import hashlib
import types
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .identity import made_of


def digest(thing: Any) -> str:
    """Hexadecimal digits that stand for a thing: a function by its code and what it reads, arrays by their bytes.

    Raises:
        TypeError: for what no digest can be made of.
    """
    found = hashlib.sha256()
    for piece in _pieces(made_of(thing, leaf=_Leaf)):
        found.update(repr(piece).encode() if not isinstance(piece, bytes) else piece)
        found.update(b"\0")
    return found.hexdigest()[:32]


@dataclasses.dataclass(frozen=True)
class _Leaf:
    """What is neither a function nor a plain value, and what it is reached from."""

    thing: Any
    within: tuple[int, ...] = ()


def _pieces(thing: Any) -> Any:
    """What a thing is written down as."""
    match thing:
        case _Leaf(thing=inner, within=within):
            yield from _pieces_of_object(inner, within)
        case tuple():
            yield "("
            for part in thing:
                yield from _pieces(part)
            yield ")"
        case types.CodeType():
            yield thing.co_code
            yield thing.co_names, thing.co_varnames, thing.co_freevars
            for constant in thing.co_consts:
                yield from _pieces(constant if isinstance(constant, types.CodeType) else (type(constant), constant))
        case type():
            yield f"{thing.__module__}.{thing.__qualname__}"
        case _:
            yield thing


def _pieces_of_object(thing: Any, within: tuple[int, ...]) -> Any:
    name = getattr(thing, "__qualname__", None)
    if isinstance(thing, types.ModuleType):
        yield thing.__name__
    elif isinstance(thing, type | types.FunctionType | types.BuiltinFunctionType) or (callable(thing) and name):
        yield f"{thing.__module__}.{name}"
    elif isinstance(thing, jax.Array | np.ndarray | np.generic):
        values: Any = thing
        if isinstance(thing, jax.Array) and jnp.issubdtype(thing.dtype, jax.dtypes.prng_key):
            values = jax.random.key_data(thing)
        array = np.asarray(values)
        yield str(array.dtype), array.shape
        yield array.tobytes()
    elif dataclasses.is_dataclass(thing):
        yield f"{type(thing).__module__}.{type(thing).__qualname__}"
        for field in dataclasses.fields(thing):
            yield field.name
            yield from _pieces(made_of(getattr(thing, field.name, None), within, leaf=_Leaf))
    elif isinstance(thing, list | dict | set | frozenset):
        yield type(thing).__name__
        parts = sorted(thing.items(), key=repr) if isinstance(thing, dict) else thing
        for part in parts:
            yield from _pieces(made_of(part, within, leaf=_Leaf))
    elif isinstance(thing, functools.partial | slice | range):
        yield repr(thing)
    else:
        raise TypeError(
            f"sweep: a store must know what make reads, and of a {type(thing).__name__} it can't tell; hold numbers, "
            "arrays, functions or energies in its place"
        )
