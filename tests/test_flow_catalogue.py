"""What makes each flow what its name says: closed forms, laws, limits and what happens at the edges."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.optimize
import scipy.special
import sympy

import gradientflow as gf

from .thorough import THOROUGH, part, thorough

BOWL = gf.Quadratic(np.diag([1.0, 25.0]))
ROSENBROCK = gf.landscapes.rosenbrock()
SHARP = {"rtol": 1e-11, "atol": 1e-12}


# --- Nesterov --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("r", part([3.0, 4.5]))
def test_nesterov_is_its_bessel_function_from_the_singular_start(r):
    flow, omega, nu = gf.Nesterov(BOWL, r), np.array([1.0, 5.0]), (r - 1) / 2
    path = gf.integrate(flow, [1.0, 1.0], 10.0, **SHARP)
    angle = np.maximum(np.asarray(path.t)[:, None] * omega, 1e-30)
    bessel = scipy.special.gamma(nu + 1) * (2 / angle) ** nu * scipy.special.jv(nu, angle)
    np.testing.assert_allclose(path.x[1:], bessel[1:], atol=1e-8)
    exact = jax.jit(jax.vmap(lambda t: flow.solution(0.0, flow.init(jnp.ones(2)), t).x))(path.t)
    np.testing.assert_allclose(exact[1:], bessel[1:], atol=1e-13)


@pytest.mark.parametrize("lam", part([25.0, 0.0, -2.0]))
def test_nesterovs_closed_form_between_any_two_times(lam):
    """Bound, flat and unstable modes with a force, against a numerical solution; and it composes."""
    flow = gf.Nesterov(gf.Quadratic([[lam]], [0.7]), r=2.5)
    z = gf.Phase(jnp.array([2.0]), jnp.array([-1.0]))
    path = gf.integrate(flow, None, 3.0, t0=0.5, state=z, **SHARP)
    solution = eqx.filter_jit(flow.solution)
    end = solution(0.5, z, 2.5)
    np.testing.assert_allclose([end.x[0], end.v[0]], [path.state.x[-1, 0], path.state.v[-1, 0]], rtol=1e-9)
    two = solution(1.5, solution(0.5, z, 1.0), 1.5)
    np.testing.assert_allclose([two.x[0], two.v[0]], [end.x[0], end.v[0]], rtol=1e-11)


@thorough
def test_nesterovs_rate_and_lyapunov_function_on_a_convex_energy():
    E = gf.energy(lambda x: jnp.sum(x**4) / 4, minimizer=[0.0, 0.0])
    path = gf.integrate(gf.Nesterov(E, r=3.0), [1.0, -2.0], 30.0, rtol=1e-10, atol=1e-10)
    t, gap = np.asarray(path.t), np.asarray(path.energy)
    assert (gap[1:] <= 2 * 5 / t[1:] ** 2).all()
    ahead = np.asarray(path.x) + t[:, None] * np.asarray(path.state.v) / 2
    V = t**2 * gap + 2 * (ahead**2).sum(axis=1)
    assert (np.diff(V) <= 1e-7).all()


def test_a_moving_start_at_time_zero_is_refused_with_the_remedy():
    path = gf.integrate(gf.Nesterov(BOWL), [1.0, 1.0], 1.0)
    with pytest.raises(ValueError, match=r"at t = 0 `v` must be zero.*give its time as `t0`"):
        gf.integrate(gf.Nesterov(BOWL), None, 2.0, state=path.state[-1])
    rest = gf.integrate(gf.Nesterov(BOWL), None, 2.0, t0=1.0, state=path.state[-1])
    whole = gf.integrate(gf.Nesterov(BOWL), [1.0, 1.0], 2.0)
    np.testing.assert_allclose(rest.x[-1], whole.x[-1], atol=1e-7)
    with pytest.raises(ValueError, match="must not be negative"):
        gf.integrate(gf.Nesterov(BOWL), [1.0, 1.0], 2.0, t0=-1.0)


# --- Newton and other metrics ----------------------------------------------------------------------------------------


def test_newtons_gradient_shrinks_along_a_straight_line():
    path = gf.integrate(gf.NewtonFlow(ROSENBROCK), [-1.2, 1.0], 5.0, rtol=1e-11, atol=1e-11)
    gradients = np.asarray(jax.jit(jax.vmap(ROSENBROCK.grad))(path.x))
    np.testing.assert_allclose(gradients, np.exp(-np.asarray(path.t))[:, None] * gradients[0], atol=1e-7)


@thorough
def test_newtons_law_holds_on_the_way_to_a_saddle_too():
    E = gf.energy(lambda x: x[0] ** 2 - x[1] ** 2 + x[0] * x[1] ** 3 / 10)
    path = gf.integrate(gf.NewtonFlow(E), [0.7, 0.6], math.inf)
    assert path.status.outcome == "converged"
    np.testing.assert_allclose(path.x[-1], [0, 0], atol=1e-8)


def test_a_large_newton_flow_is_matrix_free():
    """Three hundred unknowns, by conjugate gradients, against the separable closed form of x⁴/4 + x²/2."""
    x = jnp.linspace(-2.0, 2.0, 300)
    flow = gf.NewtonFlow(gf.energy(lambda x: jnp.sum(x**4 / 4 + x**2 / 2)), regularization=0.5)
    np.testing.assert_allclose(flow.drift(0.0, x), -(x**3 + x) / (3 * x**2 + 1.5), atol=1e-10)
    assert "cholesky" not in str(jax.make_jaxpr(lambda x: flow.drift(0.0, x))(x))


@thorough
def test_newton_is_read_exactly():
    """Undamped Newton's method ends on any quadratic in one step; ε is a symbol like another."""
    h, lam, epsilon = sympy.symbols("h lambda regularization")
    found = gf.stability_function(gf.ForwardEuler(), flow=gf.NewtonFlow)
    assert sympy.simplify(found - (1 - h * lam / (lam + epsilon))) == 0
    assert gf.stability(gf.NewtonFlow(BOWL), gf.ForwardEuler()).limit == pytest.approx(2)


