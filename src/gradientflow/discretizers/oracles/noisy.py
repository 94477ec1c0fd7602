"""Noisy gradients: with Gaussian noise added, or estimated from two values of the energy."""

from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from gradientflow.flows import (
    Energy,
    Flow,
    WrappedEnergy,
    check_energy,
    check_nonnegative,
    check_number,
    check_rate,
    drawn,
    inner,
    is_concrete,
    with_smooth_part,
)
from gradientflow.flows.aliases import Position

from ..oracle import RandomOracle


class NoisyGradient(RandomOracle):
    r"""Noisy descent: the flow with $\nabla E + \sigma\xi_k$ in place of ∇E, $\xi_k$ standard normal, new every step.

    Within a step the noise is the same everywhere: the step sees the tilted energy $E + \sigma\langle\xi_k, x\rangle$,
    value and gradient alike. Gradient descent then adds noise of the size ησ a step. On a mode of curvature λ it comes
    to rest with the variance $\eta\sigma^2/(\lambda(2-\eta\lambda))$; it leaves a strict saddle along the directions of
    negative curvature. With σ = √(2T/h) forward Euler is the Euler–Maruyama step of `Langevin` at temperature T.

    Args:
        scale: σ ≥ 0, the standard deviation of each entry of the gradient's noise [E/X]; a number, or an array that
            goes with every leaf of the position.

    Raises:
        ValueError: if it is negative or not finite.

    References:
        R. Ge, F. Huang, C. Jin, Y. Yuan, Escaping from saddle points: online stochastic gradient for tensor
        decomposition, COLT 2015, algorithm 1.

    Example:
        >>> import gradientflow as gf, jax
        >>> method = gf.optimizers.gradient_descent(gf.energy(lambda x: x[0] ** 2 - x[1] ** 2), lr=0.1)
        >>> run = method.iterate([1.0, 0.0], 60, oracle=gf.NoisyGradient(0.01), key=jax.random.key(0))
        >>> bool(abs(run.x[-1, 1]) > 1 > abs(run.x[-1, 0]))  # without noise it would end on the saddle
        True
    """

    equation: ClassVar[str] = "∇E + σξ, ξ standard normal"
    scale: Any

    def __init__(self, scale: Any) -> None:
        check_number("NoisyGradient", scale=scale)
        for entry in np.ravel(scale) if is_concrete(scale) else ():
            check_nonnegative("NoisyGradient", scale=entry)
        self.scale = scale

    def __call__(self, flow: Flow, key: Any, k: Any) -> Flow:
        """The flow of the tilted energy."""
        return with_smooth_part(flow, TiltedEnergy(flow.energy.smooth, key, self.scale))


class TiltedEnergy(WrappedEnergy):
    r"""$E(x) + \sigma\langle\xi, x\rangle$ with ξ drawn from a key; made by `NoisyGradient`."""

    changes: ClassVar[frozenset[str]] = frozenset(("value", "grad", "minimizer", "minimum"))

    energy: Energy
    key: Any
    scale: Any

    def value(self, x: Position) -> Any:
        """E(x) + σ⟨ξ, x⟩."""
        return self.energy.value(x) + inner(self._tilt(x), x)

    def grad(self, x: Position) -> Any:
        """∇E(x) + σξ."""
        return jax.tree.map(jnp.add, self.energy.grad(x), self._tilt(x))

    def _tilt(self, x: Position) -> Any:
        return jax.tree.map(lambda xi: self.scale * xi, _drawn(jax.random.normal, self.key, x))


class SPSAGradient(RandomOracle):
    r"""Simultaneous perturbation: $\hat g = \frac{E(x + c\Delta) - E(x - c\Delta)}{2c}\,\Delta$ in place of ∇E.

    Δ has independent signs ±1, new at every step: two values of E for a gradient, however many unknowns. It is unbiased
    up to O(c²), and exactly so on quadratics; but it is noisy, $\mathbb E\|\hat g\|^2 = n\|\nabla E\|^2$ for small c in
    n unknowns, so that steps must be about n times shorter than those of gradient descent.

    Args:
        width: c > 0 [X], or a schedule k ↦ c. Spall's is $c/(k+1)^{0.101}$.

    Raises:
        ValueError: if it is a number that is not finite and positive.

    References:
        J. C. Spall, Multivariate stochastic approximation using a simultaneous perturbation gradient approximation,
        IEEE Trans. Automat. Control 37, 1992.

    Example:
        >>> import gradientflow as gf, jax
        >>> method = gf.optimizers.gradient_descent(gf.Quadratic([[1.0, 0.0], [0.0, 2.0]]), lr=0.1)
        >>> run = method.iterate([3.0, 1.0], 300, oracle=gf.SPSAGradient(0.1), key=jax.random.key(0))
        >>> bool(abs(run.x[-1]).max() < 1e-3)
        True
    """

    equation: ClassVar[str] = "Δ(E(x + cΔ) − E(x − cΔ))/(2c), Δ random signs"
    width: Any

    def __init__(self, width: Any) -> None:
        check_rate("SPSAGradient", width=width)
        self.width = width

    def __call__(self, flow: Flow, key: Any, k: Any) -> Flow:
        """The flow of the estimated gradient."""
        check_energy("SPSAGradient", flow, "its estimate is made of values: give NoisyGradient(scale)")
        width = self.width(k) if callable(self.width) else self.width
        return with_smooth_part(flow, PerturbedEnergy(flow.energy.smooth, key, width))


class PerturbedEnergy(WrappedEnergy):
    """An energy with its gradient estimated along a random direction, and all else as it was: `SPSAGradient`'s."""

    changes: ClassVar[frozenset[str]] = frozenset(("grad",))

    energy: Energy
    key: Any
    width: Any

    def grad(self, x: Position) -> Any:
        """The difference quotient along Δ, times Δ."""
        signs = _drawn(jax.random.rademacher, self.key, x)
        ahead = jax.tree.map(lambda leaf, sign: leaf + self.width * sign, x, signs)
        behind = jax.tree.map(lambda leaf, sign: leaf - self.width * sign, x, signs)
        slope = (self.energy.value(ahead) - self.energy.value(behind)) / (2 * self.width)
        return jax.tree.map(lambda sign: slope * sign, signs)


def _drawn(draw: Callable[..., Any], key: Any, like: Any) -> Any:
    return drawn(draw, jax.random.split(key, len(jax.tree.leaves(like))), like)
