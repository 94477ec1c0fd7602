"""Norms of groups of coordinates and of singular values as penalties."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from ...aliases import Position, StepLength
from ...energies.composite import ProximalSemigroup
from ...numerics import is_nested_numbers, power_of_two_near
from ..shrinkage import share_kept, singular_threshold, singular_values
from ..weights import checked_weight


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

    def value(self, x: Position) -> Any:
        """Σ wⱼ‖x_j‖."""
        return jnp.sum(self.weight * self._norms(x, ravel_pytree(x)[0]))

    def prox(self, x: Position, h: StepLength) -> Any:
        """Every group's vector, shortened."""
        flat, restore = ravel_pytree(x)
        return restore(share_kept(self._norms(x, flat), h * self.weight)[self.labels] * flat)

    def least_subgradient(self, x: Position, slope: Any) -> Any:
        """Group by group that of the norm."""
        (flat, restore), (pull, _) = ravel_pytree(x), ravel_pytree(slope)
        norms = self._norms(x, flat)
        moving = (self.weight / jnp.where(norms == 0, 1, norms))[self.labels] * flat + pull
        resting = share_kept(self._norms(x, pull), self.weight)[self.labels] * pull
        return restore(jnp.where((norms == 0)[self.labels], resting, moving))

    def _norms(self, x: Position, flat: Any) -> Any:
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

    def value(self, x: Position) -> Any:
        """The sum w Σσᵢ."""
        return self.weight * sum(jnp.sum(singular_values(leaf)[1]) for leaf in jax.tree.leaves(x))

    def prox(self, x: Position, h: StepLength) -> Any:
        """The soft threshold of the singular values."""
        return jax.tree.map(lambda leaf: singular_threshold(leaf, h * self.weight), x)

    def least_subgradient(self, x: Position, slope: Any) -> Any:
        r"""$s + wUV^\top$ with the slope s; on what X maps to 0 from and nothing to, s with its singular values cut."""

        def one(x: Position, slope: Any) -> Any:
            u, sigma, v = singular_values(x)
            rounding = max(x.shape[-2:]) * jnp.finfo(x.dtype).eps
            acting = sigma > rounding * jnp.max(sigma, axis=-1, keepdims=True, initial=0)
            u, v = (jnp.where(acting[..., None, :], w, 0) for w in (u, jnp.swapaxes(v, -1, -2)))
            left, right = u @ jnp.swapaxes(u, -1, -2), v @ jnp.swapaxes(v, -1, -2)
            rest = slope - left @ slope
            rest = rest - rest @ right
            return slope - rest + self.weight * (u @ jnp.swapaxes(v, -1, -2)) + singular_threshold(rest, self.weight)

        return jax.tree.map(one, x, slope)
