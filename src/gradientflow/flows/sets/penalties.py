"""Penalties: convex energies with kinks or walls, each with its proximal map and its least subgradient in closed form.

A penalty is the g of `Composite(f, g)`. Its weight has the units E/X of a slope, a squared norm's those E/X² of a
curvature. Norms run over all leaves of a pytree unless said otherwise.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from ..energies.composite import Nonsmooth, ProximalSemigroup, Weighted
from ..energies.energy import Curvature
from ..numerics import dtype_of, inner, is_nested_numbers, l2_norm, power_of_two_near
from .constraints import Constraint
from .shrinkage import share_kept, singular_threshold, singular_values, soft_threshold
from .weights import checked_weight, weights_of_leaves, without_the_last


class L1(ProximalSemigroup, Weighted):
    r"""The ℓ1 norm, w Σ|xᵢ|: it makes coordinates 0.

    $\operatorname{prox}_{hg}(x) = \operatorname{sign}(x)\max(|x| - hw, 0)$, the soft threshold.

    Args:
        weight: w ≥ 0, a number, an array that fits every leaf, or a pytree of these, a weight for each leaf.

    Raises:
        ValueError: if a weight is negative or not finite; on use, if the weights don't fit the position.

    References:
        R. Tibshirani, Regression shrinkage and selection via the lasso, J. R. Stat. Soc. B 58, 1996.

    Example:
        >>> import gradientflow as gf
        >>> gf.penalties.L1(0.5).prox(gf.flows.as_floating([3.0, -0.2]), 2.0).tolist()
        [2.0, -0.0]
    """

    weight: Any

    def __init__(self, weight: Any = 1.0) -> None:
        self.weight = checked_weight("L1", "weight", weight)

    def value(self, x: Any) -> Any:
        """The sum w Σ|xᵢ|."""
        weighted = jax.tree.map(lambda leaf, w: jnp.sum(w * jnp.abs(leaf)), x, weights_of_leaves("L1", self.weight, x))
        return sum(jax.tree.leaves(weighted))

    def prox(self, x: Any, h: Any) -> Any:
        """Every coordinate drawn towards 0 by hw."""
        return jax.tree.map(lambda leaf, w: soft_threshold(leaf, h * w), x, weights_of_leaves("L1", self.weight, x))

    def least_subgradient(self, x: Any, slope: Any) -> Any:
        r"""$s + w\operatorname{sign} x$ with the slope s; where x is 0, what of s exceeds w."""

        def one(a: Any, s: Any, w: Any) -> Any:
            return jnp.where(a == 0, soft_threshold(s, w), s + w * jnp.sign(a))

        return jax.tree.map(one, x, slope, weights_of_leaves("L1", self.weight, x))

    def sparing_the_last(self, count: int) -> "L1":
        """Weights w, …, w, 0."""
        return L1(without_the_last(self.weight, count))


class ElasticNet(Nonsmooth, Weighted):
    r"""The elastic net, w Σ|xᵢ| + ρ‖x‖²/2.

    $\operatorname{prox}_{hg}(x) = \operatorname{sign}(x)\max(|x| - hw, 0)/(1 + h\rho)$.

    Args:
        weight: w ≥ 0, a number, an array that fits every leaf, or a pytree of these, a weight for each leaf.
        ridge: ρ ≥ 0, likewise.

    Raises:
        ValueError: if one of them is negative or not finite.

    References:
        H. Zou, T. Hastie, Regularization and variable selection via the elastic net, J. R. Stat. Soc. B 67, 2005.

    Example:
        >>> import gradientflow as gf
        >>> gf.penalties.ElasticNet(1.0, ridge=0.5).prox(gf.flows.as_floating([4.0, -0.2]), 2.0).tolist()
        [1.0, -0.0]
    """

    weight: Any
    ridge: Any

    def __init__(self, weight: Any = 1.0, ridge: Any = 1.0) -> None:
        self.weight, self.ridge = (
            checked_weight("ElasticNet", "weight", weight),
            checked_weight("ElasticNet", "ridge", ridge),
        )

    def value(self, x: Any) -> Any:
        """Both penalties."""
        return L1(self.weight).value(x) + SquaredL2(self.ridge).value(x)

    def prox(self, x: Any, h: Any) -> Any:
        """The soft threshold, shrunk."""
        return SquaredL2(self.ridge).prox(L1(self.weight).prox(x, h), h)

    def least_subgradient(self, x: Any, slope: Any) -> Any:
        """That of ℓ1 at the slope + ρx."""
        pulled = jax.tree.map(lambda s, g: s + g, slope, SquaredL2(self.ridge).grad(x))
        return L1(self.weight).least_subgradient(x, pulled)

    @property
    def curvature(self) -> Curvature:
        """(ρ, ∞)."""
        return Curvature(SquaredL2(self.ridge).curvature.mu, jnp.inf)

    def sparing_the_last(self, count: int) -> "ElasticNet":
        """Weights w, …, w, 0, and likewise ρ."""
        return ElasticNet(without_the_last(self.weight, count), without_the_last(self.ridge, count))


class L2(ProximalSemigroup):
    r"""The Euclidean norm itself, w‖x‖: it makes everything 0, or nothing.

    $\operatorname{prox}_{hg}(x) = \max(1 - hw/\|x\|, 0)\,x$.

    Args:
        weight: w ≥ 0.

    Raises:
        ValueError: if it is negative or not finite.

    Example:
        >>> import gradientflow as gf
        >>> gf.penalties.L2(1.0).prox(gf.flows.as_floating([3.0, 4.0]), 2.5).tolist()
        [1.5, 2.0]
    """

    weight: Any

    def __init__(self, weight: Any = 1.0) -> None:
        self.weight = checked_weight("L2", "weight", weight)

    def value(self, x: Any) -> Any:
        """The norm w‖x‖."""
        return self.weight * l2_norm(x)

    def prox(self, x: Any, h: Any) -> Any:
        """The position, shortened."""
        kept = share_kept(l2_norm(x), h * self.weight)
        return jax.tree.map(lambda leaf: kept * leaf, x)

    def least_subgradient(self, x: Any, slope: Any) -> Any:
        r"""$s + wx/\|x\|$ with the slope s; where x is 0, s shortened by w."""
        norm, kept = l2_norm(x), share_kept(l2_norm(slope), self.weight)
        pull = self.weight / jnp.where(norm == 0, 1, norm)
        return jax.tree.map(lambda a, s: jnp.where(norm == 0, kept * s, s + pull * a), x, slope)


class SquaredL2(Weighted):
    r"""The squared Euclidean norm, w‖x‖²/2: ridge regression's, smooth.

    $\operatorname{prox}_{hg}(x) = x/(1 + hw)$, on fractions too.

    Args:
        weight: w ≥ 0, a number, an array that fits every leaf, or a pytree of these, a weight for each leaf.

    Raises:
        ValueError: if a weight is negative or not finite; on use, if the weights don't fit the position.

    Example:
        >>> import gradientflow as gf
        >>> gf.penalties.SquaredL2(0.5).prox(gf.flows.as_floating([3.0, -1.0]), 2.0).tolist()
        [1.5, -0.5]
    """

    weight: Any

    def __init__(self, weight: Any = 1.0) -> None:
        self.weight = checked_weight("SquaredL2", "weight", weight)

    def value(self, x: Any) -> Any:
        """The square w‖x‖²/2."""
        return inner(self.grad(x), x) / 2

    def grad(self, x: Any) -> Any:
        """The position times w."""
        return jax.tree.map(lambda leaf, w: w * leaf, x, weights_of_leaves("SquaredL2", self.weight, x))

    def prox(self, x: Any, h: Any) -> Any:
        """x/(1 + hw)."""
        return jax.tree.map(lambda leaf, w: leaf / (1 + h * w), x, weights_of_leaves("SquaredL2", self.weight, x))

    @property
    def minimum(self) -> Any:
        """0."""
        return 0 * self._extreme(jnp.min)

    @property
    def curvature(self) -> Curvature:
        """(w, w), or the least and the largest of several."""
        return Curvature(self._extreme(jnp.min), self._extreme(jnp.max))

    def sparing_the_last(self, count: int) -> "SquaredL2":
        """Weights w, …, w, 0."""
        return SquaredL2(without_the_last(self.weight, count))

    def _extreme(self, least_or_largest: Any) -> Any:
        leaves = jax.tree.leaves(self.weight)
        if len(leaves) == 1 and np.ndim(leaves[0]) == 0:
            return leaves[0]
        return least_or_largest(jnp.stack([least_or_largest(jnp.asarray(leaf)) for leaf in leaves]))


class GroupLasso(ProximalSemigroup):
    r"""The sum of disjoint groups' Euclidean norms, Σⱼ wⱼ‖x_Gⱼ‖: it makes groups 0.

    $\operatorname{prox}_{hg}$ shortens every group's vector by $hw_j$, to 0 at most.

    Args:
        groups: each coordinate's group, an integer 0, 1, …: an array of the position's shape, a pytree of such, or the
            labels of all coordinates in a row.
        weight: w ≥ 0, one number or one a group; the square roots of the groups' sizes are customary.

    Raises:
        ValueError: if the groups are not counted by 0, 1, …, or a weight does not fit, is negative or not finite.

    References:
        M. Yuan, Y. Lin, Model selection and estimation in regression with grouped variables, J. R. Stat. Soc. B 68,
        2006.

    Example:
        >>> import gradientflow as gf
        >>> gf.penalties.GroupLasso([0, 0, 1], 1.0).prox(gf.flows.as_floating([3.0, 4.0, 2.0]), 2.5).tolist()
        [1.5, 2.0, 0.0]
    """

    labels: Any
    weight: Any
    count: int = eqx.field(static=True)
    shapes: tuple[tuple[int, ...], ...] = eqx.field(static=True)

    def __init__(self, groups: Any, weight: Any = 1.0) -> None:
        leaves = jax.tree.leaves(groups, is_leaf=is_nested_numbers)
        try:
            labels = np.concatenate([np.ravel(leaf) for leaf in leaves or [[]]])
        except ValueError:
            raise ValueError(
                f"GroupLasso: `groups` must be one label a coordinate, [0, 0, 1] and not [[0, 1], [2]], got {groups}"
            ) from None
        found = np.unique(labels)
        if labels.dtype.kind not in "iu" or not np.array_equal(found, np.arange(len(found))):
            raise ValueError(f"GroupLasso: `groups` must label coordinates by the integers 0, 1, …, got {groups}")
        self.shapes = tuple(np.shape(leaf) for leaf in leaves)
        self.labels, self.count, self.weight = (
            jnp.asarray(labels),
            len(found),
            checked_weight("GroupLasso", "weight", weight),
        )
        if jnp.shape(self.weight) not in ((), (self.count,)):
            raise ValueError(
                f"GroupLasso: `weight` must be one number or one for each of {self.count} groups, got shape "
                f"{jnp.shape(self.weight)}"
            )

    def value(self, x: Any) -> Any:
        """Σ wⱼ‖x_j‖."""
        return jnp.sum(self.weight * self._norms(x, ravel_pytree(x)[0]))

    def prox(self, x: Any, h: Any) -> Any:
        """Every group's vector, shortened."""
        flat, restore = ravel_pytree(x)
        return restore(share_kept(self._norms(x, flat), h * self.weight)[self.labels] * flat)

    def least_subgradient(self, x: Any, slope: Any) -> Any:
        """Group by group that of the norm."""
        (flat, restore), (pull, _) = ravel_pytree(x), ravel_pytree(slope)
        norms = self._norms(x, flat)
        moving = (self.weight / jnp.where(norms == 0, 1, norms))[self.labels] * flat + pull
        resting = share_kept(self._norms(x, pull), self.weight)[self.labels] * pull
        return restore(jnp.where((norms == 0)[self.labels], resting, moving))

    def _norms(self, x: Any, flat: Any) -> Any:
        if flat.shape != self.labels.shape:
            raise ValueError(
                f"GroupLasso: its groups are of {self.labels.size} coordinates, the position of {flat.size}"
            )
        shapes = tuple(map(np.shape, jax.tree.leaves(x)))
        if self.shapes not in (shapes, (flat.shape,)):
            own, others = (", ".join(map(str, each)) for each in (self.shapes, shapes))
            raise ValueError(
                f"GroupLasso: `groups` labels coordinates in the shape {own}, the position has {others}; of four "
                "coordinates in the groups {0, 1} and {2, 3} the labels are [0, 0, 1, 1]"
            )
        scales = power_of_two_near(jax.ops.segment_max(jnp.abs(flat), self.labels, self.count))
        unit = flat / scales[self.labels]
        squares = jax.ops.segment_sum(unit * unit, self.labels, self.count)
        return scales * jnp.where(squares == 0, 0, jnp.sqrt(jnp.where(squares == 0, 1, squares)))


