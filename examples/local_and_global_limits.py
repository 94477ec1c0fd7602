"""How long may a step be on logistic regression: near the optimum, and from everywhere?

At the optimum gradient descent is stable to 2/λ_max of the Hessian there: more than fifteen times as far as 2/L, up to
which a theorem protects it from everywhere. The local number is a statement about a small neighbourhood, and no safe
choice from afar.
"""

import math

import _output
import jax
import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_breast_cancer

import gradientflow as gf

jax.config.update("jax_enable_x64", True)


def main() -> None:
    """Finds both limits, and runs just below and above each, from near the optimum and from zero."""
    X, y = load_breast_cancer(return_X_y=True)
    E = gf.LogisticRegression((X - X.mean(0)) / X.std(0), y, ridge=1e-3)
    flow, scheme = gf.GradientFlow(E), gf.ForwardEuler()
    optimum = gf.integrate(flow, np.zeros(31), math.inf).x[-1]
    found = gf.stability(flow, scheme, at=optimum)
    print(found)
    assert found.limit > 15 * found.global_limit

    near = optimum + 1e-2 * np.random.default_rng(0).normal(size=31)
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for factor, colour in ((0.9, "#009E73"), (0.99, "#0072B2"), (1.01, "#D55E00")):
        h = factor * found.limit
        for ax, start, steps in ((left, near, 1000), (right, np.zeros(31), 1000)):
            run = gf.iterate(flow, scheme, start, step=h, steps=steps)
            distance = np.linalg.norm(np.asarray(run.x) - np.asarray(optimum), axis=1)
            ax.semilogy(distance, color=colour, label=f"h = {factor} of the local limit, {h:.4g}")
            if ax is left:
                print(f"from nearby, h = {factor} of the local limit: distance {distance[0]:.2g} → {distance[-1]:.2g}")
                assert distance[-1] > 1e-2 if factor > 1 else distance[-1] < 1e-5
    run = gf.iterate(flow, scheme, np.zeros(31), step=found.global_limit, steps=1000)
    distance = np.linalg.norm(np.asarray(run.x) - np.asarray(optimum), axis=1)
    assert (np.diff(distance) < 0).all()
    right.semilogy(distance, color="black", label=f"h = 2/L = {found.global_limit:.4g}: never farther")
    left.set(xlabel="step k", ylabel="distance to the optimum", title="From nearby: the local limit decides")
    right.set(xlabel="step k", title="From zero: only 2/L is safe")
    right.legend()
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
