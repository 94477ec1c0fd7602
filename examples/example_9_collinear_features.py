"""Two features that are nearly the same: how does κ grow, what does a ridge change, and what does stopping early?

With x₂ = x₁ + 0.01ε it is 4·10⁴, where the book says about 10⁴: their sum has twice the curvature of each, their
difference half of ε's. A ridge of ν is added to both; of 0.01 it leaves 220, where the book says about 100. Stopping at
time t multiplies each direction by 1 − e^{−λt}, a ridge by λ/(λ + ν): alike for long t = 1/ν; a short one is better.
"""

import _output
import _table
import jax
import numpy as np
from matplotlib.figure import Figure

import gradientflow as gf

jax.config.update("jax_enable_x64", True)


def main() -> None:
    """Fits nearly collinear features by ridges and by flows that stop, and measures errors on new data."""
    draws = np.random.default_rng(0)
    x = draws.uniform(-(3**0.5), 3**0.5, 200)
    X = np.stack([x, x + 0.01 * draws.normal(size=200)], axis=1) / 200**0.5
    truth, H = np.array([1.0, 1.0]), X.T @ X
    y = X @ truth + 0.5 * draws.normal(size=200) / 200**0.5
    low, high = np.linalg.eigvalsh(H)
    E = gf.LeastSquares(X, y)
    nus = np.geomspace(1e-6, 1, 25)
    ridge = np.array([np.linalg.solve(H + nu * np.eye(2), X.T @ y) for nu in nus])
    flow = gf.integrate(gf.GradientFlow(E), [0.0, 0.0], 1e6, ts=np.concatenate([[0.0], 1 / nus[::-1]]))
    stopped = np.asarray(flow.x)[1:][::-1]
    error = {name: np.einsum("ki,ij,kj->k", w - truth, H, w - truth) for name, w in (("r", ridge), ("s", stopped))}
    weights = {name: np.linalg.norm(w - truth, axis=1) for name, w in (("r", ridge), ("s", stopped))}
    vectors = np.linalg.eigh(H)[1]
    exact = (1 - np.exp(-np.array([low, high]) / nus[:, None])) * (vectors.T @ E.minimizer) @ vectors.T
    axes = (figure := Figure(figsize=(14, 4.4), layout="constrained")).subplots(1, 3)
    axes[0].loglog(nus, (high + nus) / (low + nus))
    axes[0].set(xlabel="ridge ν", title="Condition number")
    for name, label in (("r", "ridge ν"), ("s", "the flow, stopped at t = 1/ν")):
        axes[1].loglog(nus, weights[name], label=label)
        axes[2].loglog(nus, error[name], label=label)
    axes[1].set(xlabel="ν = 1/t", title="Distance of the weights from the truth")
    axes[1].legend()
    axes[2].set(xlabel="ν = 1/t", title="Error of predictions, without the noise")
    ratio = weights["s"] / weights["r"]
    best = {name: float(found.min() / found[0]) for name, found in weights.items()}
    _table.settle(
        ("κ of the features", float(high / low), 3e4 < high / low < 6e4),
        ("a ridge of 0.01 brings it to about 200", float((high + 0.01) / (low + 0.01)), 150 < (high + .01) / .01 < 250),
        ("the flow's path is 1 − e^{−λt} along each", float(np.abs(stopped - exact).max()),
         np.allclose(stopped, exact, atol=1e-5)),
        ("best ridge: weights' error, to that of none", best["r"], best["r"] < 0.5),
        ("best stop, to that of none", best["s"], best["s"] < 0.5),
        ("a stop is never worse than its ridge by more than", float(ratio.max()), ratio.max() < 1.5),
    )  # fmt: skip
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
