"""Adams–Bashforth, splittings and Chebyshev schemes: published coefficients, exact limits, what is conserved."""

import math
from fractions import Fraction

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy

import gradientflow as gf

from .thorough import part

Z, LAM, H, M = sympy.symbols("z lambda h m")
TWENTIETH = Fraction(1, 20)

# --- Adams–Bashforth -------------------------------------------------------------------------------------------------

PUBLISHED = {
    1: ("1", "2"),
    2: ("3/2 -1/2", "1"),
    3: ("23/12 -16/12 5/12", "6/11"),
    4: ("55/24 -59/24 37/24 -9/24", "3/10"),
    5: ("1901/720 -2774/720 2616/720 -1274/720 251/720", "90/551"),
}


@pytest.mark.parametrize("steps", part(PUBLISHED, 3))
def test_published_weights_and_limits_of_adams_bashforth(steps):
    weights, limit = PUBLISHED[steps]
    assert gf.AdamsBashforth(steps).weights == tuple(map(Fraction, weights.split()))
    assert gf.order(gf.AdamsBashforth(steps), up_to=steps + 1).order == steps
    found = gf.stability(gf.GradientFlow(gf.Quadratic([[4.0]])), gf.AdamsBashforth(steps))
    assert found.formula == sympy.Rational(limit) / LAM
    assert found.grade == "proved"


@pytest.mark.parametrize("steps", [3, 5])
def test_the_weights_integrate_what_the_start_remembers(steps):
    """Σ bⱼ(−j)^k = 1/(k + 1) for k < s; and the history is exact to order s, backwards in time."""
    weights = gf.AdamsBashforth(steps).weights
    for k in range(steps):
        assert sum(b * Fraction(-j) ** k for j, b in enumerate(weights)) == Fraction(1, k + 1)
    flow, errors = gf.GradientFlow(gf.Mode(1.0)), []
    for h in (0.02, 0.01):
        memory = gf.AdamsBashforth(steps).init(flow, 0.0, 1.0, h)
        errors.append(max(abs(slope + math.exp(j * h)) for j, slope in enumerate(memory, start=1)))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(steps, abs=0.2)


BDF = gf.discretizers.BackwardDifferentiation
# Curtiss & Hirschfelder 1952; Hairer, Nørsett & Wanner, III.1: α by steps.
DIFFERENTIATION = {1: "1 -1", 2: "3/2 -2 1/2", 3: "11/6 -3 3/2 -1/3"}


@pytest.mark.parametrize("steps", DIFFERENTIATION)
def test_published_weights_orders_and_limits_of_backward_differentiation(steps):
    assert BDF(steps).weights == tuple(map(Fraction, DIFFERENTIATION[steps].split()))
    assert gf.order(BDF(steps), up_to=steps + 1).order == steps
    found = gf.stability(gf.GradientFlow(gf.Quadratic([[4.0]])), BDF(steps))
    assert (found.limit, str(found.grade)) == (math.inf, "proved")


def test_two_backward_steps_begin_with_backward_euler_and_go_on_by_a_prox():
    E, h = gf.Composite(gf.Quadratic([[2.0]]), gf.penalties.L1(0.5)), 0.3
    run = gf.iterate(gf.GradientFlow(E), BDF(2), [1.0], step=h, steps=3).x.ravel()

    def prox(h, y):
        return math.copysign(max(abs(y) - 0.5 * h, 0), y) / (1 + 2 * h)

    expected = [1.0, prox(h, 1.0)]
    for _ in range(2):
        expected.append(prox(2 * h / 3, (4 * expected[-1] - expected[-2]) / 3))
    np.testing.assert_allclose(run, expected, atol=1e-14)


@pytest.mark.parametrize("steps", [2, 3])
def test_backward_differentiation_lets_stiff_modes_die_out_from_its_start_on(steps):
    run = gf.iterate(gf.GradientFlow(gf.Quadratic([[1e6]])), BDF(steps), [1.0], step=1.0, steps=8).x.ravel()
    assert np.abs(run).max() <= 1
    assert np.abs(run[-1]) < 1e-5


