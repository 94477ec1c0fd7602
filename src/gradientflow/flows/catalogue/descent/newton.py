"""Newton's flow: descent in the metric of the energy's own Hessian."""

from collections.abc import Callable
from typing import Any, ClassVar

from ...aliases import State, StepLength, Time
from ...checks import check_nonnegative
from ...energies.energy import Energy
from ...energies.energy import energy as as_energy
from ...facts import Decrease, OfParameter
from ...flow import FirstOrder, Flow
from ...linear.modes import modes_of
from ...numerics import inner, relaxed
from ...state import lift, lower


def _regularization(flow: Any) -> Any:
    return flow.regularization


class NewtonFlow(FirstOrder):
    r"""Newton's flow: $\dot x = -(H(x) + \varepsilon I)^{-1}\nabla E(x)$, H the Hessian.

    The state is the position. Units: x [X], t [1] (the metric is the Hessian), ε [E/X²].
    With ε = 0 the gradient shrinks along a straight line, $\nabla E(x(t)) = e^{-t}\nabla E(x_0)$, whatever E is: the
    flow is drawn to stationary points of every kind, and stops being defined where H is singular. On a quadratic
    $x(t) = x^* + e^{-t}(x_0 - x^*)$. Lyapunov function: $\tfrac12\|\nabla E\|^2$, with derivative $-\|\nabla E\|^2$;
    with ε > 0 it falls where H ≥ 0. Forward Euler with step η is Newton's method damped by η.

    Up to 200 unknowns the system is solved densely, beyond by conjugate gradients, which want H + εI > 0.

    Args:
        energy: the potential E.
        regularization: ε ≥ 0.

    Raises:
        ValueError: if `regularization` is negative.

    References:
        S. Smale, A convergent process of price adjustment and global Newton methods, J. Math. Econ. 3, 1976.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.NewtonFlow(gf.Quadratic([[1.0, 0.0], [0.0, 9.0]]))
        >>> flow.drift(0.0, gf.flows.as_floating([3.0, 1.0])).tolist()
        [-3.0, -1.0]
    """

    equation: ClassVar[str] = "ẋ = −(∇²E(x) + εI)⁻¹∇E(x)"
    facts: ClassVar[tuple[Decrease, ...]] = (
        Decrease(
            name="‖∇E‖² decays as exp(−2t)",
            statement=r"\tfrac{d}{dt}\tfrac12\|\nabla E\|^2 = -\|\nabla E\|^2",
            bound=lambda q: q["g"] * q["g"],
            wrong=(r"\tfrac{d}{dt}\tfrac12\|\nabla E\|^2 \le -2\|\nabla E\|^2", lambda q: 2 * q["g"] * q["g"]),
            assumption="on every E with an invertible Hessian",
            needs=(
                OfParameter("the regularization", "the regularization is 0", _regularization, lambda v: v == 0),
                "invertible",
            ),
            values=lambda s: {"regularization": 0},
        ),
    )
    energy: Energy
    regularization: Any

    def __init__(self, energy: Callable[[Any], Any], regularization: Any = 0.0) -> None:
        self.energy, self.regularization = as_energy(energy), regularization
        check_nonnegative("NewtonFlow", regularization=regularization)

    def drift(self, t: Time, z: State) -> State:
        """−(H(x) + εI)⁻¹∇E(x)."""
        x = lower(z)
        return -lift(self.energy.inverse_hvp(x, self.energy.grad(x), self.regularization))

    def solution(self, t: Time, z: State, h: StepLength) -> State:
        """Mode by mode x* + e^{−hλ/(λ+ε)}(x − x*)."""
        if not self.energy.is_quadratic:
            return Flow.solution(self, t, z, h)
        lam, into, back = modes_of(self, "solution")
        metric = lam + self.regularization
        return z - back(into(self.gradient(z)) * (relaxed(lam / metric, h) / metric))

    def lyapunov(self, t: Time, z: State) -> Any:
        """‖∇E(x)‖²/2."""
        gradient = self.gradient(z)
        return inner(gradient, gradient) / 2
