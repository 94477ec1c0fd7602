"""Training loops with an eye on them: what is said of runs that fail, and steps that do not."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradientflow as gf
from gradientflow.analysis import Grade

from .thorough import part

H = jnp.array([1.0, 30.0])


def quadratic(x):
    return jnp.sum(H * x**2) / 2


def trained(optimizer, loss, params, steps=100, batches=None):
    """All in one program: the parameters, the optimizer's state and the losses."""

    def one(carry, batch):
        at, state = carry
        args = (at,) if batches is None else (at, batch)
        value, gradient = jax.value_and_grad(loss)(*args)
        named = {"value": value} if batches is None else {"value": value, "batch": batch}
        updates, state = optimizer.update(gradient, state, at, **named)
        return (optax.apply_updates(at, updates), state), value

    return jax.jit(
        lambda: jax.lax.scan(
            one, (params, optimizer.init(params)), batches, length=None if batches is not None else steps
        )
    )()


# --- watch and report ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", [optax.sgd(0.01, momentum=0.9), optax.adamw(0.05)], ids=["momentum", "adamw"])
def test_a_good_run_is_the_optimizer_s_own(optimizer):
    (own, _), _ = trained(optimizer, quadratic, jnp.ones(2))
    (x, state), _ = trained(gf.watch(optimizer, quadratic), quadratic, jnp.ones(2))
    np.testing.assert_allclose(x, own, rtol=1e-12)
    found = gf.report(state)
    assert (found.cause, found.ok, found.bad_step, found.grade) == ("healthy", True, None, Grade.MEASURED)
    assert len(found.evidence) == 64
    assert list(found.evidence.index) == list(range(36, 100))
    looked = found.evidence["sharpness"].dropna()
    assert list(looked.index) == [50]
    assert looked[50] == pytest.approx(30, rel=1e-6)


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam"])
def test_a_run_beyond_its_limit_is_stopped_and_its_cause_told(name):
    optimizer = {"sgd": optax.sgd(0.1), "momentum": optax.sgd(0.2, momentum=0.9), "adam": optax.adam(3e3, eps=100.0)}
    (x, state), values = trained(gf.watch(optimizer[name], quadratic, every=10), quadratic, jnp.ones(2))
    found = gf.report(state)
    assert found.cause == "beyond_stability"
    assert found.ratio > 1
    assert "times the limit of the optimizer's own step" in found.reason
    assert np.isfinite(x).all()
    assert np.isfinite(values).all()
    assert (np.diff(np.asarray(values)[found.bad_step + 1 :]) == 0).all()
    assert float(quadratic(found.params)) <= float(quadratic(jnp.ones(2)))
    assert found.step < found.bad_step


def test_a_catapult_is_no_rise_that_did_not_end():
    """Above 2/λ, below 4/λ: the loss of a product rises, and falls to another minimum."""

    def product(p):
        return (p[0] * p[1]) ** 2 / 2

    (_, state), values = trained(gf.watch(optax.sgd(0.28)), product, jnp.array([3.0, 0.01]))
    assert np.max(values) > 10 * values[0] > 1e3 * values[-1]
    assert gf.report(state).cause == "healthy"


def test_a_run_that_was_down_and_stays_up_is_not_healthy():
    """A step that grows beyond the limit throws it out of a hole onto a plain: no gradient, no curvature, no rise."""

    def hole(x):
        return 1 - jnp.exp(-50 * x**2)

    growing = optax.sgd(lambda k: jnp.where(k < 60, 0.005, 0.5))
    for loss, cause in ((hole, "beyond_stability"), (None, "unknown")):
        (_, state), values = trained(gf.watch(growing, loss, every=10), hole, jnp.asarray(0.25), steps=150)
        assert values.min() < 1e-6 < values[0] < values[-1] < 1.0001
        found = gf.report(state)
        assert (found.cause, found.bad_step) == (cause, None)
        assert "stays at 1" in found.reason
        # Where to go on from lies before it was thrown out.
        assert hole(found.params) < 0.5
    assert gf.report(trained(gf.watch(optax.sgd(0.005), hole), hole, jnp.asarray(0.25))[0][1]).ok


