"""Integrating under a transformation: one pure solve, without a look at any value.

A path that may be differentiated is diffrax's own loop, which has the adjoints for it. Its time is normalized:
s = (t − t0)/(t1 − t0) runs from 0 to 1, so that t0 and t1 may be traced and differentiated too. A solve to rest is an
`Integration` with the derivatives of the state of rest.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from ..aliases import Position, State, Time
from ..energies.energy import with_closures_as_leaves
from ..flow import Flow, UnansweredQuestionError, with_energy
from ..numerics import LARGEST_DENSE, all_finite, dtype_of, max_norm, size
from ..rest import Left, nothing_more
from ..status import decide, unseen
from ..trajectory import Stats, Trajectory, along
from .choice import FAR, explicit, first_look, first_step, for_stiff, may_switch, named
from .control import Controller, Tolerances, finite_drift, is_inside
from .integration import Integration
from .within_stability import WithinStability

# Up to so many unknowns a matrix a step costs little where nothing is stiff (twice the time in the plane, thirty times
# that of a hundred unknowns: measured), and where something is it saves most of it.
_FEW = 16


def integrate_traced(
    flow: Flow, z0: State, t0: Time, t1: Time, ts: Any, rtol: float, atol: float | None, solver: Any, adjoint: Any,
    max_steps: int,
) -> Trajectory:  # fmt: skip
    """The path at `ts`, or at the start and the end."""
    dtype = dtype_of(z0)
    solver = named(solver, flow, z0) if isinstance(solver, str) else solver
    # A derivative is in all modes, also in stiff ones that stand still on the path itself.
    steadied = solver is None and size(z0) > _FEW
    solver = solver or (explicit() if steadied else for_stiff(flow, z0))
    t0, t1 = jnp.asarray(t0, dtype), jnp.asarray(t1, dtype)
    whole = t1 - t0
    asked = None if ts is None else jnp.clip((jnp.asarray(ts, dtype) - t0) / whole, 0, 1)

    def field(s: Any, z: State, args: tuple[Flow, Any, Any]) -> Any:
        flow, t0, whole = args
        return jax.tree.map(lambda f: whole * f, finite_drift(flow, t0 + s * whole, z))

    look = first_look(flow, t0, z0)
    first = jax.lax.stop_gradient(jnp.clip(first_step(look, whole) / whole, 0, 1))
    largest = jax.lax.stop_gradient(jnp.maximum(look.size, first * whole * look.drift))
    controller: Any = Controller(Tolerances(rtol, atol), first, largest, lambda args, z: is_inside(args[0], z))
    if steadied:
        controller = WithinStability(controller, field, flow.is_gradient_flow)
    if asked is not None:
        # A time that a step ends at has the accuracy of the steps, not that of what is drawn between them.
        controller = dfx.ClipStepSizeController(controller, step_ts=jax.lax.stop_gradient(asked))
    try:
        solution = dfx.diffeqsolve(
            dfx.ODETerm(field), solver, 0.0, 1.0, None, z0, args=(flow, t0, whole),
            saveat=dfx.SaveAt(t0=True, t1=True) if asked is None else dfx.SaveAt(ts=asked),
            stepsize_controller=controller, max_steps=max_steps, throw=False,
            adjoint=dfx.RecursiveCheckpointAdjoint() if adjoint is None else adjoint,
        )  # fmt: skip
    except TypeError as error:
        if "forward-mode" not in str(error):
            raise
        raise TypeError(
            "integrate: its default adjoint has reverse mode only; for forward mode (jvp, jacfwd) give "
            "`adjoint=diffrax.ForwardMode()`, for nested derivatives (hessian) `adjoint=diffrax.DirectAdjoint()`"
        ) from None
    done = solution.result == dfx.RESULTS.successful
    # Where the steps ran out the last row is where they did.
    times = t0 + solution.ts * whole if ts is None else jnp.asarray(ts, dtype)
    # What was not reached is diffrax's padding, infinite, and none of it is a state.
    states = jax.tree.map(lambda leaf: jnp.where(jnp.isfinite(leaf), leaf, jnp.nan), solution.ys)
    taken = solution.stats["num_accepted_steps"]
    positions, energy, grad_norm, finite = along(_measure, states, flow)
    lost = ~(finite & jnp.isfinite(energy) & jnp.isfinite(grad_norm)).all() & done
    evidence = dataclasses.replace(
        unseen(jnp, energy[jnp.array([0, -1])], grad_norm[jnp.array([0, -1])]),
        steps=taken,
        time=times[-1],
        at_end=done,
        out_of_steps=~done,
        lost_from=jnp.where(lost, taken, -1),
        lost=jnp.where(lost, 1, 0),
        has_energy=flow.has_energy,
    )
    return Trajectory(
        t=times, x=positions, state=states, energy=energy, grad_norm=grad_norm,
        status=decide(jax.lax.stop_gradient(evidence)), steps=jnp.full(len(times), -1, taken.dtype),
        stats=_stats(solver, dtype, taken, solution.stats["num_rejected_steps"], rtol, atol),
    )  # fmt: skip


def rest_traced(
    flow: Flow, z0: State, t0: Time, rtol: float, atol: float | None, gtol: float | None, solver: Any, max_steps: int
) -> Trajectory:
    r"""The path's two ends, of which the second is a state of rest.

    Derivatives of that state are those of the root of ∇E(x; θ) = 0, by the implicit function theorem,
    $\partial x^* = -H^{-1}\,\partial_\theta\nabla E$: no step of the solve is differentiated. Held in a set C they are
    those of the root of $x - P_C(x - \nabla E(x))$, up to 200 unknowns.
    NaN where the theorem says nothing: that does not vanish, where the solve did not arrive; its derivative is
    singular, in a valley of minima, along which the way decides, or jumps, where a bound only just holds; or it is a
    saddle that the flow leaves with the least nudge. Beyond 200 unknowns that is not looked at.
    """
    dtype = dtype_of(z0)
    solver = named(solver, flow, z0) if isinstance(solver, str) else solver
    solver = solver or (for_stiff(flow, z0) if may_switch(None, flow, z0) else explicit())
    t0, x0 = jnp.asarray(t0, dtype), flow.position(z0)
    # What a closure holds is made an argument, or a derivative would be sought along the whole solve after all.
    known = with_energy(flow, with_closures_as_leaves(flow.energy, x0)), z0, t0
    known = jax.tree.map(lambda leaf: jax.lax.stop_gradient(leaf) if eqx.is_array(leaf) else leaf, known)

    def solve(_: Any, x: Position) -> Any:
        flow, z0, t0 = known
        integration = Integration(flow, solver, Tolerances(rtol, atol), t0, z0, to_rest=True, gtol=gtol)
        carry = integration.start(first_step(first_look(flow, t0, z0), jnp.asarray(jnp.inf, dtype)))
        # It goes on where nothing falls any more, for nobody looks at the way that led there.
        carry = eqx.tree_at(lambda c: (c.spent, c.asks_from), carry, (jnp.asarray(False), carry.asks_from + max_steps))
        carry, _ = integration.stretch(carry, None, jnp.asarray(jnp.inf, dtype), max_steps, room=0)
        left, rest, _ = integration.judged(eqx.tree_at(lambda c: c.asks_from, carry, jnp.zeros_like(carry.taken)))
        numbers = rest, carry.stuck, carry.s, carry.taken, carry.rejected, carry.moved, *jax.tree.leaves(left)
        # What custom_root hands along must have derivatives, be they zero.
        x = flow.position(carry.z)
        x = _polished(_vanishing(flow, t0), x, rest & _is_root(flow, t0, x, z0))
        return x, jnp.stack([jnp.asarray(number, dtype) for number in numbers])

    x, told = jax.lax.custom_root(_vanishing(flow, t0), x0, solve, tangent_solve=_solve_linear, has_aux=True)
    told = jax.lax.stop_gradient(told)
    rest, stuck, s, taken, rejected, moved = told[0] > 0, told[1] > 0, told[2], *told[3:5].astype(int), told[5]
    left = Left(told[6], told[7], told[8], told[9] > 0, told[10] > 0)
    leaves = left.unstable & (flow.is_gradient_flow or flow.velocity(z0) is not None)
    holds = rest & _is_root(flow, t0, x, z0) & _is_isolated(flow, t0, x) & ~leaves
    known = jax.lax.stop_gradient(jnp.where(holds, 1.0, jnp.nan).astype(dtype))
    x = _with_derivative(x, x0, known)
    states = jax.tree.map(lambda a, b: jnp.stack([a, b]), z0, flow.init(x))
    times = jnp.stack([t0, t0 + s])
    positions, energy, grad_norm, _ = along(_measure, states, flow)
    spent = nothing_more(left, energy[0], energy[1], dtype)
    evidence = dataclasses.replace(
        unseen(jnp, energy, grad_norm),
        steps=taken,
        time=times[1],
        at_end=jnp.asarray(False),
        out_of_steps=~rest & ~stuck,
        settled=rest,
        still=stuck,
        runs_off=~rest & (energy[1] < energy[0]) & (spent | (max_norm(x) > FAR * (1 + max_norm(x0)))),
        left=left,
        moved=moved,
        reach=max_norm(x),
        has_energy=flow.has_energy,
    )
    return Trajectory(
        t=times, x=positions, state=states, energy=energy, grad_norm=grad_norm,
        status=decide(jax.lax.stop_gradient(evidence)), steps=jnp.full(2, -1, taken.dtype),
        stats=_stats(solver, dtype, taken, rejected, rtol, atol),
    )  # fmt: skip


def _projection(flow: Flow, t: Time) -> Callable[[Any], Any] | None:
    """The nearest point of the set that a flow of a position is held in; `None` of one that is not."""
    try:
        held = flow.parts.get("nonsmooth")
    except UnansweredQuestionError:
        return None
    return None if held is None else lambda x: held.position(held.resolvent(t, held.init(x), 1.0))


def _vanishing(flow: Flow, t: Time) -> Callable[[Any], Any]:
    """What vanishes at rest, whose root knows its derivatives: ∇E(x), or x − P_C(x − ∇E(x)) in a set C."""
    projection = _projection(flow, t)

    # A function, not a bound method, which is hashed by what it is bound to: traced arrays.
    def grad(x: Position) -> Any:
        return flow.energy.grad(x)

    if projection is None:
        return grad

    def moved(x: Position) -> Any:
        there = projection(jax.tree.map(lambda a, b: a - b, x, grad(x)))
        return jax.tree.map(lambda a, b: a - b, x, there)

    # Beyond, its derivative would need another linear solver: not symmetric, as H is.
    return lambda x: moved(x) if size(x) <= LARGEST_DENSE else grad(x)


def _is_root(flow: Flow, t: Time, x: Position, z0: State) -> Any:
    """Whether that vanishes at rest, and not only what of ∇E no constraint takes up."""
    vanishing, residual = max_norm(_vanishing(flow, t)(x)), max_norm(flow.residual(flow.init(x)))
    first = max_norm(flow.energy.grad(flow.position(z0)))
    return vanishing <= 2 * residual + float(jnp.finfo(vanishing.dtype).eps) ** 0.5 * first


def _polished(vanishing: Callable[[Any], Any], x: Position, rest: Any) -> Any:
    """A position at rest to its last digits, where Newton's method has them: its time is infinite, after all."""

    def newton(_: Any, x: Position) -> Any:
        value = vanishing(x)
        step = _solve_linear(lambda v: jax.jvp(vanishing, (x,), (v,))[1], value)
        y = jax.tree.map(lambda a, b: a - b, x, step)
        nearer = rest & (max_norm(vanishing(y)) < max_norm(value))
        return jax.tree.map(lambda a, b: jnp.where(nearer, a, b), y, x)

    return jax.lax.fori_loop(0, 2, newton, x)


