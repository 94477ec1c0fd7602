"""Optimizers of composite energies f + g: ISTA, FISTA, with restarts, and Douglas–Rachford."""

from typing import Any

from gradientflow.flows import Energy, GradientFlow, NesterovFlow, check_positive, check_rate

from ..discretizer import Discretizer
from ..running.method import Method, written
from ..schemes.admm import ADMM
from ..schemes.douglas_rachford import DouglasRachford
from ..schemes.forward_backward import ForwardBackward
from ..schemes.nesterov import NesterovScheme, RestartedNesterov


@written("x' = prox_ηg(x − η∇f(x))", "ForwardBackward of GradientFlow of a Composite")
def ista(E: Any, lr: Any) -> Method:
    r"""The proximal gradient method, of the lasso ISTA: $x' = \operatorname{prox}_{\eta g}(x - \eta\nabla f(x))$.

    Forward–backward of the gradient flow with h = η. For η ≤ 1/L, L that of f, the energy falls, and
    $E_k - E^* \le \|x_0 - x^*\|^2/(2\eta k)$.

    Args:
        E: a `Composite(f, g)`.
        lr: η > 0, a schedule or a step rule.

    Raises:
        ValueError: if η is not positive.
        TypeError: if E is not composite.

    References:
        P.-L. Lions, B. Mercier, Splitting algorithms for the sum of two nonlinear operators, SIAM J. Numer. Anal. 16,
        1979.

    Example:
        >>> import gradientflow as gf
        >>> E = gf.Composite(gf.Quadratic([[1.0]], [3.0]), gf.penalties.L1(1.0))  # ½x² − 3x + |x|
        >>> gf.optimizers.ista(E, lr=0.5).iterate([0.0], steps=2).x[:, 0].tolist()
        [0.0, 1.0, 1.5]
    """
    check_rate("ista", lr=lr)
    return Method(GradientFlow(_composite("ista", E)), ForwardBackward(), lr)


@written(
    "x' = prox_ηg(y − η∇f(y)), y' = x' + (k + 2)/(k + r + 2)·(x' − x)", "NesterovScheme of NesterovFlow of a Composite"
)
def fista(E: Any, lr: Any, r: Any = 3.0) -> Method:
    r"""FISTA: $x' = \operatorname{prox}_{\eta g}(y - \eta\nabla f(y))$, $y' = x' + \tfrac{k+2}{k+r+2}(x' - x)$.

    `NesterovScheme` of Nesterov's flow with h = √η, from rest; with g = 0 it is `accelerated_gradient`. For η ≤ 1/L, L
    that of f, and r = 3, $E_k - E^* \le (2\|x_0 - x^*\|^2/\eta + 3(E_0 - E^*))/(k + 2)^2$. (Beck and Teboulle's
    coefficients start two steps earlier and have $2\|x_0 - x^*\|^2/(\eta(k + 1)^2)$.)

    Args:
        E: a `Composite(f, g)`.
        lr: η > 0.
        r: the flow's friction is r/t; at least 3 for the rate.

    Raises:
        ValueError: if a number is not positive.
        TypeError: if E is not composite, or `lr` a schedule: the momentum goes by the flow's clock.

    References:
        A. Beck, M. Teboulle, A fast iterative shrinkage-thresholding algorithm, SIAM J. Imaging Sci. 2, 2009.

    Example:
        >>> import gradientflow as gf
        >>> E = gf.Composite(gf.Quadratic([[1.0]], [3.0]), gf.penalties.L1(1.0))
        >>> gf.optimizers.fista(E, lr=0.25).iterate([0.0], steps=2).x[:, 0].tolist()
        [0.0, 0.5, 1.025]
    """
    return _accelerated("fista", E, lr, r, NesterovScheme())


