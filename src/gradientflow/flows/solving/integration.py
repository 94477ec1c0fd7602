"""Integrating under a transformation: one pure solve, without a look at any value.

Time is normalized: s = (t − t0)/(t1 − t0) runs from 0 to 1, so that t0 and t1 may be traced and differentiated, and a
clock far from zero costs single precision nothing.
"""

from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from ..energies.energy import with_closures_as_leaves
from ..flow import Flow, with_energy
from ..numerics import LARGEST_DENSE, all_finite, dtype_of, max_norm, size
from ..status import Evidence, decide
from ..trajectory import Stats, Trajectory, along, is_stationary
from . import solvers
from .spectrum import spectral_radius

# Far above what a sound solve to rest takes; nothing of a step is kept, so that it costs no memory.
_STEPS_TO_REST = 100_000


def integrate_traced(
    flow: Flow, z0: Any, t0: Any, t1: Any, ts: Any, rtol: float, atol: float, solver: Any, adjoint: Any, max_steps: int
) -> Trajectory:
    """The path at `ts`, or at the start and the end."""
    n, dtype = size(z0), dtype_of(z0)
    solver = solvers.named(solver, n, dtype) if isinstance(solver, str) else solver
    solver = solvers.explicit() if solver is None else solver
    t0, t1 = jnp.asarray(t0, dtype), jnp.asarray(t1, dtype)
    whole = t1 - t0
    asked = None if ts is None else jnp.clip((jnp.asarray(ts, dtype) - t0) / whole, 0, 1)

    def field(s: Any, z: Any, args: tuple[Flow, Any, Any]) -> Any:
        flow, t0, whole = args
        return jax.tree.map(lambda f: whole * f, solvers.finite_drift(flow, t0 + s * whole, z))

    controller: Any = solvers.controller(rtol, atol, _first_step(flow, t0, whole, z0))
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
    counts = solution.stats["num_accepted_steps"], solution.stats["num_rejected_steps"]
    return _trajectory(flow, times, states, done, counts, jnp.asarray(False), type(solver).__name__, rtol, atol)


def rest_traced(
    flow: Flow, z0: Any, t0: Any, rtol: float, atol: float, gtol: float, solver: Any, max_steps: int
) -> Trajectory:
    r"""The path's two ends, of which the second is a state of rest.

    Derivatives of that state are those of the root of ∇E(x; θ) = 0, by the implicit function theorem,
    $\partial x^* = -H^{-1}\,\partial_\theta\nabla E$: no step of the solve is differentiated. NaN where ∇E does
    not vanish: at the boundary of a constraint, and where the solve did not arrive.
    """
    n, dtype = size(z0), dtype_of(z0)
    solver = solvers.named(solver, n, dtype) if isinstance(solver, str) else solver
    solver = solver or (solvers.implicit(n, dtype) if n <= solvers.LARGEST_IMPLICIT else solvers.explicit())
    t0 = jnp.asarray(t0, dtype)

    def to_rest(start: tuple[Flow, Any]) -> tuple[Any, Any, Any]:
        flow, z0 = start
        energy0 = flow.energy.value(flow.position(z0))

        def settled(t: Any, z: Any, args: Any, **_: Any) -> Any:
            velocity = flow.velocity(z)
            speed = 0.0 if velocity is None else max_norm(velocity)
            energy = flow.energy.value(flow.position(z))
            return is_stationary(gtol, energy0, energy, max_norm(flow.residual(z)), speed)

        solution = dfx.diffeqsolve(
            solvers.vector_field(flow), solver, t0, jnp.asarray(jnp.inf, dtype), None, z0,
            stepsize_controller=solvers.controller(rtol, atol, _first_step(flow, t0, 1.0, z0)),
            event=dfx.Event(settled), max_steps=min(max_steps, _STEPS_TO_REST), throw=False,
        )  # fmt: skip
        last, t1 = jax.tree.map(lambda leaf: leaf[-1], (solution.ys, solution.ts))
        counts = solution.stats["num_accepted_steps"], solution.stats["num_rejected_steps"]
        return last, solution.result == dfx.RESULTS.event_occurred, (t1, *counts)

    x0 = flow.position(z0)
    # What a closure holds is made an argument, or a derivative would be sought along the whole solve after all.
    known = with_energy(flow, with_closures_as_leaves(flow.energy, x0)), z0
    known = jax.tree.map(lambda leaf: jax.lax.stop_gradient(leaf) if eqx.is_array(leaf) else leaf, known)

    def solve(_: Any, x: Any) -> Any:
        last, done, told = to_rest(known)
        # What custom_root hands along must have derivatives, be they zero.
        return flow.position(last), jnp.stack([jnp.asarray(number, dtype) for number in (done, *told)])

    x, told = jax.lax.custom_root(lambda x: flow.energy.grad(x), x0, solve, tangent_solve=_solve_linear, has_aux=True)
    done, t1, counts = told[0] > 0, told[1], (told[2].astype(int), told[3].astype(int))
    start, end = flow.energy.value(x0), flow.energy.value(x)
    is_root = is_stationary(gtol, start, end, max_norm(flow.energy.grad(x)), 0.0)
    x = _times_derivative(x, jax.lax.stop_gradient(jnp.where(is_root, 1.0, jnp.nan).astype(dtype)))
    ends = jax.tree.map(lambda a, b: jnp.stack([a, b]), z0, flow.init(x))
    return _trajectory(flow, jnp.stack([t0, t1]), ends, done, counts, done, type(solver).__name__, rtol, atol)


