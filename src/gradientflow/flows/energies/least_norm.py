"""Linear least squares whose answer does not depend on the units of the unknowns."""

from typing import Any

import jax
import jax.numpy as jnp

from ..numerics import power_of_two_near


# One program wherever they are asked, and not one an operation.
@jax.jit
def least_norm_solution(matrix: Any, target: Any) -> Any:
    """The x of least norm among those with the least ‖Mx − v‖.

    By a singular value decomposition of M with its columns scaled to one size: a column of years beside one of ones has
    a condition number of 10⁶, in single precision past what can be told from dependent columns; scaled, of 500. What
    rounding left of the residual is solved for once more.

    Args:
        matrix: M, shape (m, n).
        target: v, shape (m,).
    """
    x, complete = _solved(matrix, target)
    # Of many solutions that of least norm lies in the range of Mᵀ.
    return jax.lax.cond(complete, lambda: x, lambda: jnp.linalg.lstsq(matrix, matrix @ x)[0])


@jax.jit
def centred_solution(features: Any, target: Any, weights: Any) -> Any:
    """The (w, w₀) of least norm with the least ‖Xw + w₀ − y‖² + Σ(cⱼwⱼ)².

    With y and the columns of X centred the intercept falls out. So where features are far from 0 beside how they vary,
    seconds since 1970 say, no digit is lost to what is common to all.

    Args:
        features: X, shape (m, p).
        target: y, shape (m,).
        weights: c, shape (p,).
    """
    # Twice, for a mean is rounded too.
    means = jnp.mean(features, axis=0)
    means = means + jnp.mean(features - means, axis=0)
    middle = jnp.mean(target)
    stacked = jnp.concatenate([features - means, jnp.diag(weights)])
    w, complete = _solved(stacked, jnp.concatenate([target - middle, 0 * weights]))
    solution = jnp.append(w, middle - means @ w)

    def of_least_norm() -> Any:
        ones = jnp.concatenate([jnp.ones_like(target), 0 * weights])
        whole = jnp.concatenate([jnp.concatenate([features, jnp.diag(weights)]), ones[:, None]], axis=1)
        return least_norm_solution(whole, jnp.concatenate([target, 0 * weights]))

    return jax.lax.cond(complete, lambda: solution, of_least_norm)


def _solved(matrix: Any, target: Any) -> tuple[Any, Any]:
    """A least-squares solution, and whether it is the only one."""
    scale = power_of_two_near(jnp.max(jnp.abs(matrix), axis=0))
    left, singular, right = jnp.linalg.svd(matrix / scale, full_matrices=False)
    smallest = jnp.finfo(matrix.dtype).eps * max(matrix.shape) * singular[0]
    kept = singular > smallest
    inverse = jnp.where(kept, 1 / jnp.where(kept, singular, 1), 0)

    def solve(target: Any) -> Any:
        return right.T @ (inverse * (left.T @ target)) / scale

    x = solve(target)
    return x + solve(target - matrix @ x), jnp.sum(kept) == matrix.shape[1]
