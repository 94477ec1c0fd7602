"""Steepest descent in a norm: its directions, its closed forms, its limits, and the optimizers made of it."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.test_util import check_grads

import gradientflow as gf

from .thorough import of_any_type, part

N = gf.norms
RANDOM = np.random.default_rng(5)
SHAPES = {"tall": (5, 2), "wide": (2, 5), "square": (3, 3)}
E = gf.MatrixLeastSquares(RANDOM.normal(size=(4, 3)), RANDOM.normal(size=(4, 6)), RANDOM.normal(size=(4, 6)))
W0 = jnp.asarray(RANDOM.normal(size=(3, 4)))


def matrix(shape):
    return jnp.asarray(np.random.default_rng(1).normal(size=shape))


# --- Norms -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", [N.Maximum(), N.Euclidean(), N.Spectral(), N.Spectral(N.ConsistentRMS(0.2))])
def test_a_dual_norm_is_attained_by_the_steepest_direction_and_by_no_other_of_that_norm(norm):
    g = {"w": matrix((3, 4)), "b": matrix((3,))}
    size, v = norm.support(g)
    inner = lambda a, b: sum(float(jnp.vdot(p, q)) for p, q in zip(*map(jax.tree.leaves, (a, b)), strict=True))
    np.testing.assert_allclose([inner(g, v), norm.value(v)], [size, 1.0], rtol=1e-12)
    for seed in range(50):
        keys = jax.random.split(jax.random.key(seed))
        other = {"w": jax.random.normal(keys[0], (3, 4)), "b": jax.random.normal(keys[1], (3,))}
        assert inner(g, other) <= float(size * norm.value(other)) * (1 + 1e-12)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_steepest_direction_is_the_dual_norms_gradient_and_has_a_derivative(shape, smoothing):
    g, norm = matrix(shape), N.Spectral()
    np.testing.assert_allclose(jax.grad(lambda g: norm.dual(g, smoothing))(g), norm.steepest(g, smoothing), atol=1e-12)
    check_grads(lambda g: norm.support(g, smoothing), (g,), 1, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("g", [np.eye(3), np.zeros((3, 2)), np.ones((2, 3)), np.diag([2.0, 2.0, 0.0])])
def test_singular_values_that_meet_or_vanish_have_derivatives_all_the_same(g):
    """Those of a decomposition divide by their differences there. The formula G(GᵀG + δ²)^{−1/2} does not."""

    def by_formula(g):
        values, vectors = np.linalg.eigh(g.T @ g + 0.1**2 * np.eye(g.shape[1]))
        return g @ (vectors / np.sqrt(values)) @ vectors.T

    jacobian = np.asarray(jax.jacfwd(lambda g: N.Spectral().steepest(g, 0.1))(jnp.asarray(g)))
    for i, j in np.ndindex(*g.shape):
        change = np.zeros(g.shape)
        change[i, j] = 1e-5
        central = (by_formula(g + change) - by_formula(g - change)) / 2e-5
        np.testing.assert_allclose(jacobian[:, :, i, j], central, atol=1e-6)


def test_what_rounding_leaves_of_a_singular_value_is_no_direction():
    u, v = matrix((4, 1)), matrix((3, 1))
    polar = N.Spectral().steepest(u @ v.T)
    np.testing.assert_allclose(polar, u @ v.T / jnp.linalg.norm(u) / jnp.linalg.norm(v), atol=1e-14)


def test_a_stack_is_moved_matrix_by_matrix_and_a_vector_as_a_column():
    stack = matrix((2, 3, 4))
    np.testing.assert_allclose(
        N.Spectral().steepest(stack), [N.Spectral().steepest(layer) for layer in stack], atol=1e-14
    )
    np.testing.assert_allclose(N.Spectral().steepest(stack[0, 0]), N.Euclidean().steepest(stack[0, 0]), atol=1e-14)
    assert float(N.Spectral().steepest(jnp.asarray(-3.0))) == -1


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_newton_schulz_is_that_of_optax(shape):
    g = matrix(shape)
    theirs = optax.contrib._muon.orthogonalize_via_newton_schulz(g, jnp.asarray(N.JORDAN[0]), 5, eps=1e-3)
    np.testing.assert_allclose(N.NewtonSchulz().steepest(g, 1e-3), theirs, atol=1e-14)
    cubic = N.NewtonSchulz([(1.5, -0.5, 0.0)] * 40)
    np.testing.assert_allclose(cubic.steepest(g), N.Spectral().steepest(g), atol=1e-12)


def test_every_matrix_of_full_rank_moves_by_the_root_mean_square_asked_for():
    for shape in SHAPES.values():
        moved = N.Spectral(N.ConsistentRMS(0.2)).steepest(matrix(shape))
        np.testing.assert_allclose(jnp.sqrt(jnp.mean(moved**2)), 0.2, rtol=1e-12)


# --- Flows -----------------------------------------------------------------------------------------------------------


def test_on_a_distance_every_singular_value_shrinks_at_speed_one():
    """The closed form is a proximal map: that of the nuclear norm, as a soft threshold is the sign flow's."""
    distance = gf.MatrixLeastSquares(np.eye(3), np.eye(4))
    path = gf.integrate(
        gf.SteepestDescentFlow(distance, N.Spectral(), smoothing=1e-6), W0, 2.0, ts=[0.0, 0.3, 1.0, 2.0]
    )
    for t, x in zip(path.t, path.x, strict=True):
        np.testing.assert_allclose(x, gf.penalties.Nuclear().prox(W0, t), atol=2e-5)


