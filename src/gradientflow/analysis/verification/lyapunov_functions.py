"""Known Lyapunov functions, with the weights that prove how fast they fall."""

import dataclasses
from collections.abc import Iterator, Mapping

from gradientflow.flows import HeavyBallFlow, HessianDampedFlow, Mode, NesterovFlow, NewtonFlow

from ..exact.leaf import Exact
from .abstract_energy import Setting, setting
from .claims import Claim
from .decrease import Decrease, decide_decrease, own_decrease, own_function


def _half_squared_distance(situation: Setting) -> Exact:
    x = situation.quantities["x"]
    return x * x / 2


_HALF_SQUARE = r"\tfrac{d}{dt}\tfrac{1}{2}\|x - x^*\|^2"
_MECHANICAL = r"\tfrac{d}{dt}\left(E + \tfrac{m}{2}\|v\|^2\right)"
_STRONGLY_CONVEX = "on every μ-strongly convex E"

GRADIENT_FLOW = (
    Decrease(
        name="E falls along the gradient flow",
        statement=r"\dot E = -\|\nabla E\|^2",
        function=own_function,
        bound=lambda q: q["g"] * q["g"],
        inequalities=lambda q: (),
        squares=lambda q: (),
        assumption="on every differentiable E",
        wrong=(r"\dot E \le -2\|\nabla E\|^2", lambda q: 2 * q["g"] * q["g"]),
    ),
    Decrease(
        name="the distance to the minimizer falls",
        statement=rf"{_HALF_SQUARE} \le -(E - E^*)",
        function=_half_squared_distance,
        bound=lambda q: q["E"],
        inequalities=lambda q: ((1, q["g"] * q["x"] - q["E"]),),
        squares=lambda q: (),
        assumption="on every convex E",
        wrong=(rf"{_HALF_SQUARE} \le -3(E - E^*)", lambda q: 3 * q["E"]),
        needs="convex",
    ),
    Decrease(
        name="E − E* decays as exp(−2μt)",
        statement=r"\tfrac{d}{dt}(E - E^*) \le -2\mu (E - E^*)",
        function=own_function,
        bound=lambda q: 2 * q["mu"] * q["E"],
        inequalities=lambda q: ((2 * q["mu"], q["g"] * q["x"] - q["E"] - q["mu"] * q["x"] * q["x"] / 2),),
        squares=lambda q: ((1, q["g"] - q["mu"] * q["x"]),),
        assumption=_STRONGLY_CONVEX,
        wrong=(r"\tfrac{d}{dt}(E - E^*) \le -4\mu (E - E^*)", lambda q: 4 * q["mu"] * q["E"]),
        needs="strongly convex",
    ),
    Decrease(
        name="‖x − x*‖ decays as exp(−μt)",
        statement=rf"{_HALF_SQUARE} \le -\mu\|x - x^*\|^2",
        function=_half_squared_distance,
        bound=lambda q: q["mu"] * q["x"] * q["x"],
        inequalities=lambda q: ((1, q["g"] * q["x"] - q["mu"] * q["x"] * q["x"]),),
        squares=lambda q: (),
        assumption=_STRONGLY_CONVEX,
        wrong=(rf"{_HALF_SQUARE} \le -2\mu\|x - x^*\|^2", lambda q: 2 * q["mu"] * q["x"] * q["x"]),
        needs="strongly convex",
    ),
)
HEAVY_BALL = (
    Decrease(
        name="the mechanical energy falls",
        statement=rf"{_MECHANICAL} = -\gamma\|v\|^2",
        function=own_function,
        bound=lambda q: q["gamma"] * q["v"] * q["v"],
        inequalities=lambda q: (),
        squares=lambda q: (),
        assumption="on every differentiable E",
        wrong=(rf"{_MECHANICAL} \le -2\gamma\|v\|^2", lambda q: 2 * q["gamma"] * q["v"] * q["v"]),
    ),
)
# With mass 1, friction 2√μ and r = √μ: the heavy ball at its best on all of the class.
STRONGLY_CONVEX_HEAVY_BALL = Decrease(
    name="with friction 2√μ, E − E* decays as exp(−√μ t)",
    statement=r"\dot V \le -\sqrt{\mu}\, V,\quad V = E - E^* + \tfrac{1}{2}\|v + \sqrt{\mu}(x - x^*)\|^2",
    function=lambda s: s.quantities["E"] + _pulled(s.quantities) * _pulled(s.quantities) / 2,
    bound=lambda q: q["r"] * (q["E"] + _pulled(q) * _pulled(q) / 2),
    inequalities=lambda q: ((q["r"], q["g"] * q["x"] - q["E"] - q["r"] * q["r"] * q["x"] * q["x"] / 2),),
    squares=lambda q: ((q["r"] / 2, q["v"]),),
    assumption=_STRONGLY_CONVEX,
    wrong=(
        r"\dot V \le -3\sqrt{\mu}\, V",
        lambda q: 3 * q["r"] * (q["E"] + _pulled(q) * _pulled(q) / 2),
    ),
    positive=lambda q: ((Exact(1) / 2, _pulled(q)),),
)


