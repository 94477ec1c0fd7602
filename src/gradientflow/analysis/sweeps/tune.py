"""The best parameters of each method, found on one budget."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from gradientflow.flows import check_integer, looks_at_numbers

from ..results.grades import Measured
from ..results.result import Drawn
from .lanes import arguments_of, lanes_of
from .result import Sweep
from .sweep import sweep


@dataclasses.dataclass(frozen=True, repr=False)
class Tuned(Measured, Drawn):
    """The best of each method, all tuned on one budget; its figure has every trial.

    Attributes:
        budget: how many steps every run took.
        trials: how many runs every method was given.
        best: the best values of each method, by label and name.
        energy: E at the end of the best run, by label.
        sweeps: all runs of each, by label.
    """

    drawn_by: ClassVar[str] = "sweeps.figures:plot_tuned"
    budget: int
    trials: int
    best: dict[str, dict[str, Any]]
    energy: dict[str, float]
    sweeps: dict[str, Sweep]

    def table(self) -> Any:
        """One row a method: its best values, E there, E's median and ninth decile over all trials, what diverged.

        How far the median lies above the best is how much the method asks of whoever tunes it.
        """
        import pandas as pd

        rows = []
        for label, found in self.sweeps.items():
            energy = np.where(np.isfinite(found.energy) & (found.outcome != "diverged"), found.energy, np.inf).ravel()
            with np.errstate(invalid="ignore"):
                median, decile = np.quantile(energy, [0.5, 0.9], method="higher")
            rows.append(
                {"method": label, "best": ", ".join(f"{name} = {_shown(v)}" for name, v in self.best[label].items()),
                 "energy": self.energy[label], "median": median, "ninth decile": decile,
                 "diverged": float((found.outcome == "diverged").mean())}
            )  # fmt: skip
        return pd.DataFrame(rows).set_index("method")

    @property
    def headline(self) -> str:
        """The budget."""
        return f"Tuned on one budget: {self.trials} trials of {self.budget:,} steps for every method"

    def __repr__(self) -> str:
        """The budget and the table."""
        return f"{self.headline}\n{self.table().to_string(float_format=lambda value: f'{value:.4g}')}\n{self.grade}"


@looks_at_numbers
def tune(
    make: Callable[..., Any] | Mapping[str, Callable[..., Any]],
    x0: Any,
    over: Any,
    budget: int,
    *,
    seed: int = 0,
    **options: Any,
) -> Tuned:
    """The parameters of each method with the least energy after `budget` steps, each found with as many trials.

    A method with more parameters has more combinations to try; so that it is not tuned with more effort, all are given
    as many as the one with the fewest has, drawn without replacement.

    Args:
        make: from parameters to a Method; or several such functions by label.
        x0: the start of all runs.
        over: values by name, as for `sweep`; of several functions by label, or those that each of them takes.
        budget: how many steps a run takes.
        seed: of the draw.
        options: further ones of `sweep`: `key`, `oracle`, `gtol`.

    Raises:
        TypeError: as `sweep` does.
        ValueError: likewise; and if for a label there is nothing to sweep.

    References:
        J. Bergstra, Y. Bengio, Random search for hyper-parameter optimization, JMLR 13, 2012.

    Example:
        >>> import gradientflow as gf
        >>> E = gf.landscapes.bowl()
        >>> make = {"descent": lambda lr: gf.optimizers.gradient_descent(E, lr=lr)}
        >>> found = gf.tune(make, [3.0, 1.0], {"lr": [0.01, 0.1, 0.5]}, budget=20)
        >>> found.best
        {'descent': {'lr': 0.1}}
    """
    check_integer("tune", 1, budget=budget)
    makes = dict(make) if isinstance(make, Mapping) else {getattr(make, "__name__", "method"): make}
    lanes = {label: lanes_of(one, _own(label, one, over), ()) for label, one in makes.items()}
    trials = min(map(len, lanes.values()))
    draw = np.random.default_rng(seed)
    sweeps = {}
    for label, one in makes.items():
        chosen = np.sort(draw.choice(len(lanes[label]), trials, replace=False))
        sweeps[label] = sweep(one, x0, over=lanes[label].at(chosen), zipped=True, steps=budget, **options)
    best = {label: found.best for label, found in sweeps.items()}
    energy = {label: _least(found) for label, found in sweeps.items()}
    return Tuned(int(budget), trials, best, energy, sweeps)


def _own(label: str, make: Callable[..., Any], over: Any) -> Any:
    """What is swept of one method."""
    if isinstance(over, Mapping) and label in over and isinstance(over[label], Mapping):
        return over[label]
    taken = arguments_of(make)
    if taken is None or not isinstance(over, Mapping):
        return over
    own = {name: values for name, values in over.items() if name in taken}
    return own or over


def _least(found: Sweep) -> float:
    energy = np.where(np.isfinite(found.energy) & (found.outcome != "diverged"), found.energy, np.inf)
    return float(energy.min())


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else getattr(value, "__name__", str(value))
