"""Step limits: exact where they can be, the published values, and what happens at 0.99 and 1.01 of them."""

import math

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy

import gradientflow as gf
from gradientflow.analysis.linear_stability import contractivity
from gradientflow.analysis.linear_stability.contractivity import contractivity_limit, read_coefficients
from gradientflow.analysis.linear_stability.curvature import curvatures_at
from gradientflow.discretizers import TABLEAUS

from .thorough import THOROUGH, part, thorough

E = gf.LeastSquares([[4, 1], [1, 3]], [1, 2])
FLOW = gf.GradientFlow(E)
GREATEST = (27 + math.sqrt(245)) / 2  # of [[17, 7], [7, 10]]
Z, LAM, H, M, GAMMA = sympy.symbols("z lambda h m gamma")


class Chebyshev(gf.Discretizer):
    """A user's own stabilized scheme of s stages, R(z) = T_s(1 + z/s²)."""

    stages: int

    def step(self, flow, t, z, h, **_):
        before, now = z, z + h * flow.drift(t, z) / self.stages**2
        for _ in range(self.stages - 1):
            before, now = now, 2 * now - before + 2 * h * flow.drift(t, now) / self.stages**2
        return now


AB2, AB3, AB4 = (gf.AdamsBashforth(steps) for steps in (2, 3, 4))


# --- R(z), intervals, regions ----------------------------------------------------------------------------------------


def test_stability_functions():
    taylor = [sum(Z**k / sympy.factorial(k) for k in range(p + 1)) for p in range(5)]
    for name, tableau in TABLEAUS.items():
        assert sympy.expand(gf.stability_function(gf.RungeKutta(name)) - taylor[tableau.order]) == 0
    assert sympy.simplify(gf.stability_function(gf.BackwardEuler()) - 1 / (1 - Z)) == 0
    assert sympy.simplify(gf.stability_function(gf.ImplicitMidpoint()) - (2 + Z) / (2 - Z)) == 0
    chebyshev = gf.stability_function(Chebyshev(5))
    assert sympy.expand(chebyshev - sympy.chebyshevt(5, 1 + Z / 25)) == 0


def test_the_matrix_of_momentum():
    matrix = gf.stability_function(gf.MomentumEuler(), gf.HeavyBall)
    beta, eta = M / (M + GAMMA * H), H**2 / (M + GAMMA * H)
    assert sympy.simplify(matrix.trace() - (1 + beta - eta * LAM)) == 0
    assert sympy.simplify(matrix.det() - beta) == 0
    of_this_flow = gf.stability_function(gf.MomentumEuler(), gf.HeavyBall(E, mass=0.5, friction=3.0))
    assert sympy.simplify(of_this_flow - matrix.subs({M: sympy.Rational(1, 2), GAMMA: 3})) == sympy.zeros(2)


INTERVALS = {
    "euler": (gf.ForwardEuler(), 2, 0),
    "rk2": (gf.RungeKutta("heun"), 2, 0),
    "rk3": (gf.RungeKutta("rk3"), 2.51274532661833, math.sqrt(3)),
    "rk4": (gf.RungeKutta("rk4"), 2.78529356340528, 2 * math.sqrt(2)),
    "backward euler": (gf.BackwardEuler(), math.inf, math.inf),
    "midpoint": (gf.ImplicitMidpoint(), math.inf, math.inf),
    "ab2": (AB2, 1, 0),
    "ab3": (AB3, 6 / 11, 12 * math.sqrt(11) / 55),
    "ab4": (AB4, 3 / 10, 4 * math.sqrt(65) / 75),
    "chebyshev": (Chebyshev(6), 72, 0),  # 2s²; inside, |R| touches 1
}


@pytest.mark.parametrize("name", part([*INTERVALS][::-1]))
def test_stability_intervals(name):
    scheme, real, imaginary = INTERVALS[name]
    found = gf.stability_intervals(scheme)
    assert float(found.real) == pytest.approx(real, rel=1e-14)
    assert float(found.imaginary) == pytest.approx(imaginary, rel=1e-14)


