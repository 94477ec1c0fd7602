"""Integrating a flow: right before it is fast. The pitfalls that integrators of energies fall into, one by one."""

import math

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx
import pytest

import gradientflow as gf
from gradientflow.flows.solvers import NewtonKvaerno5

from .thorough import part, thorough

EXAMPLE = gf.GradientFlow(gf.LeastSquares([[4, 1], [1, 3]], [1, 2]))
X0 = jnp.array([4.0, -1.0])
at_time = jax.jit(lambda t: EXAMPLE.solution(0.0, X0, t))


def solution(ts):
    """The closed form at some times."""
    return np.stack([at_time(float(t)) for t in ts])


def test_the_running_example_against_its_closed_form():
    path = gf.integrate(EXAMPLE, X0, 2.0)
    exact = solution(path.t)
    assert np.max(np.abs(path.x - exact)) < 1e-8


def test_saving_at_times_lands_on_them():
    ts = np.linspace(0.0, 1.0, 7)
    path = gf.integrate(EXAMPLE, X0, 1.0, ts=ts)
    np.testing.assert_allclose(path.t, ts, rtol=1e-15)
    exact = solution(ts)
    assert np.max(np.abs(path.x - exact)) < 1e-8


def test_dense_evaluation_is_as_accurate_as_the_solve():
    path = gf.integrate(EXAMPLE, X0, 2.0)
    ts = jnp.array([0.0, 1.234, 0.0503, 2.0])
    exact = solution(ts)
    assert np.max(np.abs(path(ts) - exact)) < 1e-8
    np.testing.assert_allclose(path(1.234), exact[1], atol=1e-8)
    with pytest.raises(ValueError, match="must lie in"):
        path(2.5)


def test_a_run_is_continued_from_its_state():
    flow = gf.HeavyBall(EXAMPLE.energy, mass=0.3)
    whole = gf.integrate(flow, X0, 2.0)
    half = gf.integrate(flow, X0, 1.0)
    rest = gf.integrate(flow, None, 2.0, t0=1.0, state=half.state[-1])
    np.testing.assert_allclose(rest.x[-1], whole.x[-1], atol=1e-7)
    same = gf.integrate(flow, None, 2.0, t0=1.0, state=(half.state.x[-1], half.state.v[-1]))
    np.testing.assert_allclose(same.x[-1], rest.x[-1], rtol=0)


FOURTH_POWER = gf.GradientFlow(gf.energy(lambda x: jnp.sum(x**4)))


def test_pitfall_1_a_trial_step_that_overflows():
    """y' = −4y³ from 30: with an infinite first trial step, the path is still the closed form's."""
    path = gf.integrate(FOURTH_POWER, [30.0], 1.0)
    assert float(path.x[-1, 0]) == pytest.approx(30 / math.sqrt(1 + 8 * 900), rel=1e-7)
    # The field itself is guarded: infinities reach diffrax as NaN, which it rejects and recovers from.
    from gradientflow.flows.solving.control import vector_field

    assert np.isnan(vector_field(FOURTH_POWER).vf(0.0, jnp.array([1e200]), None)).all()


def test_pitfall_2_the_first_step_comes_from_the_curvature():
    path = gf.integrate(FOURTH_POWER, [30.0], 1.0)
    assert path.stats["first_step"] <= 0.1 / (12 * 30**2) * 1.01
    assert path.stats["rejected"] == 0


def test_pitfall_3_stiff_flows_get_an_implicit_solver():
    path = gf.integrate(gf.GradientFlow(gf.landscapes.rosenbrock()), [-1.2, 1.0], 50.0)
    assert path.stats["solver"] == "RosenbrockWanner"
    assert path.stats["steps"] + path.stats["rejected"] < 1_000
    assert float(path.energy[-1]) < 1e-15


