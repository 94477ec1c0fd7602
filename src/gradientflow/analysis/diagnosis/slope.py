"""Whether the gradient is the loss's: along it, it must be what differences of the loss say."""

import math

import jax
import numpy as np

from .case import Case
from .norms import host_norm

# Moves, of the parameters' size; differences that agree so well, and a slope that is so far off, say something.
_MOVES = (4e-3, 1e-3)
_AGREE, _OFF = 0.02, 0.1


def not_its_gradient(case: Case) -> str:
    """In words, where the gradient is not the loss's derivative: a game's, or one that was written wrongly; or nothing.

    Two moves of different lengths must agree on the slope, or a kink or rounding would look like it.
    """
    params, batch, key = case.arguments(case.replays.start)
    _, gradient = case.replays.gradient(params, case.training.number(case.training.first))
    size, whole = host_norm(gradient), host_norm(params)
    if not (math.isfinite(size) and size > 0 and whole > 0):
        return ""

    def along(move: float) -> float:
        values = [
            case.loss_at(jax.tree.map(lambda p, g, s=sign: (p + s * move * whole / size * g).astype(p.dtype),
                                      params, gradient), batch, key) for sign in (1, -1)
        ]  # fmt: skip
        return (values[0] - values[1]) / (2 * move * whole)

    slopes = np.array([along(move) for move in _MOVES])
    # What is random with the step's number has the same key on both sides, and no derivative of its own.
    if not np.isfinite(slopes).all() or abs(slopes[0] - slopes[1]) > _AGREE * size:
        return ""
    if abs(slopes[1] - size) <= _OFF * size:
        return ""
    return (
        f"the gradient is not the loss's derivative: along it the loss rises by {slopes[1]:.3g} where it says "
        f"{size:.3g}; a stop_gradient (a game of two losses, a straight-through estimate) or a derivative written by "
        "hand"
    )
