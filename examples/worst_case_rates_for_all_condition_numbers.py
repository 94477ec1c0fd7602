"""What do methods guarantee on every energy of condition number κ? Proved for all κ at once, or certified κ by κ.

Of gradient descent, Heun's method and triple momentum (Van Scoy, Freeman & Lynch 2018) rate and proof are formulas;
Nesterov's rate is no rational function of q = √κ, and each of its points is a proof.
"""

import _output
import _table
import numpy as np
import sympy
from matplotlib.figure import Figure

import gradientflow as gf


class TwoStep(gf.Discretizer):
    """x' = x + β(x − x₋₁) − h∇E(x + γ(x − x₋₁)), with triple momentum's numbers, q = √κ."""

    q: object

    def init(self, flow, t, z, h):
        """The memory: the position before, which is the same."""
        return z

    def step(self, flow, t, z, h, *, memory, **_):
        """The next position, and this one."""
        rho, moved = 1 - 1 / self.q, z - memory
        return z + rho**2 / (2 - rho) * moved + h * flow.drift(t, z + rho**2 / ((1 + rho) * (2 - rho)) * moved), z


MAKE = {
    "gradient descent": lambda E, q: gf.optimizers.gradient_descent(E, lr=2 / (1 + q**2)),
    "Heun": lambda E, q: gf.Method(gf.GradientFlow(E), gf.RungeKutta("heun"), 1 / q**2),
    "triple momentum": lambda E, q: gf.Method(gf.GradientFlow(E), TwoStep(q), (2 - 1 / q) / q**2),
    "Nesterov": lambda E, q: gf.optimizers.nesterov(E, lr=1 / q**2, beta=(q - 1) / (q + 1)),
}


def main() -> None:
    """Three formulas, and certified points of a fourth method."""
    found = {key: gf.analysis.worst_case_formula(f, 1, lambda q: q**2, q=(1, np.inf)) for key, f in MAKE.items()}
    axes = (figure := Figure(figsize=(6.4, 4.4), layout="constrained")).subplots()
    q, colours = np.geomspace(1.2, 10, 80), ("#0072B2", "#56B4E9", "#009E73")
    rho = {key: sympy.lambdify("q", each.rate)(q) for key, each in found.items() if each.rate is not None}
    for (key, values), colour in zip(rho.items(), colours, strict=True):
        axes.loglog(q**2, -1 / np.log(values), color=colour, label=rf"{key}: $\rho = {sympy.latex(found[key].rate)}$")
    points = {at: gf.worst_case_rate(MAKE["Nesterov"](gf.landscapes.bowl(), at), 1, at**2) for at in (1.5, 2, 3, 5, 9)}
    nesterov = np.array([each.rate for each in points.values()])
    axes.loglog(np.array([*points]) ** 2, -1 / np.log(nesterov), "o", color="#D55E00", label="Nesterov, κ by κ")
    _ = axes.set(xlabel="κ = q²", ylabel="steps until the distance has fallen by e, at worst"), axes.legend(fontsize=8)
    _table.settle(
        ("rates that are proved for all κ", proved := sum(each.check() for each in found.values()), proved == 3),
        ("triple momentum less 1 − 1/√κ, anywhere", off := float(np.ptp(rho["triple momentum"] + 1 / q)), off < 1e-12),
        ("Nesterov's at κ = 81, certified; 1 − 1/√κ is less", nesterov[-1], 8 / 9 < nesterov[-1] < 80 / 82),
    )
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
