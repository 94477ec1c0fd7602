"""Many starts, or many seeds, at once: what is usual, and how far apart runs of one method are."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from gradientflow.discretizers import ConstantStep, Method, as_step_rule
from gradientflow.flows import (
    Flow,
    Number,
    check_finite,
    check_fits,
    check_positive,
    dtype_of,
    is_stochastic,
    looks_at_numbers,
    prepare,
)
from gradientflow.flows.checks import in_a_line, position_arrays

from ..results.grades import Measured
from ..results.result import Drawn
from ..sweeps.result import Sweep
from ..sweeps.sweep import sweep
from .asked import checked_methods, steps_needed

# Saved rows of a run: enough for a curve.
_ROWS = 200
_KEPT = ("energy", "grad_norm", "x")
# The lower and upper end of the band that is drawn: eight of ten runs are within.
BAND = (0.1, 0.5, 0.9)


@dataclasses.dataclass(frozen=True)
class EnsembleEntry:
    """One method's runs.

    Attributes:
        method: the flow, the scheme and the step.
        runs: how each lane ended, with its rows.
        t: the rows' times, shape (rows,) [T].
        errors: ‖x_k − x(t_k)‖ of each lane at the runs' times, shape (lanes, rows) [X]; `None` of flows with noise.
    """

    method: Method
    runs: Sweep
    t: np.ndarray
    errors: np.ndarray | None


@dataclasses.dataclass(frozen=True)
class EnsembleComparison(Measured, Drawn):
    """What `compare_ensemble` found.

    `.plot()` draws energies and errors over time: the median of the lanes, and the band within which eight of ten are.

    Attributes:
        flow: the flow that is drawn beside the methods.
        path: its paths; `None` where it has noise.
        entries: what was found of each method, by label.
        lanes: how many runs there are of each.
    """

    drawn_by = "comparison.ensemble_figures:plot_ensemble"

    flow: Flow
    path: Sweep | None
    entries: Mapping[str, EnsembleEntry]
    lanes: int

    def table(self) -> pd.DataFrame:
        """One row a method, the flow first.

        Columns: flow, scheme, step h, end t [T]: of the flow t1, of a method its first step there or beyond; energy
        then of the tenth, fiftieth and ninetieth per cent of the lanes [E], largest error on the way of the fiftieth
        and ninetieth [X], how the lanes ended.
        """
        rows: dict[str, Any] = {}
        if self.path is not None:
            rows["flow"] = _row(self.flow, "", math.nan, self.path.rows["t"][-1], self.path, None)
        for label, entry in self.entries.items():
            h = float(as_step_rule(entry.method.step).h)  # pyright: ignore[reportAttributeAccessIssue]
            rows[label] = _row(
                entry.method.flow, entry.method.discretizer.name, h, entry.t[-1], entry.runs, entry.errors
            )
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("method")

    def __repr__(self) -> str:
        """The table."""
        table = self.table().to_string(float_format=lambda value: f"{value:.4g}", na_rep="–")
        return f"{self.lanes} runs of each\n{table}\n{self.grade}"


def _row(flow: Flow, scheme: str, h: float, t: float, runs: Sweep, errors: np.ndarray | None) -> dict[str, Any]:
    low, median, high = quantiles(runs.energy)
    largest = (math.nan,) * 3
    if errors is not None:
        largest = quantiles(np.where(np.isfinite(errors), errors, np.inf).max(axis=1))
    return {
        "flow": flow.name, "scheme": scheme, "h": h, "t": float(t),
        "energy 10 %": low, "energy 50 %": median, "energy 90 %": high,
        "largest error 50 %": largest[1], "largest error 90 %": largest[2], "status": runs.tally,
    }  # fmt: skip


@looks_at_numbers
def compare_ensemble(
    flow: Flow,
    methods: Mapping[str, Any],
    starts: Any,
    t1: Number,
    *,
    t0: Number = 0.0,
    keys: Any = None,
    rtol: Number | None = None,
    atol: Number | None = None,
) -> EnsembleComparison:
    """`compare` from many starts, or with many seeds, at once: medians, and how far apart runs of one method are.

    It is a `sweep` of each method and of each flow: a lane's run is that of `iterate` from its start, with its key.

    Args:
        flow: whose paths are drawn beside the methods, on the same clock.
        methods: {label: `Method`}, or {label: (discretizer, step)} for schemes of `flow` itself; with constant steps.
        starts: positions stacked along a first axis of every leaf, a lane each.
        t1: the end [T].
        t0: the start [T].
        keys: for flows with noise, a key a lane, `jax.random.split(key, lanes)` say. Errors are not measured then.
        rtol: the relative tolerance of the flows' paths.
        atol: the absolute one.

    Raises:
        ValueError: for starts that are not stacked alike, as many keys as there are no lanes, a t1 that isn't after t0,
            no methods, or steps that vary.
        TypeError: for a method that is neither a `Method` nor a pair, or where a flow has noise and there are no keys.

    Example:
        >>> import gradientflow as gf
        >>> import jax
        >>> starts = jax.random.normal(jax.random.key(0), (50, 2))
        >>> methods = {"euler": (gf.ForwardEuler(), 0.1), "too long": (gf.ForwardEuler(), 0.9)}
        >>> found = gf.compare_ensemble(gf.GradientFlow(gf.Quadratic([[1.0, 0.0], [0.0, 3.0]])), methods, starts, 9.0)
        >>> found.lanes, found.table().index.tolist()
        (50, ['flow', 'euler', 'too long'])
    """
    check_finite("compare_ensemble", t0=t0, t1=t1)
    check_positive("compare_ensemble", **{"t1 - t0": float(t1) - float(t0)})
    checked = checked_methods("compare_ensemble", flow, methods)
    starts, lanes = _stacked(starts)
    if keys is not None and np.shape(keys)[:1] != (lanes,):
        raise ValueError(
            f"compare_ensemble: `keys` must be one a lane, jax.random.split(key, {lanes}), got shape {np.shape(keys)}"
        )
    first = jax.tree.map(lambda leaf: leaf[0], starts)
    check_fits("compare_ensemble", "starts", flow.energy, first)
    lane = {"x0": starts} if keys is None else {"x0": starts, "key": keys}
    grid = np.linspace(float(t0), float(t1), _ROWS + 1)
    flows = [(flow, grid, _is_noisy(flow, first))]
    runs: dict[str, Sweep] = {}
    for label, method in checked.items():
        rule = as_step_rule(method.step)
        if not isinstance(rule, ConstantStep):
            raise ValueError(f"compare_ensemble: method {label!r} must have one step length, got {in_a_line(rule)}")
        noisy = _is_noisy(method.flow, first)
        if noisy and keys is None:
            raise TypeError(f"compare_ensemble: {label!r} has noise; give `keys`, jax.random.split(key, {lanes}) say")
        steps = steps_needed("compare_ensemble", rule, float(t0), float(t1))
        runs[label] = _swept(
            method, lane if noisy else {"x0": starts}, steps=steps, save_every=math.ceil(steps / _ROWS), t0=t0
        )
        flows.append((method.flow, float(t0) + float(rule.h) * runs[label].rows["k"], noisy))
    solved = {"t0": t0, "rtol": rtol, "atol": atol}
    (path, _), *own = _paths(flows, {"x0": starts}, solved, dtype_of(starts))
    entries = {
        label: EnsembleEntry(
            checked[label], runs[label], times, None if there is None else _distances(runs[label].rows["x"], there)
        )
        for label, (_, times, _), (_, there) in zip(runs, flows[1:], own, strict=True)
    }
    if path is not None:
        # Some method may have gone on beyond t1.
        rows = path.rows
        end = {name: jax.tree.map(lambda leaf: leaf[:, -1], rows[name]) for name in ("energy", "grad_norm", "x")}
        path = dataclasses.replace(path, rows=rows, t=np.full(lanes, grid[-1]), **end)
    return EnsembleComparison(flow, path, entries, lanes)


def _paths(
    flows: list[tuple[Flow, np.ndarray, bool]], over: Any, options: Mapping[str, Any], dtype: Any
) -> list[tuple[Sweep | None, Any]]:
    """The paths of each flow with their rows at its times, and the positions there; of one that several ask for, once.

    Args:
        flows: each with its times, and whether it has noise: then there is no path.
        over: the starts.
        options: for `sweep`.
        dtype: the precision, in which times that are nearly the same are one.
    """
    apart = 8 * float(jnp.finfo(dtype).eps) * max(abs(times[-1]) for _, times, _ in flows)
    found: dict[int, tuple[np.ndarray, Sweep]] = {}
    answers: list[tuple[Sweep | None, Any]] = []
    for flow, times, noisy in flows:
        if noisy:
            answers.append((None, None))
            continue
        if id(flow) not in found:
            asked = np.sort(np.concatenate([times for other, times, _ in flows if other is flow]))
            asked = asked[np.diff(asked, prepend=-np.inf) > apart]
            held = np.asarray(asked, dtype).astype(float)
            found[id(flow)] = asked, _swept(flow, over, t1=held[-1], ts=held, **options)
        asked, path = found[id(flow)]
        rows = _taken(path.rows, np.searchsorted(asked, times - apart))
        answers.append((dataclasses.replace(path, rows=rows), rows["x"]))
    return answers


def _swept(made: Any, over: Any, **options: Any) -> Sweep:
    def make() -> Any:
        return made

    return sweep(make, over=over, zipped=True, record=_KEPT, **options)


def _taken(rows: Mapping[str, Any], index: np.ndarray) -> dict[str, Any]:
    """Some of the rows."""
    taken = {name: jax.tree.map(lambda leaf: leaf[:, index], rows[name]) for name in _KEPT}
    return taken | {"t": rows["t"][index]}


def _is_noisy(flow: Flow, first: Any) -> bool:
    return is_stochastic(*prepare("compare_ensemble", flow, first, None))


def quantiles(values: np.ndarray) -> np.ndarray:
    """Tenth, fiftieth and ninetieth per cent along the first axis; what is not finite counts as the largest."""
    with np.errstate(invalid="ignore"):
        found = np.quantile(np.where(np.isfinite(values), values, np.inf), BAND, axis=0)
    return np.where(np.isnan(found), np.inf, found)


def _stacked(starts: Any) -> tuple[Any, int]:
    starts = position_arrays("compare_ensemble", "starts", starts)
    shapes = [leaf.shape for leaf in jax.tree.leaves(starts)]
    if not all(shapes) or len({shape[0] for shape in shapes}) != 1 or not shapes[0][0]:
        raise ValueError(
            "compare_ensemble: `starts` must be positions stacked along a first axis of every leaf, got shapes "
            f"{', '.join(map(str, shapes))}"
        )
    if not all(np.isfinite(np.asarray(leaf)).all() for leaf in jax.tree.leaves(starts)):
        raise ValueError("compare_ensemble: `starts` must be finite")
    return starts, shapes[0][0]


def _distances(left: Any, right: Any) -> np.ndarray:
    """‖a − b‖ of each lane and row."""
    pairs = zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True)
    with np.errstate(all="ignore"):
        squares = [np.square(np.asarray(a, dtype=float) - np.asarray(b, dtype=float)) for a, b in pairs]
        return np.sqrt(sum(square.reshape(*square.shape[:2], -1).sum(axis=-1) for square in squares))
