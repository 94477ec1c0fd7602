"""The greatest curvature of an energy in a norm, which limits steps of steepest descent in it."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from gradientflow.flows import (
    AbstractQuadratic,
    Energy,
    MatrixLeastSquares,
    compiled,
    dtype_of,
    looks_at_numbers,
    norms,
    position_arrays,
    size,
)
from gradientflow.flows import energy as as_energy
from gradientflow.flows.checks import in_a_line
from gradientflow.flows.numerics import LARGEST_DENSE
from gradientflow.flows.sets.norms.spectral import as_matrix

from ..linear_stability.curvature import curvatures_at, dense_hessian, double_hessian
from ..results.grades import Grade
from ..results.result import Result

# All signs of so many unknowns are tried.
_SIGNS = 18
# An ascent begins at so many random directions, and ends after so many rounds.
_STARTS, _ROUNDS = 32, 200
_SEED = 0


@dataclasses.dataclass(frozen=True, repr=False)
class Smoothness(Result):
    r"""The greatest curvature in a norm, $L = \max_{\|v\| \le 1}\langle v, Hv\rangle$.

    Attributes:
        value: L, or of a bracket the upper end, with which what is said of L is safe. Units: E over the norm's squared.
        low: a number that is not above it: ⟨v, Hv⟩ of the direction.
        high: a number that is not below it; ∞ where nothing bounds it.
        direction: the v found with the largest ⟨v, Hv⟩, shaped like the position. From x* + cv steepest descent moves
            along v, as gradient descent does on one mode of curvature ⟨v, Hv⟩.
        grade: how certain the value is.
        how: how it was found.
    """

    value: float
    low: float
    high: float
    direction: Any
    grade: Grade
    how: str

    @property
    def step_limit(self) -> float:
        """2/L: on a quadratic forward Euler of `SteepestDescentFlow` with q = 2 lowers E with every shorter step.

        With a step longer than 2/`low` it climbs from x* + cv, v the direction.
        """
        return 2 / self.value if self.value > 0 else math.inf

    def why_so(self) -> str:
        """How it was found."""
        return self.how


@looks_at_numbers
def smoothness(E: Any, norm: norms.Norm, x: Any = None) -> Smoothness:
    r"""The smoothness of an energy in a norm: $L = \max_{\|v\| \le 1}\langle v, Hv\rangle$, H the Hessian.

    On a quadratic $E(x + v) \le E(x) + \langle\nabla E, v\rangle + \tfrac L2\|v\|^2$, so that steepest descent by
    $-h\|\nabla E\|_*v$, changes E by at most $-h(1 - hL/2)\|\nabla E\|_*^2$: it falls for every h < 2/L, and no longer
    step does so from everywhere. In the Euclidean norm L is the greatest eigenvalue; in the maximum norm the
    largest $s^\top Hs$ of signs s, tried one by one up to 18 unknowns; in the spectral norm of `MatrixLeastSquares`
    $\sum_i\sigma_i(A)^2\sigma_i(B)^2$. Elsewhere it is bracketed: from below by an ascent, $v \leftarrow$ the steepest
    direction of Hv, from above by eigenvalues. Of a sum f + g it is f's.

    Args:
        E: the energy.
        norm: one of `norms`.
        x: the point at which H is taken; not needed for quadratics.

    Raises:
        TypeError: if `norm` is none.
        ValueError: if the energy is no quadratic and no point is given.

    References:
        Y. Nesterov, Gradient methods for minimizing composite functions, Math. Program. 140, 2013, for other norms.
        J. von Neumann, Some matrix-inequalities and metrization of matric-space, Tomsk Univ. Rev. 1, 1937.

    Example:
        >>> import gradientflow as gf
        >>> H = gf.Quadratic([[2.0, -1.0], [-1.0, 2.0]])
        >>> gf.smoothness(H, gf.norms.Maximum()).value, gf.smoothness(H, gf.norms.Euclidean()).value
        (6.0, 3.0)
    """
    if not isinstance(norm, norms.Norm):
        raise TypeError(f"smoothness: `norm` must be one such as norms.Spectral(), got {in_a_line(norm)}")
    energy = as_energy(E).smooth
    x = _point(energy, x)
    # What is known is known of these norms and energies themselves: a class derived from one may be another.
    if type(norm) is norms.Spectral and type(energy) is MatrixLeastSquares:
        return _of_singular_values(energy, norm)
    low, direction = _ascended(energy, norm, x)
    match norm:
        case norms.Euclidean() if type(norm) is norms.Euclidean:
            found = curvatures_at(energy, x)
            below, high = (max(0.0, float(end)) for end in found.greatest)
            return _found(below, high, direction, found.grade, found.how)
        case norms.Maximum() if type(norm) is norms.Maximum and size(x) <= LARGEST_DENSE:
            return _of_signs(energy, x, low, direction)
        case norms.Spectral() if type(norm) is norms.Spectral:
            greatest = max(0.0, float(curvatures_at(energy, x).greatest[1]))
            factor = sum(_squared_radius(norm, leaf) for leaf in jax.tree.leaves(x))
            how = "an ascent from below; the greatest eigenvalue times the largest ‖v‖² of a v of norm 1 from above"
            return _found(low, greatest * factor, direction, Grade.MEASURED, how)
        case _:
            how = "an ascent from below; nothing is known that bounds it from above in this norm"
            return Smoothness(low, low, math.inf, direction, Grade.UNKNOWN, how)


def _point(energy: Energy, x: Any) -> Any:
    """The point at which the Hessian is taken; of a quadratic any that has its shape."""
    if x is not None:
        return position_arrays("smoothness", "x", x)
    if isinstance(energy, AbstractQuadratic):
        return jnp.zeros_like(energy.linear)
    if energy.is_quadratic and energy.minimizer is not None:
        return energy.minimizer
    raise ValueError("smoothness: `x` must be given for an energy that is no quadratic: its curvature depends on it")


def _found(low: float, high: float, direction: Any, grade: Grade, how: str) -> Smoothness:
    value = (low + high) / 2 if high - low <= 1e-6 * high else high
    return Smoothness(value, low, high, direction, grade, how)


@compiled
def _ascents(energy: Energy, norm: norms.Norm, x: Any, keys: Any) -> Any:
    """From random directions the rounds v ← steepest(Hv), none of which lowers a convex ⟨v, Hv⟩; the best end."""

    def one(key: Any) -> Any:
        flat, unravel = ravel_pytree(x)
        start = norm.steepest(unravel(jax.random.normal(key, flat.shape, flat.dtype)))

        def again(_: Any, v: Any) -> Any:
            return norm.steepest(energy.hvp(x, v))

        v = jax.lax.fori_loop(0, _ROUNDS, again, start)
        size = norm.value(v)
        v = jax.tree.map(lambda leaf: leaf / jnp.where(size == 0, 1, size).astype(leaf.dtype), v)
        return _quadratic_form(energy, x, v), v

    values, ends = jax.lax.map(one, keys)
    best = jnp.argmax(values)
    return values[best], jax.tree.map(lambda leaf: leaf[best], ends)


def _ascended(energy: Energy, norm: norms.Norm, x: Any) -> tuple[float, Any]:
    value, v = _ascents(energy, norm, x, jax.random.split(jax.random.key(_SEED), _STARTS))
    return max(0.0, float(value)), v


def _quadratic_form(energy: Energy, x: Any, v: Any) -> Any:
    return jnp.vdot(ravel_pytree(v)[0], ravel_pytree(energy.hvp(x, v))[0])


def _of_signs(energy: Energy, x: Any, low: float, direction: Any) -> Smoothness:
    """Of few unknowns all signs, since a function convex along every coordinate is largest at a corner of the box."""
    if (known := double_hessian(energy)) is not None:
        (hessian, rounding, _), grade = known, Grade.CERTIFIED
    else:
        hessian, grade = np.asarray(dense_hessian(energy, x), dtype=float), Grade.MEASURED
        rounding = 8 * len(hessian) * float(jnp.finfo(dtype_of(x)).eps) * float(np.abs(hessian).max())
    n, diagonal = len(hessian), np.diag(hessian)
    above = float(np.abs(hessian - np.diag(diagonal)).sum() + np.maximum(diagonal, 0).sum())
    margin = 4 * n * n * (float(np.finfo(float).eps) * float(np.abs(hessian).sum()) + rounding)
    if n > _SIGNS or (diagonal < 0).any():
        if above - low <= margin:
            return _found(above - margin, above + margin, direction, grade, "signs for which no entry of H counts less")
        how = "an ascent from below; the sum of the entries' moduli from above"
        return _found(low, above + margin, direction, Grade.MEASURED, how)
    best, signs = -math.inf, np.ones(n)
    for block in _all_signs(n):
        values = (block @ hessian * block).sum(axis=1)
        if values.max() > best:
            best, signs = float(values.max()), block[int(values.argmax())]
    flat, unravel = ravel_pytree(x)
    how = f"all {2 ** (n - 1)} signs"
    return _found(best - margin, best + margin, unravel(jnp.asarray(signs, flat.dtype)), grade, how)


def _all_signs(n: int, block: int = 4096) -> Any:
    """All vectors of ±1 but for their negatives, some at a time."""
    for start in range(0, 2 ** (n - 1), block):
        numbers = np.arange(start, min(start + block, 2 ** (n - 1)))
        yield 1.0 - 2.0 * ((numbers[:, None] >> np.arange(n)) & 1)


def _of_singular_values(energy: MatrixLeastSquares, norm: norms.Spectral) -> Smoothness:
    """Σ σᵢ(A)²σᵢ(B)², by von Neumann's inequality; attained by the polar factor that pairs the singular vectors."""
    (left, right), factor = (np.asarray(m, dtype=float) for m in (energy.A, energy.B)), _radius(norm, energy.minimizer)
    (_, of_left, after), (before, of_right, _) = (
        np.linalg.svd(matrix, full_matrices=False) for matrix in (left, right)
    )
    paired = min(len(of_left), len(of_right))
    direction = factor * after[:paired].T @ before[:, :paired].T
    total = factor**2 * float(of_left[:paired] ** 2 @ of_right[:paired] ** 2)
    # Singular values are within rounding of the norm (Weyl), and so their squares and products.
    scale = factor**2 * float(np.linalg.norm(left) ** 2 * np.linalg.norm(right) ** 2)
    margin = 16 * max(*left.shape, *right.shape) * float(np.finfo(float).eps) * scale * paired
    direction = jnp.asarray(direction, energy.A.dtype)
    return _found(total - margin, total + margin, direction, Grade.CERTIFIED, "Σ σᵢ(A)²σᵢ(B)² in floating point")


def _radius(norm: norms.Spectral, leaf: Any) -> float:
    """The largest singular value of a matrix of norm 1."""
    return 1.0 if norm.scale is None else float(norm.scale(*as_matrix(leaf).shape[-2:]))


def _squared_radius(norm: norms.Spectral, leaf: Any) -> float:
    """The largest squared Euclidean length of a leaf of norm 1."""
    *stack, rows, columns = as_matrix(leaf).shape
    return math.prod(stack) * min(rows, columns) * _radius(norm, leaf) ** 2
