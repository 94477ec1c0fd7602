"""Spectra of Hessians and stationary points, against matrices, SciPy and what textbooks say of landscapes."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradientflow as gf
from gradientflow.analysis import Grade
from gradientflow.analysis.curvature import Spectrum

from .thorough import part


def network(p):
    """A small network's loss: its Hessian is neither definite nor the same everywhere."""
    X = jnp.linspace(-1.0, 1.0, 8)[:, None]
    return jnp.mean((jnp.tanh(X @ p["in"] + p["shift"]) @ p["out"] - jnp.sin(3 * X[:, 0])) ** 2)


def params(width):
    keys = jax.random.split(jax.random.key(0), 2)
    draw = {"in": jax.random.normal(keys[0], (1, width)), "out": jax.random.normal(keys[1], (width,)) / width**0.5}
    return draw | {"shift": jnp.zeros(width)}


def full_hessian(loss, p):
    flat, unravel = jax.flatten_util.ravel_pytree(p)
    return np.asarray(jax.jit(jax.hessian(lambda v: loss(unravel(v))))(flat))


# --- The spectrum ----------------------------------------------------------------------------------------------------


def test_the_room_does_not_hide_the_function():
    assert callable(gf.curvature)
    assert gf.analysis.curvature.curvature is gf.curvature


def test_a_small_spectrum_is_that_of_the_matrix():
    p = params(6)
    found = gf.curvature(network, p)
    expected, vectors = np.linalg.eigh(full_hessian(network, p))
    np.testing.assert_allclose(found.eigenvalues, expected, atol=1e-12 * expected[-1])
    assert (found.residuals <= 1e-13 * expected[-1]).all()
    assert found.grade is Grade.MEASURED
    # Leaves are flattened in the order of their names.
    share = [float(np.sum(vectors[6 * i : 6 * i + 6, -1] ** 2)) for i in range(3)]
    assert found.by_leaf == pytest.approx(dict(zip(("in", "out", "shift"), share, strict=True)))
    np.testing.assert_allclose(gf.curvature(network, p, top=4).eigenvalues, expected[-4:], rtol=1e-12)


def test_of_a_module_its_arrays_of_numbers_count():
    model = eqx.nn.MLP(1, "scalar", 6, 1, jax.nn.tanh, use_final_bias=False, key=jax.random.key(1))
    inputs = jnp.linspace(-1.0, 1.0, 8)[:, None]
    found = gf.curvature(lambda m: jnp.mean((jax.vmap(m)(inputs) - jnp.sin(3 * inputs[:, 0])) ** 2), model, top=4)
    first, last = model.layers
    plain = {"in": first.weight.T, "shift": first.bias, "out": last.weight[0]}
    np.testing.assert_allclose(found.eigenvalues, gf.curvature(network, plain, top=4).eigenvalues, rtol=1e-9)


def test_the_greatest_of_a_large_one_come_with_residuals():
    p = params(80)
    found = gf.curvature(network, p)
    expected = np.linalg.eigvalsh(full_hessian(network, p))
    assert found.eigenvalues.shape == found.residuals.shape == (10,)
    np.testing.assert_allclose(found.eigenvalues, expected[-10:], atol=1e-8 * expected[-1])
    assert (found.residuals <= 1e-8 * expected[-1]).all()
    assert sum(found.by_leaf.values()) == pytest.approx(1)
    H = full_hessian(network, p)
    flat = jax.flatten_util.ravel_pytree(found.direction)[0]
    np.testing.assert_allclose(H @ flat, found.sharpness * flat, atol=1e-7 * expected[-1])


def test_a_multiple_of_the_identity_has_one_eigenvalue():
    found = gf.curvature(lambda x: 1.5 * jnp.sum(x**2), jnp.ones(300), top=3)
    np.testing.assert_allclose(found.eigenvalues, 3.0, rtol=1e-12)
    assert (found.residuals <= 1e-12).all()


def test_a_hessian_of_low_rank_at_a_large_point():
    M = np.random.default_rng(0).normal(size=(4, 400))
    found = gf.curvature(lambda x: jnp.sum((M @ x) ** 2) / 2, jnp.ones(400), top=6)
    np.testing.assert_allclose(found.eigenvalues[2:], np.linalg.eigvalsh(M @ M.T), rtol=1e-9)
    np.testing.assert_allclose(found.eigenvalues[:2], 0, atol=1e-9)


