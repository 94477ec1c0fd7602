"""The step's own Jacobian at a stationary point: stability of schemes and flows that can't be read exactly."""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from scipy.sparse.linalg import eigs

from gradientflow.discretizers import Discretizer, advance
from gradientflow.flows import Flow, dtype_of, numbers_to_arrays, spectral_radius

from ..exact.draws import read_alike
from ..grades import Grade
from .curvature import matrix_free
from .step_limit import StepLimit

# Up to here the Jacobian is formed; beyond, Arnoldi iteration on products with it.
LARGEST_DENSE = 500
# Steps are tried from this fraction of the time scale of the flow's fastest mode to this multiple, by this ratio.
_SHORTEST, _LONGEST, _RATIO = 1e-2, 1e4, 1.15
# Where the field depends on time the long run counts: the clock is put on until a step changes no more than this, at
# most to so many times the fastest mode's own time.
_UNCHANGED, _LATEST = 1e-7, 1e10
# So often a step is asked alike before its derivative is believed.
_REPEATED = 16


def step_eigenvalues(flow: Flow, discretizer: Discretizer, z: Any) -> Callable[[float], np.ndarray]:
    """h ↦ the eigenvalues of the step's Jacobian at the equilibrium z, memory included; of a large one, the largest."""
    dtype = dtype_of(z)
    n = _flat_step(flow, discretizer, z, jnp.ones((), dtype), jnp.zeros((), dtype))[0].size
    t = jnp.asarray(late_time(flow, discretizer, z), dtype)

    def found(h: float) -> np.ndarray:
        step = jnp.asarray(h, dtype)
        if n <= LARGEST_DENSE:
            matrix = np.asarray(_jacobian(flow, discretizer, z, step, t), dtype=float)
            return np.linalg.eigvals(matrix) if np.isfinite(matrix).all() else np.array([math.inf])

        def multiply(vector: np.ndarray) -> np.ndarray:
            return np.asarray(
                _transpose_times(flow, discretizer, z, step, t, jnp.asarray(vector.ravel(), dtype)), dtype=float
            )

        start = np.random.default_rng(0).normal(size=n)
        largest: Any = eigs(matrix_free(n, multiply), k=1, which="LM", v0=start, return_eigenvectors=False)
        return largest

    return found


def measured_limit(flow: Flow, discretizer: Discretizer, z: Any) -> StepLimit:
    """The first step found at which the Jacobian's spectral radius exceeds one, by bisection; ∞ if none is found.

    A short window of instability between two of the steps tried would be missed: the limit is measured.
    """
    _check_repeats(flow, discretizer, z)
    eigenvalues, dtype = step_eigenvalues(flow, discretizer, z), dtype_of(z)

    def radius(h: float) -> float:
        return float(np.abs(eigenvalues(h)).max())

    scale = _time_scale(flow, z)
    late = late_time(flow, discretizer, z)
    clock = f" with the clock at t = {late:.3g}" if late else ""
    slack = 1 + float(jnp.finfo(dtype).eps) ** 0.6
    stable, h = 0.0, _SHORTEST * scale
    if not math.isfinite(radius(h)):
        cause = "the flow or the step has no derivative at this point that is finite: its Jacobian is not finite"
        return StepLimit(math.nan, 0.0, math.inf, None, cause, Grade.UNKNOWN)
    while radius(h) <= slack:
        stable, h = h, h * _RATIO
        if h > _LONGEST * scale:
            cause = f"stable at every step tried, up to {stable:.3g}{clock}"
            return StepLimit(math.inf, stable, math.inf, None, cause, Grade.MEASURED)
    if stable == 0.0:
        return StepLimit(0.0, 0.0, h, None, f"unstable at the shortest step tried, {h:.3g}{clock}", Grade.MEASURED)
    unstable = h
    while unstable - stable > 1e-12 * unstable:
        middle = (stable + unstable) / 2
        if not stable < middle < unstable:
            break
        stable, unstable = (middle, unstable) if radius(middle) <= slack else (stable, middle)
    cause = f"the spectral radius of the step's Jacobian reaches 1{clock}"
    return StepLimit((stable + unstable) / 2, stable, unstable, None, cause, Grade.MEASURED)


