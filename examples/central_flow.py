"""Where does gradient descent go that oscillates at the edge of stability?

Past the edge the gradient flow leads elsewhere; the central flow stays with the mean of the iterates, at curvature 2/h.
"""

import _output
import _table
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from matplotlib.figure import Figure
from sklearn.datasets import load_digits

import gradientflow as gf

jax.config.update("jax_enable_x64", True)
DIGITS, LR, STEPS, EVERY, NAMES = load_digits(), 0.4, 1200, 20, ("central flow", "gradient flow")
IMAGES, LABELS = jnp.asarray(DIGITS.data[:200] / 16 - 0.3), jax.nn.one_hot(DIGITS.target[:200], 10)


def loss(p: dict[str, jax.Array]) -> jax.Array:
    """Half the mean squared error of a network with one hidden layer of ten."""
    return jnp.mean(jnp.sum((jnp.tanh(IMAGES @ p["in"] + p["shift"]) @ p["out"] - LABELS) ** 2, axis=1)) / 2


def main() -> None:
    """The run, the central flow and the gradient flow: loss, curvature, distance from the mean of the iterates."""
    a, b = jax.random.split(jax.random.key(0))
    x0 = {"in": jax.random.normal(a, (64, 10)) / 25, "shift": jnp.zeros(10), "out": jax.random.normal(b, (10, 10)) / 12}
    method, ts = gf.optimizers.gradient_descent(loss, LR), np.arange(0, STEPS + 1, EVERY) * LR
    central, run = gf.CentralFlow(method, modes=2), method.iterate(x0, STEPS + EVERY)
    path = gf.iterate(central, gf.ForwardEuler(), x0, step=LR, steps=STEPS, save_every=EVERY)
    flow = gf.integrate(gf.GradientFlow(loss), x0, STEPS * LR, ts=ts, rtol=1e-4, atol=1e-5)
    iterates, *others = (np.asarray(jax.vmap(lambda p: ravel_pytree(p)[0])(f.x)) for f in (run, path, flow))
    mean = np.array([iterates[max(k - EVERY, 0) : k + EVERY + 1].mean(axis=0) for k in range(0, STEPS + 1, EVERY)])
    left, middle, right = (figure := Figure(figsize=(13, 4.2), layout="constrained")).subplots(1, 3)
    left.semilogy(run.t, run.energy, "0.75", label="gradient descent")
    away, bent, _ = {}, {}, middle.axhline(2 / LR, ls=":", label="2/h")
    for name, one, rows, colour in zip(NAMES, (path, flow), others, ("C3", "C0"), strict=True):
        away[name], bent[name] = np.linalg.norm(rows - mean, axis=1), gf.curvature(loss, one, top=1).sharpness
        left.semilogy(one.t, one.energy, colour, label=name)
        middle.plot(ts, bent[name], colour, label=name)
        right.plot(ts, away[name], colour, label=name)
    for ax, title in ((left, "loss"), (middle, "greatest curvature"), (right, "distance from the mean")):
        _ = ax.set(xlabel="time t = kh", title=title), ax.legend()
    ours, flows, held, out = (float(values[-1]) for found in (away, bent) for values in found.values())
    swing = np.sum(np.diff(iterates[-2 * EVERY :], axis=0) ** 2, axis=1).mean() / 4
    swing = float(swing / central.spread(path.t[-1], path.state[-1]))
    _table.settle(
        ("distance at the end, of the gradient flow's", ours / flows, ours < 0.1 * flows),
        ("its curvature, of 2/h", held * LR / 2, abs(held * LR / 2 - 1) < 0.01),
        ("the gradient flow's curvature, of 2/h", out * LR / 2, out * LR / 2 > 1.2),
        ("mean square of the swing, of the predicted", swing, 0.5 < swing < 2),
    )
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
