"""A sweep's chunks through whoever does the work: this process, or an executor's."""

import contextlib
import itertools
import pickle
import socket
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from typing import Any, NamedTuple

import jax

from gradientflow.flows import Ended

from .task import Task

# Chunks handed out at once, so that an interrupted sweep leaves few behind.
_OUT = 64
# Jobs that can only be asked whether they are done are asked so often [s].
_ASKED_EVERY = 0.2


def chunks_of(count: int, at_once: int, first: int | None = None) -> list[tuple[int, int]]:
    """Chunks of about one size, no larger than what goes side by side: first lanes and ends.

    Args:
        count: how many lanes there are.
        at_once: how many go side by side.
        first: a size for the first chunk, so that a sweep that is killed early still gets ahead.
    """
    start = 0 if first is None else min(first, count)
    parts = -(-(count - start) // at_once)
    bounds = [start + (count - start) * part // parts for part in range(parts + 1)] if parts else [start]
    head = [(0, start)] if start else []
    return head + list(itertools.pairwise(bounds))


def ended_of(task: Task, chunks: dict[int, tuple[int, int]], executor: Any) -> Iterator[tuple[int, Ended]]:
    """Chunks by number as they are done.

    Raises:
        TypeError: if what is to be sent to an executor's processes can't be.
    """
    if executor is None:
        for number, chunk in chunks.items():
            yield number, task.run(*chunk)
        return
    if not isinstance(executor, Executor) and not hasattr(executor, "submit"):
        raise TypeError(f"sweep: `executor` must be a concurrent.futures.Executor, got {type(executor).__name__}")
    waiting = list(chunks.items())
    running: dict[Any, int] = {}
    here = Versions.here()
    try:
        while waiting or running:
            while waiting and len(running) < _OUT:
                number, chunk = waiting.pop(0)
                running[executor.submit(work, task, here, *chunk)] = number
            for future in _first_done(list(running)):
                yield running.pop(future), _result(future)
    finally:
        for future in running:
            # A queue that is gone must not take along what is done.
            with contextlib.suppress(Exception):
                future.cancel()


class Versions(NamedTuple):
    """What all who work on a sweep must have alike, for their bytes to be the same."""

    gradientflow: str
    jax: str
    double: bool

    @classmethod
    def here(cls) -> "Versions":
        """Those of this process."""
        from gradientflow import __version__

        return cls(__version__, jax.__version__, bool(jax.config.read("jax_enable_x64")))


def work(task: Task, asked: Versions, start: int, stop: int) -> Ended:
    """A chunk in a process of its own, in the precision of the one that sent it.

    Raises:
        ValueError: if the versions are others there.
    """
    with contextlib.suppress(RuntimeError):
        jax.config.update("jax_enable_x64", asked.double)
    if (found := Versions.here()) != asked:
        names = [name for name, a, b in zip(asked._fields, asked, found, strict=True) if a != b]
        told = " and ".join(f"{name} {getattr(found, name)}, not {getattr(asked, name)}" for name in names)
        raise ValueError(f"sweep: a worker on {socket.gethostname()} has {told}: all must have what asks them")
    return jax.device_get(task.run(start, stop))


def _first_done(running: list[Any]) -> list[Any]:
    """Those that are done, once one is. Jobs of a queue are no futures that wake who waits for them."""
    if all(isinstance(future, Future) for future in running):
        return list(wait(running, return_when=FIRST_COMPLETED).done)
    while not (done := [job for job in running if job.done()]):
        time.sleep(_ASKED_EVERY)
    return done


def _result(future: Any) -> Ended:
    try:
        return future.result()
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        if "pickle" not in str(error) and "local object" not in str(error):
            raise
        raise TypeError(
            "sweep: what goes to other processes must be found there by name; define `make` at the top of a module, "
            "with the energies that it reads"
        ) from None
