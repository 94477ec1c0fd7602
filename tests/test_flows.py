"""Contracts that every flow meets."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

import gradientflow as gf

from .catalogue import FLOWS, quartic_bowl
from .thorough import part, thorough

H = np.array([[17.0, 7.0], [7.0, 10.0]])
EXAMPLE = gf.LeastSquares([[4, 1], [1, 3]], [1, 2])
X0 = jnp.array([4.0, -1.0])


# Where a clock counts, it has run for a while: at t = 0 some flows start from rest only.
T0 = 1.3


def moving(flow):
    """A state that is not at rest."""
    leaves, structure = jax.tree.flatten(flow.init(X0))
    return jax.tree.unflatten(structure, [leaf + 0.3 * (i + 1) for i, leaf in enumerate(leaves)])


def close(left, right, **options):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **options), left, right)


@pytest.fixture(params=FLOWS, ids=lambda cls: cls.__name__)
def flow_class(request):
    return request.param


def test_the_minimizer_at_rest_is_an_equilibrium(flow_class):
    """An exact one: flows that divide by the gradient's size would magnify its rounding."""
    flow = flow_class(gf.Quadratic(H))
    z = flow.init(jnp.zeros(2))
    drifts, residual = jax.jit(lambda z: ([flow.drift(t, z) for t in (0.0, T0)], flow.residual(z)))(z)
    jax.tree.map(lambda leaf: np.testing.assert_allclose(leaf, np.zeros(leaf.shape), atol=1e-300), drifts)
    close(residual, np.zeros(2))


def test_position_undoes_init(flow_class):
    flow = flow_class(EXAMPLE)
    close(flow.position(flow.init(X0)), X0)


def solved(flow, z, h):
    """What the resolvent finds, and what is to be equal to it."""

    @jax.jit
    def both(z):
        y = flow.resolvent(T0, z, h)
        return y, z + h * flow.drift(T0, y)

    return both(z)


@pytest.mark.parametrize("flow_class", part(FLOWS), ids=lambda cls: cls.__name__)
def test_the_resolvent_solves_its_equation(flow_class):
    flow, h = flow_class(gf.energy(quartic_bowl)), 0.4
    close(*solved(flow, moving(flow), h), atol=1e-10)


@pytest.mark.parametrize(
    "flow_class",
    [
        gf.KineticLangevin,
        *(pytest.param(c, marks=thorough) for c in (gf.GradientFlow, gf.HeavyBall, gf.Nesterov, gf.Langevin)),
    ],
)
def test_resolvents_that_are_proximal_maps(flow_class):
    """On a quadratic by its closed form, and on a pytree by Newton's method."""
    flow, h = flow_class(EXAMPLE), 0.4
    close(*solved(flow, moving(flow), h), atol=1e-12)
    x0 = {"layers": [jnp.ones((2, 3)), jnp.zeros(2)], "scale": jnp.asarray(2.0)}
    flow = flow_class(gf.energy(lambda p: sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(p))))
    close(*solved(flow, flow.init(x0), h), atol=1e-12)


def test_parts_sum_to_the_drift(flow_class):
    flow = flow_class(EXAMPLE)
    z = moving(flow)
    try:
        parts = flow.parts
    except gf.UnansweredQuestionError as error:
        assert error.question == "parts"  # noqa: PT017
        return

    def slope_of(piece, z):
        try:
            return jax.jvp(lambda h: piece.solution(T0, z, h), (0.0,), (1.0,))[1]
        except gf.UnansweredQuestionError as error:
            assert error.question == "solution"  # noqa: PT017
            return None

    @jax.jit
    def asked(z):
        return flow.drift(T0, z), {name: (piece.drift(T0, z), slope_of(piece, z)) for name, piece in parts.items()}

    drift, found = asked(z)
    close(jax.tree.map(lambda *leaves: sum(leaves), *(own for own, _ in found.values())), drift, rtol=1e-13)
    for name, piece in parts.items():
        # Newton's method stops where one more step would change nothing to eleven digits.
        close(*solved(piece, z, 0.2), rtol=1e-13 if "resolvent" in vars(type(piece)) else 1e-11)
        own, slope = found[name]
        if slope is not None:
            close(slope, own, rtol=1e-13)


def test_the_closed_form_solves_the_flow(flow_class):
    flow = flow_class(EXAMPLE)
    z, h = moving(flow), 0.37

    @jax.jit
    def asked(z):
        end, slope = jax.jvp(lambda h: flow.solution(T0, z, h), (h,), (1.0,))
        return slope, flow.drift(T0 + h, end), flow.solution(T0, z, 0.0)

    try:
        slope, drift, start = asked(z)
    except gf.UnansweredQuestionError as error:
        assert error.question == "solution"  # noqa: PT017
        return
    close(slope, drift, rtol=1e-11)
    close(start, z, rtol=1e-14)


def test_the_lyapunov_function_falls(flow_class):
    flow = flow_class(gf.energy(quartic_bowl))
    z = moving(flow)
    try:
        rate = jax.jit(lambda z: jax.jvp(flow.lyapunov, (T0, z), (1.0, flow.drift(T0, z)))[1])(z)
    except gf.UnansweredQuestionError as error:
        assert error.question == "lyapunov"  # noqa: PT017
        return
    assert float(rate) < 0


