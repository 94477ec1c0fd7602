"""Convex potentials: the geometries of mirror flows."""

import abc
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import optimistix as optx
from jax.flatten_util import ravel_pytree

from ..checks import bounds, by_name, check_positive, in_a_line
from ..implicit import newton
from ..inheriting import check_told_together
from ..numerics import LARGEST_DENSE, as_arrays, dtype_of, inner, max_norm, size, take_lists
from ..told import Told

# The sum of a point of the simplex may differ from 1 by so many roundings.
_ROUNDINGS = 64


class Potential(Told):
    r"""A strictly convex φ, its gradient $y = \nabla\varphi(x)$, the dual variables, and $x = \nabla\varphi^*(y)$.

    Where its methods are asked about lists of numbers, these are arrays, as everywhere.

    Example:
        >>> import gradientflow as gf
        >>> gf.potentials.PositiveEntropy().inverse([0.0]).tolist()  # φ = x log x − x, so that x = e^y
        [1.0]
    """

    def __init_subclass__(cls, **options: Any) -> None:
        """Its methods take lists; value, gradient and inverse are one function's.

        Raises:
            TypeError: for a subclass with one of them of its own, and another potential's rest.
        """
        super().__init_subclass__(**options)
        check_told_together(cls, "value", "gradient", "inverse")
        take_lists(cls, "value", "gradient", "inverse", "check", "unbalanced")

    @abc.abstractmethod
    def value(self, x: Any) -> Any:
        """φ(x)."""

    @abc.abstractmethod
    def gradient(self, x: Any) -> Any:
        """∇φ(x), shaped like x."""

    @abc.abstractmethod
    def inverse(self, y: Any) -> Any:
        """The x with ∇φ(x) = y: ∇φ*(y)."""

    def root(self, x: Any) -> Callable[[Any], Any]:
        """A linear map R with RRᵀ = ∇²φ(x): the Cholesky factor of the Hessian, formed densely."""
        flat, unravel = ravel_pytree(x)
        hessian = jax.jacfwd(lambda flat: ravel_pytree(self.gradient(unravel(flat)))[0])(flat)
        factor = jnp.linalg.cholesky(hessian)
        return lambda v: unravel(factor @ ravel_pytree(v)[0])

    def check(self, x: Any) -> None:
        """Raises `ValueError` where x is outside the domain."""

    def unbalanced(self, x: Any, slope: Any) -> Any:
        """What vanishes where x is stationary, and only there: ∇²φ*(y)∇E unless walls hold what would leave them.

        At a wall the velocity vanishes whichever way ∇E points; a potential with walls counts in full what points
        inwards.

        Args:
            x: the position.
            slope: ∇E there.
        """
        return jax.jvp(self.inverse, (self.gradient(x),), (slope,))[1]

    def divergence(self, x: Any, y: Any) -> Any:
        """The Bregman divergence φ(x) − φ(y) − ⟨∇φ(y), x − y⟩."""
        x, y = as_arrays(x), as_arrays(y)
        away = jax.tree.map(lambda a, b: a - b, x, y)
        return self.value(x) - self.value(y) - inner(self.gradient(y), away)


class Separable(Potential):
    r"""A potential that is a sum $\varphi(x) = \sum_i \varphi_i(x_i)$: its Hessian and its `root` are diagonal.

    Example:
        >>> import jax.numpy as jnp, gradientflow as gf
        >>> gf.potentials.PositiveEntropy().root(jnp.array([0.25, 4.0]))(jnp.ones(2)).tolist()  # ∇²φ = 1/x
        [2.0, 0.5]
    """

    def root(self, x: Any) -> Callable[[Any], Any]:
        """The roots of the second derivatives, coordinate by coordinate."""
        curvatures = jax.jvp(self.gradient, (x,), (jax.tree.map(jnp.ones_like, x),))[1]
        return lambda v: jax.tree.map(lambda curvature, leaf: jnp.sqrt(curvature) * leaf, curvatures, v)


class Euclidean(Separable):
    """φ = ½‖x‖²: mirror flow is the gradient flow.

    Example:
        >>> import gradientflow as gf
        >>> float(gf.potentials.Euclidean().divergence(3.0, 1.0))
        2.0
    """

    def value(self, x: Any) -> Any:
        """½‖x‖²."""
        return inner(x, x) / 2

    def gradient(self, x: Any) -> Any:
        """The position itself."""
        return x

    def inverse(self, y: Any) -> Any:
        """The dual variable itself."""
        return y


class Entropy(Potential):
    """φ = Σ xᵢ log xᵢ on the probability simplex; each array of a pytree is a simplex, along its last axis.

    A coordinate that is 0 stays 0, the limit of ever smaller ones: its dual variable is the most negative number
    there is and no step can move it.

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


class ConvexPotential(Potential):
    """A potential φ given by a Python function; made by `potential`. Newton's method solves ∇φ(x) = y.

    Example:
        >>> import gradientflow as gf
        >>> gf.potentials.potential(lambda x: x @ x).inverse([1.0]).round(4).tolist()
        [0.5]
    """

    fn: Callable[[Any], Any]

    def value(self, x: Any) -> Any:
        """φ(x)."""
        return self.fn(x)

    def gradient(self, x: Any) -> Any:
        """∇φ(x), by automatic differentiation."""
        return jax.grad(self.fn)(x)

    def inverse(self, y: Any) -> Any:
        """The x with ∇φ(x) = y, by Newton's method from 0."""

        def equation(x: Any, _: Any) -> Any:
            return jax.tree.map(lambda a, b: a - b, self.gradient(x), y)

        n = size(y)
        tags = frozenset({lx.positive_semidefinite_tag}) if n > LARGEST_DENSE else frozenset()
        root_finder, start = newton(dtype_of(y), n, positive=True), jax.tree.map(jnp.zeros_like, y)
        found = optx.root_find(equation, root_finder, start, tags=tags, max_steps=100, throw=False)
        good = found.result == optx.RESULTS.successful
        return jax.tree.map(lambda leaf: jnp.where(good, leaf, jnp.nan), found.value)


@by_name
def potential(fn: Callable[[Any], Any]) -> Potential:
    """Any smooth, strictly convex function that grows faster than linearly, as a potential; its domain holds 0.

    The inverse of its gradient is found by Newton's method; a potential that knows it is a class of its own.

    Args:
        fn: x ↦ φ(x), written with `jax.numpy`.

    Raises:
        TypeError: if `fn` is not a function.

    Example:
        >>> import jax.numpy as jnp, gradientflow as gf
        >>> phi = gf.potentials.potential(lambda x: jnp.sum(x**4 / 4 + x**2 / 2))
        >>> phi.inverse(jnp.array([10.0])).round(4)
        Array([2.], dtype=...)
    """
    if isinstance(fn, Potential):
        return fn
    if not callable(fn):
        raise TypeError(f"potential: `fn` must be a convex function of the position, got {in_a_line(fn)}")
    return ConvexPotential(fn)


def _xlogx(x: Any) -> Any:
    """Σ x log x, with 0 log 0 = 0."""
    return jnp.sum(jax.scipy.special.xlogy(x, x))


def _log(x: Any) -> Any:
    r"""$\log x$; the most negative number for 0, which no step moves."""
    return jnp.where(x > 0, jnp.log(jnp.where(x > 0, x, 1)), jnp.finfo(x.dtype).min / 2)
