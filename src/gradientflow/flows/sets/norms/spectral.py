"""The spectral norm of matrices, whose steepest descent is Muon's and, without its averages, Shampoo's."""

import abc
import functools
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from ...checks import check_positive
from ...told import Told
from .norm import Norm, hypotenuse, quotient

# The quintic whose slope at 0 is steepest among those that keep singular values near 1.
JORDAN = ((3.4445, -4.7750, 2.0315),) * 5


class Scale(Told):
    """A factor s by which a matrix of m rows and n columns moves, (m, n) ↦ s.

    References:
        J. Bernstein, L. Newhouse, Old optimizer, new norm: an anthology, arXiv:2409.20325, 2024.

    Example:
        >>> import gradientflow as gf
        >>> class Halved(gf.norms.Scale):
        ...     def __call__(self, rows, columns):
        ...         return 0.5
        >>> gf.norms.Spectral(Halved()).steepest([[0.0, 3.0], [0.5, 0.0]]).round(4).tolist()
        [[0.0, 0.5], [0.5, 0.0]]
    """

    @abc.abstractmethod
    def __call__(self, rows: int, columns: int) -> float:
        """The factor of a matrix that takes `rows` inputs to `columns` outputs, x ↦ xW."""


class WidthTransfer(Scale):
    r"""$\sqrt{\max(1, n/m)}$ for m inputs and n outputs: learning rates carry over between widths.

    References:
        K. Jordan et al., Muon: an optimizer for hidden layers in neural networks, 2024.

    Example:
        >>> import gradientflow as gf
        >>> gf.norms.WidthTransfer()(100, 400)
        2.0
    """

    def __call__(self, rows: int, columns: int) -> float:
        """√max(1, n/m)."""
        return max(1.0, columns / rows) ** 0.5


class ConsistentRMS(Scale):
    r"""$r\sqrt{\max(m, n)}$: every matrix of full rank moves by r in the root of its mean square, as Adam's do.

    With r = 0.2, which is what Adam moves by in practice, Muon takes AdamW's learning rate and weight decay.

    Args:
        rms: r > 0.

    Raises:
        ValueError: if it is not positive.

    References:
        J. Liu et al., Muon is scalable for LLM training, arXiv:2502.16982, 2025, section 2.2.

    Example:
        >>> import gradientflow as gf
        >>> gf.norms.ConsistentRMS(0.2)(100, 400)
        4.0
    """

    rms: Any

    def __init__(self, rms: Any = 0.2) -> None:
        check_positive("ConsistentRMS", rms=rms)
        self.rms = rms

    def __call__(self, rows: int, columns: int) -> Any:
        """r√max(m, n)."""
        return self.rms * max(rows, columns) ** 0.5


class Spectral(Norm):
    r"""The spectral norm $\sigma_{\max}(V)/s$ of matrices: its dual is $s\sum\sigma_i$, the nuclear norm.

    The steepest direction of $G = U\Sigma V^\top$ is $sUV^\top$, its polar factor: all singular values become s, those
    that are 0 stay. Softened, they become $s\sigma/\sqrt{\sigma^2 + \delta^2}$. Derivatives of it are exact where
    singular values coincide too.

    A leaf of more than two axes is a stack of matrices, its last two axes; a vector is a matrix of one column, so that
    its norm is the Euclidean one, and a number's its modulus.

    Args:
        scale: s by the shape, such as `ConsistentRMS()`; 1 unless given.

    Raises:
        TypeError: if `scale` is something else.

    References:
        J. Bernstein, L. Newhouse, Old optimizer, new norm: an anthology, arXiv:2409.20325, 2024.

    Example:
        >>> import gradientflow as gf
        >>> gf.norms.Spectral().steepest([[0.0, 3.0], [0.5, 0.0]]).round(4).tolist()
        [[0.0, 1.0], [1.0, 0.0]]
    """

    scale: Scale | None

    def __init__(self, scale: Scale | None = None) -> None:
        if scale is not None and not isinstance(scale, Scale):
            raise TypeError(f"{type(self).__name__}: `scale` must be one such as norms.ConsistentRMS(), got {scale!r}")
        self.scale = scale

    def value(self, v: Any) -> Any:
        """The largest singular value of any leaf, over its scale."""

        def one(leaf: Any) -> Any:
            matrix = as_matrix(leaf)
            return jnp.max(jnp.linalg.svd(matrix, compute_uv=False)) / self._factor(matrix)

        return functools.reduce(jnp.maximum, map(one, jax.tree.leaves(v)))

    def support(self, g: Any, smoothing: Any = 0.0) -> tuple[Any, Any]:
        """The sum of all singular values, each leaf's times its scale; every leaf's polar factor, times its scale."""
        leaves, structure = jax.tree.flatten(g)
        total, moved = 0.0, []
        for leaf in leaves:
            matrix = as_matrix(leaf)
            factor = self._factor(matrix)
            size, polar = self.polar(matrix, jnp.asarray(smoothing, matrix.dtype))
            total = total + factor * size
            moved.append((factor * polar).reshape(leaf.shape))
        return total, structure.unflatten(moved)

    def polar(self, matrix: Any, smoothing: Any) -> tuple[Any, Any]:
        """The sum of the singular values and the polar factor UVᵀ, softened: by a singular value decomposition."""
        return polar_factor(matrix, smoothing)

    def _factor(self, matrix: Any) -> Any:
        factor = 1.0 if self.scale is None else self.scale(*matrix.shape[-2:])
        return jnp.asarray(factor, matrix.dtype)


