"""Exact coefficients of schemes: fractions times steps and states, over whatever numbers those are."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import jax

from gradientflow.flows.aliases import Position, State, StepLength, Time

Rational = int | Fraction


def scaled(x: Position, weight: Rational) -> Any:
    """The product of a fraction and a step or a state: rounded once on floating-point numbers, exact on exact ones."""
    if weight == 1:
        return x
    leaf = jax.tree.leaves(x)[0]
    # Numerators of many stages are longer than any machine integer, so that floats can't take them in turn.
    if isinstance(leaf, float) or hasattr(leaf, "dtype"):
        return x * float(weight)
    weight = Fraction(weight)
    return x * weight.numerator / weight.denominator


def advanced(t: Time, h: StepLength, c: Rational) -> Any:
    """The time t + ch."""
    return t + scaled(h, c) if c else t


def combined(z: State, h: StepLength, weights: Sequence[Rational], slopes: Sequence[Any]) -> Any:
    """The state z + h Σ wᵢkᵢ; slopes of weight zero are left out."""
    for weight, slope in zip(weights, slopes, strict=True):
        if weight:
            z = z + scaled(h, weight) * slope
    return z
