r"""The density of the Hessian's eigenvalues, all of them, where there are too many to be found: by Lanczos quadrature.

A random vector of signs is, on average, made of all eigenvectors alike, so that the m nodes and weights of Lanczos'
method from it are a quadrature of the eigenvalues' distribution, exact for polynomials up to degree 2m − 1.
"""

import dataclasses
import functools
from typing import Any

import jax
import numpy as np
from jax.flatten_util import ravel_pytree

from gradientflow.flows import (
    SMALL_TRAINING,
    Energy,
    check_integer,
    check_key,
    check_positive,
    compiled,
    looks_at_numbers,
    size,
)
from gradientflow.flows.linear.krylov import krylov_basis
from gradientflow.flows.numerics import LARGEST_DENSE

from ..linear_stability.curvature import dense_hessian
from ..results.grades import Measured
from ..results.result import Drawn
from .spectrum import not_finite, smooth_at

_SEED = 0
# Unless the user says how wide, a bump over each node spans so much of the spectrum.
_WIDTH = 0.01


@dataclasses.dataclass(frozen=True, repr=False)
class SpectralDensity(Measured, Drawn):
    """How the Hessian's eigenvalues are distributed, with what random vectors leave open.

    `.plot()` draws the density on a logarithmic scale: what is few beside the bulk shows.

    Attributes:
        nodes: eigenvalues, or Ritz values of each random vector, shape (vectors, m) [E/X²].
        weights: the share of all eigenvalues that each stands for, shape (vectors, m); each row sums to 1.
        count: the number of unknowns n.
        how: how they were found, in words.
    """

    drawn_by = "curvature.figures:plot_density"

    nodes: np.ndarray
    weights: np.ndarray
    count: int
    how: str

    def why_so(self) -> str:
        """How it was found."""
        return self.how

    @property
    def trace(self) -> tuple[float, float]:
        """The sum of all eigenvalues, and its standard error over the random vectors [E/X²]."""
        return self._over_vectors(self.count * (self.weights * self.nodes).sum(axis=1))

    def share(self, low: float = -np.inf, high: float = np.inf) -> tuple[float, float]:
        """The share of eigenvalues between two numbers, and its standard error; `share(high=0)`: of negative ones."""
        if not low < high:
            raise ValueError(f"SpectralDensity.share: `low` must be below `high`, got {low} and {high}")
        within = (self.nodes >= low) & (self.nodes < high)
        return self._over_vectors(np.where(within, self.weights, 0).sum(axis=1))

    def at(self, values: Any, width: float | None = None) -> np.ndarray:
        """The density, smoothed by normal distributions.

        Args:
            values: where [E/X²].
            width: their standard deviation; a hundredth of the spectrum unless given [E/X²].
        """
        width = self.width if width is None else width
        check_positive("SpectralDensity.at", width=width)
        away = (np.asarray(values, dtype=float)[..., None] - self.nodes.ravel()) / width
        bumps = np.exp(-(away**2) / 2) / (width * np.sqrt(2 * np.pi))
        return bumps @ self.weights.ravel() / len(self.nodes)

    @property
    def width(self) -> float:
        """A hundredth of the spectrum [E/X²]."""
        seen = self.nodes[self.weights > 0]
        spread = float(np.ptp(seen))
        return _WIDTH * (spread if spread > 0 else max(abs(float(seen[0])), 1.0))

    def __repr__(self) -> str:
        """The mean, the range, what is negative, and how it was found."""
        seen = self.nodes[self.weights > 0]
        trace, error = self.trace
        # The sign of what is nearly 0 says nothing.
        edge = self.width
        ends = {f"below −{edge:.2g}": (-np.inf, -edge), f"above {edge:.2g}": (edge, np.inf)}
        shares = [(*self.share(*between), words) for words, between in ends.items()]
        said = ", ".join(f"{share:.1%} ± {unsure:.1%} {words}" for share, unsure, words in shares)
        return (
            f"density of {self.count:,} eigenvalues: from {seen.min():.4g} to {seen.max():.4g}, mean "
            f"{trace / self.count:.4g} ± {error / self.count:.1g}\n{said}, the rest between\n{self.grade}: {self.how}"
        )

    def _over_vectors(self, each: np.ndarray) -> tuple[float, float]:
        count = len(each)
        return float(each.mean()), float(each.std(ddof=1) / np.sqrt(count)) if count > 1 else 0.0