def test_exact_intervals_are_exact():
    assert gf.stability_intervals(AB3).real == sympy.Rational(6, 11)
    assert gf.stability_intervals(gf.RungeKutta("rk3")).imaginary == sympy.sqrt(3)


@pytest.mark.parametrize(
    "scheme", [gf.RungeKutta("rk4"), AB2, AB3, Chebyshev(5)], ids=["rk4", "ab2", "ab3", "chebyshev"]
)
def test_a_region_is_the_modulus_of_the_stability_function(scheme):
    region = gf.stability_region(scheme, (-3.0, 0.5), (-2.0, 2.0), points=9)
    read = sympy.Matrix([gf.stability_function(scheme)])
    for i, y in enumerate(region.imaginary):
        for j, x in enumerate(region.real):
            matrix = np.array(read.subs(Z, complex(x, y)).evalf(), dtype=complex)
            assert region.radius[i, j] == pytest.approx(np.abs(np.linalg.eigvals(matrix)).max(), rel=1e-9)


def test_a_region_of_many_stages_does_not_cancel():
    """Evaluated from its expanded coefficients, R of 30 stages loses all digits; from its own recursion none."""
    scheme = Chebyshev(30)
    region = gf.stability_region(scheme, (-1799.0, -1.0), (-1e-9, 1e-9), points=101)
    exact = np.abs(np.cos(30 * np.arccos(1 + region.real / 900)))
    np.testing.assert_allclose(region.radius[50], exact, atol=1e-9)


@pytest.mark.parametrize("stages", [3, 12])
def test_the_contractivity_of_many_stages_is_certified_next_to_the_exact_limit(stages, monkeypatch):
    coefficients = read_coefficients(gf.RungeKuttaChebyshev(stages))
    monkeypatch.setattr(contractivity, "_MOST_STAGES", 12)
    exact = contractivity_limit(coefficients)
    monkeypatch.setattr(contractivity, "_MOST_STAGES", 2)
    certified = contractivity_limit(coefficients)
    assert certified <= exact
    assert float(exact - certified) <= 1e-9 * float(exact)


def test_the_interval_of_many_stages_ends_at_a_fraction():
    """R = T₁₃(w₀ + w₁z)/T₁₃(w₀) reaches 1 again at w₀ + w₁z = −w₀, whatever the length of the fraction."""
    s, damping = 13, sympy.Rational(1, 20)
    w0 = 1 + damping / s**2
    w1 = sympy.chebyshevt(s, w0) / sympy.chebyshevu(s - 1, w0) / s
    real = gf.stability_intervals(gf.RungeKuttaChebyshev(s)).real
    assert real == 2 * w0 / w1


def test_what_would_take_minutes_is_refused():
    with pytest.raises(gf.NotExactError, match="take minutes to isolate"):
        gf.stability_intervals(gf.RungeKuttaChebyshev(45))


# --- Limits ----------------------------------------------------------------------------------------------------------


def test_the_limit_of_gradient_descent_on_the_running_example_is_proved():
    found = gf.stability(FLOW, gf.ForwardEuler())
    assert found.limit == pytest.approx(2 / GREATEST, rel=1e-14)
    assert found.step_limit.low <= 2 / GREATEST <= found.step_limit.high
    assert found.step_limit.high - found.step_limit.low < 1e-15
    assert (found.grade, str(found.grade), found.formula) == (gf.Grade.PROVED, "proved", 2 / LAM)
    assert found.global_limit == pytest.approx(found.limit, rel=1e-12)
    assert found.spectral_radius(found.limit) == pytest.approx(1, rel=1e-12)
    np.testing.assert_allclose(
        found.spectral_radius([0.01, 0.2]), [1 - 0.01 * (27 - GREATEST), 0.2 * GREATEST - 1], rtol=1e-12
    )


