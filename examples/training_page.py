"""What does a training run do whose step is too long for the curvature that the flow would meet?

A small network on handwritten digits, trained by plain gradient descent, recorded and put into a page that one scrubs:
the sharpness rises to what the step allows and hovers there, while the flow from the same start goes where it is half
as sharp again.
"""

import _output
import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_digits

import gradientflow as gf

jax.config.update("jax_enable_x64", True)

CLASSES, EXAMPLES, HIDDEN, LR, STEPS = 3, 120, 8, 0.4, 600


def digits() -> tuple[jax.Array, jax.Array]:
    """Zeros, ones and twos of 4 × 4 pixels, centred, and their classes one-hot."""
    data = load_digits()
    kept = data.target < CLASSES
    pixels = data.images[kept][:EXAMPLES].reshape(-1, 4, 2, 4, 2).mean((2, 4)).reshape(-1, 16) / 16
    return jnp.asarray(pixels - pixels.mean(0)), jax.nn.one_hot(data.target[kept][:EXAMPLES], CLASSES)


X, Y = digits()


def loss(p: dict[str, jax.Array]) -> jax.Array:
    """The mean squared distance between what a network with one hidden layer says and the classes."""
    return jnp.mean(jnp.sum((jnp.tanh(X @ p["in"] + p["shift"]) @ p["out"] - Y) ** 2, axis=1))


def main() -> None:
    """Records the run, and the flow beside it, and writes the page."""
    keys = jax.random.split(jax.random.key(0), 2)
    start = {
        "in": jax.random.normal(keys[0], (16, HIDDEN)) / 4,
        "shift": jnp.zeros(HIDDEN),
        "out": jax.random.normal(keys[1], (HIDDEN, CLASSES)) / 4,
    }
    method = gf.optimizers.gradient_descent(loss, lr=LR)
    run = method.iterate(start, steps=STEPS)
    found = gf.edge_of_stability(method, run, points=60)
    flow = gf.integrate(gf.GradientFlow(loss), start, float(run.t[-1]), ts=np.linspace(0.0, float(run.t[-1]), 40))
    bent = gf.curvature(loss, flow, top=1)
    late = found.ratio[len(found.ratio) // 2 :]
    print(f"loss {float(run.energy[0]):.3f} → {float(run.energy[-1]):.4f}, the flow's {float(flow.energy[-1]):.4f}")
    print(f"sharpness / allowed: {late.min():.2f} to {late.max():.2f} in the second half; the flow's "
          f"{bent.sharpness[-1] * LR / 2:.2f} at the end")  # fmt: skip
    question = "The step is too long for where the flow goes. Where does gradient descent go?"
    _output.save_page(gf.lab(found, run=run, paths={"gradient flow": (flow, bent)}, question=question), __file__)


if __name__ == "__main__":
    main()
