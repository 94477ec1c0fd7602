"""The step's own Jacobian at a stationary point: stability of schemes and flows that can't be read exactly."""

import functools
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
from gradientflow.flows import Flow, compiled, dtype_of, numbers_to_arrays, size, spectral_radius

from ..exact.draws import read_alike
from .curvature import matrix_free

# Up to here the Jacobian is formed; beyond, Arnoldi iteration on products with it.
LARGEST_DENSE = 500
# Where the field depends on time the long run counts: the clock is put on until a step changes no more than this, at
# most to so many times the fastest mode's own time, or so many units of it.
UNCHANGED, LATEST = 1e-7, 1e10
# So many times the rounding of t a step's length is uncertain by where the time is late.
_ROUNDED = 1e3
# No mode is so slow: the field is 0.
_FOR_EVER = 1e30
# Up to so many unknowns a characteristic polynomial is worth its digits.
_FEW_UNKNOWNS = 20
# Along so many pairs of directions a kink is looked for: a branch is the same on both sides of one pair by chance.
SEEDS = (1, 2, 3, 4, 5)
# So often a step is asked alike before its derivative is believed.
_REPEATED = 16


def step_eigenvalues(
    flow: Flow, discretizer: Discretizer, z: Any, late: float | None = None
) -> Callable[[float], np.ndarray]:
    """h ↦ the eigenvalues of the step's Jacobian at the equilibrium z, memory included; of a large one, the largest.

    Args:
        flow: the flow.
        discretizer: the scheme.
        z: the equilibrium.
        late: the time at which, where it is known: that of `late_time`.
    """
    dtype = dtype_of(z)
    n = flat_step(flow, discretizer, z, jnp.ones((), dtype), jnp.zeros((), dtype))[0].size
    late = late_time(flow, discretizer, z) if late is None else late
    # With a clock that never settles, eigenvalues are those of one time, and no limit is made of them.
    t = jnp.asarray(late if math.isfinite(late) else time_scale(flow, z), dtype)

    def found(h: float) -> np.ndarray:
        step = jnp.asarray(h, dtype)
        if n <= LARGEST_DENSE:
            matrix = np.asarray(jacobian_of(flow, discretizer, z, step, t), dtype=float)
            return np.linalg.eigvals(matrix) if np.isfinite(matrix).all() else np.array([math.inf])

        def multiply(vector: np.ndarray) -> np.ndarray:
            return np.asarray(
                transpose_times(flow, discretizer, z, step, t, jnp.asarray(vector.ravel(), dtype)), dtype=float
            )

        start = np.random.default_rng(0).normal(size=n)
        largest: Any = eigs(matrix_free(n, multiply), k=1, which="LM", v0=start, return_eigenvectors=False)
        return largest

    return found


def late_time(flow: Flow, discretizer: Discretizer, z: Any) -> float:
    """The time at which a step is linearized: 0 where it does not depend on time, else when it no longer changes.

    ∞ where it never ceases to.
    """
    scale = time_scale(flow, z)

    @functools.cache
    def moved_at(t: float) -> np.ndarray:
        return np.asarray(moved(flow, discretizer, z, t, ((1.0, 1.0),))[0], float)

    def apart(early: np.ndarray, late: np.ndarray, slack: float) -> bool:
        if not np.isfinite(late).all():
            # A clock that leaves its numbers has not settled; a step that is nowhere finite has nothing to change.
            return bool(np.isfinite(early).all())
        return bool(abs(late - early).max() > slack * (1 + abs(early).max()))

    def changes(t: float, later: float, slack: float = UNCHANGED) -> bool:
        return apart(moved_at(t), moved_at(later), slack)

    def changes_its_modes(t: float, later: float, slack: float = UNCHANGED) -> bool:
        """In other variables too: a step whose coordinates grow with the clock may be one of fixed modes."""
        if not changes(t, later, slack):
            return False
        early, late = (_characteristic(flow, discretizer, z, 0.1 * scale, time) for time in (t, later))
        return early is None or late is None or apart(early, late, slack)

    # Late times, at which a clock may have passed a threshold; there t + h is h no more but for its rounding.
    eps = float(jnp.finfo(dtype_of(z)).eps)
    times = {7.3 * scale * 10.0**k: UNCHANGED + _ROUNDED * eps * 10.0 ** (k + 1) for k in range(10)}

    def settled(late: float) -> bool:
        soon = changes_its_modes(late, 100 * late) or changes_its_modes(0.37 * late, 23.1 * late)
        return not soon and not any(changes_its_modes(late, later, times[later]) for later in times if later > late)

    if not (changes(0.7 * scale, 1.9 * scale) or any(changes(0.7 * scale, *later) for later in times.items())):
        return 0.0
    late = scale
    while not settled(late):
        if late >= LATEST * max(1.0, scale):
            return math.inf
        late *= 10
    return 10 * late


