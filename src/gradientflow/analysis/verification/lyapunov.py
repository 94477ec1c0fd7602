r"""Lyapunov functions on general energies: the flow's own code, read on vectors of which nothing is known.

The leaves are free generators x − x*, v, ∇E(x) and E(x) − E*, and Hv and H⁻¹∇E(x) where a flow asks for the Hessian;
products of two stand for inner products. Then V and the drift are what the flow answers, $\dot V$ is the chain rule,
and a bound $\dot V \le -\rho V$ is an identity $\dot V + \rho V = -\sum_i \alpha_i I_i - \sum_j \beta_j \|u_j\|^2$
with $\alpha_i, \beta_j \ge 0$, where $I_i \ge 0$ says that E is convex. The identity is checked exactly; the weights
are what makes it a proof.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import jax
from sympy import QQ
from sympy.polys.fields import FracElement
from sympy.polys.rings import PolyElement

from gradientflow.flows import Energy, Flow, UnansweredQuestionError

from ..exact.algebra import fraction, polynomials, rational_functions
from ..exact.blame import blaming
from ..exact.leaf import Exact, NotExactError
from ..exact.parameters import flow_converted, symbols_of_flow
from ..exact.state_leaf import InnerLeaf
from ..results.grades import Grade
from .claims import Claim
from .decide import refuted_sibling

_POSITION, _VELOCITY, _GRADIENT, _GAP, _MINIMIZER, _TIME = "x", "v", "g", "E", "x*", "t"
# What the Hessian makes of the velocity, and what it makes the gradient of.
_CURVED, _NEWTON = "Hv", "n"
_GENERATORS = (_POSITION, _VELOCITY, _GRADIENT, _GAP, _MINIMIZER, _TIME, _CURVED, _NEWTON)


def _monomial(*names: str) -> tuple[int, ...]:
    return tuple(names.count(name) for name in _GENERATORS)


_SQUARES = {name: _monomial(name, name) for name in (_POSITION, _VELOCITY, _GRADIENT)}
_CROSSED, _LINEAR_GAP = _monomial(_POSITION, _GRADIENT), _monomial(_GAP)


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
    ring = polynomials(_GENERATORS, field)
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
    slopes: dict[str, Any] = dict(zip((_POSITION, _VELOCITY), drift, strict=False))
    slopes[_GAP] = g * slopes[_POSITION]
    if (turned := _through_hessian(slopes[_POSITION])) is not None:
        slopes[_GRADIENT] = turned
    quantities = {_POSITION: x, _VELOCITY: v, _GRADIENT: g, _GAP: gap, **symbols}
    return Setting(abstract, state, quantities, slopes, function, at_origin, clock)


def _through_hessian(slope: Exact) -> Exact | None:
    """The Hessian's product with ẋ, which is the gradient's derivative; `None` where it isn't known."""
    ring = slope.value.ring
    images = {_monomial(_VELOCITY): ring.gens[6], _monomial(_NEWTON): ring.gens[2]}
    if any(monomial not in images for monomial in slope.value.monoms()):
        return None
    return Exact(sum((images[monomial] * weight for monomial, weight in slope.value.terms()), ring.zero))


@dataclasses.dataclass(frozen=True)
class Decrease:
    r"""A claim $\dot V \le -B$ along a flow, with the weights that prove it.

    Attributes:
        name: what it is about.
        statement: it, in LaTeX.
        function: V, from the quantities.
        bound: B, from the quantities.
        inequalities: (weight α ≥ 0, I) pairs, I ≥ 0 by what is assumed of the energy.
        squares: (weight β ≥ 0, u) pairs.
        assumption: what is assumed, in words.
        wrong: a B that is too large, and its statement.
        positive: (weight, u) pairs whose squares V holds; `None` where it is plainly E − E* and squares.
        held: (weight, I) pairs of inequalities that V holds besides; `None` where there are none.
        needs: what it needs of the energy that it is made of: "convex", "strongly convex", or nothing.
    """

    name: str
    statement: str
    function: Callable[[Setting], Exact]
    bound: Callable[[Any], Any]
    inequalities: Callable[[Any], Sequence[tuple[Any, Any]]]
    squares: Callable[[Any], Sequence[tuple[Any, Any]]]
    assumption: str
    wrong: tuple[str, Callable[[Any], Any]]
    positive: Callable[[Any], Sequence[tuple[Any, Any]]] | None = None
    held: Callable[[Any], Sequence[tuple[Any, Any]]] | None = None
    needs: str = ""


def decide_decrease(claim: Decrease, situation: Setting) -> Claim:
    """Proved if the weights prove it, refuted by a quadratic on which V falls too slowly, else unknown."""
    q = situation.quantities
    function = claim.function(situation)
    falls = situation.derivative(function)
    squares = [
        (weight, weight * (vector * vector)) for weight, vector in ([] if claim.positive is None else claim.positive(q))
    ]
    held = [] if claim.held is None else claim.held(q)
    parts = [*(square for _, square in squares), *(weight * quantity for weight, quantity in held)]
    rest = function - sum(parts, start=0 * function)
    if not (_is_positive(rest) and all(_is_nonnegative(weight) for weight, _ in (*squares, *held))):
        return Claim(claim.name, claim.statement, Grade.UNKNOWN, "V is not seen to be positive")
    sibling = refuted_sibling(
        _decide(f"{claim.name}, too fast", claim.wrong[0], falls, claim.wrong[1](q), (), (), situation)
    )
    return _decide(
        claim.name, claim.statement, falls, claim.bound(q), claim.inequalities(q), claim.squares(q), situation,
        claim.assumption, sibling,
    )  # fmt: skip


