"""Quadratic forms as arrays, of floats, of fractions, which are added and multiplied as integers, or of functions."""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

_ZERO = Fraction(0)


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The symmetric matrix of ⟨a, b⟩, over leading axes."""
    if a.dtype != object or b.dtype != object:
        outer = a[..., :, None] * b[..., None, :]
        return (outer + np.swapaxes(outer, -1, -2)) / 2
    (left, of_left), (right, of_right) = integers(a), integers(b)
    outer = left[..., :, None] * right[..., None, :]
    return over(2 * of_left * of_right, outer + np.swapaxes(outer, -1, -2))


def combined_forms(weights: Sequence[Any], arrays: np.ndarray) -> np.ndarray:
    """Σ wₖaₖ."""
    if not len(weights):
        return np.zeros(arrays.shape[1:], dtype=arrays.dtype)
    (factors, of_factors), (entries, of_entries) = map(integers, (np.asarray(weights, dtype=arrays.dtype), arrays))
    return over(of_factors * of_entries, np.tensordot(factors, entries, axes=1))


def rows_times(*parts: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """The sum of rows, each times its factor, over all parts; fractions as integers until the end."""
    scaled = [(*integers(factors), *integers(rows)) for factors, rows in parts]
    common = math.lcm(*(of_factors * of_rows for _, of_factors, _, of_rows in scaled))
    terms = (
        (common // (of_factors * of_rows)) * factors[:, None] * rows for factors, of_factors, rows, of_rows in scaled
    )
    return over(common, sum(terms, start=0 * parts[0][1]))


def integers(array: np.ndarray) -> tuple[np.ndarray, int]:
    """Fractions as integers and their common denominator, which add and multiply faster; all else as it is."""
    if array.dtype != object:
        return array, 1
    numbers = array.ravel().tolist()
    try:
        common = math.lcm(*(number.denominator for number in numbers))
    except AttributeError:
        # Rational functions, of numbers that are not chosen yet.
        return array, 1
    scaled = [number.numerator * (common // number.denominator) for number in numbers]
    integers = np.empty(len(scaled), dtype=object)
    integers[:] = scaled
    return integers.reshape(array.shape), common


def over(denominator: int, integers: np.ndarray) -> np.ndarray:
    """Integers as fractions again; floats as they are, and functions divided by that."""
    if integers.dtype != object:
        return integers
    fractions = np.empty(integers.size, dtype=object)
    numbers = integers.ravel().tolist()
    try:
        fractions[:] = [Fraction(number, denominator) if number else _ZERO for number in numbers]
    except TypeError:
        fractions[:] = [number * Fraction(1, denominator) if number else _ZERO for number in numbers]
    return fractions.reshape(integers.shape)


def rounded_up(value: Fraction) -> float:
    """The least double that is not below a fraction."""
    nearest = float(value)
    return nearest if Fraction(nearest) >= value else math.nextafter(nearest, math.inf)
