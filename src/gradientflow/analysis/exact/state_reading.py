"""Reading 4, the reading itself: the linear forms of a step, or of a drift, in states and gradients."""

import dataclasses
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import jax
import numpy as np
from sympy import QQ
from sympy.polys.fields import FracElement

from gradientflow.discretizers import Discretizer
from gradientflow.flows import Composite, Flow, Mode, with_energy

from .algebra import fraction, polynomials, solution_near, value_at
from .blame import blaming
from .draws import read_alike
from .leaf import Exact, NotExactError
from .linear_forms import exact_leaves, generic_state, linear_form
from .oracle import MOST_GRADIENTS, Inquiry, Oracle, SumOracle
from .own_sum import check_on_own_sum, knows_its_sum
from .parameters import flow_converted, with_parameters
from .state_leaf import StateLeaf
from .state_space import StateSpace
from .trial import DriftAsStep, Trial, check_on_own_energy, check_on_vectors, looks_further


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
        parts: of which energy each gradient is: 0, or 1 for the g of a sum f + g.
        start_parts: of those asked at the start.
    """

    after: np.ndarray
    points: np.ndarray
    position: np.ndarray
    start: np.ndarray
    start_points: np.ndarray
    names: tuple[str, ...]
    rests: bool = True
    parts: tuple[int, ...] = ()
    start_parts: tuple[int, ...] = ()

    def equals(self, other: "Reading") -> bool:
        """Whether another reading says the same."""
        mine, others = ([getattr(each, field.name) for field in dataclasses.fields(each)] for each in (self, other))
        return all(np.array_equal(a, b) for a, b in zip(mine, others, strict=True))

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
        if position.shape[0] != 1:
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
        start_points = fractions(self.start_points)
        return StateSpace(
            A, B, C, D, position[:, :n], position[:, n:], rest, start, start_points, self.names, self.parts,
            self.start_parts,
        )  # fmt: skip


def read_step(flow: Flow, discretizer: Discretizer, h: Any, field: Any = QQ, t: Fraction | None = None) -> Reading:
    """One step of a scheme, exactly; its flow's energy is not used.

    Args:
        flow: the flow; its parameters may be exact leaves.
        discretizer: the scheme.
        h: the step, a fraction or an exact leaf.
        field: what exact leaves among the parameters are elements of.
        t: when the step is taken; unless given, it must not matter.

    Raises:
        NotExactError: if the step is no combination of states and gradients with constant coefficients, naming the
            line.
        UnansweredQuestionError: if the flow does not answer what the scheme asks.
    """
    scheme = with_parameters(discretizer, lambda _, value: Exact(value), integers=False)
    trial = Trial(_bare(flow), scheme, h if isinstance(h, Exact) else Exact(h), None if t is None else Exact(t))
    with blaming(discretizer, flow):
        found = _checked(trial, lambda: _read_step(trial, field), field)
    if field == QQ and (looks_further(flow, discretizer) or knows_its_sum(flow, discretizer)):
        own = flow_converted(flow, flow.energy, lambda _, value: float(value))
        bare = with_parameters(discretizer, lambda _, value: float(value), integers=False)
        floats = [None if leaf is None else float(fraction(leaf.value)) for leaf in (trial.h, trial.t)]
        there = Trial(own, bare, *floats)
        if flow.energy.nonsmooth is None:
            check_on_own_energy(there, lambda curvatures: _matrices(found, curvatures, _as_it_is))
        else:
            check_on_own_sum(there, _system(found, _as_it_is), found.parts)
    return found


def _checked(trial: Trial, read: Callable[[], Reading], field: Any) -> Reading:
    """What is read twice alike, and is what the step does to vectors."""
    found = read_alike(type(trial.discretizer).__name__, read, Reading.equals)
    symbols = [] if field == QQ else [str(symbol) for symbol in field.symbols]

    def valued(element: Any, values: Sequence[Fraction]) -> Fraction:
        return value_at(element, dict(zip(symbols, values, strict=True)))

    def matrices(values: Sequence[Fraction], curvatures: Sequence[Fraction]) -> np.ndarray:
        return _matrices(found, np.array(curvatures, float), lambda entry: valued(entry, values))

    check_on_vectors(trial, len(symbols), valued, matrices)
    return found


def _as_it_is(element: Any) -> Any:
    return element


def _matrices(found: Reading, curvatures: np.ndarray, valued: Callable[[Any], Any]) -> np.ndarray:
    """What a step or a drift multiplies a mode's state by, mode by mode, and below it what the position is of it."""
    A, B, C, D, position, of_inputs = _system(found, valued)
    after, of_inputs = np.vstack([A, position]), np.vstack([B, of_inputs])
    # Of a sum the second energy has the same modes, with the curvatures the other way round.
    of_parts = np.array([curvatures, curvatures[::-1]])[list(found.parts) or [0] * len(D)].T[..., None]
    return np.array([after + of_inputs @ np.linalg.solve(np.eye(len(D)) - lam * D, lam * C) for lam in of_parts])


