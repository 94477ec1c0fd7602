"""Does the heavy ball that is best on quadratics converge on every strongly convex energy?

Polyak's numbers for curvatures between μ and L are the fastest on quadratics. On other energies with these curvatures
momentum may circle for ever: a triangle at κ = 25, found and proved from the code of its step. The numbers that are
fastest on the whole class take shorter steps and less momentum, and converge on that energy too.
"""

import _output
import _table
import jax
import numpy as np
from matplotlib.figure import Figure

import gradientflow as gf

jax.config.update("jax_enable_x64", True)
MU, L, STEPS = 1.0, 25.0, 120


def main() -> None:
    """The cycle on its energy, and what runs do from beside it."""
    lr, beta = 4 / (L**0.5 + MU**0.5) ** 2, ((L**0.5 - MU**0.5) / (L**0.5 + MU**0.5)) ** 2
    polyak = gf.optimizers.momentum(gf.Quadratic([[MU, 0.0], [0.0, L]]), lr, beta)
    cycle = gf.find_cycle(polyak, MU, L)
    walked = np.asarray(cycle.run(3 * STEPS))
    safe = gf.design(gf.optimizers.momentum, MU, L, tries=150, lr=(0, 0.16), beta=(0, 1))
    numbers = {name: float(value) for name, value in safe.parameters.items()}
    start = 0.98 * walked[0]
    runs = {
        "Polyak's numbers, quadratic": polyak.iterate(start, STEPS),
        "Polyak's, this energy, from rest": gf.optimizers.momentum(cycle.energy, lr, beta).iterate(start, STEPS),
        "fastest on the class, this energy": gf.optimizers.momentum(cycle.energy, **numbers).iterate(start, STEPS),
    }
    slower = np.asarray(runs["fastest on the class, this energy"].x)
    left, right = (figure := Figure(figsize=(11, 4.6), layout="constrained")).subplots(1, 2)
    xs = np.linspace(-1.5, 1.5, 121)
    heights = [[float(cycle.energy.value(np.array([a, b]))) for a in xs] for b in xs]
    left.contourf(xs, xs, heights, levels=25, cmap="Blues")
    left.plot(*walked[:4].T, "o-", color="C3", label="the cycle")
    left.plot(*slower[:40].T, ".-", color="C2", lw=0.8, label="fastest on the class")
    left.set(aspect="equal", title="An energy with 1 ≤ curvature ≤ 25")
    for name, run in runs.items():
        right.semilogy(np.maximum(np.linalg.norm(run.x, axis=1), 1e-16), label=name)
    right.semilogy(np.linalg.norm(walked[: STEPS + 1], axis=1), "C3--", label="the cycle's state, Polyak's numbers")
    right.set(xlabel="step k", title="Distance from the minimizer", ylim=(1e-16, 1e2))
    _ = left.legend(fontsize=8), right.legend(fontsize=8)
    _table.settle(
        ("the cycle's period", cycle.period, cycle.period == 3),
        ("in 120 rounds it has moved by", back := float(np.abs(walked[-1] - walked[0]).max()), back < 1e-6),
        ("on quadratics the same numbers shrink by", rho := gf.worst_case_rate(polyak, MU, L).quadratics, rho < 0.67),
        ("certified on the class for other numbers", safe.rate.rate, safe.rate.rate < 1 and safe.rate.check()),
        ("their run on the cycle's energy ends at", end := float(np.linalg.norm(slower[-1])), end < 1e-3),
    )
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
