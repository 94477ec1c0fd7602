"""What do the losses of two fits look like beside their data: a line by least squares, a class by logistic regression?

Least squares has elliptic contours and a minimum in closed form. The logistic loss is convex and no bowl: where the
classes can be told apart it has no minimum, and the flow goes on for ever, ‖w‖ growing as log t, towards the widest
margin. A ridge gives it one.
"""

import _output
import _table
import jax
import numpy as np
from matplotlib.figure import Figure

import gradientflow as gf

jax.config.update("jax_enable_x64", True)


def main() -> None:
    """Draws both, with their descents, and settles what is said about minima."""
    draws = np.random.default_rng(2)
    x = np.linspace(-2, 2, 30)
    A, y = np.stack([np.ones(30), x], axis=1), 0.5 + 0.8 * x + 0.3 * draws.normal(size=30)
    squares = gf.LeastSquares(A / 30**0.5, y / 30**0.5)
    classes = (x > 0.2).astype(float)
    logistic = gf.energy(lambda w: jax.numpy.mean(jax.numpy.logaddexp(0, A @ w) - classes * (A @ w)))
    ridge = gf.energy(lambda w: logistic(w) + 0.01 * w @ w)
    fits = {
        "least squares": (squares, ((-1, 2), (-0.7, 2.3)), gf.optimizers.gradient_descent(squares, lr=0.4)),
        "logistic": (logistic, ((-6, 3), (-1, 11)), gf.optimizers.gradient_descent(logistic, lr=4.0)),
        "logistic with a ridge": (ridge, ((-6, 3), (-1, 11)), gf.optimizers.gradient_descent(ridge, lr=2.0)),
    }
    axes, runs = (figure := Figure(figsize=(14, 8), layout="constrained")).subplots(2, 3), {}
    for (above, below), (name, (E, box, method)) in zip(axes.T, fits.items(), strict=True):
        run = runs[name] = method.iterate([0.0, -0.5] if name == "least squares" else [2.0, 0.0], 400)
        gf.plots.landscape(E, box, paths=[run], ax=above, title=name)
        w, fine = np.asarray(run.x[-1]), np.linspace(-2.2, 2.2, 200)
        line = w[0] + w[1] * fine
        below.plot(x, y if name == "least squares" else classes, "o", ms=4, color="0.4")
        below.plot(fine, line if name == "least squares" else 1 / (1 + np.exp(-line)), color="#D55E00")
        above.set(xlabel="$w_0$", ylabel="$w_1$")
        below.set(xlabel="x", title="the data, and the fit after 400 steps")
    long = gf.integrate(gf.GradientFlow(logistic), [0.0, 0.0], 1e10, ts=[0.0, 1e8, 1e9, 1e10])
    norms, line_fit = np.linalg.norm(long.x, axis=1), runs["least squares"].x[-1]
    growth, bound = np.diff(norms[1:]), -long.x[-1][0] / long.x[-1][1]
    middle = (x[classes > 0].min() + x[classes < 1].max()) / 2
    rest = gf.integrate(gf.GradientFlow(ridge), [0.0, 0.0], np.inf)
    exact = np.linalg.lstsq(A, y, rcond=None)[0]
    _table.settle(
        ("least squares ends at the closed form", float(np.abs(line_fit - exact).max()), np.allclose(line_fit, exact)),
        ("‖w‖ of the separable logistic fit at t = 10¹⁰", float(norms[-1]), norms[-1] > 10),
        ("each tenfold of time adds as much", float(growth[1] / growth[0]), abs(growth[1] / growth[0] - 1) < 0.1),
        ("its boundary tends to the widest margin's", float(bound - middle), abs(bound - middle) < 0.01),
        ("with a ridge the flow comes to rest", str(rest.status), rest.status == "converged"),
    )  # fmt: skip
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
