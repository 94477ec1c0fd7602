"""A run from what is asked for to its trajectory: checked once, then one compiled loop, saved every so often."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradientflow.flows import (
    BrownianPath,
    Flow,
    Number,
    Stats,
    Trajectory,
    UnansweredQuestionError,
    ask,
    begin,
    check_finite,
    check_integer,
    check_key,
    check_positive,
    check_value,
    dtype_of,
    is_transformed,
    machine_memory,
    numbers_to_arrays,
    once_per_shape,
)
from gradientflow.flows.aliases import Position, State, Time

from ..discretizer import Discretizer, with_schemes_that_fit
from ..iteration import Draws, Iteration, Seen, Shared
from ..oracle import check_oracle, is_random
from ..step_rule import ConstantStep, ScheduledStep, StepRule, as_step_rule, check_schedule, check_table
from .run import run_known, run_traced

# What a run's key is folded with: one stream of random numbers for oracles, another for noise.
_FOR_ORACLES, _FOR_NOISE = 0, 1


def checked_run(
    flow: Flow,
    discretizer: Discretizer,
    x0: Position,
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
    """The run of a scheme of a flow that `iterate` and `Method.iterate` describe; all that is not as it must be told.

    Raises:
        ValueError: as `iterate`.
        TypeError: likewise.
        UnansweredQuestionError: likewise.
    """
    check_integer("iterate", 1, steps=steps, save_every=save_every)
    if gtol is not None:
        check_positive("iterate", gtol=gtol)
    iteration, z0, t0 = prepared(
        "iterate", flow, discretizer, x0, step=step, t0=t0, state=state, oracle=oracle, key=key
    )
    if not is_transformed():
        _check_room(z0, int(steps) // int(save_every))
    if is_transformed():
        rows, status = run_traced(iteration, z0, t0, gtol, int(steps), int(save_every))
    else:
        rows, status = run_known(iteration, z0, t0, gtol, int(steps), int(save_every))
        evidence: Any = status.evidence
        # Asked only where the clock went wrong: a schedule costs as much as a step.
        if isinstance(iteration.rule, ScheduledStep) and not bool(np.all(np.diff(np.asarray(rows.t, float)) >= 0)):
            check_schedule("iterate", iteration.rule.schedule, int(steps))
        if isinstance(iteration.rule, ScheduledStep):
            check_table("iterate", iteration.rule.schedule, int(steps))
        # Of an optimizer whose step is its clock the schedule is the flow's speed.
        if (rate := getattr(getattr(iteration.flow, "rate", None), "schedule", None)) is not None:
            check_schedule("iterate", rate, int(steps))
            check_table("iterate", rate, int(steps))
        check_value("iterate", "x0" if state is None else "state", float(evidence.energy[0]))
    given = {} if gtol is None else {"gtol": gtol}
    stats = Stats(scheme=discretizer.name, steps=int(steps), precision=str(dtype_of(z0)), **given)
    return Trajectory(
        t=rows.t, x=rows.x, state=rows.z, energy=rows.energy, grad_norm=rows.grad_norm, status=status, stats=stats,
        steps=rows.k,
    )  # fmt: skip


def prepared(
    where: str, flow: Flow, discretizer: Discretizer, x0: Position, **options: Any
) -> tuple[Iteration, Any, Any]:
    """A run's iteration, its first state and the time there, checked as `checked_run` says; `where` is who asks."""
    iteration, z0, t0 = iteration_of(where, flow, discretizer, x0, **options)
    _check_step(iteration, z0)
    _check_start(iteration, t0, z0)
    return iteration, z0, t0


def iteration_of(
    where: str,
    flow: Flow,
    discretizer: Discretizer,
    x0: Position,
    *,
    step: Any,
    t0: Number = 0.0,
    state: Any = None,
    oracle: Any = None,
    key: Any = None,
) -> tuple[Iteration, Any, Any]:
    """The same, but for the scheme's own checks."""
    flow, z0 = begin(where, flow, x0, state, t0)
    check_finite(where, t0=t0)
    return _iteration(where, flow, discretizer, z0, step, oracle, key), z0, numbers_to_arrays(t0, dtype_of(z0))


def _iteration(
    where: str, flow: Flow, discretizer: Discretizer, z0: State, step: Any, oracle: Any, given: Any
) -> Iteration:
    """The run's iteration: numbers as arrays, the key bound to what draws from it."""
    dtype = dtype_of(z0)
    rule = numbers_to_arrays(as_step_rule(step), dtype)
    discretizer, oracle = numbers_to_arrays((discretizer, oracle), dtype, integers=False)
    check_oracle(where, oracle)
    shape = ask(flow, "brownian", z0)
    noise: Any = None
    key: Any = None
    if is_random(oracle):
        key = check_key(where, oracle, given)
    elif shape is not None:
        if isinstance(given, BrownianPath):
            given.check_fits(where, shape)
            if isinstance(rule, ConstantStep) and not is_transformed():
                given.check_step(where, rule.h)
            noise = Shared(given)
        else:
            key = check_key(where, flow, given)
    elif given is not None:
        raise TypeError(f"{where}: neither {flow.name} nor an oracle is random; leave `key` out")
    if shape is not None and noise is None:
        noise = Draws(jax.random.fold_in(key, _FOR_NOISE))
    if oracle is not None:
        oracle = Seen(oracle, jax.random.fold_in(key, _FOR_ORACLES) if is_random(oracle) else None)
    iteration = Iteration(flow, discretizer, rule, oracle, noise)
    # Seen only if it is asked for: an oracle's first flow costs as much as any.
    if type(rule).known is StepRule.known:
        return iteration
    return Iteration(flow, discretizer, rule.known(iteration.seen(np.asarray(0))), oracle, noise)


def _check_room(z0: State, rows: int) -> None:
    """Refuses a run whose rows no memory holds."""
    needed = 2.0 * rows * sum(leaf.nbytes for leaf in jax.tree.leaves(z0))
    room = machine_memory()
    if needed > room:
        raise ValueError(
            f"iterate: {rows:,} saved rows take {needed / 2**30:,.0f} GiB, and this machine has {room / 2**30:,.0f}; "
            "save fewer of them by `save_every`"
        )


def _check_start(iteration: Iteration, t0: Time, z0: State) -> None:
    """What the scheme itself has against the start."""
    scheme, dtype = iteration.scheme, dtype_of(z0)
    if type(scheme).check_start is Discretizer.check_start or is_transformed():
        return
    flow, t0 = iteration.seen(np.asarray(0)), numbers_to_arrays(t0, dtype)
    h, _ = iteration.rule(flow, scheme, t0, z0, iteration.rule.init(flow, scheme, t0, z0))
    scheme.check_start(flow, t0, z0, jnp.asarray(h, dtype))


@once_per_shape
def _check_step(iteration: Iteration, z0: State) -> None:
    """Tries one abstract step, so that a question without an answer is told before anything runs."""
    try:
        jax.eval_shape(lambda z: iteration.one(iteration.start(z)), z0)
    except UnansweredQuestionError as error:
        raise with_schemes_that_fit(error, iteration.flow, iteration.scheme, z0) from None
