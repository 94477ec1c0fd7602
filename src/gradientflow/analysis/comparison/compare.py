"""A flow against the iterates of its discretizations, on one time axis."""

import dataclasses
import functools
import math
import os
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from gradientflow.discretizers import ConstantStep, Method, as_step_rule
from gradientflow.flows import (
    BrownianPath,
    Flow,
    GradientFlow,
    Number,
    Trajectory,
    check_finite,
    check_key,
    check_positive,
    distance,
    dtype_of,
    integrate,
    is_stochastic,
    looks_at_numbers,
    prepare,
)
from gradientflow.flows.energies.composite import kinks_of

from ..results.grades import Measured
from ..results.result import Drawn
from .asked import MOST_STEPS, checked_methods, steps_needed
from .nonsmooth import nonsmooth_path
from .observed_order import ObservedOrder, observe_order

# Saved rows of a run: enough for a smooth curve, few enough that landing on each does not slow the reference.
_ROWS = 1_000
_MOST_STEPS_TO_REST = 5_000


@dataclasses.dataclass(frozen=True)
class Entry:
    """One method in a comparison.

    Attributes:
        method: the flow, the scheme and the step.
        run: its iterates.
        path: the path of its own flow at the run's times.
        error: ‖x_k − x(t_k)‖ at the run's times; NaN where the flow's path ends before.
        order: the observed order as the step is halved, or `None` for flows with noise and steps that vary.
    """

    method: Method
    run: Trajectory
    path: Trajectory
    error: np.ndarray
    order: ObservedOrder | None


@dataclasses.dataclass(frozen=True)
class Comparison(Measured, Drawn):
    """What `compare` found.

    `.plot()` draws one figure: the plane (where there is one), energies, and errors against the flow.

    Attributes:
        flow: the flow drawn beside the methods.
        path: its path.
        entries: what was found of each method, by label.
    """

    drawn_by = "comparison.figures:plot_comparison"

    flow: Flow
    path: Trajectory
    entries: Mapping[str, Entry]

    @property
    def errors(self) -> dict[str, np.ndarray]:
        """The distance of each method's iterates from its own flow, at the times of its run."""
        return {label: entry.error for label, entry in self.entries.items()}

    @functools.cached_property
    def minimum(self) -> float | None:
        """The energy's minimum where it is known, else where following the gradient flow to rest ends.

        `None` where that finds no equilibrium. Worked out when first asked for.
        """
        energy = self.flow.energy
        if energy.minimum is not None:
            return float(energy.minimum)
        if kinks_of(energy) is not None:
            return None
        start = jax.tree.map(lambda leaf: leaf[0], self.path.x)
        rest = integrate(GradientFlow(energy), start, math.inf, max_steps=_MOST_STEPS_TO_REST)
        return float(rest.energy[-1]) if rest.status == "converged" else None

    def table(self) -> pd.DataFrame:
        """One row a method; the first row is the flow.

        Columns: flow, scheme, step h [T], steps, largest error and last error against the method's own flow [X],
        observed and claimed order, last time [T], energy, ‖∇E‖∞, status.
        """
        rows = [_row("flow", self.flow.name, self.path, scheme=str(self.path.stats["solver"]))]
        for label, entry in self.entries.items():
            row = _row(label, entry.method.flow.name, entry.run, scheme=str(entry.run.stats["scheme"]))
            h = np.diff(np.asarray(entry.run.t)) / np.diff(np.asarray(entry.run.steps))
            finite = entry.error[np.isfinite(entry.error)]
            row |= {
                "h": float(h[0]),
                "largest error": float(finite.max()) if len(finite) else math.nan,
                "last error": float(entry.error[-1]),
                "observed order": entry.order.order if entry.order is not None else math.nan,
                "claimed order": _or_nan(entry.method.discretizer.order),
            }
            rows.append(row)
        columns = [
            "method", "flow", "scheme", "h", "steps", "largest error", "last error", "observed order",
            "claimed order", "t", "energy", "grad norm", "status",
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=columns).set_index("method")

    def to_xarray(self) -> Any:
        """An `xarray.DataTree`: `flow`, and for each method a group with `run` and `path`."""
        import xarray as xr

        groups = {"/flow": self.path.to_xarray()}
        for label, entry in self.entries.items():
            run = entry.run.to_xarray()
            groups[f"/{label}/run"] = run.assign(error=("t", entry.error))
            groups[f"/{label}/path"] = entry.path.to_xarray()
        return xr.DataTree.from_dict(groups)

    def save(self, directory: str | os.PathLike[str], experiment: str | None = None) -> None:
        """Writes the report, the figures and the data.

        Args:
            directory: made if it isn't there; `report.html`, `data.nc`, `table.csv` and `figures/` go into it.
            experiment: the text of the EXPERIMENT.toml that reproduces it, if there is one.

        Raises:
            ValueError: if the directory can't be written.
        """
        from .report import save_comparison

        save_comparison(self, directory, experiment)

    def __repr__(self) -> str:
        """The table."""
        table = self.table().to_string(float_format=lambda value: f"{value:.4g}", na_rep="–")
        return f"{table}\n{self.grade}"


