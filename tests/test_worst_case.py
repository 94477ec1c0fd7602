"""Worst cases over classes of energies: certificates and refutations, against theory and an independent library."""

import dataclasses
import itertools
import math
import re
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradientflow as gf
from gradientflow.analysis import NotExactError
from gradientflow.analysis.worst_case import bound, rate, search, settling
from gradientflow.analysis.worst_case.semidefinite import solve

from .thorough import of_any_type, part, thorough

BOWL = gf.landscapes.bowl()
FLOW = gf.GradientFlow(BOWL)
SUM = gf.Composite(BOWL, gf.penalties.L1(1.0))


class Extrapolated(gf.Discretizer):
    """Nesterov's scheme with constant momentum: a user's own, with memory."""

    beta: object

    def init(self, flow, t, z, h):
        return z

    def step(self, flow, t, z, h, *, memory=None, **_):
        y = z + self.beta * (z - memory)
        return y + h * flow.drift(t, y), z


class HeavyBallOfPositions(gf.Discretizer):
    """Momentum in the optimizer's own words, on the gradient flow."""

    beta: object

    def init(self, flow, t, z, h):
        return z

    def step(self, flow, t, z, h, *, memory=None, **_):
        return z + self.beta * (z - memory) + h * flow.drift(t, z), z


class Shadow(gf.ForwardEuler):
    """Gradient descent, seen at a proximal point of its state."""

    def position(self, flow, z, h):
        return flow.resolvent(0.0, z, h)


class AdamsBashforth(gf.Discretizer):
    def init(self, flow, t, z, h):
        return flow.drift(t, z)

    def step(self, flow, t, z, h, *, memory=None, **_):
        slope = flow.drift(t, z)
        return z + h * (3 * slope - memory) / 2, slope


class Heun(gf.Discretizer):
    def step(self, flow, t, z, h, **_):
        k1 = flow.drift(t, z)
        k2 = flow.drift(t + h, z + h * k1)
        return z + h * (k1 + k2) / 2


def method(scheme, h, flow=FLOW):
    return gf.Method(flow, scheme, h)


def descent(lr):
    return gf.optimizers.gradient_descent(BOWL, lr)


def polyak(kappa):
    """The heavy ball tuned for quadratics with curvatures from 1 to κ."""
    root = math.sqrt(kappa)
    return gf.optimizers.momentum(BOWL, lr=4 / (root + 1) ** 2, beta=((root - 1) / (root + 1)) ** 2)


# ---- rates of the distance


@pytest.mark.parametrize("h", [Fraction(1, 20), Fraction(1, 10), Fraction(2, 11), Fraction(3, 16), Fraction(3, 10)])
def test_gradient_descent_contracts_as_on_the_worst_quadratic(h):
    found = gf.worst_case_rate(descent(h), mu=1, L=10)
    assert found.exact == max(abs(1 - h), abs(1 - 10 * h))
    assert found.grade is gf.Grade.PROVED
    assert found.check()
    assert found.rate >= found.exact


@pytest.mark.parametrize(("h", "mu"), [(Fraction(1), 1), (Fraction(3), Fraction(1, 2)), (Fraction(1, 8), 2)])
def test_the_proximal_point_contracts_without_a_bound_on_the_curvature(h, mu):
    found = gf.worst_case_rate(gf.optimizers.proximal_point(BOWL, h), mu=mu, L=math.inf)
    assert found.exact == 1 / (1 + h * mu)
    assert found.grade is gf.Grade.PROVED


def test_implicit_midpoint_contracts_as_on_the_worst_quadratic():
    found = gf.worst_case_rate(method(gf.ImplicitMidpoint(), Fraction(1, 2)), mu=1, L=10)
    assert found.exact == Fraction(3, 5)


def test_nesterov_is_slower_on_the_class_than_on_quadratics_but_faster_than_sectors_can_tell():
    root = math.sqrt(10)
    found = gf.worst_case_rate(method(Extrapolated((root - 1) / (root + 1)), 0.1), mu=1, L=10)
    assert found.quadratics == pytest.approx(1 - 1 / root, abs=1e-6)
    assert found.rate == pytest.approx(0.752, abs=5e-4)
    assert found.grade is gf.Grade.CERTIFIED
    assert found.check()


def test_rates_do_not_depend_on_units():
    base = gf.worst_case_rate(gf.optimizers.momentum(BOWL, 0.125, 0.25), 1, 10)
    for scale in (1e-6, 1e4):
        found = gf.worst_case_rate(gf.optimizers.momentum(BOWL, 0.125 / scale, 0.25), scale, 10 * scale)
        assert found.rate == pytest.approx(base.rate, abs=1e-6)


@pytest.mark.parametrize(("L", "lr"), [(1e6, 1e-7), (1.0001, 0.1)])
def test_slack_is_small_beside_what_is_left_to_converge(L, lr):
    """At κ = 10⁶ the rate is 1 − 10⁻⁶: what is given up must be small beside 10⁻⁶, and not beside 1."""
    found = gf.worst_case_rate(gf.optimizers.momentum(BOWL, lr, 0.9), 1, L)
    assert found.check()
    assert found.quadratics < found.rate <= found.quadratics + 1e-3 * (1 - found.quadratics)


@pytest.mark.parametrize("scheme", [Heun(), AdamsBashforth(), gf.RungeKutta("midpoint"), gf.RungeKutta("rk4")])
def test_no_rate_is_better_than_the_slowest_quadratic(scheme):
    found = gf.worst_case_rate(method(scheme, Fraction(1, 16)), mu=1, L=10)
    modes = gf.GradientFlow(gf.Quadratic(np.diag(np.linspace(1, 10, 19))))
    radius = gf.stability(modes, scheme).spectral_radius(1 / 16)
    assert found.check()
    assert found.rate >= radius * (1 - 1e-12)
    assert found.rate <= radius * (1 + 1e-6)


def test_a_lyapunov_function_falls_along_the_iterates_at_its_rate():
    found = gf.worst_case_rate(gf.optimizers.momentum(BOWL, Fraction(1, 8), Fraction(1, 4)), 1, 10)
    # A smooth energy in the class: its second derivative is between 1 and 10.
    energy = gf.energy(lambda x: jnp.sum(x**2 / 2 + 9 * (jnp.logaddexp(2 * x, -2 * x) - jnp.log(2)) / 4))
    run = gf.optimizers.momentum(energy, 0.125, 0.25).iterate([3.0, -0.4], steps=20)
    states = {"x": run.state.x, "v": run.state.v, "g": jax.jit(jax.vmap(energy.grad))(run.state.x)}
    value = sum(
        weight * (run.energy if isinstance(key, str) else jnp.sum(states[key[0]] * states[key[1]], axis=-1))
        for key, weight in found.lyapunov.items()
    )
    assert (value[1:] <= found.rate**2 * value[:-1] + 1e-15).all()
    assert (value > 0).all()


def test_the_best_constants_on_quadratics_are_the_known_ones():
    """κ = 10: Polyak's heavy ball (s−1)/(s+1), Nesterov's best 1 − 2/√(3κ+1); on all of the class both are slower."""
    root, tuned = math.sqrt(10), math.sqrt(31)
    heavy = gf.worst_case_rate(polyak(10), 1, 10)
    # At the double root the spectral radius is only known to half the digits.
    assert heavy.quadratics == pytest.approx((root - 1) / (root + 1), abs=1e-6)
    nesterov = gf.worst_case_rate(method(Extrapolated((tuned - 2) / (tuned + 2)), 4 / 31), 1, 10)
    assert nesterov.quadratics == pytest.approx(0.640789, abs=1e-6)
    assert heavy.rate > 0.8
    assert nesterov.rate > nesterov.quadratics + 0.01


