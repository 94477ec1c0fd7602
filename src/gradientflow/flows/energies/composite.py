"""Composite energies: a smooth part, and one with kinks or walls whose proximal map is known."""

import abc
import math
from typing import Any

import equinox as eqx
import jax

from ..aliases import Position
from ..checks import in_a_line
from .energy import Curvature, Energy, Proximable, energy


class Nonsmooth(Proximable):
    """A convex energy that is not differentiable everywhere, such as a norm: what takes the gradient's place.

    A subclass defines `value`, `prox` and `least_subgradient`.
    """

    @abc.abstractmethod
    def least_subgradient(self, x: Position, slope: Any) -> Any:
        """The element of slope + ∂E(x) of least norm."""

    def grad(self, x: Position) -> Any:
        """The element of ∂E(x) of least norm: ∇E(x) where there is one."""
        return self.least_subgradient(x, jax.tree.map(lambda leaf: 0 * leaf, x))

    @property
    def curvature(self) -> Curvature:
        """(0, ∞): convex, and no more."""
        return Curvature(0.0, math.inf)

    @property
    def kinks(self) -> "Nonsmooth":
        """Itself."""
        return self


class Weighted(Proximable):
    """A penalty that weights each coordinate: by one weight for all, or by one each."""

    @abc.abstractmethod
    def sparing_the_last(self, count: int) -> "Weighted":
        """Where one weight is for all, the penalty of `count` coordinates without the last; else itself."""


class HasIntercept(Energy):
    """An energy of coefficients, the last of which may be an intercept, which no penalty of one weight concerns."""

    intercept: eqx.AbstractVar[bool]
    X: eqx.AbstractVar[jax.Array]


class ProximalSemigroup(Nonsmooth):
    r"""A nonsmooth energy whose proximal maps are a semigroup.

    $\operatorname{prox}_{sE}\circ\operatorname{prox}_{tE} = \operatorname{prox}_{(s+t)E}$: then its gradient flow,
    $\dot x \in -\partial E(x)$, leads in time h exactly where the proximal map of hE does. So it is with norms of
    vectors, of groups and of singular values, and with the indicators of sets.
    """


class Composite(Energy):
    r"""$E = f + g$: f smooth, g with a proximal map in closed form, and perhaps with kinks or walls.

    It is an energy like another. `GradientFlow` of it is the inclusion $\dot x \in -\nabla f(x) - \partial g(x)$: its
    drift is the element of least norm, the one that the solution takes; its resolvent the proximal map of hE; its parts
    are `smooth` and `nonsmooth`, and `ForwardBackward` of them is ISTA. `NesterovScheme` of `NesterovFlow` or of
    `HeavyBallFlow` is FISTA. To integrate it, give it a smooth g: `Composite(f, MoreauEnvelope(g, delta))`.

    Of a regression with an intercept a penalty with one weight for all coordinates (`L1(0.3)`, `ElasticNet`,
    `SquaredL2`) leaves the intercept alone, as the regression's own ridge and scikit-learn do; an array of weights, one
    a coefficient, penalizes what it says.

    Args:
        f: an energy or a callable, differentiable.
        g: one of `penalties`, a `MoreauEnvelope`, a quadratic: any energy with a closed proximal map.

    Raises:
        TypeError: if `g` has no proximal map in closed form.

    References:
        P. L. Combettes, V. R. Wajs, Signal recovery by proximal forward–backward splitting, Multiscale Model. Simul. 4,
        2005.

    Example:
        >>> import gradientflow as gf
        >>> E = gf.Composite(gf.Quadratic([[1.0]], [3.0]), gf.penalties.L1(1.0))  # ½x² − 3x + |x|
        >>> E.grad(gf.flows.as_floating([0.0])).tolist(), E.grad(gf.flows.as_floating([2.0])).tolist()
        ([-2.0], [0.0])
    """

    f: Energy
    g: Proximable

    def __init__(self, f: Any, g: Any) -> None:
        if not isinstance(g, Proximable):
            raise TypeError(
                "Composite: `g` must have a proximal map in closed form, as penalties.L1(0.1) has, got "
                f"{in_a_line(g)}; what is smooth belongs into `f`"
            )
        self.f = energy(f)
        if self.f.kinks is not None or self.f.nonsmooth is not None:
            raise TypeError(
                f"Composite: `f` must be differentiable, got {type(f).__name__}; give its MoreauEnvelope(f, delta)"
            )
        if isinstance(f, HasIntercept) and f.intercept and isinstance(g, Weighted):
            g = g.sparing_the_last(f.X.shape[1])
        self.g = g

    @property
    def smooth(self) -> Energy:
        """The smooth part f."""
        return self.f

    @property
    def nonsmooth(self) -> Proximable:
        """The penalty g."""
        return self.g

    def with_smooth(self, smooth: Energy) -> "Composite":
        """The sum of another smooth part and the same penalty."""
        return Composite(smooth, self.g)

    @property
    def kinks(self) -> Energy | None:
        """Those of g."""
        return self.g.kinks

    def value(self, x: Position) -> Any:
        """The sum f(x) + g(x)."""
        return self.f.value(x) + self.g.value(x)

    def grad(self, x: Position) -> Any:
        """The element of ∇f(x) + ∂g(x) of least norm; 0 exactly where x is stationary."""
        slope = self.f.grad(x)
        if isinstance(self.g, Nonsmooth):
            return self.g.least_subgradient(x, slope)
        return jax.tree.map(lambda a, b: a + b, slope, self.g.grad(x))

    @property
    def curvature(self) -> Curvature | None:
        """The sums of f's and g's bounds, where both are known."""
        f, g = self.f.curvature, self.g.curvature
        return None if f is None or g is None else Curvature(f.mu + g.mu, f.L + g.L)


def kinks_of(energy: Energy) -> Energy | None:
    """The energy's own `kinks`."""
    return energy.kinks
