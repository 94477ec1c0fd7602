"""The named test energies, each a function that makes it."""

import functools
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from ...aliases import Position
from ...checks import by_name, check_integer, check_positive, unknown_name
from .landscape import Landscape


@by_name
def rosenbrock(n: int = 2, a: float = 1.0, b: float = 100.0) -> Landscape:
    """Rosenbrock's valley: Σ (a − xᵢ)² + b(xᵢ₊₁ − xᵢ²)². For n ≥ 4 there is a second, local, minimum near x₁ = −1.

    Args:
        n: the dimension, at least 2.
        a: where the valley's floor is lowest.
        b: how steep its walls are.

    References:
        H. H. Rosenbrock, An automatic method for finding the greatest or least value of a function, 1960.

    Example:
        >>> import gradientflow as gf
        >>> float(gf.landscapes.rosenbrock().minimum)
        0.0
    """
    check_integer("rosenbrock", 2, n=n)
    minimizer = tuple(float(a) ** (2**i) for i in range(n))

    def fn(x: Position) -> Any:
        return jnp.sum((a - x[:-1]) ** 2 + b * (x[1:] - x[:-1] ** 2) ** 2)

    return Landscape(
        fn, "rosenbrock", "Σ (1 − xᵢ)² + 100(xᵢ₊₁ − xᵢ²)²",
        domain=((-2.0, 2.0), (-1.0, 3.0)) + ((-2.0, 2.0),) * (n - 2),
        start=(-1.2, 1.0) * (n // 2) + (-1.2,) * (n % 2), minima=(minimizer,),
    )  # fmt: skip


def beale() -> Landscape:
    """Beale's function: (1.5 − x + xy)² + (2.25 − x + xy²)² + (2.625 − x + xy³)².

    Its flow reaches (3, 0.5) from many starts, and runs off to infinity with falling energy from others, (−1, 4) say.

    References:
        E. M. L. Beale, On an iterative method of finding a local minimum of a function of more than one variable,
        technical report 25, Princeton 1958.

    Example:
        >>> import gradientflow as gf
        >>> gf.landscapes.beale().minimizer.tolist()
        [3.0, 0.5]
    """

    def fn(p: Any) -> Any:
        x, y = p
        return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2

    return Landscape(
        fn, "beale", "(1.5 − x + xy)² + (2.25 − x + xy²)² + (2.625 − x + xy³)²",
        domain=((-4.5, 4.5), (-4.5, 4.5)), start=(1.0, 1.0), minima=((3.0, 0.5),),
    )  # fmt: skip


def himmelblau() -> Landscape:
    """Himmelblau's function: (x² + y − 11)² + (x + y² − 7)²; four minima, all global, with value 0.

    References:
        D. M. Himmelblau, Applied Nonlinear Programming, 1972.

    Example:
        >>> import gradientflow as gf
        >>> len(gf.landscapes.himmelblau().minima)
        4
    """

    def fn(p: Any) -> Any:
        x, y = p
        return (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2

    minima = (
        (3.0, 2.0),
        (-2.8051180869527449, 3.1313125182505730),
        (-3.7793102533777469, -3.2831859912861694),
        (3.5844283403304917, -1.8481265269644035),
    )
    return Landscape(
        fn, "himmelblau", "(x² + y − 11)² + (x + y² − 7)²",
        domain=((-5.0, 5.0), (-5.0, 5.0)), start=(0.0, 0.0), minima=minima,
    )  # fmt: skip


def double_well() -> Landscape:
    """Two wells and a strict saddle between them: (x² − 1)²/4 + y²/2; minima (±1, 0), barrier 1/4 at the origin.

    References:
        P. Hänggi, P. Talkner, M. Borkovec, Reaction-rate theory: fifty years after Kramers, Rev. Mod. Phys. 62, 1990,
        for escapes from such wells.

    Example:
        >>> import gradientflow as gf
        >>> gf.landscapes.double_well().value([0.0, 0.0])
        0.25
    """

    def fn(p: Any) -> Any:
        x, y = p
        return (x**2 - 1) ** 2 / 4 + y**2 / 2

    return Landscape(
        fn, "double_well", "(x² − 1)²/4 + y²/2",
        domain=((-2.0, 2.0), (-1.5, 1.5)), start=(0.1, 1.0), minima=((1.0, 0.0), (-1.0, 0.0)),
    )  # fmt: skip


def saddle() -> Landscape:
    """The strict saddle x² − y²: unbounded below.

    References:
        J. D. Lee, M. Simchowitz, M. I. Jordan, B. Recht, Gradient descent only converges to minimizers, COLT 2016, for
        strict saddles.

    Example:
        >>> import gradientflow as gf
        >>> gf.landscapes.saddle().value([2.0, 1.0])
        3.0
    """

    def fn(p: Any) -> Any:
        x, y = p
        return x**2 - y**2

    return Landscape(fn, "saddle", "x² − y²", domain=((-1.0, 1.0), (-1.0, 1.0)), start=(0.1, 0.1))


def monkey_saddle() -> Landscape:
    """The degenerate saddle x³ − 3xy²: its Hessian vanishes at the origin; unbounded below.

    References:
        D. Hilbert, S. Cohn-Vossen, Geometry and the Imagination, 1952.

    Example:
        >>> import gradientflow as gf
        >>> gf.landscapes.monkey_saddle().value([1.0, 1.0])
        -2.0
    """

    def fn(p: Any) -> Any:
        x, y = p
        return x**3 - 3 * x * y**2

    return Landscape(fn, "monkey_saddle", "x³ − 3xy²", domain=((-1.0, 1.0), (-1.0, 1.0)), start=(0.5, 0.1))


@by_name
def rastrigin(n: int = 2) -> Landscape:
    """Rastrigin's egg box: 10n + Σ xᵢ² − 10 cos 2πxᵢ; the global minimum, 0, is at the origin.

    Args:
        n: the dimension.

    References:
        L. A. Rastrigin, Systems of Extremal Control, 1974 (in Russian).

    Example:
        >>> import gradientflow as gf
        >>> float(gf.landscapes.rastrigin(3).minimum)
        0.0
    """
    check_integer("rastrigin", 1, n=n)

    def fn(x: Position) -> Any:
        return jnp.sum(10 + x**2 - 10 * jnp.cos(2 * jnp.pi * x))

    return Landscape(
        fn, "rastrigin", "10n + Σ xᵢ² − 10 cos 2πxᵢ",
        domain=((-5.12, 5.12),) * n, start=(2.2,) * n, minima=((0.0,) * n,),
    )  # fmt: skip


def gaussians() -> Landscape:
    """Three Gaussian wells of different depth: −Σ aᵢ exp(−‖x − cᵢ‖²/2sᵢ²).

    Example:
        >>> import gradientflow as gf
        >>> len(gf.landscapes.gaussians().minima)
        3
    """
    depths, widths = np.array([1.0, 0.7, 0.5]), np.array([0.6, 0.5, 0.8])
    centres = np.array([[1.0, 0.5], [-1.0, 0.5], [0.0, -1.2]])

    def fn(p: Any) -> Any:
        squares = jnp.sum((p - jnp.asarray(centres, p.dtype)) ** 2, axis=1)
        return -jnp.sum(jnp.asarray(depths, p.dtype) * jnp.exp(-squares / jnp.asarray(2 * widths**2, p.dtype)))

    minima = (
        (0.9847340838413936, 0.47532698289282244),
        (-0.9769060671061823, 0.4752964636211013),
        (0.01776881388435482, -1.1638680617462795),
    )
    return Landscape(
        fn, "gaussians", "−Σ aᵢ exp(−‖x − cᵢ‖²/2sᵢ²)",
        domain=((-2.5, 2.5), (-2.5, 2.5)), start=(-0.2, 0.2), minima=minima,
    )  # fmt: skip


def quartic() -> Landscape:
    """One degenerate minimum: x⁴/4, whose flow x₀/√(1 + 2t x₀²) is slower than any exponential.

    Example:
        >>> import gradientflow as gf
        >>> gf.landscapes.quartic().value([2.0])
        4.0
    """

    def fn(x: Position) -> Any:
        return x[0] ** 4 / 4

    return Landscape(fn, "quartic", "x⁴/4", domain=((-2.0, 2.0),), start=(1.0,), minima=((0.0,),))


def tilted_quartic() -> Landscape:
    """Two minima of different depth on a line: x⁴ − 5x² + x + 4.

    Example:
        >>> import gradientflow as gf
        >>> gf.landscapes.tilted_quartic().value([1.0])
        1.0
    """

    def fn(x: Position) -> Any:
        return x[0] ** 4 - 5 * x[0] ** 2 + x[0] + 4

    # The outer roots of 4x³ − 10x + 1.
    minima = ((-1.6289485065147174,), (1.5285436282781643,))
    return Landscape(
        fn, "tilted_quartic", "x⁴ − 5x² + x + 4", domain=((-3.0, 3.0),), start=(0.5,), minima=minima
    )  # fmt: skip


@by_name
def bowl(mu: float = 1.0, L: float = 9.0) -> Landscape:
    """An elliptic bowl: ½(μx² + Ly²), with κ = L/μ.

    Args:
        mu: the curvature along x.
        L: the curvature along y.

    References:
        S. Boyd, L. Vandenberghe, Convex Optimization, 2004, section 9.3.2: gradient descent on it.

    Example:
        >>> import gradientflow as gf
        >>> gf.landscapes.bowl(mu=1.0, L=9.0).curvature
        Curvature(mu=1.0, L=9.0)
    """
    check_positive("bowl", mu=mu, L=L)

    def fn(p: Any) -> Any:
        x, y = p
        return (mu * x**2 + L * y**2) / 2

    return Landscape(
        fn, "bowl", "½(μx² + Ly²)", domain=((-4.0, 4.0), (-2.0, 2.0)), start=(3.0, 1.0),
        minima=((0.0, 0.0),), bounds=(min(mu, L), max(mu, L)),
    )  # fmt: skip


_LANDSCAPES: dict[str, Callable[[], Landscape]] = {
    maker.__name__: maker
    for maker in (
        beale, bowl, double_well, gaussians, himmelblau, monkey_saddle, quartic, rastrigin, rosenbrock, saddle,
        tilted_quartic,
    )
}  # fmt: skip


def names() -> list[str]:
    r"""The names of all landscapes $E: \mathbb R^n \to \mathbb R$, sorted.

    Example:
        >>> import gradientflow as gf
        >>> "rosenbrock" in gf.landscapes.names()
        True
    """
    return sorted(_LANDSCAPES)


@functools.lru_cache
def get(name: str) -> Landscape:
    r"""The landscape $E: \mathbb R^n \to \mathbb R$ of that name, with its default parameters.

    Raises:
        ValueError: if there is none, naming the nearest.

    Example:
        >>> import gradientflow as gf
        >>> gf.landscapes.get("beale").start
        (1.0, 1.0)
    """
    if name not in _LANDSCAPES:
        raise ValueError(unknown_name("landscape", name, names()))
    return _LANDSCAPES[name]()
