"""Flows around another flow: they answer what that one answers, but for what they change."""

from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx

from .aliases import Position, State, StepLength, Time
from .energies.energy import Energy
from .flow import Flow
from .noise import Noise


class WrappedFlow(Flow):
    """A flow on another's states, on another clock say, that answers as it but for what it changes.

    A subclass has a field `flow`, names in `changes` the questions to which its answers are others, and defines those
    that it knows, the drift first of all. The rest of `changes` has no answer any more, or the general one.

    Attributes:
        flow: the flow inside.
        changes: names of the questions of `Flow`.
    """

    changes: ClassVar[frozenset[str]] = frozenset()

    flow: eqx.AbstractVar[Flow]

    @property
    def energy(self) -> Energy:  # pyright: ignore[reportIncompatibleVariableOverride]
        """That of the flow inside, as are all answers here."""
        return self.flow.energy

    @property
    def has_energy(self) -> bool:
        """Whether there is an energy."""
        return Flow.has_energy.__get__(self) if self._own("has_energy") else self.flow.has_energy

    @property
    def is_gradient_flow(self) -> bool:
        """Whether the drift is −∇E(x): not where it is another one."""
        return False if self._own("drift") or self._own("gradient") else self.flow.is_gradient_flow

    def init(self, x: Position) -> State:
        """The state at rest at the position x."""
        return self.flow.init(x)

    def position(self, z: State) -> Position:
        """The position of a state."""
        return self.flow.position(z)

    def drift(self, t: Time, z: State) -> State:
        """f(t, z)."""
        return self.flow.drift(t, z)

    def resolvent(self, t: Time, z: State, h: StepLength) -> State:
        """The y with y = z + h f(t, y)."""
        return Flow.resolvent(self, t, z, h) if self._own("resolvent") else self.flow.resolvent(t, z, h)

    def discrete_gradient_step(self, t: Time, z: State, h: StepLength, rule: Any) -> State:
        """The z' with z' = z + h f̄, f̄ the drift at the midpoint with a discrete gradient for ∇E."""
        asked = Flow.discrete_gradient_step.__get__(self) if self._own("drift") else None
        return (asked or self.flow.discrete_gradient_step)(t, z, h, rule)

    @property
    def parts(self) -> Mapping[str, Flow]:
        """The fields whose sum is the drift."""
        return Flow.parts.__get__(self) if self._own("parts") else self.flow.parts

    @property
    def noise(self) -> Noise | None:
        """What drives it beside the drift."""
        return Flow.noise.__get__(self) if self._own("noise") else self.flow.noise

    def solution(self, t: Time, z: State, h: StepLength) -> State:
        """The exact state at t + h."""
        return Flow.solution(self, t, z, h) if self._own("solution") else self.flow.solution(t, z, h)

    def check_start(self, t: Time, z: State) -> None:
        """Refuses states that the flow inside can't start from."""
        return Flow.check_start(self, t, z) if self._own("check_start") else self.flow.check_start(t, z)

    def velocity(self, z: State) -> Any:
        """What vanishes at rest, or `None`."""
        return Flow.velocity(self, z) if self._own("velocity") else self.flow.velocity(z)

    def residual(self, z: State) -> Any:
        """What vanishes where a position is stationary."""
        return Flow.residual(self, z) if self._own("residual") else self.flow.residual(z)

    def lyapunov(self, t: Time, z: State) -> Any:
        """What never rises along the flow."""
        return Flow.lyapunov(self, t, z) if self._own("lyapunov") else self.flow.lyapunov(t, z)

    def gradient(self, x: Position) -> Any:
        """∇E."""
        return Flow.gradient(self, x) if self._own("gradient") else self.flow.gradient(x)

    def _own(self, question: str) -> bool:
        return question in self.changes
