"""The accelerated flows of any order, and in any geometry: Bregman Lagrangians with polynomial weights."""

from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from ...aliases import Position, Time
from ...checks import check_clock, check_number, check_positive, in_a_line
from ...energies.energy import Energy
from ...energies.energy import energy as as_energy
from ...flow import Flow
from ...numerics import is_concrete
from ...sets.potentials.potential import Euclidean, Potential
from ...state import Vector, lift, lower


class CoupledState(Vector):
    """A position and the dual variable that pulls it.

    Attributes:
        x: position [X].
        y: dual variable ∇φ(w) of the point w that x runs after, shaped like the position.
    """

    x: Any
    y: Any


class BregmanFlow(Flow):
    r"""The accelerated flow: $\dot x = \tfrac pt(w - x)$, $\dot y = -Cpt^{p-1}\nabla E(x)$, $y = \nabla\varphi(w)$.

    State `CoupledState(x, y)`, from w = x at t = 0. In the Euclidean geometry it is
    $\ddot x + \tfrac{p+1}t\dot x + Cp^2t^{p-2}\nabla E(x) = 0$; p = 2 and C = 1/4 is Nesterov's flow with r = 3.
    Units: x [X], φ [X²], t [T], $CE$ [X²/T^p].
    On convex energies $E - E^* \le D_\varphi(x^*, x_0)/(Ct^p)$, since $Ct^p(E - E^*) + D_\varphi(x^*, w)$ falls. On any
    energy $V = E + D_\varphi(x, w)/(Ct^p)$ falls, with $\dot V = -\frac{p}{Ct^{p+1}}\left(D_\varphi(x, w) +
    \langle\nabla\varphi(x) - \nabla\varphi(w), x - w\rangle\right)$. All orders are one path: p runs on the clock
    $t^{p/2}$ of p = 2.

    Args:
        energy: the potential E.
        p: the order, > 1.
        strength: C > 0; 1/p² unless given, which makes the force ∇E for p = 2.
        potential: φ; Euclidean unless given.

    Raises:
        ValueError: if p ≤ 1 or C ≤ 0, or for a start outside the potential's domain.

    References:
        A. Wibisono, A. C. Wilson, M. I. Jordan, A variational perspective on accelerated methods in optimization, PNAS
        113, 2016. W. Krichene, A. Bayen, P. Bartlett, Accelerated mirror descent in continuous and discrete time, 2015.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.BregmanFlow(gf.energy(lambda x: x**2 / 2))
        >>> float(flow.drift(2.0, flow.init(3.0)).y)
        -3.0
    """

    equation: ClassVar[str] = "ẋ = (p/t)(w − x), d/dt ∇φ(w) = −Cp t^(p−1) ∇E(x)"
    energy: Energy
    p: Any
    strength: Any
    potential: Potential

    def __init__(self, energy: Callable[[Any], Any], p: Any = 2.0, strength: Any = None, potential: Any = None) -> None:
        check_number("BregmanFlow", p=p)
        if isinstance(p, (int, float)) and not p > 1:
            raise ValueError(f"BregmanFlow: `p` must be more than 1, got {p}; p = 1 is MirrorFlow's rate")
        self.energy, self.p = as_energy(energy), p
        self.strength = 1 / (p * p) if strength is None else strength
        self.potential = Euclidean() if potential is None else potential
        check_positive("BregmanFlow", strength=self.strength)
        if not isinstance(self.potential, Potential):
            raise TypeError(
                f"BregmanFlow: `potential` must be one such as potentials.Entropy(), got {in_a_line(potential)}"
            )

    def init(self, x: Position) -> CoupledState:
        """(x, ∇φ(x)): w = x."""
        if is_concrete(x):
            self.potential.check(x)
        return CoupledState(lift(x), lift(self.potential.gradient(x)))

    def position(self, z: CoupledState) -> Position:
        """x."""
        return lower(z.x)

    def velocity(self, z: CoupledState) -> Any:
        """w − x, to which the velocity is proportional."""
        return self._ahead(z)

    def check_start(self, t: Time, z: CoupledState) -> None:
        """At t = 0 the point w must be x."""
        apart = jax.tree.map(_beyond_rounding, lift(self.potential.gradient(lower(z.x))), z.y)
        check_clock("BregmanFlow", t, w_minus_x=apart)

    def drift(self, t: Time, z: CoupledState) -> CoupledState:
        """(p(w − x)/t, −Cpt^(p−1)∇E(x)); at t = 0 both vanish, for w − x is of order t^p."""
        started = t != 0
        pull = jnp.where(started, self.p / jnp.where(started, t, 1), 0)
        push = self.strength * self.p * t ** (self.p - 1)
        return CoupledState(pull * self._ahead(z), -(push * self.gradient(z.x)))

    def lyapunov(self, t: Time, z: CoupledState) -> Any:
        """E(x) + D_φ(x, w)/(Ct^p); at t = 0 its limit, E(x)."""
        started = t != 0
        apart = self.potential.divergence(lower(z.x), self.potential.inverse(lower(z.y)))
        weight = jnp.where(started, 1 / (self.strength * jnp.where(started, t, 1) ** self.p), 0)
        return self.energy.value(lower(z.x)) + weight * apart

    def _ahead(self, z: CoupledState) -> Any:
        return lift(self.potential.inverse(lower(z.y))) - z.x


def _beyond_rounding(expected: Any, dual: Any) -> Any:
    """By how much two dual variables differ, where that is more than the rounding of ∇φ."""
    apart = jnp.abs(dual - expected)
    return jnp.where(apart > 1e3 * jnp.finfo(apart.dtype).eps * (1 + jnp.abs(expected)), apart, 0)