class NewtonSchulz(Spectral):
    r"""The spectral norm with a polynomial's polar factor: $X \mapsto aX + bXX^\top X + c(XX^\top)^2X$, some times.

    It begins at $G/(\|G\|_F + \delta)$ and needs matrix products only. The coefficients of Muon take singular values
    not to 1 but into about 0.7 … 1.2, so that ‖v‖ is not quite 1; `dual` is the ⟨g, v⟩ that this attains.

    Args:
        coefficients: (a, b, c) of every iteration; Muon's five unless given.
        scale: as of `Spectral`.

    Raises:
        ValueError: if the coefficients are not triples.
        TypeError: if `scale` is no scale.

    References:
        K. Jordan et al., Muon: an optimizer for hidden layers in neural networks, 2024.

    Example:
        >>> import gradientflow as gf
        >>> gf.norms.NewtonSchulz().steepest([[0.0, 3.0], [0.5, 0.0]]).round(2)
        Array([[0.  , 0.71],
               [1.04, 0.  ]], dtype=...)
    """

    attains: ClassVar[bool] = False
    coefficients: tuple[tuple[float, float, float], ...] = eqx.field(static=True)

    def __init__(self, coefficients: Any = JORDAN, scale: Scale | None = None) -> None:
        super().__init__(scale)
        try:
            self.coefficients = tuple((float(a), float(b), float(c)) for a, b, c in coefficients)
        except (TypeError, ValueError):
            raise ValueError(
                f"NewtonSchulz: `coefficients` must be triples (a, b, c), one an iteration, got {coefficients!r}"
            ) from None

    def polar(self, matrix: Any, smoothing: Any) -> tuple[Any, Any]:
        """What the iterations make of the matrix over its Frobenius norm + δ, and its inner product with the matrix."""
        transposed = matrix.shape[-2] > matrix.shape[-1]
        x = jnp.swapaxes(matrix, -1, -2) if transposed else matrix
        x = quotient(x, jnp.linalg.norm(x, axis=(-2, -1), keepdims=True) + smoothing)
        for a, b, c in self.coefficients:
            square = x @ jnp.swapaxes(x, -1, -2)
            x = a * x + (b * square + c * square @ square) @ x
        polar = jnp.swapaxes(x, -1, -2) if transposed else x
        return jnp.sum(polar * matrix), polar


def as_matrix(leaf: Any) -> Any:
    """A vector as a column, a number as a matrix of one entry."""
    return leaf if jnp.ndim(leaf) >= 2 else jnp.reshape(leaf, (-1, 1))


@jax.custom_jvp
def polar_factor(matrix: Any, smoothing: Any) -> tuple[Any, Any]:
    r"""$\sum\sqrt{\sigma_i^2 + \delta^2}$ and its gradient $U\,\Sigma/\sqrt{\Sigma^2 + \delta^2}\,V^\top$.

    What rounding left of singular values that are 0 stays 0.
    """
    u, sigma, vt = _decomposed(matrix)
    size = hypotenuse(sigma, smoothing)
    return jnp.sum(size), (u * quotient(sigma, size)[..., None, :]) @ vt


@polar_factor.defjvp
def _polar_jvp(primals: Any, tangents: Any) -> Any:
    """By divided differences of f(σ) = σ/√(σ² + δ²): singular vectors have no derivatives of their own where two meet.

    In the bases U and V the antisymmetric part of a change is multiplied by (f(a) + f(b))/(a + b), the symmetric by
    (f(a) − f(b))/(a − b), and what leads out of the smaller space by f(a)/a; no two near numbers are subtracted.
    """
    (matrix, smoothing), (change, softer) = primals, tangents
    u, sigma, vt = _decomposed(matrix)
    ut, v = jnp.swapaxes(u, -1, -2), jnp.swapaxes(vt, -1, -2)
    size = hypotenuse(sigma, smoothing)
    polar = (u * quotient(sigma, size)[..., None, :]) @ vt
    slope = jnp.where(size == 0, 0, quotient(1, size))
    a, b, slope_a, slope_b = sigma[..., :, None], sigma[..., None, :], slope[..., :, None], slope[..., None, :]
    antisymmetric = jnp.where(a + b == 0, slope_a, quotient(a * slope_a + b * slope_b, a + b))
    symmetric = smoothing * slope_a * (smoothing * slope_b) * quotient(slope_a * slope_b, antisymmetric)
    inside = ut @ change @ v
    flipped = jnp.swapaxes(inside, -1, -2)
    moved = (symmetric * (inside + flipped) + antisymmetric * (inside - flipped)) / 2
    below, beside = change @ v - u @ inside, ut @ change - inside @ vt
    tangent = (u @ moved + below * slope[..., None, :]) @ vt + (u * slope[..., None, :]) @ beside
    fall = -sigma * slope * (smoothing * slope) * slope * softer
    tangent = tangent + (u * fall[..., None, :]) @ vt
    return (jnp.sum(size), polar), (jnp.sum(polar * change) + jnp.sum(smoothing * slope) * softer, tangent)


def _decomposed(matrix: Any) -> tuple[Any, Any, Any]:
    """UΣVᵀ with 0 for the singular values that are rounding."""
    u, sigma, vt = jnp.linalg.svd(matrix, full_matrices=False)
    rounding = max(matrix.shape[-2:]) * jnp.finfo(matrix.dtype).eps
    return u, jnp.where(sigma > rounding * jnp.max(sigma, axis=-1, keepdims=True, initial=0), sigma, 0), vt
