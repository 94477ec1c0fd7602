"""The alternating direction method of multipliers, for a sum f + g of one unknown."""

from typing import Any, ClassVar

from gradientflow.flows import Flow
from gradientflow.flows.aliases import State, StepLength, Time

from ..discretizer import Discretizer


class ADMM(Discretizer):
    r"""ADMM: $y = R_f(x - u)$, $x' = R_g(y + u)$, $u' = u + y - x'$, with R the parts' resolvents over h.

    The alternating direction method of multipliers for $\min f(y) + g(x)$ subject to y = x, in scaled form: h is one
    over the penalty parameter ρ, u the multiplier over ρ. For a gradient flow of f + g the resolvents are proximal
    maps. The iterates are the points x, which satisfy g's constraints; u is the memory, 0 at the start.

    It is `DouglasRachford` in other variables: $z = y + u$ is its state. Order 1. On convex energies it converges for
    every h > 0.

    References:
        S. Boyd, N. Parikh, E. Chu, B. Peleato, J. Eckstein, Distributed optimization and statistical learning via the
        alternating direction method of multipliers, Foundations and Trends in Machine Learning 3, 2011, section 3.1.1.
        D. Gabay, Applications of the method of multipliers to variational inequalities, 1983.

    Example:
        >>> import gradientflow as gf
        >>> E = gf.Composite(gf.Quadratic([[1.0]], [3.0]), gf.penalties.L1(1.0))
        >>> gf.iterate(gf.GradientFlow(E), gf.ADMM(), [0.0], step=1.0, steps=30).x[-1].round(6)
        Array([2.], dtype=...)
    """

    equation: ClassVar[str] = "y = R_smooth(x − u), x' = R_nonsmooth(y + u), u' = u + y − x'"
    order: ClassVar[int | None] = 1

    def init(self, flow: Flow, t: Time, z: State, h: StepLength) -> Any:
        """The multiplier, 0."""
        return 0 * z

    def step(self, flow: Flow, t: Time, z: State, h: StepLength, *, memory: Any = None, **_: Any) -> State:
        """Both parts by their resolvents, one after the other, then the multiplier."""
        parts = flow.parts
        y = parts["smooth"].resolvent(t + h, z - memory, h)
        x = parts["nonsmooth"].resolvent(t + h, y + memory, h)
        return x, memory + y - x
