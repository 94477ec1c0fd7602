r"""Reading 3: a recipe run on the rooted-tree system, $y_\tau' = \prod y_{\text{children of }\tau}$.

On that one vector field of ours a step of size 1 from 0 has the elementary weight of τ as its component τ: the exact
coefficients of the scheme's B-series. The exact flow has 1/γ(τ). The system is triangular, so that implicit equations
are solved exactly too, and so is the flow of a part.

References:
    J. C. Butcher, Numerical Methods for Ordinary Differential Equations, 3rd ed. 2016, chapter 3.
    E. Hairer, C. Lubich, G. Wanner, Geometric Numerical Integration, 2nd ed. 2006, section III.1.
"""

import numbers
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np
from sympy import QQ

from gradientflow.flows import Energy, Flow

from ..exact.leaf import Exact, NotExactError
from .trees import Forest

Values = np.ndarray
# The colour of a leaf that stands for the time.
TIME = "∂t"


class TreeState:
    """A state of the tree system: a rational for each tree. It adds, and scales by exact numbers.

    Attributes:
        values: the rationals, in the forest's order.
    """

    __slots__ = ("values",)
    __array_ufunc__ = None

    def __init__(self, values: Values) -> None:
        self.values = values

    def __add__(self, other: Any) -> "TreeState":
        return TreeState(self.values + _state(other).values)

    def __sub__(self, other: Any) -> "TreeState":
        return TreeState(self.values - _state(other).values)

    def __mul__(self, other: Any) -> "TreeState":
        return TreeState(self.values * _scalar(other))

    def __truediv__(self, other: Any) -> "TreeState":
        return TreeState(self.values / _scalar(other))

    __rmul__ = __mul__

    def __neg__(self) -> "TreeState":
        return TreeState(-self.values)

    def _refuse(self, *_: Any) -> NoReturn:
        raise NotExactError("a test of a state: a scheme that branches on values is no B-series")

    __bool__ = __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = _refuse
    __hash__ = None  # pyright: ignore[reportAssignmentType]


def _state(other: Any) -> TreeState:
    if not isinstance(other, TreeState):
        raise NotExactError(f"a state and {type(other).__name__} added: only states add to states")
    return other


def _scalar(other: Any) -> Any:
    if isinstance(other, TreeState):
        raise NotExactError("two states multiplied or divided: it is no B-series, entries of vectors don't multiply")
    value = Exact(other).value if isinstance(other, numbers.Real) else other.value if isinstance(other, Exact) else None
    if value is None:
        raise NotExactError(f"a state times {type(other).__name__}: not an exact number")
    return value


class TreeFlow(Flow):
    """The tree system as a flow; of several colours, a sum of named parts.

    Args:
        forest: the trees.
        colours: the parts' names, where schemes may ask for them.
        clock: where the tree is that stands for the time, in forests that have one; else `None`.
        start: the time at the start of the step, a rational or a symbol.

    Attributes:
        late: drifts that were asked at another time than their state's own clock shows, as (time, clock).
        asked: "parts", if they were asked for.
    """

    forest: Any
    colours: tuple[str, ...]
    clock: int | None
    start: Any
    late: list[tuple[Any, Any]]
    asked: set[str]

    def __init__(self, forest: Forest, colours: tuple[str, ...] = (), clock: int | None = None, start: Any = 0) -> None:
        self.forest, self.colours, self.clock, self.late, self.asked = forest, colours, clock, [], set()
        self.start = start

    @property
    def energy(self) -> Energy:  # pyright: ignore[reportIncompatibleVariableOverride]
        """An energy whose gradient is the field's negative."""
        return _TreeEnergy(self)

    def init(self, x: Any) -> Any:
        """The state itself."""
        return x

    def position(self, z: Any) -> Any:
        """The state itself."""
        return z

    def drift(self, t: Any, z: TreeState) -> TreeState:
        """The products of the children's components."""
        self._note(t, z.values)
        return TreeState(_products(self.forest, self._at_time(t, z.values)))

    def resolvent(self, t: Any, z: TreeState, h: Any) -> TreeState:
        """y = z + h f(y), tree by tree: a tree's children come before it."""
        found = _implicit(self.forest, self._at_time(t, z.values), _scalar(h), None)
        self._note(t, found.values)
        return found

    def discrete_gradient_step(self, t: Any, z: TreeState, h: Any, rule: Any) -> TreeState:
        """y = z + h∫₀¹ f(z + s(y − z)) ds, tree by tree, which is the step through order 2·nodes of its rule."""
        if rule.series_order < self.forest.trees[-1].order:
            raise NotExactError(f"the discrete gradient {rule.name!r} has a B-series through order {rule.series_order}")
        return _averaged(self.forest, z.values, _scalar(h))

    def diffusion(self, t: Any, z: TreeState) -> Callable[[Any], Any]:
        """None: a scheme for flows with noise is read without it."""
        return lambda increment: 0 * z

    def velocity(self, z: Any) -> NoReturn:
        """Refused: a scheme that asks what kind of flow it has is another scheme on another flow."""
        raise NotExactError("the state's velocity: a scheme that depends on the kind of its flow is no B-series")

    @property
    def noise(self) -> NoReturn:
        """Refused, as `velocity`."""
        raise NotExactError("whether there is noise: a scheme that depends on the kind of its flow is no B-series")

    def time_of(self, z: TreeState) -> Exact:
        """The time that a state's own clock shows."""
        return Exact(self.start + z.values[0])

    def _at_time(self, t: Any, values: Values) -> Values:
        """The state that a drift asked at time t sees, where a tree stands for the time."""
        if self.clock is not None:
            values = values.copy()
            values[self.clock] = _scalar(t) - self.start
        return values

    def _note(self, t: Any, values: Values) -> None:
        """Notes a time that is not the state's own."""
        if not self.colours and _scalar(t) - self.start != values[0]:
            self.late.append((_scalar(t) - self.start, values[0]))

    @property
    def parts(self) -> Mapping[str, Flow]:
        """A field for each colour."""
        self.asked.add("parts")
        if not self.colours:
            return Flow.parts.fget(self)  # pyright: ignore[reportOptionalCall]
        return {colour: TreePart(self.forest, colour) for colour in self.colours}


