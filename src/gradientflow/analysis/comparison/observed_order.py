"""The observed order of a method: how its error falls as the step is halved."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from gradientflow.discretizers import Method, as_step_rule
from gradientflow.flows import Trajectory, distance

from ..results.grades import Measured
from ..results.result import Drawn

# Successive estimates that agree this well have left the regime of large steps.
_SETTLED = 0.02
_MOST_HALVINGS = 10
# The order shows in the first steps, where implicit methods on large problems can still be halved many times.
_FIRST_STEPS = 32
# Errors closer to the reference's own error than this measure the reference.
_ABOVE_FLOOR = 100


@dataclasses.dataclass(frozen=True, repr=False)
class ObservedOrder(Measured, Drawn):
    """Errors at halved steps, and the order that they show.

    Attributes:
        h: the steps [T], each half the one before.
        errors: for each step, the largest error against the flow at the times of the first steps of full size [X].
        order: the slope between the last two; NaN where fewer than two errors rise above the reference's own.
    """

    drawn_by: ClassVar[str] = "comparison.figures:plot_order"
    h: np.ndarray
    errors: np.ndarray
    order: float

    @property
    def steps(self) -> np.ndarray:
        """The steps h, by the name that they once had."""
        return self.h


def observe_order(
    method: Method, path_at: Callable[[np.ndarray], Trajectory], x0: Any, t0: float, steps: int
) -> ObservedOrder:
    """Halves a constant step until two estimates of the order agree, or rounding or the reference's error is reached.

    Args:
        method: with a constant step.
        path_at: the method's own flow at given times.
        x0: where both start.
        t0: when.
        steps: how many steps of the full size the run takes; the first few dozen are looked at.
    """
    h = float(as_step_rule(method.step).h)  # pyright: ignore[reportAttributeAccessIssue]
    count = min(steps, _FIRST_STEPS)
    path = path_at(t0 + h * np.arange(count + 1))
    scale = max(float(np.max(np.abs(np.asarray(leaf)))) for leaf in jax.tree.leaves(path.x))
    floor = _ABOVE_FLOOR * max(
        float(path.stats["rtol"]) * scale, float(path.stats["atol"]), float(jnp.finfo(path.t.dtype).eps) * scale
    )
    tried, errors, orders = [], [], []
    for halving in range(_MOST_HALVINGS + 1):
        factor = 2**halving
        run = Method(method.flow, method.discretizer, h / factor).iterate(x0, count * factor, save_every=factor, t0=t0)
        error = _largest_error(run.x, path.x)
        if error < floor:
            break
        if errors:
            orders.append(math.log2(errors[-1] / error) if math.isfinite(errors[-1]) else math.nan)
        tried.append(h / factor)
        errors.append(error)
        if len(orders) > 1 and abs(orders[-1] - orders[-2]) < _SETTLED:
            break
    return ObservedOrder(np.asarray(tried), np.asarray(errors), orders[-1] if orders else math.nan)


def _largest_error(run: Any, path: Any) -> float:
    error = distance(run, path)
    return float(np.where(np.isnan(error), np.inf, error).max())
