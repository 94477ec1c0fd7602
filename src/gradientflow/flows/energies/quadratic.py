"""Quadratic energies: where everything has a closed form."""

import abc
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.linalg as jsl
import numpy as np
from jax.core import Tracer

from ..aliases import Position, StepLength
from ..checks import real_arrays
from ..numerics import inner, is_concrete
from .energy import Curvature, Modes, Proximable
from .least_norm import least_norm_solution


class Mode(Proximable):
    r"""One quadratic mode, $E = \tfrac12\lambda x^2$, over whatever numbers `lam` and x are.

    JAX arrays, fractions or elements of a field such as ℚ(λ, h): it is the energy on which a recipe is read exactly.

    Args:
        lam: the curvature λ.

    References:
        G. Dahlquist, A special stability problem for linear multistep methods, BIT 3, 1963: the test equation.

    Example:
        >>> from fractions import Fraction
        >>> import gradientflow as gf
        >>> mode = gf.GradientFlow(gf.Mode(Fraction(3)))
        >>> gf.ForwardEuler().step(mode, 0, Fraction(1), Fraction(1, 6))  # 1 − hλ
        Fraction(1, 2)
    """

    lam: Any

    def value(self, x: Position) -> Any:
        """λx²/2."""
        return self.lam * x * x / 2

    def grad(self, x: Position) -> Any:
        """λx."""
        return self.lam * x

    def hvp(self, x: Position, v: Any) -> Any:
        """λv."""
        return self.lam * v

    def prox(self, x: Position, h: StepLength) -> Any:
        """x/(1 + hλ)."""
        return x / (1 + h * self.lam)

    def inverse_hvp(self, x: Position, v: Any, shift: Any = 0) -> Any:
        """v/(λ + shift)."""
        return v / (self.lam + shift)

    @property
    def minimizer(self) -> Any:
        """0."""
        return 0 * self.lam

    @property
    def curvature(self) -> Curvature:
        """(λ, λ)."""
        return Curvature(self.lam, self.lam)

    @property
    def is_quadratic(self) -> bool:
        """It is."""
        return True

    @property
    def modes(self) -> Modes | None:
        """Itself, once its λ is given."""
        return None if self.lam is None else Modes(self.lam, _same, _same)


class AbstractQuadratic(Proximable):
    r"""An energy $E = \tfrac12 x^\top H x - b^\top x + c$ on arrays of shape (n,), however it is stored."""

    @property
    @abc.abstractmethod
    def hessian(self) -> jax.Array:
        """H, of shape (n, n)."""

    @property
    @abc.abstractmethod
    def linear(self) -> jax.Array:
        """b, of shape (n,)."""

    @property
    def is_quadratic(self) -> bool:
        """It is."""
        return True

    @property
    def modes(self) -> Modes:
        """The eigenvalues of H, those that are rounding as 0, and the changes to the eigenvectors' coordinates."""
        lam, vectors = jnp.linalg.eigh(self.hessian)
        rounding = lam.size * jnp.finfo(lam.dtype).eps * jnp.max(jnp.abs(lam))
        return Modes(jnp.where(jnp.abs(lam) <= rounding, 0, lam), lambda x: vectors.T @ x, lambda y: vectors @ y)

    def hvp(self, x: Position, v: Any) -> Any:
        """Hv."""
        return self.hessian @ v

    def prox(self, x: Position, h: StepLength) -> Any:
        """(I + hH)⁻¹(x + hb), or NaN where that is not below x: H indefinite and h beyond −1/λ_min."""
        system = jnp.eye(self.hessian.shape[0], dtype=self.hessian.dtype) + h * self.hessian
        y = jnp.linalg.solve(system, x + h * self.linear)
        descends = (x - y) @ system @ (x - y) >= 0
        return jnp.where(descends, y, jnp.nan)


