"""A solve as a pure thing: `start(z0) → carry`, `one(carry) → carry`, `stretch(carry) → (carry, rows)`.

Pytrees in, pytrees out, traced values anywhere; no look at any value and no word. The host's loop (`solve`) and solves
to rest under a transformation (`traced`) go by it. Where a whole path is to be differentiated, diffrax's own loop is
asked, which has the adjoints for it.

Time runs from 0: a clock far from zero costs no precision.
"""

import dataclasses
from typing import Any, NamedTuple

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp

from ..compiling import put_rows, rows_at_once
from ..flow import Flow
from ..numerics import LARGEST_DENSE, dtype_of, inner, max_norm, size
from ..rest import Left, at_rest, left_to_do, little, may_be_at_rest, nothing_known, nothing_more, slow, small
from ..state import lower
from .choice import growth_of
from .control import Controller, Tolerances, finite_drift, held_to, held_to_the_motion, is_inside

# A position this many times as large as the start is not followed any further.
_FAR = 1e12
# An oscillation that steps of a given error feed comes to rest at so many times the error, and where that is more than
# such a share of the way nothing is known of rest.
_FED, _BLURRED = 30, 1e-3
# Large states are looked at for rest every so many steps.
_SELDOM = 4


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Carry:
    """Where a solve stands.

    Attributes:
        s: the time since the start [T].
        h: the step that is tried next [T].
        z: the state.
        solver: the solver's memory.
        controller: the step size controller's memory.
        taken: how many steps were accepted.
        rejected: how many were not.
        moved: ‖x − x₀‖∞ at its largest so far, at the ends of stretches where rest is not asked for [X].
        fastest: the velocity's largest entry so far, likewise [X/T].
        left: what was left to do at the last look for rest; `None` where rest is not asked for, as below.
        looked: after how many steps that look was, −1 before the first.
        rest: whether the state is at rest.
        spent: whether E has nothing more to fall, though the state goes on.
        asks_from: the number of steps from which on `spent` is asked.
        stuck: whether the precision can't tell shorter steps from none, or the state is out of all bounds.
    """

    s: Any
    h: Any
    z: Any
    solver: Any
    controller: Any
    taken: Any
    rejected: Any
    moved: Any
    fastest: Any
    left: Any
    looked: Any
    rest: Any
    spent: Any
    asks_from: Any
    stuck: Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Rows:
    """Where a stretch began and what is kept of its steps, arrays with one row each; the rest is room.

    Attributes:
        count: how many rows are filled.
        k: how many steps were taken before.
        s: the times since the start [T].
        z: the states.
    """

    count: Any
    k: Any
    s: Any
    z: Any


class _Filling(NamedTuple):
    """A stretch in progress: the rows so far are `count`, and a look for rest is `due` where a cheap one allows it."""

    carry: Carry
    buffers: Any
    count: Any
    index: Any
    due: Any


