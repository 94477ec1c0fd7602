r"""The modified equation: the flow that a scheme's iterates follow more closely than their own.

A scheme's B-series with weights a is the flow over h of a field with a B-series b of its own. By the Lie derivative,
$b(\tau) = a(\tau) - \sum_{j \ge 2} \tfrac1{j!}(\partial_b^{j-1}b)(\tau)$, where $\partial_b c(\tau)$ sums
$c(\theta)\,b(\delta)$ over the pairs that cutting one edge of τ leaves; tree by tree that is exact arithmetic.

References:
    E. Hairer, C. Lubich, G. Wanner, Geometric Numerical Integration, 2nd ed. 2006, section IX.9.
    D. G. T. Barrett, B. Dherin, Implicit gradient regularization, ICLR 2021.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import sympy

from gradientflow.discretizers import Discretizer, as_method
from gradientflow.flows import Flow, check_integer, looks_at_numbers

from ..exact.leaf import NotExactError
from ..linear_stability.function import stability_function
from ..results.grades import Grade
from ..results.result import Result
from .order import Series, read_series
from .trees import Tree, rootings, splits

_H = sympy.Symbol("h")


@dataclasses.dataclass(frozen=True)
class ModifiedEquation(Result):
    r"""A modified equation, $\dot{\tilde z} = \sum_\tau h^{|\tau|-1} c_\tau F(\tau)(\tilde z)$, through $h^{p-1}$.

    Attributes:
        scheme: the scheme's name.
        order: p: trees of up to so many nodes.
        coefficients: $c_\tau$ on elementary differentials, by tree, where not zero.
        grade: proved.
    """

    scheme: str
    order: int
    coefficients: Mapping[Tree, Fraction]
    grade: Grade = Grade.PROVED

    @property
    def is_gradient(self) -> bool | None:
        r"""Whether the modified field of $\dot x = -\nabla E$ is again a gradient, for every E and dimension.

        So it is if $c_\tau\sigma_\tau$ is equal on all rootings of each free tree. `None` for a split flow.
        """
        if self._is_coloured:
            return None
        weights = {tree: c * tree.symmetry for tree, c in self.coefficients.items()}
        return all(
            weights.get(tree, 0) == weights.get(other, 0) for tree in self._all_trees() for other in rootings(tree)
        )

    @property
    def modified_energy(self) -> "ModifiedEnergy | None":
        """The energy whose gradient flow the modified equation is, or `None` where it is no gradient."""
        if not self.is_gradient:
            return None
        terms: dict[Tree, Fraction] = {}
        for tree, c in self.coefficients.items():
            free = min(rootings(tree))
            automorphisms = free_symmetry(free)
            terms[free] = Fraction((-1) ** (tree.order + 1)) * c * tree.symmetry / automorphisms
        ordered = dict(sorted(terms.items(), key=lambda item: (item[0].order, item[0])))
        return ModifiedEnergy(self.order, ordered, self.grade)

    def field(self, gradient_of: sympy.Expr, symbols: Sequence[sympy.Symbol]) -> sympy.Matrix:
        """The modified field of the gradient flow of a symbolic energy, in its symbols and h.

        Args:
            gradient_of: the energy.
            symbols: its coordinates.

        Raises:
            TypeError: for a split flow.
        """
        f = sympy.Matrix([-sympy.diff(gradient_of, s) for s in symbols])
        return self.field_of(f, symbols)

    def field_of(self, f: sympy.Matrix, symbols: Sequence[sympy.Symbol]) -> sympy.Matrix:
        """The modified field of ẋ = f(x), in its symbols and h.

        Raises:
            TypeError: for a split flow.
        """
        if self._is_coloured:
            raise TypeError("field_of: the scheme is of a split flow, with a field for each part; use ModifiedFlow")
        total = sympy.zeros(len(symbols), 1)
        for tree, c in self.coefficients.items():
            weight = sympy.Rational(c.numerator, c.denominator) * _H ** (tree.order - 1)
            total += weight * _differential(tree, f, symbols)
        return total.applyfunc(sympy.expand)

    def latex(self) -> str:
        """The equation in LaTeX."""
        return rf"\dot{{\tilde x}} = {series_latex(self.coefficients, Tree.latex)} + O(h^{{{self.order}}})"

    @property
    def _is_coloured(self) -> bool:
        return any(tree.colour for tree in self.coefficients)

    def _all_trees(self) -> set[Tree]:
        return {other for tree in self.coefficients for other in rootings(tree)}

    def __repr__(self) -> str:
        """The terms, one line each power of h."""
        lines = [f"modified equation of {self.scheme}, {self.grade}; f is the flow's field"]
        for n in range(1, self.order + 1):
            terms = {str(tree): c for tree, c in self.coefficients.items() if tree.order == n}
            lines.append(f"  h^{n - 1}: {summed(terms)}")
        return "\n".join(lines)


@dataclasses.dataclass(frozen=True)
class ModifiedEnergy(Result):
    r"""$\tilde E = \sum_t h^{|t|-1} e_t\,U_t$ over free trees: U contracts the derivatives of E along the edges.

    One node is E, two are $\|\nabla E\|^2$, three in a row $\nabla E^\top\nabla^2E\,\nabla E$.

    Attributes:
        order: trees of up to so many nodes.
        coefficients: $e_t$, each at one rooting of its free tree.
        grade: that of the modified equation that they are made from.
    """

    order: int
    coefficients: Mapping[Tree, Fraction]
    grade: Grade

    def expression(self, energy: sympy.Expr, symbols: Sequence[sympy.Symbol]) -> sympy.Expr:
        """The modified energy of a symbolic energy, in its symbols and h."""
        gradient = sympy.Matrix([sympy.diff(energy, s) for s in symbols])
        total = sympy.Integer(0)
        for tree, e in self.coefficients.items():
            arguments = [_differential(child, gradient, symbols) for child in tree.children]
            weight = sympy.Rational(e.numerator, e.denominator) * _H ** (tree.order - 1)
            total += weight * derivative(sympy.Matrix([energy]), arguments, symbols)[0]
        return sympy.expand(total)

    def latex(self) -> str:
        """The energy in LaTeX, with E for f in the trees' names."""
        terms = series_latex(self.coefficients, lambda tree: tree.latex().replace("f", "E"))
        return rf"\tilde E = {terms} + O(h^{{{self.order}}})"

    def __repr__(self) -> str:
        """The terms, with E for f in the trees' names."""
        powers = {0: "", 1: "h "} | {n: f"h^{n} " for n in range(2, self.order)}
        terms = {powers[tree.order - 1] + str(tree).replace("f", "E"): e for tree, e in self.coefficients.items()}
        return f"modified energy, {self.grade}: {summed(terms)}"


