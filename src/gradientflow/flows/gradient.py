"""The gradient flow."""

from typing import Any, ClassVar

from .energies import Energy
from .flow import FirstOrder
from .modes import modes_of
from .numerics import relaxed
from .resolvent import prox
from .vectors import lower


class GradientFlow(FirstOrder):
    r"""Steepest descent in continuous time: $\dot x = -\nabla E(x)$.

    The state is the position. Units: x [X], t [T], E [X²/T] (the friction is 1).
    Lyapunov function: E, with $\dot E = -\|\nabla E\|^2$. On a quadratic, $x(t) = x^* + e^{-tH}(x_0 - x^*)$.
    Its resolvent is the proximal map of hE.

    Args:
        energy: the potential E.

    References:
        L. Ambrosio, N. Gigli, G. Savaré, Gradient Flows, 2nd ed. 2008, section 1.

    Example:
        >>> import gradientflow as gf
        >>> float(gf.GradientFlow(gf.energy(lambda x: x**2)).drift(0.0, 3.0))
        -6.0
    """

    equation: ClassVar[str] = "ẋ = −∇E(x)"
    energy: Energy

    def drift(self, t: Any, z: Any) -> Any:
        """−∇E(x)."""
        return -self.gradient(z)

    def resolvent(self, t: Any, z: Any, h: Any) -> Any:
        """prox_{hE}(x)."""
        return prox(self.energy, z, h)

    def solution(self, t: Any, z: Any, h: Any) -> Any:
        """x* + e^{−hH}(x − x*), mode by mode; a mode without curvature moves at constant speed."""
        lam, into, back = modes_of(self, "solution")
        return z - back(into(self.gradient(z)) * relaxed(lam, h))

    def lyapunov(self, t: Any, z: Any) -> Any:
        """E(x)."""
        return self.energy.value(lower(z))
