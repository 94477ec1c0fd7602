"""Ends of ranges, other spellings, and what can't be asked: said in the user's words."""

from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pytest

import gradientflow as gf
from gradientflow.analysis.verification.runs import path_claim

from .thorough import part, thorough


def test_a_stability_map_begins_with_gradient_descent():
    """At β = 0 momentum is gradient descent, |1 − ηλ|; over either axis."""
    lr, beta = [0.5, 1.5, 3.0], [0.0, 0.5]
    for optimizer in (gf.optimizers.momentum, gf.optimizers.nesterov):
        found = gf.stability_map(optimizer, (1.0,), lr=lr, beta=beta)
        np.testing.assert_allclose(found.radius[0], [0.5, 0.5, 2.0], rtol=1e-12)
        np.testing.assert_allclose(gf.stability_map(optimizer, (1.0,), beta=beta, lr=lr).radius, found.radius.T)
    assert np.isfinite(found.radius).all()


HALF = Fraction(1, 2)


@pytest.mark.parametrize(
    "a",
    [((), (HALF,)), [[0, 0], ["1/2", 0]], [[], ["1/2"]], [[0.0, 0.0], [0.5, 0.0]], [["0", "0"], [" 1/2 ", "0"]]],
)
def test_a_tableau_in_many_spellings(a):
    tableau = gf.Tableau("midpoint", a, ["0", 1], order=2)
    assert (tableau.a, tableau.b) == (((), (HALF,)), (0, 1))
    scheme = gf.RungeKutta(tableau)
    assert gf.stability_function(scheme) == gf.stability_function(gf.RungeKutta("midpoint"))


BAD_TABLEAUS = {
    "implicit": ([["1/2"]], [1], ValueError, "is implicit, with 1/2 on or above the diagonal in row 1; .*FromDiffrax"),
    "implicit above": ([[0, 1], [0, 0]], [0, 1], ValueError, "is implicit, with 1 on or above the diagonal in row 1"),
    "rounded": ([[], [1 / 3]], [0, 1], ValueError, "0.3333333333333333, is rounded; write it as a fraction, '1/3'"),
    "no number": ([[], ["half"]], [0, 1], ValueError, "must be numbers such as 1, '1/6' or 0.5, got 'half'"),
    "infinite": ([[], [float("inf")]], [0, 1], ValueError, "must be numbers such as 1, '1/6' or 0.5, got inf"),
    "none": ([[], [None]], [0, 1], TypeError, "must be numbers such as 1, '1/6' or 0.5, got None"),
    "rows": ([[], [1], [1]], [0, 0, 1], ValueError, r"of 0, 1, …, 2 entries or of 3 each, got rows of \[0, 1, 1\]"),
    "too few": ([[]], [0, 1], ValueError, "must have 2 rows to fit `b`"),
}


@pytest.mark.parametrize("name", BAD_TABLEAUS)
def test_tableaus_that_are_none(name):
    a, b, error, message = BAD_TABLEAUS[name]
    with pytest.raises(error, match=message):
        gf.Tableau("mine", a, b, order=1)


def test_a_convergence_map_of_adam_says_what_it_is_for():
    with pytest.raises(gf.NotExactError, match=r"^convergence_map: .*divides by what its gradients have been"):
        gf.convergence_map(gf.optimizers.adam, 1, 10, lr=[0.01, 0.1], b1=[0.5, 0.9])


