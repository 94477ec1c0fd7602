"""Are ADMM and Douglas–Rachford one method, and which step is best?

The lasso on scikit-learn's diabetes data. Both discretize the inclusion ẋ ∈ −∇f(x) − ∂g(x), and ADMM's iterates are
Douglas–Rachford's from z = y + u. What is certified for every f with these curvatures and every convex g,
max(1/(1 + hμ), hL/(1 + hL)) a step, is least at h = 1/√(μL), and no step here is slower, whatever h.
"""

import _output
import _table
import jax
import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_diabetes

import gradientflow as gf

jax.config.update("jax_enable_x64", True)
ALPHA, STEPS = 1.0, 1000


def main() -> None:
    """Their points, and how fast each step length goes."""
    X, y = load_diabetes(return_X_y=True)
    f = gf.LinearRegression((X - X.mean(axis=0)) / X.std(axis=0), y - y.mean(), intercept=False)
    E, mu, L = gf.Composite(f, gf.penalties.L1(ALPHA)), float(f.curvature.mu), float(f.curvature.L)
    best, start = (mu * L) ** -0.5, np.zeros(10)
    admm = gf.optimizers.admm(E, best).iterate(start, 50).x[1:]
    ends = (same := gf.optimizers.douglas_rachford(E, best).iterate(f.prox(start, best), STEPS).x)[-1]

    def certified(h: float) -> float:
        return gf.worst_case_rate(gf.optimizers.douglas_rachford(E, h), mu * (1 - 1e-9), L * (1 + 1e-9)).rate

    figure = Figure(figsize=(11, 4.4), layout="constrained")
    (left, right), lengths, measured = figure.subplots(1, 2), best * np.geomspace(0.02, 50, 9), []
    for h in lengths:
        z = np.asarray(gf.optimizers.douglas_rachford(E, h).iterate(start, STEPS).state)
        away = np.linalg.norm(z - (ends - h * f.grad(ends)), axis=1)
        away = away[away > 1e-9 * away[0]]  # the rest is rounding
        measured.append(float((away[1:] / away[:-1]).max()))
        if h in lengths[2:7:2]:
            left.semilogy(away, label=f"h = {h / best:.2g}/√(μL)")
            left.semilogy(away[0] * certified(h) ** np.arange(len(away)), "k:", lw=0.8)
    proved, formula = [certified(h) for h in lengths], np.maximum(1 / (1 + lengths * mu), 1 - 1 / (1 + lengths * L))
    _table.settle(
        ("ADMM's points are Douglas–Rachford's", gap := float(np.abs(admm - same[:50]).max()), gap < 1e-9),
        ("certified: max(1/(1+hμ), hL/(1+hL))", off := float(np.abs(np.subtract(proved, formula)).max()), off < 1e-7),
        ("no step of any run is slower", slack := float(np.subtract(proved, measured).min()), slack > -1e-9),
        ("the best certified step is 1/√(μL)", int(np.argmin(proved)), np.argmin(proved) == 4),
    )
    left.set(xlabel="step k", title="Distance of the state from rest; dotted: certified")
    left.set(xlim=(0, 600), ylim=(1e-7, 1e3))
    right.semilogx(lengths / best, proved, "k-", label="certified for all f and g of the class")
    right.semilogx(lengths / best, measured, "o", color="C3", label="slowest step of this run")
    right.set(xlabel="h √(μL)", title="Contraction in one step")
    _ = left.legend(fontsize=9), right.legend(fontsize=9, loc="lower left")
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
