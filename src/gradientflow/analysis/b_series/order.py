"""The order of a scheme, proved from its own step on the rooted-tree system."""

import dataclasses
from collections.abc import Mapping
from fractions import Fraction

import jax

from gradientflow.discretizers import Discretizer
from gradientflow.flows import Flow, Mode, UnansweredQuestionError, check_integer

from ..exact.algebra import polynomials, rational_functions
from ..exact.blame import blaming
from ..exact.leaf import Exact, NotExactError
from ..exact.mode import ExactMode
from ..exact.parameters import symbols_of_flow, with_energy
from ..grades import Grade
from .tree_system import TIME, TreeFlow, TreeState, exact_state, zero_state
from .trees import Tree, forest


@dataclasses.dataclass(frozen=True)
class OrderProof:
    """What the rooted-tree system says of a scheme.

    Attributes:
        scheme: its name.
        order: p: all coefficients through order p are the exact flow's. If `up_to` was reached, it may be more.
        up_to: through which order trees were looked at.
        grade: proved, as far as `up_to`.
        coefficients: the elementary weights of the step, by tree: exact. The exact flow has 1/γ.
        against: the trees of order p + 1 whose coefficients are not the exact flow's, with both.
        late: a drift that was asked at another time than its state's, in words: then trees with a leaf t for the time
            count too, which no autonomous flow sees; empty where there was none.
    """

    scheme: str
    order: int
    up_to: int
    grade: Grade
    coefficients: Mapping[Tree, Fraction]
    against: Mapping[Tree, tuple[Fraction, Fraction]]
    late: str

    def __repr__(self) -> str:
        """The order, and what stands against the next."""
        at_least, late = "" if self.against else " at least", f"; {self.late}" if self.late else ""
        lines = [f"{self.scheme} has order {self.order}{at_least}, {self.grade}{late}"]
        lines += [f"  {tree}: {ours}, where the exact flow has {exact}" for tree, (ours, exact) in self.against.items()]
        return "\n".join(lines)


def order(discretizer: Discretizer, up_to: int = 6, flow: type[Flow] | Flow | None = None) -> OrderProof:
    """The order of a scheme on every smooth vector field, proved by its own code.

    The step is run once on exact numbers, on the rooted-tree system. A scheme that asks for a flow's parts is read on
    coloured trees, one colour a part; trees whose elementary differential vanishes because of which part moves what, as
    read from the flow's own parts, don't count. A scheme with memory is given the exact history that it would remember.

    Args:
        discretizer: the scheme; a user's own as well.
        up_to: the highest order to look at.
        flow: for schemes that ask for parts: the flow, or its class.

    Raises:
        NotExactError: naming the line that is no B-series.
        UnansweredQuestionError: if the scheme asks for parts and `flow` is not given, or the flow does not answer.

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
    if not isinstance(discretizer, Discretizer):
        raise TypeError(f"order: `discretizer` must be one such as ForwardEuler(), got {discretizer!r}")
    series = read_series(discretizer, up_to, flow)
    wrong: dict[Tree, tuple[Fraction, Fraction]] = {}
    reached = up_to
    for tree, weight in series.weights.items():
        exact = Fraction(1, tree.density)
        if weight != exact and series.matters(tree):
            reached = min(reached, tree.order - 1)
            wrong[tree] = weight, exact
    against = {tree: pair for tree, pair in wrong.items() if tree.order == reached + 1}
    name = getattr(getattr(discretizer, "tableau", None), "name", type(discretizer).__name__)
    return OrderProof(name, reached, up_to, Grade.PROVED, series.weights, against, series.late)


@dataclasses.dataclass(frozen=True)
class Series:
    """A scheme's B-series, exact, through an order.

    Attributes:
        weights: the elementary weights, by tree.
        acts_on: for coloured trees, the pairs (parent's colour, child's colour) whose trees don't vanish.
        late: a drift that was asked at another time than its state's, in words; empty if there was none.
    """

    weights: Mapping[Tree, Fraction]
    acts_on: frozenset[tuple[str, str]] | None
    late: str = ""

    def matters(self, tree: Tree) -> bool:
        """Whether the tree's elementary differential is not zero for structural reasons."""
        if self.acts_on is None:
            return True
        return all((tree.colour, c.colour) in self.acts_on and self.matters(c) for c in tree.children)


