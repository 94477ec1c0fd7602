"""Lanes of solves side by side: what they have in common, and the compiled parts of their way."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp

from ..aliases import StepLength
from ..compiling import SMALL_LANES, compiled
from ..flow import Flow
from ..numerics import all_finite
from ..transforming import once_per_shape
from .choice import chosen, first_look, for_stiff, may_switch
from .integration import Carry, Integration
from .solve import handed_over
from .spectrum import spectral_radius
from .stretch import End, Measured, Stretch, advanced, measure

# (what all lanes share, what a lane has) ↦ its flow and its first state.
Build = Callable[[Any, Any], tuple[Flow, Any]]

# Steps that lanes are tried for until those that may be at rest are looked at, all lanes together.
_TRIES = 8


class Program(eqx.Module):
    """What lanes that go side by side have in common.

    Attributes:
        build: makes a lane's flow.
        shared: what it is given for all lanes.
        tolerances: of a step.
        t0: the time of the start [T].
        gtol: the absolute criterion for rest, or `None`.
        solver: what was asked for.
        stiff: whether stability would hold an explicit solver back.
        handed_over: whether a solver for stiff flows has taken over.
        whole: how long the solves are [T].
        to_rest: whether they may end at rest.
    """

    build: Build = eqx.field(static=True)
    shared: Any
    tolerances: Any
    t0: Any
    gtol: Any
    solver: Any
    stiff: bool = eqx.field(static=True)
    handed_over: bool = eqx.field(static=True)
    whole: float = eqx.field(static=True)
    to_rest: bool = eqx.field(static=True)

    def integration(self, lane: Any) -> Integration:
        """A lane's solve."""
        flow, z0 = self.build(self.shared, lane)
        solver = for_stiff(flow, z0) if self.handed_over else chosen(self.solver, flow, z0, self.stiff, self.whole)
        return Integration(flow, solver, self.tolerances, self.t0, z0, self.to_rest, self.gtol)


class Kind(NamedTuple):
    """What all lanes are: the shapes of a state, whether the flow has an energy, and is that energy's gradient flow."""

    z0: Any
    has_energy: bool
    is_gradient_flow: bool


@once_per_shape
def kind_of(build: Build, shared: Any, lane: Any) -> Kind:
    """What a lane is, by its shapes alone."""

    def asked(shared: Any, lane: Any) -> Kind:
        flow, z0 = build(shared, lane)
        return Kind(z0, flow.has_energy, flow.is_gradient_flow)

    return eqx.filter_eval_shape(asked, shared, lane)


@once_per_shape
def may_hand_over(program: Program, lane: Any) -> bool:
    """Whether lanes have the explicit solver that is taken unasked, and there is one for stiff flows of their size."""

    def asked(lane: Any) -> bool:
        integration = program.integration(lane)
        free = may_switch(program.solver, integration.flow, integration.z0)
        return free and isinstance(integration.solver, dfx.Tsit5)

    return eqx.filter_eval_shape(asked, lane)


@functools.partial(compiled, small=SMALL_LANES)
def look_at(program: Program, lanes: Any) -> Any:
    """The first look at each lane."""

    def look(lane: Any) -> Any:
        flow, z0 = program.build(program.shared, lane)
        return first_look(flow, program.t0, z0)

    return jax.vmap(look)(lanes)


@functools.partial(compiled, small=SMALL_LANES)
def begun(program: Program, lanes: Any, h: StepLength) -> Carry:
    """Where each lane starts."""
    return jax.vmap(lambda lane, h: program.integration(lane).start(h))(lanes, h)


