"""Hessians and metrics that are singular or indefinite: least squares where there is an answer, else none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradientflow as gf
from gradientflow.flows.energies.hessian import solve_symmetric

from .thorough import THOROUGH

RNG = np.random.default_rng(0)


def test_newtons_method_takes_the_least_step_where_there_are_many():
    """From (3, 1) to the nearest point with x₀ + x₁ = 1; x⁴ falls by thirds; equal columns share."""
    valley = gf.energy(lambda x: (x[0] + x[1] - 1) ** 2)
    run = gf.optimizers.newton(valley).iterate([3.0, 1.0], 3)
    np.testing.assert_allclose(run.x[1:], [[1.5, -0.5]] * 3, atol=1e-14)
    path = gf.integrate(gf.NewtonFlow(valley), [3.0, 1.0], 1.0)
    np.testing.assert_allclose(path.x[-1], [1.5 + 1.5 / np.e, -0.5 + 1.5 / np.e], rtol=1e-7)
    if not THOROUGH:
        return
    quartic = gf.optimizers.newton(gf.energy(lambda x: jnp.sum(x**4))).iterate([1.0, 0.0], 3)
    np.testing.assert_allclose(quartic.x, np.outer((2 / 3) ** np.arange(4), [1, 0]), atol=1e-14)
    X, y = RNG.normal(size=(8, 2)), RNG.normal(size=8)
    E = gf.LinearRegression(X[:, [0, 1, 1]], y)
    found = gf.optimizers.newton(E).iterate(jnp.zeros(4), 2).x[-1]
    np.testing.assert_allclose(found, E.minimizer, atol=1e-12)


def test_no_solution_is_not_a_number():
    matrix, inside, outside = jnp.diag(jnp.asarray([2.0, 0.0])), jnp.asarray([4.0, 0.0]), jnp.asarray([4.0, 1.0])
    np.testing.assert_array_equal(solve_symmetric(matrix, inside), [2, 0])
    assert jnp.isnan(solve_symmetric(matrix, outside)).all()
    indefinite = jnp.asarray([[1.0, 2.0], [2.0, 1.0]])
    np.testing.assert_allclose(solve_symmetric(indefinite, indefinite @ inside), inside, atol=1e-14)
    assert jnp.isnan(solve_symmetric(indefinite, inside, semidefinite=True)).all()


@pytest.mark.parametrize("semidefinite", [False, True])
def test_regular_systems_and_their_derivatives(semidefinite):
    """Also with eigenvalues that coincide, where those of an eigendecomposition are infinite."""
    A = RNG.normal(size=(5, 5))
    for matrix in (jnp.asarray(A @ A.T + np.eye(5)), jnp.eye(5)):
        v, change = jnp.asarray(RNG.normal(size=5)), jnp.asarray(A + A.T)

        def solved(s, matrix=matrix, v=v, change=change):
            return solve_symmetric(matrix + s * change, v, semidefinite)

        x, derivative = jax.jvp(solved, (0.0,), (1.0,))
        np.testing.assert_allclose(x, np.linalg.solve(matrix, v), rtol=1e-12)
        np.testing.assert_allclose(derivative, -np.linalg.solve(matrix, change @ x), rtol=1e-11)


def test_a_metric_is_positive_definite():
    E = gf.landscapes.bowl()

    def descend(metric):
        return gf.optimizers.natural_gradient(E, 0.5, metric).iterate([4.0, 1.0], 4)

    with pytest.raises(ValueError, match=r"^RiemannianFlow: `metric` must be positive definite, .* -1$"):
        descend(lambda x: jnp.diag(jnp.asarray([1.0, -1.0])))
    with pytest.raises(ValueError, match="`metric` is singular at the start, and ∇E is not in its range; damp it"):
        descend(lambda x: jnp.diag(jnp.asarray([1.0, 0.0])))
    with pytest.raises(ValueError, match=r"^RiemannianFlow: `metric` must be symmetric"):
        descend(lambda x: jnp.asarray([[1.0, 0.5], [0.0, 1.0]]))
    # One that turns indefinite on the way ends the run there; it does not climb.
    run = descend(lambda x: jnp.diag(jnp.stack([jnp.ones(()), jnp.where(x[0] > 1.5, 10.0, -10.0)])))
    assert np.isnan(np.asarray(run.x[-1])).all()
    assert np.nanmax(run.energy) == run.energy[0]


def test_a_metric_may_be_singular_where_the_gradient_does_not_go():
    """Softmax ignores a constant added to its logits, and so does an energy of the probabilities."""
    E = gf.energy(lambda x: -jnp.log(jax.nn.softmax(x)[0]))
    method = gf.optimizers.natural_gradient(E, 0.1, gf.FisherMetric(jax.nn.softmax))
    run = method.iterate([0.5, -0.5, 0.0], 20)
    assert np.isfinite(np.asarray(run.x)).all()
    np.testing.assert_allclose(np.sum(run.x, axis=1), 0, atol=1e-12)
    assert (np.diff(run.energy) < 0).all()


def test_a_run_that_a_singular_hessian_ends_says_so():
    """x₀² + x₁ has no Newton step; a run that overflows is another thing."""
    E = gf.energy(lambda x: x[0] ** 2 + x[1])
    said = "the flow's own field was not: it needs more than them, as a Hessian or a metric"
    run = gf.optimizers.newton(E).iterate([1.0, 2.0], 5)
    assert (run.status, run.status.first_not_finite) == ("diverged", 1)
    assert f"E and ∇E were finite at step 0 and {said}" in run.status.detail
    assert said in gf.integrate(gf.NewtonFlow(E), [1.0, 2.0], 1.0).status.detail
    overflown = gf.optimizers.gradient_descent(gf.energy(lambda x: jnp.sum(x**4)), 1.0).iterate([3.0], 50)
    assert overflown.status == "diverged"
    assert "field" not in overflown.status.detail
