"""What was meant by a name that the front door doesn't have. It is looked up by reading files, not by running them."""

import ast
import difflib
import pathlib
from collections.abc import Iterable, Mapping

_HERE = pathlib.Path(__file__).parent
# The rooms whose functions people look for at the front door.
_ROOMS = {
    "optimizers": "discretizers/optimizers/__init__.py",
    "solvers": "flows/solvers/__init__.py",
    "plots": "analysis/plots/__init__.py",
    "landscapes": "flows/energies/landscapes.py",
}
# What the field calls by other names than a class of its own.
_SPOKEN: Mapping[str, str] = {
    **{name: f'RungeKutta("{name}")' for name in ("midpoint", "heun", "ralston", "rk3", "ssp3", "rk4", "rk38")},
    "sgd": "optimizers.gradient_descent",
    "gd": "optimizers.gradient_descent",
    "euler": "ForwardEuler",
    "expliciteuler": "ForwardEuler",
    "impliciteuler": "BackwardEuler",
    "heavyballmethod": "optimizers.momentum",
}


def meant(name: str, public: Iterable[str]) -> str:
    """The end of a message about a name that is not there: what was meant, where something is near.

    Args:
        name: the name.
        public: the front door's names.
    """
    known = _SPOKEN | {_letters(one): one for one in public}
    for room, file in _ROOMS.items():
        known = {_letters(one): f"{room}.{one}" for one in _defined(_HERE / file)} | known
    near = difflib.get_close_matches(_letters(name), known, n=1, cutoff=0.75)
    return f"; did you mean gradientflow.{known[near[0]]}?" if near else ""


def _letters(name: str) -> str:
    return name.replace("_", "").lower()


def _defined(file: pathlib.Path) -> list[str]:
    """The public functions that a module defines or passes on."""
    body = ast.parse(file.read_text(encoding="utf-8")).body
    passed_on = [alias.asname for node in body if isinstance(node, ast.ImportFrom) for alias in node.names]
    return [
        *(name for name in passed_on if name and not name.startswith("_")),
        *(node.name for node in body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")),
    ]
