"""Which solver, and which first step, a flow and a start ask for."""

import math
from typing import Any, NamedTuple

import diffrax as dfx
import equinox as eqx
import jax.numpy as jnp

from ..flow import Flow
from ..numerics import LARGEST_DENSE, dtype_of, max_norm, size
from . import solvers
from .spectrum import spectral_radius

# An explicit solver that needs more steps than this for what stability alone asks is given up for an implicit one.
_STIFF_STEPS = 3_000
# The length of a step at its limit of stability, in fastest modes' times.
_LONGEST_STABLE = 3
# A state so many times as large as the start has run off.
FAR = 1e6


class Start(NamedTuple):
    """What a first look at a state tells: the fastest mode's |λ| [1/T], the size of the state and of its drift."""

    radius: Any
    size: Any
    drift: Any


@eqx.filter_jit
def first_look(flow: Flow, t0: Any, z: Any) -> Start:
    """One compiled look at a state."""
    return Start(spectral_radius(flow, t0, z), max_norm(z), max_norm(flow.drift(t0, z)))


def first_step(start: Start, longest: Any, xp: Any = jnp) -> Any:
    """A tenth of the fastest mode's time, which diffrax's own guess overshoots on quartic-like energies [T]."""
    radius, size_of, drift = start
    known = xp.isfinite(radius) & (radius > 0)
    by_curvature = xp.where(known, 0.1 / xp.where(known, radius, 1), xp.inf)
    moves = xp.isfinite(drift) & (drift > 0)
    by_drift = xp.where(moves, 0.01 * (1 + size_of) / xp.where(moves, drift, 1), 1.0)
    return xp.minimum(xp.minimum(xp.where(moves, by_curvature, xp.inf), by_drift), longest)


def chosen(solver: Any, z: Any, radius: float, whole: float) -> dfx.AbstractSolver:
    """The solver that was asked for; for `None` an implicit one where an explicit one would take too many steps.

    Args:
        solver: a diffrax solver, the name of one, or `None`.
        z: the state.
        radius: the fastest mode's |λ| [1/T].
        whole: how long the solve is [T].

    Raises:
        ValueError: for a solver that doesn't estimate its error, or a name that there isn't.
    """
    n, dtype = size(z), dtype_of(z)
    if isinstance(solver, str):
        return solvers.named(solver, n, dtype)
    if solver is None:
        # A large state may be at rest before it has taken as many small steps as implicit ones cost.
        hurries = is_stiff(radius, whole) and (n <= LARGEST_DENSE or math.isfinite(whole))
        return solvers.implicit(n, dtype) if may_switch(None, z) and hurries else solvers.explicit()
    if not isinstance(solver, dfx.AbstractAdaptiveSolver):
        name = type(solver).__name__
        raise ValueError(
            f"integrate: `solver` must estimate its error to choose its steps, and {name} does not; "
            f"take fixed steps with iterate(flow, FromDiffrax({name}()), ...)"
        )
    return solver


def may_switch(solver: Any, z: Any) -> bool:
    """Whether the solver is ours to choose, and the state small enough for an implicit one."""
    return solver is None and size(z) <= solvers.LARGEST_IMPLICIT


def is_stiff(radius: float, whole: float) -> bool:
    """Whether stability alone would ask an explicit solver for too many steps."""
    return radius * whole / _LONGEST_STABLE > _STIFF_STEPS


def held_back(radius: float, h: float, rest: float, taken: int) -> bool:
    """Whether stability, and not accuracy, holds an explicit solver's step back, for long enough to matter.

    Args:
        radius: the fastest mode's |λ| [1/T].
        h: the step [T].
        rest: how long it has still to go [T]; where that is not known, it is as long as it has already taken.
        taken: how many steps that was.
    """
    long = is_stiff(radius, rest) if math.isfinite(rest) else taken >= _STIFF_STEPS
    return radius * h > 1 and math.isfinite(radius) and long
