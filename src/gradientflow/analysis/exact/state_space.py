r"""Reading 4: what a scheme does to *every* energy, as matrices over ℚ, read from the code that runs.

The step is run with an oracle in the energy's place, whose answers are free inputs $u_i$. Then it is a linear system

$$\xi' = A\xi + Bu,\qquad y = C\xi + Du,\qquad u_i = \nabla E(y_i),$$

where ξ is the state with the scheme's memory and $y_i$ the points where a gradient was asked; the position is a
combination of ξ, and of u where it is a proximal point of the state. A flow is read likewise, with $\dot\xi$ in the
place of ξ'.

References:
    L. Lessard, B. Recht, A. Packard, Analysis and design of optimization algorithms via integral quadratic constraints,
    SIAM J. Optim. 26, 2016.
"""

import dataclasses
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from sympy import QQ
from sympy.polys.matrices import DomainMatrix

from .algebra import fraction, rational
from .leaf import NotExactError


@dataclasses.dataclass(frozen=True)
class StateSpace:
    """A linear system that asks for gradients: arrays of fractions, or of floats.

    Attributes:
        A: (n, n).
        B: (n, m).
        C: (m, n).
        D: (m, m).
        position: the position as a row in ξ, (1, n).
        position_inputs: what it takes of u, (1, m).
        rest: where ξ rests if the minimizer is 1, (n, 1).
        start: ξ at the start from rest at 1, as a column, and as combinations of gradients asked there, (n, 1 + k).
        start_points: where those gradients are asked, in the start and the gradients, (k, 1 + k).
        names: the names of ξ's entries.
        parts: of which energy each gradient is: 0, or 1 for the g of a sum f + g; empty where there is one.
        start_parts: of those asked at the start.
    """

    A: np.ndarray
    B: np.ndarray
    C: np.ndarray
    D: np.ndarray
    position: np.ndarray
    position_inputs: np.ndarray
    rest: np.ndarray
    start: np.ndarray
    start_points: np.ndarray
    names: tuple[str, ...]
    parts: tuple[int, ...] = ()
    start_parts: tuple[int, ...] = ()

    @property
    def states(self) -> int:
        """n."""
        return self.A.shape[0]

    @property
    def gradients(self) -> int:
        """m, how many gradients a step asks."""
        return self.B.shape[1]

    @property
    def used(self) -> np.ndarray:
        """Which gradients anything depends on, (m,)."""
        return np.asarray(np.vstack([self.B, self.D, self.position_inputs]).any(axis=0))

    def relying_on_used(self) -> "StateSpace":
        """The same without g's subgradients that nothing depends on: that g has some there is nothing to rely on."""
        kept = [i for i, used in enumerate(self.used) if used or not self.parts[i]]
        return self._with(
            B=self.B[:, kept], C=self.C[kept], D=self.D[np.ix_(kept, kept)],
            position_inputs=self.position_inputs[:, kept], parts=tuple(self.parts[i] for i in kept),
        )  # fmt: skip

    def as_floats(self) -> "StateSpace":
        """The same in floating point."""
        return self._with(**{name: getattr(self, name).astype(float) for name in _MATRICES})

    def with_gradients_in(self, unit: Any) -> "StateSpace":
        """The same with inputs u/unit: of the energies E/unit."""
        scale = np.array([1, *[unit] * self.start_points.shape[0]], dtype=object)
        return self._with(
            B=self.B * unit, D=self.D * unit, position_inputs=self.position_inputs * unit, start=self.start * scale,
            start_points=self.start_points * scale,
        )  # fmt: skip

    def with_states(self, scales: Sequence[Fraction]) -> "StateSpace":
        """The same in the states ξᵢ/sᵢ."""
        by_row, by_column = np.array([[1 / s] for s in scales], dtype=object), np.array([scales], dtype=object)
        return self._with(
            A=by_row * self.A * by_column, B=by_row * self.B, C=self.C * by_column,
            position=self.position * by_column, rest=by_row * self.rest, start=by_row * self.start,
        )  # fmt: skip

    def closed_loop(self, lam: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """In floating point: what a step is on modes λx²/2, where implicit equations have a solution.

        Args:
            lam: the curvatures, (k,), or one for each gradient, (k, m).

        Returns:
            The curvatures at which there is one, and the matrices, (·, n, n).
        """
        by_row = lam.reshape(len(lam), -1, 1)
        equations = np.eye(self.gradients) - by_row * self.D
        kept = np.abs(np.linalg.det(equations)) > _SINGULAR
        lam = lam[kept]
        feedback = np.linalg.solve(equations[kept], by_row[kept] * self.C)
        return lam, self.A + self.B @ feedback

    def with_position_in_state(self, where: str) -> "StateSpace":
        """The same, for what knows no other position.

        Raises:
            NotExactError: if the position depends on gradients too.
        """
        if self.position_inputs.any():
            raise NotExactError(
                f"{where}: the position depends on gradients too, as a proximal point of the state does; "
                "worst_case_rate and worst_case_bound know such, with a constant step"
            )
        return self

    def minimal(self) -> "StateSpace":
        """The same without what a run from rest never moves, and without what neither position nor gradients see.

        Its entries keep their names where they are what they were.
        """
        reached = np.hstack([self.rest, self.start, self.B])
        seen = np.vstack([self.C, self.position])
        if _is_full(reached, self.A) and _is_full(seen.T, self.A.T):
            return self
        basis, pivots = _invariant(reached, self.A)
        space = self._with(
            A=(self.A @ basis)[pivots], B=self.B[pivots], C=self.C @ basis, position=self.position @ basis,
            rest=self.rest[pivots], start=self.start[pivots], names=tuple(self.names[i] for i in pivots),
        )  # fmt: skip
        rows, pivots = _invariant(np.vstack([space.C, space.position]).T, space.A.T)
        rows = rows.T
        return space._with(
            A=(rows @ space.A)[:, pivots], B=rows @ space.B, C=space.C[:, pivots], position=space.position[:, pivots],
            rest=rows @ space.rest, start=rows @ space.start, names=tuple(space.names[i] for i in pivots),
        )  # fmt: skip

    def _with(self, **changed: Any) -> "StateSpace":
        return dataclasses.replace(self, **changed)


# Below this an implicit equation has no solution, and its determinant only rounding.
_SINGULAR = 1e-12
# A Krylov matrix with a singular value below this, relative to its greatest, is looked at exactly.
_THIN = 1e-6
_MATRICES = ("A", "B", "C", "D", "position", "position_inputs", "rest", "start", "start_points")


def transfer(space: StateSpace) -> tuple[list[Fraction], list[Fraction]]:
    """χ and N, from the highest power of w down, with N/χ = C(wI − A)⁻¹B + D: of a system with one input."""
    open_loop, closed = characteristic(space.A), characteristic(space.A - space.B @ space.C)
    # det(wI − A + BC)/det(wI − A) = 1 + C(wI − A)⁻¹B.
    through = [a - b + space.D[0, 0] * b for a, b in zip(closed, open_loop, strict=True)]
    return open_loop, through


def characteristic(matrix: np.ndarray) -> list[Fraction]:
    """det(wI − M), from the highest power down."""
    n = len(matrix)
    rows = [[rational(Fraction(entry)) for entry in row] for row in matrix]
    return [fraction(c) for c in DomainMatrix(rows, (n, n), QQ).charpoly()]


def _is_full(columns: np.ndarray, matrix: np.ndarray) -> bool:
    """Whether columns, moved by a matrix again and again, plainly span everything."""
    n = len(matrix)
    blocks = [columns.astype(float)]
    for _ in range(n - 1):
        moved = matrix.astype(float) @ blocks[-1]
        blocks.append(moved / max(1.0, float(np.abs(moved).max())))
    values = np.linalg.svd(np.hstack(blocks), compute_uv=False)
    return len(values) == n and bool(values[-1] > _THIN * values[0])


def _invariant(columns: np.ndarray, matrix: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """A basis, as columns, of the smallest space that holds given columns and that a matrix maps into itself.

    At the entries `pivots` it is the unit matrix.
    """
    n, blocks = len(matrix), [columns]
    for _ in range(n - 1):
        blocks.append(matrix @ blocks[-1])
    rows = [[rational(Fraction(entry)) for entry in row] for row in np.hstack(blocks).T]
    system: Any = DomainMatrix(rows, (len(rows), n), QQ)
    reduced, pivots = system.rref()
    found = reduced.to_list()[: len(pivots)]
    return np.array([[fraction(entry) for entry in row] for row in found], dtype=object).T, list(pivots)
