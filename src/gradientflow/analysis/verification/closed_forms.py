r"""A flow's own closed form, on one quadratic mode: read from the `solution` that runs, put into the drift that runs.

By the spectral theorem every symmetric H is a sum of such modes, so that what is proved for all λ is proved for all
quadratics: $e^{-tH}$ acts on a mode as $e^{-\lambda t}$.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np
import sympy

from gradientflow.flows import Flow, Mode

from ..exact.blame import blaming
from ..exact.leaf import Exact, NotExactError
from ..exact.motion import REGIMES, Motion, Regime
from ..exact.parameters import flow_converted, symbols_of_flow
from ..linear_stability.curvature import Curvatures
from ..results.grades import Grade
from .claims import Claim
from .decide import decide_equations, refuted_sibling

_IDENTITY = "the flow's own `solution`: its derivative is the drift there, identically, and it begins at its start"
AT_ORIGIN = "it depends on where the minimizer is, which must be 0 for what is proved here"
# Modes so near to critical damping are, for all that floating point can tell.
_NEAR = 1e-12


class ShiftedMode(Mode):
    """The mode E = λ(x − c)²/2: what is true of it for every c does not hang on where the minimizer is.

    Args:
        lam: the curvature λ.
        place: c.
    """

    place: Any

    # Its Hessian is the mode's, wherever its minimizer is.
    hvp, inverse_hvp = Mode.hvp, Mode.inverse_hvp
    is_quadratic, modes = Mode.is_quadratic, Mode.modes  # pyright: ignore[reportIncompatibleMethodOverride]

    def value(self, x: Any) -> Any:
        """λ(x − c)²/2."""
        return Mode(self.lam).value(x - self.place)

    def grad(self, x: Any) -> Any:
        """λ(x − c)."""
        return Mode(self.lam).grad(x - self.place)

    def prox(self, x: Any, h: Any) -> Any:
        """c + (x − c)/(1 + hλ)."""
        return self.place + Mode(self.lam).prox(x - self.place, h)


@dataclasses.dataclass(frozen=True)
class ClosedForm:
    """A flow's `solution` on a mode λ, its numbers being symbols.

    Attributes:
        flow: the flow there.
        motion: the time since the start, with the functions of it that the solution asked for.
        numbers: the flow's own numbers, by symbol.
        start: the state at t = 0.
        from_rest: whether it holds from rest only.
        other: λ' ↦ the state at t on another mode.
    """

    flow: Flow
    motion: Motion
    numbers: Mapping[str, Any]
    start: Any
    from_rest: bool
    other: Callable[[Exact], Any]

    @property
    def state(self) -> Any:
        """The state at t."""
        return self.other(self.motion.generators["lambda"])

    def centered(self, value: Exact) -> Exact:
        """The value where the minimizer is 0."""
        field, place = self.motion.field, self.motion.generators["c0"].value.numer
        element = value.value
        numerator, denominator = (part.compose([(place, 0)]) for part in (element.numer, element.denom))
        return Exact(field(numerator) / field(denominator))

    def from_start(self, *leaves: Exact) -> list[Exact]:
        """The state's leaves at t, from these."""
        structure = jax.tree.structure(self.start)
        with blaming(self.flow):
            return jax.tree.leaves(self.flow.solution(Exact(0), jax.tree.unflatten(structure, leaves), self.motion))


def closed_form(
    flow: Flow,
    constants: tuple[str, ...] = (),
    put: Callable[[str, Mapping[str, Exact]], Exact | None] = lambda name, g: None,
    shifted: bool = True,
) -> ClosedForm:
    """A flow's solution on a mode, read exactly.

    Args:
        flow: the flow; of its energy nothing is asked.
        constants: further symbols.
        shifted: whether the mode's minimizer is a symbol, and not 0.
        put: (symbol, generators) ↦ what one of the flow's numbers is, in place of a symbol of its own.

    Raises:
        NotExactError: if it isn't made of rational functions and of those that a `Duration` tells, or if a mode has
            more than two numbers.
        UnansweredQuestionError: if the flow has none.
    """
    numbers = symbols_of_flow(flow)
    motion = Motion("lambda", *numbers, "x0", "v0", "c0", *constants)
    g = motion.generators

    def on(lam: Exact) -> Flow:
        energy = ShiftedMode(lam, g["c0"]) if shifted else Mode(lam)
        return flow_converted(flow, energy, lambda name, _: g[name] if (is_put := put(name, g)) is None else is_put)

    asked = on(g["lambda"])
    with blaming(flow):
        rest = asked.init(g["x0"])
        leaves, structure = jax.tree.flatten(rest)
        if len(leaves) > 2:
            raise NotExactError(f"{flow.name} has {len(leaves)} numbers a mode; closed forms are for one or two")
        free = jax.tree.unflatten(structure, [g["x0"], g["v0"]][: len(leaves)])

        def reached(start: Any, flow: Flow) -> Any:
            return flow.solution(Exact(0), start, motion)

        kept = [
            (motion.at_zero(leaf) - begun).value
            for leaf, begun in zip(jax.tree.leaves(reached(free, asked)), jax.tree.leaves(free), strict=True)
        ]
    start = rest if any(kept) else free
    return ClosedForm(asked, motion, numbers, start, any(kept), lambda lam: reached(start, on(lam)))


