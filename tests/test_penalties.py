"""Penalties and envelopes: every proximal map by its optimality condition, and by a solver that knows nothing of it."""

import functools
import inspect
import math

import clarabel
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import scipy.sparse

import gradientflow as gf
from gradientflow.flows import Nonsmooth, ProximalSemigroup

from .thorough import part, thorough

RNG = np.random.default_rng(7)
GROUPS = [0, 0, 1, 1, 1, 2]
P, C = gf.penalties, gf.constraints
# On vectors of six coordinates, or on matrices of two by three.
PENALTIES = {
    "l1": P.L1([0.5, 1.0, 0.0, 2.0, 1.0, 0.7]),
    "l2": P.L2(1.5),
    "squared l2": P.SquaredL2(0.7),
    "elastic net": P.ElasticNet(0.8, ridge=0.5),
    "group lasso": P.GroupLasso(GROUPS, [0.5, 1.5, 0.3]),
    "nuclear": P.Nuclear(0.9),
    "box": P.Indicator(C.Box(-0.5, 1.0)),
    "maximum norm ball": P.Indicator(C.Box(-0.7, 0.7)),
    "ball": P.Indicator(C.L2Ball(1.2)),
    "simplex": P.Indicator(C.Simplex()),
}
NAMES = list(PENALTIES)


def points(name, count=12, scale=2.0):
    shape = (2, 3) if name == "nuclear" else (6,)
    return jnp.asarray(scale * np.random.default_rng(len(name)).normal(size=(count, *shape)))


def test_every_penalty_is_tried():
    own = [c for c in vars(P).values() if inspect.isclass(c) and c.__module__.startswith(f"{P.__name__}.")]
    assert set(own) == {type(g) for g in PENALTIES.values()}


@pytest.mark.parametrize("name", part(NAMES, 3))
def test_a_proximal_point_is_optimal(name):
    """s = (x − p)/h is in ∂g(p): by the least element of ∂g(p) − s, and by g(y) ≥ g(p) + ⟨s, y − p⟩ at points y.

    Some of the points lie on kinks: they are proximal points themselves.
    """
    g = PENALTIES[name]
    x = points(name)

    @jax.jit
    def asked(h):
        prox, values = jax.vmap(g.prox, in_axes=(0, None)), jax.vmap(g.value)
        p = prox(x, h)
        slope = (x - p) / h
        unmet = jax.vmap(g.least_subgradient)(p, -slope) if isinstance(g, Nonsmooth) else 0 * p
        ys = jnp.concatenate([p, x / 3, prox(x[::-1], 1.0)])
        away = ys[None] - p[:, None]
        rise = jnp.sum((slope[:, None] * away).reshape(*away.shape[:2], -1), axis=-1)
        return unmet, values(ys)[None] - values(p)[:, None] - rise

    for h in (0.3, 2.0):
        unmet, above = asked(h)
        np.testing.assert_allclose(unmet, np.zeros(unmet.shape), atol=1e-12)
        assert np.min(above) > -1e-12


@pytest.mark.parametrize("name", part(NAMES, 3))
def test_a_proximal_map_is_firmly_nonexpansive(name):
    p, x = jax.jit(jax.vmap(PENALTIES[name].prox, in_axes=(0, None)))(points(name), 0.8), points(name)
    apart, moved = (a.reshape(12, -1)[:, None] - a.reshape(12, -1)[None] for a in (x, p))
    assert float(jnp.max(jnp.sum(moved * moved, -1) - jnp.sum(moved * apart, -1))) < 1e-12