CLAIMS = {
    "a comparison": (lambda run: run.E[0] >= run.E[1], gf.NotExactError),
    "a root": (lambda run: (run.g[0] * run.g[0]) ** 0.5 - run.E[0], ValueError),
    "NumPy's root": (lambda run: np.sqrt(run.g[0] * run.g[0]), ValueError),
    "a quotient": (lambda run: run.E[0] / run.E[1], ValueError),
    "a modulus": (lambda run: abs(run.E[0]), gf.NotExactError),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_claims_are_polynomials_and_say_so(name):
    claim, error = CLAIMS[name]
    descent = gf.optimizers.gradient_descent(gf.landscapes.bowl(), lr=1)
    with pytest.raises(error, match=r"^settle: `claim` returns what is claimed not to be negative, .*a >= b is a - b"):
        gf.settle(claim, descent, mu=-1, L=1)


@thorough
def test_a_path_is_held_against_the_closed_form_that_its_flow_knows():
    Q = gf.Quadratic(np.diag([1.0, 10.0]), [1.0, 0.0])
    for flow in (gf.Nesterov(Q), gf.HessianDamped(Q), gf.NewtonFlow(Q)):
        path = gf.integrate(flow, [1.0, -1.0], 3.0)
        claim = path_claim(flow, path)
        assert (str(claim.grade), claim.name) == ("measured", "the path's numbers")
    # The last one's path, and another flow's.
    assert str(gf.verify(flow, path).claims[-1].grade) == "measured"
    slower = gf.integrate(gf.Nesterov(Q, r=4.0), [1.0, -1.0], 3.0)
    assert str(path_claim(gf.Nesterov(Q), slower).grade) == "refuted"
    with pytest.raises(gf.UnansweredQuestionError):
        path_claim(gf.RescaledFlow(Q), path)


def cascade(energy, x0, h, **options):
    return gf.bifurcation(gf.GradientFlow(gf.energy(energy)), gf.ForwardEuler(), x0, h, **options)


def test_what_grows_without_end_is_not_chaos():
    """x' = (1 − h)x: it rests below 2, and runs away beyond, however slowly."""
    found = cascade(lambda x: jnp.sum(x**2) / 2, [1.0], [0.5, 1.9, 2.001, 2.1, 3.0])
    assert found.period.tolist() == [1, 1, -1, -1, -1]
    assert np.isnan(found.exponent[2:]).all()


def test_what_falls_for_ever_ever_more_slowly_does_not_rest():
    """Steps down e^(−x) go as 1/k and add up to log k; to the flattest minimum they go as k^(−7/6), and arrive."""
    down, flat = (cascade(energy, 0.5, [0.1, 0.5]) for energy in (lambda x: jnp.exp(-x), lambda x: x**8 / 8))
    assert down.period.tolist() == [-1, -1]
    assert np.isnan(down.exponent).all()
    assert flat.period.tolist() == [1, 1]
    assert flat.headline == "Bifurcation: rest from h = 0.1 to 0.5"


def test_a_multiplier_that_decays_is_no_period():
    """The logistic map, x' = x + hx(1 − x): below h = 2 its rest at 1 is approached in turns; then it doubles."""
    found = cascade(lambda x: jnp.sum(x**3 / 3 - x**2 / 2), [0.3], [1.0, 1.99, 1.999, 2.05, 2.3, 2.5, 2.55, 2.8])
    assert found.period.tolist() == [1, 1, 1, 2, 2, 4, 8, 0]
    assert found.exponent[-1] > 0.1


def test_a_cycle_is_told_from_a_rest_on_either_side_of_where_it_begins():
    """There both are approached as 1/√k, and a small error decays thrice as fast as what is left."""
    found = cascade(lambda x: jnp.sum(x**3 / 3 - x**2 / 2), [0.3], [1.9999, 1.99999, 2.0001, 2.001])
    assert found.period.tolist() == [1, 1, 2, 2]


def test_other_steps_and_another_time_to_settle_trace_nothing_anew():
    traced = []

    def energy(x):
        traced.append(None)
        return x**4 / 4 - x**2 / 2

    flow = gf.GradientFlow(gf.energy(energy))
    settled = gf.bifurcation(flow, gf.ForwardEuler(), 0.7, [0.5, 1.1], settle=400)
    known = len(traced)
    # A start and an end of 64 steps side by side, and those beyond 2 all lost on the way.
    found = gf.bifurcation(flow, gf.ForwardEuler(), 0.7, np.linspace(0.5, 4, 130), settle=500)
    assert found.period[[0, -1]].tolist() == [1, -1]
    assert (found.period[found.h > 2.1] == -1).all()
    assert settled.period.tolist() == [1, 2]
    # The start's energy is asked once, for a number.
    assert len(traced) <= known + 2


def test_the_whole_state_is_judged():
    """Beyond 2/3 the second coordinate, of bounded slope, steps to and fro, unseen by x[0]."""
    found = cascade(lambda x: x[0] ** 2 / 2 + 3 * jnp.log(jnp.cosh(x[1])), [0.5, 0.3], [0.5, 0.7])
    assert found.period.tolist() == [1, 2]
    np.testing.assert_allclose(found.values, 0, atol=1e-12)


@pytest.mark.parametrize("lam", part([100.0, 1.0]))
def test_the_accelerated_flow_has_nesterovs_limits(lam):
    """With p = 2 it is Nesterov's flow in other variables; its field vanishes at t = 0, where no time scale is."""
    flow = gf.AcceleratedFlow(gf.Quadratic([[lam]]))
    assert gf.stability(flow, gf.ForwardEuler()).limit == 0
    assert gf.stability(flow, gf.RungeKutta("rk4")).limit == pytest.approx(np.sqrt(8 / lam), rel=1e-6)
