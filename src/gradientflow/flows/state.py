"""States as vectors: pytrees that can be added and scaled, so that a recipe reads like its formula.

A state is a single leaf (a JAX array, or an exact number when a recipe is read symbolically) or one of the
classes here. Either way `z + h * flow.drift(t, z)` means what it says.
"""

import operator
from collections.abc import Callable, Iterator
from typing import Any

import equinox as eqx
import jax

from .numerics import as_arrays


class Vector(eqx.Module):
    """A pytree with leafwise `+`, `-`, `*` and `/`.

    The other operand is a scalar, applied to every leaf, or a vector of the same structure. Indexing slices the
    leading axis of every leaf, so that `path.state[-1]` is the last state.

    Example:
        >>> import jax.numpy as jnp, gradientflow as gf
        >>> class Pair(gf.Vector):
        ...     a: jnp.ndarray
        ...     b: jnp.ndarray
        >>> total = Pair(jnp.ones(2), jnp.zeros(2)) + 2 * Pair(jnp.zeros(2), jnp.ones(2))
        >>> total.b.tolist(), total[0].a.tolist()
        ([2.0, 2.0], 1.0)
    """

    # NumPy scalars would otherwise turn the pytree into an object array instead of deferring to `__rmul__`.
    __array_ufunc__ = None

    def __add__(self, other: Any) -> Any:
        return _leafwise(operator.add, self, other)

    def __radd__(self, other: Any) -> Any:
        # Python's `sum` begins with the number 0.
        return self if type(other) is int and other == 0 else NotImplemented

    def __sub__(self, other: Any) -> Any:
        return _leafwise(operator.sub, self, other)

    def __mul__(self, other: Any) -> Any:
        return _leafwise(operator.mul, self, other)

    def __rmul__(self, other: Any) -> Any:
        return _leafwise(lambda a, b: b * a, self, other)

    def __truediv__(self, other: Any) -> Any:
        return _leafwise(operator.truediv, self, other)

    def __neg__(self) -> Any:
        return jax.tree.map(operator.neg, self)

    def __getitem__(self, index: Any) -> Any:
        return jax.tree.map(lambda leaf: leaf[index], self)

    # Without this, Python would iterate through `__getitem__`, and JAX's clamped indexing would never end it.
    def __iter__(self) -> Iterator[Any]:
        """Unpacks the fields: `x, v = state`."""
        return iter(vars(self).values())


class PytreeState(Vector):
    """A user's position that is more than one leaf (a dictionary of layers, say), as a vector.

    Example:
        >>> import gradientflow as gf
        >>> state = gf.GradientFlow(gf.energy(lambda p: p["w"] ** 2)).init({"w": 1.0})
        >>> state + state
        PytreeState(tree={'w': 2.0})
    """

    tree: Any


class Phase(Vector):
    """A point `(x, v)` of a second-order flow's phase space.

    Attributes:
        x: position [X].
        v: velocity [X/T], shaped like the position.

    References:
        V. I. Arnold, Mathematical Methods of Classical Mechanics, 2nd ed. 1989.

    Example:
        >>> import gradientflow as gf
        >>> gf.Phase(3.0, 1.0) + 0.5 * gf.Phase(1.0, -2.0)
        Phase(x=3.5, v=0.0)
    """

    x: Any
    v: Any


def _leafwise(op: Callable[[Any, Any], Any], left: Vector, right: Any) -> Any:
    if isinstance(right, Vector):
        return jax.tree.map(op, left, right)
    return jax.tree.map(lambda leaf: op(leaf, right), left)


def lift(position: Any) -> Any:
    """A user's position as a vector: itself if it is one leaf, a list of numbers as an array, else a `PytreeState`."""
    position = as_arrays(position)
    return position if jax.tree_util.treedef_is_leaf(jax.tree.structure(position)) else PytreeState(position)


def lower(vector: Any) -> Any:
    """The user's own pytree again: the inverse of `lift`."""
    return vector.tree if isinstance(vector, PytreeState) else vector
