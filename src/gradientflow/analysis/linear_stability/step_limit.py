"""The step at which a scheme loses its stability, with the proof's bracket, its formula and its cause."""

import dataclasses
import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import sympy
from sympy.polys.rings import PolyElement

from ..exact.algebra import rational
from ..exact.leaf import NotExactError
from ..exact.roots import AlwaysFailsError, PositiveRoot
from ..results.grades import Grade
from ..results.result import Result
from .curvature import Bracket, Curvatures
from .reading import LAM, STEP, ModeReading, Recipe, generator

# Larger conditions are not worth factoring for a formula that nobody would read.
_LONGEST_CONDITION = 40
# Nor is a fraction, whose denominator has more binary digits.
_LONGEST_DENOMINATOR = 40
# Where every mode has to be looked at, so many of them are.
_MOST_MODES = 32


@dataclasses.dataclass(frozen=True, repr=False)
class StepLimit(Result):
    """The bound below which every step is stable.

    Attributes:
        value: the bound; ∞ where every step is stable, 0 where none is.
        low: a number that is not above it.
        high: a number that is not below it.
        formula: the bound in the greatest curvature λ and the parameters, where it has a short one.
        cause: what happens at the bound: the eigenvalue w of the step that reaches the unit circle.
        grade: how certain it is.
    """

    value: float
    low: float
    high: float
    formula: sympy.Expr | None
    cause: str
    grade: Grade

    def why_so(self) -> str:
        """What happens at the bound."""
        return self.cause


def readable(formula: sympy.Expr | None) -> str:
    """A limit's formula as text, irrational roots of higher degree as numbers; empty where there is none."""
    if formula is None:
        return ""
    return "∞" if formula == sympy.oo else str(without_roots(formula))


def without_roots(formula: sympy.Expr) -> sympy.Expr:
    """The formula with the numbers that have no short form, such as roots of polynomials, to six digits."""
    if not formula.has(sympy.CRootOf) and not any(_is_long(number) for number in formula.atoms(sympy.Rational)):
        return formula
    return sympy.N(formula.replace(lambda e: isinstance(e, sympy.CRootOf) or _is_long(e), lambda e: e.n(15)), 6)


def _is_long(number: sympy.Basic) -> bool:
    return isinstance(number, sympy.Rational) and number.q.bit_length() > _LONGEST_DENOMINATOR


def exact_limit(recipe: Recipe, reading: ModeReading, curvatures: Curvatures) -> StepLimit:
    """The limit over all modes with curvatures in a spectrum, read exactly.

    It is the greatest curvature's where that is proved to have the least limit; otherwise each mode's own is worked
    out, or that of some of many. Flat modes count too: where the curvature vanishes, friction has its own limit.
    """
    binds = curvatures.greatest[1] > 0 and _binds(reading, curvatures.greatest[1])
    brackets, grade = ([curvatures.greatest], curvatures.grade) if binds else _each_mode(curvatures)
    if curvatures.least == (0, 0) or curvatures.greatest == (0, 0):
        brackets.append((Fraction(0), Fraction(0)))
    elif curvatures.least[0] <= 0:
        # Floating point can't tell whether there is a flat mode, nor then what limit it has.
        grade = Grade.MEASURED
    worst: _OnMode | None = None
    touched: list[PositiveRoot] = []
    for bracket in brackets:
        found = _on_mode(reading, bracket)
        touched += found.passed if reading.amplification.size > 1 else []
        if found.root is not None and (worst is None or found.low < worst.low):
            worst = found
        if found.fails:
            cause = f"no step is stable on the mode of curvature {float(bracket[1]):.6g}"
            if found.high > 0:
                cause = f"{_UNDECIDED}: at one end of what is known of it, {float(bracket[1]):.17g}, no step is stable"
            return StepLimit(0.0, 0.0, _up(found.high), None, cause, grade)
    if worst is None:
        cause = f"every step is stable{_isolated(touched, math.inf)}"
        return StepLimit(math.inf, math.inf, math.inf, sympy.oo, cause, grade)
    assert worst.root is not None
    cause, formula = _explain(recipe, reading, worst.lam, worst.root)
    cause += _isolated(touched, float(worst.high))
    if worst.high == math.inf:
        cause = f"{cause}; {_UNDECIDED}: at one end of what is known of it every step is stable"
    value = _down(worst.low) if worst.high == math.inf else float((worst.low + worst.high) / 2)
    return StepLimit(value, _down(worst.low), _up(worst.high), formula, cause, grade)


_UNDECIDED = "the curvature is not known closely enough to say more"


@dataclasses.dataclass(frozen=True)
class _OnMode:
    """The limits at both ends of a curvature's bracket.

    Attributes:
        low: the smaller of the two.
        high: the larger; ∞ where every step is stable at one end.
        lam: the end that has the smaller limit.
        root: that limit, where it is neither 0 nor ∞.
        fails: whether no step is stable at one of the ends.
        passed: isolated steps passed at the upper end.
    """

    low: Fraction | float
    high: Fraction | float
    lam: Fraction
    root: PositiveRoot | None
    fails: bool
    passed: list[PositiveRoot]


