"""Linear systems with an energy's Hessian."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import lineax as lx
from jax.flatten_util import ravel_pytree

from ..numerics import LARGEST_DENSE, dtype_of, size


def solve_hessian(hvp: Callable[[Any], Any], v: Any, shift: Any) -> Any:
    """(H + shift·I)⁻¹v, densely for small states; by conjugate gradients, which want H + shift·I > 0, for large ones.

    NaN where conjugate gradients do not arrive.

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
        return unravel(jnp.linalg.solve((matrix + matrix.T) / 2, flat))
    structure = jax.eval_shape(lambda: v)
    operator = lx.FunctionLinearOperator(shifted, structure, lx.positive_semidefinite_tag)
    # Not tighter than a residual can be brought; and it is not recomputed, which can restart a search that had ended.
    tolerance = float(jnp.finfo(dtype_of(v)).eps) ** 0.65
    solver = lx.CG(rtol=tolerance, atol=0.0, stabilise_every=None, max_steps=10 * size(v))
    found = lx.linear_solve(operator, v, solver, throw=False)
    solved = found.result == lx.RESULTS.successful
    return jax.tree.map(lambda leaf: jnp.where(solved, leaf, jnp.nan), found.value)
