"""What does Muon do that gradient descent does not, and how long may its steps be?

A linear layer between two others, E(W) = ½‖AWB − C‖², has curvatures σᵢ(A)²σⱼ(B)²: here from 1 to 10⁻⁶. The gradient
flow leaves the flat directions for a million times as long as it takes for the steep ones; steepest descent in the
spectral norm moves them all at speed one and is there in a time as long as the way. The price is its step: its greatest
curvature is the sum over all directions that move together, Σ σᵢ(A)²σᵢ(B)², and 2 over it is exact.
"""

import _output
import _table
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import gradientflow as gf

jax.config.update("jax_enable_x64", True)
A, B = np.diag([1.0, 0.5, 0.1, 0.03]), np.diag([1.0, 0.6, 0.2, 0.033])


def main() -> None:
    """The singular values of the error along both flows, and energies below and above the limit."""
    bases = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 4, 4)))[0]
    a, b, target = bases[:3] @ np.stack([A, B, np.diag([4.0, 3.0, 2.0, 1.0])]) @ bases[3:]
    E = gf.MatrixLeastSquares(a, b, a @ target @ b)
    flows = {
        "gradient flow": gf.GradientFlow(E),
        "steepest in the spectral norm": gf.SteepestDescentFlow(E, gf.norms.Spectral(), smoothing=1e-9),
    }
    axes = (figure := Figure(figsize=(13, 4.2), layout="constrained")).subplots(1, 3)
    left, ends = {}, {}
    for ax, (name, flow) in zip(axes, flows.items(), strict=False):
        path = gf.integrate(flow, jnp.zeros((4, 4)), 8.0, ts=np.linspace(0.0, 8.0, 161))
        left[name] = np.linalg.svd(np.asarray(path.x) - target, compute_uv=False)
        ax.plot(path.t, left[name])
        ax.set(xlabel="time t", ylabel="singular values of W − W*", title=name, ylim=(0, 4.5))
    found = gf.smoothness(E, gf.norms.Spectral())
    speedy = gf.SteepestDescentFlow(E, gf.norms.Spectral(), q=2, smoothing=0.0)
    for share in (0.98, 1.02):
        run = gf.Method(speedy, gf.ForwardEuler(), share * found.step_limit).iterate(found.direction + E.minimizer, 60)
        ends[share] = float(run.energy[-1] / run.energy[0])
        axes[2].semilogy(run.energy, label=f"h = {share:g} · 2/L")
    axes[2].set(xlabel="step k", ylabel="E", title=f"forward Euler, L = Σσᵢ(A)²σᵢ(B)² = {found.value:.4g}")
    axes[2].legend()
    gradient, spectral = (values[-1].max() for values in left.values())
    _table.settle(
        ("largest singular value left by the gradient flow", gradient, gradient > 2),
        ("by steepest descent in the spectral norm", spectral, spectral < 1e-3),
        ("L, the sum over pairs of singular values", found.value, np.isclose(found.value, np.sum((A @ B) ** 2))),
        ("E after 60 steps of 0.98 · 2/L, of its start", ends[0.98], ends[0.98] < 0.02),
        ("of 1.02 · 2/L", ends[1.02], ends[1.02] > 50),
    )
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