def test_a_rate_of_backward_differentiation_is_certified_on_all_strongly_convex_energies():
    """No bound on the curvature: 0.487 a step of h = 1/μ, where quadratics have 1/√5."""
    found = gf.worst_case_rate(gf.Method(gf.GradientFlow(gf.Mode(1.0)), BDF(2), 1), 1, math.inf)
    assert found.check()
    assert found.quadratics == pytest.approx(1 / math.sqrt(5), rel=1e-9)
    assert found.quadratics < found.rate < 0.4871


class Driven(gf.GradientFlow):
    """ẋ = cos t − ∇E(x)."""

    def drift(self, t, z):
        return jnp.cos(t) - self.gradient(z)


@pytest.mark.parametrize(
    "scheme", [gf.AdamsBashforth(3), gf.SecondOrderChebyshev(4), BDF(2)], ids=["ab3", "chebyshev", "bdf2"]
)
def test_a_flow_that_depends_on_time_is_asked_at_the_right_ones(scheme):
    flow, errors = Driven(gf.Quadratic([[1.0]])), []
    exact = (math.cos(1) + math.sin(1) - math.exp(-1)) / 2  # from 0
    for n in (40, 80):
        run = gf.iterate(flow, scheme, [0.0], step=1 / n, steps=n, save_every=n)
        errors.append(abs(float(run.x[-1][0]) - exact))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(scheme.order, abs=0.2)


def test_the_history_is_not_compiled_again_for_another_step():
    compiled = []
    flow, scheme = gf.GradientFlow(gf.landscapes.beale()), gf.AdamsBashforth(5)

    def note(event, duration, **_):
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(event)

    gf.iterate(flow, scheme, [1.0, 1.0], step=1e-3, steps=6, save_every=4)
    jax.monitoring.register_event_duration_secs_listener(note)
    try:
        gf.iterate(flow, scheme, [1.0, 1.0], step=2e-3, steps=6, save_every=4)
        assert compiled == []
        gf.iterate(flow, scheme, [1.0, 1.0], step=2e-3, steps=8, save_every=1)
        assert compiled
    finally:
        jax.monitoring.unregister_event_duration_listener(note)


# --- Splittings ------------------------------------------------------------------------------------------------------

BOWL = gf.landscapes.bowl()


def test_strang_without_friction_is_velocity_verlet():
    ball, h = gf.HeavyBall(gf.landscapes.beale(), mass=2.0, friction=0.0), 0.01
    run = gf.iterate(ball, gf.StrangSplitting("force", "transport"), [1.0, 1.0], step=h, steps=50)
    x, v, slope = np.array([1.0, 1.0]), np.zeros(2), eqx.filter_jit(ball.energy.grad)
    for k in range(50):
        v = v - h / 2 * np.asarray(slope(x)) / 2
        x = x + h * v
        v = v - h / 2 * np.asarray(slope(x)) / 2
        np.testing.assert_allclose(run.x[k + 1], x, rtol=1e-12)


def test_leapfrog_is_stable_up_to_two_over_the_frequency():
    found = gf.stability(gf.HeavyBall(gf.Mode(4.0), mass=1.0, friction=0.0), gf.StrangSplitting("force", "transport"))
    assert sympy.simplify(found.formula - 2 * sympy.sqrt(M / LAM)) == 0
    assert (found.limit, found.grade) == (1, "proved")
    matrix = gf.stability_function(gf.StrangSplitting("force", "transport"), gf.HeavyBall)
    assert sympy.simplify(matrix.det()) == 1  # it keeps areas
    assert sympy.simplify(matrix.trace() - (2 - H**2 * LAM / M)) == 0


def test_lie_without_friction_is_momentum_without_friction():
    ball = gf.HeavyBall(BOWL, mass=0.5, friction=0.0)
    lie = gf.iterate(ball, gf.LieSplitting("force", "transport"), [3.0, 1.0], step=0.1, steps=30)
    momentum = gf.iterate(ball, gf.MomentumEuler(), [3.0, 1.0], step=0.1, steps=30)
    np.testing.assert_allclose(lie.x, momentum.x, atol=1e-13)


