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

from .checks import check_nonnegative, real_arrays
from .constraints import Constraint
from .energies import Curvature, Nonsmooth, Proximable, ProximalSemigroup
from .numerics import dtype_of, inner, is_concrete, l2_norm, power_of_two_near


class L1(ProximalSemigroup):
    r"""The ℓ1 norm, w Σ|xᵢ|: it makes coordinates 0.

    $\operatorname{prox}_{hg}(x) = \operatorname{sign}(x)\max(|x| - hw, 0)$, the soft threshold.

    Args:
        weight: w ≥ 0, a number or an array that fits every leaf.

    Raises:
        ValueError: if a weight is negative or not finite.

    References:
        R. Tibshirani, Regression shrinkage and selection via the lasso, J. R. Stat. Soc. B 58, 1996.

    Example:
        >>> import gradientflow as gf
        >>> gf.penalties.L1(0.5).prox(gf.flows.as_floating([3.0, -0.2]), 2.0).tolist()
        [2.0, -0.0]
    """

    weight: Any

    def __init__(self, weight: Any = 1.0) -> None:
        self.weight = _weight("L1", "weight", weight)

    def value(self, x: Any) -> Any:
        """The sum w Σ|xᵢ|."""
        return sum(jnp.sum(self.weight * jnp.abs(leaf)) for leaf in jax.tree.leaves(x))

    def prox(self, x: Any, h: Any) -> Any:
        """Every coordinate drawn towards 0 by hw."""
        return jax.tree.map(lambda leaf: _soft(leaf, h * self.weight), x)

    def least_subgradient(self, x: Any, slope: Any) -> Any:
        """Slope + w sign x; where x is 0, what of the slope exceeds w."""
        return jax.tree.map(
            lambda a, s: jnp.where(a == 0, _soft(s, self.weight), s + self.weight * jnp.sign(a)), x, slope
        )


