"""Stochastic gradient descent as a diffusion: its stochastic modified equations."""

from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from ...aliases import State, Time
from ...checks import check_integer, check_positive
from ...energies.energy import Energy
from ...energies.sums import MeanOverExamples
from ...flow import FirstOrder, UnansweredQuestionError
from ...noise import Noise
from ...numerics import dtype_of, is_numeric
from ...state import lift, lower


class SGDDiffusion(FirstOrder):
    r"""The stochastic modified equation of minibatch descent: $dx = -\nabla E\,dt + \sqrt h\,\Sigma(x)^{1/2}dW$.

    Σ(x) is the covariance of a batch's gradient, that of one example's over the batch size, for batches drawn with
    replacement. To first order, the law of descent with step h tends to it weakly at order 1; to second order the drift
    is $-\nabla(E + \tfrac h4\|\nabla E\|^2)$ and the order 2. The step is in the flow: to other steps belong other
    flows. Itô's equation; the noise changes with x.

    In place of the root of Σ stands a factor with as many columns as there are examples:
    $\Sigma = \tfrac1{NB}\sum_i(g_i - \bar g)(g_i - \bar g)^\top$ for N Brownian motions, one an example.

    Args:
        energy: a mean over N examples.
        step: h [T], the step of the descent it stands for.
        batch_size: B.
        approximation: to which order, 1 or 2.

    Raises:
        TypeError: if the energy is no `MeanOverExamples`, or counts aren't integers.
        ValueError: if a number is not positive, or the order is neither 1 nor 2.

    References:
        Q. Li, C. Tai, W. E, Stochastic modified equations and adaptive stochastic gradient algorithms, ICML 2017,
        theorem 1.

    Example:
        >>> import gradientflow as gf
        >>> E = gf.FiniteSum(lambda x, d: (x - d) ** 2 / 2, [1.0, 3.0])
        >>> flow = gf.SGDDiffusion(E, step=0.5, batch_size=2)
        >>> float(flow.diffusion(0.0, 0.0)(gf.flows.as_floating([1.0, -1.0])))  # √h (g₁ − g₂)/2 √(2/(NB))
        0.7071067811865476
    """

    equation: ClassVar[str] = "dx = −∇(E + (h/4)‖∇E‖²) dt + √h Σ(x)^{1/2} dW; to first order without h/4"
    energy: Energy
    h: Any
    batch_size: int
    approximation: int = eqx.field(static=True)
    examples: int = eqx.field(static=True)

    def __init__(self, energy: Any, step: Any, batch_size: Any = 1, approximation: Any = 1) -> None:
        if not isinstance(energy, MeanOverExamples):
            raise TypeError(
                f"SGDDiffusion: `energy` must be a mean over examples, FiniteSum(loss, data) say, got "
                f"{type(energy).__name__}"
            )
        check_positive("SGDDiffusion", step=step)
        check_integer("SGDDiffusion", 1, batch_size=batch_size, approximation=approximation)
        if approximation > 2:
            raise ValueError(f"SGDDiffusion: `approximation` must be 1 or 2, got {approximation}")
        self.energy, self.h, self.examples = energy, step, energy.count
        self.batch_size, self.approximation = int(batch_size), int(approximation)

    def drift(self, t: Time, z: State) -> State:
        """−∇E, and to second order −(h/2)∇²E∇E = −(h/4)∇‖∇E‖² with it."""
        gradient = self.gradient(z)
        if self.approximation == 1:
            return -gradient
        return -(gradient + self.h / 2 * lift(self.energy.hvp(lower(z), lower(gradient))))

    @property
    def noise(self) -> Noise:
        """√(h/(NB)) Σᵢ (gᵢ − ḡ) dWᵢ, one Brownian motion an example; gradients differ from place to place."""
        return Noise(self._shape, self._sigma, additive=False)

    def _sigma(self, t: Time, z: State) -> Callable[[Any], Any]:
        """As one gradient of the examples' losses, weighted by the increments."""
        energy = self.energy
        if not isinstance(energy, MeanOverExamples):
            raise UnansweredQuestionError(self, "diffusion", "its energy, seen through an oracle, shows no examples")
        scale = jnp.sqrt(self.h / (self.examples * self.batch_size))

        def map_increment(increment: Any) -> Any:
            weights = increment - jnp.mean(increment)
            return scale * lift(jax.grad(lambda x: weights @ energy.losses(x))(lower(z)))

        return map_increment

    def _shape(self, z: State) -> Any:
        return jnp.zeros(self.examples, dtype_of(z) if all(map(is_numeric, jax.tree.leaves(z))) else float)
