"""By which pairs of points a long run is bounded: few of them matter, and which is found out as one goes.

A program with all pairs of the points of thirty steps has thousands of multipliers, of which a proof needs a hundred or
so. The nearest pairs come first; the points, gradients and values that the program's dual then tells need not be those
of an energy of the class; the pairs that say so are added, until none does. What is bounded by fewer inequalities is
bounded; and once none is violated it is as good as by all.
"""

from collections.abc import Callable

import numpy as np

from .conditions import Condition, Pair
from .measures import Chosen
from .problem import EnergyClass, Problem
from .run import Run
from .semidefinite import Solution, solve

# Runs of more steps are bounded so.
LONG = 12
# By how much an inequality must be violated, relative to the greatest of what its terms are; how often pairs are
# added, and how many at most for each of the points.
_VIOLATED, _ROUNDS, _EACH = 1e-7, 12, 2


def chosen_for(
    asked: Problem, stated: Callable[[Chosen | None], tuple[Run, Condition]]
) -> tuple[Chosen | None, Condition, Solution]:
    """The pairs, the condition with them, and the best weight; all pairs, `None`, where too few allow no bound at all.

    Args:
        asked: what was read.
        stated: the run, and what is to hold along it, with the pairs chosen.
    """
    parts = range(len(_classes(asked)))
    run, _ = stated(((),) * len(parts))
    chosen: Chosen = tuple(_nearest(len(run.points(part).names)) for part in parts)
    for left in reversed(range(_ROUNDS)):
        run, condition = stated(chosen)
        best = solve([condition.as_floats()], least=[1.0])
        if not best.is_solved:
            _, condition = stated(None)
            return None, condition, solve([condition.as_floats()], least=[1.0])
        more = _violated(asked, run, best, chosen) if left else []
        if not any(more):
            return chosen, condition, best
        chosen = tuple(tuple(sorted({*some, *others})) for some, others in zip(chosen, more, strict=True))
    raise AssertionError("the last round returns")


def _nearest(count: int) -> tuple[Pair, ...]:
    """Every point with the minimizer and with the next."""
    pairs = ((i, j) for i in range(count) for j in range(count) if i != j)
    return tuple((i, j) for i, j in pairs if not i or not j or abs(i - j) == 1)


def _violated(asked: Problem, run: Run, found: Solution, chosen: Chosen) -> list[list[Pair]]:
    """Of each energy the pairs that what the dual tells violates most."""
    values, more = found.values, []
    for part, bounds in enumerate(_classes(asked)):
        x, gradients = (rows.astype(float) @ found.vectors for rows in run.points(part)[:2])
        own, values = np.split(values, [len(x) - 1])
        heights = np.concatenate([[0.0], own * (not bounds.indicator)])
        lacking = _lacking(x, gradients, heights, *map(float, bounds.bounds))
        pairs = np.argsort(-lacking, axis=None)[: _EACH * len(x)]
        worst = [(int(k) // len(x), int(k) % len(x)) for k in pairs if lacking.ravel()[k] > _VIOLATED]
        more.append([pair for pair in worst if pair not in set(chosen[part])])
    return more


def _classes(asked: Problem) -> list[EnergyClass]:
    """Of each energy, counted in the problem's unit."""
    own = asked.energies.counted_in(asked.unit)
    return [own] if asked.nonsmooth is None else [own, asked.nonsmooth]


def _lacking(x: np.ndarray, g: np.ndarray, E: np.ndarray, mu: float, inverse_L: float) -> np.ndarray:
    """By how much each Iᵢⱼ is below zero, relative to the greatest term of any."""
    dx, dg = x[:, None] - x[None], g[:, None] - g[None]
    along = np.einsum("jr,ijr->ij", g, dx)
    bent = inverse_L * (dg * dg).sum(-1) + mu * (dx * dx).sum(-1) - 2 * mu * inverse_L * (dg * dx).sum(-1)
    size = max(np.abs(E).max(), np.abs(along).max()) or 1.0
    return -(E[:, None] - E[None] - along - bent / (2 * (1 - mu * inverse_L))) / size