def test_a_solver_that_does_not_converge_leaves_it_unknown_in_its_own_words(monkeypatch):
    def stuck(*arguments, **options):
        return dataclasses.replace(solve(*arguments, **options), is_solved=False, status="MaxIterations")

    for module in (rate, search, bound, settling):
        monkeypatch.setattr(module, "solve", stuck)
    found = gf.worst_case_rate(gf.optimizers.momentum(BOWL, 0.125, 0.25), 1, 10)
    claim = gf.settle(lambda run: run.E[0] - run.E[1], descent(1), 0, 1)
    for result in (found, gf.worst_case_bound(descent(1), 2, 0, 1), claim):
        assert result.grade is gf.Grade.UNKNOWN
        assert "MaxIterations" in result.reason
        assert not result.check()


# ---- flows


def test_the_gradient_flow_decays_at_mu():
    found = gf.worst_case_rate(FLOW, mu=Fraction(1, 3), L=10)
    assert found.exact == Fraction(1, 3)
    assert found.grade is gf.Grade.PROVED


@pytest.mark.parametrize(
    ("friction", "rate"),
    # In units of √μ, without a bound on the curvature: half of V's rate, 4/3 with the friction 2, √2 with 3/√2.
    [(2.0, 2 / 3), (3 / math.sqrt(2), 1 / math.sqrt(2))],
)
def test_the_heavy_ball_flow_decays_at_the_known_best_rates(friction, rate):
    found = gf.worst_case_rate(gf.HeavyBall(BOWL, 1.0, friction), mu=1, L=math.inf)
    assert found.rate == pytest.approx(rate, abs=1e-6)
    assert found.rate <= rate + 1e-12
    assert found.check()


class Sheared(gf.Flow):
    """A user's own second-order flow, whose damping is partly by the gradient: ẋ = v − ∇E, v̇ = −2v − ∇E."""

    energy: gf.Energy

    def init(self, x):
        return gf.Phase(x, 0 * x)

    def position(self, z):
        return z.x

    def drift(self, t, z):
        slope = self.gradient(z.x)
        return gf.Phase(z.v - slope, -2 * z.v - slope)


def test_a_users_flow_gets_a_lyapunov_function():
    found = gf.worst_case_rate(Sheared(BOWL), 1, 10)
    assert found.check()
    eigenvalues = [np.linalg.eigvals([[-lam, 1], [-lam, -2]]).real.max() for lam in np.linspace(1, 10, 50)]
    assert 0 < found.rate <= -max(eigenvalues) + 1e-9
    path = gf.integrate(Sheared(gf.energy(lambda x: 5 * jnp.sum(x**2))), [1.0, -2.0], 3.0)
    states = {"x": path.state.x, "v": path.state.v}
    squares = {key: w for key, w in found.lyapunov.items() if isinstance(key, tuple)}
    value = found.lyapunov["E_1"] * path.energy
    value = value + sum(w * jnp.sum(states[a] * states[b], axis=-1) for (a, b), w in squares.items())
    assert (value <= value[0] * jnp.exp(-2 * found.rate * path.t) * (1 + 1e-6)).all()


def test_a_curvature_bound_only_helps_the_flow():
    rates = [gf.worst_case_rate(gf.HeavyBall(BOWL, 1.0, 2.0), 1, L).rate for L in (2, 10, 1e4, math.inf)]
    assert rates == sorted(rates, reverse=True)


def test_a_flow_that_does_not_decay_is_unknown_and_says_so():
    found = gf.worst_case_rate(gf.HeavyBall(BOWL, 1.0, 0.0), 1, 10)
    assert found.grade is gf.Grade.UNKNOWN
    assert math.isnan(found.rate)
    assert not found.check()
    assert "does not decay" in found.reason


# ---- bounds after N steps


@pytest.mark.parametrize(("steps", "bound"), [(1, Fraction(1, 6)), (5, Fraction(1, 22)), (10, Fraction(1, 42))])
def test_gradient_descent_on_convex_energies_is_as_drori_and_teboulle_say(steps, bound):
    found = gf.worst_case_bound(descent(1), steps, mu=0, L=1)
    assert found.exact == bound
    assert found.grade is gf.Grade.PROVED
    assert found.check()


def test_the_bound_scales_with_the_units():
    found = gf.worst_case_bound(descent(Fraction(1, 6)), 4, mu=0, L=3)
    assert found.exact == Fraction(3) / (4 * 4 * Fraction(1, 2) + 2)


def test_the_bound_is_attained_on_a_huber_energy():
    steps, L = 5, 1.0
    bound = gf.worst_case_bound(descent(1), steps, mu=0, L=1).value
    width = 1 / (2 * steps + 1)
    huber = gf.energy(lambda x: jnp.where(jnp.abs(x) < width, L * x**2 / 2, L * width * (jnp.abs(x) - width / 2)))
    run = gf.optimizers.gradient_descent(huber, 1.0).iterate(1.0, steps=steps)
    assert float(run.energy[-1]) == pytest.approx(bound, abs=1e-12)


@pytest.mark.parametrize("steps", [1, 4])
def test_the_proximal_point_on_convex_energies(steps):
    found = gf.worst_case_bound(gf.optimizers.proximal_point(BOWL, Fraction(3, 2)), steps, mu=0, L=math.inf)
    assert found.exact == 1 / (4 * steps * Fraction(3, 2))


@pytest.mark.parametrize("steps", [1, 3])
def test_the_best_gradient_of_smooth_energies_that_are_not_convex(steps):
    """With h = 1/L a step gains ½‖g_k‖² + ¼‖g_{k+1}‖² at least, and from x_N on there is ½‖g_N‖² to gain."""
    found = gf.worst_case_bound(descent(1), steps, mu=-1, L=1, final="gradient", initial="gap", at="best")
    assert found.exact == Fraction(4, 3 * steps + 2)
    assert found.grade is gf.Grade.PROVED
    assert found.check()
    assert rf"(\|g_{{{steps}}}\|^2 - m)" in found.latex()
    assert not dataclasses.replace(found, at="last").check()


def test_the_best_iterate_of_descent_is_the_last_and_the_mean_is_not():
    last, best, mean = (gf.worst_case_bound(descent(1), 4, mu=0, L=1, at=at) for at in ("last", "best", "average"))
    assert best.exact == last.exact == Fraction(1, 18)
    assert mean.exact == Fraction(1, 10)
    assert mean.worst().ratio == pytest.approx(0.1, rel=1e-6)
    assert best.worst().ratio == pytest.approx(1 / 18, rel=1e-6)


def test_a_schedule_of_steps_is_read_step_by_step():
    """Of one step 1/(4h + 2); units and the order of the steps count; and on the class the run is as bad as told."""
    steps = jnp.array([1.0, 1.5, 0.5])
    scheduled = gf.worst_case_bound(descent(lambda k: steps[k]), 3, mu=0, L=1)
    assert scheduled.exact is not None
    assert scheduled.check()
    assert scheduled.worst().ratio == pytest.approx(scheduled.value, rel=1e-6)
    alone = gf.worst_case_bound(descent(lambda k: steps[1 + k]), 1, mu=0, L=1)
    assert alone.exact == Fraction(1, 8)
    constant = gf.worst_case_bound(descent(lambda k: 0.375 + 0.0 * k), 2, mu=0, L=1)
    assert constant.exact == 1 / (4 * 2 * Fraction(3, 8) + 2)


