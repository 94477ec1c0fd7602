"""The unconstrained problems of Moré, Garbow and Hillstrom: residuals, standard starts and printed minima.

The energy of a problem is the sum of its squared residuals, without a factor ½, as in the paper. Left out are the
three that repeat another: 21 and 22 are uncoupled copies of 1 and 13, and 34 is 33 with idle variables.

References:
    J. J. Moré, B. S. Garbow, K. E. Hillstrom, Testing Unconstrained Optimization Software, ACM TOMS 7, 1981;
    starts and data as in the authors' own code, Algorithm 566.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

# fmt: off
BARD = np.array([
    0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.10, 4.39,
])
GAUSSIAN = np.array([
    0.0009, 0.0044, 0.0175, 0.0540, 0.1295, 0.2420, 0.3521, 0.3989,
    0.3521, 0.2420, 0.1295, 0.0540, 0.0175, 0.0044, 0.0009,
])
MEYER = np.array([
    34780, 28610, 23650, 19630, 16370, 13720, 11540, 9744, 8261, 7030, 6005, 5147, 4427, 3820, 3307, 2872,
], dtype=float)
KOWALIK = np.array([0.1957, 0.1947, 0.1735, 0.1600, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246])
KOWALIK_TIMES = np.array([4, 2, 1, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625])
OSBORNE_1 = np.array([
    0.844, 0.908, 0.932, 0.936, 0.925, 0.908, 0.881, 0.850, 0.818, 0.784, 0.751, 0.718, 0.685, 0.658, 0.628, 0.603,
    0.580, 0.558, 0.538, 0.522, 0.506, 0.490, 0.478, 0.467, 0.457, 0.448, 0.438, 0.431, 0.424, 0.420, 0.414, 0.411,
    0.406,
])
OSBORNE_2 = np.array([
    1.366, 1.191, 1.112, 1.013, 0.991, 0.885, 0.831, 0.847, 0.786, 0.725, 0.746, 0.679, 0.608, 0.655, 0.616, 0.606,
    0.602, 0.626, 0.651, 0.724, 0.649, 0.649, 0.694, 0.644, 0.624, 0.661, 0.612, 0.558, 0.533, 0.495, 0.500, 0.423,
    0.395, 0.375, 0.372, 0.391, 0.396, 0.405, 0.428, 0.429, 0.523, 0.562, 0.607, 0.653, 0.672, 0.708, 0.633, 0.668,
    0.645, 0.632, 0.591, 0.559, 0.597, 0.625, 0.739, 0.710, 0.729, 0.720, 0.636, 0.581, 0.428, 0.292, 0.162, 0.098,
    0.054,
])
# fmt: on


@dataclasses.dataclass(frozen=True)
class Problem:
    """A least-squares problem as the paper states it.

    Attributes:
        name: how the paper calls it, with the number n of variables where the paper leaves it open.
        number: its number in the paper.
        residuals: the residuals of a position of shape (n,).
        start: the standard starting point.
        minimum: the least sum of squares that it prints.
        other_minima: the further local minima that it prints, but for those at infinity.
    """

    name: str
    number: int
    residuals: Callable[[Any], Any]
    start: tuple[float, ...]
    minimum: float
    other_minima: tuple[float, ...] = ()

    def energy(self, x: Any) -> Any:
        """The sum of the squared residuals."""
        return jnp.sum(self.residuals(x) ** 2)


def rosenbrock(x: Any) -> Any:
    return jnp.stack([10 * (x[1] - x[0] ** 2), 1 - x[0]])


def freudenstein_roth(x: Any) -> Any:
    a, b = x
    return jnp.stack([-13 + a + ((5 - b) * b - 2) * b, -29 + a + ((b + 1) * b - 14) * b])


def powell_badly_scaled(x: Any) -> Any:
    return jnp.stack([1e4 * x[0] * x[1] - 1, jnp.exp(-x[0]) + jnp.exp(-x[1]) - 1.0001])


def brown_badly_scaled(x: Any) -> Any:
    return jnp.stack([x[0] - 1e6, x[1] - 2e-6, x[0] * x[1] - 2])


def beale(x: Any) -> Any:
    return np.array([1.5, 2.25, 2.625]) - x[0] * (1 - x[1] ** np.arange(1, 4))


def jennrich_sampson(x: Any) -> Any:
    i = np.arange(1, 11)
    return 2 + 2 * i - jnp.sum(jnp.exp(i[:, None] * x), axis=1)


def helical_valley(x: Any) -> Any:
    """The paper's angle, cut along the negative second axis, written without its division by zero on that axis."""
    angle = 0.25 + jnp.arctan2(-x[0], x[1]) / (2 * math.pi)
    return jnp.stack([10 * (x[2] - 10 * angle), 10 * (jnp.sqrt(x[0] ** 2 + x[1] ** 2) - 1), x[2]])


