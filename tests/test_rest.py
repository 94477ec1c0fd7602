"""A state of rest is told by the Newton step from it: the same in any units, and not after a steep fall alone."""

import math

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradientflow as gf
from gradientflow.flows.solving.control import Tolerances
from gradientflow.flows.solving.integration import Carry, Integration, Rows
from gradientflow.flows.solving.solve import handed_over
from gradientflow.flows.solving.stretch import Measured, Stretch
from gradientflow.flows.solving.watched import Limits, Watched

from .thorough import part, thorough


class Rosenbrock(gf.Energy):
    """Rosenbrock's energy in other units of E and of x; one class, so that all of them are one program."""

    energy_unit: jax.Array
    length: jax.Array

    def value(self, x):
        u = x / self.length
        return self.energy_unit * (100 * (u[1] - u[0] ** 2) ** 2 + (1 - u[0]) ** 2)


@pytest.mark.parametrize("energy_unit", part([1e-12, 1.0, 1e12]))
@pytest.mark.parametrize("length", [1e-6, pytest.param(1.0, marks=thorough), 1e6])
def test_units_of_energy_and_length_change_nothing(energy_unit, length):
    flow = gf.GradientFlow(Rosenbrock(jnp.asarray(energy_unit), jnp.asarray(length)))
    path = gf.integrate(flow, np.array([-1.2, 1.0]) * length, math.inf)
    assert path.status.outcome == "converged"
    # The Newton step is at most a millionth of the way, which is 2.2 lengths.
    np.testing.assert_allclose(path.x[-1] / length, 1.0, atol=2.2e-6)
    assert float(path.energy[-1]) <= 1e-17 * float(path.energy[0])
    step = 10 * length**2 / energy_unit
    run = gf.iterate(flow, gf.BackwardEuler(), np.array([-1.2, 1.0]) * length, step=step, steps=20)
    assert run.status.outcome == "converged"


@pytest.mark.parametrize(
    ("curvatures", "minimizer", "constant"),
    [((2.0, 0.2), (1.0, 3.0), 1e10), ((2e3, 2e-3), (1.0, 3.0), 1e10), ((2e12, 2e8), (1e6, -2e6), 0.0)],
)
def test_a_constant_and_a_minimum_far_off_are_no_running_off(curvatures, minimizer, constant):
    """Beside a constant of 1e10 the whole fall is nothing, and the third minimum is two million lengths away."""
    E = gf.Quadratic(np.diag(curvatures), np.multiply(curvatures, minimizer), constant)
    path = gf.integrate(gf.GradientFlow(E), [0.0, 0.0], math.inf)
    assert path.status == "converged", path.status.detail
    np.testing.assert_allclose(path.x[-1], minimizer, rtol=2e-6)


@pytest.mark.parametrize("energy_unit", [1e-9, 1.0])
def test_a_small_gradient_is_not_rest_in_single_precision_either(energy_unit):
    flow = gf.GradientFlow(Rosenbrock(jnp.asarray(energy_unit, jnp.float32), jnp.asarray(1.0, jnp.float32)))
    start = gf.iterate(flow, gf.ForwardEuler(), jnp.array([-1.2, 1.0], jnp.float32), step=1e-6 / energy_unit, steps=1)
    assert start.status.outcome == "reached the end"
    path = gf.integrate(flow, jnp.array([-1.2, 1.0], jnp.float32), math.inf)
    assert path.status.outcome == "converged"
    np.testing.assert_allclose(path.x[-1], 1.0, atol=1e-3)


@pytest.mark.parametrize("time_unit", [1e-6, pytest.param(1.0, marks=thorough), 1e6])
def test_units_of_time_change_nothing(time_unit):
    """Mass and friction set an inertial flow's clock: in other units of it rest comes at the same moment."""
    flow = gf.HeavyBallFlow(gf.landscapes.bowl(), mass=time_unit**2, friction=time_unit)
    path = gf.integrate(flow, [3.0, 1.0], math.inf)
    assert path.status == "converged"
    assert float(path.t[-1]) / time_unit == pytest.approx(30, rel=0.2)
    assert float(path.energy[-1]) < 1e-10 * float(path.energy[0])