def series_latex(coefficients: Mapping[Tree, Fraction], spelled: Callable[[Tree], str]) -> str:
    """The terms of a series in LaTeX, each with its power of h."""
    parts = []
    for tree, c in coefficients.items():
        sign = "-" if c < 0 else "+" if parts else ""
        size, power = abs(c), tree.order - 1
        number = str(size) if size.denominator == 1 else rf"\tfrac{{{size.numerator}}}{{{size.denominator}}}"
        step = "" if power == 0 else "h" if power == 1 else f"h^{{{power}}}"
        parts.append(f"{sign} {'' if size == 1 else number}{step}{spelled(tree)}".strip())
    return " ".join(parts)


@looks_at_numbers
def modified_equation(discretizer: Any, order: int, flow: type[Flow] | Flow | None = None) -> ModifiedEquation:
    r"""The modified equation of a scheme on flows that don't depend on time, exact, from its own code.

    Args:
        discretizer: the scheme, a user's own as well; or a Method, whose scheme and flow are asked about.
        order: terms through $h^{p-1}$, p being this.
        flow: for schemes that ask for parts: the flow, or its class.

    Raises:
        NotExactError: naming the line that is no B-series, or for a scheme with memory.
        UnansweredQuestionError: as `order` does.

    References:
        E. Hairer, C. Lubich, G. Wanner, Geometric Numerical Integration, 2nd ed. 2006, section IX.9.

    Example:
        >>> import gradientflow as gf
        >>> euler = gf.modified_equation(gf.ForwardEuler(), 3)
        >>> print(euler)
        modified equation of ForwardEuler, proved; f is the flow's field
          h^0: f
          h^1: −1/2 f'f
          h^2: 1/12 f''(f,f) + 1/3 f'f'f
        >>> euler.is_gradient, gf.modified_equation(gf.ForwardEuler(), 2).modified_energy
        (False, modified energy, proved: E + 1/4 h E'E)
    """
    check_integer("modified_equation", 1, order=order)
    _, flow, discretizer, _ = as_method("modified_equation", discretizer, flow=flow, alone=True)
    series = read_series(discretizer, order, flow, autonomous=True)
    if series.has_memory:
        raise NotExactError(f"{type(discretizer).__name__} has memory: its iterates follow no one flow of z alone")
    weights = logarithm(series)
    coefficients = {tree: b / tree.symmetry for tree, b in weights.items() if b}
    return ModifiedEquation(discretizer.name, order, coefficients)


