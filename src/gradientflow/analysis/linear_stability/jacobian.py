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
from gradientflow.flows import Flow, compiled, dtype_of, numbers_to_arrays, size, spectral_radius

from ..exact.draws import read_alike
from .curvature import matrix_free

# Up to here the Jacobian is formed; beyond, Arnoldi iteration on products with it.
LARGEST_DENSE = 500
# Where the field depends on time the long run counts: the clock is put on until a step changes no more than this, at
# most to so many times the fastest mode's own time, or so many units of it.
UNCHANGED, LATEST = 1e-7, 1e10
# No mode is so slow: the field is 0.
_FOR_EVER = 1e30
# Points near and nearer, as powers of the rounding: what a step does to them is seen in its digits. A step is carried
# off that is longer than so many times the distance, and two sides differ that do by so much of their sum.
_NEAR, _LEAP, _BEND, _OF_THE_REST = (0.6, 0.65), 1e2, 0.05, 5
# It is as long from nearer if it carries off more by this share of what the distance is less by.
_ALL = 0.8
# Up to so many unknowns a characteristic polynomial is worth its digits.
_FEW_UNKNOWNS = 20
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
    n = _flat_step(flow, discretizer, z, jnp.ones((), dtype), jnp.zeros((), dtype))[0].size
    late = late_time(flow, discretizer, z) if late is None else late
    # With a clock that never settles, eigenvalues are those of one time, and no limit is made of them.
    t = jnp.asarray(late if math.isfinite(late) else time_scale(flow, z), dtype)

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


def late_time(flow: Flow, discretizer: Discretizer, z: Any) -> float:
    """The time at which a step is linearized: 0 where it does not depend on time, else when it no longer changes.

    ∞ where it never ceases to.
    """
    scale = time_scale(flow, z)

    def changes(t: float, later: float) -> bool:
        early, late = (_moved(flow, discretizer, z, time, ((1.0, 1.0),))[0] for time in (t, later))
        return bool(jnp.max(jnp.abs(late - early)) > UNCHANGED * (1 + jnp.max(jnp.abs(early))))

    def changes_its_modes(t: float, later: float) -> bool:
        """In other variables too: a step whose coordinates grow with the clock may be one of fixed modes."""
        if not changes(t, later):
            return False
        early, late = (_characteristic(flow, discretizer, z, 0.1 * scale, time) for time in (t, later))
        return early is None or late is None or bool(abs(late - early).max() > UNCHANGED * (1 + abs(early).max()))

    if not changes(0.7 * scale, 1.9 * scale):
        return 0.0
    late = scale
    while changes_its_modes(late, 100 * late) or changes_its_modes(0.37 * late, 23.1 * late):
        if late >= LATEST * max(1.0, scale):
            return math.inf
        late *= 10
    return 10 * late


def _characteristic(flow: Flow, discretizer: Discretizer, z: Any, h: float, t: float) -> np.ndarray | None:
    """The characteristic polynomial of the step's Jacobian at z; `None` of a large one, and where it is not finite."""
    dtype = dtype_of(z)
    if size(z) > _FEW_UNKNOWNS:
        return None
    matrix = np.asarray(_jacobian(flow, discretizer, z, jnp.asarray(h, dtype), jnp.asarray(t, dtype)), dtype=float)
    return np.poly(matrix) if np.isfinite(matrix).all() else None


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


def check_repeats(flow: Flow, discretizer: Discretizer, z: Any) -> None:
    """Refuses a step that, asked again, answers differently: what compiled code kept of it would be an accident."""

    def asked() -> Any:
        # As it stands: a program would give for ever what it gave once.
        return np.asarray(_moved(flow, discretizer, z, 0.0, ((1.0, 1.0),), _step_from))

    name = type(discretizer).__name__
    read_alike(name, asked, lambda one, other: np.array_equal(one, other, equal_nan=True), _REPEATED)


def leaves_at_once(flow: Flow, discretizer: Discretizer, z: Any) -> bool:
    """Whether a step is as long from however near the point: it depends on the direction only, as a sign does."""
    near, nearer = _quotients(flow, discretizer, z)
    # Then what it carries off grows as the distance shrinks, whatever the precision.
    closer = float(jnp.finfo(dtype_of(z)).eps) ** (_NEAR[0] - _NEAR[1])
    return bool(nearer[0] > _ALL * closer * near[0] and near[0] > _LEAP)


