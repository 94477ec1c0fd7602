"""Which learning rate to advise: one that gets down in replays from the start, with room to spare."""

import dataclasses
import re

from .case import Case
from .causes import Cause
from .finding import Finding, tried
from .outcome import Outcome
from .replay import AS_IT_IS, Change

_PLAIN = re.compile(r"learning rate × \S+")
# Of shorter steps so many are tried, each half of the last, and so many more while yet shorter ones get further.
_SHORTER, _MORE = 4, 4
# Of the longest that survives, found to 20 %, at most so much.
_SAFE = 0.6
# A loss so many times the best one's is as good, or one that differs by so little of the whole fall.
_AS_GOOD, _NOTHING = 1.2, 1e-3
# With less than so much of the best one's fall another fault holds the run up.
_HELD_UP = 0.5


def fall(case: Case, outcome: Outcome) -> float:
    """By how much the loss fell from the training's start."""
    return case.start_loss - outcome.loss


def scaled(case: Case, scale: float, change: Change = AS_IT_IS) -> Outcome:
    """From the start, with a change and all updates multiplied."""
    if change is AS_IT_IS:
        return case.scaled(scale)
    both = dataclasses.replace(change, label=f"{change.label}, learning rate × {scale:.4g}", scale=scale)
    return case.replay(both, start=case.replays.start)


def shorter(case: Case, change: Change = AS_IT_IS) -> Outcome | None:
    """The shorter step that gets furthest from the start, or half of it where that costs at most a fifth of its loss.

    The longest that survives is no advice. It survived so many steps, and few more may end it.
    """
    top = 0.5
    # At most half of the least that fails.
    while change is AS_IT_IS and 0 < _SAFE * case.safe_scale < top:
        top /= 2
    if case.safe_scale == 0 and change is AS_IT_IS:
        return None
    best: Outcome | None = None
    scale = top
    for i in range(_SHORTER + _MORE):
        one = scaled(case, top / 2**i, change)
        if one.mends and (best is None or fall(case, one) > fall(case, best)):
            best, scale = one, top / 2**i
        if i + 1 >= _SHORTER and best is not None and best is not one:
            break
    # What was tried for another reason may have got further.
    for one in plain(case) if change is AS_IT_IS else ():
        if one.mends and scale_of(one) <= top and (best is None or fall(case, one) > fall(case, best)):
            best, scale = one, scale_of(one)
    if best is None:
        return None
    half = scaled(case, scale / 2, change)
    return half if as_good(case, half, best) else best


def plain(case: Case) -> list[Outcome]:
    """The replays from the start with nothing changed but the learning rate."""
    return [o for o in case.outcomes.values() if _PLAIN.fullmatch(o.label) and o.start == case.training.first]


def longer(case: Case, best: Outcome) -> Outcome:
    """Half of the longer step that gets furthest, if that is as good."""
    half = case.scaled(scale_of(best) / 2)
    return half if as_good(case, half, best) else best


def as_good(case: Case, outcome: Outcome, best: Outcome) -> bool:
    """Whether a replay gets all but as far as the one that gets furthest: margin is worth no more than that."""
    near = outcome.loss <= best.loss + (_AS_GOOD - 1) * abs(best.loss)
    return outcome.mends and (near or outcome.loss - best.loss <= _NOTHING * fall(case, best))


def scale_of(outcome: Outcome) -> float:
    """By how much the learning rate was multiplied."""
    return float(outcome.label.rsplit(" ", 1)[1])


def still_too_long(case: Case, found: Finding) -> Finding | None:
    """Whether the step is too long as well: with the fault found taken away, a shorter one gets much further."""
    alone, change = found.mended, found.removed
    if alone is None or change is None:
        return None
    # Of a loss that is never negative no step gets down twice as far as that.
    if alone.loss >= 0 and fall(case, alone) >= _HELD_UP * case.start_loss:
        return None
    probes = (scaled(case, scale, change) for scale in (1 / 4, 1 / 16))
    far = next((o for o in probes if o.survives and not fall(case, alone) >= _HELD_UP * fall(case, o)), None)
    if far is None:
        return None
    best = shorter(case, change) or far
    return Finding(
        Cause.BEYOND_STABILITY,
        found.step,
        "the step is too long as well: it holds the loss up when the first fault is gone",
        (tried(alone, case.training.first), tried(best, case.training.first)),
        (f"{tried(best, case.training.first)}",),
    )