def test_a_steep_first_fall_does_not_excuse_the_valley_after_it():
    """The energy falls by 1e10 in the first instant; the curvature along the valley is 1."""
    E = gf.energy(lambda x: 0.5e10 * (x[0] - 0.1 * x[1] ** 2) ** 2 + (x[1] - 1) ** 2 / 2)
    path = gf.integrate(gf.GradientFlow(E), [3.0, 3.0], math.inf)
    assert path.status.outcome == "converged"
    np.testing.assert_allclose(path.x[-1], [0.1, 1.0], atol=3e-6)


def test_what_one_coordinate_is_counted_in_hides_no_curvature_of_another():
    """NIST's MGH10 from its first start, b exp(c/(t + d)), whose least energy is 87.9.

    b falls to 1e-18, and beside mixed curvatures of 1e45 those of c and d, 1e23, look like rounding: it ended as
    converged at 1e9.
    """
    y = [34780, 28610, 23650, 19630, 16370, 13720, 11540, 9744, 8261, 7030, 6005, 5147, 4427, 3820, 3307, 2872]
    t = 50 + 5 * np.arange(1, 17)
    E = gf.energy(lambda b: jnp.sum((b[0] * jnp.exp(b[1] / (t + b[2])) - jnp.asarray(y)) ** 2))
    path = gf.integrate(gf.GradientFlow(E), [2.0, 4e5, 2.5e4], math.inf, max_steps=5_000)
    assert path.status != "converged", path.status.detail


def test_an_ill_conditioned_quadratic_comes_to_rest_at_its_minimum():
    path = gf.integrate(gf.GradientFlow(gf.Quadratic(np.diag([1.0, 1e10]))), [1.0, 1.0], math.inf)
    assert path.status.outcome == "converged"
    assert float(jnp.max(jnp.abs(path.x[-1]))) <= 1e-6


def test_a_metastable_start_goes_on():
    """y' = y² − y³ from 1e-6: next to nothing moves for a million units of time, then all of it."""
    path = gf.integrate(gf.GradientFlow(gf.energy(lambda y: -(y**3) / 3 + y**4 / 4)), 1e-6, math.inf)
    assert path.status.outcome == "converged"
    assert float(path.x[-1]) == pytest.approx(1, abs=1e-6)
    assert float(path.t[-1]) > 1e6


@pytest.mark.parametrize(
    "fn",
    [
        pytest.param(lambda x: jnp.sum(x) ** 4, marks=thorough),
        lambda x: (x[0] + x[1] - 1) ** 2,
        pytest.param(lambda x: x[0] ** 4 + x[1] ** 2, marks=thorough),
    ],
    ids=["flat in all directions", "a valley of minima", "flat in one direction"],
)
def test_degenerate_minima_are_minima(fn):
    path = gf.integrate(gf.GradientFlow(gf.energy(fn)), [3.0, 1.0], math.inf)
    assert path.status.outcome == "converged"
    assert float(path.energy[-1]) <= 1e-17 * float(path.energy[0])


class Powers(gf.Energy):
    """ax₀² + bx₁² + c(x₀⁴ + x₁⁴): one program for all coefficients."""

    a: float
    b: float
    c: float

    def value(self, x):
        return self.a * x[0] ** 2 + self.b * x[1] ** 2 + self.c * jnp.sum(x**4)


