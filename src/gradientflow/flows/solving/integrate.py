"""Integrating a flow with diffrax: to a time, or to an equilibrium."""

import math
import numbers
from collections.abc import Callable
from typing import Any

import diffrax as dfx
import jax
import jax.numpy as jnp
import numpy as np

from ..aliases import Position, State, Time
from ..checks import by_name, check_integer, check_positive, in_a_line, real_arrays
from ..energies.composite import kinks_of
from ..flow import Flow, is_stochastic
from ..numerics import Number, default_rtol, dtype_of, tightest_rtol
from ..start import begin, check_value
from ..trajectory import Trajectory
from ..transforming import is_transformed
from .noisy import integrate_noisy
from .solve import Solve
from .traced import integrate_traced, rest_traced
from .watched import Limits

# The times that a precision tells apart, as a share of the whole time: coarser ones lose steps and rows.
_TOLD_APART = 1e-5


@by_name
def integrate(
    flow: Flow,
    x0: Position,
    t1: Number,
    *,
    t0: Number = 0.0,
    state: Any = None,
    ts: Any = None,
    solver: dfx.AbstractSolver | str | None = None,
    rtol: Number | None = None,
    atol: Number | None = None,
    gtol: Number | None = None,
    key: Any = None,
    adjoint: dfx.AbstractAdjoint | None = None,
    max_steps: int = 100_000,
    progress: Callable[[float], None] | None = None,
) -> Trajectory:
    r"""The path of a flow from a position (or a full state) over [t0, t1], or to an equilibrium.

    Adaptive steps by diffrax's solvers, the first from an estimate of the curvature. The solver is explicit (Tsit5)
    unless the flow is stiff, and then an implicit Rosenbrock–Wanner method; for states of more than 200 unknowns the
    stabilized Chebyshev method, or, of flows that are no gradient's, Kvaerno3 without matrices. Of a large energy whose
    program shows that it is quadratic the solution is taken in closed form where that is cheaper. So it is where rest
    is asked for, but for large states and flows with inertia, which change over only if they turn out to be stiff.
    Under a transformation it is the implicit method up to 16 unknowns, and Tsit5 within its stability beyond: a
    derivative is in stiff modes too, whether they move or not. `stats["solver"]` says which. The flow's Lyapunov
    function is checked along the path.

    Args:
        flow: what to integrate.
        x0: the initial position, any pytree of arrays; ignored (and may be `None`) where `state` is given.
        t1: the end [T]. `math.inf`: until a state of rest, whatever the units of E, x and t: where the Newton step
            H⁻¹∇E is at most a millionth of the way so far, what E has still to fall, ½∇EᵀH⁻¹∇E, at most 1e-9 of |E| or
            1e-18 of the fall so far (in single precision 1e-4, 1e-6, 1e-8), and no direction of negative curvature
            carries more of ∇E than rounding; or where no more is left than the precision can tell apart. A state with
            a velocity, whose oscillation the errors of its steps feed, is held to 30 times the tolerances at most.
        t0: the start [T].
        state: a full state to start from, another path's `state[-1]` say.
        ts: increasing times within [t0, t1] to save at, each reached by a step of its own; the solve ends at the last,
            with `t1` = inf too: whether it is at rest by then, its status tells. Unless given, every accepted step is
            saved, t0 included.
        solver: a diffrax solver or the name of one; chosen unless given.
        rtol: relative tolerance of a step: 1e-8 in double precision, 1e-5 in single.
        atol: absolute tolerance of a step [X]. Unless given, rtol times the largest |x| met so far, or 1 where that is
            larger, so that a problem in other units of x is solved to the same relative accuracy.
        gtol: an absolute criterion for rest in place of the Newton step [E/X]: ‖∇E‖∞, and ‖v‖∞ where there is a
            velocity, are at most gtol. Given with a finite t1, the solve may end early.
        key: for flows with noise, a key made by `jax.random.key`, or a `BrownianPath` shared with other runs.
        adjoint: under a transformation, how diffrax differentiates the solve. Unless given, in reverse mode, with
            checkpoints; `diffrax.ForwardMode()` for forward mode (`jvp`, `jacfwd`), `diffrax.DirectAdjoint()` for
            nested ones. Steady states take all three as they are.
        max_steps: how many steps to try before giving up.
        progress: called now and then with the fraction of [t0, t1] that is done.

    Returns:
        The trajectory, whose `status` is one of: converged, reached the end, out of steps, precision floor,
        diverged, running off.

    Raises:
        ValueError: for a tolerance that the precision can't hold, times out of order, an x0 that isn't finite or on
            which the energy isn't a finite real scalar, an infinite t1 for a flow with noise, an energy with kinks.
        TypeError: if the flow has noise and there is no key.

    References:
        P. Kidger, On Neural Differential Equations, PhD thesis, University of Oxford, 2021: diffrax, which integrates.

    Example:
        >>> import math, gradientflow as gf
        >>> path = gf.integrate(gf.GradientFlow(gf.landscapes.bowl()), [3.0, 1.0], math.inf)
        >>> str(path.status)
        'converged'
    """
    flow, z0 = begin("integrate", flow, x0, state, t0)
    refuse_kinks("integrate", flow)
    if is_transformed():
        return _traced(flow, z0, t0, t1, ts, rtol, atol, gtol, solver, key, adjoint, max_steps)
    limits = limits_of("integrate", t0, t1, ts, rtol, atol, gtol, max_steps, dtype_of(z0))
    if adjoint is not None:
        raise ValueError("integrate: `adjoint` says how to differentiate; outside of grad, jvp, … leave it out")
    name = "x0" if state is None else "state"
    if is_stochastic(flow, z0):
        if not math.isfinite(limits.t1):
            raise ValueError("integrate: a flow with noise has no equilibrium to reach; give a finite `t1`")
        if solver is not None:
            raise ValueError("integrate: a flow with noise chooses its own solver; leave `solver` out")
        path = integrate_noisy(flow, z0, limits.t0, limits.t1, limits.ts, key)
        check_value("integrate", name, float(path.energy[0]))
        return path
    if key is not None:
        raise TypeError(f"integrate: {flow.name} has no noise; leave `key` out")
    path = Solve(flow, z0, limits, solver, progress).run()
    evidence: Any = path.status.evidence
    check_value("integrate", name, float(evidence.energy[0]))
    return path


