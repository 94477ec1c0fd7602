"""Pytrees in files: every leaf a named array, and how they belong together as a line of JSON."""

import contextlib
import dataclasses
import io
import sys
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradientflow._names import MOVED

from .state import Vector

# Of these NetCDF knows nothing; they are exact in single precision.
_HALVES = ("bfloat16", "float16")


def as_netcdf(dataset: Any) -> bytes:
    """A dataset as the bytes of a NetCDF file: a full disk is met by Python, and not half-way by HDF5."""
    buffer, alone = io.BytesIO(), contextlib.nullcontext()
    if (dask := sys.modules.get("dask")) is not None:
        # Beside a client of Dask's, xarray would lock the buffer on its scheduler, which knows no such file.
        alone = dask.config.set(scheduler="synchronous")
    with alone:
        dataset.to_netcdf(buffer, engine="h5netcdf")
    return buffer.getvalue()


def take_apart(prefix: str, tree: Any, leaves: dict[str, np.ndarray]) -> Any:
    """Puts a pytree's leaves among named arrays, and returns its structure: lists, dictionaries and texts.

    Args:
        prefix: the name of a single leaf; others are called by their place, `prefix.layer.0` say.
        tree: the pytree.
        leaves: where they go, under names that are not yet taken there.
    """
    if tree is None:
        return {"kind": "None"}
    children = _children(tree)
    if children is None:
        name = free_name(prefix.replace("/", "∕"), leaves)
        leaves[name] = storable(tree)
        return {"leaf": name, "dtype": str(jnp.asarray(tree).dtype)}
    parts = [(key, take_apart(f"{prefix}.{key}", child, leaves)) for key, child in children]
    kinds = {dict: "dict", list: "list", tuple: "tuple"}
    kind = kinds.get(type(tree), type(tree).__name__ if isinstance(tree, Vector) else "dict")
    return {"kind": kind, "parts": parts}


def put_together(structure: Any, leaves: Mapping[str, Any]) -> Any:
    """The pytree that `take_apart` took apart; a class of the user's own as a dictionary by its fields.

    Raises:
        ValueError: if it has a state of a class that is not known here.
    """
    if "leaf" in structure:
        return restored(leaves[structure["leaf"]], structure["dtype"])
    kind, parts = structure["kind"], structure.get("parts", [])
    children = {key: put_together(part, leaves) for key, part in parts}
    match kind:
        case "None":
            return None
        case "dict":
            return children
        case "list" | "tuple":
            return list(children.values()) if kind == "list" else tuple(children.values())
    known = {cls.__name__: cls for cls in _subclasses(Vector)}
    kind = MOVED.get(kind, kind).split(".")[-1] if kind not in known else kind
    if kind not in known:
        raise ValueError(f"load: there is no state {kind!r} here; import what defines it first")
    state = object.__new__(known[kind])
    for name, value in children.items():
        object.__setattr__(state, name, value)
    return state


def storable(leaf: Any) -> np.ndarray:
    """An array in a precision that files know."""
    array = np.asarray(leaf)
    return array.astype(np.float32) if str(array.dtype) in _HALVES else array


def free_name(name: str, taken: Mapping[str, Any]) -> str:
    """A name that is not taken."""
    free, count = name, 1
    while free in taken:
        count += 1
        free = f"{name} ({count})"
    return free


def restored(array: np.ndarray, dtype: str) -> jax.Array:
    """A stored array in the precision that it had."""
    return jax.device_put(array.astype(dtype) if dtype in _HALVES else array)


def unnamed(prefix: str, leaves: Mapping[str, Any]) -> Any:
    """The structure in a file that does not say it, as files once did not: one leaf, or a dictionary by names."""
    if prefix in leaves:
        return {"leaf": prefix, "dtype": ""}
    names = [name for name in leaves if name.startswith(f"{prefix}.")]
    parts = [(name.removeprefix(f"{prefix}."), {"leaf": name, "dtype": ""}) for name in names]
    return {"kind": "dict", "parts": parts}


def _children(tree: Any) -> list[tuple[Any, Any]] | None:
    """A node's children by key, in its own order; `None` for a leaf."""
    if isinstance(tree, dict) and all(isinstance(key, (str, int)) for key in tree):
        return list(tree.items())
    if type(tree) in (list, tuple):
        return list(enumerate(tree))
    if isinstance(tree, Vector):
        return [(field.name, getattr(tree, field.name)) for field in dataclasses.fields(tree)]
    if jax.tree_util.treedef_is_leaf(jax.tree.structure(tree)):
        return None
    found = jax.tree_util.tree_leaves_with_path(tree, is_leaf=lambda node: node is not tree)
    return [(jax.tree_util.keystr(path, simple=True, separator="."), child) for path, child in found]


def _subclasses(cls: type) -> list[type]:
    return [found for direct in cls.__subclasses__() for found in (direct, *_subclasses(direct))]
