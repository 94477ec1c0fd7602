"""How results show themselves in a notebook: everything escaped, nothing fetched from elsewhere."""

import contextlib
import html
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from gradientflow.flows import Trajectory

# Longer tables show their first and last rows.
_MOST_ROWS = 24
# Columns of these names hold LaTeX.
_FORMULAS = ("statement",)
_GATHERED = re.compile(r"\\begin\{gathered\}(.*)\\end\{gathered\}", re.DOTALL)
_LEFT = "text-align: left; vertical-align: top; padding-right: 1.5em"


def show_result(result: Any) -> str:
    """A result: what it is with its grade, its formula where it has one, and its table or its words."""
    from .result import Result

    parts: list[str] = []
    table = getattr(result, "table", None)
    if table is not None:
        lines = result.headline.split("\n")
        parts += [_head(lines[0], result.grade), *map(_line, lines[1:])]
    elif type(result).__repr__ is Result.__repr__:
        parts.append(_head(result.headline, result.grade))
    else:
        lines = repr(result).split("\n")
        parts += [_head(lines[0], result.grade), *map(_line, lines[1:])]
    latex = getattr(result, "latex", None)
    shown = None if table is None else table()
    # A table of statements has the formulas in it.
    if latex is not None and not (shown is not None and set(_FORMULAS) & set(shown.columns)):
        # There is no formula where nothing was found, which the words say.
        with contextlib.suppress(ValueError):
            parts.append(show_formula(latex()))
    if shown is not None:
        parts.append(show_table(shown))
    elif type(result).__repr__ is Result.__repr__:
        parts.append(show_fields(result.fields()))
    return "\n".join(["<div>", *parts, "</div>"])


def show_trajectory(trajectory: "Trajectory") -> str:
    """A trajectory: how it ended, and its first and last rows; of a batch how many lanes ended how."""
    t, energy, grad_norm = (np.asarray(v) for v in (trajectory.t, trajectory.energy, trajectory.grad_norm))
    rows = {"times": f"{t.shape[-1]}, from {t[..., 0].min():.6g} to {t[..., -1].max():.6g}"}
    if t.ndim == 1:
        of_field = trajectory.is_of_a_field
        rows |= {} if of_field else {"energy": f"{energy[0]:.6g} → {energy[-1]:.6g}"}
        rows["‖f‖∞" if of_field else "‖∇E‖∞"] = f"{grad_norm[0]:.3g} → {grad_norm[-1]:.3g}"
    else:
        rows = {"lanes": "×".join(map(str, t.shape[:-1]))} | rows
        rows["energy at the end"] = f"{energy[..., -1].min():.6g} to {energy[..., -1].max():.6g}"
        rows["‖∇E‖∞ at the end"] = f"{grad_norm[..., -1].min():.3g} to {grad_norm[..., -1].max():.3g}"
    rows |= {name.replace("_", " "): _shown(value) for name, value in trajectory.stats.items() if np.ndim(value) == 0}
    detail = trajectory.status.detail
    head = f"<p><b>Trajectory</b>, <em>{html.escape(str(trajectory.status))}</em></p>"
    return "\n".join(["<div>", head, *([_line(detail)] if t.ndim == 1 and detail else []), show_fields(rows), "</div>"])


def show_table(table: Any) -> str:
    """A pandas table with all its words, numbers short, and formulas as formulas."""
    table = table.loc[:, [not (column == "").all() for _, column in table.items()]]
    heads = ["" if table.index.name is None else str(table.index.name), *map(str, table.columns)]
    rows = [(label, row) for label, row in zip(table.index, table.itertuples(index=False), strict=True)]
    left_out = max(0, len(rows) - _MOST_ROWS)
    if left_out:
        half = _MOST_ROWS // 2
        rows = [*rows[:half], None, *rows[-half:]]
    cells = "".join(f'<th style="{_LEFT}">{html.escape(head)}</th>' for head in heads)
    body = [f"<thead><tr>{cells}</tr></thead>", "<tbody>"]
    for entry in rows:
        if entry is None:
            body.append(f'<tr><td colspan="{len(heads)}" style="{_LEFT}">… {left_out} more …</td></tr>')
            continue
        label, row = entry
        values = [
            show_formula(value) if name in _FORMULAS else html.escape(_shown(value))
            for name, value in zip(table.columns, row, strict=True)
        ]
        cells = "".join(f'<td style="{_LEFT}">{value}</td>' for value in values)
        body.append(f'<tr><th style="{_LEFT}">{html.escape(_shown(label))}</th>{cells}</tr>')
    return "<table>" + "".join(body) + "</tbody></table>"


def show_fields(fields: Mapping[str, str]) -> str:
    """Names and values, one a row."""
    rows = (
        f'<tr><th style="{_LEFT}">{html.escape(name)}</th><td style="{_LEFT}">{html.escape(value)}</td></tr>'
        for name, value in fields.items()
    )
    return f"<table><tbody>{''.join(rows)}</tbody></table>"


def show_formula(latex: str) -> str:
    """A formula as a picture; where it can't be set here, between dollars, for the notebook to set."""
    from .page import inline_formula

    lines = _GATHERED.fullmatch(latex)
    if lines is not None:
        return "".join(f"<div>{show_formula(line)}</div>" for line in lines[1].split(r"\\ "))
    image = inline_formula(latex)
    text = html.escape(latex, quote=True)
    if image is None:
        return f"<div>$${text}$$</div>"
    return f'<img alt="{text}" src="data:image/svg+xml;base64,{image}" style="background: white; padding: 0.3em">'


def _head(words: str, grade: Any) -> str:
    said = "" if re.search(rf"\b{grade}\b", words) else f", <em>{html.escape(str(grade))}</em>"
    return f"<p><b>{html.escape(words)}</b>{said}</p>"


def _line(words: str) -> str:
    return f"<p>{html.escape(words)}</p>"


def _shown(value: Any) -> str:
    if isinstance(value, (float, np.floating)):
        return "–" if np.isnan(value) else "∞" if value == np.inf else f"{value:.6g}"
    if hasattr(value, "shape") and not np.shape(value):
        return _shown(np.asarray(value).item())
    return str(value)
