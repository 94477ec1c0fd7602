"""The exponential Rosenbrock method: functions of a matrix on a Krylov space, its order, diffrax with it."""

import math

import diffrax as dfx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

import gradientflow as gf
from gradientflow.flows.linear.krylov import krylov_basis, phi_times

from .thorough import thorough

DRAW = np.random.default_rng(0)
STIFF = np.geomspace(1e-2, 1e2, 40)
TURNED, _ = np.linalg.qr(DRAW.normal(size=(40, 40)))


def solved(solver, field, end, start, h=None, args=None, **options):
    return dfx.diffeqsolve(dfx.ODETerm(field), solver, 0.0, end, h, start, args, **options)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("order", [1, 3])
def test_phi_times_a_vector_is_the_exponential_s(symmetric, order):
    """φₖ is in the corner of an exponential of a block matrix (Higham, Functions of Matrices, section 10.7.4)."""
    A = -TURNED @ np.diag(STIFF) @ TURNED.T + (0 if symmetric else np.triu(DRAW.normal(size=(40, 40)), 1))
    v, h = DRAW.normal(size=40), 0.3
    block = np.zeros((40 + order, 40 + order))
    block[:40, :40], block[:40, 40] = h * A, v
    block[np.arange(40, 40 + order - 1), np.arange(41, 40 + order)] = 1
    expected = scipy.linalg.expm(block)[:40, -1]
    found, missed = {}, {}
    for count in (14, 40):

        @jax.jit
        def asked(v, count=count):
            return phi_times(krylov_basis(lambda u: jnp.asarray(A) @ u, v, count, symmetric), h, order)

        found[count], missed[count] = asked(v)
    np.testing.assert_allclose(found[40], expected, atol=1e-13)
    # Of a small space the error is no more than what it says.
    error = np.abs(found[14] - expected).max()
    assert 1e-10 < error < np.abs(missed[14]).max()


@pytest.mark.parametrize("symmetric", [True, False])
def test_a_space_that_is_complete_stays_so(symmetric):
    found = jax.jit(lambda v: phi_times(krylov_basis(lambda u: -2 * u, v, 5, symmetric), 1.0, 1)[0])
    for v in (np.ones(5), np.zeros(5)):
        np.testing.assert_allclose(found(v), v * (1 - math.exp(-2)) / 2, rtol=1e-14)


def test_its_order_is_seen_with_a_field_that_changes_in_time():
    """Against a tight solve: the error falls by 2³ when the step is halved, with a Jacobian that is not symmetric."""

    def field(t, x, _):
        return -jnp.sinh(x) + jnp.array([1.0, -0.3, 0.2]) * jnp.sin(t) - 0.4 * jnp.roll(x, 1)

    start = jnp.array([1.0, -0.5, 0.3])

    @jax.jit
    def end(h):
        solver = gf.solvers.ExponentialRosenbrock()
        return solved(solver, field, 2.0, start, h, stepsize_controller=dfx.ConstantStepSize()).ys[-1]

    exact = solved(dfx.Dopri8(), field, 2.0, start, stepsize_controller=dfx.PIDController(1e-13, 1e-13)).ys[-1]
    errors = [float(jnp.max(jnp.abs(end(h) - exact))) for h in (0.1, 0.05)]
    assert 7 < errors[0] / errors[1] < 9


def test_of_an_affine_field_one_step_is_all():
    H, b = TURNED @ np.diag(STIFF) @ TURNED.T, DRAW.normal(size=40)
    start = DRAW.normal(size=40)
    found = solved(
        gf.solvers.ExponentialRosenbrock(symmetric=True, dimension=40), lambda t, x, _: b - jnp.asarray(H) @ x, 3.0,
        jnp.asarray(start), 3.0, stepsize_controller=dfx.PIDController(1e-9, 1e-9),
    )  # fmt: skip
    rest = np.linalg.solve(H, b)
    np.testing.assert_allclose(found.ys[-1], rest + scipy.linalg.expm(-3 * H) @ (start - rest), atol=1e-8)
    assert found.stats["num_steps"] == 1


@thorough
def test_diffrax_takes_it_with_any_pytree_dense_output_and_single_precision():
    times = jnp.linspace(0, 1, 5, dtype=jnp.float32)
    start = {"w": jnp.ones((2, 2), jnp.float32), "b": jnp.ones((), jnp.float32)}
    found = solved(
        gf.solvers.ExponentialRosenbrock(symmetric=True), lambda t, p, _: {"w": -100 * p["w"], "b": -p["b"] ** 2}, 1.0,
        start, saveat=dfx.SaveAt(ts=times), stepsize_controller=dfx.PIDController(1e-4, 1e-5),
    )  # fmt: skip
    assert found.ys["w"].dtype == jnp.float32
    np.testing.assert_allclose(found.ys["b"], 1 / (1 + times), rtol=1e-3)


def test_derivatives_go_backwards_through_a_step():
    """∂x(t)/∂λ = −t e^{−λt}, on a space that is complete before its time."""
    solver, rates, start = gf.solvers.ExponentialRosenbrock(symmetric=True), jnp.array([1.0, 40.0]), jnp.ones(2)
    term = dfx.ODETerm(lambda t, x, lam: -lam * rates * x)

    def end(lam):
        begun = solver.init(term, 0.0, 1.0, start, lam)
        return solver.step(term, 0.0, 1.0, start, lam, begun, False)[0][0]

    assert float(jax.jit(jax.grad(end))(2.0)) == pytest.approx(-math.exp(-2), rel=1e-12)


def test_a_large_stiff_nearly_quadratic_flow_takes_few_steps():
    """Stability alone would ask Euler's method for 5,000 steps; a space that is too small says so by its error."""
    rates = jnp.geomspace(1e-2, 1e2, 500)
    flow = gf.GradientFlow(lambda x: jnp.sum(rates * x**2) / 2 + 1e-3 * jnp.sum(x**4))
    path = gf.integrate(flow, jnp.ones(500), 100.0, rtol=1e-6, solver="exponential-rosenbrock")
    assert path.stats["solver"] == "ExponentialRosenbrock"
    assert path.stats["steps"] < 400
    # ẋ = −λx − cx³ in closed form (Bernoulli's equation), c = 4e-3.
    decay = np.exp(-2 * np.asarray(rates) * 100)
    expected = np.sqrt(decay / (1 + 4e-3 / np.asarray(rates) * (1 - decay)))
    np.testing.assert_allclose(path.x[-1], expected, atol=1e-5)


def test_a_space_without_room_is_refused():
    with pytest.raises(ValueError, match="ExponentialRosenbrock: `dimension` must be an integer ≥ 2, got 1"):
        gf.solvers.ExponentialRosenbrock(dimension=1)
