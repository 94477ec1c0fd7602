"""Regression problems from a table: a CSV file read with errors that name the line and the cell."""

import csv
import os
from typing import Any

import numpy as np

from ..checks import unknown_name
from .energy import Energy
from .regression import LinearRegression, LogisticRegression

MODELS = ("linear", "ridge", "logistic")


def read_table(file: str | os.PathLike[str], target: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Features, target and the features' names of a CSV file with a header line and numbers below it.

    Args:
        file: its path.
        target: the name of the target's column.

    Raises:
        ValueError: if there is no such file or column, or a cell is missing or not a finite number, naming line and
            column; or if the target is constant.
    """
    name = os.fspath(file)
    try:
        with open(name, newline="", encoding="utf-8-sig") as stream:
            rows = [(number, row) for number, row in enumerate(csv.reader(stream), start=1) if any(map(str.strip, row))]
    except OSError as error:
        raise ValueError(f"data: {name!r} can't be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"data: {name!r} is not a CSV file: {error}") from None
    if len(rows) < 2:
        raise ValueError(f"data: {name!r} needs a header line and at least one line of numbers, got {len(rows)} lines")
    header = [cell.strip() for cell in rows[0][1]]
    if target not in header:
        raise ValueError(f"target: {unknown_name('column', target, header)}")
    table = np.array([_numbers(name, number, header, row) for number, row in rows[1:]])
    column = header.index(target)
    y = table[:, column]
    if np.all(y == y[0]):
        raise ValueError(f"target: column {target!r} is constant ({y[0]:g}); there is nothing to fit")
    if len(header) < 2:
        raise ValueError(f"data: {name!r} has no column besides the target {target!r}")
    features = [cell for cell in header if cell != target]
    return np.delete(table, column, axis=1), y, features


def standardized(X: np.ndarray) -> np.ndarray:
    """Columns with mean 0 and variance 1; a constant column becomes 0."""
    deviation = X.std(axis=0)
    return (X - X.mean(axis=0)) / np.where(deviation > 0, deviation, 1)


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


def _numbers(name: str, line: int, header: list[str], row: list[str]) -> list[float]:
    if len(row) != len(header):
        raise ValueError(f"data: {name!r} line {line} has {len(row)} cells, the header has {len(header)}")
    values = []
    for column, cell in zip(header, row, strict=True):
        try:
            value = float(cell)
        except ValueError:
            raise ValueError(f"data: {name!r} line {line}, column {column!r}: {cell!r} is not a number") from None
        if not np.isfinite(value):
            raise ValueError(f"data: {name!r} line {line}, column {column!r}: {cell!r}; drop the line or impute it")
        values.append(value)
    return values
