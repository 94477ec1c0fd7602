"""A proof with formulas for its numbers: an identity of rational functions, and their signs."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import sympy

from ..exact.positive import definite_pivots, is_nonnegative, is_positive
from .conditions import Condition
from .family import Family


@dataclasses.dataclass(frozen=True)
class Identity:
    r"""$\rho^2V_k - V_{k+1} = \sum\lambda_{ij}I_{ij} + S$, and V likewise, for all numbers of a family.

    Attributes:
        squared_rate: ρ², a rational function of the variables.
        weights: those of V.
        multipliers: λ of every condition.
    """

    squared_rate: Any
    weights: tuple[Any, ...]
    multipliers: tuple[tuple[Any, ...], ...]

    def conditions(self, family: Family) -> list[Condition]:
        """What must hold."""
        return family.conditions(self.squared_rate)

    def holds(self, family: Family) -> bool:
        """Whether it does, λ ≥ 0 and S ⪰ 0, and V's rate is that of the distance."""
        conditions = self.conditions(family)
        sizes = [len(condition.inequalities.names) for condition in conditions]
        if sizes != list(map(len, self.multipliers)) or len(self.weights) != len(conditions[0].terms[0]):
            return False
        if not (family.is_sound and is_nonnegative(self.squared_rate)):
            return False
        if len(conditions) == 1 and self.weights[0] != self.squared_rate:
            return False
        for condition, multipliers in zip(conditions, self.multipliers, strict=True):
            excess = condition.constant[1] + _combined(self.weights, condition.terms[1])
            excess = excess - _combined(multipliers, condition.inequalities.values)
            if excess.any() or not all(map(is_nonnegative, multipliers)):
                return False
            if definite_pivots(self.remainder(condition, multipliers)) is None:
                return False
        return len(conditions) == 1 or self._is_of_the_distance(family, conditions[1])

    def remainder(self, condition: Condition, multipliers: Sequence[Any]) -> np.ndarray:
        """S."""
        known = _combined(multipliers, condition.inequalities.forms)
        return condition.constant[0] + _combined(self.weights, condition.terms[0]) - known

    def squares(self, family: Family) -> list[list[tuple[Any, list[tuple[Any, str]]]]]:
        """S of every condition as squares of sums, each with its factor."""
        found = []
        for condition, multipliers in zip(self.conditions(family), self.multipliers, strict=True):
            form = self.remainder(condition, multipliers)
            rest, squares = [list(row) for row in form], []
            for i in definite_pivots(form) or []:
                pivot = rest[i][i]
                row = [entry / pivot for entry in rest[i]]
                rest = [[rest[a][b] - row[a] * row[b] * pivot for b in range(len(rest))] for a in range(len(rest))]
                squares.append((pivot, [(r, name) for r, name in zip(row, condition.basis, strict=True) if r]))
            found.append(squares)
        return found

    def _is_of_the_distance(self, family: Family, positivity: Condition) -> bool:
        """Whether the distance shrinks by ρ where V does by ρ².

        V ≥ c‖x − x*‖² with c > 0 where x's square does not raise the rank, which is the same everywhere. Or V is at
        least the square of one combination z of states and gradients that determines a step's gradient; then the state
        follows z by ξ' = A_z ξ + …, and shrinks with it where all eigenvalues of A_z are less than ρ in size.
        """
        form = self.remainder(positivity, self.multipliers[1])
        place = [*family.space.position[0], *family.space.position_inputs[0]]
        row = np.array([*place, *[family.field.zero] * len(form)][: len(form)], dtype=object)
        pivots, raised = definite_pivots(form), definite_pivots(form + row[:, None] * row[None, :])
        if pivots is None:
            return False
        if raised is not None and len(pivots) == len(raised):
            return True
        space = family.counted
        if len(pivots) != 1 or space.gradients != 1:
            return False
        z = form[pivots[0]]
        of_states, of_gradient = z[: space.states], z[space.states]
        if not (is_positive(of_gradient) or is_positive(-of_gradient)):
            return False
        following = space.A - space.B * of_states[None, :] / of_gradient
        return _is_less(following, self.squared_rate)


def _is_less(matrix: np.ndarray, squared: Any) -> bool:
    """Whether all eigenvalues of a matrix of one row or two are shown to be less than ρ in size."""
    if len(matrix) == 1:
        return is_positive(squared - matrix[0, 0] ** 2)
    if len(matrix) != 2:
        return False
    # Jury's conditions for w² − trace·w + det.
    trace, determinant = matrix[0, 0] + matrix[1, 1], matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0]
    return is_positive(squared**2 - determinant**2) and is_positive((squared + determinant) ** 2 - trace**2 * squared)


def _combined(factors: Sequence[Any], arrays: np.ndarray) -> np.ndarray:
    """Σ factorᵢ arrayᵢ, of rational functions."""
    total: Any = 0 * arrays[0]
    for factor, array in zip(factors, arrays, strict=True):
        total = total + array * factor
    return total


def attained(family: Family, squared: Any) -> sympy.Expr | None:
    """μ or L, where a quadratic of that curvature has ρ or −ρ for an eigenvalue; `None` where neither does."""
    space, root = family.space, family.root(squared)
    told = np.vectorize(family.told, otypes=[object])
    A, B, C, D = (sympy.Matrix(told(M)) for M in (space.A, space.B, space.C, space.D))
    for element in (family.lowest, family.highest):
        if element is None:
            continue
        lam = family.told(element)
        closed = A + lam * B * (sympy.eye(D.shape[0]) - lam * D).inv() * C
        for rho in (root, -root):
            if sympy.simplify((rho * sympy.eye(A.shape[0]) - closed).det()) == 0:
                return lam
    return None