def test_a_schedule_is_taken_as_it_runs():
    lying = descent(lambda k: 1.0 if isinstance(k, int) else 1.5 + 0.0 * k)
    assert gf.worst_case_bound(lying, 1, mu=0, L=1).exact == Fraction(1, 8)
    with pytest.raises(NotExactError, match="does not run on arrays"):
        gf.worst_case_bound(descent(lambda k: 1.0 if k < 2 else 0.5), 3, mu=0, L=1)
    with pytest.raises(ValueError, match=r"finite and positive, got 0\.0 at k = 1"):
        gf.worst_case_bound(descent(lambda k: 1.0 - k), 3, mu=0, L=1)


def test_a_claim_is_settled_along_a_run_whose_friction_falls():
    """t_{k+1}²(E_k − E*) + … ≤ ‖x₀ − x*‖²/2 of Nesterov's method; of one step it is gradient descent's sixth."""
    nesterov = gf.Method(gf.NesterovFlow(BOWL), gf.NesterovScheme(), 1)
    held = gf.settle(lambda run: run.x[0] * run.x[0] / 10 - run.E[2], nesterov, 0, 1, steps=2)
    assert held.grade is gf.Grade.PROVED
    refuted = gf.settle(lambda run: run.x[0] * run.x[0] / 12 - run.E[2], nesterov, 0, 1, steps=2)
    assert refuted.grade is gf.Grade.REFUTED
    with pytest.raises(NotExactError):
        gf.worst_case_rate(nesterov, 1, 10)


# ---- against an independent library


def _multipliers(bound):
    (multipliers,), (condition,) = bound.certificate.multipliers, bound.certificate.conditions
    return {name: m for name, m in zip(condition.inequalities.names, multipliers, strict=True) if m}


def test_the_proof_that_is_found_is_the_one_of_the_textbooks():
    """Of N steps of 1/L from rest: each point is connected with the minimizer and the next one, and with no other."""
    N = 5
    found = _multipliers(gf.worst_case_bound(descent(1), N, 0, 1))
    onwards = {f"I_{{{k},{k + 1}}}": Fraction(k + 1, 2 * N - k) for k in range(N)}
    assert {name: m for name, m in found.items() if "*" not in name} == onwards
    # The values have to cancel: what flows into a point, flows out of it.
    steps = [Fraction(0), *onwards.values(), Fraction(1)]
    assert {name: m for name, m in found.items() if "*" in name} == {
        f"I_{{*,{k}}}": steps[k + 1] - steps[k] for k in range(N + 1)
    }


def test_a_proof_about_averages_is_jensens_inequality():
    """Each of N + 1 points is connected with the minimizer, and with their mean x̄ by convexity, by the same weight."""
    N = 4
    found = _multipliers(gf.worst_case_bound(descent(1), N, 0, 1, at="average"))
    assert len(found) == 2 * N + 1
    assert set(found.values()) == {Fraction(1, N + 1)}


@pytest.mark.parametrize("m", [Fraction(1, 10), Fraction(1, 2)])
def test_polyak_and_lojasiewicz_suffice_for_a_rate(m):
    """One step of 1/L: (2L − 2m)/(2L + m) of the gap (Abbaszadehpeivasti, de Klerk & Zamani 2023, theorem 3)."""
    found = gf.worst_case_bound(
        descent(Fraction(1, 3)), 1, -3, 3, initial="gap", assuming={"polyak_lojasiewicz": 3 * m}
    )
    assert (found.exact, found.grade) == ((2 - 2 * m) / (2 + m), gf.Grade.PROVED)
    assert found.check()
    less = dataclasses.replace(found.problem, assuming=())
    assert not dataclasses.replace(found, problem=less).check()


# Each on the energies that have it with m = 1/5, L = 1, in one dimension: their worst ratio of a step is no more.
WAVY = [lambda x, a=a: 0.1 * x**2 + a * (1 - jnp.cos(x)) * jnp.exp(-(x**2) / 8) for a in (0.1, 0.2, 0.3)]


@pytest.mark.parametrize(
    "name", ["polyak_lojasiewicz", "quadratic_growth", "restricted_secant", "quasi_strong", "error_bound"]
)
def test_what_is_bounded_under_a_condition_holds_on_energies_that_have_it(name):
    grid = jnp.linspace(-6, 6, 2001)
    tried = 0
    for function in WAVY:
        E, g, h = (np.asarray(jax.vmap(f)(grid)) for f in (function, jax.grad(function), jax.grad(jax.grad(function))))
        x, L = np.asarray(grid), float(np.abs(h).max())
        away = np.abs(x) > 1e-3
        x, E, g = x[away], E[away], g[away]
        m = {
            "polyak_lojasiewicz": (g**2 / (2 * E)).min(), "quadratic_growth": (2 * E / x**2).min(),
            "restricted_secant": (g * x / x**2).min(), "quasi_strong": (2 * (g * x - E) / x**2).min(),
            "error_bound": (np.abs(g) / np.abs(x)).min(),
        }[name]  # fmt: skip
        if m <= 1e-3:
            continue
        tried += 1
        for final in ("gap", "distance"):
            found = gf.worst_case_bound(descent(1 / L), 1, -L, L, final, final, assuming={name: float(m)})
            after = x - g / L
            ratio = jax.vmap(function)(jnp.asarray(after)) / E if final == "gap" else (after / x) ** 2
            assert found.check()
            assert ratio.max() <= found.value * (1 + 1e-9)
    assert tried >= 2


def _pepit(steps, mu, L, final, run):
    """The worst case of `run`, which takes PEPit's function and x₀ and returns x_N, by PEPit's own program."""
    PEPit = pytest.importorskip("PEPit")
    functions = pytest.importorskip("PEPit.functions")
    problem = PEPit.PEP()
    if math.isinf(L):
        function = problem.declare_function(functions.ConvexFunction)
    elif mu == 0:
        function = problem.declare_function(functions.SmoothConvexFunction, L=L)
    else:
        function = problem.declare_function(functions.SmoothStronglyConvexFunction, mu=mu, L=L)
    best = function.stationary_point()
    start = problem.set_initial_point()
    problem.set_initial_condition((start - best) ** 2 <= 1)
    x = run(function, start, steps)
    problem.set_performance_metric(
        {"gap": lambda: function(x) - function(best), "distance": lambda: (x - best) ** 2,
         "gradient": lambda: function.gradient(x) ** 2}[final]()
    )  # fmt: skip
    return problem.solve(verbose=0, solver="CLARABEL")


def _explicit(h):
    def run(function, x, steps):
        for _ in range(steps):
            x = x - h * function.gradient(x)
        return x

    return run


def _implicit(h):
    def run(function, x, steps):
        from PEPit.primitive_steps import proximal_step

        for _ in range(steps):
            x, _, _ = proximal_step(x, function, h)
        return x

    return run


def _heavy(h, beta):
    def run(function, x, steps):
        before = x
        for _ in range(steps):
            x, before = x + beta * (x - before) - h * function.gradient(x), x
        return x

    return run


def _extrapolated(h, beta):
    def run(function, x, steps):
        before = x
        for _ in range(steps):
            y = x + beta * (x - before)
            x, before = y - h * function.gradient(y), x
        return x

    return run


