"""Regression on data: linear and ridge, binary logistic; each with its curvature bounds."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..aliases import Position
from ..checks import check_nonnegative, real_arrays
from ..numerics import is_concrete
from .composite import HasIntercept
from .energy import Curvature, Energy
from .least_norm import centred_solution, least_norm_solution
from .quadratic import AbstractQuadratic
from .sums import MeanOverExamples


class LinearRegression(AbstractQuadratic, MeanOverExamples, HasIntercept):
    r"""Least squares on data, ridge-penalized: $E(w) = \frac1{2N}\|Xw + w_0 - y\|^2 + \frac\rho2\|w\|^2$.

    Args:
        X: features, shape (N, p).
        y: targets, shape (N,).
        ridge: ρ ≥ 0; the intercept is not penalized.
        intercept: whether the last entry of the position is the intercept w₀; positions have shape (p + 1,) or (p,).

    Raises:
        ValueError: if shapes don't fit, an entry is not finite, or `ridge` is negative.

    References:
        T. Hastie, R. Tibshirani, J. Friedman, The Elements of Statistical Learning, 2nd ed. 2009, section 3.4.1.

    Example:
        >>> import gradientflow as gf
        >>> E = gf.LinearRegression([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
        >>> [round(float(w), 4) for w in E.minimizer]
        [2.0, 1.0]
    """

    X: jax.Array
    y: jax.Array
    penalty: jax.Array
    intercept: bool = eqx.field(static=True)

    def __init__(self, X: Any, y: Any, ridge: Any = 0.0, intercept: bool = True) -> None:
        self.X, self.y, self.penalty = _design("LinearRegression", X, y, ridge, intercept)
        self.intercept = bool(intercept)

    def value(self, x: Position) -> Any:
        """The mean squared residual, halved, plus the penalty."""
        residual = self.X @ x - self.y
        return (residual @ residual / self.y.size + self.penalty @ (x * x)) / 2

    def grad(self, x: Position) -> Any:
        """X̃ᵀ(X̃x − y)/N + ρw."""
        return (self.X @ x - self.y) @ self.X / self.y.size + self.penalty * x

    @property
    def hessian(self) -> jax.Array:
        """X̃ᵀX̃/N + diag ρ."""
        return self.X.T @ self.X / self.y.size + jnp.diag(self.penalty)

    @property
    def linear(self) -> jax.Array:
        """X̃ᵀy/N."""
        return self.y @ self.X / self.y.size

    @property
    def minimizer(self) -> Any:
        """The least-norm solution; whatever the units of the features, and how far from 0 they are."""
        weights = jnp.sqrt(self.penalty * self.y.size)
        if self.intercept:
            return centred_solution(self.X[:, :-1], self.y, weights[:-1])
        stacked = jnp.concatenate([self.X, jnp.diag(weights)])
        return least_norm_solution(stacked, jnp.concatenate([self.y, 0 * weights]))

    @property
    def minimum(self) -> Any:
        """E at the minimizer."""
        return self.value(self.minimizer)

    @property
    def curvature(self) -> Curvature:
        """The extreme eigenvalues of the Hessian."""
        eigenvalues = jnp.linalg.eigvalsh(self.hessian)
        return Curvature(jnp.maximum(eigenvalues[0], 0), eigenvalues[-1])

    @property
    def count(self) -> int:
        """The number of rows."""
        return self.y.size

    def subset(self, indices: Any) -> Energy:
        """The regression on these rows, with the same penalty."""
        indices = self.checked(indices)
        rows = self.X[indices], self.y[indices]
        return eqx.tree_at(lambda energy: (energy.X, energy.y), self, rows)


class LogisticRegression(MeanOverExamples, HasIntercept):
    r"""Binary logistic regression, ridge-penalized.

    $E(w) = \frac1N\sum_i \log(1 + e^{-s_i(w^\top x_i + w_0)}) + \frac\rho2\|w\|^2$ with $s_i = ±1$.

    Args:
        X: features, shape (N, p).
        y: labels, shape (N,), of exactly two distinct values; the larger is s = +1.
        ridge: ρ ≥ 0; the intercept is not penalized. Scikit-learn's C is 1/(Nρ).
        intercept: whether the last entry of the position is the intercept; positions have shape (p + 1,) or (p,).

    Raises:
        ValueError: if shapes don't fit, an entry is not finite, there aren't two labels, or `ridge` is negative.

    References:
        T. Hastie, R. Tibshirani, J. Friedman, The Elements of Statistical Learning, 2nd ed. 2009, section 4.4.

    Example:
        >>> import gradientflow as gf
        >>> E = gf.LogisticRegression([[-1.0], [1.0]], [0, 1], ridge=0.1, intercept=False)
        >>> round(float(E([0.0])), 4)
        0.6931
    """

    X: jax.Array
    signs: jax.Array
    penalty: jax.Array
    intercept: bool = eqx.field(static=True)

    def __init__(self, X: Any, y: Any, ridge: Any = 0.0, intercept: bool = True) -> None:
        self.X, labels, self.penalty = _design("LogisticRegression", X, y, ridge, intercept)
        self.intercept = bool(intercept)
        if is_concrete(labels):
            distinct = np.unique(np.asarray(labels))
            if len(distinct) != 2:
                raise ValueError(f"LogisticRegression: `y` must hold two distinct labels, got {len(distinct)}")
        self.signs = jnp.where(labels == jnp.max(labels), 1, -1).astype(self.X.dtype)

    def value(self, x: Position) -> Any:
        """The mean logistic loss plus the penalty."""
        x = jnp.asarray(x)
        return jnp.mean(jax.nn.softplus(-self.signs * (self.X @ x))) + self.penalty @ (x * x) / 2

    def grad(self, x: Position) -> Any:
        """−X̃ᵀ(s·σ(−s·X̃x))/N + ρw."""
        x = jnp.asarray(x)
        pull = self.signs * jax.nn.sigmoid(-self.signs * (self.X @ x))
        return self.penalty * x - pull @ self.X / self.signs.size

    @property
    def curvature(self) -> Curvature:
        """L from σ' ≤ 1/4; μ is the penalty's least entry, so 0 with an unpenalized intercept."""
        bound = self.X.T @ self.X / (4 * self.signs.size) + jnp.diag(self.penalty)
        return Curvature(jnp.min(self.penalty), jnp.linalg.eigvalsh(bound)[-1])

    @property
    def count(self) -> int:
        """The number of rows."""
        return self.signs.size

    def subset(self, indices: Any) -> Energy:
        """The regression on these rows, with the same penalty."""
        indices = self.checked(indices)
        rows = self.X[indices], self.signs[indices]
        return eqx.tree_at(lambda energy: (energy.X, energy.signs), self, rows)


def _design(where: str, X: Any, y: Any, ridge: Any, intercept: bool) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The design matrix with its column of ones, the targets and the penalty on each coefficient."""
    X, y = real_arrays(where, "X", X), real_arrays(where, "y", y)
    if X.ndim != 2 or X.shape[0] == 0:
        raise ValueError(f"{where}: `X` must be a non-empty matrix of shape (examples, features), got {X.shape}")
    if y.shape != X.shape[:1]:
        raise ValueError(f"{where}: `y` must have shape {X.shape[:1]} to fit X, got {y.shape}")
    check_nonnegative(where, ridge=ridge)
    for name, array in {"X": X, "y": y}.items():
        if is_concrete(array) and not np.isfinite(np.asarray(array)).all():
            place = tuple(np.argwhere(~np.isfinite(np.asarray(array)))[0].tolist())
            raise ValueError(f"{where}: `{name}` must be finite, got {array[place]} at {place}; drop or impute it")
    penalty = jnp.full(X.shape[1], ridge, X.dtype)
    if intercept:
        X = jnp.concatenate([X, jnp.ones((X.shape[0], 1), X.dtype)], axis=1)
        penalty = jnp.append(penalty, 0)
    return X, y, penalty
