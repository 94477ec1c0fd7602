"""The step of a trust region, read from how well a model of the energy foretold the last one."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from gradientflow.flows import (
    Flow,
    check_fraction,
    check_integer,
    check_positive,
    dtype_of,
    inner,
    is_concrete,
    l2_norm,
)
from gradientflow.flows.aliases import State, Time

from ..discretizer import Discretizer
from ..step_rule import StepRule
from .line import Line, check_searchable, rounding


class TrustRegionStep(StepRule):
    r"""A trust region along the flow: of the steps with $\|h\dot x\| \le \Delta$ the best of a model, if E confirms it.

    The model is of second order, $m(h) = E + h\langle\nabla E, \dot x\rangle + h^2\langle\dot x, H\dot x\rangle/2$,
    by a Hessian-vector product; for the gradient flow its best is the Cauchy point. Let ρ be the decrease of E over
    that of m. If ρ < `accept` there is no step: Δ becomes `shrink` times the one that failed, and another is tried at
    once. If ρ ≥ `good` at the edge of the region, Δ grows. So E never rises.

    Energies that are not finite count as too high. Where the model's decrease is below rounding, ρ means nothing: a
    step to where the computed E is no higher is taken, and Δ stays. If no trial is accepted the step is 0, as it is at
    a stationary point.

    Args:
        radius: Δ at the start [X].
        accept: 0 < η₁ < 1, the least ρ of a step that is taken.
        good: η₁ ≤ η₂ < 1, the ρ from which on Δ grows.
        shrink: 0 < γ₁ < 1.
        grow: γ₂ > 1.
        trials: the most steps to try at a time; with 1 a failure is a step of 0, as in the textbook's algorithm.

    Raises:
        ValueError: if a number is out of its range, or `good` below `accept`.
        TypeError: if `trials` is not an integer; when it runs, if the scheme has memory or the flow noise.

    References:
        A. R. Conn, N. I. M. Gould, Ph. L. Toint, Trust-Region Methods, 2000, algorithm 6.1.1 and section 6.3.

    Example:
        >>> import gradientflow as gf
        >>> rule = gf.TrustRegionStep(radius=1.0)
        >>> run = gf.optimizers.gradient_descent(gf.landscapes.rosenbrock(), rule).iterate([-2.0, 3.0], steps=200)
        >>> bool((run.energy[1:] <= run.energy[:-1]).all())
        True
    """

    equation: ClassVar[str] = "the best h of a quadratic model with ‖hẋ‖ ≤ Δ, Δ adapted"
    radius: Any
    accept: Any
    good: Any
    shrink: Any
    grow: Any
    trials: Any

    def __init__(
        self, radius: Any, accept: Any = 0.1, good: Any = 0.75, shrink: Any = 0.5, grow: Any = 2.0, trials: Any = 100
    ) -> None:
        check_positive("TrustRegionStep", radius=radius, accept=accept, shrink=shrink, grow=grow)
        check_fraction("TrustRegionStep", accept=accept, good=good, shrink=shrink)
        check_integer("TrustRegionStep", 1, trials=trials)
        if is_concrete(accept, good) and good < accept:
            raise ValueError(
                f"TrustRegionStep: `good` must be at least accept = {accept}, got {good}; 0.75 is customary"
            )
        if is_concrete(grow) and grow <= 1:
            raise ValueError(f"TrustRegionStep: `grow` must be above 1, got {grow}; the radius would never recover")
        self.radius, self.accept, self.good = radius, accept, good
        self.shrink, self.grow, self.trials = shrink, grow, trials

    def init(self, flow: Flow, discretizer: Discretizer, t: Time, z: State) -> Any:
        """Δ; refuses schemes with memory and flows with noise."""
        check_searchable("TrustRegionStep", flow, discretizer, t, z)
        return jnp.asarray(self.radius, dtype_of(z))

    def __call__(self, flow: Flow, discretizer: Discretizer, t: Time, z: State, rule_state: Any) -> tuple[Any, Any]:
        """The first step that E confirms, and the next Δ."""
        return _trust(self, Line(flow, discretizer, t, z), rule_state)


@eqx.filter_jit
def _trust(rule: TrustRegionStep, line: Line, radius: jax.Array) -> tuple[jax.Array, jax.Array]:
    # h times the pace of ẋ, and ẋ over it: its square may overflow.
    energy, slope, pace = line.start()
    x, velocity = line.velocity()
    velocity = jax.tree.map(lambda leaf: leaf / pace.astype(leaf.dtype), velocity)
    speed, bend = l2_norm(velocity), inner(velocity, line.flow.energy.hvp(x, velocity))
    descends = (slope < 0) & (speed > 0)
    lowest = line.length(jnp.where(bend > 0, -slope / jnp.where(bend > 0, bend, 1), jnp.inf))
    accept, shrink = line.length(rule.accept), line.length(rule.shrink)

    def propose(region: Any) -> Any:
        """The model's step within a region, its decrease in the model, and that of E."""
        h = jnp.where(descends, jnp.minimum(lowest, region / jnp.where(descends, speed, 1)), 0)
        return h, -h * (slope + h * bend / 2), energy - line.value(h / pace)

    def confirmed(proposal: Any) -> Any:
        _, predicted, actual = proposal
        return jnp.where(predicted > rounding(energy), actual >= accept * predicted, actual >= 0)

    def shrunk(region: Any, proposal: Any) -> Any:
        return shrink * jnp.minimum(region, proposal[0] * speed)

    def retry(trial: Any) -> Any:
        region, proposal, tried = trial
        region = shrunk(region, proposal)
        return region, propose(region), tried + 1

    def goes_on(trial: Any) -> Any:
        return ~confirmed(trial[1]) & (trial[2] < rule.trials)

    first = propose(radius)
    region, last, _ = jax.lax.while_loop(goes_on, retry, (radius, first, 1))
    h, predicted, actual = last
    right = (h < lowest) & (actual >= line.length(rule.good) * predicted)
    following = jnp.where(confirmed(last), jnp.where(right, rule.grow * region, region), shrunk(region, last))
    judged = first[1] > rounding(energy)
    return jnp.where(confirmed(last), h / pace, 0), jnp.where(judged, following, radius).astype(radius.dtype)
