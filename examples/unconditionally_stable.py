"""What is unconditionally stable about schemes that are called so?

An auxiliary variable r stands for √(E + C) and is taken implicitly. r² falls by every step of every length, and that is
proved in a line. E does not: ten times beyond the limit of forward Euler it rises a hundredfold, and the run comes
to rest above the valley's floor. A discrete gradient lowers E itself by every step, and gets there.
"""

import _output
import _table
import jax
import numpy as np
from matplotlib.figure import Figure

import gradientflow as gf

jax.config.update("jax_enable_x64", True)
STEPS, STEP, CONSTANT = 60, 20.0, 100.0
SCHEMES = {
    "one r": gf.ScalarAuxiliaryVariable(CONSTANT),
    "one r, relaxed": gf.RelaxedAuxiliaryVariable(CONSTANT),
    "an r for every coordinate": gf.VectorAuxiliaryVariable(CONSTANT),
    "discrete gradient": gf.DiscreteGradient("gonzalez"),
}
STYLES = dict(zip(SCHEMES, ("C3", "C1", "C0--", "C2"), strict=True))


def modified(flow: gf.Flow, scheme: gf.Discretizer, z: np.ndarray) -> np.ndarray:
    """r² after every step, the largest where there are several."""
    found = [scheme.init(flow, 0.0, z, STEP)]
    for _ in range(STEPS):
        z, r = scheme.step(flow, 0.0, z, STEP, memory=found[-1])
        found.append(r)
    return np.array([np.max(r) ** 2 for r in found])


def main() -> None:
    """Both energies of all schemes, on a valley whose steep side has the curvature 1."""
    flow, x0 = gf.GradientFlow(gf.Quadratic([[0.05, 0.0], [0.0, 1.0]])), np.array([3.0, 2.0])
    runs = {name: gf.iterate(flow, scheme, x0, step=STEP, steps=STEPS) for name, scheme in SCHEMES.items()}
    falls = {name: modified(flow, scheme, x0) for name, scheme in list(SCHEMES.items())[:3]}
    left, right = (figure := Figure(figsize=(11, 4.4), layout="constrained")).subplots(1, 2)
    for name, squares in falls.items():
        left.semilogy(np.maximum(squares, 1e-16), STYLES[name], label=name)
    for name, run in runs.items():
        right.semilogy(np.maximum(run.energy, 1e-16), STYLES[name], label=name)
    right.set(xlabel="step k", title="E itself", ylim=(1e-12, 1e4))
    _ = left.legend(), right.legend(), left.set(xlabel="step k", title="r², which is proved to fall")
    end = {name: float(run.energy[-1]) for name, run in runs.items()}
    rise, down = float(runs["one r"].energy[1] / runs["one r"].energy[0]), np.diff(runs["discrete gradient"].energy)
    _table.settle(
        ("r² falls by every step, of all three", sound := all((np.diff(r) <= 0).all() for r in falls.values()), sound),
        ("E after a step with one r, of E before", rise, rise > 100),
        ("E where that run stands still", end["one r"], end["one r"] > 1 and "still" in str(runs["one r"].status)),
        ("E falls by every step of the discrete gradient", down.max() <= 0, down.max() <= 0),
    )  # fmt: skip
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
