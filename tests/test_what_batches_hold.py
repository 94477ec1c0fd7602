"""`why` of runs whose batches are at fault, and of runs that a batch is not to be blamed for."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradientflow as gf
from gradientflow.analysis.diagnosis.case import Case
from gradientflow.analysis.diagnosis.slope import not_its_gradient
from gradientflow.analysis.diagnosis.training import Training

from . import planted
from .thorough import part


def relu(sizes=(64, 32, 10)):
    return planted.mlp(sizes), planted.loss_of(functools.partial(planted.run_mlp, act=jax.nn.relu))


# --- Labels ----------------------------------------------------------------------------------------------------------


def by_one_hot(p, b):
    logits = planted.run_mlp(p, b[0], jax.nn.relu)
    return optax.softmax_cross_entropy(logits, jax.nn.one_hot(b[1], 10)).mean()


@pytest.mark.parametrize("loss", [relu()[1], by_one_hot], ids=["index", "one hot"])
def test_labels_beyond_the_classes_are_not_healthy(loss):
    data = [(x, y.copy()) for x, y in planted.batches()]
    data[7][1][3] = 12
    found = gf.why(loss, planted.mlp(), optax.adam(3e-3), data, steps=60)
    assert found.survived
    assert found.cause == "unknown"
    count = sum(len(y) for _, y in data)
    assert f"of {count} " in found.says
    assert " 1 are " in found.says
    assert "12 say" in found.says
    assert gf.why(loss, planted.mlp(), optax.adam(3e-3), planted.batches(), steps=60).cause == "healthy"


def test_a_label_that_a_mask_hides_is_none():
    def masked(p, b):
        logits = planted.run_mlp(p, b[0], jax.nn.relu)
        each = -jax.nn.log_softmax(logits)[jnp.arange(len(b[1])), b[1]]
        return jnp.sum(jnp.where(b[1] < 10, each, 0)) / jnp.sum(b[1] < 10)

    data = [(x, np.where(y == 9, 100, y)) for x, y in planted.batches()]
    assert gf.why(masked, planted.mlp(), optax.adam(3e-3), data, steps=60).cause == "healthy"


# --- One batch -------------------------------------------------------------------------------------------------------


def spoilt(how):
    data = list(planted.batches())
    for n in (4, 14):
        data[n] = how(*data[n])
    return data


def test_two_batches_with_large_inputs_are_no_order_of_the_batches():
    params, loss = relu()
    found = gf.why(loss, params, optax.sgd(0.05), spoilt(lambda x, y: (x * 30, y)), steps=100)
    assert found.cause == "bad_batch"
    assert "batches 4, 14 are unlike the others" in found.says
    ends = found.replays.set_index("changed")["loss at the end"]
    assert ends["without batches 4, 14"] < 0.8 * found.evidence["loss"].iloc[-1]


@pytest.mark.parametrize("how", part([lambda x, y: (x * 0, y), lambda x, y: (x, np.roll(y, 1))]))
def test_a_batch_with_which_the_loss_jumps_each_time_does_not_come_down_by_itself(how):
    params, loss = relu()
    found = gf.why(loss, params, optax.adam(1e-2), spoilt(how), steps=100)
    assert found.cause == "bad_batch"
    assert found.step % 10 == 4
    zeros = [line for line in found.observed if "is 0 throughout" in line]
    assert zeros == (["in batches 4, 14 the part [0] is 0 throughout"] if how(1.0, np.ones(1))[0] == 0 else [])


def test_inputs_of_0_are_no_layer_s_fault():
    params, loss = relu()
    found = gf.why(loss, params, optax.adam(3e-3), [(x * 0, y) for x, y in planted.batches()], steps=60)
    assert found.cause != "healthy"
    assert any("hold nothing but 0" in line for line in found.helps)


# --- Large inputs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sizes", "rate"), part([((64, 64, 64, 64, 64, 10), 0.1), ((64, 128, 128, 128, 10), 0.05)]))
def test_a_deep_network_on_large_inputs_takes_a_step_too_long_and_explodes_by_no_layer(sizes, rate):
    params, loss = relu(sizes)
    found = gf.why(loss, params, optax.sgd(rate), [(x * 255, y) for x, y in planted.batches()], steps=60)
    assert (found.cause, found.also) == ("beyond_stability", ())
    size = np.sqrt(np.mean((planted.batches()[0][0] * 255.0) ** 2))
    assert any(f"have a size of about {size:.3g}" in line for line in found.observed)


def test_a_warm_up_that_ends_where_guessing_does_is_not_what_a_run_lacks():
    params, loss = relu((64, 64, 64, 64, 64, 10))
    found = gf.why(loss, params, optax.sgd(0.01, momentum=0.9), [(x * 255, y) for x, y in planted.batches()], steps=100)
    assert found.cause == "beyond_stability"


# --- The gradient ----------------------------------------------------------------------------------------------------


def test_a_start_on_a_kink_has_a_gradient_that_differences_contradict():
    """Half of the parameters stand at 0, where |x| and max(x, 0) bend; a derivative written wrongly is one anywhere."""

    def said(loss, params):
        return not_its_gradient(Case(Training("why", loss, params, optax.sgd(1e-3), None, None, 0, None, False), 3))

    start = jnp.array([0.0, 1.0, 0.0, 0.0, 2.0])
    assert said(lambda p: jnp.sum(jnp.abs(p[:2])) + jnp.sum(jnp.maximum(p[2:], 0)), start) == ""

    @jax.custom_vjp
    def square(x):
        return jnp.sum(x**2)

    square.defvjp(lambda x: (jnp.sum(x**2), x), lambda x, g: (x * g,))
    assert "not the loss's derivative" in said(square, start)


def test_of_a_mask_that_hands_on_the_gradient_the_layer_is_named():
    params, loss = relu()
    masked = optax.masked(optax.adam(3e-3), {"layer0": True, "layer1": False})
    found = gf.why(loss, params, masked, planted.batches(), steps=60)
    assert found.cause == "uphill"
    assert "the updates of ['layer1'] point uphill" in found.says
    assert "optax.masked" in found.helps[0]


def test_a_run_that_a_little_more_would_break_says_so():
    found = gf.why(lambda x: jnp.sum(jnp.array([1.0, 10.0]) * x**2) / 2, jnp.ones(2), optax.sgd(0.18), steps=60)
    assert found.cause == "healthy"
    assert 1 <= found.safe_scale < 0.2 / 0.18 * 1.2
    assert "close to breaking: learning rate × " in found.says
    calm = gf.why(lambda x: jnp.sum(jnp.array([1.0, 10.0]) * x**2) / 2, jnp.ones(2), optax.sgd(0.09), steps=60)
    assert "close to breaking" not in calm.says
