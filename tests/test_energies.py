"""Energies: closed forms, known minima, and the data that they are fitted to."""

import contextlib
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

import gradientflow as gf
from gradientflow.flows import is_finite_everywhere, landscapes, regression, standardized

from .thorough import THOROUGH, part


def test_the_running_example():
    E = gf.LeastSquares([[4, 1], [1, 3]], [1, 2])
    np.testing.assert_allclose(E.minimizer, [1 / 11, 7 / 11], rtol=1e-14)
    np.testing.assert_allclose(E.grad(jnp.array([1.0, 1.0])), [18.0 + 6 - 6, 10.0 + 7 - 7])
    assert float(E.minimum) == pytest.approx(0, abs=1e-28)


def test_least_squares_projects_onto_the_range():
    E = gf.LeastSquares([[1, 0], [0, 1], [0, 0]], [4, 4, 2])
    np.testing.assert_allclose(E.M @ E.minimizer, [4, 4, 0], atol=1e-14)
    assert float(E.minimum) == pytest.approx(2.0)


def test_quadratic_closed_forms():
    H, b = np.array([[3.0, 1.0], [1.0, 2.0]]), np.array([1.0, -1.0])
    E = gf.Quadratic(H, b, 7.0)
    x = jnp.array([0.3, -2.0])
    np.testing.assert_allclose(E.grad(x), jax.grad(E.value)(x), rtol=1e-14)
    np.testing.assert_allclose(E.minimizer, np.linalg.solve(H, b), rtol=1e-14)
    assert float(E.minimum) == pytest.approx(7 - b @ np.linalg.solve(H, b) / 2)
    np.testing.assert_allclose(E.curvature, np.linalg.eigvalsh(H), rtol=1e-14)
    assert gf.Quadratic([[1.0, 0.0], [0.0, -1.0]]).minimizer is None


@pytest.mark.parametrize("E", [gf.Quadratic([[3.0, 1.0], [1.0, 2.0]], [1.0, -1.0]), gf.LeastSquares([[4, 1]], [2.0])])
def test_prox_satisfies_its_optimality_condition(E):
    x, h = jnp.array([1.5, -0.5]), 0.7
    y = E.prox(x, h)
    np.testing.assert_allclose(y + h * E.grad(y), x, atol=1e-14)


def test_prox_of_an_indefinite_quadratic_is_nan_where_there_is_none():
    E = gf.Quadratic([[1.0, 0.0], [0.0, -1.0]])
    assert np.isfinite(E.prox(jnp.array([1.0, 1.0]), 0.5)).all()
    assert np.isnan(E.prox(jnp.array([1.0, 1.0]), 2.0)).all()


@pytest.mark.parametrize("name", part(landscapes.names(), 4))
def test_landscapes_have_the_minima_they_claim(name):
    E = landscapes.get(name)
    assert len(E.domain) == len(E.start)
    asked = jax.jit(lambda x: (jax.hessian(E.value)(x), E.grad(x), E(x), E.minimum))
    for point in E.minima:
        hessian, gradient, value, minimum = map(np.asarray, asked(np.asarray(point)))
        assert np.abs(gradient).max() <= 1e-14 * (1 + np.abs(hessian).max())
        assert np.linalg.eigvalsh(hessian)[0] >= 0
        assert value >= minimum - 1e-14
    if E.minima:
        low, high = np.asarray(E.domain).T
        random = np.random.default_rng(0).uniform(low, high, (2000, len(low)))
        assert np.min(jax.jit(jax.vmap(E.value))(random)) >= minimum


def test_himmelblau_has_four_global_minima():
    E = gf.landscapes.himmelblau()
    assert len(E.minima) == 4
    assert max(float(E(jnp.asarray(p))) for p in E.minima) < 1e-28


@pytest.fixture(scope="module")
def random_data():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(40, 3))
    return X, (X @ [1.0, -2.0, 0.5] + rng.normal(size=40) > 0).astype(int)


@pytest.mark.parametrize("model", ["linear", "ridge", "logistic"])
def test_regression_gradients_and_curvature(model, random_data):
    E = regression(model, *random_data, 0.0 if model == "linear" else 0.1)
    x = jnp.array([0.3, -0.2, 0.1, 0.5])
    own, gradient, hessian = jax.jit(lambda x: (E.grad(x), jax.grad(E.value)(x), jax.hessian(E.value)(x)))(x)
    np.testing.assert_allclose(own, gradient, rtol=1e-12)
    eigenvalues = np.linalg.eigvalsh(hessian)
    mu, L = E.curvature
    assert float(mu) <= eigenvalues[0] + 1e-12
    assert eigenvalues[-1] <= float(L) + 1e-12


def test_ridge_is_scikit_learns(random_data):
    from sklearn.linear_model import Ridge

    X, y = random_data
    E = regression("ridge", X, y, 0.1)
    theirs = Ridge(alpha=0.1 * len(y), tol=1e-14, solver="cholesky").fit(X, y)
    np.testing.assert_allclose(E.minimizer, [*theirs.coef_, theirs.intercept_], rtol=1e-10)


def test_finite_sum_is_the_mean_of_its_losses():
    data = {"x": jnp.arange(4.0), "y": jnp.ones(4)}
    E = gf.FiniteSum(lambda w, d: (w * d["x"] - d["y"]) ** 2, data)
    assert float(E(jnp.asarray(2.0))) == pytest.approx(np.mean((2 * np.arange(4) - 1) ** 2))
    with pytest.raises(ValueError, match="leading axis"):
        gf.FiniteSum(lambda w, d: w, {"x": jnp.ones(3), "y": jnp.ones(2)})


