"""What happened in a run, from its losses alone: nothing about why."""

import dataclasses
import enum

import numpy as np

# A loss jumps where it is so many times its usual level, and so much of the fall so far.
_JUMP, _OF_FALL = 3.0, 0.25
_BEFORE = 12


class Kind(enum.StrEnum):
    """What kind of trouble a run had."""

    NOT_FINITE = "not finite"
    DIVERGED = "diverged"
    SPIKE = "spike"
    NONE = "none"


@dataclasses.dataclass(frozen=True)
class Trouble:
    """What happened.

    Attributes:
        kind: not finite, diverged, a spike that ended, or none of these.
        place: the row at which it began: of a rise its first, of a jump the first high loss.
        sudden: whether the loss was at its usual level right before.
        peak: the highest finite loss from there on.
        level: the usual loss before.
    """

    kind: Kind
    place: int
    sudden: bool
    peak: float
    level: float


def smoothed(loss: np.ndarray, width: int) -> np.ndarray:
    """Medians of so many losses up to each."""
    if width <= 1:
        return loss
    return np.array([np.nanmedian(loss[max(0, i - width + 1) : i + 1]) for i in range(len(loss))])


def first_jump(loss: np.ndarray, noisy: bool) -> int | None:
    """The first step at which the loss leaves its usual level upwards, by much."""
    fallen = np.maximum(0, loss[0] - np.minimum.accumulate(loss))
    for k in range(8 if noisy else 3, len(loss)):
        before = loss[max(0, k - _BEFORE) : k]
        level = float(np.median(before))
        spread = float(np.median(np.abs(before - level))) if noisy else 0.0
        ahead = loss[k] - level
        # A rise that began before is none: what came right before must be usual.
        steady = before[-1] <= level + max(6 * spread, 0.5 * ahead / 2)
        if steady and ahead > max(
            (_JUMP - 1) * abs(level), _OF_FALL * fallen[k - 1], 8 * spread, 3 * (float(before.max()) - level)
        ):
            return k
    return None


def what_happened(loss: np.ndarray, odd: bool, survived: bool, noisy: bool) -> Trouble:
    """What happened.

    Args:
        loss: step by step, up to and with the first that is not finite.
        odd: whether something was not finite in the last of them.
        survived: whether the end lies below the start.
        noisy: whether the losses are of different batches.
    """
    finite = loss[:-1] if odd else loss
    finite = finite[np.isfinite(finite)]
    if not len(finite):
        return Trouble(Kind.NOT_FINITE, 0, True, np.nan, np.nan)
    jump = first_jump(finite, noisy)
    smooth = smoothed(finite, 5 if noisy else 1)
    low = len(smooth) - 1 - int(np.argmin(smooth[::-1]))
    level = float(smooth[low])
    if odd:
        scale = max(abs(float(finite[0])), abs(level), 1e-300)
        rising = len(finite) > low + 1 and (finite[-1] - level) > 2 * scale
        if not rising:
            return Trouble(Kind.NOT_FINITE, len(finite), True, float(finite[-1]), level)
        place = jump if jump is not None and jump >= low else low + 1
        return Trouble(Kind.NOT_FINITE, place, jump is not None, float(finite.max()), level)
    if not survived:
        jump = jump if noisy and jump is not None and jump >= max(4, low - 2) else None
        place = min(low + 1, len(finite) - 1) if jump is None else jump
        return Trouble(Kind.DIVERGED, place, jump is not None and place == jump, float(finite.max()), level)
    if jump is not None:
        before = float(np.median(finite[max(0, jump - _BEFORE) : jump]))
        return Trouble(Kind.SPIKE, jump, True, float(finite[jump:].max()), before)
    return Trouble(Kind.NONE, 0, False, float(finite.max()), level)
