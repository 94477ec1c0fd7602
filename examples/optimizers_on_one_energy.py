"""What do a lecture's optimizers do on Himmelblau's function, with its own parameters where it gives any?

From (4, 3) damped Newton (η = 0.15) takes 59 steps, steepest descent 5. From the origin Newton arrives as surely:
at a maximum, for its flow is drawn to stationary points of every kind. Adam at the lecture's η = 10⁻⁴ comes last: each
step moves a coordinate by about η, a thousand by a tenth. Its rank as the fastest is a matter of η: 0.1 arrives.
"""

import _output
import jax
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

import gradientflow as gf

jax.config.update("jax_enable_x64", True)
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#8C564B", "black")


def main() -> None:
    """Runs nine methods for a thousand steps from two starts, and prints the table."""
    E, named = gf.landscapes.himmelblau(), gf.optimizers
    methods = {
        "gradient descent, η = 0.001": named.gradient_descent(E, 1e-3),
        "steepest descent": named.gradient_descent(E, gf.ExactLineSearch()),
        "momentum, η = 0.001 (1 − β)": named.momentum(E, 1e-4, beta=0.9),
        "Newton, η = 0.15": gf.Method(gf.NewtonFlow(E), gf.ForwardEuler(), 0.15),
        "AdaGrad, η = 0.5": named.adagrad(E, 0.5),
        "RMSprop, η = 0.01": named.rmsprop(E, 1e-2),
        "AdaDelta": named.adadelta(E),
        "Adam, η = 0.0001": named.adam(E, 1e-4),
        "Adam, η = 0.1": named.adam(E, 0.1),
    }
    axes = (figure := Figure(figsize=(12, 9), layout="constrained")).subplots(2, 2, width_ratios=[1, 1.25])
    x1, x2 = np.meshgrid(np.linspace(-1.2, 4.4, 100), np.linspace(-1.6, 3.4, 100))
    table = {}
    for (plane, curve), start in zip(axes, ([4.0, 3.0], [0.0, 0.0]), strict=True):
        plane.contour(x1, x2, E(np.array([x1, x2])), 16, colors="0.85", linewidths=0.8)
        for (label, method), colour in zip(methods.items(), COLOURS, strict=True):
            run = method.iterate(start, steps=1000)
            low = np.flatnonzero(run.energy < 1e-6)
            table.setdefault(label, []).extend([low[0] if len(low) else "–", float(run.energy[-1])])
            plane.plot(*run.x.T, ".-", ms=3, lw=1, color=colour)
            curve.loglog(np.arange(1, 1001), np.maximum(run.energy[1:], 1e-12), color=colour, label=label)
            if label.startswith("Newton") and start == [0.0, 0.0]:
                H = jax.hessian(E.value)(run.x[-1])
                assert np.linalg.eigvalsh(H)[-1] < 0
            if label == "Adam, η = 0.0001":
                assert 0.09 < np.abs(run.x[-1] - run.x[0]).max() < 0.11
        plane.set(xlabel="x", ylabel="y", title=f"From {tuple(start)}")
        curve.set(xlabel="step k", ylabel="E")
    figure.legend(*axes[0, 1].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    assert [table[label][0] for label in ("steepest descent", "Newton, η = 0.15")] == [5, 59]
    columns = ["from (4, 3): steps to 1e-6", "E", "from (0, 0): steps to 1e-6", "E "]
    print(pd.DataFrame.from_dict(table, orient="index", columns=columns).to_string(float_format="{:.2g}".format))
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