def test_limits_of_rk4_and_implicit_schemes():
    rk4 = gf.stability(FLOW, gf.RungeKutta("rk4"))
    assert rk4.limit * GREATEST == pytest.approx(2.78529356340528, rel=1e-14)
    assert rk4.global_limit * GREATEST == pytest.approx(2, rel=1e-12)
    for scheme in (gf.BackwardEuler(), gf.ImplicitMidpoint()):
        found = gf.stability(FLOW, scheme)
        assert found.limit == found.global_limit == math.inf
        assert found.grade == "proved"


def test_momentum_in_the_flows_step_and_in_its_own_learning_rate():
    m, friction = 0.3, 1.7
    found = gf.stability(gf.HeavyBall(E, mass=m, friction=friction), gf.MomentumEuler())
    expected = (friction + math.sqrt(friction**2 + 4 * m * GREATEST)) / GREATEST
    assert found.limit == pytest.approx(expected, rel=1e-14)
    assert sympy.simplify(found.formula - (GAMMA + sympy.sqrt(GAMMA**2 + 4 * M * LAM)) / LAM) == 0
    assert (found.grade, found.lr_limit, found.global_limit) == ("proved", None, None)
    for beta in (0.5, 0.9):
        method = gf.optimizers.momentum(E, lr=0.01, beta=beta)
        of_method = gf.stability(method)
        assert of_method.lr_limit == pytest.approx(2 * (1 + beta) / GREATEST, rel=1e-14)
        assert of_method.lr_step_limit.grade == "proved"
        # At the limit of h the flow stays as it is, and with it m and γ: another number than at fixed β.
        assert of_method.limit == pytest.approx(
            (1 + math.sqrt(1 + 4 * method.flow.mass * GREATEST)) / GREATEST, rel=1e-14
        )


def test_momentum_without_memory_is_gradient_descent():
    found = gf.stability(gf.optimizers.momentum(E, lr=0.01, beta=0.0))
    assert found.limit == found.lr_limit == pytest.approx(2 / GREATEST, rel=1e-14)


@pytest.mark.parametrize(
    "method",
    [gf.optimizers.gradient_descent(E, lr=0.01), gf.optimizers.momentum(E, lr=0.01, beta=0.8),
     gf.Method(FLOW, gf.RungeKutta("rk4"), 0.01), gf.Method(FLOW, AB2, 0.01),
     gf.Method(FLOW, Chebyshev(4), 0.01)],
    ids=["gradient descent", "momentum", "rk4", "ab2", "a loop over integer stages"],
)  # fmt: skip
def test_runs_just_below_and_above_the_limit(method):
    limit = gf.stability(method).limit
    below, above = (
        gf.iterate(method.flow, method.discretizer, [4.0, -1.0], step=factor * limit, steps=3000)
        for factor in (0.99, 1.01)
    )
    assert float(below.energy[-1]) < 1e-9
    assert above.status == "diverged"


def test_the_double_root_of_momentum():
    """At β = (1 − √(hλ))² the two eigenvalues of a mode meet, and the error falls fastest."""
    lam, lr = 4.0, 0.09
    beta = (1 - math.sqrt(lr * lam)) ** 2
    method = gf.optimizers.momentum(gf.Quadratic([[lam]]), lr=lr, beta=beta)
    w = gf.stability(method).eigenvalues(method.step)
    np.testing.assert_allclose(w, 1 - math.sqrt(lr * lam), atol=1e-7)


