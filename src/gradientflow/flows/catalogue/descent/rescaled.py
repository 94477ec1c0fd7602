"""The rescaled and the normalized gradient flow, whose speed does not follow the gradient's size."""

import math
from collections.abc import Callable
from typing import Any, ClassVar

from ...checks import check_nonnegative
from ...sets.norms.norm import Euclidean
from .steepest import SteepestDescentFlow, check_exponent


class RescaledFlow(SteepestDescentFlow):
    r"""The rescaled gradient flow: $\dot x = -\nabla E(x)/\|\nabla E(x)\|^{(q-2)/(q-1)}$, for q > 2 in finite time.

    The state is the position, any pytree; the norm is the Euclidean one over all of it. q = 2 is the gradient flow, q
    = ∞ (`math.inf`) the normalized one, of speed 1. Its paths are the gradient flow's, in another time. Lyapunov
    function: E, with $\dot E = -\|\nabla E\|^{q/(q-1)}$. Where $\|\nabla E\|^2 \ge 2\mu(E - E^*)$, the minimum is
    reached by $T = (E_0 - E^*)^{1-s/2}/((1 - s/2)(2\mu)^{s/2})$, s = q/(q − 1), and E stays there.

    At ∇E = 0 the field is 0, its limit for q < ∞ and the least element of its set-valued closure for q = ∞. The norm is
    softened, √(‖∇E‖² + δ²): the last stretch, of length O(δ/μ), becomes an exponential approach that a solver can
    follow. Steps of an optimizer need no such smoothing: give δ = 0.

    Args:
        energy: the potential E.
        q: 2 ≤ q ≤ ∞.
        smoothing: δ ≥ 0 [E/X].

    Raises:
        ValueError: if q < 2 or δ < 0.

    References:
        O. Romero, M. Benosman, Finite-time convergence in continuous-time optimization, ICML 2020.
        J. Cortés, Finite-time convergent gradient flows with applications to network consensus, Automatica 42, 2006.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.RescaledFlow(gf.landscapes.bowl(1.0, 1.0))
        >>> flow.drift(0.0, gf.flows.as_floating([3.0, 4.0])).round(4).tolist()
        [-0.6, -0.8]
    """

    equation: ClassVar[str] = "ẋ = −∇E(x)/‖∇E(x)‖^((q−2)/(q−1))"

    def __init__(self, energy: Callable[[Any], Any], q: Any = math.inf, smoothing: Any = 1e-6) -> None:
        check_exponent("RescaledFlow", q)
        check_nonnegative("RescaledFlow", smoothing=smoothing)
        super().__init__(energy, Euclidean(), q, smoothing)
