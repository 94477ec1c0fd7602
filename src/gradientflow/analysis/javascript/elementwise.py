"""What is done number by number, and along axes."""

import functools
from typing import Any

import numpy as np

from . import arithmetic as a
from .nodes import CALL, CHOICE, Node, Op, Program
from .shaping import Rule
from .values import Cells, cells, dtype_name, each

_REDUCED = Op("reduced({},{})", CALL, (CHOICE, CHOICE), ("bits", "bits_f8_u8", "bits_u8_f8", "reduced"))


def _dtype(eqn: Any) -> str:
    return dtype_name(eqn.outvars[0].aval)


def _unary(name: str) -> Rule:
    return lambda program, eqn, x: [each(lambda node: a.unary(program, name, _dtype(eqn), node), x)]


def _binary(name: str) -> Rule:
    return lambda program, eqn, x, y: [each(lambda p, q: a.binary(program, name, _dtype(eqn), p, q), x, y)]


def _comparison(name: str) -> Rule:
    return lambda program, eqn, x, y: [each(lambda p, q: a.compare(program, name, p, q), x, y)]


def _shift(name: str) -> Rule:
    return lambda program, eqn, x, y: [each(lambda p, q: a.shift(program, name, _dtype(eqn), p, q), x, y)]


def _not(program: Program, eqn: Any, x: Cells) -> list[Cells]:
    return [each(lambda node: a.negated(program, node), x)]


def _power(program: Program, eqn: Any, x: Cells) -> list[Cells]:
    return [each(lambda node: a.power(program, _dtype(eqn), node, eqn.params["y"]), x)]


def _square(program: Program, eqn: Any, x: Cells) -> list[Cells]:
    return [each(lambda node: a.power(program, _dtype(eqn), node, 2), x)]


def _pow(program: Program, eqn: Any, x: Cells, y: Cells) -> list[Cells]:
    dtype = _dtype(eqn)
    return [each(lambda p, q: a.binary(program, "pow", dtype, p, a.convert(program, q, dtype)), x, y)]


def _select(program: Program, eqn: Any, which: Cells, *options: Cells) -> list[Cells]:
    def chosen(index: Node, *values: Node) -> Node:
        if index.dtype == "b1":
            return a.choose(program, index, values[1], values[0])
        answer = values[0]
        for i, value in enumerate(values[1:], 1):
            answer = a.choose(program, a.compare(program, "ge", index, program.constant(index.dtype, i)), value, answer)
        return answer

    return [each(chosen, which, *options)]


def _clamp(program: Program, eqn: Any, low: Cells, x: Cells, high: Cells) -> list[Cells]:
    dtype = _dtype(eqn)

    def held(bottom: Node, node: Node, top: Node) -> Node:
        return a.binary(program, "min", dtype, a.binary(program, "max", dtype, node, bottom), top)

    return [each(held, low, x, high)]


def _called(name: str, *helper: str) -> Rule:
    def rule(program: Program, eqn: Any, x: Cells) -> list[Cells]:
        op = a.wrapped(_dtype(eqn), f"{name}({{}})", CALL, (CHOICE,), helper)
        return [each(lambda node: program.expression(_dtype(eqn), op, node), x)]

    return rule


def _round(program: Program, eqn: Any, x: Cells) -> list[Cells]:
    name = "roundEven" if int(eqn.params["rounding_method"]) == 1 else "roundAway"
    return _called(name, name)(program, eqn, x)


def _bitcast(program: Program, eqn: Any, x: Cells) -> list[Cells]:
    if eqn.outvars[0].aval.shape != x.shape:
        raise NotImplementedError("bitcast_convert_type between types of different width")
    return [each(lambda node: a.bitcast(program, node, _dtype(eqn)), x)]


def _precision(program: Program, eqn: Any, x: Cells) -> list[Cells]:
    bits = (eqn.params["exponent_bits"], eqn.params["mantissa_bits"])
    dtype = _dtype(eqn)
    if bits == {"f8": (11, 52), "f4": (8, 23)}[dtype]:
        return [x]
    if bits == (8, 23):
        return [each(lambda node: a.convert(program, a.convert(program, node, "f4"), dtype), x)]
    if dtype != "f8" or bits[0] != 11:
        raise NotImplementedError(f"reduce_precision of {eqn.invars[0].aval.dtype} to {bits[0]} and {bits[1]} bits")
    fewer = program.constant("i4", 52 - bits[1])
    return [each(lambda node: program.expression(dtype, _REDUCED, node, fewer), x)]


def _same(program: Program, eqn: Any, *xs: Cells) -> list[Cells]:
    return list(xs)


def _along(name: str) -> Rule:
    """A reduction, from the first to the last."""

    def rule(program: Program, eqn: Any, x: Cells) -> list[Cells]:
        dtype, axes = _dtype(eqn), eqn.params["axes"]
        rest = [d for d in range(x.ndim) if d not in axes]
        rows = x.transpose(*rest, *axes).reshape(*(x.shape[d] for d in rest), -1)
        if not rows.shape[-1]:
            raise NotImplementedError(f"{eqn.primitive.name} of nothing")
        return [
            cells(
                rows.shape[:-1], lambda *i: functools.reduce(lambda p, q: a.binary(program, name, dtype, p, q), rows[i])
            )
        ]

    return rule