class Quadratic(AbstractQuadratic):
    r"""$E(x) = \tfrac12 x^\top H x - b^\top x + c$.

    $\nabla E = Hx - b$; if H is positive definite, $x^* = H^{-1}b$ and $E^* = c - \tfrac12 b^\top x^*$.

    Args:
        H: symmetric, shape (n, n). Units: E/X².
        b: shape (n,), zero unless given.
        c: a number, which the flow never sees.

    Raises:
        ValueError: if H is not a square symmetric matrix of finite numbers, or b does not fit it.

    References:
        J. R. Shewchuk, An introduction to the conjugate gradient method without the agonizing pain, 1994.

    Example:
        >>> import gradientflow as gf
        >>> gf.Quadratic([[1.0, 0.0], [0.0, 9.0]]).grad(gf.flows.as_floating([3.0, 1.0])).tolist()
        [3.0, 9.0]
    """

    H: jax.Array
    b: jax.Array
    c: jax.Array

    def __init__(self, H: Any, b: Any = None, c: Any = 0.0) -> None:
        self.H = real_arrays("Quadratic", "H", H)
        n = self.H.shape[0] if self.H.ndim == 2 else -1
        self.b = jnp.zeros(max(n, 0), self.H.dtype) if b is None else real_arrays("Quadratic", "b", b)
        self.c = real_arrays("Quadratic", "c", c)
        if self.H.shape != (n, n) or n == 0:
            raise ValueError(f"Quadratic: `H` must be a square matrix, got shape {self.H.shape}; one mode is [[lam]]")
        if self.b.shape != (n,):
            raise ValueError(f"Quadratic: `b` must have shape ({n},) to fit H, got {self.b.shape}")
        if is_concrete(self.H, self.b):
            _check_symmetric(np.asarray(self.H))
            _check_finite("Quadratic", b=self.b)

    def value(self, x: Position) -> Any:
        """½xᵀHx − bᵀx + c."""
        x = jnp.asarray(x)
        return x @ (self.H @ x) / 2 - self.b @ x + self.c

    def grad(self, x: Position) -> Any:
        """Hx − b."""
        return self.H @ jnp.asarray(x) - self.b

    @property
    def hessian(self) -> jax.Array:
        """H."""
        return self.H

    @property
    def linear(self) -> jax.Array:
        """b."""
        return self.b

    @property
    def minimizer(self) -> Any:
        """H⁻¹b if H is positive definite, else `None`; NaN in its place where H is being traced."""
        definite = self.curvature.mu > 0
        if not isinstance(definite, Tracer) and not bool(definite):
            return None
        return jnp.where(definite, jsl.solve(self.H, self.b, assume_a="pos"), jnp.nan)

    @property
    def minimum(self) -> Any:
        """c − ½bᵀH⁻¹b if H is positive definite, else `None`."""
        x = self.minimizer
        return None if x is None else self.c - self.b @ x / 2

    @property
    def curvature(self) -> Curvature:
        """The extreme eigenvalues of H."""
        eigenvalues = jnp.linalg.eigvalsh(self.H)
        return Curvature(eigenvalues[0], eigenvalues[-1])


