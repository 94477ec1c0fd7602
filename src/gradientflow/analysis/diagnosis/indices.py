"""Indices that lie outside of what they are taken from: JAX takes the nearest, or nothing, and says no word."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.extend.core as jex
import jax.numpy as jnp
import numpy as np

from .operations import bound, followed, line_of


class Place(NamedTuple):
    """An operation of a loss that takes from an array by index.

    Attributes:
        line: file:line and code of the user's; empty where it isn't known.
        places: how many places there are to take from.
        matched: whether indices are compared with all places, as `jax.nn.one_hot` does.
    """

    line: str
    places: int
    matched: bool


class Counts(NamedTuple):
    """Of each such operation, in order: how many indices lie outside, how many there are, the one furthest outside.

    `felt` is by how much the loss changes if another is taken for those outside: nothing, where a mask hides them.
    """

    outside: Any
    total: Any
    furthest: Any
    felt: Any


def counted(loss: Callable[..., Any], found: list[Place], *arguments: Any) -> Counts:
    """Counts, in a traced function, the indices of a loss that lie outside; the operations go into `found`.

    Args:
        loss: of the arguments.
        found: a list that is written anew, on the host, when this is traced.
        arguments: of the loss.
    """
    closed = jax.make_jaxpr(loss)(*arguments)
    leaves = jax.tree.leaves(arguments)
    rows: list[tuple[Any, Any, Any]] = []
    found.clear()

    def watched(equation: Any, values: Sequence[Any], along: dict[Any, int]) -> Any:
        one = _taken(equation, values) or _matched(equation, values, along)
        if one is None:
            return None
        place, outside, furthest, instead = one
        found.append(place)
        rows.append((jnp.sum(outside), outside.size, furthest))
        return [instead]

    (elsewhere,) = _walked(closed.jaxpr, closed.consts, leaves, watched)
    if not rows:
        nothing = jnp.zeros(0)
        return Counts(nothing, nothing, nothing, jnp.zeros(()))
    outside, total, furthest = (jnp.stack([jnp.asarray(value) for value in column])
                                for column in zip(*rows, strict=True))  # fmt: skip
    return Counts(outside, total, furthest, jnp.abs(elsewhere - loss(*arguments)))


def _walked(jaxpr: Any, consts: Sequence[Any], arguments: Sequence[Any], watched: Callable[..., Any],
            outer: Any = None) -> list[Any]:  # fmt: skip
    """A program gone through operation by operation, each of which may be answered by another.

    Loops and branches are one operation each: what happens inside is not seen.
    """
    known: dict[Any, Any] = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *arguments], strict=True))
    # Of what counts 0, 1, 2, … along an axis: which.
    along: dict[Any, int] = {}
    for own in jaxpr.eqns:
        equation = own if outer is None or line_of(own) else own.replace(source_info=outer.source_info)
        values = [v.val if isinstance(v, jex.Literal) else known[v] for v in equation.invars]
        inner = followed(equation)
        if inner is not None:
            out = _walked(*inner, values, watched, equation)
        else:
            out = watched(equation, values, along)
            out = bound(equation, values) if out is None else out
        known.update(zip(equation.outvars, out, strict=True))
        axis = _counts_along(equation, along)
        if axis is not None:
            along[equation.outvars[0]] = axis
    return [v.val if isinstance(v, jex.Literal) else known[v] for v in jaxpr.outvars]


def _taken(equation: Any, values: Sequence[Any]) -> tuple[Place, Any, Any, Any] | None:
    """Of a gather at places that a batch gives: which are outside, and what it answers with others for them."""
    if equation.primitive.name != "gather" or isinstance(equation.invars[1], jex.Literal):
        return None
    operand, indices = values
    axes = equation.params["dimension_numbers"].start_index_map
    last = np.array([operand.shape[axis] - equation.params["slice_sizes"][axis] for axis in axes], int)
    if not indices.size or not len(axes):
        return None
    below, above = indices < 0, indices > jnp.asarray(last, indices.dtype)
    outside = below | above
    # From where it is clamped to as far away as can be.
    far = jnp.where(above, jnp.zeros_like(indices), jnp.asarray(last, indices.dtype))
    (instead,) = bound(equation, [operand, jnp.where(outside, far, indices)])
    beyond = jnp.where(outside, jnp.maximum(indices - last, -indices), -1)
    furthest = indices.reshape(-1)[jnp.argmax(beyond)]
    return Place(line_of(equation), int(last[-1]) + 1, False), outside.any(axis=-1), furthest, instead


def _matched(equation: Any, values: Sequence[Any], along: dict[Any, int]) -> tuple[Place, Any, Any, Any] | None:
    """Of whole numbers compared with all from 0 on, as for a one-hot code: which are larger than all."""
    if equation.primitive.name != "eq":
        return None
    pairs = list(zip(equation.invars, values, strict=True))
    for (variable, classes), (_, labels) in (pairs, pairs[::-1]):
        axis = None if isinstance(variable, jex.Literal) else along.get(variable)
        if axis is None or labels.ndim != classes.ndim or labels.shape[axis] != 1:
            continue
        count = classes.shape[axis]
        # Below 0 is how one writes that there is none.
        outside = labels >= count
        instead = classes == jnp.where(outside, 0, labels)
        return Place(line_of(equation), count, True), outside, labels.max(), instead
    return None


def _counts_along(equation: Any, along: dict[Any, int]) -> int | None:
    """The axis along which what an operation answers counts 0, 1, 2, …; `None` where it doesn't."""
    name, params = equation.primitive.name, equation.params
    if name == "iota":
        return params["dimension"]
    source = equation.invars[0] if equation.invars else None
    if source is None or isinstance(source, jex.Literal) or source not in along:
        return None
    if name == "broadcast_in_dim":
        return int(params["broadcast_dimensions"][along[source]])
    return along[source] if name in ("convert_element_type", "stop_gradient", "copy") else None
