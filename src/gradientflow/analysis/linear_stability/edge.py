"""The limit along a run: is the step still below what the curvature where the run is would allow?"""

import dataclasses
import math
from collections.abc import Callable, Iterable
from fractions import Fraction
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from gradientflow.discretizers import Discretizer, FromOptax, Method
from gradientflow.flows import (
    Composite,
    Energy,
    Flow,
    Quadratic,
    Trajectory,
    UnansweredQuestionError,
    compiled,
    inner,
    looks_at_numbers,
    prepare,
    smooth_part,
    with_energy,
)

from ..exact.leaf import NotExactError
from ..exact.roots import AlwaysFailsError
from ..results.grades import Grade
from ..results.result import Drawn
from .curvature import greatest_curvature
from .held_run import held_along_run
from .held_step import HeldStep
from .jacobian import is_affine
from .measured import measured_limit, measured_lr_limit
from .place import unpacked
from .preconditioned import greatest_preconditioned, learning_rate
from .reading import ModeReading, NoPenalty, Recipe
from .step_limit import StepLimit


@dataclasses.dataclass(frozen=True)
class EdgeOfStability(Drawn):
    """The sharpness along a run, and the steps that it would allow.

    `.plot()` draws step and limit, and the energy, along the run.

    Attributes:
        steps: the indices of the steps looked at, shape (n,).
        t: their times [T], shape (n,).
        sharpness: the greatest curvature λ at each iterate, of a sum f + g that of f, shape (n,). Units: E/X².
        h: the step taken there [T], shape (n,).
        limit: the step that a mode of that curvature allows [T], shape (n,); ∞ where it is not positive.
        descent_limit: the step up to which the quadratic model falls along −∇E, 2‖∇E‖²/∇EᵀH∇E [T], shape (n,); ∞ where
            it falls for ever.
        energy: the energy there, shape (n,).
        lr_limit: of an optimizer, the learning rate that a mode of that curvature allows with its other parameters
            fixed, shape (n,): with momentum another one than the flow's, whose friction and mass stay; else `None`.
        preconditioned: of an adaptive method, a clipped one, any optax transformation: the greatest eigenvalue of P⁻¹H,
            shape (n,), P⁻¹ each coordinate's gain: how far it goes in the end for a gradient that lasts, the learning
            rate included, with second moments, clipping factors and the like held as they are at that step; else
            `None`.
        threshold: the greatest that the optimizer's own step allows then, shape (n,): 2 for gradient descent,
            2(1 + β)/(1 − β) for an averaged momentum; NaN where it can't be read.
        unread: why it can't, where it can't.
        lr: the learning rate, of an optimizer that has one.
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
    preconditioned: np.ndarray | None = None
    threshold: np.ndarray | None = None
    unread: str = ""
    lr: float | None = None

    @property
    def grade(self) -> Grade:
        """Measured, in floating point; unknown where no limit could be read at any iterate."""
        return Grade.UNKNOWN if np.isnan(self.limit).all() else Grade.MEASURED

    def why_so(self) -> str:
        """How limits were read, and why some could not be."""
        read = "the Hessian along the run in floating point, against the step read exactly"
        if self.preconditioned is not None:
            read = "the Hessian along the run in floating point, against the optimizer's own update"
        return f"{read}; {self.unread}" if self.unread else read

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
        if self.preconditioned is not None:
            columns |= {"P⁻¹ sharpness": self.preconditioned, "threshold": self.threshold}
        return pd.DataFrame(columns).set_index("step")

    def __repr__(self) -> str:
        """The table."""
        why = f"; {self.unread}" if self.unread else ""
        return f"{self.table().to_string(float_format=lambda value: f'{value:.4g}')}\n{self.grade}{why}"


@looks_at_numbers
def edge_of_stability(
    flow: Flow | Method, run: Trajectory, discretizer: Discretizer | None = None, points: int = 100
) -> EdgeOfStability:
    """Follows the greatest curvature along a run, and the step that it allows: why training diverges, or doesn't.

    At each point looked at, the limit is that of the quadratic with the Hessian there. It is local, and no guarantee:
    runs are seen to stay at its edge for long. Of a method that adapts (Adam, a clipped step, a chain of optax) the
    limit is that of its own update with what it adapts held as it is at that step.

    Args:
        flow: the flow, or the `Method` that made the run.
        run: the iterates, from `iterate`.
        discretizer: the scheme, unless a method is given.
        points: at most so many of the saved iterates are looked at.

    Raises:
        TypeError: if it isn't a run of iterates.
        NotExactError: if the scheme can be read neither exactly nor as one update a gradient.
        ValueError: if no iterate is finite, or the run can't be made again, which the optimizer's state would take.

    References:
        J. Cohen et al., Gradient descent on neural networks typically occurs at the edge of stability, ICLR 2021.

    Example:
        >>> import gradientflow as gf
        >>> method = gf.optimizers.gradient_descent(gf.energy(lambda x: (1 - x[0] * x[1]) ** 2 / 2), lr=0.3)
        >>> found = gf.edge_of_stability(method, method.iterate([3.0, 0.1], steps=200))
        >>> bool(found.ratio.max() > 1 > found.ratio[-1])
        True
    """
    method, flow, discretizer = unpacked("edge_of_stability", flow, discretizer, own_clock=FromOptax)
    if not isinstance(run, Trajectory) or "scheme" not in run.stats:
        raise TypeError(f"edge_of_stability: `run` must be made by iterate, got {type(run).__name__}")
    if isinstance(flow.energy, Composite):
        # A convex penalty's proximal map brings points no farther apart: the smooth part alone limits the step.
        flow = with_energy(flow, Composite(flow.energy.smooth, NoPenalty()))
        method = None if method is None else Method(flow, discretizer, method.step, method.named)
    smooth = smooth_part(flow)
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
    places = [_row(run.x, row) for row in finite.tolist()]
    sharpness = _greatest_along(partial(greatest_curvature, smooth, x) for x in places)
    t, indices = np.asarray(run.t, dtype=float), np.asarray(run.steps)
    slopes = np.diff(t) / np.diff(indices)
    h = slopes[np.minimum(finite, len(slopes) - 1)]
    descent = np.array([_descent_limit(smooth, x) for x in places])
    lr_limit, held, unread, lr = None, {}, None, None
    try:
        reading = None if discretizer.clock_only else Recipe(flow, discretizer).read()
    except (NotExactError, UnansweredQuestionError) as error:
        reading, unread = None, error
    steps: list[HeldStep] | None = None
    if reading is None:
        if method is None and discretizer.clock_only and np.allclose(slopes, slopes[0]):
            # Its clock's step is the run's own.
            method = Method(flow, discretizer, float(slopes[0]))
        try:
            steps = held_along_run(method, flow, discretizer, run, finite.tolist(), unread)
        except (NotExactError, ValueError):
            # What asks for a gradient elsewhere, or remembers a clock, is no one update a gradient, but may be linear.
            if discretizer.clock_only or not is_affine(*_on_mode(flow, discretizer, 1.0)):
                raise
    if steps is not None:
        least = _greatest_along(
            None if step.inverse is None else partial(greatest_preconditioned, smooth, x, step.inverse)
            for x, step in zip(places, steps, strict=True)
        )
        threshold = np.array([step.threshold for step in steps])
        missing = next((step.reason for step in steps if step.reason), "")
        held = {"preconditioned": least, "threshold": threshold, "unread": missing}
        lr = None if method is None else learning_rate(method)
        with np.errstate(all="ignore"):
            share = np.maximum(least, 0) / threshold
            limit, lr_limit = h / share, None if lr is None else lr / share
    elif reading is not None:
        limit = np.array([_limit(reading, value) for value in sharpness])
        if method is not None and method.family is not None:
            in_lr = Recipe(method.flow, method.discretizer, method.family).read()
            lr_limit, lr = np.array([_limit(in_lr, value) for value in sharpness]), learning_rate(method)
    else:
        limit = _each(sharpness, lambda value: measured_limit(*_on_mode(flow, discretizer, value)))
        if method is not None and method.family is not None:
            lr_limit = _each(sharpness, lambda value, method=method: _measured_lr(method, value))
            lr = learning_rate(method)
    return EdgeOfStability(
        indices[finite], t[finite], sharpness, h, limit, descent, np.asarray(run.energy, dtype=float)[finite],
        lr_limit, **held, lr=lr,
    )  # fmt: skip


def _on_mode(flow: Flow, discretizer: Discretizer, curvature: float) -> tuple[Flow, Discretizer, Any]:
    """The flow on one coordinate of a curvature, its scheme, and its state of rest there."""
    ready, z = prepare("edge_of_stability", with_energy(flow, Quadratic([[curvature]])), jnp.zeros(1), None)
    return ready, discretizer, z


def _measured_lr(method: Method, curvature: float) -> StepLimit:
    """The limit in the learning rate on one coordinate of a curvature."""
    energy: Energy = Quadratic([[curvature]])
    # Its family may be one of sums.
    energy = Composite(energy, NoPenalty()) if isinstance(method.flow.energy, Composite) else energy
    on_mode = Method(with_energy(method.flow, energy), method.discretizer, method.step, method.named)
    return measured_lr_limit(on_mode, jnp.zeros(1), curvature)


def _each(sharpness: np.ndarray, limit: Callable[[float], StepLimit]) -> np.ndarray:
    """The limit at each curvature, where it is positive; asked once of those that are equal."""
    found = {value: limit(float(value)).value for value in np.unique(sharpness) if 0 < value < math.inf}
    return np.array([found.get(value, math.inf if value <= 0 else 0.0) for value in sharpness])


def _row(xs: Any, row: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[row], xs)


@compiled
def _along_gradient(energy: Energy, x: Any) -> tuple[jax.Array, jax.Array]:
    g = energy.grad(x)
    return inner(g, g), inner(g, energy.hvp(x, g))


def _descent_limit(energy: Energy, x: Any) -> float:
    squared, curved = map(float, _along_gradient(energy, x))
    return 2 * squared / curved if curved > 0 else math.inf


def _greatest_along(places: Iterable[Callable[[Any], tuple[float, Any]] | None]) -> np.ndarray:
    """The greatest curvature at each place, asked with the last one's direction; ∞ where it is not finite."""
    found, direction = [], None
    for greatest_from in places:
        value = math.nan
        if greatest_from is not None:
            try:
                value, direction = greatest_from(direction)
            except ArithmeticError:
                value, direction = math.inf, None
        found.append(value)
    return np.array(found)


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
