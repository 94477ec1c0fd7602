"""An optimizer's update along a run, with what it adapts held at every iterate looked at."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradientflow.discretizers import Discretizer, FromOptax, Iteration, Method, as_step_rule
from gradientflow.discretizers.iteration import Carry
from gradientflow.flows import Composite, Flow, Trajectory, compiled, dtype_of, lift, lower, prepare

from ..exact.leaf import NotExactError
from .held_step import HeldStep, HeldUpdate

# A run made again may be off by its rounding's so manieth power.
_AGAIN = 0.3


def held_along_run(method: Method | None, flow: Flow, discretizer: Discretizer, run: Trajectory, rows: Sequence[int],
                   unread: Exception | None) -> list[HeldStep]:  # fmt: skip
    """The update at some rows of a run.

    Args:
        method: the method, where it was asked about one.
        flow: its flow.
        discretizer: its scheme.
        run: its iterates.
        rows: the rows' numbers, increasing.
        unread: why the scheme can't be read exactly.

    Raises:
        NotExactError: if it can't be read as one update a gradient either.
        ValueError: if the run can't be made again, which the scheme's memory takes.
    """
    if method is None:
        raise NotExactError(f"{unread}; give the Method that made the run, whose own update can be read") from None
    carries = _carries(method, flow, discretizer, run, rows)
    if isinstance(discretizer, FromOptax):
        import optax

        optimizer: Any = optax.with_extra_args_support(discretizer.transformation)
        points = [carry.z for carry in carries]
        states = [carry.memory[0] for carry in carries]
    else:
        optimizer = method.to_optax()
        points = [flow.position(carry.z) for carry in carries]
        states = carries
    reader = HeldUpdate(optimizer, points[0])
    if reader.reason and unread is not None:
        raise NotExactError(f"{unread}; nor as one update: {reader.reason}") from None
    found = []
    for point, state in zip(points, states, strict=True):
        gradient = jax.tree.map(jnp.asarray, flow.energy.grad(lower(point)))
        step = reader.at(lift(gradient) if isinstance(discretizer, FromOptax) else gradient, state, point)
        found.append(step if step.inverse is None else HeldStep(lower(step.inverse), step.threshold, step.reason))
    return found


def _carries(method: Method, flow: Flow, discretizer: Discretizer, run: Trajectory,
             rows: Sequence[int]) -> list[Carry]:  # fmt: skip
    """What the rows' steps began from: from the run, or where there is more than it keeps, by a run again."""
    states = [jax.tree.map(lambda leaf, row=int(row): leaf[row], run.state) for row in rows]
    first = jax.tree.map(lambda leaf: leaf[0], run.state)
    ready, z = prepare("edge_of_stability", flow, None, first, float(run.t[0]))
    iteration = Iteration(ready, discretizer, as_step_rule(method.step))
    carry = iteration.start(z, run.t[0])
    if carry.memory is None and carry.rule_state is None:
        return [
            dataclasses.replace(carry, z=state, t=run.t[int(row)], k=run.steps[int(row)])
            for row, state in zip(rows, states, strict=True)
        ]
    found, at = [], 0
    for row, state in zip(rows, states, strict=True):
        until = int(run.steps[int(row)])
        carry, at = _many(iteration, carry, np.asarray(until - at)), until
        slack = float(jnp.finfo(dtype_of(z)).eps) ** _AGAIN
        for again, own in zip(jax.tree.leaves(carry.z), jax.tree.leaves(state), strict=True):
            if not np.allclose(again, own, rtol=slack, atol=slack * float(jnp.max(jnp.abs(own)))):
                if isinstance(flow.energy, Composite):
                    raise ValueError(
                        "edge_of_stability: of a sum the smooth part is read, along which a scheme that remembers, "
                        f"{discretizer.name}, goes another way; ask about one that doesn't, optimizers.fista say"
                    )
                raise ValueError(
                    f"edge_of_stability: the run can't be made again (at step {until} it is elsewhere), and "
                    f"{discretizer.name} has a memory that runs don't keep; give a run of this method from its own "
                    "start, without an oracle"
                )
        found.append(carry)
    return found


@compiled
def _many(iteration: Iteration, carry: Any, count: Any) -> Any:
    return iteration.many(carry, count)
