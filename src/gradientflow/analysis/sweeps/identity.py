"""What a function is: the same code with the same things in reach is the same function, made again or not.

So the programs of a sweep are found again for a lambda in a loop, and are not taken for those of a function that reads
something else by now.
"""

import contextlib
import dis
import functools
import types
from collections.abc import Callable, Iterator
from typing import Any

import equinox as eqx
import jax
import numpy as np

from gradientflow.flows.numerics import is_concrete, is_key

# What libraries define does not change under anybody's hands.
_LIBRARIES = ("gradientflow", "jax", "numpy", "scipy", "optax", "equinox", "diffrax", "math", "builtins")
# Nor what is installed, whose functions may read a thousand others.
_INSTALLED = "site-packages"
# Larger arrays equal themselves alone.
_FEW_BYTES = 1_024
_LEAF = jax.tree.structure(0)
_PLAIN = (int, float, complex, str, bytes, bool, type(None))


class _Object:
    """A thing that equals itself alone; kept, so that no other takes its place in memory."""

    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Object) and self.thing is other.thing

    def __hash__(self) -> int:
        return id(self.thing)


def _as_it_is(thing: Any, within: tuple[int, ...]) -> Any:
    """A module by what it holds, a few numbers by their values, and anything else as itself."""
    if isinstance(thing, eqx.Module):
        leaves, structure = jax.tree.flatten(thing)
        with contextlib.suppress(TypeError):
            hash(structure)
            return structure, tuple(made_of(part, within) for part in leaves)
    elif isinstance(thing, (np.ndarray, np.generic, jax.Array)) and is_concrete(thing) and not is_key(thing):
        values = np.asarray(thing)
        if values.nbytes <= _FEW_BYTES and not values.dtype.hasobject:
            return str(thing.dtype), values.shape, values.tobytes()
    return _Object(thing)


class Same:
    """A thing that equals any other made of the same: a function of the same code that reads the same, a number.

    Args:
        thing: the function, or whatever else; a module is what its leaves are.
    """

    def __init__(self, thing: Any) -> None:
        leaves, structure = jax.tree.flatten(thing) if isinstance(thing, eqx.Module) else ([thing], _LEAF)
        self.thing, self.made_of = thing, (structure, tuple(map(made_of, leaves)))
        self._hash = hash(self.made_of)

    def __eq__(self, other: object) -> bool:
        """Whether it is the same."""
        return isinstance(other, Same) and self.made_of == other.made_of

    def __hash__(self) -> int:
        """That of what it is made of."""
        return self._hash


def made_of(thing: Any, within: tuple[int, ...] = (), leaf: Callable[[Any, tuple[int, ...]], Any] = _as_it_is) -> Any:
    """What a thing is made of, as something that can be compared: code, values, and what they read.

    A list or a dictionary is itself, whatever is in it: what is changed in place is not seen, as by `jax.jit`.

    Args:
        thing: a function, or anything.
        within: what it is reached from.
        leaf: what stands for an object that is neither a function nor a plain value, given what it is reached from.
    """
    if id(thing) in within:
        return within.index(id(thing))
    inside = (*within, id(thing))

    def parts(things: Any) -> tuple[Any, ...]:
        return tuple(made_of(part, inside, leaf) for part in things)

    if _is_wrapped_by_a_library(thing):
        return made_of(thing.__wrapped__, within, leaf)
    match thing:
        case types.FunctionType() if not _is_of_a_library(thing):
            # What it counts or collects for itself is no part of what it is.
            stored = _stored(thing.__code__)
            cells = [
                cell.cell_contents
                for name, cell in zip(thing.__code__.co_freevars, thing.__closure__ or (), strict=True)
                if name not in stored and not _is_empty(cell)
            ]
            read = [(name, value) for name, value in _read(thing) if name not in stored]
            named = (thing.__kwdefaults__ or {}).items()
            return thing.__code__, parts(cells), parts(thing.__defaults__ or ()), parts(named), parts(read)
        case functools.partial():
            return parts((thing.func, thing.args, *thing.keywords.items()))
        case types.MethodType():
            return parts((thing.__func__, thing.__self__))
        case tuple():
            return type(thing), parts(thing)
        case _ if isinstance(thing, _PLAIN):
            return type(thing), repr(thing)
    return leaf(thing, inside)


def _is_of_a_library(function: Any) -> bool:
    # What a library's function defines inside itself holds what it was given.
    known = (function.__module__ or "").split(".")[0] in _LIBRARIES or _INSTALLED in function.__code__.co_filename
    return known and "<locals>" not in function.__qualname__


def _is_wrapped_by_a_library(thing: Any) -> bool:
    """Whether it is a library's own function inside another one, in a decorator, a checker of types say."""
    is_function = isinstance(thing, types.FunctionType) and hasattr(thing, "__wrapped__")
    return is_function and not _is_of_a_library(thing) and (thing.__module__ or "").split(".")[0] in _LIBRARIES


def _is_empty(cell: Any) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return True
    return False


def _read(function: types.FunctionType) -> list[tuple[str, Any]]:
    """The globals that it may read, functions inside it included."""
    found = function.__globals__
    return [(name, found[name]) for name in sorted(set(_names(function.__code__))) if name in found]


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


@functools.lru_cache(1024)
def _stored(code: types.CodeType) -> frozenset[str]:
    """The outer names that code assigns to."""
    found = {
        instruction.argval
        for instruction in dis.get_instructions(code)
        if instruction.opname in ("STORE_GLOBAL", "STORE_DEREF") and instruction.argval not in code.co_cellvars
    }
    return frozenset(found.union(*(_stored(part) for part in code.co_consts if isinstance(part, types.CodeType))))
