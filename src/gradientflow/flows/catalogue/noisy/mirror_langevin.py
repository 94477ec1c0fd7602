"""Mirror Langevin: noise that a geometry scales."""

from collections.abc import Callable
from typing import Any, ClassVar

from ...aliases import Position, State, Time
from ...checks import check_nonnegative
from ...energies.energy import Energy
from ...energies.energy import energy as as_energy
from ...flow import Flow
from ...noise import Noise
from ...sets.potentials.entropies import Entropy
from ...sets.potentials.potential import Potential
from ...state import lift, lower
from ..descent.mirror import MirrorFlow


class MirrorLangevin(Flow):
    r"""Mirror Langevin: $dy = -\nabla E(x)\,dt + \sqrt{2T}\,[\nabla^2\varphi(x)]^{1/2}dW$ with $y = \nabla\varphi(x)$.

    The state is the dual variable y, the position $x = \nabla\varphi^*(y)$, and the equation is Itô's. Stationary
    density of x ∝ e^{−E/T} on the potential's domain, which it never leaves: `potentials.PositiveEntropy()` samples
    positive quantities, `potentials.BoxEntropy(a, b)` a box. The noise is multiplicative: Euler–Maruyama of it has
    strong order 1/2, and is biased. It needs a density that vanishes at the domain's walls, as
    $x^{a-1}e^{-x}$ with a > 1 does at 0: where it does not (an exponential law, a uniform one) chains come so close to
    a wall that the noise throws them out at any step, and `sample` calls them lost. `Langevin` in another variable, log
    x say, with the density that it has there, is the way then.

    Args:
        energy: the potential E.
        potential: φ, on an open set; on the simplex the dual variable isn't unique.
        temperature: T ≥ 0; 0 is the mirror flow.

    Raises:
        TypeError: for `potentials.Entropy()`, or what is no potential.
        ValueError: if `temperature` is negative; for a start outside the potential's domain.

    References:
        K. S. Zhang, G. Peyré, J. Fadili, M. Pereyra, Wasserstein control of mirror Langevin Monte Carlo, COLT 2020,
        section 1.

    Example:
        >>> import jax.numpy as jnp, gradientflow as gf
        >>> E = gf.energy(lambda x: x[0] - 2 * jnp.log(x[0]))  # at T = 1/2 the law ∝ x⁴ e^{−2x}
        >>> flow = gf.MirrorLangevin(E, gf.potentials.PositiveEntropy(), temperature=0.5)
        >>> flow.diffusion(0.0, flow.init(gf.flows.as_floating([0.25])))(1.0).tolist()
        [2.0]
    """

    # What chains of it need, where they are lost otherwise: a shorter step would not help.
    needs: ClassVar[str] = "let the density e^{−E/T} vanish at the walls, which MirrorLangevin's chains need"
    equation: ClassVar[str] = "dy = −∇E(x) dt + √(2T) [∇²φ(x)]^{1/2} dW, y = ∇φ(x)"
    energy: Energy
    potential: Potential
    temperature: Any

    def __init__(self, energy: Callable[[Any], Any], potential: Any, temperature: Any = 1.0) -> None:
        if isinstance(potential, Entropy):
            raise TypeError(
                "MirrorLangevin: `potential` is the entropy of the simplex, where dual variables aren't unique; give "
                "one on an open set, such as potentials.BoxEntropy(0, 1)"
            )
        check_nonnegative("MirrorLangevin", temperature=temperature)
        self.energy, self.potential, self.temperature = as_energy(energy), potential, temperature
        MirrorFlow(energy, potential)

    @property
    def descent(self) -> MirrorFlow:
        """The same flow at temperature zero."""
        return MirrorFlow(self.energy, self.potential)

    def init(self, x: Position) -> State:
        """∇φ(x)."""
        return self.descent.init(x)

    def position(self, z: State) -> Position:
        """∇φ*(y)."""
        return self.descent.position(z)

    def drift(self, t: Time, z: State) -> State:
        """−∇E(∇φ*(y))."""
        return self.descent.drift(t, z)

    def residual(self, z: State) -> Any:
        """The mirror flow's."""
        return self.descent.residual(z)

    @property
    def noise(self) -> Noise:
        """√(2T) [∇²φ(x)]^{1/2} dW, one Brownian motion a coordinate, scaled by the geometry at x."""
        return Noise(lambda z: z, self._sigma, additive=False)

    def _sigma(self, t: Time, z: State) -> Callable[[Any], Any]:
        root = self.potential.root(self.position(z))
        return lambda increment: (2 * self.temperature) ** 0.5 * lift(root(lower(increment)))
