"""What is bounded by what along a run, and the condition under which it is: on one energy, or on a sum f + g."""

from fractions import Fraction
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np

from .conditions import Condition, Further, Inequalities, Pair, Points
from .forms import product
from .growth import GROWTH, growth_at
from .problem import Problem
from .run import Run
from .sums import known_of_g

Measure = Literal["gap", "distance", "gradient"]
# The pairs of points by which something is bounded, of each energy.
Chosen = tuple[tuple[Pair, ...], ...]
Initial = Literal["gap", "distance", "gradient", "state"]
MEASURES = ("gap", "distance", "gradient")
Place = Literal["last", "best", "average"]
PLACES = ("last", "best", "average")
# How many powers of the unit of gradients a measure has: E, ‖x‖², ‖∇E‖², ‖z‖².
POWERS = {"gap": 1, "distance": 0, "gradient": 2, "state": 0}
_SHOWN = {
    "gap": "E_{{{0}}} - E^*",
    "distance": r"\|x_{{{0}}} - x^*\|^2",
    "gradient": r"\|g_{{{0}}}\|^2",
    "state": r"\|z_{{{0}}} - z^*\|^2",
}


def bound_condition(
    asked: Problem, steps: int, final: Measure, initial: Initial, at: Place, chosen: Chosen | None = None
) -> Condition:
    """That τ·initial − final ≥ 0 for runs of N steps; τ is the weight.

    Args:
        asked: what was read.
        steps: N.
        final: what is bounded.
        initial: by what.
        at: where.
        chosen: by which pairs of points, of each energy, where not by all.
    """
    return bounded_run(asked, steps, final, initial, at, chosen)[1]


def bounded_run(
    asked: Problem, steps: int, final: Measure, initial: Initial, at: Place, chosen: Chosen | None = None
) -> tuple[Run, Condition]:
    """The same, with the run, at all of whose points it is asked."""
    run = Run(asked, steps)
    # A sum need not be finite where it starts.
    counted = run.positions[1:] if asked.nonsmooth else run.positions
    ends = {
        "last": [(run.positions[steps], str(steps))],
        "best": [(row, str(k)) for k, row in enumerate(counted, start=steps + 1 - len(counted))],
        "average": [(sum(counted, 0 * counted[0]) / Fraction(len(counted)), r"\bar x")],
    }[at]
    parts = (0, 1) if asked.nonsmooth else (0,)
    pairs = (None,) * len(parts) if chosen is None else chosen
    if len(pairs) != len(parts):
        raise ValueError(f"pairs of {len(parts)} energies are asked for, got those of {len(pairs)}")
    asked_at: list[tuple[Initial, np.ndarray, str]] = [
        (initial, run.positions[0], "0"),
        *((final, row, name) for row, name in ends),
    ]
    places = [
        [] if measure in ("distance", "state") else [run.place_of(row, name, part) for part in parts]
        for measure, row, name in asked_at
    ]
    searched = [run.place_of(row, str(k)) for k, row in enumerate(run.positions)] if asked.searched else []
    points, others = run.points(), run.points(1) if asked.nonsmooth else None
    sizes = [len(each.names) - 1 for each in (points, others) if each]
    rows = [run.moved if initial == "state" else run.positions[0][None], *(row[None] for row, _ in ends)]
    start, *finals = (
        _measured(measure, where, row[:, : run.size], points.gradients, sizes)
        for (measure, _, _), where, row in zip(asked_at, places, rows, strict=True)
    )
    known = [_bounded_below(place, points, asked) for place in range(sizes[0])] if asked.mu < 0 else []
    known += [one for before, after in pairwise(searched) for one in _found(before, after, points, asked.unit)]
    for name, m in asked.assuming:
        unit = asked.unit ** GROWTH[name].power
        known += [Known(*growth_at(place, points, name, m), unit) for place in range(sizes[0])]
    if others is not None and asked.nonsmooth is not None:
        # An indicator is zero where a proximal map leads, and where a start has an energy.
        inside = [] if not asked.nonsmooth.indicator else run.by_prox(1) + places[0][1:]
        of_g = known_of_g(others, asked.nonsmooth.bounds, sizes[0], asked.unit, inside, pairs[-1])
        known += [Known(*one) for one in zip(*of_g, strict=True)]
        for _, values in (start, *finals):
            values[[sizes[0] + place for place in inside]] = Fraction(0)
    constant = (-finals[0][0], -finals[0][1])
    if at == "best":
        # A number m that no final is less than is one of the values; that it is no energy's makes the multipliers of
        # final_k − m ≥ 0 add up to one.
        unit = asked.unit ** POWERS[final]
        known = [one._replace(values=_with(one.values, 0)) for one in known]
        known += [
            Known(form, _with(values, -1), rf"({_SHOWN[final].format(name)} - m)", unit)
            for (form, values), (_, name) in zip(finals, ends, strict=True)
        ]
        constant, start = (0 * start[0], _with(0 * start[1], -1)), (start[0], _with(start[1], 0))
    inequalities = Inequalities(points, asked.mu, asked.inverse_L, further(known), pairs[0])
    last = "m" if at == "best" else _in_brackets(final, ends[0][1])
    stated = rf"\tau\,{_in_brackets(initial, '0')} - {last}"
    basis = tuple(run.basis)
    return run, Condition(stated, constant, (start[0][None], start[1][None]), inequalities, basis)


