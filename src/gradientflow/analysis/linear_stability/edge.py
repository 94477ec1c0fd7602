"""The limit along a run: is the step still below what the curvature where the run is would allow?"""

import dataclasses
import math
from fractions import Fraction
from typing import Any

import equinox as eqx
import jax
import numpy as np
import pandas as pd

from gradientflow.discretizers import Discretizer, Method
from gradientflow.flows import Energy, Flow, Trajectory, inner

from ..exact.roots import AlwaysFailsError
from ..results.grades import Measured
from ..results.result import Drawn
from .curvature import curvatures_at
from .place import unpacked
from .reading import ModeReading, Recipe


@dataclasses.dataclass(frozen=True)
class EdgeOfStability(Measured, Drawn):
    """The sharpness along a run, and the steps that it would allow.

    `.plot()` draws step and limit, and the energy, along the run.

    Attributes:
        steps: the indices of the steps looked at, shape (n,).
        t: their times [T], shape (n,).
        sharpness: the greatest curvature λ at each iterate, shape (n,). Units: E/X².
        h: the step taken there [T], shape (n,).
        limit: the step that a mode of that curvature allows [T], shape (n,); ∞ where it is not positive.
        descent_limit: the step up to which the quadratic model falls along −∇E, 2‖∇E‖²/∇EᵀH∇E [T], shape (n,); ∞ where
            it falls for ever.
        energy: the energy there, shape (n,).
        lr_limit: of an optimizer, the learning rate that a mode of that curvature allows with its other parameters
            fixed, shape (n,): with momentum another one than the flow's, whose friction and mass stay; else `None`.
    """

    drawn_by = "linear_stability.figures:plot_edge"

    steps: np.ndarray
    t: np.ndarray
    sharpness: np.ndarray
    h: np.ndarray
    limit: np.ndarray
    descent_limit: np.ndarray
    energy: np.ndarray
    lr_limit: np.ndarray | None = None

    @property
    def ratio(self) -> np.ndarray:
        """h over its limit: above 1, the linearization is unstable where the run is."""
        with np.errstate(divide="ignore"):
            return self.h / self.limit

    def table(self) -> pd.DataFrame:
        """One row an iterate."""
        columns = {"step": self.steps, "t": self.t, "sharpness": self.sharpness, "h": self.h, "limit": self.limit,
                   "h / limit": self.ratio, "descent limit": self.descent_limit, "energy": self.energy}  # fmt: skip
        if self.lr_limit is not None:
            columns["lr limit"] = self.lr_limit
        return pd.DataFrame(columns).set_index("step")

    def __repr__(self) -> str:
        """The table."""
        return f"{self.table().to_string(float_format=lambda value: f'{value:.4g}')}\n{self.grade}"


def edge_of_stability(
    flow: Flow | Method, run: Trajectory, discretizer: Discretizer | None = None, points: int = 100
) -> EdgeOfStability:
    """Follows the greatest curvature along a run, and the step that it allows: why training diverges, or doesn't.

    At each point looked at, the limit is that of the quadratic with the Hessian there. It is local, and no guarantee:
    runs are seen to stay at its edge for long.

    Args:
        flow: the flow, or the `Method` that made the run.
        run: the iterates, from `iterate`.
        discretizer: the scheme, unless a method is given.
        points: at most so many of the saved iterates are looked at.

    Raises:
        TypeError: if it isn't a run of iterates.
        NotExactError: if the scheme can't be read exactly.

    References:
        J. Cohen et al., Gradient descent on neural networks typically occurs at the edge of stability, ICLR 2021.

    Example:
        >>> import gradientflow as gf
        >>> method = gf.optimizers.gradient_descent(gf.energy(lambda x: (1 - x[0] * x[1]) ** 2 / 2), lr=0.3)
        >>> found = gf.edge_of_stability(method, method.iterate([3.0, 0.1], steps=200))
        >>> bool(found.ratio.max() > 1 > found.ratio[-1])
        True
    """
    method, flow, discretizer = unpacked("edge_of_stability", flow, discretizer)
    if not isinstance(run, Trajectory) or "scheme" not in run.stats:
        raise TypeError(f"edge_of_stability: `run` must be made by iterate, got {type(run).__name__}")
    reading = Recipe(flow, discretizer).read()
    # What is not finite is dropped first: a run that diverges at once has few rows, and all of them are looked at.
    numbers = [
        np.asarray(leaf).reshape(len(run.t), -1) for leaf in (*jax.tree.leaves(run.x), run.energy, run.grad_norm)
    ]
    known = np.flatnonzero(np.all([np.isfinite(rows).all(axis=1) for rows in numbers], axis=0))
    if not known.size:
        raise ValueError(
            "edge_of_stability: no saved iterate of `run` is finite, so that there is no curvature to read"
        )
    finite = known[np.unique(np.linspace(0, len(known) - 1, min(points, len(known))).astype(int))]
    sharpness = np.array([_sharpness(flow.energy, _row(run.x, int(row))) for row in finite])
    t, indices = np.asarray(run.t, dtype=float), np.asarray(run.steps)
    slopes = np.diff(t) / np.diff(indices)
    h = slopes[np.minimum(finite, len(slopes) - 1)]
    limit = np.array([_limit(reading, value) for value in sharpness])
    lr_limit = None
    if method is not None and method.family is not None:
        in_lr = Recipe(method.flow, method.discretizer, method.family).read()
        lr_limit = np.array([_limit(in_lr, value) for value in sharpness])
    descent = np.array([_descent_limit(flow.energy, _row(run.x, int(row))) for row in finite])
    return EdgeOfStability(
        indices[finite], t[finite], sharpness, h, limit, descent, np.asarray(run.energy, dtype=float)[finite],
        lr_limit,
    )  # fmt: skip


def _row(xs: Any, row: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[row], xs)


@eqx.filter_jit
def _along_gradient(energy: Energy, x: Any) -> tuple[jax.Array, jax.Array]:
    g = energy.grad(x)
    return inner(g, g), inner(g, energy.hvp(x, g))


def _descent_limit(energy: Energy, x: Any) -> float:
    squared, curved = map(float, _along_gradient(energy, x))
    return 2 * squared / curved if curved > 0 else math.inf


def _sharpness(energy: Energy, x: Any) -> float:
    try:
        return float(sum(curvatures_at(energy, x).greatest) / 2)
    except ArithmeticError:
        return math.inf


def _limit(reading: ModeReading, sharpness: float) -> float:
    if not sharpness > 0:
        return math.inf
    if math.isinf(sharpness):
        return 0.0
    try:
        root, _ = reading.limit(Fraction(sharpness))
    except AlwaysFailsError:
        return 0.0
    return math.inf if root is None else float(root)
