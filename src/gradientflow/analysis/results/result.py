"""What every answer is: a result that shows itself, in a notebook too, and draws itself where there is a figure."""

import contextlib
import dataclasses
import importlib
import re
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gradientflow._meant import meant_attribute
from gradientflow.flows import Number

# Longer words of a field are cut.
_MOST_WORDS = 200
# So many numbers are shown as they are.
_FEW = 9


# What a grade means, where a result has no words of its own.
_MEANS = {
    "proved": "exact arithmetic on exact input",
    "certified": "a numerical certificate, checked again with a margin",
    "measured": "floating point, from beginning to end",
    "unknown": "nothing could be said",
    "refuted": "there is a counterexample",
}


class _Reason:
    """`reason`, unless a result has a field of that name; a class itself has none, or the field had a default."""

    def __get__(self, result: Any, cls: type) -> str:
        if result is None:
            raise AttributeError("reason")
        return result.why_so()


class Result:
    """What an analysis found.

    It has a grade, the reason of that, a readable `repr`, and shows itself in a notebook: its formula as a formula, its
    table as a table.
    """

    # A field or a property of what is derived from it: how certain it is.
    grade: Any
    # Why it has that grade, in words.
    reason: Any = _Reason()

    def why_so(self) -> str:
        """Why it has its grade, in words: what the grade means, where a kind of result has no words of its own."""
        return _MEANS[str(self.grade)]

    @property
    def headline(self) -> str:
        """What it is, in a line or more: the name of its kind, unless a kind has words of its own."""
        first, *others = re.findall(r"[A-Z]+[a-z]*", type(self).__name__)
        return " ".join([first, *(word.lower() for word in others)])

    if not TYPE_CHECKING:  # or a type checker would take any attribute for one that it has

        def __getattr__(self, name: str) -> Any:
            """Nothing: of what it doesn't have it tells what was meant."""
            raise meant_attribute(self, name)

    def fields(self) -> dict[str, str]:
        """What it holds, by name, for reading: numbers and words as they are, arrays by their shape and range."""
        return {
            field.name: described(getattr(self, field.name))
            for field in dataclasses.fields(self)  # pyright: ignore[reportArgumentType]
            if field.repr and field.name != "grade"
        }

    def __repr__(self) -> str:
        """What it is, its grade, and its fields."""
        lines = [f"  {name}: {value}" for name, value in self.fields().items()]
        return "\n".join([f"{type(self).__name__}, {self.grade}", *lines])

    def _repr_html_(self) -> str:
        """For notebooks."""
        from .html import show_result

        return show_result(self)

    def _repr_latex_(self) -> str | None:
        """For notebooks that are printed: the formula, where there is one."""
        latex = getattr(self, "latex", None)
        # Where nothing was found there is no proof to show.
        with contextlib.suppress(ValueError):
            return None if latex is None else f"$${latex()}$$"
        return None


class Drawn(Result):
    """A result that has a figure."""

    # Where the function is that draws it, below `gradientflow.analysis`: what is computed imports nothing that draws.
    drawn_by: ClassVar[str]

    def plot(self, ax: Any = None, *, figsize: Sequence[Number] | None = None, title: str | None = None) -> Any:
        """Its figure: a `matplotlib` figure, which a notebook shows; the class says what is on it. With `ax`, the axes.

        Args:
            ax: axes to draw into instead: one, for the main panel alone, or as many as there are panels.
            figsize: width and height in inches; without `ax`.
            title: a title; chosen unless given.

        Raises:
            TypeError: if `ax` isn't axes.
            ValueError: if they are not as many as the panels, or `figsize` is given with them.
        """
        module, name = self.drawn_by.split(":")
        draw = getattr(importlib.import_module(f"gradientflow.analysis.{module}"), name)
        return draw(self, ax=ax, figsize=figsize, title=title)


def described(value: Any) -> str:
    """A field's value in a few words."""
    shape = getattr(value, "shape", ())
    if not shape:
        if isinstance(value, (float, np.floating)):
            return f"{value:.10g}"
        return textwrap.shorten(str(value), _MOST_WORDS, placeholder=" …")
    array = np.asarray(value)
    if array.size <= _FEW:
        return " ".join(np.array2string(array, precision=6).split())
    text = f"array of shape {shape}"
    if array.dtype.kind not in "fiu":
        return text
    finite = array[np.isfinite(array)]
    return f"{text}, {finite.min():.4g} to {finite.max():.4g}" if finite.size else f"{text}, not finite"
