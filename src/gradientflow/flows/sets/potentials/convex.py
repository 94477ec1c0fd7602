"""Potentials from functions of the user's."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import lineax as lx
import optimistix as optx

from ...checks import by_name, in_a_line
from ...implicit import newton
from ...numerics import LARGEST_DENSE, dtype_of, size
from .potential import Potential


class ConvexPotential(Potential):
    """A potential φ given by a Python function; made by `potential`. Newton's method solves ∇φ(x) = y.

    References:
        R. T. Rockafellar, Convex Analysis, 1970, section 26: Legendre functions.

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

    References:
        R. T. Rockafellar, Convex Analysis, 1970, section 26: Legendre functions.

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