def _nesterov(h):
    """The textbook's sequence with (k − 1)/(k + 2) two steps on, as the flow's friction 3/t gives it."""

    def run(function, x, steps):
        y = x
        for k in range(steps):
            x, before = y - h * function.gradient(y), x
            y = x + (k + 2) / (k + 5) * (x - before)
        return x

    return run


def _scheduled(lengths):
    def run(function, x, steps):
        for k in range(steps):
            x = x - lengths[k] * function.gradient(x)
        return x

    return run


def _heun(h):
    def run(function, x, steps):
        for _ in range(steps):
            k1 = function.gradient(x)
            x = x - h / 2 * (k1 + function.gradient(x - h * k1))
        return x

    return run


def _adams(h):
    def run(function, x, steps):
        before = function.gradient(x)
        for _ in range(steps):
            slope = function.gradient(x)
            x, before = x - h / 2 * (3 * slope - before), slope
        return x

    return run


LENGTHS = jnp.array([1.0, 1.75, 0.5])
NESTEROV = gf.Method(gf.NesterovFlow(BOWL), gf.NesterovScheme(), 1)
PAIRS = {
    "a schedule, gap": (descent(lambda k: LENGTHS[k]), _scheduled(LENGTHS.tolist()), 3, 0, 1, "gap"),
    "a schedule, gradient": (descent(lambda k: LENGTHS[k]), _scheduled(LENGTHS.tolist()), 2, 0, 1, "gradient"),
    "Nesterov, gap": (NESTEROV, _nesterov(1.0), 4, 0, 1, "gap"),
    "Nesterov, gradient": (NESTEROV, _nesterov(1.0), 3, 0, 1, "gradient"),
    "descent, convex": (descent(0.75), _explicit(0.75), 3, 0, 1, "gap"),
    "descent, too long a step": (descent(1.75), _explicit(1.75), 2, 0, 1, "gap"),
    "descent, strongly convex, distance": (descent(0.125), _explicit(0.125), 3, 1, 10, "distance"),
    "descent, gradient": (descent(1), _explicit(1), 3, 0, 1, "gradient"),
    "proximal point, gap": (gf.optimizers.proximal_point(BOWL, 2.0), _implicit(2.0), 3, 0, math.inf, "gap"),
    "proximal point, distance": (gf.optimizers.proximal_point(BOWL, 0.5), _implicit(0.5), 2, 1, 10, "distance"),
    "momentum, convex": (gf.optimizers.momentum(BOWL, 0.75, 0.5), _heavy(0.75, 0.5), 3, 0, 1, "gap"),
    "momentum, distance": (gf.optimizers.momentum(BOWL, 0.125, 0.25), _heavy(0.125, 0.25), 3, 1, 10, "distance"),
    "extrapolated, convex": (method(Extrapolated(0.5), 1.0), _extrapolated(1.0, 0.5), 3, 0, 1, "gap"),
    "extrapolated, distance": (method(Extrapolated(0.5), 0.125), _extrapolated(0.125, 0.5), 3, 1, 8, "distance"),
    "Heun, gap": (method(Heun(), 1.5), _heun(1.5), 2, 0, 1, "gap"),
    "Heun, distance": (method(Heun(), 0.25), _heun(0.25), 2, 1, 8, "distance"),
    "Adams–Bashforth": (method(AdamsBashforth(), 0.5), _adams(0.5), 3, 0, 1, "gap"),
}


@pytest.mark.parametrize("name", PAIRS)
def test_bounds_agree_with_an_independent_library(name):
    ours, theirs, steps, mu, L, final = PAIRS[name]
    found = gf.worst_case_bound(ours, steps, mu, L, final=final)
    assert found.grade in (gf.Grade.PROVED, gf.Grade.CERTIFIED)
    assert found.check()
    assert found.value == pytest.approx(_pepit(steps, mu, L, final, theirs), rel=1e-5)


# ---- what makes a certificate one


def test_a_certificate_does_not_prove_more_than_it_does():
    found = gf.worst_case_rate(descent(Fraction(1, 10)), 1, 10)
    better = dataclasses.replace(found, exact=found.exact - Fraction(1, 10**9))
    assert found.check()
    assert not better.check()
    of_momentum = gf.worst_case_rate(gf.optimizers.momentum(BOWL, 0.125, 0.25), 1, 10)
    faster = dataclasses.replace(of_momentum, exact=of_momentum.exact * Fraction(999, 1000))
    assert not faster.check()
    bound = gf.worst_case_bound(descent(1), 3, 0, 1)
    assert not dataclasses.replace(bound, exact=bound.exact * Fraction(999, 1000)).check()


CHECKED = {
    "rate": lambda: gf.worst_case_rate(descent(Fraction(1, 10)), 1, 10),
    "bound": lambda: gf.worst_case_bound(descent(1), 2, 0, 1),
    "claim": lambda: gf.analysis.settle(lambda q: q.E[0] - q.E[1], descent(1), 0, 1),
    "cycle": lambda: gf.find_cycle(gf.optimizers.momentum(BOWL, 4 / 36, 4 / 9), 1, 25),
}
# A field, and what nobody may take for it; what is only told of a proof is not looked at.
WRONG = (None, "x", 3.0, -1, ())
ONLY_TOLD = {"reason", "quadratics", "curvature", "conditions", "state", "points", "excess", "counterexample"}


@of_any_type
@pytest.mark.parametrize("name", CHECKED)
def test_what_is_no_field_of_a_proof_proves_nothing(name):
    found = CHECKED[name]()
    assert found.check()
    for field in dataclasses.fields(found):
        for wrong in WRONG:
            if field.name not in ONLY_TOLD and not (wrong is None and getattr(found, field.name) is None):
                assert dataclasses.replace(found, **{field.name: wrong}).check() is False, (field.name, wrong)
    for field in ("weights", "multipliers") if getattr(found, "certificate", None) is not None else ():
        for wrong in (each for each in WRONG if each != getattr(found.certificate, field)):
            other = dataclasses.replace(found.certificate, **{field: wrong})
            assert other.check() is False, (field, wrong)
            assert dataclasses.replace(found, certificate=other).check() is False, (field, wrong)


def test_a_proof_that_meets_a_float_raises():
    found = gf.worst_case_rate(descent(Fraction(1, 10)), 1, 10)
    condition = found.certificate.conditions[0]
    inexact = dataclasses.replace(condition, constant=tuple(part.astype(float) for part in condition.constant))
    with pytest.raises(TypeError, match="a float is rounded"):
        dataclasses.replace(found.certificate, conditions=(inexact,)).check()


def test_a_negative_multiplier_proves_nothing():
    certificate = gf.worst_case_rate(descent(Fraction(1, 10)), 1, 10).certificate
    negative = tuple(-m for m in certificate.multipliers[0])
    assert not dataclasses.replace(certificate, multipliers=(negative,)).check()


def test_the_proof_reads_as_a_formula():
    assert r"\rho = \tfrac{9}{11}" in gf.worst_case_rate(descent(Fraction(2, 11)), 1, 10).latex()
    bound = gf.worst_case_bound(descent(1), 1, 0, 1).latex()
    assert r"\tau = \tfrac{1}{6}" in bound
    assert r"\tau\,\|x_{0} - x^*\|^2 - (E_{1} - E^*) = " in bound
    flow = gf.worst_case_rate(gf.HeavyBall(BOWL, 1.0, 3.0), 1, 10)
    assert r"-\dot V - 2r V" in flow.latex()
    with pytest.raises(ValueError, match="no certificate"):
        gf.worst_case_rate(gf.HeavyBall(BOWL, 1.0, 0.0), 1, 10).latex()


