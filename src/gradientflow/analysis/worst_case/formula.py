"""Rates for all μ, L and steps at once: a formula, and a proof whose multipliers are formulas too."""

import dataclasses
import itertools
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import pandas as pd
import sympy

from gradientflow.flows import looks_at_numbers
from gradientflow.flows.checks import in_a_line

from ..exact.positive import is_nonnegative
from ..results.grades import Grade
from ..results.result import Drawn
from .certificate import Certificate
from .decrease import monomials
from .family import Family, ranges_of
from .fitting import rational_through
from .identity import Identity, attained
from .sampled import by_few_inequalities, place

# How many places are looked at: of one number, and of more.
_PLACES, _PLACES_OF_MORE = 40, 60
# At how many of them the method itself is read too.
_CHECKED = 3


@dataclasses.dataclass(frozen=True, repr=False)
class WorstCaseFormula(Drawn):
    r"""How fast distances to the minimizer shrink at worst, as a function of the numbers of a family.

    Its figure: ρ over a number, or over two, and the places that were looked at.

    Attributes:
        rate: ρ, a SymPy expression of the numbers, with $\|x_k - x^*\| \le C\rho^k$ on all of F_{μ,L} wherever they lie
            in their ranges; `None` where no formula was proved.
        attained: the curvature of quadratics of the class that are as slow, so that no bound is better; `None` where
            those of curvature μ and L are not.
        grid: the places that were looked at: the numbers, and the best ρ there by floating point.
        grade: *proved* for all numbers in their ranges, or *unknown*.
        reason: how it was decided, or where it ended.
        family: what was read.
        identity: the proof, in rational functions.
    """

    drawn_by = "worst_case.figures:plot_formula"

    rate: sympy.Expr | None
    attained: sympy.Expr | None
    grid: pd.DataFrame
    grade: Grade
    reason: str
    family: Family
    identity: Identity | None = None

    @property
    def multipliers(self) -> tuple[dict[str, sympy.Expr], ...]:
        """Of each inequality that the proof uses, by name: for V's decrease, then for V ≥ 0; gradients counted in L."""
        if self.identity is None:
            return ()
        return tuple(
            {name: self.family.told(m) for name, m in zip(condition.inequalities.names, some, strict=True) if m}
            for condition, some in zip(self.identity.conditions(self.family), self.identity.multipliers, strict=True)
        )

    @property
    def lyapunov(self) -> dict[tuple[str, str] | str, sympy.Expr]:
        """V: the coefficient of every product of two vectors, gradients counted in L, and of every E(yᵢ) − E*."""
        if self.identity is None:
            return {}
        space, weights = self.family.space, self.identity.weights
        if len(weights) == 1:
            return {(space.names[0], space.names[0]): sympy.Integer(1)}
        keys: list[tuple[str, str] | str] = [*monomials(self.identity.conditions(self.family)[1].basis)]
        keys += [f"E_{i}" for i in range(1, space.gradients + 1)]
        return {key: self.family.told(w) for key, w in zip(keys, weights, strict=True) if w}

    def check(self) -> bool:
        """Whether the identity holds for all numbers in their ranges, by arithmetic of rational functions alone."""
        if not isinstance(self.identity, Identity) or self.grade is not Grade.PROVED:
            return False
        # Read again from the recipe and the ranges as they stand.
        family = dataclasses.replace(self.family)
        return self.rate == family.root(self.identity.squared_rate) and self.identity.holds(family)

    def table(self) -> pd.DataFrame:
        """One row a place."""
        return self.grid

    def latex(self) -> str:
        """The rate, and the identities that prove it, gradients counted in L.

        Raises:
            ValueError: if there is no proof.
        """
        if self.identity is None:
            raise ValueError("latex: no formula was proved, and so there is no proof to show")

        def told(element: Any) -> str:
            text = sympy.latex(self.family.told(element))
            return (
                "" if text == "1" else rf"{text}\," if text.isalnum() or text.startswith(r"\frac") else rf"({text})\,"
            )

        lines = [rf"\rho = {sympy.latex(self.rate)}"]
        squares = self.identity.squares(self.family)
        for condition, known, own in zip(
            self.identity.conditions(self.family), self.identity.multipliers, squares, strict=True
        ):
            terms = [told(m) + name for m, name in zip(known, condition.inequalities.names, strict=True) if m]
            for pivot, inner in own:
                inside = " + ".join(told(factor) + name for factor, name in inner)
                terms.append(rf"{told(pivot)}\Bigl\|{inside}\Bigr\|^2")
            lines.append(f"{condition.statement} = " + (" + ".join(terms) or "0"))
        return r"\begin{gathered}" + r"\\ ".join(lines) + r"\end{gathered}"

    def __repr__(self) -> str:
        """The formula, its range and its grade."""
        where = ", ".join(
            f"{_end(low)} < {name}" + (f" < {_end(high)}" if high is not None else "")
            for name, (low, high) in self.family.ranges.items()
        )
        known = "no formula of ρ" if self.rate is None else f"ρ a step = {self.rate}"
        lines = [f"{known} for all {where}, {self.grade}", self.reason]
        if self.identity is not None and is_nonnegative(self.identity.squared_rate - 1):
            lines.append("a rate of 1 or more: it promises no convergence")
        if self.attained is not None:
            lines.append(f"quadratics of curvature {self.attained} are as slow: no bound is better")
        elif self.rate is not None:
            lines.append("no quadratic of curvature μ or L is as slow: whether there is a better bound is not said")
        return "\n".join(lines)


