"""Ours are theirs: named optimizers step for step as in optax and PyTorch, and either library's as the other's."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradientflow as gf

from . import scripts
from .thorough import part

BEALE, ILL = gf.landscapes.beale(), gf.Quadratic(np.diag([1.0, 1e3]))
ours = gf.optimizers
PAIRS = {
    "gradient_descent": (lambda E: ours.gradient_descent(E, 1e-3), optax.sgd(1e-3)),
    "momentum": (lambda E: ours.momentum(E, 1e-3, 0.9), optax.sgd(1e-3, momentum=0.9)),
    "nesterov": (lambda E: ours.nesterov(E, 1e-4, 0.9), optax.sgd(1e-4, momentum=0.9, nesterov=True)),
    "rmsprop": (lambda E: ours.rmsprop(E, 1e-2, 0.9), optax.rmsprop(1e-2)),
    "rmsprop_outside": (
        lambda E: ours.rmsprop(E, 1e-2, 0.95, eps=0.0, floor=1e-6),
        optax.rmsprop(1e-2, 0.95, 1e-6, eps_in_sqrt=False),
    ),
    "adagrad": (lambda E: ours.adagrad(E, 0.1), optax.adagrad(0.1)),
    "adadelta": (lambda E: ours.adadelta(E, 1.0), optax.adadelta(1.0)),
    "adadelta_slow": (lambda E: ours.adadelta(E, 0.5, 0.95, 1e-5), optax.adadelta(0.5, 0.95, 1e-5)),
    "adam": (lambda E: ours.adam(E, 1e-2), optax.adam(1e-2)),
    "adam_root": (lambda E: ours.adam(E, 1e-2, 0.8, 0.99, eps_root=1e-6), optax.adam(1e-2, 0.8, 0.99, eps_root=1e-6)),
    "adamw": (lambda E: ours.adamw(E, 1e-2, weight_decay=0.1), optax.adamw(1e-2, weight_decay=0.1)),
    "sign_descent": (lambda E: ours.sign_descent(E, 1e-3), optax.sign_sgd(1e-3)),
    "signum": (lambda E: ours.signum(E, 1e-3, 0.9), optax.signum(1e-3, 0.9)),
    "lion": (lambda E: ours.lion(E, 1e-3, weight_decay=0.1), optax.lion(1e-3, weight_decay=0.1)),
}
X0 = jnp.array([1.0, 1.0])


def optax_run(E, transformation, steps=1000, x0=X0):
    """The iterates of an optax loop, the start included."""

    def step(carry, _):
        x, state = carry
        updates, state = transformation.update(E.grad(x), state, x)
        x = optax.apply_updates(x, updates)
        return (x, state), x

    xs = jax.jit(lambda x: jax.lax.scan(step, (x, transformation.init(x)), None, length=steps)[1])(x0)
    return np.concatenate([np.asarray(x0)[None], xs])


class Off(gf.flows.energies.CallableEnergy):
    """Its gradient is off by a relative 10⁻¹², upwards here and downwards there."""

    def grad(self, x):
        return jax.grad(self.fn)(x) * (1 + 1e-12 * jnp.sin(1e6 * x))


def comparable(theirs, E, transformation):
    """How many rows of a run an error of the rounding's size leaves within 10⁻¹¹: near a minimum some are chaotic."""
    amplified = np.abs(optax_run(Off(E.value), transformation, len(theirs) - 1) - theirs).max(axis=1) / 1e-12
    # Sixty-four units in the last place of the gradient, a few from each operation of a step.
    unlike = 64 * np.finfo(float).eps * np.maximum(amplified, 1) > 1e-11
    return int(np.argmax(unlike)) if unlike.any() else len(theirs)


@pytest.mark.parametrize("name", part(PAIRS, 5))
def test_step_for_step_as_in_optax(name):
    make, transformation = PAIRS[name]
    for E in (BEALE, ILL):
        theirs = optax_run(E, transformation)
        rows = comparable(theirs, E, transformation)
        assert rows > 120
        np.testing.assert_allclose(make(E).iterate(X0, 1000).x[:rows], theirs[:rows], atol=1e-11)


@pytest.mark.parametrize("name", part(PAIRS, 5))
def test_handed_to_an_optax_loop(name):
    """The same run, with gradients that the loop computes."""
    make, transformation = PAIRS[name]
    handed = make(gf.energy(lambda x: jnp.sum(x) * jnp.nan)).to_optax()
    theirs = optax_run(BEALE, transformation, 200)
    rows = comparable(theirs, BEALE, transformation)
    np.testing.assert_allclose(optax_run(BEALE, handed, 200)[:rows], theirs[:rows], atol=1e-11)


