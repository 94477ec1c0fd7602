"""One question of many parameters, starts or seeds: how each lane ends."""

import itertools
import os
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from gradientflow.flows import Ended, check_integer, check_positive, looks_at_numbers, position_arrays, unknown_name

from .lanes import lanes_of
from .progress import progress
from .result import Sweep, sweep_of
from .store import Store, held
from .task import Task, check_room, task_of
from .work import chunks_of, ended_of

_RECORDED = ("energy", "grad_norm", "x")
# A stored sweep's first chunk is so much smaller than the others.
_FIRST = 8


@looks_at_numbers
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
    store: str | os.PathLike[str] | None = None,
    executor: Any = None,
    chunk: int | None = None,
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
        save_every: of a Method, every how many steps a row is kept.
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
        store: a folder to keep the sweep in, chunk by chunk: killed and called again, it goes on where it was.
        executor: any `concurrent.futures.Executor` to send chunks to; unless given they are run here.
        chunk: how many lanes a chunk has at most; by the memory that they take unless given.

    Returns:
        The ends, with `.to_xarray()`, `.table()` and `.plot()`.

    Raises:
        TypeError: if `make` is no such function, or `steps` and `t1` don't fit what it makes.
        ValueError: for names that it does not take, values that don't zip or are none, more than the memory holds; for
            a store that is another sweep's, or damaged.
        BlockingIOError: if another process is at work on the store.

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
    if chunk is not None:
        check_integer("sweep", 1, chunk=chunk)
    at_once = task.lanes_at_once() if chunk is None else int(chunk)
    chunks = chunks_of(len(lanes), at_once, None if store is None else max(1, at_once // _FIRST))
    with held(store, task, chunks) as kept:
        return sweep_of(lanes, *_all(task, chunks, executor, kept))


def _all(task: Task, chunks: list[tuple[int, int]], executor: Any, store: Store | None) -> tuple[Ended, bool, int]:
    """The ends of all lanes, put where they belong chunk by chunk."""
    count, whole, done = len(task.lanes), None, 0
    there = {number: chunk for number, chunk in enumerate(chunks) if store is not None and store.has(number)}
    todo = {number: chunk for number, chunk in enumerate(chunks) if number not in there}
    with progress("lanes", count) as tell:
        try:
            for number, ended in itertools.chain(_read(there, store), ended_of(task, todo, executor)):
                if store is not None and number in todo:
                    store.write(number, ended)
                    ended = store.read(number)
                start, stop = chunks[number]
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


def _read(there: dict[int, tuple[int, int]], store: Store | None) -> Iterator[tuple[int, Ended]]:
    for number in there:
        assert store is not None
        yield number, store.read(number)


def _room(ended: Ended, count: int) -> Ended:
    """For all lanes, none of which was run yet."""

    def empty(leaf: Any) -> Any:
        return np.full((count, *leaf.shape[1:]), np.nan if leaf.dtype.kind == "f" else -1, leaf.dtype)

    return jax.tree.map(empty, ended)
