"""Norms of vectors as penalties: ℓ1, the elastic net, the Euclidean norm and its square."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...aliases import Position, StepLength
from ...energies.composite import Nonsmooth, ProximalSemigroup, Weighted
from ...energies.energy import Curvature
from ...numerics import inner, l2_norm
from ..shrinkage import share_kept, soft_threshold
from ..weights import checked_weight, weights_of_leaves, without_the_last


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

    def value(self, x: Position) -> Any:
        """The sum w Σ|xᵢ|."""
        weighted = jax.tree.map(lambda leaf, w: jnp.sum(w * jnp.abs(leaf)), x, weights_of_leaves("L1", self.weight, x))
        return sum(jax.tree.leaves(weighted))

    def prox(self, x: Position, h: StepLength) -> Any:
        """Every coordinate drawn towards 0 by hw."""
        return jax.tree.map(lambda leaf, w: soft_threshold(leaf, h * w), x, weights_of_leaves("L1", self.weight, x))

    def least_subgradient(self, x: Position, slope: Any) -> Any:
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

    def value(self, x: Position) -> Any:
        """Both penalties."""
        return L1(self.weight).value(x) + SquaredL2(self.ridge).value(x)

    def prox(self, x: Position, h: StepLength) -> Any:
        """The soft threshold, shrunk."""
        return SquaredL2(self.ridge).prox(L1(self.weight).prox(x, h), h)

    def least_subgradient(self, x: Position, slope: Any) -> Any:
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

    References:
        M. Yuan, Y. Lin, Model selection and estimation in regression with grouped variables, J. R. Stat. Soc. B 68,
        2006, for one on each group.

    Example:
        >>> import gradientflow as gf
        >>> gf.penalties.L2(1.0).prox(gf.flows.as_floating([3.0, 4.0]), 2.5).tolist()
        [1.5, 2.0]
    """

    weight: Any

    def __init__(self, weight: Any = 1.0) -> None:
        self.weight = checked_weight("L2", "weight", weight)

    def value(self, x: Position) -> Any:
        """The norm w‖x‖."""
        return self.weight * l2_norm(x)

    def prox(self, x: Position, h: StepLength) -> Any:
        """The position, shortened."""
        kept = share_kept(l2_norm(x), h * self.weight)
        return jax.tree.map(lambda leaf: kept * leaf, x)

    def least_subgradient(self, x: Position, slope: Any) -> Any:
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

    References:
        A. E. Hoerl, R. W. Kennard, Ridge regression: biased estimation for nonorthogonal problems, Technometrics 12,
        1970.

    Example:
        >>> import gradientflow as gf
        >>> gf.penalties.SquaredL2(0.5).prox(gf.flows.as_floating([3.0, -1.0]), 2.0).tolist()
        [1.5, -0.5]
    """

    weight: Any

    def __init__(self, weight: Any = 1.0) -> None:
        self.weight = checked_weight("SquaredL2", "weight", weight)

    def value(self, x: Position) -> Any:
        """The square w‖x‖²/2."""
        return inner(self.grad(x), x) / 2

    def grad(self, x: Position) -> Any:
        """The position times w."""
        return jax.tree.map(lambda leaf, w: w * leaf, x, weights_of_leaves("SquaredL2", self.weight, x))

    def prox(self, x: Position, h: StepLength) -> Any:
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
