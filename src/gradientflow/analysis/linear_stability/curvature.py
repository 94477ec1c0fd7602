"""The extreme curvatures at a point: bracketed exactly, certified, or measured, and said which."""

import dataclasses
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh

from gradientflow.flows import Energy, LeastSquares, LinearRegression, Mode, Quadratic, compiled, size

from ..exact.inertia import bracket_greatest, inertia
from ..results.grades import Grade
from ..results.result import Result

# Up to here eigenvalues are bracketed by exact inertia counts: 0.1 s, growing as n⁴.
LARGEST_EXACT = 30
# Up to here the Hessian is formed and all its eigenvalues are found.
LARGEST_DENSE = 1_000
# And where it is asked again and again along a run: the greatest is followed from point to point beyond.
LARGEST_AGAIN = 100
# How much of a random direction a followed one is given.
_ASTRAY = 0.05
_MULTIPLE_OF_IDENTITY = 1e-13
_LANCZOS_SEED = 0

Bracket = tuple[Fraction, Fraction]


@dataclasses.dataclass(frozen=True, repr=False)
class Curvatures(Result):
    """The Hessian's extreme eigenvalues at a point.

    Attributes:
        least: rationals between which the least lies.
        greatest: rationals between which the greatest lies.
        values: the eigenvalues that are known: all of them, or the two extremes. Shape (n,) or (2,), increasing.
        grade: proved where the brackets are exact; certified where they are rounding-error bounds; else measured.
        how: how they were found, in words.
    """

    least: Bracket
    greatest: Bracket
    values: np.ndarray
    grade: Grade
    how: str

    def why_so(self) -> str:
        """How they were found."""
        return self.how


def curvatures_at(energy: Energy, x: Any) -> Curvatures:
    """The extreme curvatures of an energy at a position.

    Args:
        energy: the energy.
        x: the position; ignored for quadratics.

    Raises:
        ArithmeticError: if the Hessian is not finite there.
    """
    hessian = exact_hessian(energy)
    if hessian is not None and len(hessian) <= LARGEST_EXACT:
        return _bracketed(hessian)
    known = double_hessian(energy)
    if known is not None:
        return certified(*known)
    if size(x) <= LARGEST_DENSE:
        return _measured(np.asarray(dense_hessian(energy, x), dtype=float))
    return _by_lanczos(energy, x)


def double_hessian(energy: Energy) -> tuple[np.ndarray, float, bool] | None:
    """A quadratic's Hessian in double precision, a bound on its rounding, and whether its form is semidefinite."""
    eps = float(np.finfo(float).eps)
    match energy:
        case Quadratic(H=H) if H.shape[0] <= LARGEST_DENSE:
            return np.asarray(H, dtype=float), 0.0, False
        case LeastSquares(M=M) if M.shape[1] <= LARGEST_DENSE:
            matrix = np.asarray(M, dtype=float)
            return matrix.T @ matrix, matrix.shape[0] * eps * float(np.linalg.norm(matrix)) ** 2, True
        case LinearRegression(X=X, penalty=penalty) if X.shape[1] <= LARGEST_DENSE:
            matrix = np.asarray(X, dtype=float) / np.sqrt(X.shape[0])
            gram = matrix.T @ matrix + np.diag(np.asarray(penalty, dtype=float))
            return gram, (matrix.shape[0] + 2) * eps * float(np.linalg.norm(gram)), True
    return None


def exact_hessian(energy: Energy) -> list[list[Fraction]] | None:
    """A quadratic's Hessian with its floats as the dyadic rationals that they are, or `None` where it has none."""
    match energy:
        case Mode(lam=lam):
            return [[Fraction(float(lam))]]
        case Quadratic(H=H) if H.shape[0] <= LARGEST_EXACT and bool(jnp.all(H == H.T)):
            return _fractions(H)
        case LeastSquares(M=M) if M.shape[1] <= LARGEST_EXACT:
            return _gram(_fractions(M), 1)
        case LinearRegression(X=X, y=y, penalty=penalty) if X.shape[1] <= LARGEST_EXACT:
            gram = _gram(_fractions(X), y.size)
            for i, ridge in enumerate(_fractions(penalty[None])[0]):
                gram[i][i] += ridge
            return gram
    return None


def exact_linear(energy: Energy) -> list[Fraction] | None:
    """The linear term b of a quadratic, ∇E = Hx − b, exactly, or `None` where there is no exact Hessian."""
    match energy:
        case Quadratic(b=b):
            return _fractions(b[None])[0]
        case LeastSquares(M=M, v=v):
            return _times(_fractions(M), _fractions(v[None])[0], 1)
        case LinearRegression(X=X, y=y):
            return _times(_fractions(X), _fractions(y[None])[0], y.size)
    return None


