"""The gradients of W₂ReLU(W₁x), by formula: are they automatic differentiation's, and what do they show?

The gradient in W₁ is an outer product with x: of rank one, for a batch of at most as many as there are. A unit that is
silent on every example has a gradient of zero, and stays dead for ever; the others learn.
"""

import _output
import _table
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import gradientflow as gf

jax.config.update("jax_enable_x64", True)
X = jax.random.uniform(jax.random.key(0), (40, 3), minval=0.1)
Y = jnp.sin(4 * X[:, 0]) + X[:, 1] * X[:, 2]


def loss(p: dict, x: jax.Array, y: jax.Array) -> jax.Array:
    """½ the mean of (W₂ReLU(W₁x) − y)²."""
    return jnp.mean((jax.nn.relu(x @ p["W1"].T) @ p["W2"] - y) ** 2) / 2


def by_formula(p: dict, x: jax.Array, y: jax.Array) -> dict:
    """∂W₂ = r·ReLU(W₁x) and ∂W₁ = (r W₂ ∘ [W₁x > 0]) xᵀ, means over the examples; r is the residual."""
    inward = x @ p["W1"].T
    residual = (jax.nn.relu(inward) @ p["W2"] - y) / len(y)
    return {"W1": (residual[:, None] * p["W2"] * (inward > 0)).T @ x, "W2": residual @ jax.nn.relu(inward)}


def main() -> None:
    """Checks the formulas, counts ranks, and follows a dead unit."""
    W1 = jax.random.normal(jax.random.key(1), (8, 3)).at[0].set(-1.0)
    start = {"W1": W1, "W2": jax.random.normal(jax.random.key(2), (8,)) / 8**0.5}
    exact = jax.grad(loss)(start, X, Y)
    apart = max(float(jnp.abs(leaf - exact[name]).max()) for name, leaf in by_formula(start, X, Y).items())
    ranks = [int(np.linalg.matrix_rank(by_formula(start, X[:n], Y[:n])["W1"])) for n in (1, 2, 3, 40)]
    run = gf.optimizers.gradient_descent(lambda p: loss(p, X, Y), lr=0.3).iterate(start, 2000)
    silent, fall = (X @ W1.T <= 0).all(axis=0), run.energy[-1] / run.energy[0]
    moved = np.linalg.norm(run.x["W1"] - W1, axis=2)
    left, right = (figure := Figure(figsize=(11, 4.4), layout="constrained")).subplots(1, 2)
    right.plot(moved[:, ~silent], color="0.6", lw=1)
    right.plot(moved[:, silent], color="#D55E00", lw=2.5)
    right.set(xlabel="step k", title="How far each unit's weights went; silent ones in orange")
    left.loglog(run.energy)
    _table.settle(
        ("by formula and by differentiation agree", apart, apart < 1e-14),
        ("rank of ∂W₁ of 1, 2, 3 and 40 examples", str(ranks), ranks[0] == 1 and ranks[1] <= 2 and max(ranks) <= 3),
        ("units silent on all examples", int(silent.sum()), bool(silent[0]) and not silent.all()),
        ("they have not moved at all", float(moved[-1][silent].max()), moved[-1][silent].max() == 0),
        ("all others have", float(moved[-1][~silent].min()), moved[-1][~silent].min() > 1e-3),
        ("the loss, to what it was", float(fall), fall < 0.05),
    )  # fmt: skip
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