def late_time(flow: Flow, discretizer: Discretizer, z: Any) -> float:
    """The time at which a step is linearized: 0 where it does not depend on time, else when it no longer changes."""
    scale = _time_scale(flow, z)

    def changes(t: float, later: float) -> bool:
        early, late = (_moved(flow, discretizer, z, time, ((1.0, 1.0),))[0] for time in (t, later))
        return bool(jnp.max(jnp.abs(late - early)) > _UNCHANGED * (1 + jnp.max(jnp.abs(early))))

    if not changes(0.7 * scale, 1.9 * scale):
        return 0.0
    late = scale
    while changes(late, 100 * late) and late < _LATEST * scale:
        late *= 10
    return 10 * late


def is_affine(flow: Flow, discretizer: Discretizer, z: Any) -> bool:
    """Whether a step of the flow's own time scale is affine in the state, to rounding: then what is local is global.

    Tried along random directions of both signs: there and back, and one after the other.
    """
    t = late_time(flow, discretizer, z)
    at, first, second, both, back = _moved(
        flow, discretizer, z, t, ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (-2.0, 0.0))
    )
    bend = jnp.maximum(jnp.abs(both - first - second + at), jnp.abs(back + 2 * first - 3 * at))
    return bool(jnp.max(bend) <= float(jnp.finfo(at.dtype).eps) ** 0.6 * (1 + jnp.max(jnp.abs(both - at))))


def _check_repeats(flow: Flow, discretizer: Discretizer, z: Any) -> None:
    """Refuses a step that, asked again, answers differently: what compiled code kept of it would be an accident."""

    def asked() -> Any:
        return np.asarray(_moved(flow, discretizer, z, 0.0, ((1.0, 1.0),)))

    name = type(discretizer).__name__
    read_alike(name, asked, lambda one, other: np.array_equal(one, other, equal_nan=True), _REPEATED)


def _time_scale(flow: Flow, z: Any) -> float:
    dtype = dtype_of(z)
    return 1 / max(float(spectral_radius(flow, jnp.zeros((), dtype), z)), float(jnp.finfo(dtype).tiny))


def _moved(
    flow: Flow, discretizer: Discretizer, z: Any, t: float, lengths: tuple[tuple[float, float], ...]
) -> list[jax.Array]:
    """A short step at time t from states away from z by so many times two directions."""
    dtype = dtype_of(z)
    h = jnp.asarray(0.1 * _time_scale(flow, z), dtype)
    flat, step = _flat_step(flow, discretizer, z, h, jnp.asarray(t, dtype))
    draw = np.random.default_rng(1)
    directions = jnp.asarray(draw.uniform(0.5, 1.5, (2, flat.size)) * draw.choice([-1, 1], (2, flat.size)), dtype)
    return [step(flat + jnp.asarray(pair, dtype) @ directions) for pair in lengths]


def _flat_step(
    flow: Flow, discretizer: Discretizer, z: Any, h: Any, t: Any
) -> tuple[jax.Array, Callable[[jax.Array], jax.Array]]:
    memory = numbers_to_arrays(discretizer.init(flow, t, z, h), h.dtype, integers=False)
    moving, fixed = eqx.partition((z, memory), eqx.is_inexact_array)
    flat, unravel = ravel_pytree(moving)

    def step(point: jax.Array) -> jax.Array:
        state, remembered = eqx.combine(unravel(point), fixed)
        out = advance(discretizer, flow, t, state, h, memory=remembered)
        return ravel_pytree(eqx.filter(out, eqx.is_inexact_array))[0]

    return flat, step


@eqx.filter_jit
def _jacobian(flow: Flow, discretizer: Discretizer, z: Any, h: jax.Array, t: jax.Array) -> jax.Array:
    flat, step = _flat_step(flow, discretizer, z, h, t)
    return jax.jacrev(step)(flat)


@eqx.filter_jit
def _transpose_times(
    flow: Flow, discretizer: Discretizer, z: Any, h: jax.Array, t: jax.Array, direction: jax.Array
) -> jax.Array:
    """The transposed Jacobian, which has the same eigenvalues: solvers may know reverse-mode derivatives only."""
    flat, step = _flat_step(flow, discretizer, z, h, t)
    return jax.vjp(step, flat)[1](direction)[0]
