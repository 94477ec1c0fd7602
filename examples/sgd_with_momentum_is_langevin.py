"""Is stochastic descent with momentum a Langevin equation, and what does it save?

A batch's gradient is the exact one plus noise of variance V. With momentum γ and rate η the iterates then wander as a
particle in a medium does: of mass and friction with m/(m + μΔt) = γ and Δt²/(m + μΔt) = η, at the temperature
T = VΔt/(2μ) = ηV/(2(1 − γ)). Positions have the variance T/λ. Per example seen, batches fall tens of times sooner.
"""

import _output
import jax
import numpy as np
from matplotlib.figure import Figure
from scipy.stats import norm

import gradientflow as gf

jax.config.update("jax_enable_x64", True)
COUNT, BATCH, LR, GAMMA = 2048, 8, 0.02, 0.8


def main() -> None:
    """Runs descent on batches, with momentum and without, and compares where it rests with two Langevin flows."""
    curvatures, key = np.array([4.0, 0.5]), jax.random.key(0)
    tilts = np.random.default_rng(0).normal(size=(COUNT, 2))
    tilts = (tilts - tilts.mean(axis=0)) / tilts.std(axis=0)
    E = gf.FiniteSum(lambda x, tilt: curvatures @ x**2 / 2 - tilt @ x, tilts)  # every example tilts one bowl
    oracle, start = gf.MinibatchWithReplacement(BATCH), np.array([3.0, 3.0])
    variance = gf.gradient_noise(E, start).variance(oracle) / 2  # of each of the two coordinates
    plain, ball = gf.optimizers.gradient_descent(E, LR), gf.optimizers.momentum(E, LR, GAMMA)
    mass, friction, dt = ball.flow.mass, ball.flow.friction, ball.step
    assert np.isclose(mass / (mass + friction * dt), GAMMA)
    assert np.isclose(dt**2 / (mass + friction * dt), LR)
    flows = {
        "SGD": (plain, gf.Langevin(E, LR * variance / 2), "C0"),
        f"SGD, momentum {GAMMA}": (ball, gf.KineticLangevin(E, mass, friction, dt * variance / (2 * friction)), "C1"),
    }
    figure = Figure(figsize=(15, 4.2), layout="constrained")
    left, *panels = figure.subplots(1, 3)
    exact = plain.iterate(start, 400)
    left.loglog(np.arange(1, 401), exact.energy[1:], "k", label="descent on all examples")
    for panel, (name, (method, flow, colour)) in zip(panels, flows.items(), strict=True):
        run = method.iterate(start, 100_000, oracle=oracle, key=key)
        smooth = np.convolve(run.energy[:10_000], np.ones(15) / 15, "valid")
        left.loglog(np.arange(8, len(smooth) + 8) * BATCH / COUNT, smooth, colour, lw=0.8, label=name)
        x, temperature = np.asarray(run.x[2_000:]), float(flow.temperature)
        print(f"{name}: T = {temperature:.2e}; variances {x.var(axis=0)}, T/λ {temperature / curvatures}")
        np.testing.assert_allclose(x.var(axis=0), temperature / curvatures, rtol=0.1)
        for axis, shade in ((0, "0.75"), (1, colour)):
            panel.hist(x[:, axis], 80, density=True, color=shade, alpha=0.6, label=f"λ = {curvatures[axis]:g}")
            width = np.sqrt(temperature / curvatures[axis])
            grid = np.linspace(-4 * width, 4 * width, 200)
            panel.plot(grid, norm.pdf(grid, scale=width), "k", lw=1.2)
        panel.set(xlabel="x", title=f"{name}: iterates, and $e^{{-E/T}}$, T = {temperature:.4f}")
        panel.legend()
    left.set(xlabel="examples seen / N", ylabel="E − E*", title="What it costs (means over 15 steps)", ylim=(1e-5, 30))
    left.legend(loc="lower left")
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