def has_no_derivative(flow: Flow, discretizer: Discretizer, z: Any) -> bool:
    """Whether what a step does differs from side to side, from near to nearer, or is no sum for two ways together."""
    near, nearer = _quotients(flow, discretizer, z)
    return bool(max(near[1], nearer[1]) > _BEND or abs(nearer[0] - near[0]) > _BEND * (near[0] + nearer[0]))


def _quotients(flow: Flow, discretizer: Discretizer, z: Any) -> list[tuple[float, float]]:
    """Near the point, and nearer: how far a step carries off what is away by 1, and how much it is unlike a linear map.

    That is, by how much the two sides differ, or two ways together from their sum, as a share.
    """
    dtype = dtype_of(z)
    late = late_time(flow, discretizer, z)
    t = late if math.isfinite(late) else time_scale(flow, z)
    size = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(z) if leaf.size)
    found = []
    for rounding in _NEAR:
        distance = float(jnp.finfo(dtype).eps) ** rounding * max(1.0, size)
        pairs = ((0.0, 0.0), (distance, 0.0), (-distance, 0.0), (0.0, distance), (distance, distance))
        rest, there, back, aside, both = _moved(flow, discretizer, z, t, pairs)
        right, left = (there - rest) / distance, (rest - back) / distance
        scale = float(jnp.abs(right).max() + jnp.abs(left).max())
        # Most of a short step is the identity, which is a sum: what is none of the rest is a smaller share.
        no_sum = _OF_THE_REST * jnp.abs((both - aside) / distance - right).max()
        apart = max(float(jnp.abs(right - left).max()), float(no_sum))
        found.append((scale / 2, apart / max(scale, 1e-300)))
    return found


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
        matrix = np.asarray(_drift_jacobian(flow, z, t), dtype=float)
        if np.isfinite(matrix).all():
            return float(np.abs(np.linalg.eigvals(matrix)).max())
    return float(spectral_radius(flow, t, z))


def _step_from(flow: Flow, discretizer: Discretizer, z: Any, h: jax.Array, t: jax.Array, away: jax.Array) -> jax.Array:
    flat, step = _flat_step(flow, discretizer, z, h, t)
    return step(flat + away)


_one_step = compiled(_step_from)


def _moved(
    flow: Flow, discretizer: Discretizer, z: Any, t: float, lengths: tuple[tuple[float, float], ...],
    one_step: Callable[..., jax.Array] = _one_step,
) -> list[jax.Array]:  # fmt: skip
    """A short step at time t from states away from z by so many times two directions."""
    dtype = dtype_of(z)
    h, at = jnp.asarray(0.1 * time_scale(flow, z), dtype), jnp.asarray(t, dtype)
    n, draw = _flat_step(flow, discretizer, z, h, at)[0].size, np.random.default_rng(1)
    directions = draw.uniform(0.5, 1.5, (2, n)) * draw.choice([-1, 1], (2, n))
    return [
        one_step(flow, discretizer, z, h, at, jnp.asarray(np.asarray(pair) @ directions, dtype)) for pair in lengths
    ]


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


@compiled
def _jacobian(flow: Flow, discretizer: Discretizer, z: Any, h: jax.Array, t: jax.Array) -> jax.Array:
    flat, step = _flat_step(flow, discretizer, z, h, t)
    return jax.jacrev(step)(flat)


@compiled
def _transpose_times(
    flow: Flow, discretizer: Discretizer, z: Any, h: jax.Array, t: jax.Array, direction: jax.Array
) -> jax.Array:
    """The transposed Jacobian, which has the same eigenvalues: solvers may know reverse-mode derivatives only."""
    flat, step = _flat_step(flow, discretizer, z, h, t)
    return jax.vjp(step, flat)[1](direction)[0]


@compiled
def _drift_jacobian(flow: Flow, z: Any, t: jax.Array) -> jax.Array:
    flat, unravel = ravel_pytree(z)
    return jax.jacrev(lambda point: ravel_pytree(flow.drift(t, unravel(point)))[0])(flat)
