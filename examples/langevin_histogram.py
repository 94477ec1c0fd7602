"""Does a Langevin histogram match its density e^{−E/T}, and how long until the other well is found?

On a double well, at steps near the stable ones, Euler–Maruyama's histogram is its own stationary density, found by
quadrature, and not the flow's. The bias of ⟨x²⟩ falls as h; Leimkuhler–Matthews' and BAOAB's are far smaller at the
same price. The mean time to the other well is that of quadrature, which Kramers' formula only approaches as T falls.
"""

import _output
import jax
import numpy as np
from matplotlib.figure import Figure

import gradientflow as gf

jax.config.update("jax_enable_x64", True)


def main() -> None:
    """Draws the histogram, the biases over the step, and the exit times over 1/T."""
    E, T, h = gf.energy(lambda x: (x**2 - 1) ** 2), 0.3, 0.06
    flow, kinetic = gf.Langevin(E, T), gf.KineticLangevin(E, friction=2.0, temperature=T)
    left, middle, right = (figure := Figure(figsize=(13, 4), layout="constrained")).subplots(1, 3)
    grid = {"low": -2.6, "high": 2.6, "points": 301}
    density = gf.stationary_density(flow, gf.EulerMaruyama(), step=h, **grid)
    options = {"draws": 50, "chains": 2_000, "burn_in": 100, "key": jax.random.key(0)}
    chains = gf.sample(flow, gf.EulerMaruyama(), 0.0, step=h, thin=10, **options)
    left.hist(np.asarray(chains.x).ravel(), 90, density=True, color="0.8", label=f"draws, Euler–Maruyama, h = {h}")
    left.plot(density.x, density.scheme, "C3", lw=1.5, label="its stationary density")
    left.plot(density.x, density.flow, "k--", lw=1.2, label=r"the flow's, $e^{-E/T}$")
    left.set(xlabel="x", ylim=(0, 1.35), xlim=(-2.2, 2.2), title=f"A histogram and two densities, T = {T}")
    left.legend(fontsize=8)
    steps = np.array([0.015, 0.03, 0.06])
    biases = []
    for step in steps:
        found, exact = gf.stationary_density(flow, gf.EulerMaruyama(), step=step, **grid).moments(2)
        biases.append(abs(found - exact))
    assert np.allclose(np.diff(np.log2(biases)), 1, atol=0.3)
    middle.loglog(steps, biases, "C3o-", label="Euler–Maruyama (quadrature)")
    better = {"Leimkuhler–Matthews": (flow, gf.LeimkuhlerMatthews(), "C0"), "BAOAB": (kinetic, gf.BAOAB(), "C2")}
    for label, (f, scheme, colour) in better.items():
        drawn = gf.sample(f, scheme, 0.0, step=h, thin=20, **options)
        square, error = map(float, drawn.expectation(lambda x: x**2))
        print(f"{label} at h = {h}: ⟨x²⟩ off by {square - exact:.4f} ± {error:.4f}; Euler–Maruyama by {biases[-1]:.4f}")
        assert abs(square - exact) < biases[-1] / 2
        middle.errorbar(h, abs(square - exact), error, fmt="s", capsize=3, color=colour, label=f"{label} (draws)")
    middle.set(xlabel="step h", title="Bias of ⟨x²⟩")
    middle.legend(fontsize=8)
    temperatures = 1 / np.linspace(2, 14, 7)
    times = [gf.exit_time(E, temperature=T, start=-1.0, end=1.0, wall=-3.0) for T in temperatures]
    right.semilogy(1 / temperatures, [time.mean for time in times], "k-", label="quadrature")
    right.semilogy(1 / temperatures, [time.kramers for time in times], "C1--", label="Kramers")
    right.set(xlabel="1/T", ylabel="mean time", title="From one well to the other")
    right.legend()
    ratios = [time.mean / time.kramers for time in times]
    print(f"quadrature over Kramers: {ratios[0]:.3f} at T = 1/2, {ratios[-1]:.3f} at T = 1/14")
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
