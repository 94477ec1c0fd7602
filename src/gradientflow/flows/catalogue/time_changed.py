"""Flows in another time."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from ..aliases import Increment, State, StepLength, Time
from ..checks import in_a_line
from ..flow import Flow, Parts, exact_transition
from ..noise import Noise
from ..wrapped import WrappedFlow


class TimeChangedFlow(WrappedFlow):
    r"""A flow run on another clock: $\dot z = s'(t)\,f(s(t), z)$, so that $z(t)$ is the flow's state at s(t).

    The same path at another speed: every rate becomes another function of t, and the order of methods that reach a
    point first becomes whatever the clock says. A learning-rate schedule is one: forward Euler with steps h_k is
    forward Euler with step 1 on the clock whose slope over [k, k + 1) is h_k.

    Args:
        flow: the flow.
        clock: t ↦ s(t), increasing, written with `jax.numpy`.

    Raises:
        TypeError: if `flow` is no flow or `clock` is not a function.

    References:
        A. Wibisono, A. C. Wilson, M. I. Jordan, A variational perspective on accelerated methods in optimization, PNAS
        113, 2016: time dilation.

    Example:
        >>> import gradientflow as gf
        >>> slow = gf.TimeChangedFlow(gf.GradientFlow(gf.Mode(1.0)), lambda t: t**2)
        >>> float(slow.drift(3.0, 1.0))
        -6.0
    """

    equation: ClassVar[str] = "ż = s'(t) f(s(t), z)"
    changes: ClassVar[frozenset[str]] = frozenset(
        ("drift", "resolvent", "discrete_gradient_step", "parts", "noise", "solution", "check_start", "lyapunov")
    )
    flow: Flow
    clock: Callable[[Any], Any]

    def __init__(self, flow: Any, clock: Any) -> None:
        if not isinstance(flow, Flow):
            raise TypeError(
                f"TimeChangedFlow: `flow` must be a flow such as GradientFlow(energy), got {in_a_line(flow)}"
            )
        if not callable(clock):
            raise TypeError(f"TimeChangedFlow: `clock` must be a function t -> s(t), got {in_a_line(clock)}")
        self.flow, self.clock = flow, clock

    def check_start(self, t: Time, z: State) -> None:
        """The flow's own, at s(t)."""
        self.flow.check_start(self.clock(t), z)

    def drift(self, t: Time, z: State) -> State:
        """s'(t) f(s(t), z)."""
        s, speed = self._at(t)
        return speed * self.flow.drift(s, z)

    def resolvent(self, t: Time, z: State, h: StepLength) -> State:
        """The flow's own over h·s'(t)."""
        s, speed = self._at(t)
        return self.flow.resolvent(s, z, h * speed)

    def discrete_gradient_step(self, t: Time, z: State, h: StepLength, rule: Any) -> State:
        """The flow's own over h·s', s' and the time being those of the step's middle."""
        s, speed = self._at(t + h / 2)
        return self.flow.discrete_gradient_step(s - h * speed / 2, z, h * speed, rule)

    @property
    def parts(self) -> Mapping[str, Flow]:
        """The flow's own, each on the clock."""
        return Parts(self, **{name: TimeChangedFlow(part, self.clock) for name, part in self.flow.parts.items()})

    @property
    def noise(self) -> Noise | None:
        """√s'(t) σ(s(t), z) dW; its transition is the flow's own from s(t) to s(t + h)."""
        own = self.flow.noise
        if own is None:
            return None
        transition = None if own.transition is None else self._transition
        return Noise(own.shape, self._sigma, own.additive, own.parts, transition)

    def _sigma(self, t: Time, z: State) -> Callable[[Any], Any]:
        s, speed = self._at(t)
        spread = self.flow.diffusion(s, z)
        return lambda increment: jnp.sqrt(speed) * spread(increment)

    def solution(self, t: Time, z: State, h: StepLength) -> State:
        """The flow's own from s(t) to s(t + h)."""
        s = self.clock(t)
        return self.flow.solution(s, z, self.clock(t + h) - s)

    def _transition(self, t: Time, z: State, h: StepLength, noise: Increment) -> Any:
        s = self.clock(t)
        length = self.clock(t + h) - s
        stretched = jax.tree.map(lambda increment: increment * jnp.sqrt(length / h), noise)
        return exact_transition(self.flow, s, z, length, stretched)

    def lyapunov(self, t: Time, z: State) -> Any:
        """The flow's own, at s(t)."""
        return self.flow.lyapunov(self.clock(t), z)

    def _at(self, t: Time) -> tuple[Any, Any]:
        t = jnp.asarray(t, jnp.result_type(float, t))
        return jax.jvp(self.clock, (t,), (jnp.ones_like(t),))
