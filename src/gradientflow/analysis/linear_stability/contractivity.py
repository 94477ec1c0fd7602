r"""How long a step may be for two runs never to part, on every convex energy with curvature at most L.

A scheme of the gradient flow is run once with an oracle in the energy's place: it hands out free gradients and writes
down where it was asked. If the step is $z' = z - h\sum_i b_i g_i$ with $g_i = \nabla E(z - h\sum_j a_{ij}g_j)$, that is
a Runge–Kutta scheme, whatever the code looks like, and its coefficients are exact. Gradients of such energies satisfy
$\langle x - y, \nabla E(x) - \nabla E(y)\rangle \ge \frac1L\|\nabla E(x) - \nabla E(y)\|^2$, so that
$\|x' - y'\| \le \|x - y\|$ follows wherever $\frac{2}{hL}B + BA + A^\top B - bb^\top \succeq 0$ with $B =
\mathrm{diag}(b) \ge 0$.

References:
    G. Dahlquist, R. Jeltsch, Generalized disks of contractivity for explicit and implicit Runge–Kutta methods, 1979.
    E. Hairer, G. Wanner, Solving Ordinary Differential Equations II, 2nd ed. 1996, section IV.12.
"""

import dataclasses
import math
from fractions import Fraction
from typing import Any

import numpy as np
import sympy
from sympy import QQ
from sympy.polys.matrices import DomainMatrix

from gradientflow.discretizers import Discretizer
from gradientflow.flows import AbstractQuadratic, Curvature, Flow, GradientFlow, Mode, UnansweredQuestionError

from ..exact.algebra import fraction, rational, rational_functions
from ..exact.inertia import inertia
from ..exact.leaf import Exact, NotExactError
from ..exact.state_reading import read_step
from ..results.grades import Grade
from .curvature import Curvatures

# What a curvature bound in floating point is widened by before a theorem is applied to it.
_MARGIN = 1e-12
# The exact limit of more stages takes minutes; what is certified of them is up to how much, relatively, below it; and
# of how many that too takes minutes.
_MOST_STAGES, _MARGINS, _MOST_CERTIFIED = 8, (1e-13, 1e-10, 1e-7), 32


@dataclasses.dataclass(frozen=True)
class Coefficients:
    """What a scheme of the gradient flow does: a Runge–Kutta tableau, read from its code.

    Attributes:
        a: where gradient i is asked, zᵢ = z − h Σⱼ aᵢⱼgⱼ.
        b: the weights of the gradients in the step.
    """

    a: tuple[tuple[Fraction, ...], ...]
    b: tuple[Fraction, ...]


def read_coefficients(discretizer: Discretizer) -> Coefficients:
    """The tableau of a scheme of the gradient flow, exactly.

    Raises:
        NotExactError: if the step isn't a combination of gradients with rational weights, or has memory.
    """
    field = rational_functions(("h",))
    reading = read_step(GradientFlow(Mode(None)), discretizer, Exact(field.gens[0]), field)
    if len(reading.names) > 1:
        raise NotExactError("a scheme with memory is no Runge–Kutta scheme")
    return Coefficients(tuple(_weights(point, field) for point in reading.points), _weights(reading.after[0], field))


def contractivity_limit(coefficients: Coefficients) -> sympy.Expr | None:
    """The largest hL for which the theorem holds: exact, ∞ where it always does, `None` where it never does.

    Of many stages it is one for which it is proved to hold, next to the largest in floating point.

    Raises:
        NotExactError: if floating point finds no such number.
    """
    a, b = coefficients.a, coefficients.b
    n = len(b)
    if any(weight < 0 for weight in b):
        return None
    m = [[b[i] * a[i][j] + b[j] * a[j][i] - b[i] * b[j] for j in range(n)] for i in range(n)]
    # A stage without weight gives no slack: its row must vanish.
    if any(b[i] == 0 and any(m[i]) for i in range(n)):
        return None
    kept = [i for i in range(n) if b[i] > 0]
    if inertia([[m[i][j] for j in kept] for i in kept]).negative == 0:
        return sympy.oo
    if len(kept) > _MOST_STAGES:
        return _certified([[m[i][j] for j in kept] for i in kept], [b[i] for i in kept])
    # The least ρ with M + ρB ⪰ 0 is the greatest eigenvalue of −B⁻¹M.
    pencil = DomainMatrix([[rational(-m[i][j] / b[i]) for j in kept] for i in kept], (len(kept), len(kept)), QQ)
    roots: Any = sympy.Poly(pencil.charpoly(), sympy.Symbol("rho"), domain=QQ).real_roots()
    return sympy.nsimplify(2 / roots[-1])


