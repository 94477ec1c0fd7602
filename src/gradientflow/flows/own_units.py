"""A Hessian in its own units, whatever those of the coordinates are, and what of it is rounding."""

from typing import Any

import numpy as np

from .aliases import Position

# Rounding errors of sums are a few units in the last place of their largest terms.
ULPS = 16
# So often the rows of a Hessian are evened: each time the logarithm of what is uneven is halved.
_EVENED = 8


def own_modes(H: Any, eps: float, xp: Any, finite: Any = True) -> tuple[Any, Any, Any, Any]:
    """Units of x in which a convex Hessian's diagonal is 1, its modes in them, and what of an eigenvalue is rounding.

    Where a diagonal entry vanishes, the largest of each row: by Ruiz's iteration, since beside an entry in much larger
    units a healthy one looks like rounding.
    """
    largest = xp.max(xp.abs(H), axis=1, initial=0)
    diagonal = xp.abs(xp.diagonal(H))
    diagonal = xp.where(diagonal > eps * largest, diagonal, xp.where(largest > 0, largest, 1))
    units = 1 / xp.sqrt(diagonal)
    for _ in range(_EVENED):
        row = xp.max(xp.abs(units[:, None] * H * units), axis=1, initial=0)
        units = units / xp.sqrt(xp.where(row > 0, row, 1))
    values, vectors = _modes(xp.where(finite, units[:, None] * H * units, xp.eye(len(H), dtype=H.dtype)), xp)
    return units, values, vectors, ULPS * eps * xp.max(xp.abs(values), initial=0)


def rounding_of(H: Any, x: Position, gradient: Any, eps: float, xp: Any = np) -> Any:
    """What rounding leaves of a gradient that vanishes."""
    return ULPS * eps * (xp.abs(gradient) + xp.abs(H) @ xp.abs(x))


def _modes(matrix: Any, xp: Any) -> tuple[Any, Any]:
    """Eigenvalues and eigenvectors of a symmetric matrix, those of two unknowns by one of Jacobi's rotations.

    Of many small ones, a lane each, a library's call for every one would be all that is waited for.
    """
    if len(matrix) > 2:
        return xp.linalg.eigh(matrix)
    if len(matrix) < 2:
        return xp.diagonal(matrix), xp.ones_like(matrix)
    (p, q), (_, r) = matrix
    slope = (r - p) / (2 * xp.where(q == 0, 1, q))
    tangent = xp.where(q == 0, 0, xp.where(slope < 0, -1, 1) / (xp.abs(slope) + xp.sqrt(1 + slope * slope)))
    cosine = 1 / xp.sqrt(1 + tangent * tangent)
    sine = tangent * cosine
    values = xp.stack([p - tangent * q, r + tangent * q])
    return values, xp.stack([xp.stack([cosine, sine]), xp.stack([-sine, cosine])])
