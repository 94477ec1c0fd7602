"""Where a scheme is stable: intervals on the axes, the region in the complex plane, and maps over two parameters."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import sympy
from sympy.polys.rings import PolyElement

from gradientflow.discretizers import Discretizer, Method, as_method
from gradientflow.flows import GradientFlow, Mode, check_integer, looks_at_numbers

from ..exact.algebra import polynomials, rational
from ..exact.roots import AlwaysFailsError, first_failure
from ..exact.unit_disk import critical_polynomials, is_simple_von_neumann
from ..results.grades import Grade, Graded, Measured
from ..results.result import Drawn
from .arrays import spectral_radii
from .function import read_in_z
from .step_limit import readable, without_roots

_DEFAULT_POINTS = 400
# A grid to see how tall a region is.
_COARSE = 100
# An unbounded or very long axis is drawn this far.
_LONGEST_DRAWN = 40.0


@dataclasses.dataclass(frozen=True, repr=False)
class StabilityIntervals(Graded):
    """How far a scheme is stable along the axes of z = hλ, exactly.

    Attributes:
        real: the s up to which it is stable on [−s, 0], ∞ if always: what limits steps on energies.
        imaginary: the s up to which it is stable on [−is, is]: what limits steps on undamped oscillations.
    """

    real: sympy.Expr
    imaginary: sympy.Expr

    def fields(self) -> dict[str, str]:
        """Both ends, roots without a short form as numbers."""
        return {"real": readable(self.real), "imaginary": readable(self.imaginary)}

    def latex(self) -> str:
        """Both intervals in LaTeX."""
        real, imaginary = (sympy.latex(without_roots(end)) for end in (self.real, self.imaginary))
        return rf"[-{real}, 0],\quad [-{imaginary}, {imaginary}]\,i"

    @property
    def grade(self) -> Grade:
        """Proved, as far as both ends are exact numbers."""
        return Grade.CERTIFIED if self.real.has(sympy.Float) or self.imaginary.has(sympy.Float) else Grade.PROVED


@looks_at_numbers
def stability_intervals(discretizer: Discretizer | Method) -> StabilityIntervals:
    """The real and the imaginary stability interval of a scheme, as exact numbers.

    Where |R| only touches 1 from below, as Chebyshev schemes do, the interval goes on.

    Raises:
        NotExactError: if the scheme can't be read exactly.
        UnansweredQuestionError: if it asks the gradient flow what it does not answer.

    References:
        E. Hairer, G. Wanner, Solving Ordinary Differential Equations II, 2nd ed. 1996, section IV.2.

    Example:
        >>> import gradientflow as gf
        >>> gf.stability_intervals(gf.RungeKutta("rk4")).imaginary
        2*sqrt(2)
    """
    scheme = as_method("stability_intervals", discretizer, alone=True).discretizer
    polynomial = read_in_z(scheme).characteristic_polynomial()
    return StabilityIntervals(_along(_on_negative_axis(polynomial)), _along(_on_imaginary_axis(polynomial)))


@dataclasses.dataclass(frozen=True, repr=False)
class StabilityRegion(Measured, Drawn):
    """The spectral radius of a step over a rectangle of the complex plane of z = hλ (as in ẋ = λx).

    `.plot()` draws the region with its boundary and a few level lines.

    Attributes:
        scheme: the scheme's name.
        real: Re z, shape (n,).
        imaginary: Im z, shape (m,).
        radius: the spectral radius, shape (m, n): |R(z)| for a scheme without memory. At most 1 is stable.
        intervals: how far it is stable along the axes, exactly.
    """

    drawn_by = "linear_stability.figures:plot_region"

    scheme: str
    real: np.ndarray
    imaginary: np.ndarray
    radius: np.ndarray
    intervals: StabilityIntervals


@looks_at_numbers
def stability_region(
    discretizer: Discretizer | Method,
    real: tuple[float, float] | None = None,
    imaginary: tuple[float, float] | None = None,
    points: int = _DEFAULT_POINTS,
) -> StabilityRegion:
    """Where in the complex plane a scheme is stable.

    Args:
        discretizer: the scheme, or a Method, whose scheme it is.
        real: the range of Re z; chosen to hold the region unless given.
        imaginary: the range of Im z; chosen unless given.
        points: how many along each axis.

    Raises:
        NotExactError: if the scheme can't be read exactly.
        UnansweredQuestionError: if it asks the gradient flow what it does not answer; `stability_map` draws momentum.
        ValueError: for an empty range.

    References:
        E. Hairer, G. Wanner, Solving Ordinary Differential Equations II, 2nd ed. 1996, section IV.2.

    Example:
        >>> import gradientflow as gf
        >>> region = gf.stability_region(gf.ForwardEuler(), (-2.0, 0.0), (-1.0, 1.0), points=3)
        >>> region.radius[1].tolist()
        [1.0, 0.0, 1.0]
    """
    check_integer("stability_region", 2, points=points)
    scheme = as_method("stability_region", discretizer, alone=True).discretizer
    intervals = stability_intervals(scheme)

    def radii(xs: np.ndarray, ys: np.ndarray) -> np.ndarray:
        # A recipe's coefficients are real, so that conjugate points have one radius.
        mirrored = np.allclose(ys, -ys[::-1], rtol=1e-12, atol=0)
        z = xs[None, :] + 1j * (ys[: (len(ys) + 1) // 2] if mirrored else ys)[:, None]
        found = spectral_radii(lambda lam: (GradientFlow(Mode(lam)), scheme, 1.0), -z)
        return np.concatenate([found, found[: len(ys) // 2][::-1]]) if mirrored else found

    width = _extent(float(intervals.real))
    xs = _axis("real", (-1.2 * width, 0.35 * width) if real is None else real, points)
    if imaginary is None:
        tried = np.linspace(0, max(1.6 * width, 1.2 * _extent(float(intervals.imaginary))), _COARSE)
        inside = (radii(np.linspace(xs[0], xs[-1], _COARSE), tried) <= 1).any(axis=1)
        height = 1.2 * max(tried[inside].max(initial=0.0), 0.2 * width)
        imaginary = (-height, height)
    ys = _axis("imaginary", imaginary, points)
    radius = radii(xs, ys)
    return StabilityRegion(scheme.name, xs, ys, radius, intervals)


@dataclasses.dataclass(frozen=True, repr=False)
class StabilityMap(Measured, Drawn):
    """The spectral radius of an optimizer's step over two of its parameters, on quadratics with given curvatures.

    `.plot()` draws the map, with the stability boundary and the best pair.

    Attributes:
        optimizer: its name.
        names: the parameters' names: the horizontal one, then the vertical one.
        horizontal: values of the first, shape (n,).
        vertical: values of the second, shape (m,).
        curvatures: the modes' curvatures, of which the slowest counts.
        radius: the spectral radius, shape (m, n).
    """

    drawn_by = "linear_stability.figures:plot_map"

    optimizer: str
    names: tuple[str, str]
    horizontal: np.ndarray
    vertical: np.ndarray
    curvatures: tuple[float, ...]
    radius: np.ndarray

    @property
    def best(self) -> tuple[float, float, float]:
        """The two parameters' values where the spectral radius is least on the map, and the radius there."""
        i, j = np.unravel_index(np.nanargmin(self.radius), self.radius.shape)
        return float(self.horizontal[j]), float(self.vertical[i]), float(self.radius[i, j])


