"""Whether the last states of a run come back to where they were: of one run, or of many side by side."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

# Longer cycles than this are not looked for, in rows; seen twice around, so that a slow end is not taken for one.
_LONGEST_CYCLE = 16
TAIL = 2 * _LONGEST_CYCLE + 1
# Axes so short are reduced entry by entry.
_FEW_ENTRIES = 2 * _LONGEST_CYCLE


def returns(xp: Any, tail: Any, lanes: int = 0) -> tuple[Any, Any, Any]:
    """After how many rows the last state comes back, 0 for never; how far it moves meanwhile, and how large it is.

    Args:
        xp: the module of arrays.
        tail: the last states, at most `TAIL` of them, along a first axis.
        lanes: how many last axes are lanes: side by side in memory, so that vector units take them.
    """
    leaves = jax.tree.leaves(tail)
    shape = np.shape(leaves[0])[np.ndim(leaves[0]) - lanes :]
    leaves = [leaf.reshape(len(leaf), -1, *shape) for leaf in leaves if leaf.size]
    # The last row first, an entry's rows side by side.
    away = _largest(xp, [_largest(xp, xp.moveaxis(xp.abs(leaf[-1:] - leaf)[::-1], 1, 0)) for leaf in leaves])
    extent = _largest(xp, [_largest(xp, xp.abs(leaf[-1])) for leaf in leaves])
    eps = float(jnp.finfo(leaves[0].dtype).eps)
    count = (len(away) - 1) // 2
    if not count:
        return xp.zeros_like(extent, dtype=int), xp.zeros_like(extent), extent
    once, twice = away[1 : count + 1], away[2 : 2 * count + 1 : 2]
    moved = (
        xp.max(once, axis=0)
        if xp is np
        else jax.lax.fori_loop(0, count, lambda i, largest: jnp.maximum(largest, once[i]), jnp.zeros_like(extent))
    )
    tolerance = xp.maximum(eps**0.5 * moved, 4 * eps * extent)
    return _first(xp, once, twice, tolerance), moved, extent


def _largest(xp: Any, entries: Any) -> Any:
    """The largest along the first axis; of a few entries one by one, since of many lanes each is a vector of its own.

    XLA's reductions take so short an axis number by number.
    """
    if isinstance(entries, list) or (xp is not np and len(entries) <= _FEW_ENTRIES):
        return functools.reduce(xp.maximum, [entries[i] for i in range(len(entries))])
    return xp.max(entries, axis=0)


def _first(xp: Any, once: Any, twice: Any, tolerance: Any) -> Any:
    """The number of the first for which neither is more, from 1 on; 0 where none is.

    A loop of its own: what is written out XLA would compute anew for each question that is asked of it.
    """
    if xp is np:
        found = (once <= tolerance) & (twice <= tolerance)
        return np.where(found.any(axis=0), np.argmax(found, axis=0) + 1, 0)
    count = len(once)

    def look(i: Any, number: Any) -> Any:
        place = count - 1 - i
        return jnp.where((once[place] <= tolerance) & (twice[place] <= tolerance), place + 1, number)

    return jax.lax.fori_loop(0, count, look, jnp.zeros_like(tolerance, dtype=int))
