"""Convex sets that a flow may be held in: the projection on the set and on its tangent cones."""

import abc
from typing import Any

import jax
import jax.numpy as jnp

from ..aliases import Position
from ..checks import bounds, check_positive
from ..inheriting import check_told_together
from ..numerics import as_arrays, dtype_of, inner, l2_norm, max_norm, take_lists
from ..told import Told

# A point this many roundings away from a set is in it.
_ROUNDINGS = 1e3


class Constraint(Told):
    r"""A closed convex set C, told by its projections $P_C(x) = \arg\min_{y \in C} \|y - x\|$, and that on tangents.

    Where its methods are asked about lists of numbers, these are arrays, as everywhere.

    References:
        H. H. Bauschke, P. L. Combettes, Convex Analysis and Monotone Operator Theory in Hilbert Spaces, 2nd ed. 2017.

    Example:
        >>> import jax.numpy as jnp, gradientflow as gf
        >>> class UpperHalf(gf.constraints.Constraint):
        ...     def project(self, x):
        ...         return jnp.asarray(x).at[1].max(0.0)
        ...     def project_tangent(self, x, v):
        ...         return jnp.where((jnp.arange(2) == 1) & (x <= 0), jnp.maximum(v, 0), v)
        >>> flow = gf.ProjectedFlow(lambda x: x @ x / 2 + x[1], UpperHalf())
        >>> gf.integrate(flow, [1.0, 1.0], 3.0).x[-1].round(4)
        Array([0.0498, 0.    ], dtype=...)
    """

    def __init_subclass__(cls, **options: Any) -> None:
        """Its methods take lists; both projections are one set's.

        Raises:
            TypeError: for a subclass with one of them of its own, and another set's other.
        """
        super().__init_subclass__(**options)
        check_told_together(cls, "project", "project_tangent")
        take_lists(cls, "project", "project_tangent")

    @abc.abstractmethod
    def project(self, x: Position) -> Any:
        """The point of C nearest to x."""

    @abc.abstractmethod
    def project_tangent(self, x: Position, v: Any) -> Any:
        """The vector nearest to v among those that lead from x ∈ C into C."""

    def contains(self, x: Position) -> jax.Array:
        """Whether x is in C; a point off it by rounding is."""
        x = as_arrays(x)
        away = max_norm(jax.tree.map(lambda a, b: a - b, self.project(x), x))
        return away <= _ROUNDINGS * jnp.finfo(dtype_of(x)).eps * (1 + max_norm(x))


class Box(Constraint):
    """The box a ≤ x ≤ b, coordinate by coordinate of any pytree; Box(-r, r) is the ball of the maximum norm.

    Where a = b a coordinate is held fixed.

    Args:
        lower: a, a number or an array; −∞ for no bound.
        upper: b; ∞ for no bound.

    Raises:
        ValueError: if b is below a.

    References:
        N. Parikh, S. Boyd, Proximal algorithms, Foundations and Trends in Optimization 1, 2014, chapter 6.

    Example:
        >>> import gradientflow as gf
        >>> gf.constraints.Box(0.0, 1.0).project(gf.flows.as_floating([-2.0, 0.5])).tolist()
        [0.0, 0.5]
    """

    lower: Any
    upper: Any

    def __init__(self, lower: Any = 0.0, upper: Any = 1.0) -> None:
        self.lower, self.upper = bounds("Box", lower, upper, fixed=True)

    def project(self, x: Position) -> Any:
        """Each coordinate clipped."""
        return jax.tree.map(lambda leaf: jnp.clip(leaf, self.lower, self.upper), x)

    def project_tangent(self, x: Position, v: Any) -> Any:
        """0 where a coordinate at a bound would leave."""

        def one(x: Position, v: Any) -> Any:
            leaves = ((x <= self.lower) & (v < 0)) | ((x >= self.upper) & (v > 0))
            return jnp.where(leaves, 0, v)

        return jax.tree.map(one, x, v)


