"""Any vector field is a flow, without an energy: what asks for the field takes it, what asks for an energy says so."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

import gradientflow as gf

A = np.array([[-0.5, 2.0], [-2.0, -0.5]])
SPIRAL, X0 = gf.field(lambda x: A @ x), [1.0, 0.0]
EULER = gf.ForwardEuler()


def test_its_path_is_the_matrix_exponential():
    np.testing.assert_allclose(gf.integrate(SPIRAL, X0, 2.0).x[-1], scipy.linalg.expm(2 * A) @ X0, atol=1e-7)
    path = gf.integrate(SPIRAL, X0, math.inf, gtol=1e-8)
    assert path.status == "converged"
    np.testing.assert_allclose(path.x[-1], 0, atol=1e-7)


def test_schemes_step_along_it():
    run = gf.iterate(SPIRAL, EULER, X0, step=0.1, steps=3)
    np.testing.assert_allclose(run.x[-1], np.linalg.matrix_power(np.eye(2) + 0.1 * A, 3) @ X0, rtol=1e-12)
    np.testing.assert_allclose(run.grad_norm[0], 2.0)
    implicit = gf.iterate(SPIRAL, gf.BackwardEuler(), X0, step=0.1, steps=1)
    np.testing.assert_allclose(implicit.x[-1], np.linalg.solve(np.eye(2) - 0.1 * A, X0), rtol=1e-9)
    assert gf.iterate(SPIRAL, EULER, X0, step=0.1, steps=2000).status == "converged"


def test_what_is_said_of_its_paths_is_its_length_and_no_energy():
    for path in (gf.iterate(SPIRAL, EULER, X0, step=0.1, steps=3), gf.integrate(SPIRAL, X0, 1.0)):
        for said in (repr(path), path.status.detail, path._repr_html_()):
            assert "energy" not in said
            assert "‖f‖∞" in said


def test_oracles_change_its_force():
    clipped = gf.iterate(SPIRAL, EULER, X0, step=0.1, steps=1, oracle=gf.ClipGradient(1.0))
    np.testing.assert_allclose(clipped.x[-1], X0 + 0.1 * (A @ X0) / np.linalg.norm(A @ X0), rtol=1e-12)


@pytest.mark.parametrize(("scheme", "limit"), [(EULER, 1 / 4.25), (gf.RungeKutta("rk4"), None)])
def test_stability_at_a_point_is_that_of_its_jacobian(scheme, limit):
    """Forward Euler on λ = −½ ± 2i: |1 + hλ| = 1 at h = 1/|λ|²; rk4's limit is where |R(hλ)| = 1."""
    found = gf.stability(SPIRAL, scheme, at=[0.0, 0.0])
    if limit is None:
        z = found.limit * (-0.5 + 2j)
        assert abs(1 + z + z**2 / 2 + z**3 / 6 + z**4 / 24) == pytest.approx(1, abs=1e-6)
    else:
        assert found.limit == pytest.approx(limit, rel=1e-6)
    assert (str(found.grade), found.lr_limit) == ("measured", None)
    np.testing.assert_allclose(found.curvatures.values, 0.5, rtol=1e-12)


def test_a_game_has_no_stable_forward_step():
    game = gf.field(lambda x: {"min": -x["max"], "max": x["min"]})
    start = {"min": 1.0, "max": 0.0}
    run = gf.iterate(game, EULER, start, step=0.5, steps=2)
    np.testing.assert_allclose(run.x["min"] ** 2 + run.x["max"] ** 2, 1.25 ** np.arange(3))
    assert gf.stability(game, EULER, at={"min": 0.0, "max": 0.0}).limit == pytest.approx(0, abs=1e-3)


REFUSED = {
    "a worst case": (lambda: gf.worst_case_rate(gf.Method(SPIRAL, EULER, 0.1), 1, 10), "field without an energy"),
    "a line search": (
        lambda: gf.iterate(SPIRAL, EULER, X0, step=gf.Armijo(), steps=1),
        "ArmijoSearch: FieldFlow is a field",
    ),
    "Polyak's step": (lambda: gf.iterate(SPIRAL, EULER, X0, step=gf.PolyakStep(0.0), steps=1), "give a step size"),
    "two values": (
        lambda: gf.iterate(SPIRAL, EULER, X0, step=0.1, steps=1, oracle=gf.SPSA(0.1), key=jax.random.key(0)),
        "SPSAGradient: FieldFlow is a field without an energy",
    ),
    "a Hessian": (lambda: SPIRAL.energy.hvp(jnp.ones(2), jnp.ones(2)), "field without an energy has no Hessian"),
    "no function": (lambda: gf.field(3), "field: `fn` must be a function of the position, got 3"),
    "another shape": (lambda: gf.integrate(gf.field(lambda x: x[:1]), X0, 1.0), "shaped like the position"),
    "no rest": (lambda: gf.stability(SPIRAL, EULER, at=X0), "`at` is not at rest: ‖f‖∞ = 2"),
    "a source": (lambda: gf.stability(gf.field(lambda x: x), EULER, at=0.0), "the flow itself leaves `at`"),
}


@pytest.mark.parametrize("ask", REFUSED)
def test_what_needs_an_energy_says_so(ask):
    call, said = REFUSED[ask]
    with pytest.raises((TypeError, ValueError), match=said):
        call()


def test_orders_are_the_schemes():
    assert gf.order(gf.Method(SPIRAL, gf.ImplicitMidpoint(), 0.1), up_to=3).order == 2


def test_a_long_way_without_an_energy_is_no_standstill():
    """A spiral that takes a thousand steps to come to rest: an energy that is 0 all the way says nothing of it."""
    slow = gf.field(lambda x: jnp.array([-0.01 * x[0] - x[1], x[0] - 0.01 * x[1]]))
    path = gf.integrate(slow, [1.0, 0.0], math.inf, gtol=1e-4)
    assert path.status == "converged"
    assert path.stats["steps"] > 512
