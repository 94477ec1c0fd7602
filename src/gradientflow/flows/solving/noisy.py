"""Solving flows with noise, along a Brownian path, by fixed small steps."""

import dataclasses
import math
from typing import Any

import diffrax as dfx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np

from ..aliases import State, StepLength, Time
from ..brownian import BrownianPath, check_key
from ..compiling import compiled
from ..flow import Flow
from ..numerics import dtype_of
from ..status import decide, unseen
from ..trajectory import Stats, Trajectory, along, measure
from .spectrum import spectral_radius

_DEFAULT_TIMES = 201
# The share of the fastest mode's time that a step is.
_RESOLVED = 0.05
# A step that is this much too long is short enough, and one that is this much shorter than the first short enough too.
_SLACK = 2
_FINEST = 1e4
# Rows at which the fastest mode is looked at, and steps that are not exceeded.
_LOOKED_AT = 201
_MOST_STEPS = 10**8


def integrate_noisy(flow: Flow, z0: State, t0: float, t1: float, ts: Any, key: Any) -> Trajectory:
    """The path of a flow with noise, by fixed small steps: of strong order 3/2 (SRA1) where the noise is additive.

    Where it is not, by Euler–Maruyama (Itô), of strong order 1/2, with steps a tenth as long. The step resolves
    twentyfold the fastest mode at the start, and a thousandth of the time; where the path comes to places that are
    steeper, it is solved again along the same Brownian path with a step that resolves those. Saved at `ts`, or at 201
    equal times.

    References:
        A. Rößler, Runge–Kutta methods for the strong approximation of solutions of stochastic differential
        equations, SIAM J. Numer. Anal. 48, 2010.

    Raises:
        ValueError: if that would take more than 10⁸ steps, or is finer than the Brownian path that was given.
    """
    dtype = dtype_of(z0)
    times = np.linspace(t0, t1, _DEFAULT_TIMES) if ts is None else ts
    additive = flow.noise is not None and flow.noise.additive
    solver = dfx.SRA1() if additive else dfx.Euler()
    start, end, asked = (jnp.asarray(number, dtype) for number in (t0, t1, times))
    shorter = 1 if additive else 10
    h = min(_RESOLVED / max(float(spectral_radius(flow, start, z0)), 1e-12), (t1 - t0) / 1_000) / shorter
    given = key if isinstance(key, BrownianPath) else None
    if given is None:
        check_key("integrate", flow, key)
    finest = h / _FINEST if given is None else float(given.tree.tol)
    while True:
        h = max(h, finest)
        brownian = given or BrownianPath(flow, flow.position(z0), t0, t1, key, resolution=h / 2)
        count = int(np.ceil((t1 - t0) / h))
        if count > _MOST_STEPS:
            raise ValueError(
                f"integrate: the fastest mode on the way to t = {t1:g} asks for {count:.1e} steps; shorten the time, "
                "or take steps of your own: iterate(flow, EulerMaruyama(), ..., step=h, steps=n)"
            )
        states = _solve(flow, z0, start, end, jnp.asarray((t1 - t0) / count, dtype), asked, brownian, solver)
        some = np.unique(np.linspace(0, len(times) - 1, _LOOKED_AT).astype(int))
        rows = asked[some], jax.tree.map(lambda leaf, some=some: leaf[some], states)
        radius = float(np.max(np.asarray(along(_radius, rows, flow), float)))
        # Where the path was lost, nobody knows how steep it was.
        needed = _RESOLVED / max(radius, 1e-12) / shorter if math.isfinite(radius) else h / 8
        if needed >= h / _SLACK or h <= finest:
            break
        h = needed
    positions = jax.vmap(flow.position)(states)
    energies, grad_norms = (np.asarray(each) for each in measure(flow.energy, positions))
    finite = np.isfinite(energies) & np.isfinite(grad_norms)
    steps = np.rint((times - t0) / (t1 - t0) * count).astype(int)
    evidence = dataclasses.replace(
        unseen(np, energies[[0, -1]], grad_norms[[0, -1]]),
        steps=np.asarray(count),
        time=np.asarray(t1),
        noisy=np.asarray(True),
        heated=np.asarray(True),
        lost_from=np.asarray(-1 if finite.all() else steps[np.argmin(finite)]),
        lost=np.asarray(0 if finite.all() else 1),
        has_energy=flow.has_energy,
    )
    return Trajectory(
        t=asked, x=positions, state=states, energy=jax.device_put(energies), grad_norm=jax.device_put(grad_norms),
        status=decide(evidence), steps=jax.device_put(steps),
        stats=Stats(
            solver=type(solver).__name__, steps=count, rejected=0, step=(t1 - t0) / count, precision=str(dtype)
        ),
    )  # fmt: skip


def _radius(row: tuple[Any, Any], flow: Flow) -> Any:
    return spectral_radius(flow, *row)


@compiled
def _solve(
    flow: Flow, z0: State, t0: Time, t1: Time, h: StepLength, ts: Any, brownian: BrownianPath, solver: Any
) -> Any:
    def drift(t: Time, z: State, _: Any) -> Any:
        return flow.drift(t, z)

    def diffusion(t: Time, z: State, _: Any) -> Any:
        # Dense, because the solver batches over stages, which lineax's function operators do not survive.
        matrix = jax.jacfwd(flow.diffusion(t, z))(jax.tree.map(jnp.zeros_like, flow.brownian(z)))
        return lx.PyTreeLinearOperator(matrix, jax.eval_shape(lambda: z))

    terms = dfx.MultiTerm(dfx.ODETerm(drift), dfx.ControlTerm(diffusion, brownian.tree))
    solution = dfx.diffeqsolve(terms, solver, t0, t1, h, z0, saveat=dfx.SaveAt(ts=ts), max_steps=None, throw=False)
    return solution.ys