def _characteristic(flow: Flow, discretizer: Discretizer, z: Any, h: float, t: float) -> np.ndarray | None:
    """The characteristic polynomial of the step's Jacobian at z; `None` of a large one, and where it is not finite."""
    dtype = dtype_of(z)
    if size(z) > _FEW_UNKNOWNS:
        return None
    matrix = np.asarray(jacobian_of(flow, discretizer, z, jnp.asarray(h, dtype), jnp.asarray(t, dtype)), dtype=float)
    return np.poly(matrix) if np.isfinite(matrix).all() else None


def is_affine(flow: Flow, discretizer: Discretizer, z: Any) -> bool:
    """Whether a step of the flow's own time scale is affine in the state, to rounding: then what is local is global.

    Tried along random directions of both signs: there and back, and one after the other.
    """
    t = late_time(flow, discretizer, z)
    at, first, second, both, back = moved(
        flow, discretizer, z, t, ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (-2.0, 0.0))
    )
    bend = jnp.maximum(jnp.abs(both - first - second + at), jnp.abs(back + 2 * first - 3 * at))
    return bool(jnp.max(bend) <= float(jnp.finfo(at.dtype).eps) ** 0.6 * (1 + jnp.max(jnp.abs(both - at))))


def check_repeats(flow: Flow, discretizer: Discretizer, z: Any) -> None:
    """Refuses a step that, asked again, answers differently: what compiled code kept of it would be an accident."""

    def asked() -> Any:
        # As it stands: a program would give for ever what it gave once.
        return np.asarray(moved(flow, discretizer, z, 0.0, ((1.0, 1.0),), _step_from))

    name = type(discretizer).__name__
    read_alike(name, asked, lambda one, other: np.array_equal(one, other, equal_nan=True), _REPEATED)


def some_time(flow: Flow, discretizer: Discretizer, z: Any) -> float:
    """The time at which a step is linearized, or of a clock that never settles one."""
    late = late_time(flow, discretizer, z)
    return late if math.isfinite(late) else time_scale(flow, z)


def extent_of(z: Any) -> float:
    """The largest entry of a state."""
    return max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(z) if leaf.size)


def time_scale(flow: Flow, z: Any) -> float:
    """1/ρ of the drift's Jacobian: at time 0, or at 1 where a clock stands still at its start."""
    dtype = dtype_of(z)
    tiny = float(jnp.finfo(dtype).tiny)

    def at(t: float) -> float:
        return 1 / max(_fastest(flow, z, jnp.asarray(t, dtype)), tiny)

    scale = at(0.0)
    if scale < _FOR_EVER:
        return scale
    # A field that vanishes at t = 0, as that of a clock that starts there, is asked once a while has passed on its own
    # clock, neither short nor long.
    t = 1.0
    while t / at(t) < 30 and t < _FOR_EVER:
        t *= 4
    while t / at(t) > 240 and t > 1 / _FOR_EVER:
        t /= 4
    found = at(t)
    # A field without frequencies, free motion say, has no time scale: any will do that leaves equations solvable.
    return found if found < _FOR_EVER else 1.0


