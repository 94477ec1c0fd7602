"""Flows of composite energies and the methods that discretize them: ISTA, FISTA, Douglas–Rachford, proximal point."""

import functools
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Lasso

import gradientflow as gf

from .thorough import THOROUGH, part, thorough

P, C = gf.penalties, gf.constraints
METHODS = (gf.optimizers.ista, gf.optimizers.fista, gf.optimizers.restarted_fista, gf.optimizers.douglas_rachford)


@functools.cache
def lasso(weight):
    """The diabetes data, standardized: the energy, L, and scikit-learn's coefficients."""
    X, y = load_diabetes(return_X_y=True)
    X, y = (X - X.mean(axis=0)) / X.std(axis=0), y - y.mean()
    f = gf.LinearRegression(X, y, intercept=False)
    found = Lasso(alpha=weight, fit_intercept=False, tol=1e-14, max_iter=10**6).fit(X, y).coef_
    return gf.Composite(f, P.L1(weight)), float(f.curvature.L), found


@functools.cache
def flat_lasso():
    """More unknowns than equations, so that f is not strongly convex: the energy, L, a minimizer and the minimum."""
    rng = np.random.default_rng(5)
    f = gf.LeastSquares(rng.normal(size=(15, 40)), rng.normal(size=15))
    E = gf.Composite(f, P.L1(0.3))
    x = gf.optimizers.restarted_fista(E, 1 / f.curvature.L).iterate(np.zeros(40), 6000, save_every=6000).x[-1]
    assert float(jnp.max(jnp.abs(E.grad(x)))) < 1e-11
    return E, float(f.curvature.L), x, float(E(x))


@pytest.mark.parametrize("make", part(METHODS[::-1]), ids=lambda make: make.__name__)
def test_the_lasso_is_scikit_learn_s(make):
    for weight, support in ((5.0, 5), (1.0, 7)):
        E, L, expected = lasso(weight)
        method = make(E, 1 / L if make is not gf.optimizers.douglas_rachford else 5.0)
        run = method.iterate(np.zeros(10), 600, save_every=600)
        x = np.asarray(run.x[-1])
        assert run.status == "converged"
        np.testing.assert_allclose(x, expected, atol=1e-8)
        np.testing.assert_array_equal(x != 0, expected != 0)
        assert np.count_nonzero(x) == support


def test_ista_falls_and_keeps_its_rate():
    E, L, x_star, minimum = flat_lasso()
    run = gf.optimizers.ista(E, lr=1 / L).iterate(np.ones(40), 300)
    assert float(jnp.max(jnp.diff(run.energy))) <= 1e-12
    k = np.arange(1, 301)
    assert np.all(np.asarray(run.energy[1:]) - minimum <= L * float(jnp.sum((1 - x_star) ** 2)) / (2 * k))


def test_fista_keeps_its_rate_where_ista_does_not():
    E, L, x_star, minimum = flat_lasso()
    x0 = jnp.ones(40)
    run = gf.optimizers.fista(E, lr=1 / L).iterate(x0, 300)
    k, gap = np.arange(1, 301), np.asarray(run.energy) - minimum
    bound = (2 * L * float(jnp.sum((x0 - x_star) ** 2)) + 3 * gap[0]) / (k + 2) ** 2
    assert np.all(gap[1:] <= bound)
    plain = np.asarray(gf.optimizers.ista(E, lr=1 / L).iterate(x0, 300).energy) - minimum
    assert gap[300] < plain[300] / 10
    assert np.any(plain[1:] > bound)


def test_fista_is_its_recurrence():
    """Written out in NumPy: x' = soft(y − η∇f(y)), y' = x' + (k + 2)/(k + 5)·(x' − x)."""
    E, L, _ = lasso(1.0)
    x = y = np.zeros(10)
    run = gf.optimizers.fista(E, lr=1 / L).iterate(x, 50)
    for k in range(50):
        forward = y - np.asarray(E.smooth.grad(y)) / L
        new = np.sign(forward) * np.maximum(np.abs(forward) - 1 / L, 0)
        x, y = new, new + (k + 2) / (k + 5) * (new - x)
    np.testing.assert_allclose(run.x[-1], x, atol=1e-12)


