"""AdamW in continuous time."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from ...checks import check_nonnegative, check_positive, check_rate
from ...energies.energy import Energy
from ...energies.energy import energy as as_energy
from ...flow import Flow, Parts
from .held import HeldMoments
from .moments import MomentAverages, MomentFlow, MomentTransport


class AdamWFlow(MomentFlow):
    r"""AdamW in continuous time: Adam's flow with decoupled weight decay, $\dot x = \dots - wx$.

    State, units and parts as `AdamFlow`. With ε₀ = 0 it rests where $\partial_iE/(|\partial_iE| + \varepsilon) = -wx_i$
    for every coordinate: for a small ε not where a penalized energy is least, but where ∇E itself all but vanishes, or
    at the bound $|x_i| = 1/w$. No Lyapunov function is known.

    Args:
        energy: the potential E.
        tau1: τ₁ > 0.
        tau2: τ₂ > 0.
        epsilon: ε ≥ 0, outside the root [E/X].
        epsilon_root: ε₀ ≥ 0, inside the root [E²/X²].
        weight_decay: w ≥ 0 [1/X].
        rate: a factor of the speed, the decay's too, or a function t ↦ factor.

    Raises:
        ValueError: if an argument is out of its range.

    References:
        I. Loshchilov, F. Hutter, Decoupled weight decay regularization, ICLR 2019.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.AdamWFlow(gf.energy(lambda x: x**2), epsilon=0.0, weight_decay=0.5)
        >>> float(flow.drift(0.0, flow.init(3.0)).x)
        -2.5
    """

    equation: ClassVar[str] = "ẋ = −m̂/(√(ŝ + ε₀) + ε) − wx, m and s as Adam's"
    energy: Energy
    tau1: Any
    tau2: Any
    epsilon: Any
    epsilon_root: Any
    weight_decay: Any
    rate: Any

    def __init__(
        self,
        energy: Callable[[Any], Any],
        tau1: Any = 0.01,
        tau2: Any = 1.0,
        epsilon: Any = 1e-8,
        epsilon_root: Any = 0.0,
        weight_decay: Any = 1e-4,
        rate: Any = 1.0,
    ) -> None:
        self.energy, self.tau1, self.tau2, self.epsilon = as_energy(energy), tau1, tau2, epsilon
        self.epsilon_root, self.weight_decay, self.rate = epsilon_root, weight_decay, rate
        check_rate("AdamWFlow", rate=rate)
        check_positive("AdamWFlow", tau1=tau1, tau2=tau2)
        check_nonnegative("AdamWFlow", epsilon=epsilon, epsilon_root=epsilon_root, weight_decay=weight_decay)

    def held(self) -> Flow:
        """m at its own pace, and what it drives."""
        return HeldMoments(self.energy, self.tau1, self.weight_decay, self.rate)

    @property
    def parts(self) -> Mapping[str, Flow]:
        """`averages` and `transport`."""
        scale = (self.epsilon, self.epsilon_root, self.weight_decay)
        return Parts(
            self,
            averages=MomentAverages(self.energy, self.tau1, self.tau2),
            transport=MomentTransport(self.energy, self.tau1, self.tau2, *scale, self.rate),
        )
