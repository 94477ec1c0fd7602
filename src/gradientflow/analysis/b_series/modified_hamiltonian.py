r"""The modified Hamiltonian: the energy that a symplectic scheme conserves, but for the terms that were left out.

For K = ½‖v‖² + E(x)/m, whose field is ẋ = v, v̇ = −∇E/m, the heavy ball without friction. A field with a B-series is
Hamiltonian for every K if and only if $c_\tau\sigma_\tau$ changes sign whenever the root moves along an edge; then each
free tree contributes one elementary Hamiltonian $K^{(n)}(F(\tau_1), \dots, F(\tau_n))$.

References:
    E. Hairer, C. Lubich, G. Wanner, Geometric Numerical Integration, 2nd ed. 2006, section IX.9.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import sympy

from gradientflow.flows import HeavyBallFlow, looks_at_numbers

from ..results.grades import Grade
from ..results.result import Result
from .modified_equation import derivative, free_symmetry, modified_equation, series_latex, summed
from .trees import Tree

_H, _MASS = sympy.symbols("h m")
# What is not there where there is no friction.
_FRICTION = "friction"


@dataclasses.dataclass(frozen=True)
class ModifiedHamiltonian(Result):
    r"""$\tilde H = H + \sum_t h^{|t|-1} e_t K_t$ over free trees, of the heavy ball without friction.

    Attributes:
        scheme: the scheme's name.
        order: trees of up to so many nodes.
        coefficients: $e_t$, each at one rooting of its free tree; a colour is a part's name.
        grade: that of the modified equation that they are made from.
    """

    scheme: str
    order: int
    coefficients: Mapping[Tree, Fraction]
    grade: Grade

    def expression(
        self, energy: sympy.Expr, positions: Sequence[sympy.Symbol], velocities: Sequence[sympy.Symbol]
    ) -> sympy.Expr:
        """The modified Hamiltonian of a symbolic energy, in its symbols, h and the mass m.

        Args:
            energy: E.
            positions: its coordinates.
            velocities: as many symbols for v.
        """
        kinetic = sum((v**2 for v in velocities), sympy.Integer(0)) / 2
        whole = {"transport": kinetic, "force": energy / _MASS, "": kinetic + energy / _MASS}
        symbols = [*positions, *velocities]
        fields = {name: _hamiltonian_field(part, positions, velocities) for name, part in whole.items()}

        def differential(tree: Tree) -> sympy.Matrix:
            return derivative(fields[tree.colour], [differential(child) for child in tree.children], symbols)

        total = sympy.Integer(0)
        for tree, e in self.coefficients.items():
            arguments = [differential(child) for child in tree.children]
            value = derivative(sympy.Matrix([whole[tree.colour]]), arguments, symbols)[0]
            total += sympy.Rational(e.numerator, e.denominator) * _H ** (tree.order - 1) * value
        return sympy.expand(_MASS * total)

    def latex(self) -> str:
        """The Hamiltonian, divided by m, in LaTeX, with K for f at the trees' roots."""
        terms = series_latex(self.coefficients, lambda tree: tree.latex().replace("f", "K", 1))
        return rf"\tilde H/m = {terms} + O(h^{{{self.order}}})"

    def __repr__(self) -> str:
        """The terms, with K for f in the trees' names."""
        powers = {0: "", 1: "h "} | {n: f"h^{n} " for n in range(2, self.order)}
        terms = {powers[tree.order - 1] + str(tree).replace("f", "K", 1): e for tree, e in self.coefficients.items()}
        return f"modified Hamiltonian of {self.scheme}, divided by m, {self.grade}: {summed(terms)}"


@looks_at_numbers
def modified_hamiltonian(discretizer: Any, order: int) -> ModifiedHamiltonian | None:
    r"""The Hamiltonian that a scheme of the heavy ball without friction conserves through $h^{p-1}$; `None` if none.

    Exact, from the scheme's own code. A scheme that has none for some order drifts in energy at that order.

    Args:
        discretizer: the scheme; a user's own as well.
        order: p: terms through $h^{p-1}$.

    Raises:
        NotExactError: naming the line that is no B-series, or for a scheme with memory.
        UnansweredQuestionError: if it asks the heavy ball what that does not answer.

    References:
        E. Hairer, C. Lubich, G. Wanner, Geometric Numerical Integration, 2nd ed. 2006, section IX.9.

    Example:
        >>> import gradientflow as gf
        >>> import sympy
        >>> x, v = sympy.symbols("x v")
        >>> print(gf.modified_hamiltonian(gf.MomentumEuler(), 2).expression(x**2 / 2, [x], [v]))
        -h*v*x/2 + m*v**2/2 + x**2/2
        >>> gf.modified_hamiltonian(gf.ForwardEuler(), 2) is None
        True
    """
    equation = modified_equation(discretizer, order, HeavyBallFlow)
    weights = {tree: c * tree.symmetry for tree, c in equation.coefficients.items() if not _rubs(tree)}
    coefficients: dict[Tree, Fraction] = {}
    for tree, weight in weights.items():
        signs = _signed_rootings(tree)
        if signs is None or any(weights.get(other, Fraction(0)) != sign * weight for other, sign in signs.items()):
            return None
        root = min(signs)
        coefficients[root] = signs[root] * weight / free_symmetry(root)
    ordered = dict(sorted(coefficients.items(), key=lambda item: (item[0].order, item[0])))
    return ModifiedHamiltonian(equation.scheme, order, ordered, equation.grade)


def _rubs(tree: Tree) -> bool:
    """Whether the friction has a part in it."""
    return tree.colour == _FRICTION or any(map(_rubs, tree.children))


def _signed_rootings(tree: Tree) -> dict[Tree, int] | None:
    """The rootings of the free tree, and whether an even or odd number of edges leads to them from this one.

    `None` where both do: then the tree's elementary Hamiltonian vanishes.
    """
    signs, waiting = {tree: 1}, [tree]
    while waiting:
        here = waiting.pop()
        for i, child in enumerate(here.children):
            moved = child.with_child(Tree(here.colour, here.children[:i] + here.children[i + 1 :]))
            if signs.get(moved, -signs[here]) != -signs[here]:
                return None
            if moved not in signs:
                signs[moved] = -signs[here]
                waiting.append(moved)
    return signs


def _hamiltonian_field(
    hamiltonian: sympy.Expr, positions: Sequence[sympy.Symbol], velocities: Sequence[sympy.Symbol]
) -> sympy.Matrix:
    """ẋ = ∂K/∂v, v̇ = −∂K/∂x."""
    forward = [sympy.diff(hamiltonian, v) for v in velocities]
    return sympy.Matrix([*forward, *(-sympy.diff(hamiltonian, x) for x in positions)])
