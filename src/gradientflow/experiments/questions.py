"""What else an experiment may ask of its methods: how long their steps may be, and what is proved of them."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from gradientflow.analysis.linear_stability import StabilitySurvey, stability
from gradientflow.analysis.results.page import describe_energy
from gradientflow.analysis.verification import Verification, VerificationSurvey, verify
from gradientflow.discretizers import ConstantStep, Method, as_step_rule
from gradientflow.flows import Energy, GradientFlow, integrate, is_stochastic, prepare

_MOST_STEPS = 1_000


def survey_stability(
    E: Energy, methods: Mapping[str, Method], x0: Any, progress: Callable[[str], None] | None = None
) -> StabilitySurvey:
    """The step limits of methods at an energy's minimizer: its own, or where the gradient flow from x0 comes to rest.

    Raises:
        ValueError: if it doesn't come to rest.
    """
    report = progress or (lambda label: None)
    report("flow")
    at = E.minimizer
    if at is None and not E.is_quadratic:
        path = integrate(GradientFlow(E), x0, math.inf)
        if path.status != "converged":
            raise ValueError(f"x0: the gradient flow from it finds no minimizer ({path.status}: {path.status.detail})")
        at = path.x[-1]
    found = {}
    for label, method in methods.items():
        report(label)
        found[label] = stability(method, at=at)
    return StabilitySurvey(found)


def survey_proofs(
    E: Energy, methods: Mapping[str, Method], x0: Any, t1: float, progress: Callable[[str], None] | None = None
) -> VerificationSurvey:
    """What is proved of the gradient flow and of methods, and on quadratics their runs' numbers against it."""
    report = progress or (lambda label: None)
    report("flow")
    flow, quadratic = GradientFlow(E), E.is_quadratic
    found: dict[str, Verification] = {"gradient flow": verify(flow, integrate(flow, x0, t1) if quadratic else None)}
    for label, method in methods.items():
        report(label)
        rule = as_step_rule(method.step)
        run = None
        if quadratic and isinstance(rule, ConstantStep) and not is_stochastic(method.flow, _start(method, x0)):
            run = method.iterate(x0, max(1, math.ceil(min(t1 / float(rule.h), _MOST_STEPS))))
        found[label] = verify(method, run)
    return VerificationSurvey(describe_energy(E), found)


def _start(method: Method, x0: Any) -> Any:
    return prepare("verify", method.flow, x0, None)[1]