@written("fista, from rest again after ⟨y − x', x' − x⟩ > 0", "RestartedNesterov of NesterovFlow of a Composite")
def restarted_fista(E: Any, lr: Any, r: Any = 3.0) -> Method:
    r"""FISTA with adaptive restarts: `fista` that drops its momentum whenever $\langle y - x', x' - x\rangle > 0$.

    Args:
        E: a `Composite(f, g)`.
        lr: η > 0.
        r: the flow's friction is r/t, t since the last restart.

    Raises:
        ValueError: if a number is not positive.
        TypeError: if E is not composite, or `lr` a schedule: the momentum goes by the flow's clock.

    References:
        B. O'Donoghue, E. J. Candès, Adaptive restart for accelerated gradient schemes, Found. Comput. Math. 15, 2015.

    Example:
        >>> import gradientflow as gf
        >>> E = gf.Composite(gf.Quadratic([[1.0]], [3.0]), gf.penalties.L1(1.0))
        >>> gf.optimizers.restarted_fista(E, lr=0.25).iterate([0.0], steps=60).x[-1].round(6)
        Array([2.], dtype=...)
    """
    return _accelerated("restarted_fista", E, lr, r, RestartedNesterov())


@written("x = prox_ηg(z), z' = z + prox_ηf(2x − z) − x", "DouglasRachford of GradientFlow of a Composite")
def douglas_rachford(E: Any, lr: Any) -> Method:
    r"""Douglas–Rachford: $x = \operatorname{prox}_{\eta g}(z)$, $z' = z + \operatorname{prox}_{\eta f}(2x - z) - x$.

    Its iterates are the points x. For convex f and g it converges with any η.

    Args:
        E: a `Composite(f, g)`; f's proximal map is in closed form where f knows it, else by Newton's method.
        lr: η > 0.

    Raises:
        ValueError: if η is not positive.
        TypeError: if E is not composite, or `lr` a schedule: z depends on η, and so does where it converges.

    References:
        J. Eckstein, D. P. Bertsekas, On the Douglas–Rachford splitting method and the proximal point algorithm for
        maximal monotone operators, Math. Program. 55, 1992.

    Example:
        >>> import gradientflow as gf
        >>> E = gf.Composite(gf.Quadratic([[1.0]], [3.0]), gf.penalties.L1(1.0))
        >>> gf.optimizers.douglas_rachford(E, lr=1.0).iterate([0.0], steps=30).x[-1].round(6)
        Array([2.], dtype=...)
    """
    _check_number("douglas_rachford", lr, "z depends on it, and so does where z converges")
    return Method(GradientFlow(_composite("douglas_rachford", E)), DouglasRachford(), lr)


@written("y = prox_ηf(x − u), x' = prox_ηg(y + u), u' = u + y − x'", "ADMM of GradientFlow of a Composite")
def admm(E: Any, lr: Any) -> Method:
    r"""ADMM: $y = \operatorname{prox}_{\eta f}(x - u)$, $x' = \operatorname{prox}_{\eta g}(y + u)$, $u' = u + y - x'$.

    The alternating direction method of multipliers in scaled form, u = 0 at the start; η is 1/ρ of its penalty
    parameter ρ. For convex f and g it converges with any η.

    Args:
        E: a `Composite(f, g)`; f's proximal map is in closed form where f knows it, else by Newton's method.
        lr: η > 0.

    Raises:
        ValueError: if η is not positive.
        TypeError: if E is not composite, or `lr` a schedule: u is the multiplier over ρ.

    References:
        D. Gabay, Applications of the method of multipliers to variational inequalities, 1983.

    Example:
        >>> import gradientflow as gf
        >>> E = gf.Composite(gf.Quadratic([[1.0]], [3.0]), gf.penalties.L1(1.0))
        >>> gf.optimizers.admm(E, lr=1.0).iterate([0.0], steps=30).x[-1].round(6)
        Array([2.], dtype=...)
    """
    _check_number("admm", lr, "u is the multiplier over ρ = 1/η, and would have to be scaled with it")
    return Method(GradientFlow(_composite("admm", E)), ADMM(), lr)


def _accelerated(where: str, E: Any, lr: Any, r: Any, scheme: Discretizer) -> Method:
    _check_number(where, lr, "the momentum goes by the flow's clock")
    return Method(NesterovFlow(_composite(where, E), r), scheme, lr**0.5)


def _check_number(where: str, lr: Any, why: str) -> None:
    if callable(lr):
        raise TypeError(f"{where}: `lr` must be a number: {why}")
    check_positive(where, lr=lr)


def _composite(where: str, E: Any) -> Energy:
    if not isinstance(E, Energy) or E.nonsmooth is None:
        raise TypeError(f"{where}: `E` must be a sum, Composite(f, penalties.L1(0.1)) say, got {type(E).__name__}")
    return E