@pytest.mark.parametrize("name", ["nesterov", "adamw"])
def test_any_optax_transformation_is_a_discretizer(name):
    run = gf.iterate(gf.GradientFlow(BEALE), gf.FromOptax(PAIRS[name][1]), X0, step=1e-3, steps=200)
    np.testing.assert_allclose(run.x, optax_run(BEALE, PAIRS[name][1], 200), atol=1e-13)


def test_ours_run_without_optax(tmp_path):
    """All their code, that is: it is traced and not compiled."""
    program = (
        "import sys, jax, gradientflow as gf\n"
        "sys.modules['optax'] = None\n"
        "E = gf.landscapes.beale()\n"
        "for name in ('gradient_descent', 'momentum', 'nesterov', 'rmsprop', 'adagrad', 'adadelta', 'adam', 'adamw',\n"
        "             'sign_descent', 'lion', 'signum', 'muon'):\n"
        "    method = getattr(gf.optimizers, name)(E, lr=1e-3)\n"
        "    jax.eval_shape(lambda x: method.iterate(x, 2).x, jax.numpy.ones(2))\n"
    )
    (tmp_path / "ours.py").write_text(program)
    assert scripts.run(tmp_path / "ours.py", tmp_path).returncode == 0


SCHEDULE = optax.cosine_decay_schedule(1e-2, 100)
SCHEDULED = {
    "gradient_descent": optax.sgd(SCHEDULE),
    "adam": optax.adam(SCHEDULE),
    "adamw": optax.adamw(SCHEDULE),
    "rmsprop": optax.rmsprop(SCHEDULE),
    "adagrad": optax.adagrad(SCHEDULE),
    "adadelta": optax.adadelta(SCHEDULE),
    "sign_descent": optax.sign_sgd(SCHEDULE),
    "lion": optax.lion(SCHEDULE),
}


@pytest.mark.parametrize("name", part(["adamw", "gradient_descent", "rmsprop", "adagrad", "adadelta", "lion"], 5))
def test_schedules_as_in_optax(name):
    method = getattr(ours, name)(BEALE, lr=SCHEDULE)
    theirs = optax_run(BEALE, SCHEDULED[name], 120)
    np.testing.assert_allclose(method.iterate(X0, 120).x, theirs, atol=1e-12)
    np.testing.assert_allclose(optax_run(BEALE, method.to_optax(), 120), theirs, atol=1e-12)


def test_a_schedule_of_optaxs_on_momentum_of_ours():
    """At fixed β a schedule is no step of one flow, but optax may scale what our method proposes."""
    handed = optax.chain(ours.momentum(BEALE, 1e-2, 0.9).to_optax(), optax.scale_by_schedule(lambda k: 1.0 / (1.0 + k)))
    theirs = optax.sgd(lambda k: 1e-2 / (1.0 + k), momentum=0.9)
    np.testing.assert_allclose(optax_run(BEALE, handed, 100), optax_run(BEALE, theirs, 100), atol=1e-12)


def test_pytrees_and_single_precision_through_optax():
    params = {"w": jnp.ones(3, jnp.float32), "b": jnp.zeros((), jnp.float32)}
    E = gf.energy(lambda p: jnp.sum((p["w"] - 2) ** 2) + (p["b"] + 1) ** 2)
    handed = ours.adam(E, 0.1).to_optax()
    state, updates = handed.init(params), None
    for _ in range(3):
        updates, state = jax.jit(handed.update)(E.grad(params), state, params)
        params = optax.apply_updates(params, updates)
    assert {leaf.dtype for leaf in jax.tree.leaves((params, updates))} == {jnp.dtype("float32")}
    run = ours.adam(E, 0.1).iterate({"w": jnp.ones(3, jnp.float32), "b": jnp.zeros((), jnp.float32)}, 3)
    np.testing.assert_allclose(run.x["w"][-1], params["w"], rtol=1e-6)


def test_half_precision_keeps_adams_decay():
    """e^{−h/τ₂} is 1 in bfloat16; the numbers are kept in single precision."""
    x0, handed = jnp.ones(2, jnp.bfloat16), ours.adam(BEALE, 1e-2).to_optax()

    def end(transformation):
        def step(carry, _):
            x, state = carry
            updates, state = transformation.update(2 * x, state, x)
            return (optax.apply_updates(x, updates), state), None

        return jax.lax.scan(step, (x0, transformation.init(x0)), None, length=50)[0][0]

    np.testing.assert_allclose(end(handed).astype(float), end(optax.adam(1e-2)).astype(float), rtol=0.05)


