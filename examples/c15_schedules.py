"""Does a decaying step (step decay, exponential, cosine) train a small network better than a constant one?

Without noise it does not: while steps are stable a schedule is only a change of time, t_k = Σ h_j. Over t all losses
fall on one curve, to a hundredth, and the constant step gets furthest along it. With minibatches of 32 decay helps:
the noise of long steps dies with them. Cosine annealing then ends lowest, the constant step at its noise floor.
"""

import _output
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_breast_cancer

import gradientflow as gf

jax.config.update("jax_enable_x64", True)
DATA, LABELS = load_breast_cancer(return_X_y=True)
X, Y, EVERY, STEPS = jnp.array((DATA - DATA.mean(0)) / DATA.std(0)), jnp.array(LABELS), jnp.arange(len(DATA)), 1000


@jax.jit
def loss(p: dict[str, jax.Array], rows: jax.Array = EVERY) -> jax.Array:
    """The logistic loss of eight hidden units, and some weight decay."""
    margin = (2 * Y[rows] - 1) * (jnp.tanh(X[rows] @ p["in"] + p["shift"]) @ p["out"])
    return jnp.mean(jnp.logaddexp(0, -margin)) + 5e-4 * sum(jnp.sum(leaf**2) for leaf in p.values())


def minibatch(flow: gf.Flow, key: jax.Array, k: jax.Array) -> gf.Flow:
    """The gradient flow of 32 rows."""
    return gf.GradientFlow(gf.energy(eqx.Partial(loss, rows=jax.random.randint(key, (32,), 0, len(X)))))


def main() -> None:
    """Trains with and without noise, and puts the losses over steps and over time."""
    key, k, make, ends, curve = jax.random.key(0), jnp.arange(STEPS + 1), gf.schedules, {}, None
    start = {"in": jax.random.normal(key, (30, 8)) / 5, "shift": jnp.zeros(8), "out": jnp.array([0.3, -0.3] * 4)}
    schedules = {"constant": lambda k: 2.0 + 0.0 * k, "step decay": make.step_decay(2.0, 0.1, STEPS // 3)}
    schedules |= {"exponential": make.exponential(2.0, 0.01, STEPS), "cosine": make.cosine(2.0, STEPS)}
    axes = (figure := Figure(figsize=(13, 4.6), layout="constrained")).subplots(1, 3, sharey=True)
    for label, schedule in schedules.items():
        method = gf.optimizers.gradient_descent(loss, eqx.Partial(jnp.take, schedule(k)))  # one compiled loop for all
        quiet, noisy = method.iterate(start, STEPS), method.iterate(start, STEPS, oracle=minibatch, key=key)
        curve, ends[label] = curve or quiet, (float(quiet.energy[-1]), float(noisy.energy[-100:].mean()))
        off = np.ptp(np.interp(quiet.t, curve.t, curve.energy) / quiet.energy)
        assert off < 0.01
        print(f"{label}: {ends[label][0]:.4f}, with noise {ends[label][1]:.4f}; over t {off:.2%} off the constant's")
        for ax, x, run in zip(axes, (quiet.steps, quiet.t, quiet.steps), (quiet, quiet, noisy), strict=True):
            ax.loglog(x[1:], run.energy[1:], lw=1.2, label=label)
    assert [min(ends, key=lambda label: ends[label][i]) for i in (0, 1)] == ["constant", "cosine"]
    axes[0].set(xlabel="step k", ylabel="training loss", title="No noise: the constant step is best")
    axes[1].set(xlabel="time $t_k$, the sum of steps", title="… for over time there is one curve")
    axes[2].set(xlabel="step k", title="Minibatches of 32: now decay helps")
    axes[0].legend(loc="lower left")
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