def _certified(m: list[list[Fraction]], b: list[Fraction]) -> sympy.Expr:
    """2/ρ of a ρ for which M + ρB is proved to be positive semidefinite, next to the least in floating point."""
    root = np.sqrt(np.asarray(b, float))
    least = float(np.linalg.eigvalsh(-np.asarray(m, float) / np.outer(root, root))[-1])
    for margin in _MARGINS:
        rho = Fraction(least * (1 + margin))
        shifted = [[entry + rho * b[i] * (i == j) for j, entry in enumerate(row)] for i, row in enumerate(m)]
        if inertia(shifted).negative == 0:
            return sympy.Rational(2 * rho.denominator, rho.numerator)
    raise NotExactError("floating point does not see how far it is contractive")


def global_limit_of(
    flow: Flow, discretizer: Discretizer | None, curvatures: Curvatures
) -> tuple[float | None, str, Grade]:
    """2/L and its like, by the contractivity of the scheme's own coefficients; the theorem's words; the grade.

    A scheme that can't be read here, `None`, may be another one than the theorem is about.
    """
    unknown = Grade.UNKNOWN
    if type(flow) is not GradientFlow:
        return None, f"no theorem is known here for schemes of {flow.name}", unknown
    bound, grade = flow.energy.curvature, Grade.CERTIFIED
    if isinstance(flow.energy, (AbstractQuadratic, Mode)):
        greatest, grade = float(curvatures.greatest[1]), curvatures.grade
    elif bound is None or not float(bound.mu) >= 0:
        return None, "no bound says that this energy is convex", unknown
    elif (found := _outside(bound, curvatures)) is not None:
        return None, f"the energy's own bounds are wrong: from {bound.mu} to {bound.L}, and {found} here", unknown
    else:
        greatest = float(bound.L) * (1 + _MARGIN)
    if discretizer is None:
        return None, "no theorem is known here for a scheme that can't be read", unknown
    try:
        coefficients = read_coefficients(discretizer)
        if len(coefficients.b) > _MOST_CERTIFIED:
            return (
                None,
                f"the theorem is not looked at for {len(coefficients.b)} stages: that takes minutes",
                unknown,
            )
        length = contractivity_limit(coefficients)
    except (NotExactError, UnansweredQuestionError):
        return None, "no theorem is known here for this scheme: it isn't a sum of exact multiples of gradients", unknown
    if length is None:
        return None, "no step is contractive on all convex energies: the scheme fails the theorem's condition", unknown
    if length == sympy.oo or greatest <= 0:
        return math.inf, "distances never grow on convex energies, whatever the step (algebraic stability)", grade
    return float(length) / greatest, f"distances never grow on convex energies while hL ≤ {sympy.N(length, 6)}", grade


def _outside(bound: Curvature, curvatures: Curvatures) -> str | None:
    """A curvature at the point that is not within the energy's bounds, beyond rounding."""
    least, greatest = float(curvatures.least[1]), float(curvatures.greatest[0])
    rounding = 1e-3 * max(abs(least), abs(greatest))
    if greatest > float(bound.L) + rounding:
        return f"{greatest:.6g}"
    return f"{least:.6g}" if least < float(bound.mu) - rounding else None


def _weights(row: Any, field: Any) -> tuple[Fraction, ...]:
    """The aⱼ of z − h Σⱼ aⱼgⱼ."""
    weights = [-(coefficient / field.gens[0]) for coefficient in row[1:]]
    if row[0] != 1 or any(not (w.numer.is_ground and w.denom.is_ground) for w in weights):
        raise NotExactError(f"the step is no combination z − h Σ aⱼgⱼ of gradients: it weighs them {list(row)}")
    return tuple(fraction(w.numer.LC / w.denom.LC) if w else Fraction(0) for w in weights)
