"""What does descent on minibatches look like on the surface, and what does an epoch of it buy?

Two coefficients of a regression on real data. The exact gradient crosses the contours at right angles and falls at
every step. Minibatches zigzag, and after one epoch, which costs one exact gradient, they are at the bottom, where they
go on wandering; a rate that falls as 1/k lets them settle.
"""

import _output
import jax
import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_diabetes

import gradientflow as gf

jax.config.update("jax_enable_x64", True)
BATCH, LR, START = 16, 0.2, [-60.0, 70.0]


def main() -> None:
    """Draws three descents on the contours, and one on the surface."""
    X, y = load_diabetes(return_X_y=True)
    X, y = X[:, [2, 9]] / X[:, [2, 9]].std(axis=0), y - y.mean()  # the body mass index and the blood sugar
    E, key = gf.LinearRegression(X, y, intercept=False), jax.random.key(2)
    epoch = len(X) // BATCH
    batches = {"oracle": gf.Minibatch(BATCH), "key": key}
    steady, slowing = (gf.optimizers.gradient_descent(E, lr) for lr in (LR, lambda k: LR / (1 + k / epoch)))
    runs = {
        "all examples": steady.iterate(START, 10 * epoch),
        f"batches of {BATCH}": steady.iterate(START, 10 * epoch, **batches),
        "batches, rate ∝ 1/k": slowing.iterate(START, 10 * epoch, **batches),
    }
    excess = {name: np.asarray(run.energy) - float(E.minimum) for name, run in runs.items()}
    for name, left in excess.items():
        print(f"{name}: E − E* {left[0]:.0f} → {left[1]:.0f} in a step, {left[epoch]:.1f} in {epoch}, {left[-1]:.2g}")
    exact, noisy, settled = excess.values()
    assert (np.diff(exact[:30]) < 0).all()
    assert noisy[epoch] < exact[1] / 50
    assert settled[-epoch:].mean() < noisy[-epoch:].mean() / 3
    axis = np.linspace(-75, 95, 80)
    surface = np.asarray(jax.vmap(lambda v: jax.vmap(lambda u: E.value(jax.numpy.array([u, v])))(axis))(axis))
    figure = Figure(figsize=(16, 4.2), layout="constrained")
    ax = figure.add_subplot(1, 4, 1, projection="3d", computed_zorder=False)
    ax.plot_surface(*np.meshgrid(axis, axis), surface, cmap="viridis", alpha=0.75, rcount=40, ccount=40)
    path = runs[f"batches of {BATCH}"]
    ax.plot(*np.asarray(path.x).T, np.asarray(path.energy), "k.-", lw=0.8, ms=3)
    ax.set(xlabel="w₁", ylabel="w₂", zlabel="E", title=f"Batches of {BATCH} on the surface")
    ax.view_init(35, 50)
    ax.set_box_aspect(None, zoom=0.85)
    for place, (name, run) in enumerate(runs.items(), 2):
        ax = figure.add_subplot(1, 4, place, aspect="equal")
        ax.contour(axis, axis, surface - float(E.minimum), np.geomspace(20, 2e4, 12), cmap="viridis", linewidths=0.8)
        ax.plot(*np.asarray(run.x).T, "k.-", lw=0.8, ms=3)
        ax.plot(*np.asarray(E.minimizer), "r*", ms=8)
        ax.set(xlabel="w₁", ylabel="w₂", title=name.capitalize())
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