@looks_at_numbers
def compare(
    flow: Flow,
    methods: Mapping[str, Any],
    x0: Any,
    t1: Number,
    *,
    t0: Number = 0.0,
    key: Any = None,
    solver: Any = None,
    rtol: Number | None = None,
    atol: Number | None = None,
    orders: bool = True,
    progress: Callable[[str], None] | None = None,
) -> Comparison:
    """Integrates a flow, runs its discretizations over the same time, and measures each against its own flow.

    Of a sum with kinks or walls (`Composite` with the ℓ1 norm, say) the path of the flow is that of 20,000 short
    proximal steps, forward–backward or FISTA's, of first order: a solver would only chatter.

    Args:
        flow: drawn beside the methods, on the same clock.
        methods: {label: `Method`}, or {label: (discretizer, step)} for schemes of `flow` itself.
        x0: the initial position of all.
        t1: the end [T].
        t0: the start [T], which matters to flows whose drift depends on the time.
        key: for flows with noise, a key made by `jax.random.key`; a flow and its schemes share one Brownian path.
        solver: the diffrax solver of the flows, or its name; chosen unless given.
        rtol: its relative tolerance; 1e-10 in double precision unless given.
        atol: its absolute tolerance; 1e-12 in double precision unless given.
        orders: whether to measure the observed orders, which takes several more runs a method.
        progress: called with the label of the method that is at work.

    Raises:
        ValueError: for a t1 that isn't finite and after t0, no methods, or a schedule that never reaches t1.
        TypeError: for a method that is neither a `Method` nor a pair.

    References:
        D. Scieur, V. Roulet, F. Bach, A. d'Aspremont, Integration methods and optimization algorithms, NeurIPS 2017:
        methods as integrators of flows.

    Example:
        >>> import gradientflow as gf
        >>> E = gf.LeastSquares([[4.0, 1.0], [1.0, 3.0]], [1.0, 2.0])
        >>> result = gf.compare(gf.GradientFlow(E), {"euler": (gf.ForwardEuler(), 0.02)}, [4.0, 3.0], 1.0)
        >>> result.table().loc["euler", "status"]
        'reached the end'
    """
    check_finite("compare", t0=t0, t1=t1)
    check_positive("compare", **({"t1 - t0": float(t1) - float(t0)} if t0 else {"t1": t1}))
    checked = checked_methods("compare", flow, methods)
    reference = _Reference(x0, float(t0), key, solver, rtol, atol)
    report = progress or (lambda label: None)
    report("flow")
    runs = {}
    for label, method in checked.items():
        report(label)
        runs[label] = reference.run(method, float(t1))
    end = max(float(t1), *(float(run.t[-1]) for run in runs.values()))
    reference.cover(flow, end)
    path = reference.path(flow, float(t1))
    entries = {}
    for label, method in checked.items():
        report(label)
        entries[label] = reference.entry(method, runs[label], orders)
    return Comparison(flow, path, entries)