def test_the_hessian_as_metric_makes_every_mode_decay_alike():
    flow = gf.PreconditionedFlow(BOWL, [1.0, 25.0])
    np.testing.assert_allclose(
        eqx.filter_jit(flow.solution)(0.0, jnp.array([2.0, 3.0]), 0.7), np.exp(-0.7) * np.array([2, 3])
    )
    full = gf.PreconditionedFlow(gf.LeastSquares([[4, 1], [1, 3]], [1, 2]), [[2.0, 0.5], [0.5, 1.0]])
    path = gf.integrate(full, [4.0, -1.0], 0.5, **SHARP)
    np.testing.assert_allclose(path.x[-1], eqx.filter_jit(full.solution)(0.0, path.x[0], 0.5), atol=1e-9)


def test_the_fisher_metric_of_logistic_regression_is_its_hessian():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 2)), np.tile([0, 1], 20)
    E = gf.LogisticRegression(X, y, intercept=False)

    def chance(w):
        return jax.nn.sigmoid(X @ w)

    fisher = gf.FisherMetric(lambda w: jnp.stack([chance(w), 1 - chance(w)], axis=-1))
    w = jnp.array([0.3, -0.8])
    natural, newton = gf.RiemannianFlow(E, fisher), gf.NewtonFlow(E)

    @jax.jit
    def asked(w):
        return fisher(w), jax.hessian(E.value)(w), natural.drift(0.0, w), newton.drift(0.0, w)

    metric, hessian, by_metric, by_hessian = asked(w)
    np.testing.assert_allclose(metric, hessian, rtol=1e-12)
    np.testing.assert_allclose(by_metric, by_hessian, rtol=1e-10)


def test_the_natural_gradient_does_not_see_the_parametrization():
    """A coin by its chance p, and by its log odds: one path."""

    def cost(p):
        return -(0.8 * jnp.log(p) + 0.2 * jnp.log(1 - p))

    def chance(x):
        return jax.nn.sigmoid(x[0])

    def flow(chance):
        metric = gf.FisherMetric(jax.jit(lambda x: jnp.stack([chance(x), 1 - chance(x)])))
        return gf.RiemannianFlow(gf.energy(jax.jit(lambda x: cost(chance(x)))), metric)

    ts = np.linspace(0, 2, 9)
    by_chance = gf.integrate(flow(lambda x: x[0]), [0.1], 2.0, ts=ts, **SHARP).x[:, 0]
    by_odds = gf.integrate(flow(chance), [math.log(0.1 / 0.9)], 2.0, ts=ts, **SHARP).x[:, 0]
    np.testing.assert_allclose(scipy.special.expit(by_odds), by_chance, atol=1e-9)


# --- Mirror flow -----------------------------------------------------------------------------------------------------


def test_exponentiated_gradient_on_the_simplex_is_its_closed_form():
    cost, x0 = np.array([1.0, 2.0, -0.5]), np.array([0.2, 0.5, 0.3])
    flow = gf.MirrorFlow(gf.energy(lambda x: jnp.asarray(cost) @ x), gf.potentials.Entropy())
    run = gf.iterate(flow, gf.ForwardEuler(), x0, step=0.1, steps=30)
    weights = x0 * np.exp(-np.asarray(run.t)[:, None] * cost)
    closed = weights / weights.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(run.x, closed, rtol=1e-13)
    path = gf.integrate(flow, x0, 3.0, ts=run.t)
    np.testing.assert_allclose(path.x, closed, atol=1e-9)


