"""Whose line it was: an error inside an exact reading, told with the file, the line and the code."""

import inspect
import pathlib
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gradientflow.discretizers import Discretizer
from gradientflow.flows import Flow, UnansweredQuestionError, users_line

from .draws import kept_generators
from .leaf import ImpureError, NotExactError, heeded


@contextmanager
def blaming(*recipes: Any) -> Iterator[None]:
    """Turns whatever goes wrong inside into a `NotExactError` that names the line of a recipe.

    Args:
        recipes: the scheme, the flow, … whose own files are looked for first.

    Raises:
        NotExactError: naming file, line and code.
        ImpureError: if it answered otherwise than before.
    """
    try:
        with kept_generators(), heeded():
            yield
    except UnansweredQuestionError:
        raise
    except Exception as error:
        first_line, *_ = str(error).splitlines() or [""]
        # What JAX says of a leaf of ours is no help.
        said = "" if "Exact" in first_line else f" ({type(error).__name__}: {first_line})"
        refusal = str(error) if isinstance(error, NotExactError) else f"not rational arithmetic{said}"
        names = " of ".join(dict.fromkeys(type(recipe).__name__ for recipe in recipes))
        if isinstance(error, ImpureError):
            raise ImpureError(names) from error
        raise NotExactError(f"{names} can't be read exactly{_place(error, recipes)}: {refusal}") from error


def _place(error: BaseException, recipes: tuple[Any, ...]) -> str:
    # A family's shared parts stand in its base's file; what every flow or scheme has is nobody's line.
    own = set().union(*(_files_of(base) for recipe in recipes for base in type(recipe).__mro__))
    own -= set().union(*(_files_of(base) for base in (*Flow.__mro__, *Discretizer.__mro__)))
    mine = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in own]
    if mine:
        return f", because of {pathlib.Path(mine[-1].filename).name}:{mine[-1].lineno}, `{mine[-1].line}`"
    # A function that a recipe was given stands in a file of its own; a library's line helps nobody.
    line = users_line(error)
    return f", because of {line.removeprefix(', ')}" if line else ""


def _files_of(cls: type) -> set[str]:
    """The files of a class's methods: a notebook's cells and a shell's input are no file of a class's."""
    functions = (inspect.unwrap(getattr(one, "fget", one)) for one in vars(cls).values())
    return {code.co_filename for one in functions if (code := getattr(one, "__code__", None))}