def refuse_kinks(where: str, flow: Flow) -> None:
    """Refuses a flow whose drift jumps.

    Raises:
        ValueError: with the remedies.
    """
    if (kinks := kinks_of(flow.energy)) is not None:
        raise ValueError(
            f"{where}: where {type(kinks).__name__} has a kink or a wall the drift jumps, and a solver would only "
            "chatter; smooth it: Composite(f, MoreauEnvelope(g, delta)); hold a set by ProjectedFlow(f, constraint); "
            "or step implicitly: iterate(flow, ForwardBackward(), ...)"
        )


def _traced(
    flow: Flow, z0: State, t0: Time, t1: Time, ts: Any, rtol: Any, atol: Any, gtol: Any, solver: Any, key: Any,
    adjoint: Any, max_steps: int,
) -> Trajectory:  # fmt: skip
    """Under a transformation: values that are not known are not checked, the rest is."""
    if is_stochastic(flow, z0):
        raise TypeError(
            "integrate: of a flow with noise the number of steps depends on values, which jit, vmap and grad don't "
            "know; take steps of a length that you know: iterate(flow, EulerMaruyama(), ..., step=h, steps=n)"
        )
    if key is not None:
        raise TypeError(f"integrate: {flow.name} has no noise; leave `key` out")
    tolerances = _tolerances("integrate", rtol, atol, gtol, dtype_of(z0))
    check_integer("integrate", 1, max_steps=max_steps)
    if isinstance(t1, numbers.Real) and math.isinf(t1):
        if ts is None:
            return rest_traced(flow, z0, t0, *tolerances, solver, max_steps)
        if gtol is not None:
            raise ValueError(
                "integrate: to rest a path under jit, vmap or grad has two rows, and with `ts` it goes to the last of "
                "them; leave `ts` or `gtol` out"
            )
    if gtol is not None:
        raise ValueError("integrate: under jit, vmap or grad a solve does not end early; leave `gtol` out, or t1=inf")
    if ts is not None and (jnp.ndim(ts) != 1 or not jnp.size(ts)):
        raise ValueError(f"integrate: `ts` must be increasing times, one axis of them, got shape {jnp.shape(ts)}")
    if ts is not None and isinstance(t1, numbers.Real) and math.isinf(t1):
        t1 = jnp.asarray(ts)[-1]
    rtol, atol, _ = tolerances
    return integrate_traced(flow, z0, t0, t1, ts, rtol, atol, solver, adjoint, max_steps)