def test_the_entropy_flow_is_the_replicator_equation():
    E = gf.energy(lambda x: jnp.sum(jnp.array([3.0, 1.0, 2.0]) * x**2))
    flow = gf.MirrorFlow(E, gf.potentials.Entropy())
    x = jnp.array([0.2, 0.5, 0.3])
    z = flow.init(x)
    speed = jax.jvp(flow.position, (z,), (flow.drift(0.0, z),))[1]
    gradient = E.grad(x)
    np.testing.assert_allclose(speed, -x * (gradient - x @ gradient), rtol=1e-12)


@thorough
def test_the_bregman_divergence_to_the_minimizer_falls():
    weights = jnp.array([3.0, 1.0, 2.0])
    flow = gf.MirrorFlow(gf.energy(lambda x: jnp.sum(weights * x**2)), gf.potentials.Entropy())
    best = (1 / weights) / jnp.sum(1 / weights)
    path = gf.integrate(flow, [0.9, 0.05, 0.05], math.inf, gtol=1e-9)
    assert path.status.outcome == "converged"
    np.testing.assert_allclose(path.x[-1], best, atol=1e-8)
    divergence = jax.vmap(lambda x: flow.potential.divergence(best, x))(path.x)
    assert (np.diff(divergence) <= 1e-12).all()


def test_faces_of_the_simplex_are_never_left_or_entered():
    flow = gf.MirrorFlow(gf.energy(lambda x: x @ jnp.array([5.0, 1.0, 0.0])), gf.potentials.Entropy())
    path = gf.integrate(flow, [0.5, 0.5, 0.0], math.inf)
    # At rest in its face, though the gradient points off it: E is 1 there, and 0 at the corner that it can't reach.
    assert path.status.outcome == "standing still"
    np.testing.assert_array_equal(path.x[:, 2], 0.0)
    np.testing.assert_allclose(path.x[-1], [0, 1, 0], atol=1e-8)
    run = gf.iterate(flow, gf.ForwardEuler(), [0.5, 0.5, 0.0], step=0.5, steps=40)
    np.testing.assert_array_equal(run.x[:, 2], 0.0)


POTENTIALS = [
    (gf.potentials.Euclidean(), [1.0, -2.0]),
    (gf.potentials.Entropy(), [0.25, 0.75]),
    (gf.potentials.PositiveEntropy(), [0.25, 3.0]),
    (gf.potentials.BoxEntropy(-1.0, 2.0), [-0.5, 1.7]),
    (gf.potentials.HyperbolicEntropy(0.1), [0.5, -4.0]),
    (gf.potentials.potential(lambda x: jnp.sum(jnp.cosh(x))), [0.5, -1.0]),
]


@pytest.mark.parametrize(("potential", "x"), POTENTIALS, ids=lambda value: type(value).__name__)
def test_a_potentials_gradient_is_the_derivative_and_its_inverse_undoes_it(potential, x):
    x = jnp.asarray(x)
    derivative = jax.grad(potential.value)(x)
    offset = 1.0 if isinstance(potential, gf.potentials.Entropy) else 0.0
    np.testing.assert_allclose(potential.gradient(x) + offset, derivative, rtol=1e-12)
    np.testing.assert_allclose(potential.inverse(potential.gradient(x)), x, rtol=1e-9)


@pytest.mark.parametrize(
    ("potential", "x0", "message"),
    [
        (gf.potentials.Entropy(), [0.5, 0.6], "must lie on the simplex"),
        (gf.potentials.PositiveEntropy(), [-0.5, 0.6], "must be ≥ 0"),
        (gf.potentials.BoxEntropy(), [0.5, 1.0], "must lie inside"),
    ],
)
def test_a_start_outside_the_domain_is_refused(potential, x0, message):
    with pytest.raises(ValueError, match=message):
        gf.integrate(gf.MirrorFlow(BOWL, potential), x0, 1.0)


# --- Flows held in a set ---------------------------------------------------------------------------------------------


def test_projection_on_the_simplex_is_the_nearest_point():
    rng = np.random.default_rng(1)
    points = rng.normal(size=(20, 5))
    for x, p in zip(points, np.asarray(jax.jit(jax.vmap(gf.constraints.Simplex().project))(points)), strict=True):
        assert p.min() >= 0
        assert p.sum() == pytest.approx(1, abs=1e-14)
        # The variational inequality ⟨x − p, q − p⟩ ≤ 0 at every corner q.
        assert ((np.eye(5) - p) @ (x - p)).max() <= 1e-13


