"""Whether the gradient is the loss's: along it, it must be what differences of the loss say."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .case import Case
from .norms import host_norm

# Moves, of the parameters' size; differences that agree so well, and a slope that is so far off, say something.
_MOVES = (4e-3, 1e-3)
_AGREE, _OFF = 0.02, 0.1
# Slopes to both sides that differ by so much of what they do four times as far away bend at a kink: where the loss is
# smooth it is a quarter.
_BENDS = 0.5
# So far from the start, of the parameters' size, no kink that it may have been put on is left.
_ASIDE = 1e-2


def not_its_gradient(case: Case) -> str:
    """In words, where the gradient is not the loss's derivative: a game's, or one that was written wrongly; or nothing.

    Two moves of different lengths must agree on the slope, to both sides, or a kink or rounding would look like it; and
    where parameters start at 0 a loss may stand right on its kinks, so it must be so a little aside as well.
    """
    start = case.training.params
    found = _slope(case, start)
    if found is None or _slope(case, _aside(start)) is None:
        return ""
    slope, size = found
    return (
        f"the gradient is not the loss's derivative: along it the loss rises by {slope:.3g} where it says "
        f"{size:.3g}; a stop_gradient (a game of two losses, a straight-through estimate) or a derivative written by "
        "hand"
    )


def _slope(case: Case, params: Any) -> tuple[float, float] | None:
    """By how much the loss rises along its gradient, and what the gradient says; `None` where that is no contradiction.

    What is random with the step's number has the same key on both sides, and no derivative of its own.
    """
    number = case.training.number(case.training.first)
    batch, key = case.training.batch(number), case.training.key_of(case.training.first)
    value, gradient = case.replays.measured(params, batch, key)
    size, whole = host_norm(gradient), host_norm(params)
    if not (math.isfinite(size) and size > 0 and whole > 0):
        return None

    def at(move: float) -> float:
        moved = jax.tree.map(lambda p, g: (p + move * whole / size * g).astype(p.dtype), params, gradient)
        return case.loss_at(moved, batch, key)

    sides = np.array([[(at(s * move) - float(value)) / (s * move * whole) for s in (1, -1)] for move in _MOVES])
    slopes, bends = sides.mean(axis=1), np.abs(np.diff(sides, axis=1)[:, 0])
    if not np.isfinite(sides).all() or abs(slopes[0] - slopes[1]) > _AGREE * size:
        return None
    if bends[1] > max(_BENDS * bends[0], _AGREE * size):
        return None
    return (float(slopes[1]), size) if abs(slopes[1] - size) > _OFF * size else None


def _aside(params: Any) -> Any:
    """Parameters moved a little, every one of them."""
    draw = np.random.default_rng(0)
    leaves, structure = jax.tree.flatten(params)
    width = _ASIDE * host_norm(params) / math.sqrt(max(1, sum(leaf.size for leaf in leaves)))
    moved = [(leaf + width * jnp.asarray(draw.normal(size=leaf.shape))).astype(leaf.dtype) for leaf in leaves]
    return jax.tree.unflatten(structure, moved)
