"""What moves numbers about without changing them: NumPy's own functions on arrays of nodes."""

import functools
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from .arithmetic import binary, choose, compare, convert
from .nodes import CALL, CHOICE, Node, Op, Program
from .values import Cells, cells, each

Rule = Callable[..., list[Cells]]


def _broadcast(program: Program, eqn: Any, x: Cells, *_: Any) -> list[Cells]:
    shape, where = eqn.params["shape"], eqn.params["broadcast_dimensions"]
    full = np.ones(len(shape), dtype=int)
    full[list(where)] = x.shape
    return [np.broadcast_to(x.reshape(tuple(full)), shape)]


def _reshape(program: Program, eqn: Any, x: Cells, *_: Any) -> list[Cells]:
    return [x.reshape(eqn.outvars[0].aval.shape)]


def _transpose(program: Program, eqn: Any, x: Cells) -> list[Cells]:
    return [x.transpose(eqn.params["permutation"])]


def _reverse(program: Program, eqn: Any, x: Cells) -> list[Cells]:
    return [np.flip(x, eqn.params["dimensions"])]


def _concatenate(program: Program, eqn: Any, *parts: Cells) -> list[Cells]:
    return [np.concatenate(parts, axis=eqn.params["dimension"])]


def _stack(program: Program, eqn: Any, *parts: Cells) -> list[Cells]:
    return [np.stack(parts, axis=eqn.params.get("axis", 0)).reshape(eqn.outvars[0].aval.shape)]


def _split(program: Program, eqn: Any, x: Cells) -> list[Cells]:
    return np.split(x, np.cumsum(eqn.params["sizes"])[:-1], axis=eqn.params["axis"])


def _tile(program: Program, eqn: Any, x: Cells) -> list[Cells]:
    return [np.tile(x, eqn.params["reps"])]


def _slice(program: Program, eqn: Any, x: Cells) -> list[Cells]:
    starts, limits = eqn.params["start_indices"], eqn.params["limit_indices"]
    strides = eqn.params["strides"] or (1,) * x.ndim
    return [x[tuple(slice(*bounds) for bounds in zip(starts, limits, strides, strict=True))]]


def _pad(program: Program, eqn: Any, x: Cells, value: Cells) -> list[Cells]:
    config = eqn.params["padding_config"]
    array = np.full(eqn.outvars[0].aval.shape, value[()], dtype=object)
    for index in np.ndindex(*x.shape):
        place = tuple(int(low) + i * (int(gap) + 1) for i, (low, _, gap) in zip(index, config, strict=True))
        if all(0 <= i < n for i, n in zip(place, array.shape, strict=True)):
            array[place] = x[index]
    return [array]


def _iota(program: Program, eqn: Any) -> list[Cells]:
    shape, dimension = eqn.params["shape"], eqn.params["dimension"]
    dtype = np.dtype(eqn.params["dtype"]).str[1:]
    return [cells(shape, lambda *i: program.constant(dtype, i[dimension]))]


def clamped(program: Program, index: Node, top: int) -> Node:
    """An index that is not beyond an array's ends."""
    if index.is_constant:
        return program.constant(index.dtype, min(max(index.value, 0), top))
    if top == 0:
        return program.constant(index.dtype, 0)
    op = Op("clampIndex({},{})", CALL, (CHOICE, CHOICE), ("clampIndex",))
    return program.expression(index.dtype, op, _plain(program, index), program.constant("i4", top))


def taken(program: Program, x: Cells, index: list[Node]) -> Node:
    """The element of an array at an index within its bounds, which may be known only when the program runs."""
    if all(i.is_constant for i in index):
        return x[tuple(i.value for i in index)]
    if x.size == 1:
        return x.ravel()[0]
    if x.ravel()[0].dtype == "key":
        raise NotImplementedError("an array of keys that is indexed by a traced number")
    place = program.constant("i8", 0)
    for i, n in zip(index, x.shape, strict=True):
        place = binary(program, "mul", "i8", place, program.constant("i8", n))
        place = binary(program, "add", "i8", place, convert(program, i, "i8"))
    return program.element(x.ravel()[0].dtype, program.array(list(x.ravel())), place)


def _dynamic_slice(program: Program, eqn: Any, x: Cells, *starts: Cells) -> list[Cells]:
    sizes = eqn.params["slice_sizes"]
    first = [clamped(program, s[()], n - k) for s, n, k in zip(starts, x.shape, sizes, strict=True)]
    return [cells(sizes, lambda *i: taken(program, x, _moved(program, first, i)))]


def _dynamic_update_slice(program: Program, eqn: Any, x: Cells, update: Cells, *starts: Cells) -> list[Cells]:
    first = [clamped(program, s[()], n - k) for s, n, k in zip(starts, x.shape, update.shape, strict=True)]

    def cell(*place: int) -> Node:
        answer = x[place]
        for index in np.ndindex(*update.shape):
            at = [
                compare(program, "eq", s, program.constant(s.dtype, p - i))
                for s, p, i in zip(first, place, index, strict=True)
            ]
            here = functools.reduce(lambda a, b: binary(program, "and", "b1", a, b), at, program.constant("b1", True))
            answer = choose(program, here, update[index], answer)
        return answer

    return [cells(x.shape, cell)]


def _moved(program: Program, first: list[Node], by: tuple[int, ...]) -> list[Node]:
    return [binary(program, "add", s.dtype, s, program.constant(s.dtype, i)) for s, i in zip(first, by, strict=True)]