class Integration(eqx.Module):
    """How a flow is solved.

    Attributes:
        flow: what is integrated.
        solver: a diffrax solver that estimates its error.
        tolerances: of a step.
        t0: the time of the start [T].
        z0: the start.
        to_rest: whether to stop at rest.
        gtol: an absolute criterion for rest [E/X], or `None` for the Newton step.
    """

    flow: Flow
    solver: Any
    tolerances: Tolerances
    t0: Any
    z0: Any
    to_rest: bool = eqx.field(static=True)
    gtol: Any = None

    def start(self, h: Any) -> Carry:
        """At z0, with a first step to try [T]."""
        z, zero = self.z0, jnp.zeros((), dtype_of(self.z0))
        h = jnp.asarray(h, zero.dtype)
        largest = jnp.maximum(max_norm(z), h * max_norm(self.flow.drift(self.t0, z)))
        solver, terms, controller = self._engine(h, largest)
        _, known = controller.init(terms, zero, zero + h, z, None, None, solver.func, solver.error_order(terms))
        none = jnp.zeros((), int)
        carry = Carry(
            s=zero, h=h, z=z, solver=solver.init(terms, zero, zero + h, z, None), controller=known, taken=none,
            rejected=none, moved=zero, fastest=self.speed(z),
            left=nothing_known(dtype_of(self.flow.residual(z))) if self.to_rest else None,
            looked=none - 1 if self.to_rest else None, rest=jnp.asarray(False), spent=jnp.asarray(False),
            asks_from=none + 1, stuck=jnp.asarray(False),
        )  # fmt: skip
        return jax.tree.map(jnp.asarray, carry)

    def one(self, carry: Carry, until: Any) -> Carry:
        """A step tried, which ends at `until` at the latest [T since the start]."""
        solver, terms, controller = self._engine(carry.h, carry.controller[1])
        # A rest that is no longer than the step and its rounding is not left for another one.
        reaches = until - carry.s <= carry.h * (1 + 1e-6)
        end = jnp.where(reaches, until, carry.s + carry.h)
        z, error, _, memory, _ = solver.step(terms, carry.s, end, carry.z, None, carry.solver, False)
        if self.to_rest and isinstance(self.solver, dfx.AbstractERK):
            error = held_to_the_motion(error, carry.z, z, self.tolerances, carry.controller[1])
        keep, last, following, _, known, _ = controller.adapt_step_size(
            carry.s, end, carry.z, z, None, error, solver.error_order(terms), carry.controller
        )
        h = following - last
        # A step that was cut short to end in time says nothing against one of the length that was meant.
        h = jnp.where(keep & reaches, jnp.maximum(h, carry.h), h)

        def kept(new: Any, old: Any) -> Any:
            return jax.tree.map(lambda a, b: jnp.where(keep, a, b), new, old)

        carry = dataclasses.replace(
            carry,
            s=jnp.where(keep, end, carry.s),
            h=h,
            z=kept(z, carry.z),
            solver=kept(memory, carry.solver),
            controller=known,
            taken=carry.taken + keep,
            rejected=carry.rejected + ~keep,
            # A step that failed is followed by a shorter one, as long as time has a shorter one.
            stuck=~(carry.s + h > carry.s) | ~jnp.isfinite(h) | (~keep & (h >= end - carry.s)),
        )
        return self.reached(carry) if self.to_rest else carry

    def stretch(self, carry: Carry, times: Any, end: Any, most: Any, room: int) -> tuple[Carry, Rows]:
        """Steps up to the end, to rest, a standstill, `most` tried ones, or as many rows as there is room for.

        Args:
            carry: where it stands.
            times: the times whose states are kept, ascending and with infinity at their end; `None` for every step's.
            end: where to end [T since the start].
            most: how many steps may be tried.
            room: how many rows there is room for; with 0 none is kept.
        """
        tried = carry.taken + carry.rejected
        index = jnp.zeros((), int) if times is None else jnp.searchsorted(times, carry.s, side="right")
        # Without times every step has a row, and its number need not be kept.
        first = None if times is None else carry.taken, carry.s, carry.z
        block = rows_at_once(first, room)

        def steps_on(carry: Carry, count: Any) -> Any:
            return (
                self.goes_on(carry, end)
                & (carry.taken + carry.rejected < tried + most)
                & ((count < room) | (room == 0))
            )

        def going(state: _Filling) -> Any:
            # Nothing is left without a look for rest.
            return steps_on(state.carry, state.count) | self.is_unseen(state.carry)

        def step(state: _Filling) -> _Filling:
            carry, buffers, count, index, _ = state
            until = end if times is None else jnp.minimum(end, times[index])
            now = self.one(carry, until)
            saved = (now.taken > carry.taken) & (True if times is None else now.s >= until)
            if room:
                # What is not to be kept is written where the next row will be.
                buffers = _put(buffers, (None if times is None else now.taken, now.s, now.z), count)
            return _Filling(now, buffers, count + saved, index + saved, self.is_worth_a_look(now))

        def steps(state: _Filling) -> _Filling:
            """As many as go before a close look, which is taken first."""
            state = state._replace(carry=self.seen_by_now(state.carry), due=jnp.asarray(False))
            if not block:
                return jax.lax.while_loop(lambda now: steps_on(now.carry, now.count) & ~now.due, step, state)
            before = state.count
            part = jax.tree.map(lambda leaf: jnp.zeros((block, *leaf.shape[1:]), leaf.dtype), state.buffers)
            part = jax.lax.while_loop(
                lambda now: steps_on(now.carry, before + now.count) & (now.count < block) & ~now.due,
                step,
                state._replace(buffers=part, count=jnp.zeros_like(before)),
            )
            return part._replace(buffers=put_rows(state.buffers, part.buffers, before), count=before + part.count)

        buffers = jax.tree.map(lambda leaf: jnp.zeros((room + block, *leaf.shape), leaf.dtype), first)
        buffers = _put(buffers, first, 0) if room else buffers
        state = _Filling(carry, buffers, jnp.ones((), int), index, jnp.asarray(False))
        # Without looks and blocks it is one loop.
        state = jax.lax.while_loop(going, steps, state) if self.to_rest or block else steps(state)
        k, s, z = jax.tree.map(lambda leaf: leaf[:room], state.buffers)
        rows = Rows(state.count, carry.taken + jnp.arange(room) if times is None else k, s, z)
        return state.carry if self.to_rest else self.reached(state.carry), rows

    def goes_on(self, carry: Carry, end: Any) -> Any:
        """Whether there is a step to take from where it stands, as far as was looked."""
        return (carry.s < end) & ~(carry.rest | carry.spent | carry.stuck)

    def is_unseen(self, carry: Carry) -> Any:
        """Whether rest is asked for and was not looked for where it stands."""
        return carry.looked != carry.taken if self.to_rest else jnp.asarray(False)

    def speed(self, z: Any) -> Any:
        """The largest entry of the velocity, 0 where a state is only a position."""
        velocity = self.flow.velocity(z)
        return jnp.zeros((), dtype_of(self.z0)) if velocity is None else max_norm(velocity)

    def climbs(self, z: Any) -> Any:
        """Whether the velocity leads up E, where a state has one."""
        velocity, flow = self.flow.velocity(z), self.flow
        if velocity is None:
            return jnp.asarray(False)
        return inner(lower(velocity), flow.energy.grad(flow.position(z))) > 0

    def judged(self, carry: Carry) -> tuple[Left, Any, Any]:
        """What is left to do from where it stands, whether it is at rest, and whether E has nothing more to fall."""
        dtype, z = dtype_of(carry.z), carry.z
        left = left_to_do(self.flow, self.t0 + carry.s, z, *self._of_interest(carry))
        if self.gtol is not None:
            return left, self._rests_by_number(z), jnp.asarray(False)
        before, now, blur, slowly = *self._energies(carry), self._blur(carry), self._is_slow(carry)
        rest = slowly & at_rest(left, carry.moved, before, now, dtype, blur=blur)
        spent = nothing_more(left, before, now, dtype, blur=blur)
        spent = slowly & (carry.taken >= carry.asks_from) & spent & ~rest & self.flow.has_energy
        return left, rest, spent

    def is_worth_a_look(self, carry: Carry) -> Any:
        """Whether a close look could find rest, or nothing more to fall, where nobody has looked yet."""
        if not self.to_rest:
            return jnp.asarray(False)
        if size(carry.z) <= LARGEST_DENSE:
            return self.is_unseen(carry) & self._may_rest(carry)
        due = self.is_unseen(carry) & (carry.taken % _SELDOM == 0)
        return jax.lax.cond(due, lambda carry: self._may_rest(carry), lambda _: jnp.asarray(False), carry)

    def _may_rest(self, carry: Carry) -> Any:
        if self.gtol is not None:
            return self._rests_by_number(carry.z)
        near = may_be_at_rest(self.flow, carry.z, *self._of_interest(carry), self._fallen(carry))
        return near & self._is_slow(carry)

    def _is_slow(self, carry: Carry) -> Any:
        return slow(self.speed(carry.z), carry.fastest, dtype_of(carry.z), self._blur(carry))

    def _rests_by_number(self, z: Any) -> Any:
        return (max_norm(self.flow.residual(z)) <= self.gtol) & (self.speed(z) <= self.gtol)

    def _of_interest(self, carry: Carry) -> tuple[Any, Any]:
        """The longest Newton step and the largest fall of E that are asked for."""
        way = jnp.maximum(small(dtype_of(carry.z)).way, self._blur(carry)) * carry.moved
        return way, jnp.where(carry.taken >= carry.asks_from, self._fallen(carry), -1)

    def _fallen(self, carry: Carry) -> Any:
        """How much E may still have to fall to have fallen."""
        before, now = self._energies(carry)
        return little(before, now, dtype_of(carry.z), blur=self._blur(carry))

    def seen_by_now(self, carry: Carry) -> Carry:
        """The same, once it is looked at closely whether it is at rest, where that is asked."""

        def look(carry: Carry) -> Carry:
            left, rest, spent = self.judged(carry)
            return dataclasses.replace(carry, left=left, looked=carry.taken, rest=rest, spent=spent)

        return jax.lax.cond(self.is_unseen(carry), look, lambda carry: carry, carry) if self.to_rest else carry

    def _energies(self, carry: Carry) -> list[Any]:
        """E at the start and where it stands."""
        return [self.flow.energy.value(self.flow.position(z)) for z in (self.z0, carry.z)]

    def _blur(self, carry: Carry) -> Any:
        """To what share of the way the path is known: what its solver's tolerances feed an oscillation with for ever.

        Without a velocity nothing oscillates, and what a step's error leaves falls like all else: of explicit steps
        at the limit of stability `held_to_the_motion` sees to that.
        """
        if self.flow.velocity(carry.z) is None:
            return 0.0
        largest = jnp.maximum(max_norm(self.flow.position(carry.z)), carry.moved)
        tolerated = self.tolerances.absolute(largest) + self.tolerances.rtol * largest
        return jnp.minimum(_BLURRED, _FED * tolerated / jnp.where(carry.moved > 0, carry.moved, jnp.inf))

    def seen(self, carry: Carry) -> tuple[Left, Any]:
        """What is left to do where a stretch ended, and whether it is at rest there."""
        return (carry.left, carry.rest) if self.to_rest else self.judged(carry)[:2]

    def reached(self, carry: Carry) -> Carry:
        """With how far and how fast it has been by now, and stuck where it is out of all bounds."""
        far = max_norm(self.flow.position(carry.z)) > _FAR * (1 + max_norm(self.flow.position(self.z0)))
        return dataclasses.replace(
            carry,
            moved=jnp.maximum(carry.moved, self.away(carry.z)),
            fastest=jnp.maximum(carry.fastest, self.speed(carry.z)),
            stuck=carry.stuck | (far & self.to_rest),
        )

    def away(self, z: Any) -> Any:
        """‖x − x₀‖∞."""
        x0, x = self.flow.position(self.z0), self.flow.position(z)
        return max_norm(jax.tree.map(lambda a, b: a - b, x, x0))

    def _engine(self, first: Any, largest: Any) -> tuple[Any, Any, Any]:
        controller = Controller(
            self.tolerances, first, largest, lambda _, z: is_inside(self.flow, z), growth_of(self.solver)
        )
        term = dfx.ODETerm(lambda s, z, _: finite_drift(self.flow, self.t0 + s, z))
        return held_to(self.solver, controller), term, controller


def _put(buffers: Any, row: Any, index: Any) -> Any:
    return put_rows(buffers, jax.tree.map(lambda leaf: leaf[None], row), index)
