"""Why a run breaks, diverges or spikes: a step that is too long, at the start, for a while, or for good."""

import math
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .advice import as_good, shorter
from .case import NEAR, Case
from .causes import Cause
from .finding import Finding, clipped_helps, slower, tried
from .norms import host_norm
from .outcome import Outcome
from .replay import Change
from .trouble import Kind

# Of the loss's logarithm per that of the parameters' size: more than a deep network's has at a usual start.
_ELASTIC = 30.0
_SPIKED = 20.0
# A β₂ under which ten steps are half forgotten in seven.
_SHORT_MEMORY = 0.9
# A rise in the first so many steps has no good place before it but the start.
_AT_ONCE = 8
# Entries of batches are large from so many times 1 on.
_LARGE = 3.0
# Inputs make a gradient large where without their size so much of it would be left, or an ordinary one.
_MOSTLY = 0.5


def stale_second_moment(case: Case) -> Finding | None:
    """An adaptive method's second moment lags behind a gradient that has grown, so that its step is far too long."""
    lags = case.replays.second and case.trouble.sudden and case.step != case.training.first
    if not lags or case.still_odd is not None:
        return None
    place = case.step - case.training.first
    moves = case.ran.norm("update")
    near = slice(max(0, place - 3), place + 2)
    usual = float(np.median(moves[max(0, place - 30) : max(1, place - 3)]))
    grown = float(np.nanmax(case.ran.norm("gradient")[near])) / max(
        1e-300, float(np.median(case.ran.norm("gradient")[max(0, place - 30) : max(1, place - 3)]))
    )
    fresh = case.replay(Change("second moments at least the gradient's square", refresh=True))
    if not (fresh.mends and grown > 3):
        return None
    worst, count = case.worst, sum(leaf.size for leaf in jax.tree.leaves(case.training.params))
    before = case.ran.norm("gradient")[max(0, place - 30) : max(1, place - 3)]
    epsilon = float(np.median(before)) / math.sqrt(count)
    tries = [Change(f"an ε of about {epsilon:.2g}", epsilon=epsilon)]
    # A sum of all squares never forgets.
    if all(one.decay > _SHORT_MEMORY for one in case.replays.second):
        tries.insert(0, Change(f"β₂ = {_SHORT_MEMORY:.4g}", decay=_SHORT_MEMORY))
    outcomes = [case.replay(change) for change in tries]
    helped = [tried(one, case.training.first) for one in outcomes if one.mends]
    evidence = [
        f"right there the gradient is {grown:.3g} times its usual size, and an update reaches "
        f"{float(np.nanmax(moves[near])) / max(usual, 1e-300):.3g} times its usual size",
        tried(fresh, case.training.first),
    ]
    if worst is not None and worst.ratio > 1:
        evidence.append(f"before step {worst.k} the sharpness is {worst.ratio:.3g} times its threshold")
    return Finding(
        Cause.STALE_SECOND_MOMENT,
        case.step,
        "the average of the squared gradients that sets the step's length lags behind a gradient that has just grown",
        tuple(evidence + [tried(one, case.training.first) for one in outcomes if not one.mends]),
        (*(helped or ["a smaller β₂, a larger ε"]), "AMSGrad, or clipping", *clipped_helps(case)),
    )


