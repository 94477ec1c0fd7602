"""One iteration of a discretizer, as pure functions: where it starts, one step, and where it is."""

import dataclasses
import itertools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from gradientflow.flows import BrownianPath, Flow, dtype_of
from gradientflow.flows.aliases import Increment, State, StepLength, Time

from .discretizer import Discretizer, advance, drawn_increments, packed, refuse_dropped_noise
from .oracle import Oracle, flow_seen
from .step_rule import ConstantStep, StepRule, as_step_rule


class Carry(eqx.Module):
    """What one step hands to the next.

    Attributes:
        z: the state.
        k: how many steps were taken.
        t: the time [T].
        t0: the time at the start [T].
        t_rest: what compensated summation has still to add to t [T].
        memory: the scheme's, or `None`.
        rule_state: the step rule's, or `None`.
    """

    z: Any
    k: Any
    t: Any
    t0: Any
    t_rest: Any
    memory: Any
    rule_state: Any


class Seen(eqx.Module):
    """An oracle with its key: what step k sees of a flow.

    Args:
        oracle: (flow, key, k) ↦ flow, or a tuple of such.
        key: the run's, folded with `k` by the oracle; `None` where nothing is random.
    """

    oracle: Oracle
    key: Any = None

    def __call__(self, flow: Flow, k: Any) -> Flow:
        """The flow that step k sees."""
        return flow_seen(self.oracle, flow, self.key, k)


class Draws(eqx.Module):
    """Brownian increments drawn anew at each step.

    Args:
        key: the run's; step k draws from it, folded with k.
        dtype: the precision in which they are drawn, the state's unless given.
    """

    key: Any
    dtype: Any = eqx.field(static=True, default=None)

    def __call__(self, k: Any, now: Any, later: Any, h: StepLength, parts: int, shape: Any) -> Any:
        """The increments over the equal parts of step k, of length h, from the time `now` to `later`."""
        return drawn_increments(jax.random.fold_in(self.key, k), parts, shape, h, self.dtype)


class Shared(eqx.Module):
    """Brownian increments of a path that other runs share.

    Args:
        path: the Brownian path.
    """

    path: BrownianPath

    def __call__(self, k: Any, now: Any, later: Any, h: StepLength, parts: int, shape: Any) -> Any:
        """The path's increments over the equal parts of the step from the time `now` to `later`."""
        times = [now + i * (later - now) / parts for i in range(parts)] + [later]
        return packed([self.path.increment(*pair) for pair in itertools.pairwise(times)])


