"""Sign descent in continuous time."""

from collections.abc import Callable
from typing import Any, ClassVar

from ...checks import check_nonnegative
from ...sets.norms.norm import Maximum
from .steepest import SteepestDescentFlow


class SignFlow(SteepestDescentFlow):
    r"""Sign descent in continuous time: $\dot x = -\operatorname{sign}(\nabla E(x))$, coordinate by coordinate.

    The state is the position, any pytree. It is steepest descent in the maximum norm, and the limit of Adam's flow for
    gradients that vary slowly. Lyapunov function: E, with $\dot E = -\|\nabla E\|_1$.

    Where ∂ᵢE = 0 the sign is 0. On such a surface the solution in the sense of Filippov slides; the field that jumps
    across it can't be followed by a solver. So the sign is softened, ∂ᵢE/√((∂ᵢE)² + δ²), which slides within O(δ) of
    it. Steps of an optimizer need no such smoothing: give δ = 0.

    Args:
        energy: the potential E.
        smoothing: δ ≥ 0 [E/X].

    Raises:
        ValueError: if δ < 0.

    References:
        J. Bernstein et al., signSGD: compressed optimisation for non-convex problems, ICML 2018.

    Example:
        >>> import gradientflow as gf
        >>> gf.SignFlow(gf.landscapes.bowl(), smoothing=0.0).drift(0.0, gf.flows.as_floating([3.0, -1.0])).tolist()
        [-1.0, 1.0]
    """

    equation: ClassVar[str] = "ẋ = −sign ∇E(x)"

    def __init__(self, energy: Callable[[Any], Any], smoothing: Any = 1e-4) -> None:
        check_nonnegative("SignFlow", smoothing=smoothing)
        super().__init__(energy, Maximum(), smoothing=smoothing)
