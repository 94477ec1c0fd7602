"""What was read on exact trees, beside the step that runs: the same system as arrays."""

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import jax.numpy as jnp
import numpy as np

from gradientflow.discretizers import Discretizer, RungeKutta, advance
from gradientflow.flows import Energy, FirstOrder
from gradientflow.flows.discrete_gradients import slopes_along
from gradientflow.flows.homotopy import solve_from_zero

from ..exact.leaf import NotExactError
from ..exact.trial import is_shipped
from .trees import Forest, Tree, forest

# Trees of so many nodes are looked at, on steps of this length from this time; Newton's method is off by no more.
_NODES, _STEP, _TIME, _POWER = 3, 0.5, 0.75, 0.4


class ArrayTrees(FirstOrder):
    """The tree system on arrays: ż_τ is the product of the components of τ's branches.

    Args:
        forest: the trees.
        colours: the parts' names, where schemes may ask for them.
    """

    forest: Any
    colours: tuple[str, ...]

    def __init__(self, forest: Forest, colours: tuple[str, ...] = ()) -> None:
        self.forest, self.colours = forest, colours

    @property
    def energy(self) -> Energy:  # pyright: ignore[reportIncompatibleVariableOverride]
        """An energy whose gradient is the field's negative."""
        return _ArrayTreeEnergy(self)

    def drift(self, t: Any, z: Any) -> Any:
        """The products of the children's components."""
        products: list[Any] = []
        for trunk, branch in zip(self.forest.trunk.tolist(), self.forest.branch.tolist(), strict=True):
            products.append(jnp.ones_like(z[0]) if trunk < 0 else products[trunk] * z[branch])
        return jnp.stack(products)

    def discrete_gradient_step(self, t: Any, z: Any, h: Any, rule: Any) -> Any:
        """y = z + h Σ wᵢ f(z + sᵢ(y − z)): the discrete gradient's mean; this field has no energy to correct it by."""

        def equation(d: Any) -> Any:
            _, mean = slopes_along(lambda y: self.drift(t, y), z, d, rule.nodes)
            return d - h * mean, jnp.ones((), z.dtype)

        return z + solve_from_zero(equation, z)

    def diffusion(self, t: Any, z: Any) -> Callable[[Any], Any]:
        """None: a scheme for flows with noise is read without it."""
        return lambda increment: 0 * z

    @property
    def parts(self) -> Mapping[str, FirstOrder]:
        """A field for each colour."""
        return {colour: _ArrayTreePart(self, colour) for colour in self.colours}


class _ArrayTreePart(FirstOrder):
    """One colour's field: it moves the trees whose root has that colour."""

    whole: Any
    colour: str

    def __init__(self, whole: ArrayTrees, colour: str) -> None:
        self.whole, self.colour = whole, colour

    @property
    def energy(self) -> Energy:  # pyright: ignore[reportIncompatibleVariableOverride]
        return _ArrayTreeEnergy(self)

    def drift(self, t: Any, z: Any) -> Any:
        moves = np.array([tree.colour == self.colour for tree in self.whole.forest.trees])
        return jnp.where(moves, self.whole.drift(t, z), 0)

    def solution(self, t: Any, z: Any, h: Any) -> Any:
        """One step of order 4, which is exact: on so few nodes every component is a polynomial of degree 3."""
        return advance(RungeKutta("rk4"), self, t, z, h)[0]


class _ArrayTreeEnergy(Energy):
    flow: Any

    def value(self, x: Any) -> Any:
        raise NotExactError("the energy's value: a scheme that depends on values is no B-series")

    def grad(self, x: Any) -> Any:
        return -self.flow.drift(0.0, x)


def check_on_arrays(
    discretizer: Discretizer,
    weights: Mapping[Tree, Fraction],
    colours: tuple[str, ...] = (),
    acts_on: frozenset[tuple[str, str]] | None = None,
) -> None:
    """Compares elementary weights with the step itself, from 0 on the tree system as arrays.

    Args:
        discretizer: the scheme.
        weights: what was read, by tree.
        colours: the parts' names, of coloured trees.
        acts_on: which part moves what.

    Raises:
        NotExactError: if the step on arrays is another one, or runs on none.
    """
    # A user's step may look at how many entries a state has.
    least = _NODES if is_shipped(type(discretizer)) else 1
    for nodes in range(least, _NODES + 1):
        _check_on_trees(discretizer, weights, ArrayTrees(forest(nodes, colours or ("",), "", acts_on), colours))


def _check_on_trees(discretizer: Discretizer, weights: Mapping[Tree, Fraction], flow: ArrayTrees) -> None:
    few, name = flow.forest, type(discretizer).__name__
    known = [i for i, tree in enumerate(few.trees) if tree in weights]
    expected = np.array([float(weights[few.trees[i]]) * _STEP ** few.trees[i].order for i in known])
    rest = jnp.zeros(len(few.trees))
    try:
        after, _ = advance(discretizer, flow, _TIME, rest, _STEP, memory=discretizer.init(flow, _TIME, rest, _STEP))
        found = np.asarray(after, dtype=float)[known]
    except NotExactError:
        raise
    except Exception as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise NotExactError(f"{name} was read on exact numbers and can't be run on vectors beside it: {why}") from None
    eps = float(jnp.finfo(rest.dtype).eps)
    if not np.abs(found - expected).max() <= eps**_POWER * (1 + np.abs(expected).max()):
        raise NotExactError(
            f"{name} is another step on vectors than on exact numbers: on the tree system it is off by "
            f"{np.abs(found - expected).max():.2g} from what was read"
        )