def test_a_proof_with_long_fractions_says_that_it_is_rounded_or_writes_them_out():
    found = gf.worst_case_rate(gf.HeavyBall(BOWL, 1.0, 3.0), 1, 10)
    rounded, whole = found.latex(), found.latex(math.inf)
    assert r"-\dot V - 2r V \approx " in rounded
    assert r"-\dot V - 2r V = " in whole
    assert not re.search(r"\d\.\d|\\cdot 10", whole)
    assert rf"r = \tfrac{{{found.exact.numerator}}}{{{found.exact.denominator}}}" in whole
    exact = gf.worst_case_bound(descent(1), 1, 0, 1)
    assert r"\approx" not in exact.latex()
    assert exact.latex() == exact.latex(math.inf)


def test_the_formula_of_a_bound_is_true_on_an_energy():
    """2/3·… : the identity of one gradient step, evaluated on a quadratic, in units where nothing is 1."""
    h, L = Fraction(1, 4), 3
    found = gf.worst_case_bound(descent(h), 1, 0, L)
    condition, multipliers = found.certificate.conditions[0], found.certificate.multipliers[0]
    lam, x0 = 2.0, 1.5
    x1 = x0 - float(h) * lam * x0
    # In the certificate's units: gradients and energies divided by L.
    vector = np.array([x0, lam * x0 / L, lam * x1 / L])
    gaps = np.array([lam * x0**2 / 2, lam * x1**2 / 2]) / L
    known = condition.inequalities
    inequalities = [
        vector @ form.astype(float) @ vector + v.astype(float) @ gaps
        for form, v in zip(known.forms, known.values, strict=True)
    ]
    rest = vector @ condition.remainder(found.certificate.weights, multipliers).astype(float) @ vector
    total = sum(float(m) * i for m, i in zip(multipliers, inequalities, strict=True)) + rest
    assert min(inequalities) >= -1e-15
    assert total == pytest.approx((found.value * x0**2 - lam * x1**2 / 2) / L, abs=1e-12)


# ---- refutations


def test_polyaks_heavy_ball_cycles_where_lessard_recht_and_packard_found_it_to():
    assert gf.find_cycle(polyak(10), 1, 10) is None
    cycle = gf.find_cycle(polyak(25), mu=1, L=25)
    assert cycle.period == 3
    assert cycle.check()
    run = cycle.run(3000)
    np.testing.assert_allclose(np.linalg.norm(run, axis=-1), 1, atol=1e-9)
    np.testing.assert_allclose(run[:3], cycle.points, atol=1e-12)
    # On quadratics of the same class it is stable: that is why it was tuned so.
    assert gf.worst_case_rate(polyak(25), 1, 25).quadratics < 1


def test_a_rate_of_one_or_more_is_said_to_promise_nothing():
    """Polyak's parameters for 1 ≤ λ ≤ 25, with which it cycles."""
    found = gf.worst_case_rate(gf.optimizers.momentum(gf.landscapes.bowl(), lr=4 / 36, beta=4 / 9), mu=1, L=25)
    assert found.rate > 1
    assert "no convergence is promised" in repr(found)


def test_the_cycle_is_on_an_energy_of_the_class():
    cycle = gf.find_cycle(polyak(100), mu=1, L=100)
    x = jax.random.normal(jax.random.key(0), (200, 2))
    y = jax.random.normal(jax.random.key(1), (200, 2))
    gradient = jax.jit(jax.vmap(cycle.energy.grad))
    np.testing.assert_allclose(gradient(x), jax.jit(jax.vmap(jax.grad(cycle.energy.value)))(x), atol=1e-9)
    change, apart = gradient(x) - gradient(y), x - y
    product, square = jnp.sum(change * apart, axis=-1), jnp.sum(apart**2, axis=-1)
    assert (product >= (1 - 1e-12) * square).all()
    assert (jnp.sum(change**2, axis=-1) <= 100 * product * (1 + 1e-12)).all()


def test_the_method_itself_runs_on_the_energy_that_was_found():
    cycle = gf.find_cycle(polyak(25), mu=1, L=25)
    state = gf.Phase(*map(jnp.asarray, cycle.state))
    run = gf.iterate(cycle.method.flow, cycle.method.discretizer, None, step=cycle.method.step, steps=300, state=state)
    assert float(jnp.linalg.norm(run.x[-1])) == pytest.approx(1, abs=1e-9)


def test_a_scheme_with_memory_is_walked_round_its_cycle_too():
    cycle = gf.find_cycle(method(HeavyBallOfPositions(4 / 9), 1 / 9), 1, 25)
    assert cycle.period == 3
    np.testing.assert_allclose(cycle.run(300)[-3:], cycle.points[[1, 2, 0]], atol=1e-9)


@pytest.mark.parametrize(("lr", "beta"), part(itertools.product([0.3, 1.2, 2.2, 3.1], [0.35, 0.6, 0.85])))
def test_heavy_ball_cycles_exist_where_goujaud_taylor_and_dieuleveut_say(lr, beta):
    """Their condition for a regular K-gon, theorem 3.5, with γ = lr, κ = μ/L and θ = 2π/K, here for μ = 1/10, L = 1."""
    mu = 0.1

    def theirs(period):
        cosine = math.cos(2 * math.pi / period)
        first = (mu * lr) ** 2 - 2 * (beta - cosine + mu * (1 - beta * cosine)) * mu * lr
        return first + 2 * mu * (1 - cosine) * (1 + beta**2 - 2 * beta * cosine)

    cycle = gf.find_cycle(gf.optimizers.momentum(BOWL, lr, beta), mu, 1)
    if any(theirs(period) < -1e-9 for period in range(3, 61)):
        assert cycle is not None
    if cycle is not None and cycle.turns == 1 and cycle.period > 2:
        assert theirs(cycle.period) < 0


def test_a_map_is_proved_where_it_converges_and_refuted_where_it_does_not():
    found = gf.convergence_map(gf.optimizers.momentum, 1, 10, lr=np.linspace(0.02, 0.38, 7), beta=[0.1, 0.5, 0.9])
    quadratic = gf.stability_map(
        gf.optimizers.momentum, np.linspace(1, 10, 40), lr=found.horizontal, beta=found.vertical
    )
    assert (quadratic.radius[found.grades == gf.Grade.PROVED] < 1).all()
    assert (quadratic.radius[found.periods == 1] > 1).all()
    # The part that quadratics alone don't show: stable on each of them, and yet there is a cycle.
    assert ((quadratic.radius < 1) & (found.periods > 2)).any()
    assert found.table().shape == (3, 7)
    assert "proved" in repr(found)


# ---- the worst energy, and claims of one's own


@pytest.mark.parametrize("name", part(["momentum, distance", "descent, convex", "proximal point, distance"], 3))
def test_bounds_are_attained_on_an_energy_that_runs(name):
    ours, _, steps, mu, L, final = PAIRS[name]
    found = gf.worst_case_bound(ours, steps, mu, L, final=final)
    assert found.worst().ratio == pytest.approx(found.value, rel=1e-5)