def test_without_a_penalty_they_are_the_smooth_methods():
    f = gf.LeastSquares([[4, 1], [1, 3]], [1, 2])
    E = gf.Composite(f, P.L1(0.0))
    pairs = (
        (gf.optimizers.fista, gf.optimizers.accelerated_gradient),
        (gf.optimizers.ista, gf.optimizers.gradient_descent),
    )
    for proximal, smooth in part(pairs):
        left, right = proximal(E, lr=0.04).iterate([4.0, -1.0], 40), smooth(f, lr=0.04).iterate([4.0, -1.0], 40)
        np.testing.assert_allclose(left.x, right.x, atol=1e-14)
        np.testing.assert_allclose(left.t, right.t, rtol=1e-15)


def test_restarts_find_the_rate_without_knowing_mu():
    """On κ = 1000: momentum that grows for ever swings; restarted it keeps up with the constant β made for κ."""
    d = jnp.linspace(1.0, 1000.0, 30)
    E = gf.Composite(gf.Quadratic(jnp.diag(d), jnp.ones(30)), P.L1(0.1))
    steps = 600
    plain, restarted = (
        make(E, lr=1e-3).iterate(jnp.ones(30), steps).x for make in (gf.optimizers.fista, gf.optimizers.restarted_fista)
    )
    x_star = jnp.where(d > 0, (1 - 0.1) / d, 0)
    beta = (np.sqrt(1000) - 1) / (np.sqrt(1000) + 1)
    h = np.sqrt(1e-3)
    ball = gf.HeavyBall(E, mass=1.0, friction=(1 - beta) / (beta * h))
    tuned = gf.iterate(
        ball,
        gf.NesterovStep(),
        jnp.ones(30),
        step=h,
        steps=steps,
    ).x
    error = [float(jnp.linalg.norm(x[-1] - x_star)) for x in (plain, restarted, tuned)]
    assert error[1] < 1e-4 * error[0]
    assert error[2] < 1e-6
    assert error[1] < 1e-6


def test_a_restart_is_only_when_uphill():
    """In one dimension, from one side: until the minimizer is passed it is NesterovStep, then it starts from rest."""
    flow = gf.Nesterov(gf.Quadratic([[1.0]]))
    plain, restarted = (
        gf.iterate(flow, s, [1.0], step=0.1, steps=60).x[:, 0] for s in (gf.NesterovStep(), gf.RestartedNesterov())
    )
    passed = int(np.argmax(np.asarray(plain) < 0))
    np.testing.assert_allclose(plain[: passed + 1], restarted[: passed + 1], atol=1e-13)
    again = gf.iterate(flow, gf.NesterovStep(), restarted[passed : passed + 1], step=0.1, steps=10).x[:, 0]
    np.testing.assert_allclose(restarted[passed : passed + 11], again, rtol=1e-12)


def test_douglas_rachford_never_leaves():
    """‖z_k − z*‖ never rises, whatever h; z* = x* + hp with p = −∇f(x*)."""
    E, _, expected = lasso(1.0)
    for h in (0.05, 20.0):
        run = gf.iterate(gf.GradientFlow(E), gf.DouglasRachford(), np.full(10, 9.0), step=h, steps=300)
        z_star = expected - h * np.asarray(E.smooth.grad(expected))
        away = np.linalg.norm(np.asarray(run.state) - z_star, axis=1)
        assert np.all(np.diff(away) <= 1e-10)
        assert away[-1] < away[0] / 5
        np.testing.assert_allclose(run.x, np.sign(run.state) * np.maximum(np.abs(run.state) - h, 0), atol=1e-14)


