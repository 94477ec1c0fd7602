"""The exact flow map, where a closed form is known."""

from typing import Any, ClassVar

from gradientflow.flows import Flow, exact_transition
from gradientflow.flows.aliases import Increment, State, StepLength, Time

from ..discretizer import Discretizer


class ExactSolution(Discretizer):
    r"""The flow itself, sampled: $z' = \varphi_h(z)$ in closed form. For gradient flow and heavy ball on quadratics.

    It has every order and no step-size limit of its own: what other schemes are compared with.

    References:
        M. Hochbruck, A. Ostermann, Exponential integrators, Acta Numerica 19, 2010.
        D. T. Gillespie, Exact numerical simulation of the Ornstein–Uhlenbeck process and its integral, Phys. Rev. E 54,
        1996, for noise.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.GradientFlow(gf.Quadratic([[1.0, 0.0], [0.0, 4.0]]))
        >>> gf.iterate(flow, gf.ExactSolution(), [1.0, 1.0], step=1.0, steps=1).x[-1].round(4)
        Array([0.3679, 0.0183], dtype=...)
    """

    equation: ClassVar[str] = "z' = φ_h(z), the flow itself in closed form"

    def step(self, flow: Flow, t: Time, z: State, h: StepLength, *, noise: Increment = None, **_: Any) -> State:
        """The flow's closed form over h."""
        return flow.solution(t, z, h) if noise is None else exact_transition(flow, t, z, h, noise)

    def increments(self, flow: Flow, z: State) -> int:
        """As many as the flow's transition takes."""
        return 1 if flow.noise is None else flow.noise.parts
