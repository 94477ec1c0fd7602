"""Entropies: the geometries of the simplex, of the orthant, of boxes, and of what is between sums and squares."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...checks import bounds, check_positive
from ...numerics import max_norm
from .potential import Potential, Separable

# The sum of a point of the simplex may differ from 1 by so many roundings.
_ROUNDINGS = 64


class Entropy(Potential):
    """φ = Σ xᵢ log xᵢ on the probability simplex; each array of a pytree is a simplex, along its last axis.

    A coordinate that is 0 stays 0, the limit of ever smaller ones: its dual variable is the most negative number
    there is and no step can move it.

    References:
        J. Kivinen, M. K. Warmuth, Exponentiated gradient versus gradient descent for linear predictors, Information and
        Computation 132, 1997.

    Example:
        >>> import jax.numpy as jnp, gradientflow as gf
        >>> gf.potentials.Entropy().inverse(jnp.log(jnp.array([1.0, 3.0]))).tolist()
        [0.25, 0.75]
    """

    def value(self, x: Any) -> Any:
        """Σ xᵢ log xᵢ, with 0 log 0 = 0."""
        return sum(map(_xlogx, jax.tree.leaves(x)))

    def gradient(self, x: Any) -> Any:
        r"""$\log x_i$: the constant 1 is left out, which moves nothing along the simplex."""
        return jax.tree.map(_log, x)

    def inverse(self, y: Any) -> Any:
        """Softmax."""
        return jax.tree.map(lambda leaf: jax.nn.softmax(leaf, axis=-1), y)

    def unbalanced(self, x: Any, slope: Any) -> Any:
        """∂ᵢE less its mean, times xᵢ where it points out of the face xᵢ = 0."""

        def one(x: Any, g: Any) -> Any:
            over = g - jnp.sum(x * g, axis=-1, keepdims=True)
            return jnp.where(over > 0, x * over, over)

        return jax.tree.map(one, x, slope)

    def check(self, x: Any) -> None:
        """Nonnegative, and of sum 1."""
        for leaf in map(np.asarray, jax.tree.leaves(x)):
            total = leaf.sum(axis=-1)
            slack = _ROUNDINGS * np.finfo(leaf.dtype).eps * (1 + leaf.shape[-1] if leaf.ndim else 1)
            if not (leaf.ndim and (leaf >= 0).all() and (np.abs(total - 1) <= slack).all()):
                raise ValueError(
                    f"Entropy: `x0` must lie on the simplex, x ≥ 0 and Σx = 1, got {leaf}; divide it by its sum"
                )


class PositiveEntropy(Separable):
    """φ = Σ xᵢ log xᵢ − xᵢ on the positive orthant; a coordinate that is 0 stays 0.

    References:
        J. Kivinen, M. K. Warmuth, Exponentiated gradient versus gradient descent for linear predictors, Information and
        Computation 132, 1997.

    Example:
        >>> import jax.numpy as jnp, gradientflow as gf
        >>> gf.potentials.PositiveEntropy().divergence(jnp.array([2.0]), jnp.array([1.0])).round(4)
        Array(0.3863, dtype=...)
    """

    def value(self, x: Any) -> Any:
        """Σ xᵢ log xᵢ − xᵢ."""
        return sum(_xlogx(leaf) - jnp.sum(leaf) for leaf in jax.tree.leaves(x))

    def gradient(self, x: Any) -> Any:
        r"""$\log x_i$."""
        return jax.tree.map(_log, x)

    def inverse(self, y: Any) -> Any:
        r"""$\exp y_i$."""
        return jax.tree.map(jnp.exp, y)

    def unbalanced(self, x: Any, slope: Any) -> Any:
        """xᵢ∂ᵢE, with the largest coordinate in the place of xᵢ where it points away from 0."""
        largest = max_norm(x)
        return jax.tree.map(lambda x, g: jnp.where(g > 0, x, largest) * g, x, slope)

    def check(self, x: Any) -> None:
        """Nonnegative."""
        for leaf in map(np.asarray, jax.tree.leaves(x)):
            if not (leaf >= 0).all():
                raise ValueError(f"PositiveEntropy: `x0` must be ≥ 0 in every coordinate, got {leaf}")


class BoxEntropy(Separable):
    """φ = Σ (x − a) log(x − a) + (b − x) log(b − x) inside a box a < x < b.

    Args:
        lower: a, a number or an array.
        upper: b.

    Raises:
        ValueError: if b is not above a.

    References:
        H. H. Bauschke, J. M. Borwein, Legendre functions and the method of random Bregman projections, J. Convex Anal.
        4, 1997: the Fermi–Dirac entropy.

    Example:
        >>> import jax.numpy as jnp, gradientflow as gf
        >>> box = gf.potentials.BoxEntropy(-1.0, 1.0)
        >>> box.inverse(box.gradient(jnp.array([0.5]))).round(4)
        Array([0.5], dtype=...)
    """

    lower: Any
    upper: Any

    def __init__(self, lower: Any = 0.0, upper: Any = 1.0) -> None:
        self.lower, self.upper = bounds("BoxEntropy", lower, upper)

    def value(self, x: Any) -> Any:
        """Σ (x − a) log(x − a) + (b − x) log(b − x)."""
        return sum(_xlogx(leaf - self.lower) + _xlogx(self.upper - leaf) for leaf in jax.tree.leaves(x))

    def gradient(self, x: Any) -> Any:
        """The logit log((x − a)/(b − x))."""
        return jax.tree.map(lambda leaf: jnp.log((leaf - self.lower) / (self.upper - leaf)), x)

    def inverse(self, y: Any) -> Any:
        r"""$a + (b - a)/(1 + e^{-y})$."""
        return jax.tree.map(lambda leaf: self.lower + (self.upper - self.lower) * jax.nn.sigmoid(leaf), y)

    def unbalanced(self, x: Any, slope: Any) -> Any:
        """∂ᵢE times the way to the wall towards which it leads downhill."""
        return jax.tree.map(lambda x, g: jnp.where(g > 0, x - self.lower, self.upper - x) * g, x, slope)

    def check(self, x: Any) -> None:
        """Strictly inside."""
        for leaf in map(np.asarray, jax.tree.leaves(x)):
            if not ((leaf > np.asarray(self.lower)) & (leaf < np.asarray(self.upper))).all():
                raise ValueError(f"BoxEntropy: `x0` must lie inside ({self.lower}, {self.upper}), got {leaf}")


class HyperbolicEntropy(Separable):
    """φ = Σ xᵢ arsinh(xᵢ/β) − √(xᵢ² + β²) on the whole space: like the entropy far from 0, like a square near it.

    Its mirror descent is the exponentiated gradient with positive and negative parts.

    Args:
        beta: β > 0, where the one goes over into the other [X].

    References:
        U. Ghai, E. Hazan, Y. Singer, Exponentiated gradient meets gradient descent, ALT 2020.

    Example:
        >>> import jax.numpy as jnp, gradientflow as gf
        >>> phi = gf.potentials.HyperbolicEntropy(beta=0.5)
        >>> phi.inverse(phi.gradient(jnp.array([-3.0]))).round(4)
        Array([-3.], dtype=...)
    """

    beta: Any = 1.0

    def __check_init__(self) -> None:
        check_positive("HyperbolicEntropy", beta=self.beta)

    def value(self, x: Any) -> Any:
        """Σ xᵢ arsinh(xᵢ/β) − √(xᵢ² + β²)."""
        return sum(
            jnp.sum(leaf * jnp.arcsinh(leaf / self.beta) - jnp.sqrt(leaf**2 + self.beta**2))
            for leaf in jax.tree.leaves(x)
        )

    def gradient(self, x: Any) -> Any:
        r"""$\operatorname{arsinh}(x/\beta)$."""
        return jax.tree.map(lambda leaf: jnp.arcsinh(leaf / self.beta), x)

    def inverse(self, y: Any) -> Any:
        """β sinh y."""
        return jax.tree.map(lambda leaf: self.beta * jnp.sinh(leaf), y)


def _xlogx(x: Any) -> Any:
    """Σ x log x, with 0 log 0 = 0."""
    return jnp.sum(jax.scipy.special.xlogy(x, x))


def _log(x: Any) -> Any:
    r"""$\log x$; the most negative number for 0, which no step moves."""
    return jnp.where(x > 0, jnp.log(jnp.where(x > 0, x, 1)), jnp.finfo(x.dtype).min / 2)
