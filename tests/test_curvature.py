"""Spectra of Hessians and stationary points, against matrices, SciPy and what textbooks say of landscapes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradientflow as gf
from gradientflow.analysis import Grade
from gradientflow.analysis.curvature import Spectrum


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
    return np.asarray(jax.hessian(lambda v: loss(unravel(v)))(flat))


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
