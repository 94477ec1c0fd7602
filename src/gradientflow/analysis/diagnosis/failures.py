"""Why a run breaks, diverges or spikes: each cause by its evidence, and by the replay that would refute it."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .case import Case, Outcome
from .causes import Cause
from .finding import Finding, tried
from .replay import Change
from .trouble import Kind

# A batch is unlike the others where its gradient, its loss or its entries are so many times theirs.
_UNLIKE = 5.0
# Of the loss's logarithm per that of the parameters' size: more than a deep network's has at a usual start.
_ELASTIC = 30.0
_SPIKED = 20.0
# The share of the threshold from which a sharpness speaks for a step too long.
_NEAR = 0.9


def not_finite_operation(case: Case, alone: bool = False) -> Finding | None:
    """An operation of the loss that has no finite value, or derivative, where the run came.

    Args:
        case: the run.
        alone: whether no other cause was found, so that this one needs no replay that survives.
    """
    place, operation = case.odd_place, case.operation
    if place is None or operation is None or operation.narrow:
        return None
    guarded = case.replay(Change("entries of the gradient that aren't finite left out", guard=True))
    rising = place.k != case.step
    at_start = place.k == case.training.first
    # In a run that had risen for long everything overflows in the end.
    by_step = any(o.mends for o in _slower(case)) and not _same_place(case)
    if rising or (by_step and not (guarded.mends or at_start or alone)):
        return None
    line = f" in {operation.line}" if operation.line else ""
    what = "gradient" if operation.derivative else "loss"
    helps = (
        "write the operation so that it stays finite there: a small constant inside (log(x + 1e-12)), a maximum "
        "before the root, jnp.where on its input and not on its output",
    )
    if guarded.mends:
        helps = (*helps, f"tried: {tried(guarded, case.training.first)}")
    batch = (
        f", with batch {case.training.number(place.k)}" if case.training.batched and case.training.count != 1 else ""
    )
    return Finding(
        Cause.NOT_FINITE_OPERATION,
        place.k,
        f"at step {place.k}{batch} the {what} stops being finite: {operation.says}{line}",
        (
            f"all inputs of `{operation.name}` are finite there, its "
            f"{'derivative' if operation.derivative else 'result'} "
            f"is not (its program was run operation by operation at the parameters before step {place.k})",
        ),
        helps,
    )


def precision_of_range(case: Case) -> Finding | None:
    """Half precision overflows, or a number's range does, where a wider one does not."""
    bits = jnp.finfo(case.coarsest).bits
    operation = case.operation
    narrow = operation is not None and operation.narrow
    if bits >= 32 and not narrow:
        return None
    wide = case.wider(case.replays.start) if bits < 32 else None
    if wide is None:
        # Inside of the loss: what overflows there has no wider replay, but its own inputs show it.
        if operation is None or not case.trouble.sudden:
            return None
        says = f"{operation.says}{f' in {operation.line}' if operation.line else ''}"
        helps = (
            f"compute this operation in float32: {operation.dtype} ends at {float(jnp.finfo(operation.dtype).max):.4g}",
        )
        return Finding(Cause.PRECISION, case.ran.first_odd or case.step, says, (), helps)
    if not (wide.mends or (wide.first_odd is None and case.gains(wide))):
        return None
    step = case.ran.first_odd if narrow and case.ran.first_odd is not None else case.step
    says = f"{case.coarsest} is too narrow for this run" + (f": {operation.says}" if operation and narrow else "")
    if operation is not None and narrow and operation.line:
        says += f" in {operation.line}"
    return Finding(
        Cause.PRECISION,
        step,
        says,
        (f"the same run {tried(wide, case.training.first)}",),
        (f"keep parameters and sums {wide.label}, or scale the loss (and unscale the gradient)",),
    )