def bard(x: Any) -> Any:
    u = np.arange(1, 16)
    v = 16 - u
    return BARD - (x[0] + u / (v * x[1] + np.minimum(u, v) * x[2]))


def gaussian(x: Any) -> Any:
    t = (8 - np.arange(1, 16)) / 2
    return x[0] * jnp.exp(-x[1] * (t - x[2]) ** 2 / 2) - GAUSSIAN


def meyer(x: Any) -> Any:
    t = 45 + 5 * np.arange(1, 17)
    return x[0] * jnp.exp(x[1] / (t + x[2])) - MEYER


def gulf(x: Any) -> Any:
    t = np.arange(1, 100) / 100
    y = 25 + (-50 * np.log(t)) ** (2 / 3)
    return jnp.exp(-(jnp.abs(y - x[1]) ** x[2]) / x[0]) - t


def box(x: Any) -> Any:
    t = np.arange(1, 11) / 10
    return jnp.exp(-t[:, None] * x[:2]) @ np.array([1, -1]) - x[2] * (np.exp(-t) - np.exp(-10 * t))


def powell_singular(x: Any) -> Any:
    a, b, c, d = x
    return jnp.stack([a + 10 * b, math.sqrt(5) * (c - d), (b - 2 * c) ** 2, math.sqrt(10) * (a - d) ** 2])


def wood(x: Any) -> Any:
    a, b, c, d = x
    return jnp.stack([
        10 * (b - a**2), 1 - a, math.sqrt(90) * (d - c**2), 1 - c, math.sqrt(10) * (b + d - 2), (b - d) / math.sqrt(10),
    ])  # fmt: skip


def kowalik_osborne(x: Any) -> Any:
    u = KOWALIK_TIMES
    return KOWALIK - x[0] * (u**2 + u * x[1]) / (u**2 + u * x[2] + x[3])


def brown_dennis(x: Any) -> Any:
    t = np.arange(1, 21) / 5
    return (x[0] + t * x[1] - np.exp(t)) ** 2 + (x[2] + x[3] * np.sin(t) - np.cos(t)) ** 2


def osborne_1(x: Any) -> Any:
    t = 10 * np.arange(33)
    return OSBORNE_1 - (x[0] + jnp.exp(-t[:, None] * x[3:]) @ x[1:3])


def biggs_exp6(x: Any) -> Any:
    t = np.arange(1, 14) / 10
    y = np.exp(-t) - 5 * np.exp(-10 * t) + 3 * np.exp(-4 * t)
    rates, weights = x[np.array([0, 1, 4])], np.array([1, -1, 1]) * x[np.array([2, 3, 5])]
    return jnp.exp(-t[:, None] * rates) @ weights - y


def osborne_2(x: Any) -> Any:
    t = np.arange(65)[:, None] / 10
    exponents = jnp.concatenate([t * x[4], x[5:8] * (t - x[8:]) ** 2], axis=1)
    return OSBORNE_2 - jnp.exp(-exponents) @ x[:4]