def test_splittings_run_on_fractions():
    """On λx²/2 + wx²/2: forward–backward multiplies by (1 − hλ)/(1 + hw); the others keep exact numbers exact."""
    lam, w, h = Fraction(3, 2), Fraction(1, 2), Fraction(1, 4)
    E = gf.Composite(gf.Mode(lam), P.SquaredL2(w))
    flow, x = gf.GradientFlow(E), Fraction(5, 8)
    assert gf.ForwardBackward().step(flow, Fraction(0), x, h) == x * (1 - h * lam) / (1 + h * w)
    # z' = z + R_f(2R_g z − z) − R_g z, with R = 1/(1 + hλ) and 1/(1 + hw).
    g = x / (1 + h * w)
    assert gf.DouglasRachford().step(flow, Fraction(0), x, h) == x + (2 * g - x) / (1 + h * lam) - g
    ball = gf.HeavyBall(E, mass=Fraction(1), friction=Fraction(2))
    z = gf.NesterovStep().step(ball, Fraction(0), gf.Phase(x, Fraction(1, 3)), h)
    beta = Fraction(1) / (1 + 2 * h)
    y = x + h * beta / 3
    assert z.x == (y - h * h * lam * y) / (1 + h * h * w)
    assert z.v == (z.x - x) / h


# --- Flows -----------------------------------------------------------------------------------------------------------


def test_the_flow_of_the_absolute_value():
    """|x| falls at speed 1, reaches 0 at t = |x₀| and stays; smoothed by δ, it is δ/e late there, and never later."""
    exact = gf.iterate(gf.GradientFlow(P.L1()), gf.ExactFlow(), [1.0, -0.25], step=0.125, steps=16)
    expected = np.sign([1.0, -0.25]) * np.maximum(np.abs([1.0, -0.25]) - np.asarray(exact.t)[:, None], 0)
    np.testing.assert_array_equal(exact.x, expected)
    assert exact.status == "converged"
    ts = np.linspace(0, 2, 41)
    for delta in (1e-2, 1e-3):
        path = gf.integrate(gf.GradientFlow(gf.MoreauEnvelope(P.L1(), delta)), [1.0], 2.0, ts=ts, rtol=1e-9, atol=1e-12)
        late = np.abs(path.x[:, 0] - np.maximum(1 - ts, 0))
        assert int(np.argmax(late)) == 20
        assert late.max() == pytest.approx(delta / np.e, rel=1e-4)


@thorough
def test_the_smoothed_lasso_tends_to_the_lasso():
    """Along the whole path, against small implicit steps of the inclusion itself: error O(δ)."""
    E = gf.Composite(gf.Quadratic([[2.0, 0.5], [0.5, 1.0]], [0.3, 2.0]), P.L1(1.0))
    n = 4096
    run = gf.iterate(gf.GradientFlow(E), gf.BackwardEuler(), [1.0, -0.5], step=2 / n, steps=n, save_every=n // 8)
    errors = []
    for delta in (4e-2, 1e-2):
        smooth = gf.Composite(E.smooth, gf.MoreauEnvelope(E.nonsmooth, delta))
        path = gf.integrate(gf.GradientFlow(smooth), [1.0, -0.5], 2.0, ts=run.t)
        errors.append(float(jnp.max(jnp.abs(path.x - run.x))))
    assert errors[1] < 1e-2
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.25)
    assert float(jnp.min(jnp.abs(run.x[-1]))) == 0