@pytest.mark.parametrize("q", [2.0, 3.0, np.inf])
def test_the_energy_falls_by_a_power_of_the_dual_norm(q):
    flow = gf.SteepestDescentFlow(E, N.Spectral(), q, smoothing=0.0)
    gradient = E.grad(W0)
    falls = jax.jvp(E.value, (W0,), (flow.drift(0.0, W0),))[1]
    np.testing.assert_allclose(falls, -(N.Spectral().dual(gradient) ** (1 + 1 / (q - 1))), rtol=1e-12)


def test_sign_and_rescaled_flows_are_steepest_descent_in_their_norms():
    x = jnp.array([0.3, -2.0, 0.0])
    bowl = gf.energy(lambda x: jnp.sum(x**4))
    np.testing.assert_array_equal(
        gf.SignFlow(bowl).drift(0.0, x), gf.SteepestDescentFlow(bowl, N.Maximum()).drift(0.0, x)
    )
    np.testing.assert_allclose(gf.RescaledFlow(bowl, 2.0, 0.1).drift(0.0, x), -bowl.grad(x), rtol=1e-14)
    four = gf.RescaledFlow(bowl, 4.0, 0.0).drift(0.0, x)
    np.testing.assert_allclose(four, -bowl.grad(x) / jnp.linalg.norm(bowl.grad(x)) ** (2 / 3), rtol=1e-14)


@pytest.mark.parametrize("norm", part([N.Spectral(), N.Maximum(), N.Euclidean()]))
def test_the_averaged_flows_function_falls_by_the_averages_dual_norm(norm):
    flow = gf.SteepestMomentumFlow(E, norm, tau=0.7, smoothing=0.05)
    z = gf.flows.Mean(W0, matrix((3, 4)))
    change = jax.jvp(lambda z: flow.lyapunov(0.0, z), (z,), (flow.drift(0.0, z),))[1]
    np.testing.assert_allclose(change, -jnp.vdot(z.m, norm.steepest(z.m, 0.05)), rtol=1e-12)
    with pytest.raises(gf.UnansweredQuestionError, match="weight decay"):
        gf.SteepestMomentumFlow(E, norm, weight_decay=0.1).lyapunov(0.0, z)


def test_weight_decay_keeps_the_averaged_flow_in_a_ball_of_the_norm():
    """It rests where E is least in ‖W‖ ≤ 1/w. With A = B = I that is C with its singular values cut at 1/w."""
    C = matrix((3, 3)) * 2
    flow = gf.SteepestMomentumFlow(
        gf.MatrixLeastSquares(np.eye(3), np.eye(3), C), N.Spectral(), tau=0.5, weight_decay=0.8, smoothing=1e-6
    )
    u, sigma, v = np.linalg.svd(C)
    assert sigma[0] > 1.25 > sigma[-1]
    end = gf.integrate(flow, np.zeros((3, 3)), 60.0).x[-1]
    np.testing.assert_allclose(end, (u * np.minimum(sigma, 1.25)) @ v, atol=2e-5)


