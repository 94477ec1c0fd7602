"""Stein variational gradient flow."""

from collections.abc import Callable
from typing import Any, ClassVar

import jax.numpy as jnp

from ...aliases import State, Time
from ...checks import check_nonnegative, check_positive
from ...energies.energy import Energy
from ...energies.energy import energy as as_energy
from ...energies.mean import MeanEnergy
from ..ensemble import Ensemble
from ..noisy.langevin import check_no_wall


class SteinFlow(Ensemble):
    r"""Stein variational gradient flow: descent of particles that keep apart.

    $\dot x_i = \tfrac1N\sum_j \bigl(-k(x_j, x_i)\nabla E(x_j) + T\nabla_{x_j}k(x_j, x_i)\bigr)$ with the Gaussian
    kernel $k(x, y) = e^{-\|x-y\|^2/2\ell^2}$. The particles' distribution tends to e^{−E/T} as N grows. There is no
    noise; forward Euler of it is Stein variational gradient descent.

    Args:
        energy: the potential E of one particle.
        temperature: T ≥ 0.
        bandwidth: ℓ [X]. Unless given, the median distance of the particles over √(2 log(N + 1)), at each time anew.

    Raises:
        ValueError: if a number is out of its range, or there are fewer than two particles.

    References:
        Q. Liu, D. Wang, Stein variational gradient descent: a general purpose Bayesian inference algorithm, NeurIPS
        2016, algorithm 1 and section 5.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.SteinFlow(gf.energy(lambda x: x**2 / 2), temperature=1.0, bandwidth=1.0)
        >>> end = gf.integrate(flow, [-0.1, 0.1], 50.0).x[-1]
        >>> [round(float(x), 3) for x in end]  # a, with e^{−2a²}(1 + 2) = 1
        [-0.741, 0.741]
    """

    equation: ClassVar[str] = "ẋᵢ = (1/N) Σⱼ −k(xⱼ, xᵢ)∇E(xⱼ) + T ∇k(xⱼ, xᵢ)"
    energy: Energy
    temperature: Any
    bandwidth: Any

    def __init__(self, energy: Callable[[Any], Any], temperature: Any = 1.0, bandwidth: Any = None) -> None:
        check_nonnegative("SteinFlow", temperature=temperature)
        if bandwidth is not None:
            check_positive("SteinFlow", bandwidth=bandwidth)
        check_no_wall("SteinFlow", as_energy(energy), "the particles' repulsion")
        self.energy, self.temperature, self.bandwidth = MeanEnergy(energy), temperature, bandwidth

    def drift(self, t: Time, z: State) -> State:
        """The kernel's mean of −∇E, and its repulsion."""
        x, forces, state = self.rows(z)
        away = x[:, None, :] - x[None, :, :]
        squares = jnp.sum(away**2, axis=-1)
        width = self._squared_bandwidth(squares)
        kernel = jnp.exp(-squares / (2 * width))
        # ∇_{xⱼ} k(xⱼ, xᵢ) = k (xᵢ − xⱼ)/ℓ².
        repulsion = jnp.sum(kernel[:, :, None] * away, axis=1) / width
        return state((self.temperature * repulsion - kernel @ forces) / len(x))

    def _squared_bandwidth(self, squares: Any) -> Any:
        if self.bandwidth is not None:
            return jnp.asarray(self.bandwidth, squares.dtype) ** 2
        n = len(squares)
        median = jnp.median(squares[jnp.triu_indices(n, 1)])
        return jnp.maximum(median / (2 * jnp.log(n + 1.0)), jnp.finfo(squares.dtype).tiny)
