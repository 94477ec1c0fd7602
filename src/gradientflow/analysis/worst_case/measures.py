"""What is bounded by what along a run, and the condition under which it is: on one energy, or on a sum f + g."""

from fractions import Fraction
from typing import Literal, NamedTuple

import numpy as np

from .conditions import Condition, Further, Inequalities, Points, product
from .problem import Problem
from .run import Run

Measure = Literal["gap", "distance", "gradient"]
Place = Literal["last", "best", "average"]
PLACES = ("last", "best", "average")
# How many powers of the unit of gradients a measure has: E, ‖x‖², ‖∇E‖².
POWERS = {"gap": 1, "distance": 0, "gradient": 2}
_SHOWN = {"gap": "E_{{{0}}} - E^*", "distance": r"\|x_{{{0}}} - x^*\|^2", "gradient": r"\|g_{{{0}}}\|^2"}


def bound_condition(asked: Problem, steps: int, final: Measure, initial: Measure, at: Place) -> Condition:
    """That τ·initial − final ≥ 0 for runs of N steps; τ is the weight."""
    run = Run(asked, steps)
    mean = sum(run.positions, 0 * run.positions[0]) / Fraction(steps + 1)
    ends = {
        "last": [(run.positions[steps], str(steps))],
        "best": [(row, str(k)) for k, row in enumerate(run.positions)],
        "average": [(mean, r"\bar x")],
    }[at]
    parts = (0, 1) if asked.nonsmooth else (0,)
    asked_at = [(initial, run.positions[0], "0"), *((final, row, name) for row, name in ends)]
    places = [
        [] if measure == "distance" else [run.place_of(row, name, part) for part in parts]
        for measure, row, name in asked_at
    ]
    points, others = run.points(), run.points(1) if asked.nonsmooth else None
    sizes = [len(each.names) - 1 for each in (points, others) if each]
    start, *finals = (
        _measured(measure, where, row[None, : run.size], points.gradients, sizes)
        for (measure, row, _), where in zip(asked_at, places, strict=True)
    )
    known = [_bounded_below(place, points, asked) for place in range(sizes[0])] if asked.mu < 0 else []
    known += _of_g(others, asked, sizes[0])
    constant = (-finals[0][0], -finals[0][1])
    if at == "best":
        # A number m that no final is less than is one of the values; that it is no energy's makes the multipliers of
        # final_k − m ≥ 0 add up to one.
        unit = asked.unit ** POWERS[final]
        known = [_Known(form, _with(gap, 0), name, own) for form, gap, name, own in known]
        known += [
            _Known(form, _with(values, -1), rf"({_SHOWN[final].format(name)} - m)", unit)
            for (form, values), (_, name) in zip(finals, ends, strict=True)
        ]
        constant, start = (0 * start[0], _with(0 * start[1], -1)), (start[0], _with(start[1], 0))
    inequalities = Inequalities(points, asked.mu, asked.inverse_L, _further(known))
    stated = r"\tau\,\text{initial} - " + (r"m" if at == "best" else r"\text{final}")
    basis = ("x_0", *(f"g_{{{name}}}" for name in run.names))
    return Condition(stated, constant, (start[0][None], start[1][None]), inequalities, basis)


def _of_g(points: Points | None, asked: Problem, beside: int) -> list["_Known"]:
    """What is known of the g of a sum, whose values come after so many of f's."""
    if points is None or asked.nonsmooth is None:
        return []
    of_g = asked.nonsmooth
    within = Inequalities(points, of_g.mu, Fraction(0) if of_g.L is None else 1 / of_g.L)
    none = np.full(beside, Fraction(0), dtype=object)
    return [
        _Known(form, np.array([*none, *map(Fraction, values)], dtype=object), name.replace("I", "I'", 1), asked.unit)
        for form, values, name in zip(within.forms, within.values, within.names, strict=True)
    ]


class _Known(NamedTuple):
    """An inequality beside those of the class: its form, coefficients of values, name, and what it is counted in."""

    form: np.ndarray
    values: np.ndarray
    name: str
    unit: Fraction


def _further(known: list[_Known]) -> Further | None:
    if not known:
        return None
    forms, values = (np.array(arrays, dtype=object) for arrays in ([k.form for k in known], [k.values for k in known]))
    return Further(forms, values, tuple(k.name for k in known), tuple(k.unit for k in known))


def _with(values: np.ndarray, coefficient: int) -> np.ndarray:
    """Coefficients of values, and that of m."""
    return np.array([*values, Fraction(coefficient)], dtype=object)


def _bounded_below(place: int, points: Points, asked: Problem) -> _Known:
    """E − E* − ‖g‖²/(2L) ≥ 0: a step of 1/L from there leads no further down than E*, convex or not."""
    g, name = points.gradients[place + 1], points.names[place + 1]
    gap = np.full(len(points.names) - 1, Fraction(0), dtype=object)
    gap[place] += 1
    shown = rf"(E_{{{name}}} - E^* - \tfrac1{{2L}}\|g_{{{name}}}\|^2)"
    return _Known(-product(g, g) * (asked.inverse_L / 2), gap, shown, asked.unit)


def _measured(
    measure: Measure, where: list[int], row: np.ndarray, gradients: np.ndarray, sizes: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    """A measure of the iterate with this row as a form, and its coefficients of values, of each energy's so many."""
    values = np.full(sum(sizes), Fraction(0), dtype=object)
    nothing = np.full((row.shape[1], row.shape[1]), Fraction(0), dtype=object)
    if measure == "distance":
        return product(row, row)[0], values
    if measure == "gap":
        for part, place in enumerate(where):
            values[sum(sizes[:part]) + place] += 1
        return nothing, values
    gradient = gradients[where[0] + 1]
    return product(gradient, gradient), values
