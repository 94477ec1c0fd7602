"""From the standard starts of Moré, Garbow and Hillstrom the gradient flow ends in the minima that the paper prints."""

import math

import jax
import pytest

import gradientflow as gf

from .published_problems import PROBLEMS, Problem

# The paper prints six digits. Those of an energy that has fallen by a million need a gradient this small beside it.
GTOL = 1e-12

# How the problems end that miss their printed minimum.
FAILURES = {
    "Brown badly scaled": "converged",
    "Meyer": "out of steps",
    "trigonometric, n = 10": "converged",
}


def is_printed(problem: Problem, energy: float) -> bool:
    return any(abs(energy - E) <= 1e-5 * abs(E) + 1e-9 for E in (problem.minimum, *problem.other_minima))


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_flow_ends_in_a_printed_minimum(problem: Problem) -> None:
    flow = gf.GradientFlow(gf.energy(jax.jit(problem.energy)))
    path = gf.integrate(flow, problem.start, math.inf, gtol=GTOL, max_steps=20_000)
    reached = path.status.outcome == "converged" and is_printed(problem, float(path.energy[-1]))
    assert path.status.outcome == FAILURES.get(problem.name, "converged"), path.status.detail
    assert reached == (problem.name not in FAILURES), path


def test_failures_name_problems() -> None:
    assert FAILURES.keys() <= {problem.name for problem in PROBLEMS}
