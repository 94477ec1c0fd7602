"""One question of many parameters, starts or seeds: how each lane ends."""

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from gradientflow.flows import Ended, check_integer, check_positive, position_arrays, unknown_name

from .lanes import lanes_of
from .progress import progress
from .result import Sweep, sweep_of
from .task import Task, check_room, task_of

_RECORDED = ("energy", "grad_norm", "x")


def sweep(
    make: Any,
    x0: Any = None,
    *,
    over: Any,
    steps: int | None = None,
    t1: Any = None,
    zipped: Any = (),
    record: Any = (),
    save_every: int = 1,
    key: Any = None,
    oracle: Any = None,
    t0: Any = 0.0,
    gtol: Any = None,
    ts: Any = None,
    rtol: Any = None,
    atol: Any = None,
    solver: Any = None,
    max_steps: int = 100_000,
) -> Sweep:
    """Runs of a method, or paths of a flow, for many parameters, starts or seeds: how each ends, and when that began.

    Lanes go side by side in one compiled program, in chunks of bounded memory; what has ended costs nothing more. Each
    lane's outcome, with its first bad step, is that of its own `iterate` or `integrate`. Where there is a terminal it
    shows how far it is; Ctrl-C returns what is done by then.

    Args:
        make: any function from parameters to a `Method` (then give `steps`) or a `Flow` (then give `t1`). The same
            function with other values, or one of the same code that reads the same, is not compiled again.
        x0: the start of all lanes; left out where `over` names it.
        over: values by name: arguments of `make`, `x0` (starts along a first axis) and `key` (seeds, or keys). All
            combinations are run. What is no number, a scheme or a word, is compiled for each of its values, and so is
            the number 0, which may be another method.
        steps: how many steps, of a Method.
        t1: the end [T], of a Flow; `math.inf`: to rest.
        zipped: names whose values go together, value by value: ("lr", "beta"), or `True` for all.
        record: what to keep of the way: "energy", "grad_norm", "x", or several; every `save_every` steps, or at `ts`.
        save_every: of a Method, every how many steps there is a row; outcomes are then seen in these rows.
        key: the key of all lanes, of what is random and not swept.
        oracle: as for `iterate`, in all lanes.
        t0: the time of the start [T].
        gtol: as for `iterate` and `integrate`.
        ts: of a Flow, the times at which to record.
        rtol: of a Flow, as for `integrate`; so are the following.
        atol: absolute tolerance [X].
        solver: a diffrax solver or the name of one. Unless given, lanes that stability would hold back have an
            implicit one.
        max_steps: how many steps to try in a lane.

    Returns:
        The ends, with `.to_xarray()`, `.table()` and `.plot()`.

    Raises:
        TypeError: if `make` is no such function, or `steps` and `t1` don't fit what it makes.
        ValueError: for names that it does not take, values that don't zip or are none, more than the memory holds.

    Example:
        >>> import gradientflow as gf
        >>> E = gf.landscapes.bowl()
        >>> make = lambda lr: gf.optimizers.gradient_descent(E, lr=lr)
        >>> s = gf.sweep(make, [3.0, 1.0], over={"lr": [0.01, 0.3]}, steps=50)
        >>> s.outcome.tolist()
        ['reached the end', 'diverged']
    """
    lanes = lanes_of(make, over, zipped)
    if x0 is None and "x0" not in over:
        raise TypeError("sweep: give `x0`, the start of all lanes, or name starts in `over`")
    check_integer("sweep", 1, save_every=save_every, **({} if steps is None else {"steps": steps}))
    if gtol is not None:
        check_positive("sweep", gtol=gtol)
    recorded = (record,) if isinstance(record, str) else tuple(record)
    for name in recorded:
        if name not in _RECORDED:
            raise ValueError(f"sweep: `record`: {unknown_name('row', str(name), _RECORDED)}")
    start = None if "x0" in over else jax.tree.map(np.asarray, position_arrays("sweep", "x0", x0))
    task = task_of(
        make, lanes, start, key, oracle, t0, steps, t1, ts, rtol, atol, gtol, solver, max_steps, save_every, recorded
    )
    check_room(task)
    return sweep_of(lanes, *_all(task))


def chunks_of(count: int, at_once: int) -> list[tuple[int, int]]:
    """Chunks of about one size, no larger than what goes side by side: first lanes and ends."""
    parts = -(-count // at_once)
    bounds = np.linspace(0, count, parts + 1).astype(int)
    return list(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True))


def _all(task: Task) -> tuple[Ended, bool, int]:
    """The ends of all lanes, put where they belong chunk by chunk."""
    count, whole, done = len(task.lanes), None, 0
    with progress("lanes", count) as tell:
        try:
            for start, stop, ended in _chunks(task):
                whole = _room(ended, count) if whole is None else whole
                for leaf, part in zip(jax.tree.leaves(whole), jax.tree.leaves(ended), strict=True):
                    leaf[start:stop] = part
                done += stop - start
                tell(stop - start)
        except KeyboardInterrupt:
            if whole is None:
                raise
    assert whole is not None
    return whole, task.steps is None, done


def _chunks(task: Task) -> Iterator[tuple[int, int, Ended]]:
    for start, stop in chunks_of(len(task.lanes), task.lanes_at_once()):
        yield start, stop, task.run(start, stop)


def _room(ended: Ended, count: int) -> Ended:
    """For all lanes, none of which was run yet."""
    if len(ended.energy) == count:
        return jax.tree.map(np.array, ended)

    def empty(leaf: Any) -> Any:
        return np.full((count, *leaf.shape[1:]), np.nan if leaf.dtype.kind == "f" else -1, leaf.dtype)

    return jax.tree.map(empty, ended)
