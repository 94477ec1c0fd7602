"""What a watched run says of itself: what happened, from which step on, why as far as that can be told, what helps."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax.flatten_util import ravel_pytree

from gradientflow.flows.checks import by_name

from ..diagnosis.causes import Cause
from ..linear_stability.held_step import HeldUpdate
from ..results.grades import Grade
from ..results.result import Drawn
from .watch import BATCH, GRADIENT, NOTHING, RECORDED, ROSE, UPDATE, VALUE, WatchState

# A gradient or a loss so many times what it was before is one that grew.
_GREW = 10.0
# A loss that rose on its way by so much of the start's, or is back up by so much of its fall, and ends with less than
# so much of the start's gone, has gone wrong; of so many last steps, by more than so many times what they scatter.
_PEAK, _BACK_UP, _LITTLE, _LAST, _SCATTERS = 0.5, 0.5, 0.5, 20, 3.0
# One that rose by so many times the start's was thrown away from it, unless it came down to so much of the start's: a
# catapult does.
_FAR_UP, _FAR_DOWN = 100.0, 0.01
_BAD = {
    BATCH: "the batch holds numbers that are not finite",
    VALUE: "the loss is not finite",
    GRADIENT: "the gradient is not finite",
    UPDATE: "the update is not finite",
    ROSE: "the loss has risen and did not come back",
}
_ADVICE = {
    "healthy": "",
    "beyond_stability": "a smaller learning rate (gf.suggest_lr finds one), or gf.safe_step",
    "bad_batch": "look at that batch; leave it out",
    "not_finite_operation": "look for a logarithm, root, norm or quotient at 0, or an exponential out of range",
    "precision": "a loss scale, or bfloat16 or float32",
    "unbounded_below": "a loss that is bounded below: a penalty, a sign",
    "unknown": "gf.why(loss, params, optimizer, batches) replays the run with one thing changed at a time",
}


@dataclasses.dataclass(frozen=True, repr=False)
class TrainingReport(Drawn):
    """What `watch` saw of a run.

    `.plot()` draws the loss, the gradient and the curvature over the last steps.

    Attributes:
        cause: healthy, beyond_stability, bad_batch, not_finite_operation, precision, unbounded_below or unknown.
        step: the last good step: `params` are the parameters before it.
        params: the last good parameters.
        opt_state: the optimizer's state there, to go on from.
        bad_step: the first bad step, from which on updates are zero; `None` if there was none.
        what: what was bad, in words.
        evidence: one row a step of the last ones: value, grad_norm, update_norm, sharpness and its residual.
        ratio: the curvature over the optimizer's limit at the last look, by its own update with what it adapts held;
            more than 1 is unstable; a lower bound where steps differ by coordinate; NaN where it can't be told.
        reason: the argument for the cause, in words.
        grade: measured; unknown where the evidence does not decide.
    """

    drawn_by = "training.figures:plot_report"

    cause: Cause
    step: int | None
    params: Any
    opt_state: Any
    bad_step: int | None
    what: str
    evidence: pd.DataFrame
    ratio: float
    reason: str
    grade: Grade

    @property
    def ok(self) -> bool:
        """Whether there was no bad step."""
        return self.bad_step is None

    def table(self) -> pd.DataFrame:
        """One row a step."""
        return self.evidence

    def __repr__(self) -> str:
        """What happened, from which step on, why, and what would help."""
        if self.bad_step is None:
            happened = f"no bad step in {len(self.evidence) and int(self.evidence.index[-1]) + 1} steps"
        else:
            happened = f"at step {self.bad_step} {self.what}; the updates are zero from there on"
        good = "no step was good" if self.step is None else f"last good step: {self.step}, kept as .params, .opt_state"
        advice = _ADVICE.get(str(self.cause), "")
        lines = [happened, good, f"cause: {self.cause} ({self.grade}): {self.reason}"]
        return "\n".join([*lines, f"what helps: {advice}"] if advice else lines)


@by_name
def report(state: Any) -> TrainingReport:
    """What a watched run says of itself, on the host.

    Args:
        state: the optimizer's state, of `gf.watch(…)` or of a chain that has it inside.

    Raises:
        TypeError: if no `watch` is in it.
        ValueError: if there are several, or one of a batch of runs.

    Example:
        >>> import gradientflow as gf
        >>> import jax, jax.numpy as jnp, optax
        >>> optimizer = gf.watch(optax.sgd(0.1))
        >>> x = jnp.array([1.0, 1.0])
        >>> state = optimizer.init(x)
        >>> for _ in range(50):  # x[0] falls below 0 on the way
        ...     value, gradient = jax.value_and_grad(lambda x: x[0] * jnp.sqrt(x[0]) + x[0] + x[1] ** 2)(x)
        ...     updates, state = optimizer.update(gradient, state, x, value=value)
        ...     x = optax.apply_updates(x, updates)
        >>> found = gf.report(state)
        >>> str(found.cause), found.what, found.bad_step == found.step + 1
        ('not_finite_operation', 'the loss is not finite', True)
    """
    found = [leaf for leaf in jax.tree.leaves(state, is_leaf=_is_watch) if _is_watch(leaf)]
    if not found:
        raise TypeError(
            f"report: `state` must be the state of gf.watch(optimizer), got {type(state).__name__}; wrap the optimizer "
            "and give what its update returns"
        )
    if len(found) > 1 or np.ndim(found[0].steps) > 1:
        raise ValueError(f"report: `state` must be that of one run, got {max(len(found), len(found[0].steps))}")
    (seen,) = found
    evidence = _evidence(seen)
    good_step, bad_step, what = (int(seen.count(name)) for name in ("good_step", "bad_step", "what"))
    wrong = _gone_wrong(seen, evidence) if what == NOTHING else ""
    at_start, late = _ratios(seen)
    # What rose and did not come back may have been too long a step from the start.
    at_once = at_start > 1 and not late > 1 and bool(wrong or what == ROSE)
    ratio = at_start if at_once else late
    cause, reason, grade = _cause(seen, evidence, what, wrong, ratio, " at the start" if at_once else "")
    words = _BAD.get(what, "")
    if what == GRADIENT:
        words += f" ({', '.join(_lost(seen))})"
    params, inner = seen.good
    return TrainingReport(
        Cause(cause), None if good_step < 0 else good_step, params, inner, None if bad_step < 0 else bad_step, words,
        evidence, ratio, reason, grade,
    )  # fmt: skip


def _is_watch(leaf: Any) -> bool:
    return isinstance(leaf, WatchState)


def _evidence(seen: WatchState) -> pd.DataFrame:
    steps = np.asarray(seen.steps)
    order = np.argsort(steps)[np.sum(steps < 0) :]
    columns = {name: np.asarray(seen.ring[:, i], dtype=float)[order] for i, name in enumerate(RECORDED)}
    return pd.DataFrame(columns, index=pd.Index(steps[order], name="step"))


def _lost(seen: WatchState) -> list[str]:
    named = jax.tree_util.tree_leaves_with_path(seen.good[0])
    return [jax.tree_util.keystr(path, simple=True, separator=".") or "params"
            for (path, _), lost in zip(named, np.asarray(seen.lost), strict=True) if lost]  # fmt: skip


def _ratios(seen: WatchState) -> tuple[float, float]:
    """The curvature over the limit along the direction looked at: at the first look, and at the last at a good step."""
    if seen.looks is None or int(seen.count("good_step")) < 0:
        return math.nan, math.nan
    (params, inner), gradient = seen.good, seen.looks.gradient
    held = HeldUpdate(seen.optimizer, params)
    first, last = (
        (float(value), np.asarray(direction, dtype=float)) for value, direction in (seen.looks.first, seen.looks.last)
    )

    def ratio(sharpness: float, v: np.ndarray, state: Any) -> float:
        step = held.at(gradient, state, params)
        if not math.isfinite(sharpness) or step.inverse is None or not step.threshold > 0:
            return math.nan
        inverse = np.asarray(ravel_pytree(step.inverse)[0], dtype=float)
        # ⟨v, Hv⟩/⟨v, Pv⟩ is at most the greatest eigenvalue of P⁻¹H.
        with np.errstate(divide="ignore"):
            return float(sharpness / np.sum(v**2 / inverse) / step.threshold)

    # An average of squared gradients that has seen none yet says nothing of the steps to come.
    at_start = math.nan if held.adaptive else ratio(*first, seen.optimizer.init(params))
    return at_start, ratio(*last, inner)


def _gone_wrong(seen: WatchState, evidence: pd.DataFrame) -> str:
    """In words, where a run of which no step was bad has got nowhere after a rise, or rose far; or nothing."""
    first, level, got_down, scatter = _how_far(seen, evidence)
    if not math.isfinite(level):
        return ""
    low, high = (float(seen.level(name)) for name in ("low_mean", "high"))
    risen = high - first > max(_PEAK * abs(first), scatter)
    back_up = level - low > max(_BACK_UP * (first - low), scatter)
    far_up = high - first > max(_FAR_UP * abs(first), scatter) and not level < _FAR_DOWN * first
    if not far_up and (got_down or not (risen or back_up)):
        return ""
    rose = f"rose to {high:.4g} at step {int(seen.count('high_step'))}" if risen else f"had come down to {low:.4g}"
    return f"the loss started at {first:.4g}, {rose}, and {'ends' if got_down else 'stays'} at {level:.4g}"


def _how_far(seen: WatchState, evidence: pd.DataFrame) -> tuple[float, float, bool, float]:
    """The loss at the start and at the end, whether half of it is gone, and what the last ones scatter."""
    values = evidence["value"].to_numpy()[-_LAST:]
    values = values[np.isfinite(values)]
    first, low = (float(seen.level(name)) for name in ("first", "low_mean"))
    level = float(np.median(values)) if values.size else math.nan
    scatter = _SCATTERS * float(np.median(np.abs(values - level))) if values.size else math.nan
    return first, level, first - level >= _LITTLE * max(abs(first), first - low), scatter


def _cause(seen: WatchState, evidence: pd.DataFrame, what: int, wrong: str, ratio: float,
           where: str) -> tuple[str, str, Grade]:  # fmt: skip
    """A cause, its argument, and how sure that is."""
    before = evidence.iloc[:-1] if what != NOTHING else evidence
    values = before["value"].to_numpy()
    values = values[np.isfinite(values)]
    first = float(seen.level("first"))
    unstable = f"the curvature was {ratio:.3g} times the limit of the optimizer's own step{where}"
    missing = (
        "" if seen.looks is not None else "; give watch the loss, so that it can compare the curvature with the limit"
    )
    if wrong:
        told = ("beyond_stability", f"{wrong}; {unstable}", Grade.MEASURED)
        return told if ratio > 1 else ("unknown", wrong + missing, Grade.UNKNOWN)
    if what == NOTHING:
        _, level, got_down, _ = _how_far(seen, evidence)
        if got_down:
            return "healthy", f"the loss fell from {first:.4g} to {level:.4g}", Grade.MEASURED
        if level < first:
            little = f"the loss fell from {first:.4g} to {level:.4g} only: nothing says that the run learned"
            return "unknown", little, Grade.UNKNOWN
        why = "the loss did not fall" if values.size else "no loss was given to update as value="
        return "unknown", why, Grade.UNKNOWN
    if what == BATCH:
        return "bad_batch", f"batch {int(seen.count('bad_step'))} is not finite", Grade.MEASURED
    if ratio > 1:
        return "beyond_stability", unstable, Grade.MEASURED
    if what == ROSE:
        return "unknown", f"the loss rose from {first:.4g} to {evidence['value'].iloc[-1]:.4g}{missing}", Grade.UNKNOWN
    sizes = before["grad_norm"].to_numpy()
    sizes = sizes[np.isfinite(sizes)]
    half = [leaf.dtype for leaf in jax.tree.leaves(seen.good[0]) if jnp.finfo(leaf.dtype).maxexp < 100]
    if half and sizes.size and sizes[-1] > 0.01 * float(jnp.finfo(half[0]).max):
        why = f"the gradient's norm was {sizes[-1]:.3g} the step before, and {half[0]} ends at {jnp.finfo(half[0]).max}"
        return "precision", why, Grade.MEASURED
    if values.size > 1 and values[-1] < min(first, 0) and values[-1] < 2 * np.median(values) < 0:
        return "unbounded_below", f"the loss was falling, to {values[-1]:.4g} the step before", Grade.MEASURED
    grew = sizes.size > 1 and sizes[-1] > _GREW * np.median(sizes)
    if grew or (values.size and values[-1] > first + _GREW * abs(first)):
        return "unknown", f"gradient or loss had grown before{missing}", Grade.UNKNOWN
    calm = "the steps before it were calm" if sizes.size else "it was the first step"
    return "not_finite_operation", f"{calm}, and parameters and batch are finite", Grade.MEASURED
