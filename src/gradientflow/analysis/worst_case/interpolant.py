r"""An energy of the class with given points, gradients and values: what a failed certificate becomes.

With $L' = L - \mu$, $g'_i = g_i - \mu x_i$, $f'_i = f_i - \frac\mu2\|x_i\|^2$, $p_i = x_i - g'_i/L'$ and
$c_i = f'_i - \|g'_i\|^2/(2L')$,

$$E(x) = \tfrac\mu2\|x\|^2 + \min_{\alpha\in\Delta}\Big(\tfrac{L'}2\|x - \textstyle\sum\alpha_ip_i\|^2
+ \sum\alpha_ic_i\Big)$$

lies in F_{μ,L} for any numbers whatever, and interpolates them if they satisfy the inequalities. So what is found on it
is found on an energy of the class, rounding of the solver's numbers notwithstanding.

References:
    A. B. Taylor, J. M. Hendrickx, F. Glineur, Smooth strongly convex interpolation and exact worst-case performance of
    first-order methods, Math. Programming 161, 2017.
"""

import itertools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from gradientflow.discretizers import Method
from gradientflow.flows import Energy

from .conditions import Condition
from .problem import Problem, on_energy
from .semidefinite import Solution

# Directions of a Gram matrix below this, relative to its greatest, are rounding.
_FLAT = 1e-6


class InterpolatedEnergy(Energy):
    """An energy in F_{μ,L} through given points; its gradient is exact, its evaluation a small quadratic program.

    Args:
        centers: the pᵢ, shape (k, r).
        heights: the cᵢ, shape (k,).
        mu: μ, which may be negative.
        L: L > μ.
        faces: of the simplex, as rows of 0 and 1, shape (f, k).
    """

    centers: jax.Array
    heights: jax.Array
    mu: Any
    L: Any
    faces: np.ndarray = eqx.field(converter=np.asarray)

    def value(self, x: Any) -> Any:
        """E(x), x of shape (r,)."""
        return self.mu * jnp.vdot(x, x) / 2 + self._least(x)[0]

    def grad(self, x: Any) -> Any:
        """μx + L'(x − Σαᵢpᵢ) at the minimizing α."""
        return self.mu * x + (self.L - self.mu) * (x - self._least(x)[1] @ self.centers)

    @eqx.filter_jit
    def _least(self, x: Any) -> tuple[Any, Any]:
        """The minimum over the simplex and where it is: a stationary point on every face, the best feasible one."""
        bend, count = self.L - self.mu, len(self.heights)
        pull = bend * self.centers @ x - self.heights
        gram = bend * self.centers @ self.centers.T

        def on_face(face: Any) -> tuple[Any, Any]:
            both = face[:, None] * face[None, :]
            top = jnp.hstack([gram * both + jnp.diag(1 - face), face[:, None]])
            system = jnp.vstack([top, jnp.append(face, 0.0)])
            alpha = (jnp.linalg.pinv(system, hermitian=True) @ jnp.append(pull * face, 1.0))[:count] * face
            alpha = jnp.clip(alpha, 0, None)
            alpha = alpha / jnp.sum(alpha)
            away = x - alpha @ self.centers
            value = bend * jnp.vdot(away, away) / 2 + alpha @ self.heights
            return jnp.where(jnp.isfinite(value), value, jnp.inf), alpha

        values, weights = jax.vmap(on_face)(jnp.asarray(self.faces, self.centers.dtype))
        best = jnp.argmin(values)
        return values[best], weights[best]


def interpolant(x: np.ndarray, gradients: np.ndarray, values: np.ndarray, mu: float, L: float) -> InterpolatedEnergy:
    """The energy through points (k, r) with gradients (k, r) and values (k,), the first being 0 with 0 and 0."""
    bend = L - mu
    flat = gradients - mu * x
    centers = x - flat / bend
    heights = values - mu * (x * x).sum(axis=1) / 2 - (flat * flat).sum(axis=1) / (2 * bend)
    # The first point is the minimizer, 0 with the value 0. It is one exactly, whatever the rounding of the others,
    # where no other height is less.
    heights = np.maximum(heights, 0)
    count, dimension = x.shape
    faces = [
        [float(i in chosen) for i in range(count)]
        for size in range(1, min(count, dimension + 1) + 1)
        for chosen in itertools.combinations(range(count), size)
    ]
    with jax.enable_x64(True):
        return InterpolatedEnergy(jnp.asarray(centers), jnp.asarray(heights), mu, L, np.array(faces))


def extreme(asked: Problem, condition: Condition, found: Solution) -> tuple[Method, np.ndarray]:
    """The method on the energy that a program's dual describes, where its condition is tight or fails; the start."""
    sizes, vectors = np.linalg.eigh(found.gram)
    kept = sizes > _FLAT * sizes[-1]
    basis = vectors[:, kept] * np.sqrt(sizes[kept])
    x, gradients, _ = condition.as_floats().inequalities.at
    unit = float(asked.unit)
    values = np.concatenate([[0.0], found.values[: len(x) - 1]]) * unit
    mu, L = float(asked.energies.mu), float(asked.energies.L or 0)
    energy = interpolant(x @ basis, gradients @ basis * unit, values, mu, L)
    return on_energy(asked.subject, energy), basis[0]
