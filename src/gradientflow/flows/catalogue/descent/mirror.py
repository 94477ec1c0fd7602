"""Mirror flow: descent of the dual variable of a convex potential."""

from collections.abc import Callable
from typing import Any, ClassVar

from ...aliases import Position, State, Time
from ...checks import in_a_line
from ...energies.energy import Energy
from ...energies.energy import energy as as_energy
from ...flow import Flow
from ...numerics import is_concrete
from ...sets.potentials.potential import Potential
from ...state import lift, lower


class MirrorFlow(Flow):
    r"""Mirror flow: $\tfrac{d}{dt}\nabla\varphi(x) = -\nabla E(x)$, for a strictly convex potential φ.

    The state is the dual variable $y = \nabla\varphi(x)$, in which forward Euler is mirror descent; the position is
    $x = \nabla\varphi^*(y)$. Units: x [X], E and φ [X²/T] and [X²].
    Lyapunov functions: E, and on convex energies the Bregman divergence $D_\varphi(x^*, x)$. With the entropy it is the
    replicator equation $\dot x_i = -x_i(\partial_i E - \sum_j x_j\partial_j E)$ on the simplex, whose faces it never
    leaves or enters; on a linear energy $\langle c, x\rangle$ it is $x_i \propto x_i(0)e^{-tc_i}$.

    Args:
        energy: the potential E.
        potential: φ, such as `potentials.Entropy()`; any convex function is one, `potentials.potential(fn)`.

    Raises:
        ValueError: for a start outside the potential's domain.

    References:
        A. Nemirovski, D. Yudin, Problem Complexity and Method Efficiency in Optimization, 1983.
        A. Beck, M. Teboulle, Mirror descent and nonlinear projected subgradient methods, Oper. Res. Lett. 31, 2003.

    Example:
        >>> import gradientflow as gf
        >>> E = gf.energy(lambda x: x[0] + 2 * x[1])
        >>> flow = gf.MirrorFlow(E, gf.potentials.Entropy())
        >>> run = gf.iterate(flow, gf.ForwardEuler(), [0.5, 0.5], step=0.1, steps=10)
        >>> run.x[-1].round(4)
        Array([0.7311, 0.2689], dtype=...)
    """

    equation: ClassVar[str] = "d/dt ∇φ(x) = −∇E(x)"
    energy: Energy
    potential: Potential

    def __init__(self, energy: Callable[[Any], Any], potential: Any) -> None:
        if not isinstance(potential, Potential):
            raise TypeError(
                f"MirrorFlow: `potential` must be one such as potentials.Entropy(), "
                f"got {in_a_line(potential)}; make one of a "
                "convex function by potentials.potential(fn)"
            )
        self.energy, self.potential = as_energy(energy), potential

    def init(self, x: Position) -> State:
        """∇φ(x)."""
        if is_concrete(x):
            self.potential.check(x)
        return lift(self.potential.gradient(x))

    def position(self, z: State) -> Position:
        """∇φ*(y)."""
        return self.potential.inverse(lower(z))

    def drift(self, t: Time, z: State) -> State:
        """−∇E(∇φ*(y))."""
        return -lift(self.energy.grad(self.position(z)))

    def residual(self, z: State) -> Any:
        """∇²φ*(y)∇E, the position's velocity; of what a wall all but stops, what leads away from the wall in full."""
        x = self.position(z)
        return lift(self.potential.unbalanced(x, self.energy.grad(x)))

    def lyapunov(self, t: Time, z: State) -> Any:
        """E(x)."""
        return self.energy.value(self.position(z))
