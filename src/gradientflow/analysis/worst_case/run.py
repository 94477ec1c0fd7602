"""N steps of a scheme from rest, as combinations of the start and of all gradients asked."""

from fractions import Fraction
from typing import Any

import numpy as np

from .conditions import Points
from .problem import Problem


class Run:
    """A run on an energy of which nothing is known, or on a sum f + g of two.

    Vectors are rows over x₀ − x* and the gradients; of a sum ∇f(x*) is the first of these, and −∇f(x*) in ∂g(x*).

    Attributes:
        positions: x₀ − x*, …, x_N − x*, each (d,).
        names: of the vectors of the basis after the first.
    """

    def __init__(self, asked: Problem, steps: int) -> None:
        space = asked.space
        self._is_sum = asked.nonsmooth is not None
        # A gradient of each energy at each iterate may be asked for, beside those of the scheme.
        size = 5 + space.start_points.shape[0] + sum(asked.step(k).gradients + 2 for k in range(steps))
        self._unit = np.array([[Fraction(int(i == j)) for j in range(size)] for i in range(size)], dtype=object)
        self._asked: list[np.ndarray] = []
        self._parts: list[int] = []
        self._implicit: list[bool] = []
        self._named: list[str] = []
        self.names: list[str] = [r"*"] if self._is_sum else []
        start = self._unit[:1]
        first = self._gradients(space.start_points[:, :1] @ start, space.start_points[:, 1:], "0", space.start_parts)
        state = space.start @ np.vstack([start, first])
        self.positions = [start[0]]
        for k in range(steps):
            space = asked.step(k)
            used = space.B.any(axis=0) | space.D.any(axis=0)
            inputs = self._gradients(space.C @ state, space.D, str(k), space.parts, used)
            state = space.A @ state + space.B @ inputs
            self.positions.append((space.position @ state)[0])

    def place(self, k: int) -> int:
        """The place among the points at which x_k is one: its gradient is asked if it was not."""
        return self.place_of(self.positions[k], str(k))

    def place_of(self, row: np.ndarray, name: str, part: int = 0) -> int:
        """The place, among an energy's points, of one given by its row; it is asked there, and named so, if not yet."""
        place = self._once(row, name, part, by_prox=True)
        return sum(of == part for of in self._parts[:place])

    @property
    def size(self) -> int:
        """d, how many vectors there are: x₀ − x* and the gradients."""
        return self._first + len(self._asked)

    def row(self, k: int) -> np.ndarray:
        """x_k − x*, (1, d)."""
        return self.positions[k][None, : self.size]

    def points(self, part: int = 0) -> Points:
        """The minimizer and the points asked of an energy."""
        kept = [i for i, of in enumerate(self._parts) if of == part]
        size = self.size
        x = np.array([0 * self._unit[0], *(self._asked[i] for i in kept)], dtype=object)[:, :size]
        gradients = np.array([0 * self._unit[0], *(self._unit[self._first + i] for i in kept)], dtype=object)[:, :size]
        if self._is_sum:
            gradients[0, 1] = Fraction(-1 if part else 1)
        return Points(x, gradients, ("*", *(self._named[i] for i in kept)))

    @property
    def _first(self) -> int:
        """The place of the first gradient asked in the basis."""
        return 2 if self._is_sum else 1

    def _once(self, row: np.ndarray, name: str, part: int, by_prox: bool) -> int:
        """The place of a point among all, asked if it was not; a subgradient of g there by a proximal map if it may."""
        fits = (i for i, of in enumerate(self._parts) if of == part and (by_prox or not part or not self._implicit[i]))
        same = (i for i in fits if (self._asked[i] == row).all())
        found = next(same, None)
        return self._ask(row, name, part, implicit=False) if found is None else found

    def _ask(self, row: np.ndarray, name: str, part: int, implicit: bool) -> int:
        self._asked.append(row)
        self._implicit.append(implicit)
        self._parts.append(part)
        self._named.append(name)
        self.names.append(rf"{name}'" if part else name)
        return len(self._asked) - 1

    def _gradients(
        self, points: np.ndarray, through: np.ndarray, step: str, parts: tuple[int, ...], used: Any = None
    ) -> np.ndarray:
        """The gradients at points that depend on themselves and on those before, as rows.

        That g has a subgradient where a scheme asks for one and does not use it is nothing to rely on.
        """
        rows: list[np.ndarray] = []
        for i, point in enumerate(points):
            name, part = step if len(points) == 1 else f"{step};{i + 1}", parts[i] if parts else 0
            known = point + sum((through[i, j] * rows[j] for j in range(i)), 0 * point)
            if part and used is not None and not used[i]:
                own = 0 * point
            elif through[i, i]:
                # An implicit point: its own gradient is part of it.
                own = self._unit[self.size]
                self._ask(known + through[i, i] * own, name, part, implicit=True)
            else:
                own = self._unit[self._first + self._once(known, name, part, by_prox=False)]
            rows.append(own)
        return np.array(rows, dtype=object).reshape(-1, self._unit.shape[1])
