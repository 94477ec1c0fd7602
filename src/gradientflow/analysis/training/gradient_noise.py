"""How much the examples' gradients differ, and so how noisy a minibatch is."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from gradientflow.discretizers import BatchOracle, Minibatch
from gradientflow.flows import (
    SMALL_TRAINING,
    MeanOverExamples,
    along,
    as_floating,
    check_fits,
    check_positive,
    compiled,
    looks_at_numbers,
)

from ..results.grades import Measured
from ..results.result import Drawn


@dataclasses.dataclass(frozen=True)
class GradientNoise(Measured, Drawn):
    r"""The gradients of N examples at a point: their mean g, and their covariance Σ by its trace.

    `.plot()` draws the noise of a batch's gradient over the batch size, beside the gradient.

    Attributes:
        gradient: g = ∇E, shaped like the position. Units: E/X.
        traces: the part of tr Σ that each leaf of the position has, by its name; Σ is that of the N examples
            themselves, $\Sigma = \frac1N\sum_i (g_i - g)(g_i - g)^\top$. Units: (E/X)².
        count: N.
    """

    drawn_by = "training.figures:plot_gradient_noise"

    gradient: Any
    traces: Mapping[str, float]
    count: int

    @property
    def trace(self) -> float:
        r"""$\operatorname{tr}\Sigma$, the variance of one example's gradient. Units: (E/X)²."""
        return sum(self.traces.values())

    @property
    def size(self) -> int:
        """The number of unknowns."""
        return sum(leaf.size for leaf in jax.tree.leaves(self.gradient))

    @property
    def grad_norm(self) -> float:
        """‖g‖, the Euclidean norm. Units: E/X."""
        return math.sqrt(sum(self._squares().values()))

    @property
    def noise_scale(self) -> float:
        r"""$\operatorname{tr}\Sigma/\|g\|^2$, the batch size at which noise and gradient are equal in size; ∞ at g = 0.

        Smaller batches give steps that are mostly noise; larger ones save few steps. Towards a minimum it grows.
        """
        return _ratio(self.trace, self.grad_norm**2)

    def variance(self, batch: int | BatchOracle) -> float:
        r"""The variance E‖ĝ − g‖² of a minibatch's gradient ĝ. Units: (E/X)².

        Args:
            batch: the batch size B of `Minibatch`, whose variance is $\frac{\operatorname{tr}\Sigma}B\frac{N-B}{N-1}$;
                or another oracle, as `MinibatchWithReplacement(B)`, which has $\operatorname{tr}\Sigma/B$.

        Raises:
            ValueError: for a batch larger than the data.
        """
        oracle = batch if isinstance(batch, BatchOracle) else Minibatch(batch)
        return self.trace * oracle.variance_share(self.count)

    def temperature(self, lr: float, batch: int | BatchOracle) -> float:
        r"""The temperature at which `Langevin` has as much noise, $T = \eta\,\mathbb E\|\hat g - g\|^2/(2n)$. Units: E.

        A step's noise $\eta(\hat g - g)$ has on average the variance 2ηT in each of n unknowns. With replacement it is
        proportional to η/B, which is why learning rate and batch size are often changed together.

        Args:
            lr: η [T].
            batch: the batch size of `Minibatch`, or another oracle.
        """
        check_positive("temperature", lr=lr)
        return lr * self.variance(batch) / (2 * self.size)

    def table(self) -> pd.DataFrame:
        """One row a leaf of the position, and one for all."""
        squares = self._squares()
        rows = {name: (math.sqrt(square), math.sqrt(self.traces[name]), _ratio(self.traces[name], square))
                for name, square in squares.items()}  # fmt: skip
        rows["all"] = self.grad_norm, math.sqrt(self.trace), self.noise_scale
        return pd.DataFrame.from_dict(rows, orient="index", columns=["‖g‖", "√tr Σ", "noise scale"])

    def __repr__(self) -> str:
        """The table."""
        lines = self.table().to_string(float_format=lambda value: f"{value:.4g}")
        return f"gradients of {self.count} examples, {self.grade}\n{lines}"

    def _squares(self) -> dict[str, float]:
        return {name: float(np.sum(np.asarray(leaf, dtype=float) ** 2)) for name, leaf in _leaves(self.gradient)}


@looks_at_numbers
def gradient_noise(energy: Any, x: Any) -> GradientNoise:
    """Measures the gradient noise at a point, from every example's own gradient.

    The gradients are computed some at a time, so that memory stays bounded.

    Args:
        energy: a mean over examples: `FiniteSum`, `LinearRegression`, `LogisticRegression`.
        x: the position.

    Raises:
        TypeError: if the energy is no mean over examples.

    References:
        S. McCandlish, J. Kaplan, D. Amodei, OpenAI Dota Team, An empirical model of large-batch training, 2018, section
        2.2; S. Mandt, M. Hoffman, D. Blei, Stochastic gradient descent as approximate Bayesian inference, J. Mach.
        Learn. Res. 18, 2017, section 3.

    Example:
        >>> import gradientflow as gf
        >>> E = gf.FiniteSum(lambda x, d: (x - d) ** 2 / 2, [1.0, 2.0, 3.0, 6.0])  # gradients x − d
        >>> noise = gf.gradient_noise(E, 1.0)
        >>> noise.trace, noise.noise_scale
        (3.5, 0.875)
        >>> noise.variance(4), noise.variance(gf.MinibatchWithReplacement(4))
        (0.0, 0.875)
    """
    if not isinstance(energy, MeanOverExamples):
        raise TypeError(
            "gradient_noise: `energy` must be a mean over examples, FiniteSum(loss, data) say, got "
            f"{type(energy).__name__}"
        )
    x = as_floating(x)
    check_fits("gradient_noise", "x", energy, x)
    gradient = _gradient(energy, x)
    squares = along(_squared_deviation, jnp.arange(energy.count), energy, x, gradient)
    traces = {name: float(np.mean(np.asarray(leaf, dtype=float))) for name, leaf in _leaves(squares)}
    return GradientNoise(gradient, traces, energy.count)


def _leaves(tree: Any) -> list[tuple[str, Any]]:
    named = jax.tree_util.tree_leaves_with_path(tree)
    return [(jax.tree_util.keystr(path, simple=True, separator=".") or "x", leaf) for path, leaf in named]


_gradient = compiled(lambda energy, x: energy.grad(x), SMALL_TRAINING)


def _squared_deviation(index: Any, energy: MeanOverExamples, x: Any, mean: Any) -> Any:
    own = energy.subset(index[None]).grad(x)
    return jax.tree.map(lambda a, b: jnp.sum((a - b) ** 2), own, mean)


def _ratio(noise: float, square: float) -> float:
    return noise / square if square > 0 else math.inf
