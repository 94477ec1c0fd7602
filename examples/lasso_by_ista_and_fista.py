"""Are ISTA and FISTA discretized flows too, and how many steps does the lasso take?

½‖Xw − y‖²/N + α‖w‖₁ on scikit-learn's diabetes data. ISTA is forward–backward of the inclusion ẋ ∈ −∇f(x) − ∂g(x),
FISTA Nesterov's scheme of Nesterov's flow, whose transport feels g. All reach scikit-learn's coefficients, with its
zeros. FISTA leads for 250 steps and arrives later than ISTA: momentum that grows for ever swings. Restarted when it is
led uphill, it needs less than a third of ISTA's steps; Douglas–Rachford, implicit in f too, fewer still.
"""

import _output
import jax
import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Lasso

import gradientflow as gf

jax.config.update("jax_enable_x64", True)
ALPHA, STEPS = 1.0, 600


def main() -> None:
    """Four methods against scikit-learn, and the flow's own way to its zeros."""
    X, y = load_diabetes(return_X_y=True)
    X, y = (X - X.mean(axis=0)) / X.std(axis=0), y - y.mean()
    expected = Lasso(alpha=ALPHA, fit_intercept=False, tol=1e-14, max_iter=10**6).fit(X, y).coef_
    f = gf.LinearRegression(X, y, intercept=False)
    E, eta, optimizers = gf.Composite(f, gf.penalties.L1(ALPHA)), 1 / float(f.curvature.L), gf.optimizers
    methods = {
        "ISTA": optimizers.ista(E, eta), "FISTA": optimizers.fista(E, eta),
        "FISTA, restarted": optimizers.restarted_fista(E, eta), "Douglas–Rachford": optimizers.douglas_rachford(E, 5.0),
    }  # fmt: skip
    (left, right), needed = (figure := Figure(figsize=(11, 4.6), layout="constrained")).subplots(1, 2), {}
    for name, method in methods.items():
        x = np.asarray(method.iterate(np.zeros(10), STEPS).x)
        error = np.abs(x - expected).max(axis=1)
        assert np.array_equal(x[-1] != 0, expected != 0)
        needed[name] = 1 + int(np.flatnonzero(error >= 1e-8)[-1])  # from then on for good
        left.semilogy(np.maximum(error, 1e-14), label=f"{name}: {needed[name]} steps")
    print(f"{np.count_nonzero(expected)} of 10 coefficients; steps to 10⁻⁸:", needed)
    assert 3 * needed["FISTA, restarted"] < needed["ISTA"] < needed["FISTA"] < STEPS
    # The flow itself, by small implicit steps, from the unpenalized solution.
    path = gf.iterate(gf.GradientFlow(E), gf.BackwardEuler(), f.minimizer, step=0.5, steps=400)
    zero = np.asarray(path.x) == 0
    for i, curve in enumerate(np.asarray(path.x).T):
        right.plot(path.t, curve, color="C3" if expected[i] == 0 else "C7", lw=1.3)
    (left_again,) = np.flatnonzero(zero.any(axis=0) & ~zero[-1])
    assert np.array_equal(zero[-1], expected == 0)
    last = path.t[np.argmax(zero.sum(axis=1) == zero[-1].sum())]
    print(f"the flow ends with the same {zero[-1].sum()} zeros, the last reached at t = {last:g}; "
          f"w{left_again} rested at 0 for a time of {zero[:, left_again].sum() / 2:g}")  # fmt: skip
    left.axhline(1e-8, color="k", lw=0.6)
    left.set(xlabel="step k", title="Largest error of a coefficient")
    left.legend(fontsize=9, loc="upper right")
    right.set(xlabel="time t", title="The flow: red ones end at 0; another rests there and leaves")
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