def test_standardized_columns():
    X = standardized(np.array([[1.0, 5.0], [3.0, 5.0]]))
    np.testing.assert_allclose(X, [[-1, 0], [1, 0]])


@pytest.mark.parametrize(
    ("text", "point", "value"),
    [
        ("(1 - x)^2 + 100*(y - x^2)^2", [-1.2, 1.0], 24.2),
        ("x1*x2 + x10", [2.0, 3.0, 5.0], 11.0),
        ("2*cos(pi*x) + exp(-y)", [1.0, 0.0], -1.0),
        ("max(x, 3) + abs(-y)", [1.0, -2.0], 5.0),
        ("-x**2 + +y/4", [3.0, 2.0], -8.5),
    ],
)
def test_expressions_mean_what_they_say(text, point, value):
    assert float(gf.from_expression(text)(jnp.asarray(point))) == pytest.approx(value, rel=1e-14)


def test_the_gradient_of_a_power_at_zero_is_finite():
    assert float(gf.from_expression("x^2 + x^3").grad(jnp.zeros(1))[0]) == 0


HOSTILE = [
    "__import__('os').system('true')", "x.__class__", "().__class__", "(lambda: 1)()", "[x for x in y]",
    "x if y else 1", "'a'*10", "open('f')", "x; y", "9**9**9**9", "exp(x, y)",
    "eval('1')", "f'{x}'", "x[0]", "1e999*x", "x := 1", "",
    "x and y", "(" * 500 + "x" + ")" * 500, "x" + "+x" * 2000, "exp(*x)", "True + x",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_expressions_are_refused(text):
    with pytest.raises(ValueError, match="expression"):
        evaluate(text)


def evaluate(text):
    E = gf.from_expression(text)
    return E(jnp.ones(len(E.variables)))


@given(st.text(max_size=40))
@settings(max_examples=200 if THOROUGH else 50, deadline=None)
def test_any_text_is_a_formula_or_a_value_error(text):
    with contextlib.suppress(ValueError):
        gf.from_expression(text)


def test_sympy_expressions_are_energies():
    """Kinks and cases among them; the gradient is that of the formula."""
    x, y = sympy.symbols("x y", real=True)
    E = gf.from_sympy(sympy.Piecewise((x**2, x < 1), (2 * x - 1, True)) + sympy.Max(y, 0) + sympy.Abs(y) ** 3, [x, "y"])
    assert [float(E(point)) for point in ([0.5, -1.0], [3.0, 2.0])] == [1.25, 15.0]
    np.testing.assert_allclose(E.grad(jnp.array([0.5, 1.0])), [1.0, 4.0])
    assert float(gf.from_sympy(sympy.Integer(3), [x])([1.0])) == 3.0
    path = gf.integrate(gf.GradientFlow(gf.from_sympy(x**2 / 2, "x")), [1.0], 1.0)
    assert float(path.x[-1, 0]) == pytest.approx(math.exp(-1), rel=1e-7)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (("x", ["x"]), TypeError, "give text to from_expression"),
        ((sympy.Symbol("x") * sympy.Symbol("y"), ["x"]), ValueError, "the variable y is not among the symbols x"),
        ((sympy.Symbol("x"), ["x", "x"]), ValueError, "every coordinate once"),
    ],
)
def test_sympy_expressions_that_are_no_energies(arguments, error, words):
    with pytest.raises(error, match=words):
        gf.from_sympy(*arguments)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (lambda x: jnp.mean(jax.nn.softplus(-x)), True),
        (lambda x: jnp.sum(jnp.log(jnp.cosh(x))), True),
        (lambda x: jnp.sum(jnp.sqrt(1 + x * x)), True),
        (lambda x: jnp.sum(x**2 / (1 + x**2)), True),
        (lambda x: jnp.sum(jnp.log1p(jnp.exp(x))), True),
        (lambda x: jnp.sum(jnp.log(x)), False),
        (lambda x: jnp.sum(jnp.log(jnp.exp(x))), False),
        (lambda x: jnp.sum(jnp.sqrt(x * x)), False),
        (lambda x: jnp.sum(1 / (x * x)), False),
        (lambda x: jnp.sum(jnp.log1p(x)), False),
        (lambda x: jnp.sum(jnp.sqrt(1 - x * x)), False),
        (lambda x: jnp.sum(x**-2), False),
        (lambda x: jnp.sum((1 + x * x) ** -2), True),
    ],
)
def test_where_an_energy_is_finite_is_read_off_its_program(value, told):
    assert is_finite_everywhere(gf.energy(value), jnp.ones(3)) is told


@pytest.mark.parametrize(
    "E", [gf.energy(lambda x: x[0] ** 2 / 2 + 9 * x[1] ** 2 / 2), gf.Quadratic(np.diag([1.0, 9.0]))]
)
def test_lists_and_integers_are_asked_about_like_arrays(E):
    for x in ([1, 2], [1.0, 2.0], jnp.asarray([1, 2])):
        np.testing.assert_allclose(E.grad(x), [1, 18])
        np.testing.assert_allclose(E.hvp(x, [1, 1]), [1, 9])
        np.testing.assert_allclose(E.inverse_hvp(x, [1, 9]), [1, 1], rtol=1e-6)
        np.testing.assert_allclose(gf.GradientFlow(E).drift(0.0, x), [-1, -18])
    flow = gf.HeavyBallFlow(E)
    np.testing.assert_allclose(flow.drift(0.0, flow.init([1, 2])).v, [-1, -18])
    with_kinks = gf.Composite(E, gf.penalties.L1(1.0))
    np.testing.assert_allclose(with_kinks.grad([0, 2]), [0, 19])