def _cumulative(name: str) -> Rule:
    def rule(program: Program, eqn: Any, x: Cells) -> list[Cells]:
        axis, backwards = eqn.params["axis"], eqn.params["reverse"]
        rows = np.moveaxis(np.flip(x, axis) if backwards else x, axis, 0).copy()
        for i in range(1, len(rows)):
            before, now = rows[i - 1 : i], rows[i : i + 1]
            rows[i : i + 1] = each(lambda p, q: a.binary(program, name, _dtype(eqn), p, q), before, now)
        answer = np.moveaxis(rows, 0, axis)
        return [np.flip(answer, axis) if backwards else answer]

    return rule


def _extreme(order: str) -> Rule:
    """The index of the first of the greatest, or least; of the first NaN, where there is one."""

    def rule(program: Program, eqn: Any, x: Cells) -> list[Cells]:
        (axis,), dtype = eqn.params["axes"], _dtype(eqn)
        rows = np.moveaxis(x, axis, -1)

        def cell(*place: int) -> Node:
            best, index = rows[place][0], program.constant(dtype, 0)
            for i, node in enumerate(rows[place][1:], 1):
                better = a.compare(program, order, node, best)
                if node.dtype[0] == "f":
                    is_nan, was_nan = (a.compare(program, "ne", n, n) for n in (node, best))
                    better = a.binary(program, "or", "b1", better, is_nan)
                    better = a.binary(program, "and", "b1", better, a.negated(program, was_nan))
                index = a.choose(program, better, program.constant(dtype, i), index)
                best = a.choose(program, better, node, best)
            return index

        return [cells(rows.shape[:-1], cell)]

    return rule


def _sort(program: Program, eqn: Any, *xs: Cells) -> list[Cells]:
    """A network of comparisons of neighbours, which keeps the order of what is equal."""
    axis, keys = eqn.params["dimension"], eqn.params["num_keys"]
    if keys != 1:
        raise NotImplementedError("sort by several keys")
    rows = [np.moveaxis(x, axis, -1).copy() for x in xs]
    n = rows[0].shape[-1]
    for place in np.ndindex(*rows[0].shape[:-1]):
        for done in range(n):
            for i in range(n - 1 - done):
                first, second = rows[0][(*place, i)], rows[0][(*place, i + 1)]
                wrong = a.compare(program, "lt", second, first)
                if first.dtype[0] == "f":
                    nan, ok = a.compare(program, "ne", first, first), a.compare(program, "eq", second, second)
                    wrong = a.binary(program, "or", "b1", wrong, a.binary(program, "and", "b1", nan, ok))
                for row in rows:
                    p, q = row[(*place, i)], row[(*place, i + 1)]
                    row[(*place, i)] = a.choose(program, wrong, q, p)
                    row[(*place, i + 1)] = a.choose(program, wrong, p, q)
    return [np.moveaxis(row, -1, axis) for row in rows]


def dotted(program: Program, dtype: str, x: Cells, y: Cells) -> Node:
    """Σ xᵢyᵢ, from the first to the last."""
    products = [a.binary(program, "mul", dtype, p, q) for p, q in zip(x, y, strict=True)]
    if not products:
        return program.constant(dtype, 0)
    return functools.reduce(lambda p, q: a.binary(program, "add", dtype, p, q), products)


def _dot_general(program: Program, eqn: Any, x: Cells, y: Cells) -> list[Cells]:
    (xc, yc), (xb, yb) = eqn.params["dimension_numbers"]
    dtype = _dtype(eqn)
    x, y = (each(lambda node: a.convert(program, node, dtype), array) for array in (x, y))
    xf = [d for d in range(x.ndim) if d not in (*xc, *xb)]
    yf = [d for d in range(y.ndim) if d not in (*yc, *yb)]
    left = x.transpose(*xb, *xf, *xc).reshape(*(x.shape[d] for d in (*xb, *xf)), -1)
    right = y.transpose(*yb, *yf, *yc).reshape(*(y.shape[d] for d in (*yb, *yf)), -1)
    nb, nx = len(xb), len(xf)

    def cell(*i: int) -> Node:
        return dotted(program, dtype, left[(*i[:nb], *i[nb : nb + nx])], right[(*i[:nb], *i[nb + nx :])])

    return [cells(eqn.outvars[0].aval.shape, cell)]


ELEMENTWISE: dict[str, Rule] = {
    **{name: _unary(name) for name in a.UNARY_NAMES},
    **{name: _binary(name) for name in a.BINARY_NAMES},
    **{name: _comparison(name) for name in a.COMPARISONS},
    **{f"{name}_to": _comparison(name) for name in ("eq", "lt", "le")},
    **{name: _shift(name) for name in ("shift_left", "shift_right_logical", "shift_right_arithmetic")},
    **{f"reduce_{name}": _along(name) for name in ("max", "min", "and", "or", "xor")},
    "reduce_sum": _along("add"), "reduce_prod": _along("mul"), "add_any": _binary("add"),
    "cumsum": _cumulative("add"), "cumprod": _cumulative("mul"), "cummax": _cumulative("max"),
    "cummin": _cumulative("min"), "argmax": _extreme("gt"), "argmin": _extreme("lt"), "sort": _sort,
    "not": _not, "integer_pow": _power, "square": _square, "pow": _pow, "select_n": _select, "clamp": _clamp,
    "is_finite": _called("Number.isFinite"), "round": _round, "bitcast_convert_type": _bitcast,
    "reduce_precision": _precision, "dot_general": _dot_general,
    **dict.fromkeys(("copy", "copy_p", "stop_gradient", "optimization_barrier", "real", "sharding_constraint",
                     "device_put", "reshard", "mesh_cast", "pbroadcast", "pvary"), _same),
}  # fmt: skip
