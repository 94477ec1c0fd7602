"""Iterating a discretizer of a flow: one compiled loop, saved every so often."""

import itertools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from gradientflow.flows import (
    BrownianPath,
    Flow,
    Number,
    Outcome,
    Status,
    Trajectory,
    all_finite,
    check_integer,
    check_key,
    check_number,
    check_positive,
    default_tolerances,
    dtype_of,
    is_stationary,
    is_stochastic,
    max_norm,
    measure,
    numbers_to_arrays,
    prepare,
)

from ..discretizer import Discretizer, advance, check_answers, drawn_increments, packed
from ..oracle import Oracle, check_oracle, flow_seen, is_random
from ..step_rule import ConstantStep, StepRule, as_step_rule

# An iteration whose gradient has grown this much, and whose energy is the highest yet, is not coming back.
_DIVERGED_GROWTH = 10
# One whose gradient has not fallen to this share has not arrived.
_FALLEN = 0.1
_BEYOND_LIMIT = "the step may be beyond its stability limit"


def iterate(
    flow: Flow,
    discretizer: Discretizer,
    x0: Any,
    *,
    step: Any,
    steps: int | np.integer,
    save_every: int | np.integer = 1,
    t0: Number = 0.0,
    state: Any = None,
    oracle: Any = None,
    key: Any = None,
    gtol: Number | None = None,
) -> Trajectory:
    r"""The iterates of a discretizer: $z_{k+1} = \Phi_{h_k}(z_k)$, on the flow's clock $t_k = t_0 + \sum_{j<k} h_j$.

    One compiled loop. Another step size, parameter or starting point of the same shape does not compile again.

    Args:
        flow: the flow.
        discretizer: the one-step map.
        x0: the initial position, any pytree of arrays; ignored (and may be `None`) where `state` is given.
        step: a number h [T], a schedule k ↦ h, or a step rule.
        steps: how many.
        save_every: save every so many steps; the last state is always saved.
        t0: the time at the start [T].
        state: a full state to start from, another run's `state[-1]` say.
        oracle: (flow, key, k) ↦ the flow that step k sees, for inexact gradients: `Minibatch`, `NoisyGradient`, or
            a function of yours. A tuple is several, one after the other. A `DeterministicOracle` such as `ClipGradient`
            needs no key.
        key: for flows with noise and for oracles, a key made by `jax.random.key`, and another one for a run that goes
            on where one ended, or it would see the same noise again; for flows with noise also a `BrownianPath`, to
            take the increments of a path that another run shares.
        gtol: gradient tolerance of the status `converged` [E/X]: 1e-9 in double precision, 1e-4 in single.

    Returns:
        The trajectory. An iteration that diverges is a result: its status names the first step after which something
        was not finite; or, where all still is, the first saved step of a last stretch on which the gradient is ten
        times the first one and the energy above the start, if it ends at its highest.

    Raises:
        ValueError: for a step that is not finite and positive, or an x0 that isn't finite or doesn't fit.
        TypeError: for counts that aren't integers, or a missing key.
        UnansweredQuestionError: if the scheme asks the flow what it doesn't answer.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.GradientFlow(gf.Quadratic([[1.0, 0.0], [0.0, 9.0]]))
        >>> run = gf.iterate(flow, gf.ForwardEuler(), [3.0, 1.0], step=0.1, steps=1)
        >>> [round(float(x), 3) for x in run.x[-1]]
        [2.7, 0.1]
    """
    flow, z0 = prepare("iterate", flow, x0, state, t0)
    if not isinstance(discretizer, Discretizer):
        raise TypeError(f"iterate: `discretizer` must be one such as ForwardEuler(), got {discretizer!r}")
    check_integer("iterate", 1, steps=steps, save_every=save_every)
    check_number("iterate", t0=t0)
    if gtol is not None:
        check_positive("iterate", gtol=gtol)
    steps, save_every = int(steps), int(save_every)
    check_answers(flow, discretizer, z0)
    dtype = dtype_of(z0)
    rule, t_start = numbers_to_arrays((as_step_rule(step), float(t0)), dtype)
    discretizer, oracle = numbers_to_arrays((discretizer, oracle), dtype, integers=False)
    check_oracle("iterate", oracle)
    if is_random(oracle):
        key = check_key("iterate", oracle, key)
    elif is_stochastic(flow, z0):
        if isinstance(key, BrownianPath):
            key.check_fits("iterate", flow.brownian(z0))
            if isinstance(rule, ConstantStep):
                key.check_step("iterate", rule.h)
        else:
            key = check_key("iterate", flow, key)
    elif key is not None:
        raise TypeError(f"iterate: neither {type(flow).__name__} nor an oracle is random; leave `key` out")
    recipe = _Recipe(flow, discretizer, rule, oracle, key, t_start)
    rows = _run(recipe, recipe.start(z0), steps // save_every, save_every, steps % save_every)
    indices = np.append(np.arange(0, steps, save_every), steps)
    return _trajectory(recipe, rows, indices, default_tolerances(dtype).gtol if gtol is None else float(gtol))


class _Carry(eqx.Module):
    """What one step hands to the next."""

    z: Any
    k: jax.Array
    t: jax.Array
    # What compensated summation has still to add to t: single precision loses the clock within a million steps.
    t_rest: jax.Array
    memory: Any
    rule_state: Any


class _Recipe(eqx.Module):
    """Everything that a step needs and that stays the same."""

    flow: Flow
    discretizer: Discretizer
    rule: StepRule
    oracle: Oracle | None
    key: Any
    t0: Any

    def start(self, z0: Any) -> _Carry:
        flow = self.seen(jnp.asarray(0))
        rule_state = self.rule.init(flow, self.discretizer, self.t0, z0)
        h, _ = self.rule(flow, self.discretizer, self.t0, z0, rule_state)
        memory = self.discretizer.init(flow, self.t0, z0, jnp.asarray(h, dtype_of(z0)))
        return _Carry(z0, jnp.asarray(0), self.t0, jnp.zeros_like(self.t0), memory, rule_state)

    def seen(self, k: Any) -> Flow:
        """The flow that step k sees."""
        return flow_seen(self.oracle, self.flow, self._stream(0) if is_random(self.oracle) else None, k)

    def one(self, carry: _Carry) -> _Carry:
        flow = self.seen(carry.k)
        h, rule_state = self.rule(flow, self.discretizer, carry.t, carry.z, carry.rule_state)
        h = jnp.asarray(h, self.t0.dtype)
        t, t_rest = self._tick(carry, h)
        noise = self._noise(carry, t, h)
        z, memory = advance(self.discretizer, flow, carry.t, carry.z, h, noise, carry.memory)
        z = jax.tree.map(lambda new, old: jnp.asarray(new, old.dtype), z, carry.z)
        return _Carry(z, carry.k + 1, t, t_rest, memory, rule_state)

    def _tick(self, carry: _Carry, h: Any) -> tuple[Any, Any]:
        if isinstance(self.rule, ConstantStep):
            return self.t0 + (carry.k + 1).astype(h.dtype) * h, carry.t_rest
        add = h + carry.t_rest
        t = carry.t + add
        return t, add - (t - carry.t)

    def _stream(self, number: int) -> Any:
        """A key for oracles, another for noise."""
        return jax.random.fold_in(self.key, number)

    def _noise(self, carry: _Carry, t: Any, h: Any) -> Any:
        shape = self.flow.brownian(carry.z)
        if shape is None:
            return None
        parts = self.discretizer.increments(self.flow, carry.z)
        if isinstance(self.key, BrownianPath):
            times = [carry.t + i * (t - carry.t) / parts for i in range(parts)] + [t]
            return packed([self.key.increment(*pair) for pair in itertools.pairwise(times)])
        return drawn_increments(jax.random.fold_in(self._stream(1), carry.k), parts, shape, h)


def _run(recipe: _Recipe, carry: _Carry, blocks: int, save_every: int, rest: int) -> _Carry:
    """The carries at the start, after every block of `save_every` steps, and after the `rest`."""
    if save_every == 1:
        return _run_blocks(recipe, carry, blocks, None, None)
    rows = _run_blocks(recipe, carry, blocks, jnp.asarray(save_every), jnp.asarray(rest))
    return rows if rest else jax.tree.map(lambda leaf: leaf[:-1], rows)


@eqx.filter_jit
def _run_blocks(recipe: _Recipe, carry: _Carry, blocks: int, save_every: Any, rest: Any) -> _Carry:
    """The counts inside a block are traced: halving a step and saving half as often does not compile again."""

    def steps(carry: _Carry, count: Any) -> _Carry:
        if count is None:
            return recipe.one(carry)
        return jax.lax.fori_loop(0, count, lambda _, c: recipe.one(c), carry)

    def block(carry: _Carry, _: None) -> tuple[_Carry, _Carry]:
        carry = steps(carry, save_every)
        return carry, carry

    last, rows = jax.lax.scan(block, carry, None, length=blocks)
    ends = [carry] if rest is None else [carry, steps(last, rest)]
    first, *more = [jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], end) for end in ends]
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), first, rows, *more)