def test_the_worst_energy_is_in_the_class():
    energy = gf.worst_case_bound(gf.optimizers.momentum(BOWL, 0.125, 0.25), 2, 1, 10).worst().method.flow.energy
    x = jax.random.normal(jax.random.key(0), (100, energy.centers.shape[1]))
    y = x + 0.3 * jax.random.normal(jax.random.key(1), x.shape)
    gradient = jax.jit(jax.vmap(energy.grad))
    change, apart = gradient(x) - gradient(y), x - y
    product = jnp.sum(change * apart, axis=-1)
    assert (product >= jnp.sum(apart**2, axis=-1) - 1e-9).all()
    assert (jnp.sum(change**2, axis=-1) <= 10 * product + 1e-9).all()
    np.testing.assert_allclose(gradient(x), jax.jit(jax.vmap(jax.grad(energy.value)))(x), atol=1e-8)


def _descent_lemma(a, L):
    return lambda run: run.E[0] - run.E[1] - a * (1 - a * L / 2) * run.g[0] * run.g[0]


@pytest.mark.parametrize("a", part([Fraction(1, 6), Fraction(1, 3), Fraction(1, 2), Fraction(5, 8)]))
def test_the_descent_lemma_is_proved_on_smooth_energies_that_are_not_convex(a):
    found = gf.settle(_descent_lemma(a, 3), descent(a), mu=-3, L=3)
    assert found.grade is gf.Grade.PROVED
    assert found.check()


def test_more_than_the_descent_lemma_is_refuted_by_an_energy_that_runs():
    a, L = Fraction(1, 3), 3
    found = gf.settle(lambda run: run.E[0] - run.E[1] - Fraction(1, 5) * run.g[0] * run.g[0], descent(a), -L, L)
    assert found.grade is gf.Grade.REFUTED
    example = found.counterexample
    asked = jax.jit(jax.value_and_grad(example.energy.value))
    before, slope = asked(np.asarray(example.x0))
    after, _ = asked(np.asarray(example.x0) - float(a) * np.asarray(slope))
    assert float(before - after) < 0.2 * float(np.sum(np.asarray(slope) ** 2))
    assert found.check()


@pytest.mark.parametrize(
    ("h", "mu", "grade"),
    [(2, 0, "proved"), pytest.param(Fraction(21, 10), 0, "refuted", marks=thorough), (1, -1, "refuted")],
)
def test_distances_never_grow_up_to_two_over_L_but_on_convex_energies_only(h, mu, grade):
    found = gf.settle(lambda run: run.x[0] * run.x[0] - run.x[1] * run.x[1], descent(h), mu, 1)
    assert found.grade == grade
    assert found.check()


def test_the_energy_may_rise_under_momentum():
    method = gf.optimizers.momentum(BOWL, Fraction(1, 2), Fraction(3, 4))
    claims = [gf.settle(lambda run, k=k: run.E[k] - run.E[k + 1], method, 0, 1, steps=k + 1).grade for k in (0, 3)]
    assert claims == [gf.Grade.PROVED, gf.Grade.REFUTED]


@pytest.mark.parametrize(
    ("claim", "words"),
    [
        (lambda run: run.E[0] * run.E[1], "must combine energies and products of two vectors"),
        (lambda run: run.x[0] + run.g[0], "must combine energies"),
        (lambda run: 1, "must combine energies"),
        (lambda run: run.E[0] - run.E[2], "beyond `steps` = 1"),
    ],
)
def test_claims_of_another_kind_are_told(claim, words):
    with pytest.raises(ValueError, match=words):
        gf.settle(claim, descent(1), 0, 1)


def test_a_claim_with_a_rounded_number_is_refused():
    with pytest.raises(NotExactError, match="rounded"):
        gf.settle(lambda run: 0.1 * run.E[0] - run.E[1], descent(1), 0, 1)


# ---- one scheme, five readings


def test_a_users_scheme_has_all_five_readings():
    energy = gf.Quadratic(jnp.diag(jnp.array([1.0, 10.0])))
    mine = gf.Method(gf.GradientFlow(energy), Heun(), 0.125)
    assert float(mine.iterate([1.0, 1.0], steps=200).energy[-1]) < 1e-12
    assert gf.stability(mine).limit == pytest.approx(0.2)
    assert gf.order(Heun()).order == 2
    rate = gf.worst_case_rate(mine, 1, 10)
    assert rate.check()
    assert rate.rate < 1
    jacobian = jax.jit(jax.jacobian(lambda z: Heun().step(mine.flow, 0.0, z, 0.125)))(jnp.zeros(2))
    assert np.abs(np.linalg.eigvals(jacobian)).max() <= rate.rate


# ---- what a review broke


@pytest.mark.parametrize(
    "mu", part([Fraction(100_000, 100_001), Fraction(10, 11), Fraction(1, 1000), Fraction(1, 10**6)])
)
@pytest.mark.parametrize("of", ["x", "g", "E"])
def test_tight_contractions_are_proved_or_open_but_never_refuted(mu, of):
    h = Fraction(1, 3)
    rate = (1 - h * mu) ** 2

    def claim(run):
        quantity = getattr(run, of)
        squares = quantity if of == "E" else [vector * vector for vector in quantity]
        return rate * squares[0] - squares[1]

    found = gf.settle(claim, descent(h), mu, 1)
    # Where μ is very near L, or very far from it, a tight claim may stay open; it is never refuted.
    ordinary = Fraction(1, 10**4) < mu < 1 - Fraction(1, 10**4)
    assert found.grade is gf.Grade.PROVED or (not ordinary and found.grade is gf.Grade.UNKNOWN)
    assert found.check() == (found.grade is gf.Grade.PROVED)


def test_a_claims_check_is_about_the_claim():
    true = gf.settle(_descent_lemma(Fraction(1, 3), 3), descent(Fraction(1, 3)), mu=-3, L=3)
    false = dataclasses.replace(true, claim=lambda run: run.E[0] - run.E[1] - run.g[0] * run.g[0])
    assert true.check()
    assert not false.check()
    assert gf.settle(lambda run: run.E[0] - run.E[0], descent(1), 0, 1).grade is gf.Grade.PROVED


class Burdened(gf.Discretizer):
    """Gradient descent that carries along what it never uses, and what never leaves zero."""

    def init(self, flow, t, z, h):
        return 0 * z, 0 * z

    def step(self, flow, t, z, h, *, memory=None, **_):
        unseen, unreached = memory
        slope = flow.drift(t, z)
        return z + h * slope + unreached, (unseen + slope, 2 * unreached)


def test_memory_that_nothing_depends_on_does_not_count():
    found = gf.worst_case_rate(method(Burdened(), Fraction(1, 10)), 1, 10)
    assert found.exact == Fraction(9, 10)
    assert found.quadratics == pytest.approx(0.9)

    def make(E, a, b):
        return gf.Method(gf.GradientFlow(E), Burdened(), a + 0 * b)

    grid = gf.convergence_map(make, 1, 10, a=[0.1], b=[1])
    assert grid.grades.tolist() == [[gf.Grade.PROVED]]


def test_checks_refuse_what_has_been_tampered_with():
    rate = gf.worst_case_rate(descent(Fraction(1, 10)), 1, 10)
    assert not dataclasses.replace(rate, exact=-rate.exact).check()
    short = dataclasses.replace(rate.certificate, multipliers=(rate.certificate.multipliers[0][:1],))
    assert not dataclasses.replace(rate, certificate=short).check()
    bound = gf.worst_case_bound(descent(1), 2, 0, 1)
    assert not dataclasses.replace(bound, energies=rate.energies).check()
    momentum = gf.worst_case_rate(gf.optimizers.momentum(BOWL, 0.125, 0.25), 1, 10)
    falls, positive = momentum.certificate.conditions
    matrix, values = positive.constant
    free = dataclasses.replace(positive, constant=(matrix + np.eye(len(matrix), dtype=object), values))
    empty = dataclasses.replace(
        momentum.certificate,
        conditions=(falls, free),
        weights=(Fraction(0),) * len(momentum.certificate.weights),
        multipliers=tuple((Fraction(0),) * len(some) for some in momentum.certificate.multipliers),
    )
    assert not dataclasses.replace(momentum, certificate=empty, exact=Fraction(0)).check()
    cycle = gf.find_cycle(polyak(25), 1, 25)
    assert not dataclasses.replace(cycle, period=-3).check()