class Nuclear(ProximalSemigroup):
    r"""The nuclear norm of a matrix, w Σ σᵢ(X): it lowers the rank.

    $\operatorname{prox}_{hg}(U\Sigma V^\top) = U\max(\Sigma - hw, 0)V^\top$.

    Every leaf of a pytree is a matrix, or a stack of them along leading axes.

    Args:
        weight: w ≥ 0.

    Raises:
        ValueError: if it is negative or not finite; on use, if a leaf is no matrix.

    References:
        J.-F. Cai, E. J. Candès, Z. Shen, A singular value thresholding algorithm for matrix completion, SIAM J. Optim.
        20, 2010.

    Example:
        >>> import gradientflow as gf
        >>> X = gf.flows.as_floating([[0.0, 3.0], [1.0, 0.0]])
        >>> gf.penalties.Nuclear(1.0).prox(X, 2.0).round(4).tolist()
        [[0.0, 1.0], [0.0, 0.0]]
    """

    weight: Any

    def __init__(self, weight: Any = 1.0) -> None:
        self.weight = checked_weight("Nuclear", "weight", weight)

    def value(self, x: Any) -> Any:
        """The sum w Σσᵢ."""
        return self.weight * sum(jnp.sum(singular_values(leaf)[1]) for leaf in jax.tree.leaves(x))

    def prox(self, x: Any, h: Any) -> Any:
        """The soft threshold of the singular values."""
        return jax.tree.map(lambda leaf: singular_threshold(leaf, h * self.weight), x)

    def least_subgradient(self, x: Any, slope: Any) -> Any:
        r"""$s + wUV^\top$ with the slope s; on what X maps to 0 from and nothing to, s with its singular values cut."""

        def one(x: Any, slope: Any) -> Any:
            u, sigma, v = singular_values(x)
            rounding = max(x.shape[-2:]) * jnp.finfo(x.dtype).eps
            acting = sigma > rounding * jnp.max(sigma, axis=-1, keepdims=True, initial=0)
            u, v = (jnp.where(acting[..., None, :], w, 0) for w in (u, jnp.swapaxes(v, -1, -2)))
            left, right = u @ jnp.swapaxes(u, -1, -2), v @ jnp.swapaxes(v, -1, -2)
            rest = slope - left @ slope
            rest = rest - rest @ right
            return slope - rest + self.weight * (u @ jnp.swapaxes(v, -1, -2)) + singular_threshold(rest, self.weight)

        return jax.tree.map(one, x, slope)


