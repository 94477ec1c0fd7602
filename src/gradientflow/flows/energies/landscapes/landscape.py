"""What a named test energy is: a formula, and what is known of it."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from ...aliases import Position
from ..energy import Curvature, Energy

Bounds = tuple[tuple[float, float], ...]


class Landscape(Energy):
    r"""A named energy $E: \mathbb R^n \to \mathbb R$, on arrays of shape (n,).

    Attributes:
        name: its name in `names()`.
        formula: E in the field's notation.
        domain: a lower and an upper bound for each coordinate: where it is usually drawn.
        start: a customary starting point.
        minima: the known local minimizers, a global one first; empty where the energy is unbounded below.
        bounds: global bounds (μ, L) on the curvature, where there are any.

    Example:
        >>> import gradientflow as gf
        >>> gf.landscapes.beale().formula
        '(1.5 − x + xy)² + (2.25 − x + xy²)² + (2.625 − x + xy³)²'
    """

    fn: Callable[[Any], Any]
    name: str = eqx.field(static=True)
    formula: str = eqx.field(static=True)
    domain: Bounds = eqx.field(static=True)
    start: tuple[float, ...] = eqx.field(static=True)
    minima: tuple[tuple[float, ...], ...] = eqx.field(static=True, default=())
    bounds: tuple[float, float] | None = eqx.field(static=True, default=None)

    def value(self, x: Position) -> Any:
        """E(x)."""
        return self.fn(x)

    @property
    def minimizer(self) -> Any:
        """The first of the global minimizers, or `None` where E is unbounded below."""
        return jnp.asarray(self.minima[0]) if self.minima else None

    @property
    def minimum(self) -> Any:
        """E at the minimizer, or `None` where E is unbounded below."""
        return self.fn(self.minimizer) if self.minima else None

    @property
    def curvature(self) -> Curvature | None:
        """The global bounds (μ, L), or `None` where there are none."""
        return None if self.bounds is None else Curvature(*self.bounds)
