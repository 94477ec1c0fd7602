"""How a trajectory ended, in a word that can be compared and a sentence that can be read."""

import dataclasses
import enum


class Outcome(enum.StrEnum):
    """The ways in which a trajectory can end."""

    CONVERGED = "converged"
    REACHED_END = "reached the end"
    DIVERGED = "diverged"
    OUT_OF_STEPS = "out of steps"
    PRECISION_FLOOR = "precision floor"
    RUNNING_OFF = "running off with falling energy"


@dataclasses.dataclass(frozen=True)
class Status:
    """How a trajectory ended.

    Attributes:
        outcome: what happened; it equals its name, `status.outcome == "converged"`.
        detail: the sentence that says why, with figures.
        step: the first bad step of an iteration that diverged, else `None`.
    """

    outcome: Outcome
    detail: str = ""
    step: int | None = None

    def __str__(self) -> str:
        """The outcome, and the step where there is one."""
        return f"{self.outcome} at step {self.step}" if self.step is not None else str(self.outcome)

    @property
    def ok(self) -> bool:
        """Whether the trajectory got where it was sent."""
        return self.outcome in (Outcome.CONVERGED, Outcome.REACHED_END)
