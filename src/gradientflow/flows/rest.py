r"""Whether a position is at rest, judged by the Newton step from it: the same in any units of E, of x and of t.

A small gradient says nothing: by itself it has a unit, and beside the first one it is small as soon as the first was
large. The Newton step s = H⁻¹∇E is how far the minimum is by what is known here, and ½∇Eᵀs how much E has still to
fall; both are compared with what the path has done so far.

References:
    J. E. Dennis, R. B. Schnabel, Numerical Methods for Unconstrained Optimization and Nonlinear Equations, 1983,
    section 7.2, on what a gradient is to be measured by.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from .aliases import Position, State, Time
from .compiling import compiled
from .flow import Flow
from .numerics import LARGEST_DENSE, dtype_of, inner, max_norm, on_host, size
from .own_units import ULPS, hidden_fall, own_modes, rounding_of
from .state import lower

# Conjugate directions tried for a Newton step of a large state, and the share of the residual that is enough.
_DIRECTIONS = 100
_FORCING = 0.1


class Small(NamedTuple):
    """What is small in a precision: the way left of the way, E's fall left of |E| and of the fall, the speed left."""

    way: float
    energy: float
    fall: float


def small(dtype: Any) -> Small:
    """1e-6 of the way, 1e-9 of |E|, 1e-18 of the fall in double precision; 1e-4, 1e-6, 1e-8 in single."""
    return Small(1e-6, 1e-9, 1e-18) if jnp.finfo(dtype).bits >= 64 else Small(1e-4, 1e-6, 1e-8)


class Terms(NamedTuple):
    """The Hessian, x, what is left of ∇E, ∇E and ẋ as a matrix and vectors; no ẋ of what may turn round."""

    H: Any
    x: Any
    residual: Any
    gradient: Any
    motion: Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Left:
    """What is left to do from a position, by the quadratic that fits there.

    Attributes:
        way: ‖s‖∞ of the Newton step s [X]; infinite where there is none, or where a direction along which E is not
            convex carries more of the gradient than rounding.
        fall: ½∇Eᵀs, how much E has still to fall [E]; infinite likewise.
        resolved: how much E falls over what the precision can tell x apart by [E].
        unstable: whether there is a direction of negative curvature.
        flat: whether there is one without curvature, along which E may do anything; not looked for in large states.
    """

    way: Any
    fall: Any
    resolved: Any
    unstable: Any
    flat: Any


def left_to_do(flow: Flow, t: Time, z: State, way: Any, fall: Any = -1.0) -> Left:
    """What is left to do from a state, looked at closely only where a cheap look allows that little is.

    Args:
        flow: whose state it is.
        t: its time.
        z: the state.
        way: the longest Newton step that is of interest [X].
        fall: how much E may still have to fall for a longer one to be of interest too [E]; beyond both, nothing is
            said (infinite).
    """
    x, residual = flow.position(z), lower(flow.residual(z))
    near = _may_be_near(flow, x, residual, way, fall)
    return jax.lax.cond(near, lambda: _closely(flow, t, z), lambda: nothing_known(dtype_of(residual)))


def left_where_known(flow: Flow, t: Time, x: Position, way: Any) -> Left:
    """What is left to do from a position whose value is known: eigenvalues are NumPy's, which need no program."""
    if size(x) > LARGEST_DENSE or not flow.has_energy:
        return on_host(_compiled_left(flow, t, x, way))
    eps = float(jnp.finfo(dtype_of(x)).eps)
    with np.errstate(all="ignore"):
        terms = terms_where_known(flow, t, x)
        if not _is_near(_at_least_of_terms(terms, eps), way):
            return nothing_known(terms.x.dtype)
        return _by_eigenvalues(terms, eps, np)


def terms_where_known(flow: Flow, t: Time, x: Position) -> Terms:
    """Those at a position whose value is known, on the host."""
    return on_host(_compiled_terms(flow, t, x))


def _may_be_near(flow: Flow, x: Position, residual: Any, way: Any, fall: Any = -1.0) -> Any:
    """The cheap look: one product with the Hessian excludes most positions."""
    if not flow.has_energy:
        return jnp.asarray(True)
    return _is_near(_at_least(flow, x, residual), way, fall)