def watson(x: Any) -> Any:
    t, j = np.arange(1, 30)[:, None] / 29, np.arange(len(x))
    slopes = (j[1:] * t ** (j[1:] - 1)) @ x[1:]
    return jnp.concatenate([slopes - (t**j @ x) ** 2 - 1, x[:1], x[1:2] - x[:1] ** 2 - 1])


def penalty_1(x: Any) -> Any:
    return jnp.append(math.sqrt(1e-5) * (x - 1), jnp.sum(x**2) - 0.25)


def penalty_2(x: Any) -> Any:
    n = len(x)
    growth, y = jnp.exp(x / 10), np.exp(np.arange(1, n + 1) / 10)
    pairs = growth[1:] + growth[:-1] - (y[1:] + y[:-1])
    decay = growth[1:] - math.exp(-0.1)
    ends = jnp.stack([x[0] - 0.2, jnp.sum(np.arange(n, 0, -1) * x**2) - 1])
    return jnp.concatenate([math.sqrt(1e-5) * pairs, math.sqrt(1e-5) * decay, ends])


def variably_dimensioned(x: Any) -> Any:
    s = jnp.sum(np.arange(1, len(x) + 1) * (x - 1))
    return jnp.concatenate([x - 1, jnp.stack([s, s**2])])


def trigonometric(x: Any) -> Any:
    n = len(x)
    return n - jnp.sum(jnp.cos(x)) + np.arange(1, n + 1) * (1 - jnp.cos(x)) - jnp.sin(x)


def brown_almost_linear(x: Any) -> Any:
    return jnp.append(x[:-1] + jnp.sum(x) - (len(x) + 1), jnp.prod(x) - 1)


def discrete_boundary_value(x: Any) -> Any:
    n = len(x)
    h, padded = 1 / (n + 1), jnp.pad(x, 1)
    return 2 * x - padded[:-2] - padded[2:] + h**2 * (x + grid(n) + 1) ** 3 / 2


def discrete_integral_equation(x: Any) -> Any:
    t = grid(len(x))
    kernel = np.where(t[:, None] >= t, (1 - t[:, None]) * t, t[:, None] * (1 - t))
    return x + kernel @ (x + t + 1) ** 3 / (2 * (len(x) + 1))


def broyden_tridiagonal(x: Any) -> Any:
    padded = jnp.pad(x, 1)
    return (3 - 2 * x) * x - padded[:-2] - 2 * padded[2:] + 1


def broyden_banded(x: Any) -> Any:
    offset = np.arange(len(x)) - np.arange(len(x))[:, None]
    band = ((offset >= -5) & (offset <= 1) & (offset != 0)).astype(float)
    return x * (2 + 5 * x**2) + 1 - band @ (x * (1 + x))


def linear_full_rank(x: Any) -> Any:
    return jnp.pad(x, (0, 10)) - 2 * jnp.sum(x) / (len(x) + 10) - 1


def linear_rank_1(x: Any) -> Any:
    return np.arange(1, 11) * jnp.sum(np.arange(1, len(x) + 1) * x) - 1


def chebyquad(x: Any) -> Any:
    n, u = len(x), 2 * x - 1
    polynomials = [jnp.ones_like(u), u]
    for _ in range(n - 1):
        polynomials.append(2 * u * polynomials[-1] - polynomials[-2])
    integrals = np.array([0 if i % 2 else -1 / (i**2 - 1) for i in range(1, n + 1)])
    return jnp.stack([jnp.mean(p) for p in polynomials[1:]]) - integrals


def grid(n: int) -> np.ndarray:
    """The inner points of [0, 1] cut into n + 1 equal parts."""
    return np.arange(1, n + 1) / (n + 1)


def parabola(n: int) -> tuple[float, ...]:
    """t(t − 1) on the grid, where the two discretized equations start."""
    return tuple((grid(n) * (grid(n) - 1)).tolist())