def exploding_gradient(case: Case) -> Finding | None:
    """The gradient is far larger than the loss and the parameters make one expect; clipped, the run does well."""
    gradient, sizes, loss = case.ran.norm("gradient"), case.ran.norm("size"), np.abs(case.ran.loss)
    place = min(case.step - case.training.first, len(loss) - 1)
    near = slice(max(0, place - 2), place + 1)
    with np.errstate(all="ignore"):
        elastic = float(np.nanmax(np.nan_to_num((gradient * sizes / np.maximum(loss, 1e-300))[near], posinf=np.inf)))
        start = float(gradient[0] * sizes[0] / max(loss[0], 1e-300))
    before = gradient[max(0, place - 30) : max(1, place - 2)]
    usual = float(np.median(before))
    spiked = float(np.nanmax(np.nan_to_num(gradient[near], posinf=np.inf))) / max(usual, 1e-300)
    sudden = place > 3 and spiked > _SPIKED
    if not (sudden or (min(elastic, start) > _ELASTIC and place <= 5)):
        return None
    # What large inputs do no layer does.
    if not sudden and _inputs_do_it(case):
        return None
    clipped, level = None, usual
    for level in (usual,) if sudden else (1.0, 0.1):
        clipped = case.replay(Change(f"gradient clipped at {level:.3g}", clip=level))
        if clipped.mends:
            break
    if clipped is None or not clipped.mends:
        return None
    quarter = case.scaled(0.25)
    if quarter.mends:
        return None
    size = (
        f"{spiked:.3g} times its usual size"
        if sudden
        else f"so large that 1 % of the parameters' size moves the loss by {min(elastic, start):.3g} %"
    )
    return Finding(
        Cause.EXPLODING_GRADIENT,
        case.step,
        f"the gradient is {size}: it grows from layer to layer, or from turn to turn",
        (tried(clipped, case.training.first), f"a shorter step does not: {tried(quarter, case.training.first)}"),
        (
            f"clip the gradient's norm at about {level:.3g} (optax.clip_by_global_norm)",
            "a smaller initial scale, normalization, or gates and residual connections",
        ),
    )