def may_be_at_rest(flow: Flow, z: State, way: Any, fall: Any, fallen: Any) -> Any:
    """Whether a close look at a state could find it at rest, or that E has nothing more to fall, by a cheap one.

    Args:
        flow: whose state it is.
        z: the state.
        way: the longest Newton step that is of interest, as for `left_to_do` [X].
        fall: how much E may still have to fall, likewise [E].
        fallen: beyond how much that is no rest, as `little` says [E].
    """
    if not flow.has_energy:
        return jnp.asarray(True)
    least = _at_least(flow, flow.position(z), lower(flow.residual(z)))
    # What bounds the fall is rounded, and both are compared to decide whether it is worth a look, no more.
    little_left = (least.fall_of_any <= 2 * fallen) | (least.way <= least.told_apart)
    return _is_near(least, way, fall) & (little_left | (least.gradient == 0))


class _AtLeast(NamedTuple):
    r"""What one product with the Hessian says of what is left, by Cauchy and Schwarz, of a gradient g.

    Attributes:
        gradient: ‖g‖∞.
        way: $\|H^{-1}g\| \ge \|g\|^2/\|Hg\|$ [X].
        fall: $\tfrac12 g^\top H^{-1}g \ge \|g\|^4/2g^\top Hg$ of a convex energy, infinite where it is not [E].
        fall_of_any: $\tfrac12 g^\top |H|^{-1}g \ge \|g\|^3/2\|Hg\|$ of any [E].
        told_apart: a way that is rounding [X].
    """

    gradient: Any
    way: Any
    fall: Any
    fall_of_any: Any
    told_apart: Any


def _at_least(flow: Flow, x: Position, residual: Any) -> _AtLeast:
    eps = float(jnp.finfo(dtype_of(residual)).eps)
    # In units of the gradient, or its square would overflow.
    scale = max_norm(residual)
    unit = jax.tree.map(lambda leaf: leaf / jnp.where(scale > 0, scale, 1).astype(leaf.dtype), residual)
    image = flow.energy.hvp(x, unit)
    products = inner(unit, unit), inner(unit, image), inner(image, image)
    return _by_products(jnp, scale, *products, size(x), ULPS * eps * max_norm(x))


def _at_least_of_terms(terms: Terms, eps: float) -> _AtLeast:
    scale = np.max(np.abs(terms.residual), initial=0)
    unit = terms.residual / scale if scale > 0 else terms.residual
    image, extent = terms.H @ unit, np.max(np.abs(terms.x), initial=0)
    return _by_products(np, scale, unit @ unit, unit @ image, image @ image, len(unit), ULPS * eps * extent)


def _by_products(xp: Any, scale: Any, square: Any, curved: Any, bent: Any, n: int, told_apart: Any) -> _AtLeast:
    """From ‖g‖∞ and, of the gradient u in units of it, u·u, u·Hu and Hu·Hu."""
    return _AtLeast(
        scale,
        scale * square / xp.sqrt(bent * n),
        xp.where(curved > 0, scale**2 * square**2 / (2 * curved), xp.inf),
        scale**2 * square * xp.sqrt(square / bent) / 2,
        told_apart,
    )


def _is_near(least: _AtLeast, way: Any, fall: Any = -1.0) -> Any:
    near = (least.gradient == 0) | (least.way <= way) | (least.way <= least.told_apart)
    return near | (least.fall <= fall)


def nothing_known(dtype: Any) -> Left:
    """As much left as there can be."""
    dtype = jnp.promote_types(dtype, jnp.float32)
    infinite = np.asarray(np.inf, dtype)
    return Left(infinite, infinite, np.zeros((), dtype), np.asarray(False), np.asarray(False))


