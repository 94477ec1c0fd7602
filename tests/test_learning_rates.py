"""Suggested learning rates, against the limits that runs really have."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradientflow as gf
from gradientflow.analysis import Grade

from .thorough import part

RNG = np.random.default_rng(0)
A = RNG.normal(size=(60, 8))
Y = (A @ RNG.normal(size=8) + 0.5 * RNG.normal(size=60) > 0) * 1.0


def logistic(w):
    z = A @ w
    return jnp.mean(jnp.logaddexp(0, z) - Y * z) + 5e-3 * jnp.sum(w**2)


def quadratic(x):
    return jnp.sum(jnp.geomspace(1, 100, 6) * x**2) / 2


OPTIMIZERS = {"sgd": optax.sgd, "momentum": lambda lr: optax.sgd(lr, momentum=0.9), "adam": optax.adam}
PROBLEMS = {"quadratic": (quadratic, jnp.ones(6)), "logistic": (logistic, 2 * jnp.ones(8))}


def trained(loss, params, optimizer, steps=300):
    """The loss after every step."""

    def one(carry, _):
        at, state = carry
        value, gradient = jax.value_and_grad(loss)(at)
        updates, state = optimizer.update(gradient, state, at)
        return (optax.apply_updates(at, updates), state), value

    return jax.lax.scan(one, (params, optimizer.init(params)), length=steps)[1]


@pytest.mark.parametrize("problem", part(PROBLEMS))
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_suggested_rate_is_below_the_limit_and_not_far(name, problem):
    make, (loss, params) = OPTIMIZERS[name], PROBLEMS[problem]
    found = gf.suggest_lr(loss, params, make)
    assert found.grade is Grade.MEASURED
    grid = jnp.geomspace(found.lr, 20 * found.lr, 20)
    # The true limit, where a run rises above its start, is above the suggestion, and not twenty times it.
    peaks = jax.jit(jax.vmap(lambda lr: jnp.max(trained(loss, params, make(lr)))))(grid)
    start = float(loss(params))
    assert float(peaks[0]) <= start
    assert float(peaks[-1]) > start
    losses = np.asarray(jax.jit(lambda lr: trained(loss, params, make(lr)))(found.lr))
    assert losses[-1] < 0.2 * start
    assert found.range[0] <= found.lr <= found.range[1]


def test_the_local_limit_is_that_of_the_optimizer():
    assert gf.suggest_lr(quadratic, jnp.ones(6), optax.sgd).local_limit == pytest.approx(2 / 100)
    momentum = gf.suggest_lr(quadratic, jnp.ones(6), OPTIMIZERS["momentum"])
    assert momentum.local_limit == pytest.approx(3.8 / 100)
    assert "the curvature at the start allows 0.038" in momentum.reason


def regression(p, batch):
    inputs, targets = batch
    return jnp.mean((inputs @ p["w"] + p["b"] - targets) ** 2)


def batches():
    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(90, 3))
    targets = inputs @ np.array([1.0, -2.0, 0.5]) + 1 + 0.1 * rng.normal(size=90)
    # The last batch of the epoch is shorter.
    return [(inputs[i : i + 16], targets[i : i + 16]) for i in range(0, 90, 16)]


def test_batches_are_a_list_or_a_function_of_the_step():
    start = {"w": jnp.zeros(3), "b": jnp.zeros(())}
    full = batches()[:-1]
    listed = gf.suggest_lr(regression, start, optax.sgd, full, steps=40)
    asked = gf.suggest_lr(regression, start, optax.sgd, lambda k: full[k % 5], steps=40)
    assert listed.lr == asked.lr
    assert gf.suggest_lr(regression, start, optax.sgd, batches(), steps=40).lr == listed.lr
    assert 0.02 < listed.lr < 1


class Line(eqx.Module):
    w: jax.Array
    b: jax.Array
    act: object  # no array: it stays as it is

    def __call__(self, x):
        return self.act(x @ self.w + self.b)


def test_a_loss_may_draw_and_answer_more():
    """Its draws are those of the key: with none of them it is the plain loss, bit by bit."""

    def dropped(p, batch, key):
        kept = jax.random.bernoulli(key, 0.5, batch.shape)
        return jnp.mean((p * kept * batch) ** 2) + p**2, kept

    def plain(p, batch):
        return jnp.mean((p * batch) ** 2) + p**2

    def drawn(p, batch, key):
        return plain(p, batch), key

    batches = [jnp.ones(8)]
    asked = {"steps": 16, "has_aux": True}
    found, same = (
        gf.suggest_lr(dropped, 1.0, optax.sgd, batches, key=jax.random.key(seed), **asked).losses for seed in (0, 0)
    )
    np.testing.assert_array_equal(found, same)
    alike = gf.suggest_lr(drawn, 1.0, optax.sgd, batches, key=jax.random.key(0), **asked)
    assert alike.lr == gf.suggest_lr(plain, 1.0, optax.sgd, batches, steps=16).lr
    assert found.tolist() != alike.losses.tolist()
    with pytest.raises(ValueError, match="or has_aux=True to a question"):
        gf.suggest_lr(dropped, 1.0, optax.sgd, batches, key=jax.random.key(0))


def test_of_a_module_the_arrays_of_numbers_move():
    start = {"w": jnp.zeros(3), "b": jnp.zeros(())}
    full = batches()[:-1]
    module = Line(**start, act=lambda x: x)
    found = gf.suggest_lr(lambda m, b: jnp.mean((m(b[0]) - b[1]) ** 2), module, optax.sgd, full, steps=40)
    plain = gf.suggest_lr(regression, start, optax.sgd, full, steps=40)
    assert found.lr == pytest.approx(plain.lr, rel=1e-6)


def test_an_optimizer_that_can_t_be_read_or_traced_is_tried_all_the_same():
    def make(lr):
        # The number itself is asked for.
        return optax.sign_sgd(float(lr))

    found = gf.suggest_lr(quadratic, 1.3 * jnp.ones(6), make, steps=16)
    assert np.isnan(found.local_limit)
    assert 0.01 < found.lr < 1
    assert "can't be read" in found.reason


def test_where_nothing_falls_there_is_no_rate():
    found = gf.suggest_lr(quadratic, jnp.zeros(6), optax.sgd, steps=16)
    assert np.isnan(found.lr)
    assert found.grade is Grade.UNKNOWN
    assert "the start may be a minimum" in found.reason


def test_a_suggestion_shows_itself():
    found = gf.suggest_lr(quadratic, jnp.ones(6), optax.sgd, steps=40)
    assert repr(found).startswith("learning rate 0.01, as good from ")
    assert found.table().loc[found.rates[-1], "failed"]
    assert len(found.plot().axes) == 1


ONES = np.ones(2)
BAD = {
    "no loss": (lambda: gf.suggest_lr(3.0, ONES, optax.sgd), TypeError, "`loss` must be a function, got 3.0"),
    "no make": (lambda: gf.suggest_lr(jnp.sum, ONES, optax.sgd(0.1)), TypeError, "`make` must be a function"),
    "in another order": (lambda: gf.suggest_lr(jnp.sum, optax.sgd, {"w": jnp.ones((9, 9))}), TypeError,
                         "`make` must be a function, got dict; give optax.adam, or lr -> an optimizer"),
    "a pair": (lambda: gf.suggest_lr(lambda x: (jnp.sum(x), {}), ONES, optax.sgd), ValueError,
               "must return one real scalar"),
    "no optimizer": (lambda: gf.suggest_lr(jnp.sum, ONES, lambda lr: lr), TypeError,
                     "`make` must return an optax.GradientTransformation"),
    "a batch": (lambda: gf.suggest_lr(regression, ONES, optax.sgd, (ONES for _ in "a")), TypeError,
                "`batches` must be a list of batches, or a function k -> batch, got generator; one batch"),
    "few steps": (lambda: gf.suggest_lr(jnp.sum, ONES, optax.sgd, steps=2), ValueError, "`steps` must be at least 8"),
    "infinite": (lambda: gf.suggest_lr(lambda x: jnp.sum(x) / 0.0, ONES, optax.sgd), ValueError,
                 "the loss is inf at `params`; start where it is finite"),
    "no scalar": (lambda: gf.suggest_lr(lambda x: x, ONES, optax.sgd), ValueError, "must return one real scalar"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_can_t_be_trained_is_refused(name):
    ask, error, message = BAD[name]
    with pytest.raises(error, match=message) as caught:
        ask()
    assert str(caught.value).startswith("suggest_lr: ")
    assert "\n" not in str(caught.value)
