"""The modes of a flow's energy: coordinates in which a linear flow falls apart."""

from collections.abc import Callable
from typing import Any, NamedTuple

from ..energies.quadratic import AbstractQuadratic, LinearEnergy, Mode
from ..flow import Flow, UnansweredQuestionError
from ..numerics import is_numeric


class Modes(NamedTuple):
    """Curvatures, and the changes of a vector to the coordinates in which they are those of the axes, and back."""

    lam: Any
    into: Callable[[Any], Any]
    back: Callable[[Any], Any]


def modes_of(flow: Flow, question: str) -> Modes:
    """The modes of a flow's quadratic energy; of a linear energy every coordinate is one, without curvature.

    Raises:
        UnansweredQuestionError: of the question, for any other energy.
    """
    energy = flow.energy
    if isinstance(energy, AbstractQuadratic):
        lam, modes = energy.modes
        return Modes(lam, lambda x: modes.T @ x, lambda x: modes @ x)
    if isinstance(energy, LinearEnergy):
        return Modes(0.0, _same, _same)
    if isinstance(energy, Mode) and is_numeric(energy.lam):
        return Modes(energy.lam, _same, _same)
    raise UnansweredQuestionError(flow, question, "no closed form is known for this energy")


def _same(x: Any) -> Any:
    return x
