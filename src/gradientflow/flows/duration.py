"""A time whose functions are known in place of its length: what a flow's closed form is proved with."""

import abc
from typing import Any


class Duration(abc.ABC):
    """The h of a flow's `solution(t, z, h)`, where its functions are to be told in place of computed.

    Closed forms are made of few functions of h, which ask it: `relaxed`, `damped_oscillation`, and the propagator of a
    vanishing friction.
    """

    @abc.abstractmethod
    def relaxed(self, rate: Any) -> Any:
        """∫₀ʰ e^{−rate·s} ds."""

    @abc.abstractmethod
    def damped_oscillation(self, a: Any, k: Any) -> tuple[Any, Any, Any]:
        r"""C, S and ∫S over h for $\ddot y + 2a\dot y + ky = 0$, with S(0) = 0, S'(0) = 1 and C = S' + aS."""

    @abc.abstractmethod
    def propagated_from_rest(self, lam: Any, r: Any) -> tuple[Any, Any, Any, Any]:
        r"""The propagator of $\ddot x + \tfrac rt\dot x + \lambda x = 0$ from t = 0, v = 0, row by row."""
