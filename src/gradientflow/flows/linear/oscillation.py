"""Linear motions with and without noise: what the exact flows of quadratic energies are made of, mode by mode."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from ..aliases import Increment, StepLength
from ..duration import Duration
from ..numerics import relaxed

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(20)
# So slow is a mode, h(a + √|k|), that so many nodes integrate it over h to rounding.
_SLOW = 4.0


def damped_oscillation(a: Any, k: Any, h: StepLength) -> tuple[Any, Any, Any]:
    r"""C, S and ∫S over h for $\ddot y + 2a\dot y + ky = 0$, with S(0) = 0, S'(0) = 1 and C = S' + aS.

    Written with e^{−(a−s)h}, s = √(a² − k), factored out, so that neither large damping nor a long time overflows.
    """
    if isinstance(h, Duration):
        return h.damped_oscillation(a, k)
    discriminant = a * a - k
    s = jnp.sqrt(jnp.abs(discriminant))
    safe = jnp.where(s * h < 1e-6, 1, s)
    slow = jnp.exp(-h * k / jnp.where(a + s == 0, 1, a + s))
    over_cosine, over_sine = slow * (1 + jnp.exp(-2 * s * h)) / 2, -slow * jnp.expm1(-2 * safe * h) / (2 * safe)
    decay = jnp.exp(-a * h)
    under_cosine, under_sine = decay * jnp.cos(s * h), decay * jnp.sin(safe * h) / safe
    over = discriminant > 0
    cosine = jnp.where(over, over_cosine, under_cosine)
    sine = jnp.where(s * h < 1e-6, decay * h, jnp.where(over, over_sine, under_sine))
    # Where nothing pulls back (k = 0), the integral is that of a decaying velocity, or of a constant one.
    rate = jnp.where(a == 0, 1, 2 * a)
    free = jnp.where(a == 0, h * h / 2, (h + jnp.expm1(-rate * h) / rate) / rate)
    work = jnp.where(k == 0, free, (1 - cosine - a * sine) / jnp.where(k == 0, 1, k))
    return cosine, sine, work


def decayed(rate: Any, h: StepLength, noise: Increment) -> Any:
    """∫₀ʰ e^{−λ(h−s)} dW in law: the increment, scaled to the variance (1 − e^{−2λh})/2λ."""
    return noise * jnp.sqrt(relaxed(2 * rate, h) / h)


def oscillated(a: Any, k: Any, h: StepLength, halves: tuple[Any, Any]) -> tuple[Any, Any]:
    r"""What unit noise on the velocity does over h to $\ddot y + 2a\dot y + ky = \dot W$, in law: (y, ẏ).

    Both are Gaussian: ẏ is made of the whole increment, y of what it shares with ẏ and of the difference of the halves.
    """
    first, second = halves
    yy, yv, vv = _variances(a, k, h)
    whole, difference = (first + second) / jnp.sqrt(h), (first - second) / jnp.sqrt(h)
    rest = jnp.sqrt(jnp.maximum(yy - yv**2 / vv, 0))
    return whole * (yv / jnp.sqrt(vv)) + difference * rest, whole * jnp.sqrt(vv)


def _variances(a: Any, k: Any, h: StepLength) -> tuple[Any, Any, Any]:
    r"""$\int_0^h S^2$, $\int SS'$ and $\int S'^2$ over the response S to a kick.

    By quadrature where the mode is slow: the closed form, the stationary covariance less what remains of it, cancels
    there. Where it is fast, by the closed form, or period by period where it swings, since little damping cancels too.
    """
    dtype, axes = jnp.result_type(a, k, h), tuple(range(1, 1 + jnp.ndim(a * k)))
    nodes, weights = (jnp.expand_dims(jnp.asarray(rule, dtype), axes) for rule in (_NODES, _WEIGHTS * 0.5))
    weights = weights * h
    cosine, sine, _ = damped_oscillation(a, k, h * (nodes + 1) / 2)
    slope = cosine - a * sine
    slow = (jnp.sum(weights * sine**2, 0), jnp.sum(weights * sine * slope, 0), jnp.sum(weights * slope**2, 0))
    cosine, sine, _ = damped_oscillation(a, k, h)
    slope = cosine - a * sine
    damping, stiffness = jnp.where(a == 0, 1, a), jnp.where(k == 0, 1, k)
    free = 2 * damping
    # Without curvature y is the integral of a decaying velocity.
    loose = (h - 2 * relaxed(free, h) + relaxed(2 * free, h)) / free**2
    yy = jnp.where(k == 0, loose, (1 - (cosine + a * sine) ** 2 - stiffness * sine**2) / (4 * damping * stiffness))
    vv = (1 - slope**2 - k * sine**2) / (4 * damping)
    s = jnp.sqrt(jnp.maximum(k - a * a, 0))
    swings = s * h > 1
    yy, vv = (jnp.where(swings, *pair) for pair in zip(_swung(a, jnp.where(swings, s, 1), h), (yy, vv), strict=True))
    fast = (yy, sine**2 / 2, vv)
    is_slow = (h * (jnp.abs(a) + jnp.sqrt(jnp.abs(k))) < _SLOW) | (k < 0)
    yy, yv, vv = (jnp.where(is_slow, one, other) for one, other in zip(slow, fast, strict=True))
    return yy, yv, vv


def _swung(a: Any, s: Any, h: StepLength) -> tuple[Any, Any]:
    """∫S² and ∫S'² over h of S = e^{−at} sin(st)/s, made of those of e^{−2at}, alone and times cos 2st and sin 2st."""
    plain, left, size = relaxed(2 * a, h), jnp.exp(-2 * a * h), 2 * (a * a + s * s)
    even = (a + left * (s * jnp.sin(2 * s * h) - a * jnp.cos(2 * s * h))) / size
    odd = (s - left * (a * jnp.sin(2 * s * h) + s * jnp.cos(2 * s * h))) / size
    squares = (plain - even) / 2
    return squares / s**2, (plain + even) / 2 - a / s * odd + (a / s) ** 2 * squares
