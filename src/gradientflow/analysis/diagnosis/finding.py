"""What a check found: a cause, in words, with the evidence and what would have helped."""

import dataclasses

import numpy as np

from .case import Case
from .causes import Cause
from .outcome import Outcome
from .replay import Change


@dataclasses.dataclass(frozen=True)
class Finding:
    """A cause that evidence shows and a replay confirms.

    Attributes:
        cause: which.
        step: the step at which it began.
        says: why, in a sentence.
        evidence: what was measured, a sentence each.
        helps: what would have helped, each tried.
        removed: the change that takes it away, for what else may be wrong.
        mended: the replay with that change.
        alone: whether the run does well with it, and nothing else, taken away.
    """

    cause: Cause
    step: int
    says: str
    evidence: tuple[str, ...] = ()
    helps: tuple[str, ...] = ()
    removed: Change | None = None
    mended: Outcome | None = None
    alone: bool = True


def tried(outcome: Outcome, start: int) -> str:
    """How a replay ended, in words."""
    whence = "from the start" if outcome.start == start else f"from step {outcome.start}"
    if outcome.first_odd is not None:
        return f"{outcome.label}, {whence}: not finite at step {outcome.first_odd}"
    return f"{outcome.label}, {whence}: loss {outcome.loss:.4g} at the end"


def slower(case: Case) -> list[Outcome]:
    """Shorter steps from the last good checkpoint, until one mends it."""
    out: list[Outcome] = []
    if case.odd_at_once:
        return out
    for scale in (0.5, 0.25, 1 / 16, 1 / 256):
        out.append(case.replay(Change(f"learning rate × {scale:.4g}", scale=scale)))
        if out[-1].mends:
            return out
    if case.safe_scale > 0:
        out.append(case.replay(Change(f"learning rate × {case.safe_scale:.4g}", scale=case.safe_scale)))
    return out


def same_place(case: Case) -> bool:
    """Whether shorter steps break too, after so many more of them: then it is the place, and not the step."""
    if case.ran.first_odd is None:
        return False
    way = case.ran.first_odd - case.good.k
    tries = [o for o in slower(case) if o.first_odd is not None][:2]
    lengths = [o.first_odd - o.start for o in tries if o.first_odd is not None]
    return (
        way > 3
        and len(lengths) == 2
        and all(0.6 < length / (way * more) < 1.7 for length, more in zip(lengths, (2, 4), strict=True))
    )


def clipped_helps(case: Case) -> tuple[str, ...]:
    """How a clipped gradient would have helped, in words; nothing where it would not."""
    place = case.step - case.training.first
    before = case.ran.norm("gradient")[max(0, place - 30) : max(1, place - 2)]
    before = before[np.isfinite(before)]
    if not len(before):
        return ()
    level = float(np.median(before))
    clipped = case.replay(Change(f"gradient clipped at {level:.3g}", clip=level))
    return (f"tried: {tried(clipped, case.training.first)}",) if clipped.mends else ()
