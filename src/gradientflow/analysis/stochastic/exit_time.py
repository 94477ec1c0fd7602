"""How long noise takes to leave a well: the mean first passage time in one dimension, and Kramers' formula for it."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import scipy.integrate

from gradientflow.flows import Energy, Number, check_positive

from ..grades import Measured

_POINTS = 20_001


@dataclasses.dataclass(frozen=True, repr=False)
class ExitTime(Measured):
    """The mean time of a first passage.

    Attributes:
        mean: by quadrature [T].
        kramers: by Kramers' formula, its limit at low temperature from a well over a barrier, which an end at the top
            halves; NaN where nothing curves like a well and a barrier [T].
    """

    mean: float
    kramers: float


def exit_time(energy: Energy, *, temperature: Number, start: Number, end: Number, wall: Number) -> ExitTime:
    r"""The mean time at which overdamped Langevin dynamics from `start` first reaches `end`, by quadrature.

    $\tau = \frac1T\int_{start}^{end} e^{E(y)/T}\int_{wall}^{y} e^{-E(z)/T}\,dz\,dy$, with a wall that reflects on the
    other side of the start; where E is high there, as good as none. Kramers: with the well a and the barrier b between
    wall and end, $\tau \approx 2\pi\,e^{(E(b) - E(a))/T}/\sqrt{E''(a)|E''(b)|}$.

    Args:
        energy: E, of a single number.
        temperature: T > 0 [E].
        start: where it starts [X].
        end: where it is to arrive.
        wall: a point beyond the start, seen from the end.

    Raises:
        ValueError: if the temperature is not positive, or the three points are out of order.

    References:
        C. W. Gardiner, Handbook of Stochastic Methods, 3rd ed. 2004, section 5.2.7.
        H. A. Kramers, Brownian motion in a field of force, Physica 7, 1940.

    Example:
        >>> import gradientflow as gf
        >>> flat = gf.energy(lambda x: 0.0 * x)
        >>> round(gf.exit_time(flat, temperature=0.5, start=0.0, end=1.0, wall=0.0).mean, 9)  # (1 − 0)²/2T
        1.0
    """
    check_positive("exit_time", temperature=temperature)
    T, a, b, c = (float(number) for number in (temperature, start, end, wall))
    if not (c <= a < b or c >= a > b):
        raise ValueError(f"exit_time: `start` must lie between `wall` and `end`, got {a:g}, {c:g} and {b:g}")
    with jax.enable_x64(True):
        before, after = np.linspace(c, a, _POINTS), np.linspace(a, b, _POINTS)
        E = [np.asarray(jax.vmap(energy.value)(jnp.asarray(x))) for x in (before, after)]
        bottom, top = min(map(np.min, E)), np.max(E[1])
        weights = [np.exp(-(values - bottom) / T) for values in E]
        # Lengths, not coordinates: from right to left it is the same.
        s, r = np.abs(before - c), np.abs(after - a)
        filled = scipy.integrate.simpson(weights[0], x=s) if a != c else 0.0
        inside = filled + scipy.integrate.cumulative_simpson(weights[1], x=r, initial=0)
        total = scipy.integrate.simpson(np.exp((E[1] - top) / T) * inside, x=r)
        mean = total * _exp((top - bottom) / T) / T
        barrier = float(after[np.argmax(E[1])])
        side = np.linspace(c, barrier, 2 * _POINTS)
        return ExitTime(float(mean), _kramers(energy, T, side, np.asarray(jax.vmap(energy.value)(jnp.asarray(side)))))


def _kramers(energy: Energy, T: float, x: np.ndarray, E: np.ndarray) -> float:
    """From the deepest point between the wall and the highest one, which is the last, over that."""
    well, barrier = int(np.argmin(E)), len(E) - 1
    curvature = jax.grad(jax.grad(energy.value))
    down, up = (float(curvature(jnp.asarray(x[i]))) for i in (well, barrier))
    if not down > 0 > up:
        return math.nan
    return 2 * math.pi / math.sqrt(-down * up) * _exp(float(E[barrier] - E[well]) / T)


def _exp(exponent: float) -> float:
    """Infinite where it is beyond all numbers."""
    return math.exp(exponent) if exponent < 709 else math.inf
