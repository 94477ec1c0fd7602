"""A training log as any tool writes it: which of its columns is which, and which of its rows hold a loss."""

import csv
import io
import itertools
import json
import os

import numpy as np
import pandas as pd

from gradientflow._names import unknown_name

_KNOWN = ("step", "loss", "lr", "grad_norm", "update_norm")
# What other tools call them. Of several counters the first named here is the trainer's own; where two of a row's other
# columns could be meant neither is.
_ALSO_CALLED = {
    "step": ("global_step", "trainer/global_step", "iteration", "iter", "_step"),
    "loss": ("value", "train_loss", "train/loss", "training_loss", "loss/train"),
    "lr": ("learning_rate", "train/learning_rate", "train/lr"),
    "grad_norm": ("gradient_norm", "train/grad_norm"),
}
# Where nothing counts steps, epochs do.
_COARSER = "epoch"
_LARGEST = 256_000_000
_DELIMITERS = ",;\t"
# Columns that a tool writes beside each of another's.
_BESIDE = ("__min", "__max", "__step")


def read_log(file: str | os.PathLike[str], loss: str = "") -> pd.DataFrame:
    """A training log: a file with a column loss, and step, lr, grad_norm, update_norm where it has them.

    Where nothing counts steps, neither steps nor epochs, each row is one, from 0 on; `.attrs["counter"]` says what is
    counted. A table with commas, semicolons or tabs, or a JSON object a line, the last of which may be torn. Rows that
    were written for something else, a validation, have no loss and are left out, and so is a row whose loss is missing
    where later ones have one; a loss that is missing to the end is one that was not finite.

    Args:
        file: the log.
        loss: the column that is the loss, as its first line calls it, or its place, 1 the first, where no line does;
            found unless given. Without names one column is the loss, and of two the second, where the first counts.

    Raises:
        ValueError: naming the file, the line and the column.
    """
    name = os.fspath(file)
    header, rows = _json_rows(name) if name.endswith(".jsonl") else _rows(name)
    if header and all(map(_is_number, header)):
        header, rows = _named(name, header, rows, loss), [(1, header), *rows]
        loss = ""
    cells = [_plain(cell) for cell in header]
    if loss:
        cells = _with_the_loss(name, header, cells, loss)
    for column, others in _ALSO_CALLED.items():
        named = [cell for cell in others for _ in range(cells.count(cell))]
        if column not in cells and (len(named) == 1 or (named and column == "step" and cells.count(named[0]) == 1)):
            cells[cells.index(named[0])] = column
    counter = "step" if "step" in cells else "row"
    if counter == "row" and cells.count(_COARSER) == 1:
        cells[cells.index(_COARSER)] = "step"
        counter = _COARSER
    if not header:
        raise ValueError(f"why: {name!r} is empty; it needs a column loss, and one of steps")
    for column in ("step", "loss"):
        several = [cell for cell in cells if cell in _ALSO_CALLED[column]]
        if column not in cells and (several or column == "loss"):
            alike = several or [cell for cell in cells if column in cell]
            why = f"could be any of {' and '.join(alike)}" if alike else "is not in its first line"
            got = ", ".join(header[:8])
            remedy = "say which, --loss COLUMN" if column == "loss" else "rename it there"
            raise ValueError(f"why: {name!r} needs one column {column}; {column!r} {why}; got {got}; {remedy}")
    if "step" not in cells:
        cells = ["step", *cells]
        rows = [(number, [str(k), *row]) for k, (number, row) in enumerate(rows)]
    found: dict[str, list[float]] = {column: [] for column in _KNOWN if column in cells}
    for number, row in rows:
        for column, values in found.items():
            cell = _cell(row, cells.index(column))
            try:
                values.append(float(cell) if cell else np.nan)
            except ValueError:
                why = "is no number; write it with a point" if "," in cell else "is no number"
                raise ValueError(f"why: {name!r} line {number}, column {column!r}: {cell[:20]!r} {why}") from None
    table = pd.DataFrame(found)
    table = table.loc[_has_a_loss([row for _, row in rows], cells) & table["step"].notna().to_numpy()]
    table = table.sort_values("step", kind="stable").reset_index(drop=True)
    table.attrs["counter"] = counter
    return table


