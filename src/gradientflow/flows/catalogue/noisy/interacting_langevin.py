"""Affine invariant Langevin dynamics of particles."""

from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from ...aliases import State, Time
from ...checks import check_nonnegative
from ...energies.energy import Energy
from ...energies.energy import energy as as_energy
from ...energies.mean import MeanEnergy
from ...noise import Noise
from ..ensemble import Ensemble
from .langevin import check_no_wall


class InteractingLangevin(Ensemble):
    r"""Affine invariant Langevin dynamics of N particles, preconditioned by their own covariance C.

    $dx_i = -C\nabla E(x_i)\,dt + T\tfrac{d+1}{N}(x_i - \bar x)\,dt + \sqrt{2T/N}\sum_j(x_j - \bar x)\,dW_{ij}$ (Itô).
    The particles are independent draws of e^{−E/T} in the stationary state, for N > d + 1 without bias, and an affine
    change of coordinates changes nothing: however long and thin the valley, it is a round one.

    Args:
        energy: the potential E of one particle.
        temperature: T ≥ 0.

    Raises:
        ValueError: if `temperature` is negative, or there are fewer than two particles.

    References:
        A. Garbuno-Inigo, N. Nüsken, S. Reich, Affine invariant interacting Langevin dynamics for Bayesian inference,
        SIAM J. Appl. Dyn. Syst. 19, 2020, section 2.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.InteractingLangevin(gf.energy(lambda x: x**2 / 2), temperature=1.0)
        >>> flow.drift(0.0, gf.flows.as_floating([-1.0, 0.0, 2.0])).round(3)
        Array([ 0.667, -0.222, -2.   ], dtype=...)
    """

    equation: ClassVar[str] = "dxᵢ = −C∇E(xᵢ) dt + T (d+1)/N (xᵢ − x̄) dt + √(2T/N) Σⱼ (xⱼ − x̄) dWᵢⱼ"
    energy: Energy
    temperature: Any

    def __init__(self, energy: Callable[[Any], Any], temperature: Any = 1.0) -> None:
        check_nonnegative("InteractingLangevin", temperature=temperature)
        check_no_wall("InteractingLangevin", as_energy(energy), "noise")
        self.energy, self.temperature = MeanEnergy(energy), temperature

    def drift(self, t: Time, z: State) -> State:
        """−C∇E(xᵢ), and what makes up for C moving with the particles."""
        x, forces, state = self.rows(z)
        deviations = x - jnp.mean(x, axis=0)
        n, d = x.shape
        descent = -(forces @ deviations.T) @ deviations / n
        return state(descent + self.temperature * (d + 1) / n * deviations)

    @property
    def noise(self) -> Noise:
        """√(2T/N) Σⱼ (xⱼ − x̄) dWᵢⱼ, one Brownian motion for every pair; it is made of the particles' own deviations."""
        return Noise(_pairs, self._sigma, additive=False)

    def _sigma(self, t: Time, z: State) -> Callable[[Any], Any]:
        x, _, state = self.rows(z)
        deviations = x - jnp.mean(x, axis=0)
        return lambda increment: state(jnp.sqrt(2 * self.temperature / len(x)) * (increment @ deviations))


def _pairs(z: State) -> Any:
    leaf = jax.tree.leaves(z)[0]
    return jnp.zeros((len(leaf), len(leaf)), leaf.dtype)
