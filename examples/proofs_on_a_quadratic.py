"""What is true of a flow and its optimizer on your quadratic: proved from the code, or measured on your run?

Closed forms are put into the drift that runs, powers into the step that runs; each proof stands beside a false sibling
that the same code refutes. Your own run is then measured against what was proved.
"""

import _output
import jax
import numpy as np
from matplotlib.figure import Figure

import gradientflow as gf

jax.config.update("jax_enable_x64", True)


def main() -> None:
    """Verifies the heavy ball and momentum on least squares, and draws the run on the proved curve."""
    E = gf.LeastSquares([[4, 1], [1, 3]], [1, 2])
    flow = gf.HeavyBallFlow(E, mass=1.0, friction=6.0)
    path = gf.integrate(flow, [4.0, -1.0], 2.0)
    found = gf.verify(flow, path)
    print(found)
    assert found.all_proved
    print("\nthe false sibling of the last proof:", found.claims[-2].sibling.counterexample)

    method = gf.optimizers.momentum(E, lr=0.02, beta=0.8)
    run = method.iterate([4.0, -1.0], steps=60)
    print("\n", gf.verify(method, run), sep="")
    assert gf.verify(method, run).all_proved

    figure = Figure(figsize=(9, 4.4), layout="constrained")
    ax = figure.subplots()
    t = np.linspace(0, 2, 400)
    exact = gf.iterate(flow, gf.ExactSolution(), [4.0, -1.0], step=t[1], steps=399)
    for i, colour in enumerate(("#0072B2", "#D55E00")):
        ax.plot(exact.t, exact.x[:, i], color=colour, label=f"$x_{i + 1}$, closed form")
        ax.plot(path.t, path.x[:, i], "o", ms=3, color=colour, label=f"$x_{i + 1}$, integrated")
    ax.set(xlabel="time t", ylabel="position", title="The heavy ball on ½‖Mx − v‖²: one mode swings, one creeps")
    ax.legend()
    ax.grid(True, alpha=0.3)
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
