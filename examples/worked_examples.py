"""Do the numbers of the textbook's worked examples on quadratics hold?

They do, to twelve digits. Each line that is printed shows the claimed and the computed numbers.
"""

import _output
import jax
import numpy as np
from matplotlib.figure import Figure

import gradientflow as gf

jax.config.update("jax_enable_x64", True)
np.set_printoptions(precision=6, suppress=True)


def check(claim: str, claimed: object, computed: object) -> None:
    """Prints the first four of both, and fails unless all agree."""
    print(f"{claim}: claimed {np.ravel(claimed)[:4]}, computed {np.ravel(computed)[:4]}")
    assert np.allclose(computed, claimed, rtol=1e-12, atol=1e-12)


def descend(curvatures: list[float], x0: list[float], lr: float, steps: int) -> gf.Trajectory:
    """Runs gradient descent on the bowl of these curvatures."""
    return gf.optimizers.gradient_descent(gf.Quadratic(np.diag(curvatures)), lr=lr).iterate(x0, steps=steps)


def main() -> None:
    """Goes through examples 1, 2, 3, 5, 7, 4 and 10."""
    E = gf.Quadratic([[4.0, 1.0], [1.0, 3.0]], [1.0, 2.0], c=5.0)
    check("1: ∇E = Hx − b at (3, 1)", [12, 4], jax.grad(E.value)(np.array([3.0, 1.0])))
    check("1: x* = H⁻¹b", [1 / 11, 7 / 11], E.minimizer)
    check("1: E* = c − ½bᵀH⁻¹b", 5 - 15 / 22, E.minimum)
    check("2: diag(1, 9), two steps of 0.1", [[2.7, 0.1], [2.43, 0.01]], descend([1, 9], [3, 1], 0.1, steps=2).x[1:])
    zigzag = descend([100, 1], [1, 1], 0.019, steps=60).x
    check("3: diag(100, 1), two steps of 0.019", [[-0.9, 0.981], [0.81, 0.962361]], zigzag[1:3])
    runs = {h: descend([4, 16], [1, 1], h, steps=30) for h in np.arange(1, 13) / 100}
    check("5: diag(4, 16), best of the steps 0.01 … 0.12", 0.1, min(runs, key=lambda h: runs[h].energy[-1]))
    check("5: its factor 0.6 a step", 0.6 ** np.arange(31), abs(runs[0.1].x[:, 1]))
    flow = gf.GradientFlow(gf.Quadratic(np.diag([1, 4])))
    check("7: diag(1, 4), x(1)", np.exp([-1, -4]), gf.integrate(flow, [1, 1], 1.0, rtol=1e-13, atol=1e-15).x[-1])

    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for lr, outcome in zip((0.5, 1, 1.5, 2, 2.5), 3 * ["converged"] + ["cycling", "diverged"], strict=True):
        run = descend([1], [1], lr, steps=40)
        assert run.status.outcome == outcome
        check(f"{10 if lr > 2 else 4}: ½x², steps of {lr}, {run.status}", (1 - lr) ** np.arange(41.0), run.x[:, 0])
        left.plot(run.x[:5, 0], "o-", ms=5, label=f"h = {lr}: {outcome}")
    left.set(xlabel="step k", ylabel="$x_k$", xticks=range(5), title="½x²: 2 is the step that oscillates for ever")
    left.legend(loc="upper left")
    right.plot(zigzag[:, 1], zigzag[:, 0], "o-", ms=3, lw=1)
    right.plot(0, 0, "k*", ms=12)
    right.set(xlabel="$x_2$", ylabel="$x_1$", title="½(100x₁² + x₂²), h = 0.019: $x_1$ flips, $x_2$ creeps")
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
