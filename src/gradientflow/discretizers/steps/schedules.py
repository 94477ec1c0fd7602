"""Schedules: a step for each index, k ↦ h, from a formula. Each is a change of time, t_k = Σ_{j<k} h_j.

They go wherever a step goes: `iterate(..., step=schedules.harmonic(0.1))`, or an optimizer's `lr`. Where optax has the
same schedule, the numbers are the same. Units: h [T], k counts steps.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from gradientflow.flows import check_integer, check_nonnegative, check_positive, check_rate, is_concrete
from gradientflow.flows.aliases import StepLength
from gradientflow.flows.checks import by_name, in_a_line

from ..step_rule import StepRule

# Each is a `Partial`, whose parameters are leaves: another value does not compile again.
StepOf = Callable[[Any], Any]


@by_name
def step_decay(h: StepLength, factor: Any, every: Any) -> StepOf:
    r"""Step decay: h_k = h·f^⌊k/n⌋.

    optax's `exponential_decay(h, every, factor, staircase=True)`.

    Args:
        h: the first step [T].
        factor: f > 0, by which it is multiplied.
        every: n, after so many steps each time.

    Raises:
        ValueError: if a number is not finite and positive.

    References:
        R. Ge, S. M. Kakade, R. Kidambi, P. Netrapalli, The step decay schedule: a near optimal, geometrically decaying
        learning rate procedure for least squares, NeurIPS 2019.

    Example:
        >>> import gradientflow as gf
        >>> [float(gf.schedules.step_decay(0.8, factor=0.5, every=10)(k)) for k in (0, 9, 10, 25)]
        [0.8, 0.8, 0.4, 0.2]
    """
    check_positive("step_decay", h=h, factor=factor, every=every)
    return eqx.Partial(_step_decay, h=h, factor=factor, every=every)


def _step_decay(k: Any, h: StepLength, factor: Any, every: Any) -> Any:
    return h * jnp.power(factor, jnp.floor(k / every))


@by_name
def exponential(h: StepLength, rate: Any, every: Any = 1) -> StepOf:
    r"""Exponential decay: h_k = h·r^(k/n). With r < 1 all its steps reach no further than h/(1 − r^(1/n)).

    optax's `exponential_decay(h, every, rate)`.

    Args:
        h: the first step [T].
        rate: r > 0.
        every: n, the steps in which it is multiplied by r once.

    Raises:
        ValueError: if a number is not finite and positive.

    References:
        X. Li, Z. Zhuang, F. Orabona, A second look at exponential and cosine step sizes: simplicity, adaptivity, and
        performance, ICML 2021.

    Example:
        >>> import gradientflow as gf
        >>> [float(gf.schedules.exponential(0.8, rate=0.25, every=2)(k)) for k in range(4)]
        [0.8, 0.4, 0.2, 0.1]
    """
    check_positive("exponential", h=h, rate=rate, every=every)
    return eqx.Partial(_exponential, h=h, rate=rate, every=every)


def _exponential(k: Any, h: StepLength, rate: Any, every: Any) -> Any:
    return h * jnp.power(rate, k / every)


@by_name
def cosine(h: StepLength, steps: Any, floor: Any = 0.0) -> StepOf:
    r"""Cosine annealing without restarts: h_k = a + (h − a)(1 + cos(π·min(k/N, 1)))/2.

    optax's `cosine_decay_schedule(h, steps, alpha=floor / h)`.

    Args:
        h: the first step [T].
        steps: N, in which it falls to the floor.
        floor: a ≥ 0, the last step [T], held from there on; with 0 the iteration stands still then.

    Raises:
        ValueError: if `h` or `steps` is not finite and positive, or `floor` is negative.

    References:
        I. Loshchilov, F. Hutter, SGDR: stochastic gradient descent with warm restarts, ICLR 2017.

    Example:
        >>> import gradientflow as gf
        >>> [round(float(gf.schedules.cosine(0.4, steps=4)(k)), 4) for k in (0, 2, 4, 5)]
        [0.4, 0.2, 0.0, 0.0]
    """
    check_positive("cosine", h=h, steps=steps)
    check_nonnegative("cosine", floor=floor)
    return eqx.Partial(_cosine, h=h, steps=steps, floor=floor)


def _cosine(k: Any, h: StepLength, steps: Any, floor: Any) -> Any:
    return floor + (h - floor) * (1 + jnp.cos(jnp.pi * jnp.minimum(k / steps, 1))) / 2


@by_name
def warm_up(steps: Any, then: Any) -> StepOf:
    """A linear rise from 0 to the first step of what follows: h_k = min(k/N, 1) · then(max(k − N, 0)).

    As optax's `warmup_constant_schedule(0, h, steps)`, and its linear schedule joined to another: the very first step
    is 0, and what follows counts its own steps from 0.

    Args:
        steps: N, the steps of the rise.
        then: a number h [T] or a schedule.

    Raises:
        ValueError: if a number is not finite and positive.
        TypeError: if `then` is a step rule, which has no step before it sees the state.

    References:
        P. Goyal et al., Accurate, large minibatch SGD: training ImageNet in 1 hour, arXiv:1706.02677, 2017.

    Example:
        >>> import gradientflow as gf
        >>> schedule = gf.schedules.warm_up(4, gf.schedules.step_decay(0.8, factor=0.5, every=10))
        >>> [round(float(schedule(k)), 4) for k in (0, 1, 4, 13, 14)]
        [0.0, 0.2, 0.8, 0.8, 0.4]
    """
    check_positive("warm_up", steps=steps)
    check_rate("warm_up", then=then)
    if isinstance(then, (StepRule, str, type(None))):
        raise TypeError(f"warm_up: `then` must be a number or a schedule k -> h, got {in_a_line(then)}")
    return eqx.Partial(_warm_up, steps=steps, then=then)


def _warm_up(k: Any, steps: Any, then: Any) -> Any:
    after: Any = then(jnp.maximum(k - steps, 0)) if callable(then) else then
    return jnp.minimum(k / steps, 1) * after


@by_name
def harmonic(h: StepLength, k0: Any = 1.0) -> StepOf:
    r"""Robbins and Monro's steps: h_k = h/(1 + k/k₀). Their sum is infinite, that of their squares finite.

    Args:
        h: the first step [T].
        k0: the step after which it has halved.

    Raises:
        ValueError: if a number is not finite and positive.

    References:
        H. Robbins, S. Monro, A stochastic approximation method, Annals of Mathematical Statistics 22, 1951.

    Example:
        >>> import gradientflow as gf
        >>> [float(gf.schedules.harmonic(0.6)(k)) for k in (0, 1, 3)]
        [0.6, 0.3, 0.15]
    """
    check_positive("harmonic", h=h, k0=k0)
    return eqx.Partial(_harmonic, h=h, k0=k0)


def _harmonic(k: Any, h: StepLength, k0: Any) -> Any:
    return jnp.divide(h, 1 + k / k0)


@by_name
def inverse_square_root(h: StepLength, k0: Any = 1.0) -> StepOf:
    r"""The steps of averaged stochastic and of subgradient descent: h_k = h/√(1 + k/k₀).

    Args:
        h: the first step [T].
        k0: a third of the steps in which it halves.

    Raises:
        ValueError: if a number is not finite and positive.

    References:
        Y. Nesterov, Lectures on Convex Optimization, 2nd ed. 2018, section 3.2.

    Example:
        >>> import gradientflow as gf
        >>> [float(gf.schedules.inverse_square_root(0.6)(k)) for k in (0, 3, 15)]
        [0.6, 0.3, 0.15]
    """
    check_positive("inverse_square_root", h=h, k0=k0)
    return eqx.Partial(_inverse_square_root, h=h, k0=k0)


def _inverse_square_root(k: Any, h: StepLength, k0: Any) -> Any:
    return h / jnp.sqrt(1 + k / k0)


@by_name
def chebyshev(mu: Any, L: Any, steps: Any) -> StepOf:
    r"""The best N steps of gradient descent on quadratics with μ ≤ λ ≤ L, over and over.

    $1/h_i = \tfrac{L+\mu}2 - \tfrac{L-\mu}2\cos\tfrac{(2i-1)\pi}{2N}$: the roots of the Chebyshev polynomial $T_N$ put
    on the spectrum. N steps multiply no mode by more than $1/T_N\!\left(\tfrac{\kappa+1}{\kappa-1}\right)$.

    Single steps are far beyond 2/L, so that their order decides what rounding errors grow to on the way. For N a power
    of two it is Lebedev and Finogenov's, in which a short step follows each long one; for other N that of Leja's
    points: next is the step whose 1/h has the largest product of distances to those before it. In the sorted order
    nothing is left of the bound for N = 64, κ = 10⁴ in double precision.

    Args:
        mu: μ > 0, the least curvature [1/T].
        L: L ≥ μ, the greatest curvature [1/T].
        steps: N, the length of a cycle; another one compiles again.

    Raises:
        ValueError: if `mu` or `L` is not finite and positive, `L` is below `mu`, or `steps` below 1.
        TypeError: if `steps` is not an integer.

    References:
        D. Young, On Richardson's method for solving linear systems with positive definite matrices, J. Math. Phys. 32,
        1954; V. I. Lebedev, S. A. Finogenov, The order of choice of the iteration parameters in the cyclic Chebyshev
        iteration method, Zh. Vychisl. Mat. Mat. Fiz. 11, 1971; B. Fischer, L. Reichel, A stable Richardson iteration
        method for complex linear systems, Numer. Math. 54, 1989.

    Example:
        >>> import gradientflow as gf
        >>> E = gf.Quadratic([[1.0, 0.0], [0.0, 9.0]])
        >>> run = gf.optimizers.gradient_descent(E, gf.schedules.chebyshev(1.0, 9.0, steps=2)).iterate([1.0, 1.0], 2)
        >>> run.x[-1].round(6)  # T₂(10/8) = 17/8
        Array([0.470588, 0.470588], dtype=...)
    """
    check_positive("chebyshev", mu=mu, L=L)
    check_integer("chebyshev", 1, steps=steps)
    if is_concrete(mu, L) and mu > L:
        raise ValueError(f"chebyshev: `L` must be at least mu = {mu}, got {L}; they bound the curvature, mu ≤ λ ≤ L")
    # (1 − cos θ)/2 = sin²(θ/2): written so, the longest steps keep all their digits.
    squares = np.sin((2 * np.arange(1, steps + 1) - 1) * np.pi / (4 * steps)) ** 2
    order = _lebedev_finogenov(int(steps)) if steps & (steps - 1) == 0 else _leja(squares)
    return eqx.Partial(_chebyshev, mu=mu, L=L, squares=squares[order])


def _chebyshev(k: Any, mu: Any, L: Any, squares: Any) -> Any:
    return 1 / (mu + (L - mu) * jnp.asarray(squares)[jnp.asarray(k).astype(int) % len(squares)])


def _lebedev_finogenov(n: int) -> np.ndarray:
    """Each entry i of the order for n/2 is followed by its mirror image n − 1 − i."""
    order = np.zeros(1, int)
    while len(order) < n:
        order = np.stack([order, 2 * len(order) - 1 - order], axis=1).ravel()
    return order


def _leja(points: np.ndarray) -> list[int]:
    order = [0]
    with np.errstate(divide="ignore"):
        logarithms = np.log(np.abs(points - points[0]))
        while len(order) < len(points):
            order.append(int(np.argmax(logarithms)))
            logarithms += np.log(np.abs(points - points[order[-1]]))
    return order