@looks_at_numbers
def stability_map(
    optimizer: Callable[..., Method],
    curvatures: Sequence[float] | np.ndarray,
    **parameters: Sequence[float] | np.ndarray,
) -> StabilityMap:
    """How fast an optimizer converges over a grid of two of its parameters, and where it is unstable.

    Args:
        optimizer: (energy, parameters by name) ↦ a `Method`, such as `gf.optimizers.momentum`.
        curvatures: curvatures of the quadratic's modes, (μ, L) say; the slowest mode counts.
        parameters: exactly two, by name, each with its values: the horizontal one first.

    Raises:
        ValueError: if there aren't two parameters with at least two values each, or no curvature.

    References:
        G. Goh, Why momentum really works, Distill, 2017, for momentum's map.

    Example:
        >>> import numpy as np, gradientflow as gf
        >>> found = gf.stability_map(
        ...     gf.optimizers.momentum, (1.0, 10.0), lr=np.linspace(0.05, 0.3, 501), beta=np.linspace(0.1, 0.9, 401))
        >>> [round(value, 2) for value in found.best]
        [0.23, 0.27, 0.52]
    """
    if len(parameters) != 2:
        raise ValueError(f"stability_map: give two parameters, lr=… and beta=… say, got {sorted(parameters) or 'none'}")
    (first, second), (xs, ys) = tuple(parameters), [np.asarray(v, dtype=float) for v in parameters.values()]
    for name, values in ((first, xs), (second, ys)):
        if values.ndim != 1 or values.size < 2 or not np.isfinite(values).all():
            raise ValueError(f"stability_map: `{name}` must be at least two finite values, got shape {values.shape}")
    modes = tuple(float(value) for value in curvatures)
    if not modes or not all(math.isfinite(value) and value >= 0 for value in modes):
        raise ValueError(f"stability_map: `curvatures` must be finite and not negative, got {curvatures}")

    def build(lam: Any, x: Any, y: Any) -> tuple[Any, Discretizer, Any]:
        method = optimizer(Mode(lam), **{first: x, second: y})
        return method.flow, method.discretizer, method.step

    def on(
        xs: np.ndarray, ys: np.ndarray, build: Callable[[Any, Any, Any], tuple[Any, Discretizer, Any]]
    ) -> np.ndarray:
        radius = np.zeros((len(ys), len(xs)))
        for lam in modes:
            np.maximum(radius, spectral_radii(build, np.asarray(lam), xs[None, :], ys[:, None]), out=radius)
        return radius

    radius = on(xs, ys, build)
    # At an end of a parameter's range a method may be another one, gradient descent at β = 0, which it says by numbers.
    for i in np.flatnonzero(np.isnan(radius).any(axis=1)):
        y = float(ys[i])
        radius[i] = on(xs, ys[i : i + 1], lambda lam, x, _, y=y: build(lam, x, y))[0]
    for j in np.flatnonzero(np.isnan(radius).any(axis=0)):
        x = float(xs[j])
        radius[:, j] = on(xs[j : j + 1], ys, lambda lam, _, y, x=x: build(lam, x, y))[:, 0]
    name = getattr(optimizer, "__name__", type(optimizer).__name__)
    return StabilityMap(name, (first, second), xs, ys, modes, radius)


