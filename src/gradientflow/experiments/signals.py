"""How the command line ends when it is told to."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

from gradientflow import _files

# Set once signals are heard.
_heard = threading.Event()
# Set while the first SIGINT is an exception, of which what is done comes back; and what is said then.
_returning = threading.Event()
# Set when the thread that listens has heard of it.
_told = threading.Event()
_FINISHED_FIRST = "gradientflow: interrupted; what is at work is finished first, once more ends it\n"
_said = [_FINISHED_FIRST]


def end_at_signals() -> None:
    """Lets SIGINT and SIGTERM end the process at once, with one line, whatever library is at work.

    Python's own exception is swallowed where it falls into a callback, and waits until a compilation is over. So the
    signal is read from a pipe in a thread of its own.
    """
    if threading.current_thread() is not threading.main_thread() or _heard.is_set():
        return
    _heard.set()
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signals = {int(signal.SIGINT): "interrupted", int(signal.SIGTERM): "terminated"}

    def wait() -> None:
        while (number := os.read(reading, 1)[0]) == signal.SIGINT and _returning.is_set():
            _returning.clear()
            os.write(2, _said[0].encode())
            _told.set()
        _files.abandon()
        os.write(2, f"gradientflow: {signals[number]}\n".encode())
        os._exit(128 + number)

    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in signals:
        signal.signal(number, lambda *_: None)
    threading.Thread(target=wait, daemon=True).start()


@contextlib.contextmanager
def first_interrupt_raises(says: str = _FINISHED_FIRST) -> Iterator[None]:
    """Lets the first SIGINT be Python's own exception, for work that comes in pieces; a second one ends the process.

    Args:
        says: what is written to standard error at the first one.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    interrupted = False

    def interrupt(*_: Any) -> None:
        nonlocal interrupted
        interrupted = True
        raise KeyboardInterrupt

    _said[0] = says
    _told.clear()
    _returning.set()
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        # The listening thread may come to it later than this one, and would take it for a signal to end at once.
        if interrupted and _heard.is_set():
            _told.wait(1)
        _returning.clear()
        signal.signal(signal.SIGINT, before)
