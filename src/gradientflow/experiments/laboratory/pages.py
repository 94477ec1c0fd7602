"""A page: its parts in one file that needs nothing beside it."""

import abc
import html
import json
import os
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import gradientflow
from gradientflow._files import write_file

# Height of a page in a notebook [pixels].
_HEIGHT = 860


def part(name: str) -> str:
    """A part of a page, as it lies beside this file."""
    return resources.files("gradientflow.experiments.laboratory").joinpath("page", name).read_text(encoding="utf-8")


def filled(document: str, scripts: Sequence[str], data: str, served: Mapping[str, Any] | None = None) -> str:
    """A document with the style, the scripts and what they show in it.

    Args:
        document: the part that the others are put into.
        scripts: the parts that run, in order.
        data: JavaScript before them, that defines what they show.
        served: what a page that is served has in its fields; `None` for one that asks nothing of a network.
    """
    if served is not None:
        scripts, data = [*scripts, "typed.js"], f"{data}\nconst SERVED = {as_literal(served)};"
    fills = {
        "/*STYLE*/": part("page.css"),
        "/*DATA*/": data,
        "/*SCRIPT*/": "\n".join(map(part, scripts)),
        "<!--TYPED-->": "" if served is None else part("typed.html"),
        "CONNECT": "" if served is None else " connect-src 'self';",
        "VERSION": gradientflow.__version__,
    }
    # In one pass: a mark that stands in somebody's title is a title.
    marks = re.compile("|".join(map(re.escape, fills)))
    return marks.sub(lambda mark: fills[mark[0]], part(document))


def as_literal(value: Any) -> str:
    """A value as JavaScript has it; no text in it ends the script that it stands in."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


class Page(abc.ABC):
    """A page: `.save(file)` writes it, a notebook shows it, `.html()` is its text."""

    @abc.abstractmethod
    def write(self, served: Mapping[str, Any] | None = None) -> str:
        """The page's text.

        Args:
            served: what a page that is served has in its fields; `None` for one that asks nothing of a network.
        """

    def html(self) -> str:
        """The page, which needs nothing beside it and asks nothing of a network."""
        return self.write()

    def save(self, file: str | os.PathLike[str]) -> None:
        """Writes the page.

        Raises:
            ValueError: if the file's name is no page's.
            OSError: if it can't be written.
        """
        if not os.fspath(file).endswith((".html", ".htm")):
            raise ValueError(f"lab: `file` must end in .html, got {os.fspath(file)!r}")
        write_file("lab", file, self.html().encode())

    def _repr_html_(self) -> str:
        """For notebooks: the page in a frame of its own."""
        page = html.escape(self.html(), quote=True)
        return (
            f'<iframe title="laboratory" sandbox="allow-scripts allow-downloads" srcdoc="{page}" '
            f'style="width: 100%; height: {_HEIGHT}px; border: 0"></iframe>'
        )