def _system(found: Reading, valued: Callable[[Any], Any]) -> tuple[np.ndarray, ...]:
    """A, B, C and D in floating point, and the position's rows in state and gradients."""
    n = len(found.names)
    after, points, position = (
        np.array([[float(valued(entry)) for entry in row] for row in rows]).reshape(rows.shape)
        for rows in (found.after, found.points, found.position)
    )
    return after[:, :n], after[:, n:], points[:, :n], points[:, n:], position[:, :n], position[:, n:]


def _read_step(trial: Trial, field: Any) -> Reading:
    bare, scheme, h, t = trial
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
    out = scheme.step(on_state, forms[-1] if t is None else t, z, h, **given)
    out, handed_on = (out, None) if memory is None else out
    leaves = jax.tree.leaves(out) + exact_leaves(memory, handed_on)
    position = jax.tree.leaves(scheme.position(on_state, z, h))
    after, points, where = (_rows(some, size + len(asking.asked), field) for some in (leaves, asking.asked, position))
    first_rows, first_points = (_rows(some, 1 + len(inquiry.asked), field) for some in (start, inquiry.asked))
    parts = tuple(asking.parts), tuple(inquiry.parts)
    return Reading(after, points, where, first_rows, first_points, _names(first, size), True, *parts)


def read_drift(flow: Flow) -> Reading:
    """A flow's drift, exactly, with ξ' = ξ̇; its energy is not used.

    Raises:
        NotExactError: as `read_step`; or if it asks for the gradient elsewhere than at the position.
    """
    trial = Trial(_bare(flow), DriftAsStep(), None)
    with blaming(flow):
        return _checked(trial, lambda: _read_drift(trial), QQ)


def _read_drift(trial: Trial) -> Reading:
    bare = trial.flow
    structure = jax.tree.structure(bare.init(Exact(0)))
    states = structure.num_leaves
    forms, _ = generic_state(QQ, states, None, (*_gradient_names(), "t"))
    inquiry, bare = _asking(bare, forms[states:-1])
    z = jax.tree.unflatten(structure, forms[:states])
    leaves = jax.tree.leaves(bare.drift(forms[-1], z))
    position = jax.tree.leaves(bare.position(z))
    start = jax.tree.leaves(bare.init(StateLeaf(polynomials(["x0"]).gens[0])))
    after, points, where = (_rows(some, states + len(inquiry.asked), QQ) for some in (leaves, inquiry.asked, position))
    if len(points) != 1 or (points != where).any():
        raise NotExactError("a drift that asks for other gradients than the one at the position")
    return Reading(after, points, where, _rows(start, 1, QQ), _rows([], 1, QQ), _names(z, states), rests=False)


def _bare(flow: Flow) -> Flow:
    """The flow with its parameters exact, on no energy yet; or on the sum of two."""
    nothing = Mode(None) if flow.energy.nonsmooth is None else Composite(Mode(None), Mode(None))
    return flow_converted(flow, nothing, lambda _, value: Exact(value))


def _asking(flow: Flow, gradients: Sequence[Exact]) -> tuple[Inquiry, Flow]:
    inquiry = Inquiry(gradients)
    return inquiry, with_energy(flow, (Oracle if flow.energy.nonsmooth is None else SumOracle)(inquiry))


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
    symbols = element.field.symbols if isinstance(element, FracElement) else ()
    try:
        return value_at(element, dict(zip(map(str, symbols), values, strict=False)))
    except ZeroDivisionError:
        raise NotExactError("at these parameters the step divides by zero") from None
