"""Do exploding gradients ruin a recurrent network, and does clipping them help?

They explode where recurrent weights are large: from sequences of 10 to those of 40 the median gradient grows fivefold
at radius 2, and stays the same at ½ and 1. Of twelve networks of radius 2 three to six are lost and at most one learns:
that hangs on rounding errors. Clipped to norm 1 none is lost and seven or more learn; gradients still reach hundreds.
"""

import _output
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from _recurrent_network import Network, recall
from matplotlib.figure import Figure

import gradientflow as gf

KEYS, LENGTHS, RADII = jax.random.split(jax.random.key(2), 50), (10, 20, 40), (0.5, 1.0, 2.0)


@eqx.filter_jit
def median_norm(networks: Network, length: int) -> jax.Array:
    """The median of ‖∇E‖ over many networks."""
    gradients = jax.vmap(jax.grad(lambda network: recall(network, length)))(networks)
    squares = [jnp.sum(leaf.reshape(len(KEYS), -1) ** 2, axis=1) for leaf in jax.tree.leaves(gradients)]
    return jnp.median(jnp.sqrt(sum(squares)))


def main() -> None:
    """Measures gradients, and trains networks with and without clipping."""
    left, right = (figure := Figure(figsize=(11, 4.6), layout="constrained")).subplots(1, 2)
    networks = [jax.vmap(Network, (0, None))(KEYS, radius) for radius in RADII]
    medians = np.array([[median_norm(many, length) for length in LENGTHS] for many in networks])
    for radius, row in zip(RADII, medians, strict=True):
        print(f"radius {radius}: median ‖∇E‖ {row.round(2)} of sequences of {LENGTHS}")
        left.loglog(LENGTHS, row, "o-", label=f"radius {radius:g}")
    assert medians[2, 2] > 4 * medians[2, 0]
    assert np.allclose(medians[:2, 0], medians[:2, 2], rtol=0.1)
    method = gf.optimizers.gradient_descent(recall, lr=0.2)
    counts = []
    for label, colour, oracle in (("not clipped", "C1", None), ("clipped to norm 1", "C0", gf.ClippedGradient(1.0))):
        train = jax.jit(jax.vmap(lambda network, oracle=oracle: method.iterate(network, 400, oracle=oracle)))
        runs = train(jax.vmap(Network, (0, None))(KEYS[:12], 2.0))
        energies = np.asarray(runs.energy)
        found = int(np.sum(~np.isfinite(energies[:, -1]))), int(np.sum(energies[:, -50:].mean(axis=1) < 0.05))
        print(f"{label}: {found[0]} of 12 diverge, {found[1]} learn; largest ‖∇E‖∞ {np.nanmax(runs.grad_norm):.2g}")
        counts.append(found)
        right.semilogy([], [], color=colour, label=f"{label}: {found[1]} of 12 learn")
        right.semilogy(np.clip(energies.T, 0, 1e9), color=colour, lw=0.9)
    assert counts[0][0] > 0 == counts[1][0]
    assert counts[0][1] + 3 < counts[1][1]
    left.set(xlabel="length of the sequences", ylabel="median ‖∇E‖", title="Gradients explode at radius 2")
    right.set(xlabel="step k", ylabel="mean squared error", ylim=(1e-5, 1e3), title="Twelve networks of radius 2")
    left.legend()
    right.legend(loc="lower left")
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