PROBLEMS = (
    Problem("Rosenbrock", 1, rosenbrock, (-1.2, 1.0), 0.0),
    Problem("Freudenstein and Roth", 2, freudenstein_roth, (0.5, -2.0), 0.0, (48.9842,)),
    Problem("Powell badly scaled", 3, powell_badly_scaled, (0.0, 1.0), 0.0),
    Problem("Brown badly scaled", 4, brown_badly_scaled, (1.0, 1.0), 0.0),
    Problem("Beale", 5, beale, (1.0, 1.0), 0.0),
    Problem("Jennrich and Sampson", 6, jennrich_sampson, (0.3, 0.4), 124.362),
    Problem("Helical valley", 7, helical_valley, (-1.0, 0.0, 0.0), 0.0),
    Problem("Bard", 8, bard, (1.0, 1.0, 1.0), 8.21487e-3),
    Problem("Gaussian", 9, gaussian, (0.4, 1.0, 0.0), 1.12793e-8),
    Problem("Meyer", 10, meyer, (0.02, 4000.0, 250.0), 87.9458),
    Problem("Gulf research and development", 11, gulf, (5.0, 2.5, 0.15), 0.0),
    Problem("Box three-dimensional", 12, box, (0.0, 10.0, 20.0), 0.0),
    Problem("Powell singular", 13, powell_singular, (3.0, -1.0, 0.0, 1.0), 0.0),
    Problem("Wood", 14, wood, (-3.0, -1.0, -3.0, -1.0), 0.0),
    Problem("Kowalik and Osborne", 15, kowalik_osborne, (0.25, 0.39, 0.415, 0.39), 3.07505e-4),
    Problem("Brown and Dennis", 16, brown_dennis, (25.0, 5.0, -5.0, -1.0), 85822.2),
    Problem("Osborne 1", 17, osborne_1, (0.5, 1.5, -1.0, 0.01, 0.02), 5.46489e-5),
    Problem("Biggs EXP6", 18, biggs_exp6, (1.0, 2.0, 1.0, 1.0, 1.0, 1.0), 0.0, (5.65565e-3,)),
    Problem("Osborne 2", 19, osborne_2, (1.3, 0.65, 0.65, 0.7, 0.6, 3.0, 5.0, 7.0, 2.0, 4.5, 5.5), 4.01377e-2),
    Problem("Watson, n = 6", 20, watson, (0.0,) * 6, 2.28767e-3),
    Problem("penalty I, n = 4", 23, penalty_1, (1.0, 2.0, 3.0, 4.0), 2.24997e-5),
    Problem("penalty II, n = 4", 24, penalty_2, (0.5,) * 4, 9.37629e-6),
    Problem("variably dimensioned, n = 10", 25, variably_dimensioned, tuple((1 - np.arange(1, 11) / 10).tolist()), 0.0),
    Problem("trigonometric, n = 10", 26, trigonometric, (0.1,) * 10, 0.0),
    Problem("Brown almost-linear, n = 10", 27, brown_almost_linear, (0.5,) * 10, 0.0, (1.0,)),
    Problem("discrete boundary value, n = 10", 28, discrete_boundary_value, parabola(10), 0.0),
    Problem("discrete integral equation, n = 10", 29, discrete_integral_equation, parabola(10), 0.0),
    Problem("Broyden tridiagonal, n = 10", 30, broyden_tridiagonal, (-1.0,) * 10, 0.0),
    Problem("Broyden banded, n = 10", 31, broyden_banded, (-1.0,) * 10, 0.0),
    # The minima are m − n and m(m − 1)/(4m + 2), with m = 20 and m = 10 residuals.
    Problem("linear of full rank, n = 10", 32, linear_full_rank, (1.0,) * 10, 10.0),
    Problem("linear of rank 1, n = 5", 33, linear_rank_1, (1.0,) * 5, 15 / 7),
    Problem("Chebyquad, n = 8", 35, chebyquad, tuple(grid(8).tolist()), 3.51687e-3),
)