def test_the_energy_of_leapfrog_does_not_drift():
    """Over 20,000 steps of a pendulum the error stays what it was at first, and it is of order h²."""
    pendulum = gf.HeavyBall(gf.energy(lambda x: jnp.sum(1 - jnp.cos(x))), mass=1.0, friction=0.0)
    largest = []
    for h in (0.2, 0.1):
        run = gf.iterate(pendulum, gf.StrangSplitting("force", "transport"), [2.0], step=h, steps=20_000)
        V = jax.jit(jax.vmap(lambda z: pendulum.lyapunov(0.0, z)))(run.state)
        error = np.abs(np.asarray(V - V[0]))
        assert error[-2000:].max() <= 1.01 * error[:2000].max()
        largest.append(error.max())
    assert math.log2(largest[0] / largest[1]) == pytest.approx(2, abs=0.1)


def test_strang_goes_back_where_it_came_from():
    ball = gf.HeavyBall(gf.landscapes.beale(), mass=2.0, friction=0.7)
    z = gf.Phase(jnp.array([1.0, 1.0]), jnp.array([0.5, -0.2]))
    there = gf.StrangSplitting().step(ball, 0.0, z, 0.05)
    back = gf.StrangSplitting().step(ball, 0.05, there, -0.05)
    assert float(jnp.abs(there.x - z.x).max()) > 1e-2
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-13), back, z)


class Fading(gf.GradientFlow):
    """One part of `Timed`: ẋ = −(1 + t)x."""

    def drift(self, t, z):
        return -(1 + t) * z

    def solution(self, t, z, h):
        return z * jnp.exp(-h - ((t + h) ** 2 - t**2) / 2)


class Pushed(gf.GradientFlow):
    """The other: ẋ = (1 + x) cos t."""

    def drift(self, t, z):
        return (1 + z) * jnp.cos(t)

    def solution(self, t, z, h):
        return (1 + z) * jnp.exp(jnp.sin(t + h) - jnp.sin(t)) - 1


class Timed(gf.GradientFlow):
    def lyapunov(self, t, z):
        return gf.Flow.lyapunov(self, t, z)

    def drift(self, t, z):
        return sum(part.drift(t, z) for part in self.parts.values())

    @property
    def parts(self):
        return {"fading": Fading(self.energy), "pushed": Pushed(self.energy)}


@pytest.mark.parametrize("scheme", [gf.LieSplitting(), gf.StrangSplitting(), gf.StrangSplitting("pushed", "fading")])
def test_parts_that_depend_on_time_have_clocks_of_their_own(scheme):
    flow, errors = Timed(gf.Quadratic([[1.0]])), []
    exact = float(gf.integrate(flow, [2.0], 1.0, rtol=1e-12, atol=1e-13).x[-1][0])
    for n in (20, 40):
        run = gf.iterate(flow, scheme, [2.0], step=1 / n, steps=n, save_every=n)
        errors.append(abs(float(run.x[-1][0]) - exact))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(scheme.order, abs=0.2)


def test_the_order_of_names_counts_and_a_missing_part_costs_the_order():
    ball, z = gf.HeavyBall(BOWL), gf.Phase(jnp.array([3.0, 1.0]), jnp.array([1.0, 1.0]))
    one = gf.LieSplitting("force", "friction", "transport").step(ball, 0.0, z, 0.1)
    other = gf.LieSplitting("transport", "friction", "force").step(ball, 0.0, z, 0.1)
    assert float(jnp.abs(one.x - other.x).max()) > 1e-2
    assert gf.order(gf.LieSplitting("force", "friction", "transport"), up_to=2, flow=gf.HeavyBall).order == 1
    assert gf.order(gf.LieSplitting("force", "transport"), up_to=2, flow=gf.HeavyBall).order == 0


def test_friction_solved_exactly_is_not_rational_and_says_so():
    with pytest.raises(gf.NotExactError, match=r"inertial.py:\d+, `.*exp.*`: not rational") as told:
        gf.stability_function(gf.StrangSplitting(), gf.HeavyBall)
    assert "\n" not in str(told.value)
    found = gf.stability(gf.HeavyBall(BOWL, friction=1.0), gf.StrangSplitting())
    assert found.grade == "measured"


