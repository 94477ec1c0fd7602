"""A rule's step, cut where it would move too far."""

from typing import Any, ClassVar

import jax.numpy as jnp

from gradientflow.flows import (
    Flow,
    check_positive,
    l2_norm,
)
from gradientflow.flows.aliases import State, Time

from ..discretizer import Discretizer
from ..step_rule import StepRule, as_step_rule


class ClippedStep(StepRule):
    r"""Another rule's step, shortened so that the state moves no further than a radius: $\|h f(t, z)\| \le r$.

    A trust region of fixed size. The norm is Euclidean, over all leaves of the state. Not the same as
    `ClippedGradient`, which bounds ‖∇E‖ whatever the step.

    Args:
        rule: a number h [T], a schedule or a step rule.
        radius: r, in units of the state.

    Raises:
        ValueError: if a number is not finite and positive.
        TypeError: if `rule` is none of these.

    References:
        R. Pascanu, T. Mikolov, Y. Bengio, On the difficulty of training recurrent neural networks, ICML 2013.

    Example:
        >>> import gradientflow as gf
        >>> E = gf.Quadratic([[6.0, 0.0], [0.0, 8.0]])  # ∇E(1, 1) = (6, 8): the step of 0.2 is 2 long
        >>> run = gf.optimizers.gradient_descent(E, gf.ClippedStep(0.2, radius=1.5)).iterate([1.0, 1.0], steps=1)
        >>> round(float(run.t[-1]) / 0.2, 6)
        0.75
    """

    equation: ClassVar[str] = "another rule's h·min(1, r/‖h f(z)‖)"
    rule: StepRule
    radius: Any

    def __init__(self, rule: Any, radius: Any) -> None:
        check_positive("ClippedStep", radius=radius)
        self.rule, self.radius = as_step_rule(rule), radius

    def init(self, flow: Flow, discretizer: Discretizer, t: Time, z: State) -> Any:
        """The rule's."""
        return self.rule.init(flow, discretizer, t, z)

    def __call__(self, flow: Flow, discretizer: Discretizer, t: Time, z: State, rule_state: Any) -> tuple[Any, Any]:
        """The rule's step, or radius/‖f‖."""
        h, rule_state = self.rule(flow, discretizer, t, z, rule_state)
        speed = l2_norm(flow.drift(t, z))
        return jnp.minimum(h, jnp.where(speed > 0, self.radius / jnp.where(speed > 0, speed, 1), h)), rule_state
