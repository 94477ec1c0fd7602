"""Solving flows with noise, along a Brownian path, by fixed small steps."""

from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np

from ..brownian import BrownianPath, check_key
from ..flow import Flow
from ..numerics import all_finite, dtype_of
from ..status import Outcome, said
from ..trajectory import Stats, Trajectory, measure
from .spectrum import spectral_radius

_DEFAULT_TIMES = 201


def integrate_noisy(flow: Flow, z0: Any, t0: float, t1: float, ts: Any, key: Any) -> Trajectory:
    """The path of a flow with noise, by fixed small steps: of strong order 3/2 (SRA1) where the noise is additive.

    Where it is not, by Euler–Maruyama (Itô), of strong order 1/2, with steps a tenth as long. The step resolves
    twentyfold what is the fastest mode at the start, and a thousandth of the time; where a flow gets to places that are
    steeper by far, `iterate` with a step of yours. Saved at `ts`, or at 201 equal times.

    References:
        A. Rößler, Runge–Kutta methods for the strong approximation of solutions of stochastic differential
        equations, SIAM J. Numer. Anal. 48, 2010.
    """
    dtype = dtype_of(z0)
    radius = float(spectral_radius(flow, jnp.asarray(t0, dtype), z0))
    times = np.linspace(t0, t1, _DEFAULT_TIMES) if ts is None else ts
    additive = flow.noise is not None and flow.noise.additive
    solver = dfx.SRA1() if additive else dfx.Euler()
    h = min(0.05 / max(radius, 1e-12), (t1 - t0) / 1_000) / (1 if additive else 10)
    if isinstance(key, BrownianPath):
        # As fine as the path that was given can tell times apart.
        brownian, h = key, max(h, float(key.tree.tol))
    else:
        brownian = BrownianPath(flow, flow.position(z0), t0, t1, check_key("integrate", flow, key), resolution=h / 2)
    count = int(np.ceil((t1 - t0) / h))
    start, end, step = (jnp.asarray(number, dtype) for number in (t0, t1, (t1 - t0) / count))
    states = _solve(flow, z0, start, end, step, jnp.asarray(times, dtype), brownian, solver, count)
    positions = jax.vmap(flow.position)(states)
    energies, grad_norms = measure(flow.energy, positions)
    finite, name = bool(all_finite(states)), type(solver).__name__
    return Trajectory(
        t=jnp.asarray(times, dtype), x=positions, state=states, energy=energies, grad_norm=grad_norms,
        status=said(Outcome.REACHED_END if finite else Outcome.DIVERGED, f"{count} steps of {name}"),
        stats=Stats(solver=name, steps=count, rejected=0, step=(t1 - t0) / count, precision=str(dtype)),
        steps=jnp.asarray(np.rint((times - t0) / (t1 - t0) * count).astype(int)),
    )  # fmt: skip


@eqx.filter_jit
def _solve(
    flow: Flow, z0: Any, t0: Any, t1: Any, h: Any, ts: Any, brownian: BrownianPath, solver: Any, count: int
) -> Any:
    def drift(t: Any, z: Any, _: Any) -> Any:
        return flow.drift(t, z)

    def diffusion(t: Any, z: Any, _: Any) -> Any:
        # Dense, because the solver batches over stages, which lineax's function operators do not survive.
        matrix = jax.jacfwd(flow.diffusion(t, z))(jax.tree.map(jnp.zeros_like, flow.brownian(z)))
        return lx.PyTreeLinearOperator(matrix, jax.eval_shape(lambda: z))

    terms = dfx.MultiTerm(dfx.ODETerm(drift), dfx.ControlTerm(diffusion, brownian.tree))
    solution = dfx.diffeqsolve(terms, solver, t0, t1, h, z0, saveat=dfx.SaveAt(ts=ts), max_steps=count + 8, throw=False)
    return solution.ys
