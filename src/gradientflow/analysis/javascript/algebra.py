"""Linear algebra of small matrices, unrolled: the decompositions that LAPACK would be asked for."""

from typing import Any

import numpy as np

from . import arithmetic as a
from .elementwise import dotted
from .nodes import CALL, CHOICE, Node, Op, Program
from .shaping import Rule
from .values import Cells, cells, dtype_name

# Unrolled, a decomposition has about n³ operations; pivoting doubles them.
_LARGEST = 8


def _check(name: str, x: Cells) -> None:
    if x.ndim != 2 or max(x.shape) > _LARGEST:
        raise NotImplementedError(f"{name} of shape {x.shape}: one matrix of up to {_LARGEST} rows is unrolled")


def _lu(program: Program, eqn: Any, x: Cells) -> list[Cells]:
    """With the pivots of LAPACK: the first of the largest entries of the column."""
    _check("lu", x)
    dtype = dtype_name(eqn.outvars[0].aval)
    (n, m), w = x.shape, x.copy()
    order = np.array([program.constant("i4", i) for i in range(n)], dtype=object)
    pivots = np.empty(min(n, m), dtype=object)
    for k in range(min(n, m)):
        pivot, most = program.constant("i4", k), a.unary(program, "abs", dtype, w[k, k])
        for i in range(k + 1, n):
            size = a.unary(program, "abs", dtype, w[i, k])
            larger = a.compare(program, "gt", size, most)
            pivot = a.choose(program, larger, program.constant("i4", i), pivot)
            most = a.choose(program, larger, size, most)
        pivots[k] = pivot
        for i in range(k + 1, n):
            here = a.compare(program, "eq", pivot, program.constant("i4", i))
            for row in (w, order.reshape(n, 1)):
                for j in range(row.shape[1]):
                    p, q = row[k, j], row[i, j]
                    row[k, j], row[i, j] = a.choose(program, here, q, p), a.choose(program, here, p, q)
        # A column of zeros is left as it is.
        regular = a.compare(program, "ne", w[k, k], program.constant(dtype, 0))
        for i in range(k + 1, n):
            w[i, k] = a.choose(program, regular, a.binary(program, "div", dtype, w[i, k], w[k, k]), w[i, k])
            for j in range(k + 1, m):
                w[i, j] = _less(program, dtype, w[i, j], w[i, k], w[k, j])
    return [w, pivots, order]


def _permutation(program: Program, eqn: Any, pivots: Cells) -> list[Cells]:
    order = np.array([program.constant("i4", i) for i in range(eqn.params["permutation_size"])], dtype=object)
    for k, pivot in enumerate(pivots):
        for i in range(k + 1, len(order)):
            here = a.compare(program, "eq", pivot, program.constant("i4", i))
            p, q = order[k], order[i]
            order[k], order[i] = a.choose(program, here, q, p), a.choose(program, here, p, q)
    return [order]


def _less(program: Program, dtype: str, x: Node, p: Node, q: Node) -> Node:
    return a.binary(program, "sub", dtype, x, a.binary(program, "mul", dtype, p, q))


def _triangular_solve(program: Program, eqn: Any, matrix: Cells, b: Cells) -> list[Cells]:
    _check("triangular_solve", matrix)
    dtype = dtype_name(eqn.outvars[0].aval)
    lower, left = eqn.params["lower"], eqn.params["left_side"]
    if eqn.params["transpose_a"]:
        matrix, lower = matrix.T, not lower
    if not left:
        matrix, lower, b = matrix.T, not lower, b.T
    n, x = len(matrix), b.copy()
    for i in range(n) if lower else range(n - 1, -1, -1):
        for j in range(x.shape[1]):
            for k in range(i) if lower else range(n - 1, i, -1):
                x[i, j] = _less(program, dtype, x[i, j], matrix[i, k], x[k, j])
            if not eqn.params["unit_diagonal"]:
                x[i, j] = a.binary(program, "div", dtype, x[i, j], matrix[i, i])
    return [x if left else x.T]


def _cholesky(program: Program, eqn: Any, x: Cells) -> list[Cells]:
    """NaN where the matrix is not positive definite."""
    _check("cholesky", x)
    dtype, n = dtype_name(eqn.outvars[0].aval), len(x)
    zero, nan = program.constant(dtype, 0), program.constant(dtype, np.nan)
    factor = np.full((n, n), zero, dtype=object)
    for j in range(n):
        rest = (
            x[j, j]
            if j == 0
            else a.binary(program, "sub", dtype, x[j, j], dotted(program, dtype, factor[j, :j], factor[j, :j]))
        )
        ok = a.compare(program, "gt", rest, zero)
        factor[j, j] = a.choose(program, ok, a.unary(program, "sqrt", dtype, rest), nan)
        for i in range(j + 1, n):
            rest = (
                x[i, j]
                if j == 0
                else a.binary(program, "sub", dtype, x[i, j], dotted(program, dtype, factor[i, :j], factor[j, :j]))
            )
            factor[i, j] = a.binary(program, "div", dtype, rest, factor[j, j])
    return [factor]


def _eigh(program: Program, eqn: Any, x: Cells) -> list[Cells]:
    """Eigenvalues in rising order; the signs of eigenvectors are as they come, as LAPACK's are."""
    _check("eigh", x)
    dtype, n = dtype_name(eqn.outvars[0].aval), len(x)
    if dtype != "f8":
        raise NotImplementedError("eigh in single precision")
    lower = cells((n, n), lambda i, j: x[max(i, j), min(i, j)])
    op = Op("eigh({},{})", CALL, (CHOICE, CHOICE), ("eigh",))
    # The helper works in its argument; it gets an array of its own.
    own = program.expression("array", Op("[...{}]", CALL, (CALL,)), program.array(list(lower.ravel())))
    found = program.expression("array", op, own, program.constant("i4", n))
    values = cells((n,), lambda i: program.element(dtype, found, program.constant("i4", i)))
    vectors = cells((n, n), lambda i, j: program.element(dtype, found, program.constant("i4", n + i * n + j)))
    return [vectors if len(v.aval.shape) == 2 else values for v in eqn.outvars]


ALGEBRA: dict[str, Rule] = {
    "lu": _lu, "lu_pivots_to_permutation": _permutation, "triangular_solve": _triangular_solve,
    "cholesky": _cholesky, "eigh": _eigh,
}  # fmt: skip