# --- Limits ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("m", "n", "p", "r"), part([(4, 3, 4, 6), (6, 2, 4, 3), (2, 3, 3, 3)]))
def test_the_step_limit_of_spectral_descent_is_the_sum_of_products_of_squared_singular_values(m, n, p, r):
    A, B = RANDOM.normal(size=(m, n)), RANDOM.normal(size=(p, r))
    energy = gf.MatrixLeastSquares(A, B)
    found = gf.smoothness(energy, N.Spectral())
    squares = [np.linalg.svd(matrix, compute_uv=False) ** 2 for matrix in (A, B)]
    k = min(map(len, squares))
    np.testing.assert_allclose(found.value, squares[0][:k] @ squares[1][:k], rtol=1e-12)
    assert found.grade == "certified"
    flow = gf.SteepestDescentFlow(energy, N.Spectral(), q=2.0, smoothing=0.0)
    step = lambda x, h: gf.ForwardEuler().step(flow, 0.0, x, h)
    v = found.direction
    for share in (0.5, 0.99, 1.01):
        # Along the direction that was found it is one mode of curvature L.
        h = share * found.step_limit
        np.testing.assert_allclose(step(v, h), (1 - h * found.value) * v, atol=1e-12)
    for seed in range(30):
        x = jnp.asarray(np.random.default_rng(seed).normal(size=(n, p)))
        assert energy.value(step(x, 0.999 * found.step_limit)) < energy.value(x)


def test_nothing_is_certified_of_a_norm_or_an_energy_that_is_another():
    class Halved(N.Spectral):
        def value(self, v):
            return super().value(v) * 2

        def support(self, g, smoothing=0.0):
            size, v = super().support(g, smoothing)
            return size / 2, v / 2

    class Other(gf.MatrixLeastSquares):
        def value(self, x):
            return 3 * super().value(x)

        def grad(self, x):
            return 3 * super().grad(x)

        def prox(self, x, h):
            return super().prox(x, 3 * h)

    own, whole = gf.smoothness(E, Halved()), gf.smoothness(E, N.Spectral())
    assert own.grade == "unknown"
    np.testing.assert_allclose(own.low, whole.value / 4, rtol=1e-6)
    other = gf.smoothness(Other(E.A, E.B, E.C), N.Spectral(), x=W0)
    assert other.grade == "measured"
    assert other.low <= 3 * whole.value * (1 + 1e-9) <= other.high * (1 + 1e-9)
    assert gf.smoothness(gf.landscapes.rosenbrock(), N.Maximum(), x=[1.0, 1.0]).grade == "measured"
    # A direction of Muon's polynomial is longer than 1, and counts as one of norm 1.
    approximate = gf.smoothness(E, N.NewtonSchulz())
    assert approximate.low <= whole.value * (1 + 1e-9)
    np.testing.assert_allclose(N.Spectral().value(approximate.direction), 1.0, rtol=1e-9)


@pytest.mark.parametrize(
    ("energy", "norm"), part([(E, N.Spectral()), (gf.Quadratic([[2.0, -1.0], [-1.0, 2.0]]), N.Maximum())])
)
def test_a_linearization_that_there_is_not_says_nothing(energy, norm):
    """On a quadratic the step is homogeneous, but no sum of what it does to two parts: no Jacobian has it."""
    flow = gf.SteepestDescentFlow(energy, norm, q=2.0, smoothing=0.0)
    found = gf.stability(flow, gf.ForwardEuler())
    assert found.grade == "unknown"
    assert "smoothness(E, norm).step_limit" in found.why_so()
    # The Euclidean one is the gradient flow.
    round_ = gf.stability(
        gf.SteepestDescentFlow(energy, N.Euclidean(), q=2.0, smoothing=0.0), gf.ForwardEuler(), at=energy.minimizer
    )
    np.testing.assert_allclose(round_.limit, gf.smoothness(energy, N.Euclidean()).step_limit, rtol=1e-6)


