"""How the command line ends when it is told to."""

import os
import signal
import threading

from gradientflow import _files


def end_at_signals() -> None:
    """Lets SIGINT and SIGTERM end the process at once, with one line, whatever library is at work.

    Python's own exception is swallowed where it falls into a callback, and waits until a compilation is over. So the
    signal is read from a pipe in a thread of its own.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signals = {int(signal.SIGINT): "interrupted", int(signal.SIGTERM): "terminated"}

    def wait() -> None:
        number = os.read(reading, 1)[0]
        _files.abandon()
        os.write(2, f"gradientflow: {signals[number]}\n".encode())
        os._exit(128 + number)

    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in signals:
        signal.signal(number, lambda *_: None)
    threading.Thread(target=wait, daemon=True).start()