def cone_program(name, x, h):
    """min g(y) + ‖y − x‖²/(2h) by Clarabel, with an epigraph variable for every norm; −(Ay − b) in the cones."""
    n = len(x)
    if name in ("l1", "elastic net"):
        weight = np.broadcast_to(np.asarray(PENALTIES[name].weight), n)
        ridge = PENALTIES[name].ridge if name == "elastic net" else 0.0
        quadratic, linear = np.r_[np.full(n, 1 / h + ridge), np.zeros(n)], np.r_[-x / h, weight]
        eye = np.eye(n)
        rows, right = np.block([[eye, -eye], [-eye, -eye]]), np.zeros(2 * n)
        cones = [clarabel.NonnegativeConeT(2 * n)]
    elif name in ("l2", "group lasso"):
        groups = np.asarray(GROUPS) if name == "group lasso" else np.zeros(n, int)
        weight = np.atleast_1d(PENALTIES[name].weight)
        m = groups.max() + 1
        quadratic, linear = np.r_[np.full(n, 1 / h), np.zeros(m)], np.r_[-x / h, weight]
        blocks = [-np.vstack([np.eye(n + m)[n + j], np.eye(n + m)[:n][groups == j]]) for j in range(m)]
        rows, right = np.vstack(blocks), np.zeros(n + m)
        cones = [clarabel.SecondOrderConeT(len(block)) for block in blocks]
    else:
        quadratic, linear, eye = np.full(n, 1 / h), -x / h, np.eye(n)
        if name == "squared l2":
            quadratic = quadratic + PENALTIES[name].weight
            rows, right, cones = -eye, np.full(n, 1e3), [clarabel.NonnegativeConeT(n)]
        elif name == "simplex":
            rows, right = np.vstack([np.ones((1, n)), -eye]), np.r_[1.0, np.zeros(n)]
            cones = [clarabel.ZeroConeT(1), clarabel.NonnegativeConeT(n)]
        elif name == "ball":
            rows, right = np.vstack([np.zeros((1, n)), -eye]), np.r_[1.2, np.zeros(n)]
            cones = [clarabel.SecondOrderConeT(n + 1)]
        else:
            box = PENALTIES[name].constraint
            rows, right = np.vstack([eye, -eye]), np.r_[np.full(n, box.upper), np.full(n, -box.lower)]
            cones = [clarabel.NonnegativeConeT(2 * n)]
    settings = clarabel.DefaultSettings()
    settings.verbose, settings.tol_gap_abs, settings.tol_gap_rel, settings.tol_feas = False, 1e-13, 1e-13, 1e-13
    solver = clarabel.DefaultSolver(
        scipy.sparse.csc_matrix(np.diag(quadratic)), linear, scipy.sparse.csc_matrix(rows), right, cones, settings
    )
    return np.asarray(solver.solve().x)[:n]


@pytest.mark.parametrize("name", part(name for name in NAMES if name != "nuclear"))
def test_a_proximal_map_is_what_a_cone_solver_finds(name):
    prox = jax.jit(lambda x: PENALTIES[name].prox(x, 0.8))
    for x in np.asarray(points(name, 3)):
        np.testing.assert_allclose(prox(x), cone_program(name, x, 0.8), atol=1e-6)


def test_the_nuclear_norm_is_what_its_variational_form_says():
    """‖X‖_* = min ½(‖A‖² + ‖B‖²) over X = AB, so that the proximal map is a smooth problem, solved by SciPy."""
    x, h, w = np.asarray(points("nuclear", 1)[0]), 0.8, 0.9

    @jax.jit
    @jax.value_and_grad
    def objective(factors):
        a, b = factors[:4].reshape(2, 2), factors[4:].reshape(2, 3)
        return w * jnp.sum(factors**2) / 2 + jnp.sum((a @ b - x) ** 2) / (2 * h)

    found = scipy.optimize.minimize(objective, RNG.normal(size=10), jac=True, tol=1e-14).x
    expected = found[:4].reshape(2, 2) @ found[4:].reshape(2, 3)
    np.testing.assert_allclose(P.Nuclear(w).prox(jnp.asarray(x), h), expected, atol=1e-6)


@pytest.mark.parametrize("name", part(NAMES, 3))
def test_only_semigroups_are_called_so(name):
    """prox_{0.9g} = prox_{0.5g} ∘ prox_{0.4g} for norms and walls, and then only."""
    g, x = PENALTIES[name], points(name)
    prox = jax.jit(jax.vmap(g.prox, in_axes=(0, None)))
    error = float(jnp.max(jnp.abs(prox(prox(x, 0.4), 0.5) - prox(x, 0.9))))
    assert (error < 1e-13) == isinstance(g, ProximalSemigroup)


