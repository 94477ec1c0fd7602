"""What a potential is asked, those that are sums over coordinates, and the Euclidean one."""

import abc
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from ...inheriting import check_told_together
from ...numerics import as_arrays, inner, take_lists
from ...told import Told


class Potential(Told):
    r"""A strictly convex φ, its gradient $y = \nabla\varphi(x)$, the dual variables, and $x = \nabla\varphi^*(y)$.

    Where its methods are asked about lists of numbers, these are arrays, as everywhere.

    References:
        A. Beck, M. Teboulle, Mirror descent and nonlinear projected subgradient methods, Oper. Res. Lett. 31, 2003.

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

    References:
        A. Beck, M. Teboulle, Mirror descent and nonlinear projected subgradient methods, Oper. Res. Lett. 31, 2003.

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

    References:
        A. Beck, M. Teboulle, Mirror descent and nonlinear projected subgradient methods, Oper. Res. Lett. 31, 2003.

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