@looks_at_numbers
def modified_rate(discretizer: Discretizer) -> sympy.Expr:
    r"""The rate $-\log R(-h\lambda)/h$ at which iterates decay on a mode of the gradient flow: all orders at once.

    On quadratics it is the exact modified equation, $\dot{\tilde x} = -r\,\tilde x$, wherever R is positive. An
    expression has no grade: R is the scheme's own arithmetic on exact numbers, and so this is proved, or refused.

    Args:
        discretizer: the scheme, without memory.

    Raises:
        NotExactError: if it can't be read exactly.
        UnansweredQuestionError: if it asks the gradient flow what it does not answer.
        TypeError: if it has memory, so that a mode has several rates.

    References:
        E. Hairer, C. Lubich, G. Wanner, Geometric Numerical Integration, 2nd ed. 2006, chapter IX.

    Example:
        >>> import gradientflow as gf
        >>> gf.modified_rate(gf.BackwardEuler())
        log(h*lambda + 1)/h
    """
    read = stability_function(discretizer)
    if isinstance(read, sympy.MatrixBase):
        raise TypeError(f"modified_rate: {type(discretizer).__name__} has memory, and several rates on a mode")
    factor: Any = sympy.factor(read.subs(sympy.Symbol("z"), -_H * sympy.Symbol("lambda")))
    return sympy.log(1 / factor) / _H


def logarithm(series: Series) -> dict[Tree, Fraction]:
    """b with exp(b) = a: the weights of the modified field."""
    # derivatives[j][τ] is (∂_b^j b)(τ), filled in order: cutting an edge leaves smaller trees.
    derivatives: list[dict[Tree, Fraction]] = [{}]
    for tree, weight in series.weights.items():
        while len(derivatives) < tree.order:
            derivatives.append({})
        for j in range(1, tree.order):
            derivatives[j][tree] = sum(
                (derivatives[j - 1].get(rest, Fraction(0)) * derivatives[0][cut] for rest, cut in splits(tree)),
                Fraction(0),
            )
        later = (derivatives[j][tree] / math.factorial(j + 1) for j in range(1, tree.order))
        derivatives[0][tree] = weight - sum(later, Fraction(0))
    return derivatives[0]


def free_symmetry(tree: Tree) -> int:
    """The number of automorphisms of the free tree: a rooting's, times the number of nodes that have this rooting."""
    nodes = _nodes(tree)
    return tree.symmetry * sum(1 for other in nodes if other == tree)


def _nodes(tree: Tree) -> list[Tree]:
    """The rooting at every node of the tree."""
    found, waiting = [tree], [(tree, child) for child in tree.children]
    while waiting:
        root, child = waiting.pop()
        i = root.children.index(child)
        others = Tree(root.colour, root.children[:i] + root.children[i + 1 :])
        moved = child.with_child(others)
        found.append(moved)
        waiting += [(moved, grandchild) for grandchild in child.children]
    return found


def summed(terms: Mapping[str, Fraction]) -> str:
    """`1/2 a − 1/3 b`."""
    text = ""
    for name, c in terms.items():
        sign = (" − " if c < 0 else " + ") if text else ("−" if c < 0 else "")
        text += f"{sign}{'' if abs(c) == 1 else f'{abs(c)} '}{name}"
    return text or "0"


def _differential(tree: Tree, f: sympy.Matrix, symbols: Sequence[sympy.Symbol]) -> sympy.Matrix:
    r"""$F(\tau)$: the derivative of f as often as there are children, applied to theirs."""
    return derivative(f, [_differential(child, f, symbols) for child in tree.children], symbols)


def derivative(f: sympy.Matrix, arguments: Sequence[sympy.Matrix], symbols: Sequence[sympy.Symbol]) -> sympy.Matrix:
    """f's derivative applied to vectors, which are constants to it: it is taken along symbols that they replace."""
    named: dict[Any, Any] = {}
    for argument in arguments:
        direction = [sympy.Dummy() for _ in symbols]
        f = f.jacobian(list(symbols)) * sympy.Matrix(direction)
        named |= dict(zip(direction, argument.flat(), strict=True))
    return f.xreplace(named)
