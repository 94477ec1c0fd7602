"""Is synchronous data-parallel training another method than one worker with a large batch?

No: the mean of W workers' gradients is the large batch's but for rounding, and a run of any optimizer is the same run.
What more workers do change is the batch, if each keeps its own size: the noise falls as 1/W, and so do the steps for an
amount of data. All parts have one size, or the mean of means would not be the mean: others are refused.
"""

import _output
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_breast_cancer

import gradientflow as gf

jax.config.update("jax_enable_x64", True)
DATA, LABELS = load_breast_cancer(return_X_y=True)


def main() -> None:
    """One large batch on 1, 2 and 8 workers; then 1, 2 and 8 workers of 8 examples."""
    X, key = (DATA - DATA.mean(axis=0)) / DATA.std(axis=0), jax.random.key(0)
    E = gf.LogisticRegression(X, LABELS, ridge=1e-2)
    method, start = gf.optimizers.momentum(E, lr=0.05, beta=0.9), np.zeros(31)
    left, right = (figure := Figure(figsize=(11.5, 4.6), layout="constrained")).subplots(1, 2)
    whole = method.iterate(start, 1000, oracle=gf.Minibatch(64), key=key)
    least = float(method.iterate(start, 20_000, save_every=2000).energy[-1])
    for workers in (2, 8):
        run = method.iterate(start, 1000, oracle=gf.DataParallelBatch(gf.Minibatch(64), workers), key=key)
        off = float(jnp.abs(run.x - whole.x).max())
        print(f"{workers} workers share batches of 64: iterates {off:.1e} off the one worker's")
        assert off < 1e-12
    left.semilogy(whole.steps, whole.energy - least, color="black", lw=3, alpha=0.3, label="one worker, B = 64")
    left.semilogy(run.steps, run.energy - least, color="C1", lw=0.8, label="8 workers, 8 examples each")
    noise, rest = gf.gradient_noise(E, whole.x[-1]), []
    for workers, colour in zip((1, 2, 8), ("C1", "C0", "C2"), strict=True):
        oracle = gf.DataParallelBatch(gf.MinibatchWithReplacement(8 * workers), workers)
        run = method.iterate(start, 3000, save_every=2, oracle=oracle, key=key)
        rest.append(float(np.mean(run.energy[250:]) - least))
        variance = noise.variance(oracle.batches)
        print(f"{workers} workers of 8 examples: gradient noise {variance:.2e}, E − E* at rest {rest[-1]:.2e}")
        smooth = np.convolve(np.asarray(run.energy) - least, np.ones(21) / 21, "valid")
        right.loglog((run.steps[10:-10] + 1) * 8 * workers, smooth, color=colour, lw=1.2, label=f"{workers} × 8")
    ratios = rest[0] / np.array(rest[1:])
    print(f"the level at rest falls by {ratios.round(2)}")
    assert np.allclose(ratios, [2, 8], rtol=0.35)
    left.set(xlabel="step k", ylabel="E − E*", title="One batch, however it is shared")
    right.set(xlabel="examples seen", ylabel="E − E*", title="Workers with 8 examples each")
    left.legend()
    right.legend(loc="lower left")
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