def test_a_quadratic_s_spectrum_is_certified():
    found = gf.curvature(gf.Quadratic(np.diag([1.0, 4.0, -2.0])), [1.0, 2.0, 3.0])
    assert found.grade is Grade.CERTIFIED
    np.testing.assert_allclose(found.eigenvalues, [-2.0, 1.0, 4.0])
    assert "-2 to 4, 1 negative" in repr(found)


def test_of_a_sum_with_a_kink_it_is_the_smooth_part_s():
    E = gf.Composite(gf.Quadratic(np.diag([1.0, 4.0])), gf.penalties.L1(0.1))
    np.testing.assert_allclose(gf.curvature(E, [1.0, 2.0]).eigenvalues, [1.0, 4.0])


def test_along_a_run_there_is_a_row_a_step():
    method = gf.optimizers.gradient_descent(network, lr=0.1)
    run = method.iterate(params(80), steps=20, save_every=10)
    found = gf.curvature(network, run, top=2)
    assert found.eigenvalues.shape == (3, 2)
    assert list(found.steps) == [0, 10, 20]
    alone = gf.curvature(network, jax.tree.map(lambda leaf: leaf[1], run.x), top=2)
    np.testing.assert_allclose(found.eigenvalues[1], alone.eigenvalues, rtol=1e-8)
    np.testing.assert_allclose(sum(found.by_leaf.values()), 1)
    assert list(found.table().index) == [0, 10, 20]
    assert "at 3 steps" in repr(found)
    assert len(found.plot().axes) == 2


def test_a_run_that_left_the_numbers_has_rows_that_are_nan():
    run = gf.optimizers.gradient_descent(lambda x: x[0] ** 4, lr=1.0).iterate([3.0], steps=12)
    found = gf.curvature(lambda x: x[0] ** 4, run)
    assert np.isfinite(found.eigenvalues[0]).all()
    assert np.isnan(found.eigenvalues[-1]).all()


def test_a_single_precision_spectrum_stays_single():
    p = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), params(80))
    found = gf.curvature(network, p, top=2)
    assert jax.tree.leaves(found.direction)[0].dtype == jnp.float32
    np.testing.assert_allclose(found.eigenvalues, gf.curvature(network, params(80), top=2).eigenvalues, rtol=1e-4)


def test_a_spectrum_shows_itself():
    found = gf.curvature(network, params(6))
    assert isinstance(found, Spectrum)
    assert "all 18 eigenvalues" in repr(found)
    assert "direction of the greatest: " in repr(found)
    assert found.table()["eigenvalue"].iloc[0] == found.sharpness
    assert "18×18 Hessian by automatic differentiation" in found.reason


