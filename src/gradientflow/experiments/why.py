"""`gradientflow why`: a training run given by a Python function, or its log, asked for what went wrong."""

import importlib.util
import inspect
import os
import sys
from typing import Any

from gradientflow._names import unknown_name

from .entries import FILE

# What the function answers, in order, and what else it may say by name.
_PARTS = ("loss", "params", "optimizer", "batches")
_LOGS = (".csv", ".tsv", ".jsonl")
_MORE = ("steps", "state", "first", "key", "has_aux")


def check_target(target: str, loss: str = "") -> None:
    """Refuses what is neither a function in a Python file nor a log, before anything numerical is imported.

    `loss` is a log's column, and a function has none.

    Raises:
        ValueError: naming it, and what was meant.
    """
    found = FILE.fullmatch(target)
    file = found["file"] if found else target
    if not found and not target.endswith(_LOGS):
        raise ValueError(f"why: give FILE.py:FUNCTION, or a log FILE.csv, .tsv or .jsonl, got {target!r}")
    if not os.path.isfile(file):
        raise ValueError(f"why: there is no file {file!r}")
    if found and loss:
        raise ValueError(f"why: --loss names a log's column, and {target!r} is a function, which answers its loss")


def ask(target: str, steps: int, loss: str = "") -> Any:
    """The diagnosis of a run, or the reading of a log.

    Raises:
        ValueError: naming what is wrong with the file, the function or its answer.
    """
    found = FILE.fullmatch(target)
    if not found:
        from gradientflow.analysis.diagnosis.log import read_off
        from gradientflow.analysis.diagnosis.log_file import read_log

        return read_off(read_log(target, loss))
    from gradientflow.analysis.diagnosis import why

    parts = _parts(found["file"], found["function"])
    if steps:
        parts["steps"] = steps
    return why(**parts)


def _parts(file: str, name: str) -> dict[str, Any]:
    spec = importlib.util.spec_from_file_location("gradientflow_user_run", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # What lies beside the file is imported as if it were run.
    sys.path.insert(0, os.path.dirname(os.path.abspath(file)))
    try:
        spec.loader.exec_module(module)
        functions = [key for key, value in vars(module).items() if inspect.isfunction(value) and key[0] != "_"]
        if name not in functions:
            raise ValueError(f"why: {file!r}: {unknown_name('function', name, functions)}")
        answer = getattr(module, name)()
    except ValueError:
        raise
    except Exception as error:
        raise ValueError(f"why: {file!r} can't be run: {type(error).__name__}: {error}") from error
    if isinstance(answer, dict):
        unknown = [key for key in answer if key not in (*_PARTS, *_MORE)]
        if unknown:
            raise ValueError(f"why: {name}() answers an entry {unknown[0]!r}; it may be {', '.join((*_PARTS, *_MORE))}")
        missing = [key for key in _PARTS[:3] if key not in answer]
        if missing:
            raise ValueError(f"why: {name}() must answer loss, params and optimizer; {missing[0]} is missing")
        return dict(answer)
    if isinstance(answer, tuple) and len(answer) in (3, 4):
        return dict(zip(_PARTS, answer, strict=False))
    raise ValueError(f"why: {name}() must answer (loss, params, optimizer, batches), or a dict of these, got "
                     f"{type(answer).__name__}")  # fmt: skip
