"""What a sweep has to do, in chunks of lanes: a thing that can be sent to another process."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from gradientflow.discretizers import Iteration, Method, iteration_of, lanes_at_once, prepared, run_batch
from gradientflow.flows import (
    Ended,
    Flow,
    Limits,
    begin,
    dtype_of,
    is_stochastic,
    kind_of,
    limits_of,
    machine_memory,
    refuse_kinks,
    replaced,
    size,
    solve_batch,
    users_line,
)

from .identity import Same
from .lanes import Lanes

# Solves that go side by side: more gain nothing.
_SOLVES = 2**14
# Runs that go side by side: so many that a step of all costs more than to begin it.
_RUNS = 2**15


@dataclasses.dataclass(frozen=True)
class Making:
    """How a lane's Method or Flow is made: equal ones stand for the same program.

    Attributes:
        make: the function, without its arrays where it is a module: all lanes share them, and another's are no other
            program.
        fixed: what every lane of a group has: names and values.
    """

    make: Same
    fixed: tuple[tuple[str, Same], ...]

    def made(self, shared: Any, lane: Any) -> Any:
        """The lane's Method or Flow."""
        make = eqx.combine(shared["make"], self.make.thing)
        try:
            return make(**lane["parameters"], **{name: value.thing for name, value in self.fixed})
        except jax.errors.JAXTypeError as error:
            names = ", ".join(lane["parameters"])
            raise TypeError(
                f"sweep: make asks for the value of a parameter ({names}), which all lanes share a program for"
                f"{users_line(error)}; write jnp.where for `if`, and sweep what shapes the program as no number: "
                "over={'scheme': [gf.ForwardEuler(), …]}"
            ) from None

    def start(self, shared: Any, lane: Any) -> Any:
        """The lane's first position."""
        return lane["x0"] if "x0" in lane else shared["x0"]


class Runs(Making):
    """How lanes of a Method are made."""

    def __call__(self, shared: Any, lane: Any) -> tuple[Iteration, Any, Any]:
        """The lane's iteration, its first state and the time there."""
        method = self.made(shared, lane)
        key = jax.random.wrap_key_data(lane["key"]) if "key" in lane else shared["key"]
        given = {"step": method.step, "oracle": shared["oracle"], "key": key, "t0": shared["t0"]}
        return iteration_of("sweep", method.flow, method.discretizer, self.start(shared, lane), **given)


class Solves(Making):
    """How lanes of a Flow are made."""

    def __call__(self, shared: Any, lane: Any) -> tuple[Flow, Any]:
        """The lane's flow and its first state."""
        return begin("sweep", self.made(shared, lane), self.start(shared, lane), None)


