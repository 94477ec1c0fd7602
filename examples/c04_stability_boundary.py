"""Where does gradient descent stop converging as its step grows, and what happens there?

At 2/L exactly, L being the largest curvature. Below, every mode shrinks by |1 − hλ| a step: slowly for short steps, and
slowly again near 2/L. There the steepest mode flips its sign for ever, and beyond it grows without bound.
"""

import _output
import jax
import numpy as np
from matplotlib.figure import Figure

import gradientflow as gf

jax.config.update("jax_enable_x64", True)

CURVATURES, MU, L = np.linspace(1.0, 10.0, 10), 1.0, 10.0
COLOURS = {"converged": "tab:green", "reached the end": "tab:orange", "diverged": "tab:red"}


def _descend(h: float, steps: int = 200) -> gf.Trajectory:
    return gf.optimizers.gradient_descent(gf.Quadratic(np.diag(CURVATURES)), lr=h).iterate(np.ones(10), steps=steps)


def main() -> None:
    """Sweeps the step from 0.1/L to 3/L, then finds the boundary by bisection."""
    hs = np.linspace(0.1, 3.0, 59) / L
    runs = [_descend(h) for h in hs]
    ends = np.array([run.energy[-1] for run in runs])
    outcomes = np.array([run.status.outcome for run in runs])
    assert np.allclose(ends, (CURVATURES / 2 * (1 - hs[:, None] * CURVATURES) ** 400).sum(axis=1), rtol=1e-9, atol=0)
    assert np.all((outcomes == "diverged") == (hs * L > 2.01))
    assert abs(hs[np.argmin(ends)] - 2 / (MU + L)) < 0.05 / L

    stable, unstable = 0.1 / L, 3 / L
    while unstable - stable > 1e-12:
        h = (stable + unstable) / 2
        before, after = _descend(h, steps=2000).energy[-2:]
        stable, unstable = (h, unstable) if after < before else (stable, h)
    print(f"the energy still rises after 2000 steps if h·L ≥ {unstable * L:.10f}")
    assert abs(unstable - 2 / L) < 1e-10
    figure = Figure(figsize=(11, 5), layout="constrained")
    left, right = figure.subplots(1, 2)
    for outcome, colour in COLOURS.items():
        mine = outcomes == outcome
        print(f"{outcome}: h·L =", *(f"{h * L:.3g}" for h in hs[mine]))
        left.semilogy(hs[mine] * L, ends[mine], "o", ms=4, color=colour, label=f"200 steps: {outcome}")
        for i in np.flatnonzero(mine & np.isin(np.round(hs * L, 2), [0.1, 0.25, 1.0, 1.8, 1.95, 2.0, 2.05, 2.1])):
            right.semilogy(runs[i].energy, color=colour)
            right.annotate(f" h = {hs[i] * L:.3g}/L", (200, ends[i]), va="center")
    left.axvline(2 * L / (MU + L), color="0.6", ls=":", label="h = 2/(μ + L)")
    left.axvline(2, color="black", ls="--", lw=1, label="h = 2/L")
    left.set(xlabel="step h times L", ylabel="energy after 200 steps", title="Best at 2/(μ + L), lost from 2/L on")
    left.legend(loc="upper left")
    right.set(xlabel="step k", ylabel="energy", xlim=(0, 245), title="At 2/L the energy neither falls nor grows")
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