def test_the_tangent_projection_is_the_derivative_of_the_projection():
    rng = np.random.default_rng(2)
    simplex, x = gf.constraints.Simplex(), jnp.array([0.6, 0.4, 0.0, 0.0])
    directions = rng.normal(size=(20, 4))
    along = jax.jit(jax.vmap(lambda v: simplex.project_tangent(x, v)))(directions)
    slopes = jax.jit(jax.vmap(lambda v: (simplex.project(x + 1e-6 * v) - x) / 1e-6))(directions)
    np.testing.assert_allclose(along, slopes, atol=1e-9)


def test_a_projected_flow_ends_where_a_constrained_solver_does():
    H, b = np.array([[3.0, 1.0, 0.0], [1.0, 2.0, 0.5], [0.0, 0.5, 1.0]]), np.array([3.0, -2.0, 2.0])
    E = gf.Quadratic(H, b)

    def value(x):
        return x @ H @ x / 2 - b @ x

    def slope(x):
        return H @ x - b

    simplex = gf.integrate(gf.ProjectedFlow(E, gf.constraints.Simplex()), [0.2, 0.5, 0.3], math.inf, gtol=1e-9)
    total = {"type": "eq", "fun": lambda x: x.sum() - 1, "jac": lambda x: np.ones(3)}
    found = scipy.optimize.minimize(
        value, [0.2, 0.5, 0.3], jac=slope, bounds=[(0, 1)] * 3, constraints=total, method="SLSQP", tol=1e-14
    )
    assert simplex.status.outcome == "converged"
    np.testing.assert_allclose(simplex.x[-1], found.x, atol=1e-6)
    assert float(simplex.x[-1].min()) == 0
    if not THOROUGH:
        return
    # In a box projected gradients end there too.
    box = gf.integrate(gf.ProjectedFlow(E, gf.constraints.Box(0.0, 1.0)), [0.5, 0.5, 0.5], math.inf, gtol=1e-9)
    found = scipy.optimize.minimize(
        value, np.full(3, 0.5), jac=slope, bounds=[(0, 1)] * 3, method="L-BFGS-B", options={"ftol": 1e-15}
    )
    assert box.status.outcome == "converged"
    np.testing.assert_allclose(box.x[-1], found.x, atol=1e-7)


@thorough
def test_a_projected_flow_slides_along_a_bound_and_leaves_it_again():
    """Down a slope in y, against x = 0 at first; from y = 1 on the force points inwards."""
    E = gf.energy(lambda p: p[1] + p[0] * (p[1] - 1) * -1.0)
    path = gf.integrate(gf.ProjectedFlow(E, gf.constraints.Box([0.0, -9.0], 9.0)), [0.5, 0.0], 1.0)
    assert float(path.x[:, 0].min()) >= 0
    up = gf.energy(lambda p: -p[1] - p[0] * (p[1] - 1))
    path = gf.integrate(gf.ProjectedFlow(up, gf.constraints.Box([0.0, -9.0], 9.0)), [0.2, 0.0], 2.5, ts=[0, 0.9, 2.5])
    assert float(path.x[1, 0]) == 0
    assert float(path.x[2, 0]) > 0.1


def test_a_start_outside_the_set_is_refused():
    with pytest.raises(ValueError, match=r"`x0` must lie in the set.*constraint.project"):
        gf.integrate(gf.ProjectedFlow(BOWL, gf.constraints.Box(0.0, 1.0)), [2.0, 0.0], 1.0)


# --- Speeds that do not follow the gradient --------------------------------------------------------------------------


@pytest.mark.parametrize("q", part([3.0, 5.0, math.inf]))
def test_a_rescaled_flow_arrives_in_finite_time(q):
    """On λx²/2 the distance to the power (q−2)/(q−1) falls linearly; and the general bound is met."""
    lam, x0, s = 2.0, 1.5, q / (q - 1) if q < math.inf else 1.0
    a = 2 - s  # = (q − 2)/(q − 1)
    T = x0**a / (a * lam ** (s - 1))
    E = gf.Quadratic([[lam]])
    path = gf.integrate(gf.RescaledFlow(E, q, smoothing=1e-9), [x0], 1.5 * T)
    t = np.asarray(path.t)
    closed = np.maximum(x0**a - a * lam ** (s - 1) * t, 0) ** (1 / a)
    np.testing.assert_allclose(path.x[:, 0], closed, atol=2e-7)
    bound = float(path.energy[0]) ** (1 - s / 2) / ((1 - s / 2) * (2 * lam) ** (s / 2))
    assert pytest.approx(bound) == T


