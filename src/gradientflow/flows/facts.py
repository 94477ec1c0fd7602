"""What a flow claims of itself: plain data beside its code, which `verify` collects and puts to the proof."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Quantities = Mapping[str, Any]
Weighted = Callable[[Quantities], Sequence[tuple[Any, Any]]]


def _none(q: Quantities) -> Sequence[tuple[Any, Any]]:
    """No pairs."""
    return ()


@dataclasses.dataclass(frozen=True)
class OfParameter:
    """That a parameter of the flow is such or such.

    Attributes:
        name: the parameter in words, "the mass" say.
        words: what is asked of it.
        value: flow ↦ the parameter.
        holds: its value ↦ whether it is so.
    """

    name: str
    words: str
    value: Callable[[Any], Any]
    holds: Callable[[float], bool]


@dataclasses.dataclass(frozen=True)
class StronglyConvex:
    """That the energy is strongly convex with a μ that the flow's parameters say.

    Attributes:
        words: it, with `{mu}` for the number.
        mu: flow ↦ μ, from its parameters as fractions.
    """

    words: str
    mu: Callable[[Any], Any]


@dataclasses.dataclass(frozen=True)
class Decrease:
    r"""That $\dot V \le -B$ along the flow, with the weights that prove it: functions of leaves in + − · /.

    The quantities q are "x" (x − x*), "v", "g" (∇E), "E" (E − E*), whose products stand for inner products, the flow's
    parameters and the further `symbols`. Its false sibling `wrong` is what the same code has to refute.

    Attributes:
        name: what it is about.
        statement: it, in LaTeX.
        bound: B, from the quantities.
        wrong: a B that is too large, and its statement before it.
        function: V, from the quantities; `None` is the flow's own `lyapunov`.
        inequalities: (weight α ≥ 0, I) pairs, I ≥ 0 by what is assumed of the energy.
        squares: (weight β ≥ 0, u) pairs.
        positive: (weight, u) pairs whose squares V holds, where it is not plainly E − E* and squares.
        held: (weight, I) pairs of inequalities that V holds besides.
        assumption: what is assumed, in words.
        needs: what it needs: "differentiable", "convex", "strongly convex" or "invertible" (its Hessian) of the energy,
            `OfParameter`s, and a `StronglyConvex`.
        symbols: further symbols, "mu" say.
        values: symbols ↦ what the flow's parameters are, by name; else they are symbols themselves.
        clock: which symbol is the time, where such values depend on it.
    """

    name: str
    statement: str
    bound: Callable[[Quantities], Any]
    wrong: tuple[str, Callable[[Quantities], Any]]
    function: Callable[[Quantities], Any] | None = None
    inequalities: Weighted = _none
    squares: Weighted = _none
    positive: Weighted = _none
    held: Weighted = _none
    assumption: str = "on every differentiable E"
    needs: tuple["str | OfParameter | StronglyConvex", ...] = ("differentiable",)
    symbols: tuple[str, ...] = ()
    values: Callable[[Quantities], Mapping[str, Any]] | None = None
    clock: str | None = None


def facts_of(flow: Any) -> tuple[Decrease, ...]:
    """What the flow's own class claims: a subclass moves otherwise, and inherits none of it."""
    return vars(type(flow)).get("facts", ())
