"""Limits that are measured: steps and learning rates tried one after the other, and bisected."""

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from scipy.optimize import brentq

from gradientflow.discretizers import Discretizer, Method
from gradientflow.flows import Flow, begin, dtype_of

from ..results.grades import Grade
from .jacobian import LATEST, UNCHANGED, check_repeats, late_time, step_eigenvalues, time_scale
from .silence import leaves_at_once
from .step_limit import StepLimit

# Steps are tried from this fraction of the time scale of the flow's fastest mode to this multiple, by this ratio.
_SHORTEST, _LONGEST, _RATIO = 1e-2, 1e4, 1.15
# How far beyond the limit the radius' slope is taken, relatively; the bracket's lower end is so many times as far below
# as the slope says, since the radius may rise like a square root's inverse.
_AHEAD, _SAFE = 1e-4, 3.0
# An excess beyond which none says more about where the limit is; it may be infinite.
_CAPPED = 1.0


def measured_limit(flow: Flow, discretizer: Discretizer, z: Any) -> StepLimit:
    """The first step found at which the Jacobian's spectral radius exceeds one, by bisection; ∞ if none is found.

    A short window of instability between two of the steps tried would be missed: the limit is measured.
    """
    check_repeats(flow, discretizer, z)
    late = late_time(flow, discretizer, z)
    eigenvalues = step_eigenvalues(flow, discretizer, z, late)
    scale = time_scale(flow, z)

    def radius(h: float) -> float:
        return float(np.abs(eigenvalues(h)).max())

    return _searched(radius, scale, late, LATEST * scale, leaves_at_once(flow, discretizer, z), dtype_of(z))


def measured_lr_limit(method: Method, x: Any, greatest: float) -> StepLimit:
    """The same in the learning rate of a method's family, whose flow may be another one at each.

    Args:
        method: one of a family.
        x: the equilibrium.
        greatest: the greatest curvature there, positive.
    """
    family, energy, dtype = method.family, method.flow.energy, dtype_of(x)
    assert family is not None

    def at(lr: float) -> tuple[Flow, Discretizer, Any, Any]:
        made = family(energy, jnp.asarray(lr, dtype))
        flow, z = begin("stability", made.flow, x, None)
        return flow, made.discretizer, z, made.step

    scale = 1 / greatest
    flow, discretizer, z, _ = at(scale)
    late = late_time(flow, discretizer, z)

    def radius(lr: float) -> float:
        flow, discretizer, z, h = at(lr)
        return float(np.abs(step_eigenvalues(flow, discretizer, z, late)(float(h))).max())

    latest = LATEST * time_scale(flow, z)
    return _searched(radius, scale, late, latest, leaves_at_once(flow, discretizer, z), dtype)


def _searched(radius: Callable[[float], float], scale: float, late: float, latest: float, leaves: bool,
              dtype: Any) -> StepLimit:  # fmt: skip
    if leaves:
        cause = "no step is stable: from however near, a step of whatever length leaves the point by its own length"
        return StepLimit(0.0, 0.0, 0.0, None, cause, Grade.MEASURED)
    clock = f" with the clock at t = {late:.3g}" if late else ""
    slack = 1 + float(jnp.finfo(dtype).eps) ** 0.6
    stable, h = 0.0, _SHORTEST * scale
    if not math.isfinite(radius(h)):
        return unknown(
            "the flow or the step has no derivative at this point that is finite: its Jacobian is not finite"
        )
    if math.isinf(late):
        return unknown(f"the clock never settles: at t = {latest:.3g} a step still changes with the time")
    while radius(h) <= slack:
        stable, h = h, h * _RATIO
        if h > _LONGEST * scale:
            cause = f"stable at every step tried, up to {stable:.3g}{clock}"
            return StepLimit(math.inf, stable, math.inf, None, cause, Grade.MEASURED)
    if stable == 0.0:
        return StepLimit(0.0, 0.0, h, None, f"unstable at the shortest step tried, {h:.3g}{clock}", Grade.MEASURED)
    stable, unstable = _narrowed(lambda h: radius(h) - slack, stable, h)
    cause = f"the spectral radius of the step's Jacobian reaches 1{clock}"
    # The radius was let exceed 1 by rounding: how much sooner it is 1 is told by how fast it rises there.
    ahead = unstable * _AHEAD
    slope = (radius(unstable + ahead) - radius(unstable)) / ahead
    low = unstable - _SAFE * (radius(unstable) - 1) / slope if slope > 0 else unstable / _RATIO
    low = min(max(low, unstable / _RATIO), stable)
    if late:
        # So little a step there changes still.
        low *= 1 - UNCHANGED
    return StepLimit(low, low, unstable, None, cause, Grade.MEASURED)


def _narrowed(excess: Callable[[float], float], low: float, high: float) -> tuple[float, float]:
    """A bracket of where something begins to be positive, as tight as 1e-12: by Brent's method, then by bisection."""
    bracket = [low, high]

    def seen(h: float) -> float:
        value = min(excess(h), _CAPPED)
        if bracket[0] < h < bracket[1]:
            bracket[value > 0] = h
        return value

    tight = 1e-12 * high
    root: Any = brentq(seen, low, high, xtol=tight / 4, rtol=np.float64(1e-14))
    for h in (root - tight / 4, root + tight / 4):
        seen(h)
    while bracket[1] - bracket[0] > tight:
        middle = sum(bracket) / 2
        if not bracket[0] < middle < bracket[1]:
            break
        seen(middle)
    return bracket[0], bracket[1]


def unknown(cause: str) -> StepLimit:
    """No limit, and why."""
    return StepLimit(math.nan, 0.0, math.inf, None, cause, Grade.UNKNOWN)
