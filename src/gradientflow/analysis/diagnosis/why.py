"""From a training run that fails to its cause: by evidence, and by replaying it with one thing changed."""

import math
from typing import Any

import numpy as np
import pandas as pd

from gradientflow.flows.checks import by_name

from .advice import fall, scale_of, still_too_long
from .batch_order import batch_order
from .besides import holds_nothing, indices_outside, left_alone
from .case import Case
from .causes import ORDER, Cause
from .diagnosis import Diagnosis
from .failures import not_finite_operation, precision_of_range, unbounded_below
from .finding import Finding, tried
from .learned import doubt, hidden_explosion, rose, rose_in_words
from .odd_batch import bad_batch
from .slope import not_its_gradient
from .stalls import (
    ENOUGH,
    bounces,
    held_up,
    noise_floor,
    precision_of_updates,
    step_too_short,
    too_long,
    vanishing_gradient,
    weight_decay,
)
from .steps import beyond_stability, exploding_gradient, stale_second_moment, warm_up_too_short
from .training import Training, whole_number
from .trouble import Kind
from .uphill import uphill

_BREAKS = (precision_of_range, bad_batch, weight_decay, not_finite_operation, uphill, unbounded_below, batch_order,
           stale_second_moment, hidden_explosion, exploding_gradient, warm_up_too_short, beyond_stability)  # fmt: skip
_STALLS = (precision_of_updates, weight_decay, uphill, unbounded_below, hidden_explosion, bad_batch, batch_order,
           too_long, vanishing_gradient, held_up, noise_floor, bounces, rose, step_too_short)  # fmt: skip
# A replay that ends at less than so much of the run's own loss is worth a word where nothing is wrong.
_FAR_BELOW = 0.5
# A run that survives no more than so many times its updates is close to breaking.
_ROOM = 1.5


@by_name
def why(
    loss: Any,
    params: Any,
    optimizer: Any,
    batches: Any = None,
    steps: int = 500,
    *,
    state: Any = None,
    first: int = 0,
    key: Any = None,
    has_aux: bool = False,
) -> Diagnosis:
    r"""Tells why a training run diverges, breaks, spikes or stalls, from the run itself.

    The run is made once, with evidence kept at every step and checkpoints on the way. Where something goes wrong it is
    made again from the last good checkpoint with one thing changed: the learning rate, the batch that looks unlike the
    others, the precision, a clipped gradient, a longer warm-up, no weight decay. What survives is the argument; no
    cause is named that its replay did not confirm.

    Args:
        loss: loss(params, batch); loss(params) where `batches` is `None`, loss(params, batch, key) where `key` is
            given.
        params: any pytree.
        optimizer: any `optax.GradientTransformation`, as it is.
        batches: a list of batches, which are cycled through (one batch: `[batch]`), or a function of the step's number.
        steps: how many steps to look at.
        state: the optimizer's state at `params`, to start from a checkpoint.
        first: the number of the first step, with `state`.
        key: the key of what is random in the loss: dropout. Replays see the same keys.
        has_aux: whether the loss answers a pair whose first entry is the loss.

    Returns:
        The cause, the step at which it began, the largest multiple of the updates that survives, tables of evidence
        and of replays, a figure.

    Raises:
        TypeError: if the loss, the parameters, the optimizer or the batches aren't what they must be.
        ValueError: if the loss isn't a scalar, there is no batch, or `state` doesn't fit.

    References:
        J. M. Cohen, S. Kaur, Y. Li, J. Z. Kolter, A. Talwalkar, Gradient descent on neural networks typically occurs
        at the edge of stability, ICLR 2021; J. M. Cohen et al., Adaptive gradient methods at the edge of stability,
        2022.

    Example:
        >>> import jax.numpy as jnp
        >>> import optax
        >>> import gradientflow as gf
        >>> d = gf.why(lambda x: jnp.sum(jnp.array([1.0, 10.0]) * x**2) / 2, jnp.ones(2), optax.sgd(0.3), steps=40)
        >>> print(d.cause, 0.5 < d.safe_scale < 0.7)
        beyond_stability True
    """
    steps = whole_number("why", "steps", steps, least=2)
    case = Case(Training("why", loss, params, optimizer, batches, state, first, key, has_aux), steps)
    found = _found(case)
    return _diagnosis(case, found)


