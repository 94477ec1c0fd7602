"""The best rate for which there is a Lyapunov function, searched for, and its proof at a rate given."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from ..exact.inertia import Inertia, inertia
from .certificate import Certificate, with_slack
from .conditions import Condition
from .decrease import flow_conditions, scheme_conditions
from .problem import Problem
from .semidefinite import Solution, solve

# How precisely the best rate is found, and how near to the slowest quadratic's it is as good as that; relative.
_PRECISION, _NEAR = 1e-8, 1e-7
# Rates a step that are searched for.
_SMALLEST, _LARGEST = 1e-6, 1e3


def given_up(rate: float, slack: float, asked: Problem) -> float:
    """A rate that is worse by a slack: relative to r of a flow, and to ρ or 1 − ρ of a scheme, whichever is less."""
    if asked.is_flow:
        return rate * (1 - slack)
    return rate + slack * (min(rate, 1 - rate) if rate < 1 else rate)


def conditions_at(asked: Problem, rate: Any) -> list[Condition]:
    """What a Lyapunov function with a rate must satisfy: in fractions for a fraction, in floats for a float."""
    exact = isinstance(rate, Fraction)
    space = asked.space if exact else asked.space.as_floats()
    bounds = asked.bounds(Fraction if exact else float)
    if asked.is_flow:
        return flow_conditions(space, bounds, rate)
    return scheme_conditions(space, bounds, rate * rate)


def _widest(asked: Problem, rate: float) -> Solution:
    """The Lyapunov function with this rate that has the greatest margin."""
    return solve(conditions_at(asked, float(rate)))


def fastest_rate(asked: Problem, quadratics: float, slowest: float = math.inf) -> tuple[float | None, str]:
    """The best rate for which there is a Lyapunov function, to some digits: where the margin changes sign.

    Args:
        asked: what is asked about.
        quadratics: the rate on the slowest quadratic.
        slowest: of a scheme, beyond what rate a step none is of use.
    """
    # A tenth of a second to load, which those who ask other questions need not wait for.
    from scipy.optimize import brentq

    words = "no Lyapunov function of this form was found"

    def margin(rate: float) -> float:
        nonlocal words
        found = _widest(asked, rate)
        if not found.is_solved:
            words = f"the solver did not converge: {found.status}"
            return -math.inf
        return found.margin

    if quadratics <= 0 and asked.is_flow:
        return None, "on a quadratic of the class the flow itself does not decay"
    fastest = quadratics if asked.is_flow else max(quadratics, _SMALLEST)
    near = given_up(fastest, _NEAR, asked)
    if margin(near) > 0:
        return fastest, ""
    bracket = _bracket(margin, near, asked.is_flow, slowest)
    if bracket is None:
        return None, words
    bad, good = bracket
    scale = abs(margin(good))
    ends = sorted((bad, good))
    tolerance = abs(given_up(good, _PRECISION, asked) - good)
    root: Any = brentq(lambda rate: max(margin(rate), -10 * scale), *ends, xtol=max(tolerance, 1e-16))
    return float(root), ""


def _bracket(margin: Callable[[float], float], bad: float, is_flow: bool, slowest: float) -> tuple[float, float] | None:
    """A rate that is too good and one that is not; none where it was not found."""
    if is_flow:
        trials = [bad * 2.0**-k for k in range(1, 12)]
    else:
        inside = [1 - (1 - bad) * 0.5**k for k in range(1, 8)] if bad < 1 else []
        trials = [*inside, *(max(bad, 1) * factor for factor in (1.1, 1.5, 3.0, 10.0)), _LARGEST]
    for trial in (rate for rate in trials if rate < slowest):
        if margin(trial) > 0:
            return bad, trial
        bad = trial
    return None


def certificate_at(asked: Problem, rate: Fraction) -> Certificate | None:
    """A proof that distances shrink at this rate, if one is found."""
    conditions = conditions_at(asked, rate)
    found = solve([condition.as_floats() for condition in conditions])
    if not found.is_solved or found.margin <= 0:
        return None
    certificate = with_slack(conditions, found)
    return certificate if certificate is not None and is_definite(certificate, asked) else None


def is_definite(certificate: Certificate, asked: Problem) -> bool:
    """Whether V ≥ c‖x − x*‖² with c > 0, so that V's rate is that of the distance."""
    form = certificate.conditions[1].remainder(certificate.weights, certificate.multipliers[1])
    counts = _inertia(form)
    if counts.positive == len(form):
        return True
    # V − c‖x‖² stays semidefinite for some c > 0 if x's row lies in the range of the form: exactly if adding its square
    # does not raise the rank.
    place = [*asked.space.position[0], *asked.space.position_inputs[0]]
    row = np.array([*place, *[Fraction(0)] * len(form)][: len(form)], dtype=object)
    return _inertia(form + row[:, None] * row[None, :]).positive == counts.positive


def _inertia(form: np.ndarray) -> Inertia:
    return inertia([[Fraction(entry) for entry in row] for row in form])
