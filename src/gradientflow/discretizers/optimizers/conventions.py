"""The conventions in which momentum is written, and the exact conversions between them."""

from typing import Any

from gradientflow.flows import Told, check_fraction, check_nonnegative, check_positive

from ..running.method import Method
from .classical import momentum


class MomentumConvention(Told):
    r"""Momentum's two numbers, $b' = \beta b + \nabla E$, $x' = x - \eta b'$, and what they are in other conventions.

    All of these have the same iterates from rest; they differ in what they call the velocity:

    | convention | recurrence | made by | velocity |
    |---|---|---|---|
    | optax, PyTorch | $b' = \beta b + \nabla E$, $x' = x - \eta b'$ | `MomentumConvention(η, β)` | b |
    | displacement | $d' = \beta d - \eta\nabla E$, $x' = x + d'$ | `MomentumConvention(η, β)` | d = −ηb |
    | averaged | $a' = \beta a + (1-\beta)\nabla E$, $x' = x - \alpha a'$ | `.averaged(α, β)` | a = (1 − β)b |
    | particle | $(m + \gamma h)v' = mv - h\nabla E$, $x' = x + hv'$ | `.particle(m, γ, h)` | v = −ηb/h |

    Fractions stay fractions. PyTorch's `dampening` τ is the averaged form with (1 − τ) in place of (1 − β), but for its
    first step, which is not dampened.

    Args:
        lr: η > 0.
        beta: 0 ≤ β < 1.

    Raises:
        ValueError: if a number is out of its range.

    References:
        I. Sutskever, J. Martens, G. Dahl, G. Hinton, On the importance of initialization and momentum in deep learning,
        ICML 2013, for the displacement.

    Example:
        >>> from fractions import Fraction
        >>> import gradientflow as gf
        >>> gf.MomentumConvention.particle(mass=Fraction(1), friction=Fraction(1), step=Fraction(1, 2))
        MomentumConvention(lr=Fraction(1, 6), beta=Fraction(2, 3))
    """

    lr: Any
    beta: Any

    def __init__(self, lr: Any, beta: Any) -> None:
        check_positive("MomentumConvention", lr=lr)
        check_fraction("MomentumConvention", beta=beta)
        self.lr, self.beta = lr, beta

    @classmethod
    def averaged(cls, lr: Any, beta: Any) -> "MomentumConvention":
        """From the exponential average of gradients and its learning rate α: η = α(1 − β)."""
        return cls(lr * (1 - beta), beta)

    @classmethod
    def particle(cls, mass: Any, friction: Any, step: Any) -> "MomentumConvention":
        """From the heavy ball with friction γ and step h: β = m/(m + γh), η = h²/(m + γh)."""
        check_positive("MomentumConvention.particle", friction=friction, step=step)
        check_nonnegative("MomentumConvention.particle", mass=mass)
        inertia = mass + friction * step
        return cls(step * step / inertia, mass / inertia)

    @property
    def averaged_lr(self) -> Any:
        """α = η/(1 − β), the learning rate of the averaged form."""
        return self.lr / (1 - self.beta)

    def as_particle(self, friction: Any = 1) -> tuple[Any, Any]:
        """The heavy ball's mass m = γ²βη/(1 − β)² and step h = γη/(1 − β), for a friction γ."""
        damping = 1 - self.beta
        step = friction * self.lr / damping
        return friction * friction * self.beta * self.lr / (damping * damping), step

    @property
    def constant_gain(self) -> Any:
        """1/(1 − β): how much farther than gradient descent a constant gradient carries, in the end."""
        return 1 / (1 - self.beta)

    @property
    def alternating_gain(self) -> Any:
        """1/(1 + β): how much less far a gradient carries that changes its sign at every step."""
        return 1 / (1 + self.beta)

    @property
    def memory_steps(self) -> Any:
        """1/(1 − β): how many steps back gradients count; for a particle 1 + m/(γh)."""
        return 1 / (1 - self.beta)

    def method(self, E: Any) -> Method:
        """The optimizer with these numbers: `optimizers.momentum(E, lr, beta)`."""
        return momentum(E, self.lr, self.beta)