@pytest.mark.parametrize("far", [1.0, 0.02])
def test_a_run_that_hardly_falls_is_not_healthy(far):
    """A step too short, or a loss whose rest doesn't depend on the parameters: half of the loss must be gone."""

    def loss(x):
        return jnp.sum(x**2) + 10 * (1 - far)

    (_, state), values = trained(gf.watch(optax.sgd(2e-4 if far == 1 else 0.1)), loss, jnp.ones(2))
    found = gf.report(state)
    assert values[-1] < values[0]
    assert (found.cause, found.grade) == ("unknown", Grade.UNKNOWN)
    assert "only: nothing says that the run learned" in found.reason


def test_a_run_that_was_thrown_far_up_is_not_healthy_where_it_ends_below_its_start():
    """Beyond its limit it leaves the valley for a plain that lies below the start."""

    def loss(x):
        return jnp.where(x < 60, (x - 1) ** 2 + 1, 5.0)

    (_, state), values = trained(gf.watch(optax.sgd(1.1), loss), loss, jnp.asarray(5.0), steps=60)
    assert values.max() > 100 * values[0]
    assert values[-1] == 5 < values[0] / 2
    assert gf.report(state).cause != "healthy"


def test_noise_is_no_rise():
    noise = jax.random.normal(jax.random.key(0), (400, 2))

    def loss(x, batch):
        return jnp.mean((x - batch) ** 2)

    (_, state), _ = trained(gf.watch(optax.sgd(0.1), loss), loss, jnp.zeros(2), batches=noise)
    assert gf.report(state).ok


def regression(x, batch):
    return jnp.mean((batch - x) ** 2)


def test_a_bad_batch_is_named():
    data = jnp.ones((40, 2)).at[17, 1].set(jnp.nan)
    (x, state), _ = trained(gf.watch(optax.adam(0.01)), regression, jnp.zeros(2), batches=data)
    found = gf.report(state)
    assert (found.cause, found.bad_step, found.step) == ("bad_batch", 17, 16)
    assert np.isfinite(x).all()


def test_an_operation_that_is_not_finite_is_told_from_a_step_too_long():
    def loss(p):
        return jnp.linalg.norm(p["a"]) + jnp.sum((p["b"] - 1) ** 2)

    # The third step lands on a = 0, where a norm has no gradient.
    start = {"a": jnp.array([0.75, 0.0]), "b": jnp.zeros(2)}
    (_, state), _ = trained(gf.watch(optax.sgd(0.25), loss), loss, start)
    found = gf.report(state)
    assert (found.cause, found.bad_step, found.step) == ("not_finite_operation", 3, 2)
    assert found.what == "the gradient is not finite (a)"
    np.testing.assert_allclose(found.params["a"], [0.25, 0])
    # From there one can go on.
    updates, _ = optax.sgd(0.1).update(jax.grad(loss)(found.params), found.opt_state, found.params)
    assert np.isfinite(jax.flatten_util.ravel_pytree(updates)[0]).all()


def test_half_precision_that_overflows_is_said_to():
    def loss(x):
        return jnp.sum(jnp.asarray(200.0, jnp.float16) * x**2)

    (_, state), _ = trained(gf.watch(optax.sgd(0.01)), loss, jnp.ones(2, jnp.float16))
    assert gf.report(state).cause == "precision"


def test_without_the_loss_the_report_says_what_is_missing():
    (_, state), _ = trained(gf.watch(optax.sgd(0.1)), quadratic, jnp.ones(2))
    found = gf.report(state)
    assert (found.cause, found.grade) == ("unknown", Grade.UNKNOWN)
    assert "give watch the loss" in found.reason
    text = repr(found)
    assert f"at step {found.bad_step} the loss has risen and did not come back; the updates are zero" in text
    assert f"last good step: {found.step}" in text
    assert len(found.plot().axes) == 2
    assert list(found.table().columns) == ["value", "grad_norm", "update_norm", "sharpness", "residual"]


def test_a_watch_inside_a_chain_is_found():
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), gf.watch(optax.sgd(0.01)))
    (_, state), _ = trained(optimizer, quadratic, jnp.ones(2))
    assert gf.report(state).cause == "healthy"


