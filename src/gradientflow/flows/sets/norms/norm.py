r"""What a norm is asked by flows of steepest descent, and the norms of coordinates.

Where a solver has to follow the flow a softened dual norm stands for the dual one: convex, differentiable, within O(δ)
of it. The steepest direction is its gradient.
"""

import abc
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from ...inheriting import check_told_together, owners_of, raise_not_its_own
from ...numerics import l2_norm, max_norm, take_lists
from ...told import Told


class Norm(Told):
    r"""A norm ‖v‖ with its dual $\|g\|_* = \max_{\|v\| \le 1}\langle g, v\rangle$ and the v that attains it.

    A subclass defines `value` and `support`. Where methods are asked about lists of numbers, these are arrays, as
    everywhere.

    Attributes:
        attains: whether the v of `support` attains the maximum, and is not only near it.

    References:
        S. Boyd, L. Vandenberghe, Convex Optimization, 2004, section 9.4.1 and appendix A.1.6.

    Example:
        >>> import gradientflow as gf
        >>> class Halved(gf.norms.Maximum):  # the first coordinate moves at half the speed of the others
        ...     def value(self, v):
        ...         return super().value(v.at[0].multiply(2))
        ...     def support(self, g, smoothing=0.0):
        ...         size, v = super().support(g.at[0].divide(2), smoothing)
        ...         return size, v.at[0].divide(2)
        >>> flow = gf.SteepestDescentFlow(gf.landscapes.bowl(), Halved())
        >>> gf.iterate(flow, gf.ForwardEuler(), [3.0, -1.0], step=0.5, steps=1).x[-1].round(2).tolist()
        [2.75, -0.5]
    """

    attains: ClassVar[bool] = True

    def __init_subclass__(cls, **options: Any) -> None:
        """Its methods take lists; value and support are one norm's.

        Raises:
            TypeError: for a subclass with one of them of its own, and another norm's other.
        """
        super().__init_subclass__(**options)
        check_told_together(cls, "value", "support")
        # What follows from any support goes on doing so.
        if "support" in vars(cls) and (owner := owners_of(cls, "duality")[0]) not in (Norm, cls):
            raise_not_its_own(cls, "support", owner, "duality")
        take_lists(cls, "value", "support", "duality")

    @abc.abstractmethod
    def value(self, v: Any) -> Any:
        """‖v‖."""

    @abc.abstractmethod
    def support(self, g: Any, smoothing: Any = 0.0) -> tuple[Any, Any]:
        """‖g‖₊ and the v, shaped like g, with ‖v‖ ≤ 1 and ⟨g, v⟩ = ‖g‖₊; softened by δ, the second is the gradient."""

    def dual(self, g: Any, smoothing: Any = 0.0) -> Any:
        """‖g‖₊, softened by δ."""
        return self.support(g, smoothing)[0]

    def steepest(self, g: Any, smoothing: Any = 0.0) -> Any:
        """The v with ‖v‖ ≤ 1 and the largest ⟨g, v⟩, softened by δ: the gradient of `dual`."""
        return self.support(g, smoothing)[1]

    def duality(self, g: Any, power: Any, smoothing: Any = 0.0) -> Any:
        """‖g‖₊^power v, of the power > 0: the duality map with that gauge; 0 where g is."""
        size, v = self.support(g, smoothing)
        still = size == 0
        longer = jnp.where(still, 0, jnp.where(still, 1, size) ** power)
        return jax.tree.map(lambda leaf: longer.astype(leaf.dtype) * leaf, v)


class Maximum(Norm):
    r"""The maximum norm $\max|v_i|$: its dual is $\sum|g_i|$, and the steepest direction is sign g.

    Softened, $\sum\sqrt{g_i^2 + \delta^2}$ and $g_i/\sqrt{g_i^2 + \delta^2}$.

    References:
        S. Boyd, L. Vandenberghe, Convex Optimization, 2004, section 9.4.2 for its dual.

    Example:
        >>> import gradientflow as gf
        >>> gf.norms.Maximum().steepest([3.0, -0.5, 0.0]).tolist()
        [1.0, -1.0, 0.0]
    """

    def value(self, v: Any) -> Any:
        """The largest modulus of an entry."""
        return max_norm(v)

    def support(self, g: Any, smoothing: Any = 0.0) -> tuple[Any, Any]:
        """The sum of the moduli, and the signs; 0 where an entry is."""
        sizes = jax.tree.map(lambda leaf: hypotenuse(leaf, smoothing), g)
        return sum(map(jnp.sum, jax.tree.leaves(sizes))), jax.tree.map(quotient, g, sizes)


class Euclidean(Norm):
    r"""The Euclidean norm over all of a pytree, its own dual: the steepest direction is g/‖g‖.

    Softened, $\sqrt{\|g\|^2 + \delta^2}$ and $g/\sqrt{\|g\|^2 + \delta^2}$.

    References:
        S. Boyd, L. Vandenberghe, Convex Optimization, 2004, section 9.4.2.

    Example:
        >>> import gradientflow as gf
        >>> gf.norms.Euclidean().steepest([3.0, 4.0]).round(4).tolist()
        [0.6, 0.8]
    """

    def value(self, v: Any) -> Any:
        """‖v‖."""
        return l2_norm(v)

    def support(self, g: Any, smoothing: Any = 0.0) -> tuple[Any, Any]:
        """‖g‖ and the unit vector; 0 where g is."""
        size = l2_norm((g, smoothing))
        return size, jax.tree.map(lambda leaf: quotient(leaf, size.astype(jnp.result_type(leaf))), g)

    def duality(self, g: Any, power: Any, smoothing: Any = 0.0) -> Any:
        """‖g‖₊^(power − 1) g: with the power 1 it is g itself, also to what differentiates it where g is 0."""
        size = self.dual(g, smoothing)
        still = size == 0
        longer = jnp.where(still, jnp.where(power == 1, 1, 0), jnp.where(still, 1, size) ** (power - 1))
        return jax.tree.map(lambda leaf: longer.astype(jnp.result_type(leaf)) * leaf, g)


def hypotenuse(entry: Any, smoothing: Any) -> Any:
    """√(g² + δ²), entry by entry."""
    return jnp.hypot(entry, jnp.asarray(smoothing, jnp.result_type(entry)))


def quotient(above: Any, below: Any) -> Any:
    """The quotient, entry by entry; 0 over 0 is 0."""
    return above / jnp.where(below == 0, 1, below)
