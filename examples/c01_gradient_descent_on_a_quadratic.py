"""How fast is gradient descent on a quadratic of condition number 100, and which step is best?

The best step is 2/(μ + L). With it every step multiplies the distance to the minimizer by at most
(κ − 1)/(κ + 1) = 99/101, and after some hundred steps by just that. The safer step 1/L needs about twice as many steps.
"""

import _output
import jax
import numpy as np
from matplotlib.figure import Figure

import gradientflow as gf

jax.config.update("jax_enable_x64", True)
STEPS = 1000


def main() -> None:
    """Measures the rate of convergence for several steps and compares it with the closed form."""
    rng = np.random.default_rng(0)
    modes, lam = np.linalg.qr(rng.normal(size=(20, 20)))[0], np.geomspace(1.0, 100.0, 20)
    H = modes @ np.diag(lam) @ modes.T
    E = gf.Quadratic((H + H.T) / 2, rng.normal(size=20))
    mu, L = (float(bound) for bound in E.curvature)
    kappa, best, rho = L / mu, 2 / (mu + L), (L - mu) / (L + mu)
    x0 = E.minimizer + modes.sum(axis=1)  # the same distance along every mode

    def distances(lr: float) -> np.ndarray:
        run = gf.optimizers.gradient_descent(E, lr=lr).iterate(x0, steps=STEPS)
        return np.linalg.norm(run.x - E.minimizer, axis=1)

    def rate(distance: np.ndarray) -> float:
        return (distance[-1] / distance[-101]) ** (1 / 100)

    k, distance = np.arange(STEPS + 1), distances(best)
    assert np.allclose(distance, np.linalg.norm((1 - best * lam) ** k[:, None], axis=1), rtol=0, atol=1e-12)
    assert np.all(distance <= rho**k * distance[0])
    assert abs(rate(distance) - rho) < 1e-6
    print(f"κ = {kappa:.6f}, best step {best:.6f}: factor a step {rate(distance):.7f}, (κ − 1)/(κ + 1) = {rho:.7f}")

    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    h = np.linspace(0.4, 2.0, 801) / L
    right.plot(h * L, np.maximum(abs(1 - h * mu), abs(1 - h * L)), color="0.6", label="max |1 − hλ| (theory)", zorder=0)
    for label, lr in {"0.5/L": 0.5 / L, "1/L": 1 / L, "2/(μ + L)": best, "1.998/L": 1.998 / L}.items():
        distance = distances(lr)
        print(f"step {label:9}: ‖x − x*‖ falls to {distance[-1] / distance[0]:.1e} of its start in {STEPS} steps")
        left.semilogy(k, distance, label=f"h = {label}")
        right.plot(lr * L, rate(distance), "o", ms=8, label=f"h = {label}, measured")
    left.semilogy(k, rho**k * distance[0], "k--", lw=1, label=r"$\rho^k\,\|x_0 - x^*\|$, ρ = (κ − 1)/(κ + 1)")
    left.set(xlabel="step k", ylabel=r"$\|x_k - x^*\|$", title="κ = 100: in the long run a constant factor a step")
    right.set(xlabel="step times L", ylabel="factor a step", title="2/(μ + L) is best; 2/L, just beyond, is the end")
    for ax in (left, right):
        ax.legend(loc="lower left")
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
