"""The stationary density of a scheme in one dimension, by quadrature: its bias on any energy, without sampling."""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse.linalg

from gradientflow.discretizers import Discretizer, Iteration, check_answers
from gradientflow.flows import (
    Langevin,
    Number,
    check_integer,
    check_positive,
    dtype_of,
    looks_at_numbers,
    prepare,
    with_energy,
)

from ..results.grades import Measured
from ..results.result import Drawn
from .one_number import of_one_number

# The share of a difference between two wells that a step must take away: rounding is magnified by its inverse.
_SLOWEST = 1e-9
# So far from 1, where the kernel's first eigenvalue lies, it is inverted.
_SHIFT = 1e-6


@dataclasses.dataclass(frozen=True, repr=False)
class StationaryDensity(Measured, Drawn):
    """Densities on a grid; its figure has one over the other.

    Attributes:
        x: the grid, equally spaced, of shape (n,) [X].
        scheme: the stationary density of the scheme [1/X].
        flow: that of the flow, ∝ e^{−E/T}.
    """

    drawn_by: ClassVar[str] = "stochastic.figures:plot_density"
    x: np.ndarray
    scheme: np.ndarray
    flow: np.ndarray

    def moments(self, power: int) -> tuple[float, float]:
        """The mean of x^power under the scheme's and under the flow's density."""
        weights = self.x**power * (self.x[1] - self.x[0])
        return float(weights @ self.scheme), float(weights @ self.flow)


@looks_at_numbers
def stationary_density(
    flow: Any, discretizer: Discretizer, *, step: Number, low: Number, high: Number, points: Any = 801
) -> StationaryDensity:
    r"""The density that a one-dimensional scheme with Gaussian steps leaves unchanged, beside the flow's.

    A step is $x' = m(x) + s(x)\xi$; its density p solves $p(x') = \int N(x'; m(x), s(x)^2)\,p(x)\,dx$. By the
    trapezoidal rule on an equally spaced grid, which converges faster than any power of the spacing for densities that
    have died out at both ends.

    Args:
        flow: Langevin dynamics of a single number or of one coordinate.
        discretizer: a scheme without memory that takes one increment a step.
        step: h [T].
        low: the grid's lower end [X].
        high: its upper end.
        points: how many points.

    Raises:
        TypeError: if the flow is not `Langevin`.
        ValueError: if the ends are out of order, the grid is too coarse for the noise of a step, the density has not
            died out at the ends, wells exchange too slowly, or the scheme has memory or steps that are not linear in
            their noise.

    References:
        L. N. Trefethen, J. A. C. Weideman, The exponentially convergent trapezoidal rule, SIAM Rev. 56, 2014.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.Langevin(gf.energy(lambda x: x**4 / 4), temperature=1.0)
        >>> density = gf.stationary_density(flow, gf.EulerMaruyama(), step=0.05, low=-4, high=4)
        >>> scheme, exact = density.moments(2)
        >>> round(exact, 6)  # 2Γ(3/4)/Γ(1/4)
        0.675978
    """
    moves = ("drift", "gradient", "noise")
    if not isinstance(flow, Langevin) or any(
        getattr(type(flow), name) is not getattr(Langevin, name) for name in moves
    ):
        raise TypeError(f"stationary_density: `flow` must be Langevin(energy, temperature), got {type(flow).__name__}")
    check_positive("stationary_density", step=step, width=float(high) - float(low))
    check_integer("stationary_density", 3, points=points)
    flow = with_energy(flow, of_one_number("stationary_density", flow.energy))
    with jax.enable_x64(True):
        flow, z0 = prepare("stationary_density", flow, jnp.asarray((float(low) + float(high)) / 2), None)
        check_answers(flow, discretizer, z0)
        h = jnp.asarray(step, dtype_of(z0))
        iteration = Iteration(flow, discretizer, h)
        if iteration.start(z0).memory is not None or discretizer.increments(flow, z0) != 1:
            raise ValueError(
                f"stationary_density: {type(discretizer).__name__} has memory or takes more than one increment a step, "
                "and its steps are no Markov chain of one number; use gaussian_law or sample"
            )
        x = jnp.linspace(float(low), float(high), int(points))

        def moved(x: Any, w: Any) -> Any:
            return iteration.one(iteration.start(x), w).z

        means = jax.vmap(moved, (0, None))(x, jnp.zeros(()))
        spreads = jax.vmap(jax.grad(moved, 1), (0, None))(x, jnp.zeros(())) * jnp.sqrt(h)
        energies = jax.vmap(flow.energy.value)(x)
        kicked = jax.vmap(moved, (0, None))(x, jnp.sqrt(h))
    if not np.allclose(kicked, means + spreads, rtol=1e-9, atol=1e-9 * float(np.abs(spreads).max())):
        raise ValueError(
            f"stationary_density: steps of {type(discretizer).__name__} are not linear in their noise, so that they "
            "are not Gaussian; use sample"
        )
    return _solved(np.asarray(x), np.asarray(means), np.asarray(spreads), np.asarray(energies), float(flow.temperature))


def _solved(
    x: np.ndarray, means: np.ndarray, spreads: np.ndarray, energies: np.ndarray, temperature: float
) -> StationaryDensity:
    spacing = x[1] - x[0]
    if np.abs(spreads).min() < spacing:
        raise ValueError(
            f"stationary_density: a grid spacing of {spacing:.3g} is too coarse for steps that scatter by "
            f"{np.abs(spreads).min():.3g}; take more `points` or a longer `step`"
        )
    kernel = np.exp(-(((x[:, None] - means) / spreads) ** 2) / 2) / (np.sqrt(2 * np.pi) * np.abs(spreads)) * spacing
    # The two eigenvalues next to 1, by inverse iteration from a fixed start: one factorization instead of all modes.
    found: Any = scipy.sparse.linalg.eigs(kernel, k=2, sigma=1 + _SHIFT, v0=np.ones(len(x)))
    values, vectors = found
    second, first = np.argsort(np.abs(values))
    if abs(values[second]) > 1 - _SLOWEST:
        raise ValueError(
            "stationary_density: a step changes the weights of two wells by less than rounding shows, so that any "
            "mixture of them is stationary; raise the temperature, or hold the grid to one well"
        )
    density = np.abs(np.real(vectors[:, first]))
    density = density / (density.sum() * spacing)
    if max(density[0], density[-1]) > 1e-12 * density.max():
        raise ValueError(
            f"stationary_density: at the ends {x[0]:g} and {x[-1]:g} the density is still "
            f"{max(density[0], density[-1]) / density.max():.2g} of its largest value; move `low` and `high` outwards"
        )
    gibbs = np.exp(-(energies - energies.min()) / temperature)
    return StationaryDensity(x, density, gibbs / (gibbs.sum() * spacing))
