"""Douglas–Rachford splitting: implicit in both parts."""

from typing import Any, ClassVar

from gradientflow.flows import Flow
from gradientflow.flows.aliases import Position, State, StepLength, Time

from ..discretizer import Discretizer


class DouglasRachford(Discretizer):
    r"""Douglas–Rachford: $x = R_g(z)$, $y = R_f(2x - z)$, $z' = z + y - x$, with R the parts' resolvents over h.

    For a gradient flow of f + g the resolvents are proximal maps. The state is z; the iterates are the points x, which
    is where the part `nonsmooth` takes z: they satisfy its constraints. z starts where x₀ is, and does not stop at a
    minimizer: there $z = x + h\,p$ with p in ∂g(x) and −∇f(x).

    Order 1. On convex energies it converges for every h > 0, and $\|z_k - z^*\|$ never rises.

    References:
        J. Douglas, H. H. Rachford, On the numerical solution of heat conduction problems in two and three space
        variables, Trans. AMS 82, 1956.
        J. Eckstein, D. P. Bertsekas, On the Douglas–Rachford splitting method and the proximal point algorithm for
        maximal monotone operators, Math. Programming 55, 1992.

    Example:
        >>> import gradientflow as gf
        >>> E = gf.Composite(gf.Quadratic([[1.0]], [3.0]), gf.penalties.L1(1.0))
        >>> gf.iterate(gf.GradientFlow(E), gf.DouglasRachford(), [0.0], step=1.0, steps=30).x[-1].round(6)
        Array([2.], dtype=...)
    """

    equation: ClassVar[str] = "x = R_nonsmooth(z), y = R_smooth(2x − z), z' = z + y − x"
    order: ClassVar[int | None] = 1

    def step(self, flow: Flow, t: Time, z: State, h: StepLength, **_: Any) -> State:
        """Both parts by their resolvents, the second at the reflection of z in the first's."""
        parts = flow.parts
        x = parts["nonsmooth"].resolvent(t + h, z, h)
        return z + parts["smooth"].resolvent(t + h, 2 * x - z, h) - x

    def position(self, flow: Flow, z: State, h: StepLength) -> Position:
        """The point x that the first resolvent takes z to."""
        return flow.position(flow.parts["nonsmooth"].resolvent(None, z, h))
