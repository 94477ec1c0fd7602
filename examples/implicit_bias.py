"""Which of all solutions does a flow choose, where there are many? Least squares with more unknowns than equations.

From 0 the gradient flow ends at the solution of least norm, for it never leaves the range of Mᵀ. The mirror flow of the
entropy ends at the positive one that is nearest to its start by Kullback and Leibler's divergence, from a small start a
sparse one; and gradient descent with momentum chooses as the gradient flow does.
"""

import _output
import _table
import jax
import numpy as np
from matplotlib.figure import Figure

import gradientflow as gf

jax.config.update("jax_enable_x64", True)


def main() -> None:
    """Follows three to rest from small starts, and compares where they end."""
    draws = np.random.default_rng(0)
    M = draws.normal(size=(8, 20)) / 8**0.5
    truth = np.zeros(20)
    truth[[2, 9, 14]] = 1.0, 2.0, 0.5
    y = M @ truth
    E = gf.LeastSquares(M, y)
    flow = gf.integrate(gf.GradientFlow(E), np.zeros(20), np.inf).x[-1]
    heavy = gf.optimizers.momentum(E, lr=0.1, beta=0.9).iterate(np.zeros(20), 2000).x[-1]
    starts = (1.0, 1e-2, 1e-4)
    mirror = {a: gf.integrate(gf.MirrorFlow(E, gf.potentials.PositiveEntropy()), np.full(20, a), 4000.0).x[-1]
              for a in starts}  # fmt: skip
    least = np.linalg.pinv(M) @ y
    kernel = np.linalg.svd(M)[2][8:]
    left, right = (figure := Figure(figsize=(12, 4.4), layout="constrained")).subplots(1, 2)
    drawn = {f"from {a:g}": x for a, x in mirror.items()}
    for ax, title, found in ((left, "gradient flow: least norm", {"from 0": flow}), (right, "mirror flow", drawn)):
        ax.bar(range(20), truth, color="0.85", label="the sparse one that made y")
        for i, (name, x) in enumerate(found.items()):
            ax.plot(x, "os^"[i], color=f"C{i}", ms=5, label=name)
        ax.set(xlabel="coordinate", title=title)
        ax.legend()
    # Of the divergence's stationarity in the solutions: log(x/a) is in the range of Mᵀ.
    off = max(float(np.abs(kernel @ np.log(x / a)).max()) for a, x in mirror.items())
    away = np.abs(least - truth).max()
    gaps = {a: float(np.abs(x - truth).max()) for a, x in mirror.items()}
    _table.settle(
        ("the gradient flow takes the least norm", float(np.ptp(flow - least)), np.allclose(flow, least, atol=1e-4)),
        ("momentum there too", float(np.abs(heavy - least).max()), np.allclose(heavy, least, atol=1e-6)),
        ("mirror: Mx = y", float(max(np.abs(M @ x - y).max() for x in mirror.values())),
         all(np.allclose(M @ x, y, atol=1e-3) for x in mirror.values())),
        ("log(x/start) is in the range of Mᵀ", off, off < 1e-3),
        ("least norm's distance from the sparse one", float(away), away > 0.3),
        ("mirror's from 1e-4", gaps[1e-4], gaps[1e-4] < 0.05 and gaps[1e-4] < gaps[1e-2] < gaps[1.0]),
    )  # fmt: skip
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
