"""Finite sums and stochastic gradients: what minibatches, workers, noise and perturbations show a step."""

import itertools
import os

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradientflow as gf
from gradientflow.discretizers import flow_seen
from gradientflow.discretizers.oracles.shuffling import shuffled

from . import scripts
from .thorough import THOROUGH, part, thorough

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)


def loss(p, example):
    """A small network's squared error: not convex, two leaves, gradients of very different sizes."""
    return (jnp.tanh(example["x"] @ p["in"]) @ p["out"] - example["y"]) ** 2


NETWORK = gf.FiniteSum(loss, {"x": RNG.normal(size=(24, 3)), "y": RNG.normal(size=24)})
WEIGHTS = {"in": jnp.asarray(RNG.normal(size=(3, 4))), "out": jnp.asarray(RNG.normal(size=4))}


def counter(count):
    """Descending it with the step B adds 1 to x_i whenever a batch of B holds example i."""
    return gf.FiniteSum(lambda x, one_hot: -(x @ one_hot), np.eye(count))


def gradients(oracle, E, x, draws):
    """The gradients at x that so many keys show, at step 0."""
    keys = jax.random.split(KEY, draws)
    return jax.jit(jax.vmap(lambda key: oracle(gf.GradientFlow(E), key, 0).energy.grad(x)))(keys)


# --- Minibatches -----------------------------------------------------------------------------------------------------


def test_an_epoch_sees_every_example_once_and_each_epoch_in_another_order():
    run = gf.optimizers.gradient_descent(counter(12), lr=3.0).iterate(
        np.zeros(12), steps=12, oracle=gf.Minibatch(3), key=KEY
    )
    batches = np.diff(run.x, axis=0).round(12)
    assert set(np.unique(batches)) == {0.0, 1.0}
    np.testing.assert_array_equal(batches.reshape(3, 4, 12).sum(axis=1), np.ones((3, 12)))
    assert len({tuple(batch) for batch in batches}) > 4


def test_what_an_epoch_leaves_over_changes():
    run = gf.optimizers.gradient_descent(counter(7), lr=3.0).iterate(
        np.zeros(7), steps=40, save_every=2, oracle=gf.Minibatch(3), key=KEY
    )
    epochs = np.diff(run.x, axis=0).round(12)
    assert (np.sort(epochs) == [0, 1, 1, 1, 1, 1, 1]).all()
    assert (epochs.sum(axis=0) < 20).all()


def test_all_orders_are_equally_frequent():
    """χ² of the 24 orders of 4 numbers, 23 degrees of freedom: within four standard deviations of 23."""
    orders = jax.jit(jax.vmap(lambda key: shuffled(key, jnp.arange(4), 4)))(jax.random.split(KEY, 24_000))
    _, counts = np.unique(np.asarray(orders) @ 4 ** np.arange(4), return_counts=True)
    assert len(counts) == 24
    assert abs(np.sum((counts - 1000.0) ** 2 / 1000.0) - 23) < 4 * np.sqrt(2 * 23)


