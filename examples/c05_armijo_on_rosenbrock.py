"""What does backtracking (Armijo, c = ½, halving from 1) cost on Rosenbrock's valley, and is a longer step better?

Some 1500 and 3100 steps from (0, 0.5) and (2, 2), of nine to ten evaluations each: an order of magnitude more than the
textbook prints. Its third start, (−1, 1), is a stroke of luck: the step ½ lands on the minimum. And asking for less
decrease, hence accepting longer steps, takes up to ten times as many: where E is quadratic c = ½ never passes the
lowest point of its line, so that the steep direction calms down, and now and then a step of ½ runs along the valley.
"""

import _output
import jax
import numpy as np
from matplotlib.figure import Figure

import gradientflow as gf

jax.config.update("jax_enable_x64", True)
COLOURS = {0.5: "#0072B2", 0.1: "#D55E00", 1e-4: "#009E73"}


def main() -> None:
    """Counts steps and evaluations until ‖∇E‖ < 10⁻⁶, for three starts and three c."""
    E = gf.landscapes.rosenbrock()
    figure = Figure(figsize=(11, 4.8), layout="constrained")
    plane, right = figure.subplots(1, 2)
    x1, x2 = np.meshgrid(np.linspace(-1.5, 2.5, 200), np.linspace(-0.6, 4.6, 200))
    surface = (1 - x1) ** 2 + 100 * (x2 - x1**2) ** 2
    plane.contour(x1, x2, surface, np.geomspace(0.1, 3000, 12), colors="0.85", linewidths=0.8)
    needed, values, gradient = {}, jax.jit(jax.vmap(E.value)), jax.jit(jax.vmap(E.grad))
    for start in ((-1.0, 1.0), (0.0, 0.5), (2.0, 2.0)):
        for c, colour in COLOURS.items():
            run = gf.optimizers.gradient_descent(E, gf.ArmijoSearch(decrease=c)).iterate(start, steps=20_000)
            gradients = gradient(run.x)
            n = needed[start, c] = int(np.argmax(np.linalg.norm(gradients, axis=1) < 1e-6))
            h, squares = np.diff(run.t), np.sum(np.asarray(gradients) ** 2, axis=1)[:-1]
            # The step meets Armijo's condition, and twice the step does not.
            for factor in (1, 2):
                after = np.asarray(values(run.x[:-1] - factor * h[:, None] * gradients[:-1]))
                enough = after <= run.energy[:-1] * (1 + 1e-15) - c * factor * h * squares
                assert np.all(enough[:n][h[:n] < 1.0] == (factor == 1))
            h = h[:n]
            trials = np.cumsum(1 - np.log2(h))  # a step of 2⁻ʲ is the (j + 1)st that is tried
            print(f"from {start}, c = {c:g}: {n} steps, {trials[-1]:.0f} evaluations, h {h.min():.5f} to {h.max():g}")
            if start == (2.0, 2.0):
                right.loglog(trials, run.energy[1 : n + 1], color=colour, label=f"c = {c:g}: {n} steps")
            if c == 0.5:
                label = f"from {start}: {n} step{'s' if n > 1 else ''}"
                plane.plot(*run.x[: n + 1].T, ".-", ms=4, lw=0.8, label=label)
    assert [needed[start, 0.5] for start in ((-1.0, 1.0), (0.0, 0.5))] == [1, 1499]
    assert 3000 < needed[(2.0, 2.0), 0.5] < needed[(2.0, 2.0), 0.1] / 4 < needed[(2.0, 2.0), 1e-4] / 4
    assert needed[(0.0, 0.5), 0.1] > 9 * needed[(0.0, 0.5), 0.5]
    plane.set(xlabel="x", ylabel="y", title="c = ½: every step shrinks to fit the valley's walls")
    plane.legend(loc="upper left")
    right.set(xlabel="evaluations of E", ylabel="E − E*", title="From (2, 2): asking for more decrease is cheaper")
    right.legend(loc="lower left")
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
