"""Lanes of solves side by side: what they have in common, and the compiled parts of their way."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp

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
def begun(program: Program, lanes: Any, h: Any) -> Carry:
    """Where each lane starts."""
    return jax.vmap(lambda lane, h: program.integration(lane).start(h))(lanes, h)


@functools.partial(compiled, small=SMALL_LANES)
def block(program: Program, lanes: Any, carry: Carry, tries: Any) -> tuple[Carry, Any]:
    """So many tries, and which lanes go on."""
    end = jnp.asarray(program.whole, carry.s.dtype)

    def block(lane: Any, carry: Carry) -> tuple[Carry, Any]:
        now, _ = program.integration(lane).stretch(carry, None, end, tries, room=0)
        goes_on = (now.s < end) & ~(now.rest | now.spent | now.stuck)
        if not program.to_rest:
            # How far and how fast it has been is looked at where a stretch ends, and this one goes on.
            now = dataclasses.replace(
                now,
                moved=jnp.where(goes_on, carry.moved, now.moved),
                fastest=jnp.where(goes_on, carry.fastest, now.fastest),
            )
        return now, goes_on

    return jax.vmap(block)(lanes, carry)


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
