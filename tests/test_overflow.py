"""Numbers whose squares overflow or vanish: norms, projections and the steps that are made of them."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradientflow as gf
from gradientflow.flows import inner_ratio, l2_norm

from .thorough import part

C, P = gf.constraints, gf.penalties
# Numbers of a precision that it can't square.
LARGE = {jnp.float32: 1e22, jnp.float16: 2.0**11, jnp.bfloat16: 2.0**80, jnp.float64: 1e200}
each_precision = pytest.mark.parametrize("dtype", part(LARGE, 4), ids=lambda dtype: dtype.__name__)


def close(value, expected, dtype):
    """Within sixteen units in the last place of the largest."""
    value, expected = (np.asarray(part, float) for part in (value, expected))
    eps = float(jnp.finfo(dtype).eps)
    np.testing.assert_allclose(value, expected, rtol=0, atol=16 * eps * np.max(np.abs(expected)))


def slope(dtype, size):
    """A linear energy of gradient (3, 4) times a size."""
    return gf.energy(lambda x: jnp.sum(jnp.asarray([3.0, 4.0], dtype) * jnp.asarray(size, dtype) * x))


@each_precision
def test_norms(dtype):
    large = LARGE[dtype]
    for size in (large, 1.0, 1 / large):
        x = jnp.asarray([3.0, -4.0], dtype) * jnp.asarray(size, dtype)
        norm = l2_norm({"a": x[0], "b": x[1:]})
        assert norm.dtype == dtype
        close(norm, 5 * np.float64(size), dtype)
        close(jax.grad(l2_norm)(x), [0.6, -0.8], dtype)
        close(inner_ratio(x, x, x, 2 * x), 0.5, dtype)
    zero = jnp.zeros(2, dtype)
    assert l2_norm(zero) == 0
    assert l2_norm(zero[:0]) == 0
    np.testing.assert_array_equal(np.asarray(jax.grad(l2_norm)(zero), float), 0)
    assert l2_norm(jnp.asarray([jnp.inf, 1.0], dtype)) == jnp.inf
    assert jnp.isnan(l2_norm(jnp.asarray([jnp.nan, 1.0], dtype)))
    assert inner_ratio(zero, zero, zero, zero) == 0


@each_precision
def test_balls_and_norms_of_groups(dtype):
    large = jnp.asarray(LARGE[dtype], dtype)
    x, unit = jnp.asarray([3.0, 4.0], dtype) * large, jnp.asarray([0.6, 0.8], dtype)
    close(C.L2Ball(5.0).project(x), [3, 4], dtype)
    # Along the normal nothing stays; across it everything does.
    across = jnp.asarray([4.0, -3.0], dtype) * large
    close(C.L2Ball(1.0).project_tangent(unit, across), across, dtype)
    groups = P.GroupLasso([0, 0, 1], 1.0)
    long = jnp.concatenate([x, jnp.asarray([2.0], dtype)])
    for norm, point in ((P.L2(1.0), x), (groups, long)):
        assert jnp.isfinite(norm.value(point))
        close(norm.prox(point, 1.0)[:2], x - unit, dtype)
        close(norm.least_subgradient(point, 0 * point)[:2], [0.6, 0.8], dtype)
        close(norm.least_subgradient(0 * point, point)[:2], x - unit, dtype)
    close(groups.prox(long, 0.5)[2], 1.5, dtype)
    close(P.L2(1.0).value(x), 5 * np.float64(large), dtype)


@pytest.mark.parametrize(("dtype", "large"), [(jnp.float16, 2e4), (jnp.float32, 1e8), (jnp.float64, 1e16)])
def test_the_simplex_does_not_mind_a_shift(dtype, large):
    project = C.Simplex().project
    x = jnp.asarray([0.9, 0.3, -0.5], dtype)
    close(project(x), [0.8, 0.2, 0], dtype)
    np.testing.assert_array_equal(project(jnp.asarray([large, large, 0.0], dtype)), [0.5, 0.5, 0])
    np.testing.assert_array_equal(project(jnp.asarray([-large, -large, 0.0], dtype)), [0, 0, 1])


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_bounded_steps_go_as_far_as_they_should(dtype):
    E, x0 = slope(dtype, LARGE[dtype]), jnp.zeros(2, dtype)
    descent = gf.optimizers.gradient_descent
    clipped = descent(E, 0.1).iterate(x0, 1, oracle=gf.ClipGradient(5.0))
    close(clipped.x[-1], [-0.3, -0.4], dtype)
    close(descent(E, gf.ClippedStep(0.1, radius=5.0)).iterate(x0, 1).x[-1], [-3, -4], dtype)
    close(gf.optimizers.sign_descent(E, 0.5).iterate(x0, 1).x[-1], [-0.5, -0.5], dtype)
    for smoothing in (0.0, 1.0):
        close(gf.RescaledFlow(E, smoothing=smoothing).drift(0.0, x0), [-0.6, -0.8], dtype)
        close(gf.SignFlow(E, smoothing=smoothing).drift(0.0, x0), [-1, -1], dtype)


@pytest.mark.parametrize(
    "rule",
    [
        gf.ExactLineSearch(), gf.Armijo(), gf.Wolfe(), gf.TrustRegion(10.0), gf.PolyakStep(),
        gf.BarzilaiBorweinLong(1e-23), gf.BarzilaiBorweinShort(1e-23),
    ],
    ids=lambda rule: type(rule).__name__,
)  # fmt: skip
def test_step_rules_where_the_gradient_has_no_square(rule):
    """1e22·½(x² + 2y²) in single precision: the rules need no units."""
    E = gf.Quadratic(jnp.asarray(np.diag([1e22, 2e22]), jnp.float32))
    run = gf.optimizers.gradient_descent(E, rule).iterate(jnp.ones(2, jnp.float32), 12)
    assert float(run.energy[-1]) < 1e-3 * float(run.energy[0])


@pytest.mark.parametrize("scheme", [gf.SteepestDescent(), gf.ConjugateGradients()])
def test_exact_steps_where_the_gradient_has_no_square(scheme):
    E = gf.Quadratic(jnp.asarray(np.diag([1e22, 2e22]), jnp.float32))
    run = gf.iterate(gf.GradientFlow(E), scheme, jnp.asarray([2.0, 1.0], jnp.float32), step=1.0, steps=1)
    close(run.x[-1], [2 / 3, -1 / 3], jnp.float32)


ADAPTIVE = {"adam": optax.adam(0.01), "rmsprop": optax.rmsprop(0.01), "adagrad": optax.adagrad(0.01)}


def optax_run(E, transformation, x, steps):
    @jax.jit
    def step(x, state):
        updates, state = transformation.update(E.grad(x), state, x)
        return optax.apply_updates(x, updates), state

    state, path = transformation.init(x), [x]
    for _ in range(steps):
        x, state = step(x, state)
        path.append(x)
    return np.stack([np.asarray(x, float) for x in path])


@pytest.mark.parametrize("name", part(ADAPTIVE, 4))
def test_adaptive_methods_are_optaxs_in_every_precision(name):
    """Also where the squares are infinite: there both stay where they are."""
    make = getattr(gf.optimizers, name)
    overflowing = (slope(jnp.float32, 1e22), jnp.zeros(2, jnp.float32))
    halves = [(gf.energy(lambda x: jnp.sum(x**2)), jnp.asarray([3.0, -1.0], d)) for d in (jnp.bfloat16, jnp.float16)]
    for E, x0 in (overflowing, *halves):
        theirs = optax_run(E, ADAPTIVE[name], x0, 5)
        close(make(E, 0.01).iterate(x0, 5).x, theirs, x0.dtype)
        assert (theirs[-1] == 0).all() or (np.abs(theirs[-1]) < np.abs(theirs[0])).all()


def test_adadelta_stands_where_its_squares_overflow_as_optax_does():
    """In single precision (1e22)² is ∞: optax divides by it and stands still, and nothing becomes NaN."""
    steep = gf.energy(lambda x: 1e22 * jnp.sum(x))
    start = jnp.ones(2, jnp.float32)
    run = gf.optimizers.adadelta(steep).iterate(start, steps=3)
    theirs, state = start, (optimizer := optax.adadelta(1.0)).init(start)
    for _ in range(3):
        updates, state = optimizer.update(jnp.full(2, 1e22, jnp.float32), state, theirs)
        theirs = optax.apply_updates(theirs, updates)
    np.testing.assert_array_equal(run.x[-1], theirs)
