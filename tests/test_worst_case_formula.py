"""Rates with formulas for all numbers at once, against textbooks and against what is certified number by number."""

import math
from fractions import Fraction

import numpy as np
import pytest
import sympy

import gradientflow as gf
from gradientflow.analysis.exact.algebra import rational_functions
from gradientflow.analysis.exact.positive import definite_pivots, is_defined, is_nonnegative, is_positive
from gradientflow.analysis.worst_case.fitting import rational_through

from .thorough import part

worst_case_formula = gf.analysis.worst_case_formula
kappa, q, h, lr, u = sympy.symbols("kappa q h lr u")


class TwoStep(gf.Discretizer):
    """x' = x + β(x − x₋₁) − h∇E(x + γ(x − x₋₁))."""

    beta: object
    gamma: object

    def init(self, flow, t, z, h):
        return z

    def step(self, flow, t, z, h, *, memory, **_):
        y = z + self.gamma * (z - memory)
        return z + self.beta * (z - memory) + h * flow.drift(t, y), z


def triple_momentum(E, q):
    rho = 1 - 1 / q
    scheme = TwoStep(rho**2 / (2 - rho), rho**2 / ((1 + rho) * (2 - rho)))
    return gf.Method(gf.GradientFlow(E), scheme, (1 + rho) / q**2)


def heun(E, kappa):
    return gf.Method(gf.GradientFlow(E), gf.RungeKutta("heun"), 1 / kappa)


def descent_by_share(E, kappa, u):
    return gf.optimizers.gradient_descent(E, lr=2 * u / (1 + kappa))


ABOVE_ONE = (1, math.inf)
# The family, μ, L, the ranges, and what is known: ρ, and the curvature that is as slow.
KNOWN = {
    "descent, the best step": (
        lambda E, kappa: gf.optimizers.gradient_descent(E, lr=2 / (1 + kappa)), 1, lambda kappa: kappa,
        {"kappa": ABOVE_ONE}, (kappa - 1) / (kappa + 1), 1,
    ),
    "descent, 1/L": (
        lambda E, kappa: gf.optimizers.gradient_descent(E, lr=1 / kappa), 1, lambda kappa: kappa,
        {"kappa": ABOVE_ONE}, 1 - 1 / kappa, 1,
    ),
    "descent, short steps": (gf.optimizers.gradient_descent, 1, 10, {"lr": (0, Fraction(2, 11))}, 1 - lr, 1),
    "descent, long steps": (
        gf.optimizers.gradient_descent, 1, 10, {"lr": (Fraction(2, 11), Fraction(1, 4))}, 10 * lr - 1, 10
    ),
    "descent, two numbers": (
        descent_by_share, 1, lambda kappa, u: kappa, {"kappa": ABOVE_ONE, "u": (0, 1)}, 1 - 2 * u / (1 + kappa), 1
    ),
    "proximal point": (gf.optimizers.proximal_point, 1, math.inf, {"lr": (0, math.inf)}, 1 / (1 + lr), 1),
    "Heun": (
        heun, 1, lambda kappa: kappa, {"kappa": ABOVE_ONE}, 1 - 1 / kappa + 1 / (2 * kappa**2), 1,
    ),
    "triple momentum": (triple_momentum, 1, lambda q: q**2, {"q": ABOVE_ONE}, 1 - 1 / q, 1),
}  # fmt: skip


@pytest.mark.parametrize("name", part(KNOWN, 3))
def test_textbook_rates_are_found_and_proved_with_symbols(name):
    make, mu, L, ranges, rate, slow = KNOWN[name]
    found = worst_case_formula(make, mu, L, **ranges)
    assert str(found.grade) == "proved"
    assert sympy.simplify(found.rate - rate) == 0
    assert found.attained == slow
    assert found.check()
    assert found.latex().startswith(r"\begin{gathered}\rho = ")
    # What is certified at numbers that no place was at.
    for numbers in ({key: 1 + Fraction(37, 13) if high == math.inf else low + (high - low) * Fraction(3, 17)
                     for key, (low, high) in ranges.items()},):  # fmt: skip
        L_there = L(**numbers) if callable(L) else L
        there = gf.worst_case_rate(make(gf.landscapes.bowl(), **numbers), mu, L_there)
        assert there.rate == pytest.approx(float(found.rate.subs(numbers)), rel=1e-5)


def test_a_formula_is_drawn_through_its_places():
    ax = worst_case_formula(gf.optimizers.gradient_descent, 1, 10, lr=(0, Fraction(2, 11))).plot().axes[0]
    curve, places = ax.lines
    np.testing.assert_allclose(curve.get_ydata(), 1 - curve.get_xdata(), rtol=1e-12)
    np.testing.assert_allclose(places.get_ydata(), 1 - places.get_xdata(), rtol=1e-7)
    both = worst_case_formula(descent_by_share, 1, lambda kappa, u: kappa, kappa=ABOVE_ONE, u=(0, 1)).plot().axes[0]
    assert (both.get_xlabel(), both.get_ylabel()) == ("kappa", "u")
    assert "proved" in both.get_title()