def _plain(program: Program, index: Node) -> Node:
    return convert(program, index, "i8") if index.dtype == "u8" else index


def _gather(program: Program, eqn: Any, x: Cells, indices: Cells) -> list[Cells]:
    numbers, sizes = eqn.params["dimension_numbers"], eqn.params["slice_sizes"]
    mode = str(eqn.params["mode"])
    shape = eqn.outvars[0].aval.shape
    batch = [d for d in range(len(shape)) if d not in numbers.offset_dims]
    kept = [d for d in range(x.ndim) if d not in (*numbers.collapsed_slice_dims, *numbers.operand_batching_dims)]
    fill = program.constant(*_filling(eqn))

    def cell(*place: int) -> Node:
        at = tuple(place[d] for d in batch)
        start: list[Node] = [program.constant("i4", 0)] * x.ndim
        for i, d in enumerate(numbers.start_index_map):
            start[d] = indices[(*at, i)]
        for d, from_ in zip(numbers.operand_batching_dims, numbers.start_indices_batching_dims, strict=True):
            start[d] = program.constant("i4", at[from_])
        offset = [0] * x.ndim
        for d, o in zip(kept, numbers.offset_dims, strict=True):
            offset[d] = place[o]
        top = [n - k for n, k in zip(x.shape, sizes, strict=True)]
        inside = [clamped(program, s, t) for s, t in zip(start, top, strict=True)]
        value = taken(program, x, _moved(program, inside, tuple(offset)))
        if "FILL" not in mode.upper():
            return value
        held = [compare(program, "eq", s, i) for s, i in zip(start, inside, strict=True)]
        ok = functools.reduce(lambda a, b: binary(program, "and", "b1", a, b), held)
        return choose(program, ok, value, fill)

    return [cells(shape, cell)]


def _filling(eqn: Any) -> tuple[str, Any]:
    dtype = np.dtype(eqn.outvars[0].aval.dtype)
    value = eqn.params["fill_value"]
    if value is None:
        value = np.nan if dtype.kind == "f" else np.iinfo(dtype).min if dtype.kind == "i" else 0
        value = np.iinfo(dtype).max if dtype.kind == "u" else value
    return dtype.str[1:], value


def _scatter(program: Program, eqn: Any, x: Cells, indices: Cells, updates: Cells) -> list[Cells]:
    """Updates at indices that may be known only then: each is put where its index is."""
    numbers = eqn.params["dimension_numbers"]
    if numbers.operand_batching_dims:
        raise NotImplementedError(f"{eqn.primitive.name} with batching dimensions")
    kind = {
        "scatter-add": "add",
        "scatter_add": "add",
        "scatter_mul": "mul",
        "scatter_min": "min",
        "scatter_max": "max",
    }
    name = kind.get(eqn.primitive.name)
    answer, dtype = x.copy(), np.dtype(eqn.outvars[0].aval.dtype).str[1:]
    batch = [d for d in range(updates.ndim) if d not in numbers.update_window_dims]
    kept = [d for d in range(x.ndim) if d not in numbers.inserted_window_dims]
    sizes = [1] * x.ndim
    for d, w in zip(kept, numbers.update_window_dims, strict=True):
        sizes[d] = updates.shape[w]
    clip = "CLIP" in str(eqn.params["mode"]).upper()
    for place in np.ndindex(*updates.shape):
        at = tuple(place[d] for d in batch)
        offset = [0] * x.ndim
        for d, w in zip(kept, numbers.update_window_dims, strict=True):
            offset[d] = place[w]
        start: list[Node] = [program.constant("i4", 0)] * x.ndim
        for i, d in enumerate(numbers.scatter_dims_to_operand_dims):
            start[d] = indices[(*at, i)]
        if clip:
            start = [clamped(program, s, n - k) for s, n, k in zip(start, x.shape, sizes, strict=True)]
        reach = [range(o, n - k + o + 1) for o, n, k in zip(offset, x.shape, sizes, strict=True)]
        for cell in itertools.product(*reach):
            held = [
                compare(program, "eq", s, program.constant(s.dtype, c - o))
                for s, c, o in zip(start, cell, offset, strict=True)
            ]
            here = functools.reduce(lambda a, b: binary(program, "and", "b1", a, b), held)
            new = updates[place] if name is None else binary(program, name, dtype, answer[cell], updates[place])
            answer[cell] = choose(program, here, new, answer[cell])
    return [answer]


def _convert(program: Program, eqn: Any, x: Cells) -> list[Cells]:
    dtype = np.dtype(eqn.params["new_dtype"]).str[1:]
    return [each(lambda node: convert(program, node, dtype), x)]


SHAPING: dict[str, Rule] = {
    "broadcast_in_dim": _broadcast, "reshape": _reshape, "squeeze": _reshape, "expand_dims": _reshape,
    "transpose": _transpose, "rev": _reverse, "concatenate": _concatenate, "stack": _stack, "split": _split,
    "slice": _slice, "tile": _tile, "pad": _pad, "iota": _iota, "dynamic_slice": _dynamic_slice,
    "dynamic_update_slice": _dynamic_update_slice, "gather": _gather, "convert_element_type": _convert,
    **dict.fromkeys(("scatter", "scatter-add", "scatter_add", "scatter_mul", "scatter_min", "scatter_max"), _scatter),
}  # fmt: skip
