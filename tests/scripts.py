"""Scripts as a user runs them, each in a process of its own; all are forked from one that has the imports behind it.

Or in this process, where what they share is compiled once.
"""

import contextlib
import io
import multiprocessing
import os
import runpy
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple
from unittest import mock

FORKS = multiprocessing.get_context("forkserver")
# Importing takes longer than most scripts do. What is imported here starts no thread and no backend of JAX.
IMPORTED = ["gradientflow.analysis", "matplotlib.pyplot", "optax", "scipy.stats", "sklearn.linear_model"]
FORKS.set_forkserver_preload(IMPORTED)


class Done(NamedTuple):
    """How a script ended, and what it said."""

    returncode: int
    stdout: str
    stderr: str


def run(file, folder, environment=None):
    """Runs a script.

    Args:
        file: its path.
        folder: the folder it runs in.
        environment: variables that it finds changed; `None` is one that it does not find.
    """
    with tempfile.TemporaryDirectory() as said:
        outputs = [Path(said, "stdout"), Path(said, "stderr")]
        process = FORKS.Process(target=_script, args=(str(file), str(folder), environment or {}, outputs))
        process.start()
        process.join()
        return Done(process.exitcode, *(output.read_text() for output in outputs))


def _script(file, folder, environment, outputs):
    for stream, output in zip((1, 2), outputs, strict=True):
        os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT), stream)
    for name, value in environment.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
    os.chdir(folder)
    sys.argv, sys.path[0] = [file], str(Path(file).parent)
    runpy.run_path(file, run_name="__main__")


def run_here(file, folder, environment=None):
    """Runs a script in this process, with names, arguments and modules of its own; what it raises is raised.

    Args:
        file: its path.
        folder: the folder it runs in.
        environment: variables that it finds changed.
    """
    import jax
    import matplotlib
    import matplotlib.pyplot as plt

    said, beside = io.StringIO(), str(Path(file).parent)
    double = jax.config.read("jax_enable_x64")
    with (
        mock.patch.dict(os.environ, environment or {}),
        mock.patch.object(sys, "argv", [str(file)]),
        mock.patch.object(sys, "path", [beside, *sys.path]),
        matplotlib.rc_context(),
        contextlib.chdir(folder),
        contextlib.redirect_stdout(said),
    ):
        try:
            runpy.run_path(str(file), run_name="__main__")
        finally:
            plt.close("all")
            # What lies beside a script is no library: the next one reads it anew.
            for name, module in list(sys.modules.items()):
                if Path(getattr(module, "__file__", None) or "").parent == Path(beside):
                    del sys.modules[name]
    assert jax.config.read("jax_enable_x64") == double
    return Done(0, said.getvalue(), "")