@functools.partial(compiled, small=SMALL_LANES)
def until_few_go(program: Program, lanes: Any, carry: Carry, goes: Any, most: Any, few: Any) -> tuple[Carry, Any]:
    """Lanes on their way, until no more than a few of them go on; and which these are.

    Args:
        program: what they have in common.
        lanes: what each has.
        carry: where each stands.
        goes: which of them go on.
        most: how many steps to try in a lane.
        few: how many lanes are no longer worth the way of all.
    """
    end = jnp.asarray(program.whole, carry.s.dtype)

    def may_go_on(integration: Integration, carry: Carry) -> Any:
        return integration.goes_on(carry, end) & (carry.taken + carry.rejected < most)

    def look(lane: Any, carry: Carry, goes: Any) -> tuple[Carry, Any]:
        integration = program.integration(lane)
        carry = integration.seen_by_now(carry)
        return carry, goes & may_go_on(integration, carry)

    def attempt(lane: Any, carry: Carry, on: Any) -> tuple[Carry, Any]:
        integration = program.integration(lane)
        now = jax.tree.map(lambda new, old: jnp.where(on, new, old), integration.one(carry, end), carry)
        return now, on & may_go_on(integration, now) & ~integration.is_worth_a_look(now)

    def some(looped: tuple[Carry, Any]) -> tuple[Carry, Any]:
        """Looks, which cost as much as steps, then some steps of all that go on."""
        carry, goes = jax.vmap(look)(lanes, *looped)
        carry, _, _ = jax.lax.while_loop(
            lambda steps: (steps[1].sum() > few) & (steps[2] < _TRIES),
            lambda steps: (*jax.vmap(attempt)(lanes, *steps[:2]), steps[2] + 1),
            (carry, goes, 0),
        )
        return carry, goes & jax.vmap(has_more_to_do)(lanes, carry)

    def has_more_to_do(lane: Any, carry: Carry) -> Any:
        integration = program.integration(lane)
        return may_go_on(integration, carry) | integration.is_unseen(carry)

    def ended(lane: Any, carry: Carry, goes: Any) -> Carry:
        reached = program.integration(lane).reached(carry)
        return jax.tree.map(lambda new, old: jnp.where(goes, old, new), reached, carry)

    carry, goes = jax.lax.while_loop(lambda looped: looped[1].sum() > few, some, (carry, goes))
    # How far and how fast it has been is looked at at every step, or where it ends.
    return carry if program.to_rest else jax.vmap(ended)(lanes, carry, goes), goes


@functools.partial(compiled, small=SMALL_LANES)
def ends(program: Program, lanes: Any, carry: Carry) -> tuple[Measured, Measured, End]:
    """What is measured at the start and the end of a lane, and what is seen there."""

    def look(lane: Any, carry: Carry) -> tuple[Measured, Measured, End]:
        integration = program.integration(lane)
        left, rest = integration.seen(carry)
        finite = all_finite(integration.flow.drift(program.t0 + carry.s, carry.z))
        return (
            measure(integration, jnp.zeros_like(carry.s), integration.z0)._replace(lyapunov=None),
            measure(integration, carry.s, carry.z)._replace(lyapunov=None),
            End(left, rest, finite, integration.climbs(carry.z)),
        )

    return jax.vmap(look)(lanes, carry)


@functools.partial(compiled, small=SMALL_LANES)
def advanced_each(
    program: Program, lanes: Any, carry: Carry, most: Any, times: Any, end: Any, room: int
) -> tuple[Carry, Stretch]:
    """A stretch of each lane, with its rows."""

    def advance(lane: Any, carry: Carry, most: Any) -> tuple[Carry, Stretch]:
        return advanced(program.integration(lane), carry, times, end, most, room)

    return jax.vmap(advance)(lanes, carry, most)


@functools.partial(compiled, small=SMALL_LANES)
def radii(program: Program, lanes: Any, carry: Carry) -> Any:
    """The fastest mode's |λ| where each lane stands [1/T]."""

    def radius(lane: Any, carry: Carry) -> Any:
        return spectral_radius(program.integration(lane).flow, program.t0 + carry.s, carry.z)

    return jax.vmap(radius)(lanes, carry)


@functools.partial(compiled, small=SMALL_LANES)
def handed_over_each(program: Program, lanes: Any, carry: Carry) -> Carry:
    """Where each lane stands, for another solver."""
    return jax.vmap(lambda lane, carry: handed_over(program.integration(lane), carry))(lanes, carry)
