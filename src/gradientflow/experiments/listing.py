"""What there is, by name and equation: the tables of the command line and of the documentation, from the code."""

import inspect
from collections.abc import Mapping
from typing import Any

import gradientflow
from gradientflow._names import unknown_name
from gradientflow.discretizers import (
    DeterministicOracle,
    Discretizer,
    Method,
    RandomOracle,
    StepRule,
    optimizers,
    schedules,
)
from gradientflow.flows import Flow, constraints, landscapes, penalties, potentials

from .named import METHODS

Table = Mapping[str, str]


def listing(only: str = "") -> dict[str, Table]:
    """Tables by title: names and what they stand for.

    Args:
        only: the title of the one table that is wanted.

    Raises:
        ValueError: if there is no table of that title.
    """
    exported = [getattr(gradientflow, name) for name in dir(gradientflow)]
    makers = {name: make for name, make in vars(optimizers).items() if inspect.isfunction(make)}
    tables = {
        "energies": {name: landscapes.get(name).formula for name in landscapes.names()},
        "flows": _equations(exported, Flow),
        "schemes": _equations(exported, Discretizer),
        "optimizers": {name: _optimizer(make) for name, make in makers.items() if hasattr(make, "equation")},
        "step rules": _equations(exported, StepRule),
        "oracles": _equations(exported, DeterministicOracle) | _equations(exported, RandomOracle),
        "schedules": _first_lines(_public(schedules)),
        "potentials of mirror flows": _first_lines(_public(potentials)),
        "penalties of composite energies": _first_lines(_public(penalties)),
        "constraints of projected flows": _first_lines(_public(constraints)),
        "methods of the command line": {name: kind.summary for name, kind in METHODS.items()},
    }
    if only and only not in tables:
        raise ValueError(f"kind: {unknown_name('table', only, tables)}")
    return {title: table for title, table in tables.items() if only in ("", title)}


def as_markdown() -> str:
    """The tables as a page of the documentation."""
    lines = [
        "# What there is",
        "",
        "Printed by `gradientflow list --markdown` from the code; a test compares the two. Each name's docstring has",
        "the whole equation, its units, its source and an example.",
    ]
    for title, table in listing().items():
        lines += ["", f"## {title.capitalize()}", "", "| name | |", "|---|---|"]
        lines += [f"| `{name}` | {text.replace('|', '&#124;')} |" for name, text in table.items()]
    return "\n".join(lines) + "\n"


def _final(exported: list[Any], base: type) -> list[type]:
    return [
        thing
        for thing in exported
        if inspect.isclass(thing) and issubclass(thing, base) and not inspect.isabstract(thing)
    ]


def _equations(exported: list[Any], base: type) -> dict[str, str]:
    return {cls.__name__: cls.equation for cls in _final(exported, base)}


def _public(module: Any) -> dict[str, Any]:
    """A module's own classes and functions that can be used as they are."""
    return {
        name: thing
        for name, thing in vars(module).items()
        if not name.startswith("_")
        and f"{getattr(thing, '__module__', '')}.".startswith(f"{module.__name__}.")
        and not inspect.isabstract(thing)
    }


def _first_lines(things: Mapping[str, Any]) -> Table:
    return {name: (inspect.getdoc(thing) or "").splitlines()[0] for name, thing in things.items()}


def _optimizer(make: Any) -> str:
    """Its update, and the flow and the scheme that it is."""
    if make.made_of:
        return f"{make.equation}: {make.made_of}"
    method: Method = make(landscapes.bowl(), **({"lr": 0.1} if "lr" in inspect.signature(make).parameters else {}))
    return f"{make.equation}: {method.name}"