def at_rest(left: Left, moved: Any, energy0: Any, energy: Any, dtype: Any, xp: Any = jnp, blur: Any = 0.0) -> Any:
    """Whether so little is left that the position is at rest.

    Little of the way so far and of the fall so far, or of |E|; or less than the precision can tell apart.

    Args:
        left: what is left.
        moved: how far the path has been from its start [X].
        energy0: E at the start.
        energy: E here.
        dtype: the precision.
        xp: the module of arrays.
        blur: the share of the way that the path is not known to; less is not asked for.
    """
    way = xp.maximum(small(dtype).way, blur) * moved
    near = (left.way <= way) & (left.fall <= little(energy0, energy, dtype, xp, blur))
    return near | (left.fall <= left.resolved)


def nothing_more(left: Left, energy0: Any, energy: Any, dtype: Any, xp: Any = jnp, blur: Any = 0.0) -> Any:
    """Whether E has nothing more to fall: as `little` says, but not only beside a constant that E has been given."""
    share = small(dtype)
    fall = energy0 - energy
    return left.fall <= xp.minimum(
        little(energy0, energy, dtype, xp, blur), xp.maximum(share.energy, blur**2) * xp.maximum(fall, 0)
    )


def little(energy0: Any, energy: Any, dtype: Any, xp: Any = jnp, blur: Any = 0.0) -> Any:
    """How much E may still have to fall to have fallen: a share of |E|, or of the fall so far [E]."""
    share = small(dtype)
    return xp.maximum(share.energy * xp.abs(energy), xp.maximum(share.fall, blur**2) * (energy0 - energy))


def slow(speed: Any, fastest: Any, dtype: Any, blur: Any = 0.0) -> Any:
    """Whether a velocity is negligible beside the largest so far: its energy as small a share as E's is to be."""
    return speed <= jnp.maximum(small(dtype).fall ** 0.5, blur) * fastest


def _closely(flow: Flow, t: Time, z: State) -> Left:
    """Densely for small states, by conjugate directions for large ones."""
    x, residual = flow.position(z), lower(flow.residual(z))
    if not flow.has_energy:
        return _of_a_field(flow, x, residual)
    if size(x) > LARGEST_DENSE:
        return _by_conjugate_directions(lambda v: flow.energy.hvp(x, v), x, residual)
    return _by_eigenvalues(_terms(flow, t, z), float(jnp.finfo(dtype_of(z)).eps))


def _terms(flow: Flow, t: Time, z: State) -> Terms:
    x, residual = flow.position(z), lower(flow.residual(z))
    motion = None
    if flow.velocity(z) is None:
        drift = jax.tree.map(lambda f, a: f.astype(a.dtype), flow.drift(t, z), z)
        motion = jax.jvp(flow.position, (z,), (drift,))[1]
    flat, unravel = ravel_pytree(residual)
    eye = jnp.eye(flat.size, dtype=flat.dtype)
    H = jax.vmap(lambda row: ravel_pytree(flow.energy.hvp(x, unravel(row)))[0])(eye)
    vectors = [None if tree is None else ravel_pytree(tree)[0] for tree in (x, residual, flow.energy.grad(x), motion)]
    # Half precisions have no eigenvalues.
    return jax.tree.map(lambda leaf: leaf.astype(jnp.promote_types(leaf.dtype, jnp.float32)), Terms(H, *vectors))


_compiled_left = compiled(lambda flow, t, x, way: left_to_do(flow, t, flow.init(x), way))
_compiled_terms = compiled(lambda flow, t, x: _terms(flow, t, flow.init(x)))