def exact_constant(energy: Energy) -> Fraction:
    """The constant term of a quadratic with an exact Hessian: E at 0."""
    match energy:
        case Quadratic(c=c):
            return Fraction(float(c))
        case LeastSquares(v=v):
            return sum((entry * entry for entry in _fractions(v[None])[0]), Fraction(0)) / 2
        case LinearRegression(y=y):
            return sum((entry * entry for entry in _fractions(y[None])[0]), Fraction(0)) / (2 * y.size)
    return Fraction(0)


def _times(matrix: list[list[Fraction]], vector: list[Fraction], divisor: int) -> list[Fraction]:
    """Mᵀv/divisor."""
    return [sum((a * b for a, b in zip(column, vector, strict=True)), Fraction(0)) / divisor
            for column in zip(*matrix, strict=True)]  # fmt: skip


def _fractions(matrix: Any) -> list[list[Fraction]]:
    return [[Fraction(entry) for entry in row] for row in np.asarray(matrix, dtype=float).tolist()]


def _gram(matrix: Sequence[Sequence[Fraction]], divisor: int) -> list[list[Fraction]]:
    """MᵀM/divisor, on integers with a common denominator: fractions would be reduced at every sum."""
    denominator = max(entry.denominator for row in matrix for entry in row)
    columns = list(zip(*[[int(entry * denominator) for entry in row] for row in matrix], strict=True))
    scale = divisor * denominator * denominator
    return [
        [Fraction(sum(a * b for a, b in zip(left, right, strict=True)), scale) for right in columns] for left in columns
    ]


def _bracketed(hessian: list[list[Fraction]]) -> Curvatures:
    """Both ends by inertia counts, on the matrix scaled to entries of about 1, so that no float over- or underflows."""
    n, largest = len(hessian), max(abs(entry) for row in hessian for entry in row)
    how = f"inertia counts of the exact {n}×{n} Hessian"
    if not largest:
        return Curvatures((Fraction(0), Fraction(0)), (Fraction(0), Fraction(0)), np.zeros(n), Grade.PROVED, how)
    unit = Fraction(2) ** (largest.numerator.bit_length() - largest.denominator.bit_length())
    scaled = [[entry / unit for entry in row] for row in hessian]
    negated = [[-entry for entry in row] for row in scaled]
    values = np.linalg.eigvalsh(np.array([[float(entry) for entry in row] for row in scaled]))
    rounding = n * float(np.finfo(float).eps) * float(np.abs(values).max())
    above, below = (
        bracket_greatest(scaled, float(values[-1]), rounding),
        bracket_greatest(negated, -values[0], rounding),
    )
    counts = inertia(scaled)
    # What floating point can't tell from 0 is given the sign that is counted.
    values[: counts.negative] = np.minimum(values[: counts.negative], 0)
    values[counts.negative : counts.negative + counts.zero] = 0
    values[n - counts.positive :] = np.maximum(values[n - counts.positive :], 0)
    # An end that floating point has fewer digits of is read off its bracket.
    values[0] = min(max(float(values[0]), -float(below[1])), -float(below[0]))
    values[-1] = min(max(float(values[-1]), float(above[0])), float(above[1]))
    values *= float(unit)
    least, greatest = (-below[1] * unit, -below[0] * unit), (above[0] * unit, above[1] * unit)
    return Curvatures(least, greatest, values, Grade.PROVED, how)


def certified(hessian: np.ndarray, rounding: float, semidefinite: bool, what: str = "Hessian") -> Curvatures:
    """All eigenvalues in floating point, within the residual's norm (Weyl's inequality) and a margin for rounding."""
    symmetric = (hessian + hessian.T) / 2
    values, vectors = np.linalg.eigh(symmetric)
    n, scale = len(values), float(np.linalg.norm(symmetric))
    residual = float(np.linalg.norm(symmetric @ vectors - vectors * values))
    skewness = float(np.linalg.norm(vectors.T @ vectors - np.eye(n)))
    margin = 2 * (residual + skewness * scale + n * float(np.finfo(float).eps) * scale + rounding)
    margin += float(np.linalg.norm(hessian - hessian.T))
    how = f"eigenvalues of the {n}×{n} {what} in floating point, within {margin:.1e} by their residual"
    least, greatest = _around(values[0], margin), _around(values[-1], margin)
    if semidefinite:
        least, greatest = ((max(low, Fraction(0)), max(high, Fraction(0))) for low, high in (least, greatest))
        values = np.maximum(values, 0)
    return Curvatures(least, greatest, values, Grade.CERTIFIED, how)


def _measured(hessian: np.ndarray) -> Curvatures:
    if not np.isfinite(hessian).all():
        raise ArithmeticError("the Hessian is not finite")
    values = np.linalg.eigvalsh((hessian + hessian.T) / 2)
    n, eps = len(values), float(np.finfo(float).eps)
    margin = float(np.abs(hessian - hessian.T).max(initial=0)) + 8 * n * eps * float(np.abs(values).max(initial=0))
    how = f"eigenvalues of the {n}×{n} Hessian by automatic differentiation"
    return Curvatures(_around(values[0], margin), _around(values[-1], margin), values, Grade.MEASURED, how)