def test_a_cycle_runs_with_fractions_for_parameters():
    cycle = gf.find_cycle(gf.optimizers.momentum(BOWL, Fraction(1, 9), Fraction(4, 9)), 1, 25)
    np.testing.assert_allclose(cycle.run(300)[-3:], cycle.points[[1, 2, 0]], atol=1e-9)


def test_a_cycle_is_walked_with_the_whole_memory():
    """The least system has one state; to run the scheme takes all three of its numbers."""
    cycle = gf.find_cycle(method(Burdened(), Fraction(1, 4)), 1, 10)
    assert cycle.period == 2
    np.testing.assert_allclose(cycle.run(4)[:, 0], [1, -1, 1, -1, 1], atol=1e-9)


class Backwards(gf.Discretizer):
    """An implicit step backwards in time: at curvature 1/h it has no solution."""

    def step(self, flow, t, z, h, **_):
        return flow.resolvent(t, z, -h)


def test_an_implicit_step_without_a_solution_at_some_curvature_is_no_crash():
    found = gf.worst_case_rate(method(Backwards(), Fraction(1, 10)), 1, 10)
    assert found.grade is gf.Grade.UNKNOWN or found.rate > 1


# ---- a scheme from a wish


def _two_step(E, lr, beta, gamma):
    return gf.Method(gf.GradientFlow(E), TwoStep(beta, gamma), lr)


class TwoStep(gf.Discretizer):
    """Momentum with its gradient anywhere along the last move."""

    beta: object
    gamma: object

    def init(self, flow, t, z, h):
        return z

    def step(self, flow, t, z, h, *, memory=None, **_):
        move = z - memory
        return z + self.beta * move + h * flow.drift(t, z + self.gamma * move), z


def test_the_fastest_two_step_method_is_triple_momentum():
    """ρ = 1 − 1/√κ (Van Scoy, Freeman & Lynch 2018), found without being told; less than any step of descent can do."""
    kappa = 10
    found = gf.analysis.design(_two_step, 1, kappa, tries=220, lr=(0, 0.3), beta=(0, 1), gamma=(0, 1))
    best = 1 - 1 / math.sqrt(kappa)
    assert best - 1e-9 <= found.rate.rate <= best * 1.005
    assert found.grade is gf.Grade.CERTIFIED
    assert found.rate.check()
    assert found.parameters["lr"] == pytest.approx((1 + best) / kappa, rel=0.03)
    assert found.tried["rho"].min() == pytest.approx(found.rate.rate, rel=1e-5)
    assert found.rate.subject is found.method
    assert float(found.method.step) == float(found.parameters["lr"])
    few = gf.design(gf.optimizers.gradient_descent, 1, 3, tries=5, lr=(0, 1))
    assert len(few.tried) == 5


def test_no_bound_is_told_of_a_class_that_no_energy_meets():
    found = gf.worst_case_bound(descent(1), 1, -1, 1, initial="gap", assuming={"polyak_lojasiewicz": 2})
    assert found.grade is gf.Grade.UNKNOWN
    assert "no energy of the class meets the conditions" in found.reason


def test_the_best_step_of_gradient_descent_is_found():
    found = gf.analysis.design(gf.optimizers.gradient_descent, 2, 6, tries=120, lr=(0, 1))
    assert found.parameters["lr"] == pytest.approx(1 / 4, rel=1e-4)
    assert found.rate.rate == pytest.approx(1 / 2, rel=1e-4)
    assert found.grade is gf.Grade.PROVED


# ---- bad input


def _noisy(E, a, b):
    return gf.Method(gf.Langevin(E), gf.EulerMaruyama(), a + 0 * b)


@pytest.mark.parametrize(
    ("ask", "error", "words"),
    [
        (lambda: gf.worst_case_rate(descent(0.1), 0, 10), ValueError, "`mu` must be positive"),
        (lambda: gf.worst_case_rate(descent(0.1), 10, 1), ValueError, "`mu` must be less than `L`, got mu = 10"),
        (lambda: gf.worst_case_rate(descent(0.1), 1, 1), ValueError, "one energy only"),
        (lambda: gf.worst_case_rate(descent(0.1), -1, 1), ValueError, "`mu` must be finite and not negative"),
        (lambda: gf.worst_case_rate(descent(0.1), 1, "ten"), ValueError, "`L` must be a number, got 'ten'"),
        (lambda: gf.worst_case_rate(descent(lambda k: 0.1), 1, 10), TypeError, "the step must be a constant"),
        (lambda: gf.worst_case_rate(BOWL, 1, 10), TypeError, "needs a Method such as"),
        (lambda: gf.worst_case_bound(descent(0.1), 0, 0, 1), ValueError, "`steps` must be at least 1"),
        (lambda: gf.worst_case_bound(descent(0.1), 1, 0, 1, final="x"), ValueError, "must be one of gap, distance"),
        (lambda: gf.worst_case_bound(descent(0.1), 1, 0, 1, at="x"), ValueError, "must be one of last, best, average"),
        (lambda: gf.worst_case_bound(descent(gf.ArmijoSearch()), 1, 0, 1), TypeError, "the step must be a constant"),
        (lambda: gf.find_cycle(gf.optimizers.ista(SUM, 0.5), 1, 2), TypeError, "of a sum f"),
        (lambda: gf.worst_case_bound(descent(1), 1, 0, 1, initial="state"), ValueError, "give `distance`"),
        (lambda: gf.worst_case_bound(descent(1), 1, 0, 1, final="state"), ValueError, "one of gap, distance, gradient"),
        (lambda: gf.worst_case_rate(descent(0.1), 1, 2, nonsmooth=(0, 1)), ValueError, "no method of one"),
        (lambda: gf.worst_case_bound(descent(1), 1, 0, 1, assuming={"pl": 1}), ValueError, "unknown condition 'pl'"),
        (lambda: gf.worst_case_bound(descent(1), 1, 0, 1, assuming="pl"), TypeError, "conditions by name"),
        (
            lambda: gf.worst_case_bound(descent(1), 1, 0, 1, assuming={"error_bound": 0}),
            ValueError,
            "must be finite and positive, got 0",
        ),
        (lambda: gf.design(gf.optimizers.momentum, 1, 9), ValueError, "give the range of a number, lr"),
        (lambda: gf.design(gf.optimizers.momentum, 1, 9, lr=0.1), ValueError, "`lr` must be a range"),
        (lambda: gf.design(gf.optimizers.momentum, 1, 9, lr=(1, 0)), ValueError, "`lr` must be a finite range"),
        (
            lambda: gf.design(gf.optimizers.momentum, 1, 9, step=(0, 1)),
            ValueError,
            "takes no `step`, but lr, beta",
        ),
        (
            lambda: gf.design(
                lambda E, lr: gf.optimizers.ista(gf.Composite(E, gf.penalties.L1(1.0)), lr), 1, 9, lr=(0, 1)
            ),
            TypeError,
            r"design: of a sum f \+ g",
        ),
        (lambda: gf.design(3, 1, 9, lr=(0, 1)), TypeError, "`optimizer` must make a method"),
        (lambda: gf.design(gf.optimizers.lion, 1, 9, lr=(0, 1)), NotExactError, "not linear in its gradients"),
        (
            lambda: gf.design(gf.optimizers.gradient_descent, 1, 9, lr=(1, 2)),
            NotExactError,
            "no lr within the ranges converge",
        ),
        (lambda: gf.find_cycle(method(Shadow(), 1), 0, 1), NotExactError, "the position depends on gradients too"),
        (lambda: gf.slow_equation(method(Shadow(), 1), 2), NotExactError, "the position depends on gradients too"),
        (
            lambda: gf.worst_case_bound(gf.optimizers.ista(SUM, 1), 1, 0, 1, final="gradient"),
            ValueError,
            "give `gap` or `distance`",
        ),
        (
            lambda: gf.worst_case_bound(descent(1), 1, 0, 1, nonsmooth=(0, 1)),
            ValueError,
            "no method of one",
        ),
        (
            lambda: gf.worst_case_bound(descent(1), 1, 0, 1, nonsmooth=0),
            ValueError,
            r"`nonsmooth` must be a pair \(mu, L\) of g, or",
        ),
        (lambda: gf.worst_case_bound(FLOW, 1, 0, 1), TypeError, "of a flow ask worst_case_rate"),
        (lambda: gf.find_cycle(descent(0.1), 1, math.inf), ValueError, "`L` must be finite"),
        (lambda: gf.find_cycle(method(Heun(), 0.1), 1, 10), ValueError, "one gradient a step, this one asks 2"),
        (lambda: gf.convergence_map(gf.optimizers.momentum, 1, 10, lr=[0.1]), ValueError, "give two parameters"),
        (
            lambda: gf.convergence_map(gf.optimizers.momentum, 1, 10, lr=[math.nan], beta=[0.1]),
            ValueError,
            "`lr` must be finite values",
        ),
        (lambda: gf.worst_case_rate(gf.Langevin(BOWL), 1, 10), ValueError, "noise"),
        (lambda: gf.worst_case_rate(FLOW, 1, -math.inf), ValueError, "`L` must not be −∞"),
        (lambda: gf.find_cycle(gf.HeavyBall(BOWL), 1, 10), TypeError, "needs a Method"),
        (lambda: gf.settle(3, descent(1), 0, 1), TypeError, "`claim` must be a function"),
        (
            lambda: gf.convergence_map(gf.optimizers.momentum, 1, 10, lr=0.1, beta=[0.5]),
            ValueError,
            "`lr` must be finite",
        ),
        (
            lambda: gf.convergence_map(gf.optimizers.momentum, 1, 10, lr=[0.1], beta=[1.5]),
            ValueError,
            r"`beta` must lie in \[0, 1\)",
        ),
        (lambda: gf.convergence_map(_noisy, 1, 10, a=[1], b=[1]), ValueError, "Langevin has noise"),
        (lambda: gf.modified_hamiltonian("x", 2), TypeError, "`discretizer` must be one"),
    ],
)
def test_bad_input_is_told(ask, error, words):
    with pytest.raises(error, match=words):
        ask()


