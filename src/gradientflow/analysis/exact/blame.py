"""Whose line it was: an error inside an exact reading, told with the file, the line and the code."""

import inspect
import pathlib
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gradientflow.discretizers import Discretizer
from gradientflow.flows import Flow, UnansweredQuestionError

from .draws import kept_generators
from .leaf import ImpureError, NotExactError, heeded

_HERE = str(pathlib.Path(__file__).parent)


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
    own = {_file_of(base) for recipe in recipes for base in type(recipe).__mro__}
    own -= {_file_of(base) for base in (*Flow.__mro__, *Discretizer.__mro__)} | {None}
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(_HERE)]
    mine = [frame for frame in frames if frame.filename in own] or [f for f in frames if "gradientflow" in f.filename]
    if not mine:
        return ""
    return f", because of {pathlib.Path(mine[-1].filename).name}:{mine[-1].lineno}, `{mine[-1].line}`"


def _file_of(cls: type) -> str | None:
    try:
        return inspect.getfile(cls)
    except (TypeError, OSError):
        return None
