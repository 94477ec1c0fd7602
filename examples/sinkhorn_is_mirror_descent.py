"""What does Sinkhorn's algorithm descend, and how fast?

Rows and columns of a coupling are scaled in turn until both marginals fit: alternating projections by the divergence
KL. Two of them are one step of mirror descent with the entropy, of length 1, on the KL of the first marginal; so that
is at most KL(π*, π₀)/k after k steps.
"""

import _output
import _table
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure
from scipy.special import rel_entr

import gradientflow as gf

jax.config.update("jax_enable_x64", True)
N, EPS, STEPS = 40, 0.01, 60
X = np.linspace(0, 1, N)


def main() -> None:
    """Both algorithms, and the flow, for the transport of two bumps to an even crowd."""
    a = np.exp(-((X - 0.2) ** 2) / 0.01) + 0.6 * np.exp(-((X - 0.75) ** 2) / 0.004)
    a, b = a / a.sum() * 0.999 + 0.001 / N, np.full(N, 1 / N)
    halfway, couplings = [], [np.exp(-((X[:, None] - X[None]) ** 2) / EPS)]
    couplings[0] *= b / couplings[0].sum(axis=0)
    for _ in range(20 * STEPS):
        halfway.append(couplings[-1] * (a / couplings[-1].sum(axis=1))[:, None])
        couplings.append(halfway[-1] * (b / halfway[-1].sum(axis=0)))
    # A column a row: each is a simplex, and weighs 1/N.
    misfit = gf.energy(lambda columns: jnp.sum(jnp.sum(columns, axis=0) * jnp.log(jnp.mean(columns, axis=0) / a)))
    best, start = couplings[-1], couplings[0].T * N
    run = gf.optimizers.mirror_descent(misfit, lr=1.0, potential=gf.potentials.Entropy()).iterate(start, STEPS)
    path = gf.integrate(gf.MirrorFlow(misfit, gf.potentials.Entropy()), start, float(STEPS))
    found, bound = np.asarray(run.energy) / N, rel_entr(best, couplings[0]).sum() / np.arange(1, STEPS + 1)
    apart = max(float(abs(np.asarray(x).T / N - c).max()) for x, c in zip(run.x, couplings, strict=False))
    far, rest, near = (
        rel_entr(*pair).sum() for pair in ((best, couplings[3]), (best, halfway[3]), (halfway[3], couplings[3]))
    )
    _table.settle(
        ("Sinkhorn − mirror descent, 60 steps", apart, apart < 1e-12),
        ("a half step projects: Pythagoras holds to", e := float(abs(far - rest - near)), e < 1e-9),
        ("largest misfit / (KL(π*, π₀)/k)", r := float((found[1:] / bound).max()), r < 1),
        ("the misfit never rises", r := float(np.diff(found).max()), r < 0),
    )
    axes = (figure := Figure(figsize=(12, 4), layout="constrained")).subplots(1, 3)
    for ax, coupling, words in zip(axes, (couplings[1], best), ("after a step", "in the end"), strict=False):
        ax.imshow(coupling, cmap="magma_r", origin="lower", extent=(0, 1, 0, 1))
        ax.set(title=f"The coupling {words}", xlabel="to", ylabel="from")
    axes[2].semilogy(path.t, np.asarray(path.energy) / N, "k", lw=2.5, label="mirror flow")
    axes[2].semilogy(run.t, found, "o", color="#0072B2", ms=3, label="Sinkhorn, and mirror descent")
    axes[2].semilogy(run.t[1:], bound, "--", color="#D55E00", label="KL(π*, π₀)/k")
    _ = axes[2].set(xlabel="steps k, time t", title="KL(first marginal, a)"), axes[2].legend(fontsize=8)
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