def watched(loss, batch, wrap=gf.watch):
    optimizer = wrap(optax.sgd(0.1), loss)
    return optimizer.update(H, optimizer.init(H), H, value=1.0, batch=batch)


BAD = {
    "no optimizer": (lambda: gf.watch(0.1), TypeError, r"^watch: `optimizer` must be an optax.GradientTransformation"),
    "no loss": (lambda: gf.watch(optax.sgd(0.1), 3.0), TypeError, r"^watch: `loss` must be a function"),
    "every": (lambda: gf.watch(optax.sgd(0.1), every=0), ValueError, r"^watch: `every` must be at least 1, got 0"),
    "no params": (lambda: gf.watch(optax.sgd(0.1)).update(H, gf.watch(optax.sgd(0.1)).init(H)), ValueError,
                  r"^watch: `params` must be given to update"),
    "no batch": (lambda: watched(regression, None), TypeError, r"^watch: `loss` can't be called as loss\(params\): .*; "
                                                               r"give update batch="),
    "half a model": (lambda: watched(lambda p, b: p["activation"](b), H), TypeError, r"^watch: `loss` .*eqx.combine"),
    "another state": (lambda: gf.report(optax.adam(0.1).init(H)), TypeError,
                      r"^report: `state` must be the state of gf.watch\(optimizer\), got tuple"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_can_t_be_watched_is_refused(name):
    ask, error, message = BAD[name]
    with pytest.raises(error, match=message) as caught:
        ask()
    assert "\n" not in str(caught.value)


# --- safe_step -------------------------------------------------------------------------------------------------------


def network(p):
    X = jnp.linspace(-1.0, 1.0, 20)[:, None]
    return jnp.mean((jnp.tanh(X @ p["in"]) @ p["out"] - jnp.sin(3 * X[:, 0])) ** 2)


def logistic(x):
    z = jnp.array([[1.0, 2.0], [-1.0, 0.5], [0.3, -2.0], [2.0, 1.0]]) @ x
    return jnp.mean(jnp.logaddexp(0, z) - jnp.array([1.0, 0.0, 1.0, 0.0]) * z) + 1e-2 * jnp.sum(x**2)


# Functions, starts that are stretched ten ways, and L at the minimum, of whose limit ten times is taken.
PROBLEMS = {
    "rosenbrock": (gf.landscapes.rosenbrock(), jnp.array([-1.2, 1.0]), 1000.0),
    "logistic": (logistic, jnp.array([1.0, 5.0]), 1.3),
    "quadratic": (quadratic, jnp.ones(2), 30.0),
    "network": (network, {"in": jnp.ones((1, 8)), "out": jnp.ones(8) / 8}, 1.5),
    "a wall": (lambda x: jnp.sum(x - jnp.log(x)), jnp.array([2.0, 3.0]), 1.0),
}


# Every method and every problem, but not every method on every problem.
PAIRS = [(kind, name) for name in PROBLEMS for kind in ("sgd", "momentum", "adam")]


@pytest.mark.parametrize(("kind", "name"), part(PAIRS, 7))
def test_a_safe_step_never_leaves_the_numbers(name, kind):
    loss, start, L = PROBLEMS[name]
    lr = 10 * 2 / L
    own = {"sgd": optax.sgd(lr), "momentum": optax.sgd(1.9 * lr, momentum=0.9), "adam": optax.adam(10.0)}[kind]
    optimizer = gf.safe_step(own, loss)
    spread = 1 + 0.3 * np.random.default_rng(0).normal(size=10).clip(-2, 2)
    starts = jax.tree.map(lambda leaf: jnp.asarray(spread).reshape(-1, *[1] * leaf.ndim) * leaf, start)

    def run(x):
        def one(carry, _):
            at, state = carry
            value, gradient = jax.value_and_grad(loss)(at)
            updates, state = optimizer.update(gradient, state, at, value=value)
            return (optax.apply_updates(at, updates), state), value

        return jax.lax.scan(one, (x, optimizer.init(x)), length=200)

    (x, state), values = jax.jit(jax.vmap(run))(starts)
    for leaf in jax.tree.leaves((x, state.inner)):
        assert np.isfinite(leaf).all()
    ends = np.asarray(jax.vmap(loss)(x))
    # It is a safe step, not a good one: on a plain it may have gone too far, but never far up.
    values = np.asarray(values)
    assert (ends < 3 * values[:, 0]).all()
    # Of a cliff curvature says nothing before it is met. Of all else the loss never rises: momentum swings no higher.
    if name not in ("logistic", "a wall"):
        assert (values.max(axis=1) <= 1.02 * values[:, 0]).all()


def test_a_safe_step_of_batches_does_not_run_up_between_two_looks():
    """One product follows the curvature with a delay, and a batch has less of it than another."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=(15, 8, 6)) * draw.lognormal(size=(15, 1, 6))
    y = np.tanh(x @ draw.normal(size=6))
    params = {"in": jnp.asarray(draw.normal(size=(6, 12))), "out": jnp.asarray(draw.normal(size=12) / 4)}

    def loss(p, batch):
        return jnp.mean((jnp.tanh(batch[0] @ p["in"]) @ p["out"] - batch[1]) ** 2)

    data = (jnp.asarray(np.tile(x, (20, 1, 1))), jnp.asarray(np.tile(y, (20, 1))))
    _, values = trained(gf.safe_step(optax.sgd(20.0, momentum=0.9), loss), loss, params, batches=data)
    epochs = np.asarray(values).reshape(20, 15).mean(axis=1)
    assert (epochs[1:] < epochs[0]).all()
    assert epochs[-1] < 0.3 * epochs[0]


def test_a_safe_step_is_scaled_to_the_margin_of_the_limit():
    optimizer = gf.safe_step(optax.sgd(0.2, momentum=0.9), quadratic, margin=0.5)
    (x, state), _ = trained(optimizer, quadratic, jnp.ones(2))
    # From rest x₂ = (1.9 − h)(1 − h) − 0.9 is back at −1 where h² − 2.9 h + 2 = 0; half of that, of an lr of 0.2.
    assert float(state.scale) == pytest.approx(0.5 * (2.9 - np.sqrt(0.41)) / 2 / 30 / 0.2, rel=1e-3)
    assert float(quadratic(x)) < 1e-3
    assert int(state.returns) == 0
    # Below the limit it is the optimizer's own.
    (own, _), _ = trained(optax.sgd(0.01), quadratic, jnp.ones(2))
    (x, state), _ = trained(gf.safe_step(optax.sgd(0.01), quadratic), quadratic, jnp.ones(2))
    np.testing.assert_allclose(x, own, rtol=1e-12)


def test_a_safe_step_takes_batches():
    data = jax.random.normal(jax.random.key(1), (100, 8, 2))
    (x, state), _ = trained(gf.safe_step(optax.sgd(20.0), regression), regression, jnp.ones(2), batches=data)
    assert np.isfinite(x).all()
    assert 0 < float(state.scale) < 0.1


BAD_STEPS = {
    "no optimizer": (lambda: gf.safe_step(0.1, quadratic), TypeError, r"`optimizer` must be an optax"),
    "no loss": (lambda: gf.safe_step(optax.sgd(0.1), None), TypeError, r"`loss` must be a function of \(params, batch"),
    "no batch": (lambda: watched(regression, None, gf.safe_step), TypeError, r"`loss` can't be called as loss\(params"),
    "margin": (lambda: gf.safe_step(optax.sgd(0.1), quadratic, margin=2.0), ValueError, r"must lie in \(0, 1\], got 2"),
    "a sign": (lambda: gf.safe_step(optax.sign_sgd(0.1), quadratic).init(H), ValueError,
               r"`optimizer` has no limit that can be read: its update is not linear in the gradient"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_STEPS)
def test_what_has_no_safe_step_is_refused(name):
    ask, error, message = BAD_STEPS[name]
    with pytest.raises(error, match=message) as caught:
        ask()
    assert str(caught.value).startswith("safe_step: ")
    assert "\n" not in str(caught.value)
