"""Exact arithmetic: the leaf refuses what would make a proof a lie; the algebra decides what floats only suggest."""

import itertools
import linecache
import math
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import QQ

import gradientflow as gf
from gradientflow.analysis.exact.algebra import polynomials, rational_functions
from gradientflow.analysis.exact.inertia import bracket_greatest, inertia
from gradientflow.analysis.exact.roots import AlwaysFailsError, first_failure
from gradientflow.analysis.exact.square_root import square_root
from gradientflow.analysis.exact.unit_disk import is_simple_von_neumann
from gradientflow.analysis.linear_stability.curvature import curvatures_at

from .catalogue import SCHEMES, flow_to_read_on, is_rational, name_of

FIELD = rational_functions(("a", "b"))
A = gf.Exact(FIELD.gens[0])


def test_it_computes_with_integers_fractions_and_dyadic_floats():
    a = FIELD.gens[0]
    assert (A / 3 + 0.5).value == a / 3 + QQ(1, 2)
    assert (2 - np.float64(0.25) * A * np.int64(3)).value == 2 - 3 * a / 4
    assert (1 / A**2 - A**-2).value == 0
    assert (Fraction(2, 3) * A - A * sympy.Rational(2, 3)).value == 0
    assert ((4 * A * A) ** 0.5).value == 2 * a
    assert gf.Exact(1e15).value == QQ(10**15)


REFUSED = {
    "0.1": lambda: A * 0.1,
    "1/6": lambda: (1 / 6) * A,
    "a float32": lambda: np.float32(0.5) * A,
    "infinity": lambda: A * math.inf,
    "a JAX array": lambda: A * jnp.ones(()),
    "a NumPy array": lambda: np.ones(2) * A,
    "a branch": lambda: A if A else 0,
    "a comparison": lambda: A > 0,
    "equality": lambda: A == 0,
    "float()": lambda: float(A),
    "math.exp": lambda: math.exp(A),
    "max": lambda: max(A, 0),
    "abs": lambda: abs(A),
    "jnp.where": lambda: jnp.where(A > 0, 1, 2),
    "an irrational root": lambda: A**0.5,
}


@pytest.mark.parametrize("case", REFUSED)
def test_it_refuses_what_is_not_exact(case):
    with pytest.raises(gf.NotExactError):
        REFUSED[case]()


@pytest.mark.parametrize("function", [jnp.tanh, np.sqrt, jnp.sum])
def test_functions_that_are_not_rational_are_type_errors(function):
    with pytest.raises(TypeError):
        function(A)


def test_a_rounded_float_is_told_with_its_remedy():
    with pytest.raises(
        gf.NotExactError, match=r"0\.1 is rounded; write it as Fraction\(1, 10\), and h\*\(2/3\) as h\*2/3"
    ):
        _ = A * 0.1


def test_square_roots_in_fields():
    a, b = FIELD.gens
    assert square_root((4 * a**2 * b**2) / (9 * (a + b) ** 4)) == 2 * a * b / (3 * (a + b) ** 2)
    assert square_root(QQ(49, 36)) == QQ(7, 6)
    for value in (QQ(2), QQ(-1), a, 2 * a**2, a**2 + b**2):
        assert square_root(value) is None


# --- The line that is to blame ---------------------------------------------------------------------------------------


class InexactCoefficient(gf.Discretizer):
    def step(self, flow, t, z, h, **_):
        return z + h * (1 / 6) * flow.drift(t, z)


class Transcendental(gf.Discretizer):
    def step(self, flow, t, z, h, **_):
        slope = flow.drift(t, z)
        return z + h * jnp.tanh(slope)


class Branching(gf.Discretizer):
    def step(self, flow, t, z, h, **_):
        slope = flow.drift(t, z)
        return z + h * slope if slope > 1 else z


class Drawing(gf.Discretizer):
    def step(self, flow, t, z, h, **_):
        return z + h * flow.drift(t, z) * jax.random.normal(jax.random.key(0))