@thorough
def test_the_normalized_flow_runs_the_gradient_flows_path_at_unit_speed():
    x0 = [1.0, 1.0]
    path = gf.integrate(gf.RescaledFlow(BOWL, smoothing=0.0), x0, 0.9, **SHARP)
    length = np.hypot(*np.diff(np.asarray(path.x), axis=0).T).sum()
    assert length == pytest.approx(0.9, rel=1e-3)
    # On diag(1, 25) a path is y = y₀(x/x₀)^25.
    np.testing.assert_allclose(path.x[:, 1], path.x[:, 0] ** 25, atol=1e-8)


def test_zero_gradients_are_equilibria_of_normalized_flows():
    for flow in (gf.RescaledFlow(BOWL, smoothing=0.0), gf.RescaledFlow(BOWL, 4.0, 0.0), gf.SignFlow(BOWL, 0.0)):
        np.testing.assert_array_equal(eqx.filter_jit(flow.drift)(0.0, jnp.zeros(2)), [0, 0])
        run = gf.iterate(flow, gf.ForwardEuler(), [0.0, 0.0], step=0.1, steps=3)
        np.testing.assert_array_equal(run.x, np.zeros((4, 2)))


def test_sign_descent_moves_every_coordinate_at_unit_speed_until_it_is_there():
    path = gf.integrate(gf.SignFlow(BOWL), [3.0, -1.0], 2.0, ts=[0.0, 0.5, 1.0, 2.0])
    np.testing.assert_allclose(path.x, [[3, -1], [2.5, -0.5], [2, 0], [1, 0]], atol=1e-4)


# --- Inertia with more than friction ---------------------------------------------------------------------------------


@thorough
def test_hessian_damping_takes_out_the_oscillation():
    overshoots = {}
    for damping in (0.0, 0.5):
        path = gf.integrate(gf.HessianDamped(gf.Quadratic([[25.0]]), 1.0, damping), [1.0], 5.0)
        overshoots[damping] = -float(path.x.min())
    assert overshoots[0.0] > 0.7
    assert overshoots[0.5] < 1e-3


def test_hessian_damping_with_none_is_the_heavy_ball_and_its_function_falls_as_stated():
    z = gf.Phase(jnp.array([0.4, -0.3]), jnp.array([1.0, 0.5]))
    flow = gf.HessianDamped(ROSENBROCK, 0.7, 0.2, 1.5)

    @jax.jit
    def asked(z):
        plain, ball = gf.HessianDamped(ROSENBROCK, 0.7, 0.0), gf.HeavyBall(ROSENBROCK, friction=0.7)
        rate = jax.jvp(lambda z: flow.lyapunov(0.0, z), (z,), (flow.drift(0.0, z),))[1]
        return plain.drift(0.0, z).v, ball.drift(0.0, z).v, rate, ROSENBROCK.grad(z.x)

    plain, ball, rate, gradient = asked(z)
    np.testing.assert_allclose(plain, ball)
    assert float(rate) == pytest.approx(-0.7 * float(z.v @ z.v) - 1.5 * 0.2 * float(gradient @ gradient))


@thorough
def test_the_high_resolution_flow_follows_nesterovs_method_more_closely():
    """Strongly convex Nesterov against its two flows, at t = k√s: the Hessian is what tells them apart."""
    mu, s = 1.0, 1e-3
    E = gf.Quadratic(np.diag([mu, 100.0]))
    momentum = (1 - math.sqrt(mu * s)) / (1 + math.sqrt(mu * s))
    x = y = np.array([1.0, 1.0])
    rows = [x]
    for _ in range(60):
        ahead = y - s * np.asarray(E.grad(y))
        y, x = ahead + momentum * (ahead - x), ahead
        rows.append(y)
    ts = np.arange(61) * math.sqrt(s)
    high = gf.flows.high_resolution(E, step=s, mu=mu)
    start = gf.Phase(jnp.ones(2), -2 * math.sqrt(s) / (1 + math.sqrt(mu * s)) * E.grad(jnp.ones(2)))
    errors = [
        np.abs(np.asarray(gf.integrate(flow, None, ts[-1], state=z, ts=ts).x) - rows).max()
        for flow, z in ((high, start), (gf.HeavyBall(E, friction=2.0), gf.Phase(jnp.ones(2), jnp.zeros(2))))
    ]
    assert errors[0] < errors[1] / 3


