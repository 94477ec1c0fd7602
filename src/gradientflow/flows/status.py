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


@dataclasses.dataclass(frozen=True, eq=False)
class Status:
    """How a trajectory ended; it equals another with the same fields, and the name of its outcome.

    Attributes:
        outcome: what happened.
        detail: the sentence that says why, with figures.
        step: the first bad step of an iteration that diverged, else `None`.
    """

    outcome: Outcome
    detail: str = ""
    step: int | None = None

    def __str__(self) -> str:
        """The outcome, and the step where there is one."""
        return f"{self.outcome} at step {self.step}" if self.step is not None else str(self.outcome)

    def __eq__(self, other: object) -> bool:
        """`status == "converged"`, or all fields equal."""
        if isinstance(other, Status):
            return dataclasses.astuple(self) == dataclasses.astuple(other)
        return self.outcome == other

    def __hash__(self) -> int:
        """That of the outcome's name, which it equals."""
        return hash(self.outcome)

    @property
    def ok(self) -> bool:
        """Whether the trajectory got where it was sent."""
        return self.outcome in (Outcome.CONVERGED, Outcome.REACHED_END)
