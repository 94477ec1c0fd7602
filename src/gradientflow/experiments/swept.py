"""What the `[sweep]` table of an experiment file says, checked before anything numerical is imported."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from gradientflow._names import unknown_name

from .named import METHODS, parse_method

# What the table may name, and what of an experiment does not go with it.
_KEYS = ("over", "steps", "zipped", "record", "save_every", "gtol", "chunk")
_NOT_WITH = ("question", "t1", "solver")
_RANGE = ("from", "to", "count", "scale")
_SCALES = ("linear", "log")
_RECORDED = ("energy", "grad_norm", "x")
_MOST = 10**9
# The number that stands after a method's name: `lr` and `step` are two words for it.
STEP = ("lr", "step")


class Range(NamedTuple):
    """So many values from one end to another, both included.

    Attributes:
        first: the first one; of starts, a corner.
        last: the last one; of starts, the opposite corner.
        count: how many; of starts, how many along each side.
        log: whether it is their ratio that is the same, and not their difference.
    """

    first: Any
    last: Any
    count: Any
    log: bool


class Swept(NamedTuple):
    """A sweep as a file describes it.

    Attributes:
        method: the method's name.
        fixed: what is the same in all lanes: its step and its parameter, as far as they are given.
        over: values by name: a list, or a `Range`.
        options: further ones of `gradientflow.sweep`.
    """

    method: str
    fixed: dict[str, float]
    over: dict[str, Any]
    options: dict[str, Any]


def read_swept(entries: Mapping[str, Any], table: Any) -> Swept:
    """What is swept.

    Args:
        entries: the experiment's other entries.
        table: its `[sweep]`.

    Raises:
        ValueError: naming the key, what it got, and the remedy.
    """
    if not isinstance(table, dict):
        raise ValueError(f"sweep: must be a table, [sweep] and what follows, got {table!r}")
    for name in table:
        if name not in _KEYS:
            raise ValueError(f"sweep: {unknown_name('key', name, _KEYS)}")
    for name in _NOT_WITH:
        if name in entries:
            raise ValueError(f"{name}: a sweep takes `steps` of one method; leave `{name}` out")
    method, fixed = _method(entries.get("methods", ()))
    over = _over(method, fixed, table.get("over"))
    if "steps" not in table:
        raise ValueError("sweep.steps: say how many steps each run takes: steps = 1000")
    options: dict[str, Any] = {
        name: _whole(f"sweep.{name}", table[name]) for name in ("steps", "save_every", "chunk") if name in table
    }
    if "gtol" in table:
        options["gtol"] = _number("sweep.gtol", table["gtol"])
    if "record" in table:
        options["record"] = _words("record", table["record"], "row", _RECORDED)
    if "zipped" in table:
        zipped = table["zipped"]
        options["zipped"] = zipped if isinstance(zipped, bool) else _words("zipped", zipped, "name", tuple(over))
    return Swept(method, fixed, over, options)


def _method(specs: Any) -> tuple[str, dict[str, float]]:
    if len(specs) != 1:
        raise ValueError(f'methods: a sweep is of one method, methods = ["momentum"] say, got {len(specs) or "none"}')
    name, step, parameter = parse_method(specs[0])
    given = {"step": step, METHODS[name].parameter: parameter}
    return name, {key: value for key, value in given.items() if value is not None}


def _over(method: str, fixed: dict[str, float], table: Any) -> dict[str, Any]:
    if not isinstance(table, dict) or not table:
        raise ValueError(f"sweep.over: name what is swept, over = {{ lr = [0.01, 0.1] }} say, got {table!r}")
    parameter = METHODS[method].parameter
    known = [*STEP, *([parameter] if parameter else []), "x0", "seed"]
    for name in table:
        if name not in known:
            raise ValueError(f"sweep.over: {unknown_name(f'parameter of {method}', name, known)}")
    steps = [name for name in STEP if name in table]
    if len(steps) > 1:
        raise ValueError("sweep.over: `lr` and `step` are two words for one number; leave one out")
    if not steps and "step" not in fixed:
        raise ValueError(f"sweep.over: {method} has no step; sweep `lr`, or write it after the name, {method}:0.01 say")
    for name in table:
        at = "step" if name in STEP else name
        if at in fixed:
            raise ValueError(f"sweep.over.{name}: is swept, and {fixed[at]:g} stands after the method's name; leave "
                             "one out")  # fmt: skip
    read = {"x0": _starts, "seed": _seeds}
    return {name: read.get(name, _values)(f"sweep.over.{name}", given) for name, given in table.items()}


def _values(where: str, given: Any) -> Any:
    if isinstance(given, dict):
        first, last, count, log = _range(where, given)
        first, last = _number(f"{where}.from", first), _number(f"{where}.to", last)
        if log and not (first > 0 and last > 0):
            wrong = "from" if first <= 0 else "to"
            raise ValueError(f"{where}.{wrong}: a logarithmic scale has positive ends, got {given[wrong]}")
        return Range(first, last, _whole(f"{where}.count", count), log)
    if not isinstance(given, list) or not given:
        either = '[0.1, 0.2], or { from = 1e-3, to = 1, count = 200, scale = "log" }'
        raise ValueError(f"{where}: must be numbers {either}, got {given!r}")
    return [_number(f"{where}[{i}]", value) for i, value in enumerate(given)]


def _starts(where: str, given: Any) -> Any:
    if isinstance(given, dict):
        first, last, count, log = _range(where, given)
        if log:
            raise ValueError(f"{where}.scale: starts are on a linear scale; leave it out")
        first, last = _point(f"{where}.from", first), _point(f"{where}.to", last)
        counts = count if isinstance(count, list) else [count] * len(first)
        if not len(first) == len(last) == len(counts):
            told = f"{len(first)}, {len(last)} and {len(counts)}"
            raise ValueError(f"{where}: `from`, `to` and `count` must have equally many entries, got {told}")
        sides = [_whole(f"{where}.count", side) for side in counts]
        if math.prod(sides) > _MOST:
            raise ValueError(f"{where}.count: {math.prod(sides):,} starts are more than the {_MOST:,} that may be")
        return Range(first, last, sides, False)
    if not isinstance(given, list) or not given:
        either = "[[1.0, 2.0], [3.0, 4.0]], or { from = [-2, -2], to = [2, 2], count = [40, 40] }"
        raise ValueError(f"{where}: must be starts {either}, got {given!r}")
    points = [_point(f"{where}[{i}]", point) for i, point in enumerate(given)]
    if len(set(map(len, points))) > 1:
        raise ValueError(f"{where}: all starts must have as many entries as the first, {len(points[0])}")
    return points


def _seeds(where: str, given: Any) -> Any:
    if isinstance(given, dict) and set(given) == {"count"}:
        return list(range(_whole(f"{where}.count", given["count"])))
    if not isinstance(given, list) or not given or not all(type(seed) is int for seed in given):
        raise ValueError(f"{where}: must be whole numbers [0, 1, 2], or {{ count = 100 }}, got {given!r}")
    return given


def _range(where: str, given: Mapping[str, Any]) -> tuple[Any, Any, Any, bool]:
    for name in given:
        if name not in _RANGE:
            raise ValueError(f"{where}: {unknown_name('key', name, _RANGE)}")
    for name in _RANGE[:3]:
        if name not in given:
            raise ValueError(f"{where}: a range has `from`, `to` and `count`; `{name}` is missing")
    scale = given.get("scale", "linear")
    if scale not in _SCALES:
        raise ValueError(f"{where}.scale: {unknown_name('scale', str(scale), _SCALES)}")
    return given["from"], given["to"], given["count"], scale == "log"


def _point(where: str, given: Any) -> list[float]:
    if not isinstance(given, list) or not given:
        raise ValueError(f"{where}: must be a start's entries, [1.0, 2.0] say, got {given!r}")
    return [_number(where, entry) for entry in given]


def _number(where: str, given: Any) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not math.isfinite(given):
        raise ValueError(f"{where}: must be a finite number, got {given!r}")
    return float(given)


def _whole(where: str, given: Any) -> int:
    if type(given) is not int or not 1 <= given <= _MOST:
        raise ValueError(f"{where}: must be a whole number from 1 to {_MOST:,}, got {given!r}")
    return given


def _words(key: str, given: Any, what: str, known: tuple[str, ...]) -> tuple[str, ...]:
    words = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, list) else None
    if words is None:
        raise ValueError(f'sweep.{key}: must be words, ["{known[0]}"] say, got {given!r}')
    for word in words:
        if word not in known:
            raise ValueError(f"sweep.{key}: {unknown_name(what, str(word), known)}")
    return words