class Indicator(ProximalSemigroup):
    r"""The wall around a convex set C: 0 inside, ∞ outside.

    $\operatorname{prox}_{hg}$ is the projection on C, whatever h, and $\partial g(x)$ the normal cone $N_C(x)$. A point
    off the set by rounding is in it.

    Args:
        constraint: C, one of `constraints`.

    Raises:
        TypeError: if it is none.

    Example:
        >>> import gradientflow as gf
        >>> wall = gf.penalties.Indicator(gf.constraints.Box(0.0, 1.0))
        >>> float(wall([0.5, 2.0])), wall.prox(gf.flows.as_floating([0.5, 2.0]), 0.1).tolist()
        (inf, [0.5, 1.0])
    """

    constraint: Constraint

    def __init__(self, constraint: Any) -> None:
        if not isinstance(constraint, Constraint):
            raise TypeError(f"Indicator: `constraint` must be one such as constraints.Box(0, 1), got {constraint!r}")
        self.constraint = constraint

    def value(self, x: Any) -> Any:
        """0 or ∞."""
        return jnp.where(self.constraint.contains(x), 0, jnp.inf).astype(dtype_of(x))

    def prox(self, x: Any, h: Any) -> Any:
        """The nearest point of C."""
        return self.constraint.project(x)

    def least_subgradient(self, x: Any, slope: Any) -> Any:
        """−P_T(−slope): what the wall does not hold back."""
        tangent = self.constraint.project_tangent(x, jax.tree.map(lambda s: -s, slope))
        return jax.tree.map(lambda v: -v, tangent)