def _in_brackets(measure: Initial, name: str) -> str:
    shown = _SHOWN[measure].format(name).replace(r"x_{\bar x}", r"\bar x")
    return f"({shown})" if measure == "gap" else shown


class Known(NamedTuple):
    """An inequality beside those of the class, as `Further` has them."""

    form: np.ndarray
    values: np.ndarray
    name: str
    unit: Fraction
    far: float = 1.0


def further(known: list[Known]) -> Further | None:
    """All of them as arrays; `None` for none."""
    if not known:
        return None
    forms, values = (np.array(arrays, dtype=object) for arrays in ([k.form for k in known], [k.values for k in known]))
    return Further(forms, values, *(tuple(some) for some in list(zip(*known, strict=True))[2:]))


def _with(values: np.ndarray, coefficient: int) -> np.ndarray:
    """Coefficients of values, and that of m."""
    return np.array([*values, Fraction(coefficient)], dtype=object)


def _bounded_below(place: int, points: Points, asked: Problem) -> Known:
    """E − E* − ‖g‖²/(2L) ≥ 0: a step of 1/L from there leads no further down than E*, convex or not."""
    g, name = points.gradients[place + 1], points.names[place + 1]
    gap = np.full(len(points.names) - 1, Fraction(0), dtype=object)
    gap[place] += 1
    shown = rf"(E_{{{name}}} - E^* - \tfrac1{{2L}}\|g_{{{name}}}\|^2)"
    return Known(-product(g, g) * (asked.inverse_L / 2), gap, shown, asked.unit)


def _found(before: int, after: int, points: Points, unit: Fraction) -> list[Known]:
    """What an exact search along −g leaves: ⟨g', g⟩ = 0 and ⟨g', x' − x⟩ = 0, each from the side that is of use."""
    x, g = points.x[after + 1] - points.x[before + 1], points.gradients[before + 1]
    there, none = points.gradients[after + 1], np.full(len(points.names) - 1, Fraction(0), dtype=object)
    i, j = points.names[before + 1], points.names[after + 1]
    return [
        Known(-product(there, g), none, rf"(-\langle g_{{{j}}}, g_{{{i}}}\rangle)", unit**2),
        Known(-product(there, x), none, rf"\langle g_{{{j}}}, x_{{{i}}} - x_{{{j}}}\rangle", unit),
    ]


def _measured(
    measure: Initial, where: list[int], row: np.ndarray, gradients: np.ndarray, sizes: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    """A measure of the iterate with this row as a form, and its coefficients of values, of each energy's so many.

    Of a state there is a row for each entry.
    """
    values = np.full(sum(sizes), Fraction(0), dtype=object)
    nothing = np.full((row.shape[1], row.shape[1]), Fraction(0), dtype=object)
    if measure in ("distance", "state"):
        return sum(product(row, row), nothing), values
    if measure == "gap":
        for part, place in enumerate(where):
            values[sum(sizes[:part]) + place] += 1
        return nothing, values
    gradient = gradients[where[0] + 1]
    return product(gradient, gradient), values
