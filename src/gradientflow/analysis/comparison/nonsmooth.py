"""The path of a flow whose energy has kinks or walls: many short proximal steps, since a solver would only chatter."""

import dataclasses
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from gradientflow.discretizers import Discretizer, ForwardBackward, NesterovScheme, ScheduledStep, fits, iterate
from gradientflow.flows import Composite, Flow, Stats, Trajectory, distance, dtype_of, prepare

# So many short steps to the end, of first order: the path is off by about so manieth a part of its bends.
_STEPS = 20_000
# Rows of a path at times of its own choice.
_ROWS = 200
_SCHEMES: tuple[Discretizer, ...] = (ForwardBackward(), NesterovScheme())


class _Between(eqx.Module):
    """The step from row to row, in equal parts."""

    lengths: Any
    parts: int

    def __call__(self, k: Any) -> Any:
        """The length of step k."""
        # Numbers of a rule are made floating point.
        return self.lengths[(k // self.parts).astype(int)]


def nonsmooth_path(where: str, flow: Flow, x0: Any, t0: float, end: float, ts: np.ndarray | None) -> Trajectory:
    """The path from t0 up to an end, at given times or at equally many of its own; its error is measured, as `rtol`.

    Raises:
        ValueError: if no proximal scheme fits the flow.
    """
    ready, z = prepare(where, flow, x0, None)
    scheme = next((scheme for scheme in _SCHEMES if fits(ready, scheme, z)), None)
    if scheme is None or not isinstance(flow.energy, Composite):
        raise ValueError(
            f"{where}: the energy of {flow.name} has kinks, where a solver only chatters, and no proximal scheme fits "
            "that flow; smooth it: Composite(f, MoreauEnvelope(g, delta))"
        )
    times = np.linspace(t0, end, _ROWS + 1) if ts is None else np.asarray(ts, dtype=float)
    rows = np.concatenate([[t0], times]) if times[0] > t0 else times
    parts = 2 * math.ceil(_STEPS / 2 / max(len(rows) - 1, 1))

    def run_in(parts: int) -> Trajectory:
        rule = ScheduledStep(_Between(jnp.asarray(np.diff(rows) / parts, dtype_of(z)), parts))
        return iterate(flow, scheme, x0, step=rule, steps=parts * (len(rows) - 1), save_every=parts, t0=t0)

    run, half = run_in(parts), run_in(parts // 2)
    scale = max(float(jnp.max(jnp.abs(leaf))) for leaf in jax.tree.leaves(run.x))
    # Of first order: with twice as many steps the error is halved, and what is left is the difference.
    error = float(np.max(distance(run.x, half.x))) / max(scale, float(jnp.finfo(run.t.dtype).tiny))
    words = {"solver": f"{scheme.name}, {parts} steps a row", "rtol": error, "atol": 0.0}
    stats = Stats(**{**dict(run.stats), **words})
    run = dataclasses.replace(run, stats=stats)
    if len(rows) == len(times):
        return run
    kept = {name: jax.tree.map(lambda leaf: leaf[1:], getattr(run, name))
            for name in ("t", "x", "state", "energy", "grad_norm", "steps")}  # fmt: skip
    return Trajectory(status=run.status, stats=run.stats, **kept)
