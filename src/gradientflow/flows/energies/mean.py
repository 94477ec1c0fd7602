"""The mean of an energy over many positions."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from ..aliases import Position
from .energy import Energy
from .energy import energy as as_energy
from .wrapped import WrappedEnergy


class MeanEnergy(WrappedEnergy):
    """The mean of an energy over an ensemble: positions stacked along the leading axis of every array.

    Its minimum is the energy's own; where that has kinks or walls, so has it. How many particles there are it does not
    know, and so no minimizer and no curvature, which is the energy's over N.
    """

    changes: ClassVar[frozenset[str]] = frozenset(("value", "grad", "hvp", "inverse_hvp", "minimizer", "curvature"))

    energy: Energy = eqx.field(converter=as_energy)

    def value(self, x: Position) -> Any:
        """(1/N) Σⱼ E(xⱼ)."""
        return jnp.mean(jax.vmap(self.energy.value)(x))

    def grad(self, x: Position) -> Any:
        """∇E(xⱼ)/N, particle by particle."""
        return jax.tree.map(lambda leaf: leaf / len(leaf), jax.vmap(self.energy.grad)(x))

    def hvp(self, x: Position, v: Any) -> Any:
        """Each particle's Hessian, over N, applied to its own part of v."""
        return jax.tree.map(lambda leaf: leaf / len(leaf), jax.vmap(self.energy.hvp)(x, v))