# The greatest rate with that friction: V is what a semidefinite program returns, its numbers recognized.
TIGHT_HEAVY_BALL = Decrease(
    name="with friction 2√μ, E − E* decays as exp(−(4/3)√μ t)",
    statement=r"\dot V \le -\tfrac{4}{3}\sqrt{\mu}\, V,\quad "
    r"V = E - E^* + \tfrac{1}{2}\|v + \tfrac{4}{3}\sqrt{\mu}(x - x^*)\|^2 - \tfrac{4}{9}\mu\|x - x^*\|^2",
    function=lambda s: _tight(s.quantities),
    bound=lambda q: 4 * q["r"] * _tight(q) / 3,
    inequalities=lambda q: ((4 * q["r"] / 3, q["g"] * q["x"] - q["E"] - q["r"] * q["r"] * q["x"] * q["x"] / 2),),
    squares=lambda q: ((2 * q["r"] * q["r"] * q["r"] / 27, q["x"]),),
    assumption=_STRONGLY_CONVEX,
    wrong=(r"\dot V \le -3\sqrt{\mu}\, V", lambda q: 3 * q["r"] * _tight(q)),
    positive=lambda q: ((Exact(1) / 2, q["v"] + 4 * q["r"] * q["x"] / 3), (q["r"] * q["r"] / 18, q["x"])),
    held=lambda q: ((Exact(1), q["E"] - q["r"] * q["r"] * q["x"] * q["x"] / 2),),
)
# ẍ + (r/t)ẋ + ∇E = 0 with r = 3 + d, d ≥ 0, at the time s.
NESTEROV = Decrease(
    name="with friction r/t, r ≥ 3, E − E* ≤ (r−1)²‖x₀ − x*‖²/(2t²)",
    statement=r"\dot V \le 0,\quad V = t^2(E - E^*) + \tfrac{(r-1)^2}{2}\left\|x - x^* + \tfrac{t}{r-1}v\right\|^2",
    function=lambda s: _accelerated(s.quantities),
    bound=lambda q: 0 * q["E"],
    inequalities=lambda q: (
        ((2 + q["d"]) * q["s"], q["g"] * q["x"] - q["E"]),
        (q["d"] * q["s"], q["E"]),
    ),
    squares=lambda q: (),
    assumption="on every convex E",
    wrong=(r"\dot V \le -10 t(E - E^*)", lambda q: 10 * q["s"] * q["E"]),
    positive=lambda q: (((2 + q["d"]) * (2 + q["d"]) / 2, _ahead(q)),),
)
NEWTON_FLOW = Decrease(
    name="‖∇E‖² decays as exp(−2t)",
    statement=r"\tfrac{d}{dt}\tfrac12\|\nabla E\|^2 = -\|\nabla E\|^2",
    function=own_function,
    bound=lambda q: q["g"] * q["g"],
    inequalities=lambda q: (),
    squares=lambda q: (),
    assumption="on every E with an invertible Hessian",
    wrong=(r"\tfrac{d}{dt}\tfrac12\|\nabla E\|^2 \le -2\|\nabla E\|^2", lambda q: 2 * q["g"] * q["g"]),
)


