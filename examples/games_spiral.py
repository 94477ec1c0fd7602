"""A min–max game: why does gradient descent–ascent spiral out where its flow circles, and the extragradient come in?

In the game min over x, max over y of xy the flow ẋ = −y, ẏ = x is no gradient flow: it circles for ever. Its Jacobian's
eigenvalues are ±i, on the edge of stability of the flow, and outside of forward Euler's disk whatever the step. Looking
one step ahead, as the extragradient does, is a Runge–Kutta scheme; its stability region holds a piece of the axis.
"""

import _output
import _table
import jax
import numpy as np
from matplotlib.figure import Figure

import gradientflow as gf

jax.config.update("jax_enable_x64", True)
H = 0.3


def main() -> None:
    """Runs three methods and the flow, and asks each how long a step may be."""
    game = gf.field(lambda z: z[::-1] * np.array([-1.0, 1.0]))
    # Look ahead by a step, and go from where one was by what is seen there.
    extragradient = gf.RungeKutta(gf.discretizers.Tableau("extragradient", [[], [1]], [0, 1], order=1))
    methods = {
        "descent–ascent": (gf.ForwardEuler(), "#D55E00"),
        "extragradient": (extragradient, "#0072B2"),
        "implicit midpoint": (gf.ImplicitMidpoint(), "#009E73"),
    }
    left, right = (figure := Figure(figsize=(12, 5.2), layout="constrained")).subplots(1, 2)
    gf.plots.field(game, ((-3, 3), (-3, 3)), ax=left, title="min over x, max over y of xy")
    radii, limits = {}, {}
    for name, (scheme, colour) in methods.items():
        run = gf.iterate(game, scheme, [1.0, 0.0], step=H, steps=24)
        radii[name] = np.linalg.norm(run.x, axis=1)
        limits[name] = gf.stability(game, scheme, at=np.zeros(2))
        left.plot(*run.x.T, ".-", color=colour, label=name)
        right.semilogy(radii[name], ".-", color=colour, label=name)
    left.set(xlim=(-3, 3), ylim=(-3, 3))
    left.legend(loc="upper left")
    right.set(xlabel="step k", ylabel="distance from the equilibrium")
    circle = gf.integrate(game, [1.0, 0.0], 2 * np.pi)
    factor = radii["extragradient"][1:] / radii["extragradient"][:-1]
    _table.settle(
        ("the flow comes back after 2π", float(np.abs(circle.x[-1] - np.array([1, 0])).max()),
         np.allclose(circle.x[-1], [1, 0], atol=1e-4)),
        ("descent–ascent grows by √(1 + h²) each step", float(radii["descent–ascent"][1]),
         np.allclose(radii["descent–ascent"], (1 + H**2) ** (np.arange(25) / 2))),
        ("no step of it is stable", limits["descent–ascent"].limit, limits["descent–ascent"].limit == 0),
        ("the extragradient shrinks by √(1 − h² + h⁴)", float(factor[0]), np.allclose(factor**2, 1 - H**2 + H**4)),
        ("up to h = 1", limits["extragradient"].limit, abs(limits["extragradient"].limit - 1) < 1e-6),
        ("the midpoint rule keeps the circle", float(np.ptp(radii["implicit midpoint"])),
         np.ptp(radii["implicit midpoint"]) < 1e-9),
    )  # fmt: skip
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
