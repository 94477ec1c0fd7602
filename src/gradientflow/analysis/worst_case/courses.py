"""What a bound bounds, along a run: after each number of steps up to the last."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from gradientflow.flows import Quadratic

from .interpolant import positions_of
from .measures import Initial, Measure, Place
from .problem import Problem, on_energy

# Of λx²/2 what is measured is so much times λ to this power, times x².
_OF_SQUARES: dict[str, tuple[float, int]] = {"gap": (0.5, 1), "distance": (1.0, 0), "gradient": (1.0, 2)}


def course_of(
    x: np.ndarray, measured: Callable[[np.ndarray], np.ndarray], at: Place, is_sum: bool = False
) -> np.ndarray:
    """A measure of the last iterate, of the best so far, or of their average, after 0, …, N steps.

    Args:
        x: the iterates, (N + 1, r).
        measured: of iterates, (k, r), the measure of each, (k, …).
        at: which.
        is_sum: whether it is of a sum f + g, which need not have an energy at x₀: that does not count.
    """
    if at == "last":
        return measured(x)
    skipped = int(is_sum)
    counted = x[skipped:]
    if at == "best":
        found = np.minimum.accumulate(measured(counted), axis=0)
    else:
        found = measured(np.cumsum(counted, axis=0) / np.arange(1, len(counted) + 1)[:, None])
    return np.concatenate([measured(x[:skipped]), found]) if skipped else found


def worst_on_quadratics(
    asked: Problem, steps: int, final: Measure, initial: Initial, at: Place
) -> tuple[float, np.ndarray]:
    """The curvature of the quadratic λx²/2 of the class that is worst after N steps, and its course, (N + 1,).

    Args:
        asked: the method on the class, of one energy.
        steps: N.
        final: what is bounded.
        initial: by what, of x₀.
        at: where.
    """
    unit = float(asked.unit)
    least = max((float(m) * unit for _, m in asked.assuming), default=0.0)
    lam = asked.curvatures[:, 0] * unit
    lam = lam[(lam > 0) & (lam >= least)]
    with jax.enable_x64(True):
        # Modes of one quadratic: none sees another.
        method = on_energy(asked.subject, Quadratic(jnp.diag(jnp.asarray(lam))))
        x = np.asarray(positions_of(method, np.ones(len(lam)), steps))
    (factor, power), (first, power_of_first) = _OF_SQUARES[final], _OF_SQUARES[initial]
    courses = course_of(x, lambda rows: factor * lam**power * rows**2, at) / (first * lam**power_of_first)
    worst = int(np.argmax(courses[-1]))
    return float(lam[worst]), courses[:, worst]