def test_the_proof_of_triple_momentum_is_two_inequalities_and_one_square():
    found = worst_case_formula(triple_momentum, 1, lambda q: q**2, q=ABOVE_ONE)
    falls, positive = found.multipliers
    assert falls == {"I_{*,k}": (2 * q - 1) / q**2, "I_{k,k+1}": 1}
    assert set(positive) == {"I_{*,k}", "I_{k,*}"}
    assert found.lyapunov["E_1"] == 1
    assert found.latex().count(r"\Bigl\|") == 1


def test_the_multipliers_of_descent_are_the_textbook_s():
    """2ρh between x and the minimizer, both ways, gradients counted in L (de Klerk, Glineur & Taylor 2017)."""
    found = worst_case_formula(gf.optimizers.gradient_descent, 1, 10, lr=(0, Fraction(2, 11)))
    for multiplier in found.multipliers[0].values():
        assert sympy.simplify(multiplier - 2 * (1 - lr) * lr * 10) == 0


UNKNOWN = {
    "two formulas in one range": (gf.optimizers.gradient_descent, 1, 10, {"lr": (0, Fraction(1, 5))}),
    "no class below κ = 1": (
        lambda E, kappa: gf.optimizers.gradient_descent(E, lr=1 / kappa), 1, lambda kappa: kappa,
        {"kappa": (Fraction(99, 100), math.inf)},
    ),
    "no rational rate": (
        lambda E, q: gf.optimizers.nesterov(E, lr=1 / q**2, beta=(q - 1) / (q + 1)), 1, lambda q: q**2, {"q": ABOVE_ONE}
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", UNKNOWN)
def test_where_there_is_no_formula_the_places_are_told(name):
    make, mu, L, ranges = UNKNOWN[name]
    found = worst_case_formula(make, mu, L, **ranges)
    assert str(found.grade) == "unknown"
    assert found.rate is None
    assert not found.check()
    assert "no formula of ρ" in repr(found)
    assert len(found.table()) == 40
    assert ((found.table()["rho"] > 0) & (found.table()["rho"] <= 1)).all()
    with pytest.raises(ValueError, match="no formula was proved"):
        found.latex()


def test_a_bound_that_no_quadratic_attains_says_so():
    """‖x − x*‖² itself falls more slowly than the method converges."""

    def midpoint(E, kappa):
        return gf.Method(gf.GradientFlow(E), gf.RungeKutta("midpoint"), 1 / kappa)

    found = worst_case_formula(midpoint, 1, lambda kappa: kappa, kappa=ABOVE_ONE)
    assert (str(found.grade), found.attained) == ("proved", None)
    assert "whether there is a better bound is not said" in repr(found)
    better = gf.worst_case_rate(midpoint(gf.landscapes.bowl(), Fraction(4)), 1, 4)
    assert better.rate <= float(found.rate.subs("kappa", 4)) + 1e-12


def test_a_rate_above_one_promises_nothing():
    found = worst_case_formula(gf.optimizers.gradient_descent, 1, 10, lr=(Fraction(1, 4), Fraction(1, 2)))
    assert (found.rate, found.check()) == (10 * lr - 1, True)
    assert "it promises no convergence" in repr(found)
    below = worst_case_formula(gf.optimizers.gradient_descent, 1, 10, lr=(0, Fraction(2, 11)))
    assert "promises" not in repr(below)


def test_what_was_changed_does_not_check():
    import dataclasses

    found = worst_case_formula(gf.optimizers.gradient_descent, 1, 10, lr=(0, Fraction(2, 11)))
    identity = found.identity
    one = found.family.field.one
    changes = {
        "a better rate": dataclasses.replace(identity, squared_rate=identity.squared_rate * Fraction(99, 100)),
        "other weights": dataclasses.replace(identity, weights=(identity.weights[0] * 2,)),
        "a negative multiplier": dataclasses.replace(identity, multipliers=((-one, -one),)),
        "fewer": dataclasses.replace(identity, multipliers=((one,),)),
    }
    for changed in changes.values():
        assert not changed.holds(found.family)
    assert not dataclasses.replace(found, rate=found.rate / 2).check()
    assert not dataclasses.replace(found, identity=None).check()
    # Told of another range than it was read for, the proof would be one of another rate.
    wider = dataclasses.replace(found.family)
    wider.ranges = {"lr": (Fraction(0), Fraction(1))}
    assert not dataclasses.replace(found, family=wider, rate=wider.root(identity.squared_rate)).check()


BAD = {
    "no method": (lambda: worst_case_formula(3.0, 1, 4, lr=(0, 1)), TypeError, "`optimizer` must make a method"),
    "no range": (lambda: worst_case_formula(gf.optimizers.gradient_descent, 1, 4), ValueError, "give the range"),
    "an empty one": (
        lambda: worst_case_formula(gf.optimizers.gradient_descent, 1, 4, lr=(1, 0)), ValueError, "`lr` must be a range"
    ),
    "no number": (
        lambda: worst_case_formula(gf.optimizers.gradient_descent, 1, 4, lr=0.1), ValueError, "`lr` must be a range"
    ),
    "μ = 0": (
        lambda: worst_case_formula(gf.optimizers.gradient_descent, 0, 4, lr=(0, 1)), ValueError, "μ must be positive"
    ),
    "μ > L": (
        lambda: worst_case_formula(lambda E, k: gf.optimizers.gradient_descent(E, lr=1 / k), 1, lambda k: k, k=(0, 2)),
        ValueError, "less than L",
    ),
    "another method": (
        lambda: worst_case_formula(
            lambda E, lr: gf.optimizers.gradient_descent(E, lr / 2 if isinstance(lr, Fraction) else lr), 1, 4,
            lr=(0, Fraction(2, 5)),
        ),
        gf.analysis.NotExactError, "makes another method than with symbols",
    ),
    "no rational L": (
        lambda: worst_case_formula(gf.optimizers.gradient_descent, 1, lambda lr: round(lr), lr=(0, 1)),
        gf.analysis.NotExactError, "`L` must be a rational function",
    ),
    "a root": (
        lambda: worst_case_formula(
            lambda E, k: gf.optimizers.gradient_descent(E, lr=k**0.5), 1, 4, k=(0, 1)
        ),
        gf.analysis.NotExactError, "take the root as the number",
    ),
    "Adam": (
        lambda: worst_case_formula(gf.optimizers.adam, 1, 4, lr=(0, 1)), gf.analysis.NotExactError,
        "divides by what its gradients have been",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_has_no_formula_is_refused_in_a_line(name):
    ask, error, message = BAD[name]
    with pytest.raises(error, match=message) as caught:
        ask()
    assert str(caught.value).startswith("worst_case_formula: ")


def test_a_rational_function_goes_through_all_places_or_there_is_none():
    field = rational_functions(["s"])
    places = [(Fraction(k, 3),) for k in range(1, 16)]
    values = [(1 - s) / (2 + s) for (s,) in places]
    assert rational_through(places, values, field) == (1 - field.gens[0]) / (2 + field.gens[0])
    # Numerator and denominator could both vanish where one value is another.
    assert rational_through(places, [*values[:-1], values[-1] + 1], field) is None
    assert rational_through(places[:3], values[:3], field) is None


# --- signs ------------------------------------------------------------------------------------------------------------

ONE, TWO = rational_functions(["s"]), rational_functions(["s", "t"])
S, (A, B) = ONE.gens[0], TWO.gens


@pytest.mark.parametrize(
    ("element", "positive", "nonnegative"),
    [
        (S**2 - S + 1, True, True), ((S - 1) ** 2, False, True), (S - 1, False, False), (1 - S, False, False),
        ((S - 1) ** 2 * (S - 2), False, False), (-S, False, False), (ONE.zero, False, True),
        (1 / (S - 1), False, False), (-((S - 1) ** 2), False, False), (-((S - 2) ** 2), False, False),
        ((S - 1) ** 2 * (S - 2) ** 4, False, True), (-1 / (-S - 1), True, True), (S / (S**2 + 1), True, True),
        (S**4 - 3 * S**3 + 4 * S**2 - 3 * S + 1, False, True),
        (A**2 - A * B + B**2, True, True), (A - B, False, False), (A * B + 1, True, True),
    ],
)  # fmt: skip
def test_signs_where_variables_are_positive(element, positive, nonnegative):
    assert (is_positive(element), is_nonnegative(element)) == (positive, nonnegative)


def test_a_pole_is_where_the_denominator_vanishes():
    assert is_defined(1 / (S + 1))
    assert is_defined(-1 / (S**2 - S + 1))
    assert not is_defined(1 / (S - 1))
    assert not is_defined(1 / (A - B))


def test_a_matrix_is_semidefinite_where_its_pivots_say_so():
    vectors = np.array([[S, ONE.one, S**2 + 1], [2 * S, 2 * ONE.one, 2 * S**2 + 2]], dtype=object)
    assert definite_pivots(vectors.T @ vectors) == [0]
    assert definite_pivots(np.array([[S, ONE.one], [ONE.one, 1 / S]], dtype=object)) == [0]
    assert definite_pivots(np.array([[S, ONE.one], [ONE.one, 2 / S]], dtype=object)) == [0, 1]
    assert definite_pivots(np.array([[S, ONE.one], [ONE.one, ONE.zero]], dtype=object)) is None
    assert definite_pivots(np.array([[ONE.zero, ONE.one], [ONE.one, ONE.zero]], dtype=object)) is None
    # 1 at s = 1, where the first entry is none.
    assert definite_pivots(np.array([[S - 1, ONE.zero], [ONE.zero, ONE.one]], dtype=object)) is None
