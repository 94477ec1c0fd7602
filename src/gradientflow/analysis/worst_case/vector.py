"""Vectors of numbers as claims write them."""

from typing import Any

import numpy as np


class Vector:
    """An array whose product with its like is the inner product, as claims write it."""

    __array_ufunc__ = None

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __add__(self, other: Any) -> "Vector":
        return Vector(self.array + other.array)

    def __sub__(self, other: Any) -> "Vector":
        return Vector(self.array - other.array)

    def __radd__(self, other: Any) -> "Vector":
        # Python's sum() starts from 0.
        return self if isinstance(other, int) and other == 0 else NotImplemented

    def __pow__(self, exponent: Any) -> float:
        if exponent != 2:
            raise ValueError(f"settle: vectors are only squared, not raised to {exponent}")
        return self * self

    def __neg__(self) -> "Vector":
        return Vector(-self.array)

    def __mul__(self, other: Any) -> Any:
        return float(self.array @ other.array) if isinstance(other, Vector) else Vector(self.array * float(other))

    def __rmul__(self, other: Any) -> "Vector":
        return Vector(float(other) * self.array)

    def __truediv__(self, other: Any) -> "Vector":
        return Vector(self.array / float(other))
