"""The central flow: below the edge it is the method, past it the method without its oscillation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import gradientflow as gf
from gradientflow.analysis.linear_stability.central_flow import _complement

from .thorough import of_any_type, part

SEEN = gf.energy(lambda x: x[1] * x[0] ** 2 / 2 - x[1] / 100)
BEALE = gf.landscapes.beale()
METHODS = {
    "gradient_descent": lambda E: gf.optimizers.gradient_descent(E, 1e-3),
    "momentum": lambda E: gf.optimizers.momentum(E, 1e-3, 0.9),
    "rmsprop": lambda E: gf.optimizers.rmsprop(E, 1e-5, 0.9, eps=1e-2),
    "adam": lambda E: gf.optimizers.adam(E, 1e-3),
}
# λ* times the learning rate: of momentum 2(1 + β), of an averaged gradient 2(1 + β)/(1 − β).
EDGES = {"gradient_descent": 2e3, "momentum": 3.8e3, "rmsprop": 2e5, "adam": 3.8e4}


@pytest.mark.parametrize("name", part(METHODS, 2))
def test_below_the_edge_its_euler_steps_are_the_method(name):
    method = METHODS[name](BEALE)
    central = gf.CentralFlow(method, modes=2)
    np.testing.assert_allclose(central.edge, EDGES[name], rtol=1e-9)
    ours = gf.iterate(central, gf.ForwardEuler(), [1.0, 1.5], step=central.step, steps=40)
    np.testing.assert_allclose(ours.x, method.iterate([1.0, 1.5], 40).x, atol=1e-13)


@pytest.mark.parametrize("lr", [0.5, 0.2])
def test_at_the_edge_the_oscillation_is_what_holds_the_curvature(lr):
    """E = ½yu² − cy: y grows at speed c up to 2/h, where u² = 2c in the mean takes away what c adds."""
    central = gf.CentralFlow(gf.optimizers.gradient_descent(SEEN, lr), modes=1)
    start = [0.0, 2 / lr - 0.05]
    run = gf.iterate(central, gf.ForwardEuler(), start, step=lr, steps=200)
    np.testing.assert_allclose(run.x[-1], [0.0, 2 / lr], atol=1e-9)
    np.testing.assert_allclose(run.x[20, 1], min(2 / lr, start[1] + 20 * lr / 100), atol=1e-9)
    np.testing.assert_allclose(central.spread(run.t[-1], run.state[-1]), 0.02, atol=1e-9)
    # The method itself alternates about it with that variance.
    own = gf.optimizers.gradient_descent(SEEN, lr).iterate([0.02**0.5, 2 / lr], 20)
    np.testing.assert_allclose(own.x[:, 0], 0.02**0.5 * (-1.0) ** np.arange(21), atol=1e-9)
    np.testing.assert_allclose(own.x[:, 1], 2 / lr, atol=1e-9)
    # A solver follows it too, within half a step.
    path = gf.integrate(central, start, 60.0 * lr, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(path.x[-1, 1], 2 / lr, rtol=2e-3)


def test_two_modes_are_held_together_and_a_third_stays_below():
    """Three curvatures that grow at their own speeds: those at the edge stop, each by its own variance."""
    speeds = jnp.array([0.02, 0.01, 0.0])
    E = gf.energy(lambda x: x[3:] @ x[:3] ** 2 / 2 - speeds @ x[3:])
    central = gf.CentralFlow(gf.optimizers.gradient_descent(E, 0.5), modes=3)
    run = gf.iterate(central, gf.ForwardEuler(), [0.0, 0.0, 0.0, 3.99, 3.97, 2.0], step=0.5, steps=60)
    np.testing.assert_allclose(run.x[-1, 3:], [4.0, 4.0, 2.0], atol=1e-8)
    X = central.covariance(run.t[-1], run.state[-1])
    np.testing.assert_allclose(np.linalg.eigvalsh(X), [0.0, 0.02, 0.04], atol=1e-8)


def test_the_covariance_solves_its_complementarity_problem():
    for seed in range(20):
        keys = jax.random.split(jax.random.key(seed), 2)
        rows = jax.random.normal(keys[0], (3, 3, 30))
        rows = (rows + jnp.swapaxes(rows, 0, 1)) / 2
        B, S = jnp.einsum("abn,cdn->abcd", rows, rows), jax.random.normal(keys[1], (3, 3))
        S = S + S.T
        X = _complement(B, S)
        left = S + jnp.einsum("abcd,cd->ab", B, X)
        assert np.linalg.eigvalsh(X)[0] >= -1e-12
        assert np.linalg.eigvalsh(left)[0] >= -1e-6
        np.testing.assert_allclose(X @ left, np.zeros((3, 3)), atol=1e-6)


def network():
    """A small network on digits, whose curvature grows past the edge."""
    datasets = pytest.importorskip("sklearn.datasets")
    digits = datasets.load_digits()
    images, labels = jnp.asarray(digits.data[:200] / 16 - 0.3), jax.nn.one_hot(digits.target[:200], 10)
    first, second = jax.random.split(jax.random.key(0))

    def loss(p):
        return jnp.mean(jnp.sum((jnp.tanh(images @ p["in"] + p["shift"]) @ p["out"] - labels) ** 2, axis=1)) / 2

    start = {
        "in": jax.random.normal(first, (64, 10)) * 0.04,
        "shift": jnp.zeros(10),
        "out": jax.random.normal(second, (10, 10)) * 0.08,
    }
    return gf.energy(loss), start


def distances(method, z, steps, window=20):
    """Of the mean path of a run at its end: from the central path, and from the stable flow."""
    central = gf.CentralFlow(method, modes=2)
    rows = jax.vmap(lambda p: ravel_pytree(p)[0])
    at = central.along(0.0, z)
    ours = gf.iterate(central, gf.ForwardEuler(), None, state=at, step=central.step, steps=steps, save_every=steps)
    run = gf.iterate(method.flow, method.discretizer, None, state=z, step=method.step, steps=steps + window)
    mean = np.asarray(rows(run.x))[-2 * window - 1 :].mean(axis=0)
    stable = gf.integrate(method.flow, None, steps * central.step, state=z, ts=[0.0, steps * central.step],
                          rtol=1e-4, atol=1e-5)  # fmt: skip
    return (float(np.linalg.norm(np.asarray(rows(path.x))[-1] - mean)) for path in (ours, stable))


def test_on_a_network_past_the_edge_it_stays_with_the_mean_of_the_run_where_the_gradient_flow_does_not():
    E, start = network()
    method = gf.optimizers.gradient_descent(E, 0.4)
    ours, stable = distances(method, method.flow.init(start), 900)
    assert ours < 0.1 * stable


def test_rmsprop_past_its_edge_too():
    E, start = network()
    method = gf.optimizers.rmsprop(E, 0.002, 0.99)
    z = method.flow.init(start)
    squares = jax.tree.map(jnp.square, method.flow.gradient(z.x))
    ours, stable = distances(method, gf.flows.ScaledState(z.x, squares), 200)
    assert ours < 0.15 * stable


@of_any_type
@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: gf.CentralFlow(gf.optimizers.newton(BEALE)), "`method` must be gradient descent, momentum"),
        (lambda: gf.CentralFlow(gf.optimizers.proximal_point(BEALE, 0.1)), "`method` must be gradient descent"),
        (lambda: gf.CentralFlow(gf.optimizers.gradient_descent(BEALE, lambda k: 0.1)), "constant learning rate"),
        (lambda: gf.CentralFlow(gf.optimizers.adam(BEALE, lambda k: 0.1)), "constant learning rate"),
        (lambda: gf.CentralFlow(BEALE), "`method` must be one such as"),
        (
            lambda: jax.grad(lambda lr: gf.CentralFlow(gf.optimizers.gradient_descent(BEALE, lr)).step)(0.1),
            "the method's learning rate must be known",
        ),
        (lambda: gf.CentralFlow(METHODS["adam"](BEALE), modes=3).init(jnp.zeros(2)), "`modes` is 3"),
    ],
)
def test_what_is_wrong_is_told(make, says):
    with pytest.raises((TypeError, ValueError)) as told:
        make()
    assert says in str(told.value)