class Iteration(eqx.Module):
    r"""A discretizer of a flow under a step rule, as pure functions: $z_{k+1} = \Phi_{h_k}(z_k)$.

    `start` makes the carry at a state, `one` takes a step, `many` takes several, `position` reads the iterate off. All
    may be traced, batched and differentiated; there are no checks of values, no statuses and no words: those are
    `iterate`'s.

    Args:
        flow: the flow.
        scheme: the one-step map.
        rule: a number h [T], a schedule k ↦ h, or a step rule.
        oracle: what step k sees of the flow; a `Seen` binds an oracle to its key.
        noise: this run's Brownian increments: `Draws(key)`, or `Shared(path)`; `None` is no noise.

    Raises:
        TypeError: for a step that is none.
        UnansweredQuestionError: by `start`, if the flow has noise that the scheme would drop.

    References:
        A. M. Stuart, A. R. Humphries, Dynamical Systems and Numerical Analysis, 1996.

    Example:
        >>> import jax, gradientflow as gf
        >>> it = gf.Iteration(gf.GradientFlow(gf.landscapes.bowl()), gf.ForwardEuler(), 0.1)
        >>> carry = it.start(jax.numpy.array([3.0, 1.0]))
        >>> it.position(it.one(carry)).round(3)
        Array([2.7, 0.1], dtype=...)
    """

    flow: Flow
    scheme: Discretizer
    rule: StepRule
    oracle: Any = None
    noise: Any = None

    def __init__(self, flow: Flow, scheme: Discretizer, rule: Any, oracle: Any = None, noise: Increment = None) -> None:
        self.flow, self.scheme, self.rule = flow, scheme, as_step_rule(rule)
        self.oracle, self.noise = oracle, noise

    def start(self, z0: State, t0: Time = 0.0) -> Carry:
        """What the first step gets, from the state z0 at the time t0."""
        refuse_dropped_noise(self.flow, self.scheme, z0)
        # In half precision the clock would stop, and a decay e^{−h/τ} round to 1.
        dtype = jnp.promote_types(dtype_of(z0), jnp.float32)
        t0, k = jnp.asarray(t0, dtype), jnp.asarray(0)
        flow = self.seen(k)
        rule_state = self.rule.init(flow, self.scheme, t0, z0)
        h, _ = self.rule(flow, self.scheme, t0, z0, rule_state)
        memory = self.scheme.init(flow, t0, z0, jnp.asarray(h, dtype))
        return Carry(z0, k, t0, t0, jnp.zeros_like(t0), memory, rule_state)

    def seen(self, k: Any) -> Flow:
        """The flow that step k sees."""
        return self.flow if self.oracle is None else self.oracle(self.flow, k)

    def one(self, carry: Carry, increments: Any = None) -> Carry:
        """One step.

        Args:
            carry: what the last one handed on.
            increments: this step's Brownian increments [√T], where they are not to be drawn.
        """
        return self.with_time(self.advanced(carry, increments))

    def many(self, carry: Carry, count: Any) -> Carry:
        """So many steps, `count` traced or not; the time of a constant step is told once, at their end."""
        return self.with_time(jax.lax.fori_loop(0, count, lambda _, c: self.advanced(c), carry))

    def position(self, carry: Carry) -> Any:
        """The iterate that the carry stands for, as the user's own pytree."""
        if not self.reads_elsewhere:
            return self.flow.position(carry.z)
        h, _ = self.rule(self.flow, self.scheme, carry.t, carry.z, carry.rule_state)
        return self.scheme.position(self.flow, carry.z, h)

    def flat(self, carry: Carry) -> tuple[jax.Array, Any]:
        """State and memory as one vector, and the way back: a vector as a carry."""
        vector, unravel = ravel_pytree((carry.z, carry.memory))

        def carried(vector: Any) -> Carry:
            z, memory = unravel(vector)
            return dataclasses.replace(carry, z=z, memory=memory)

        return vector, carried

    @property
    def reads_elsewhere(self) -> bool:
        """Whether the scheme's iterate is not the flow's own position of the state."""
        return type(self.scheme).position is not Discretizer.position

    def advanced(self, carry: Carry, increments: Any = None) -> Carry:
        """One step, but for the time where that is known from the number of steps: nobody may ask for it."""
        flow = self.seen(carry.k)
        now = self._time_of(carry, carry.k)
        h, rule_state = self.rule(flow, self.scheme, now, carry.z, carry.rule_state)
        h = jnp.asarray(h, carry.t.dtype)
        # Compensated: single precision loses the clock within a million steps else.
        add = h + carry.t_rest
        later = self._time_of(carry, carry.k + 1) if self._is_even else now + add
        noise = self._increments(carry, now, later, h) if increments is None else increments
        z, memory = advance(self.scheme, flow, now, carry.z, h, noise, carry.memory)
        z = jax.tree.map(lambda new, old: jnp.asarray(new, old.dtype), z, carry.z)
        t, t_rest = (carry.t, carry.t_rest) if self._is_even else (later, add - (later - now))
        return Carry(z, carry.k + 1, t, carry.t0, t_rest, memory, rule_state)

    @property
    def _is_even(self) -> bool:
        return isinstance(self.rule, ConstantStep)

    def _time_of(self, carry: Carry, k: Any) -> Any:
        """The time after k steps of one length; of any others the carry has it."""
        if not isinstance(self.rule, ConstantStep):
            return carry.t
        return carry.t0 + k.astype(carry.t0.dtype) * jnp.asarray(self.rule.h, carry.t0.dtype)

    def with_time(self, carry: Carry) -> Carry:
        """A carry with the time told that `advanced` leaves untold."""
        return dataclasses.replace(carry, t=self._time_of(carry, carry.k))

    def _increments(self, carry: Carry, now: Any, later: Any, h: StepLength) -> Any:
        shape = self.flow.brownian(carry.z)
        if shape is None or self.noise is None:
            return None
        return self.noise(carry.k, now, later, h, self.scheme.increments(self.flow, carry.z), shape)