def _is_isolated(flow: Flow, t: Time, x: Position) -> Any:
    """Whether the derivative of what vanishes is regular: farther from singular than it changes, and than rounding.

    It is looked at a Newton step away. Where a bound only just holds the projection bends: it is looked at a little to
    both sides.
    """
    if size(x) > LARGEST_DENSE:
        return jnp.asarray(True)
    vanishing, projection = _vanishing(flow, t), _projection(flow, t)
    step = _solve_linear(lambda v: jax.jvp(vanishing, (x,), (v,))[1], vanishing(x))
    here, there = (_jacobian(vanishing, at) for at in (x, jax.tree.map(lambda a, b: a - b, x, step)))
    bends = jnp.asarray(False)
    if projection is not None:
        flat, unravel = ravel_pytree(jax.tree.map(lambda a, b: a - b, x, flow.energy.grad(x)))
        eps = float(jnp.finfo(flat.dtype).eps)
        aside = eps**0.5 * (1 + max_norm(flat)) * np.random.default_rng(0).choice([-1.0, 1.0], size=flat.size)
        sides = [_jacobian(projection, unravel((flat + sign * aside).astype(flat.dtype))) for sign in (1, -1)]
        bends = ~(jnp.linalg.norm(sides[0] - sides[1]) < eps**0.25)
    singular = jnp.linalg.svd(here, compute_uv=False)
    rounding = len(here) * float(jnp.finfo(here.dtype).eps) * singular[0]
    return (singular[-1] > jnp.linalg.norm(there - here, 2) + rounding) & ~bends


