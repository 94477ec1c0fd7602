"""`why` of runs that end below their start and failed all the same, or that no length of the step cures."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradientflow as gf

from . import planted


def outcomes(found):
    return found.replays.set_index("changed")["loss at the end"]


def advised(found):
    """The loss that the first replay named as a help ended at."""
    line = next(line for line in found.helps if "loss " in line)
    return float(line.split("loss ")[1].split()[0])


def relu(sizes=(64, 32, 10)):
    return planted.mlp(sizes), planted.loss_of(functools.partial(planted.run_mlp, act=jax.nn.relu))


def log_of_softmax(p, b):
    q = jax.nn.softmax(20 * planted.run_mlp(p, b[0]))
    return -jnp.mean(jnp.log(q[jnp.arange(len(b[1])), b[1]]))


# --- No length of the step cures it -----------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [1.02, 1.04])
def test_a_log_of_0_at_the_start_s_own_parameters_is_no_step_too_long(factor):
    params = jax.tree.map(lambda leaf: leaf * factor, planted.mlp())
    data = planted.batches()
    data = [*data[3:], *data[:3]]
    odd = [k for k, batch in enumerate(data) if not np.isfinite(log_of_softmax(params, batch))]
    # Several batches are lost before a step was taken, and the first of the run is none of them.
    assert len(odd) > 1
    assert odd[0] > 0
    found = gf.why(log_of_softmax, params, optax.adam(8e-2), data, steps=40)
    assert found.cause == "not_finite_operation"
    assert (found.step, "beyond_stability" in found.also) == (odd[0], False)
    assert "log of 0" in found.says
    assert any("no step is short enough" in line for line in found.observed)


@pytest.mark.parametrize("rate", [1e-3, 1.0])
def test_a_forgotten_minus_sign_is_named_and_tried(rate):
    params, loss = relu()
    forgot = optax.chain(optax.scale_by_adam(), optax.scale(rate))
    found = gf.why(loss, params, forgot, planted.batches(), steps=40)
    assert (found.cause, found.safe_scale, found.step) == ("uphill", 0, 0)
    assert any("above 0 at 100%" in line for line in found.observed)
    assert any("optax.scale(-lr)" in line for line in found.helps)
    turned = found.replays[found.replays["changed"].str.contains("sign turned")]
    assert turned["survives"].iloc[-1]


def test_a_multiple_that_survives_by_rounding_alone_does_not_hide_a_wrong_sign():
    params, loss = relu()
    found = gf.why(lambda p, b: -loss(p, b), params, optax.adam(-1e-3), planted.batches(), steps=40)
    assert found.cause == "uphill"


def test_a_step_far_too_long_is_not_called_uphill():
    found = gf.why(lambda x: jnp.sum(jnp.array([1.0, 10.0]) * x**2), jnp.ones(2), optax.sgd(1.0), steps=40)
    assert found.cause == "beyond_stability"
    assert not found.replays["changed"].str.contains("sign turned").any()


# --- It ends below its start, and failed ------------------------------------------------------------------------------


def test_inputs_that_nobody_scaled_throw_the_loss_far_up_and_the_run_is_not_healthy():
    params, loss = relu((64, 64, 10))
    found = gf.why(loss, params, optax.sgd(0.1), [(x * 255, y) for x, y in planted.batches()], steps=100)
    assert found.survived
    assert found.evidence["loss"].max() > 100 * found.evidence["loss"][0]
    assert found.cause == "beyond_stability"
    assert advised(found) < 0.8 * found.evidence["loss"].iloc[-1]


def test_a_clip_hides_a_gradient_that_explodes():
    loss = planted.loss_of(functools.partial(planted.run_rnn, act=jax.nn.relu, turns=4))
    params = planted.rnn(2.8)
    clipped = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-2))
    found = gf.why(loss, params, clipped, planted.batches(), steps=100)
    assert found.survived
    assert found.evidence["gradient"].median() > 100
    assert found.cause == "exploding_gradient"
    assert "clip hides it" in found.says


@pytest.mark.parametrize("clip", [1e-3, 1.0])
def test_a_clip_of_a_healthy_gradient_hides_nothing(clip):
    # A loss in small units is clipped at every step, and its gradient is no larger for it.
    start = jnp.array([3.0, -2.0])
    found = gf.why(lambda x: 1e4 * jnp.sum(x**2) / 2 + 1, start, optax.chain(optax.clip_by_global_norm(clip),
                   optax.sgd(0.1 / clip)), steps=60)  # fmt: skip
    assert found.cause != "exploding_gradient"


def test_labels_that_belong_to_other_inputs_leave_the_run_in_doubt():
    params, loss = relu()
    data = [(x, np.roll(y, 1)) for x, y in planted.batches()]
    found = gf.why(loss, params, optax.adam(1e-3), data, steps=100)
    assert found.survived
    assert (found.cause, str(found.grade)) == ("unknown", "unknown")
    assert "nothing says that the run learned" in found.says
    shares = np.bincount(np.concatenate([y for _, y in data])) / sum(len(y) for _, y in data)
    assert f"{-np.sum(shares * np.log(shares)):.4g}" in found.says
    true = gf.why(loss, params, optax.adam(1e-2), planted.batches(), steps=100)
    assert true.cause == "healthy"


def test_batches_sorted_by_class_are_shuffled():
    params, loss = relu()
    x, y = (np.concatenate(leaves) for leaves in zip(*planted.batches(), strict=True))
    order = np.argsort(y, kind="stable")
    data = [(x[order[i : i + 64]], y[order[i : i + 64]]) for i in range(0, len(y), 64)]
    found = gf.why(loss, params, optax.sgd(0.1, momentum=0.9), data, steps=100)
    assert found.cause == "batch_order"
    shuffled = gf.why(loss, params, optax.sgd(0.1, momentum=0.9), planted.batches(), steps=100)
    assert shuffled.cause == "healthy"
    # It is the run on batches drawn at random, and none was tried where they are.
    assert outcomes(found)["examples shuffled into other batches"] < 0.3
    assert not shuffled.replays["changed"].str.contains("examples").any()


def test_a_layer_that_the_optimizer_leaves_alone_is_mentioned():
    params = {"first": jnp.ones(2), "second": jnp.ones(2)}
    frozen = optax.multi_transform({"go": optax.sgd(0.1), "stay": optax.set_to_zero()},
                                   {"first": "go", "second": "stay"})  # fmt: skip

    def said(optimizer):
        found = gf.why(lambda p: jnp.sum(p["first"] ** 2 + p["second"] ** 2), params, optimizer, steps=30)
        return [line for line in found.observed if "never moved" in line]

    assert len(said(frozen)) == 1
    assert "['second'] never moved" in said(frozen)[0]
    assert not said(optax.sgd(0.1))


# --- What is advised --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [3.0, 4.0])
def test_no_shorter_step_of_the_table_ends_far_lower_than_the_one_advised(rate):
    params, loss = relu()
    found = gf.why(loss, params, optax.sgd(rate), planted.batches(), steps=100)
    assert found.cause == "beyond_stability"
    table = found.replays
    scale = scale_of_label(table["changed"])
    inside = table[(scale <= 0.6 * found.safe_scale) & (scale <= 0.5) & (table["from step"] == 0) & table["survives"]]
    assert len(inside) > 2
    assert advised(found) <= 1.21 * inside["loss at the end"].min()


def scale_of_label(labels):
    return labels.str.extract(r"^learning rate × ([\d.e-]+)$")[0].astype(float)
