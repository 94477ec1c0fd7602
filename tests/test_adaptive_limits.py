"""The limit of adaptive methods: with what they adapt held as it is, at a point or along a run."""

import jax.numpy as jnp
import numpy as np
import pytest

import gradientflow as gf
from gradientflow.analysis import Grade
from gradientflow.analysis.linear_stability.survey import StabilitySurvey

from .thorough import THOROUGH, part

Q = gf.Quadratic(np.diag([1.0, 10.0]))
WELL = gf.energy(lambda x: jnp.sum(jnp.log(jnp.cosh(x * jnp.array([1.0, 3.0])))), minimizer=jnp.zeros(2))

# At a minimizer, where squared gradients are 0: lr·λ_max/P, P what ε or the start leave of it.
AT_REST = {
    "adam": (lambda: gf.optimizers.adam(Q, 0.1), 38 * 1e-8 / 10),
    "adam, an ε of consequence": (lambda: gf.optimizers.adam(gf.Quadratic([[10.0]]), 0.1, eps=0.5), 1.9),
    "adam, other averages": (lambda: gf.optimizers.adam(Q, 0.1, b1=0.5, eps=1e-3), 6e-3 / 10),
    "adam, a schedule": (lambda: gf.optimizers.adam(Q, lambda k: 0.1 / (1 + k)), 38 * 1e-8 / 10),
    "adamw": (lambda: gf.optimizers.adamw(Q, 0.1, eps=1.0, weight_decay=0.5), 2 * 1.9 / (0.1 * 10 + 1.9 * 0.5)),
    "rmsprop": (lambda: gf.optimizers.rmsprop(Q, 0.1, eps=1e-6), 2e-3 / 10),
    "adagrad": (lambda: gf.optimizers.adagrad(Q, 0.1, eps=0.15), 2 * 0.5 / 10),
    "adadelta": (lambda: gf.optimizers.adadelta(Q), 2 / 10),
}


@pytest.mark.parametrize("name", part(AT_REST))
def test_the_limit_at_a_minimizer_is_that_of_what_is_left_of_the_preconditioner(name):
    make, limit = AT_REST[name]
    found = gf.stability(make())
    assert found.lr_limit == pytest.approx(limit, rel=1e-12)
    assert found.lr_step_limit.low <= limit * (1 + 1e-15)
    assert limit <= found.lr_step_limit.high * (1 + 1e-15)
    assert found.lr_step_limit.grade is Grade.CERTIFIED
    assert found.is_local
    assert "at the minimizer, where squared gradients are 0" in repr(found)


def test_the_formula_of_adams_limit_is_read_from_its_step():
    import sympy

    found = gf.stability(gf.optimizers.adam(Q, lr=0.1))
    b1, lam = sympy.symbols("b1 lambda")
    assert sympy.simplify(found.lr_step_limit.formula - 2 * (1 + b1) / ((1 - b1) * lam)) == 0
    assert "your lr = 0.1 is 2.63e+06 times the limit 3.8e-08; it would be stable where P is 2.63e+06" in repr(found)
    # A survey speaks of P where nothing else is there.
    assert StabilitySurvey({"adam": found}).scope.startswith("P is held as it is")
    plain = gf.stability(gf.optimizers.gradient_descent(Q, lr=0.1))
    both = StabilitySurvey({"adam": found, "descent": plain})
    assert both.plain is plain
    assert both.scope == "the energy is quadratic: limits hold from every start"


def test_at_a_point_squared_gradients_are_as_there():
    """At (1, 1) P is |∇E| = (1, 10), and P⁻¹H is 1."""
    found = gf.stability(gf.optimizers.adam(Q, lr=0.1, eps=0.0), at=[1.0, 1.0])
    assert found.lr_limit == pytest.approx(38, rel=1e-9)
    assert "your lr = 0.1 is 0.00263 of the limit 38" in repr(found)
    tilted = np.array([[2.0, 1.0], [1.0, 3.0]])
    slope = tilted @ [0.5, -2.0]
    found = gf.stability(gf.optimizers.rmsprop(gf.Quadratic(tilted), 0.1, eps=0.0), at=[0.5, -2.0])
    sharpness = np.linalg.eigvals(np.diag(1 / np.abs(slope)) @ tilted).real.max()
    assert found.lr_limit == pytest.approx(2 / sharpness, rel=1e-12)
    well = gf.stability(gf.optimizers.adam(WELL, 0.1), at=[0.5, -0.4])
    curvature = np.array([1.0, 9.0]) / np.cosh([0.5, 1.2]) ** 2 / np.abs([np.tanh(0.5), 3 * np.tanh(1.2)])
    assert well.lr_limit == pytest.approx(38 / curvature.max(), rel=1e-6)
    assert well.lr_step_limit.grade is Grade.MEASURED


