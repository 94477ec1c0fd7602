"""Do the textbook's worked examples on a saddle and on local smoothness hold?

The numbers do: from (0.1, 0.1) on x² − y², steps of 0.4 lead to (0.02, 0.18) and (0.004, 0.324), and ‖g‖² = 16,
gᵀHg = 40 give the bound 0.8. What is said of them doesn't. The bound is on one step's energy, not on stability: there
is a quadratic with these numbers on which steps of 0.6 lower E once, and then diverge, for 2/L is 0.2. And Newton's
step at the saddle doesn't diverge: it jumps onto it.
"""

import _output
import jax
import numpy as np
from matplotlib.figure import Figure

import gradientflow as gf

jax.config.update("jax_enable_x64", True)


def main() -> None:
    """Goes through example 6 on the saddle, example 8 on x² and x⁴, and the bound on a step."""
    saddle = gf.landscapes.saddle()
    run = gf.optimizers.gradient_descent(saddle, 0.4).iterate([0.1, 0.1], steps=12)
    print("6: x² − y², two steps of 0.4:", run.x[1:3].round(12).tolist())
    assert np.allclose(run.x[1:3], [[0.02, 0.18], [0.004, 0.324]], rtol=0, atol=1e-15)
    assert np.allclose(run.x, 0.1 * np.array([0.2, 1.8]) ** np.arange(13)[:, None], rtol=1e-12)
    newton = gf.iterate(gf.NewtonFlow(saddle), gf.ForwardEuler(), [0.1, 0.1], step=1.0, steps=1)
    print("6: one Newton step:", newton.x[1].tolist(), "the saddle itself")
    assert np.allclose(newton.x[1], 0, atol=1e-15)

    x = np.linspace(-3.0, 3.0, 2001)
    for power, claimed in ((2, 2.0), (4, 12 * 3.0**2)):
        E = gf.energy(lambda x, power=power: x**power)
        slopes = np.abs(np.diff(jax.vmap(E.grad)(x)) / np.diff(x))
        print(f"8: x^{power} on [−3, 3]: largest ‖Δg‖/‖Δx‖ = {slopes.max():.4f}, claimed L = {claimed:g}")
        assert 0.998 * claimed < slopes.max() <= claimed * (1 + 1e-9)

    # Curvatures 1 and 10; g² = (40/3, 8/3) has ‖g‖² = 16 and gᵀHg = 40.
    curvatures, g = np.array([1.0, 10.0]), np.sqrt([40 / 3, 8 / 3])
    bound = 2 * (g @ g) / (g @ (curvatures * g))
    E = gf.Quadratic(np.diag(curvatures))
    unsafe = gf.optimizers.gradient_descent(E, 0.6).iterate(g / curvatures, steps=8)
    at_bound = gf.optimizers.gradient_descent(E, bound).iterate(g / curvatures, steps=1).energy
    limit = gf.stability(gf.GradientFlow(E), gf.ForwardEuler()).limit
    print(f"the bound is {bound:.12g}; at it E stays at {float(at_bound[1]):.6g}; stable only to {limit:g}")
    print("steps of 0.6: E =", np.asarray(unsafe.energy[:4]).round(3).tolist(), "…", str(unsafe.status.outcome))
    assert max(abs(bound - 0.8), abs(at_bound[1] - at_bound[0])) < 1e-12
    assert unsafe.energy[1] < unsafe.energy[0] < unsafe.energy[2]
    assert unsafe.status == "diverged"
    left, right = (figure := Figure(figsize=(11, 4.6), layout="constrained")).subplots(1, 2)
    x1, x2 = np.meshgrid(np.linspace(-0.2, 0.2, 100), np.linspace(-0.1, 1.2, 100))
    left.contour(x1, x2, x1**2 - x2**2, 20, colors="0.85", linewidths=0.8)
    left.plot(*run.x[:5].T, "o-")
    left.set(xlabel="x", ylabel="y", title="x² − y²: ×0.2 along x, ×1.8 along y, each step")
    right.semilogy(unsafe.energy, "o-")
    right.set(xlabel="step k", ylabel="E", title="0.6 < 0.8, “locally safe”: E falls once, then diverges")
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