def test_moreau_decomposition():
    """x = prox_{hg}(x) + h·prox_{g*/h}(x/h): the conjugates of norms are the walls around the dual norms' balls."""
    x, h = points("l1")[0], 0.6
    for norm, ball in ((P.L1(1.3), C.Box(-1.3, 1.3)), (P.L2(1.3), C.L2Ball(1.3))):
        np.testing.assert_allclose(norm.prox(x, h) + h * P.Indicator(ball).prox(x / h, 1 / h), x, rtol=1e-14)


def test_the_drift_of_a_sum_is_its_least_subgradient():
    """At kinks: moving against the element d of slope + ∂g(x) of least norm, f + g falls by ‖d‖² a unit of time."""
    for name in part(("l1", "elastic net", "group lasso", "l2", "nuclear", "box", "simplex", "ball")):
        rate, square = rates(name, points(name))
        # The descent −least starts off with the rate −‖least‖², and no direction falls faster for its length.
        np.testing.assert_allclose(rate, -square, atol=2e-5)


@functools.partial(jax.jit, static_argnums=0)
def rates(name, points):
    g, slope = PENALTIES[name], points[::-1]
    x = jax.vmap(g.prox, in_axes=(0, None))(points, 1.0)
    least, eps = jax.vmap(g.least_subgradient)(x, slope), 1e-7
    rise = jax.vmap(g.value)(g_point(g, x - eps * least)) - jax.vmap(g.value)(x)
    return rise / eps - flat(slope, least), flat(least, least)


def g_point(g, x):
    """Back in the set, from which a straight line tangent to it departs."""
    return jax.vmap(g.prox, in_axes=(0, None))(x, 1.0) if isinstance(g, P.Indicator) else x


def flat(a, b):
    return jnp.sum((a * b).reshape(len(a), -1), axis=1)


def test_penalties_take_any_pytree_and_single_precision():
    x = {"a": jnp.ones((2, 3), jnp.float32), "b": [jnp.float32(-2.0) * jnp.ones((3, 2), jnp.float32)]}
    flat_x = jnp.concatenate([jnp.ones(6), -2 * jnp.ones(6)])
    labels = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, int), x)
    pairs = (
        (P.L1(0.5), P.L1(0.5)), (P.L2(0.5), P.L2(0.5)), (P.SquaredL2(0.5), P.SquaredL2(0.5)),
        (P.GroupLasso(labels, 0.5), P.L2(0.5)), (P.Indicator(C.L2Ball(0.5)), P.Indicator(C.L2Ball(0.5))),
    )  # fmt: skip

    @jax.jit
    def asked(x):
        proximal = [(g.prox(x, 0.3), other.prox(flat_x, 0.3)) for g, other in pairs]
        return proximal, [(g.value(x), g.grad(p)) for (g, _), (p, _) in zip(pairs, proximal, strict=True)]

    proximal, rest = asked(x)
    assert {leaf.dtype for leaf in jax.tree.leaves(([p for p, _ in proximal], rest))} == {jnp.dtype("float32")}
    for p, flat_p in proximal:
        assert jax.tree.structure(p) == jax.tree.structure(x)
        np.testing.assert_allclose(np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(p)]), flat_p, rtol=1e-6)
    np.testing.assert_allclose(P.Nuclear(1.0).value(x), np.sqrt(6) + 2 * np.sqrt(6), rtol=1e-6)


# --- The Moreau envelope ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", part(["l1", "l2", "group lasso", "nuclear", "simplex"], 2))
def test_an_envelope_s_gradient_is_its_value_s_slope(name):
    envelope = gf.MoreauEnvelope(PENALTIES[name], 0.7)
    x, v = points(name)[0], points(name)[1]
    eps = 1e-6
    value, gradient = jax.jit(lambda x: envelope.value(x)), jax.jit(lambda x: envelope.grad(x))(x)
    slope = (value(x + eps * v) - value(x - eps * v)) / (2 * eps)
    assert float(slope) == pytest.approx(float(jnp.sum(gradient * v)), rel=1e-8)
    np.testing.assert_allclose(jax.jit(jax.grad(envelope.value))(x), gradient, rtol=1e-12)


