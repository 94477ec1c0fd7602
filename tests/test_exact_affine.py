"""Large quadratics in closed form: read off the energy's program, and exact however long the step."""

import math

import diffrax as dfx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.linalg

import gradientflow as gf
from gradientflow.flows.energies.constant_hessian import has_constant_hessian

N = 240
DRAW = np.random.default_rng(0)
MATRIX = DRAW.normal(size=(3, 3))


@pytest.mark.parametrize(
    "value",
    [
        lambda x: x @ MATRIX @ x / 2,
        lambda x: jnp.sum(MATRIX[0] * x**2) - x[0],
        lambda x: jnp.mean((MATRIX @ x - 1) ** 2) + 0.1 * jnp.vdot(x, x),
        lambda x: jnp.sum(jnp.diff(x) ** 2),
        lambda x: jax.jit(lambda y: y @ MATRIX @ y)(x),
        lambda x: jnp.mean(jax.vmap(lambda row: (row @ x) ** 2)(MATRIX)),
    ],
)
def test_a_quadratic_is_known_by_its_program(value):
    assert has_constant_hessian(gf.energy(value), jnp.ones(3))


@pytest.mark.parametrize(
    "value",
    [
        lambda x: jnp.sum(x**3),
        lambda x: jnp.sum(jnp.cos(x)),
        lambda x: jnp.sum(jnp.where(x > 0, x * x, 2 * x * x)),
        lambda x: jnp.sum(jnp.abs(x) * x),
        lambda x: jnp.sum(jnp.clip(x, -1, 1) ** 2),
        lambda x: jax.jit(lambda y: jnp.exp(y @ y))(x),
        # It is one, but its program looks at x.
        lambda x: jnp.sum(x * x * x / x),
    ],
)
def test_what_looks_at_the_position_may_be_none(value):
    assert not has_constant_hessian(gf.energy(value), jnp.ones(3))


def dense(condition, shift):
    """A plain callable that is a dense quadratic, its Hessian, and its linear part."""
    vectors, _ = np.linalg.qr(DRAW.normal(size=(N, N)))
    H = (vectors * np.geomspace(1.0, condition, N)) @ vectors.T
    H, b = (H + H.T) / 2, shift * DRAW.normal(size=N)
    return gf.energy(lambda x: x @ (H @ x) / 2 - b @ x), H, b


def test_a_stiff_large_quadratic_is_solved_in_closed_form():
    """By SciPy's matrix exponential: x(t) = x* + e^(−tH)(x₀ − x*)."""
    E, H, b = dense(1e4, 1.0)
    path = gf.integrate(gf.GradientFlow(E), np.ones(N), 0.7, ts=[1e-4, 0.03, 0.7])
    assert path.stats["solver"] == "ExactAffine"
    end = np.linalg.solve(H, b)
    for t, x in zip([1e-4, 0.03, 0.7], path.x, strict=True):
        np.testing.assert_allclose(x, end + scipy.linalg.expm(-t * H) @ (1 - end), atol=1e-11)


def test_it_comes_to_rest_at_the_minimizer():
    E, H, b = dense(1e4, 1.0)
    path = gf.integrate(gf.GradientFlow(E), np.ones(N), math.inf)
    assert path.status == "converged"
    assert path.stats["solver"] == "ExactAffine"
    np.testing.assert_allclose(path.x[-1], np.linalg.solve(H, b), atol=1e-6)


def test_where_gradients_are_cheap_small_steps_are():
    """Eigenvalues of 240 columns cost more than thousands of gradients of a sum of squares."""
    curvatures = np.geomspace(1.0, 100.0, N)
    path = gf.integrate(gf.GradientFlow(gf.energy(lambda x: jnp.sum(curvatures * x * x) / 2)), np.ones(N), 30.0)
    assert path.stats["solver"] == "Tsit5"


def test_of_a_field_that_is_not_affine_errors_are_held_to_the_tolerance():
    """Distances shrink, so that the error at the end is no more than those of the steps together."""

    def field(t, y, args):
        return {"a": -100.0 * y["a"] + y["b"] - y["a"] ** 2, "b": y["a"] - y["b"] - 0.1 * y["b"] ** 3}

    start = {"a": jnp.asarray(1.0), "b": jnp.asarray(1.0)}
    solver = gf.solvers.ExactAffine.at(lambda y: field(0.0, y, None), jax.tree.map(jnp.zeros_like, start))
    np.testing.assert_allclose(solver.eigenvalues, np.linalg.eigvalsh([[-100.0, 1.0], [1.0, -1.0]]), rtol=1e-12)

    @jax.jit
    def solved(tolerance):
        controller = dfx.PIDController(rtol=tolerance, atol=tolerance)
        return dfx.diffeqsolve(
            dfx.ODETerm(field), solver, 0.0, 3.0, None, start, stepsize_controller=controller, max_steps=20_000
        )

    def by_scipy(t, y):
        return list(field(t, dict(zip("ab", y, strict=True)), None).values())

    reference = scipy.integrate.solve_ivp(by_scipy, (0, 3), [1, 1], "Radau", rtol=1e-11, atol=1e-12).y[:, -1]
    for tolerance in (1e-3, 1e-6):
        found = solved(tolerance)
        error = max(abs(float(found.ys[key][0]) - end) for key, end in zip("ab", reference, strict=True))
        assert error <= found.stats["num_accepted_steps"] * tolerance


def test_of_an_affine_field_one_step_is_all():
    """Ten time units at once, where explicit stability would ask for 300 steps; derivatives go through it."""
    solver = gf.solvers.ExactAffine.at(lambda y: -jnp.array([1.0, 90.0]) * y, jnp.ones(2))

    def end(rate):
        term = dfx.ODETerm(lambda t, y, args: -jnp.array([1.0, 90.0]) * y + rate)
        return dfx.diffeqsolve(term, solver, 0.0, 10.0, 10.0, jnp.ones(2)).ys[0]

    decay = math.exp(-10.0)
    np.testing.assert_allclose(end(2.0), [2 - decay, 2 / 90], rtol=1e-13)
    # ∂x(t)/∂c = (1 − e^(−λt))/λ.
    np.testing.assert_allclose(jax.jacrev(end)(2.0), [1 - decay, 1 / 90], rtol=1e-12)


def test_a_derivative_that_is_stopped_makes_no_wrong_answer():
    """ẋ = −λx − x³, whose cubic part no Hessian shows: the error estimate sees it. Exactly, by Bernoulli's equation."""
    lam = jnp.array([0.5, 4.0, 50.0])
    E = gf.energy(lambda x: jnp.sum(lam * x**2) / 2 + jnp.sum(jax.lax.stop_gradient(x**3) * x))
    x0 = jnp.array([1.0, -2.0, 1.5])
    assert has_constant_hessian(E, x0)
    flow = gf.GradientFlow(E)
    solver = gf.solvers.ExactAffine.at(lambda x: flow.drift(0.0, x), x0)
    path = gf.integrate(flow, x0, 1.5, solver=solver)
    decay = jnp.exp(-2 * lam * path.t[:, None])
    exact = x0 * jnp.sqrt(decay / (1 + x0**2 * (1 - decay) / lam))
    # Contraction adds no more than a tolerance a step.
    assert float(jnp.abs(path.x - exact).max()) <= path.stats["steps"] * 2 * path.stats["rtol"]