@pytest.mark.parametrize(
    ("energy", "at", "unstable"),
    [
        (Powers(1.0, 5.0, 0.0), [0.0, 0.0], False),
        (Powers(1.0, -1.0, 0.0), [0.0, 0.0], True),
        (Powers(-1.0, -1.0, 0.0), [0.0, 0.0], True),
        pytest.param(Powers(0.0, 0.0, -1.0), [0.0, 0.0], False, marks=thorough),
        pytest.param(lambda x: (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2, [1.0, 1.0], False, marks=thorough),
    ],
    ids=["minimum", "saddle", "maximum", "flat maximum", "rosenbrock"],
)
def test_what_starts_at_rest_is_at_rest(energy, at, unstable):
    path = gf.integrate(gf.GradientFlow(gf.energy(energy)), at, math.inf)
    assert path.status.outcome == "converged"
    assert float(path.t[-1]) == 0
    assert ("saddle or a maximum" in path.status.detail) == unstable


class Inflections(gf.Energy):
    """a(x₀ − c)ⁿ + bx₁² + c: of odd n no minimum, of even n one, both with a Hessian that vanishes along x₀."""

    a: float
    b: float
    c: float
    power: int = eqx.field(static=True)

    def value(self, x):
        return self.a * (x[0] - self.c) ** self.power + self.b * x[1] ** 2 + self.c


NO_MINIMIZER = "no minimizer: "


@pytest.mark.parametrize("dtype", part([jnp.float64, jnp.float32]))
@pytest.mark.parametrize(
    ("a", "power", "start", "none"),
    [
        (1 / 3, 3, 2.0, True), (1 / 3, 3, 0.0, True), (-1.0, 4, 0.0, True), (1.0, 4, 1.0, False), (1.0, 4, 0.0, False),
        pytest.param(1.0, 5, 1.0, True, marks=thorough), pytest.param(1.0, 8, 1.0, False, marks=thorough),
    ],
)  # fmt: skip
@pytest.mark.parametrize("c", part([3.0, 0.0]))
def test_a_rest_where_e_falls_on_beyond_is_said_to_be_no_minimizer(a, power, start, none, c, dtype):
    """Gradient, Newton step and Hessian vanish at x³'s inflection and at −x⁴'s maximum as they do at x⁴'s minimum."""
    E = Inflections(a, 2.0, c, power)
    path = gf.integrate(gf.GradientFlow(E), jnp.asarray([c + start, 1.0 if start else 0.0], dtype), math.inf)
    assert path.status == "converged"
    assert (NO_MINIMIZER in path.status.detail) == none, path.status.detail


def test_an_iterate_that_rests_at_an_inflection_is_told_so_too():
    newton = gf.optimizers.newton(Inflections(1 / 3, 2.0, 0.0, 3)).iterate([1.0, 1.0], 30)
    assert newton.status == "converged"
    assert NO_MINIMIZER in newton.status.detail
    quartic = gf.optimizers.newton(Inflections(1.0, 2.0, 0.0, 4)).iterate([1.0, 1.0], 36)
    assert quartic.status == "converged"
    assert NO_MINIMIZER not in quartic.status.detail


@pytest.mark.parametrize(("power", "sign", "none"), [(4, -1, True), (3, 1, True), (4, 1, False)])
def test_a_direction_that_the_run_never_moved_in_is_looked_along_too(power, sign, none):
    """x² ± yᵖ along y = 0, where y's gradient and curvature are both zero."""
    flow = gf.GradientFlow(gf.energy(lambda x: x[0] ** 2 + sign * x[1] ** power))
    for run in (
        gf.integrate(flow, [1.0, 0.0], math.inf),
        gf.iterate(flow, gf.ForwardEuler(), [1.0, 0.0], step=0.1, steps=100),
    ):
        assert run.status == "converged"
        assert (NO_MINIMIZER in run.status.detail) == none, run.status.detail


def test_where_three_cubics_meet_e_falls_between_their_axes():
    """x₀³ − 3x₀x₁² has three valleys and three ridges; along both axes of x₀x₁x₂ E is constant."""
    for fn, n in ((lambda x: x[0] ** 3 - 3 * x[0] * x[1] ** 2, 2), (lambda x: x[0] * x[1] * x[2], 3)):
        detail = gf.integrate(gf.GradientFlow(gf.energy(fn)), np.zeros(n), math.inf).status.detail
        assert NO_MINIMIZER in detail


@pytest.mark.parametrize("dtype", [jnp.float64, jnp.float32])
def test_on_the_way_into_a_valley_of_minima_nothing_is_a_saddle(dtype):
    """(x₀x₁ − 1)²: as long as the residual is not zero an eigenvalue is negative, by no more than the residual."""
    path = gf.integrate(
        gf.GradientFlow(gf.energy(lambda x: (x[0] * x[1] - 1) ** 2)), jnp.array([2.0, 1.0], dtype), math.inf
    )
    assert path.status == "converged"
    assert "saddle" not in path.status.detail, path.status.detail


def test_a_saddle_that_is_come_to_is_one():
    path = gf.integrate(gf.GradientFlow(gf.energy(lambda x: jnp.cosh(x[0]) - x[1] ** 2)), [1.0, 0.0], math.inf)
    assert "saddle or a maximum" in path.status.detail


def test_what_a_constraint_holds_is_no_saddle():
    """−‖x‖² on a box is least at its corner, which no nudge leaves."""
    flow = gf.ProjectedFlow(gf.energy(lambda x: -jnp.sum(x**2)), gf.constraints.Box(-1.0, 1.0))
    path = gf.integrate(flow, [0.3, 0.2], math.inf)
    np.testing.assert_allclose(path.x[-1], 1.0)
    assert path.status == "converged"
    assert "saddle" not in path.status.detail, path.status.detail


def test_where_a_start_is_within_rounding_of_a_minimum_it_is_at_rest():
    E = gf.energy(lambda x: jnp.sum(jnp.cosh(x - jnp.pi)))
    path = gf.integrate(gf.GradientFlow(E), [math.pi * (1 + 2e-16)], math.inf)
    assert path.status.outcome == "converged"
    assert float(path.t[-1]) == 0


@thorough
def test_what_falls_for_ever_is_said_to_run_off():
    path = gf.integrate(gf.GradientFlow(gf.energy(lambda x: jnp.exp(-x))), 0.0, math.inf)
    assert path.status.outcome == "running off"
    # x = log(1 + t).
    assert float(path.x[-1]) == pytest.approx(math.log1p(float(path.t[-1])), rel=1e-6)


def test_large_states_are_judged_without_a_matrix():
    scale = jnp.linspace(1.0, 50.0, 1_000)
    E = gf.energy(lambda x: jnp.sum(scale * (1 - jnp.cos(x))))
    path = gf.integrate(gf.GradientFlow(E), np.full(1_000, 0.5), math.inf)
    assert path.status.outcome == "converged"
    assert float(jnp.max(jnp.abs(path.x[-1]))) <= 1e-6
    at_top = gf.iterate(gf.GradientFlow(E), gf.ForwardEuler(), np.full(1_000, math.pi - 1e-3), step=1e-9, steps=1)
    assert at_top.status.outcome == "reached the end"


def test_a_number_given_is_taken_as_it_is():
    flow = gf.GradientFlow(gf.Quadratic(np.diag([1.0, 4.0])))
    path = gf.integrate(flow, [1.0, 1.0], math.inf, gtol=1e-3)
    assert path.status.outcome == "converged"
    assert 1e-5 < float(path.grad_norm[-1]) <= 1e-3
    assert path.stats["gtol"] == 1e-3
    assert gf.iterate(flow, gf.ForwardEuler(), [1.0, 1.0], step=0.2, steps=40, gtol=1e-3).status.outcome == "converged"


def test_the_default_absolute_tolerance_follows_the_state():
    """x of the size of a micrometre is solved as well as x of the size of a metre."""
    flow = gf.GradientFlow(gf.energy(lambda x: jnp.sum(jnp.sqrt(1e-12 + x**2)) * 1e-6))
    path = gf.integrate(flow, [2e-6], 1.0)
    tight = gf.integrate(flow, [2e-6], 1.0, rtol=1e-12, atol=1e-20)
    np.testing.assert_allclose(path.x[-1], tight.x[-1], rtol=1e-6)
    assert path.stats["atol"] == pytest.approx(2e-14)


def test_a_stretch_without_a_row_of_its_own_is_no_end():
    """Every step of it was rejected; what was asked then is answered by the rows before it."""
    limits = Limits(t0=0.0, t1=math.inf, ts=None, rtol=1e-6, atol=None, gtol=None, max_steps=100)
    watched = Watched(limits, np.dtype(float), room=8, has_energy=True, radius=1.0)
    told = {"stuck": False, "rest": False, "spent": True, "taken": 3, "rejected": 0, "s": 2.0}
    state = Carry(**({name: None for name in Carry.__dataclass_fields__} | told))
    for t in (np.arange(3.0), np.empty(0)):
        x = np.exp(-t)[:, None]
        seen = Measured(x, x[:, 0], x[:, 0], x[:, 0], x[:, 0], x[:, 0])
        watched.take(state, Stretch(Rows(np.asarray(len(t)), t, t, x), seen, None))
    assert not watched.ended
    assert not watched.runs_off


@pytest.mark.parametrize(
    ("rtol", "precision"),
    [(1e-8, "float64"), pytest.param(1e-4, "float64", marks=thorough), pytest.param(1e-4, "float32", marks=thorough)],
)
def test_an_explicit_solver_comes_to_rest_by_itself(rtol, precision):
    """At the limit of stability the errors that a step is allowed would feed the fastest modes for ever.

    Of 300 modes at κ = 100 they held x at 1e-7 of its way, or 3e-3, until 100,000 steps were spent. From t = 20 on,
    where e^(−20) of the slowest mode is left, there is nothing to be waited for: h = 3.3/100 gives 600 steps.
    """
    curvatures = np.geomspace(1.0, 100.0, 300, dtype=precision)
    E = gf.energy(lambda x: jnp.sum(curvatures * x * x) / 2)
    path = gf.integrate(gf.GradientFlow(E), np.ones(300, precision), math.inf, solver="tsit5", rtol=rtol)
    assert path.status == "converged", path.status
    assert path.stats["steps"] <= 700
    # The criterion's 1e-6 of the way, 1e-4 in single precision, by a Newton step that is known to a tenth or two.
    assert float(jnp.abs(path.x[-1]).max()) <= 1.2 * (1e-6 if precision == "float64" else 1e-4)


def test_a_solver_that_takes_over_begins_where_it_is():
    """Its first slope was that at the start of all, and its first steps were refused: in single precision for good."""
    flow, z0 = gf.GradientFlow(gf.Quadratic(np.diag([1.0, 9.0]))), jnp.ones(2)
    integration = Integration(flow, diffrax.Tsit5(), Tolerances(np.asarray(1e-3), None), jnp.asarray(0.0), z0, False)
    carry = integration.one(integration.start(0.1), jnp.inf)
    assert carry.taken == 1
    next_one = eqx.tree_at(lambda i: i.solver, integration, gf.solvers.StabilizedChebyshev())
    slope, _ = handed_over(next_one, carry).solver
    np.testing.assert_array_equal(slope, flow.drift(0.0, carry.z))


def test_what_oscillates_for_ever_does_not_run_off():
    flow = gf.HeavyBallFlow(gf.Quadratic([[1.0]]), mass=1.0, friction=0.0)
    path = gf.integrate(flow, [1.0], math.inf, max_steps=3_000)
    assert path.status == "out of steps"


def test_times_asked_for_are_kept_beyond_the_state_of_rest_too():
    flow, x0, ts = (
        gf.GradientFlow(gf.Quadratic(jnp.diag(jnp.array([1.0, 4.0])))),
        jnp.array([1.0, 1.0]),
        [1.0, 5.0, 40.0],
    )
    path = gf.integrate(flow, x0, math.inf, ts=ts)
    np.testing.assert_array_equal(path.t, ts)
    np.testing.assert_allclose(path.x, np.exp(-np.outer(ts, [1.0, 4.0])), atol=1e-7)
    start = jax.grad(lambda x: gf.integrate(flow, x, math.inf, ts=jnp.array(ts[:2])).x[-1, 0])(x0)
    np.testing.assert_allclose(start, [np.exp(-5.0), 0.0], atol=1e-7)
