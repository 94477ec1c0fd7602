"""The quadratic that touches an energy at a point: Taylor's polynomial of second order."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax.flatten_util import ravel_pytree

from gradientflow.flows import Energy, Quadratic, looks_at_numbers, size
from gradientflow.flows.numerics import LARGEST_DENSE

from ..linear_stability.curvature import dense_hessian
from ..results.grades import Measured
from ..results.result import Drawn
from .spectrum import not_finite, smooth_at


@dataclasses.dataclass(frozen=True, repr=False)
class TaylorModel(Measured, Drawn):
    """E(x + s) ≈ E(x) + ∇E(x)·s + ½ s·H(x)s, the second-order Taylor model of an energy at a point.

    `.plot()` draws in the plane the model's contours on the energy's with the Hessian's eigenvectors, in one unknown
    both graphs; of more unknowns the model's terms along each eigenvector.

    Attributes:
        x: the point, any pytree.
        value: E(x).
        gradient: ∇E(x), flat, shape (n,). Units: E/X.
        hessian: H(x), shape (n, n). Units: E/X².
        eigenvalues: the Hessian's, in increasing order, shape (n,).
        eigenvectors: one a column, shape (n, n).
        function: the energy, for drawing.
    """

    drawn_by = "curvature.figures:plot_taylor"

    x: Any
    value: float
    gradient: np.ndarray
    hessian: np.ndarray
    eigenvalues: np.ndarray
    eigenvectors: np.ndarray
    function: Energy = dataclasses.field(repr=False)

    @property
    def energy(self) -> Quadratic:
        """The model as an energy of flat positions: what integrates, iterates and is proved of a quadratic goes on."""
        x = np.asarray(ravel_pytree(self.x)[0], dtype=float)
        b = self.hessian @ x - self.gradient
        return Quadratic(self.hessian, b, self.value - self.gradient @ x + x @ self.hessian @ x / 2)

    @property
    def kind(self) -> str:
        """What the model is: a "bowl", a "hill", a "saddle", or "flat" along some direction to rounding."""
        rounding = 16 * len(self.eigenvalues) * np.finfo(float).eps * np.abs(self.eigenvalues).max()
        if (np.abs(self.eigenvalues) <= rounding).any():
            return "flat"
        negative = int((self.eigenvalues < 0).sum())
        return "bowl" if not negative else "hill" if negative == len(self.eigenvalues) else "saddle"

    @property
    def newton_step(self) -> Any:
        """−H⁻¹∇E, to the model's stationary point, shaped like x; NaN where the Hessian is singular."""
        flat, unravel = ravel_pytree(self.x)
        along = self.eigenvectors.T @ self.gradient
        with np.errstate(divide="ignore", invalid="ignore"):
            step = self.eigenvectors @ np.where(self.kind == "flat", np.nan, -along / self.eigenvalues)
        return unravel(jnp.asarray(step, flat.dtype))

    def table(self) -> pd.DataFrame:
        """One row an eigenvector: its curvature, the slope of E along it, and where the model is stationary."""
        slope = self.eigenvectors.T @ self.gradient
        with np.errstate(divide="ignore", invalid="ignore"):
            columns = {"curvature": self.eigenvalues, "slope": slope, "Newton step": -slope / self.eigenvalues}
        return pd.DataFrame(columns, index=pd.RangeIndex(1, len(slope) + 1, name="eigenvector"))

    def __repr__(self) -> str:
        """What it is, and its terms."""
        kind = "flat along some direction" if self.kind == "flat" else f"a {self.kind}"
        return (
            f"Taylor model of second order, {kind}: E = {self.value:.6g}, ‖∇E‖ = {np.linalg.norm(self.gradient):.4g}, "
            f"curvatures {self.eigenvalues[0]:.4g} to {self.eigenvalues[-1]:.4g}\n{self.grade}: {self.reason}"
        )


@looks_at_numbers
def taylor_model(E: Any, x: Any) -> TaylorModel:
    """The quadratic with the value, the gradient and the Hessian of an energy at a point; of a sum f + g it is f's.

    Args:
        E: the energy, or any function of a pytree that returns a real scalar.
        x: the point, any pytree of at most 200 unknowns.

    Raises:
        TypeError: if `E` is no function.
        ValueError: for more unknowns, or where E has no finite Hessian.

    References:
        J. Nocedal, S. J. Wright, Numerical Optimization, 2nd ed. 2006, chapter 4, for models of an energy.

    Example:
        >>> import gradientflow as gf
        >>> model = gf.taylor_model(lambda p: p[0] ** 4 + p[1] ** 2, [1.0, 2.0])
        >>> model.kind, model.eigenvalues.tolist(), model.newton_step.round(3).tolist()
        ('bowl', [2.0, 12.0], [-0.333, -2.0])
    """
    energy, x = smooth_at("taylor_model", E, x)
    if size(x) > LARGEST_DENSE:
        raise ValueError(
            f"taylor_model: `x` must have at most {LARGEST_DENSE} unknowns, got {size(x)}; `gf.curvature` finds the "
            "greatest eigenvalues of more"
        )
    value, gradient = jax.value_and_grad(energy.value)(x)
    flat = np.asarray(ravel_pytree(gradient)[0], dtype=float)
    H = np.asarray(dense_hessian(energy, x), dtype=float)
    if not (np.isfinite(float(value)) and np.isfinite(flat).all() and np.isfinite(H).all()):
        raise not_finite("taylor_model")
    H = (H + H.T) / 2
    eigenvalues, eigenvectors = np.linalg.eigh(H)
    return TaylorModel(x, float(value), flat, H, eigenvalues, eigenvectors, energy)
