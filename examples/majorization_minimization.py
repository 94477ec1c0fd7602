"""In what sense is a step of 1/L the best that can be promised?

It minimizes the quadratic Q(y) = E(x) + ⟨∇E(x), y − x⟩ + (L/2)‖y − x‖², which touches E at x and lies above it
everywhere: so E falls by ‖∇E‖²/(2L) at least, at every step, convex or not. With L too small Q cuts through E, and the
promise is void. B's argument compares the wrong things: min E ≤ min Q, but not argmin E ≤ argmin Q.
"""

import _output
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_breast_cancer

import gradientflow as gf

jax.config.update("jax_enable_x64", True)


def majorizer(E: gf.Energy, x: jax.Array, L: float, y: jax.Array) -> jax.Array:
    """Q at y, of the quadratic that touches E at x."""
    return E(x) + jnp.vdot(E.grad(x), y - x) + L / 2 * jnp.vdot(y - x, y - x)


def main() -> None:
    """Draws majorizers of a non-convex energy, and checks the promise at every step on it and on real data."""
    E, L = gf.energy(lambda x: x**2 / 20 - jnp.cos(x)), 1.1  # −0.9 ≤ E'' ≤ 1.1
    run = gf.optimizers.gradient_descent(E, 1 / L).iterate(-2.9, steps=30)
    y, x = np.linspace(-4, 4, 801), run.x
    left, right = (figure := Figure(figsize=(11, 4.6), layout="constrained")).subplots(1, 2)
    left.plot(y, jax.vmap(E.value)(y), color="black", label="E(x) = x²/20 − cos x")
    for k in range(30):
        Q = jax.vmap(lambda y, k=k: majorizer(E, x[k], L, y))(y)
        assert np.all(jax.vmap(E.value)(y) - 1e-12 <= Q)
        assert abs(y[np.argmin(Q)] - x[k + 1]) < 0.0051
        if k in (0, 2, 3):
            (line,) = left.plot(y, Q, lw=1, label=f"majorizer at $x_{k}$")
            left.plot([x[k], x[k + 1]], [E(x[k]), Q.min()], "o", ms=5, color=line.get_color())
    assert np.any(jax.vmap(lambda y: majorizer(E, x[2], L / 4, y))(y) < jax.vmap(E.value)(y))
    print(f"argmin E = 0 > argmin Q = {float(x[1]):.3f} at x = −2.9: B's inequality of minimizers is false")
    assert x[1] < 0
    left.set(ylim=(-1.3, 2.2), xlabel="x", title="Each step goes to the lowest point of a parabola above E")
    left.legend(fontsize=9)
    X, labels = load_breast_cancer(return_X_y=True)
    data = gf.LogisticRegression((X - X.mean(0)) / X.std(0), labels, ridge=1e-3)
    for factor, colour in ((0.25, "#D55E00"), (1, "#0072B2")):
        steps = gf.optimizers.gradient_descent(data, 1 / (factor * data.curvature.L)).iterate(np.zeros(31), steps=200)
        squares = jnp.sum(jax.vmap(data.grad)(steps.x) ** 2, axis=1)[:-1]
        fall = (steps.energy[:-1] - steps.energy[1:]) / (squares / (2 * factor * data.curvature.L))
        print(f"logistic regression, step 1/({factor}L): falls by ≥ {float(fall.min()):.3f} of the promise")
        assert (fall.min() >= 1) == (factor == 1)
        right.semilogx(np.arange(1, 201), fall, color=colour, label=f"step 1/({factor:g}L)")
    right.set(xlabel="step k", title="Fall of E over the promised ‖∇E‖²/(2L), on real data")
    right.legend()
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
