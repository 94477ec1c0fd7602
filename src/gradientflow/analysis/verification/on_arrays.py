"""What was read of a user's own flow on symbols, beside the code that runs on arrays, where branches go elsewhere."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradientflow.flows import AbstractQuadratic, Flow, Quadratic, inner, with_smooth_part

from ..exact.trial import is_shipped
from ..results.grades import Grade
from .claims import Claim

_TIME, _LENGTH = 0.75, 0.5
_QUESTIONS = ("drift", "gradient", "solution", "lyapunov")


def held_against_arrays(claim: Claim, flow: Flow, misses: Callable[[Flow], str | None]) -> Claim:
    """A claim that is proved, or unknown where a user's own code does something else on arrays.

    Args:
        claim: what was read.
        flow: the flow.
        misses: what is wrong with it on a quadratic, if anything is.
    """
    if claim.grade is not Grade.PROVED or all(map(is_shipped, (_owner(flow, name) for name in _QUESTIONS))):
        return claim
    try:
        wrong = misses(_on_arrays(flow))
    except Exception as error:
        # What runs on no arrays can't be held against what runs, and nothing is proved of it.
        wrong = f"it was read on symbols and can't be run on arrays beside them: {(str(error).splitlines() or [''])[0]}"
    return claim if wrong is None else dataclasses.replace(claim, grade=Grade.UNKNOWN, reason=wrong)


def _owner(flow: Flow, question: str) -> type:
    return next(base for base in type(flow).__mro__ if question in vars(base))


def _on_arrays(flow: Flow) -> Flow:
    """The flow on its own quadratic, else on one of three unknowns whose minimizer is 0."""
    if isinstance(flow.energy, AbstractQuadratic):
        return flow
    return with_smooth_part(flow, Quadratic([[2.0, 0.5, 0.0], [0.5, 1.0, 0.25], [0.0, 0.25, 3.0]]))


def _drawn(flow: Flow) -> Any:
    """A state with every number drawn."""
    assert isinstance(flow.energy, AbstractQuadratic)
    draw = np.random.default_rng(0)
    rest = flow.init(jnp.zeros_like(flow.energy.linear))
    return jax.tree.map(lambda leaf: leaf + jnp.asarray(draw.normal(size=leaf.shape), leaf.dtype), rest)


def rises(flow: Flow) -> str | None:
    """What is wrong with a Lyapunov function that never rises: it does, at some state."""
    z, t = _drawn(flow), jnp.asarray(_TIME)
    _, slope = jax.jvp(flow.lyapunov, (t, z), (jnp.ones_like(t), flow.drift(t, z)))
    value = float(jnp.abs(flow.lyapunov(t, z)))
    if float(slope) <= 1e-3 * value:
        return None
    return f"the code is another on arrays than on symbols: it rises, by {float(slope):.3g} per unit of time"


def solves_otherwise(flow: Flow) -> str | None:
    """What is wrong with a solution: its derivative is not the drift there, or it begins elsewhere."""
    z, t, h = flow.init(flow.position(_drawn(flow))), jnp.asarray(_TIME), jnp.asarray(_LENGTH)
    after, slope = jax.jvp(lambda h: flow.solution(t, z, h), (h,), (jnp.ones_like(h),))
    drift, begun = flow.drift(t + h, after), flow.solution(t, z, jnp.zeros_like(h))
    away = jax.tree.map(jnp.subtract, (slope, begun), (drift, z))
    if float(inner(away, away)) <= 1e-6 * float(inner((drift, z), (drift, z))):
        return None
    return "the code is another on arrays than on symbols: it does not solve the flow there"