class LeastSquares(AbstractQuadratic):
    r"""$E(x) = \tfrac12\|Mx - v\|^2$; $\nabla E = M^\top(Mx - v)$.

    Neither value, gradient nor Hessian-vector product forms MᵀM, whose condition number is the square of M's.

    Args:
        M: shape (m, n).
        v: shape (m,).

    Raises:
        ValueError: if the shapes don't fit or an entry is not finite.

    References:
        Å. Björck, Numerical Methods for Least Squares Problems, 1996.

    Example:
        >>> import gradientflow as gf
        >>> E = gf.LeastSquares([[4.0, 1.0], [1.0, 3.0]], [1.0, 2.0])
        >>> [round(float(x) * 11, 5) for x in E.minimizer]
        [1.0, 7.0]
    """

    M: jax.Array
    v: jax.Array

    def __init__(self, M: Any, v: Any) -> None:
        self.M, self.v = real_arrays("LeastSquares", "M", M), real_arrays("LeastSquares", "v", v)
        if self.M.ndim != 2:
            raise ValueError(f"LeastSquares: `M` must be a matrix, got shape {self.M.shape}")
        if self.v.shape != self.M.shape[:1]:
            raise ValueError(f"LeastSquares: `v` must have shape {self.M.shape[:1]} to fit M, got {self.v.shape}")
        if is_concrete(self.M, self.v):
            _check_finite("LeastSquares", M=self.M, v=self.v)

    def value(self, x: Position) -> Any:
        """½‖Mx − v‖²."""
        residual = self.M @ jnp.asarray(x) - self.v
        return residual @ residual / 2

    def grad(self, x: Position) -> Any:
        """Mᵀ(Mx − v)."""
        # With M.T XLA would write the transposed matrix out at every step of a loop, which takes twice as long.
        return (self.M @ jnp.asarray(x) - self.v) @ self.M

    def hvp(self, x: Position, v: Any) -> Any:
        """MᵀMv, without forming MᵀM."""
        return (self.M @ v) @ self.M

    @property
    def hessian(self) -> jax.Array:
        """MᵀM."""
        return self.M.T @ self.M

    @property
    def linear(self) -> jax.Array:
        """Mᵀv."""
        return self.v @ self.M

    @property
    def minimizer(self) -> Any:
        """The least-norm minimizer M⁺v: the limit of the gradient flow from 0."""
        return least_norm_solution(self.M, self.v)

    @property
    def minimum(self) -> Any:
        """The squared distance of v from the range of M, halved."""
        return self.value(self.minimizer)

    @property
    def curvature(self) -> Curvature:
        """The extreme squared singular values of M; μ = 0 where M has more columns than rows."""
        singular = jnp.linalg.svd(self.M, compute_uv=False)
        wide = self.M.shape[1] > self.M.shape[0]
        return Curvature(jnp.zeros_like(singular[0]) if wide else singular[-1] ** 2, singular[0] ** 2)


class LinearEnergy(Proximable):
    r"""$E = \langle g, x\rangle$ on any pytree: a constant force.

    Args:
        slope: g, shaped like x.

    Example:
        >>> import gradientflow as gf
        >>> E = gf.LinearEnergy(gf.flows.as_floating([1.0, 2.0]))
        >>> E.grad(E.slope).tolist()
        [1.0, 2.0]
    """

    slope: Any

    def value(self, x: Position) -> Any:
        """⟨g, x⟩."""
        return inner(self.slope, x)

    def grad(self, x: Position) -> Any:
        r"""$\nabla E = g$, everywhere."""
        return self.slope

    def prox(self, x: Position, h: StepLength) -> Any:
        """x − hg."""
        return jax.tree.map(lambda a, g: a - h * g, x, self.slope)

    @property
    def curvature(self) -> Curvature:
        """(0, 0)."""
        return Curvature(0.0, 0.0)

    @property
    def modes(self) -> Modes:
        """Every coordinate is one, without curvature."""
        return Modes(0.0, _same, _same)


def _same(x: Position) -> Any:
    return x


def _check_finite(where: str, **arrays: Any) -> None:
    for name, array in arrays.items():
        bad = np.argwhere(~np.isfinite(np.asarray(array)))
        if len(bad):
            raise ValueError(
                f"{where}: `{name}` must be finite, got {array[tuple(bad[0])]} at {tuple(bad[0].tolist())}"
            )


def _check_symmetric(H: np.ndarray) -> None:
    _check_finite("Quadratic", H=H)
    excess = np.abs(H - H.T)
    if excess.max(initial=0.0) > 8 * np.finfo(H.dtype).eps * np.abs(H).max(initial=0.0):
        i, j = np.unravel_index(excess.argmax(), excess.shape)
        raise ValueError(
            f"Quadratic: `H` must be symmetric, but H[{i},{j}] = {H[i, j]} and H[{j},{i}] = {H[j, i]}; "
            "pass (H + H.T) / 2, which has the same energy"
        )
