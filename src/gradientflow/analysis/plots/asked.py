"""What a picture is asked of: a flow whose states are points of a plane, and a box."""

import math
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp

from gradientflow.flows import Flow, GradientFlow, Trajectory, size
from gradientflow.flows import energy as as_energy
from gradientflow.flows.checks import in_a_line

Box = tuple[tuple[float, float], tuple[float, float]]


def flow_of(where: str, asked: Any, name: str = "the first argument") -> Flow:
    """A flow; of an energy, or a function, its gradient flow.

    Raises:
        TypeError: for what is neither.
    """
    if isinstance(asked, Flow):
        return asked
    if not callable(asked):
        raise TypeError(f"{where}: {name} must be a flow, or an energy, got {in_a_line(asked)}")
    return GradientFlow(as_energy(asked))


def box_of(where: str, box: Any) -> Box:
    """A box's bounds.

    Raises:
        ValueError: if it is none.
    """
    try:
        (a, b), (c, d) = (tuple(map(float, bounds)) for bounds in box)
    except (TypeError, ValueError):
        a = b = c = d = math.nan
    if not (a < b and c < d and all(map(math.isfinite, (a, b, c, d)))):
        raise ValueError(f"{where}: `box` must be two pairs of bounds, ((-2, 2), (-1, 1)) say, got {in_a_line(box)}")
    return (a, b), (c, d)


def paths_of(where: str, paths: Any) -> list[Trajectory]:
    """Paths to draw, of which one may come alone.

    Raises:
        TypeError: for what are none.
    """
    found = [paths] if isinstance(paths, Trajectory) else list(paths) if isinstance(paths, Iterable) else [paths]
    if not all(isinstance(path, Trajectory) for path in found):
        raise TypeError(f"{where}: `paths` must be paths or runs, got {in_a_line(paths)}")
    return found


def planar_state(where: str, flow: Flow) -> Any:
    """A state of a flow whose states have two entries: a position of the plane, or a place and its velocity.

    Raises:
        ValueError: for a flow that has no such states.
    """
    for shape in ((2,), (), (1,)):
        try:
            z = flow.init(jnp.zeros(shape))
            if size(z) == 2:
                jax.eval_shape(lambda z: (flow.drift(0.0, z), flow.energy.value(flow.position(z))), z)
                return z
        except Exception:
            # What an energy says to a position of another shape is its own affair.
            continue
    raise ValueError(
        f"{where}: the states of {flow.name} must have two entries: the energy one of two variables, or of one where "
        "the flow has a velocity"
    )