@eqx.filter_jit
def _positions(recipe: _Recipe, rows: _Carry) -> Any:
    return jax.vmap(lambda carry: _position(recipe, carry))(rows)


def _position(recipe: _Recipe, carry: _Carry) -> Any:
    h, _ = recipe.rule(recipe.flow, recipe.discretizer, carry.t, carry.z, carry.rule_state)
    return recipe.discretizer.position(recipe.flow, carry.z, h)


@eqx.filter_jit
def _unrest(flow: Flow, states: Any, positions: Any) -> tuple[Any, Any]:
    """What the last iterate's gradient and velocity lack to being zero, what a constraint takes up aside."""
    last, x = jax.tree.map(lambda leaf: leaf[-1], (states, positions))
    velocity = flow.velocity(last)
    # Not the last state's own: an iterate is where the scheme reads it, which need not be the state's position.
    return max_norm(flow.residual(flow.init(x))), 0.0 if velocity is None else max_norm(velocity)


def _trajectory(recipe: _Recipe, rows: _Carry, indices: np.ndarray, gtol: float) -> Trajectory:
    flow = recipe.flow
    positions = _positions(recipe, rows)
    energies, grad_norms = measure(flow.energy, positions)
    residual, speed = _unrest(flow, rows.z, positions)
    # An energy without a minimum falls so far that by its own scale any gradient is small: it must have fallen too.
    fallen = float(residual) <= max(gtol, _FALLEN * float(grad_norms[0]))
    settled = fallen and bool(is_stationary(gtol, energies[0], energies[-1], residual, speed))
    stats = {
        "scheme": recipe.discretizer.name,
        "steps": int(indices[-1]),
        "precision": str(dtype_of(rows.z)),
        "gtol": gtol,
    }
    return Trajectory(
        t=rows.t, x=positions, state=rows.z, energy=energies, grad_norm=grad_norms,
        status=_status(recipe, rows, indices, np.asarray(energies), np.asarray(grad_norms), settled),
        stats=stats, steps=jnp.asarray(indices),
    )  # fmt: skip