@pytest.mark.parametrize("count", part([1, 2, 1000, 3]))
def test_a_shuffle_is_a_permutation(count):
    order = np.asarray(shuffled(KEY, jnp.arange(count), count))
    np.testing.assert_array_equal(np.sort(order), np.arange(count))
    # Places asked for alone are those asked for together.
    some = jnp.arange(count)[:: max(count // 7, 1)]
    np.testing.assert_array_equal(shuffled(KEY, some, count), order[some])
    assert count < 1000 or abs(np.corrcoef(order, np.arange(count))[0, 1]) < 4 / np.sqrt(count)


@pytest.mark.parametrize("E", [
    gf.LinearRegression(RNG.normal(size=(10, 2)), RNG.normal(size=10), ridge=0.1),
    gf.LogisticRegression(RNG.normal(size=(10, 2)), np.arange(10) % 2, ridge=0.1),
    gf.FiniteSum(lambda x, d: jnp.sum(jnp.cos(x * d)), RNG.normal(size=(10, 3))),
], ids=lambda E: type(E).__name__)  # fmt: skip
def test_minibatch_gradients_are_unbiased_with_variance_one_over_the_batch(E):
    """Exactly, over all batches: tr Σ/B with replacement, (N − B)/(N − 1) of it without."""
    x, count = jnp.array([0.3, -0.7, 0.2]), E.count
    of = jax.jit(jax.vmap(lambda rows: E.subset(rows).grad(x)))
    each = of(np.arange(count)[:, None])
    full = E.grad(x)
    np.testing.assert_allclose(each.mean(axis=0), full, rtol=1e-12)
    noise = gf.gradient_noise(E, x)
    assert noise.trace == pytest.approx(float(jnp.trace(jnp.cov(each.T, ddof=0))), rel=1e-12)
    for size, finite in ((3, True), (2, False)):
        subsets = itertools.combinations(range(count), size) if finite else itertools.product(range(count), repeat=size)
        batches = of(np.array(list(subsets)))
        np.testing.assert_allclose(batches.mean(axis=0), full, atol=1e-12)
        variance = float(jnp.mean(jnp.sum((batches - full) ** 2, axis=1)))
        assert variance == pytest.approx(noise.trace / size * ((count - size) / (count - 1) if finite else 1))
        # The oracle draws from them: its mean and variance, within four standard errors of so many draws.
        oracle = gf.Minibatch(size) if finite else gf.MinibatchWithReplacement(size)
        assert noise.variance(oracle) == pytest.approx(variance, rel=1e-12)
        drawn = np.asarray(gradients(oracle, E, x, 4000))
        squares = np.sum((drawn - full) ** 2, axis=1)
        assert (abs(drawn.mean(axis=0) - full) < 4 * drawn.std(axis=0) / np.sqrt(4000)).all()
        assert abs(squares.mean() - variance) < 4 * squares.std() / np.sqrt(4000)


def test_adam_on_minibatches_is_optaxs_fed_the_same_batches():
    oracle, flow = gf.Minibatch(5), gf.GradientFlow(NETWORK)
    ours = gf.optimizers.adam(NETWORK, lr=0.05).iterate(WEIGHTS, steps=12, oracle=oracle, key=KEY)
    theirs = optax.adam(0.05)

    @jax.jit
    def step(x, memory, batch):
        updates, memory = theirs.update(jax.grad(lambda p: jnp.mean(jax.vmap(loss, (None, 0))(p, batch)))(x), memory)
        return optax.apply_updates(x, updates), memory

    x, memory, rows = WEIGHTS, theirs.init(WEIGHTS), []
    for k in range(12):
        batch = flow_seen(oracle, flow, jax.random.fold_in(KEY, 0), k).energy.data
        rows += np.asarray(batch["y"]).tolist()
        x, memory = step(x, memory, batch)
    for name in WEIGHTS:
        np.testing.assert_allclose(ours.x[name][-1], x[name], rtol=1e-10)
    assert [len(set(rows[start : start + 20])) for start in (0, 20, 40)] == [20, 20, 20]


@pytest.mark.parametrize(("scheme", "factor"), [
    pytest.param(gf.ForwardEuler(), lambda h: 1 - h, marks=thorough),
    (gf.BackwardEuler(), lambda h: 1 / (1 + h)),
    (gf.RungeKutta("rk4"), lambda h: 1 - h + h**2 / 2 - h**3 / 6 + h**4 / 24),
], ids=lambda case: type(case).__name__)  # fmt: skip
def test_a_scheme_sees_one_batch_at_all_its_stages(scheme, factor):
    """On ½(x − d)² a step contracts towards the batch's mean by the scheme's R(h), whatever the batch."""
    E, h = gf.FiniteSum(lambda x, d: (x - d) ** 2 / 2, [1.0, 2.0, 4.0, 8.0]), 0.4
    x = gf.iterate(gf.GradientFlow(E), scheme, 0.0, step=h, steps=8, oracle=gf.Minibatch(2), key=KEY).x
    means = (x[1:] - factor(h) * x[:-1]) / (1 - factor(h))
    possible = {round(sum(pair) / 2, 6) for pair in itertools.combinations([1.0, 2.0, 4.0, 8.0], 2)}
    assert {round(float(mean), 6) for mean in means} <= possible
    np.testing.assert_allclose(means[::2] + means[1::2], 7.5, rtol=1e-6)


def test_oracles_of_a_tuple_follow_each_other():
    """Clipping a minibatch bounds its gradient; noise after a minibatch has a key of its own."""
    flow, x = gf.GradientFlow(NETWORK), WEIGHTS

    def seen(*oracles):
        return jax.jit(lambda x: flow_seen(oracles, flow, KEY, 0).energy.grad(x))(x)

    batch = jax.jit(lambda x: flow_seen(gf.Minibatch(4), flow, KEY, 0).energy.grad(x))(x)
    clipped = seen(gf.Minibatch(4), gf.ClipGradient(0.1))
    norm = optax.tree.norm(batch)
    assert norm > 0.1
    for name in x:
        np.testing.assert_allclose(clipped[name], 0.1 * batch[name] / norm, rtol=1e-12)
    noisy = seen(gf.Minibatch(4), gf.NoisyGradient(1.0), gf.NoisyGradient(1.0))
    first = seen(gf.Minibatch(4), gf.NoisyGradient(1.0))
    tilts = [np.asarray(a["out"] - b["out"]) for a, b in ((noisy, first), (first, batch))]
    assert abs(tilts[0] - tilts[1]).min() > 1e-3


def test_another_key_does_not_compile_again():
    traces = []

    def fn(x, d):
        traces.append(1)
        return (x - d) ** 2

    method, costs = gf.optimizers.gradient_descent(gf.FiniteSum(fn, [1.0, 2.0, 3.0]), lr=0.1), []
    for seed in range(3):
        before = len(traces)
        method.iterate(0.0, 4, oracle=gf.Minibatch(2), key=jax.random.key(seed))
        costs.append(len(traces) - before)
    assert costs[2] == costs[1] < costs[0]


def test_noise_about_a_minimum_is_no_divergence():
    """From the minimizer of a regression any step leads uphill, and the gradient grows from nothing."""
    E = gf.LinearRegression(RNG.normal(size=(20, 1)), RNG.normal(size=20))
    method = gf.optimizers.gradient_descent(E, lr=0.1)
    ends = [method.iterate(E.minimizer, n, oracle=gf.Minibatch(2), key=KEY) for n in (1, 2, 3)]
    assert all(run.energy[-1] > run.energy[0] for run in ends)
    assert {run.status.outcome for run in ends} == {gf.Outcome.REACHED_END}


# --- Workers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("workers", "precision"),
    [
        (2, jnp.float32),
        (6, jnp.float64),
        pytest.param(2, jnp.float64, marks=thorough),
        pytest.param(6, jnp.float32, marks=thorough),
    ],
)
def test_workers_are_one_large_batch(workers, precision):
    """Within 4·N·eps·Σ|gᵢ|, the gᵢ being the workers' own mean gradients."""
    data, x = jax.tree.map(lambda leaf: leaf.astype(precision), (NETWORK.data, WEIGHTS))
    E = gf.FiniteSum(loss, data)
    flow, batches = gf.GradientFlow(E), gf.Minibatch(12)

    @jax.jit
    def seen(x):
        many = gf.DataParallel(batches, workers)(flow, KEY, 1).energy
        one = batches(flow, KEY, 1).energy
        each = jax.vmap(lambda part: E.subset(part).grad(x))(many.parts)
        return many.grad(x), one.grad(x), each, many.value(x), one.value(x)

    many, one, each, of_many, of_one = seen(x)
    for name in x:
        bound = 4 * workers * jnp.finfo(precision).eps * np.abs(each[name]).sum(axis=0)
        assert (np.abs(many[name] - one[name]) <= bound).all()
    assert float(of_many) == pytest.approx(float(of_one), rel=20 * float(jnp.finfo(precision).eps))


def test_workers_on_devices_are_workers_on_one(tmp_path):
    """Two devices of one machine, in a process of its own; the compiled step has an all-reduce."""
    program = """
import jax, jax.numpy as jnp
import gradientflow as gf
E = gf.FiniteSum(lambda p, d: (jnp.tanh(d[:2] @ p["w"]) + p["b"] - d[2]) ** 2, jnp.sin(jnp.arange(36.0)).reshape(12, 3))
x, key, mesh = {"w": jnp.ones(2), "b": jnp.zeros(())}, jax.random.key(0), jax.make_mesh((2,), ("data",))
method = gf.optimizers.momentum(E, lr=0.1)
here, there = (gf.DataParallel(gf.Minibatch(8), 4, mesh) for mesh in (None, mesh))
a, b = (method.iterate(x, 20, oracle=oracle, key=key).x for oracle in (here, there))
print(max(float(abs(a[name] - b[name]).max()) for name in x), float(abs(a["w"][-1] - 1).max()))
compiled = jax.jit(lambda x: there(method.flow, key, 0).energy.grad(x)).lower(x).compile().as_text()
print("all-reduce" in compiled, len(jax.devices()))
"""
    flags = os.environ["XLA_FLAGS"] + " --xla_force_host_platform_device_count=2"
    (tmp_path / "workers.py").write_text(program)
    done = scripts.run(tmp_path / "workers.py", tmp_path, {"XLA_FLAGS": flags})
    assert done.returncode == 0, done.stderr
    off, moved, reduces, devices = done.stdout.split()
    assert float(off) < 1e-13 < 0.1 < float(moved)
    assert (reduces, devices) == ("True", "2")


# --- Noise -----------------------------------------------------------------------------------------------------------


def test_noise_has_the_scale_it_says_on_any_pytree():
    E = gf.energy(lambda p: jnp.sum(p["a"] ** 2) + p["b"] ** 2)
    x = {"a": jnp.arange(3.0), "b": jnp.asarray(2.0)}
    drawn = gradients(gf.NoisyGradient(0.5), E, x, 4000)
    noise = np.concatenate([np.asarray(drawn["a"] - 2 * x["a"]), np.asarray(drawn["b"] - 4.0)[:, None]], axis=1)
    np.testing.assert_allclose(noise.mean(axis=0), 0, atol=4 * 0.5 / np.sqrt(4000))
    np.testing.assert_allclose(np.cov(noise.T), np.eye(4) / 4, atol=4 * 0.25 * np.sqrt(2 / 4000))
    # Value and gradient are of one energy, so that a line search is not misled.
    tilted = gf.NoisyGradient(0.5)(gf.GradientFlow(E), KEY, 0).energy
    automatic = jax.grad(tilted.value)(x)
    for name in x:
        np.testing.assert_allclose(tilted.grad(x)[name], automatic[name], rtol=1e-12)


def test_noisy_descent_has_the_moments_of_its_recursion():
    """v' = (1 − hλ)²v + h²σ² on each mode, and hσ²/(λ(2 − hλ)) at rest; 20,000 copies of the mode are one run."""
    h, sigma, copies, steps = 0.5, 0.3, 20_000, 30
    lam = jnp.array([0.5, 3.0])[:, None]
    E = gf.energy(lambda x: jnp.sum(lam * x**2) / 2)
    run = gf.optimizers.gradient_descent(E, h).iterate(
        np.zeros((2, copies)), steps, save_every=5, oracle=gf.NoisyGradient(sigma), key=KEY
    )
    squares, variance = np.mean(np.asarray(run.x) ** 2, axis=2), np.zeros(2)
    for k in range(1, steps + 1):
        variance = (1 - h * lam[:, 0]) ** 2 * variance + h**2 * sigma**2
        if k % 5 == 0:
            np.testing.assert_allclose(squares[k // 5], variance, rtol=4 * np.sqrt(2 / copies))
    np.testing.assert_allclose(variance, h * sigma**2 / (lam[:, 0] * (2 - h * lam[:, 0])), rtol=1e-3)


@thorough
def test_noise_leaves_a_strict_saddle_along_the_negative_curvature():
    """x² − y² from the stable manifold: E y² = h²σ²((1 + 2h)²ᵏ − 1)/((1 + 2h)² − 1), while x falls to its noise."""
    h, sigma, copies, steps = 0.1, 0.2, 10_000, 25
    method = gf.optimizers.gradient_descent(gf.energy(lambda z: jnp.sum(z[0] ** 2 - z[1] ** 2)), h)
    start = np.stack([np.ones(copies), np.zeros(copies)])
    run = method.iterate(start, steps, oracle=gf.NoisyGradient(sigma), key=KEY)
    growth = (1 + 2 * h) ** (2 * np.arange(1, steps + 1))
    np.testing.assert_allclose(
        np.mean(np.asarray(run.x[1:, 1]) ** 2, axis=1), h**2 * sigma**2 * (growth - 1) / ((1 + 2 * h) ** 2 - 1),
        rtol=4 * np.sqrt(2 / copies),
    )  # fmt: skip
    assert np.abs(method.iterate(start, steps).x[:, 1]).max() == 0
    # Of each copy by itself: at the end it has moved along y far more than x is from the saddle.
    assert np.median(np.abs(run.x[-1, 1]) / np.abs(run.x[-1, 0])) > 10


@thorough
def test_adam_has_two_limits_as_the_noise_grows():
    """At constant g and noise s: η sign g for s ≪ |g|, η g/√(g² + s²) for long averages.

    Mean and spread over 3,000 coordinates for each s, copies of each other. Of the second average, its fluctuation and
    its correlation with the first are of the first order in 1 − b2, and counted; what is left out, of the next.
    """
    copies, b1, b2, lr, g = 3000, 0.9, 0.99, 0.1, 2.0
    s = g * np.array([0.01, 0.3, 3.0, 30.0])
    method = gf.optimizers.adam(gf.energy(lambda x: g * jnp.sum(x)), lr=lr, b1=b1, b2=b2, eps=1e-12)
    noise = gf.NoisyGradient(jnp.asarray(s)[:, None])
    x = method.iterate(np.zeros((4, copies)), 300, save_every=299, oracle=noise, key=KEY).x
    updates, power = np.asarray(x[-2] - x[-1]) / lr, g**2 + s**2
    fluctuation = (2 * s**4 + 4 * g**2 * s**2) / power**2 * (1 - b2) / (1 + b2)
    correlation = 2 * s**2 / power * (1 - b1) * (1 - b2) / (1 - b1 * b2)
    means = g / np.sqrt(power) * (1 + 3 / 8 * fluctuation - correlation / 2)
    errors = updates.std(axis=1) / np.sqrt(copies)
    assert (abs(updates.mean(axis=1) - means) < 4 * errors + (1 - b2) ** 2).all()
    # Little noise: every coordinate moves by η, whatever its gradient. Much: g/s, the ratio of signal to noise, so that
    # most of a move is chance, of the size η√((1 − b1)/(1 + b1)).
    np.testing.assert_allclose(updates[0], 1, atol=0.02)
    assert updates[3].mean() < 0.1
    assert updates[3].std() == pytest.approx(np.sqrt((1 - b1) / (1 + b1)), rel=0.05)


# --- Two values of the energy ----------------------------------------------------------------------------------------


def test_spsa_is_unbiased_on_quadratics_and_its_bias_on_cubics_is_known():
    """The mean over all signs: ∂ᵢE + c²/6(3Σⱼ Tᵢⱼⱼ − 2Tᵢᵢᵢ), T the third derivative; Δ and −Δ give the same answer."""
    width, x = 0.3, jnp.array([0.4, -0.2, 0.7])
    H = jnp.array([[2.0, 0.3, 0.0], [0.3, 1.0, -0.4], [0.0, -0.4, 3.0]])

    def cubic(x):
        return x @ H @ x / 2 + x[0] ** 3 + x[0] * x[1] ** 2 - 2 * x[0] * x[1] * x[2] + x[2] ** 2 * x[1]

    third = jax.jit(jax.jacfwd(jax.hessian(cubic)))(x)
    bias = width**2 / 6 * (3 * jnp.einsum("ijj->i", third) - 2 * jnp.einsum("iii->i", third))
    for E, expected in ((gf.Quadratic(H), H @ x), (gf.energy(cubic), jax.grad(cubic)(x) + bias)):
        estimates = np.unique(np.asarray(gradients(gf.SPSA(width), E, x, 100)).round(12), axis=0)
        assert len(estimates) == 4
        np.testing.assert_allclose(estimates.mean(axis=0), expected, atol=1e-11)
        # However many unknowns, the estimate is one number times signs.
        np.testing.assert_allclose(np.ptp(np.abs(estimates), axis=1), 0, atol=1e-11)


def test_spsa_takes_a_schedule_and_asks_for_values_only():
    """On |x|, which rounds to nothing a derivative would see, and with Spall's shrinking widths."""
    widths = []

    def width(k):
        widths.append(k)
        return 0.1 / (k + 1.0) ** 0.101

    stairs = gf.energy(lambda x: jnp.sum(jnp.round(50 * jnp.abs(x)) / 50))
    run = gf.optimizers.gradient_descent(stairs, gf.schedules.harmonic(0.2, 50)).iterate(
        np.array([2.0, -1.0]), 400, oracle=gf.SPSA(width), key=KEY
    )
    assert widths
    assert float(jnp.abs(jax.grad(stairs.value)(jnp.ones(2))).max()) == 0
    assert float(run.energy[-1]) < 0.1


# --- Analyses --------------------------------------------------------------------------------------------------------


def test_gradient_noise_by_leaf_is_the_examples_own():
    noise = gf.gradient_noise(NETWORK, WEIGHTS)
    each = jax.jit(jax.vmap(jax.grad(loss), (None, 0)))(WEIGHTS, NETWORK.data)
    for name, leaf in each.items():
        spread = np.var(np.asarray(leaf), axis=0).sum()
        assert noise.traces[name] == pytest.approx(spread, rel=1e-12)
        row = noise.table().loc[name]
        assert row["noise scale"] == pytest.approx(spread / row["‖g‖"] ** 2, rel=1e-12)
    assert noise.noise_scale == pytest.approx(noise.trace / float(optax.tree.norm(NETWORK.grad(WEIGHTS))) ** 2)
    assert noise.variance(24) == 0
    assert noise.plot().axes[0].get_xlabel() == "batch size B"


def test_temperature_is_learning_rate_over_batch_size():
    """0.01/256 = 3.9e−5 of the examples' variance; a batch half as large doubles it."""
    noise = gf.gradient_noise(NETWORK, WEIGHTS)
    share = [noise.temperature(0.01, gf.MinibatchWithReplacement(B)) * 2 * 16 / noise.trace for B in (256, 128)]
    np.testing.assert_allclose(share, [3.90625e-5, 7.8125e-5], rtol=1e-12)


@thorough
def test_descent_with_replacement_rests_like_langevin_and_shuffled_epochs_rest_closer():
    """On ½(x − d)²: hV/(2 − h), V the batch's variance, is the variance that Euler–Maruyama has at `temperature`.

    At the ends of shuffled epochs of M batches, whose means are correlated by −1/(M − 1), less is left.
    """
    h, data = 0.25, jnp.array([-3.0, -1.0, 0.0, 0.5, 1.5, 2.0])
    E = gf.FiniteSum(lambda x, d: (x - d) ** 2 / 2, data)
    noise, lam = gf.gradient_noise(E, 0.0), 1.0
    independent, epochs = gf.MinibatchWithReplacement(2), gf.Minibatch(2)
    rest = h * noise.variance(independent) / (2 - h)
    T = noise.temperature(h, independent)
    step = gf.EulerMaruyama().step
    langevin = gf.Langevin(gf.Quadratic([[lam]]), temperature=T)
    spread = step(langevin, 0.0, jnp.zeros(1), h, noise=jnp.ones(1))[0]  # from 0, what unit noise makes of it
    factor = step(langevin, 0.0, jnp.ones(1), h, noise=jnp.zeros(1))[0]
    assert rest == pytest.approx(float(spread**2 * h / (1 - factor**2)), rel=1e-12)
    weights = h * (1 - h) ** np.arange(3)
    covariance = noise.variance(epochs) * (np.eye(3) - (1 - np.eye(3)) / 2)
    closer = weights @ covariance @ weights / (1 - (1 - h) ** 6)
    assert closer < rest / 4
    method = gf.optimizers.gradient_descent(E, h)
    for oracle, variance in ((independent, rest), (epochs, closer)):
        x = np.asarray(method.iterate(float(data.mean()), 30_000, save_every=3, oracle=oracle, key=KEY).x)
        # Every third step: 10,000 samples, correlated by (1 − h)³ with the next one.
        fewer = 10_000 * (1 - (1 - h) ** 6) / (1 + (1 - h) ** 6)
        assert np.var(x) == pytest.approx(variance, rel=4 * np.sqrt(2 / fewer))


def test_the_validation_curve_knows_where_to_stop():
    """Descent to 3, judged by the distance to 2: x_k = 3(1 − 2⁻ᵏ) comes nearest at k = 2 (2.25) and k = 1 (1.5)."""
    run = gf.optimizers.gradient_descent(gf.energy(lambda p: (p["a"] - 3.0) ** 2), lr=0.25).iterate(
        {"a": jnp.asarray(0.0)}, 10
    )
    curve = gf.validation_curve(run, lambda p: (p["a"] - 2.0) ** 2)
    assert (curve.best, float(curve.x["a"])) == (2, 2.25)
    np.testing.assert_allclose(curve.validation, (1 - 3 * 0.5 ** np.arange(11)) ** 2, rtol=1e-12)
    np.testing.assert_allclose(curve.gap, curve.validation - np.asarray(run.energy))
    for patience in (1, 4):
        stopped = curve.stopped(patience)
        assert (stopped.steps[-1], stopped.best) == (2 + patience, 2)
    assert len(curve.stopped(9).steps) == 11
    assert curve.table().loc[2, "validation"] == 0.0625
    assert [line.get_label() for line in curve.plot().axes[0].lines] == ["training", "validation", "best: step 2"]


def test_validation_of_a_diverged_run_still_has_its_best():
    run = gf.optimizers.gradient_descent(gf.Quadratic([[1.0]]), lr=3.0).iterate([1.0], 2000)
    curve = gf.validation_curve(run, lambda x: jnp.sum((x - 4.0) ** 2))
    assert not np.isfinite(curve.validation[-1])
    assert (curve.best, curve.x.tolist()) == (2, [4.0])


# --- Bad input -------------------------------------------------------------------------------------------------------

FLOW = gf.GradientFlow(NETWORK)


def descend(oracle, key=KEY, E=NETWORK, x0=WEIGHTS):
    return gf.optimizers.gradient_descent(E, 0.1).iterate(x0, 2, oracle=oracle, key=key)


BAD = {
    "a batch larger than the data": (lambda: descend(gf.Minibatch(25)), ValueError,
                                     r"`batch_size` must not exceed the 24 examples, got 25"),
    "an empty batch": (lambda: gf.Minibatch(0), ValueError, "`batch_size` must be at least 1, got 0"),
    "half an example": (lambda: gf.MinibatchWithReplacement(1.5), TypeError, "`batch_size` must be an integer"),
    "no key": (lambda: descend(gf.Minibatch(2), key=None), TypeError,
               r"Minibatch has noise; give `key=jax\.random\.key\(0\)`"),
    "a seed as key": (lambda: descend(gf.SPSA(0.1), key=3), TypeError, r"made by jax\.random\.key\(seed\), got 3"),
    "no examples": (lambda: descend(gf.Minibatch(2), E=gf.landscapes.bowl(), x0=[1.0, 1.0]), TypeError,
                    r"must be a mean over examples, FiniteSum\(loss, data\) say, got Landscape"),
    "minibatches last": (lambda: descend((gf.NoisyGradient(0.1), gf.Minibatch(2))), TypeError,
                         "got TiltedEnergy; in a tuple of oracles minibatches come first"),
    "unequal parts": (lambda: gf.DataParallel(gf.Minibatch(10), 3), ValueError, "must divide the batch size 10.*got 3"),
    "no batches": (lambda: gf.DataParallel(10, 2), TypeError, r"must be one such as Minibatch\(256\), got 10"),
    "a mesh too large": (lambda: gf.DataParallel(gf.Minibatch(8), 4, jax.sharding.AbstractMesh((3,), ("data",))),
                         ValueError, "one axis whose length divides the 4 workers"),
    "noise < 0": (lambda: gf.NoisyGradient(-1.0), ValueError, "`scale` must be finite and not negative, got -1"),
    "no width": (lambda: gf.SPSA(0.0), ValueError, "`width` must be finite and positive, got 0"),
    "no noise": (lambda: gf.gradient_noise(gf.landscapes.bowl(), [1.0, 1.0]), TypeError, "mean over examples, Finite"),
    "no run": (lambda: gf.validation_curve(NETWORK, NETWORK), TypeError, "must be made by iterate or integrate"),
    "no patience": (lambda: gf.validation_curve(descend(gf.Minibatch(2)), NETWORK).stopped(0), ValueError,
                    "`patience` must be at least 1"),
    "no oracle": (lambda: descend([gf.Minibatch(2)]), TypeError, "a tuple of these, got"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case):
    attempt, kind, message = BAD[case]
    with pytest.raises(kind, match=message):
        attempt()


def test_subsets_are_of_examples_that_are_there():
    for E in (
        gf.FiniteSum(lambda x, d: (x - d) ** 2, [1.0, 2.0, 3.0]),
        gf.LinearRegression(np.eye(3), [1.0, 2.0, 3.0]),
    ):
        assert E.subset([0, 2]).count == 2
        with pytest.raises(IndexError, match="must be of the 3 examples, got 0 to 9"):
            E.subset([0, 9])


def test_a_loss_is_one_number_an_example():
    with pytest.raises(ValueError, match=r"one real scalar for one example, got shape \(2,\); sum or average"):
        gf.FiniteSum(lambda x, d: (x - d) ** 2, np.ones((5, 2)))(np.zeros(2))


def test_the_lasso_on_minibatches_and_with_noise():
    """Oracles change the smooth part; the penalty stays whole, and so do its zeros."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(64, 4))
    f = gf.LinearRegression(X, X @ [2.0, 0.0, 0.0, -1.0] + 0.1 * rng.normal(size=64), intercept=False)
    E, key = gf.Composite(f, gf.penalties.L1(0.3)), jax.random.key(0)
    method = gf.optimizers.ista(E, lr=0.02)
    end = method.iterate(np.zeros(4), 2_000, save_every=2_000).x[-1]
    more = [gf.DataParallel(gf.Minibatch(16), 4), gf.NoisyGradient(0.1)] if THOROUGH else []
    for oracle in (gf.Minibatch(16), gf.SPSA(1e-3), *more):
        run = method.iterate(np.zeros(4), 2_000, save_every=2_000, oracle=oracle, key=key)
        np.testing.assert_allclose(run.x[-1], end, atol=0.05)
        # SPSA's noise is larger than the weight, the others' are not.
        assert isinstance(oracle, gf.SPSA) or not run.x[-1, 1:3].any()


@pytest.mark.parametrize(
    "make",
    [
        gf.optimizers.fista,
        pytest.param(gf.optimizers.restarted_fista, marks=thorough),
        pytest.param(gf.optimizers.douglas_rachford, marks=thorough),
    ],
)
def test_every_proximal_method_takes_batches(make):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(64, 4))
    f = gf.LinearRegression(X, X @ [2.0, 0.0, 0.0, -1.0], intercept=False)
    method, key = make(gf.Composite(f, gf.penalties.L1(0.3)), 0.02), jax.random.key(0)
    end = method.iterate(np.zeros(4), 1_000, save_every=1_000).x[-1]
    run = method.iterate(np.zeros(4), 1_000, save_every=1_000, oracle=gf.Minibatch(16), key=key)
    np.testing.assert_allclose(run.x[-1], end, atol=0.05)
    assert not run.x[-1, 1:3].any()


def test_noise_of_another_size_in_every_coordinate():
    scale = jnp.array([0.1, 0.0])
    run = gf.iterate(
        gf.GradientFlow(gf.landscapes.bowl()), gf.ForwardEuler(), [1.0, 1.0],
        step=0.1, steps=3, oracle=gf.NoisyGradient(scale), key=jax.random.key(0),
    )  # fmt: skip
    np.testing.assert_allclose(run.x[-1, 1], (1 - 0.9) ** 3, rtol=1e-7)
    with pytest.raises(ValueError, match=r"`scale` must be finite and not negative, got -0\.1"):
        gf.NoisyGradient(np.array([0.2, -0.1]))


def test_noise_is_no_excuse_for_a_rise_that_does_not_end():
    """Minibatches of size 4 beyond the limit 2/L: the energy grows by half a million."""
    rng = np.random.default_rng(0)
    data = jnp.asarray(rng.normal(size=(64, 2)))
    E = gf.FiniteSum(lambda x, d: jnp.sum((x - d) ** 2) / 2, data)
    method = gf.optimizers.gradient_descent(E, lr=2.05)
    run = method.iterate([1.0, 1.0], 120, oracle=gf.Minibatch(4), key=jax.random.key(0))
    assert float(run.energy[-1]) > 1e3 * float(run.energy[0])
    assert run.status.outcome == "diverged"
    calm = gf.optimizers.gradient_descent(E, lr=0.2).iterate(
        jnp.mean(data, axis=0), 120, oracle=gf.Minibatch(4), key=jax.random.key(0)
    )
    assert calm.status.outcome == "reached the end"


def test_a_tuple_of_lists_is_inputs_and_targets_and_no_array_of_rows():
    loss = lambda x, example: (x - example[0]) ** 2 * example[1]
    both = gf.FiniteSum(loss, ([1.0, 3.0], [1.0, 2.0]))
    assert both(0.0) == (1 + 2 * 9) / 2
    assert gf.FiniteSum(loss, [[1.0, 1.0], [3.0, 2.0]])(0.0) == both(0.0)
    assert gf.FiniteSum(lambda x, d: x * d, (1.0, 3.0))(1.0) == 2.0
    with pytest.raises(ValueError, match="one common, non-empty leading axis"):
        gf.FiniteSum(loss, ([1.0, 3.0], [1.0, 2.0, 3.0]))