class _Reference:
    """The flows' paths that runs are measured against: tight tolerances, and one Brownian path for all."""

    def __init__(self, x0: Any, t0: float, key: Any, solver: Any, rtol: Number | None, atol: Number | None) -> None:
        self.x0, self.t0, self.key, self.solver = x0, t0, key, solver
        self.rtol, self.atol = rtol, atol
        self.brownian: dict[tuple[str, str], BrownianPath] = {}

    def run(self, method: Method, t1: float) -> Trajectory:
        """The method's iterates up to the first that is at t1 or after."""
        rule = as_step_rule(method.step)
        noisy = self._is_noisy(method.flow)
        options: dict[str, Any] = {"t0": self.t0}
        if isinstance(rule, ConstantStep):
            steps = steps_needed("compare", rule, self.t0, t1)
            if noisy:
                self.cover(method.flow, self.t0 + steps * float(rule.h))
                options["key"] = self._brownian(method.flow)
            return method.iterate(self.x0, steps, save_every=math.ceil(steps / _ROWS), **options)
        if noisy:
            raise ValueError(
                "compare: a method with noise needs a constant step, to share a Brownian path with its flow"
            )
        steps = 64
        while steps <= MOST_STEPS:
            run = method.iterate(self.x0, steps, **options)
            reached = np.flatnonzero(np.asarray(run.t) >= t1 - 1e-9 * (t1 - self.t0))
            if len(reached):
                count = int(reached[0])
                return method.iterate(self.x0, count, save_every=math.ceil(count / _ROWS), **options)
            steps *= 8
        raise ValueError(f"compare: the schedule has not reached t1 = {t1:g} after {MOST_STEPS} steps")

    def cover(self, flow: Flow, end: float) -> None:
        """Makes sure that the Brownian path of a noisy flow reaches `end`."""
        if not self._is_noisy(flow):
            return
        noise = self._noise(flow)
        known = self.brownian.get(noise)
        if known is None or float(known.tree.t1) < end:
            key, later = check_key("compare", flow, self.key), end + (end - self.t0) / 2
            self.brownian[noise] = BrownianPath(flow, self.x0, self.t0, later, key)

    def path(self, flow: Flow, end: float, ts: np.ndarray | None = None) -> Trajectory:
        """The flow's own path up to an end, at given times or at the solver's own."""
        if self._is_noisy(flow):
            return integrate(flow, self.x0, end, t0=self.t0, ts=ts, key=self._brownian(flow))
        if kinks_of(flow.energy) is not None:
            return nonsmooth_path("compare", flow, self.x0, self.t0, end, ts)
        double = jnp.finfo(dtype_of(self._start(flow))).bits >= 64
        # A path that errors are measured against is to be ahead of them.
        rtol = (1e-10 if double else None) if self.rtol is None else self.rtol
        atol = (1e-12 if double else None) if self.atol is None else self.atol
        return integrate(flow, self.x0, end, t0=self.t0, ts=ts, solver=self.solver, rtol=rtol, atol=atol)

    def path_at(self, flow: Flow, ts: np.ndarray) -> Trajectory:
        """The flow's own path at given times."""
        return self.path(flow, float(ts[-1]), ts)

    def entry(self, method: Method, run: Trajectory, orders: bool) -> Entry:
        """The run beside its own flow."""
        path = self.path_at(method.flow, np.asarray(run.t, dtype=float))
        error = distance(run.x, path.x)
        noisy, constant = self._is_noisy(method.flow), isinstance(as_step_rule(method.step), ConstantStep)
        order = None
        if orders and constant and not noisy:
            count = int(run.steps[-1])
            order = observe_order(method, lambda ts: self.path_at(method.flow, ts), self.x0, self.t0, count)
        return Entry(method, run, path, error, order)

    def _brownian(self, flow: Flow) -> BrownianPath:
        return self.brownian[self._noise(flow)]

    def _noise(self, flow: Flow) -> tuple[str, str]:
        """What flows share that share a Brownian path: their kind, and the shape of its increments."""
        increments = flow.brownian(self._start(flow))
        return type(flow).__name__, str([leaf.shape for leaf in jax.tree.leaves(increments)])

    def _is_noisy(self, flow: Flow) -> bool:
        return is_stochastic(flow, self._start(flow))

    def _start(self, flow: Flow) -> Any:
        return prepare("compare", flow, self.x0, None, self.t0)[1]


def _row(label: str, flow: str, trajectory: Trajectory, scheme: str) -> dict[str, Any]:
    return {
        "method": label,
        "flow": flow,
        "scheme": scheme,
        "h": math.nan,
        "steps": int(trajectory.stats["steps"]),
        "t": float(trajectory.t[-1]),
        "energy": float(trajectory.energy[-1]),
        "grad norm": float(trajectory.grad_norm[-1]),
        "status": str(trajectory.status),
    }


def _or_nan(value: int | None) -> float:
    return math.nan if value is None else float(value)
