"""What an experiment's file or command line says, checked before anything numerical is imported."""

import math
import os
import pathlib
import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from gradientflow._formula import parse, variables_of
from gradientflow._names import unknown_name

from .named import parse_method
from .vocabulary import PRECISIONS, QUESTIONS, landscapes, models, solvers

FILE = re.compile(r"(?P<file>.+\.py):(?P<function>\w+)")
_LARGEST_EXPERIMENT = 1_000_000
_DEFAULTS: Mapping[str, Any] = {
    "question": "compare", "energy": "", "data": "", "target": "", "model": "linear", "ridge": 0.0, "x0": (),
    "methods": (), "t1": None, "solver": "", "precision": "float64", "seed": 0, "sep": ",", "decimal": ".",
}  # fmt: skip


def check(entries: Mapping[str, Any], folder: str | os.PathLike[str] = "") -> None:
    """Refuses what is wrong by itself: unknown names, numbers that can't be meant, options without their partner.

    Args:
        entries: an experiment's fields by name; those left out have their defaults.
        folder: where relative files are looked for.

    Raises:
        ValueError: naming the field, what it got and the remedy.
    """
    given = dict(_DEFAULTS) | dict(entries)
    _one_of("question", "question", given["question"], QUESTIONS)
    if given["precision"] not in PRECISIONS:
        raise ValueError(f"precision: must be float64 or float32, got {given['precision']!r}")
    if given["solver"]:
        _one_of("solver", "solver", given["solver"].lower(), solvers())
    _one_of("model", "model", given["model"], models())
    for name, value in (("ridge", given["ridge"]), ("t1", given["t1"]), *(("x0", x) for x in given["x0"])):
        if value is not None and not math.isfinite(value):
            raise ValueError(f"{name}: `{name}` must be finite, got {value}")
    if given["t1"] is not None and given["t1"] <= 0:
        raise ValueError(f"t1: `t1` must be finite and positive, got {given['t1']}")
    if not -(2**63) <= given["seed"] < 2**63:
        raise ValueError(f"seed: must be an integer of 64 bits, got {given['seed']}")
    for spec in given["methods"]:
        parse_method(spec)
    if given["data"]:
        _check_data(given, folder)
    else:
        for name in ("target", "model", "ridge", "sep", "decimal"):
            if given[name] != _DEFAULTS[name]:
                raise ValueError(f"{name}: {given[name]!r} goes with a table; give it as data, --data FILE.csv")
        _check_energy(given["energy"], bool(given["x0"]), folder)


def read_experiment(text: str) -> dict[str, Any]:
    """The entries of an experiment file, with the types of an `Experiment`'s fields.

    Raises:
        ValueError: if it isn't TOML, or has an unknown key or a value of the wrong type; if it is a sweep's.
    """
    entries, table = read_with_sweep(text)
    if table is not None:
        raise ValueError("experiment: the file has a table [sweep]; run it by `gradientflow sweep`")
    return entries


def read_with_sweep(text: str) -> tuple[dict[str, Any], Any]:
    """The same, and its table `[sweep]`, unchecked; `None` where there is none.

    Raises:
        ValueError: if it isn't TOML, or has an unknown key or a value of the wrong type.
    """
    try:
        entries = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"experiment: not valid TOML: {error}") from None
    table = entries.pop("sweep", None)
    for name in entries:
        if name not in _DEFAULTS:
            raise ValueError(f"experiment: {unknown_name('key', name, [*_DEFAULTS, 'sweep'])}")
    return {name: _typed(name, value) for name, value in entries.items()}, table


def read_experiment_file(file: str) -> str:
    """The text of an experiment file.

    Raises:
        ValueError: if it can't be read, or is too long to be one.
    """
    try:
        with open(file, encoding="utf-8") as stream:
            text = stream.read(_LARGEST_EXPERIMENT + 1)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ValueError(f"experiment: {file!r} can't be read: {reason}") from None
    if len(text) > _LARGEST_EXPERIMENT:
        raise ValueError(f"experiment: {file!r} is too long to be an experiment's file")
    return text


def check_code(entries: Mapping[str, Any], folder: str | os.PathLike[str], allowed: bool) -> None:
    """Refuses to run a Python file for an experiment file that it doesn't lie beside, unless that is allowed.

    Raises:
        ValueError: naming the file, and the remedy.
    """
    found = FILE.fullmatch(entries.get("energy", ""))
    if not found or allowed:
        return
    file = pathlib.Path(folder, found["file"]).resolve()
    if file.parent != pathlib.Path(folder).resolve():
        raise ValueError(
            f"energy: the experiment runs the Python file {str(file)!r}, which does not lie beside it; give "
            "--allow-code if you trust it"
        )


def _check_data(given: Mapping[str, Any], folder: str | os.PathLike[str]) -> None:
    if given["energy"]:
        raise ValueError("energy: give either `energy` or `data`, not both")
    if not given["target"]:
        raise ValueError("target: name the column of the data that is to be fitted")
    if not os.path.exists(os.path.join(folder, given["data"])):
        raise ValueError(f"data: {given['data']!r} can't be read: No such file or directory")


def _check_energy(energy: str, started: bool, folder: str | os.PathLike[str]) -> None:
    if not energy or energy in landscapes():
        return
    if found := FILE.fullmatch(energy):
        if not os.path.isfile(os.path.join(folder, found["file"])):
            raise ValueError(f"energy: there is no file {found['file']!r}")
        if not started:
            raise ValueError("x0: a function from a file does not say its dimension; give the start, --x0 1,2 say")
    elif energy.isidentifier() and len(energy) > 2:
        raise ValueError(f"energy: {unknown_name('landscape', energy, landscapes())}")
    elif not variables_of(parse(energy)):
        raise ValueError(f"expression: no variable in {energy!r}; an energy is a function of x, y, …")


def _one_of(field: str, what: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        raise ValueError(f"{field}: {unknown_name(what, name, known)}")


_WRITTEN = {
    "ridge": "a number",
    "t1": "a number",
    "seed": "an integer",
    "x0": "a list of numbers, x0 = [-1.2, 1] say",
    "methods": 'a list of texts, methods = ["adam:0.01", "momentum:0.01:0.9"] say',
}


def _typed(name: str, value: Any) -> Any:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if name in ("ridge", "t1") and number:
        return float(value)
    if name == "seed" and isinstance(value, int) and not isinstance(value, bool):
        return value
    if name == "x0" and isinstance(value, list) and all(isinstance(item, (int, float)) for item in value):
        return tuple(float(item) for item in value)
    if name == "methods" and isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    if name not in ("ridge", "t1", "seed", "x0", "methods") and isinstance(value, str):
        return value
    raise ValueError(f"experiment: `{name}` must be {_WRITTEN.get(name, 'text, in quotes')}, got {value!r}")