def _found(case: Case) -> list[Finding]:
    checks = _BREAKS if case.trouble.kind is not Kind.NONE else ()
    found: list[Finding] = []
    for check in checks:
        # A step too long is no news where a narrower cause was confirmed, and what overflows looks like many things.
        if found and (check is beyond_stability or found[0].cause is Cause.PRECISION):
            continue
        one = check(case)
        if one is not None:
            found.append(one)
    if not found and case.odd_place is not None:
        last = not_finite_operation(case, alone=True)
        found += [] if last is None else [last]
    if (case.survived or case.stuck) and not found:
        _ = case.safe_scale
        for check in _STALLS:
            # Updates that are lost may be too short besides.
            if found and check is not step_too_short:
                continue
            one = check(case)
            if one is not None:
                found.append(one)
                if one.cause is not Cause.PRECISION:
                    break
    found = sorted(found, key=lambda one: (not one.alone, ORDER.index(one.cause)))
    more = still_too_long(case, found[0]) if len(found) == 1 else None
    return found if more is None else [*found, more]


def _diagnosis(case: Case, found: list[Finding]) -> Diagnosis:
    training = case.training
    cause, step, says, observed, helps = Cause.UNKNOWN, case.step, "", (), ()
    also: list[Cause] = []
    if found:
        first = found[0]
        cause, step, says, observed, helps = first.cause, first.step, first.says, first.evidence, first.helps
        for other in found[1:]:
            if other.cause not in (cause, *also):
                also.append(other.cause)
                observed, helps = (*observed, f"also, {other.says}", *other.evidence), (*helps, *other.helps)
    elif case.survived and _got_somewhere(case) and doubt(case)[0]:
        says, helps = doubt(case)
    elif case.survived and case.trouble.kind is Kind.NONE and _got_somewhere(case):
        cause, step = Cause.HEALTHY, training.first
        says = "nothing is wrong that was looked for" + rose_in_words(case) + _close(case) + _further(case)
    elif case.level and case.trouble.kind is Kind.NONE:
        cause, step = Cause.HEALTHY, training.first
        says = "the loss wanders about the level that it had when the run was gone on with"
    elif case.survived and case.trouble.kind is Kind.SPIKE and _got_somewhere(case):
        cause, step = Cause.HEALTHY, training.first
        says = f"the loss rose for a while at step {case.step} and came down again by itself"
    else:
        says = "none of the causes looked for stood its replay"
        helps = ("a longer run, the run from a checkpoint closer to where it began (state=, first=), or more batches "
                 "would tell more",)  # fmt: skip
    # A spike may be the least of what is wrong.
    doubtful = doubt(case)[0] if found and case.trouble.kind is Kind.SPIKE else ""
    besides = [not_its_gradient(case), left_alone(case), holds_nothing(case), indices_outside(case)]
    observed = (*observed, *(one for one in (doubtful, *besides) if one and one not in says))
    start = case.readings[0]
    local = start.threshold / start.sharpness if start.sharpness > 0 and math.isfinite(start.threshold) else math.nan
    # Before it has seen a gradient an average of squares says nothing of the steps to come.
    local = math.nan if training.fresh and case.replays.second else local
    safe = case.safe_scale
    return Diagnosis(
        cause, tuple(also), step, _what_happened(case), says, tuple(observed), tuple(helps), safe, local,
        _evidence(case), _sharpness(case), _replays(case), case.survived, case.steps,
    )  # fmt: skip


def _got_somewhere(case: Case) -> bool:
    whole, own = case.start_loss - case.best, case.start_loss - case.end_loss
    return own > 0 and own >= ENOUGH * whole


