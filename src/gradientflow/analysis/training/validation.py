"""Training and validation: a run's energy on examples that it does not see, and when to stop."""

import dataclasses
from typing import Any

import jax
import numpy as np
import pandas as pd

from gradientflow.flows import Energy, Trajectory, along, check_integer
from gradientflow.flows import energy as as_energy
from gradientflow.flows.checks import by_name

from ..results.grades import Measured
from ..results.result import Drawn


@dataclasses.dataclass(frozen=True)
class ValidationCurve(Measured, Drawn):
    """Two energies along a run: the one that it descends, and the one that counts.

    `.plot()` draws both curves over the steps, with the best row marked.

    Attributes:
        steps: the saved steps' indices, shape (n,).
        t: their times [T], shape (n,).
        training: the run's own energy, shape (n,).
        validation: the other one, shape (n,).
        positions: the user's pytree with a leading axis of length n.
    """

    drawn_by = "training.figures:plot_validation"

    steps: np.ndarray
    t: np.ndarray
    training: np.ndarray
    validation: np.ndarray
    positions: Any = dataclasses.field(repr=False)

    @property
    def best(self) -> int:
        """The row at which the validation energy is least; where a run has diverged does not count."""
        return int(np.argmin(np.where(np.isfinite(self.validation), self.validation, np.inf)))

    @property
    def x(self) -> Any:
        """The position there: the model to keep."""
        return jax.tree.map(lambda leaf: leaf[self.best], self.positions)

    @property
    def gap(self) -> np.ndarray:
        """The validation energy less the training energy."""
        return self.validation - self.training

    def stopped(self, patience: Any) -> "ValidationCurve":
        """What early stopping would have seen of it: up to the row at which patience ends.

        Args:
            patience: how many saved rows in a row may bring no new minimum.

        Raises:
            TypeError: if it is not an integer.
            ValueError: if it is less than 1.
        """
        check_integer("stopped", 1, patience=patience)
        rows = np.arange(len(self.validation))
        values = np.where(np.isfinite(self.validation), self.validation, np.inf)
        is_new = np.append(True, values[1:] < np.minimum.accumulate(values)[:-1])
        waited = rows - np.maximum.accumulate(np.where(is_new, rows, 0))
        end = int(np.argmax(waited >= patience)) + 1 if (waited >= patience).any() else len(rows)
        return ValidationCurve(
            self.steps[:end], self.t[:end], self.training[:end], self.validation[:end],
            jax.tree.map(lambda leaf: leaf[:end], self.positions),
        )  # fmt: skip

    def table(self) -> pd.DataFrame:
        """One row a saved step."""
        columns = {"step": self.steps, "t": self.t, "training": self.training, "validation": self.validation,
                   "gap": self.gap}  # fmt: skip
        return pd.DataFrame(columns).set_index("step")

    def __repr__(self) -> str:
        """The best row, and the last."""
        rows = [f"{what}: step {self.steps[row]}, training {self.training[row]:.4g}, validation "
                f"{self.validation[row]:.4g}" for what, row in (("best", self.best), ("last", -1))]  # fmt: skip
        return "\n".join([*rows, str(self.grade)])


@by_name
def validation_curve(run: Any, energy: Any) -> ValidationCurve:
    """Follows another energy along a run: the same loss on examples that the run does not see.

    Args:
        run: the iterates, or a path.
        energy: the validation energy, or any callable of the position.

    Raises:
        TypeError: if `run` is no trajectory.

    References:
        L. Prechelt, Early stopping – but when?, in Neural Networks: Tricks of the Trade, 1998.

    Example:
        >>> import gradientflow as gf
        >>> training, unseen = gf.energy(lambda x: (x - 3.0) ** 2), gf.energy(lambda x: (x - 2.0) ** 2)
        >>> run = gf.optimizers.gradient_descent(training, lr=0.25).iterate(0.0, steps=8)
        >>> gf.validation_curve(run, unseen)
        best: step 2, training 0.5625, validation 0.0625
        last: step 8, training 0.0001373, validation 0.9767
        measured
    """
    if not isinstance(run, Trajectory):
        raise TypeError(f"validation_curve: `run` must be made by iterate or integrate, got {type(run).__name__}")
    values = along(_value, run.x, as_energy(energy))
    steps, t, training, validation = (np.asarray(row) for row in (run.steps, run.t, run.energy, values))
    return ValidationCurve(steps, t, training, validation, run.x)


def _value(x: Any, energy: Energy) -> Any:
    return energy.value(x)