def warm_up_too_short(case: Case) -> Finding | None:
    """The full step is too long at the start only: reached slowly, it stays stable."""
    span = case.ran.steps[-1] - case.training.first + 1
    if case.trouble.kind is Kind.NONE or case.step - case.training.first > max(5, 0.25 * min(span, case.steps)):
        return None
    worst = case.worst
    if worst is None or worst.ratio < NEAR or case.still_odd is not None:
        return None
    for part in (8, 4, 2):
        ramp = max(2, case.steps // part)
        warm = case.replay(Change(f"a warm-up over {ramp} steps", ramp=ramp), start=case.replays.start)
        # One that rises far above its start as well only breaks away later.
        if not warm.mends or warm.peak - case.start_loss > abs(case.start_loss):
            continue
        # At rest nothing can be read.
        after = [mark for mark in warm.ran.checkpoints if mark.k >= case.training.first + ramp]
        late = next((r for r in map(case.reading, reversed(after)) if math.isfinite(r.ratio)), None)
        # It must be the full step that is stable there, and not too few steps left to see that it isn't.
        if late is None or late.ratio >= 1.1 or not _settled(warm):
            return None
        # One that gets less far than a shorter step is not what the run lacks.
        if any(one.mends and not as_good(case, warm, one) for one in map(case.scaled, (1 / 4, 1 / 16))):
            return None
        return Finding(
            Cause.WARM_UP_TOO_SHORT,
            case.step,
            "the step is too long at the start, and only there",
            (
                f"at step {worst.k} the sharpness is {worst.ratio:.3g} times what the step allows, "
                f"at step {late.k} of a run with "
                f"a longer warm-up {late.ratio:.3g} times",
                tried(warm, case.training.first),
            ),
            (f"let the learning rate grow over the first {ramp} steps",),
        )
    return None


def beyond_stability(case: Case) -> Finding | None:
    """The step is longer than the curvature along some direction allows."""
    # What a run that hardly moves breaks at too is nothing that a shorter step cures, whichever one got past it.
    if case.still_odd is not None:
        return None
    mended = next((o for o in [*slower(case), *_from_the_start(case)] if o.mends), None)
    if mended is None:
        return None
    worst, evidence = case.worst, [tried(mended, case.training.first)]
    if worst is not None and worst.ratio >= NEAR:
        names, owner = case.layers
        shares = np.array([np.nansum(worst.layers[owner == i]) for i in range(len(names))])
        top = int(np.argmax(shares))
        evidence.insert(
            0,
            f"before step {worst.k} the sharpness λ_max(P⁻¹H) is {worst.sharpness:.4g} (± {worst.residual:.1g}), "
            f"the optimizer's own step is stable up to {worst.threshold:.4g}: {worst.ratio:.3g} times as much",
        )
        evidence.append(f"the unstable direction lies by {shares[top]:.0%} in {names[top]}")
        times = f"{worst.ratio:.3g} times as long as" if worst.ratio >= 1.05 else "about the longest that"
        says = f"the step is {times} the curvature allows"
    elif case.overshoots():
        says = "the step is longer than the loss's curvature allows"
        evidence.insert(0, "where it began the batch's own loss rises by its update, and falls by a quarter of it")
    elif worst is None:
        # Where no limit can be read, the replay alone speaks.
        says = "the step is too long: a shorter one mends the run"
        evidence.append(f"what the curvature allows can't be read: {case.readings[-1].reason}")
    else:
        return None
    helps = (tried(shorter(case) or mended, case.training.first),)
    inputs = _inputs_do_it(case)
    if inputs:
        evidence, helps = [*evidence, inputs], (*helps, "scale the inputs to a size of about 1 (that was not tried)")
    operation = case.operation
    if operation is not None and case.odd_place is not None and case.odd_place.k == case.step and operation.line:
        evidence.append(f"what first stops being finite there: {operation.says} in {operation.line}")
        helps = (
            *helps,
            "besides, write that operation so that it stays finite: log_softmax for a logarithm of a softmax",
        )
    return Finding(Cause.BEYOND_STABILITY, case.step, says, tuple(evidence), helps)


def _inputs_do_it(case: Case) -> str:
    """In words, that the start's gradient is as large as it is because the entries of the batches are; or nothing."""
    whole = _elastic(case, case.training.batch(case.training.number(case.training.first)))
    large, elastic = _elastic_of_inputs_of_size_1(case)
    if not (large > _LARGE and whole > _ELASTIC and elastic <= max(_ELASTIC, _MOSTLY * whole)):
        return ""
    return (
        f"entries of the batches have a size of about {large:.3g}: at a size of 1 they would give a more ordinary "
        f"gradient at the start, with which 1 % of the parameters' size moves the loss by {elastic:.3g} %, and not by "
        f"{whole:.3g} %"
    )


def _elastic_of_inputs_of_size_1(case: Case) -> tuple[float, float]:
    """How large the start's batch is, and by how many percent 1 % of the parameters' size moves the loss without that.

    The size is the root of the mean square, of the part where it is most; each larger than 1 is divided by its own.
    """
    batch = case.training.batch(case.training.number(case.training.first))
    sizes = [1.0]

    def divided(leaf: Any) -> Any:
        if not jnp.issubdtype(leaf.dtype, jnp.floating) or not leaf.size:
            return leaf
        size = float(np.sqrt(np.mean(np.square(np.asarray(leaf, float)))))
        if not (math.isfinite(size) and size > _LARGE):
            return leaf
        sizes.append(size)
        return (leaf / size).astype(leaf.dtype)

    smaller = jax.tree.map(divided, batch)
    return max(sizes), _elastic(case, smaller)


def _elastic(case: Case, batch: Any) -> float:
    """By how many percent 1 % of the start's parameters' size moves a batch's loss, along its gradient."""
    training = case.training
    value, gradient = case.replays.measured(training.params, batch, training.key_of(training.first))
    with np.errstate(all="ignore"):
        return host_norm(gradient) * host_norm(training.params) / max(abs(float(value)), 1e-300)


def _from_the_start(case: Case) -> Iterator[Outcome]:
    """Shorter steps from the start, of a run that breaks away at once: where it began it was lost already."""
    if case.trouble.kind in (Kind.NOT_FINITE, Kind.DIVERGED) and case.step - case.training.first <= _AT_ONCE:
        yield from (case.scaled(scale) for scale in (1 / 4, 1 / 16, 1 / 64))


def _settled(outcome: Outcome) -> bool:
    """Whether a replay's loss doesn't rise again in its last quarter."""
    loss = outcome.ran.loss
    quarter = max(1, len(loss) // 4)
    return float(np.median(loss[-quarter:])) <= 1.5 * abs(float(np.median(loss[-2 * quarter : -quarter]))) + 1e-300 or (
        float(np.median(loss[-quarter:])) <= float(np.median(loss[-2 * quarter : -quarter]))
    )