@looks_at_numbers
def spectral_density(E: Any, x: Any, *, vectors: int = 8, steps: int = 64, key: Any = None) -> SpectralDensity:
    """The distribution of all eigenvalues of the Hessian: of a large one from products with random vectors.

    Up to 200 unknowns it is that of the eigenvalues themselves. Beyond, it costs `vectors × steps` Hessian-vector
    products. The errors told are those of the random vectors; what few steps do not resolve is not in them. Of a sum
    f + g it is f's Hessian.

    Args:
        E: the energy, or any function of a pytree that returns a real scalar; of data `lambda p: loss(p, batch)`.
        x: the position, any pytree, of an equinox module its arrays of floating-point numbers.
        vectors: how many random vectors, from which the error is read: at least 2.
        steps: how many steps of Lanczos' method from each, at most as many as there are unknowns.
        key: of the vectors; always the same unless given.

    Raises:
        TypeError: if `E` is no function, or can't be traced.
        ValueError: if the Hessian is not finite at `x`.

    References:
        S. Ubaru, J. Chen, Y. Saad, Fast estimation of tr(f(A)) via stochastic Lanczos quadrature, SIAM J. Matrix Anal.
        Appl. 38, 2017; B. Ghorbani, S. Krishnan, Y. Xiao, An investigation into neural net optimization via Hessian
        eigenvalue density, ICML 2019.

    Example:
        >>> import gradientflow as gf
        >>> rates = gf.flows.as_floating([-1.0, 0.0, 1.0, 2.0])
        >>> found = gf.analysis.spectral_density(lambda x: (rates * x) @ x / 2, [1.0, 1.0, 1.0, 1.0])
        >>> found.trace, found.share(high=0.0)[0]
        ((2.0, 0.0), 0.25)
    """
    check_integer("spectral_density", 2, vectors=vectors)
    check_integer("spectral_density", 1, steps=steps)
    energy, x = smooth_at("spectral_density", E, x)
    n = size(x)
    if n <= LARGEST_DENSE:
        H = np.asarray(dense_hessian(energy, x), dtype=float)
        _check_finite(H)
        nodes, weights = np.linalg.eigvalsh((H + H.T) / 2)[None], np.full((1, n), 1 / n)
        return SpectralDensity(nodes, weights, n, f"eigenvalues of the {n}×{n} Hessian by automatic differentiation")
    key = jax.random.key(_SEED) if key is None else check_key("spectral_density", energy, key)
    keys = jax.random.split(key, vectors)
    matrices = np.asarray(_tridiagonal(energy, x, keys, min(steps, n)), dtype=float)
    _check_finite(matrices)
    nodes, bases = np.linalg.eigh(matrices)
    how = f"Lanczos quadrature, {min(steps, n)} steps from each of {vectors} random vectors"
    return SpectralDensity(nodes, bases[:, 0, :] ** 2, n, how)


@functools.partial(compiled, small=SMALL_TRAINING)
def _tridiagonal(energy: Energy, x: Any, keys: Any, steps: int) -> jax.Array:
    """The Hessian on the Krylov space of each random vector, shape (vectors, steps, steps); one after the other."""
    flat, unravel = ravel_pytree(x)

    def one(key: Any) -> jax.Array:
        signs = jax.random.rademacher(key, flat.shape, flat.dtype)
        basis = krylov_basis(lambda v: ravel_pytree(energy.hvp(x, unravel(v)))[0], signs, steps, symmetric=True)
        return basis.matrix

    return jax.lax.map(one, keys)


def _check_finite(matrices: np.ndarray) -> None:
    if not np.isfinite(matrices).all():
        raise not_finite("spectral_density")
