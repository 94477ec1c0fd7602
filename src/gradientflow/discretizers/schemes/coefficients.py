"""Exact coefficients of schemes: fractions times steps and states, over whatever numbers those are."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import jax

Rational = int | Fraction


def scaled(x: Any, weight: Rational) -> Any:
    """The product of a fraction and a step or a state: rounded once on floating-point numbers, exact on exact ones."""
    if weight == 1:
        return x
    leaf = jax.tree.leaves(x)[0]
    # Numerators of many stages are longer than any machine integer, so that floats can't take them in turn.
    if isinstance(leaf, float) or hasattr(leaf, "dtype"):
        return x * float(weight)
    weight = Fraction(weight)
    return x * weight.numerator / weight.denominator


def advanced(t: Any, h: Any, c: Rational) -> Any:
    """The time t + ch."""
    return t + scaled(h, c) if c else t


def combined(z: Any, h: Any, weights: Sequence[Rational], slopes: Sequence[Any]) -> Any:
    """The state z + h Σ wᵢkᵢ; slopes of weight zero are left out."""
    for weight, slope in zip(weights, slopes, strict=True):
        if weight:
            z = z + scaled(h, weight) * slope
    return z
