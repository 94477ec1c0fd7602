"""Steepest descent in a norm, in continuous time."""

import math
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from ...aliases import State, Time
from ...checks import check_nonnegative, check_number, in_a_line
from ...energies.energy import Energy
from ...energies.energy import energy as as_energy
from ...flow import FirstOrder
from ...sets.norms.norm import Norm
from ...state import lower


class SteepestDescentFlow(FirstOrder):
    r"""Steepest descent in a norm: $\dot x = -\|\nabla E\|_*^{1/(q-1)}\,v$, v the direction in which E rises most.

    $v = \arg\max_{\|v\| \le 1}\langle\nabla E, v\rangle$, and $\|\nabla E\|_*$, the dual norm, is that maximum. The
    state is the position, any pytree; the velocity is the w with the least $\langle\nabla E, w\rangle + \|w\|^q/q$.
    With q = ∞ the flow is normalized, of speed 1 in the norm; q = 2 is the one whose forward Euler steps lower a
    quadratic E for $h < 2/L$, L the `smoothness` of E in that norm. Lyapunov function: E, with $\dot E = -\|\nabla
    E\|_*^{q/(q-1)}$.

    | norm | normalized, by forward Euler |
    |---|---|
    | `norms.Euclidean()` | normalized gradient descent; `RescaledFlow` is its flow |
    | `norms.Maximum()` | sign descent; `SignFlow` is its flow |
    | `norms.Spectral()` of matrices | spectral descent: Muon and Shampoo without their averages |

    Where ∇E vanishes in part the direction jumps, and what a solver follows is softened, within O(δ) of the sliding
    solution. Steps of an optimizer need no such smoothing: give δ = 0.

    Args:
        energy: the potential E.
        norm: one of `norms`, or a subclass of `norms.Norm`.
        q: 2 ≤ q ≤ ∞.
        smoothing: δ ≥ 0 [E/X].

    Raises:
        TypeError: if `norm` is none.
        ValueError: if q < 2 or δ < 0.

    References:
        S. Boyd, L. Vandenberghe, Convex Optimization, 2004, section 9.4.
        J. Bernstein, L. Newhouse, Old optimizer, new norm: an anthology, arXiv:2409.20325, 2024.

    Example:
        >>> import gradientflow as gf
        >>> E = gf.MatrixLeastSquares([[1.0, 0.0], [0.0, 3.0]], [[1.0, 0.0], [0.0, 1.0]])
        >>> flow = gf.SteepestDescentFlow(E, gf.norms.Spectral(), smoothing=0.0)
        >>> flow.drift(0.0, gf.flows.as_floating([[2.0, 0.0], [0.0, 0.5]])).round(4) + 0.0
        Array([[-1.,  0.],
               [ 0., -1.]], dtype=...)
    """

    equation: ClassVar[str] = "ẋ = −‖∇E‖₊^(1/(q−1)) v, v the steepest direction of a norm"
    energy: Energy
    norm: Norm
    q: Any
    smoothing: Any

    def __init__(self, energy: Callable[[Any], Any], norm: Norm, q: Any = math.inf, smoothing: Any = 1e-4) -> None:
        if not isinstance(norm, Norm):
            raise TypeError(f"SteepestDescentFlow: `norm` must be one such as norms.Spectral(), got {in_a_line(norm)}")
        self.energy, self.norm, self.q, self.smoothing = as_energy(energy), norm, q, smoothing
        check_exponent("SteepestDescentFlow", q)
        check_nonnegative("SteepestDescentFlow", smoothing=smoothing)

    def drift(self, t: Time, z: State) -> State:
        """−‖∇E‖₊^{1/(q−1)} v(∇E), both softened."""
        return jax.tree.map(jnp.negative, self.norm.duality(self.gradient(z), 1 / (self.q - 1), self.smoothing))

    def lyapunov(self, t: Time, z: State) -> Any:
        """E(x)."""
        return self.energy.value(lower(z))


def check_exponent(where: str, q: Any) -> None:
    """Refuses what is no exponent of a rescaled flow.

    Raises:
        ValueError: naming q.
    """
    check_number(where, q=q)
    if isinstance(q, (int, float)) and not q >= 2:
        raise ValueError(f"{where}: `q` must be at least 2 (the gradient flow; math.inf is normalized), got {q}")
