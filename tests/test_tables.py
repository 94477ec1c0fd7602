"""Data as people have them: units, years, constants, and files that are CSV by another name."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradientflow as gf
from gradientflow.discretizers.step_rule import check_schedule
from gradientflow.flows import check_finite, position_arrays, read_table, standardized

from .thorough import part


def line(x, y):
    """Slope, intercept and half the mean squared residual of the least-squares line, in fractions."""
    x, y, n = [Fraction(v) for v in x], [Fraction(v) for v in y], len(x)
    mx, my = sum(x) / n, sum(y) / n
    w = sum((a - mx) * (b - my) for a, b in zip(x, y, strict=True)) / sum((a - mx) ** 2 for a in x)
    return w, my - w * mx, sum((w * (a - mx) + my - b) ** 2 for a, b in zip(x, y, strict=True)) / (2 * n)


@pytest.mark.parametrize(("dtype", "start", "width"), part([(np.float32, 1990, 31), (np.float64, 1.7e9, 1e3)]))
def test_a_line_through_features_far_from_zero(dtype, start, width):
    """Years in single precision, seconds in double: where they are, a slope of all is rounded away, not a residual."""
    rng = np.random.default_rng(0)
    x = np.sort(start + np.round(rng.uniform(0, width, 40), 3)).astype(dtype)
    y = (2 * (x - start) / width + rng.normal(size=40)).astype(dtype)
    w, w0, least = line(x.tolist(), y.tolist())
    for E, share in (
        (gf.LinearRegression(x[:, None], y), 1),
        (gf.LeastSquares(np.stack([x, np.ones_like(x)], axis=1), y), 40),
    ):
        assert float(E.minimizer[0]) == pytest.approx(float(w), rel=1e-4)
        assert float(E.minimizer[1]) == pytest.approx(float(w0), rel=1e-4)
        # What rounding of the products w·x leaves in a residual, and half its square: far below any wrong minimum.
        rounding = float(np.finfo(dtype).eps) * abs(float(w0))
        assert float(E.minimum) / share == pytest.approx(float(least), abs=4 * rounding)
        # Stationary up to the rounding of XᵀX w.
        terms = np.abs(np.asarray(E.grad(E.minimizer)) / (share * np.asarray([abs(start), 1.0])))
        assert (terms <= 64 * rounding).all()


def test_least_squares_do_not_mind_units_and_find_the_least_norm():
    rng = np.random.default_rng(1)
    M, v = rng.normal(size=(12, 3)), rng.normal(size=12)
    plain = np.linalg.lstsq(M, v, rcond=None)[0]
    units = np.array([1e100, 1e-120, 1.0])
    np.testing.assert_allclose(gf.LeastSquares(M * units, v).minimizer * units, plain, rtol=1e-12)
    # Two equal columns share their weight; a wide matrix leaves much open.
    wide = rng.normal(size=(3, 6))
    for dependent in part((wide, np.c_[M, M[:, 2]])):
        v = rng.normal(size=len(dependent))
        expected = np.linalg.lstsq(dependent, v, rcond=None)[0]
        np.testing.assert_allclose(gf.LeastSquares(dependent, v).minimizer, expected, atol=1e-13)
        with_ones = np.c_[dependent, np.ones(len(dependent))]
        expected = np.linalg.lstsq(with_ones, v, rcond=None)[0]
        np.testing.assert_allclose(gf.LinearRegression(dependent, v).minimizer, expected, atol=1e-13)
    assert jax.jit(lambda E: E.minimum)(gf.LinearRegression(wide, v[:3])) < 1e-25


def test_polyaks_step_reaches_the_minimum_of_a_regression_on_years():
    rng = np.random.default_rng(2)
    x = np.arange(1990, 2021).astype(np.float32)
    y = rng.normal(size=31).astype(np.float32)
    E = gf.LinearRegression(x[:, None], y)
    assert float(E.minimum) <= float(E.value(jnp.zeros(2, jnp.float32)))
    assert float(E.minimum) == pytest.approx(float(line(x.tolist(), y.tolist())[2]), rel=1e-4)


@pytest.mark.parametrize("size", [0.1, 1e200, 1e-200, -3.0, 0.0])
def test_a_constant_column_becomes_zero_and_a_column_of_any_size_is_standardized(size):
    varying = np.array([0.1, 0.7, -0.4, 1.3, 0.2, 0.9, 0.3])
    X = standardized(np.stack([np.full(7, size), varying * (size or 1.0), varying], axis=1))
    np.testing.assert_array_equal(X[:, 0], 0)
    np.testing.assert_allclose(X[:, 1:].mean(axis=0), 0, atol=1e-15)
    np.testing.assert_allclose(X[:, 1:].std(axis=0), 1, rtol=1e-14)
    np.testing.assert_allclose(X[:, 1], X[:, 2] * (np.sign(size) or 1), rtol=1e-13)


def test_a_constant_column_is_no_second_intercept():
    """Standardized, its curvature is 0: forward Euler's limit is the other column's and the intercept's, 2."""
    X = standardized(np.stack([np.full(6, 0.1), np.array([1.0, 2, 3, 4, 5, 6])], axis=1))
    found = gf.stability(gf.GradientFlow(gf.LinearRegression(X, [0.0, 1, 0, 1, 2, 2])), gf.ForwardEuler())
    assert found.limit == pytest.approx(2.0, rel=1e-12)


