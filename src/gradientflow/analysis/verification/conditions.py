"""Under which conditions a claim is made, tested on what was asked."""

import dataclasses
from fractions import Fraction
from typing import Any, NamedTuple

from gradientflow.flows import AbstractQuadratic, Energy
from gradientflow.flows.inheriting import owners_of

from ..exact.algebra import solution_near
from ..exact.trial import is_shipped
from ..linear_stability.curvature import Curvatures, exact_hessian, exact_linear
from ..results.grades import Grade
from .claims import Claim


class Condition(NamedTuple):
    """A condition, tested.

    Attributes:
        words: the condition.
        holds: whether it holds; `None` where that is not known.
        found: what was found instead, where it doesn't hold or isn't known.
    """

    words: str
    holds: bool | None
    found: str


def under(claim: Claim, *conditions: Condition) -> Claim:
    """The claim where its conditions hold; else that it does not apply, or that this is not known.

    Its false sibling stays: it tells of the code, not of what was asked.
    """
    for condition in sorted(conditions, key=lambda condition: condition.holds is None):
        if condition.holds is None:
            reason = f"it is proved where {condition.words}; {condition.found}"
            return dataclasses.replace(claim, grade=Grade.UNKNOWN, reason=reason, applies=None)
        if not condition.holds:
            reason = f"{condition.found}, and it is made where {condition.words}"
            return dataclasses.replace(claim, grade=Grade.UNKNOWN, reason=reason, applies=False)
    return claim


@dataclasses.dataclass(frozen=True)
class Asked:
    """What is known of the energy that was asked about.

    Attributes:
        energy: the energy.
        curvatures: its curvatures, if it is a quadratic.
    """

    energy: Energy
    curvatures: Curvatures | None

    @property
    def quadratic(self) -> Condition:
        """Whether it is a quadratic."""
        words, holds = "E is a quadratic", self.energy.is_quadratic
        if holds and not is_shipped(owners_of(type(self.energy), "is_quadratic")[0]):
            return Condition(words, None, "that this E is one nobody says but its own class")
        return Condition(words, holds, "E is no quadratic that the package knows as one")

    @property
    def convex(self) -> Condition:
        """Whether it is convex, and has a minimizer."""
        holds, found = self._above(Fraction(0))
        rests = _rests(self.energy) if isinstance(self.energy, AbstractQuadratic) else True
        if holds and not rests:
            holds, found = rests, "E has no minimizer" if rests is False else "whether this E has one is not known"
        return Condition("E is convex and has a minimizer", holds, found)

    @property
    def differentiable(self) -> Condition:
        """Whether it has neither kinks nor walls."""
        holds = self.energy.kinks is None
        return Condition("E is differentiable", holds, "E has a part that is not")

    def strongly_convex(self, mu: Any = 0, words: str = "E is strongly convex") -> Condition:
        """Whether it is strongly convex: of every μ > 0, or of a given one."""
        holds, found = self._above(Fraction(mu), strictly=not mu)
        return Condition(words, holds, found)

    @property
    def invertible(self) -> Condition:
        """Whether its Hessian is invertible, everywhere."""
        words = "the Hessian is invertible"
        if self.curvatures is None:
            return Condition(words, None, "of this E that is not known")
        definite = self.curvatures.least[0] > 0 or self.curvatures.greatest[1] < 0
        singular = self.curvatures.least == (0, 0) or self.curvatures.greatest == (0, 0)
        holds = True if definite else False if singular else None
        return Condition(words, holds, "E has a flat mode" if singular else "of this E that is not known")

    def _above(self, mu: Fraction, strictly: bool = False) -> tuple[bool | None, str]:
        """Whether no curvature is below μ, nor equal to it if so asked."""
        if self.curvatures is not None:
            low, high = self.curvatures.least
        elif (bound := self.energy.curvature) is not None:
            low, high = Fraction(float(bound.mu)), None
        else:
            return None, "no bound says that of this E"
        if low > mu or (low == mu and not strictly):
            return True, ""
        if high is not None and (high < mu or (high == mu and strictly)):
            return False, f"the least curvature of E is {float(high):.6g}"
        return None, f"of this E it is known only that no curvature is below {float(low):.6g}"


def _rests(energy: AbstractQuadratic) -> bool | None:
    """Whether ∇E vanishes anywhere, decided exactly; `None` where the quadratic is too large for that."""
    if energy.minimizer is not None:
        return True
    hessian, linear = exact_hessian(energy), exact_linear(energy)
    if hessian is None or linear is None:
        return None
    equations = [[*row, -entry] for row, entry in zip(hessian, linear, strict=True)]
    return solution_near(equations, [Fraction(0)] * len(linear)) is not None


def number(name: str, words: str, value: Any, holds: bool) -> Condition:
    """A condition on a flow's parameter."""
    return Condition(words, holds, f"here {name} is {float(value):.6g}")
