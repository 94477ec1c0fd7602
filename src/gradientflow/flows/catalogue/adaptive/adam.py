"""Adam in continuous time."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from ...aliases import Time
from ...checks import check_nonnegative, check_positive, check_rate
from ...energies.energy import Energy
from ...energies.energy import energy as as_energy
from ...flow import Flow, Parts, UnansweredQuestionError
from ...numerics import inner
from ...state import lower
from .held import HeldMoments
from .moments import MomentAverages, MomentFlow, MomentsState, MomentTransport, corrected
from .scaled import divided


class AdamFlow(MomentFlow):
    r"""Adam in continuous time, from m = s = 0 at t = 0.

    $\tau_1\dot m = \nabla E - m$, $\tau_2\dot s = (\nabla E)^2 - s$,
    $\dot x = -\hat m/(\sqrt{\hat s + \varepsilon_0} + \varepsilon)$, with the bias corrections
    $\hat m = m/(1 - e^{-t/\tau_1})$, $\hat s = s/(1 - e^{-t/\tau_2})$, by coordinate.

    State `MomentsState(x, m, s)`. Units: x [X], t [X] (the speed has no unit), τ₁, τ₂ [X].
    At t = 0 both corrected averages are the gradient's own, their limit, and it moves like sign descent: where
    gradients vary slowly it goes on so, $\dot x \approx -\operatorname{sign}\nabla E$; where they are mostly noise
    the speed is their signal-to-noise ratio. Lyapunov function for τ₂ ≥ τ₁/3: $V = E + \frac{\tau_1}{2(1 -
    e^{-t/\tau_1})} \sum_i m_i^2/(\sqrt{\hat s_i + \varepsilon_0} + \varepsilon)$.

    Parts: `averages` ṁ and ṡ at frozen x, `transport` ẋ at frozen m and s.

    Args:
        energy: the potential E.
        tau1: τ₁ > 0, the time over which gradients are averaged; an optimizer's β₁ is e^{−η/τ₁}.
        tau2: τ₂ > 0, the time over which their squares are.
        epsilon: ε ≥ 0, outside the root [E/X].
        epsilon_root: ε₀ ≥ 0, inside the root [E²/X²].
        rate: a factor of the speed, or a function t ↦ factor.

    Raises:
        ValueError: if an argument is out of its range.

    References:
        D. P. Kingma, J. Ba, Adam: a method for stochastic optimization, ICLR 2015.
        A. Barakat, P. Bianchi, Convergence and dynamical behavior of the ADAM algorithm for nonconvex stochastic
        optimization, SIAM J. Optim. 31, 2021, for the flow.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.AdamFlow(gf.energy(lambda x: x**2), epsilon=0.0)
        >>> float(flow.drift(0.0, flow.init(3.0)).x)
        -1.0
    """

    equation: ClassVar[str] = "ẋ = −m̂/(√(ŝ + ε₀) + ε), τ₁ṁ = ∇E − m, τ₂ṡ = (∇E)² − s"
    energy: Energy
    tau1: Any
    tau2: Any
    epsilon: Any
    epsilon_root: Any
    rate: Any

    def __init__(
        self,
        energy: Callable[[Any], Any],
        tau1: Any = 0.01,
        tau2: Any = 1.0,
        epsilon: Any = 1e-8,
        epsilon_root: Any = 0.0,
        rate: Any = 1.0,
    ) -> None:
        self.energy, self.tau1, self.tau2 = as_energy(energy), tau1, tau2
        self.epsilon, self.epsilon_root, self.rate = epsilon, epsilon_root, rate
        check_rate("AdamFlow", rate=rate)
        check_positive("AdamFlow", tau1=tau1, tau2=tau2)
        check_nonnegative("AdamFlow", epsilon=epsilon, epsilon_root=epsilon_root)

    def held(self) -> Flow:
        """m at its own pace, and what it drives."""
        return HeldMoments(self.energy, self.tau1, 0, self.rate)

    @property
    def parts(self) -> Mapping[str, Flow]:
        """`averages` and `transport`."""
        scale = (self.epsilon, self.epsilon_root)
        return Parts(
            self,
            averages=MomentAverages(self.energy, self.tau1, self.tau2),
            transport=MomentTransport(self.energy, self.tau1, self.tau2, *scale, 0.0, self.rate),
        )

    def lyapunov(self, t: Time, z: MomentsState) -> Any:
        """E(x) + ρτ₁/(2(1 − e^{−t/τ₁}))·Σ m²/(√(ŝ + ε₀) + ε), ρ the rate; none is known for a rate that changes."""
        if callable(self.rate):
            raise UnansweredQuestionError(self, "lyapunov", "with a rate that changes in time none is known")
        mean, square = corrected(self, t, z)
        weighted = divided(mean, square, self.epsilon_root, self.epsilon)
        return self.energy.value(lower(z.x)) + self.rate * self.tau1 / 2 * inner(z.m, weighted)