def test_along_a_run_averages_are_as_the_run_has_them():
    method = gf.optimizers.adam(Q, lr=0.1, b2=0.9)
    run = method.iterate([3.0, 1.0], steps=40, save_every=10)
    for row, step in ((-1, None), (2, 20)):
        s, k = np.asarray(run.state.s[row]), int(run.steps[row])
        p = np.sqrt(s / (1 - 0.9**k)) + 1e-8
        found = gf.stability(method, at=run, step=step)
        assert found.lr_limit == pytest.approx(38 / max(np.array([1.0, 10.0]) / p), rel=1e-9)
        assert f"as the run has it at step {k}: P = " in repr(found)
    with pytest.raises(ValueError, match=r"step=15 was not saved by the run, which has 0 to 40, every 10"):
        gf.stability(method, at=run, step=15)
    with pytest.raises(ValueError, match=r"`step` names a step of a run, and `at` is none"):
        gf.stability(method, step=15)


def test_where_nothing_is_left_of_the_preconditioner_it_is_said():
    with pytest.raises(ValueError, match=r"the preconditioner is 0 where the gradient is.* ε > 0, or ask at=run"):
        gf.stability(gf.optimizers.adam(Q, 0.1, eps=0.0))
    hill = gf.energy(lambda x: -jnp.sum(x**2))
    found = gf.stability(gf.optimizers.adam(hill, 0.1), at=[1.0])
    assert found.grade is Grade.UNKNOWN
    assert np.isnan(found.lr_limit)


@pytest.mark.parametrize("factor", [0.98, 1.02])
def test_near_the_limit_adam_does_as_is_said(factor):
    """With an ε far above the gradients P is ε: a start near the minimum falls below the limit and rises above it.

    The clock is late: while bias corrections last, steps are longer."""
    limit = gf.stability(gf.optimizers.adam(Q, 0.1, eps=0.5)).lr_limit
    start = gf.Moments(jnp.full(2, 1e-9), jnp.zeros(2), jnp.zeros(2))
    adam = gf.optimizers.adam(Q, factor * limit, eps=0.5)
    run = adam.iterate(None, steps=40, save_every=20, state=start, t0=1e6)
    far = np.abs(np.asarray(run.x[:, 1]))
    assert (far[-1] < far[0]) == (factor < 1)


def test_every_method_with_a_learning_rate_has_its_limit():
    """Read or, where the scheme can't be, measured: Nesterov's vanishing friction, a sign, a mirror map."""
    assert gf.stability(gf.optimizers.sign_descent(Q, lr=0.1)).lr_limit == 0
    if THOROUGH:
        found = gf.stability(gf.optimizers.accelerated_gradient(Q, lr=0.1))
        assert found.lr_limit == pytest.approx(4 / 3 / 10, rel=1e-6)
        assert found.lr_limit <= 4 / 3 / 10 <= found.lr_step_limit.high
    inside = gf.energy(lambda x: 2 * (x[0] - 0.5) ** 2 + (x[1] - 2) ** 2, minimizer=jnp.array([0.5, 2.0]))
    mirror = gf.stability(gf.optimizers.mirror_descent(inside, 0.1, gf.potentials.PositiveEntropy()))
    assert mirror.lr_limit == pytest.approx(2 / max(4 * 0.5, 2 * 2.0), rel=1e-6)
    momentum = gf.stability(gf.optimizers.momentum(Q, lr=0.1, beta=0.9))
    assert "your lr = 0.1 is 0.263 of the limit 0.38" in repr(momentum)
