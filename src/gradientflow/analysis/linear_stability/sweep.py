"""Steps from far below the limit to beyond it, run side by side: what is predicted, and what happens."""

import dataclasses
import enum
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import numpy as np
import pandas as pd

from gradientflow.discretizers import Discretizer, Method, as_method
from gradientflow.flows import Flow, check_integer, check_positive, looks_at_numbers, prepare

from ..results.grades import Measured
from ..results.result import Drawn
from ..sweeps.result import Sweep
from ..sweeps.sweep import sweep
from .stability import Stability, stability

_ROUNDING = 1e-12
_DEFAULT_MULTIPLES = tuple(np.round(np.linspace(0.1, 3.0, 30), 10).tolist())


class Behaviour(enum.StrEnum):
    """What a step does near the minimizer, by the eigenvalues w of its matrix."""

    MONOTONE = "monotone"
    OSCILLATING = "oscillating"
    GROWING = "growing"


@dataclasses.dataclass(frozen=True)
class StepSweep(Measured, Drawn):
    """Runs of one scheme with many steps.

    `.plot()` draws the three behaviours side by side, and the factor a step over all steps.

    Attributes:
        stability: the limit, and the point it is about.
        h: the steps, increasing.
        runs: the run with each, with all of its iterates and energies.
        predicted: the spectral radius of each step at the minimizer.
        measured: the factor by which the distance to the minimizer shrank a step, over the last half of each run: NaN
            where it had nothing left to shrink, or was not finite.
    """

    drawn_by = "linear_stability.figures:plot_sweep"

    stability: Stability
    h: np.ndarray
    runs: Sweep
    predicted: np.ndarray
    measured: np.ndarray

    def behaviour(self, i: int) -> Behaviour:
        """What step i does: all w in [0, 1], some w negative or complex in the unit disk, or some |w| above 1."""
        w: Any = self.stability.eigenvalues(float(self.h[i]))
        if np.abs(w).max() > 1 + _ROUNDING:
            return Behaviour.GROWING
        return (
            Behaviour.OSCILLATING
            if ((w.real < -_ROUNDING) | (np.abs(w.imag) > _ROUNDING)).any()
            else Behaviour.MONOTONE
        )

    def table(self) -> pd.DataFrame:
        """One row a step: h, h·λ_max, predicted and measured factor a step, behaviour, last energy, status."""
        top = float(sum(self.stability.curvatures.greatest) / 2)
        rows = [
            {"h": h, "h·λ_max": h * top, "predicted": self.predicted[i], "measured": self.measured[i],
             "behaviour": str(self.behaviour(i)), "energy": float(self.runs.energy[i]),
             "status": str(self.runs.outcome[i])}
            for i, h in enumerate(self.h)
        ]  # fmt: skip
        return pd.DataFrame(rows).set_index("h")

    def __repr__(self) -> str:
        """The table."""
        table = self.table().to_string(float_format=lambda value: f"{value:.4g}", na_rep="–")
        return f"{table}\n{self.grade}"


@looks_at_numbers
def step_sweep(
    flow: Flow | Method,
    discretizer: Discretizer | None = None,
    x0: Any = None,
    *,
    multiples: Sequence[float] = _DEFAULT_MULTIPLES,
    steps: int = 100,
    at: Any = None,
) -> StepSweep:
    """Runs a scheme with steps from 0.1/λ to 3/λ, λ being the greatest curvature at the minimizer.

    Args:
        flow: the flow; or a Method, of whose own step nothing is used.
        discretizer: the scheme; left out with a Method.
        x0: the start of all.
        multiples: h·λ of the runs, increasing.
        steps: how many steps each takes.
        at: the minimizer, as for `stability`.

    Raises:
        ValueError: if `multiples` are not positive and increasing, or as `stability` does.

    References:
        E. Hairer, G. Wanner, Solving Ordinary Differential Equations II, 2nd ed. 1996, section IV.2.

    Example:
        >>> import gradientflow as gf
        >>> E = gf.Quadratic([[1.0, 0.0], [0.0, 9.0]])
        >>> sweep = gf.step_sweep(gf.GradientFlow(E), gf.ForwardEuler(), [3.0, 1.0], multiples=(0.5, 1.5, 2.5))
        >>> list(sweep.table()["behaviour"])
        ['monotone', 'oscillating', 'growing']
    """
    _, asked, discretizer, _ = as_method("step_sweep", flow, discretizer)
    found = stability(asked, discretizer, at)
    flow, _ = prepare("step_sweep", asked, x0, None)
    check_integer("step_sweep", 4, steps=steps)
    chosen = np.asarray(multiples, dtype=float)
    if chosen.ndim != 1 or not chosen.size or (np.diff(chosen) <= 0).any():
        raise ValueError(f"step_sweep: `multiples` must be increasing numbers, got {multiples}")
    check_positive("step_sweep", multiples=float(chosen[0]))
    top = float(sum(found.curvatures.greatest) / 2)
    check_positive("step_sweep", greatest_curvature=top)
    h = chosen / top
    make = eqx.Partial(Method, flow, discretizer)
    runs = sweep(make, x0, over={"step": h}, steps=steps, record=("x", "energy"))
    leaves = zip(jax.tree.leaves(runs.rows["x"]), jax.tree.leaves(found.at), strict=True)
    squares = [((x - np.asarray(at)) ** 2).reshape(len(h), steps + 1, -1).sum(axis=2) for x, at in leaves]
    measured = np.array([_factor(distances) for distances in np.sqrt(sum(squares))])
    return StepSweep(found, h, runs, np.asarray(found.spectral_radius(h)), measured)


def _factor(distances: np.ndarray) -> float:
    """The mean factor a step over the last half of a run that stays finite and off the floor of rounding."""
    alive = np.isfinite(distances) & (distances > 1e-13 * distances[0])
    last = len(distances) - 1 if alive.all() else int(np.argmin(alive)) - 1
    first = last // 2
    if last - first < 2:
        return float("nan")
    return float((distances[last] / distances[first]) ** (1 / (last - first)))