def read_series(discretizer: Discretizer, up_to: int, flow: type[Flow] | Flow | None) -> Series:
    """The scheme's B-series: plain where it asks for no parts, else coloured.

    Raises:
        NotExactError: naming the line that is no B-series.
        UnansweredQuestionError: if the scheme asks for parts and there are none.
    """
    tried = TreeFlow(forest(up_to))
    try:
        weights = _run(discretizer, tried)
        if not tried.late:
            return Series(weights, None)
    except UnansweredQuestionError as error:
        if error.question != "parts":
            raise
        if flow is None:
            why = f"{error.why}; give the flow's class, `flow=HeavyBall` say"
            raise UnansweredQuestionError(tried, error.question, why) from None
    else:
        time, clock = tried.late[0]
        late = f"a drift is asked at t + {time}h where the state has reached t + {clock}h"
        timed = forest(up_to, leaf=TIME)
        return Series(_run(discretizer, TreeFlow(timed, clock=timed.index[Tree(TIME)])), None, late)
    instance = flow if isinstance(flow, Flow) else flow(Mode(1.0))  # pyright: ignore[reportCallIssue]
    colours = tuple(instance.parts)
    return Series(_run(discretizer, TreeFlow(forest(up_to, colours), colours)), structure(instance))


def structure(flow: Flow) -> frozenset[tuple[str, str]]:
    """The pairs of a flow's parts (a, b) for which a's field depends on what b's field moves.

    Read off the parts' own matrices on a mode, with every number a symbol: a pattern of zeros that no energy fills.
    """
    names = ("lambda", *symbols_of_flow(flow))
    field = rational_functions(names)
    symbols = dict(zip(names, map(Exact, field.gens), strict=True))
    on_mode = with_energy(flow, ExactMode(symbols["lambda"]), lambda name, _: symbols[name])
    rest = on_mode.init(Exact(field.zero))
    leaves, shape = jax.tree.flatten(rest)
    ring = polynomials([f"z{i}" for i in range(len(leaves))], field)
    z = jax.tree.unflatten(shape, [Exact(generator) for generator in ring.gens])
    reads, moves = {}, {}
    for name, part in on_mode.parts.items():
        with blaming(part):
            forms = [Exact(ring.one).value * leaf.value for leaf in jax.tree.leaves(part.drift(Exact(0), z))]
        moves[name] = {i for i, form in enumerate(forms) if form}
        reads[name] = {j for form in forms for j, generator in enumerate(ring.gens) if form.coeff(generator)}
    return frozenset((a, b) for a in reads for b in moves if reads[a] & moves[b])


def _run(discretizer: Discretizer, flow: TreeFlow) -> dict[Tree, Fraction]:
    """The elementary weights of one step of size 1 from 0, after an exact history for what the scheme remembers."""
    trees, h = flow.forest, Exact(1)
    with blaming(discretizer):
        memory = discretizer.init(flow, Exact(0), zero_state(trees), h)
        past = len(jax.tree.leaves(memory))
        if memory is None:
            after = discretizer.step(flow, Exact(0), zero_state(trees), h)
        else:
            memory = discretizer.init(flow, Exact(-past), exact_state(trees, -past), h)
            for k in range(-past, 0):
                _, memory = discretizer.step(flow, Exact(k), exact_state(trees, k), h, memory=memory)
            after, _ = discretizer.step(flow, Exact(0), zero_state(trees), h, memory=memory)
    if not isinstance(after, TreeState):
        raise NotExactError(f"{type(discretizer).__name__} returns {type(after).__name__} and not a state")
    return {
        tree: Fraction(int(value.numerator), int(value.denominator))
        for tree, value in zip(trees.trees, after.values, strict=True)
        if tree.colour != TIME
    }