@jax.custom_jvp
def _with_derivative(x: Position, x0: Position, known: Any) -> Any:
    """x, with the derivative that it has where `known` is 1, and with none of x0; NaN where it is NaN."""
    return x


@_with_derivative.defjvp
def _(primals: Any, tangents: Any) -> Any:
    (x, _, known), (moved, start, _) = primals, tangents
    unknown = sum(jnp.sum(leaf) for leaf in jax.tree.leaves(start)) * (known - 1)
    return x, jax.tree.map(lambda leaf: leaf * known + unknown, moved)


def _jacobian(function: Callable[[Any], Any], x: Position) -> Any:
    flat, unravel = ravel_pytree(x)
    columns = jax.vmap(lambda v: ravel_pytree(jax.jvp(function, (x,), (unravel(v),))[1])[0])
    return columns(jnp.eye(flat.size, dtype=flat.dtype)).T


def _solve_linear(times: Any, v: Any) -> Any:
    """A⁻¹v, as a linear function of v that can be transposed."""
    if size(v) > LARGEST_DENSE:
        return jax.scipy.sparse.linalg.cg(times, v, tol=float(jnp.finfo(dtype_of(v)).eps) ** 0.65)[0]
    flat, unravel = ravel_pytree(v)
    matrix = jax.vmap(lambda row: ravel_pytree(times(unravel(row)))[0])(jnp.eye(flat.size, dtype=flat.dtype))
    return unravel(jnp.linalg.solve(matrix.T, flat))


def _stats(solver: Any, dtype: Any, taken: Any, rejected: Any, rtol: float, atol: float | None) -> Stats:
    given = {} if atol is None else {"atol": atol}
    return Stats(solver=type(solver).__name__, precision=str(dtype), steps=taken, rejected=rejected, rtol=rtol, **given)


def _measure(z: State, flow: Flow) -> tuple[Any, Any, Any, Any]:
    x = flow.position(z)
    return x, flow.energy.value(x), max_norm(flow.energy.grad(x)), all_finite(z)
