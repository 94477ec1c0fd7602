"""Does a trust region make gradient descent converge from poor starts on a non-convex energy?

On Himmelblau's function, from 25 starts in [−8, 8]², steps of 0.01 find a minimum from 11 and diverge from the others.
With no step longer than ½ they find one from all. But clipping is no cure for a step beyond the stability limit: with
0.03 > 2/80.6 clipped descent hops about the minima for ever. A true trust region, whose radius follows the energy,
needs no step size and half the steps, and its energy never rises. Clipping g = (6, 8) and clipping its step differ.
"""

import _output
import jax
import numpy as np
from matplotlib.figure import Figure

import gradientflow as gf

jax.config.update("jax_enable_x64", True)
RULES = {
    "step 0.01": (0.01, "C7"),
    "0.01, no longer than ½": (gf.ClippedStep(0.01, radius=0.5), "C0"),
    "0.03, no longer than ½": (gf.ClippedStep(0.03, radius=0.5), "C1"),
    "trust region": (gf.TrustRegionStep(radius=0.5), "C2"),
}


def main() -> None:
    """Counts the starts from which each finds a minimum, and clips one step two ways."""
    E = gf.landscapes.himmelblau()
    assert 2 / min(np.linalg.eigvalsh(jax.hessian(E.value)(np.array(x)))[-1] for x in E.minima) < 0.0249
    left, right = (figure := Figure(figsize=(12, 5.2), layout="constrained")).subplots(1, 2)
    x1, x2 = np.meshgrid(np.linspace(-8.5, 8.5, 200), np.linspace(-8.5, 8.5, 200))
    left.contour(x1, x2, E(np.array([x1, x2])), np.geomspace(3, 8000, 12), colors="0.85", linewidths=0.8)
    starts, results = np.stack(np.meshgrid(*2 * [np.linspace(-8, 8, 5)]), axis=-1).reshape(-1, 2), []
    for label, (rule, colour) in RULES.items():
        method = gf.optimizers.gradient_descent(E, rule)
        runs = [method.iterate(start, steps=200) for start in starts]
        needed = [int(np.argmax(run.energy < 1e-8)) for run in runs]
        lost = sum(run.status == "diverged" for run in runs)
        rising = sum(bool((run.energy[1:] > run.energy[:-1] + 1e-9).any()) for run in runs)
        results.append((int(np.count_nonzero(needed)), lost, rising, int(np.median([n for n in needed if n] or [0]))))
        print("{}: finds a minimum from {} of 25; {} diverge, {} rise; {} steps".format(label, *results[-1]))
        run = method.iterate([8.0, 8.0], steps=60)
        left.plot(*np.clip(run.x, -30, 30).T, ".-", ms=4, lw=0.9, color=colour, label=label)
        right.semilogy(np.clip(run.energy, 0, 1e20), ".-", ms=4, lw=0.9, color=colour, label=label)
    assert [result[:2] for result in results] == [(11, 14), (25, 0), (0, 0), (25, 0)]
    assert results[1][2] == results[3][2] == 0 < results[3][3] < 0.6 * results[1][3]
    left.set(xlim=(-8.5, 8.5), ylim=(-8.5, 8.5), aspect="equal", xlabel="x", ylabel="y", title="From (8, 8)")
    right.set(xlabel="step k", ylabel="E", ylim=(1e-12, 1e9), title="A bound tames; it doesn't settle")
    right.legend()
    for rule, oracle, factor in ((0.2, gf.ClippedGradient(1.5), 0.15), (gf.ClippedStep(0.2, 1.5), None, 0.75)):
        method = gf.optimizers.gradient_descent(gf.Quadratic(np.diag([6.0, 8.0])), rule)
        x = method.iterate([1.0, 1.0], 1, oracle=oracle).x
        assert np.allclose(x[1], 1 - factor * 0.2 * np.array([6.0, 8.0]), rtol=0, atol=1e-12)
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
