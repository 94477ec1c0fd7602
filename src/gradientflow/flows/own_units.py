"""A Hessian in its own units, whatever those of the coordinates are, and what of it is rounding."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .aliases import Position

# Rounding errors of sums are a few units in the last place of their largest terms.
ULPS = 16
# So often the rows of a Hessian are evened: each time the logarithm of what is uneven is halved.
_EVENED = 8
# Where the largest entry of a row is less than this, a unit is not the row's own.
_UNEVEN = 0.5


def own_modes(H: Any, eps: float, xp: Any, finite: Any = True) -> tuple[Any, Any, Any, Any]:
    """Units of x in which a Hessian's diagonal is ±1, its modes in them, and what of an eigenvalue is rounding.

    A diagonal entry that is rounding beside its row is none, and its unit is that of the row's largest.
    """
    largest = xp.max(xp.abs(H), axis=1, initial=0)
    diagonal = xp.abs(xp.diagonal(H))
    diagonal = xp.where(diagonal > eps * largest, diagonal, xp.where(largest > 0, largest, 1))
    units = 1 / xp.sqrt(diagonal)
    return units, *_modes_in(units, H, eps, xp, finite)


def hidden_fall(H: Any, units: Any, gradient: Any, noise: Any, eps: float, xp: Any) -> Any:
    r"""$\tfrac12 g^\top |H|^{-1}g$ where units lie further apart than rounding, else 0: how much E may fall there [E].

    Beside an entry in much larger units a healthy curvature looks like rounding. So the rows are evened, by Ruiz's
    iteration, and directions count that carry more of g than rounding, which have no curvature infinitely.

    Args:
        H: the Hessian.
        units: as `own_modes` gives them.
        gradient: g.
        noise: what rounding leaves of it.
        eps: the precision.
        xp: the module of arrays.
    """

    def looked() -> Any:
        even = units
        for _ in range(_EVENED):
            row = _largest_of_rows(even, H, xp)
            even = even / xp.sqrt(xp.where(row > 0, row, 1))
        values, vectors, cut = _modes_in(even, H, eps, xp, xp.isfinite(H).all())
        carried, size_of = (even * gradient) @ vectors, xp.abs(values)
        falls = xp.where(size_of > cut, carried**2 / xp.where(size_of > cut, size_of, 1) / 2, xp.inf)
        return xp.sum(xp.where(xp.abs(carried) > xp.linalg.norm(even * noise), falls, 0)).astype(H.dtype)

    row = _largest_of_rows(units, H, xp)
    uneven = ((row > 0) & (row < _UNEVEN)).any()
    if xp is np:
        return looked() if uneven else np.zeros((), H.dtype)
    return jax.lax.cond(uneven, looked, lambda: jnp.zeros((), H.dtype))


def _largest_of_rows(units: Any, H: Any, xp: Any) -> Any:
    return xp.max(xp.abs(units[:, None] * H * units), axis=1, initial=0)


def _modes_in(units: Any, H: Any, eps: float, xp: Any, finite: Any) -> tuple[Any, Any, Any]:
    values, vectors = _modes(xp.where(finite, units[:, None] * H * units, xp.eye(len(H), dtype=H.dtype)), xp)
    return values, vectors, ULPS * eps * xp.max(xp.abs(values), initial=0)


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