@looks_at_numbers
def worst_case_formula(optimizer: Any, mu: Any, L: Any, **ranges: Any) -> WorstCaseFormula:
    r"""A rate on F_{μ,L} as a function of a method's numbers, proved for all of them at once.

    The step is read once, with symbols for the numbers. At some places in their ranges the best rate and a proof with
    few inequalities are found in fractions, as `worst_case_rate` does; through these go rational functions, for ρ², for
    V and for the multipliers; and what they claim, $\rho^2V_k - V_{k+1} = \sum\lambda_{ij}I_{ij} + S$ with λ ≥ 0 and
    S ⪰ 0, is verified as an identity of rational functions, its signs by Sturm's theorem or by coefficients. Found are
    rates that are rational in the numbers; take √κ for one where it occurs. Where there is none, `grid` has the best
    rates place by place, in floating point.

    Args:
        optimizer: (energy, **numbers) ↦ a method, linear in its gradients with rational coefficients of the numbers.
        mu: μ > 0, or a function of the numbers.
        L: L > μ likewise; ∞ for proximal schemes.
        ranges: of each number, by name, (least, greatest), which it does not reach; the greatest may be ∞.

    Raises:
        ValueError: if a range is none, or μ and L are no class somewhere.
        TypeError: if `optimizer` makes no method.
        NotExactError: if the step can't be read so, naming the line.

    References:
        A. B. Taylor, J. M. Hendrickx, F. Glineur, Exact worst-case convergence rates of the proximal gradient method
        for composite convex minimization, J. Optim. Theory Appl. 178, 2018, for descent; B. Van Scoy, R. A. Freeman,
        K. M. Lynch, The fastest known globally convergent first-order method for minimizing strongly convex functions,
        IEEE Control Systems Letters 2, 2018, for 1 − 1/√κ.

    Example:
        >>> import math
        >>> import gradientflow as gf
        >>> def descent(E, kappa):
        ...     return gf.optimizers.gradient_descent(E, lr=2 / (1 + kappa))
        >>> found = gf.analysis.worst_case_formula(descent, mu=1, L=lambda kappa: kappa, kappa=(1, math.inf))
        >>> print(found.rate, found.grade, found.check())
        (kappa - 1)/(kappa + 1) proved True
    """
    if not callable(optimizer):
        raise TypeError(
            "worst_case_formula: `optimizer` must make a method of (energy, **numbers), got " + in_a_line(optimizer)
        )
    family = Family(optimizer, mu, L, ranges_of("worst_case_formula", ranges))
    count = _PLACES if len(family.ranges) == 1 else _PLACES_OF_MORE
    places = [place(at, family.at(at)) for at in itertools.islice(family.places(), count)]
    for each in places[:_CHECKED]:
        family.check_at(each.at)
    grid = pd.DataFrame([
        {name: float(value) for name, value in family.numbers_at(each.at).items()} | {"rho": each.squared_rate**0.5}
        for each in places
    ])  # fmt: skip

    def unknown(reason: str) -> WorstCaseFormula:
        return WorstCaseFormula(None, None, grid, Grade.UNKNOWN, reason, family)

    exact = [each for each in places if each.is_exact]
    squared_rate = rational_through([each.at for each in exact], [each.squared_rate for each in exact], family.field)
    if squared_rate is None:
        few = f"at {len(exact)} of {count} places ρ² is a fraction that can be read"
        return unknown(f"{few}, and no rational function goes through them; worst_case_rate certifies each by itself")
    for certificates in by_few_inequalities(exact):
        identity = _through(certificates, squared_rate, family)
        if identity is not None and identity.holds(family):
            reason = f"an identity of rational functions, found through {len(certificates)} places"
            rate, slow = family.root(squared_rate), attained(family, squared_rate)
            return WorstCaseFormula(rate, slow, grid, Grade.PROVED, reason, family, identity)
    return unknown(
        f"ρ = {family.root(squared_rate)} at {len(exact)} places, but no multipliers that are rational functions were "
        "found with which it is proved for all"
    )


def _end(number: Fraction) -> str:
    """A fraction as it is, one that a float is as that."""
    return str(number) if number.denominator < 1000 else f"{float(number):g}"


def _through(places: Sequence[tuple[Any, Certificate]], squared_rate: Any, family: Family) -> Identity | None:
    """Formulas through certificates; `None` where there are none."""
    if not places:
        return None
    at = [place for place, _ in places]

    def through(values: Sequence[Fraction]) -> Any:
        return rational_through(at, values, family.field)

    first = places[0][1]
    weights = tuple(through([c.weights[i] for _, c in places]) for i in range(len(first.weights)))
    multipliers = tuple(
        tuple(through([c.multipliers[k][i] for _, c in places]) for i in range(len(some)))
        for k, some in enumerate(first.multipliers)
    )
    # A rational function that is 0 equals `None`.
    if any(each is None for each in itertools.chain(weights, *multipliers)):
        return None
    return Identity(squared_rate, weights, multipliers)
