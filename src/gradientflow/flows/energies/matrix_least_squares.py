"""Least squares of a matrix: the quadratic of a linear layer between two others."""

from typing import Any

import jax
import jax.numpy as jnp

from ..aliases import Position, StepLength
from ..checks import real_arrays
from .energy import Curvature, Modes, Proximable


class MatrixLeastSquares(Proximable):
    r"""$E(W) = \tfrac12\|AWB - C\|_F^2$ on matrices W; $\nabla E = A^\top(AWB - C)B^\top$.

    Its curvatures are $\sigma_i(A)^2\sigma_j(B)^2$, its modes $u_iv_j^\top$ of the right singular vectors of A and the
    left ones of B; no matrix of its Hessian is formed. In the spectral norm its smoothness is
    $\sum_i\sigma_i(A)^2\sigma_i(B)^2$, both in falling order.

    Args:
        A: shape (m, n).
        B: shape (p, r).
        C: shape (m, r), zero unless given.

    Raises:
        ValueError: if the shapes don't fit or an entry is not finite.

    References:
        J. von Neumann, Some matrix-inequalities and metrization of matric-space, Tomsk Univ. Rev. 1, 1937, for the sum.

    Example:
        >>> import gradientflow as gf
        >>> E = gf.MatrixLeastSquares([[2.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 3.0]], [[2.0, 0.0], [0.0, 3.0]])
        >>> E.minimizer.round(4).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """

    A: jax.Array
    B: jax.Array
    C: jax.Array

    def __init__(self, A: Any, B: Any, C: Any = None) -> None:
        self.A, self.B = (real_arrays("MatrixLeastSquares", name, m) for name, m in {"A": A, "B": B}.items())
        for name, matrix in {"A": self.A, "B": self.B}.items():
            if matrix.ndim != 2:
                raise ValueError(f"MatrixLeastSquares: `{name}` must be a matrix, got shape {matrix.shape}")
        shape = (self.A.shape[0], self.B.shape[1])
        self.C = jnp.zeros(shape, self.A.dtype) if C is None else real_arrays("MatrixLeastSquares", "C", C)
        if self.C.shape != shape:
            raise ValueError(f"MatrixLeastSquares: `C` must have shape {shape} to fit A and B, got {self.C.shape}")

    def value(self, x: Position) -> Any:
        """½‖AWB − C‖²."""
        return jnp.sum((self.A @ x @ self.B - self.C) ** 2) / 2

    def grad(self, x: Position) -> Any:
        """Aᵀ(AWB − C)Bᵀ."""
        return self.A.T @ (self.A @ jnp.asarray(x) @ self.B - self.C) @ self.B.T

    def hvp(self, x: Position, v: Any) -> Any:
        """AᵀAVBBᵀ."""
        return self.A.T @ (self.A @ v @ self.B) @ self.B.T

    def prox(self, x: Position, h: StepLength) -> Any:
        """(W + hAᵀCBᵀ) over 1 + hλ, mode by mode."""
        lam, into, back = self.modes
        return back(into(x + h * self.A.T @ self.C @ self.B.T) / (1 + h * lam))

    @property
    def is_quadratic(self) -> bool:
        """It is."""
        return True

    @property
    def modes(self) -> Modes:
        """Every product of a squared singular value of A and one of B, those that are rounding as 0."""
        (squares_a, right_a), (squares_b, left_b) = _squares(self.A), _squares(self.B.T)
        return Modes(squares_a[:, None] * squares_b, lambda x: right_a @ x @ left_b.T, lambda y: right_a.T @ y @ left_b)

    @property
    def minimizer(self) -> Any:
        """The minimizer of least norm, A⁺CB⁺."""
        lam, into, back = self.modes
        return back(jnp.where(lam == 0, 0, into(self.A.T @ self.C @ self.B.T) / jnp.where(lam == 0, 1, lam)))

    @property
    def minimum(self) -> Any:
        """E at the minimizer."""
        return self.value(self.minimizer)

    @property
    def curvature(self) -> Curvature:
        """The products of the extreme squared singular values."""
        lam = self.modes.lam
        return Curvature(jnp.min(lam), jnp.max(lam))


def _squares(matrix: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The squared singular values of a matrix, one a column, and the right singular vectors as rows."""
    _, sigma, right = jnp.linalg.svd(matrix, full_matrices=True)
    kept = jnp.where(sigma > max(matrix.shape) * jnp.finfo(matrix.dtype).eps * jnp.max(sigma), sigma, 0)
    return jnp.zeros(matrix.shape[1], matrix.dtype).at[: sigma.size].set(kept**2), right
