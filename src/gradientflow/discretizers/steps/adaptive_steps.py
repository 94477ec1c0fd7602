"""Adaptive steps: step rules that read the step from energies and gradients that the iteration has come past."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from gradientflow.flows import (
    Flow,
    check_energy,
    check_fraction,
    check_integer,
    check_number,
    check_positive,
    dtype_of,
    inner,
    inner_ratio,
    is_concrete,
    l2_norm,
    lift,
    scaled_to_unit,
)

from ..discretizer import Discretizer
from ..step_rule import StepRule, as_step_rule
from .line import Line, check_searchable, rounding


class PolyakStep(StepRule):
    r"""Polyak's step: $h = (E(x) - E^*)/\|\nabla E(x)\|^2$, 0 where the gradient is.

    With forward Euler of the gradient flow, on convex energies, the distance to every minimizer falls: it is the h that
    minimizes the bound $\|x' - x^*\|^2 \le \|x - x^*\|^2 - 2h(E - E^*) + h^2\|\nabla E\|^2$. On ½λ(x − x*)² it halves
    the distance. An energy below E* counts as E*.

    Args:
        minimum: E*, the least value of E; what the energy knows of itself unless given.
        longest: a step that is never exceeded [T]; `None` is no limit.

    Raises:
        ValueError: if `minimum` is not finite, or `longest` not finite and positive; when it runs, if no minimum is
            given and the energy knows none.

    References:
        B. T. Polyak, Minimization of unsmooth functionals, USSR Comput. Math. Math. Phys. 9, 1969.

    Example:
        >>> import gradientflow as gf
        >>> E = gf.energy(lambda x: (x - 3) ** 2 / 2, minimum=0.0)
        >>> gf.optimizers.gradient_descent(E, gf.PolyakStep()).iterate(0.0, steps=3).x.tolist()
        [0.0, 1.5, 2.25, 2.625]
    """

    equation: ClassVar[str] = "h = (E(x) − E*)/‖∇E(x)‖²"
    minimum: Any
    longest: Any

    def __init__(self, minimum: Any = None, longest: Any = None) -> None:
        if minimum is not None:
            check_number("PolyakStep", minimum=minimum)
            if is_concrete(minimum) and not np.isfinite(minimum):
                raise ValueError(f"PolyakStep: `minimum` must be finite, got {minimum}; it is the least value of E")
        if longest is not None:
            check_positive("PolyakStep", longest=longest)
        self.minimum, self.longest = minimum, longest

    def known(self, flow: Flow) -> "PolyakStep":
        """With E*, asked for once: an energy may have to solve for it.

        Raises:
            ValueError: if it is not known.
            TypeError: of a field without an energy.
        """
        check_energy("PolyakStep", flow, "the step is found from its value: give a step size")
        minimum = flow.energy.minimum if self.minimum is None else self.minimum
        if minimum is None:
            name = type(flow.energy).__name__
            raise ValueError(f"PolyakStep: the minimum of {name} is not known; give `minimum`, the least value of E")
        return PolyakStep(minimum, self.longest)

    def init(self, flow: Flow, discretizer: Discretizer, t: Any, z: Any) -> Any:
        """E*."""
        return jnp.asarray(self.known(flow).minimum, dtype_of(z))

    def __call__(self, flow: Flow, discretizer: Discretizer, t: Any, z: Any, rule_state: Any) -> tuple[Any, Any]:
        """(E − E*)/‖∇E‖², or `longest`."""
        x = flow.position(z)
        gradient = flow.energy.grad(x)
        unit, scale = scaled_to_unit(gradient)
        square = inner(unit, unit)
        above = jnp.maximum(flow.energy.value(x) - rule_state, 0)
        h = jnp.where(square > 0, above / scale / jnp.where(square > 0, square, 1) / scale, 0)
        return h if self.longest is None else jnp.minimum(h, self.longest), rule_state


class Secant(eqx.Module):
    """What a Barzilai–Borwein step remembers.

    Attributes:
        x: the position of the last step, as a vector.
        gradient: ∇E there.
        h: the last step.
    """

    x: Any
    gradient: Any
    h: Any

    def differences(self, x: Any, gradient: Any) -> tuple[Any, Any]:
        """The differences s of the positions and y of the gradients."""
        return x - self.x, gradient - self.gradient


def _here(flow: Flow, z: Any, h: Any) -> Secant:
    x = lift(flow.position(z))
    return Secant(x, flow.gradient(x), jnp.asarray(h, dtype_of(z)))


class BarzilaiBorweinLong(StepRule):
    r"""The long Barzilai–Borwein step: $h = \langle s, s\rangle/\langle s, y\rangle$ of the last differences.

    These are $s = x - x_{-1}$ of the positions and $y = \nabla E(x) - \nabla E(x_{-1})$ of the gradients.
    The h for which $s/h$ is nearest to y: on quadratics the inverse of a mean curvature, and the exact line search's
    step of one step before. E does not fall at every step. In two dimensions, on quadratics, gradients fall faster than
    any geometric sequence. Where ⟨s, y⟩ is not positive, the last step again.

    Args:
        initial: the first step [T].

    Raises:
        ValueError: if it is not finite and positive.

    References:
        J. Barzilai, J. M. Borwein, Two-point step size gradient methods, IMA J. Numer. Anal. 8, 1988.

    Example:
        >>> import gradientflow as gf
        >>> rule = gf.BarzilaiBorweinLong(initial=0.1)
        >>> gf.optimizers.gradient_descent(gf.landscapes.bowl(), rule).iterate([3.0, 1.0], steps=20).status.outcome
        <Outcome.CONVERGED: 'converged'>
    """

    equation: ClassVar[str] = "h = ⟨s, s⟩/⟨s, y⟩, s and y the last differences of x and ∇E"
    initial: Any

    def __init__(self, initial: Any) -> None:
        check_positive("BarzilaiBorweinLong", initial=initial)
        self.initial = initial

    def init(self, flow: Flow, discretizer: Discretizer, t: Any, z: Any) -> Secant:
        """The start itself as the last position: without a difference the first step is taken again."""
        return _here(flow, z, self.initial)

    def __call__(self, flow: Flow, discretizer: Discretizer, t: Any, z: Any, rule_state: Any) -> tuple[Any, Any]:
        """⟨s, s⟩/⟨s, y⟩."""
        here = _here(flow, z, rule_state.h)
        s, y = rule_state.differences(here.x, here.gradient)
        ratio = inner_ratio(s, s, s, y)
        h = jnp.where(ratio > 0, ratio, here.h)
        return h, Secant(here.x, here.gradient, h)


class BarzilaiBorweinShort(StepRule):
    r"""The short Barzilai–Borwein step: $h = \langle s, y\rangle/\langle y, y\rangle$ of the last differences.

    These are $s = x - x_{-1}$ of the positions and $y = \nabla E(x) - \nabla E(x_{-1})$ of the gradients.
    The h for which $hy$ is nearest to s; never longer than the long one. Where ⟨s, y⟩ is not positive, the last step
    again.

    Args:
        initial: the first step [T].

    Raises:
        ValueError: if it is not finite and positive.

    References:
        J. Barzilai, J. M. Borwein, Two-point step size gradient methods, IMA J. Numer. Anal. 8, 1988.

    Example:
        >>> import gradientflow as gf
        >>> rule = gf.BarzilaiBorweinShort(initial=0.1)
        >>> gf.optimizers.gradient_descent(gf.landscapes.bowl(), rule).iterate([3.0, 1.0], steps=20).status.outcome
        <Outcome.CONVERGED: 'converged'>
    """

    equation: ClassVar[str] = "h = ⟨s, y⟩/⟨y, y⟩, s and y the last differences of x and ∇E"
    initial: Any

    def __init__(self, initial: Any) -> None:
        check_positive("BarzilaiBorweinShort", initial=initial)
        self.initial = initial

    def init(self, flow: Flow, discretizer: Discretizer, t: Any, z: Any) -> Secant:
        """The start itself as the last position: without a difference the first step is taken again."""
        return _here(flow, z, self.initial)

    def __call__(self, flow: Flow, discretizer: Discretizer, t: Any, z: Any, rule_state: Any) -> tuple[Any, Any]:
        """⟨s, y⟩/⟨y, y⟩."""
        here = _here(flow, z, rule_state.h)
        s, y = rule_state.differences(here.x, here.gradient)
        ratio = inner_ratio(s, y, y, y)
        h = jnp.where(ratio > 0, ratio, here.h)
        return h, Secant(here.x, here.gradient, h)


class TrustRegion(StepRule):
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
        >>> rule = gf.TrustRegion(radius=1.0)
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
        check_positive("TrustRegion", radius=radius, accept=accept, shrink=shrink, grow=grow)
        check_fraction("TrustRegion", accept=accept, good=good, shrink=shrink)
        check_integer("TrustRegion", 1, trials=trials)
        if is_concrete(accept, good) and good < accept:
            raise ValueError(f"TrustRegion: `good` must be at least accept = {accept}, got {good}; 0.75 is customary")
        if is_concrete(grow) and grow <= 1:
            raise ValueError(f"TrustRegion: `grow` must be above 1, got {grow}; the radius would never recover")
        self.radius, self.accept, self.good = radius, accept, good
        self.shrink, self.grow, self.trials = shrink, grow, trials

    def init(self, flow: Flow, discretizer: Discretizer, t: Any, z: Any) -> Any:
        """Δ; refuses schemes with memory and flows with noise."""
        check_searchable("TrustRegion", flow, discretizer, t, z)
        return jnp.asarray(self.radius, dtype_of(z))

    def __call__(self, flow: Flow, discretizer: Discretizer, t: Any, z: Any, rule_state: Any) -> tuple[Any, Any]:
        """The first step that E confirms, and the next Δ."""
        return _trust(self, Line(flow, discretizer, t, z), rule_state)


@eqx.filter_jit
def _trust(rule: TrustRegion, line: Line, radius: jax.Array) -> tuple[jax.Array, jax.Array]:
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


class ClippedStep(StepRule):
    r"""Another rule's step, shortened so that the state moves no further than a radius: $\|h f(t, z)\| \le r$.

    A trust region of fixed size. The norm is Euclidean, over all leaves of the state. Not the same as `ClipGradient`,
    which bounds ‖∇E‖ whatever the step.

    Args:
        rule: a number h [T], a schedule or a step rule.
        radius: r, in units of the state.

    Raises:
        ValueError: if a number is not finite and positive.
        TypeError: if `rule` is none of these.

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

    def init(self, flow: Flow, discretizer: Discretizer, t: Any, z: Any) -> Any:
        """The rule's."""
        return self.rule.init(flow, discretizer, t, z)

    def __call__(self, flow: Flow, discretizer: Discretizer, t: Any, z: Any, rule_state: Any) -> tuple[Any, Any]:
        """The rule's step, or radius/‖f‖."""
        h, rule_state = self.rule(flow, discretizer, t, z, rule_state)
        speed = l2_norm(flow.drift(t, z))
        return jnp.minimum(h, jnp.where(speed > 0, self.radius / jnp.where(speed > 0, speed, 1), h)), rule_state
