"""Sign descent in continuous time."""

from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from ...checks import check_nonnegative
from ...energies.energy import Energy
from ...energies.energy import energy as as_energy
from ...flow import FirstOrder
from ...state import lower


class SignFlow(FirstOrder):
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
    energy: Energy
    smoothing: Any

    def __init__(self, energy: Callable[[Any], Any], smoothing: Any = 1e-4) -> None:
        self.energy, self.smoothing = as_energy(energy), smoothing
        check_nonnegative("SignFlow", smoothing=smoothing)

    def drift(self, t: Any, z: Any) -> Any:
        """−∂ᵢE/√((∂ᵢE)² + δ²); 0 where ∂ᵢE is."""

        def signed(gradient: Any) -> Any:
            size = jnp.hypot(gradient, jnp.asarray(self.smoothing, gradient.dtype))
            return -gradient / jnp.where(size == 0, 1, size)

        return jax.tree.map(signed, self.gradient(z))

    def lyapunov(self, t: Any, z: Any) -> Any:
        """E(x)."""
        return self.energy.value(lower(z))
