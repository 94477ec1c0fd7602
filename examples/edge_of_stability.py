"""Why doesn't training diverge although its step is too long for the curvature it meets?

A small network trained by plain gradient descent: its sharpness, the greatest curvature, grows until it reaches 2/h,
and hovers there while the loss goes on falling, though not at every step. The monitor follows it.
"""

import _output
import jax
import jax.numpy as jnp
import numpy as np

import gradientflow as gf

jax.config.update("jax_enable_x64", True)

KEYS = jax.random.split(jax.random.key(0), 3)
X = jnp.linspace(-1.0, 1.0, 20)[:, None]
Y = jnp.sin(3 * X[:, 0])


def loss(p: dict[str, jax.Array]) -> jax.Array:
    """The mean squared error of a network with one hidden layer of 12."""
    hidden = jnp.tanh(X @ p["in"] + p["shift"])
    return jnp.mean((hidden @ p["out"] - Y) ** 2)


def main() -> None:
    """Trains with a step that is stable at the start, and follows sharpness and limit."""
    start = {
        "in": jax.random.normal(KEYS[0], (1, 12)),
        "shift": jnp.zeros(12),
        "out": jax.random.normal(KEYS[1], (12,)) / 4,
    }
    method = gf.optimizers.gradient_descent(loss, lr=0.18)
    run = method.iterate(start, steps=3000)
    found = gf.edge_of_stability(method, run, points=300)
    late = found.ratio[len(found.ratio) // 2 :]
    print(
        f"h / (2/sharpness): {found.ratio[0]:.2f} at the start, {late.min():.3f} to {late.max():.3f} in the second half"
    )
    print(f"loss {float(run.energy[0]):.4f} → {float(run.energy[-1]):.6f}, rising in "
          f"{int((np.diff(run.energy) > 0).sum())} of 3000 steps")  # fmt: skip
    _output.save(found.plot(), __file__)


if __name__ == "__main__":
    main()
