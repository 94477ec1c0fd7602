"""The stabilized Chebyshev solver: its steps are those of the scheme that is proved, and diffrax takes it."""

import math

import diffrax as dfx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import gradientflow as gf

from .thorough import thorough

SOLVER = gf.solvers.StabilizedChebyshev()


@jax.jit
def one_step(lam, h):
    """A step of ẋ = −λx, all λ at once, with the error that is told of it."""
    term, start, t0 = dfx.ODETerm(lambda t, x, _: -lam * x), jnp.ones_like(lam), jnp.zeros(())
    state = SOLVER.init(term, t0, h, start, None)
    after, error, *_ = SOLVER.step(term, t0, h, start, None, state, False)
    return after, error


@pytest.mark.parametrize(("reach", "stages"), [(7.0, 4), (40.0, 8), pytest.param(900.0, 39, marks=thorough)])
def test_a_step_is_that_of_the_scheme_whose_order_and_stability_are_proved(reach, stages):
    """With the stages that stability asks for: R(−hλ) of `SecondOrderChebyshev(stages)`, read exactly."""
    lam = np.linspace(0, 1, 6) * reach / 1.2
    after, _ = one_step(lam, 1.0)
    R = gf.stability_function(gf.SecondOrderChebyshev(stages))
    (z,) = R.free_symbols
    np.testing.assert_allclose(after, [float(R.subs(z, -sp.Rational(value))) for value in lam.tolist()], atol=1e-11)


def test_every_mode_shrinks_whatever_the_length_of_the_step():
    """Up to the longest that the most stages bear, beyond which nothing is claimed: an infinite error."""
    lam = np.geomspace(1e-3, 1, 40)
    for h in (1.0, 30.0, 1e3, 3e4):
        after, error = one_step(lam, h)
        assert (np.abs(after) <= 1).all()
        assert np.isfinite(error).all()
    assert np.isinf(one_step(lam, 1e5)[1]).all()


def field(t, x, _):
    return -jnp.sinh(x) + jnp.array([1.0, -0.3, 0.2]) * jnp.sin(t) - 0.4 * jnp.roll(x, 1) - 0.4 * jnp.roll(x, -1)


def test_its_order_is_seen_with_a_field_that_changes_in_time():
    """The error falls by 2² when the step is halved, as long as that takes the same stages."""
    start, most = jnp.array([1.0, -0.5, 0.3]), 0.05

    @jax.jit
    def end(h):
        return dfx.diffeqsolve(
            dfx.ODETerm(field), SOLVER, 0.0, 2.0, h, start, stepsize_controller=dfx.ConstantStepSize()
        ).ys[-1]

    exact = dfx.diffeqsolve(
        dfx.ODETerm(field), dfx.Dopri8(), 0.0, 2.0, None, start, stepsize_controller=dfx.PIDController(1e-13, 1e-13)
    ).ys[-1]
    errors = [float(jnp.max(jnp.abs(end(h) - exact))) for h in (most, most / 2)]
    assert 3.7 < errors[0] / errors[1] < 4.3


def test_diffrax_takes_it_with_any_pytree_dense_output_batches_and_single_precision():
    times = jnp.linspace(0, 1, 5, dtype=jnp.float32)

    def path(fast):
        term = dfx.ODETerm(lambda t, p, _: {"w": -fast * p["w"], "b": -p["b"]})
        start = {"w": jnp.ones((2, 2), jnp.float32), "b": jnp.ones((), jnp.float32)}
        return dfx.diffeqsolve(
            term, SOLVER, 0.0, 1.0, None, start, saveat=dfx.SaveAt(ts=times),
            stepsize_controller=dfx.PIDController(rtol=1e-4, atol=1e-4),
        ).ys  # fmt: skip

    found = jax.jit(jax.vmap(path))(jnp.array([1.0, 1e4], jnp.float32))
    assert found["w"].dtype == jnp.float32
    np.testing.assert_allclose(found["b"], np.exp(-np.stack([times, times])), atol=1e-3)
    np.testing.assert_allclose(found["w"][0, :, 0, 0], np.exp(-times), atol=1e-3)
    np.testing.assert_allclose(found["w"][1, 1:], 0, atol=1e-3)


def test_derivatives_go_through_it_both_ways():
    """∂x(t)/∂λ = −t e^{−λt}, with a number of stages that depends on values."""

    def end(lam, adjoint):
        rates = jnp.array([1.0, 40.0])
        return dfx.diffeqsolve(
            dfx.ODETerm(lambda t, x, lam: -lam * rates * x), SOLVER, 0.0, 1.0, 1e-2, jnp.ones(2), lam, adjoint=adjoint
        ).ys[-1, 0]  # fmt: skip

    reverse = jax.jit(jax.grad(lambda lam: end(lam, dfx.RecursiveCheckpointAdjoint())))(2.0)
    forward = jax.jit(jax.jacfwd(lambda lam: end(lam, dfx.ForwardMode())))(2.0)
    assert float(reverse) == pytest.approx(float(forward), rel=1e-12)
    assert float(forward) == pytest.approx(-math.exp(-2), rel=1e-3)


@pytest.mark.parametrize(
    ("rtol", "solver", "most"), [(1e-5, "StabilizedChebyshev", 400), pytest.param(1e-8, "Tsit5", 5000, marks=thorough)]
)
def test_a_large_stiff_gradient_flow_is_solved_by_it_where_it_pays(rtol, solver, most):
    """A Laplacian on 300 points against the closed form; at a tight tolerance order 2 costs more than small steps.

    By |d|² its program does not show that it is quadratic, or it would be solved in closed form.
    """
    n = 300
    H = np.diag(np.full(n, 2.0)) - np.diag(np.ones(n - 1), 1) - np.diag(np.ones(n - 1), -1)
    energy = gf.energy(lambda x: jnp.sum(jnp.abs(jnp.diff(jnp.pad(x, 1))) ** 2) / 2)
    flow, start, t = gf.GradientFlow(energy), np.ones(n), 3e3
    path = gf.integrate(flow, start, t, rtol=rtol)
    assert path.stats["solver"] == solver
    values, modes = np.linalg.eigh(H)
    exact = modes @ (np.exp(-t * values) * (modes.T @ start))
    np.testing.assert_allclose(path.x[-1], exact, rtol=rtol, atol=rtol)
    assert path.stats["steps"] < most
