"""What does speed cost where gradients are noisy? Ten methods between triple momentum and gradient descent.

On all energies with curvatures from μ to L the robust momentum method (Cyrus, Hu, Van Scoy & Lessard 2018) contracts by
a ρ that one chooses, from 1 − 1/√κ to 1 − 1/κ. Noise of variance σ² keeps it from the minimizer, in the end by a mean
square that is at worst a multiple of σ²: of each method both are certified.
"""

import _output
import _table
import jax
import numpy as np
from matplotlib.figure import Figure

import gradientflow as gf

jax.config.update("jax_enable_x64", True)
KAPPA, E = 10.0, gf.landscapes.bowl()


class Robust(gf.Discretizer):
    """x' = x + β(x − x₋₁) − h∇E(y) with y = x + a(x − x₋₁), whose rate is to be ρ."""

    rho: float

    def init(self, flow, t, z, h):
        """The position before: the same."""
        return z

    def step(self, flow, t, z, h, *, memory, **_):
        """The next position, and this one."""
        beta = KAPPA * self.rho**3 / (KAPPA - 1)
        y = z + beta / (KAPPA * (1 - self.rho) ** 2 * (1 + self.rho)) * (z - memory)
        return z + beta * (z - memory) + h * flow.drift(t, y), z


def main() -> None:
    """Ten certified points, and where gradient descent lies."""
    chosen, steps = np.linspace(1 - 1 / np.sqrt(KAPPA), 1 - 1 / KAPPA, 10), np.linspace(0.06, 2 / (KAPPA + 1), 6)
    robust = [gf.Method(gf.GradientFlow(E), Robust(rho), (1 - rho) ** 2 * (1 + rho)) for rho in chosen]
    descent = [gf.optimizers.gradient_descent(E, float(h)) for h in steps]
    rates = [gf.worst_case_rate(method, 1, KAPPA) for method in robust + descent]
    noises = [gf.analysis.worst_case_noise(method, 1, KAPPA) for method in robust + descent]
    rho, gain = np.array([found.rate for found in rates]), np.array([found.gain for found in noises])
    axes = (figure := Figure(figsize=(6.4, 4.4), layout="constrained")).subplots()
    axes.plot(-1 / np.log(rho[:10]), gain[:10], "o-", color="#0072B2", label="robust momentum")
    axes.plot(-1 / np.log(rho[10:]), gain[10:], "s--", color="#D55E00", label="gradient descent")
    axes.set(xlabel="steps until the distance has fallen by e, at worst", ylabel="E‖x − x*‖²/σ² in the end, at worst")
    _ = axes.set(title=f"Speed against noise, κ = {KAPPA:g}", ylim=(0, None)), axes.legend()
    _table.settle(
        ("the fastest ρ; theory says 1 − 1/√κ", rho[0], abs(rho[0] - chosen[0]) < 1e-4),
        ("the slowest; 1 − 1/κ", rho[9], abs(rho[9] - chosen[9]) < 1e-4),
        ("gradient descent's fastest; (κ − 1)/(κ + 1)", rho[-1], abs(rho[-1] - 9 / 11) < 1e-9),
        ("certificates, checked in exact arithmetic", 32, all(found.check() for found in rates + noises)),
        ("what speed costs: the gains of the two, a ratio of", r := gain[0] / gain[9], r > 3),
    )
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
