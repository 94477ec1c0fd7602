"""The names that an experiment may use, without importing anything numerical.

They are read from the files that define them, by their syntax and not by running them.
"""

import ast
import functools
import pathlib

import gradientflow

QUESTIONS = ("compare", "stability", "verify")
PRECISIONS = ("float64", "float32")
DEVICES = ("cpu", "gpu", "tpu")
_FLOORS = pathlib.Path(gradientflow.__file__).parent


def landscapes() -> list[str]:
    """The names of `gradientflow.landscapes.names()`."""
    return sorted(_words("flows/energies/landscapes/named.py", "_LANDSCAPES", ast.Name) - {"maker"})


def solvers() -> list[str]:
    """The names of solvers that `integrate` takes."""
    return sorted(_words("flows/solving/choice.py", "_NAMED", ast.Constant))


def models() -> list[str]:
    """The names of models of data."""
    return sorted(_words("flows/energies/tables.py", "MODELS", ast.Constant))


def tableaus() -> dict[str, int]:
    """The names of Runge–Kutta tableaus, with their orders."""
    calls = ast.walk(_assigned("discretizers/schemes/runge_kutta.py", "TABLEAUS"))
    rows = [call.args for call in calls if isinstance(call, ast.Call) and len(call.args) > 3]
    return {ast.literal_eval(name): ast.literal_eval(order) for name, order, *_ in rows}


@functools.cache
def _assigned(file: str, name: str) -> ast.expr:
    """What a module of the package assigns to a name."""
    for node in ast.parse((_FLOORS / file).read_text(encoding="utf-8")).body:
        match node:
            case ast.Assign(targets=[ast.Name(id=found)], value=value) if found == name:
                return value
            case ast.AnnAssign(target=ast.Name(id=found), value=ast.expr() as value) if found == name:
                return value
    raise AssertionError(f"{file} has no {name}")


def _words(file: str, name: str, kind: type[ast.Name] | type[ast.Constant]) -> set[str]:
    """The names, or the texts, in what a module assigns to a name."""
    found = [node for node in ast.walk(_assigned(file, name)) if isinstance(node, kind)]
    return {node.id if isinstance(node, ast.Name) else str(node.value) for node in found}
