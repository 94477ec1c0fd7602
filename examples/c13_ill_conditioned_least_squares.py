"""What does a condition number κ(M) = 1000 cost in least squares, in steps and in digits?

Gradient descent takes κ² steps to divide the error by e², and stalls at an error that grows as κ², just as that of the
normal equations does: at κ = 1000 their answers have 11 digits right. That of a factorization of M has 14.
"""

import _output
import jax
import numpy as np
from matplotlib.figure import Figure

import gradientflow as gf

jax.config.update("jax_enable_x64", True)


def problem(kappa: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Makes M, x* and v = Mx* without a rounding error, so that x* is the exact solution."""
    rng = np.random.default_rng(seed)
    U, V = np.linalg.qr(rng.normal(size=(12, 6)))[0], np.linalg.qr(rng.normal(size=(6, 6)))[0]
    M = np.round(U @ np.diag(np.geomspace(1, 1 / kappa, 6)) @ V * 2**40) / 2**40  # leaves 13 bits for the products
    x = rng.integers(-8, 9, size=6).astype(float)
    return M, x, M @ x


def main() -> None:
    """Measures gradient descent and two direct solutions against the exact one."""
    figure = Figure(figsize=(11, 5), layout="constrained")
    left, right = figure.subplots(1, 2)
    for kappa in (30, 100, 300, 1000):
        M, exact, v = problem(kappa)
        method = gf.optimizers.gradient_descent(gf.LeastSquares(M, v), lr=2 / (1 + kappa**-2))
        run = method.iterate(np.zeros(6), steps=18 * kappa**2, save_every=kappa**2 // 10)
        errors = np.linalg.norm(run.x - exact, axis=1) / np.linalg.norm(exact)
        slow = (run.x - exact) @ np.linalg.svd(M)[2][-1]
        assert abs(slow[10] / slow[0] / (1 - 2 / (kappa**2 + 1)) ** kappa**2 - 1) < 1e-6
        assert 0.005 < errors[-1] / (np.finfo(float).eps * kappa**2) < 0.5
        print(f"κ = {kappa}: κ² steps divide the error by {slow[0] / slow[10]:.3f}; it stalls at {errors[-1]:.1e}")
        left.semilogy(run.steps / kappa**2, errors)
        right.loglog(kappa, errors[-1], "s", ms=9, label=f"gradient descent, κ = {kappa}")
    kappas = 10.0 ** np.arange(1, 8)
    tries = [[problem(kappa, seed) for seed in range(30)] for kappa in kappas]
    for label, power, colour, solve in (
        ("normal equations", 2, "black", lambda M, v: np.linalg.solve(M.T @ M, M.T @ v)),
        ("factorization of M", 1, "0.6", lambda M, v: np.linalg.lstsq(M, v)[0]),
    ):
        errors = [np.median([np.linalg.norm(solve(M, v) - x) / np.linalg.norm(x) for M, x, v in row]) for row in tries]
        slope = np.polyfit(np.log(kappas[1:]), np.log(errors[1:]), 1)[0]
        assert abs(slope - power) < 0.25
        print(f"{label}: error {errors[2]:.1e} at κ = 1000, growing as κ^{slope:.2f}")
        right.loglog(kappas, errors, "o-", color=colour, label=f"{label}: κ^{slope:.2f}")
    left.set(xlabel="steps / κ(M)²", ylabel="relative error", title="κ² steps divide the error by e², down to a floor")
    right.set(xlabel="κ(M)", ylabel="relative error", title="The error grows as κ², unless M itself is factorized")
    right.legend(loc="upper left")
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