def test_in_the_maximum_norm_all_signs_are_tried_and_in_the_euclidean_the_eigenvalue_is_proved():
    H = matrix((5, 5))
    Q = gf.Quadratic((H @ H.T + (H @ H.T).T) / 2)
    found = gf.smoothness(Q, N.Maximum())
    signs = np.array(np.meshgrid(*[[-1.0, 1.0]] * 5)).reshape(5, -1)
    np.testing.assert_allclose(found.value, np.einsum("ik,ij,jk->k", signs, Q.H, signs).max(), rtol=1e-12)
    euclidean = gf.smoothness(Q, N.Euclidean())
    np.testing.assert_allclose(euclidean.value, np.linalg.eigvalsh(Q.H)[-1], rtol=1e-12)
    assert (found.grade, euclidean.grade) == ("certified", "proved")


@of_any_type
def test_where_nothing_is_known_the_smoothness_is_bracketed_or_unknown():
    """Of 40 unknowns signs are not tried one by one, and of a norm of one's own nothing bounds it from above."""
    H = np.asarray(matrix((40, 40)))
    found = gf.smoothness(gf.Quadratic(H @ H.T), N.Maximum())
    assert found.low < found.high == found.value
    assert found.grade == "measured"
    signs = np.sign(np.asarray(found.direction))
    np.testing.assert_allclose(found.low, signs @ (H @ H.T) @ signs, rtol=1e-10)
    assert gf.smoothness(E, N.NewtonSchulz()).grade == "unknown"
    saddle = gf.smoothness(gf.Quadratic([[-1.0, 0.0], [0.0, 2.0]]), N.Maximum())
    np.testing.assert_allclose(saddle.high, 2.0)
    with pytest.raises(ValueError, match="`x` must be given"):
        gf.smoothness(gf.landscapes.rosenbrock(), N.Maximum())
    with pytest.raises(TypeError, match="`norm` must be one such as"):
        gf.smoothness(E, "spectral")


# --- Matrix least squares --------------------------------------------------------------------------------------------


def test_matrix_least_squares_has_the_closed_forms_of_its_kronecker_product():
    A, B, C = np.asarray(E.A), np.asarray(E.B), np.asarray(E.C)
    dense = gf.LeastSquares(np.kron(A, B.T), C.ravel())
    np.testing.assert_allclose(E.grad(W0).ravel(), dense.grad(W0.ravel()), atol=1e-12)
    np.testing.assert_allclose(E.prox(W0, 0.3).ravel(), dense.prox(W0.ravel(), 0.3), atol=1e-12)
    np.testing.assert_allclose(E.minimizer.ravel(), dense.minimizer, atol=1e-12)
    np.testing.assert_allclose(E.curvature, dense.curvature, rtol=1e-10, atol=1e-12)
    ours, theirs = gf.HeavyBallFlow(E), gf.HeavyBallFlow(dense)
    np.testing.assert_allclose(
        ours.solution(0.0, ours.init(W0), 1.3).x.ravel(),
        theirs.solution(0.0, theirs.init(W0.ravel()), 1.3).x,
        atol=1e-11,
    )
    with pytest.raises(ValueError, match=r"`C` must have shape \(4, 6\)"):
        gf.MatrixLeastSquares(A, B, C.T)


# --- Optimizers ------------------------------------------------------------------------------------------------------


def optax_end(transformation, x, steps):
    def step(carry, _):
        x, state = carry
        updates, state = transformation.update(E.grad(x), state, x)
        return (optax.apply_updates(x, updates), state), None

    return jax.jit(lambda x: jax.lax.scan(step, (x, transformation.init(x)), None, length=steps)[0][0])(x)