def _close(case: Case) -> str:
    """That a little more of the step would have been too much, where that is so."""
    if not 1 <= case.safe_scale < _ROOM:
        return ""
    failed = [o for o in case.outcomes.values() if o.label.startswith("learning rate × ") and not o.survives]
    least = min((o for o in failed if scale_of(o) > 1), key=scale_of, default=None)
    return "" if least is None else f"; but it is close to breaking: {tried(least, case.training.first)}"


def _further(case: Case) -> str:
    """The learning rate that gets much further, where a replay with one did."""
    start = case.training.first
    rates = [o for o in case.outcomes.values() if o.label.startswith("learning rate × ") and o.start == start]
    best = max((o for o in rates if o.mends), key=lambda o: fall(case, o), default=None)
    if best is None or not 0 < best.loss < _FAR_BELOW * case.end_loss:
        return ""
    return f"; yet further gets {tried(best, start)}"


def _what_happened(case: Case) -> str:
    trouble, ran = case.trouble, case.ran
    start, what = case.start_loss, {1: "the loss", 2: "the gradient", 3: "the update", 4: "the parameters"}
    if trouble.kind is Kind.NOT_FINITE:
        odd = f"{what[int(ran.odd[-1])]} {'are' if ran.odd[-1] == 4 else 'is'} not finite from step {ran.first_odd} on"
        if ran.first_odd == case.training.first:
            return f"{odd}, the start"
        if ran.first_odd == case.step:
            return f"{odd}; until then the loss was {trouble.level:.4g} at its lowest"
        return f"the loss rises from step {case.step} on ({trouble.level:.4g} → {trouble.peak:.4g}), {odd}"
    whole = f"from {start:.4g} to {case.end_loss:.4g} in {case.steps} steps"
    if trouble.kind is Kind.DIVERGED:
        return f"the loss does not come below its start ({whole}); it rises from step {case.step} on"
    if trouble.kind is Kind.SPIKE:
        return (
            f"at step {case.step} the loss jumps from {trouble.level:.4g} to {trouble.peak:.4g}; in all it goes {whole}"
        )
    return f"the loss goes {whole}"


def _evidence(case: Case) -> pd.DataFrame:
    ran = case.ran
    names, _ = case.layers
    table: dict[str, Any] = {"batch": ran.batch, "loss": ran.loss, "gradient": ran.norm("gradient"),
                             "update": ran.norm("update"), "params": ran.norm("size"), "lost": ran.lost}  # fmt: skip
    if len(names) > 1:
        for label, values in (("gradient", ran.gradient), ("update", ran.update), ("params", ran.size)):
            by_layer = case.by_layer(values)
            table |= {f"{label} {name}": by_layer[:, i] for i, name in enumerate(names)}
    what = np.array(["", "loss", "gradient", "update", "params"])
    table["not finite"] = what[ran.odd]
    return pd.DataFrame(table, index=pd.Index(ran.steps, name="step"))


def _sharpness(case: Case) -> pd.DataFrame:
    names, owner = case.layers
    rows = []
    for r in case.readings:
        row: dict[str, Any] = {"step": r.k, "sharpness": r.sharpness, "error": r.residual, "threshold": r.threshold,
                               "ratio": r.ratio}  # fmt: skip
        row |= {name: float(np.sum(r.layers[owner == i])) for i, name in enumerate(names) if len(names) > 1}
        rows.append(row | {"why not": r.reason})
    return pd.DataFrame(rows)


def _replays(case: Case) -> pd.DataFrame:
    rows = [
        {"changed": o.label, "from step": o.start, "not finite at": "" if o.first_odd is None else str(o.first_odd),
         "loss at the end": o.loss, "highest": o.peak, "survives": o.survives} for o in case.outcomes.values()
    ]  # fmt: skip
    return pd.DataFrame(
        rows, columns=["changed", "from step", "not finite at", "loss at the end", "highest", "survives"]
    )
