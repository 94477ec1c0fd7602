"""How closely does gradient descent follow the gradient flow that it discretizes?

The shorter the step, the closer: the largest distance from the flow at equal times is proportional to the step h.
With a long step, though still stable, the iterates zigzag about a path that the flow follows without turning back.
"""

import _output
import jax
import numpy as np
from matplotlib.figure import Figure

import gradientflow as gf

jax.config.update("jax_enable_x64", True)

CURVATURES, X0, T1 = np.array([1.0, 9.0]), np.array([3.0, 1.0]), 4.0


def main() -> None:
    """Integrates the flow, iterates gradient descent with ever shorter steps, and measures the distance."""
    E = gf.Quadratic(np.diag(CURVATURES))
    hs = 0.2 / 4.0 ** np.arange(5)
    runs = [gf.optimizers.gradient_descent(E, lr=h).iterate(X0, steps=round(T1 / h)) for h in hs]
    # The times of the shortest step, among which are those of all longer ones.
    path = gf.integrate(gf.GradientFlow(E), X0, T1, ts=runs[-1].t)
    gaps = [run.x - path.x[:: round(h / hs[-1])] for run, h in zip(runs, hs, strict=True)]
    errors = np.array([np.linalg.norm(gap, axis=1).max() for gap in gaps])

    decay = np.exp(-np.outer(path.t, CURVATURES))
    assert np.allclose(path.x, X0 * decay, rtol=0, atol=1e-12)
    print(f"flow by {path.stats['solver']}: error {abs(path.x - X0 * decay).max():.1e}")
    # To first order in h a mode is off by (h/2)·t·λ²·e^{−λt}·x₀.
    slope = np.linalg.norm(path.t[:, None] / 2 * CURVATURES**2 * decay * X0, axis=1).max()
    for h, error in zip(hs, errors, strict=True):
        print(f"h = {h:.5f}: largest distance from the flow {error:.5f} = {error / h:.3f} h")
    print(f"the error's first term: {slope:.3f} h")
    assert abs(errors[-1] / (slope * hs[-1]) - 1) < 0.01
    assert abs(errors[-2] / errors[-1] - 4) < 0.05

    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[3, 2])
    x1, x2 = np.meshgrid(np.linspace(-0.2, 3.2, 200), np.linspace(-1.0, 1.2, 200))
    left.contour(x1, x2, (x1**2 + 9 * x2**2) / 2, levels=np.geomspace(0.05, 12, 12), colors="0.85", linewidths=0.8)
    for i, colour in enumerate(("tab:orange", "tab:green", "tab:blue")):
        left.plot(*runs[i].x.T, "o-", color=colour, ms=3, lw=1, label=f"gradient descent, h = {hs[i]:.3g}")
        right.plot(hs[i], errors[i], "o", color=colour, ms=10)
    left.plot(*path.x.T, color="black", lw=2.5, label="gradient flow", zorder=1.9)
    left.set(aspect="equal", xlabel="$x_1$", ylabel="$x_2$", title="Short steps stay with the flow; long ones zigzag")
    left.legend(loc="upper left")
    right.loglog(hs, slope * hs, "k--", lw=1, label=f"{slope:.2f} h (theory)")
    right.loglog(hs, errors, "o-", ms=4, color="0.4", label="measured")
    right.set(xlabel="step h", ylabel="largest distance from the flow", title="For short steps the error is ∝ h")
    right.legend()
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