def test_what_splittings_refuse():
    ball = gf.HeavyBall(BOWL)
    with pytest.raises(ValueError, match=r"Strang.*: unknown part 'forces'; did you mean 'force'\? Known: force, "):
        gf.iterate(ball, gf.StrangSplitting("forces"), [1.0, 1.0], step=0.1, steps=1)
    with pytest.raises(ValueError, match=r"unknown part 'kick'\. Known: force, friction, transport"):
        gf.iterate(ball, gf.LieSplitting("kick", "transport"), [1.0, 1.0], step=0.1, steps=1)
    with pytest.raises(ValueError, match="'force' is named twice"):
        gf.LieSplitting("force", "transport", "force")
    with pytest.raises(gf.UnansweredQuestionError, match="parts"):
        gf.iterate(gf.GradientFlow(BOWL), gf.LieSplitting(), [1.0, 1.0], step=0.1, steps=1)
    # Only what ships is offered, whatever other classes have been made meanwhile.
    with pytest.raises(gf.UnansweredQuestionError, match=r"schemes that fit: [^_]*$"):
        gf.iterate(ball, gf.ExactFlow(), [1.0, 1.0], step=0.1, steps=1)


# --- Chebyshev -------------------------------------------------------------------------------------------------------


def chebyshev(stages, damping, order):
    """R, and the exact stability interval 2w₀/w₁, from SymPy's own polynomials."""
    x = sympy.Symbol("x")
    T = sympy.chebyshevt(stages, x)
    w0 = 1 + sympy.Rational(damping.numerator, damping.denominator) / stages**2
    values = [sympy.diff(T, x, k).subs(x, w0) for k in range(3)]
    w1 = values[order - 1] / values[order]
    b = 1 / values[0] if order == 1 else values[2] / values[1] ** 2
    return 1 - b * values[0] + b * T.subs(x, w0 + w1 * Z), 2 * w0 / w1


CHEBYSHEV = [(gf.RungeKuttaChebyshev, s, e) for s in (1, 2, 3, 6) for e in (Fraction(0), TWENTIETH)]
CHEBYSHEV += [(gf.SecondOrderChebyshev, s, e) for s in (2, 3, 6) for e in (Fraction(0), Fraction(2, 13))]


@pytest.mark.parametrize(("cls", "stages", "damping"), part(CHEBYSHEV))
def test_chebyshev_stability_functions_and_intervals(cls, stages, damping):
    scheme = cls(stages, damping)
    R, interval = chebyshev(stages, damping, scheme.order)
    assert sympy.expand(gf.stability_function(scheme) - R) == 0
    found = gf.stability_intervals(scheme).real
    # An odd second-order R doesn't come back to one at −w₀, so that its interval is longer.
    assert found == interval if scheme.order == 1 or stages % 2 == 0 else found > interval
    of_flow = gf.stability(gf.GradientFlow(gf.Quadratic([[4.0]])), scheme)
    assert of_flow.limit == pytest.approx(float(found) / 4, rel=1e-14)
    assert of_flow.grade == "proved"


def test_the_intervals_grow_like_the_square_of_the_stages():
    assert gf.stability_intervals(gf.RungeKuttaChebyshev(7, 0)).real == 2 * 7**2
    for s in (4, 8):
        first = float(gf.stability_intervals(gf.RungeKuttaChebyshev(s)).real)
        assert first == pytest.approx((2 - 4 * 0.05 / 3) * s**2, rel=0.01)
        second = float(gf.stability_intervals(gf.SecondOrderChebyshev(s)).real)
        assert second == pytest.approx(2 / 3 * (s**2 - 1) * (1 - 2 / 15 * 2 / 13), rel=0.01)