class Normalized(gf.Discretizer):
    def step(self, flow, t, z, h, **_):
        slope = flow.drift(t, z)
        return z + h * slope / abs(slope)


class Drifting(gf.Discretizer):
    def step(self, flow, t, z, h, **_):
        return z - h * z + h * flow.drift(t, z)


def test_a_recipe_that_cannot_be_read_is_told_by_its_line():
    with pytest.raises(NotExactError, match=r"return z \+ h \* slope / abs\(slope\)"):
        gf.worst_case_rate(method(Normalized(), 0.1), 1, 10)
    with pytest.raises(NotExactError, match="does not rest where the gradient vanishes"):
        gf.worst_case_rate(method(Drifting(), 0.1), 1, 10)


# --- steps that are searched for --------------------------------------------------------------------------------------

STEEPEST = gf.optimizers.gradient_descent(gf.landscapes.bowl(), gf.ExactLineSearch())


@pytest.mark.parametrize(("mu", "L"), [(1, 9), (1, 4), (Fraction(1, 3), 3)])
def test_steepest_descent_is_as_fast_as_on_quadratics(mu, L):
    """((L − μ)/(L + μ))² (de Klerk, Glineur & Taylor 2017), which a quadratic attains, and squared after two steps."""
    once = (Fraction(L - mu) / (L + mu)) ** 2
    for steps in (1, 2):
        bound = gf.worst_case_bound(STEEPEST, steps, mu, L, initial="gap")
        assert bound.check()
        assert once**steps <= bound.exact <= once**steps * Fraction(100001, 100000)
        energy = gf.Quadratic(jnp.diag(jnp.array([float(mu), float(L)])))
        method = gf.optimizers.gradient_descent(energy, gf.ExactLineSearch())
        run = method.iterate(jnp.array([1 / float(mu), 1 / float(L)]), steps=steps)
        assert run.energy[-1] / run.energy[0] == pytest.approx(float(once**steps), rel=1e-9)


def test_a_searched_step_s_bound_holds_where_no_quadratic_is():
    E = gf.energy(lambda x: jnp.logaddexp(0, 4 * x[0] + x[1]) - 2 * x[0] + jnp.sum(x**2) / 2)
    # σ'' ≤ 1/4 along (4, 1), of length² 17.
    bound = gf.worst_case_bound(STEEPEST, 1, 1, 1 + Fraction(17, 4), initial="gap")
    least = gf.optimizers.gradient_descent(E, 0.2).iterate([0.0, 0.0], steps=400).energy[-1]
    for start in np.random.default_rng(0).normal(size=(10, 2)) * 3:
        run = gf.optimizers.gradient_descent(E, gf.ExactLineSearch()).iterate(start, steps=1)
        assert run.energy[1] - least <= bound.value * (run.energy[0] - least) + 1e-12


def test_of_searched_steps_only_descent_s_are_known():
    momentum = gf.Method(gf.HeavyBallFlow(gf.landscapes.bowl(), 1.0, 1.0), gf.MomentumEuler(), gf.ExactLineSearch())
    with pytest.raises(gf.analysis.NotExactError, match="worst_case_bound: of an exact line search steps of gradient"):
        gf.worst_case_bound(momentum, 1, 1, 4)
    with pytest.raises(ValueError, match="of a method with given steps"):
        gf.worst_case_bound(STEEPEST, 1, 1, 4).worst()
    with pytest.raises(TypeError, match="constant"):
        gf.worst_case_rate(STEEPEST, 1, 4)


ADAPTIVE = gf.optimizers.adam(gf.landscapes.bowl(), lr=0.1)


@pytest.mark.parametrize(
    "ask",
    [
        lambda: gf.worst_case_rate(ADAPTIVE, 1, 4),
        lambda: gf.worst_case_bound(ADAPTIVE, 2, 1, 4),
        lambda: gf.convergence_map(gf.optimizers.adam, 1, 10, lr=[0.1], b1=[0.9]),
        lambda: gf.analysis.design(gf.optimizers.rmsprop, 1, 10, lr=(0, 1)),
    ],
)
def test_what_divides_by_its_gradients_is_refused_with_the_remedy(ask):
    """Not by the line at which its exponential is no rational number."""
    with pytest.raises(gf.analysis.NotExactError, match=r"by what its gradients have been.*stability") as caught:
        ask()
    assert "\n" not in str(caught.value)