class L2Ball(Constraint):
    """The ball ‖x‖₂ ≤ r around 0, over all leaves of a pytree; that of the maximum norm is Box(-r, r).

    Args:
        radius: r.

    Raises:
        ValueError: if r is not positive.

    References:
        N. Parikh, S. Boyd, Proximal algorithms, Foundations and Trends in Optimization 1, 2014, chapter 6.

    Example:
        >>> import gradientflow as gf
        >>> gf.constraints.L2Ball(2.5).project(gf.flows.as_floating([3.0, 4.0])).tolist()
        [1.5, 2.0]
    """

    radius: Any

    def __init__(self, radius: Any = 1.0) -> None:
        self.radius = radius
        check_positive("L2Ball", radius=radius)

    def project(self, x: Position) -> Any:
        """The position, shortened to r where it is longer."""
        norm = l2_norm(x)
        share = jnp.where(norm > self.radius, self.radius / jnp.where(norm == 0, 1, norm), 1)
        return jax.tree.map(lambda leaf: share * leaf, x)

    def project_tangent(self, x: Position, v: Any) -> Any:
        """On the sphere, v less what leads outwards."""
        norm = l2_norm(x)
        normal = jax.tree.map(lambda leaf: leaf / jnp.where(norm == 0, 1, norm), x)
        outwards = inner(normal, v)
        # A projected point is on the sphere up to rounding.
        eps = jnp.finfo(dtype_of(x)).eps
        leaves = (norm >= self.radius * (1 - _ROUNDINGS * eps)) & (outwards > 0)
        share = jnp.where(leaves, outwards, 0)
        return jax.tree.map(lambda v, n: v - share * n, v, normal)


class Simplex(Constraint):
    """The simplex x ≥ 0, Σx = m, by default of probabilities; each array of a pytree is one, along its last axis.

    Args:
        mass: m.

    Raises:
        ValueError: if m is not positive.

    References:
        J. Duchi, S. Shalev-Shwartz, Y. Singer, T. Chandra, Efficient projections onto the ℓ1-ball, ICML 2008.

    Example:
        >>> import gradientflow as gf
        >>> gf.constraints.Simplex().project(gf.flows.as_floating([0.9, 0.3, -0.5])).round(4).tolist()
        [0.8, 0.2, 0.0]
    """

    mass: Any

    def __init__(self, mass: Any = 1.0) -> None:
        self.mass = mass
        check_positive("Simplex", mass=mass)

    def project(self, x: Position) -> Any:
        r"""$\max(x - \theta, 0)$, θ such that the sum is m."""
        return jax.tree.map(lambda leaf: jnp.maximum(_levelled(leaf, jnp.ones_like(leaf, bool), self.mass), 0), x)

    def project_tangent(self, x: Position, v: Any) -> Any:
        """The vector v − θ, with max(v − θ, 0) where x is 0, θ such that the sum is 0."""

        def one(x: Position, v: Any) -> Any:
            shifted = _levelled(v, x <= 0, 0.0)
            return jnp.where(x <= 0, jnp.maximum(shifted, 0), shifted)

        return jax.tree.map(one, x, v)


@jax.jit
def _levelled(values: Any, held: Any, total: Any) -> Any:
    """The v − θ with Σ_free (v − θ) + Σ_held max(v − θ, 0) = total, along the last axis.

    The held coordinates enter from the largest down for as long as they are above the θ that those before them give.
    """
    # Shifted values have a shifted θ: with the largest at 0, no digit of the total is lost beside large ones.
    values = values - jax.lax.stop_gradient(jnp.max(values, axis=-1, keepdims=True))
    free_sum = jnp.sum(jnp.where(held, 0, values), axis=-1, keepdims=True)
    free_count = jnp.sum(jnp.where(held, 0, 1), axis=-1, keepdims=True)
    falling = -jnp.sort(jnp.where(held, -values, jnp.inf), axis=-1)
    entered = jnp.isfinite(falling)
    sums = free_sum + jnp.cumsum(jnp.where(entered, falling, 0), axis=-1)
    counts = free_count + jnp.cumsum(entered, axis=-1)
    theta = (sums - total) / jnp.maximum(counts, 1)
    inside = entered & (falling > theta)
    last = jnp.sum(inside, axis=-1, keepdims=True)
    chosen = jnp.take_along_axis(theta, jnp.maximum(last - 1, 0), axis=-1)
    alone = (free_sum - total) / jnp.maximum(free_count, 1)
    return values - jnp.where(last > 0, chosen, alone)