def _on_mode(reading: ModeReading, bracket: Bracket) -> _OnMode:
    ends: list[tuple[Fraction | float, Fraction | float, Fraction, PositiveRoot | None]] = []
    passed: list[PositiveRoot] = []
    for lam in sorted(set(bracket)):
        try:
            root, passed = reading.limit(lam)
        except AlwaysFailsError:
            ends.append((Fraction(0), Fraction(0), lam, None))
        else:
            ends.append((math.inf, math.inf, lam, None) if root is None else (root.low, root.high, lam, root))
    low, _, lam, root = min(ends, key=lambda end: end[0])
    return _OnMode(low, max(high for _, high, _, _ in ends), lam, root, low == 0, passed)


def _isolated(touched: Sequence[PositiveRoot], end: float) -> str:
    """What is said of isolated steps below the limit at which eigenvalues meet the unit circle."""
    steps = sorted({f"{float(root):.6g}" for root in touched if float(root) < end})
    return f"; at the isolated steps {', '.join(steps)} errors may grow slowly" if steps else ""


def _binds(reading: ModeReading, lam: Fraction) -> bool:
    try:
        return reading.binds(lam)
    except AlwaysFailsError:
        return False


def _each_mode(curvatures: Curvatures) -> tuple[list[Bracket], Grade]:
    """Every mode's curvature as it was computed, or some of many; and how certain a limit from them can be."""
    values = np.unique(curvatures.values[curvatures.values > 0])
    some = values[np.unique(np.linspace(0, len(values) - 1, _MOST_MODES).astype(int))] if len(values) else values
    proved_or_certified = curvatures.grade in (Grade.PROVED, Grade.CERTIFIED) and len(some) == len(values)
    margin = (curvatures.greatest[1] - curvatures.greatest[0]) / 2
    brackets = [(max(Fraction(v) - margin, Fraction(v) / 2), Fraction(v) + margin) for v in some.tolist()]
    if curvatures.least[0] > 0:
        # It may be too small for floating point to tell it from 0.
        brackets.append(curvatures.least)
    return brackets, Grade.CERTIFIED if proved_or_certified else Grade.MEASURED


def _explain(recipe: Recipe, reading: ModeReading, lam: Fraction, root: PositiveRoot) -> tuple[str, sympy.Expr | None]:
    """Which eigenvalue reaches the unit circle at the limit, and the limit's formula."""
    try:
        symbolic = recipe.read_symbolically()
    except NotExactError:
        symbolic = None
    for cause, take in _CAUSES.items():
        condition = take(reading.polynomial)
        at_lam = sympy.Poly(condition.evaluate(generator(condition, LAM), rational(lam)).as_expr(),
                            sympy.Symbol(reading.step))  # fmt: skip
        if not at_lam.is_zero and root.is_root_of(at_lam):
            if symbolic is None:
                return cause, None
            return cause, _formula(recipe, take(symbolic.polynomial), reading.step, lam, root)
    return _SWING, None


def _formula(recipe: Recipe, condition: PolyElement, step: str, lam: Fraction, root: PositiveRoot) -> sympy.Expr | None:
    """The factor that vanishes at the limit, solved for the step where it is at most quadratic in it."""
    if len(condition.terms()) > _LONGEST_CONDITION:
        return None
    if recipe.step == STEP and not recipe.parameters() and _in_product(condition, step):
        try:
            return root.times(lam).expression() / sympy.Symbol(LAM)
        except NotExactError:
            return None
    value = float(root)
    numbers = {
        sympy.Symbol(name): sympy.Rational(v.numerator, v.denominator) for name, v in recipe.parameters().items()
    }
    numbers[sympy.Symbol(LAM)] = sympy.Rational(lam.numerator, lam.denominator)
    symbol = sympy.Symbol(step)
    for factor, _ in condition.factor_list()[1]:
        expression = factor.as_expr()
        in_step = sympy.Poly(expression, symbol)
        if 0 < in_step.degree() <= 2:
            for solution in sympy.roots(in_step, multiple=True):
                if abs(complex(solution.subs(numbers)) - value) <= 1e-9 * value:
                    return sympy.simplify(solution)
    return None


def _in_product(condition: PolyElement, step: str) -> bool:
    """Whether only the product of λ and the step enters."""
    places = [str(symbol) for symbol in condition.ring.symbols]
    return all(monomial[places.index(LAM)] == monomial[places.index(step)] for monomial in condition.monoms())


def _down(value: Fraction | float) -> float:
    if isinstance(value, float):
        return value
    nearest = float(value)
    return nearest if Fraction(nearest) <= value else math.nextafter(nearest, -math.inf)


def _up(value: Fraction | float) -> float:
    if isinstance(value, float):
        return value
    nearest = float(value)
    return nearest if Fraction(nearest) >= value else math.nextafter(nearest, math.inf)


def _at_minus_one(polynomial: list[PolyElement]) -> PolyElement:
    value = polynomial[0].ring.zero
    for coefficient in polynomial:
        value = coefficient - value
    return value


def _at_one(polynomial: list[PolyElement]) -> PolyElement:
    return sum(polynomial, polynomial[0].ring.zero)


def _product_is_one(polynomial: list[PolyElement]) -> PolyElement:
    return polynomial[0] - polynomial[-1]


_SWING = "a pair of eigenvalues w reaches |w| = 1: iterates swing"
_CAUSES = {
    "an eigenvalue w reaches −1: iterates flip their sign": _at_minus_one,
    "an eigenvalue w reaches 1: iterates stand still": _at_one,
    _SWING: _product_is_one,
}
