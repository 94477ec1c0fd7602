"""Optimizers' own updates with what they adapt held: any optax transformation, and the edge of stability along runs."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradientflow as gf
from gradientflow.analysis import Grade
from gradientflow.analysis.linear_stability.held_step import HeldUpdate

from .thorough import THOROUGH, part

PARAMS = {"w": jnp.array([[3.0, 1.0], [2.0, -1.0]]), "b": jnp.array([0.3, -2.0])}
GRADIENT = jax.tree.map(lambda leaf: 5 * leaf + 0.1, PARAMS)
NORM = float(optax.global_norm(GRADIENT))


def read(optimizer, steps=300, gradient=GRADIENT):
    """The reading after so many steps of one gradient: averages have settled on it."""
    update = jax.jit(optimizer.update)
    state = optimizer.init(PARAMS)
    for _ in range(steps):
        _, state = update(gradient, state, PARAMS)
    reader = HeldUpdate(optimizer, PARAMS)
    return reader, reader.at(gradient, state, PARAMS)


SIZE = jax.tree.map(jnp.abs, GRADIENT)
ONE = jax.tree.map(jnp.ones_like, GRADIENT)
# The threshold of a mode of P⁻¹H, and P.
KNOWN = {
    "gradient descent": (optax.sgd(0.1), 2.0, jax.tree.map(lambda g: 10 * g, ONE)),
    "heavy ball": (optax.sgd(0.1, momentum=0.9), 38.0, ONE),
    "Nesterov": (optax.sgd(0.1, momentum=0.9, nesterov=True), 3.8 / 0.28, ONE),
    "Adam": (optax.adam(0.1), 38.0, jax.tree.map(lambda g: 10 * g, SIZE)),
    "AdamW": (optax.adamw(0.1, weight_decay=0.01), 38 * (1 - 5e-4), jax.tree.map(lambda g: 10 * g, SIZE)),
    "Yogi's kin": (optax.amsgrad(0.1, b1=0.5), 6.0, jax.tree.map(lambda g: 10 * g, SIZE)),
    "RMSprop": (optax.rmsprop(0.1, eps=1e-12), 2.0, jax.tree.map(lambda g: 10 * g, SIZE)),
    "AdaGrad": (optax.adagrad(0.5, initial_accumulator_value=0.0), 2.0,
                jax.tree.map(lambda g: 2 * np.sqrt(301) * g, SIZE)),
    "clipped": (optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(0.1, momentum=0.5)), 6.0,
                jax.tree.map(lambda g: 5 * NORM * g, ONE)),
    "clipped by entries": (optax.chain(optax.clip(1.0), optax.sgd(0.1)), 2.0,
                           jax.tree.map(lambda g: 10 * jnp.maximum(g, 1), SIZE)),
    "scheduled": (optax.adam(optax.cosine_decay_schedule(0.1, 600)), 38.0, jax.tree.map(lambda g: 20 * g, SIZE)),
}  # fmt: skip


@pytest.mark.parametrize("name", part(KNOWN))
def test_an_optax_update_is_read_with_what_it_adapts_held(name):
    optimizer, threshold, p = KNOWN[name]
    _, found = read(optimizer)
    assert not found.reason
    assert found.threshold == pytest.approx(threshold, rel=1e-4)
    for a, b in zip(jax.tree.leaves(found.inverse), jax.tree.leaves(p), strict=True):
        np.testing.assert_allclose(a, 1 / b, rtol=1e-4)


def test_momenta_are_told_from_second_moments_by_their_sign():
    reader, _ = read(optax.adam(0.1), steps=1)
    assert {path.split("[")[1][:2] for path in reader.linear} == {"0]"}
    assert all(".mu" in path for path in reader.linear)
    assert all(".nu" in path for path in reader.adaptive)
    assert (len(reader.linear), len(reader.adaptive)) == (2, 2)


UNKNOWN = {
    "a sign": (optax.sign_sgd(0.1), "not linear in the gradient, not even with what it adapts held"),
    "noise": (optax.chain(optax.add_noise(0.1, 0.5, jax.random.key(0)), optax.sgd(0.1)), "not linear in the gradient"),
    "two kinds": (optax.multi_transform({"a": optax.adam(0.1), "s": optax.sgd(0.1)}, {"w": "a", "b": "s"}),
                  "differ by more than their gain: their thresholds are 2 to 38"),
    "a line search": (optax.lbfgs(0.1), "can't be followed: .*value"),
    "nothing": (optax.set_to_zero(), "its update is 0 there"),
    "uphill": (optax.scale(0.1), "climbs along the gradient"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_cannot_be_told_is_unknown_with_the_reason(name):
    import re

    optimizer, reason = UNKNOWN[name]
    state = optimizer.init(PARAMS)
    if name == "two kinds":
        for _ in range(200):
            _, state = optimizer.update(GRADIENT, state, PARAMS)
    found = HeldUpdate(optimizer, PARAMS).at(GRADIENT, state, PARAMS)
    assert np.isnan(found.threshold)
    assert re.search(reason, found.reason)


E = gf.energy(lambda x: (1 - x[0] * x[1]) ** 2 / 2)


def test_the_edge_of_adam_is_where_its_own_step_has_it():
    """P is that of the step from there, which has taken in the gradient there; `stability` takes it as it was."""
    method = gf.optimizers.adam(E, lr=0.1, b1=0.5)
    run = method.iterate([3.0, 0.3], steps=60)
    found = gf.edge_of_stability(method, run, points=3)
    assert found.grade is Grade.MEASURED
    assert found.threshold == pytest.approx([6, 6, 6], rel=1e-6)
    x = run.x[-1]
    s = (0.999 * run.state.s[-1] + 0.001 * E.grad(x) ** 2) / (1 - 0.999**61)
    sharpness = np.linalg.eigvals(jax.hessian(E.value)(x) / jnp.sqrt(s)[:, None]).real.max()
    assert found.lr_limit[-1] == pytest.approx(6 / sharpness, rel=1e-6)
    assert found.ratio[-1] == pytest.approx(0.1 * sharpness / 6, rel=1e-6)
    assert found.lr_limit[-1] == pytest.approx(gf.stability(method, at=run).lr_limit, rel=0.02)
    if not THOROUGH:
        return
    through_optax = gf.Method(gf.GradientFlow(E), gf.FromOptax(optax.adam(0.1, b1=0.5)), 0.1)
    again = gf.edge_of_stability(through_optax, through_optax.iterate([3.0, 0.3], steps=60), points=3)
    np.testing.assert_allclose(again.ratio, found.ratio, rtol=1e-5)
    assert again.lr_limit is None
    # The scheme alone: its clock's step is the run's.
    flow, scheme = through_optax.flow, through_optax.discretizer
    alone = gf.edge_of_stability(flow, gf.iterate(flow, scheme, [3.0, 0.3], step=0.1, steps=60), scheme, points=3)
    np.testing.assert_array_equal(alone.ratio, again.ratio)
    with pytest.raises(TypeError, match=r"along a run edge_of_stability\(method, run\) reads"):
        gf.stability(through_optax)


def test_the_edge_of_a_clipped_chain_with_a_schedule_and_momentum():
    """Clipped, a gradient of length g moves as a learning rate lr·c/g does."""
    chain = optax.chain(optax.clip_by_global_norm(0.5), optax.sgd(lambda k: 0.3 / (1 + k), momentum=0.9))
    method = gf.Method(gf.GradientFlow(E), gf.FromOptax(chain), 1.0)
    run = method.iterate([3.0, 1.0], steps=20)
    found = gf.edge_of_stability(method, run, points=21)
    length = np.linalg.norm(np.asarray(jax.vmap(E.grad)(run.x)), axis=1)
    gain = 0.3 / (1 + np.arange(21)) / 0.1 * np.minimum(1, 0.5 / length)
    np.testing.assert_allclose(found.preconditioned, gain * found.sharpness, rtol=1e-6)
    np.testing.assert_allclose(found.ratio, gain * found.sharpness / 38, rtol=1e-6)
    with pytest.raises(ValueError, match=r"can't be made again .*has a memory that runs don't keep"):
        gf.edge_of_stability(gf.Method(gf.GradientFlow(E), gf.FromOptax(optax.sgd(0.1, momentum=0.5)), 1.0), run)


def test_the_edge_of_a_sum_is_its_smooth_parts():
    Q = gf.Quadratic(np.diag([1.0, 10.0]))
    method = gf.optimizers.ista(gf.Composite(Q, gf.penalties.L1(0.1)), lr=0.1)
    found = gf.edge_of_stability(method, method.iterate([3.0, 0.3], steps=4), points=2)
    assert found.sharpness.tolist() == [10, 10]
    assert found.lr_limit.tolist() == [0.2, 0.2]


def test_where_nothing_could_be_read_the_edge_is_unknown():
    method = gf.Method(gf.GradientFlow(E), gf.FromOptax(optax.sign_sgd(0.1)), 0.1)
    found = gf.edge_of_stability(method, method.iterate([3.0, 0.3], steps=2), points=2)
    assert found.grade is Grade.UNKNOWN
    assert "unknown; its update is not linear in the gradient" in repr(found)