def _named(name: str, first: list[str], rows: list[tuple[int, list[str]]], loss: str) -> list[str]:
    """Names for the columns of a table that has none.

    Raises:
        ValueError: if it isn't known which is the loss.
    """
    width = len(first)
    counts = width > 1 and _goes_up([first[0], *(_cell(row, 0) for _, row in rows)])
    place = loss or (str(width) if width == 1 or (width == 2 and counts) else "")
    if not (place.isdecimal() and 1 <= int(place) <= width):
        got = f", not {loss!r}" if loss else ""
        raise ValueError(
            f"why: {name!r} has numbers in its first line; put the columns' names above, or say which column is the "
            f"loss by its place, --loss 2 say, of {width}{got}"
        )
    names = [""] * width
    names[0] = "step" if counts else ""
    names[int(place) - 1] = "loss"
    return names


def _goes_up(cells: list[str]) -> bool:
    """Whether a column holds whole numbers, each larger than the last."""
    try:
        numbers = [float(cell) for cell in cells]
    except ValueError:
        return False
    return all(x == int(x) for x in numbers) and all(a < b for a, b in itertools.pairwise(numbers))


def _with_the_loss(name: str, header: list[str], cells: list[str], loss: str) -> list[str]:
    """The columns' names, with the one that is the loss called so, and no other."""
    named = [cell.strip() for cell in header]
    if loss not in named:
        raise ValueError(f"why: loss: {name!r}: {unknown_name('column', loss, named)}")
    losses = {"loss", *_ALSO_CALLED["loss"]}
    place = named.index(loss)
    return ["loss" if i == place else "" if cell in losses else cell for i, cell in enumerate(cells)]


def _has_a_loss(rows: list[list[str]], cells: list[str]) -> np.ndarray:
    """Which rows were written for a loss: not those with an empty one and something that rows with a loss lack."""
    filled = np.array([[bool(_cell(row, i)) for i in range(len(cells))] for row in rows], bool)
    filled = filled.reshape(len(rows), len(cells))
    has = filled[:, cells.index("loss")]
    # What is missing in between was not written.
    last = max(np.flatnonzero(has), default=-1)
    others = [i for i in range(len(cells)) if has.any() and not filled[has, i].any()]
    return has | (~filled[:, others].any(axis=1) & (np.arange(len(rows)) > last))


def _text(name: str) -> str:
    try:
        with open(name, newline="", encoding="utf-8-sig") as stream:
            text = stream.read(_LARGEST + 1)
    except OSError as error:
        raise ValueError(f"why: {name!r} can't be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"why: {name!r} is not a CSV file: {error}") from None
    if len(text) > _LARGEST:
        raise ValueError(f"why: {name!r} is longer than {_LARGEST / 1e6:g} MB; give the part where it goes wrong")
    return text


def _rows(name: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    text = _text(name)
    first = text.split("\n", 1)[0]
    delimiter = max(_DELIMITERS, key=first.count)
    try:
        read = csv.reader(io.StringIO(text), delimiter=delimiter)
        rows = [(n, row) for n, row in enumerate(read, start=1) if any(map(str.strip, row))]
    except csv.Error as error:
        raise ValueError(f"why: {name!r} is not a CSV file: {error}") from None
    return (rows[0][1], rows[1:]) if rows else ([], [])


def _json_rows(name: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    found: list[tuple[int, dict[str, object]]] = []
    lines = _text(name).rstrip().splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            one = json.loads(line)
        except json.JSONDecodeError as error:
            if found and number == len(lines):
                break  # torn when the run was killed
            raise ValueError(f"why: {name!r} line {number} is no JSON: {error.msg}") from None
        if not isinstance(one, dict):
            raise ValueError(f"why: {name!r} line {number} must be a JSON object, got {line.strip()[:20]!r}")
        found.append((number, one))
    header = list(dict.fromkeys(key for _, one in found for key in one))
    return header, [(number, [_as_cell(one, key) for key in header]) for number, one in found]


def _as_cell(one: dict[str, object], key: str) -> str:
    # What is null was not finite when it was written: JSON has no NaN.
    return "" if key not in one else "nan" if one[key] is None else str(one[key])


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _plain(cell: str) -> str:
    """A column's name in small letters, without the name of the run before it."""
    name = cell.strip().lower().rsplit(" - ", 1)[-1].strip().replace(" ", "_")
    return "" if name.endswith(_BESIDE) else name


def _cell(row: list[str], place: int) -> str:
    return row[place].strip() if place < len(row) else ""