def test_polyaks_parameters_on_a_map():
    mu, L = 1.0, 10.0
    s = math.sqrt(L / mu)
    lr, beta = 4 / (math.sqrt(L) + math.sqrt(mu)) ** 2, ((s - 1) / (s + 1)) ** 2
    found = gf.stability_map(gf.optimizers.momentum, (mu, L), lr=[0.9 * lr, lr], beta=[0.9 * beta, beta])
    # At the optimum both eigenvalues are double: a rounding error e moves them by √e.
    assert found.radius[1, 1] == pytest.approx((s - 1) / (s + 1), abs=1e-7)
    assert (found.radius[0, :] > found.radius[1, 1]).all()
    stable = gf.stability_map(
        gf.optimizers.momentum, (L,), lr=np.linspace(0.01, 0.5, 50), beta=np.linspace(0.05, 0.95, 40)
    )
    boundary = 2 * (1 + stable.vertical[:, None]) / L
    off = np.abs(stable.horizontal - boundary) > 1e-9
    np.testing.assert_array_equal(
        (stable.radius < 1)[off], np.broadcast_to(stable.horizontal < boundary, off.shape)[off]
    )


def test_a_limit_at_which_not_the_steepest_mode_is_lost():
    """Kinetic Euler–Maruyama with strong friction: friction limits the step, whatever the curvature."""
    found = gf.stability(
        gf.KineticLangevin(gf.LeastSquares([[1, 0, 0], [0, 1, 0]], [1, 1]), mass=0.1, friction=3.0), gf.EulerMaruyama()
    )
    assert found.limit == pytest.approx(2 * 0.1 / 3.0, rel=1e-12)
    assert found.curvatures.least == (0, 0)


def test_schemes_without_a_stable_step():
    undamped = gf.HeavyBall(E, mass=1.0, friction=0.0)
    assert gf.stability(undamped, gf.ForwardEuler()).limit == 0
    assert gf.stability(undamped, gf.MomentumEuler()).limit == pytest.approx(2 / math.sqrt(GREATEST), rel=1e-12)
    assert gf.stability(undamped, gf.ImplicitMidpoint()).limit == math.inf


# --- From everywhere -------------------------------------------------------------------------------------------------

CONTRACTIVITY = {"euler": 2, "heun": 2, "ssp3": 2, "rk4": 2, "rk3": 1, "ralston": sympy.sqrt(21) - 3, "midpoint": None,
                 "rk38": 4 * sympy.sqrt(3) - 6}  # fmt: skip


@pytest.mark.parametrize("name", CONTRACTIVITY)
def test_contractivity_is_read_from_the_running_code(name):
    coefficients = read_coefficients(gf.RungeKutta(name))
    tableau = TABLEAUS[name]
    assert coefficients.b == tuple(tableau.b)
    assert [row[: len(row_of)] for row, row_of in zip(coefficients.a, tableau.a, strict=True)] == list(tableau.a)
    limit = contractivity_limit(coefficients)
    assert (limit is None) == (CONTRACTIVITY[name] is None)
    assert limit is None or sympy.simplify(limit - CONTRACTIVITY[name]) == 0


def test_implicit_schemes_read_as_tableaus():
    assert read_coefficients(gf.BackwardEuler()) == read_coefficients(gf.BackwardEuler())
    assert (read_coefficients(gf.BackwardEuler()).a, read_coefficients(gf.BackwardEuler()).b) == (((1,),), (1,))
    assert read_coefficients(gf.ImplicitMidpoint()).a == ((0.5,),)


@pytest.mark.parametrize("name", part(["rk4", "heun", "rk3", "rk38"], 4))
def test_distances_do_not_grow_up_to_the_contractivity_limit(name):
    """Two runs on a convex energy that is far from quadratic; the theorem's step, on many pairs of starts."""
    softplus = gf.energy(lambda x: jnp.sum(jax.nn.softplus(20 * x) / 20) + x[0] ** 2 / 2)  # L = 5 + 1
    h = float(contractivity_limit(read_coefficients(gf.RungeKutta(name)))) / 6
    starts = jax.random.normal(jax.random.key(0), (2000, 2, 2)) * 0.3
    flow, scheme = gf.GradientFlow(softplus), gf.RungeKutta(name)
    after = jax.jit(jax.vmap(jax.vmap(lambda x: scheme.step(flow, 0.0, x, h))))(starts)
    before, then = (jnp.linalg.norm(pair[:, 0] - pair[:, 1], axis=-1) for pair in (starts, after))
    assert float((then / before).max()) <= 1 + 1e-12