class ClockDependent(gf.Discretizer):
    def step(self, flow, t, z, h, **_):
        return z + h * t * flow.drift(t, z)


class Quadratically(gf.Discretizer):
    def step(self, flow, t, z, h, **_):
        return z + h * z * flow.drift(t, z)


class Unscaled(gf.Discretizer):
    def step(self, flow, t, z, h, **_):
        return z + h * h * flow.drift(t, z)


class Counting(gf.Discretizer):
    def init(self, flow, t, z, h):
        return 1

    def step(self, flow, t, z, h, *, memory, **_):
        return z + h * flow.drift(t, z) / memory, memory + 1


BLAMED = {
    InexactCoefficient: "`return z + h * (1 / 6) * flow.drift(t, z)`: the float 0.16666666666666666 is rounded",
    Transcendental: "`return z + h * jnp.tanh(slope)`: not rational arithmetic",
    Branching: "`return z + h * slope if slope > 1 else z`: a test or conversion of a value",
    Drawing: "jax.random.normal(jax.random.key(0))`: an array",
    ClockDependent: "depends on the time t",
    Quadratically: "not linear in the state",
    Unscaled: "depends on h and λ by more than their product",
    Counting: "the memory counts steps",
}


@pytest.mark.parametrize("scheme", BLAMED)
def test_a_scheme_that_cannot_be_read_is_told_by_its_line(scheme):
    with pytest.raises(gf.NotExactError) as told:
        gf.stability_function(scheme())
    assert BLAMED[scheme] in str(told.value)
    assert str(told.value).startswith(f"{scheme.__name__} ")
    if "`" in BLAMED[scheme]:
        assert "test_exact.py:" in str(told.value)


CELL = """
import gradientflow as gf

class Misspelt(gf.Discretizer):
    def step(self, flow, t, z, h, **_):
        return z + h * flow.drfit(t, z)

class Rounded(gf.Discretizer):
    def step(self, flow, t, z, h, **_):
        return z + 0.1 * h * flow.drift(t, z)

class Returnless(gf.Discretizer):
    def step(self, flow, t, z, h, **_):
        z + h * flow.drift(t, z)
"""


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("Misspelt", "because of 7.py:6, `return z + h * flow.drfit(t, z)`"),
        ("Rounded", "because of 7.py:10, `return z + 0.1 * h * flow.drift(t, z)`: the float 0.1 is rounded"),
        ("Returnless", "read exactly: it returns NoneType and not a state; let it return the new one"),
    ],
)
def test_a_scheme_of_a_notebook_is_told_by_its_cells_line_and_never_by_a_librarys(name, line):
    file = "/tmp/ipykernel_1/7.py"  # no file at all: a cell's lines are in the line cache alone
    linecache.cache[file] = (len(CELL), None, CELL.splitlines(keepends=True), file)
    cell = {"__name__": "__main__"}
    exec(compile(CELL, file, "exec"), cell)
    with pytest.raises(gf.NotExactError) as refused:
        gf.order(cell[name]())
    assert line in str(refused.value)


@pytest.mark.parametrize("scheme", SCHEMES, ids=name_of)
def test_every_shipped_scheme_is_read_or_says_why_not(scheme):
    flow = flow_to_read_on(scheme)
    if not is_rational(scheme):
        with pytest.raises(TypeError):
            gf.stability_function(scheme, flow)
        return
    read = sympy.Matrix([gf.stability_function(scheme, flow)])
    on_mode = flow(gf.Mode(1.0))
    z = on_mode.init(1.0)
    size = len(jax.tree.leaves((z, scheme.init(on_mode, 0.0, z, 0.1))))
    assert read.shape == (size, size)
    assert all(entry.is_rational_function() for entry in read)


# --- The algebra -----------------------------------------------------------------------------------------------------


