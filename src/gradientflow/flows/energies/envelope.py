"""The Moreau envelope: a nonsmooth energy, smoothed so that its minimizers stay."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ..aliases import Position, StepLength
from ..checks import check_positive
from ..numerics import inner, is_concrete
from ..state import lift, lower
from .energy import Curvature, Energy, Proximable, energy
from .prox import prox_of_vector


class MoreauEnvelope(Proximable):
    r"""$M_\delta(x) = \min_y g(y) + \tfrac1{2\delta}\|y - x\|^2$, smooth, with g's minimizers and minimum.

    $\nabla M_\delta = (x - \operatorname{prox}_{\delta g}(x))/\delta$: the gradient flow's field, at backward Euler's
    next point. So a gradient step of length δ on it is a proximal step on g. For convex g it is convex, of
    curvature at most 1/δ, and $M_\delta \to g$ from below as δ → 0. Its own proximal map is that of (h + δ)g, mixed
    with the identity.

    *Where g is not convex*, the minimum over y is unique only for δ < 1/|μ|, μ < 0 being the least curvature. Beyond, a
    stationary point need not be the minimum, the envelope has kinks of its own, and the formula for its gradient is
    false. So μ must be known: from g, or from you.

    Args:
        g: an energy or a callable; in closed form where g knows its proximal map, else by Newton's method.
        delta: δ > 0 [X²/E]; also the gradient flow's time.
        mu: a lower bound on g's curvature where g does not know one; 0 says that it is convex.

    Raises:
        ValueError: if δ is not positive, or not below 1/|μ| for a negative μ, or μ is not known.

    References:
        J.-J. Moreau, Proximité et dualité dans un espace hilbertien, Bull. SMF 93, 1965.
        R. T. Rockafellar, R. J.-B. Wets, Variational Analysis, 1998, sections 1.G and 13.F.

    Example:
        >>> import gradientflow as gf
        >>> huber = gf.MoreauEnvelope(gf.penalties.L1(), delta=0.5)
        >>> float(huber(3.0)), float(huber(0.5)), float(huber.grad(0.5))  # |x| − δ/2, x²/(2δ), x/δ
        (2.75, 0.25, 1.0)
    """

    g: Energy
    delta: Any
    mu: Any

    def __init__(self, g: Any, delta: Any, mu: Any = None) -> None:
        self.g, self.delta = energy(g), delta
        check_positive("MoreauEnvelope", delta=delta)
        known = self.g.curvature
        self.mu = mu if known is None else known.mu
        if self.mu is None:
            raise ValueError(
                "MoreauEnvelope: whether `g` is convex is not known, and where it is not, its proximal map may jump; "
                "give `mu`, a lower bound on its curvature (0 for a convex g)"
            )
        # Written so that δ = 1/|μ| is refused too; what is traced passes.
        lowest = 1 + delta * self.mu
        if is_concrete(lowest) and not float(lowest) > 0:
            raise ValueError(
                f"MoreauEnvelope: `delta` must be below 1/|μ| = {-1 / float(self.mu):g} for a `g` of curvature "
                f"{float(self.mu):g}, got {delta}: beyond, its proximal map is no minimum and may jump"
            )

    def value(self, x: Position) -> Any:
        """The value of g at the proximal point, and the squared distance to it over 2δ."""
        return _least(self, x)

    def grad(self, x: Position) -> Any:
        """(x − prox_{δg}(x))/δ."""
        return jax.tree.map(lambda a, p: (a - p) / self.delta, x, self.proximal_point(x))

    def prox(self, x: Position, h: StepLength) -> Any:
        """The point x + h/(h + δ)·(prox_{(h+δ)g}(x) − x)."""
        total = h + self.delta
        return jax.tree.map(lambda a, p: a + (p - a) * h / total, x, lower(prox_of_vector(self.g, lift(x), total)))

    def proximal_point(self, x: Position) -> Any:
        """prox_{δg}(x), where the minimum is taken."""
        return lower(prox_of_vector(self.g, lift(x), self.delta))

    @property
    def minimizer(self) -> Any:
        """That of g."""
        return self.g.minimizer

    @property
    def minimum(self) -> Any:
        """That of g."""
        return self.g.minimum

    @property
    def curvature(self) -> Curvature:
        """(μ/(1 + δμ), 1/δ)."""
        return Curvature(self.mu / (1 + self.delta * self.mu), 1 / self.delta)


@eqx.filter_custom_jvp
def _least(envelope: Any, x: Position) -> Any:
    return _objective(envelope, x, envelope.proximal_point(x))


@_least.def_jvp
def _(primals: Any, tangents: Any) -> Any:
    """At the proximal point nothing changes with y: the derivative is that at fixed y."""
    envelope, x = primals
    p = envelope.proximal_point(x)
    return eqx.filter_jvp(lambda envelope, x: _objective(envelope, x, p), primals, tangents)


def _objective(envelope: Any, x: Position, y: Any) -> Any:
    away = jax.tree.map(jnp.subtract, x, y)
    return envelope.g.value(y) + inner(away, away) / (2 * envelope.delta)