BAD = {
    "no function": (lambda: gf.curvature(3.0, [1.0]), TypeError, r"^curvature: `E` must be an energy or a function of"),
    "in another order": (lambda: gf.curvature({"w": jnp.ones((9, 9))}, jnp.sum), TypeError, r"got dict; pass lambda x"),
    "a loss of a batch": (lambda: gf.curvature(lambda p, batch: p @ batch, [1.0]), ValueError, r"lambda p: loss\(p, b"),
    "no scalar": (lambda: gf.curvature(lambda x: x, [1.0, 2.0]), ValueError, r"^curvature: the energy must return one"),
    "too many": (lambda: gf.curvature(jnp.sum, [1.0], top=2), ValueError, r"`top` must be at most the 1 unknowns"),
    "none": (lambda: gf.curvature(jnp.sum, [1.0], top=0), ValueError, r"`top` must be at least 1, got 0"),
    "a word": (lambda: gf.curvature(jnp.sum, "here"), TypeError, r"^curvature: `x` must hold real numbers only"),
    "a root at 0": (lambda: gf.curvature(lambda x: jnp.sqrt(x[0]), [0.0]), ValueError, r"Hessian of `E` is not finite"),
    "NumPy": (lambda: gf.curvature(lambda x: float(x[0]), [0.0]), TypeError, r"^curvature: the energy can't be traced"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_has_no_spectrum_is_refused(name):
    ask, error, message = BAD[name]
    with pytest.raises(error, match=message) as caught:
        ask()
    assert "\n" not in str(caught.value)


# --- Stationary points -----------------------------------------------------------------------------------------------


def counts(found):
    return [found.kinds.count(kind) for kind in ("minimum", "saddle", "maximum", "degenerate")]


# How many minima, saddles, maxima and degenerate points a landscape has on its domain.
KNOWN = {
    "himmelblau": [4, 4, 1, 0], "rosenbrock": [1, 0, 0, 0], "beale": [1, 2, 0, 0], "monkey_saddle": [0, 0, 0, 1],
    "saddle": [0, 1, 0, 0], "double_well": [2, 1, 0, 0], "quartic": [0, 0, 0, 1],
}  # fmt: skip


@pytest.mark.parametrize("name", part(KNOWN, 3))
def test_all_stationary_points_of_a_landscape_are_found_and_told_apart(name):
    E = gf.landscapes.get(name)
    found = gf.stationary_points(E)
    assert counts(found) == KNOWN[name]
    assert found.complete
    assert found.grade is Grade.MEASURED
    gradients = jax.vmap(E.grad)(jnp.asarray(found.points))
    scale = 1 + np.abs(found.eigenvalues).max()
    assert np.abs(gradients).max() <= 1e-9 * scale
    for known in E.minima:
        inside = all(low <= c <= high for c, (low, high) in zip(known, E.domain, strict=True))
        assert not inside or np.abs(found.points - np.asarray(known)).max(axis=1).min() < 1e-6


def test_the_box_s_units_and_the_energy_s_change_nothing():
    E = gf.landscapes.himmelblau()
    found = gf.stationary_points(lambda x: 1e-9 * E(x * jnp.array([1e6, 1e-3])), ((-5e-6, 5e-6), (-5e3, 5e3)))
    assert counts(found) == [4, 4, 1, 0]


def test_many_points_an_ill_conditioned_minimum_is_a_minimum_and_a_flat_direction_is_not():
    box = ((-2, 2), (-2, 2))
    # Minima near −1, 0, 1, maxima near ±½ and ±1½, in each coordinate.
    assert counts(gf.stationary_points(gf.landscapes.rastrigin(), ((-1.8, 1.8),) * 2)) == [9, 24, 16, 0]
    assert counts(gf.stationary_points(lambda p: p[0] ** 2 + 1e-10 * p[1] ** 2, box)) == [1, 0, 0, 0]
    assert counts(gf.stationary_points(lambda p: p[0] ** 2 + p[1] ** 4, box)) == [0, 0, 0, 1]


def test_a_circle_of_minima_is_said_to_be_more_than_points():
    found = gf.stationary_points(lambda p: (p[0] ** 2 + p[1] ** 2 - 1) ** 2, ((-2, 2), (-2, 2)))
    assert found.kinds.count("maximum") == 1
    np.testing.assert_allclose(np.linalg.norm(found.of("degenerate"), axis=1), 1, atol=1e-7)
    assert "seem to be a curve" in found.reason


def test_indices_in_three_dimensions_and_on_a_line():
    found = gf.stationary_points(lambda p: jnp.sum(jnp.cos(p)), ((-2, 4),) * 3)
    # Each coordinate is 0, a maximum, or π, a minimum.
    assert sorted(found.index) == [0, 1, 1, 1, 2, 2, 2, 3]
    line = gf.stationary_points(jnp.cos, (-1, 4))
    assert line.kinds == ("minimum", "maximum")
    np.testing.assert_allclose(line.points, [np.pi, 0], atol=1e-12)
    for one in (found, line):
        assert len(one.plot().axes) == 1


def test_stationary_points_show_themselves():
    found = gf.stationary_points(gf.landscapes.himmelblau())
    assert "4 minima, 4 saddles, 1 maximum" in repr(found)
    assert list(found.table()["index"]) == list(found.index)
    assert len(found.of("saddle")) == 4
    assert len(found.plot().axes[0].collections) >= 4
    assert "the last 256 led to no other point" in found.reason
    nothing = gf.stationary_points(lambda p: p[0] + p[1], ((0, 1), (0, 1)))
    assert repr(nothing).startswith("no stationary point")
    assert nothing.points.shape == (0, 2)
    assert len(nothing.table()) == 0
    nothing.plot()


BAD_BOXES = {
    "none": (None, r"only landscapes have one of their own"),
    "a number": (3.0, r"`box` must be a lower and an upper bound for each coordinate, .*got 3.0"),
    "words": ("here", r"`box` must be a lower and an upper"),
    "reversed": (((1, -1), (0, 1)), r"finite and the lower one first, got \(\(1, -1\), \(0, 1\)\)"),
    "infinite": ((-np.inf, 1), r"finite and the lower one first"),
    "too many": (((0, 1),) * 201, r"`box` must have at most 200 coordinates, got 201"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_BOXES)
def test_what_is_no_box_is_refused(name):
    box, message = BAD_BOXES[name]
    with pytest.raises(ValueError, match=message) as caught:
        gf.stationary_points(jnp.sum, box)
    assert str(caught.value).startswith("stationary_points: `box`")
    assert "\n" not in str(caught.value)


# --- Density ---


def test_the_density_of_a_large_hessian_has_its_moments_and_shares():
    """By Marchenko and Pastur's law: 400 unknowns, 800 examples; and 1 in 8 of them of curvature −1 instead."""
    n, flat = 400, 50
    M = jnp.asarray(np.random.default_rng(0).normal(size=(800, n - flat)) / np.sqrt(800))
    found = gf.spectral_density(
        lambda p: jnp.sum((M @ p["w"]) ** 2) / 2 - jnp.sum(p["b"] ** 2) / 2,
        {"w": jnp.ones(n - flat), "b": jnp.ones(flat)},
    )
    eigenvalues = np.concatenate([np.linalg.eigvalsh(M.T @ M), np.full(flat, -1.0)])
    trace, error = found.trace
    assert abs(trace - eigenvalues.sum()) < 4 * error
    share, unsure = found.share(high=0.0)
    assert 0 < abs(share - flat / n) < 4 * unsure < 0.1
    # The edges of the bulk, (1 ± √(350/800))², and the mass between.
    assert found.nodes.max() == pytest.approx(eigenvalues.max(), rel=1e-6)
    assert found.share(0.05, 3.0)[0] == pytest.approx(7 / 8, abs=0.05)
    values = np.linspace(-2, 4, 2_001)
    assert np.trapezoid(found.at(values), values) == pytest.approx(1, abs=1e-6)


def test_a_density_on_a_space_that_is_complete_is_exact():
    """With two eigenvalues two nodes are all there is; the rest has no weight."""
    rates = jnp.where(jnp.arange(300) < 100, 2.0, 5.0)
    found = gf.spectral_density(lambda x: jnp.sum(rates * x**2) / 2, jnp.ones(300), steps=8)
    assert found.share(1.9, 2.1) == (pytest.approx(1 / 3, rel=1e-12), pytest.approx(0, abs=1e-12))
    assert found.trace[0] == pytest.approx(1_200, rel=1e-12)


def test_what_has_no_density_is_one_line():
    with pytest.raises(ValueError, match="spectral_density: the Hessian of `E` is not finite at `x`"):
        gf.spectral_density(lambda x: jnp.sqrt(jnp.sum(x**2)), jnp.zeros(300))
    with pytest.raises(ValueError, match="`vectors` must be"):
        gf.spectral_density(jnp.sum, jnp.ones(3), vectors=1)


def test_a_taylor_model_has_what_the_formula_says():
    """E = w⁴ − 5w² + w + 4 by hand, and in two unknowns: the remainder is of third order, the model's step Newton's."""
    E = gf.landscapes.tilted_quartic()
    model = gf.taylor_model(E, [0.5])
    assert model.gradient.tolist() == [pytest.approx(4 * 0.5**3 - 10 * 0.5 + 1)]
    assert model.hessian.tolist() == [[pytest.approx(12 * 0.5**2 - 10)]]
    assert model.kind == "hill"
    rosenbrock, x = gf.landscapes.rosenbrock(), jnp.array([-0.5, 0.8])
    model, s = gf.taylor_model(rosenbrock, x), jnp.array([0.3, -0.4])
    errors = [float(rosenbrock.value(x + h * s) - model.energy.value(x + h * s)) for h in (1e-2, 5e-3)]
    assert errors[0] / errors[1] == pytest.approx(8, rel=0.05)
    newton = gf.iterate(gf.NewtonFlow(rosenbrock), gf.ForwardEuler(), x, step=1.0, steps=1).x[1]
    np.testing.assert_allclose(x + model.newton_step, newton, atol=1e-9)
    np.testing.assert_allclose(model.energy.grad(x + model.newton_step), 0, atol=1e-9)
    rows = model.table()
    np.testing.assert_allclose(model.eigenvectors @ rows["Newton step"], model.newton_step, atol=1e-12)


def test_a_taylor_model_where_a_direction_is_flat_has_no_step():
    model = gf.taylor_model(lambda p: (p["a"] + p["b"]) ** 2, {"a": 1.0, "b": 2.0})
    assert model.kind == "flat"
    assert np.isnan(model.newton_step["a"])
    assert gf.taylor_model(gf.landscapes.saddle(), [1.0, 1.0]).kind == "saddle"
    with pytest.raises(ValueError, match="taylor_model: `x` must have at most 200 unknowns, got 300"):
        gf.taylor_model(lambda x: jnp.sum(x**2), np.zeros(300))
    with pytest.raises(ValueError, match="the Hessian of `E` is not finite"):
        gf.taylor_model(lambda x: jnp.sum(jnp.abs(x) ** 1.5), [0.0])