@thorough
def test_all_orders_of_the_accelerated_flow_are_one_path():
    ts = np.array([0.0, 0.5, 1.0, 2.0])
    three = gf.integrate(gf.AcceleratedFlow(ROSENBROCK, p=3.0, strength=0.2), [-1.0, 0.5], 2.0, ts=ts, **SHARP)
    two = gf.integrate(
        gf.AcceleratedFlow(ROSENBROCK, p=2.0, strength=0.2), [-1.0, 0.5], ts[-1] ** 1.5, ts=ts**1.5, **SHARP
    )
    np.testing.assert_allclose(three.x, two.x, atol=1e-8)
    dilated = gf.TimeChanged(gf.AcceleratedFlow(ROSENBROCK, p=2.0, strength=0.2), lambda t: t**1.5)
    np.testing.assert_allclose(gf.integrate(dilated, [-1.0, 0.5], 2.0, ts=ts, **SHARP).x, two.x, atol=1e-8)


def test_the_second_order_accelerated_flow_is_nesterovs():
    ts = np.linspace(0.0, 4.0, 9)
    ours = gf.integrate(gf.AcceleratedFlow(BOWL), [1.0, 1.0], 4.0, ts=ts, **SHARP)
    nesterov = gf.integrate(gf.Nesterov(BOWL, r=3.0), [1.0, 1.0], 4.0, ts=ts, **SHARP)
    np.testing.assert_allclose(ours.x, nesterov.x, atol=1e-9)


@thorough
@pytest.mark.parametrize("potential", part([gf.potentials.HyperbolicEntropy(0.3), gf.potentials.Euclidean()]))
def test_the_accelerated_rate_of_any_order_in_any_geometry(potential):
    E, x0, best = gf.energy(lambda x: jnp.sum((x - 1) ** 4)), jnp.array([3.0, -0.5]), jnp.ones(2)
    path = gf.integrate(gf.AcceleratedFlow(E, p=4.0, strength=0.1, potential=potential), x0, 3.0)
    bound = float(potential.divergence(best, x0)) / (0.1 * np.asarray(path.t)[1:] ** 4)
    assert (np.asarray(path.energy)[1:] <= bound).all()


# --- Adaptive flows --------------------------------------------------------------------------------------------------

SLOPE = gf.energy(lambda x: -jnp.sum(x))


def test_adagrad_down_a_slope_is_a_square_root():
    tau, s0 = 0.5, 0.3
    path = gf.integrate(gf.AdaGradFlow(SLOPE, tau, epsilon=0.0, initial=s0), [0.0], 4.0)
    closed = 2 * tau * (np.sqrt(s0 + path.t / tau) - math.sqrt(s0))
    np.testing.assert_allclose(path.x[:, 0], closed, atol=1e-7)


def test_rmsprops_singular_start_against_quadrature():
    """s starts at 0: the first speed is 1/√ε, ten thousand, and integrable."""
    tau, epsilon = 0.5, 1e-8
    path = gf.integrate(gf.RMSpropFlow(SLOPE, tau, epsilon), [0.0], 2.0, **SHARP)
    # With u² = 1 − e^{−t/τ} + ε the integrand is smooth.

    def root(t):
        return math.sqrt(-math.expm1(-t / tau) + epsilon)

    whole = scipy.integrate.quad(lambda u: 2 * tau / (1 + epsilon - u**2), math.sqrt(epsilon), root(2.0))[0]
    assert float(path.x[-1, 0]) == pytest.approx(whole, rel=1e-8)


def test_adam_starts_like_sign_descent_and_goes_on_so_while_gradients_are_steady():
    E = gf.energy(lambda x: jnp.sum(jnp.array([3.0, -0.01]) * x))
    flow = gf.AdamFlow(E, tau1=0.1, tau2=1.0)
    for t, z in ((0.0, flow.init(jnp.zeros(2))),):
        np.testing.assert_allclose(flow.drift(t, z).x, [-1, 1], rtol=1e-5)
    path = gf.integrate(flow, [0.0, 0.0], 2.0)
    np.testing.assert_allclose(path.x, np.asarray(path.t)[:, None] * [-1, 1], rtol=1e-5, atol=1e-7)


def test_adams_start_is_the_limit_of_its_drift():
    """At t = 0 the corrected averages are 0/0; just after, on the solution, they are what the limit says."""
    flow = gf.AdamFlow(ROSENBROCK, tau1=0.1, tau2=1.0)
    first = flow.drift(0.0, flow.init(jnp.array([-1.2, 1.0]))).x
    for t in (1e-3, 1e-5):
        z = flow.parts["averages"].solution(0.0, flow.init(jnp.array([-1.2, 1.0])), t)
        np.testing.assert_allclose(flow.drift(t, z).x, first, rtol=1e-11)