def limits_of(
    where: str, t0: Time, t1: Time, ts: Any, rtol: Any, atol: Any, gtol: Any, max_steps: int, dtype: Any
) -> Limits:
    """The arguments of a solve, checked.

    Raises:
        ValueError: naming the argument, what it got and the remedy.
    """
    for name, value in (("t0", t0), ("t1", t1)):
        if (
            not isinstance(value, (numbers.Real, np.generic, jax.Array))
            or np.shape(np.asarray(value))
            or math.isnan(value)
        ):
            raise ValueError(f"{where}: `{name}` must be a real number, got {in_a_line(value)}")
    t0, t1 = float(t0), float(t1)
    if not (math.isfinite(t0) and t1 > t0):
        raise ValueError(f"{where}: `t1` must lie after t0 = {t0:g}, got {t1:g}")
    apart = float(jnp.finfo(dtype).eps) * max(abs(t0), abs(t1) if math.isfinite(t1) else 0.0)
    if apart > _TOLD_APART * (t1 - t0):
        raise ValueError(
            f"{where}: around t = {t1:g} {dtype} tells times apart by {apart:.2g}, too coarse for "
            f"[{t0:.10g}, {t1:.10g}]; start the clock nearer to 0, or use double precision"
        )
    rtol, atol, stationary = _tolerances(where, rtol, atol, gtol, dtype)
    check_integer(where, 1, max_steps=max_steps)
    if ts is not None:
        ts = np.asarray(real_arrays(where, "ts", ts), dtype=float)
        # A sum of steps misses the end by a few units in the last place; that is still the end.
        eps = float(jnp.finfo(jnp.result_type(float)).eps)
        slack = 8 * eps * max(abs(t0), abs(t1)) if math.isfinite(t1) else 0.0
        inside = ts.ndim == 1 and len(ts) > 0 and np.isfinite(ts).all() and ts[0] >= t0 and ts[-1] <= t1 + slack
        if not inside or not (np.diff(ts) > 0).all():
            raise ValueError(f"{where}: `ts` must be increasing times within [{t0:g}, {t1:g}], got {ts}")
        ts = np.minimum(ts, t1)
        if gtol is None:
            t1 = float(ts[-1])
    return Limits(t0, t1, ts, rtol, atol, stationary, max_steps)


def _tolerances(where: str, rtol: Any, atol: Any, gtol: Any, dtype: Any) -> tuple[float, float | None, float | None]:
    given = {name: value for name, value in (("rtol", rtol), ("atol", atol), ("gtol", gtol)) if value is not None}
    check_positive(where, **given)
    rtol = default_rtol(dtype) if rtol is None else float(rtol)
    if rtol < tightest_rtol(dtype):
        raise ValueError(
            f"{where}: `rtol` = {rtol:g} is tighter than {dtype} holds (at least {tightest_rtol(dtype):.1g}); "
            + ("loosen it" if jnp.finfo(dtype).bits >= 64 else "loosen it, or enable double precision: jax_enable_x64")
        )
    return rtol, None if atol is None else float(atol), None if gtol is None else float(gtol)