def solution_claims(flow: Flow, curvatures: Curvatures | None, at_origin: bool) -> Iterator[Claim]:
    """The claims that the flow's solution solves it (in the mean, where there is noise), each with its false sibling.

    A damped oscillation is one formula in three regimes, each a claim of its own.

    Args:
        flow: the flow.
        curvatures: its energy's, if it is a quadratic.
        at_origin: whether that one's minimizer is known to be 0.

    Raises:
        NotExactError: as `closed_form`.
        UnansweredQuestionError: likewise.
    """
    claims = list(_claims_of(closed_form(flow), flow, curvatures))
    if any(claim.grade is Grade.REFUTED for claim in claims):
        # What fails on a shifted mode may hold where the minimizer is 0.
        centered = list(_claims_of(closed_form(flow, shifted=False), flow, curvatures))
        if at_origin or any(claim.grade is Grade.REFUTED for claim in centered):
            claims = centered
        else:
            claims = [dataclasses.replace(claim, grade=Grade.UNKNOWN, reason=AT_ORIGIN) for claim in centered]
    yield from claims


def _claims_of(form: ClosedForm, flow: Flow, curvatures: Curvatures | None) -> Iterator[Claim]:
    with blaming(flow):
        right, wrong = form.state, form.other(2 * form.motion.generators["lambda"])
        right_is, wrong_is = _equations(form, right), _equations(form, wrong)
    kind = "closed form" if form.flow.brownian(form.start) is None else "mean"
    regimes: tuple[Regime | None, ...] = REGIMES if form.motion.discriminants else (None,)
    for regime in regimes:
        case = "every mode" if regime is None else regime.name
        name = f"{kind} of {flow.name} on quadratics, {case}" + (" from rest" if form.from_rest else "")
        name += _how_many(form, regime, curvatures)
        starts = form.motion.starts
        false = refuted_sibling(decide_equations(name, _statement(form, wrong, regime), wrong_is, "", at_start=starts))
        statement = _statement(form, right, regime) + _consequence(form, right)
        yield decide_equations(name, statement, right_is, _IDENTITY, false, starts)


def _equations(form: ClosedForm, state: Any) -> dict[str, tuple[Exact, Exact]]:
    drift = jax.tree.leaves(form.flow.drift(Exact(0) + form.motion.time, state))
    found = {}
    for label, leaf, slope, start in zip(
        "xv", jax.tree.leaves(state), drift, jax.tree.leaves(form.start), strict=False
    ):
        found[f"d{label}/dt and the drift"] = form.motion.derivative(leaf), slope
        found[f"{label}(0) and its start"] = form.motion.at_zero(leaf), start
    return found


def _statement(form: ClosedForm, state: Any, regime: Regime | None) -> str:
    leaf = form.centered(jax.tree.leaves(state)[0])
    # Words are no products of letters.
    words = [name for name in form.numbers if len(name) > 1 and sympy.latex(sympy.Symbol(name)) == name]
    names = {sympy.Symbol(name): rf"\mathit{{{name}}}" for name in words}
    statement = f"x(t) = {sympy.latex(_readable(form.motion.expression(leaf, regime)), symbol_names=names)}"
    if regime is None:
        return statement
    discriminant = sympy.expand(form.motion.discriminant_in(leaf).value.as_expr() * (regime.sign or 1))
    shown = sympy.latex(discriminant, symbol_names=names)
    return statement + (rf",\quad \{regime.symbol}^2 = {shown}" if regime.sign else rf",\quad {shown} = 0")


def _readable(expression: sympy.Expr) -> sympy.Expr:
    """The same with what every term decays by behind it, and the oscillations collected: no fractions of fractions."""
    terms = sympy.Add.make_args(sympy.expand(expression, power_exp=False, power_base=False))
    if len(terms) == 1:
        return expression
    decays = [e for e in terms[0].atoms(sympy.exp) if all(term.has(e) for term in terms)]
    inner = sympy.Add(*terms).xreplace(dict.fromkeys(decays, sympy.Integer(1)))
    moving = sorted(inner.atoms(sympy.Function), key=str)
    return sympy.Mul(sympy.collect(inner, [*moving, sympy.Symbol("t")]), *decays)


def _consequence(form: ClosedForm, state: Any) -> str:
    """What follows for the whole quadratic, where a mode decays with its curvature."""
    g = form.motion.generators
    decays = (form.centered(jax.tree.leaves(state)[0]) - g["x0"] * form.motion.exponential(g["lambda"])).value
    return "" if decays else r",\quad\text{so that}\quad x(t) = x^* + e^{-tH}(x_0 - x^*)"


def _how_many(form: ClosedForm, regime: Regime | None, curvatures: Curvatures | None) -> str:
    """How many of a quadratic's modes are in a regime, from their curvatures in floating point."""
    if regime is None or curvatures is None:
        return ""
    expression = form.motion.discriminant_in(jax.tree.leaves(form.state)[0]).value.as_expr()
    names = [sympy.Symbol("lambda"), *map(sympy.Symbol, form.numbers)]
    terms = sympy.lambdify(names, sympy.Add.make_args(sympy.expand(expression)), "numpy")
    values = np.asarray(curvatures.values, dtype=float)
    # One row a term: what their sum is, and how far rounding may have moved it.
    rows = np.array([np.broadcast_to(term, values.shape) for term in terms(values, *map(float, form.numbers.values()))])
    near = np.abs(rows.sum(axis=0)) <= _NEAR * np.abs(rows).sum(axis=0)
    count = int((np.where(near, 0, np.sign(rows.sum(axis=0))) == regime.sign).sum())
    return f" ({count} of {len(values)} modes)"
