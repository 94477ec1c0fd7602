"""How certain a result is. The grades are never mixed, and always shown."""

import enum


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
