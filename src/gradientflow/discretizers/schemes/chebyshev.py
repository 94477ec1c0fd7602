r"""Stabilized Runge–Kutta schemes: s stages spent on a real stability interval that grows like s².

The stages obey the three-term recurrence of Chebyshev polynomials, shifted to $T_j(w_0 + w_1z)$.

References:
    P. J. van der Houwen, B. P. Sommeijer, On the internal stability of explicit m-stage Runge–Kutta methods for large
    m-values, Z. Angew. Math. Mech. 60, 1980.
"""

import itertools
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, ClassVar

import equinox as eqx

from gradientflow.flows import Flow, check_integer, check_nonnegative
from gradientflow.flows.aliases import State, StepLength, Time
from gradientflow.flows.solvers.chebyshev_stages import ChebyshevStage, first_order, second_order

from ..discretizer import Discretizer
from .coefficients import advanced, scaled


class RungeKuttaChebyshev(Discretizer):
    r"""The first-order Runge–Kutta–Chebyshev scheme: $R(z) = T_s(w_0 + w_1z)/T_s(w_0)$, $w_1 = T_s(w_0)/T_s'(w_0)$.

    Order 1, s drifts a step. On a mode λ of a gradient flow stable iff $h\lambda < 2w_0/w_1$: that is 2s² without
    damping, where |R| touches 1 inside, and about (2 − 4ε/3)s² with $w_0 = 1 + \varepsilon/s^2$, where |R| stays below
    about 1 − ε away from 0.

    Args:
        stages: s ≥ 1.
        damping: ε ≥ 0, an exact number; a float counts as the fraction that it is.

    Raises:
        TypeError: if `stages` is not an integer.
        ValueError: if a number is out of its range.

    References:
        J. G. Verwer, Explicit Runge–Kutta methods for parabolic partial differential equations, Appl. Numer. Math. 22,
        1996.

    Example:
        >>> import gradientflow as gf
        >>> gf.stability_intervals(gf.RungeKuttaChebyshev(6, damping=0)).real
        72
        >>> gf.RungeKuttaChebyshev(6).damping
        Fraction(1, 20)
    """

    equation: ClassVar[str] = "R(z) = T_s(w₀ + w₁z)/T_s(w₀), by the recurrence of T_s"
    order: ClassVar[int | None] = 1
    stages: int = eqx.field(static=True)
    damping: Fraction = eqx.field(static=True)

    def __init__(self, stages: Any, damping: Any = Fraction(1, 20)) -> None:
        self.stages, self.damping = _checked("RungeKuttaChebyshev", 1, stages, damping)

    def step(self, flow: Flow, t: Time, z: State, h: StepLength, **_: Any) -> State:
        """The recurrence."""
        return _recur(flow, t, z, h, first_order(self.stages, self.damping))


class SecondOrderChebyshev(Discretizer):
    r"""The second-order Runge–Kutta–Chebyshev scheme, RKC: $R(z) = 1 - b_sT_s(w_0) + b_sT_s(w_0 + w_1z)$.

    $w_1 = T_s'(w_0)/T_s''(w_0)$, $b_s = T_s''(w_0)/T_s'(w_0)^2$ at $w_0 = 1 + \varepsilon/s^2$. Order 2, s drifts a
    step. Its real stability interval is about ⅔(s² − 1)(1 − 2ε/15), a third of the first-order scheme's.

    Args:
        stages: s ≥ 2.
        damping: ε ≥ 0, an exact number; a float counts as the fraction that it is.

    Raises:
        TypeError: if `stages` is not an integer.
        ValueError: if a number is out of its range.

    References:
        B. P. Sommeijer, L. F. Shampine, J. G. Verwer, RKC: an explicit solver for parabolic PDEs, J. Comput. Appl.
        Math. 88, 1998.

    Example:
        >>> import gradientflow as gf
        >>> gf.order(gf.SecondOrderChebyshev(5)).order
        2
        >>> gf.stability_intervals(gf.SecondOrderChebyshev(4, damping=0)).real
        10
    """

    equation: ClassVar[str] = "R(z) = a + bT_s(w₀ + w₁z), of order 2, by the recurrence of T_s"
    order: ClassVar[int | None] = 2
    stages: int = eqx.field(static=True)
    damping: Fraction = eqx.field(static=True)

    def __init__(self, stages: Any, damping: Any = Fraction(2, 13)) -> None:
        self.stages, self.damping = _checked("SecondOrderChebyshev", 2, stages, damping)

    def step(self, flow: Flow, t: Time, z: State, h: StepLength, **_: Any) -> State:
        """The recurrence."""
        return _recur(flow, t, z, h, second_order(self.stages, self.damping))


def _recur(flow: Flow, t: Time, z: State, h: StepLength, stages: Sequence[ChebyshevStage]) -> Any:
    # By how far stages have moved: the weights of states then sum to one exactly, and an equilibrium stays.
    first = flow.drift(t, z)
    before, moved = 0 * z, scaled(h, stages[0].slope) * first
    for reached, stage in itertools.pairwise(stages):
        push = scaled(h, stage.slope) * flow.drift(advanced(t, h, reached.time), z + moved)
        if stage.first:
            push = push + scaled(h, stage.first) * first
        before, moved = moved, scaled(moved, stage.last) + scaled(before, stage.before) + push
    return z + moved


def _checked(where: str, least: int, stages: Any, damping: Any) -> tuple[int, Fraction]:
    check_integer(where, least, stages=stages)
    check_nonnegative(where, damping=damping)
    return int(stages), Fraction(damping)
