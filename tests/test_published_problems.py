"""From the standard starts of Moré, Garbow and Hillstrom the gradient flow ends in the minima that the paper prints."""

import math

import jax
import pytest

import gradientflow as gf

from .published_problems import PROBLEMS, Problem
from .thorough import THOROUGH

# A local minimum that the paper doesn't print, where SciPy's lm and BFGS end too.
NOT_PRINTED = {"trigonometric, n = 10": 2.79506e-5}


# Each is a program of its own: in a thorough run all of them, else every twelfth, and those that a criterion with units
# got wrong.
ALWAYS = {"Brown badly scaled", "Meyer", "penalty I, n = 4", "variably dimensioned, n = 10", *NOT_PRINTED}
SOME = [problem for i, problem in enumerate(PROBLEMS) if i % 12 == 0 or problem.name in ALWAYS]


@pytest.mark.parametrize("problem", PROBLEMS if THOROUGH else SOME, ids=lambda problem: problem.name)
def test_flow_ends_in_a_printed_minimum(problem: Problem) -> None:
    flow = gf.GradientFlow(gf.energy(jax.jit(problem.energy)))
    path = gf.integrate(flow, problem.start, math.inf, max_steps=20_000)
    assert path.status.outcome == "converged", path.status.detail
    minima = [problem.minimum, *problem.other_minima]
    if problem.name in NOT_PRINTED:
        minima = [NOT_PRINTED[problem.name]]
    start, end = float(path.energy[0]), float(path.energy[-1])
    # What it still had to fall is below 1e-18 of the way down; the paper prints six digits.
    assert any(abs(end - E) <= 1e-5 * abs(E) + max(1e-9, 1e-18 * start) for E in minima), path


def test_minima_that_are_not_printed_are_of_problems() -> None:
    assert NOT_PRINTED.keys() <= {problem.name for problem in PROBLEMS}
