"""How do methods descend that never see a gradient: Nelder and Mead's simplex, and SPSA's two values a step?

Every iteration of a simplex search has a name, told by where the new vertex lies on the line from the worst one through
the middle of the others. SPSA's gradient along one random direction is right in the mean, and with a decaying step it
arrives, with more values than the simplex takes.
"""

import _output
import _table
import jax
import numpy as np
from matplotlib.figure import Figure
from scipy.optimize import minimize

import gradientflow as gf

jax.config.update("jax_enable_x64", True)
MOVES = {1.0: "reflection", 2.0: "expansion", 0.5: "outside contraction", -0.5: "inside contraction"}
COLOURS = dict(zip([*MOVES.values(), "shrinking"], ["C0", "C1", "C2", "C6", "C8"], strict=True))


def move(old: np.ndarray, new: np.ndarray) -> str:
    """The name of the step from one simplex, its vertices from the best to the worst, to the next."""
    centre, away = old[:-1].mean(axis=0), old[:-1].mean(axis=0) - old[-1]
    fresh = [v for v in new if not (v == old).all(axis=1).any()]
    if len(fresh) != 1:
        return "shrinking"
    return MOVES[round(float((fresh[0] - centre) @ away / (away @ away)), 6)]


def main() -> None:
    """Names the moves of thirty simplices on Beale's function, and runs SPSA on it."""
    E, box = gf.landscapes.beale(), ((0.2, 3.6), (-0.7, 1.3))
    simplices = [np.array(sorted([[1.0, 1.0], [1.5, 1.0], [1.0, 1.3]], key=E))]
    for _ in range(30):
        options = {"initial_simplex": simplices[-1], "maxiter": 2}
        simplices.append(minimize(E.value, simplices[-1][0], method="Nelder-Mead", options=options).final_simplex[0])
    names = [move(simplices[k], simplices[k + 1]) for k in range(30)]
    values = [float(E.value(simplex[0])) for simplex in simplices]
    descent = gf.optimizers.gradient_descent(E, gf.ScheduledStep(lambda k: 0.02 / (1 + k / 50) ** 0.6))
    runs = [descent.iterate([1.0, 1.0], 600, oracle=gf.SPSAGradient(0.01), key=jax.random.key(i)) for i in range(8)]
    left, right = (figure := Figure(figsize=(13, 5.2), layout="constrained")).subplots(1, 2)
    gf.plots.landscape(E, box, ax=left, title="Simplices, by the move that made them")
    gf.plots.landscape(E, box, paths=runs[:3], ax=right, title="SPSA: three draws")
    for simplex, name in zip(simplices, ["the first", *names], strict=True):
        left.fill(*simplex.T, fill=False, ec=COLOURS.get(name, "black"), lw=1.4)
    for name in [name for name in COLOURS if name in names]:
        left.plot([], [], color=COLOURS[name], label=f"{name}: {names.count(name)}")
    left.legend(loc="lower left", fontsize=9)
    _table.settle(
        ("all thirty moves have a name", len(names), len(names) == 30),
        ("the best value never rises", values[-1], bool((np.diff(values) <= 0).all())),
        ("SPSA arrives from all draws", float(max(r.energy[-1] for r in runs)), all(r.energy[-1] < .1 for r in runs)),
        ("after 30 moves the simplex is lower still", values[-1], values[-1] < min(float(r.energy[-1]) for r in runs)),
    )  # fmt: skip
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