def greatest_curvature(energy: Energy, x: Any, start: np.ndarray | None = None) -> tuple[float, np.ndarray | None]:
    """The greatest curvature, and its direction, from which to look for that at a point nearby.

    Args:
        energy: the energy.
        x: the position.
        start: a direction to start from, shape (n,), where all of the Hessian's eigenvalues would take long.

    Raises:
        ArithmeticError: if the Hessian is not finite there.
    """
    if size(x) <= LARGEST_AGAIN or exact_hessian(energy) is not None or double_hessian(energy) is not None:
        return float(sum(curvatures_at(energy, x).greatest) / 2), None
    times, double = _products(energy, x)
    anywhere = _any_direction(size(x))
    if start is not None:
        # What is orthogonal to the last direction would not be found from there.
        anywhere = start + _ASTRAY * anywhere / np.linalg.norm(anywhere)
    found = _greatest_of(times, anywhere, 1e-8 if double else 1e-5, 0.0)
    return found.value, found.direction


def _by_lanczos(energy: Energy, x: Any) -> Curvatures:
    """The two extremes by Lanczos iteration (SciPy's ARPACK) on Hessian-vector products, with their residuals."""
    times, double = _products(energy, x)
    start = _any_direction(size(x))
    high = _greatest_of(times, start, 1e-12 if double else 1e-5, 0.0)
    # The least from the other end of the same spectrum, and to the scale of the greatest: near 0 there is no other.
    top = abs(high.value)
    gap = _greatest_of(lambda v: top * v.ravel() - times(v), start, 1e-6 if double else 1e-4, top)
    low = top - gap.value
    how = f"Lanczos iteration on Hessian-vector products of {size(x)} unknowns, residual {high.residual:.1e}"
    brackets = _around(low, gap.residual), _around(high.value, high.residual)
    return Curvatures(*brackets, np.array([low, high.value]), Grade.MEASURED, how)


class _Greatest(NamedTuple):
    """An eigenvalue, by how much its vector is none, and that vector."""

    value: float
    residual: float
    direction: np.ndarray


def _any_direction(n: int) -> np.ndarray:
    return np.random.default_rng(_LANCZOS_SEED).normal(size=n)


def _products(energy: Energy, x: Any) -> tuple[Callable[[np.ndarray], np.ndarray], bool]:
    """v ↦ Hv on flat vectors, and whether in double precision."""
    flat, _ = ravel_pytree(x)

    def times(vector: np.ndarray) -> np.ndarray:
        product = np.asarray(_hessian_times(energy, x, jnp.asarray(vector.ravel(), flat.dtype)), dtype=float)
        # LAPACK would print what it thinks of them on the terminal.
        if not np.isfinite(product).all():
            raise ArithmeticError("the Hessian is not finite there")
        return product

    return times, jnp.finfo(flat.dtype).bits >= 64


def _greatest_of(
    times: Callable[[np.ndarray], np.ndarray], start: np.ndarray, tolerance: float, of: float
) -> _Greatest:
    """The greatest eigenvalue, from a start; `of` is what its matrix is a difference to."""
    # Where a random vector is an eigenvector, every one is; ARPACK fails there.
    image, length = times(start), float(np.linalg.norm(start))
    mean = float(start @ image) / length**2
    off = float(np.linalg.norm(image - mean * start)) / length
    if off <= _MULTIPLE_OF_IDENTITY * max(of, abs(mean)):
        return _Greatest(mean, off, start / length)
    try:
        found: Any = eigsh(matrix_free(start.size, times), k=1, which="LA", v0=start, tol=tolerance)  # pyright: ignore
    except ArpackError as error:
        raise ArithmeticError(f"Lanczos iteration finds no largest curvature there ({error})") from None
    (value,), vectors = found
    direction = vectors[:, 0]
    return _Greatest(float(value), float(np.linalg.norm(times(direction) - value * direction)), direction)


def matrix_free(n: int, times: Callable[[np.ndarray], np.ndarray]) -> Any:
    """SciPy's linear operator for products with an n × n matrix."""
    return LinearOperator((n, n), matvec=times, dtype=float)  # pyright: ignore[reportCallIssue]


def _around(value: float, margin: float) -> Bracket:
    return Fraction(float(value)) - Fraction(margin), Fraction(float(value)) + Fraction(margin)


@compiled
def dense_hessian(energy: Energy, x: Any) -> jax.Array:
    """The Hessian at x over the flattened position, shape (n, n)."""
    flat, _ = ravel_pytree(x)
    return jax.vmap(lambda direction: _flat_hvp(energy, x, direction))(jnp.eye(flat.size, dtype=flat.dtype))


@compiled
def _hessian_times(energy: Energy, x: Any, direction: jax.Array) -> jax.Array:
    return _flat_hvp(energy, x, direction)


def _flat_hvp(energy: Energy, x: Any, direction: jax.Array) -> jax.Array:
    _, unravel = ravel_pytree(x)
    return ravel_pytree(energy.hvp(x, unravel(direction)))[0]