# --- Energies that are not quadratic ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def logistic():
    from sklearn.datasets import load_breast_cancer

    X, y = load_breast_cancer(return_X_y=True)
    energy = gf.LogisticRegression((X - X.mean(0)) / X.std(0), y, ridge=1e-3)
    # By Newton's method, which arrives from 0 in ten steps.
    slope, hessian = jax.jit(jax.grad(energy.value)), jax.jit(jax.hessian(energy.value))
    optimum = np.zeros(31)
    for _ in range(12):
        optimum = optimum - np.linalg.solve(np.asarray(hessian(optimum)), np.asarray(slope(optimum)))
    assert np.abs(slope(optimum)).max() < 1e-13
    return gf.GradientFlow(energy), jnp.asarray(optimum), float(np.linalg.eigvalsh(hessian(optimum))[-1])


def test_on_logistic_regression_the_local_and_the_global_limit_differ(logistic):
    flow, optimum, top = logistic
    found = gf.stability(flow, gf.ForwardEuler(), at=optimum)
    assert found.limit == pytest.approx(2 / top, rel=1e-9)
    assert found.global_limit == pytest.approx(2 / float(flow.energy.curvature.L), rel=1e-9)
    assert found.limit > 15 * found.global_limit
    assert found.is_local
    assert (str(found.grade), str(found.global_grade)) == ("measured", "certified")
    near = np.asarray(optimum) + 1e-3 * np.random.default_rng(1).normal(size=31)
    runs = (
        gf.iterate(flow, gf.ForwardEuler(), near, step=factor * found.limit, steps=1500, save_every=1500)
        for factor in (0.99, 1.01)
    )
    away = [np.linalg.norm(run.x[-1] - optimum) for run in runs]
    start = np.linalg.norm(near - optimum)
    assert away[0] < start < away[1]


def test_a_scheme_that_cannot_be_read_is_measured_by_its_jacobian():
    found = gf.stability(FLOW, gf.FromDiffrax(diffrax.Heun()))
    assert found.limit == pytest.approx(2 / GREATEST, rel=1e-8)
    assert found.grade == "measured"
    assert "FromDiffrax" in found.unread
    assert found.spectral_radius(0.5 * found.limit) < 1
    if THOROUGH:
        exact = gf.stability(gf.GradientFlow(E), gf.ExactFlow())
        assert (exact.limit, exact.grade) == (math.inf, "measured")


def test_large_states_use_lanczos_and_say_so():
    scales = jnp.linspace(1.0, 3.0, 1500)
    energy = gf.energy(lambda p: jnp.sum(scales * (1 - jnp.cos(p["w"]))), minimizer={"w": jnp.zeros(1500)})
    found = gf.stability(gf.GradientFlow(energy), gf.ForwardEuler())
    assert found.limit == pytest.approx(2 / 3, rel=1e-9)
    assert found.grade == "measured"
    assert "Lanczos" in found.curvatures.how


@thorough
def test_the_jacobian_of_a_large_state_is_not_formed():
    scales = jnp.linspace(1.0, 3.0, 510)
    energy = gf.energy(lambda x: jnp.sum(scales * (1 - jnp.cos(x))), minimizer=jnp.zeros(510))
    found = gf.stability(gf.GradientFlow(energy), gf.FromDiffrax(diffrax.Euler()))
    assert found.limit == pytest.approx(2 / 3, rel=1e-8)


def test_curvatures_of_large_quadratics_are_certified():
    rng = np.random.default_rng(0)
    energy = gf.LeastSquares(rng.normal(size=(60, 40)), np.ones(60))
    found = curvatures_at(energy, None)
    exact = np.linalg.svd(np.asarray(energy.M), compute_uv=False)
    assert found.grade == "certified"
    assert float(found.greatest[0]) <= exact[0] ** 2 <= float(found.greatest[1])
    assert float(found.least[0]) <= exact[-1] ** 2 <= float(found.least[1])