class ElasticNet(Nonsmooth):
    r"""The elastic net, w Σ|xᵢ| + ρ‖x‖²/2.

    $\operatorname{prox}_{hg}(x) = \operatorname{sign}(x)\max(|x| - hw, 0)/(1 + h\rho)$.

    Args:
        weight: w ≥ 0, a number or an array that fits every leaf.
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
        self.weight, self.ridge = _weight("ElasticNet", "weight", weight), _weight("ElasticNet", "ridge", ridge)

    def value(self, x: Any) -> Any:
        """Both penalties."""
        return sum(jnp.sum(self.weight * jnp.abs(leaf) + self.ridge * leaf**2 / 2) for leaf in jax.tree.leaves(x))

    def prox(self, x: Any, h: Any) -> Any:
        """The soft threshold, shrunk."""
        return jax.tree.map(lambda leaf: _soft(leaf, h * self.weight) / (1 + h * self.ridge), x)

    def least_subgradient(self, x: Any, slope: Any) -> Any:
        """That of ℓ1 at the slope + ρx."""
        return L1(self.weight).least_subgradient(x, jax.tree.map(lambda s, a: s + self.ridge * a, slope, x))

    @property
    def curvature(self) -> Curvature:
        """(ρ, ∞)."""
        return Curvature(jnp.min(jnp.asarray(self.ridge)), jnp.inf)


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
        self.weight = _weight("L2", "weight", weight)

    def value(self, x: Any) -> Any:
        """The norm w‖x‖."""
        return self.weight * l2_norm(x)

    def prox(self, x: Any, h: Any) -> Any:
        """The position, shortened."""
        kept = _kept(l2_norm(x), h * self.weight)
        return jax.tree.map(lambda leaf: kept * leaf, x)

    def least_subgradient(self, x: Any, slope: Any) -> Any:
        """Slope + wx/‖x‖; where x is 0, the slope shortened by w."""
        norm, kept = l2_norm(x), _kept(l2_norm(slope), self.weight)
        pull = self.weight / jnp.where(norm == 0, 1, norm)
        return jax.tree.map(lambda a, s: jnp.where(norm == 0, kept * s, s + pull * a), x, slope)


class SquaredL2(Proximable):
    r"""The squared Euclidean norm, w‖x‖²/2: ridge regression's, smooth.

    $\operatorname{prox}_{hg}(x) = x/(1 + hw)$, on fractions too.

    Args:
        weight: w ≥ 0.

    Raises:
        ValueError: if it is negative or not finite.

    Example:
        >>> import gradientflow as gf
        >>> gf.penalties.SquaredL2(0.5).prox(gf.flows.as_floating([3.0, -1.0]), 2.0).tolist()
        [1.5, -0.5]
    """

    weight: Any

    def __init__(self, weight: Any = 1.0) -> None:
        self.weight = weight
        check_nonnegative("SquaredL2", weight=weight)

    def value(self, x: Any) -> Any:
        """The square w‖x‖²/2."""
        return self.weight * inner(x, x) / 2

    def grad(self, x: Any) -> Any:
        """Wx."""
        return jax.tree.map(lambda leaf: self.weight * leaf, x)

    def prox(self, x: Any, h: Any) -> Any:
        """x/(1 + hw)."""
        return jax.tree.map(lambda leaf: leaf / (1 + h * self.weight), x)

    @property
    def minimum(self) -> Any:
        """0."""
        return 0 * self.weight

    @property
    def curvature(self) -> Curvature:
        """(w, w)."""
        return Curvature(self.weight, self.weight)


class GroupLasso(ProximalSemigroup):
    r"""The sum of disjoint groups' Euclidean norms, Σⱼ wⱼ‖x_Gⱼ‖: it makes groups 0.

    $\operatorname{prox}_{hg}$ shortens every group's vector by $hw_j$, to 0 at most.

    Args:
        groups: each coordinate's group, an integer 0, 1, …: an array of the position's shape, or a pytree of such.
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

    def __init__(self, groups: Any, weight: Any = 1.0) -> None:
        leaves = jax.tree.leaves(groups, is_leaf=lambda leaf: isinstance(leaf, list))
        try:
            labels = np.concatenate([np.ravel(leaf) for leaf in leaves or [[]]])
        except ValueError:
            raise ValueError(
                f"GroupLasso: `groups` must be one label a coordinate, [0, 0, 1] and not [[0, 1], [2]], got {groups}"
            ) from None
        found = np.unique(labels)
        if labels.dtype.kind not in "iu" or not np.array_equal(found, np.arange(len(found))):
            raise ValueError(f"GroupLasso: `groups` must label coordinates by the integers 0, 1, …, got {groups}")
        self.labels, self.count, self.weight = jnp.asarray(labels), len(found), _weight("GroupLasso", "weight", weight)
        if jnp.shape(self.weight) not in ((), (self.count,)):
            raise ValueError(
                f"GroupLasso: `weight` must be one number or one for each of {self.count} groups, got shape "
                f"{jnp.shape(self.weight)}"
            )

    def value(self, x: Any) -> Any:
        """Σ wⱼ‖x_j‖."""
        return jnp.sum(self.weight * self._norms(ravel_pytree(x)[0]))

    def prox(self, x: Any, h: Any) -> Any:
        """Every group's vector, shortened."""
        flat, restore = ravel_pytree(x)
        return restore(_kept(self._norms(flat), h * self.weight)[self.labels] * flat)

    def least_subgradient(self, x: Any, slope: Any) -> Any:
        """Group by group that of the norm."""
        (flat, restore), (pull, _) = ravel_pytree(x), ravel_pytree(slope)
        norms = self._norms(flat)
        moving = (self.weight / jnp.where(norms == 0, 1, norms))[self.labels] * flat + pull
        resting = _kept(self._norms(pull), self.weight)[self.labels] * pull
        return restore(jnp.where((norms == 0)[self.labels], resting, moving))

    def _norms(self, flat: Any) -> Any:
        if flat.shape != self.labels.shape:
            raise ValueError(
                f"GroupLasso: its groups are of {self.labels.size} coordinates, the position of {flat.size}"
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
        self.weight = _weight("Nuclear", "weight", weight)

    def value(self, x: Any) -> Any:
        """The sum w Σσᵢ."""
        return self.weight * sum(jnp.sum(_svd(leaf)[1]) for leaf in jax.tree.leaves(x))

    def prox(self, x: Any, h: Any) -> Any:
        """The soft threshold of the singular values."""
        return jax.tree.map(lambda leaf: _threshold_singular(leaf, h * self.weight), x)

    def least_subgradient(self, x: Any, slope: Any) -> Any:
        """Slope + wUVᵀ; on what X maps to 0 from and nothing to, the slope with its singular values thresholded."""

        def one(x: Any, slope: Any) -> Any:
            u, sigma, v = _svd(x)
            rounding = max(x.shape[-2:]) * jnp.finfo(x.dtype).eps
            acting = sigma > rounding * jnp.max(sigma, axis=-1, keepdims=True, initial=0)
            u, v = (jnp.where(acting[..., None, :], w, 0) for w in (u, jnp.swapaxes(v, -1, -2)))
            left, right = u @ jnp.swapaxes(u, -1, -2), v @ jnp.swapaxes(v, -1, -2)
            rest = slope - left @ slope
            rest = rest - rest @ right
            return slope - rest + self.weight * (u @ jnp.swapaxes(v, -1, -2)) + _threshold_singular(rest, self.weight)

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


def _weight(where: str, name: str, weight: Any) -> Any:
    """A checked weight: a number, or an array of them."""
    weight = real_arrays(where, name, weight) if isinstance(weight, (list, tuple)) else weight
    if is_concrete(weight) and np.ndim(weight):
        for number in (np.min(weight), np.max(weight)):
            check_nonnegative(where, **{name: number})
    check_nonnegative(where, **{name: weight})
    return weight


def _soft(x: Any, threshold: Any) -> Any:
    """A position drawn towards 0 by the threshold."""
    return jnp.sign(x) * jnp.maximum(jnp.abs(x) - threshold, 0)


def _kept(norm: Any, threshold: Any) -> Any:
    """The share of a vector that is left when it is shortened."""
    return jnp.maximum(norm - threshold, 0) / jnp.where(norm == 0, 1, norm)


def _svd(x: Any) -> tuple[Any, Any, Any]:
    if jnp.ndim(x) < 2:
        raise ValueError(f"Nuclear: a position must be a matrix, got shape {jnp.shape(x)}; L1 is for vectors")
    u, sigma, v = jnp.linalg.svd(x, full_matrices=False)
    return u, sigma, v


def _threshold_singular(x: Any, threshold: Any) -> Any:
    u, sigma, v = _svd(x)
    return (u * _soft(sigma, threshold)[..., None, :]) @ v
