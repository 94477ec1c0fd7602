"""Trees without branches, whose coefficients a stability function has: for schemes that have no other series."""

import math
from fractions import Fraction

import sympy

from gradientflow.discretizers import Discretizer

from ..linear_stability.function import read_in_z
from .trees import Tree


def tall_trees(discretizer: Discretizer, up_to: int) -> dict[Tree, tuple[Fraction, Fraction]]:
    """The trees without branches on which the stability function's Taylor series is not that of the exponential."""
    ratio = read_in_z(discretizer).rows[0][0].as_expr()
    series = sympy.Poly(sympy.series(ratio, n=up_to + 1).removeO()).all_coeffs()[::-1]
    wrong, tree = {}, Tree()
    for power in range(1, up_to + 1):
        pair = Fraction(series[power].p, series[power].q), Fraction(1, math.factorial(power))
        if pair[0] != pair[1]:
            wrong[tree] = pair
        tree = Tree("", (tree,))
    return wrong