@jax.custom_jvp
def _times_derivative(x: Any, factor: Any) -> Any:
    """x, with its derivative times a factor."""
    return x


@_times_derivative.defjvp
def _(primals: Any, tangents: Any) -> Any:
    (x, factor), (moved, _) = primals, tangents
    return x, jax.tree.map(lambda leaf: leaf * factor, moved)


def _solve_linear(hvp: Any, v: Any) -> Any:
    """H⁻¹v, as a linear function of v that can be transposed."""
    if size(v) > LARGEST_DENSE:
        return jax.scipy.sparse.linalg.cg(hvp, v, tol=float(jnp.finfo(dtype_of(v)).eps) ** 0.65)[0]
    flat, unravel = ravel_pytree(v)
    matrix = jax.vmap(lambda row: ravel_pytree(hvp(unravel(row)))[0])(jnp.eye(flat.size, dtype=flat.dtype))
    return unravel(jnp.linalg.solve(matrix.T, flat))


def _first_step(flow: Flow, t0: Any, whole: Any, z0: Any) -> Any:
    """A tenth of the fastest mode's time, as a part of the whole; see `Solve._first_step`."""
    radius, drift = spectral_radius(flow, t0, z0), max_norm(flow.drift(t0, z0))
    by_curvature = jnp.where(radius > 0, 0.1 / jnp.where(radius > 0, radius, 1), jnp.inf)
    by_drift = jnp.where(drift > 0, 0.01 * (1 + max_norm(z0)) / jnp.where(drift > 0, drift, 1), 1.0)
    return jax.lax.stop_gradient(jnp.clip(jnp.minimum(by_curvature, by_drift) / whole, 0, 1))


def _trajectory(
    flow: Flow, times: Any, states: Any, done: Any, counts: Any, settled: Any, solver: str, rtol: float, atol: float
) -> Trajectory:
    positions, energy, grad_norm, finite = along(_measure, states, flow)
    taken, rejected = counts
    lost = ~(finite & jnp.isfinite(energy) & jnp.isfinite(grad_norm)).all() & done
    none, no = jnp.asarray(-1, taken.dtype), jnp.asarray(False)
    zero = jnp.zeros_like(energy[0])
    evidence = Evidence(
        steps=taken, at_end=done, out_of_steps=~done, noisy=no, heated=no, settled=settled,
        lost_from=jnp.where(lost, taken, none), lost=jnp.where(lost, 1, 0), rises_from=none, rise=zero,
        rise_before=zero, first_fall=zero, change=zero, still=no, resolved=no, recurs=0 * taken, cycle_from=none,
        period=0 * taken, runs_off=no, time=times[-1], energy=energy[jnp.array([0, -1])],
        grad_norm=grad_norm[jnp.array([0, -1])],
    )  # fmt: skip
    stats = Stats(solver=solver, precision=str(dtype_of(states)), steps=taken, rejected=rejected, rtol=rtol, atol=atol)
    return Trajectory(
        t=times, x=positions, state=states, energy=energy, grad_norm=grad_norm,
        status=decide(jax.lax.stop_gradient(evidence)), stats=stats, steps=jnp.full(len(times), -1, taken.dtype),
    )  # fmt: skip


def _measure(z: Any, flow: Flow) -> tuple[Any, Any, Any, Any]:
    x = flow.position(z)
    return x, flow.energy.value(x), max_norm(flow.energy.grad(x)), all_finite(z)
