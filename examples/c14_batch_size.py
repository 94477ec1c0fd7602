"""What does the batch size change: the noise, the steps, or the data that is needed?

The variance of a batch's gradient is ∝ 1/B, and so is the level at which the energy comes to rest at a fixed step:
from η/B and tr Σ it is predicted to a tenth, at B = 1 to a fifth. Over steps all batch sizes fall alike; over epochs
small ones fall sooner, until they rest. A learning rate that grows with B keeps η/B, but meets 2/L, which stays.
"""

import _output
import jax
import numpy as np
from matplotlib.figure import Figure

import gradientflow as gf

jax.config.update("jax_enable_x64", True)
COUNT, LR, SIZES = 512, 0.05, (1, 8, 64)


def main() -> None:
    """Measures the noise at the minimizer, predicts where each batch size rests, and lets it run."""
    rng, key = np.random.default_rng(0), jax.random.key(0)
    X = rng.normal(size=(COUNT, 4))
    E = gf.LinearRegression(X, X @ [1.0, -2.0, 0.5, 3.0] + rng.normal(size=COUNT), intercept=False)
    method, start = gf.optimizers.gradient_descent(E, LR), np.zeros(4)
    noise = gf.gradient_noise(E, E.minimizer)
    begins = gf.gradient_noise(E, start)
    print(f"noise scale tr Σ/‖g‖²: {begins.noise_scale:.2f} at the start; tr Σ = {noise.trace:.2f} at the minimizer")
    left, right = (figure := Figure(figsize=(11.5, 4.6), layout="constrained")).subplots(1, 2, sharey=True)
    for size, colour in zip(SIZES, ("C1", "C0", "C2"), strict=True):
        oracle = gf.MinibatchWithReplacement(size)
        run = method.iterate(start, 6000, save_every=4, oracle=oracle, key=key)
        excess = np.asarray(run.energy - E.minimum)
        # The curvatures are near 1 and the gradients' noise near a multiple of H, so that each of n modes rests at
        # ηV/(n(2 − η)), half of which is its energy; at a distance from the minimizer there is a little more noise.
        level = LR * noise.variance(oracle) / (2 * (2 - LR))
        measured = excess[150:].mean()
        print(f"B = {size}: noise {noise.variance(oracle):.4f}; rests at {measured:.2e}, predicted {level:.2e}")
        assert abs(measured / level - 1) < (0.2 if size == 1 else 0.12)
        smooth = np.convolve(excess, np.ones(9) / 9, "valid")
        left.loglog(run.steps[4:-4], smooth, color=colour, lw=1.2, label=f"B = {size}")
        right.loglog(run.steps[4:-4] * size / COUNT, smooth, color=colour, lw=1.2)
        for ax in (left, right):
            ax.axhline(level, color=colour, lw=0.8, ls=":")
    limit = 2 / float(E.curvature.L)
    scaled = {size: LR * size for size in SIZES}
    print(f"η ∝ B: {scaled}; the exact gradient is stable up to 2/L = {limit:.2f}")
    assert scaled[8] < limit < scaled[64]
    assert method.iterate(start, 200, oracle=gf.Minibatch(64), key=key).status.outcome == "reached the end"
    assert gf.optimizers.gradient_descent(E, scaled[64]).iterate(start, 200).status.outcome == "diverged"
    left.set(xlabel="step k", ylabel="E − E*", title="Over steps: one curve down to each level", ylim=(1e-5, 20))
    right.set(xlabel="epochs", title="Over data: small batches come first", ylim=(1e-5, 20))
    left.legend(loc="lower left")
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
