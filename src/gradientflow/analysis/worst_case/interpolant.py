r"""An energy of the class with given points, gradients and values: what a failed certificate becomes.

With $L' = L - \mu$, $g'_i = g_i - \mu x_i$, $f'_i = f_i - \frac\mu2\|x_i\|^2$, $p_i = x_i - g'_i/L'$ and
$c_i = f'_i - \|g'_i\|^2/(2L')$,

$$E(x) = \tfrac\mu2\|x\|^2 + \min_{\alpha\in\Delta}\Big(\tfrac{L'}2\|x - \textstyle\sum\alpha_ip_i\|^2
+ \sum\alpha_ic_i\Big)$$

lies in F_{μ,L} for any numbers whatever, and interpolates them if they satisfy the inequalities. Without a bound L it
is $\frac\mu2\|x\|^2 + \max_i(f'_i + \langle g'_i, x - x_i\rangle)$, and of an indicator the points' convex hull. So
what is found on it is found on an energy of the class, rounding of the solver's numbers notwithstanding.

References:
    A. B. Taylor, J. M. Hendrickx, F. Glineur, Exact worst-case performance of first-order methods for composite convex
    optimization, SIAM J. Optim. 27, 2017, section 2.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradientflow.discretizers import Method, iteration_of
from gradientflow.flows import Composite, Nonsmooth, Proximable

from .problem import EnergyClass, Problem, on_energy
from .run import Run
from .semidefinite import Solution
from .simplex import faces_of, least_on_simplex

# What is as far as rounding lets one see: of a set, and of what is as large as the largest.
_INSIDE = 1e-7
# The share of a step's length by which a cone's projection is told from the set's.
_SHORT = 1e-4


def _in_its_precision(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method of x on the energy's numbers in x's precision: they are double, and need not be where it is run."""

    @functools.wraps(method)
    def asked(self: Any, x: Any, *others: Any) -> Any:
        numbers = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.result_type(x)), self)
        return method(numbers, x, *others)

    return asked


class SmoothInterpolant(Proximable):
    """An energy in F_{μ,L} through given points; its gradient is exact, its evaluation a small quadratic program.

    Args:
        centers: the pᵢ, shape (k, r).
        heights: the cᵢ, shape (k,).
        slope: a gradient that is added everywhere, shape (r,).
        mu: μ, which may be negative.
        L: L > μ.
        faces: of the simplex, as rows of 0 and 1, shape (f, k).
    """

    centers: Any
    heights: Any
    slope: Any
    mu: Any
    L: Any
    faces: Any

    @_in_its_precision
    def value(self, x: Any) -> Any:
        """E(x), x of shape (r,)."""
        alpha = self._weights(x)
        away = x - alpha @ self.centers
        curved = (self.mu * jnp.vdot(x, x) + (self.L - self.mu) * jnp.vdot(away, away)) / 2
        return curved + alpha @ self.heights + jnp.vdot(self.slope, x)

    @_in_its_precision
    def grad(self, x: Any) -> Any:
        """μx + L'(x − Σαᵢpᵢ) at the minimizing α, and the slope."""
        return self.mu * x + (self.L - self.mu) * (x - self._weights(x) @ self.centers) + self.slope

    @_in_its_precision
    def prox(self, x: Any, h: Any) -> Any:
        """The minimum over both the point and α: of the point for each α, which leaves a program in α."""
        bend, total = self.L - self.mu, self.L + 1 / h
        pulled = x / h - self.slope
        curved = bend * (1 - bend / total)
        alpha = self._least(curved, bend / total * self.centers @ pulled - self.heights)
        return (bend * alpha @ self.centers + pulled) / total

    def _weights(self, x: Any) -> Any:
        bend = self.L - self.mu
        return self._least(bend, bend * self.centers @ x - self.heights)

    def _least(self, curved: Any, pull: Any) -> Any:
        return least_on_simplex(curved * self.centers @ self.centers.T, pull, self.faces)