def test_pitfall_3_a_failed_root_find_rejects_the_step_and_goes_on():
    newton = diffrax.with_stepsize_controller_tols(optx.Newton)()
    flow = gf.GradientFlow(gf.landscapes.rosenbrock())
    # Three Newton iterations are too few for long steps: diffrax alone ends the solve at the first failure.
    solver = NewtonKvaerno5(root_finder=newton, root_find_max_steps=3)
    path = gf.integrate(flow, [-1.2, 1.0], 5.0, solver=solver)
    assert path.status.outcome == "reached the end"
    assert path.stats["rejected"] > 0
    reference = gf.integrate(flow, [-1.2, 1.0], 5.0, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(path.x[-1], reference.x[-1], atol=1e-6)


@thorough
def test_pitfall_3_a_steep_valley_does_not_starve_newton():
    """Curvature 1e8 across: the slopes' rounding is above any absolute tolerance on them."""
    E = gf.energy(lambda x: 5e7 * (x[0] - 0.1 * x[1] ** 2) ** 2 + (x[1] - 1) ** 2 / 2)
    path = gf.integrate(gf.GradientFlow(E), [3.0, 3.0], math.inf, gtol=1e-14)
    # The energy falls by 2.2e8, and the curvature along the valley is 1.
    np.testing.assert_allclose(path.x[-1], [0.1, 1.0], atol=2.2e-6)
    assert path.stats["rejected"] < path.stats["steps"] / 10


def test_stiffness_that_shows_later_hands_over_to_the_implicit_solver():
    """Flat where it starts, stiff where it ends."""
    flow = gf.GradientFlow(gf.energy(lambda x: -x[0] + jnp.where(x[0] > 1, 5e4 * (x[0] - 1) ** 2, 0.0)))
    path = gf.integrate(flow, [0.0], 10.0)
    assert path.stats["solver"] == "Tsit5 → RosenbrockWanner"
    assert float(path.x[-1, 0]) == pytest.approx(1 + 1e-5, abs=1e-8)


def test_pitfall_4_single_precision():
    flow = gf.GradientFlow(gf.landscapes.rosenbrock())
    x0 = jnp.array([-1.2, 1.0], jnp.float32)
    path = gf.integrate(flow, x0, math.inf)
    assert path.x.dtype == jnp.float32
    assert (path.stats["rtol"], path.stats["atol"]) == (1e-5, pytest.approx(1e-5))
    assert path.status.outcome == "converged"
    with pytest.raises(ValueError, match=r"rtol.*1e-06 is tighter than float32 holds.*jax_enable_x64"):
        gf.integrate(flow, x0, 1.0, rtol=1e-6)


@thorough
def test_single_precision_reports_its_floor():
    E = gf.energy(lambda x: jnp.sum((x - 100.0) ** 2 / 2) * 1e4)
    path = gf.integrate(gf.GradientFlow(E), jnp.array([101.3], jnp.float32), math.inf, gtol=1e-9)
    assert path.status.outcome in ("precision floor", "converged")
    assert float(path.x[-1, 0]) == pytest.approx(100, abs=1e-4)


def test_pitfall_5_a_loose_explicit_solve_of_a_stiff_flow_is_told_on():
    flow = gf.GradientFlow(gf.Quadratic(np.diag([1.0, 1e3])))
    with pytest.warns(gf.LyapunovWarning, match="rose in"):
        path = gf.integrate(flow, [1.0, 1.0], 5.0, solver=diffrax.Tsit5(), rtol=1e-2, atol=1e-2)
    assert path.stats["lyapunov_rises"] > 10
    assert gf.integrate(flow, [1.0, 1.0], 5.0).stats["lyapunov_rises"] == 0


def test_a_solver_that_chatters_at_a_kink_is_told_what_helps_there():
    with pytest.warns(gf.LyapunovWarning, match=r"has a kink, as \|x\| has, neither helps"):
        gf.integrate(gf.GradientFlow(jnp.abs), jnp.float32(1.0), 1.2)


class Shifted(gf.Energy):
    """(x₀ − shift)²/2 + 5(x₁ + shift)²: one program for all shifts."""

    shift: float

    def value(self, x):
        return (x[0] - self.shift) ** 2 / 2 + 5 * (x[1] + self.shift) ** 2


@pytest.mark.parametrize("shift", part([1e5, 0.0, 1e3], 3))
def test_pitfall_6_stationarity_does_not_depend_on_the_origin(shift):
    path = gf.integrate(gf.GradientFlow(Shifted(shift)), jnp.array([2.0 + shift, 1.0 - shift]), math.inf)
    assert path.status.outcome == "converged"
    assert float(path.energy[-1]) < 1e-16


def test_velocity_counts_at_an_equilibrium():
    """A heavy ball passes the minimizer at speed: a gradient test alone would stop it there.

    At rtol = 1e-8 a step's error feeds the oscillation with 2e-8 at the end, so that it is held to 30 times that.
    """
    path = gf.integrate(gf.HeavyBall(gf.energy(lambda x: jnp.sum(x**2) / 2), friction=0.1), [1.0], math.inf)
    assert path.status.outcome == "converged"
    assert float(jnp.max(jnp.abs(path.state.v[-1]))) <= 6e-7
    assert float(path.t[-1]) > 100


def test_pitfall_7_a_stiff_start_does_not_hold_up_an_easy_one():
    """Each start is a solve of its own: lanes of a vmapped solve would all take the stiffest one's steps."""
    easy, stiff = (gf.GradientFlow(gf.Quadratic(np.diag([1.0, lam]))) for lam in (2.0, 1e4))
    alone = gf.integrate(easy, [1.0, 1.0], 10.0).stats
    beside = gf.integrate(stiff, [1.0, 1.0], 10.0).stats
    assert (alone["solver"], beside["solver"]) == ("Tsit5", "RosenbrockWanner")
    assert gf.integrate(easy, [1.0, 1.0], 10.0).stats["steps"] == alone["steps"] < 100


def test_pitfall_8_noisy_flows_choose_a_step_that_resolves_them():
    """diffrax would silently take 0.01, twenty times too long for this one."""
    flow = gf.Langevin(gf.Quadratic([[4000.0]]), temperature=1.0)
    path = gf.integrate(flow, [0.0], 0.02, key=jax.random.key(0))
    assert path.stats["step"] <= 0.05 / 4000
    assert float(jnp.max(jnp.abs(path.x))) < 6 / np.sqrt(4000)


def test_pitfall_9_running_out_of_steps_is_a_status_and_the_output_is_cut():
    path = gf.integrate(
        gf.GradientFlow(gf.Quadratic(np.diag([1.0, 1e4]))), [1.0, 1.0], 100.0, solver="tsit5", max_steps=600
    )
    assert path.status.outcome == "out of steps"
    assert "stiff" in path.status.detail
    assert np.isfinite(path.t).all()
    assert np.isfinite(path.x).all()
    assert float(path.t[-1]) < 100


@pytest.mark.parametrize("t1", [0.7, 0.1, 1 / 3, 12345.678])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_pitfall_9_the_end_is_reached_whatever_its_last_digit(t1, dtype):
    path = gf.integrate(EXAMPLE, X0.astype(dtype), t1)
    assert path.status.ok
    # float32 data is carried in the precision of the energy's own.
    assert float(path.t[-1]) == pytest.approx(t1, rel=1e-7)


def test_pitfall_13_logistic_regression_is_run_within_its_global_limit():
    """The curvature bound that default steps come from holds everywhere, not only at the optimum."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(50, 2)) * [10.0, 1.0], np.tile([0, 1], 25)
    E = gf.LogisticRegression(X, y, ridge=1e-3)
    local = np.linalg.eigvalsh(jax.jit(jax.hessian(E.value))(np.array([20.0, 0.0, 0.0])))[-1]
    assert local < 0.2 * float(E.curvature.L)
    run = gf.iterate(gf.GradientFlow(E), gf.ForwardEuler(), [20.0, 0, 0], step=1.99 / E.curvature.L, steps=200)
    assert (np.diff(run.energy) <= 1e-15).all()


@thorough
def test_pitfall_14_running_off_is_not_diverging():
    path = gf.integrate(gf.GradientFlow(gf.landscapes.beale()), [-1.0, 4.0], math.inf)
    assert path.status.outcome == "running off"
    assert (np.diff(path.energy) <= 1e-9).all()


@pytest.mark.parametrize("name", ["saddle", pytest.param("monkey_saddle", marks=thorough)])
def test_energies_without_a_minimum_run_off(name):
    E = gf.landscapes.get(name)
    assert gf.integrate(gf.GradientFlow(E), E.start, math.inf).status.outcome == "running off"


@pytest.mark.parametrize("name", part((n for n in gf.landscapes.names() if gf.landscapes.get(n).minima), 6))
def test_landscapes_are_descended_to_a_known_minimum(name):
    E = gf.landscapes.get(name)
    path = gf.integrate(gf.GradientFlow(E), E.start, math.inf)
    assert path.status.outcome == "converged"
    if name != "rastrigin":  # whose local minima are not listed
        nearest = min(float(jnp.max(jnp.abs(path.x[-1] - jnp.asarray(p)))) for p in E.minima)
        assert nearest < (2e-3 if name == "quartic" else 1e-6)


def test_a_quartic_flow_is_its_closed_form():
    path = gf.integrate(gf.GradientFlow(gf.landscapes.quartic()), [1.0], 1000.0)
    np.testing.assert_allclose(path.x[:, 0], 1 / np.sqrt(1 + 2 * np.asarray(path.t)), atol=1e-7)


def test_a_second_integration_does_not_compile_again():
    traced = []

    def fn(x):
        traced.append(1)
        return jnp.sum(x**2)

    E = gf.energy(fn)
    gf.integrate(gf.HeavyBall(E, mass=1.0), X0, 1.0)
    count = len(traced)
    gf.integrate(gf.HeavyBall(E, mass=2.0, friction=0.3), 2 * X0, 3.0, rtol=1e-6)
    # The checks of a new start look at the energy's shape and value; the compiled programs are reused.
    assert len(traced) - count <= 8


@thorough
def test_trajectories_are_saved_and_loaded(tmp_path):
    flow = gf.HeavyBall(gf.energy(lambda p: jnp.sum(p["w"] ** 2) + p["b"] ** 2))
    path = gf.integrate(flow, {"w": jnp.ones(3), "b": jnp.asarray(2.0)}, 1.0)
    path.save(tmp_path / "path.nc")
    again = gf.load(tmp_path / "path.nc")
    np.testing.assert_array_equal(again.x["w"], path.x["w"])
    np.testing.assert_array_equal(again.energy, path.energy)
    assert again.status == path.status
    assert again.stats == dict(path.stats)
    dataset = path.to_xarray()
    assert dataset["x.w"].dims == ("t", "x.w_0")
    with pytest.raises(TypeError, match="saved times only"):
        again(0.5)


def test_trajectories_draw_themselves():
    assert len(gf.integrate(EXAMPLE, X0, 1.0).plot().axes) == 3


@thorough
def test_rounding_at_an_equilibrium_is_no_running_off():
    """Powell's badly scaled function ends in noise that no longer falls, and no longer moves anything."""
    E = gf.energy(lambda x: (1e4 * x[0] * x[1] - 1) ** 2 + (jnp.exp(-x[0]) + jnp.exp(-x[1]) - 1.0001) ** 2)
    path = gf.integrate(gf.GradientFlow(E), [0.0, 1.004], math.inf, gtol=1e-12, max_steps=5_000)
    assert not path.status.outcome.startswith("running off")
    assert float(path.energy[-1]) < 1e-12


@thorough
def test_a_long_wait_at_a_saddle_is_no_running_off():
    """From 1e-13 beside the double well's saddle everything happens in the second half of the time."""
    path = gf.integrate(gf.GradientFlow(gf.landscapes.double_well()), [1e-13, 0.0], math.inf, gtol=1e-12)
    assert path.status.outcome == "converged"
    assert float(path.x[-1, 0]) == pytest.approx(1, abs=1e-9) or float(path.x[-1, 0]) == pytest.approx(1e-13)


def test_separable_logistic_regression_has_no_minimizer():
    """The weights grow like log t for ever; with a ridge they arrive."""
    X, y = [[-1.0], [1.0]], [0, 1]
    loose = gf.LogisticRegression(X, y, intercept=False)
    assert gf.integrate(gf.GradientFlow(loose), [0.0], math.inf, gtol=1e-6).status.outcome.startswith("running off")
    held = gf.LogisticRegression(X, y, ridge=0.1, intercept=False)
    assert gf.integrate(gf.GradientFlow(held), [0.0], math.inf, gtol=1e-6).status.outcome == "converged"


def test_steps_allowed_are_not_exceeded():
    path = gf.integrate(gf.GradientFlow(gf.Quadratic(np.diag([1.0, 2.0]))), [1.0, 2.0], 100.0, max_steps=1)
    assert path.status.outcome == "out of steps"
    assert path.stats["steps"] + path.stats["rejected"] == 1


def test_times_beyond_the_end_of_a_path_are_left_out():
    """It stops before the first of them: what there is, is the start."""
    flow = gf.GradientFlow(gf.Quadratic(np.diag([1.0, 2.0])))
    path = gf.integrate(flow, [1.0, 2.0], 1e6, ts=[5e5, 1e6], max_steps=3)
    assert path.status.outcome == "out of steps"
    assert path.t.tolist() == [0.0]


def test_an_end_that_sums_of_steps_miss_is_the_end():
    flow = gf.GradientFlow(gf.Quadratic(np.diag([1.0, 2.0])))
    path = gf.integrate(flow, [1.0, 2.0], 0.3, ts=np.arange(0, 0.31, 0.1))
    assert path.t.tolist() == [0.0, 0.1, 0.2, 0.3]
    np.testing.assert_allclose(path.x[:, 0], np.exp(-np.array([0.0, 0.1, 0.2, 0.3])), rtol=1e-7)


def test_many_times_take_memory_for_themselves_only():
    """Rows times times would be 200 million entries."""
    flow = gf.GradientFlow(gf.energy(lambda x: x**2 / 2))
    ts = np.linspace(0, 1, 10_001)
    path = gf.integrate(flow, 1.0, 1.0, ts=ts)
    np.testing.assert_allclose(path.t, ts, rtol=1e-15)
    np.testing.assert_allclose(path.x, np.exp(-ts), rtol=1e-7)


def test_a_leaf_without_entries_is_no_trouble():
    flow = gf.GradientFlow(gf.energy(lambda p: jnp.sum(p["a"] ** 2) / 2))
    path = gf.integrate(flow, {"a": np.ones(2), "b": np.zeros(0)}, 1.0)
    np.testing.assert_allclose(path.x["a"][-1], np.exp(-1), rtol=1e-7)
    assert path.x["b"].shape == (len(path), 0)


def test_a_stretch_of_the_old_outcome_is_read():
    assert gf.Outcome("running off with falling energy") == "running off"


@pytest.mark.parametrize("t1", part([3.0, math.inf]))
def test_no_step_leads_across_the_wall_where_the_energy_ends(t1):
    """Behind the pole of −a log x the field is finite again, and an error estimate sees nothing of the pole."""
    a = 1e-8
    path = gf.integrate(gf.GradientFlow(gf.energy(lambda x: jnp.sum(x - a * jnp.log(x)))), jnp.array([1.0]), t1)
    assert path.status == "converged"
    assert bool(jnp.isfinite(path.energy).all())
    assert float(path.x[-1, 0]) == pytest.approx(a, abs=1e-6 * a if t1 == 3.0 else 1e-6)


def test_what_runs_up_a_wall_that_nothing_resolves_is_not_said_to_stand_still():
    """A mass with ½v² = 0.9 gets to x = e^{−900} before −a log x, a = 1e-3, has turned it round."""
    a = 1e-3
    flow = gf.HeavyBall(gf.energy(lambda x: jnp.sum(x - a * jnp.log(x))), 1.0, 0.1)
    path = gf.integrate(flow, [1.0], math.inf)
    assert path.status == "precision floor"
    assert "it runs up a wall of E" in path.status.detail
    assert float(path.state[-1].v[0]) < -1


@pytest.mark.parametrize("make", [gf.GradientFlow, lambda E: gf.HeavyBall(E, 1.0, 5.0)])
def test_an_infinity_that_is_written_out_is_a_wall(make):
    """Beside it the field is finite, and leads on."""
    path = gf.integrate(make(gf.energy(lambda x: jnp.sum(x + jnp.where(x > 0, 0.0, jnp.inf)))), [1.0], math.inf)
    assert path.status == "standing still"
    assert 0 < float(path.x[-1, 0]) < 1e-12


@pytest.mark.parametrize(
    ("energy", "start", "end", "outcome"),
    [
        (lambda x: -jnp.sum(x**4) / 4, 2.0, 1 / 8, "running off"),  # ẋ = x³: x = (1/x₀² − 2t)^{−1/2}
        # ẋ = eˣ: x = −log(1 − t)
        pytest.param(lambda x: -jnp.sum(jnp.exp(x)), 0.0, 1.0, "running off", marks=thorough),
        (lambda x: jnp.sum(jnp.log(x)), 1.0, 1 / 2, "standing still"),  # ẋ = −1/x: x = (1 − 2t)^{1/2}
    ],
)
def test_a_path_that_ends_in_finite_time_is_left_there(energy, start, end, outcome):
    path = gf.integrate(gf.GradientFlow(gf.energy(energy)), [start], math.inf)
    assert path.status == outcome
    assert float(path.t[-1]) == pytest.approx(end, rel=1e-7)
    assert path.stats["rejected"] < 1000
    assert ("it ends there" in path.status.detail) == (outcome == "standing still")