def _along(polynomial: list[PolyElement]) -> sympy.Expr:
    """The s > 0 up to which the roots stay in the unit disk: exact, ∞ if always, 0 if never."""
    symbol = sympy.Symbol("s")

    def is_stable(point: Fraction) -> bool:
        return is_simple_von_neumann([p.evaluate(0, rational(point)) for p in polynomial])

    try:
        conditions = [sympy.Poly(p.as_expr(), symbol) for p in critical_polynomials(polynomial) or ()]
        root, _ = first_failure(conditions, is_stable)
    except AlwaysFailsError:
        return sympy.Integer(0)
    return sympy.oo if root is None else root.expression()


def _on_negative_axis(polynomial: list[PolyElement]) -> list[PolyElement]:
    """p(w; z) at z = −s."""
    ring = polynomials(["s"])
    return [ring.from_dict({(k,): (-1) ** k * c for (k,), c in p.terms()}) for p in polynomial]


def _on_imaginary_axis(polynomial: list[PolyElement]) -> list[PolyElement]:
    """p times its conjugate at z = is: real coefficients, the same roots and their conjugates."""
    ring = polynomials(["s"])
    signs = (1, 1, -1, -1)
    parts = [
        [ring.from_dict({(k,): signs[k % 4] * c for (k,), c in p.terms() if k % 2 == odd}) for p in polynomial]
        for odd in (0, 1)
    ]
    n = len(polynomial)
    product = [ring.zero] * (2 * n - 1)
    for part in parts:
        for i in range(n):
            for j in range(n):
                product[i + j] += part[i] * part[j]
    return product


def _extent(length: float) -> float:
    return min(max(length, 1.0), _LONGEST_DRAWN) if math.isfinite(length) else 4.0


def _axis(name: str, bounds: tuple[float, float], points: int) -> np.ndarray:
    low, high = bounds
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"stability_region: `{name}` must be a range low < high, got {bounds}")
    return np.linspace(low, high, points)
