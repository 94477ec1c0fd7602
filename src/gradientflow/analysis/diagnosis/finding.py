"""What a check found: a cause, in words, with the evidence and what would have helped."""

import dataclasses

from .case import Outcome
from .causes import Cause


@dataclasses.dataclass(frozen=True)
class Finding:
    """A cause that evidence shows and a replay confirms.

    Attributes:
        cause: which.
        step: the step at which it began.
        says: why, in a sentence.
        evidence: what was measured, a sentence each.
        helps: what would have helped, each tried.
    """

    cause: Cause
    step: int
    says: str
    evidence: tuple[str, ...] = ()
    helps: tuple[str, ...] = ()


def tried(outcome: Outcome, start: int) -> str:
    """How a replay ended, in words."""
    whence = "from the start" if outcome.start == start else f"from step {outcome.start}"
    if outcome.first_odd is not None:
        return f"{outcome.label}, {whence}: not finite at step {outcome.first_odd}"
    return f"{outcome.label}, {whence}: loss {outcome.loss:.4g} at the end"
