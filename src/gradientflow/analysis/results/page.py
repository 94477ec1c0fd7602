"""Pages and folders: what every report shares."""

import base64
import io
import re
import unicodedata
from collections.abc import Iterable
from typing import Any

import jinja2
from matplotlib import mathtext
from matplotlib.figure import Figure

import gradientflow
from gradientflow.flows import (
    CallableEnergy,
    Energy,
    ExpressionEnergy,
    LeastSquares,
    LinearRegression,
    LogisticRegression,
    Quadratic,
    landscapes,
)

# LaTeX that matplotlib's own typesetting does not know, in words that it does.
_PLAIN = {r"\tfrac": r"\frac", r"\ ": r"\,", r"\dots": r"\ldots", r"\le ": r"\leq ", r"\to ": r"\rightarrow "}


def render_page(template: str, **context: Any) -> str:
    """One page without links to anything outside itself."""
    loader = jinja2.PackageLoader("gradientflow.analysis.results", "templates")
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template(template).render(version=gradientflow.__version__, **context)


def inline_figure(figure: Figure) -> str:
    """A figure as a PNG in base64, to be put into a page."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return base64.b64encode(buffer.getvalue()).decode()


def inline_formula(latex: str) -> str | None:
    """A formula as an SVG in base64, set by matplotlib; `None` where it can't set it."""
    plain = latex
    for word, other in _PLAIN.items():
        plain = plain.replace(word, other)
    buffer = io.BytesIO()
    try:
        mathtext.math_to_image(f"${plain}$", buffer, format="svg")
    except ValueError:
        return None
    return base64.b64encode(buffer.getvalue()).decode()


def file_name(label: str) -> str:
    """A label as a file's name that every system and shell takes: letters of ASCII, digits, dots and dashes.

    Greek letters by their names, numbers by their digits: `momentum lr=0.1 β=0.9` is `momentum-lr-0.1-beta-0.9`.
    """
    named = "".join(_spelled(letter) for letter in unicodedata.normalize("NFKD", label))
    return re.sub(r"[^A-Za-z0-9._]+", "-", named).strip("-.") or "figure"


def file_names(labels: Iterable[str]) -> list[str]:
    """A file's name for each label; those that would share one are numbered."""
    found: list[str] = []
    for label in labels:
        name, number = file_name(label), 1
        while name.lower() in (other.lower() for other in found):
            number += 1
            name = f"{file_name(label)}-{number}"
        found.append(name)
    return found


def _spelled(letter: str) -> str:
    if unicodedata.combining(letter):
        return ""
    found = re.fullmatch(r"GREEK (?:SMALL|CAPITAL) LETTER (?:FINAL )?(\w+)", unicodedata.name(letter, ""))
    # Unicode's own spelling of λ is an old mistake of it.
    return f" {found[1].lower().replace('lamda', 'lambda')} " if found else letter


def describe_energy(energy: Energy) -> str:
    """An energy in a line: its formula where it has one."""
    match energy:
        case landscapes.Landscape(name=name, formula=formula):
            return f"{name}, E = {formula}"
        case ExpressionEnergy(text=text):
            return f"E = {text}"
        case CallableEnergy(fn=fn):
            return getattr(fn, "__name__", "a Python function")
        case LeastSquares(M=M):
            return f"E = ½‖Mx − v‖² with M of shape {M.shape[0]}×{M.shape[1]}"
        case Quadratic(H=H):
            return f"E = ½xᵀHx − bᵀx + c with H of shape {H.shape[0]}×{H.shape[0]}"
        case LinearRegression(X=X) | LogisticRegression(X=X):
            return f"{type(energy).__name__} on {X.shape[0]} examples"
    return type(energy).__name__
