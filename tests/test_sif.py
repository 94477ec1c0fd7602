"""From the starts of CUTEst's unconstrained problems, as sif2jax has them, the gradient flow ends in their minima.

`make thorough` installs sif2jax; without it they are skipped.
"""

import math
from typing import Any

import pytest

import gradientflow as gf

from .thorough import thorough

# Up to 20 unknowns, and a minimum that the collection prints for the basin in which the start lies.
PRINTED = """
    BARD BEALE BIGGS6 BOX3 BOXBODLS BROWNBS BROWNDEN CLIFF CLUSTERLS COOLHANSLS CUBE DENSCHNA DENSCHNB DENSCHNC DENSCHND
    DENSCHNE DENSCHNF DEVGLA1 DEVGLA2 DIXMAANA1 ENGVAL2 HAIRY HATFLDD HATFLDE HELIX HILBERTB HIMMELBCLS HIMMELBG
    HIMMELBH JENSMP MARATOSB OSBORNEA OSBORNEB PRICE3 PRICE4 ROSENBR S308 SISSER SNAIL TRIGON1 VIBRBEAM WAYSEA1 WAYSEA2
    ZANGWIL2
"""
# Whose printed value is another: NIST's certified sums of squares.
CERTIFIED = {"CHWIRUT1LS": 2.3844771393e3, "DANIWOODLS": 4.3173084083e-3}


@thorough
@pytest.mark.parametrize("name", [*PRINTED.split(), *CERTIFIED])
def test_flow_ends_in_a_printed_minimum(name: str) -> None:
    sif2jax: Any = pytest.importorskip("sif2jax")
    problem = next(each for each in sif2jax.unconstrained_minimisation_problems if each.name == name)
    arguments = problem.args
    flow = gf.GradientFlow(gf.energy(lambda y: problem.objective(y, arguments)))
    path = gf.integrate(flow, problem.y0, math.inf, max_steps=20_000)
    assert path.status == "converged", path.status.detail
    least = CERTIFIED.get(name, float(problem.expected_objective_value))
    start, end = float(path.energy[0]), float(path.energy[-1])
    # What it still had to fall is below 1e-18 of the way down; six digits are printed.
    assert abs(end - least) <= 1e-5 * abs(least) + max(1e-9, 1e-18 * abs(start)), path