def bad_batch(case: Case) -> Finding | None:
    """One batch is unlike the others, and without it the run does well; without another one it does not."""
    training = case.training
    if training.count == 1 or not training.batched:
        return None
    mark, stop = case.good, case.step
    recent = [int(n) for n in case.ran.batch[max(0, stop - training.first - 4) : stop - training.first + 1]]
    numbers = sorted({*case.replays.some(64 if training.count is not None else 24, stop), *recent})
    met = {int(n) for n in case.ran.batch[: stop - training.first + 1]}
    losses, gradients, _, _ = case.replays.measure(mark.params, numbers)
    unlike = {name: _times_usual(values) for name, values in (("gradient", gradients), ("loss", losses))}
    entries = [_largest([leaf for leaf in jax.tree.leaves(training.batch(n))]) for n in numbers]
    count = max(len(row) for row in entries)
    table = np.array([row if len(row) == count else [math.nan] * count for row in entries])
    unlike["entries"] = (
        np.nanmax(np.stack([_times_usual(column) for column in table.T]), axis=0) if count else losses * 0
    )
    worst = {
        n: max((float(values[i]), name == "entries", name) for name, values in unlike.items())
        for i, n in enumerate(numbers)
    }
    suspects = sorted((n for n in numbers if n in met and worst[n][0] > _UNLIKE), key=lambda n: -worst[n][0])
    # Many of a kind are no outliers.
    if not suspects or len(suspects) > max(1, len(numbers) // 8):
        return None
    culprits = frozenset(suspects)
    before = next(
        (
            m
            for m in reversed(case.ran.checkpoints)
            if not culprits & {int(n) for n in case.ran.batch[: m.k - training.first]}
        ),
        case.replays.start,
    )
    named = "batch " + str(suspects[0]) if len(suspects) == 1 else f"batches {', '.join(map(str, suspects))}"
    without = case.replay(Change(f"without {named}", without=culprits), start=before)
    other = next((n for n in numbers if n not in culprits), None)
    control = None
    if other is not None and without.mends:
        control = case.replay(Change(f"without batch {other} instead", without=frozenset({other})), start=before)
    if not without.mends or (control is not None and control.mends):
        return None
    times, _, name = worst[suspects[0]]
    much = "not finite" if math.isinf(times) else f"{times:.3g} times as large as that of the others"
    what = {
        "gradient": "its gradient is",
        "loss": "its loss is",
        "entries": "an entry is" if math.isinf(times) else "its largest entry is",
    }[name]
    where = np.flatnonzero(np.isin(case.ran.batch, suspects))
    step = int(
        case.ran.steps[
            where[-1]
            if case.trouble.kind is Kind.NOT_FINITE and not len(where)
            else where[where <= stop - training.first][-1]
        ]
    )
    evidence = [f"{named}: {what} {much}, at the parameters before step {mark.k}", f"{tried(without, training.first)}"]
    evidence += [f"as a check, {tried(control, training.first)}"] if control is not None else []
    return Finding(
        Cause.BAD_BATCH,
        step,
        f"{named} is unlike the others: {what} {much}",
        tuple(evidence),
        (f"look at {named}; left out, the run does well", *_clipped_helps(case)),
    )


def unbounded_below(case: Case) -> Finding | None:
    """Along the way that the run went the loss falls without an end in sight, further on by no less."""
    marks = case.ran.checkpoints
    first, last = marks[0], marks[-1]
    if last is first and case.odd_place is not None:
        last = case.odd_place
    if last is first or not case.replays.compared(last.params) < case.start_loss:
        return None
    values = []
    for reach in (0.0, 1.0, 10.0, 100.0, 1000.0):
        moved = jax.tree.map(lambda a, b, r=reach: (a + r * (b - a)).astype(a.dtype), first.params, last.params)
        values.append(case.replays.compared(moved))
    falls = -np.diff(values)
    finite = np.isfinite(falls)
    if finite.sum() < 2 or not finite[:2].all():
        return None
    falls = falls[finite]
    if not ((falls > 0).all() and (falls[1:] >= 0.5 * falls[:-1]).all() and values[int(finite.sum())] < 0):
        return None
    return Finding(
        Cause.UNBOUNDED_BELOW,
        case.training.first,
        "the loss has no minimum that the run could reach: it falls without an end in sight",
        (f"ten times further on the same way the loss is {values[2]:.4g}, a hundred times further {values[3]:.4g}",),
        ("bound the loss: a penalty on the parameters, a constraint, a likelihood whose variance has a floor",),
    )


def stale_second_moment(case: Case) -> Finding | None:
    """An adaptive method's second moment lags behind a gradient that has grown, so that its step is far too long."""
    if not case.replays.second or not case.trouble.sudden or case.step == case.training.first:
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
    worst = case.worst
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
        tuple(evidence),
        ("a smaller β₂ (0.99, 0.95), a larger ε, AMSGrad, or clipping", *_clipped_helps(case)),
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
    if worst is None or worst.ratio < _NEAR:
        return None
    for part in (8, 4, 2):
        ramp = max(2, case.steps // part)
        warm = case.replay(Change(f"a warm-up over {ramp} steps", ramp=ramp), start=case.replays.start)
        if not warm.mends:
            continue
        # At rest nothing can be read.
        after = [mark for mark in warm.ran.checkpoints if mark.k >= case.training.first + ramp]
        late = next((r for r in map(case.reading, reversed(after)) if math.isfinite(r.ratio)), None)
        # It must be the full step that is stable there, and not too few steps left to see that it isn't.
        if late is None or late.ratio >= 1.1 or not _settled(warm):
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
    mended = next((o for o in _slower(case) if o.mends), None)
    if mended is None:
        return None
    worst, evidence = case.worst, [tried(mended, case.training.first)]
    if worst is not None and worst.ratio >= _NEAR:
        names, owner = case.layers
        shares = np.array([np.nansum(worst.layers[owner == i]) for i in range(len(names))])
        top = int(np.argmax(shares))
        evidence.insert(
            0,
            f"before step {worst.k} the sharpness λ_max(P⁻¹H) is {worst.sharpness:.4g} (± {worst.residual:.1g}), "
            f"the optimizer's own step is stable up to {worst.threshold:.4g}: {worst.ratio:.3g} times as much",
        )
        evidence.append(f"the unstable direction lies by {shares[top]:.0%} in {names[top]}")
        says = f"the step is {worst.ratio:.3g} times as long as the curvature allows"
    elif case.overshoots():
        says = "the step is longer than the loss's curvature allows"
        evidence.insert(0, "where it began the batch's own loss rises by its update, and falls by a quarter of it")
    else:
        return None
    safe = case.safe_scale
    helps = (f"a learning rate {safe:.3g} times as large" if safe > 0 else tried(mended, case.training.first),)
    return Finding(Cause.BEYOND_STABILITY, case.step, says, tuple(evidence), helps)


def _slower(case: Case) -> list[Outcome]:
    """Shorter steps from the last good checkpoint, until one mends it."""
    out: list[Outcome] = []
    if case.ran.first_odd == case.training.first and case.ran.odd[0] < 3:
        return out
    for scale in (0.5, 0.25, 1 / 16, 1 / 256):
        out.append(case.replay(Change(f"learning rate × {scale:.4g}", scale=scale)))
        if out[-1].mends:
            return out
    if case.safe_scale > 0:
        out.append(case.replay(Change(f"learning rate × {case.safe_scale:.4g}", scale=case.safe_scale)))
    return out


def _same_place(case: Case) -> bool:
    """Whether shorter steps break too, after so many more of them: then it is the place, and not the step."""
    if case.ran.first_odd is None:
        return False
    way = case.ran.first_odd - case.good.k
    tries = [o for o in _slower(case) if o.first_odd is not None][:2]
    lengths = [o.first_odd - o.start for o in tries if o.first_odd is not None]
    return (
        way > 3
        and len(lengths) == 2
        and all(0.6 < length / (way * more) < 1.7 for length, more in zip(lengths, (2, 4), strict=True))
    )


def _settled(outcome: Outcome) -> bool:
    """Whether a replay's loss doesn't rise again in its last quarter."""
    loss = outcome.ran.loss
    quarter = max(1, len(loss) // 4)
    return float(np.median(loss[-quarter:])) <= 1.5 * abs(float(np.median(loss[-2 * quarter : -quarter]))) + 1e-300 or (
        float(np.median(loss[-quarter:])) <= float(np.median(loss[-2 * quarter : -quarter]))
    )


def _clipped_helps(case: Case) -> tuple[str, ...]:
    place = case.step - case.training.first
    before = case.ran.norm("gradient")[max(0, place - 30) : max(1, place - 2)]
    before = before[np.isfinite(before)]
    if not len(before):
        return ()
    level = float(np.median(before))
    clipped = case.replay(Change(f"gradient clipped at {level:.3g}", clip=level))
    return (f"tried: {tried(clipped, case.training.first)}",) if clipped.mends else ()


def _times_usual(values: np.ndarray) -> np.ndarray:
    """How many times the usual size, beyond the usual spread; ∞ where not finite."""
    values = np.asarray(values, float)
    good = values[np.isfinite(values)]
    if not len(good):
        return np.zeros(len(values))
    size = np.abs(values)
    usual = float(np.median(np.abs(good)))
    spread = float(np.median(np.abs(np.abs(good) - usual)))
    with np.errstate(all="ignore"):
        times = np.where(size > usual + 8 * spread, size / max(usual, 1e-300), 0.0)
    return np.where(np.isfinite(values), times, np.inf)


def _largest(leaves: list[Any]) -> list[float]:
    return [float(jnp.max(jnp.abs(jnp.asarray(leaf, float)), initial=0)) for leaf in leaves]
