"""N steps of a scheme from rest, as combinations of the start and of all gradients asked."""

from fractions import Fraction

import numpy as np

from .conditions import Points
from .problem import Problem
from .sums import rest_of_sum


class Run:
    """A run on an energy of which nothing is known, or on a sum f + g of two.

    Vectors are rows over x₀ − x* and the gradients. Of a sum they are counted from where the scheme rests: the state
    from z*, the gradients of f from q = ∇f(x*) and those of g from −q, and q itself is a vector of the basis. So what
    does not depend on q has no part in it.

    Attributes:
        positions: x₀ − x*, …, x_N − x*, each (d,): of a method whose position is a proximal point of the state, x₀ is
            one already, and not what the run was started from.
        started: what it was started from less x*, likewise.
        basis: the names of the vectors, in LaTeX.
    """

    def __init__(self, asked: Problem, steps: int) -> None:
        space = asked.space
        self._is_sum = asked.nonsmooth is not None
        # A gradient of each energy at each iterate may be asked for, beside those of the scheme.
        size = (
            5
            + asked.searched * steps
            + space.start_points.shape[0]
            + sum(asked.step(k).gradients + 2 for k in range(steps + 1))
        )
        self._unit = np.array([[Fraction(int(i == j)) for j in range(size)] for i in range(size)], dtype=object)
        self._asked: list[np.ndarray] = []
        self._parts: list[int] = []
        self._implicit: list[bool] = []
        self._named: list[str] = []
        start = self._unit[:1]
        self.basis: list[str] = ["x_0"]
        # Where a search ends is not told by the gradients before.
        self._found = steps if asked.searched else 0
        self.basis += [f"x_{{{k}}}" for k in range(1, self._found + 1)]
        if self._is_sum:
            self._rest = rest_of_sum("worst_case_bound", space)
            if self._rest[0, 0] and space.start[0, 0]:
                start = start + self._rest[0, 0] / space.start[0, 0] * self._unit[1:2]
                self.basis = ["(z_0 - z^*)"]
            self.basis.append("g_{*}")
        self.started = start[0]
        first = self._gradients(space.start_points[:, :1] @ start, space.start_points[:, 1:], "0", space.start_parts)
        state = space.start @ np.vstack([start, first])
        self.positions, self._state = [], state
        for k in range(steps):
            space = asked.step(k)
            inputs = self._gradients(space.C @ state, space.D, str(k), space.parts)
            self.positions.append((space.position @ state + space.position_inputs @ inputs)[0])
            state = self._unit[k + 1 : k + 2] if asked.searched else space.A @ state + space.B @ inputs
        # Of the last step no more is asked than its position needs.
        space = asked.step(steps)
        needed = int(np.max(np.flatnonzero(space.position_inputs), initial=-1)) + 1
        inputs = self._gradients((space.C @ state)[:needed], space.D, str(steps), space.parts, space.gradients)
        self.positions.append((space.position @ state + space.position_inputs[:, :needed] @ inputs)[0])
        if not space.position_inputs.any():
            self.positions[0] = start[0]

    def place_of(self, row: np.ndarray, name: str, part: int = 0) -> int:
        """The place, among an energy's points, of one given by its row; it is asked there, and named so, if not yet."""
        place = self._once(row, name, part, by_prox=True)
        return sum(of == part for of in self._parts[:place])

    @property
    def moved(self) -> np.ndarray:
        """The state at the start less that at rest, of a sum, (n, d)."""
        return self._state - self._rest @ self._unit[1:2]

    def by_prox(self, part: int) -> list[int]:
        """The places, among an energy's points, to which a proximal map led."""
        implicit = [by for of, by in zip(self._parts, self._implicit, strict=True) if of == part]
        return [place for place, by in enumerate(implicit) if by]

    @property
    def size(self) -> int:
        """d, how many vectors there are: x₀ − x* and the gradients."""
        return self._first + len(self._asked)

    def points(self, part: int = 0) -> Points:
        """The minimizer and the points asked of an energy."""
        kept = [i for i, of in enumerate(self._parts) if of == part]
        size = self.size
        x = np.array([0 * self._unit[0], *(self._asked[i] for i in kept)], dtype=object)[:, :size]
        gradients = np.array([self._at_rest(part), *map(self._gradient, kept)], dtype=object)[:, :size]
        return Points(x, gradients, ("*", *(self._named[i] for i in kept)))

    def _at_rest(self, part: int) -> np.ndarray:
        """The gradient at the minimizer: of a sum q of f, and −q of g."""
        return self._unit[1] * ((1 - 2 * part) if self._is_sum else 0)

    def _gradient(self, i: int) -> np.ndarray:
        """The gradient that was asked as so many-th."""
        return self._unit[self._first + i] + self._at_rest(self._parts[i])

    @property
    def _first(self) -> int:
        """The place of the first gradient asked in the basis."""
        return 2 if self._is_sum else 1 + self._found

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
        marked = f"g_{{{name}'}}" if part else f"g_{{{name}}}"
        self.basis.append(f"({marked} {'-+'[part]} g_{{*}})" if self._is_sum else marked)
        return len(self._asked) - 1

    def _gradients(
        self, points: np.ndarray, through: np.ndarray, step: str, parts: tuple[int, ...], of: int | None = None
    ) -> np.ndarray:
        """The gradients at points that depend on themselves and on those before, as rows; of so many, unless all."""
        rows: list[np.ndarray] = []
        for i, point in enumerate(points):
            name, part = step if (of or len(points)) == 1 else f"{step};{i + 1}", parts[i] if parts else 0
            known = point + sum((through[i, j] * rows[j] for j in range(i)), 0 * point)
            if through[i, i]:
                # An implicit point: its own gradient is part of it.
                own = self._unit[self.size] + self._at_rest(part)
                self._ask(known + through[i, i] * own, name, part, implicit=True)
            else:
                own = self._gradient(self._once(known, name, part, by_prox=False))
            rows.append(own)
        return np.array(rows, dtype=object).reshape(-1, self._unit.shape[1])
