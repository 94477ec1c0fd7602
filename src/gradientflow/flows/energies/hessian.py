"""Linear systems with an energy's Hessian."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.linalg as jsl
import lineax as lx
from jax.flatten_util import ravel_pytree

from ..numerics import LARGEST_DENSE, dtype_of, size


def solve_hessian(hvp: Callable[[Any], Any], v: Any, shift: Any) -> Any:
    """(H + shift·I)⁻¹v, densely for small states; by conjugate gradients, which want H + shift·I > 0, for large ones.

    Where the matrix is singular the least solution if there is one, as there is for a ∇E that its directions leave
    alone, else NaN; NaN too where conjugate gradients do not arrive.

    Args:
        hvp: v ↦ Hv.
        v: a pytree like the position.
        shift: ε, added to the diagonal.
    """

    def shifted(direction: Any) -> Any:
        return jax.tree.map(lambda a, b: a + shift * b, hvp(direction), direction)

    if size(v) <= LARGEST_DENSE:
        flat, unravel = ravel_pytree(v)
        matrix = jax.vmap(lambda row: ravel_pytree(shifted(unravel(row)))[0])(jnp.eye(flat.size, dtype=flat.dtype))
        return unravel(solve_symmetric((matrix + matrix.T) / 2, flat))
    structure = jax.eval_shape(lambda: v)
    operator = lx.FunctionLinearOperator(shifted, structure, lx.positive_semidefinite_tag)
    # Not tighter than a residual can be brought; and it is not recomputed, which can restart a search that had ended.
    tolerance = float(jnp.finfo(dtype_of(v)).eps) ** 0.65
    solver = lx.CG(rtol=tolerance, atol=0.0, stabilise_every=None, max_steps=10 * size(v))
    found = lx.linear_solve(operator, v, solver, throw=False)
    solved = found.result == lx.RESULTS.successful
    return jax.tree.map(lambda leaf: jnp.where(solved, leaf, jnp.nan), found.value)


# Asked outside of any program it would else be many, and compiled anew each time.
@functools.partial(jax.jit, static_argnames="semidefinite")
def solve_symmetric(matrix: Any, v: Any, semidefinite: bool = False) -> Any:
    """The solution of Ax = v for a symmetric A: where A is singular the least one, NaN where there is none.

    Args:
        matrix: A, of shape (n, n).
        v: of shape (n,).
        semidefinite: whether an A with a negative eigenvalue has no solution either.
    """
    dtype = jnp.result_type(matrix, v)
    matrix, v = jnp.asarray(matrix, dtype), jnp.asarray(v, dtype)
    n, eps = v.size, float(jnp.finfo(dtype).eps)

    def least(matrix: Any, v: Any) -> Any:
        values, vectors = jnp.linalg.eigh(matrix)
        rounding = 16 * n * eps * jnp.max(jnp.abs(values))
        singular = jnp.abs(values) <= rounding
        along = vectors.T @ v
        # What lies across the range, but for rounding, has no answer.
        lost = jnp.max(jnp.where(singular, jnp.abs(along), 0)) > eps**0.75 * jnp.max(jnp.abs(v))
        solution = vectors @ jnp.where(singular, 0, along / jnp.where(singular, 1, values))
        return jnp.where(lost | (semidefinite & (values[0] < -rounding)), jnp.nan, solution)

    def solve(_: Any, v: Any) -> Any:
        factors = jsl.lu_factor(matrix) if not semidefinite else (jnp.linalg.cholesky(matrix), None)
        pivots = jnp.abs(jnp.diagonal(factors[0]))
        regular = jnp.min(pivots) > (16 * n * eps) ** (0.5 if semidefinite else 1) * jnp.max(pivots)

        def directly() -> Any:
            return jsl.cho_solve((factors[0], True), v) if semidefinite else jsl.lu_solve(factors, v)

        return jax.lax.cond(regular, directly, lambda: least(matrix, v))

    return jax.lax.custom_linear_solve(lambda x: matrix @ x, v, solve, symmetric=True)