def test_von_neumann_polynomials():
    assert is_simple_von_neumann([1, 0, -1])  # ±1, simple
    assert not is_simple_von_neumann([1, -2, 1])  # 1 twice: a free particle runs away
    assert is_simple_von_neumann([1, QQ(-6, 5), 1])  # a pair on the circle
    assert not is_simple_von_neumann([1, QQ(-5, 2), 1])  # 2 and 1/2
    assert is_simple_von_neumann([1, 0, 0, 0])
    assert not is_simple_von_neumann([0, 1, 0])  # a root at infinity
    # (w² − 6w/5 + 1)²: a pair on the circle, twice
    assert not is_simple_von_neumann([1, QQ(-12, 5), QQ(86, 25), QQ(-12, 5), 1])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.fractions(-2, 2, max_denominator=16), min_size=2, max_size=5))
def test_von_neumann_agrees_with_computed_roots(tail):
    moduli = np.abs(np.roots([1.0, *map(float, tail)]))
    if np.abs(moduli - 1).min() > 1e-6:
        polynomial = [QQ(1), *(QQ(f.numerator, f.denominator) for f in tail)]
        assert is_simple_von_neumann(polynomial) == (moduli.max() < 1)


def test_inertia_agrees_with_eigenvalues_on_all_small_matrices():
    for entries in itertools.product((-1, 0, 2), repeat=6):
        a, b, c, d, e, f = entries
        matrix = np.array([[a, b, c], [b, d, e], [c, e, f]])
        eigenvalues = np.linalg.eigvalsh(matrix)
        counted = inertia([[Fraction(int(x)) for x in row] for row in matrix])
        assert counted == tuple(
            int(n) for n in (sum(eigenvalues < -1e-9), sum(abs(eigenvalues) < 1e-9), sum(eigenvalues > 1e-9))
        )


def test_the_greatest_eigenvalue_is_bracketed_tightly():
    rng = np.random.default_rng(0)
    for n in (1, 4, 12):
        a = rng.normal(size=(n, n))
        matrix = [[Fraction(x) for x in row] for row in (a + a.T).tolist()]
        top = float(np.linalg.eigvalsh(a + a.T)[-1])
        low, high = bracket_greatest(matrix, top * (1 + 1e-9), 1e-15)
        assert low < high
        assert inertia(matrix, high).positive == 0
        assert inertia(matrix, low).positive + inertia(matrix, low).zero >= 1
        assert float((high - low) / abs(high)) < 1e-7


def test_an_eigenvalue_below_rounding_is_bracketed_to_its_digits():
    """The least of Hilbert's matrix with its floats as they are, by mpmath in 60 digits; and one 600 orders below."""
    n = 12
    hilbert = gf.Quadratic(1 / (np.arange(n)[:, None] + np.arange(n) + 1))
    for energy, least in ((hilbert, 1.0674898e-16), (gf.Quadratic(np.diag([1e-300, 1e300])), 1e-300)):
        low, high = (float(end) for end in curvatures_at(energy, None).least)
        assert low == pytest.approx(least, rel=1e-6)
        assert high == pytest.approx(least, rel=1e-6)


def test_the_first_failure_passes_by_points_that_only_touch():
    x = sympy.Symbol("x")
    touching = sympy.Poly((x - 1) ** 2 * (2 - x), x)
    found, passed = first_failure([touching], lambda p: (p - 1) ** 2 * (2 - p) >= 0)
    assert float(found) == 2
    assert [float(root) for root in passed] == [1]
    root, _ = first_failure([sympy.Poly(x**3 - 2, x)], lambda p: p**3 < 2)
    assert root.expression() == sympy.cbrt(2) or root.expression().is_algebraic
    assert root.low**3 < 2 < root.high**3
    assert float(root) == pytest.approx(2 ** (1 / 3), rel=1e-15)
    assert first_failure([sympy.Poly(x - 3, x)], lambda p: True)[0] is None
    with pytest.raises(AlwaysFailsError):
        first_failure([sympy.Poly(x - 3, x)], lambda p: p > 3)


def test_rings_over_fields_multiply_with_their_scalars():
    ring = polynomials(("x",), FIELD)
    form = (A / 2) * gf.Exact(ring.gens[0]) / 3
    assert form.value.coeff(ring.gens[0]) == FIELD.gens[0] / 6
