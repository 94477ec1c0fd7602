"""The order of a scheme, proved from its own step on the rooted-tree system."""

import dataclasses
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import jax
import numpy as np
from sympy import QQ

from gradientflow.discretizers import Discretizer, Method, as_method
from gradientflow.flows import Energy, Flow, Mode, UnansweredQuestionError, check_integer, looks_at_numbers

from ..exact.algebra import fraction, polynomials, rational_functions
from ..exact.blame import blaming
from ..exact.draws import read_alike
from ..exact.leaf import Exact, NotExactError
from ..exact.parameters import flow_converted, symbols_of_flow
from ..exact.state_leaf import StateLeaf, unwrapped
from ..exact.trial import is_shipped
from ..exact.unit_disk import is_simple_von_neumann
from ..linear_stability.function import read_in_z
from ..results.grades import Grade
from ..results.result import Result
from .tall_trees import check_on_gradient_flow, tall_trees
from .tree_arrays import check_on_arrays
from .tree_system import TIME, TreeFlow, TreeState, exact_state
from .trees import Forest, Tree, forest

_STEP, _START = "h", "t"
# So often a step is read on trees of at most so many nodes, to find out one that changes.
_READINGS, _FEW = 32, 2


@dataclasses.dataclass(frozen=True)
class OrderProof(Result):
    """What the rooted-tree system says of a scheme.

    Attributes:
        scheme: its name.
        order: p: all coefficients through order p are the exact flow's. If `up_to` was reached, it may be more.
        up_to: through which order trees were looked at.
        grade: proved, as far as `up_to`.
        coefficients: the elementary weights of the step, by tree: exact. The exact flow has 1/γ.
        against: the trees of order p + 1 whose coefficients are not the exact flow's, with both.
        remark: what else decided, in words; empty where nothing did. A drift that was asked at another time than its
            state's: then trees with a leaf t for the time count too, which no autonomous flow sees. Or memory with
            which the scheme doesn't converge, or whose beginning is less exact than what follows.
    """

    scheme: str
    order: int
    up_to: int
    grade: Grade
    coefficients: Mapping[Tree, Fraction]
    against: Mapping[Tree, tuple[Fraction, Fraction]]
    remark: str

    def why_so(self) -> str:
        """What was compared, and what else decided."""
        compared = f"its elementary weights, exact, beside the exact flow's on all trees through order {self.up_to}"
        return f"{compared}; {self.remark}" if self.remark else compared

    def __repr__(self) -> str:
        """The order, and what stands against the next."""
        at_least = "" if self.against or self.order < self.up_to else " at least"
        remark = f"; {self.remark}" if self.remark else ""
        lines = [f"{self.scheme} has order {self.order}{at_least}, {self.grade}{remark}"]
        lines += [f"  {tree}: {ours}, where the exact flow has {exact}" for tree, (ours, exact) in self.against.items()]
        return "\n".join(lines)


