"""Forward–backward splitting: explicit in the smooth part, implicit in the other."""

from typing import Any, ClassVar

from gradientflow.flows import Flow
from gradientflow.flows.aliases import State, StepLength, Time

from ..discretizer import Discretizer


class ForwardBackward(Discretizer):
    r"""Forward–backward: $x' = R_h(x - h\nabla E(x))$, with $R_h$ the resolvent of the part that isn't smooth.

    Of the gradient flow of a `Composite` energy f + g it is the proximal gradient method, with the ℓ1 norm also called
    ISTA, $x' = \operatorname{prox}_{hg}(x - h\nabla f(x))$; of `ProjectedFlow` projected gradient descent.

    Order 1. On convex energies it converges for h < 2/L, whatever the other part is; for h ≤ 1/L the energy falls, and
    $E_k - E^* \le \|x_0 - x^*\|^2/(2hk)$.

    References:
        P.-L. Lions, B. Mercier, Splitting algorithms for the sum of two nonlinear operators, SIAM J. Numer. Anal. 16,
        1979.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.ProjectedFlow(gf.landscapes.bowl(), gf.constraints.Box(1.0, 4.0))
        >>> gf.iterate(flow, gf.ForwardBackward(), [3.0, 1.5], step=0.1, steps=1).x[-1].round(4)
        Array([2.7, 1. ], dtype=...)
    """

    equation: ClassVar[str] = "z' = the resolvent of `nonsmooth` at z + h f_smooth(z)"
    order: ClassVar[int | None] = 1

    def step(self, flow: Flow, t: Time, z: State, h: StepLength, **_: Any) -> State:
        """`smooth` by its drift, `nonsmooth` by its resolvent."""
        forward = z + h * flow.parts["smooth"].drift(t, z)
        return flow.parts["nonsmooth"].resolvent(t + h, forward, h)
