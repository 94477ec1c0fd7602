"""Out of which minimum does the noise of stochastic gradients lead first, and after how long?

Of two wells of depth 1 one is three times as curved. Noise σ in the gradient makes a step h one of Langevin's flow at
T = hσ²/2, which leaves after Kramers' time 2π e^{1/T}/λ. Minibatches are noisier where E is sharp: σ² ∝ λ, say.
"""

from functools import partial

import _output
import _table
import jax
import numpy as np
from matplotlib.figure import Figure

import gradientflow as gf

jax.config.update("jax_enable_x64", True)
WIDE, SHARP, STEP, CHAINS, STEPS, TEMPERATURES = 1.0, 3.0, 0.02, 150, 3000, np.geomspace(0.1, 0.7, 7)


def well(curvature):
    """Of depth 1: in y = √λx a minimum at 0, a barrier at √6, a slope down beyond it."""
    return gf.energy(lambda x: curvature * x**2 / 2 - (curvature**0.5 * x) ** 3 / (3 * 6**0.5))


@jax.jit
def walks(keys, lam, T):
    """Where stochastic gradient descent goes from the minimum."""
    descent, noise = gf.optimizers.gradient_descent(well(lam), lr=STEP), gf.NoisyGradient((2 * T / STEP) ** 0.5)
    return jax.vmap(lambda key: descent.iterate(0.0, STEPS, oracle=noise, key=key).x)(keys)


def main() -> None:
    """Times out of both wells over the temperature, and those of noise that grows with the curvature."""
    predicted = {L: partial(gf.exit_time, well(L), start=0.0, end=3 / L**0.5, wall=-5 / L**0.5) for L in (WIDE, SHARP)}
    ax, off = (figure := Figure(figsize=(8, 5), layout="constrained")).subplots(), []
    for lam, colour in zip(predicted, ("#0072B2", "#D55E00"), strict=True):
        times = [predicted[lam](temperature=T) for T in TEMPERATURES]
        ax.semilogy(1 / TEMPERATURES, [time.mean for time in times], color=colour, label=f"λ = {lam:g}: by quadrature")
        ax.semilogy(1 / TEMPERATURES, [time.kramers for time in times], "--", color=colour, lw=1, label="Kramers")
        for T in (0.3, 0.45, 0.6):
            inside = np.asarray(walks(jax.random.split(jax.random.key(1), CHAINS), lam, T)) < 3 / lam**0.5
            left = (~inside).any(axis=1).sum()
            mean = STEP * np.cumprod(inside, axis=1).sum() / left
            ax.errorbar(1 / T, mean, 2 * mean / left**0.5, fmt="o", color=colour)
            off.append(abs(mean - predicted[lam](temperature=T).mean) / mean * left**0.5)
    cold, same, hot = (predicted[lam](temperature=T) for lam, T in ((WIDE, 0.15), (SHARP, 0.15), (SHARP, 0.45)))
    ax.plot([1 / 0.15, 1 / 0.45], [cold.mean, hot.mean], "k:", label="minibatches: σ² ∝ λ")
    _ = ax.set(xlabel="1/T, T = hσ²/2", ylabel="mean time until it leaves"), ax.legend(fontsize=8)
    _table.settle(
        ("measured means, largest error in σ", worst := float(max(off)), worst < 3),
        ("one noise: wide / sharp, their curvatures'", r := cold.mean / same.mean, abs(r - 3) < 1e-9),
        ("σ² ∝ λ: wide / sharp", r := cold.mean / hot.mean, r > 100),
        ("Kramers' formula / the time, T = 0.15", r := cold.kramers / cold.mean, 0.9 < r < 1.1),
    )
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