class PolyhedralInterpolant(Nonsmooth):
    """A strongly convex energy, or a convex one, through given points: the greatest of the tangents there.

    Args:
        slopes: the g'ᵢ, shape (k, r).
        heights: of the tangents at 0, shape (k,).
        slope: a gradient that is added everywhere, shape (r,): by itself, since it may be long beside the others.
        mu: μ ≥ 0.
        faces: of the simplex, as rows of 0 and 1, shape (f, k).
    """

    slopes: Any
    heights: Any
    slope: Any
    mu: Any
    faces: Any

    @_in_its_precision
    def value(self, x: Any) -> Any:
        """E(x), x of shape (r,)."""
        return self.mu * jnp.vdot(x, x) / 2 + jnp.vdot(self.slope, x) + jnp.max(self._tangents(x))

    @_in_its_precision
    def prox(self, x: Any, h: Any) -> Any:
        """(x/h − Σαᵢg'ᵢ)/(μ + 1/h) at the α of the dual program, the slope aside."""
        total, pulled = self.mu + 1 / h, x / h - self.slope
        gram, pull = self.slopes @ self.slopes.T / total, self.slopes @ pulled / total + self.heights
        return (pulled - least_on_simplex(gram, pull, self.faces) @ self.slopes) / total

    @_in_its_precision
    def least_subgradient(self, x: Any, slope: Any) -> Any:
        """The least combination of the slopes of the tangents that are met there."""
        fixed, tangents = slope + self.slope + self.mu * x, self._tangents(x)
        size = jnp.max(jnp.abs(tangents), initial=1.0)
        met = tangents >= jnp.max(tangents) - _INSIDE * size
        # Those that are not met cost more than any combination of the others.
        far = jnp.where(met, 0, 1e3 * (1 + jnp.sum(self.slopes**2) + jnp.vdot(fixed, fixed)))
        alpha = least_on_simplex(self.slopes @ self.slopes.T, -self.slopes @ fixed - far, self.faces)
        return fixed + alpha @ self.slopes

    def _tangents(self, x: Any) -> Any:
        return self.slopes @ x + self.heights


class HullIndicator(Nonsmooth):
    """The indicator of a convex hull.

    Args:
        corners: points, shape (k, r), not all of which need be corners.
        faces: of the simplex, as rows of 0 and 1, shape (f, k).
    """

    corners: Any
    faces: Any

    @_in_its_precision
    def value(self, x: Any) -> Any:
        """0 in the hull, ∞ elsewhere."""
        away = jnp.max(jnp.abs(x - self.prox(x, 1.0)))
        return jnp.where(away <= _INSIDE * (1 + jnp.max(jnp.abs(self.corners))), 0.0, jnp.inf)

    @_in_its_precision
    def prox(self, x: Any, h: Any) -> Any:
        """The nearest point of the hull."""
        alpha = least_on_simplex(self.corners @ self.corners.T, self.corners @ x, self.faces)
        return alpha @ self.corners

    @_in_its_precision
    def least_subgradient(self, x: Any, slope: Any) -> Any:
        """The slope less what the normal cone takes of it: how the nearest point moves along it."""
        step = _SHORT / (1 + jnp.sqrt(jnp.vdot(slope, slope)))
        return (x - self.prox(x - step * slope, 1.0)) / step


def interpolant(x: np.ndarray, gradients: np.ndarray, values: np.ndarray, energies: EnergyClass) -> Proximable:
    """The energy of a class through points (k, r) with gradients (k, r) and values (k,), the first being 0 with 0.

    Of which the minimum is there, but for the slope that it has: whatever the rounding of the others, it is exact.
    """
    faces = faces_of(len(x), x.shape[1])
    if energies.indicator:
        return HullIndicator(x, faces)
    mu, slope = float(energies.mu), gradients[0]
    flat = gradients - slope - mu * x
    level = values - x @ slope - mu * (x * x).sum(axis=1) / 2
    if energies.L is None:
        return PolyhedralInterpolant(flat, np.minimum(level - (flat * x).sum(axis=1), 0), slope, mu, faces)
    bend = float(energies.L) - mu
    heights = np.maximum(level - (flat * flat).sum(axis=1) / (2 * bend), 0)
    return SmoothInterpolant(x - flat / bend, heights, slope, mu, float(energies.L), faces)


def positions_of(method: Method, x0: np.ndarray, steps: int) -> Any:
    """The iterates x₀ … x_N from rest, (N + 1, r), in double precision whatever is set; E need not be finite there."""
    with jax.enable_x64(True):
        start = jnp.asarray(x0, float)
        iteration, z0, t0 = iteration_of("worst", method.flow, method.discretizer, start, step=method.step)
        carry = iteration.start(z0, t0)
        found = [iteration.position(carry)]
        for _ in range(steps):
            carry = iteration.one(carry)
            found.append(iteration.position(carry))
        return jnp.stack(found)


def extreme(asked: Problem, run: Run, found: Solution) -> tuple[Method, np.ndarray, np.ndarray]:
    """What a program's dual describes, where its condition is tight or fails.

    Returns:
        The method on that energy, or on that sum, its start (r,), and the vectors of the run's basis (d, r).
    """
    basis = found.vectors
    unit, values = float(asked.unit), found.values * float(asked.unit)
    classes = [asked.energies]
    if asked.nonsmooth is not None:
        classes.append(asked.nonsmooth.counted_in(1 / asked.unit))
    energies = []
    for part, of_class in enumerate(classes):
        x, gradients = (rows.astype(float) @ basis for rows in run.points(part)[:2])
        own, values = np.split(values, [len(x) - 1])
        energies.append(interpolant(x, gradients * unit, np.concatenate([[0.0], own]), of_class))
    energy = Composite(*energies) if len(energies) > 1 else energies[0]
    start = run.started[: run.size].astype(float) @ basis
    return on_energy(asked.subject, energy), start, basis
