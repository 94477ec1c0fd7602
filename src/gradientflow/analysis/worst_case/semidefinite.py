"""The semidefinite program behind a certificate: weights and multipliers with the greatest margin, by Clarabel."""

import dataclasses
import importlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse

from .conditions import Condition

# Tighter than the solver's default: numbers are to be recognized as fractions.
_TOLERANCE = 1e-10
# Directions of a Gram matrix below this, relative to its greatest, are rounding; and what one is opened to.
_SEEN, _OPENED = 1e-6, 1e-8
# What is left, relatively, of an equation that others imply.
_DEPENDENT = 1e-10


@dataclasses.dataclass(frozen=True)
class Solution:
    """What the solver returned.

    Attributes:
        weights: w, (w,).
        multipliers: λ of every condition.
        margin: t, by which the least eigenvalue of every remainder S exceeds zero, or is asked to.
        vectors: of the dual: those for which the first condition fails, or is tight, (d, r).
        values: of the dual: the energies that go with them.
        status: the solver's own word.
        is_solved: whether it converged.
    """

    weights: np.ndarray
    multipliers: list[np.ndarray]
    margin: float
    vectors: np.ndarray
    values: np.ndarray
    status: str
    is_solved: bool


def solve(
    conditions: Sequence[Condition],
    fixed: Sequence[float] | None = None,
    least: Sequence[float] | None = None,
    prices: Sequence[float] | None = None,
) -> Solution:
    """Weights and multipliers under which every condition holds.

    Args:
        conditions: in floating point; they share their weights.
        fixed: the weights, where only multipliers are looked for.
        least: c: minimize c·w, with margin zero. Otherwise the margin is maximized, and where the weights are free, the
            first condition's multipliers sum to one, which sets the scale of what is homogeneous.
        prices: of all multipliers: with fixed weights and margin zero, the cheapest, of which few are not zero.
    """
    # Loaded when first asked; it comes without types.
    clarabel: Any = importlib.import_module("clarabel")
    count = conditions[0].terms[0].shape[0]
    sizes = [len(condition.inequalities.names) for condition in conditions]
    unknowns = count + sum(sizes) + 1
    zero, positive, cones, held = [], [], [], []
    right_zero, right_positive = [], []
    semidefinite, right_semidefinite = [], []
    offset = count
    for condition, size in zip(conditions, sizes, strict=True):
        own = slice(offset, offset + size)
        of_weights, of_multipliers, sums = condition.equations()
        rows = np.zeros((unknowns, len(sums)))
        # Where μ is near L the inequalities have large coefficients; they are scaled for the solver.
        bend = condition.inequalities.scale
        rows[:count], rows[own] = of_weights.T, bend * of_multipliers.T
        kept = _independent(rows, len(condition.constant[1]))
        held.append(kept)
        zero.append(rows[:, kept])
        right_zero.append(sums[kept])
        forms = np.zeros((unknowns, condition.size, condition.size))
        forms[:count], forms[-1] = condition.terms[0], _widened(condition)
        forms[own] = -bend * condition.inequalities.forms
        semidefinite.append(-_stacked(forms))
        right_semidefinite.append(_stacked(condition.constant[0]))
        cones.append(clarabel.PSDTriangleConeT(condition.size))
        offset += size
    if fixed is not None:
        zero.append(np.eye(unknowns)[:, :count])
        right_zero.append(np.asarray(fixed, dtype=float))
    elif least is None:
        scale = np.zeros((unknowns, 1))
        scale[count : count + sizes[0]] = 1
        zero.append(scale)
        right_zero.append(np.ones(1))
    cost = np.zeros(unknowns)
    if prices is not None:
        cost[count:-1] = prices
    if least is None and prices is None:
        cost[-1] = -1
        positive.append(np.eye(unknowns)[:, -1:])
        right_positive.append(np.ones(1))
    else:
        cost[:count] = least or 0
        zero.append(np.eye(unknowns)[:, -1:])
        right_zero.append(np.zeros(1))
    positive.append(-np.eye(unknowns)[:, count:-1])
    right_positive.append(np.zeros(sum(sizes)))
    matrix = np.hstack([*zero, *positive, *semidefinite]).T
    right = np.concatenate([*right_zero, *right_positive, *right_semidefinite])
    zeros, positives = (sum(block.shape[1] for block in blocks) for blocks in (zero, positive))
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = _TOLERANCE
    solver = clarabel.DefaultSolver(
        scipy.sparse.csc_matrix((unknowns, unknowns)), cost, scipy.sparse.csc_matrix(matrix), right,
        [clarabel.ZeroConeT(zeros), clarabel.NonnegativeConeT(positives), *cones], settings,
    )  # fmt: skip
    try:
        found = solver.solve()
    except BaseException as error:
        # Where nothing is feasible the solver may end in a panic, which is no Exception.
        if type(error).__name__ != "PanicException":
            raise
        none = [np.zeros(size) for size in sizes]
        return Solution(np.zeros(count), none, -math.inf, np.zeros(()), np.zeros(()), str(error), False)
    x = np.asarray(found.x)
    scaled = np.split(x[count:-1], np.cumsum(sizes)[:-1])
    multipliers = [c.inequalities.scale * some for c, some in zip(conditions, scaled, strict=True)]
    status = str(found.status)
    dual, size = np.asarray(found.z), conditions[0].size
    start = zeros + positives
    gram = _unstacked(dual[start : start + size * (size + 1) // 2], size)
    count_of_values = conditions[0].constant[1].size
    values = -dual[:count_of_values]
    places = held[0][count_of_values:] - count_of_values
    vectors = _vectors(gram, conditions[0].unsupported, places, dual[count_of_values:])
    return Solution(x[:count], multipliers, float(x[-1]), vectors, values, status, status in ("Solved", "AlmostSolved"))


def _independent(columns: np.ndarray, first: int) -> np.ndarray:
    """The first columns, and of the others those that these don't imply: what is said twice costs precision."""
    basis, _ = np.linalg.qr(columns[:, :first])
    others = columns[:, first:] - basis @ (basis.T @ columns[:, first:])
    factors: Any = scipy.linalg.qr(others, mode="economic", pivoting=True)
    _, triangle, order = factors
    sizes = np.abs(np.diagonal(triangle))
    kept = order[: np.count_nonzero(sizes > _DEPENDENT * np.abs(columns).max(initial=0.0))]
    return np.array([*range(first), *sorted((first + kept).tolist())])


def _vectors(gram: np.ndarray, unsupported: np.ndarray, places: np.ndarray, dual: np.ndarray) -> np.ndarray:
    """Vectors with the inner products that a program's dual tells, (d, r).

    Those whose squares no form holds have their products from the equations' duals, and may be as long as they must: a
    direction in which the others vanish, but not their products with these, is opened a little. The worst case is only
    approached then.

    Args:
        gram: the semidefinite cone's dual, (d, d).
        unsupported: the vectors whose squares no form holds.
        places: of the equations that were kept, vector and entry as one number.
        dual: theirs, first.
    """
    size, gram = len(gram), gram.copy()
    for place, number in zip(places.tolist(), dual, strict=False):
        row, entry = unsupported[place // size], place % size
        gram[row, entry] -= number / 2
        gram[entry, row] -= number / 2
    others = np.setdiff1d(np.arange(size), unsupported)
    sizes, directions = np.linalg.eigh(gram[np.ix_(others, others)])
    products = gram[np.ix_(unsupported, others)] @ directions
    pulled = np.abs(products).max(axis=0, initial=0) > _SEEN**0.5 * sizes[-1]
    seen = (sizes > _SEEN * sizes[-1]) | pulled
    lengths = np.sqrt(np.maximum(sizes, _OPENED * sizes[-1]))[seen]
    found = np.zeros((size, np.count_nonzero(seen)))
    found[others] = directions[:, seen] * lengths
    found[unsupported] = products[:, seen] / lengths
    left = (gram - found @ found.T)[np.ix_(unsupported, unsupported)]
    np.fill_diagonal(left, 0)
    if np.abs(left).max(initial=0) <= _SEEN * sizes[-1]:
        return found
    # Products among themselves, in directions of their own.
    own, turned = np.linalg.eigh(left + np.diag(np.abs(left).sum(axis=1)))
    beside = np.zeros((size, len(own)))
    beside[unsupported] = turned * np.sqrt(np.maximum(own, 0))
    return np.hstack([found, beside])


def _widened(condition: Condition) -> np.ndarray:
    """Minus the unit matrix, on the vectors whose square the remainder can hold."""
    diagonal = np.ones(condition.size)
    diagonal[condition.unsupported] = 0
    return -np.diag(diagonal)


def _stacked(matrices: np.ndarray) -> np.ndarray:
    """Upper triangles column by column, entries off the diagonal times √2: the solver's order."""
    columns, rows = np.tril_indices(matrices.shape[-1])
    return matrices[..., rows, columns] * np.where(rows == columns, 1, np.sqrt(2))


def _unstacked(triangle: np.ndarray, size: int) -> np.ndarray:
    """The symmetric matrix of a stacked upper triangle."""
    columns, rows = np.tril_indices(size)
    matrix = np.zeros((size, size))
    matrix[rows, columns] = matrix[columns, rows] = triangle / np.where(rows == columns, 1, np.sqrt(2))
    return matrix
