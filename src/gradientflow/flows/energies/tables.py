"""Regression problems from a table: a CSV file read with errors that name the line and the cell."""

import csv
import io
import os
from typing import Any

import numpy as np

from ..checks import by_name, unknown_name
from .energy import Energy
from .regression import LinearRegression, LogisticRegression

# Longer tables are not read into lists of text.
_LARGEST = 256_000_000
MODELS = ("linear", "ridge", "logistic")


@by_name
def read_table(
    file: str | os.PathLike[str], target: str, sep: str = ",", decimal: str = "."
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Features, target and the features' names of a CSV file with a header line and numbers below it.

    Args:
        file: its path.
        target: the name of the target's column.
        sep: what separates cells, one character.
        decimal: what separates a number's fraction, "." or ",".

    Raises:
        ValueError: if there is no such file or column, or a cell is missing or not a finite number, naming line and
            column; if the target is constant or there twice; if cells seem to be separated otherwise, or a line is a
            comment.
    """
    name = os.fspath(file)
    if not isinstance(sep, str) or len(sep) != 1:
        raise ValueError(f"sep: must be one character, ';' or '\\t' say, got {sep!r}")
    if decimal not in (".", ",") or decimal == sep:
        raise ValueError(f"decimal: must be '.' or ',', and not what separates cells, got {decimal!r} with sep {sep!r}")
    try:
        with open(name, newline="", encoding="utf-8-sig") as stream:
            text = stream.read(_LARGEST + 1)
        if len(text) > _LARGEST:
            raise ValueError(f"data: {name!r} is longer than {_LARGEST / 1e6:g} MB; read it with NumPy")
        lines = enumerate(csv.reader(io.StringIO(text, newline=""), delimiter=sep), start=1)
        rows = [(number, row) for number, row in lines if any(map(str.strip, row))]
    except OSError as error:
        raise ValueError(f"data: {name!r} can't be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"data: {name!r} is not a CSV file: {error}") from None
    if len(rows) < 2:
        raise ValueError(f"data: {name!r} needs a header line and at least one line of numbers, got {len(rows)} lines")
    if comment := next((number for number, row in rows if row[0].lstrip().startswith("#")), None):
        raise ValueError(f"data: {name!r} line {comment} is a comment, which CSV files don't have; remove it")
    header = [cell.strip() for cell in rows[0][1]]
    if len(header) == 1 and (found := next((other for other in ";\t,|" if other in header[0]), None)):
        raise ValueError(
            f"data: {name!r} has one column, {header[0]!r}; if {found!r} separates its cells, give it as sep"
        )
    if target not in header:
        raise ValueError(f"target: {unknown_name('column', target, header)}")
    if (count := header.count(target)) > 1:
        raise ValueError(
            f"target: {count} columns are called {target!r}, and a feature that is the target fits it; rename one"
        )
    if len(header) < 2:
        raise ValueError(f"data: {name!r} has no column besides the target {target!r}")
    table = np.array([_numbers(name, number, header, row, decimal) for number, row in rows[1:]])
    column = header.index(target)
    y = table[:, column]
    if len(y) == 1:
        raise ValueError(f"data: {name!r} has one line of numbers, which any model fits; give at least two")
    if np.all(y == y[0]):
        raise ValueError(f"target: column {target!r} is constant ({y[0]:g}); there is nothing to fit")
    features = [cell for cell in header if cell != target]
    return np.delete(table, column, axis=1), y, features


@by_name
def standardized(X: np.ndarray) -> np.ndarray:
    """Columns with mean 0 and variance 1, of whatever size; a constant column becomes 0."""

    def over_largest(X: np.ndarray) -> np.ndarray:
        largest = np.max(np.abs(X), axis=0)
        return X / np.where(largest > 0, largest, 1)

    # Less its first entry a constant column is 0, which less its mean, a rounded number, it need not be.
    shifted = over_largest(X)
    shifted = over_largest(shifted - shifted[0])
    deviation = shifted.std(axis=0)
    return (shifted - shifted.mean(axis=0)) / np.where(deviation > 0, deviation, 1)


@by_name
def regression(model: str, X: Any, y: Any, ridge: float = 0.0) -> Energy:
    """The energy of a model on data: `linear`, `ridge` or `logistic`, with an unpenalized intercept.

    Args:
        model: its name; `ridge` is `linear` with a penalty.
        X: features, shape (N, p).
        y: targets, shape (N,).
        ridge: the penalty ρ of `ridge` and `logistic`.

    Raises:
        ValueError: for another name, `linear` with a penalty, `ridge` without.
    """
    if model not in MODELS:
        raise ValueError(f"model: {unknown_name('model', model, MODELS)}")
    if (model == "linear" and ridge != 0) or (model == "ridge" and ridge == 0):
        raise ValueError(
            f"model: {model!r} does not go with ridge = {ridge:g}; linear has none and ridge needs one > 0"
        )
    return LogisticRegression(X, y, ridge) if model == "logistic" else LinearRegression(X, y, ridge)


def _numbers(name: str, line: int, header: list[str], row: list[str], decimal: str) -> list[float]:
    if len(row) != len(header):
        hint = "; where decimals are commas, another character separates cells: give sep and decimal"
        hint = hint if len(row) > len(header) and decimal == "." else ""
        raise ValueError(f"data: {name!r} line {line} has {len(row)} cells, the header has {len(header)}{hint}")
    values = []
    for column, cell in zip(header, row, strict=True):
        where = f"data: {name!r} line {line}, column {column!r}"
        if not cell.strip():
            raise ValueError(f"{where}: the cell is empty; drop the line or impute it")
        try:
            value = float(cell if decimal == "." else cell.replace(".", " ").replace(",", "."))
        except ValueError:
            hint = "; if commas are decimal, give decimal=','" if decimal == "." and _is_number(cell, ",") else ""
            hint = "; if points are decimal, give decimal='.'" if decimal == "," and _is_number(cell, ".") else hint
            raise ValueError(f"{where}: {cell!r} is not a number{hint}") from None
        if not np.isfinite(value):
            raise ValueError(f"{where}: {cell!r}; drop the line or impute it")
        values.append(value)
    return values


def _is_number(cell: str, decimal: str) -> bool:
    try:
        float(cell.replace(decimal, "."))
    except ValueError:
        return False
    return True
