"""How certain a result is. The grades are never mixed, and always shown."""

import abc
import dataclasses
import enum
from collections.abc import Iterable


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


class Graded(abc.ABC):
    """A result: it says how certain it is, and its `repr` shows it."""

    @property
    @abc.abstractmethod
    def grade(self) -> Grade:
        """How certain it is."""

    def __repr__(self) -> str:
        """What it is, its grade, and its fields: numbers and words as they are, arrays by their shape."""
        lines = [f"{type(self).__name__}, {self.grade}"]
        for field in dataclasses.fields(self):  # pyright: ignore[reportArgumentType]
            value = getattr(self, field.name)
            shape = getattr(value, "shape", ())
            lines.append(f"  {field.name}: {f'array of shape {shape}' if shape else value}")
        return "\n".join(lines)


class Measured(Graded):
    """A result whose numbers are computed in floating point throughout."""

    @property
    def grade(self) -> Grade:
        """Measured: floating point, from beginning to end."""
        return Grade.MEASURED
