"""What do momentum's iterates follow? A first-order flow of their own, and without friction a Hamiltonian of their own.

After a few steps the velocity is slaved to the position: the iterates follow E + h(1+β)/(4(1−β))‖∇E‖² + …, more closely
with each term. Without friction the scheme conserves not the mechanical energy, but one that is near it.
"""

from fractions import Fraction

import _output
import jax
import jax.numpy as jnp
import numpy as np
import sympy
from matplotlib.figure import Figure

import gradientflow as gf

jax.config.update("jax_enable_x64", True)
COLOURS = ("#7F7F7F", "#0072B2", "#009E73")


def main() -> None:
    """Compares iterates with the slow flow to three orders, and conserves the modified Hamiltonian to two."""
    E = gf.energy(lambda x: jnp.cosh(x[0]) + (x[1] ** 4 + x[1] ** 2) / 2 + x[0] * x[1] / 3)
    h, settled = 0.1, 20
    momentum = gf.optimizers.momentum(E, lr=0.075, beta=0.25)
    run = momentum.iterate([2.0, 1.5], steps=60)
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for order, colour in zip((1, 2, 3), COLOURS, strict=True):
        slow = gf.slow_equation(gf.optimizers.momentum(E, lr=Fraction(3, 40), beta=Fraction(1, 4)), order)
        flow = gf.ModifiedFlow(gf.GradientFlow(E), slow, step=h)
        path = gf.integrate(flow, run.x[settled], 40 * h, ts=jnp.arange(41) * h, rtol=1e-11, atol=1e-12)
        error = np.linalg.norm(np.asarray(run.x[settled:] - path.x), axis=1)
        print(f"through h^{order - 1}: iterates and flow part by {error.max():.2e}")
        left.semilogy(error[1:], color=colour, label=f"through $h^{order - 1}$")
    print(slow)
    left.set(xlabel="steps after settling", ylabel="iterates less flow", title="momentum, β = 1/4, h = 0.1")
    left.legend(title="slow flow")

    x, v = sympy.symbols("x v")
    ball = gf.HeavyBallFlow(gf.energy(lambda q: q**4 / 4 + q**2 / 2), mass=1.0, friction=0.0)
    swing = gf.iterate(ball, gf.MomentumEuler(), 1.0, step=0.1, steps=200)
    for order, colour in zip((1, 2, 3), COLOURS, strict=True):
        hamiltonian = gf.modified_hamiltonian(gf.MomentumEuler(), order).expression(x**4 / 4 + x**2 / 2, [x], [v])
        numeric = sympy.lambdify((x, v), hamiltonian.subs({"m": 1, "h": 0.1}))
        values = numeric(np.asarray(swing.x), np.asarray(swing.state.v))
        print(f"through h^{order - 1}: the Hamiltonian varies by {np.ptp(values):.2e}")
        right.semilogy(np.abs(values - values[0])[1:], color=colour, label=f"through $h^{order - 1}$")
    right.set(ylim=(1e-6, 0.3), xlabel="step k", ylabel="change of the Hamiltonian", title="without friction")
    right.legend(title="modified Hamiltonian")
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
