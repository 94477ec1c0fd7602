r"""An energy of which nothing is known, and a flow's own code read on it.

The leaves are free generators x − x*, v, ∇E(x) and E(x) − E*, and Hv and H⁻¹∇E(x) where a flow asks for the Hessian;
products of two stand for inner products.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
from sympy.polys.rings import PolyElement

from gradientflow.flows import Energy, Flow, UnansweredQuestionError

from ..exact.algebra import polynomials, rational_functions
from ..exact.blame import blaming
from ..exact.leaf import Exact, NotExactError
from ..exact.parameters import flow_converted, symbols_of_flow
from ..exact.state_leaf import InnerLeaf

POSITION, VELOCITY, GRADIENT, GAP, _MINIMIZER, _TIME = "x", "v", "g", "E", "x*", "t"
# What the Hessian makes of the velocity, and what it makes the gradient of.
_CURVED, _NEWTON = "Hv", "n"
GENERATORS = (POSITION, VELOCITY, GRADIENT, GAP, _MINIMIZER, _TIME, _CURVED, _NEWTON)


def monomial(*names: str) -> tuple[int, ...]:
    """The exponents of a product of generators."""
    return tuple(names.count(name) for name in GENERATORS)


class AbstractEnergy(Energy):
    """An energy of which nothing is known but its value and gradient at one point, which are generators.

    Args:
        x: the point.
        gap: E(x) − E* there.
        gradient: ∇E(x).
        velocity: the one direction in which the Hessian may be asked for, if any.
        curved: the Hessian's product with it.
        newton: the inverse Hessian's product with the gradient.
    """

    x: Any
    gap: Any
    gradient: Any
    velocity: Any = None
    curved: Any = None
    newton: Any = None

    def value(self, x: Any) -> Any:
        """The gap, at the one point."""
        self._check(x)
        return self.gap

    def grad(self, x: Any) -> Any:
        """The gradient, at the one point."""
        self._check(x)
        return self.gradient

    def hvp(self, x: Any, v: Any) -> Any:
        """Hv, in the direction of the velocity."""
        self._check(x)
        if self.velocity is None or v is not self.velocity:
            raise NotExactError("the Hessian in another direction than the velocity's: nothing is known of it")
        return self.curved

    def inverse_hvp(self, x: Any, v: Any, shift: Any = 0) -> Any:
        """H⁻¹∇E."""
        self._check(x)
        if self.newton is None or v is not self.gradient or (shift.value if isinstance(shift, Exact) else shift):
            raise NotExactError("a linear system with the Hessian other than H n = ∇E: nothing is known of it")
        return self.newton

    def _check(self, x: Any) -> None:
        if x is not self.x and (x - self.x).value:
            raise NotExactError("the energy at another point than the state's position: nothing is known of it there")


@dataclasses.dataclass(frozen=True)
class Setting:
    """A flow on an abstract energy.

    Attributes:
        flow: the flow, its parameters exact.
        state: the state, its position being x* + x.
        quantities: x (measured from the minimizer), v, g and E (measured from the minimum) as exact leaves, and the
            parameters that are symbols, by name.
        slopes: the derivatives of x, v and E along the flow, and of ∇E where they are known, by name.
        function: the flow's own Lyapunov function, or `None` where it has none.
        clock: which of the parameters is the time, if one is.
        at_origin: whether drift or Lyapunov function depend on where the minimizer is, and it was taken to be 0.
    """

    flow: Flow
    state: Any
    quantities: Mapping[str, Exact]
    slopes: Mapping[str, Exact]
    function: Exact | None
    at_origin: bool
    clock: str | None = None

    def derivative(self, value: Exact) -> Exact:
        """d/dt of a polynomial in x, v and E along the flow, its coefficients being functions of the clock."""
        polynomial = value.value
        total = polynomial.ring.zero
        for name, slope in self.slopes.items():
            generator = self.quantities[name].value
            total += polynomial.diff(generator) * slope.value
        if self.clock is not None:
            clock = self.quantities[self.clock].value
            moved = {powers: coefficient.diff(clock) for powers, coefficient in polynomial.terms()}
            total += polynomial.ring.from_dict(moved)
        return Exact(total)


def setting(
    flow: Flow,
    parameters: Sequence[str] = (),
    symbolic: bool = False,
    values: Callable[[Mapping[str, Exact]], Mapping[str, Any]] | None = None,
    clock: str | None = None,
) -> Setting:
    """A flow's own code on an abstract energy.

    Args:
        flow: the flow; its energy is replaced.
        parameters: further symbols, such as μ.
        symbolic: whether its numbers become symbols, which are taken to be positive; else they are what they are.
        values: symbols ↦ numbers to put in place of the flow's, by name.
        clock: which of the further symbols is the time, where such numbers depend on it.

    Raises:
        NotExactError: if the drift asks more than the gradient at the state's position, isn't rational, depends on
            time, or a state has more than a position and a velocity.
        UnansweredQuestionError: if the flow does not answer.
    """
    names = [*(symbols_of_flow(flow) if symbolic else ()), *parameters]
    field = rational_functions(names)
    ring = polynomials(GENERATORS, field)
    x, v, g, gap, minimizer, t, curved, newton = (InnerLeaf(generator) for generator in ring.gens)
    symbols = {name: Exact(generator) for name, generator in zip(names, field.gens if names else (), strict=True)}

    chosen = symbols if values is None else values(symbols)
    now = t if clock is None else symbols[clock]

    def ask(position: Exact) -> tuple[Flow, Any, list[Exact], Exact | None]:
        abstract = flow_converted(
            flow,
            AbstractEnergy(position, gap, g, v, curved, newton),
            lambda name, value: chosen.get(name, Exact(value)),
        )
        with blaming(flow):
            structure = jax.tree.structure(abstract.init(position))
        if structure.num_leaves > 2:
            raise NotExactError(f"a state of {type(flow).__name__} has more than two numbers a mode")
        with blaming(flow):
            state = jax.tree.unflatten(structure, [position, v][: structure.num_leaves])
            drift = jax.tree.leaves(abstract.drift(now, state))
            try:
                function = abstract.lyapunov(now, state)
            except UnansweredQuestionError:
                function = None
        known = [*drift, *([] if function is None else [function])]
        for leaf in known:
            if not isinstance(leaf, Exact) or not isinstance(leaf.value, PolyElement):
                raise NotExactError(f"{type(flow).__name__} answers {leaf}, which is no polynomial in the state")
            if leaf.value.degree(t.value) > 0:
                raise NotExactError(f"{type(flow).__name__} depends on the time: {leaf}")
        if function is not None and function.value.degree(g.value) > 0 and _through_hessian(drift[0]) is None:
            raise NotExactError(f"{flow.name}'s Lyapunov function holds ∇E, whose derivative isn't known here")
        return abstract, state, drift, function

    abstract, state, drift, function = ask(x + minimizer)
    answers = drift if function is None else [*drift, function]
    at_origin = any(leaf.value.degree(minimizer.value) > 0 for leaf in answers)
    if at_origin:
        abstract, state, drift, function = ask(x)
    slopes: dict[str, Any] = dict(zip((POSITION, VELOCITY), drift, strict=False))
    slopes[GAP] = g * slopes[POSITION]
    if (turned := _through_hessian(slopes[POSITION])) is not None:
        slopes[GRADIENT] = turned
    quantities = {POSITION: x, VELOCITY: v, GRADIENT: g, GAP: gap, **symbols}
    return Setting(abstract, state, quantities, slopes, function, at_origin, clock)


def _through_hessian(slope: Exact) -> Exact | None:
    """The Hessian's product with ẋ, which is the gradient's derivative; `None` where it isn't known."""
    ring = slope.value.ring
    images = {monomial(VELOCITY): ring.gens[6], monomial(_NEWTON): ring.gens[2]}
    if any(monomial not in images for monomial in slope.value.monoms()):
        return None
    return Exact(sum((images[monomial] * weight for monomial, weight in slope.value.terms()), ring.zero))
