"""Projected gradient flow: descent that a convex set holds in."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import jax

from ...aliases import Position, State, StepLength, Time
from ...checks import in_a_line
from ...energies.composite import Composite
from ...energies.energy import Energy
from ...energies.energy import energy as as_energy
from ...flow import Flow
from ...numerics import is_concrete, is_numeric
from ...sets.constraints import Constraint
from ...sets.penalties.indicator import Indicator
from ...state import lift, lower
from .gradient import GradientFlow


class ProjectedFlow(Flow):
    r"""Projected gradient flow: $\dot x = P_{T_C(x)}(-\nabla E(x))$, in a convex set C with tangent cones T_C.

    The state is the position. It is the least-speed element of the inclusion $\dot x \in -\nabla E(x) - N_C(x)$; at a
    bound it slides. Lyapunov function: E, with $\dot E = -\|\dot x\|^2$. It rests where −∇E is in the normal cone, the
    first-order condition of min E over C. Forward–backward of its parts is projected gradient descent.

    Off the set by a solver's error, a state stands for the nearest point in it, at which the field is asked.

    Its resolvent is the constrained proximal map: the y with $y = P_C(x - h\nabla E(y))$.

    Parts: `smooth` ẋ = −∇E, `nonsmooth` ẋ ∈ −N_C(x), whose resolvent is the projection. They are those of the gradient
    flow of E plus C's `penalties.Indicator`, which is this flow for starts and solvers that stay in the set.

    Args:
        energy: the potential E.
        constraint: C, such as `constraints.Box(0, 1)` or `constraints.Simplex()`.

    Raises:
        ValueError: for a start outside the set.

    References:
        A. Nagurney, D. Zhang, Projected Dynamical Systems and Variational Inequalities, 1996.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.ProjectedFlow(gf.landscapes.bowl(), gf.constraints.Box(1.0, 4.0))
        >>> flow.drift(0.0, gf.flows.as_floating([3.0, 1.0])).tolist()
        [-3.0, 0.0]
    """

    equation: ClassVar[str] = "ẋ = the projection of −∇E(x) on the tangent cone of C at x"
    energy: Energy
    constraint: Constraint

    def __init__(self, energy: Callable[[Any], Any], constraint: Any) -> None:
        if not isinstance(constraint, Constraint):
            raise TypeError(
                f"ProjectedFlow: `constraint` must be one such as constraints.Box(0, 1), got {in_a_line(constraint)}"
            )
        self.energy, self.constraint = as_energy(energy), constraint

    def init(self, x: Position) -> State:
        """The position itself, which must be in the set."""
        known = is_concrete(x) and all(map(is_numeric, jax.tree.leaves(x)))
        if known and not bool(self.constraint.contains(x)):
            raise ValueError(
                f"ProjectedFlow: `x0` must lie in the set, got {x}; start from the nearest point, "
                "flow.constraint.project(x0)"
            )
        return lift(x)

    def position(self, z: State) -> Position:
        """The point of the set nearest to the state."""
        return self.constraint.project(lower(z))

    def drift(self, t: Time, z: State) -> State:
        """P_T(−∇E(x)), at the point of the set nearest to the state."""
        x = self.position(z)
        return lift(self.constraint.project_tangent(x, jax.tree.map(lambda g: -g, self.energy.grad(x))))

    def residual(self, z: State) -> Any:
        """P_T(−∇E(x))."""
        return self.drift(None, z)

    def resolvent(self, t: Time, z: State, h: StepLength) -> State:
        """prox of h(E + the indicator of C)."""
        return self.held.resolvent(t, z, h)

    @property
    def held(self) -> GradientFlow:
        """The inclusion ẋ ∈ −∇E(x) − N_C(x), as the gradient flow of a composite energy."""
        return GradientFlow(Composite(self.energy, Indicator(self.constraint)))

    @property
    def parts(self) -> Mapping[str, Flow]:
        """`smooth` and `nonsmooth`."""
        return self.held.parts

    def lyapunov(self, t: Time, z: State) -> Any:
        """E(x)."""
        return self.energy.value(self.position(z))