def test_the_proximal_map_of_a_sum_is_optimal():
    """h(f + g) + ½‖y − x‖² is composite too: the least element of its subdifferential is 0 at y, however large h."""
    rng = np.random.default_rng(3)
    x, M = jnp.asarray(2 * rng.normal(size=(10, 12))), jnp.asarray(rng.normal(size=(10, 8, 12)))

    @jax.jit
    @jax.vmap
    def unmet(x, M, h):
        f, worst = gf.LeastSquares(M, jnp.ones(8)), []
        for g in part((P.GroupLasso(np.arange(12) // 3, 1.0), P.L1(0.7), P.Indicator(C.Simplex()))):
            y = gf.prox(gf.Composite(f, g), x, h)
            worst.append(jnp.max(jnp.abs(g.least_subgradient(y, (y - x) / h + f.grad(y)))))
        return jnp.stack(worst)

    found = unmet(x, M, jnp.logspace(-2, 4, 10))
    assert float(jnp.max(found)) < 1e-6


def test_the_proximal_map_of_a_sum_at_coinciding_singular_values():
    """Where the singular value decomposition has no derivative, and Newton's method falls back on gradient steps."""
    A = jnp.eye(4)
    E = gf.Composite(gf.energy(lambda X: jnp.sum((X - A) ** 2) / 2), P.Nuclear(0.25))
    # h(½‖y − A‖² + ‖y‖*/4) + ½‖y‖²: y = (h/(1 + h)) (1 − ¼) A.
    np.testing.assert_allclose(gf.prox(E, jnp.zeros((4, 4)), 3.0), 0.75 * 0.75 * A, atol=1e-9)


def test_the_proximal_point_method_on_a_sum():
    E, _, expected = lasso(1.0)
    run = gf.optimizers.proximal_point(E, lr=1e6).iterate(np.zeros(10), 2)
    np.testing.assert_allclose(run.x[-1], expected, atol=1e-3)
    assert run.status == "converged" or float(run.energy[2]) <= float(run.energy[1])


def test_the_projected_flow_s_resolvent_at_a_bound():
    """A far step is the constrained minimizer, against L-BFGS-B; and the inclusion's own flow takes the same steps."""
    H, b = np.array([[3.0, 1.0, 0.0], [1.0, 2.0, 0.5], [0.0, 0.5, 1.0]]), np.array([3.0, -2.0, 2.0])
    E, box = gf.Quadratic(H, b), C.Box(0.0, 1.0)
    flow = gf.ProjectedFlow(E, box)
    found = scipy.optimize.minimize(
        lambda x: x @ H @ x / 2 - b @ x,
        np.full(3, 0.5),
        jac=lambda x: H @ x - b,
        bounds=[(0, 1)] * 3,
        method="L-BFGS-B",
        options={"ftol": 1e-15},
    ).x
    assert set(found) & {0.0, 1.0}
    n = 800
    # As many steps as below, which are one program with them; two are enough.
    far = gf.iterate(flow, gf.BackwardEuler(), [0.5, 0.5, 0.5], step=1e8, steps=n, save_every=n // 4)
    np.testing.assert_allclose(far.x[-1], found, atol=1e-7)
    held = gf.GradientFlow(gf.Composite(E, P.Indicator(box)))
    run, same = (
        gf.iterate(f, gf.BackwardEuler(), [0.5, 0.5, 0.5], step=2 / n, steps=n, save_every=n // 4) for f in (flow, held)
    )
    # A backward step of a convex energy brings two points no further apart, so roundings at most add up.
    np.testing.assert_allclose(run.x, same.x, atol=64 * n * np.finfo(float).eps)
    if THOROUGH:
        path = gf.integrate(flow, [0.5, 0.5, 0.5], 2.0, ts=run.t)
        np.testing.assert_allclose(run.x, path.x, atol=2e-3)


def test_an_inertial_flow_of_a_sum():
    """Its parts sum to its drift where g is smooth, and a step of backward Euler solves its equation."""
    E = gf.Composite(gf.energy(lambda x: jnp.sum(x**4) / 4 + x[0] * x[1] / 3), P.L1(0.5))
    for flow in part((gf.HeavyBall(E, mass=0.5, friction=2.0), gf.Nesterov(E))):
        z = gf.Phase(jnp.array([1.0, -2.0]), jnp.array([0.3, 0.1]))
        total = sum((part.drift(1.3, z) for part in flow.parts.values()), start=0 * z)
        y = jax.jit(lambda z, flow=flow: flow.resolvent(1.3, z, 0.2))(z)
        for left, right in ((total, flow.drift(1.3, z)), (y, z + 0.2 * flow.drift(1.3, y))):
            jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-10), left, right)


@thorough
def test_they_run_on_pytrees_in_single_precision():
    x0 = {"w": jnp.ones((2, 2), jnp.float32), "b": jnp.ones((), jnp.float32)}
    f = gf.energy(lambda p: jnp.sum((p["w"] - 0.3) ** 2) / 2 + (p["b"] - 2.0) ** 2)
    E = gf.Composite(f, P.L1(0.5))
    for make in METHODS:
        run = make(E, lr=0.4).iterate(x0, 80, save_every=80)
        assert {leaf.dtype for leaf in jax.tree.leaves(run.x)} == {jnp.dtype("float32")}
        np.testing.assert_array_equal(run.x["w"][-1], 0)
        assert float(run.x["b"][-1]) == pytest.approx(1.75, rel=1e-6)


# --- What is refused -------------------------------------------------------------------------------------------------


def test_a_start_outside_the_wall_is_refused():
    E = gf.Composite(gf.landscapes.bowl(), P.Indicator(C.Simplex()))
    for flow in part((gf.GradientFlow(E), gf.Nesterov(E))):
        scheme = gf.ForwardBackward() if isinstance(flow, gf.GradientFlow) else gf.NesterovStep()
        with pytest.raises(ValueError, match="the energy is inf at `x0`; start where it is finite"):
            gf.iterate(flow, scheme, [0.6, 0.6], step=0.1, steps=1)
    run = gf.optimizers.fista(E, lr=0.1).iterate([0.6, 0.4], 200)
    assert run.status == "converged"
    np.testing.assert_allclose(run.x[-1], [0.9, 0.1], atol=1e-9)


@pytest.mark.parametrize("energy", [P.L1(), gf.Composite(gf.landscapes.bowl(), P.Indicator(C.Box(-9.0, 9.0)))])
def test_a_solver_is_not_sent_across_kinks(energy):
    with pytest.raises(ValueError, match=r"a solver would only chatter; smooth it: Composite\(f, MoreauEnvelope"):
        gf.integrate(gf.GradientFlow(energy), [1.0, 0.5], 1.0)


def test_what_is_no_sum_is_refused_with_the_remedy():
    bowl = gf.landscapes.bowl()
    for make in METHODS:
        with pytest.raises(TypeError, match=r"`E` must be a sum, Composite\(f, penalties.L1"):
            make(bowl, lr=0.1)
        with pytest.raises(ValueError, match="`lr` must be finite and positive"):
            make(gf.Composite(bowl, P.L1()), lr=-1.0)
    for make in METHODS[1:]:
        with pytest.raises(TypeError, match="`lr` must be a number"):
            make(gf.Composite(bowl, P.L1()), lr=lambda k: 0.1)
    with pytest.raises(gf.UnansweredQuestionError, match=r"only where its energy is a Composite\(f, g\)"):
        gf.iterate(gf.GradientFlow(bowl), gf.ForwardBackward(), [1.0, 1.0], step=0.1, steps=1)


@thorough
@pytest.mark.parametrize(
    "make", part([gf.optimizers.fista, lambda E, lr: gf.optimizers.accelerated_gradient(E.smooth, lr)])
)
def test_the_edge_of_an_accelerated_method_is_that_of_its_momentum_in_the_long_run(make):
    """With β → 1 a mode of y' = x' + β(x' − x) is stable up to ηλ = 4/3, and h = √η."""
    both = gf.Composite(gf.Quadratic(np.diag([1.0, 10.0])), gf.penalties.L1(0.1))
    found = gf.edge_of_stability(method := make(both, 0.1), method.iterate([0.9, 0.8], 6), points=2)
    np.testing.assert_allclose(found.lr_limit, 4 / 30, rtol=1e-5)
    np.testing.assert_allclose(found.limit, np.sqrt(4 / 30), rtol=1e-5)
    assert found.grade == "measured"


def test_a_method_that_restarts_goes_another_way_along_the_smooth_part():
    both = gf.Composite(gf.Quadratic(np.diag([1.0, 10.0])), gf.penalties.L1(0.1))
    method = gf.optimizers.restarted_fista(both, 0.1)
    with pytest.raises(ValueError, match=r"of a sum the smooth part is read, .* ask about one that doesn't"):
        gf.edge_of_stability(method, method.iterate([0.9, 0.8], 6), points=2)