def _tight(q: Mapping[str, Exact]) -> Exact:
    """E − E* + ½‖v + (4/3)√μ(x − x*)‖² − (4/9)μ‖x − x*‖²."""
    ahead = q["v"] + 4 * q["r"] * q["x"] / 3
    return q["E"] + ahead * ahead / 2 - 4 * q["r"] * q["r"] * q["x"] * q["x"] / 9


def _ahead(q: Mapping[str, Exact]) -> Exact:
    """x − x* + tv/(r − 1)."""
    return q["x"] + q["s"] * q["v"] / (2 + q["d"])


def _accelerated(q: Mapping[str, Exact]) -> Exact:
    """t²(E − E*) + (r−1)²/2·‖x − x* + tv/(r−1)‖²."""
    less = 2 + q["d"]
    return q["s"] * q["s"] * q["E"] + less * less * _ahead(q) * _ahead(q) / 2


def _pulled(q: Mapping[str, Exact]) -> Exact:
    """v + √μ(x − x*)."""
    return q["v"] + q["r"] * q["x"]


def strongly_convex_heavy_ball() -> Claim:
    """The claim that the heavy ball with mass 1 and friction 2√μ contracts V at the rate √μ.

    References:
        A. C. Wilson, B. Recht, M. I. Jordan, A Lyapunov analysis of accelerated methods in optimization, JMLR 22, 2021.
    """
    flow = HeavyBallFlow(Mode(None), mass=1.0, friction=2.0)
    situation = setting(flow, ("r",), values=lambda s: {"m": Exact(1), "gamma": 2 * s["r"]})
    return decide_decrease(STRONGLY_CONVEX_HEAVY_BALL, situation)


def tight_heavy_ball() -> Claim:
    """The claim that the heavy ball with mass 1 and friction 2√μ decays at the rate (4/3)√μ, the best of its kind.

    References:
        J. M. Sanz-Serna, K. C. Zygalakis, The connections between Lyapunov functions for some optimization algorithms
        and differential equations, SIAM J. Numer. Anal. 59, 2021, for such functions.
    """
    flow = HeavyBallFlow(Mode(None), mass=1.0, friction=2.0)
    situation = setting(flow, ("r",), values=lambda s: {"m": Exact(1), "gamma": 2 * s["r"]})
    return decide_decrease(TIGHT_HEAVY_BALL, situation)


def nesterov_flow() -> Iterator[Claim]:
    """The claims that with the friction r/t, r ≥ 3, E − E* is at most (r−1)²‖x₀ − x*‖²/(2t²), and that energy falls.

    References:
        W. Su, S. Boyd, E. J. Candès, A differential equation for modeling Nesterov's accelerated gradient method, JMLR
        17, 2016, theorem 5.
    """
    situation = setting(NesterovFlow(Mode(None)), ("d", "s"), values=lambda s: {"r": 3 + s["d"]}, clock="s")
    yield decide_decrease(NESTEROV, situation)
    # Friction of any strength takes energy.
    whatever = setting(NesterovFlow(Mode(None)), ("r", "s"), values=lambda s: {"r": s["r"]}, clock="s")
    yield decide_decrease(own_decrease(whatever), whatever)


def hessian_damped() -> Claim:
    """The claim that (b + βγ)E + ½‖v + β∇E‖² falls along inertia with Hessian-driven damping, on every E.

    References:
        F. Alvarez, H. Attouch, J. Bolte, P. Redont, A second-order gradient-like dissipative dynamical system with
        Hessian-driven damping, J. Math. Pures Appl. 81, 2002.
    """
    situation = setting(HessianDampedFlow(Mode(None)), symbolic=True)
    claim = dataclasses.replace(
        own_decrease(situation),
        statement=r"\dot V = -\gamma\|v\|^2 - b\beta\|\nabla E\|^2,\quad "
        r"V = (b + \beta\gamma)E + \tfrac12\|v + \beta\nabla E\|^2",
        positive=lambda q: ((Exact(1) / 2, q["v"] + q["damping"] * q["g"]),),
    )
    return decide_decrease(claim, situation)


def newton_flow() -> Claim:
    """The claim that ‖∇E‖² decays as e^{−2t} along Newton's flow, on every E with an invertible Hessian."""
    return decide_decrease(NEWTON_FLOW, setting(NewtonFlow(Mode(None), regularization=0)))
