"""Energies around another energy: they answer what that one answers, but for what they change."""

from typing import Any, ClassVar

import equinox as eqx

from .energy import Curvature, Energy


class WrappedEnergy(Energy):
    """An energy that stands in another's place, a noisy or clipped one say, and answers as it but for what it changes.

    A subclass has a field `energy`, names in `changes` the questions to which its answers are others, and defines those
    that it knows. The rest of `changes` is what no one knows any more: a minimizer is `None` again, a gradient the
    derivative of the value.

    Attributes:
        energy: the energy inside.
        changes: of "value", "grad", "hvp", "inverse_hvp", "minimizer", "minimum" and "curvature".
    """

    changes: ClassVar[frozenset[str]] = frozenset()

    energy: eqx.AbstractVar[Energy]

    def value(self, x: Any) -> Any:
        """That of the energy inside, as are all answers here."""
        return self.energy.value(x)

    def grad(self, x: Any) -> Any:
        """∇E(x)."""
        return Energy.grad(self, x) if "grad" in self.changes else self.energy.grad(x)

    def hvp(self, x: Any, v: Any) -> Any:
        """The Hessian at x applied to v."""
        return Energy.hvp(self, x, v) if "hvp" in self.changes else self.energy.hvp(x, v)

    def inverse_hvp(self, x: Any, v: Any, shift: Any = 0.0) -> Any:
        """(H(x) + shift·I)⁻¹v."""
        own = {"hvp", "inverse_hvp"} & self.changes
        return Energy.inverse_hvp(self, x, v, shift) if own else self.energy.inverse_hvp(x, v, shift)

    @property
    def minimizer(self) -> Any:
        """A point where E is least, or `None`."""
        return None if "minimizer" in self.changes else self.energy.minimizer

    @property
    def minimum(self) -> Any:
        """The least value of E, or `None`."""
        return None if "minimum" in self.changes else self.energy.minimum

    @property
    def curvature(self) -> Curvature | None:
        """Bounds on the Hessian's eigenvalues, or `None`."""
        return None if "curvature" in self.changes else self.energy.curvature