@looks_at_numbers
def order(discretizer: Discretizer | Method, up_to: int = 6, flow: type[Flow] | Flow | None = None) -> OrderProof:
    """The order of a scheme on every smooth vector field, proved by its own code.

    The step is run on exact numbers, on the rooted-tree system, and again with another h and t, on which it may depend
    by h times drifts only. A scheme that asks for a flow's parts is read on coloured trees, one colour a part; trees
    whose elementary differential vanishes because of which part moves what, as read from the flow's own parts, don't
    count. A scheme with memory is given the exact history that it would remember, and then the one that its `init`
    makes up, for what its first steps get wrong stays in a run. Of a scheme for flows with noise it is the order
    without it.

    Args:
        discretizer: the scheme, a user's own as well; or a Method, whose scheme and flow are asked about.
        up_to: the highest order to look at.
        flow: for schemes that ask for parts: the flow, or its class.

    Raises:
        NotExactError: naming the line that is no B-series.
        UnansweredQuestionError: if the scheme asks for parts and `flow` is not given, or the flow does not answer.
        TypeError: under jit, vmap or grad.

    References:
        E. Hairer, S. P. Nørsett, G. Wanner, Solving Ordinary Differential Equations I, 2nd ed. 1993, section II.2.

    Example:
        >>> import gradientflow as gf
        >>> gf.order(gf.RungeKutta("rk4")).order
        4
        >>> print(gf.order(gf.ForwardEuler()))
        ForwardEuler has order 1, proved
          f'f: 0, where the exact flow has 1/2
    """
    check_integer("order", 1, up_to=up_to)
    _, flow, discretizer, _ = as_method("order", discretizer, flow=flow, alone=True)
    asked, up_to = up_to, min(up_to, discretizer.series_order or up_to)
    series = read_series(discretizer, up_to, flow)
    wrong: dict[Tree, tuple[Fraction, Fraction]] = {}
    reached = up_to
    for tree, weight in series.weights.items():
        exact = Fraction(1, tree.density)
        if weight != exact:
            reached = min(reached, tree.order - 1)
            wrong[tree] = weight, exact
    remark = series.late
    if series.has_memory and not _is_zero_stable(discretizer):
        reached, remark = 0, "consistent, but unstable however short the step: it does not converge"
    elif series.begins is not None and series.begins < reached:
        remark = f"{reached} from an exact history, but its first steps, from what `init` remembers, are off by h"
        reached, remark = series.begins, remark + ("" if series.begins == 1 else f"^{series.begins}")
        wrong = {}
    if reached < asked and reached == up_to:
        # Beyond, its step is no B-series, but for its stability function.
        wrong, up_to = tall_trees(discretizer, asked), asked
        reached = min((tree.order - 1 for tree in wrong), default=reached)
    against = {tree: pair for tree, pair in wrong.items() if tree.order == reached + 1}
    return OrderProof(discretizer.name, reached, up_to, Grade.PROVED, series.weights, against, remark)


def _is_zero_stable(discretizer: Discretizer) -> bool:
    """The root condition: whether errors stay bounded as h → 0."""
    polynomial = read_in_z(discretizer).minimal_polynomial()
    return is_simple_von_neumann([coefficient.evaluate(0, QQ(0)) for coefficient in polynomial])


@dataclasses.dataclass(frozen=True)
class Series:
    """A scheme's B-series, exact, through an order.

    Attributes:
        weights: the elementary weights, by tree; coloured trees that vanish for which part moves what are left out.
        has_memory: whether they are those of a step from an exact history.
        begins: q, where the first steps are off by h^q; `None` where nothing was seen to be off.
        late: a drift that was asked at another time than its state's, in words; empty if there was none.
    """

    weights: Mapping[Tree, Fraction]
    has_memory: bool
    begins: int | None
    late: str


def read_series(
    discretizer: Discretizer, up_to: int, flow: type[Flow] | Flow | None, autonomous: bool = False
) -> Series:
    """The scheme's B-series: plain where it asks for no parts, else coloured.

    Raises:
        NotExactError: naming the line that is no B-series.
        UnansweredQuestionError: if the scheme asks for parts and there are none.
    """
    if discretizer.series_order is not None and up_to > discretizer.series_order:
        through = f"through order {discretizer.series_order} only" if discretizer.series_order else "of no order"
        raise NotExactError(
            f"{discretizer.name} is a B-series {through}, asked for {up_to}; `compare` measures what it does"
        )
    tried, seen = _Run(discretizer, forest(up_to)), None
    try:
        seen = tried.weights()
    except UnansweredQuestionError as error:
        if error.question != "parts":
            raise
        if flow is None:
            why = f"{error.why}; give the flow's class, `flow=HeavyBallFlow` say"
            raise UnansweredQuestionError(tried.flow, error.question, why) from None
    if seen is None or (tried.asked_for_parts and flow is not None):
        instance: Any = flow if isinstance(flow, Flow) else flow(Mode(1.0))  # pyright: ignore[reportCallIssue, reportOptionalCall]
        colours, acts_on = tuple(instance.parts), structure(instance)
        split = _Run(discretizer, forest(up_to, colours, "", acts_on), colours)
        weights = split.weights()
        if not split.has_memory:
            check_on_arrays(discretizer, weights, colours, acts_on)
        return Series(weights, split.has_memory, split.begins(), "")
    if not tried.has_memory:
        check_on_arrays(discretizer, seen)
        if not is_shipped(type(discretizer)):
            check_on_gradient_flow(discretizer, seen)
    if not tried.late or autonomous:
        return Series(seen, tried.has_memory, tried.begins(), "")
    time, clock = tried.late[0]
    late = f"a drift is asked at t + {time}h where the state has reached t + {clock}h"
    timed = _Run(discretizer, forest(up_to, leaf=TIME), clock=True)
    return Series(timed.weights(), tried.has_memory, tried.begins(), late)


