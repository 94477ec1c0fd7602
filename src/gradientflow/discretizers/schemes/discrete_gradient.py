"""Discrete gradient schemes: the true energy falls, whatever the step."""

from typing import Any, ClassVar

import equinox as eqx

from gradientflow.flows import Flow, UnansweredQuestionError, unknown_name
from gradientflow.flows.aliases import State, StepLength, Time
from gradientflow.flows.discrete_gradients import RULES, DiscreteGradientRule, MeanGradient

from ..discretizer import Discretizer


class DiscreteGradient(Discretizer):
    r"""Discrete gradient scheme: $x' = x - h\bar\nabla E(x, x')$; $E(x') - E(x) = -\|x' - x\|^2/h$ for every h.

    A discrete gradient is a vector with $\bar\nabla E(x, y)\cdot(y - x) = E(y) - E(x)$ and
    $\bar\nabla E(x, x) = \nabla E(x)$. So no step of a gradient flow raises E, convex or not, however long the step is.
    Of the heavy ball $\tfrac{x' - x}h = \bar v$, $m\tfrac{v' - v}h = -\gamma\bar v - \bar\nabla E$ with
    $\bar v = \tfrac{v + v'}2$: its energy $E + \tfrac m2\|v\|^2$ changes by $-h\gamma\|\bar v\|^2$.

    - "gonzalez": ∇E(m) at the midpoint, plus the multiple of y − x that makes it one. Order 2.
    - "average": the mean of ∇E along the segment, by four Gauss nodes and the same correction, which polynomials of
      degree ≤ 8 do not need. Order 2.
    - "itoh-abe": difference quotients coordinate by coordinate, of E alone. Order 1. E may have kinks and walls; there
      E(x') − E(x) ≤ −‖x' − x‖²/h. On a quadratic it is successive overrelaxation, with ω = 2h λᵢᵢ/(2 + hλᵢᵢ)
      for the i-th coordinate.

    The first two are the implicit midpoint rule on quadratics. They are found by Newton's method from x, and where that
    fails along the curve of solutions that begins at h = 0; NaN, and the run's status says so, where neither finds one.
    That E falls says nothing of how fast: on a stiff mode hλ ≫ 1 the first two go to the other side of the valley, with
    hardly less energy, where backward Euler goes to its floor.

    Args:
        rule: "gonzalez", "average" or "itoh-abe".

    Raises:
        ValueError: for another rule.

    References:
        O. Gonzalez, Time integration and discrete Hamiltonian systems, J. Nonlinear Sci. 6, 1996.
        R. I. McLachlan, G. R. W. Quispel, N. Robidoux, Geometric integration using discrete gradients, Phil. Trans. R.
        Soc. A 357, 1999.
        T. Itoh, K. Abe, Hamiltonian-conserving discrete canonical equations based on variational difference quotients,
        J. Comput. Phys. 76, 1988.
        V. Grimm, R. I. McLachlan, D. I. McLaren, G. R. W. Quispel, C.-B. Schönlieb, Discrete gradient methods for
        solving variational image regularisation models, J. Phys. A 50, 2017.
        M. J. Ehrhardt, E. S. Riis, T. Ringholm, C.-B. Schönlieb, A geometric integration approach to smooth
        optimisation: foundations of the discrete gradient method, arXiv:1805.06444, 2018.
        Y. Miyatake, T. Sogabe, S.-L. Zhang, On the equivalence between SOR-type methods for linear systems and the
        discrete gradient methods for gradient systems, J. Comput. Appl. Math. 342, 2018.

    Example:
        >>> import gradientflow as gf
        >>> method = gf.Method(gf.GradientFlow(gf.landscapes.himmelblau()), gf.DiscreteGradient("gonzalez"), 1.0)
        >>> [round(float(E), 3) for E in method.iterate([0.0, 0.0], 3).energy]
        [170.0, 144.363, 70.646, 59.828]
    """

    equation: ClassVar[str] = "x' = x − h ∇̄E(x, x')"
    rule: str = eqx.field(static=True)

    def __init__(self, rule: str = "gonzalez") -> None:
        if rule not in RULES:
            raise ValueError(f"DiscreteGradient: {unknown_name('rule', str(rule), RULES)}")
        self.rule = rule

    @property
    def name(self) -> str:
        """Its class's, with the rule."""
        return f"DiscreteGradient({self.rule!r})"

    @property
    def discrete_gradient(self) -> DiscreteGradientRule:
        """∇̄E, as flows are asked to step by it."""
        return RULES[self.rule]

    @property
    def order(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """2, and 1 for "itoh-abe"."""
        return 2 if isinstance(self.discrete_gradient, MeanGradient) else 1

    @property
    def series_order(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """2 and 8: beyond, the correction along y − x is none of elementary differentials; 0 for "itoh-abe"."""
        return self.discrete_gradient.series_order

    def step(self, flow: Flow, t: Time, z: State, h: StepLength, **_: Any) -> State:
        """The flow's own answer."""
        if isinstance(self.discrete_gradient, MeanGradient) and flow.energy.kinks is not None:
            why = "∇E jumps at the kinks of its energy; DiscreteGradient('itoh-abe') asks for values alone"
            raise UnansweredQuestionError(flow, "discrete_gradient_step", why)
        return flow.discrete_gradient_step(t, z, h, self.discrete_gradient)