@dataclasses.dataclass(frozen=True)
class Task:
    """All that decides what a sweep finds.

    Attributes:
        make: from parameters to a Method or a Flow.
        lanes: the parameters.
        x0: the start that all lanes share, or `None`.
        key: the data of the key that they share, or `None`.
        oracle: what steps see of the flow.
        t0: the time of the start [T].
        steps: how many steps each takes, of a Method.
        gtol: an absolute criterion for rest [E/X].
        save_every: every how many steps there is a row.
        limits: of a Flow: to when, and how accurately.
        solver: the solver that was asked for.
        record: of which rows are kept.
    """

    make: Callable[..., Any]
    lanes: Lanes
    x0: Any
    key: Any
    oracle: Any
    t0: float
    steps: int | None
    gtol: Any
    save_every: int
    limits: Limits | None
    solver: Any
    record: tuple[str, ...]

    def run(self, start: int, stop: int) -> Ended:
        """How the lanes of a chunk end."""
        index = np.arange(start, stop)
        parts = list(self._groups(index))
        if len(parts) == 1:
            return self._ended(*parts[0][1:])
        found = [(places, self._ended(making, lanes)) for places, making, lanes in parts]
        whole = jax.tree.map(lambda leaf: np.zeros((len(index), *leaf.shape[1:]), leaf.dtype), found[0][1])
        for places, ended in found:
            whole = replaced(whole, places, ended)
        return whole

    @property
    def rows(self) -> int:
        """How many rows are kept of a lane."""
        if not self.record:
            return 0
        if self.steps is not None:
            return self.steps // self.save_every + 2
        return 0 if self.limits is None or self.limits.ts is None else len(self.limits.ts)

    def lanes_at_once(self) -> int:
        """How many lanes to run side by side."""
        _, making, lanes = next(self._groups(np.arange(1)))
        if self.steps is None:
            kind = kind_of(
                making,
                self._shared(),
                jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), lanes),
            )
            return max(1, min(_SOLVES, 2**27 // (64 * size(kind.z0) * dtype_of(kind.z0).itemsize)))
        most = lanes_at_once(making, self._shared(), lanes, self.steps, bool(self.record), self.save_every)
        return min(most, _RUNS)

    def _ended(self, making: Any, lanes: Any) -> Ended:
        if self.steps is None:
            assert self.limits is not None
            return solve_batch(making, self._shared(), lanes, self.limits, self.solver, self.record)
        return run_batch(making, self._shared(), lanes, self.steps, self.gtol, self.record, self.save_every)

    def _shared(self) -> Any:
        shared = {"make": eqx.filter(self.make, eqx.is_array), "x0": self.x0}
        if self.steps is None:
            return shared
        key = None if self.key is None else jax.random.wrap_key_data(self.key)
        return shared | {"key": key, "oracle": self.oracle, "t0": self.t0}

    def _groups(self, index: np.ndarray) -> Iterator[tuple[np.ndarray, Any, Any]]:
        """Lanes that one program can take: places in the chunk, how they are made, what they are given.

        What is no number is the same in all lanes of a group; and so is a number that is 0, which may be another
        method: momentum without momentum has no velocity.
        """
        kind = Solves if self.steps is None else Runs
        columns, values = self.lanes.columns, self.lanes.at(index)
        code = np.zeros(len(index), dtype=int)
        for name, column in columns.items():
            if column.kind == "number":
                code = 2 * code + (values[name] == 0)
            elif column.kind == "thing":
                known: dict[int, int] = {}
                code = code * len(column) + np.array(
                    [known.setdefault(id(thing), len(known)) for thing in values[name]]
                )
        make = Same(eqx.filter(self.make, eqx.is_array, inverse=True))
        for group in np.unique(code):
            places = np.flatnonzero(code == group)
            fixed: list[tuple[str, Same]] = []
            lane: dict[str, Any] = {"parameters": {}}
            for name, column in columns.items():
                if column.kind == "thing":
                    fixed.append((name, Same(values[name][places[0]])))
                elif column.kind == "number" and values[name][places[0]] == 0:
                    fixed.append((name, Same(0.0)))
                elif column.kind in ("x0", "key"):
                    lane[column.kind] = jax.tree.map(lambda leaf, i=places: leaf[i], values[name])
                else:
                    lane["parameters"][name] = values[name][places]
            if not jax.tree.leaves(lane):
                # All are the same: a lane is one of its own by its place alone.
                lane["place"] = index[places]
            yield places, kind(make, tuple(fixed)), lane


def task_of(
    make: Any, lanes: Lanes, x0: Any, key: Any, oracle: Any, t0: Any, steps: Any, t1: Any, ts: Any, rtol: Any,
    atol: Any, gtol: Any, solver: Any, max_steps: int, save_every: int, record: tuple[str, ...],
) -> Task:  # fmt: skip
    """The task, once its first lane is tried and every parameter at its least and its greatest.

    Raises:
        TypeError: if `make` returns neither a Method nor a Flow, or is given `steps` with a Flow, `t1` with a Method.
        ValueError: as `make` does, or `iterate` and `integrate` do of a lane.
    """
    first = lanes.one(0)
    start, own_key = first.pop("x0", x0), first.pop("key", None)
    made = _made(make, first)
    for name, column in lanes.columns.items():
        if column.kind == "number":
            for value in {float(column.values.min()), float(column.values.max())} - {first[name]}:
                _made(make, {**first, name: value})
    if isinstance(made, Method):
        if steps is None:
            raise TypeError("sweep: a Method takes `steps`, how many: steps=1000")
        for name, value in {"t1": t1, "ts": ts, "rtol": rtol, "atol": atol, "solver": solver}.items():
            if value is not None:
                raise TypeError(f"sweep: make returns a Method, which takes `steps`; leave `{name}` out")
        given = jax.random.wrap_key_data(own_key) if own_key is not None else key
        prepared("sweep", made.flow, made.discretizer, start, step=made.step, t0=t0, oracle=oracle, key=given)
        data = None if key is None else np.asarray(key_data(key))
        return Task(make, lanes, x0, data, oracle, t0, int(steps), gtol, save_every, None, None, record)
    if t1 is None:
        raise TypeError("sweep: a Flow takes `t1`, the time at which it ends: t1=10.0, or math.inf to rest")
    for name, value in {"steps": steps, "oracle": oracle, "key": key if own_key is None else own_key}.items():
        if value is not None:
            raise TypeError(f"sweep: make returns a Flow, which takes `t1`; leave `{name}` out")
    if save_every != 1:
        raise TypeError("sweep: make returns a Flow, which takes `t1`; leave `save_every` out, and give `ts`")
    if record and ts is None:
        raise TypeError("sweep: of a Flow rows are kept at times that you name; give `ts` with `record`")
    flow, z0 = begin("sweep", made, start, None, t0)
    refuse_kinks("sweep", flow)
    if is_stochastic(flow, z0):
        raise TypeError(
            f"sweep: {flow.name} has noise; take steps of it: gf.Method({flow.name}(…), gf.EulerMaruyama(), step) "
            "with `steps` and `key`"
        )
    limits = limits_of("sweep", t0, t1, ts, rtol, atol, gtol, max_steps, dtype_of(z0))
    return Task(make, lanes, x0, None, None, limits.t0, None, gtol, 1, limits, solver, record)


def key_data(key: Any) -> Any:
    """The data of a key, of an old one too."""
    return jax.random.key_data(key) if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else key


def _made(make: Callable[..., Any], parameters: dict[str, Any]) -> Any:
    made = make(**parameters)
    if not isinstance(made, Method | Flow):
        raise TypeError(f"sweep: make must return a Method or a Flow, got {type(made).__name__}")
    return made


def check_room(task: Task) -> None:
    """Refuses a sweep whose results no memory holds.

    Raises:
        ValueError: with the estimate.
    """
    needed, room = estimate(task), machine_memory()
    if needed > room:
        raise ValueError(
            f"sweep: what is kept of {len(task.lanes):,} lanes takes {needed / 2**30:,.0f} GiB, and this machine has "
            f"{room / 2**30:,.0f}; sweep fewer values, or keep fewer rows: `record`, `save_every`, `ts`"
        )


def estimate(task: Task) -> float:
    """What the results of a sweep take, with one chunk of them being put there [bytes]."""
    start = task.lanes.one(0).get("x0", task.x0)
    entry, count = dtype_of(start).itemsize, size(start)
    row = {"x": count, "energy": 1, "grad_norm": 1}
    one = (count + 3) * entry + 4 * 8 + task.rows * (entry * sum(row[name] for name in task.record) + 16)
    return 1.0 * one * len(task.lanes)
