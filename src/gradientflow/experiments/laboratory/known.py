"""What the package knows of a method at the energy's minimum, in words, each with its grade."""

import dataclasses
import math
from typing import Any

from gradientflow.analysis.exact.leaf import NotExactError
from gradientflow.analysis.linear_stability import stability
from gradientflow.discretizers import ConstantStep, Method, as_step_rule
from gradientflow.flows import UnansweredQuestionError
from gradientflow.flows.catalogue.adaptive.held import AdaptiveFlow


@dataclasses.dataclass(frozen=True)
class Known:
    """The longest stable step of a method.

    Attributes:
        limit: in the number that the method calls its step; `None` where nothing could be said.
        grade: how certain.
        words: what it means.
    """

    limit: float | None
    grade: str
    words: str


def known_of(method: Method, at: Any) -> Known:
    """The longest step with which a method stays at the minimum `at`, by `stability`."""
    if at is None:
        return Known(None, "unknown", "no minimum is known of this energy, at which a step could be too long")
    if isinstance(method.flow, AdaptiveFlow):
        return Known(None, "unknown", "its step adapts: how long it may be depends on the way that it came")
    if not isinstance(as_step_rule(method.step), ConstantStep):
        return Known(None, "unknown", "its step changes: a rule chooses it on the way")
    try:
        found = stability(method, at=at)
    except (ValueError, TypeError, NotExactError, UnansweredQuestionError):
        return Known(None, "unknown", "how long its step may be is not known here")
    limit, local = found.limit, " near this minimum" if found.is_local else ""
    if method.named is not None and "lr" in method.parameters:
        # The limit of another number than the one that is turned would mislead.
        if found.lr_limit is None:
            return Known(None, "unknown", "its limit is known in the flow's step only, not in its learning rate")
        limit = found.lr_limit
    if math.isinf(limit):
        return Known(limit, str(found.grade), f"every step is stable{local}")
    if limit <= 0:
        return Known(None, str(found.grade), "no step of one length, however short, comes to rest at this minimum")
    return Known(float(limit), str(found.grade), f"stable{local} up to")