def _by_eigenvalues(terms: Terms, eps: float, xp: Any = jnp) -> Left:
    """By the eigenvalues of the Hessian in coordinates in which its diagonal is ±1, whatever their units."""
    H, x, residual, gradient, motion = terms
    H = (H + H.T) / 2
    finite = xp.isfinite(H).all() & xp.isfinite(residual).all()
    units, values, vectors, cut = own_modes(H, eps, xp, finite)
    size_of, place = xp.abs(H), xp.abs(x)
    carried = (units * residual) @ vectors
    noise = rounding_of(H, x, gradient, eps, xp)
    rounding = xp.linalg.norm(units * noise)
    curved = xp.abs(values) > cut
    away = xp.where(curved, carried / xp.where(curved, values, 1), 0)
    # A flow that is not E's own may go to a saddle.
    leads_back = curved & False if motion is None else ((motion / units) @ vectors) * away < 0
    held = (values > cut) | (curved & leads_back)
    lost = ~finite | (~held & (xp.abs(carried) > rounding)).any()
    along = xp.where(held, away, 0)
    fall = xp.maximum(xp.sum(xp.abs(carried * along)) / 2, hidden_fall(H, units, residual, noise, eps, xp))
    return Left(
        way=xp.where(lost, xp.inf, xp.max(xp.abs(units * (vectors @ along)), initial=0)).astype(H.dtype),
        fall=xp.where(lost, xp.inf, fall).astype(H.dtype),
        resolved=8 * eps**2 * (place @ (size_of @ place)),
        # What a constraint holds does not leave.
        unstable=(values < -cut).any() & finite & (xp.abs(residual - gradient) <= noise).all(),
        flat=~curved.all() & finite,
    )


def _of_a_field(flow: Flow, x: Position, residual: Any) -> Left:
    """By the field's own Jacobian: there is nothing to fall, and large fields are not looked at."""
    flat = ravel_pytree(residual)[0]
    infinite = nothing_known(flat.dtype)
    if flat.size > LARGEST_DENSE:
        return infinite
    place, unravel_place = ravel_pytree(x)
    jacobian = jax.jacfwd(lambda at: ravel_pytree(flow.energy.grad(unravel_place(at)))[0])(place)
    way = jnp.max(jnp.abs(jnp.linalg.solve(jacobian, flat)), initial=0)
    way = jnp.where((flat == 0).all(), 0, jnp.where(jnp.isfinite(way), way, jnp.inf)).astype(infinite.way.dtype)
    told_apart = 4 * float(jnp.finfo(flat.dtype).eps) * jnp.max(jnp.abs(place), initial=0)
    # No fall is left in any case; below the precision's resolution is what is below it.
    resolved = jnp.where(way <= told_apart, 0, -1).astype(way.dtype)
    return Left(way, jnp.zeros_like(way), resolved, jnp.asarray(False), jnp.asarray(False))


def _by_conjugate_directions(hvp: Callable[[Any], Any], x: Position, gradient: Any) -> Left:
    """By conjugate gradients up to a tenth of the residual, which a direction of negative curvature ends."""
    dtype = dtype_of(gradient)
    eps = float(jnp.finfo(dtype).eps)
    square0 = inner(gradient, gradient)

    def going(state: tuple[Any, ...]) -> Any:
        _, _, _, square, curved, count = state
        return (square > _FORCING**2 * square0) & curved & (count < _DIRECTIONS)

    def one(state: tuple[Any, ...]) -> tuple[Any, ...]:
        s, residual, direction, square, _, count = state
        image = hvp(direction)
        curvature = inner(direction, image)
        curved = curvature > 0
        length = jnp.where(curved, square / jnp.where(curved, curvature, 1), 0)
        s = jax.tree.map(lambda a, b: a + length * b, s, direction)
        residual = jax.tree.map(lambda a, b: a - length * b, residual, image)
        now = inner(residual, residual)
        direction = jax.tree.map(lambda a, b: a + now / square * b, residual, direction)
        return s, residual, direction, now, curved, count + 1

    start = (jax.tree.map(jnp.zeros_like, gradient), gradient, gradient, square0, jnp.asarray(True), 0)
    s, _, _, square, curved, _ = jax.lax.while_loop(going, one, start)
    found = curved & (square <= _FORCING**2 * square0)
    infinite = jnp.asarray(jnp.inf, jnp.promote_types(dtype, jnp.float32))
    steepness = jnp.sqrt(inner(hvp(x), hvp(x)))
    return Left(
        way=jnp.where(found, max_norm(s), infinite),
        fall=jnp.where(found, inner(gradient, s) / 2, infinite),
        resolved=8 * eps**2 * jnp.sqrt(inner(x, x)) * steepness,
        unstable=~curved,
        flat=jnp.asarray(False),
    )