def test_adams_lyapunov_function_is_sharp_in_the_times():
    """It falls from τ₂ ≥ τ₁/3 on; with squares forgotten a hundred times faster than gradients it rises."""
    z = gf.flows.Moments(jnp.zeros(1), jnp.array([1.0]), jnp.array([1.0]))
    flat = gf.energy(lambda x: 0.0 * jnp.sum(x))
    for tau2, rises in ((1 / 3, False), (0.01, True)):
        flow = gf.AdamFlow(flat, tau1=1.0, tau2=tau2)
        rate = jax.jvp(flow.lyapunov, (5.0, z), (1.0, flow.drift(5.0, z)))[1]
        assert (float(rate) > 0) == rises


@thorough
def test_adadelta_in_continuous_time_is_the_gradient_flow():
    """Velocity and gradient are averaged alike and start alike, so their ratio stays 1: only its steps adapt."""
    flow = gf.AdaDeltaFlow(ROSENBROCK, tau=0.7, epsilon=1e-3)
    path = gf.integrate(flow, [-1.2, 1.0], 1.0, rtol=1e-10, atol=1e-10)
    plain = gf.integrate(gf.GradientFlow(ROSENBROCK), [-1.2, 1.0], 1.0, ts=path.t, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(path.x, plain.x, atol=1e-7)
    np.testing.assert_allclose(path.state.d, path.state.s, rtol=1e-5)


# --- Another clock ---------------------------------------------------------------------------------------------------


@thorough
def test_a_schedule_is_forward_euler_on_another_clock():
    steps = jnp.array([0.05, 0.02, 0.04, 0.01])

    def clock(t):
        return jnp.interp(t, jnp.arange(5.0), jnp.concatenate([jnp.zeros(1), jnp.cumsum(steps)]))

    flow = gf.GradientFlow(BOWL)
    scheduled = gf.iterate(flow, gf.ForwardEuler(), [1.0, 1.0], step=lambda k: steps[k], steps=4)
    clocked = gf.iterate(gf.TimeChanged(flow, clock), gf.ForwardEuler(), [1.0, 1.0], step=1.0, steps=4, t0=0.0)
    np.testing.assert_allclose(scheduled.t, jax.vmap(clock)(clocked.t), atol=1e-15)
    np.testing.assert_allclose(clocked.x[-1], scheduled.x[-1], rtol=1e-12, atol=1e-15)


def test_a_time_changed_flow_is_the_flow_at_another_time():
    path = gf.integrate(gf.TimeChanged(gf.HeavyBall(BOWL), lambda t: t**2), [1.0, 1.0], 1.5)
    ball = gf.HeavyBall(BOWL)
    exact = eqx.filter_jit(ball.solution)(0.0, ball.init(jnp.ones(2)), 2.25)
    np.testing.assert_allclose(path.x[-1], exact.x, atol=1e-7)


# --- What a review broke ---------------------------------------------------------------------------------------------


def test_a_large_newton_step_arrives_on_an_ill_conditioned_quadratic_too():
    """κ = 1e4 and 300 unknowns: conjugate gradients must end at what rounding allows and not start again."""
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(300, 300)))[0]
    H = basis @ np.diag(np.logspace(-4, 0, 300)) @ basis.T
    flow = gf.NewtonFlow(gf.Quadratic((H + H.T) / 2, jnp.ones(300)))
    for x in rng.normal(size=(3, 300)):
        z = jnp.asarray(x)
        left = flow.energy.grad(z + flow.drift(0.0, z))
        assert float(jnp.max(jnp.abs(left))) < 1e-8 * float(jnp.max(jnp.abs(flow.energy.grad(z))))


@pytest.mark.parametrize(
    "flow_class", part([gf.Nesterov, gf.HeavyBall, gf.HessianDamped], 3), ids=lambda cls: cls.__name__
)
def test_closed_forms_where_a_curvature_is_zero_but_for_rounding(flow_class):
    """eigh finds −4e-17 and 2e-16 for a twofold 0; the linear term pushes along those modes."""
    H = np.outer([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]) / 7
    flow = flow_class(gf.Quadratic(H, [1.0, 0.0, 0.0]))
    path = gf.integrate(flow, [1.0, 1.0, 1.0], 3.0, **SHARP)
    np.testing.assert_allclose(eqx.filter_jit(flow.solution)(0.0, flow.init(jnp.ones(3)), 3.0).x, path.x[-1], atol=1e-8)


