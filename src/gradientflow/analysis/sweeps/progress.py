"""How far a sweep is: a line with the time left, where there is a terminal to show it."""

import contextlib
import contextvars
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

# Whether nobody is to be told.
_SILENT = contextvars.ContextVar("silent", default=False)


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """No such line within."""
    token = _SILENT.set(True)
    try:
        yield
    finally:
        _SILENT.reset(token)


@contextlib.contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A line on the terminal's error output that tells how many of a total are done; nothing where there is none.

    Args:
        what: what is counted.
        total: how many there are.
    """
    console = Console(stderr=True)
    if _SILENT.get() or not console.is_terminal:
        yield lambda count: None
        return
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True) as shown:
        task = shown.add_task(what, total=total)
        yield lambda count: shown.update(task, advance=count)
