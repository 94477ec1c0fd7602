"""The modes of a flow's energy: coordinates in which a linear flow falls apart."""

from ..energies.energy import Modes
from ..flow import Flow, UnansweredQuestionError


def modes_of(flow: Flow, question: str) -> Modes:
    """The modes of a flow's quadratic energy; of a linear energy every coordinate is one, without curvature.

    Raises:
        UnansweredQuestionError: of the question, for any other energy.
    """
    if (modes := flow.energy.modes) is None:
        raise UnansweredQuestionError(flow, question, "no closed form is known for this energy")
    return modes
