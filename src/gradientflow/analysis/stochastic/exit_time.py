"""How long noise takes to leave a well: the mean first passage time in one dimension, and Kramers' formula for it."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradientflow.flows import Energy, Number, check_positive, looks_at_numbers

from ..results.grades import Measured
from .one_number import Values, graded, of_one_number, resolved

# Nodes between two points, by which the error is told: their integral against that of fewer.
_NODES = (12, 8)


@dataclasses.dataclass(frozen=True, repr=False)
class ExitTime(Measured):
    """The mean time of a first passage.

    Attributes:
        mean: by quadrature [T]; ∞ where it is beyond all numbers, as its logarithm is not.
        kramers: by Kramers' formula, its limit at low temperature from a well over a barrier, which an end at the top
            halves; NaN where nothing curves like a well and a barrier [T].
        log_mean: the natural logarithm of the mean.
        error: of the mean, relative: the difference to a quadrature with fewer nodes, and rounding.
    """

    mean: float
    kramers: float
    log_mean: float
    error: float

    def __str__(self) -> str:
        """The mean with its error; as a power of e where it is beyond all numbers."""
        value = f"{self.mean:.10g}" if math.isfinite(self.mean) else f"e^{self.log_mean:.10g}, beyond all numbers"
        return (
            f"mean first passage after {value} (measured, relative error {self.error:.1g}); Kramers {self.kramers:.6g}"
        )


@looks_at_numbers
def exit_time(energy: Energy, *, temperature: Number, start: Number, end: Number, wall: Number) -> ExitTime:
    r"""The mean time at which overdamped Langevin dynamics from `start` first reaches `end`, by quadrature.

    $\tau = \frac1T\int_{start}^{end} e^{E(y)/T}\int_{wall}^{y} e^{-E(z)/T}\,dz\,dy$, with a wall that reflects on the
    other side of the start; where E is high there, as good as none. Kramers: with the well a and the barrier b between
    wall and end, $\tau \approx 2\pi\,e^{(E(b) - E(a))/T}/\sqrt{E''(a)|E''(b)|}$.

    Args:
        energy: E, of a single number or of one coordinate.
        temperature: T > 0 [E].
        start: where it starts [X].
        end: where it is to arrive.
        wall: a point beyond the start, seen from the end.

    Raises:
        ValueError: if the temperature is not positive, the three points are out of order, the energy is of more
            numbers, or the start so high above the well that e^{−E/T} is no number there.

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
    function = of_one_number("exit_time", energy).value
    values = Values(function)
    before = resolved("exit_time", values, graded(a, c), T, rising=False) if a != c else np.array([a])
    after = resolved("exit_time", values, graded(a, b), T, rising=True)
    # Lengths, not coordinates: from right to left it is the same.
    if b < a:
        before, after = before[::-1], after[::-1]
    E = values(np.concatenate([before, after]))
    bottom, top = float(E.min()), float(E[len(before) :].max())
    most, fewer = (_integral(values, before, after, T, bottom, top, nodes) for nodes in _NODES)
    if not most > 0:
        raise ValueError(
            f"exit_time: from `start` = {a:g} the way leads down by {(E[len(before)] - bottom) / T:.3g} T before it "
            "leads up, too far to follow; start in the well, where the way down takes hardly longer"
        )
    log_mean = math.log(most) + (top - bottom) / T - math.log(T)
    # What rounding of E does to e^{E/T}.
    rounding = 4 * np.finfo(float).eps * (1 + max(abs(top), abs(bottom)) / T)
    error = abs(most - fewer) / most + rounding
    return ExitTime(
        _exp(log_mean), _kramers(function, T, np.concatenate([before, after]), E, len(before)), log_mean, error
    )


def _integral(
    values: Values, before: np.ndarray, after: np.ndarray, T: float, bottom: float, top: float, nodes: int
) -> float:
    """The double integral over e^{(top − bottom)/T}, by Gauss and Legendre between neighbours."""
    points, weights = np.polynomial.legendre.leggauss(nodes)
    # Row j integrates the interpolant from −1 to node j.
    powers = np.polynomial.legendre.legvander(points, nodes)
    integrals = (powers[:, 1:] @ np.diag(1 / (2 * np.arange(nodes) + 1)))[:, :nodes].copy()
    integrals[:, 1:] -= powers[:, : nodes - 1] / (2 * np.arange(1, nodes) + 1)
    integrals[:, 0] = points + 1
    upto = integrals @ np.linalg.inv(powers[:, :nodes])

    def between(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        half = np.abs(np.diff(x))[:, None] / 2
        return half, values((x[1:, None] + x[:-1, None]) / 2 + np.diff(x)[:, None] / 2 * points)

    filled = 0.0
    if len(before) > 1:
        half, E = between(before)
        filled = float(np.sum(half * weights * np.exp(-(E - bottom) / T)))
    half, E = between(after)
    density = half * np.exp(-(E - bottom) / T)
    whole = filled + np.concatenate([[0.0], np.cumsum(density @ weights)[:-1]])[:, None]
    return float(np.sum(half * weights * np.exp((E - top) / T) * (whole + density @ upto.T)))


def _kramers(function: Callable[[Any], Any], T: float, x: np.ndarray, E: np.ndarray, first: int) -> float:
    """From the deepest point between the wall and the highest one after the start, over that."""
    top = first + int(np.argmax(E[first:]))
    well = int(np.argmin(E[: top + 1]))
    with jax.enable_x64(True):
        slope, curvature = jax.grad(function), jax.grad(jax.grad(function))

        def settled(i: int) -> tuple[float, float]:
            """Where the slope is 0, between the neighbours: E and its curvature there."""
            low, high = sorted((x[max(i - 1, 0)], x[min(i + 1, len(x) - 1)]))
            at = float(x[i])
            for _ in range(20):
                bend = float(curvature(jnp.asarray(at)))
                at = float(np.clip(at - float(slope(jnp.asarray(at))) / bend, low, high)) if bend else at
            return float(function(jnp.asarray(at))), float(curvature(jnp.asarray(at)))

        (deep, down), (high, up) = settled(well), settled(top)
    if not down > 0 > up:
        return math.nan
    return 2 * math.pi / math.sqrt(-down * up) * _exp((high - deep) / T)


def _exp(exponent: float) -> float:
    """Infinite where it is beyond all numbers."""
    return math.exp(exponent) if exponent < 709 else math.inf