class TreePart(Flow):
    """One colour's field: it moves the trees whose root has that colour.

    Args:
        forest: the trees.
        colour: the colour.
    """

    forest: Any
    moves: Any

    def __init__(self, forest: Forest, colour: str) -> None:
        self.forest = forest
        self.moves = np.array([tree.colour == colour for tree in forest.trees])

    @property
    def energy(self) -> Energy:  # pyright: ignore[reportIncompatibleVariableOverride]
        """An energy whose gradient is the field's negative."""
        return _TreeEnergy(self)

    def init(self, x: Any) -> Any:
        """The state itself."""
        return x

    def position(self, z: Any) -> Any:
        """The state itself."""
        return z

    def drift(self, t: Any, z: TreeState) -> TreeState:
        """The products of the children's components, where the root has the colour."""
        return TreeState(np.where(self.moves, _products(self.forest, z.values), QQ(0)))

    def resolvent(self, t: Any, z: TreeState, h: Any) -> TreeState:
        """y = z + h f(y), tree by tree."""
        return _implicit(self.forest, z.values, _scalar(h), self.moves)

    def solution(self, t: Any, z: TreeState, h: Any) -> TreeState:
        """The part's exact flow: every component is a polynomial in time, integrated in turn."""
        forest, products, paths = self.forest, [], []
        for i, start in enumerate(z.values):
            trunk, branch = forest.trunk[i], forest.branch[i]
            product = [QQ(1)] if trunk < 0 else _multiplied(products[trunk], paths[branch])
            products.append(product)
            path = [start]
            if self.moves[i]:
                path += [coefficient / (k + 1) for k, coefficient in enumerate(product)]
            # A component that is zero throughout is an empty polynomial, and so is every product with it.
            paths.append(path if len(path) > 1 or start else [])
        length = _scalar(h)
        return TreeState(np.array([_at(path, length) for path in paths], dtype=object))


class _TreeEnergy(Energy):
    """Stands where a flow's energy is asked for its gradient or its proximal map."""

    flow: Any

    def value(self, x: Any) -> Any:
        raise NotExactError("the energy's value: a scheme that depends on values is no B-series")

    def grad(self, x: TreeState) -> TreeState:
        time = self.flow.time_of(x) if isinstance(self.flow, TreeFlow) else Exact(0)
        return -self.flow.drift(time, x)


def exact_state(forest: Forest, t: Any) -> TreeState:
    """The exact solution from 0 at a time, a rational or a symbol: t^|τ|/γ(τ)."""
    return TreeState(np.array([t**tree.order / tree.density for tree in forest.trees], dtype=object))


def _products(forest: Forest, values: Values) -> Values:
    """The products over children: each tree's is its trunk's times its last branch's component."""
    found = np.empty(len(values), dtype=object)
    for i, (trunk, branch) in enumerate(zip(forest.trunk.tolist(), forest.branch.tolist(), strict=True)):
        found[i] = QQ(1) if trunk < 0 else found[trunk] * values[branch]
    return found


def _implicit(forest: Forest, values: Values, h: Any, moves: Any) -> TreeState:
    products, found = np.empty(len(values), dtype=object), np.empty(len(values), dtype=object)
    for i, (trunk, branch) in enumerate(zip(forest.trunk.tolist(), forest.branch.tolist(), strict=True)):
        products[i] = QQ(1) if trunk < 0 else products[trunk] * found[branch]
        still = trunk < 0 and forest.trees[i].colour == TIME
        found[i] = values[i] if still or not (moves is None or moves[i]) else values[i] + h * products[i]
    return TreeState(found)


def _averaged(forest: Forest, values: Values, h: Any) -> TreeState:
    """y with y_τ = z_τ + h∫₀¹Π(z_c + s(y_c − z_c)) ds over τ's children c."""
    products: list[list[Any]] = []
    found = np.empty(len(values), dtype=object)
    for i, (trunk, branch) in enumerate(zip(forest.trunk.tolist(), forest.branch.tolist(), strict=True)):
        path = [QQ(1)] if trunk < 0 else [values[branch], found[branch] - values[branch]]
        products.append(path if trunk < 0 else _multiplied(path, products[trunk]))
        mean = sum((coefficient / (k + 1) for k, coefficient in enumerate(products[-1])), QQ(0))
        found[i] = values[i] if trunk < 0 and forest.trees[i].colour == TIME else values[i] + h * mean
    return TreeState(found)


def _multiplied(left: list[Any], right: list[Any]) -> list[Any]:
    if not left or not right:
        return []
    if len(right) == 1:
        return [a * right[0] for a in left]
    product = [QQ(0)] * (len(left) + len(right) - 1)
    for i, a in enumerate(left):
        if a:
            for j, b in enumerate(right):
                product[i + j] += a * b
    return product


def _at(path: list[Any], t: Any) -> Any:
    value = QQ(0)
    for coefficient in reversed(path):
        value = value * t + coefficient
    return value