def test_in_single_precision():
    with jax.enable_x64(False):
        found = gf.stability(gf.GradientFlow(gf.Quadratic(np.diag([1.0, 3.0]).astype(np.float32))), gf.ForwardEuler())
        assert found.limit == pytest.approx(2 / 3, rel=1e-12)
        assert found.grade == "proved"


# --- Beyond the limit ------------------------------------------------------------------------------------------------


def test_a_sweep_shows_the_three_behaviours_and_measures_what_is_predicted():
    sweep = gf.step_sweep(FLOW, gf.ForwardEuler(), [4.0, -1.0], multiples=(0.3, 0.9, 1.5, 1.9, 2.2))
    table = sweep.table()
    assert list(table["behaviour"]) == ["monotone", "monotone", "oscillating", "oscillating", "growing"]
    np.testing.assert_allclose(table["measured"], table["predicted"], rtol=1e-3)
    assert sweep.runs.outcome[-1] == "diverged"


@thorough
def test_a_step_sweep_is_single_runs_and_another_energy_traces_nothing_anew():
    traced = []

    class Watched(gf.ForwardEuler):
        def step(self, flow, t, z, h, **rest):
            traced.append(isinstance(z, jax.core.Tracer))
            return super().step(flow, t, z, h, **rest)

    def bowl(greatest):
        return gf.GradientFlow(gf.Quadratic([[1.0, 0.0], [0.0, greatest]]))

    def swept(greatest):
        flow = bowl(greatest)
        return flow, gf.step_sweep(flow, Watched(), [3.0, 1.0], multiples=(0.5, 2.0, 2.5), steps=100)

    flow, sweep = swept(9.0)
    runs = [gf.iterate(flow, gf.ForwardEuler(), [3.0, 1.0], step=h, steps=100) for h in sweep.h]
    assert (
        list(sweep.runs.outcome) == [run.status.outcome for run in runs] == ["reached the end", "cycling", "diverged"]
    )
    assert list(sweep.runs.step[1:]) == [run.status.step for run in runs[1:]]
    np.testing.assert_allclose(sweep.runs.rows["x"], [run.x for run in runs], rtol=1e-12)
    np.testing.assert_allclose(sweep.runs.rows["energy"], [run.energy for run in runs], rtol=1e-12)
    # `stability` holds what it read against the step on each energy; the runs are traced no more.
    known = sum(traced)
    gf.stability(bowl(6.0), Watched())
    held = sum(traced) - known
    swept(4.0)
    assert sum(traced) == known + 2 * held


def test_gradient_descent_on_the_double_well_doubles_its_period_where_theory_says():
    """x' = (1 + h)x − hx³: 2-cycles from h = 1 = 2/λ on, 4-cycles from √5 − 1 on, chaos, escape beyond 2."""
    well = gf.GradientFlow(gf.energy(lambda x: x**4 / 4 - x**2 / 2, minimizer=jnp.ones(())))
    assert gf.stability(well, gf.ForwardEuler()).limit == pytest.approx(1, rel=1e-12)
    doubling = math.sqrt(5) - 1
    h = [0.95, 1.05, doubling - 0.02, doubling + 0.02, 1.45, 2.05]
    found = gf.bifurcation(well, gf.ForwardEuler(), 0.7, h, settle=4000)
    assert found.period.tolist() == [1, 2, 2, 4, 0, -1]
    assert (found.exponent[:4] < 0).all()
    assert found.exponent[4] > 0.3
    assert found.first(4) == h[3]
    assert math.isnan(found.exponent[5])


