"""What kind of rest a state of rest is, beyond what one Hessian tells: looked at once, at the end of a run.

A negative eigenvalue is one of the rest itself where the way still left does not change it as much: on the way into a
valley of minima one is negative for as long as anything is left. And where the Hessian is as good as nothing, at an
inflection or a flat maximum, ∇E and the Newton step vanish as they do at a minimum, and no eigenvalue is negative. The
slope further on tells: towards an inflection it falls like a power of the distance, and beyond it rises like that power
again without having changed its sign. That is looked for only where some direction has no curvature, or where the
curvature is next to nothing beside what E fell over the way.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from .aliases import Position, Time
from .compiling import compiled
from .energies.composite import Composite
from .energies.quadratic import AbstractQuadratic
from .flow import Flow
from .numerics import LARGEST_DENSE, dtype_of, on_host, size
from .own_units import own_modes, rounding_of
from .rest import Terms, terms_where_known
from .status import Outcome, Status

# A curvature below this share of what E fell over the way is next to nothing.
_NEXT_TO_NOTHING = 1e-2
# So many Newton steps beyond, and so many units along a direction without curvature: over the first ones E must not
# rise, over the last ones, each twice as far as the one before, it falls ever steeper, by at least such a factor.
_BEYOND = np.array([1.5, 2, 3, 4, 6, 8, 12, 16, 32, 64, 128])
_ALONG = np.array([0.25, 0.5, 1, 2, 4, 8])
_STEEPENS, _STEEPER = 4, 3.0
# A unit is this power of the rounding, of the position: a slope like its square or cube is above rounding.
_UNIT = 0.2
# Directions without curvature that are looked along, and sums of them at random.
_FLAT, _SUMS = 8, 4


def look_beyond(flow: Flow, t: Time, x: Position, status: Status) -> Status:
    """A status that says `unstable` only of a saddle or a maximum, and how far beyond its rest E was seen to fall on.

    Args:
        flow: the flow.
        t: the time of the end.
        x: the position there.
        status: how it ended; of values that are known.
    """
    seen: Any = status.evidence
    if status.outcome is not Outcome.CONVERGED or seen.left is None or not flow.has_energy:
        return status
    if not _is_plain(flow, x) or not (seen.left.unstable or seen.left.flat or _next_to_nothing(seen)):
        return status
    with np.errstate(all="ignore"):
        here = _seen_from(flow, t, x)
        if here is None or (seen.left.unstable and _is_unstable(flow, t, x, here)):
            return status
        left = dataclasses.replace(seen.left, unstable=np.asarray(False))
        far = _falls_on(flow, x, here, float(seen.moved))
        return dataclasses.replace(status, evidence=dataclasses.replace(seen, left=left, falls_on=far))


def falls_on_beyond(flow: Flow, x: Position) -> bool:
    """Whether E was seen to fall along a direction in which its Hessian vanishes at a position of rest."""
    if not _is_plain(flow, x):
        return False
    with np.errstate(all="ignore"):
        here = _seen_from(flow, np.zeros((), dtype_of(x)), x)
        return here is not None and _falls_on(flow, x, here, 0.0) is not None


def _is_plain(flow: Flow, x: Position) -> bool:
    """Whether E has a Hessian that tells, and is worth a look: quadratics have one, and what has kinks none."""
    return not isinstance(flow.energy, AbstractQuadratic | Composite) and size(x) <= LARGEST_DENSE


def _next_to_nothing(seen: Any) -> bool:
    """Whether the curvature along the Newton step is; where there is no step left, that is not known."""
    way, left, moved = float(seen.left.way), float(seen.left.fall), float(seen.moved)
    fallen = float(seen.energy[0]) - float(seen.energy[1])
    return way == 0 or 2 * left * (moved / way) ** 2 < _NEXT_TO_NOTHING * fallen


class _Seen(NamedTuple):
    """The terms at a position, the modes of its Hessian in their own units, and its Newton step with all of them."""

    terms: Terms
    units: Any
    values: Any
    vectors: Any
    cut: Any
    newton: Any


def _seen_from(flow: Flow, t: Time, x: Position) -> _Seen | None:
    """What is seen from a position; nothing where a constraint takes up some of ∇E, which says nothing of E alone."""
    terms = terms_where_known(flow, t, x)
    if not (np.isfinite(terms.H).all() and (terms.residual == terms.gradient).all()):
        return None
    units, values, vectors, cut = own_modes(terms.H, float(jnp.finfo(dtype_of(x)).eps), np)
    curved = np.abs(values) > cut
    along = np.where(curved, (units * terms.residual) @ vectors / np.where(curved, values, 1), 0)
    return _Seen(terms, units, values, vectors, cut, units * (vectors @ along))


def _is_unstable(flow: Flow, t: Time, x: Position, here: _Seen) -> bool:
    """Whether the least eigenvalue is further below zero than the Newton step changes it, by Weyl's inequality."""
    flat, unravel = ravel_pytree(x)
    there = terms_where_known(flow, t, unravel(flat - here.newton.astype(flat.dtype)))
    change = here.units[:, None] * (there.H - here.terms.H) * here.units
    return bool(here.values.min() < -here.cut - 2 * np.linalg.norm(change, 2))


def _falls_on(flow: Flow, x: Position, here: _Seen, moved: float) -> float | None:
    place, newton, eps = here.terms.x, here.newton, float(jnp.finfo(dtype_of(x)).eps)
    unit = eps**_UNIT * (max(float(np.abs(place).max(initial=0)), moved) or 1.0)
    lines = [] if not newton.any() else [(-newton, _BEYOND)]
    for direction in _without_curvature(here.units[:, None] * here.vectors[:, np.abs(here.values) <= here.cut]):
        lines += [(sign * unit * direction, _ALONG) for sign in (1, -1)]
    if not lines:
        return None
    offsets = np.concatenate([np.outer(distances, direction) for direction, distances in lines])
    slopes = -np.asarray(on_host(_gradients(flow, x, offsets.astype(place.dtype))), float)
    noise = rounding_of(here.terms.H, place, here.terms.gradient, eps)
    first = 0
    for direction, distances in lines:
        along = slopes[first : first + len(distances)] @ direction
        first += len(distances)
        near, late = along[:-_STEEPENS], along[-_STEEPENS:]
        rounding = float(np.abs(direction) @ noise)
        if (near >= -rounding).all() and (late > rounding).all() and (late[1:] >= _STEEPER * late[:-1]).all():
            return float(np.abs(direction).max() * distances[-1])
    return None


def _without_curvature(flat: np.ndarray) -> list[np.ndarray]:
    """Some directions without curvature, and sums of them, which may be such where each alone is constant."""
    flat = flat[:, :_FLAT]
    draw = np.random.default_rng(0)
    sums = [flat @ draw.normal(size=flat.shape[1]) for _ in range(_SUMS if flat.shape[1] > 1 else 0)]
    return [direction / np.abs(direction).max() for direction in (*flat.T, *sums)]


@compiled
def _gradients(flow: Flow, x: Position, offsets: Any) -> Any:
    flat, unravel = ravel_pytree(x)

    def gradient(away: Any) -> Any:
        return ravel_pytree(flow.energy.grad(unravel((flat + away).astype(flat.dtype))))[0]

    return jax.lax.map(gradient, offsets)
