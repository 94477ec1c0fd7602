"""Steepest descent along an averaged gradient: Muon, Lion and Signum in continuous time."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import jax

from ...aliases import Time
from ...checks import check_nonnegative, check_positive, check_rate, in_a_line, is_zero
from ...energies.energy import Energy
from ...energies.energy import energy as as_energy
from ...flow import Flow, Parts, UnansweredQuestionError
from ...numerics import zeros_like
from ...sets.norms.norm import Norm
from ...state import lower
from .held import HeldAverage, HeldStates, Mean, at_time
from .scaled import total_drift


class SteepestMomentumFlow(HeldStates):
    r"""Steepest descent in a norm along the averaged gradient: $\tau\dot m = \nabla E - m$, $\dot x = -v(m) - wx$.

    $v(m) = \arg\max_{\|v\| \le 1}\langle m, v\rangle$, softened as in `SteepestDescentFlow`. State `Mean(x, m)`, m = 0
    at the start; units: x [X], t [X] (the speed has norm 1), τ [X]. In the spectral norm it is Muon's flow, in the
    maximum norm Lion's and Signum's.

    Lyapunov function for w = 0 and a constant rate: $V = E + \tau\|m\|_*$, with $\dot V = -\langle m, v(m)\rangle =
    -\|m\|_*$. With weight decay it does not descend E + w‖x‖²/2: it is drawn into the ball $\|x\| \le 1/w$ and rests
    where E is least in it; there $V = E + \tau(\|m\|_* + w\langle m, x\rangle)$ falls.

    Parts: `averages` ṁ at frozen x, `transport` ẋ at frozen m.

    Args:
        energy: the potential E.
        norm: one of `norms`, or a subclass of `norms.Norm`.
        tau: τ > 0, the time over which gradients are averaged; an optimizer's β is e^{−η/τ}.
        weight_decay: w ≥ 0 [1/X].
        smoothing: δ ≥ 0 [E/X].
        rate: a factor of the speed, the decay's too, or a function t ↦ factor.

    Raises:
        TypeError: if `norm` is none.
        ValueError: if a number is out of its range.

    References:
        K. Jordan et al., Muon: an optimizer for hidden layers in neural networks, 2024.
        L. Chen, B. Liu, K. Liang, Q. Liu, Lion secretly solves constrained optimization: as Lyapunov predicts, ICLR
        2024, for the ball.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.SteepestMomentumFlow(gf.landscapes.bowl(), gf.norms.Maximum(), weight_decay=2.0)
        >>> path = gf.integrate(flow, [3.0, -1.0], 50.0)
        >>> path.energy[-1] < 1e-6  # the minimum lies in the ball
        Array(True, dtype=bool)
    """

    equation: ClassVar[str] = "ẋ = −v(m) − wx, τṁ = ∇E − m, v the steepest direction of a norm"
    energy: Energy
    norm: Norm
    tau: Any
    weight_decay: Any
    smoothing: Any
    rate: Any

    def __init__(
        self,
        energy: Callable[[Any], Any],
        norm: Norm,
        tau: Any = 1.0,
        weight_decay: Any = 0.0,
        smoothing: Any = 1e-4,
        rate: Any = 1.0,
    ) -> None:
        if not isinstance(norm, Norm):
            raise TypeError(f"SteepestMomentumFlow: `norm` must be one such as norms.Spectral(), got {in_a_line(norm)}")
        self.energy, self.norm, self.tau = as_energy(energy), norm, tau
        self.weight_decay, self.smoothing, self.rate = weight_decay, smoothing, rate
        check_rate("SteepestMomentumFlow", rate=rate)
        check_positive("SteepestMomentumFlow", tau=tau)
        check_nonnegative("SteepestMomentumFlow", weight_decay=weight_decay, smoothing=smoothing)

    def drift(self, t: Time, z: Mean) -> Mean:
        """The sum of the parts."""
        return total_drift(self, t, z)

    def velocity(self, z: Mean) -> Any:
        """m, which drives x."""
        return z.m

    @property
    def parts(self) -> Mapping[str, Flow]:
        """`averages` and `transport`."""
        return Parts(
            self,
            averages=HeldAverage(self.energy, self.tau),
            transport=SteepestTransport(self.energy, self.norm, self.weight_decay, self.smoothing, self.rate),
        )

    def lyapunov(self, t: Time, z: Mean) -> Any:
        """E(x) + ρτ‖m‖₊, ρ the rate; none is known for every start with weight decay, nor for a rate that changes."""
        if callable(self.rate) or not is_zero(self.weight_decay) or not self.norm.attains:
            why = (
                "it is known for a constant rate, without weight decay and in a norm whose steepest direction is exact"
            )
            raise UnansweredQuestionError(self, "lyapunov", why)
        return self.energy.value(lower(z.x)) + self.rate * self.tau * self.norm.dual(z.m, self.smoothing)


class SteepestTransport(HeldStates):
    """The part ẋ = −ρ(v(m) + wx) at frozen m."""

    energy: Energy
    norm: Norm
    weight_decay: Any
    smoothing: Any
    rate: Any

    def drift(self, t: Time, z: Mean) -> Mean:
        """(−ρ(v(m) + wx), 0)."""
        speed = jax.tree.map(lambda v, x: v + self.weight_decay * x, self.norm.steepest(z.m, self.smoothing), z.x)
        return Mean(-(at_time(self.rate, t) * speed), zeros_like(z.m))
