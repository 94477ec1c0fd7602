"""Energies around another energy: they answer what that one answers, but for what they change."""

from typing import Any, ClassVar

import equinox as eqx

from ..aliases import Position
from .energy import Curvature, Energy, Modes, Proximable


class WrappedEnergy(Energy):
    """An energy that stands in another's place, a noisy or clipped one say, and answers as it but for what it changes.

    A subclass has a field `energy`, names in `changes` the questions to which its answers are others, and defines those
    that it knows. The rest of `changes` is what no one knows any more: a minimizer is `None` again, a gradient the
    derivative of the value. With another value or gradient it has parts and modes no more.

    Attributes:
        energy: the energy inside.
        changes: of "value", "grad", "hvp", "inverse_hvp", "minimizer", "minimum", "curvature" and "kinks".
    """

    changes: ClassVar[frozenset[str]] = frozenset()

    energy: eqx.AbstractVar[Energy]

    def value(self, x: Position) -> Any:
        """That of the energy inside, as are all answers here."""
        return self.energy.value(x)

    def grad(self, x: Position) -> Any:
        """∇E(x)."""
        return Energy.grad(self, x) if "grad" in self.changes else self.energy.grad(x)

    def hvp(self, x: Position, v: Any) -> Any:
        """The Hessian at x applied to v."""
        return Energy.hvp(self, x, v) if "hvp" in self.changes else self.energy.hvp(x, v)

    def inverse_hvp(self, x: Position, v: Any, shift: Any = 0.0) -> Any:
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

    @property
    def smooth(self) -> Energy:
        """The smooth part: that of the energy inside, or this one where it is another energy."""
        return self if self._is_another else self.energy.smooth

    @property
    def nonsmooth(self) -> Proximable | None:
        """The proximable part, likewise."""
        return None if self._is_another else self.energy.nonsmooth

    def with_smooth(self, smooth: Energy) -> Energy:
        """The energy with its smooth part replaced."""
        return smooth if self._is_another else self.energy.with_smooth(smooth)

    @property
    def kinks(self) -> Energy | None:
        """The part with kinks or walls of the energy inside, or `None`."""
        return None if "kinks" in self.changes else self.energy.kinks

    @property
    def is_quadratic(self) -> bool:
        """Whether it is known to be a quadratic."""
        return False if self._is_another else self.energy.is_quadratic

    @property
    def modes(self) -> Modes | None:
        """The modes of the energy inside, or `None`."""
        return None if self._is_another else self.energy.modes

    @property
    def _is_another(self) -> bool:
        """Whether it falls apart otherwise than the energy inside: into parts, into modes."""
        return bool({"value", "grad"} & self.changes)