def _status(
    recipe: _Recipe, rows: _Carry, indices: np.ndarray, energies: np.ndarray, grad_norms: np.ndarray, settled: bool
) -> Status:
    noisy = is_stochastic(recipe.flow, rows.z) or is_random(recipe.oracle)
    after = f"after {indices[-1]} steps"
    lost = _lost(rows, energies, grad_norms)
    if lost.any():
        step = _first_lost_step(recipe, rows, indices, int(np.argmax(lost)))
        return Status(Outcome.DIVERGED, f"no longer finite from step {step} on; {_BEYOND_LIMIT}", step)
    # An excursion that is coming back is no divergence: only an end that tops all before counts.
    grown = (energies > energies[0]) & (grad_norms > _DIVERGED_GROWTH * grad_norms[0])
    if grown[-1] and energies[-1] == energies.max() and grad_norms[0] > 0 and not noisy:
        step = int(indices[np.flatnonzero(~grown)[-1] + 1])
        what = (
            f"energy {energies[0]:.4g} → {energies[-1]:.4g}, ‖∇E‖∞ {grad_norms[0]:.3g} → {grad_norms[-1]:.3g} {after}"
        )
        return Status(Outcome.DIVERGED, f"{what}; {_BEYOND_LIMIT}", step)
    if settled and not noisy:
        return Status(Outcome.CONVERGED, f"‖∇E‖∞ = {grad_norms[-1]:.3g} {after}")
    if not noisy and energies[-1] < energies[0] and grad_norms[-1] > _DIVERGED_GROWTH * grad_norms[0] > 0:
        return Status(Outcome.RUNNING_OFF, f"energy {energies[-1]:.4g} and falling {after}")
    return Status(Outcome.REACHED_END, f"‖∇E‖∞ = {grad_norms[-1]:.3g} {after}")


def _lost(rows: _Carry, energies: np.ndarray, grad_norms: np.ndarray) -> np.ndarray:
    """Which rows hold something that is not finite."""
    leaves = [np.asarray(leaf).reshape(len(energies), -1) for leaf in jax.tree.leaves(rows.z)]
    finite = np.logical_and.reduce([np.isfinite(leaf).all(axis=1) for leaf in leaves])
    return ~(finite & np.isfinite(energies) & np.isfinite(grad_norms))


def _first_lost_step(recipe: _Recipe, rows: _Carry, indices: np.ndarray, row: int) -> int:
    """The exact step, by replaying the block between two saved rows in which it happened."""
    start = jax.tree.map(lambda leaf: leaf[row - 1], rows)
    return int(indices[row - 1] + _steps_until_lost(recipe, start, jnp.asarray(indices[row] - indices[row - 1])))


@eqx.filter_jit
def _steps_until_lost(recipe: _Recipe, carry: _Carry, most: Any) -> Any:
    """How many steps it takes until something is not finite: none is kept, or memory would grow with the steps."""

    def holds(carry: _Carry) -> Any:
        x = _position(recipe, carry)
        return all_finite((carry.z, recipe.flow.energy.value(x), recipe.flow.energy.grad(x)))

    def going(state: tuple[_Carry, Any]) -> Any:
        carry, count = state
        return (count < most) & holds(carry)

    def one(state: tuple[_Carry, Any]) -> tuple[_Carry, Any]:
        carry, count = state
        return recipe.one(carry), count + 1

    return jax.lax.while_loop(going, one, (carry, jnp.zeros_like(most)))[1]