class QuarticMode(Energy):
    """λx⁴/4: an energy each of whose derivatives shows on what it depends.

    Args:
        lam: λ, an exact number.
    """

    lam: Any

    @unwrapped
    def value(self, x: Any) -> Any:
        """λx⁴/4."""
        return self.lam * x**4 / 4

    @unwrapped
    def grad(self, x: Any) -> Any:
        """λx³."""
        return self.lam * x**3

    @unwrapped
    def hvp(self, x: Any, v: Any) -> Any:
        """3λx²v."""
        return 3 * self.lam * x**2 * v

    @unwrapped
    def inverse_hvp(self, x: Any, v: Any, shift: Any = 0) -> Any:
        """v/(3λx² + shift)."""
        return v / (3 * self.lam * x**2 + shift)


def structure(flow: Flow) -> frozenset[tuple[str, str]]:
    """The pairs of a flow's parts (a, b) for which a's field depends on what b's field moves.

    Read off the parts' own fields on one coordinate of a quartic energy, with every number a symbol: what a field does
    not depend on there for its form, it does not depend on anywhere.

    Raises:
        NotExactError: if a part isn't rational or depends on the time, or the parts don't sum to the drift.
    """
    names = ("lambda", *symbols_of_flow(flow))
    field = rational_functions(names)
    symbols = dict(zip(names, map(Exact, field.gens), strict=True))
    on_mode = flow_converted(flow, QuarticMode(symbols["lambda"]), lambda name, _: symbols[name])
    leaves, shape = jax.tree.flatten(on_mode.init(Exact(field.zero)))
    ring = polynomials([*(f"z{i}" for i in range(len(leaves))), "t"], field)
    *coordinates, t = (StateLeaf(generator) for generator in ring.gens)
    z = jax.tree.unflatten(shape, coordinates)
    reads, moves = {}, {}
    with blaming(flow):
        total = [ring.one * leaf.value for leaf in jax.tree.leaves(on_mode.drift(t, z))]
        for name, part in on_mode.parts.items():
            forms = [ring.one * leaf.value for leaf in jax.tree.leaves(part.drift(t, z))]
            if any(form.degree(t.value) > 0 for form in forms):
                raise NotExactError(f"the part `{name}` depends on the time, which splittings aren't read with")
            moves[name] = {i for i, form in enumerate(forms) if form}
            reads[name] = {j for form in forms for j, x in enumerate(coordinates) if form.degree(x.value) > 0}
            total = [whole - form for whole, form in zip(total, forms, strict=True)]
        if any(total):
            raise NotExactError(f"the parts of {type(flow).__name__} don't sum to its drift")
    return frozenset((a, b) for a in reads for b in moves if reads[a] & moves[b])