def test_what_an_optax_loop_can_not_give_is_told():
    stages, adam = (
        gf.Method(gf.GradientFlow(BEALE), gf.RungeKutta("rk4"), 0.1).to_optax(),
        ours.adam(BEALE, 0.1).to_optax(),
    )
    state = stages.init(X0)
    with pytest.raises(TypeError, match="another point than the parameters"):
        stages.update(X0, state, X0)
    state = adam.init(X0)
    with pytest.raises(ValueError, match="needs the parameters"):
        adam.update(X0, state)
    with pytest.raises(TypeError, match=r"optax\.adam"):
        gf.FromOptax("adam")


def test_line_searching_transformations_are_given_the_energy():
    run = gf.iterate(
        gf.GradientFlow(gf.landscapes.rosenbrock()), gf.FromOptax(optax.lbfgs()), X0 * 0, step=1.0, steps=60
    )
    np.testing.assert_allclose(run.x[-1], [1, 1], atol=1e-8)


def _pytorch_sgd(g, x, k, memory, lr, momentum=0.0, nesterov=False):
    buffer = momentum * memory.get("buffer", 0) + g
    memory["buffer"] = buffer
    return x - lr * (g + momentum * buffer if nesterov else buffer)


def _pytorch_rmsprop(g, x, k, memory, lr, alpha=0.99, eps=1e-8):
    memory["v"] = alpha * memory.get("v", 0) + (1 - alpha) * g**2
    return x - lr * g / (np.sqrt(memory["v"]) + eps)


def _pytorch_adagrad(g, x, k, memory, lr, eps=1e-10):
    memory["sum"] = memory.get("sum", 0) + g**2
    return x - lr * g / (np.sqrt(memory["sum"]) + eps)


def _pytorch_adadelta(g, x, k, memory, lr=1.0, rho=0.9, eps=1e-6):
    memory["v"] = rho * memory.get("v", 0) + (1 - rho) * g**2
    delta = np.sqrt(memory.get("u", 0) + eps) / np.sqrt(memory["v"] + eps) * g
    memory["u"] = rho * memory.get("u", 0) + (1 - rho) * delta**2
    return x - lr * delta


def _pytorch_adam(g, x, k, memory, lr, weight_decay=0.0, betas=(0.9, 0.999), eps=1e-8):
    x = x - lr * weight_decay * x
    memory["m"] = betas[0] * memory.get("m", 0) + (1 - betas[0]) * g
    memory["v"] = betas[1] * memory.get("v", 0) + (1 - betas[1]) * g**2
    m, v = memory["m"] / (1 - betas[0] ** k), memory["v"] / (1 - betas[1] ** k)
    return x - lr * m / (np.sqrt(v) + eps)


TORCH = {
    "SGD": (_pytorch_sgd, lambda E: ours.gradient_descent(E, 1e-3), {"lr": 1e-3}),
    "SGD momentum": (_pytorch_sgd, lambda E: ours.momentum(E, 1e-3, 0.9), {"lr": 1e-3, "momentum": 0.9}),
    "SGD nesterov": (
        _pytorch_sgd,
        lambda E: ours.nesterov(E, 1e-4, 0.9),
        {"lr": 1e-4, "momentum": 0.9, "nesterov": True},
    ),
    "RMSprop": (_pytorch_rmsprop, lambda E: ours.rmsprop(E, 1e-2, 0.99, eps=0.0, floor=1e-8), {"lr": 1e-2}),
    "Adagrad": (
        _pytorch_adagrad,
        lambda E: ours.adagrad(E, 0.1, eps=0.0, initial_accumulator_value=0.0, floor=1e-10),
        {"lr": 0.1, "eps": 1e-10},
    ),
    "Adadelta": (_pytorch_adadelta, lambda E: ours.adadelta(E, 1.0), {"lr": 1.0, "rho": 0.9, "eps": 1e-6}),
    "Adam": (_pytorch_adam, lambda E: ours.adam(E, 1e-2), {"lr": 1e-2}),
    "AdamW": (_pytorch_adam, lambda E: ours.adamw(E, 1e-2, weight_decay=1e-2), {"lr": 1e-2, "weight_decay": 1e-2}),
}


@pytest.mark.parametrize("name", part(TORCH, 5))
def test_step_for_step_as_pytorchs_documented_algorithms(name):
    """Over 200 steps: from about 260 on AdaDelta's steps are chaotic, and the last digit of a root is another run.

    The algorithms are those of the pages of `torch.optim`, with its defaults.
    """
    theirs, make, options = TORCH[name]
    slope = jax.jit(gf.energy(BEALE).grad)
    rows, memory = [np.array([1.0, 1.0])], {}
    for k in range(1, 201):
        rows.append(theirs(np.asarray(slope(jnp.asarray(rows[-1]))), rows[-1], k, memory, **options))
    np.testing.assert_allclose(make(BEALE).iterate(X0, 200).x, rows, atol=1e-10)