def test_descent_leaves_minima_that_are_too_sharp_for_its_step():
    """On (1 − xy)²/2 the minima have sharpness x² + y²: a run ends where that is below 2/h."""
    method = gf.optimizers.gradient_descent(gf.energy(lambda x: (1 - x[0] * x[1]) ** 2 / 2), lr=0.3)
    run = method.iterate([3.0, 0.1], steps=300)
    found = gf.edge_of_stability(method, run, points=301)
    assert found.ratio[0] > 1 > found.ratio[-1]
    np.testing.assert_allclose(found.limit, 2 / found.sharpness, rtol=1e-12)
    x, y = (float(value) for value in run.x[-1])
    assert x * y == pytest.approx(1, abs=1e-9)
    assert found.sharpness[-1] == pytest.approx(x * x + y * y, rel=1e-9)
    assert x * x + y * y < 2 / 0.3


@pytest.mark.parametrize(
    ("optimizer", "lr"), part([(gf.optimizers.gradient_descent, 0.02), (gf.optimizers.adam, 0.03)])
)
def test_a_curvature_that_is_followed_along_a_run_is_the_greatest(optimizer, lr):
    """Of 150 unknowns, where its direction jumps to one that is orthogonal: Σ cosh(aᵢxᵢ), both sides of the change."""
    a = jnp.linspace(0.5, 1, 150).at[:2].set(jnp.array([2.0, 1.7]))
    method = optimizer(gf.energy(lambda x: jnp.sum(jnp.cosh(a * x))), lr=lr)
    run = method.iterate(jnp.zeros(150).at[:2].set(jnp.array([1.5, 2.0])), steps=100)
    found = gf.edge_of_stability(method, run, points=30)
    diagonal = np.asarray(a**2 * jnp.cosh(a * run.x))[found.steps]
    assert set(diagonal.argmax(axis=1)) == {0, 1}
    np.testing.assert_allclose(found.sharpness, diagonal.max(axis=1), rtol=1e-7)
    if optimizer is gf.optimizers.adam:
        assert np.isfinite(found.preconditioned[1:]).all()
        held = gf.stability(method, at=run, step=100)
        assert found.preconditioned[-1] / found.threshold[-1] == pytest.approx(lr / held.lr_limit, rel=1e-4)


# --- Drawing and saving ----------------------------------------------------------------------------------------------


@thorough
def test_everything_draws(tmp_path):
    found = gf.stability(gf.optimizers.momentum(E, lr=0.01, beta=0.9))
    figures = {
        "stability": found.plot(),
        "region": gf.stability_region(AB2, points=40).plot(),
        "map": gf.stability_map(gf.optimizers.momentum, (1.0, 10.0), lr=[0.1, 0.2, 0.5], beta=[0.1, 0.5]).plot(),
        "sweep": gf.step_sweep(FLOW, gf.ForwardEuler(), [4.0, -1.0], multiples=(0.5, 1.5, 2.5), steps=20).plot(),
    }
    for name, figure in figures.items():
        figure.savefig(tmp_path / f"{name}.png", dpi=40)
        assert (tmp_path / f"{name}.png").stat().st_size > 2_000
    found.save(tmp_path / "report")
    page = (tmp_path / "report" / "report.html").read_text()
    assert "proved" in page
    assert "://" not in page.replace("http://www.w3.org", "")
    assert repr(found).startswith("MomentumEuler of HeavyBallFlow; curvatures 5.67376 to 21.3262, inertia counts")


# --- Optimizers with memory, as a user writes them -------------------------------------------------------------------


class Nesterov(gf.Discretizer):
    """The gradient at the extrapolated point, with constant β."""

    beta: float

    def init(self, flow, t, z, h):
        return z

    def step(self, flow, t, z, h, *, memory, **_):
        ahead = z + self.beta * (z - memory)
        return ahead + h * flow.drift(t, ahead), z


class Averaged(gf.Discretizer):
    """Momentum as an exponential average of gradients, (1 − β)g + βm."""

    beta: float

    def init(self, flow, t, z, h):
        return 0 * z

    def step(self, flow, t, z, h, *, memory, **_):
        average = self.beta * memory + (1 - self.beta) * flow.drift(t, z)
        return z + h * average, average


