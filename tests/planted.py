"""Training runs with a failure planted in each, on scikit-learn's digits: an MLP, a small CNN, a small RNN."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.datasets import load_digits

CLASSES = 10


@functools.cache
def batches(count=20, size=64):
    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    x, y = (data.images[order] / 16).astype(np.float32), data.target[order].astype(np.int32)
    return [(x[i * size : (i + 1) * size], y[i * size : (i + 1) * size]) for i in range(count)]


def _dense(rng, n, m, scale=None):
    scale = np.sqrt(2 / n) if scale is None else scale
    return {"w": jnp.asarray(scale * rng.normal(size=(n, m)), jnp.float32), "b": jnp.zeros(m, jnp.float32)}


def mlp(sizes=(64, 32, 10), scale=None):
    rng = np.random.default_rng(1)
    return {f"layer{i}": _dense(rng, n, m, scale) for i, (n, m) in enumerate(itertools.pairwise(sizes))}


def run_mlp(params, x, act=jnp.tanh):
    h = x.reshape(len(x), -1)
    for i in range(len(params)):
        h = h @ params[f"layer{i}"]["w"] + params[f"layer{i}"]["b"]
        h = act(h) if i < len(params) - 1 else h
    return h


def cnn():
    rng = np.random.default_rng(2)
    filters = jnp.asarray(rng.normal(size=(3, 3, 1, 8)) / 3, jnp.float32)
    return {"filters": filters, "out": _dense(rng, 8 * 9, CLASSES)}


def run_cnn(params, x):
    h = jax.lax.conv_general_dilated(x[..., None], params["filters"], (2, 2), "VALID",
                                     dimension_numbers=("NHWC", "HWIO", "NHWC"))  # fmt: skip
    h = jax.nn.relu(h).reshape(len(x), -1)
    return h @ params["out"]["w"] + params["out"]["b"]


def rnn(spectral=0.9, width=16):
    rng = np.random.default_rng(3)
    q, _ = np.linalg.qr(rng.normal(size=(width, width)))
    return {
        "in": _dense(rng, 8, width),
        "turn": jnp.asarray(spectral * q, jnp.float32),
        "out": _dense(rng, width, CLASSES),
    }


def run_rnn(params, x, act=jnp.tanh, turns=1):
    rows = jnp.tile(jnp.moveaxis(x, 1, 0), (turns, 1, 1))

    def turn(h, row):
        return act(h @ params["turn"] + row @ params["in"]["w"] + params["in"]["b"]), None

    h, _ = jax.lax.scan(turn, jnp.zeros((x.shape[0], params["turn"].shape[0]), x.dtype), rows)
    return h @ params["out"]["w"] + params["out"]["b"]


def cross_entropy(logits, y):
    return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(len(y)), y])


def loss_of(run):
    return lambda params, batch: cross_entropy(run(params, batch[0]), batch[1])


MODELS = {"mlp": (mlp, run_mlp), "cnn": (cnn, run_cnn), "rnn": (rnn, run_rnn)}

# A learning rate that is fine on all three models.
OPTIMIZERS = {
    "sgd": (optax.sgd, 0.1),
    "momentum": (lambda lr: optax.sgd(lr, momentum=0.9), 0.02),
    "nesterov": (lambda lr: optax.sgd(lr, momentum=0.9, nesterov=True), 0.02),
    "adam": (optax.adam, 3e-3),
    "adamw": (lambda lr: optax.adamw(lr, weight_decay=1e-3), 3e-3),
    "rmsprop": (optax.rmsprop, 2e-3),
    "adagrad": (optax.adagrad, 0.05),
    "clipped": (lambda lr: optax.chain(optax.clip_by_global_norm(1.0), optax.adam(lr)), 3e-3),
}


def healthy(model, optimizer):
    start, run = MODELS[model]
    make, lr = OPTIMIZERS[optimizer]
    return loss_of(run), start(), make(lr), batches()


def beyond_stability(model, optimizer):
    loss, params, _, data = healthy(model, optimizer)
    make, lr = OPTIMIZERS[optimizer]
    times = {"sgd": 100, "momentum": 100, "nesterov": 100, "adagrad": 100}.get(optimizer, 1000)
    return loss, params, make(times * lr), data


def not_finite_operation(model, optimizer):
    """A penalty √Σa² on a gate that starts at 0: its derivative there is 0/0; or a log of what comes to be 0."""
    loss, params, tx, data = healthy(model, optimizer)
    params = params | {"gate": jnp.zeros(3, jnp.float32)}
    return (
        lambda p, b: loss({k: p[k] for k in p if k != "gate"}, b) + 0.1 * jnp.sqrt(jnp.sum(p["gate"] ** 2)),
        params,
        tx,
        data,
    )


def not_finite_later(model, optimizer):
    """log of a probability that becomes 0 in float32: saturated logits, without log_softmax."""
    _, params, tx, data = healthy(model, optimizer)
    run = MODELS[model][1]

    def loss(p, b):
        z = 60 * run(p, b[0])
        e = jnp.exp(z - jax.lax.stop_gradient(z.max(axis=1, keepdims=True)))
        return -jnp.mean(jnp.log((e / e.sum(axis=1, keepdims=True))[jnp.arange(len(b[1])), b[1]])) / 60

    return loss, params, tx, data


def bad_batch(model, optimizer):
    loss, params, tx, data = healthy(model, optimizer)
    data = list(data)
    x, y = data[13]
    if model == "cnn" and optimizer in ("sgd", "momentum", "nesterov"):
        data[13] = (x * np.float32(1e4), y)
    else:
        x = x.copy()
        x[3, 2, 2] = np.nan
        data[13] = (x, y)
    return loss, params, tx, data


def precision(model, optimizer):
    """bfloat16 parameters under a learning rate whose updates are lost; half precision that overflows."""
    loss, params, _, data = healthy(model, optimizer)
    make, lr = OPTIMIZERS[optimizer]
    half = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), params)
    data = [(x.astype(jnp.bfloat16), y) for x, y in data]
    return loss, half, make(lr / 10), data


def step_too_short(model, optimizer):
    loss, params, _, data = healthy(model, optimizer)
    make, lr = OPTIMIZERS[optimizer]
    return loss, params, make(lr * 1e-3), data


def weight_decay(model, optimizer):
    loss, params, _, data = healthy(model, optimizer)
    make, lr = OPTIMIZERS[optimizer]
    return loss, params, optax.chain(make(lr), optax.add_decayed_weights(-0.2)), data


CAUSES = (beyond_stability, not_finite_operation, bad_batch, precision, step_too_short)


# --- Other causes, once or twice each ---------------------------------------------------------------------------------


def vanishing_gradient():
    loss = loss_of(functools.partial(run_mlp, act=jax.nn.sigmoid))
    return loss, mlp((64, *[16] * 10, 10), scale=0.3), optax.sgd(0.1), batches()


def exploding_gradient():
    loss = loss_of(functools.partial(run_rnn, act=lambda h: h, turns=4))
    return loss, rnn(1.5), optax.sgd(0.05), batches()


def noise_floor():
    rng = np.random.default_rng(4)
    truth = rng.normal(size=5)
    x = rng.normal(size=(200, 2, 5)).astype(np.float32)
    y = (x @ truth + 3 * rng.normal(size=(200, 2))).astype(np.float32)
    data = [(x[i], y[i]) for i in range(200)]
    return lambda p, b: jnp.mean((b[0] @ p - b[1]) ** 2), jnp.zeros(5, jnp.float32), optax.sgd(0.05), data


def unbounded_below():
    loss = loss_of(run_mlp)
    params = mlp() | {"sigma": jnp.zeros((), jnp.float32)}

    def with_scale(p, b):
        own = {k: p[k] for k in p if k != "sigma"}
        return loss(own, b) + p["sigma"]

    return with_scale, params, optax.adam(1e-2), batches()


def warm_up_too_short():
    """Steep at the start only: a valley that widens."""

    def loss(p):
        return 0.5 * p["x"] ** 2 * (1 + 20 * p["y"] ** 2) + 0.25 * p["y"] ** 2

    return loss, {"x": jnp.float32(1.0), "y": jnp.float32(1.0)}, optax.sgd(1.5), None


def stale_second_moment():
    """A gradient that is tiny for long, then grows: v̂ has forgotten nothing of the small ones."""

    def loss(p):
        return jnp.sum(jnp.where(p > 1, 0.001 * (p - 1) + 0.5, 0.5 * p**2)) + 0.0

    return loss, jnp.full(3, 1.2, jnp.float32), optax.adam(1e-3, b1=0.0), None


OTHERS = (vanishing_gradient, exploding_gradient, noise_floor, unbounded_below, warm_up_too_short)
