"""Why a run breaks, diverges or spikes: each cause by its evidence, and by the replay that would refute it."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .advice import scale_of, scaled
from .case import Case
from .causes import Cause
from .finding import Finding, clipped_helps, same_place, slower, tried
from .replay import Change
from .trouble import Kind, what_happened

# A batch is unlike the others where its gradient, its loss or its entries are so many times theirs.
_UNLIKE = 5.0
# A loss that lies so many times its size below its start has fallen for ever.
_FALLEN = 1e6


def not_finite_operation(case: Case, alone: bool = False) -> Finding | None:
    """An operation of the loss that has no finite value, or derivative, where the run came.

    Args:
        case: the run.
        alone: whether no other cause was found, so that this one needs no replay that survives.
    """
    still, operation = case.still_odd, case.operation
    place = still or case.odd_place
    if place is None or operation is None or operation.narrow:
        return None
    guarded = case.replay(Change("entries of the gradient that aren't finite left out", guard=True))
    rising = still is None and place.k != case.step
    at_start = place.k == case.training.first
    # In a run that had risen for long everything overflows in the end, and in one that fell for ever.
    fallen = -case.trouble.level > _FALLEN * abs(case.start_loss)
    by_step = still is None and any(o.mends for o in slower(case)) and not same_place(case)
    if rising or (fallen and not alone) or (by_step and not (guarded.mends or at_start or alone)):
        return None
    line = f" in {operation.line}" if operation.line else ""
    what = "gradient" if operation.derivative else "loss"
    helps = (
        "look at the indices: JAX fills in NaN for those that lie outside"
        if operation.name == "gather"
        else "write the operation so that it stays finite there: a small constant inside (log(x + 1e-12)), a maximum "
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
            *_standing_still(case),
        ),
        helps,
    )


def _standing_still(case: Case) -> tuple[str, ...]:
    """In words, that a run that hardly moves breaks too; nothing where the first step was not finite itself."""
    if case.odd_at_once or case.still_odd is None:
        return ()
    short = case.hardly_moved
    return (f"no step is short enough: {tried(short, case.training.first)}, at all but the start's own parameters",)


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
    losses, gradients, _ = case.replays.measure(mark.params, numbers)
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
    # Of ordinary entries and an operation that has no value there it is the operation.
    ordinary = all(unlike["entries"][numbers.index(n)] == 0 for n in suspects)
    if ordinary and case.still_odd is not None and case.operation is not None and case.operation.name != "gather":
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
    change = Change(f"without {named}", without=culprits)
    without = mended = case.replay(change, start=before)
    scale = 1.0
    if not without.mends:
        # Two faults may each be enough: without both the run must do well, and with a shorter step alone it must not.
        probes = (scaled(case, factor, change) for factor in (1 / 4, 1 / 16))
        both = next((o for o in probes if o.mends), None)
        if both is None or case.scaled(scale_of(both)).mends:
            return None
        mended, scale, before = both, scale_of(both), case.replays.start
    other = next((n for n in numbers if n not in culprits), None)
    control = None
    if other is not None:
        instead = Change(f"without batch {other} instead", without=frozenset({other}))
        control = case.replay(instead, start=before) if scale == 1 else scaled(case, scale, instead)
    if control is not None and control.mends:
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
    evidence = [f"{named}: {what} {much}, at the parameters before step {mark.k}", tried(without, training.first)]
    evidence += [tried(mended, training.first)] if mended is not without else []
    if scale == 1 and training.count is not None and case.trouble.sudden:
        evidence.append(_in_another_order(case, culprits))
    left = f"; left out, the run ends at a loss of {without.loss:.4g}" if without.mends else ""
    evidence += [f"as a check, {tried(control, training.first)}"] if control is not None else []
    return Finding(
        Cause.BAD_BATCH,
        step,
        f"{named} is unlike the others: {what} {much}",
        tuple(evidence),
        (f"look at {named}{left}", *clipped_helps(case)),
        change,
        without,
    )


def _in_another_order(case: Case, culprits: frozenset[int]) -> str:
    """In words, whether the trouble goes with the batch where the batches come in another order."""
    shuffled = case.replay(Change("batches in another order", shuffled=True), start=case.replays.start)
    ran = shuffled.ran
    if shuffled.mends:
        return f"{tried(shuffled, case.training.first)}: there the batch does no harm"
    again = what_happened(ran.loss, not ran.finite, shuffled.survives, case.noisy)
    met = {int(n) for n in ran.batch[max(0, again.place - 1) : again.place + 1]}
    where = int(ran.steps[min(again.place, len(ran.steps) - 1)])
    again_it = "right where that batch comes" if met & culprits else f"at batch {int(ran.batch[where - ran.steps[0]])}"
    return f"with the batches in another order it begins at step {where}, {again_it}"


def unbounded_below(case: Case) -> Finding | None:
    """Along the way that the run went the loss falls without an end in sight, further on by no less."""
    marks = case.ran.checkpoints
    first, last = marks[0], marks[-1]
    if last is first and case.odd_place is not None:
        last = case.odd_place
    if last is first or not case.replays.compared(last.params) < case.start_loss:
        return None
    values = []
    # Where the run went on until it overflowed, it has been far enough.
    whole = 1.0 if case.ran.finite else 1e-3
    for reach in (0.0, whole, 10 * whole, 100 * whole, 1000 * whole):
        moved = jax.tree.map(lambda a, b, r=reach: (a + r * (b - a)).astype(a.dtype), first.params, last.params)
        values.append(case.replays.compared(moved))
    with np.errstate(all="ignore"):
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
        (
            f"ten times further on the same way the loss is {values[2]:.4g}, a hundred times further {values[3]:.4g}"
            if case.ran.finite
            else f"after 1 % of the way the loss is {values[2]:.4g}, after 10 % {values[3]:.4g}; then it overflows",
        ),
        ("bound the loss: a penalty on the parameters, a constraint, a likelihood whose variance has a floor",),
    )


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
