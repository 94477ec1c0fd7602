"""Do the numbers of the textbook's worked examples on quadratics hold?

They do: minimizer and minimum, the first steps in three bowls, the four regimes of the step size on ½x², the best step
and the flow after unit time. Every line prints the claimed number and the computed one.
"""

import math
from typing import Any

import _output
import jax
import numpy as np
from matplotlib.figure import Figure

import gradientflow as gf

jax.config.update("jax_enable_x64", True)


def check(example: str, claimed: Any, computed: Any) -> None:
    """Prints both and fails unless they agree."""
    claimed, computed = np.asarray(claimed, dtype=float), np.asarray(computed)
    print(f"{example}: claimed {claimed.round(6)}, computed {computed.round(6)}")
    assert np.allclose(computed, claimed, rtol=0, atol=1e-12), example


def descend(curvatures: list[float], x0: list[float], lr: float, steps: int) -> gf.Trajectory:
    """Runs gradient descent on the bowl of these curvatures."""
    return gf.optimizers.gradient_descent(gf.Quadratic(np.diag(curvatures)), lr=lr).iterate(x0, steps=steps)


def main() -> None:
    """Goes through examples 1, 2, 3, 4, 5, 7 and 10."""
    H, b, c = np.array([[4.0, 1.0], [1.0, 3.0]]), np.array([1.0, 2.0]), 5.0
    E = gf.Quadratic(H, b, c)
    same = gf.energy(lambda x: x @ H @ x / 2 - b @ x + c)
    check("1, gradient at (3, 1)", H @ [3.0, 1.0] - b, same.grad(np.array([3.0, 1.0])))
    check("1, x* = H⁻¹b", [1 / 11, 7 / 11], E.minimizer)
    check("1, E* = c − ½bᵀH⁻¹b", 5 - 15 / 22, E.minimum)
    check("2, bowl diag(1, 9), two steps", [[2.7, 0.1], [2.43, 0.01]], descend([1, 9], [3, 1], 0.1, 2).x[1:])
    zigzag = descend([100, 1], [1, 1], 0.019, 60).x
    check("3, bowl diag(100, 1), two steps", [[-0.9, 0.981], [0.81, 0.962361]], zigzag[1:3])
    check("5, bowl diag(4, 16), h = 0.1", 0.6 ** np.arange(30), abs(descend([4, 16], [1, 1], 0.1, 29).x[:, 1]))
    flow = gf.GradientFlow(gf.Quadratic(np.diag([1.0, 4.0])))
    x = gf.integrate(flow, [1.0, 1.0], 1.0, rtol=1e-13, atol=1e-14).x[-1]
    check("7, the flow at t = 1", [math.exp(-1), math.exp(-4)], x)

    figure = Figure(figsize=(11, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for lr, outcome in {0.5: "converged", 1.0: "converged", 1.5: "converged", 2.0: "reached the end", 2.5: "diverged"}.items():
        run = descend([1], [1], lr, 40)
        check(f"{'10' if lr > 2 else '4'}, ½x² with h = {lr}", (1 - lr) ** np.arange(41), run.x[:, 0])
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