def _fastest(flow: Flow, z: Any, t: jax.Array) -> float:
    """ρ of the drift's Jacobian: by eigenvalues where there are few, since powers of one far from normal tell less."""
    if size(z) <= _FEW_UNKNOWNS:
        matrix = np.asarray(drift_jacobian(flow, z, t), dtype=float)
        if np.isfinite(matrix).all():
            return float(np.abs(np.linalg.eigvals(matrix)).max())
    return float(spectral_radius(flow, t, z))


def _step_from(flow: Flow, discretizer: Discretizer, z: Any, h: jax.Array, t: jax.Array, away: jax.Array) -> jax.Array:
    flat, step = flat_step(flow, discretizer, z, h, t)
    return step(flat + away)


_one_step = compiled(_step_from)


def moved(
    flow: Flow, discretizer: Discretizer, z: Any, t: float, lengths: tuple[tuple[float, float], ...],
    one_step: Callable[..., jax.Array] = _one_step, seed: int = 1,
) -> list[jax.Array]:  # fmt: skip
    """A short step at time t from states away from z by so many times two directions."""
    dtype = dtype_of(z)
    h, at = jnp.asarray(0.1 * time_scale(flow, z), dtype), jnp.asarray(t, dtype)
    both = directions(flat_step(flow, discretizer, z, h, at)[0].size, seed)
    return [one_step(flow, discretizer, z, h, at, jnp.asarray(np.asarray(pair) @ both, dtype)) for pair in lengths]


def directions(n: int, seed: int) -> np.ndarray:
    """Two directions: the first ones without a small entry, later ones with small and large ones."""
    draw = np.random.default_rng(seed)
    sizes = draw.uniform(0.5, 1.5, (2, n)) if seed == SEEDS[0] else np.exp(draw.normal(size=(2, n)))
    return sizes * draw.choice([-1, 1], (2, n))


def flat_step(
    flow: Flow, discretizer: Discretizer, z: Any, h: Any, t: Any
) -> tuple[jax.Array, Callable[[jax.Array], jax.Array]]:
    """State and memory as one vector, and a step of such vectors."""
    memory = numbers_to_arrays(discretizer.init(flow, t, z, h), h.dtype, integers=False)
    moving, fixed = eqx.partition((z, memory), eqx.is_inexact_array)
    flat, unravel = ravel_pytree(moving)

    def step(point: jax.Array) -> jax.Array:
        state, remembered = eqx.combine(unravel(point), fixed)
        out = advance(discretizer, flow, t, state, h, memory=remembered)
        return ravel_pytree(eqx.filter(out, eqx.is_inexact_array))[0]

    return flat, step


@compiled
def jacobian_of(flow: Flow, discretizer: Discretizer, z: Any, h: jax.Array, t: jax.Array) -> jax.Array:
    """The derivative of a step by state and memory."""
    flat, step = flat_step(flow, discretizer, z, h, t)
    return jax.jacrev(step)(flat)


@compiled
def transpose_times(
    flow: Flow, discretizer: Discretizer, z: Any, h: jax.Array, t: jax.Array, direction: jax.Array
) -> jax.Array:
    """The transposed Jacobian, which has the same eigenvalues: solvers may know reverse-mode derivatives only."""
    flat, step = flat_step(flow, discretizer, z, h, t)
    return jax.vjp(step, flat)[1](direction)[0]


@compiled
def drift_jacobian(flow: Flow, z: Any, t: jax.Array) -> jax.Array:
    """The derivative of the drift by the state."""
    flat, unravel = ravel_pytree(z)
    return jax.jacrev(lambda point: ravel_pytree(flow.drift(t, unravel(point)))[0])(flat)