def test_twenty_stages_are_read_exactly_and_run_without_loss():
    """R at rational points, by another route; and the running step there, which no expanded polynomial could give."""
    for scheme in (gf.RungeKuttaChebyshev(20), gf.SecondOrderChebyshev(20)):
        R, _ = chebyshev(20, scheme.damping, scheme.order)
        read = gf.stability_function(scheme)
        for z in (-1, -200, -249):
            value = read.subs(Z, z)
            assert value == R.subs(Z, z)
            run = scheme.step(gf.GradientFlow(gf.Mode(jnp.float64(-z))), 0.0, jnp.ones(()), jnp.ones(()))
            assert float(run) == pytest.approx(float(value), abs=1e-12)


def test_damping_keeps_the_inside_below_one():
    s = np.linspace(-120, -3, 4001)
    for damping, below in ((Fraction(0), 1.0), (TWENTIETH, 0.953)):
        scheme = gf.RungeKuttaChebyshev(8, damping)
        inside = s[s > -float(chebyshev(8, damping, 1)[1]) * 0.99]
        R = scheme.step(gf.GradientFlow(gf.Mode(-inside)), 0.0, np.ones_like(inside), 1.0)
        assert np.abs(R).max() == pytest.approx(below, abs=2e-3)


@pytest.mark.parametrize("scheme", [gf.RungeKuttaChebyshev(6), gf.SecondOrderChebyshev(6)])
def test_chebyshev_runs_up_to_its_limit_and_no_farther(scheme):
    flow = gf.GradientFlow(gf.LeastSquares([[4, 1], [1, 3]], [1, 2]))
    limit = gf.stability(flow, scheme).limit
    runs = [gf.iterate(flow, scheme, [4.0, -1.0], step=c * limit, steps=2000, save_every=2000) for c in (0.99, 1.01)]
    assert float(runs[0].grad_norm[-1]) < 1e-9
    assert runs[1].status == "diverged"


def test_an_equilibrium_stays_exactly():
    flow = gf.GradientFlow(gf.energy(lambda x: jnp.sum((x - 0.1) ** 2)))
    for scheme in (gf.RungeKuttaChebyshev(9), gf.SecondOrderChebyshev(9)):
        assert scheme.step(flow, 0.0, jnp.full(2, 0.1), 0.3).tolist() == [0.1, 0.1]


def test_a_float_damping_is_the_fraction_that_it_is():
    assert gf.RungeKuttaChebyshev(3, damping=0.25).damping == Fraction(1, 4)


BAD = {
    "no steps": (lambda: gf.AdamsBashforth(0), ValueError, "`steps` must be at least 1, got 0"),
    "too many": (lambda: gf.AdamsBashforth(6), ValueError, "`steps` must be at most 5, got 6"),
    "too far back": (lambda: BDF(4), ValueError, "BackwardDifferentiation: `steps` must be at most 3, got 4"),
    "a fraction": (lambda: gf.AdamsBashforth(2.5), TypeError, "`steps` must be an integer"),
    "no stages": (lambda: gf.RungeKuttaChebyshev(0), ValueError, "`stages` must be at least 1"),
    "one stage": (lambda: gf.SecondOrderChebyshev(1), ValueError, "`stages` must be at least 2"),
    "growth": (lambda: gf.RungeKuttaChebyshev(3, damping=-1), ValueError, "`damping` must be finite and not negative"),
    "no number": (lambda: gf.SecondOrderChebyshev(3, damping=math.nan), ValueError, "`damping` must be finite"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name):
    make, error, message = BAD[name]
    with pytest.raises(error, match=message):
        make()


def test_a_past_that_is_not_there_is_refused():
    """Backwards from rest the average of squares would be negative, and its root is NaN."""
    flow = gf.RMSpropFlow(gf.landscapes.bowl(), tau=1.0)
    with pytest.raises(ValueError, match="start later, from another run's `state`"):
        gf.iterate(flow, gf.AdamsBashforth(2), [3.0, 1.0], step=0.1, steps=2)
    later = gf.iterate(flow, gf.AdaptiveStep(), [3.0, 1.0], step=0.01, steps=100)
    run = gf.iterate(flow, gf.AdamsBashforth(2), None, state=later.state[-1], t0=1.0, step=0.01, steps=5)
    path = gf.integrate(flow, None, 1.05, state=later.state[-1], t0=1.0)
    np.testing.assert_allclose(run.x[-1], path.x[-1], atol=1e-4)
