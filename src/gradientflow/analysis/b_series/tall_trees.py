"""Trees without branches, whose coefficients a stability function has: for schemes that have no other series."""

from collections.abc import Mapping
from fractions import Fraction

import sympy

from gradientflow.discretizers import Discretizer

from ..exact.leaf import NotExactError
from ..linear_stability.function import read_in_z
from .trees import Tree


def tall_trees(discretizer: Discretizer, up_to: int) -> dict[Tree, tuple[Fraction, Fraction]]:
    """The trees without branches on which the stability function's Taylor series is not that of the exponential."""
    pairs = {tree: (weight, Fraction(1, tree.density)) for tree, weight in _weights(discretizer, up_to).items()}
    return {tree: pair for tree, pair in pairs.items() if pair[0] != pair[1]}


def check_on_gradient_flow(discretizer: Discretizer, weights: Mapping[Tree, Fraction]) -> None:
    """Compares a series with the step on the gradient flow of a quadratic, which the tree system may not stand for.

    Raises:
        NotExactError: if a step that looks at its flow is another one there.
    """
    up_to = max(tree.order for tree in weights)
    if any(weights[tree] != weight for tree, weight in _weights(discretizer, up_to).items()):
        raise NotExactError(f"{type(discretizer).__name__} is another step on a gradient flow than on the tree system")


def _weights(discretizer: Discretizer, up_to: int) -> dict[Tree, Fraction]:
    """The elementary weights of the trees without branches, from the stability function."""
    ratio = read_in_z(discretizer).rows[0][0].as_expr()
    series = sympy.Poly(sympy.series(ratio, n=up_to + 1).removeO(), sympy.Symbol("z")).all_coeffs()[::-1]
    found, tree = {}, Tree()
    for coefficient in [*series[1:], *[sympy.S.Zero] * up_to][:up_to]:
        found[tree] = Fraction(int(coefficient.p), int(coefficient.q))
        tree = Tree("", (tree,))
    return found
