"""Where an optimizer converges on every energy of a class, over two of its parameters: proved, refuted or unknown."""

import dataclasses
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd

from gradientflow.discretizers import Method
from gradientflow.flows import Mode, looks_at_numbers
from gradientflow.flows.checks import in_a_line

from ..exact.algebra import rational_functions
from ..exact.leaf import Exact
from ..exact.state_space import characteristic
from ..exact.subject import read_family
from ..exact.unit_disk import is_simple_von_neumann
from ..results.grades import Grade, Graded, weakest
from ..results.result import Drawn
from .cycles import best_cycle
from .problem import EnergyClass, Problem, balanced, energy_class
from .search import certificate_at

# A cell is proved where distances shrink by this factor a step or a better one.
_RATE = 1 - Fraction(1, 2**16)
_CURVATURES = 33


@dataclasses.dataclass(frozen=True)
class ConvergenceMap(Graded, Drawn):
    """Whether an optimizer converges on all of F_{μ,L}, over two of its parameters.

    `.plot()` draws the map: where it is proved to converge, where a quadratic or a cycle refutes it, and what is left.

    Attributes:
        optimizer: its name.
        names: the parameters' names: the horizontal one, then the vertical one.
        horizontal: values of the first, shape (n,).
        vertical: values of the second, shape (m,).
        energies: the class.
        grades: *proved*, *refuted* or *unknown*, shape (m, n).
        periods: of refuted cells, the steps of a cycle; 1 where a quadratic does it; else 0. Shape (m, n).
    """

    drawn_by = "worst_case.figures:plot_convergence_map"

    optimizer: str
    names: tuple[str, str]
    horizontal: np.ndarray
    vertical: np.ndarray
    energies: EnergyClass
    grades: np.ndarray
    periods: np.ndarray

    def table(self) -> pd.DataFrame:
        """The grades, a row for each value of the second parameter, a column for each of the first."""
        rows, columns = (
            pd.Index(v, name=n) for v, n in zip((self.vertical, self.horizontal), self.names[::-1], strict=True)
        )
        return pd.DataFrame([[str(grade) for grade in row] for row in self.grades], index=rows, columns=columns)

    @property
    def grade(self) -> Grade:
        """What holds of the whole map: each cell has its own among `grades`."""
        return weakest(self.grades.ravel().tolist())

    def __repr__(self) -> str:
        """How many cells are which."""
        counts = {grade: int((self.grades == grade).sum()) for grade in (Grade.PROVED, Grade.REFUTED, Grade.UNKNOWN)}
        cells = ", ".join(f"{count} {grade}" for grade, count in counts.items())
        return f"{self.optimizer} on {self.energies} over {' and '.join(self.names)}: {cells}"


@looks_at_numbers
def convergence_map(optimizer: Callable[..., Method], mu: Any, L: Any, **parameters: Any) -> ConvergenceMap:
    """Where an optimizer converges on *every* energy of F_{μ,L}, over a grid of two of its parameters.

    Each cell has a Lyapunov function that was checked in exact arithmetic (*proved*), or an energy of the class and a
    state, of position and velocity or memory, from which the optimizer does not converge on it, a quadratic's or a
    cycle's (*refuted*); or neither was found (*unknown*).

    Args:
        optimizer: (energy, parameters by name) ↦ a `Method`, such as `gf.optimizers.momentum`.
        mu: μ > 0.
        L: L > μ, finite.
        parameters: exactly two, by name, each with its values: the horizontal one first.

    Raises:
        ValueError: if there aren't two parameters, a value isn't finite, or a number is out of its range.
        NotExactError: if the recipe can't be read, naming the line.

    References:
        A. B. Taylor, B. Van Scoy, L. Lessard, Lyapunov functions for first-order methods, ICML 2018, for what is
        proved.
        B. Goujaud, A. B. Taylor, A. Dieuleveut, Provable non-accelerations of the heavy-ball method, 2023, for what
        cycles refute.

    Example:
        >>> import gradientflow as gf
        >>> gf.convergence_map(gf.optimizers.momentum, 1, 10, lr=[0.1, 0.15, 0.3], beta=[0.25, 0.5])
        momentum on F(1, 10) over lr and beta: 4 proved, 2 refuted, 0 unknown
    """
    energies = energy_class("convergence_map", mu, L, strongly=True)
    if energies.L is None:
        raise ValueError("convergence_map: `L` must be finite")
    if len(parameters) != 2:
        raise ValueError(
            f"convergence_map: give two parameters, lr=… and beta=… say, got {sorted(parameters) or 'none'}"
        )
    (first, second), (xs, ys) = tuple(parameters), [_values(name, given) for name, given in parameters.items()]
    field = rational_functions(("p0", "p1"))
    x, y = map(Exact, field.gens)
    name = getattr(optimizer, "__name__", type(optimizer).__name__)
    sample = {first: float(xs[0]), second: float(ys[0])}
    reading = read_family("convergence_map", optimizer, {first: x, second: y}, field, sample)
    grades, periods = np.full((len(ys), len(xs)), Grade.UNKNOWN, dtype=object), np.zeros((len(ys), len(xs)), dtype=int)
    for i, j in np.ndindex(grades.shape):
        # The optimizer itself says which numbers it takes.
        method = optimizer(Mode(1.0), **{first: float(xs[j]), second: float(ys[i])})
        space = reading.at(xs[j], ys[i]).with_position_in_state("convergence_map")
        grades[i, j], periods[i, j] = _decided(balanced(method, energies, space.minimal()))
    shown = [np.array([float(value) for value in values]) for values in (xs, ys)]
    return ConvergenceMap(name, (first, second), shown[0], shown[1], energies, grades, periods)


def _decided(asked: Problem) -> tuple[Grade, int]:
    curvatures, loops = asked.space.as_floats().closed_loop(np.linspace(float(asked.mu), 1.0, _CURVATURES))
    radii = np.abs(np.linalg.eigvals(loops)).max(axis=-1)
    if radii.max() > 1:
        # The float is a curvature of its own, but for the ends it may lie just outside.
        lam = min(max(Fraction(float(curvatures[int(radii.argmax())])), asked.mu), Fraction(1))
        if _is_unstable(asked, lam):
            return Grade.REFUTED, 1
    cycle = best_cycle(asked) if asked.space.gradients == 1 else None
    if cycle is not None:
        return Grade.REFUTED, cycle[0]
    return (Grade.UNKNOWN if certificate_at(asked, _RATE) is None else Grade.PROVED), 0


def _is_unstable(asked: Problem, lam: Fraction) -> bool:
    """Whether the quadratic λx²/2 has unbounded iterates, exactly; of schemes that ask one gradient a step."""
    space = asked.space
    if space.gradients != 1 or 1 - lam * space.D[0, 0] == 0:
        return False
    feedback = space.C * (lam / (1 - lam * space.D[0, 0]))
    return not is_simple_von_neumann(characteristic(space.A + space.B @ feedback))


def _values(name: str, given: Any) -> list[Fraction]:
    values: list[Any] = []
    try:
        values = list(given)
        finite = bool(values) and all(math.isfinite(float(value)) for value in values)
    except (TypeError, ValueError):
        finite = False
    if not finite:
        raise ValueError(f"convergence_map: `{name}` must be finite values, [0.1, 0.2] say, got {in_a_line(given)}")
    return [value if isinstance(value, Fraction) else Fraction(float(value)) for value in values]