def test_adams_lyapunov_function_counts_the_rate_and_knows_none_for_a_schedule():
    path = gf.integrate(gf.AdamFlow(BOWL, 0.5, 1.0, rate=10.0), [3.0, 1.0], 2.0)
    assert path.stats["lyapunov_rises"] == 0
    with pytest.raises(gf.UnansweredQuestionError, match="changes in time"):
        gf.AdamFlow(BOWL, rate=lambda t: 1 / (1 + t)).lyapunov(0.0, gf.AdamFlow(BOWL).init(jnp.ones(2)))


@pytest.mark.parametrize(
    ("potential", "x0"),
    [
        (gf.potentials.HyperbolicEntropy(0.1), [1e4, -3e3]),
        pytest.param(gf.potentials.BoxEntropy(0.0, 1e6), [5e5, 1e3], marks=thorough),
    ],
    ids=["hyperbolic", "box"],
)
def test_the_rounding_of_a_potential_is_no_moving_start(potential, x0):
    path = gf.integrate(gf.AcceleratedFlow(BOWL, potential=potential), x0, 1e-3)
    assert path.status.outcome == "reached the end"


def test_the_fisher_metric_of_a_certain_outcome_is_zero():
    np.testing.assert_array_equal(gf.FisherMetric(jax.nn.softmax)(jnp.array([0.0, 800.0])), np.zeros((2, 2)))


def test_a_convex_potential_of_many_unknowns_is_inverted_without_a_matrix():
    phi = gf.potentials.potential(lambda x: jnp.sum(x**4 / 4 + x**2 / 2))
    x = jnp.linspace(-2.0, 2.0, 300)
    np.testing.assert_allclose(phi.inverse(x**3 + x), x, atol=1e-9)


def test_adamw_rests_where_its_gradient_balances_the_decay():
    """Or where the bound |x| = 1/w holds it: the minimizer 9 is beyond 1/w = 2."""
    E, decay, epsilon = gf.energy(lambda x: jnp.sum((x - jnp.array([1.0, 9.0])) ** 2) / 2), 0.5, 0.1
    flow = gf.AdamWFlow(E, tau1=0.1, tau2=0.5, epsilon=epsilon, weight_decay=decay)
    end = gf.integrate(flow, [3.0, -1.0], 60.0).x[-1]
    gradient = E.grad(end)
    np.testing.assert_allclose(gradient / (jnp.abs(gradient) + epsilon), -decay * end, atol=1e-6)
    assert 1.9 < float(end[1]) < 2


@pytest.mark.parametrize("start", [[1.0, 0.0, 0.0], pytest.param([1 - 2e-12, 1e-12, 1e-12], marks=thorough)])
def test_a_mirror_flow_near_a_vertex_is_not_at_rest(start):
    """The velocity vanishes there, but ∇E points along the simplex: 1e-12 off it leaves at t ≈ 14."""
    E = gf.energy(lambda x: x @ jnp.array([1.0, 0.0, 0.5]), minimum=0.0)
    flow = gf.MirrorFlow(E, gf.potentials.Entropy())
    run = gf.iterate(flow, gf.ForwardEuler(), start, step=0.1, steps=1000)
    if start[1]:
        assert gf.integrate(flow, start, math.inf).energy[-1] < 1e-6
        assert run.energy[-1] < 1e-6
    else:
        assert run.status.outcome != "converged"


def test_what_is_unbalanced_vanishes_at_rest_only():
    """At a wall what points out is held; what points in is not, however small the velocity there."""
    slope = jnp.array([1.0, -1.0])
    for phi, x in (
        (gf.potentials.PositiveEntropy(), jnp.array([0.0, 2.0])),
        (gf.potentials.BoxEntropy(0.0, 1.0), jnp.array([1e-15, 1 - 1e-15])),
        (gf.potentials.Entropy(), jnp.array([0.0, 1.0])),
    ):
        assert float(jnp.abs(phi.unbalanced(x, jnp.zeros(2))).max()) == 0
        assert float(jnp.abs(phi.unbalanced(x, -slope)).max()) >= 0.9
        assert float(jnp.abs(phi.unbalanced(x, slope))[0]) <= 1e-14


def test_a_vertex_is_not_left_though_the_gradient_leads_away():
    """On a face the entropy's flow stays for ever: at [1, 0] it stands still, and E falls towards [0, 1]."""
    flow = gf.MirrorFlow(gf.energy(lambda x: x[0]), gf.potentials.Entropy())
    run = gf.iterate(flow, gf.ForwardEuler(), [1.0, 0.0], step=0.1, steps=5)
    assert run.status == "standing still"
    assert "though the gradient is not zero" in run.status.detail
