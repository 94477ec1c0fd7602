"""N steps of a scheme from rest, as combinations of the start and of all gradients asked."""

from fractions import Fraction

import numpy as np

from .conditions import Points, points
from .problem import Problem


class Run:
    """A run on an energy of which nothing is known: vectors are rows over x₀ − x* and the gradients.

    Attributes:
        positions: x₀ − x*, …, x_N − x*, each (d,).
        names: of the points where gradients are asked.
    """

    def __init__(self, asked: Problem, steps: int) -> None:
        space = asked.space
        # A gradient at each iterate may be asked for, beside those of the scheme.
        size = 2 + space.start_points.shape[0] + sum(asked.step(k).gradients + 1 for k in range(steps))
        self._unit = np.array([[Fraction(int(i == j)) for j in range(size)] for i in range(size)], dtype=object)
        self._asked: list[np.ndarray] = []
        self.names: list[str] = []
        start = self._unit[:1]
        first = self._gradients(space.start_points[:, :1] @ start, space.start_points[:, 1:], "0")
        state = space.start @ np.vstack([start, first])
        self.positions = [start[0]]
        for k in range(steps):
            space = asked.step(k)
            inputs = self._gradients(space.C @ state, space.D, str(k))
            state = space.A @ state + space.B @ inputs
            self.positions.append((space.position @ state)[0])

    def place(self, k: int) -> int:
        """The place among the points at which x_k is one: its gradient is asked if it was not."""
        return self.place_of(self.positions[k], str(k))

    @property
    def size(self) -> int:
        """d, how many vectors there are: x₀ − x* and the gradients."""
        return 1 + len(self._asked)

    def row(self, k: int) -> np.ndarray:
        """x_k − x*, (1, d)."""
        return self.positions[k][None, : self.size]

    def points(self) -> Points:
        """The minimizer and the points asked."""
        return points(np.vstack(self._asked)[:, : self.size], self._unit[1 : self.size, : self.size], self.names)

    def _gradients(self, points: np.ndarray, through: np.ndarray, step: str) -> np.ndarray:
        """The gradients at points that depend on themselves and on those before, as rows."""
        rows: list[np.ndarray] = []
        for i, point in enumerate(points):
            name = step if len(points) == 1 else f"{step};{i + 1}"
            known = point + sum((through[i, j] * rows[j] for j in range(i)), 0 * point)
            if through[i, i]:
                # An implicit point: its own gradient is part of it.
                own = self._unit[self.size]
                self._asked.append(known + through[i, i] * own)
                self.names.append(name)
                rows.append(own)
            else:
                rows.append(self._unit[1 + self.place_of(known, name)])
        return np.array(rows, dtype=object).reshape(-1, self._unit.shape[1])

    def place_of(self, row: np.ndarray, name: str) -> int:
        """The place of a point given by its row; it is asked there, and named so, if it was not."""
        for place, point in enumerate(self._asked):
            if (point == row).all():
                return place
        self._asked.append(row)
        self.names.append(name)
        return len(self._asked) - 1
