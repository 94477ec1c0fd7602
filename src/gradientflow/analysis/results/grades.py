"""How certain a result is. The grades are never mixed, and always shown."""

import abc
import enum
from collections.abc import Iterable

from .result import Result


class Grade(enum.StrEnum):
    """How certain a result is.

    Attributes:
        PROVED: exact arithmetic on exact input; a float is the dyadic rational that it is.
        CERTIFIED: a numerical certificate, checked again with a margin.
        MEASURED: computed in floating point, with its error.
        UNKNOWN: nothing could be said; a search that failed is this, and not a refutation.
        REFUTED: there is a counterexample.

    Example:
        >>> from gradientflow.analysis import Grade
        >>> print(Grade.PROVED)
        proved
    """

    PROVED = "proved"
    CERTIFIED = "certified"
    MEASURED = "measured"
    UNKNOWN = "unknown"
    REFUTED = "refuted"


# From the most certain down; a refutation is certain, but of the opposite.
_ORDER = (Grade.PROVED, Grade.CERTIFIED, Grade.MEASURED, Grade.UNKNOWN)


def weakest(grades: Iterable[Grade]) -> Grade:
    """The grade of several things together: refuted if one is, else that of the least certain; of nothing, unknown."""
    found = list(grades)
    if not found:
        return Grade.UNKNOWN
    return Grade.REFUTED if Grade.REFUTED in found else max(found, key=_ORDER.index)


class Graded(Result, abc.ABC):
    """A result that works its grade out."""

    @property
    @abc.abstractmethod
    def grade(self) -> Grade:
        """How certain it is."""


class Measured(Graded):
    """A result whose numbers are computed in floating point throughout."""

    @property
    def grade(self) -> Grade:
        """Measured: floating point, from beginning to end."""
        return Grade.MEASURED
