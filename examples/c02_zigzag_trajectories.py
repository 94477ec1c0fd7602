"""When does gradient descent zigzag down the valley of ½(100x₁² + x₂²)?

Only with steps beyond 1/L = 1/100: each one crosses the valley, because 1 − 100h is negative. Shorter steps never cross
it; they creep. The zigzag alone is no fault: the best step, 2/(μ + L), crosses every time and is twice as fast as 1/L.
A step close to 2/L is slow because its zigzag hardly shrinks.
"""

import _output
import jax
import numpy as np
from matplotlib.figure import Figure

import gradientflow as gf

jax.config.update("jax_enable_x64", True)

CURVATURES = np.array([100.0, 1.0])
STEP_SIZES = {"0.5/L": 0.5 / 100, "1/L": 1 / 100, "1.9/L": 1.9 / 100, "2/(μ + L)": 2 / 101, "1.999/L": 1.999 / 100}
STARTS = np.array([[0.8, -9.5], [-0.5, -3.8], [0.4, 3.8], [-1.0, 9.5]])
STEPS, SHOWN = 10_000, 40


def main() -> None:
    """Draws four trajectories a step size; counts crossings of the valley and steps to a thousandth of the distance."""
    E = gf.Quadratic(np.diag(CURVATURES))
    x1, x2 = np.meshgrid(np.linspace(-1.3, 1.3, 60), np.linspace(-10.5, 10.5, 300))
    values = (100 * x1**2 + x2**2) / 2
    slowest = {}
    figure = Figure(figsize=(11, 9), layout="constrained")
    for ax, (label, h) in zip(figure.subplots(len(STEP_SIZES), 1, sharex=True), STEP_SIZES.items(), strict=True):
        ax.contour(x2, x1, values, levels=np.geomspace(0.5, 150, 8), colors="0.85", linewidths=0.8)
        crossings, needed = set(), []
        for start in STARTS:
            x = np.asarray(gf.optimizers.gradient_descent(E, lr=h).iterate(start, steps=STEPS).x)
            first = x[: SHOWN + 1]
            exact = (1 - h * CURVATURES) ** np.arange(SHOWN + 1)[:, None] * start
            assert np.allclose(first, exact, rtol=0, atol=1e-12)
            across = first[:, 0].round(12)
            crossings.add(int(np.sum(across[1:] * across[:-1] < 0)))
            needed.append(int(np.argmax(np.linalg.norm(x, axis=1) <= 1e-3 * np.linalg.norm(start))))
            ax.plot(first[:, 1], first[:, 0], "o-", ms=2.5, lw=0.9)
        assert min(needed) > 0
        assert crossings == ({SHOWN} if h > 1 / 100 else {0})
        slowest[label] = max(needed)
        finding = f"{crossings.pop()} crossings in {SHOWN} steps; distance ×0.001 after {slowest[label]} steps"
        print(f"h = {label:9}: {finding}")
        ax.set_title(f"h = {label}: {finding}", fontsize=11)
        ax.set(aspect="equal", ylabel="$x_1$", yticks=[-1, 0, 1])
    ax.set_xlabel("$x_2$, along the valley")
    assert min(slowest, key=slowest.get) == "2/(μ + L)"
    assert abs(slowest["1/L"] / slowest["2/(μ + L)"] - 2) < 0.02
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
