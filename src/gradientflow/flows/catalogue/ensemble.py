"""Interacting particles: many positions of one energy, each moved by all."""

from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from ..checks import check_nonnegative, check_positive
from ..energies.energy import Energy
from ..energies.energy import energy as as_energy
from ..energies.wrapped import WrappedEnergy
from ..flow import Flow
from ..noise import Noise
from ..state import lift, lower
from .noisy.langevin import check_no_wall


class MeanEnergy(WrappedEnergy):
    """The mean of an energy over an ensemble: positions stacked along the leading axis of every array.

    Its minimum is the energy's own; where that has kinks or walls, so has it. How many particles there are it does not
    know, and so no minimizer and no curvature, which is the energy's over N.
    """

    changes: ClassVar[frozenset[str]] = frozenset(("value", "grad", "hvp", "inverse_hvp", "minimizer", "curvature"))

    energy: Energy = eqx.field(converter=as_energy)

    def value(self, x: Any) -> Any:
        """(1/N) Σⱼ E(xⱼ)."""
        return jnp.mean(jax.vmap(self.energy.value)(x))

    def grad(self, x: Any) -> Any:
        """∇E(xⱼ)/N, particle by particle."""
        return jax.tree.map(lambda leaf: leaf / len(leaf), jax.vmap(self.energy.grad)(x))

    def hvp(self, x: Any, v: Any) -> Any:
        """Each particle's Hessian, over N, applied to its own part of v."""
        return jax.tree.map(lambda leaf: leaf / len(leaf), jax.vmap(self.energy.hvp)(x, v))


class Ensemble(Flow):
    """A flow of particles: its positions are N positions of the energy, along the leading axis of every array."""

    def init(self, x: Any) -> Any:
        """The particles, at least two."""
        leaves = jax.tree.leaves(x)
        counts = {jnp.shape(leaf)[0] if jnp.ndim(leaf) else 0 for leaf in leaves}
        if len(counts) != 1 or min(counts) < 2:
            raise ValueError(
                f"{type(self).__name__}: `x0` must hold at least two particles along every array's leading axis, got "
                f"shapes {[jnp.shape(leaf) for leaf in leaves]}"
            )
        return lift(x)

    def position(self, z: Any) -> Any:
        """The particles."""
        return lower(z)

    def rows(self, z: Any) -> tuple[Any, Any, Callable[[Any], Any]]:
        """The particles and ∇E at each, as the rows of matrices, and such a matrix as a state again."""
        x = lower(z)
        unravel = ravel_pytree(jax.tree.map(lambda leaf: leaf[0], x))[1]
        matrix = jax.vmap(lambda one: ravel_pytree(one)[0])
        forces = matrix(lower(self.gradient(z)))
        # The gradient is that of the mean: N times smaller than the particles' own.
        return matrix(x), len(forces) * forces, lambda rows: lift(jax.vmap(unravel)(rows))


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

    def drift(self, t: Any, z: Any) -> Any:
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

    def drift(self, t: Any, z: Any) -> Any:
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

    def _sigma(self, t: Any, z: Any) -> Callable[[Any], Any]:
        x, _, state = self.rows(z)
        deviations = x - jnp.mean(x, axis=0)
        return lambda increment: state(jnp.sqrt(2 * self.temperature / len(x)) * (increment @ deviations))


def _pairs(z: Any) -> Any:
    leaf = jax.tree.leaves(z)[0]
    return jnp.zeros((len(leaf), len(leaf)), leaf.dtype)
