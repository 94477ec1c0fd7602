"""What is claimed of a flow: closed forms per mode, and Lyapunov functions on general energies."""

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from gradientflow.flows import Flow, HeavyBallFlow, Mode, UnansweredQuestionError
from gradientflow.flows.facts import Decrease, OfParameter, StronglyConvex, facts_of

from ..exact.leaf import NotExactError
from ..exact.parameters import SYMBOLS, symbols_of_flow
from ..linear_stability.curvature import Curvatures
from ..results.grades import Grade
from .abstract_energy import Setting, setting
from .claims import Claim
from .closed_forms import AT_ORIGIN, solution_claims
from .conditions import Asked, Condition, number, under
from .decrease import decide_decrease, decide_fact, own_decrease
from .matrix_exponential import matrix_exponential_claim
from .moments import covariance_claims, noisy_mode
from .on_arrays import held_against_arrays, rises, solves_otherwise
from .overdamped_limit import overdamped_limit_claim


def flow_claims(flow: Flow, curvatures: Curvatures | None) -> Iterator[Claim]:
    """The claims about a flow, each under its conditions."""
    asked = Asked(flow.energy, curvatures)
    yield from _motion_claims(flow, curvatures, asked)
    # Of a subclass, which moves otherwise, no fact is known.
    if type(flow) is HeavyBallFlow:
        yield overdamped_limit_claim()
    facts = facts_of(flow)
    for fact in facts:
        yield under(decide_fact(fact, flow), *_needs(fact, flow, asked))
    if flow.noise is not None:
        yield from _covariance_claims(flow, asked)
    elif not facts:
        yield from _own_lyapunov_claims(flow, asked)


def _motion_claims(flow: Flow, curvatures: Curvatures | None, asked: Asked) -> Iterator[Claim]:
    """That its own closed form solves it; of a flow without one that is read, its matrix exponential."""
    name, statement = "closed form on a mode", r"z(t) = e^{At} z_0"
    try:
        for claim in solution_claims(flow, curvatures, _is_at_origin(flow.energy)):
            yield under(held_against_arrays(claim, flow, solves_otherwise), asked.quadratic)
    except (NotExactError, UnansweredQuestionError):
        try:
            _at_origin(flow)
            yield under(matrix_exponential_claim(flow), asked.quadratic)
        except (NotExactError, UnansweredQuestionError) as error:
            yield Claim(name, statement, Grade.UNKNOWN, str(error))


def _covariance_claims(flow: Flow, asked: Asked) -> Iterator[Claim]:
    """What its noise makes of a mode."""
    try:
        mode = noisy_mode(flow)
        claims = covariance_claims(flow, mode)
        positive = _positive(flow, mode.divisors)
        yield under(next(claims), asked.quadratic, asked.invertible, *positive)
        yield under(next(claims), asked.quadratic, asked.strongly_convex(), *positive)
    except (NotExactError, UnansweredQuestionError) as error:
        yield Claim(f"covariance of {flow.name}", r"P(t)", Grade.UNKNOWN, str(error))


def _needs(fact: Decrease, flow: Flow, asked: Asked) -> tuple[Condition, ...]:
    """What a fact needs of the energy and of the flow's parameters, and whether it is so."""

    def one(need: str | OfParameter | StronglyConvex) -> Condition:
        match need:
            case OfParameter(name, words, value, holds):
                found = float(value(flow))
                return number(name, words, found, holds(found))
            case StronglyConvex(words, of):
                mu = of(flow)
                return asked.strongly_convex(mu, words.format(mu=float(mu)))
        return {
            "differentiable": lambda: asked.differentiable,
            "convex": lambda: asked.convex,
            "strongly convex": asked.strongly_convex,
            "invertible": lambda: asked.invertible,
        }[need]()

    return tuple(map(one, fact.needs))


def _own_lyapunov_claims(flow: Flow, asked: Asked) -> Iterator[Claim]:
    """Of a user's own flow: its own Lyapunov function."""
    falls = "its own Lyapunov function never rises", r"\dot V \le 0"
    try:
        situation = _at_origin(flow)
    except (NotExactError, UnansweredQuestionError) as error:
        yield Claim(*falls, Grade.UNKNOWN, str(error))
        return
    if situation.function is None:
        yield Claim(*falls, Grade.UNKNOWN, "it gives no Lyapunov function")
    else:
        own = own_decrease(situation)
        found = held_against_arrays(decide_decrease(own, situation), flow, rises)
        yield under(found, *_needs(own, flow, asked))


def _at_origin(flow: Flow) -> Setting:
    """The flow on an abstract energy whose minimizer is 0, where it hangs on that.

    Raises:
        NotExactError: if it can't be read, or the minimizer is elsewhere.
        UnansweredQuestionError: if the flow does not answer.
    """
    situation = setting(flow)
    if situation.at_origin and not _is_at_origin(flow.energy):
        raise NotExactError(AT_ORIGIN)
    return situation


def _positive(flow: Flow, divisors: set[str]) -> tuple[Condition, ...]:
    """That the flow's numbers by which is divided are not 0; those that are named in words by their names."""
    numbers, names = symbols_of_flow(flow), {symbol: name for name, symbol in SYMBOLS.items()}
    found = []
    for symbol in sorted(divisors & set(numbers)):
        name, value = f"the {names.get(symbol, symbol)}", float(numbers[symbol])
        found.append(number(name, f"{name} is positive", value, value > 0))
    return tuple(found)


def _is_at_origin(energy: Any) -> bool:
    """Whether the minimizer is known to be 0."""
    if isinstance(energy, Mode):
        return True
    known = energy.minimizer
    return known is not None and all(not np.any(np.asarray(leaf)) for leaf in jax.tree.leaves(known))