def _decide(
    name: str,
    statement: str,
    falls: Exact,
    bound: Any,
    inequalities: Sequence[tuple[Any, Any]],
    squares: Sequence[tuple[Any, Any]],
    situation: Setting,
    assumption: str = "",
    sibling: Claim | None = None,
) -> Claim:
    excess = falls + bound
    rest = excess
    for weight, quantity in inequalities:
        rest = rest + weight * quantity
    for weight, vector in squares:
        rest = rest + weight * (vector * vector)
    weights = [weight for weight, _ in (*inequalities, *squares)]
    if not rest.value and all(map(_is_nonnegative, weights)):
        parts = [_counted(len(inequalities), "inequality", "inequalities"), _counted(len(squares), "square", "squares")]
        used = " and ".join(part for part in parts if part)
        reason = f"V̇ + B is minus a nonnegative combination of {used}" if used else "V̇ + B vanishes"
        return Claim(name, statement, Grade.PROVED, f"{reason}, identically; {assumption}", None, sibling)
    where = _violation(excess, situation)
    if where is not None:
        return Claim(name, statement, Grade.REFUTED, "it fails on a quadratic", where, sibling)
    return Claim(name, statement, Grade.UNKNOWN, "no proof and no quadratic against it was found", None, sibling)


def _violation(excess: Exact, situation: Setting) -> str | None:
    """A quadratic λx²/2, λ ≥ μ, and a state at which V̇ + B > 0, as text."""
    names = [name for name in situation.quantities if name not in _GENERATORS]
    for curvature, velocity in itertools.product((1, 2), (0, 1, -1, 3)):
        lam, x, v = Fraction(curvature), Fraction(1), Fraction(velocity)
        values = (x, v, lam * x, lam * x * x / 2, Fraction(0), Fraction(0), lam * v, x)
        number = sum(
            _at_ones(c) * math.prod(a**k for a, k in zip(values, m, strict=True)) for m, c in excess.value.terms()
        )
        if number > 0:
            shown = "".join(f", {name} = 1" for name in names)
            moving = f", v = {v}" if excess.value.degree(situation.quantities[_VELOCITY].value) > 0 else ""
            return f"E = {lam}·x²/2, x = {x}{moving}{shown}: V̇ exceeds its bound by {number}"
    return None


def _at_ones(coefficient: Any) -> Fraction:
    """A coefficient where every parameter is 1."""
    if isinstance(coefficient, FracElement):
        ones = [QQ(1)] * len(coefficient.field.gens)
        coefficient = coefficient.numer(*ones) / coefficient.denom(*ones)
    return fraction(coefficient)


def _is_nonnegative(weight: Any) -> bool:
    """Whether a weight is a quotient of polynomials with nonnegative coefficients: the parameters are positive."""
    value = weight.value if isinstance(weight, Exact) else weight
    if not isinstance(value, FracElement):
        return bool(value >= 0)
    return all(c >= 0 for part in (value.numer, value.denom) for c in part.coeffs())


def _is_positive(function: Exact) -> bool:
    """Whether V is a nonnegative combination of E − E* and squares."""
    allowed = {*_SQUARES.values(), _LINEAR_GAP}
    return all(monomial in allowed and _is_nonnegative(weight) for monomial, weight in function.value.terms())


def own_decrease(situation: Setting) -> Decrease:
    r"""The claim that a flow's own Lyapunov function never rises, with the weights read off its derivative.

    It is proved where $\dot V$ has only negative multiples of squares and of $\langle\nabla E, x - x^*\rangle$,
    which is not negative on convex energies.
    """
    falls = situation.derivative(own_function(situation)).value
    gens = {name: situation.quantities[name] for name in (_POSITION, _VELOCITY, _GRADIENT)}
    weighted = {monomial: -Exact(weight) for monomial, weight in falls.terms()}
    squares = [(weighted[unit], gens[name]) for name, unit in _SQUARES.items() if unit in weighted]
    crossed = [(weighted[_CROSSED], gens[_GRADIENT] * gens[_POSITION])] if _CROSSED in weighted else []
    return Decrease(
        name=f"{situation.flow.name}'s own Lyapunov function never rises",
        statement=r"\dot V \le 0",
        function=own_function,
        bound=lambda q: 0 * q[_GAP],
        inequalities=lambda q: crossed,
        squares=lambda q: squares,
        assumption=("on every convex E" if crossed else "on every differentiable E")
        + (" whose minimizer is 0" if situation.at_origin else ""),
        wrong=(r"\dot V \le -10^6\,(E - E^*)", lambda q: 10**6 * q[_GAP]),
        needs="convex" if crossed else "",
    )


def _counted(n: int, one: str, many: str) -> str:
    return f"{n} {one if n == 1 else many}" if n else ""


def own_function(situation: Setting) -> Exact:
    """The flow's own Lyapunov function."""
    if situation.function is None:
        raise UnansweredQuestionError(situation.flow, "lyapunov", "no Lyapunov function is known")
    return situation.function