class _Run:
    """One step from 0 on the tree system, for its elementary weights.

    A step of length h from time t₀ has them times h^|τ|. That is checked with h and t₀ as symbols.
    """

    def __init__(
        self, discretizer: Discretizer, trees: Forest, colours: tuple[str, ...] = (), clock: bool = False
    ) -> None:
        self.discretizer, self.trees, self.colours = discretizer, trees, colours
        self.clock = trees.index[Tree(TIME)] if clock else None
        self.flow = TreeFlow(trees, colours, self.clock)
        self.late: list[tuple[Any, Any]] = []
        self.asked_for_parts = self.has_memory = False

    def weights(self) -> dict[Tree, Fraction]:
        """The weights, by tree.

        Raises:
            NotExactError: if the step is no B-series, depends on h or t by more than h times drifts, or never forgets.
        """
        name = type(self.discretizer).__name__
        few = _Run(self.discretizer, forest(_FEW, self.colours or ("",)), self.colours)
        read_alike(name, lambda: few._step(QQ(1), QQ(0), 0), np.array_equal, _READINGS)
        values = self._step(QQ(1), QQ(0), 0)
        symbols = rational_functions((_STEP, _START))
        h, start = symbols.gens
        others = [(self._step(h, start, 0), h)] + ([(self._step(QQ(1), QQ(0), 2), QQ(1))] if self.has_memory else [])
        for other, length in others:
            for tree, a, b in zip(self.trees.trees, values, other, strict=True):
                if tree.colour != TIME and a * length**tree.order != b:
                    by_more = "h or t otherwise than by h times drifts"
                    why = by_more if length is h else "all of its past: it never forgets"
                    raise NotExactError(f"{name} depends on {why}; it has no B-series of its own")
        return {
            tree: fraction(value) for tree, value in zip(self.trees.trees, values, strict=True) if tree.colour != TIME
        }

    def _step(self, h: Any, start: Any, longer: int) -> Any:
        """The components after a step, what a scheme remembers being an exact history, longer than it needs."""
        flow = TreeFlow(self.trees, self.colours, self.clock, start)
        length, begin = Exact(h), Exact(start)
        zero = TreeState(np.array([QQ(0)] * len(self.trees.trees), dtype=object))
        with blaming(self.discretizer):
            memory = self.discretizer.init(flow, begin, zero, length)
            if memory is None:
                after = self.discretizer.step(flow, begin, zero, length)
            else:
                self.has_memory = True
                past = len(jax.tree.leaves(memory)) + longer

                def at(k: int) -> tuple[Exact, TreeState]:
                    return begin + k * length, exact_state(self.trees, k * h)

                memory = self.discretizer.init(flow, *at(-past), length)
                for k in range(-past, 0):
                    before = memory
                    _, memory = self.discretizer.step(flow, *at(k), length, memory=memory)
                    _check_memory(before, memory)
                # What was asked on the way from a history of `init`'s says nothing.
                flow.late.clear()
                after, _ = self.discretizer.step(flow, begin, zero, length, memory=memory)
            if not isinstance(after, TreeState):
                raise NotExactError(f"it returns {type(after).__name__} and not a state; let it return the new one")
        self.late += flow.late
        self.asked_for_parts |= "parts" in flow.asked
        return after.values

    def begins(self) -> int | None:
        """The order of the least tree that the first steps, from what `init` remembers, get wrong; or `None`."""
        if not self.has_memory:
            return None
        flow, one = TreeFlow(self.trees, self.colours, self.clock), Exact(QQ(1))
        wrong: set[int] = set()
        with blaming(self.discretizer):
            z = exact_state(self.trees, QQ(0))
            memory = self.discretizer.init(flow, Exact(QQ(0)), z, one)
            for k in range(2 * len(jax.tree.leaves(memory)) + 1):
                z, memory = self.discretizer.step(flow, Exact(QQ(k)), z, one, memory=memory)
                exact = exact_state(self.trees, QQ(k + 1)).values
                pairs = zip(self.trees.trees, z.values, exact, strict=True)
                wrong |= {tree.order for tree, ours, theirs in pairs if ours != theirs}
        return min(wrong, default=None)


def _check_memory(before: Any, after: Any) -> None:
    """Refuses a memory that holds anything but states that change."""
    for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        if isinstance(a, TreeState) != isinstance(b, TreeState) or (not isinstance(a, TreeState) and a != b):
            raise NotExactError(f"the memory counts steps ({a!r}, then {b!r}): no step is like another")
