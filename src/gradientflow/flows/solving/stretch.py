"""A stretch of a solve as one compiled program: its steps, what is measured at them, and what is seen at its end."""

from typing import Any, NamedTuple

import jax
import numpy as np

from ..aliases import State
from ..compiling import compiled, map_distinct
from ..flow import Flow, UnansweredQuestionError
from ..numerics import all_finite, max_norm, on_host
from ..rest import Left
from ..trajectory import each_row
from .integration import Carry, Integration, Rows

# A solve has few rows, and those of its last batch that are not filled are measured in vain.
_BATCH = 16


class Measured(NamedTuple):
    """What is measured at the rows of a stretch.

    Attributes:
        x: positions.
        energy: E.
        grad_norm: ‖∇E‖∞.
        residual: what of it no constraint takes up.
        away: ‖x − x₀‖∞.
        lyapunov: the flow's Lyapunov function, or `None`.
    """

    x: Any
    energy: Any
    grad_norm: Any
    residual: Any
    away: Any
    lyapunov: Any


class End(NamedTuple):
    """What is seen at the end of a stretch.

    Attributes:
        left: what is left to do.
        rest: whether it is at rest.
        drift_finite: whether the drift is finite.
        climbs: whether its velocity leads up E.
    """

    left: Left
    rest: Any
    drift_finite: Any
    climbs: Any


class Stretch(NamedTuple):
    """The rows that a stretch filled, what was measured there, and what was seen at its end."""

    rows: Rows
    measured: Measured
    end: End


@compiled
def advanced(
    integration: Integration, carry: Carry, times: Any, end: Any, most: Any, room: int
) -> tuple[Carry, Stretch]:
    """A stretch, with what is to be known of its rows, all in one program."""
    carry, rows = integration.stretch(carry, times, end, most, room)
    measured = each_row(lambda row: measure(integration, *row), (rows.s, rows.z), rows.count, _BATCH)
    if is_position(integration.flow, carry.z):
        measured = measured._replace(x=rows.z)
    left, rest = integration.seen(carry)
    finite = all_finite(integration.flow.drift(integration.t0 + carry.s, carry.z))
    return carry, Stretch(rows, measured, End(left, rest, finite, integration.climbs(carry.z)))


def is_position(flow: Flow, z: State) -> bool:
    """Whether a state is its position, leaf by leaf."""
    position = flow.position(z)
    leaves = jax.tree.leaves(z), jax.tree.leaves(position)
    alike = jax.tree.structure(z) == jax.tree.structure(position)
    return alike and all(a is b for a, b in zip(*leaves, strict=True))


def measure(integration: Integration, s: Any, z: State) -> Measured:
    """At one row."""
    flow = integration.flow
    x = flow.position(z)
    try:
        lyapunov = flow.lyapunov(integration.t0 + s, z)
    except UnansweredQuestionError:
        lyapunov = None
    gradient, residual = max_norm(flow.energy.grad(x)), max_norm(flow.residual(z))
    return Measured(x, flow.energy.value(x), gradient, residual, integration.away(z), lyapunov)


def cut(stretch: Stretch, first: int) -> Stretch:
    """The rows that were filled, from the first that is new on; on the CPU as views of what is there anyway."""
    rows, measured, end = stretch
    count, on_cpu = int(rows.count), jax.default_backend() == "cpu"

    def filled(leaf: Any) -> Any:
        return (np.asarray(leaf) if on_cpu else leaf)[first:count]

    k, s, z, measured = map_distinct(filled, (rows.k, rows.s, rows.z, measured))
    return Stretch(Rows(np.asarray(count - first), k, s, z), measured, on_host(end))


def joined(stretches: list[Stretch]) -> Stretch:
    """All rows, with what was seen at the end of the last stretch."""
    if len(stretches) == 1:
        return stretches[0]
    parts = [(rows.k, rows.s, rows.z, measured) for rows, measured, _ in stretches]
    k, s, z, measured = jax.tree.map(lambda *leaves: np.concatenate([np.asarray(leaf) for leaf in leaves]), *parts)
    return Stretch(Rows(np.asarray(len(k)), k, s, z), measured, stretches[-1].end)