@pytest.mark.parametrize("beta", part([0.9, 0.3]))
def test_published_limits_of_nesterov_and_of_averaged_momentum(beta):
    for scheme, expected in (
        (Nesterov(beta), (2 + 2 * beta) / (1 + 2 * beta)),
        (Averaged(beta), (2 + 2 * beta) / (1 - beta)),
    ):
        found = gf.stability(FLOW, scheme)
        assert found.limit == pytest.approx(expected / GREATEST, rel=1e-12)
        assert found.grade == "proved"
        assert gf.iterate(FLOW, scheme, [4.0, -1.0], step=1.01 * found.limit, steps=2000).status == "diverged"
    b = sympy.Symbol("beta_s")
    formula = gf.stability(FLOW, Nesterov(beta)).formula
    assert sympy.simplify(formula - 2 * (1 + b) / (LAM * (1 + 2 * b))) == 0


def test_the_rate_of_nesterov_with_tuned_constants():
    """h = 1/L, β = (s − 1)/(s + 1): 1 − 1/s on quadratics, s = √κ."""
    s = math.sqrt(10)
    found = gf.stability(gf.GradientFlow(gf.Quadratic(np.diag([1.0, 10.0]))), Nesterov((s - 1) / (s + 1)))
    assert found.spectral_radius(0.1) == pytest.approx(1 - 1 / s, abs=1e-7)


def test_the_step_up_to_which_the_quadratic_model_falls():
    """2‖g‖²/gᵀHg, on a quadratic with ‖g‖² = 16 and gᵀHg = 40: 0.8."""
    E = gf.Quadratic(np.diag([2.5, 1.0]))
    method = gf.optimizers.gradient_descent(E, lr=0.1)
    found = gf.edge_of_stability(method, method.iterate([1.6, 0.0], steps=1))
    assert found.descent_limit[0] == pytest.approx(2 * 16 / 40, rel=1e-12)


# --- Steps that are not linear, or depend on time ---------------------------------------------------------------------


def test_an_adaptive_step_is_linear_nowhere_so_that_its_limit_is_local_even_on_a_quadratic():
    """RMSprop at rest divides by √ε: 2√ε/λ. A linear scheme whose coefficients can't be read is global all the same."""
    E = gf.Quadratic([[1.0, 0.0], [0.0, 4.0]])
    found = gf.stability(gf.optimizers.rmsprop(E, lr=1e-3, eps=1e-6))
    assert found.is_local
    assert found.limit == pytest.approx(2 * 1e-3 / 4, rel=1e-6)
    metric = gf.stability(gf.PreconditionedFlow(E, [[2.0, 0.5], [0.5, 1.0]]), gf.ForwardEuler())
    assert not metric.is_local
    rates = np.linalg.eigvals(np.linalg.solve([[2.0, 0.5], [0.5, 1.0]], [[1.0, 0.0], [0.0, 4.0]]))
    assert metric.limit == pytest.approx(2 / rates.max(), rel=1e-8)


def test_a_friction_that_vanishes_is_judged_in_the_long_run():
    """Nesterov's momentum tends to 1, where the limit is h²λ < 4/3; Adam's averages make it (2 + 2β)/(1 − β)·ε/λ."""
    E = gf.Quadratic([[3.0]])
    found = gf.stability(gf.optimizers.accelerated_gradient(E, lr=0.1))
    assert found.limit == pytest.approx(math.sqrt(4 / 9), rel=1e-6)
    assert "clock" in found.step_limit.cause
    adam = gf.optimizers.adam(E, lr=0.01, b1=0.5, eps=1e-2)
    limit = gf.stability(adam).limit
    beta = math.exp(-limit / float(adam.flow.tau1))
    assert limit * 3 / 1e-2 == pytest.approx((2 + 2 * beta) / (1 - beta), rel=1e-6)