FILES = {
    "semicolons": ("a;b;y\n1;2;3\n2;1;4\n", {}, "has one column, 'a;b;y'; if ';' separates its cells, give it as sep"),
    "decimal commas": ("a;y\n1,5;2\n2;3\n", {"sep": ";"}, r"line 2, column 'a': '1,5' is not a number; .*decimal=','"),
    "decimal points": ("a;y\n1.5;2\n2;3\n", {"sep": ";", "decimal": ","}, r"'1.5' is not a number; .*decimal='.'"),
    "unquoted commas": ("a,y\n1,5,2,5\n2,3\n", {}, "line 2 has 4 cells, the header has 2; where decimals are commas"),
    "an empty cell": ("a,y\n1,2\n,3\n", {}, "line 3, column 'a': the cell is empty; drop the line or impute it"),
    "nan": ("a,y\n1,2\nnan,3\n", {}, "line 3, column 'a': 'nan'; drop the line or impute it"),
    "a word": ("a,y\n1,2\nx,3\n", {}, "line 3, column 'a': 'x' is not a number$"),
    "one row": ("a,y\n1,2\n", {}, "has one line of numbers, which any model fits"),
    "no row": ("a,y\n", {}, "at least one line of numbers, got 1 lines"),
    "a comment": ("# made by hand\na,y\n1,2\n2,3\n", {}, "line 1 is a comment"),
    "a comment below": ("a,y\n1,2\n# and\n2,3\n", {}, "line 3 is a comment"),
    "the target twice": ("y,a,y\n1,2,3\n2,1,3\n", {}, "2 columns are called 'y'.*rename one"),
    "no separator": ("a,y\n1,2\n2,3\n", {"sep": ""}, "sep: must be one character"),
    "one sign for both": ("a,y\n1,2\n2,3\n", {"decimal": ","}, "decimal: .*not what separates cells"),
}


@pytest.mark.parametrize("name", FILES)
def test_files_are_said_to_be_what_they_are(name, tmp_path):
    text, options, message = FILES[name]
    file = tmp_path / "data.csv"
    file.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        read_table(file, "y", **options)
    assert "\n" not in str(caught.value)


def test_other_separators_and_decimals(tmp_path):
    file = tmp_path / "data.csv"
    file.write_text("a;y\n1,5;-2,25\n2;3e1\n")
    X, y, names = read_table(file, "y", sep=";", decimal=",")
    np.testing.assert_array_equal(X, [[1.5], [2.0]])
    np.testing.assert_array_equal(y, [-2.25, 30.0])
    assert names == ["a"]


def test_a_position_has_one_precision():
    mixed = {"w": jnp.ones(2, jnp.float32), "b": jnp.zeros((), jnp.float64)}
    with pytest.raises(TypeError, match=r"^iterate: the leaves of `x0` .* float64 \(\['b'\]\), float32 \(\['w'\]\)"):
        position_arrays("iterate", "x0", mixed)
    with pytest.raises(TypeError, match="must hold real numbers"):
        position_arrays("iterate", "x0", {})
    alike = position_arrays("iterate", "x0", {"w": jnp.ones(2, jnp.float32), "b": jnp.float32(0)})
    assert {leaf.dtype for leaf in jax.tree.leaves(alike)} == {jnp.dtype("float32")}
    for value in (np.nan, np.inf, -np.inf):
        with pytest.raises(ValueError, match="`t0` must be finite, got"):
            check_finite("iterate", t0=value)
    check_finite("iterate", t0=-3.0)


def test_a_schedule_stays_finite_and_not_negative():
    check_schedule("iterate", lambda k: 0.1 * k, 5)
    check_schedule("iterate", gf.schedules.cosine(0.1, 10), 10**7)
    with pytest.raises(ValueError, match=r"^iterate: the schedule is -0.1 at k = 11, of 20 steps; .*jnp.maximum"):
        check_schedule("iterate", lambda k: 1.0 - 0.1 * k, 20)
    with pytest.raises(ValueError, match="the schedule is nan at k = 3"):
        check_schedule("iterate", lambda k: jnp.where(k < 3, 0.1, jnp.nan), 20)
    with pytest.raises(ValueError, match="the schedule is inf at k = 0"):
        check_schedule("iterate", lambda k: 1.0 / k, 20)
