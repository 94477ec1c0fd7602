r"""The overdamped limit: as m → 0 the heavy ball follows $\gamma\dot x = -\nabla E(x)$."""

import sympy

from gradientflow.flows import GradientFlow, Mode

from ..exact.leaf import Exact
from ..exact.motion import Motion
from ..results.grades import Grade
from .claims import Claim
from .decide import decide_equations, refuted_sibling


def overdamped_limit_claim() -> Claim:
    """The claim that the heavy ball's position on a mode tends to x₀e^{−λt/γ}, which solves the overdamped flow.

    The limit of the over-damped closed form is SymPy's; that it solves γẋ = −∇E is an identity with the gradient flow's
    own drift.
    """
    clock = Motion("lambda", "gamma", "x0")
    g = clock.generators
    decay = clock.exponential(g["lambda"] / g["gamma"])
    flow = GradientFlow(Mode(g["lambda"]))

    def claim(x: Exact, statement: str, sibling: Claim | None) -> Claim:
        equations = {
            "γ dx/dt and the gradient flow's drift": (g["gamma"] * clock.derivative(x), flow.drift(Exact(0), x))
        }
        reason = "the limit of the over-damped form by SymPy; put into the gradient flow's drift, identically"
        return decide_equations("overdamped limit", statement, equations, reason, sibling, clock.starts)

    x = g["x0"] * decay
    sibling = refuted_sibling(claim(x * decay, r"\lim_{m \to 0} x(t) = x_0 e^{-2\lambda t/\gamma}", None))
    if sympy.simplify(_limit() - clock.expression(x).subs(list(_POSITIVE.items()))) != 0:
        return Claim(
            "overdamped limit", r"\lim_{m \to 0} x(t)", Grade.UNKNOWN, "SymPy finds another limit", None, sibling
        )
    return claim(x, r"\lim_{m \to 0} x(t) = x_0 e^{-\lambda t/\gamma}", sibling)


_NAMES = ("lambda", "gamma", "m", "t")
_POSITIVE = {sympy.Symbol(name): sympy.Symbol(name, positive=True) for name in _NAMES}


def _limit() -> sympy.Expr:
    """The limit m → 0 of the over-damped mode's position from rest, its slow decay: the fast one vanishes."""
    lam, friction, m, t = (_POSITIVE[sympy.Symbol(name)] for name in _NAMES)
    x0 = sympy.Symbol("x0")
    root = sympy.sqrt(friction**2 - 4 * m * lam)
    a, sigma = friction / (2 * m), root / (2 * m)
    rate = sympy.limit(sympy.simplify(2 * lam / (friction + root)), m, 0)
    amplitude = sympy.limit(sympy.simplify((a + sigma) / (2 * sigma)), m, 0)
    return amplitude * x0 * sympy.exp(-rate * t)
