"""The schemes of adaptive optimizers: first the averages, then the position."""

from typing import Any, ClassVar

from gradientflow.flows import Flow, UnansweredQuestionError, check_positive
from gradientflow.flows.aliases import State, StepLength, Time
from gradientflow.flows.catalogue.adaptive.adadelta import DeltaSquares
from gradientflow.flows.catalogue.adaptive.held import HeldAverage, Still

from ..discretizer import Discretizer


class AveragesEuler(Discretizer):
    r"""Averages exactly at the frozen position, then the position by forward Euler: Adam, RMSprop, AdaGrad.

    A Lie splitting. Of `AdamFlow` with $\beta_i = e^{-h/\tau_i}$ it is Adam with learning rate h, bias corrections and
    all: $m' = \beta_1 m + (1 - \beta_1)\nabla E$, $s' = \beta_2 s + (1 - \beta_2)(\nabla E)^2$,
    $x' = x - h\,\hat m'/(\sqrt{\hat s'} + \varepsilon)$.

    Order 1.

    References:
        D. P. Kingma, J. Ba, Adam: a method for stochastic optimization, ICLR 2015, algorithm 1.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.AdamFlow(gf.energy(lambda x: x**2), epsilon=0.0)
        >>> float(gf.AveragesEuler().step(flow, 0.0, flow.init(3.0), 0.25).x)
        2.75
    """

    equation: ClassVar[str] = "averages exactly at frozen x, then x' = x + h ẋ"
    order: ClassVar[int | None] = 1

    def step(self, flow: Flow, t: Time, z: State, h: StepLength, **_: Any) -> State:
        """`averages` by their closed form, `transport` by its drift at the time reached."""
        z = flow.parts["averages"].solution(t, z, h)
        return z + h * flow.parts["transport"].drift(t + h, z)


class AveragesAhead(Discretizer):
    r"""The averaged gradient exactly at the frozen position, which moves along what it would be some steps later.

    Of `SteepestMomentumFlow` with $\beta = e^{-h/\tau}$: $x' = x - h\,v(\beta^am + (1 - \beta^a)\nabla E)$ and
    $m' = \beta m + (1 - \beta)\nabla E$. a = 1 is `AveragesEuler`, a = 2 Nesterov's look ahead as Muon has it, $a =
    \log\beta_1/\log\beta_2$ Lion.

    Order 1, whatever a is.

    Args:
        ahead: a > 0, in steps.

    Raises:
        ValueError: if it is not positive.
        UnansweredQuestionError: when it runs, for a flow that averages more than the gradient, Adam's say.

    References:
        X. Chen et al., Symbolic discovery of optimization algorithms, NeurIPS 2023, algorithm 2.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.SteepestMomentumFlow(gf.energy(lambda x: x**2), gf.norms.Maximum(), smoothing=0.0)
        >>> float(gf.AveragesAhead(2.0).step(flow, 0.0, flow.init(3.0), 0.25).x)
        2.75
    """

    equation: ClassVar[str] = "averages exactly at frozen x, then x' = x + h ẋ at those that are to come"
    order: ClassVar[int | None] = 1
    ahead: Any

    def __init__(self, ahead: Any) -> None:
        check_positive("AveragesAhead", ahead=ahead)
        self.ahead = ahead

    def step(self, flow: Flow, t: Time, z: State, h: StepLength, **_: Any) -> State:
        """`averages` by their closed form, and `transport` by its drift at those `ahead` steps later."""
        averages = flow.parts["averages"]
        if not isinstance(averages, (HeldAverage, Still)):
            why = "looking ahead wants an averaged gradient alone; one whose bias is corrected is on another clock then"
            raise UnansweredQuestionError(flow, "parts", why)
        coming = averages.solution(t, z, self.ahead * h)
        return averages.solution(t, z, h) + h * flow.parts["transport"].drift(t + h, coming)


class AdaDeltaEuler(Discretizer):
    r"""AdaDelta's scheme: the average of gradients, then the position and the average of velocities from one velocity.

    $s' = \beta s + (1 - \beta)(\nabla E)^2$, $v = \sqrt{d + \varepsilon}\,\nabla E/\sqrt{s' + \varepsilon}$, $x' = x
    - hv$, $d' = \beta d + (1 - \beta)v^2$ with $\beta = e^{-h/\tau}$.

    Order 1.

    References:
        M. D. Zeiler, ADADELTA: an adaptive learning rate method, arXiv:1212.5701, 2012, algorithm 1.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.AdaDeltaFlow(gf.energy(lambda x: x**2))
        >>> z = gf.AdaDeltaEuler().step(flow, 0.0, flow.init(3.0), 1.0)
        >>> round(float(z.x), 4)
        2.9968
    """

    equation: ClassVar[str] = "s' averaged, then x' = x − hv and d' averaged at one v"
    order: ClassVar[int | None] = 1

    def step(self, flow: Flow, t: Time, z: State, h: StepLength, **_: Any) -> State:
        """`gradients` by their closed form; `deltas` at frozen velocity and `transport` by its drift, side by side."""
        z = flow.parts["gradients"].solution(t, z, h)
        moved = h * flow.parts["transport"].drift(t + h, z)
        deltas = flow.parts["deltas"]
        if not isinstance(deltas, (DeltaSquares, Still)):
            why = "AdaDelta's scheme wants AdaDelta's own averages, on no other clock"
            raise UnansweredQuestionError(flow, "parts", why)
        return deltas.frozen(t, z, h) + moved