def test_positions_may_be_any_pytree(flow_class):
    x0 = {"layers": [jnp.ones((2, 3)), jnp.zeros(2)], "scale": jnp.asarray(2.0)}
    flow = flow_class(gf.energy(lambda p: sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(p))))
    if flow_class.__name__ == "PreconditionedFlow":
        flow = gf.PreconditionedFlow(flow.energy, jnp.arange(1.0, 10.0))
    z = flow.init(x0)
    moved = jax.jit(lambda z: flow.position(z + 0.1 * flow.drift(T0, z)))(z)
    assert jax.tree.structure(moved) == jax.tree.structure(x0)
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(moved))


def test_the_gradient_flow_is_the_matrix_exponential():
    flow, x_star = gf.GradientFlow(EXAMPLE), np.array([1, 7]) / 11
    expected = x_star + scipy.linalg.expm(-0.3 * H) @ (np.asarray(X0) - x_star)
    np.testing.assert_allclose(flow.solution(0.0, X0, 0.3), expected, rtol=1e-12)


def test_the_least_norm_limit_of_a_rank_deficient_flow():
    E = gf.LeastSquares([[1.0, 1.0, 0.0], [2.0, 2.0, 0.0]], [1.0, 2.0])
    np.testing.assert_allclose(gf.GradientFlow(E).solution(0.0, jnp.zeros(3), 100.0), [0.5, 0.5, 0], atol=1e-14)


@pytest.mark.parametrize(
    ("friction", "regime"), [(0.0, "free"), (0.5, "under"), (2.0, "critical"), (5.0, "over"), (1e6, "far over")]
)
def test_the_heavy_ball_in_every_regime(friction, regime):
    """Against the matrix exponential of the 2×2 system of one mode (λ = 1, m = 1); damping 2 is critical."""
    flow = gf.HeavyBall(gf.Quadratic([[1.0]]), friction=friction)
    z = eqx.filter_jit(flow.solution)(0.0, gf.Phase(jnp.array([2.0]), jnp.array([-1.0])), 1.7)
    x, v = scipy.linalg.expm(1.7 * np.array([[0.0, 1.0], [-1.0, -friction]])) @ [2.0, -1.0]
    np.testing.assert_allclose([z.x[0], z.v[0]], [x, v], rtol=1e-9, atol=1e-12)


def test_heavy_ball_without_curvature_coasts():
    z = gf.Phase(jnp.array([2.0]), jnp.array([3.0]))
    free = gf.HeavyBall(gf.Quadratic([[0.0]]), friction=0.0).solution(0.0, z, 2.0)
    assert float(free.x[0]) == pytest.approx(8.0)
    pushed = gf.HeavyBall(gf.Quadratic([[0.0]], [1.0]), mass=2.0, friction=0.0).solution(0.0, z, 2.0)
    assert float(pushed.x[0]) == pytest.approx(2 + 6 + 0.5 * 0.5 * 4)


def test_the_overdamped_limit():
    """As m → 0 the heavy ball's positions tend to the gradient flow's, at first order in m."""

    @jax.jit
    def error(mass):
        ball = gf.HeavyBall(EXAMPLE, mass=mass)
        return ball.solution(0.0, ball.init(X0), 0.2).x - gf.GradientFlow(EXAMPLE).solution(0.0, X0, 0.2)

    errors = [np.linalg.norm(error(mass)) for mass in (1e-3, 5e-4)]
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.05)


@jax.jit
def proximal_point_of_rosenbrock(x, h):
    E = gf.landscapes.rosenbrock()
    y = gf.prox(E, x, h)
    return y - x + h * E.grad(y), h * E(y) + jnp.sum((y - x) ** 2) / 2, h * E(x)


@pytest.mark.parametrize("h", [0.5, 5.0, 100.0])
def test_prox_of_a_nonconvex_energy_never_climbs(h):
    unmet, at_end, at_start = proximal_point_of_rosenbrock(np.array([-1.2, 1.0]), h)
    assert float(np.max(np.abs(unmet))) < 1e-6 * h
    assert float(at_end) <= float(at_start)


def test_prox_of_a_large_energy_is_matrix_free():
    """A thousand unknowns, against the closed form of the same energy."""
    d = jnp.linspace(1.0, 50.0, 1000)
    x = jnp.sin(jnp.arange(1000.0))
    y = gf.prox(gf.energy(lambda x: jnp.sum(d * x**2) / 2), x, 2.0)
    np.testing.assert_allclose(y, x / (1 + 2 * d), atol=1e-12)


def test_states_are_vectors():
    z = gf.Phase(jnp.array([1.0, 2.0]), jnp.array([3.0, 4.0]))
    x, v = 2 * z - z / 2 + jnp.float64(0.5) * z
    np.testing.assert_allclose(x, [2.0, 4.0])
    np.testing.assert_allclose(v, [6.0, 8.0])
    assert float((np.float64(2.0) * z)[1].v) == 8.0
    tree = gf.Tree({"a": jnp.ones(2)})
    assert float((-(tree * tree) + tree).tree["a"][0]) == 0


# Diffusions that stand for batches need examples.
TAKE_A_FUNCTION = [make for make in FLOWS if make.__name__ != "SGDDiffusion"] + [gf.SteinFlow, gf.InteractingLangevin]


@pytest.mark.parametrize("make", TAKE_A_FUNCTION, ids=lambda make: make.__name__)
def test_a_plain_function_is_an_energy(make):
    assert isinstance(make(quartic_bowl).energy, gf.Energy)