def test_an_envelope_lies_below_and_rises_to_its_energy():
    """M_δ(x) = ½‖x‖²/δ less the conjugate: for w|x| Huber's function; its curvature stays within its bounds."""
    x = jnp.linspace(-3, 3, 61)
    huber = gf.MoreauEnvelope(P.L1(2.0), 0.4)
    expected = np.where(np.abs(x) > 0.8, 2 * np.abs(x) - 0.8, np.asarray(x) ** 2 / 0.8)
    np.testing.assert_allclose(jax.jit(jax.vmap(huber.value))(x), expected, atol=1e-14)
    second = jax.jit(jax.vmap(jax.grad(jax.grad(huber.value))))(x)
    assert (float(second.min()), float(second.max())) == (0.0, float(huber.curvature.L)) == (0.0, 2.5)


def test_an_envelope_s_own_proximal_map():
    envelope, x = gf.MoreauEnvelope(PENALTIES["l1"], 0.7), points("l1")[0]
    found = envelope.prox(x, 0.3)
    np.testing.assert_allclose(found - x + 0.3 * envelope.grad(found), 0 * x, atol=1e-14)


def test_a_gradient_step_on_the_envelope_is_a_proximal_step():
    g, x = PENALTIES["elastic net"], points("l1")[0]
    # The prox is subtracted from x, divided, multiplied and subtracted again: a rounding of |x| each.
    atol = 4 * np.finfo(float).eps * float(jnp.max(jnp.abs(x)))
    np.testing.assert_allclose(x - 0.7 * gf.MoreauEnvelope(g, 0.7).grad(x), g.prox(x, 0.7), atol=atol)


@thorough
def test_an_envelope_of_a_double_well():
    """(x² − 1)²/4, of curvature ≥ −1: for δ < 1 as smooth as promised; the minimizers stay."""
    well = gf.energy(lambda x: jnp.sum((x**2 - 1) ** 2) / 4, minimizer=jnp.ones(1), minimum=0.0)
    envelope = gf.MoreauEnvelope(well, 0.5, mu=-1.0)
    x = jnp.array([0.1])
    slope = (envelope(x + 1e-5) - envelope(x - 1e-5)) / 2e-5
    assert float(slope) == pytest.approx(float(envelope.grad(x)[0]), rel=1e-7)
    np.testing.assert_allclose(envelope.grad(jnp.ones(1)), [0.0], atol=1e-10)
    second = float(jax.jvp(lambda x: envelope.grad(x)[0], (jnp.zeros(1),), (jnp.ones(1),))[1])
    assert second == pytest.approx(float(envelope.curvature.mu), rel=1e-6) == -2.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: gf.MoreauEnvelope(gf.energy(jnp.cos), 0.1), "whether `g` is convex is not known.*give `mu`"),
        (lambda: gf.MoreauEnvelope(gf.Quadratic([[-2.0]]), 0.5), r"`delta` must be below 1/\|μ\| = 0.5"),
        (lambda: gf.MoreauEnvelope(P.L1(), 0.0), "`delta` must be finite and positive"),
        (lambda: P.L1(-1.0), "L1: `weight` must be finite and not negative"),
        (lambda: P.L1([1.0, -1.0]), "L1: `weight` must be finite and not negative, got -1"),
        (lambda: P.ElasticNet(1.0, ridge=math.nan), "ElasticNet: `ridge`"),
        (lambda: P.GroupLasso([0, 2]), "`groups` must label coordinates by the integers 0, 1"),
        (lambda: P.GroupLasso([0, 1], [1.0, 1.0, 1.0]), "one for each of 2 groups"),
        (lambda: P.GroupLasso([0, 1])(jnp.ones(3)), "groups are of 2 coordinates, the position of 3"),
        (lambda: P.Nuclear()(jnp.ones(3)), "must be a matrix"),
        (lambda: C.L2Ball(-1.0), "L2Ball: `radius`"),
    ],
)
def test_bad_values_are_told(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_bad_kinds_are_told():
    with pytest.raises(TypeError, match="Indicator: `constraint` must be one such as"):
        P.Indicator(3.0)
    with pytest.raises(TypeError, match="what is smooth belongs into `f`"):
        gf.Composite(gf.landscapes.bowl(), gf.landscapes.beale())
    with pytest.raises(TypeError, match="`f` must be differentiable, got L1; give its MoreauEnvelope"):
        gf.Composite(P.L1(), P.L1())
