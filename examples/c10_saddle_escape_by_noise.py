"""Does gradient descent need noise to leave the strict saddle of x² − y², and which way does it go?

Not from (0.01, 0.01): y grows by 1 + 2h a step, so that with h = 0.05 a distance of 5 takes 66 steps, and not hundreds;
noise of 0.15 a step makes it 36. On the stable manifold y = 0 it does: descent ends on the saddle, noise of any size
frees it, after ln 10/ln(1 + 2h) steps more for every tenth of the noise. It leaves along y, not along y = x or y = −x.
"""

import _output
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import gradientflow as gf

jax.config.update("jax_enable_x64", True)
H, FAR, COPIES, STEPS = 0.05, 5.0, 2000, 240


def main() -> None:
    """Escapes without noise, with it, and with less and less of it."""
    saddle = gf.energy(lambda z: jnp.sum(z[0] ** 2 - z[1] ** 2))  # each column of z is a copy
    method, key = gf.optimizers.gradient_descent(saddle, H), jax.random.key(0)
    near, on = np.full((2, COPIES), 0.01), np.stack([np.ones(COPIES), np.zeros(COPIES)])

    def left(start: np.ndarray, scale: float) -> tuple[gf.Trajectory, np.ndarray]:
        run = method.iterate(start, STEPS, oracle=gf.NoisyGradient(scale), key=key)
        far = np.linalg.norm(run.x, axis=1) > FAR
        return run, np.where(far.any(axis=0), far.argmax(axis=0), STEPS)

    assert set(left(near, 0.0)[1]) == {int(np.ceil(np.log(FAR / 0.01) / np.log(1 + 2 * H)))} == {66}
    run, noisy = left(near, 0.15 / H)  # 0.15 a step in x, as steps of H make it
    print(f"from (0.01, 0.01): 66 steps without noise, {noisy.mean():.1f} ± {noisy.std():.1f} with 0.15 a step")
    growth = (1 + 2 * H) ** (2 * run.steps)
    spread = 1e-4 * growth + 0.15**2 * (growth - 1) / ((1 + 2 * H) ** 2 - 1)
    assert np.allclose(np.mean(run.x**2, axis=2)[:, 1] / spread, 1, atol=5 * np.sqrt(2 / COPIES))
    ends = np.abs(run.x[noisy, :, np.arange(COPIES)])
    angles = np.degrees(np.arctan2(ends[:, 1], ends[:, 0]))
    print(f"they leave at {np.median(angles):.1f}° from the x-axis in the median")
    assert np.median(angles) > 80
    assert float(jnp.abs(method.iterate(on, STEPS).x[:, 1]).max()) == 0
    scales, decade = 10.0 ** np.arange(0, -7, -2), np.log(10) / np.log(1 + 2 * H)
    times = np.array([left(on, scale)[1].mean() for scale in scales])
    print(f"from the stable manifold, never; {(np.diff(times) / 2).round(1)} steps more for each tenth of the noise")
    assert np.allclose(np.diff(times) / 2, decade, atol=0.5)
    ax, middle, right = (figure := Figure(figsize=(13, 4.4), layout="constrained")).subplots(1, 3)
    for copy in range(8):
        ax.plot(*np.asarray(run.x[: noisy[copy] + 1, :, copy]).T, lw=1)
    ax.set(xlabel="x", ylabel="y", title="Eight escapes from (0.01, 0.01)", aspect="equal", xlim=(-6, 6), ylim=(-6, 6))
    middle.hist(noisy, bins=np.arange(0, 80, 3), color="C0")
    middle.axvline(66, color="black")
    middle.set(xlabel="steps to a distance of 5", ylabel="runs", title="Sooner than without noise (black)")
    right.semilogx(scales, times, "o-", color="C1", label=f"{decade:.1f} steps a decade")
    right.set(xlabel="scale of the gradient's noise", title="Mean steps from the stable manifold y = 0")
    right.legend()
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
