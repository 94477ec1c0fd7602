"""How a replay ended."""

import dataclasses

from .replay import Checkpoint, Ran


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a replay ended.

    Attributes:
        label: what was changed.
        start: the step from which it was made.
        first_odd: the step at which something was not finite; `None` for none.
        loss: at the end, of the batches that are always compared; NaN where it broke.
        peak: the highest loss on its way.
        mends: whether the trouble is gone.
        survives: finite, and the end below the start.
        end: where it came.
        ran: all of it.
    """

    label: str
    start: int
    first_odd: int | None
    loss: float
    peak: float
    mends: bool
    survives: bool
    end: Checkpoint
    ran: Ran