@pytest.mark.parametrize("options", [{}, {"consistent_rms": 0.2, "weight_decay": 0.1}], ids=["width", "rms"])
def test_muon_is_that_of_optax(options):
    """But for ε, which they add to an average whose bias they corrected first."""
    theirs = optax.contrib.muon(1e-2, nesterov=False, eps=0.0, **options)
    ours = gf.optimizers.muon(E, 1e-2, nesterov=False, eps=0.0, **options)
    np.testing.assert_allclose(ours.iterate(W0, 100).x[-1], optax_end(theirs, W0, 100), atol=1e-11)
    np.testing.assert_allclose(optax_end(ours.to_optax(), W0, 100), optax_end(theirs, W0, 100), atol=1e-11)


def test_muon_looks_one_average_ahead_as_it_was_published():
    x, m = np.asarray(W0), np.zeros((3, 4))
    for _ in range(20):
        g = np.asarray(E.grad(x))
        m = 0.95 * m + 0.05 * g
        ahead = 0.95 * m + 0.05 * g
        y = ahead / (np.linalg.norm(ahead) + 1e-8)
        for _ in range(5):
            s = y @ y.T
            y = 3.4445 * y + (-4.7750 * s + 2.0315 * s @ s) @ y
        x = x - 0.02 * (np.sqrt(4 / 3) * y + 0.1 * x)
    run = gf.optimizers.muon(E, 0.02, weight_decay=0.1).iterate(W0, 20)
    np.testing.assert_allclose(run.x[-1], x, atol=1e-11)


def test_looking_ahead_is_of_first_order():
    flow = gf.SteepestMomentumFlow(E, N.Spectral(), tau=0.5, smoothing=20.0)
    exact = gf.integrate(flow, W0, 0.4, rtol=1e-11, atol=1e-12).x[-1]
    for scheme in (gf.AveragesEuler(), gf.AveragesAhead(2.0), gf.AveragesAhead(10.5)):
        errors = [
            float(jnp.abs(gf.iterate(flow, scheme, W0, step=0.4 / n, steps=n).x[-1] - exact).max()) for n in (800, 1600)
        ]
        assert 0.9 < np.log2(errors[0] / errors[1]) < 1.1


def test_muon_takes_pytrees_single_precision_and_transformations():
    loss = gf.energy(lambda p: jnp.sum((p["w"] @ jnp.ones(4) + p["b"] - 1.0) ** 2))
    start = {"w": W0.astype(jnp.float32), "b": jnp.zeros(3, jnp.float32)}
    run = gf.optimizers.muon(loss, 0.05).iterate(start, 60)
    assert run.x["w"].dtype == jnp.float32
    assert run.energy[-1] < run.energy[0] / 100
    end = lambda lr: gf.optimizers.muon(E, lr).iterate(W0, 5).energy[-1]
    derivative = jax.jit(jax.grad(end))(0.05)
    np.testing.assert_allclose(derivative, (end(0.05 + 1e-6) - end(0.05 - 1e-6)) / 2e-6, rtol=1e-6)
    np.testing.assert_allclose(jax.vmap(end)(jnp.array([0.01, 0.05]))[1], end(0.05), rtol=1e-12)


@of_any_type
@pytest.mark.parametrize(
    ("make", "says"),
    [
        (
            lambda: gf.SteepestDescentFlow(E, "spectral"),
            "SteepestDescentFlow: `norm` must be one such as norms.Spectral",
        ),
        (lambda: gf.SteepestMomentumFlow(E, max), "SteepestMomentumFlow: `norm` must be one such as"),
        (lambda: gf.SteepestDescentFlow(E, N.Spectral(), q=1.5), "`q` must be at least 2"),
        (lambda: N.Spectral(0.2), "`scale` must be one such as"),
        (lambda: N.NewtonSchulz([(1.0, 2.0)]), "`coefficients` must be triples"),
        (lambda: N.ConsistentRMS(0.0), "`rms` must be finite and positive"),
        (lambda: gf.AveragesAhead(0.0), "`ahead` must be finite and positive"),
        (lambda: gf.optimizers.muon(E, 0.1, beta=1.0), "`beta` must lie between 0 and 1"),
    ],
)
def test_what_is_wrong_is_told(make, says):
    with pytest.raises((TypeError, ValueError)) as told:
        make()
    assert says in str(told.value)
