r"""Reading 4: what a scheme does to *every* energy, as matrices over ℚ, read from the code that runs.

The step is run with an oracle in the energy's place, whose answers are free inputs $u_i$. Then it is a linear system

$$\xi' = A\xi + Bu,\qquad y = C\xi + Du,\qquad u_i = \nabla E(y_i),$$

where ξ is the state with the scheme's memory and $y_i$ the points where a gradient was asked. A flow is read likewise,
with $\dot\xi$ in the place of ξ'.

References:
    L. Lessard, B. Recht, A. Packard, Analysis and design of optimization algorithms via integral quadratic constraints,
    SIAM J. Optim. 26, 2016.
"""

import dataclasses
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import jax
import numpy as np
from sympy import QQ
from sympy.polys.fields import FracElement
from sympy.polys.matrices import DomainMatrix

from gradientflow.discretizers import Discretizer
from gradientflow.flows import Flow, Mode, with_energy

from .algebra import fraction, polynomials, rational, solution_near
from .blame import blaming
from .leaf import Exact, NotExactError
from .linear_forms import exact_leaves, generic_state, linear_form
from .oracle import MOST_GRADIENTS, Inquiry, Oracle
from .parameters import flow_converted, with_parameters
from .state_leaf import StateLeaf


@dataclasses.dataclass(frozen=True)
class StateSpace:
    """A linear system that asks for gradients: arrays of fractions, or of floats.

    Attributes:
        A: (n, n).
        B: (n, m).
        C: (m, n).
        D: (m, m).
        position: the position as a row in ξ, (1, n).
        rest: where ξ rests if the minimizer is 1, (n, 1).
        start: ξ at the start from rest at 1, as a column, and as combinations of gradients asked there, (n, 1 + k).
        start_points: where those gradients are asked, in the start and the gradients, (k, 1 + k).
        names: the names of ξ's entries.
    """

    A: np.ndarray
    B: np.ndarray
    C: np.ndarray
    D: np.ndarray
    position: np.ndarray
    rest: np.ndarray
    start: np.ndarray
    start_points: np.ndarray
    names: tuple[str, ...]

    @property
    def states(self) -> int:
        """n."""
        return self.A.shape[0]

    @property
    def gradients(self) -> int:
        """m, how many gradients a step asks."""
        return self.B.shape[1]

    def as_floats(self) -> "StateSpace":
        """The same in floating point."""
        return self._with(**{name: getattr(self, name).astype(float) for name in _MATRICES})

    def with_gradients_in(self, unit: Any) -> "StateSpace":
        """The same with inputs u/unit: of the energies E/unit."""
        scale = np.array([1, *[unit] * self.start_points.shape[0]], dtype=object)
        return self._with(
            B=self.B * unit, D=self.D * unit, start=self.start * scale, start_points=self.start_points * scale
        )

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
            lam: the curvatures, (k,).

        Returns:
            The curvatures at which there is one, and the matrices, (·, n, n).
        """
        equations = np.eye(self.gradients) - lam[:, None, None] * self.D
        kept = np.abs(np.linalg.det(equations)) > _SINGULAR
        lam = lam[kept]
        feedback = np.linalg.solve(equations[kept], lam[:, None, None] * self.C)
        return lam, self.A + self.B @ feedback

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
_MATRICES = ("A", "B", "C", "D", "position", "rest", "start", "start_points")


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


@dataclasses.dataclass(frozen=True)
class Reading:
    """The linear forms of a step (or a drift), over ℚ or over a field of rational functions in parameters.

    Attributes:
        after: the next ξ, in ξ and u.
        points: where gradients are asked, in ξ and u.
        position: in ξ and u.
        start: ξ at the start, in x₀ and gradients asked there.
        start_points: where those are asked, in the same.
        names: the names of ξ's entries.
        rests: whether it is a step, which leaves ξ where it rests; a drift vanishes there.
    """

    after: np.ndarray
    points: np.ndarray
    position: np.ndarray
    start: np.ndarray
    start_points: np.ndarray
    names: tuple[str, ...]
    rests: bool = True

    def at(self, *parameters: Fraction) -> StateSpace:
        """The system for given parameters.

        Raises:
            NotExactError: if it does not rest at a minimizer.
        """

        def fractions(rows: np.ndarray) -> np.ndarray:
            return np.array([[_valued(c, parameters) for c in row] for row in rows], dtype=object).reshape(rows.shape)

        if not len(self.points):
            raise NotExactError("it asks for no gradient: it does not depend on the energy")
        n = len(self.names)
        after, points, position = map(fractions, (self.after, self.points, self.position))
        if position.shape[0] != 1 or position[:, n:].any():
            raise NotExactError("the position is no combination of the state's leaves")
        A, B, C, D = after[:, :n], after[:, n:], points[:, :n], points[:, n:]
        still = A - np.eye(n, dtype=int) if self.rests else A
        start, equations = fractions(self.start), np.vstack([still, C, position[:, :n]])
        right = np.array([[0]] * n + [[1]] * (len(C) + 1), dtype=object)
        # Where the start asks for no gradients it rests by itself, from the minimizer.
        rest = start[:, :1]
        if (equations @ rest != right).any():
            solved = solution_near(np.hstack([equations, -right]).tolist(), [Fraction(0)] * n)
            rest = None if solved is None else np.array([solved], dtype=object).T
        if rest is None:
            raise NotExactError("it does not rest where the gradient vanishes: it is no descent of E")
        return StateSpace(A, B, C, D, position[:, :n], rest, start, fractions(self.start_points), self.names)


def read_step(flow: Flow, discretizer: Discretizer, h: Any, field: Any = QQ) -> Reading:
    """One step of a scheme, exactly; its flow's energy is not used.

    Args:
        flow: the flow; its parameters may be exact leaves.
        discretizer: the scheme.
        h: the step, a fraction or an exact leaf.
        field: what exact leaves among the parameters are elements of.

    Raises:
        NotExactError: if the step is no combination of states and gradients with constant coefficients, naming the
            line.
        UnansweredQuestionError: if the flow does not answer what the scheme asks.
    """
    bare, h = _bare(flow), h if isinstance(h, Exact) else Exact(h)
    scheme = with_parameters(discretizer, lambda _, value: Exact(value), integers=False)
    with blaming(discretizer, flow):
        # The start: its own ring, in which gradients may be asked before the first step.
        ring = polynomials(["x0", *_gradient_names()], field)
        x0, *gradients = map(StateLeaf, ring.gens)
        inquiry, on_start = _asking(bare, gradients)
        first = on_start.init(x0)
        memory = scheme.init(on_start, Exact(0), first, h)
        start = jax.tree.leaves(first) + [leaf for leaf in jax.tree.leaves(memory) if isinstance(leaf, Exact)]
        # The step.
        structure, states = jax.tree.structure(first), len(jax.tree.leaves(first))
        forms, remembered = generic_state(field, states, memory, (*_gradient_names(), "t"))
        size = len(forms) - MOST_GRADIENTS - 1
        asking, on_state = _asking(bare, forms[size:-1])
        z = jax.tree.unflatten(structure, forms[:states])
        given = {} if memory is None else {"memory": remembered}
        out = scheme.step(on_state, forms[-1], z, h, **given)
        out, handed_on = (out, None) if memory is None else out
        leaves = jax.tree.leaves(out) + exact_leaves(memory, handed_on)
        position = jax.tree.leaves(scheme.position(on_state, z, h))
        after, points, where = (
            _rows(some, size + len(asking.asked), field) for some in (leaves, asking.asked, position)
        )
        first_rows, first_points = (_rows(some, 1 + len(inquiry.asked), field) for some in (start, inquiry.asked))
        return Reading(after, points, where, first_rows, first_points, _names(first, size))


def read_drift(flow: Flow) -> Reading:
    """A flow's drift, exactly, with ξ' = ξ̇; its energy is not used.

    Raises:
        NotExactError: as `read_step`; or if it asks for the gradient elsewhere than at the position.
    """
    bare = _bare(flow)
    with blaming(flow):
        structure = jax.tree.structure(bare.init(Exact(0)))
        states = structure.num_leaves
        forms, _ = generic_state(QQ, states, None, (*_gradient_names(), "t"))
        inquiry, bare = _asking(bare, forms[states:-1])
        z = jax.tree.unflatten(structure, forms[:states])
        leaves = jax.tree.leaves(bare.drift(forms[-1], z))
        position = jax.tree.leaves(bare.position(z))
        start = jax.tree.leaves(bare.init(StateLeaf(polynomials(["x0"]).gens[0])))
        after, points, where = (
            _rows(some, states + len(inquiry.asked), QQ) for some in (leaves, inquiry.asked, position)
        )
        if len(points) != 1 or (points != where).any():
            raise NotExactError("a drift that asks for other gradients than the one at the position")
        return Reading(after, points, where, _rows(start, 1, QQ), _rows([], 1, QQ), _names(z, states), rests=False)


def _bare(flow: Flow) -> Flow:
    """The flow with its parameters exact, on no energy yet."""
    return flow_converted(flow, Mode(None), lambda _, value: Exact(value))


def _asking(flow: Flow, gradients: Sequence[Exact]) -> tuple[Inquiry, Flow]:
    inquiry = Inquiry(gradients)
    return inquiry, with_energy(flow, Oracle(inquiry))


def _gradient_names() -> list[str]:
    return [f"g{i}" for i in range(MOST_GRADIENTS)]


def _names(z: Any, size: int) -> tuple[str, ...]:
    """The fields of a state that has some, then the numbers of a memory."""
    fields = list(vars(z)) if hasattr(z, "__dict__") and not isinstance(z, Exact) else ["x"]
    return (*fields, *(f"m_{i}" for i in range(size - len(fields))))[:size]


def _rows(leaves: Sequence[Any], generators: int, field: Any) -> np.ndarray:
    """The coefficients of linear forms, as an array of the field's elements; those beyond `generators` must vanish."""
    rows = np.empty((len(leaves), generators), dtype=object)
    for i, leaf in enumerate(leaves):
        count = len(leaf.value.ring.gens) if hasattr(leaf.value, "ring") else generators
        form = linear_form(leaf, count, field.zero)
        if any(form[generators:]):
            raise NotExactError(f"the step depends on more than the state and the gradients: {leaf}")
        rows[i] = (form + [field.zero] * generators)[:generators]
    return rows


def _valued(element: Any, values: Sequence[Fraction]) -> Fraction:
    """A rational function at a point, or a rational, as a fraction."""
    if not isinstance(element, FracElement):
        return fraction(element)

    def summed(part: Any) -> Fraction:
        terms = (fraction(c) * math.prod(map(pow, values, powers)) for powers, c in part.terms())
        return sum(terms, Fraction(0))

    below = summed(element.denom)
    if not below:
        raise NotExactError("at these parameters the step divides by zero")
    return summed(element.numer) / below


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
