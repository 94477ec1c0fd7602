"""Whether one batch is unlike the others, and does the harm: left out, and no other, the run does well."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .advice import scale_of, scaled
from .case import Case
from .causes import Cause
from .finding import Finding, clipped_helps, tried
from .outcome import Outcome
from .replay import Change
from .trouble import Kind, what_happened

# A batch is unlike the others where its gradient, its loss or its entries are so many times theirs, ...
_UNLIKE = 5.0
# ... or, where it is the one with which the loss jumps and the next step's is as usual, its loss so many times.
_AT_THE_JUMP = 2.5
# Of the fall without it so much is gained where the run only gets less far with it.
_GAINED = 0.2
# The highest loss of the second half is less than so much of what it was where the batch that made it is left out.
_LOWER_PEAK = 0.5
# A run with so much of the step.
_ELSEWHERE = 1 / 16
# Whether the run's own losses by batch give reason to look: so many times those around them.
_HIGHER, _AROUND = 2.0, 5
# Other batches left out instead, as a check.
_CONTROLS = 2


def bad_batch(case: Case) -> Finding | None:
    """One batch is unlike the others, and without it the run does well; without another one it does not."""
    training, calm = case.training, case.trouble.kind is Kind.NONE
    if training.count == 1 or not training.batched or (calm and not _worth_a_look(case)):
        return None
    mark, stop = (case.ran.checkpoints[-1], case.replays.end - 1) if calm else (case.good, case.step)
    recent = [int(n) for n in case.ran.batch[max(0, stop - training.first - 4) : stop - training.first + 1]]
    numbers = sorted({*case.replays.some(64 if training.count is not None else 24, stop), *recent})
    met = {int(n) for n in case.ran.batch[: stop - training.first + 1]}
    losses, gradients, _ = case.replays.measure(mark.params, numbers)
    unlike = {name: _times_usual(values) for name, values in (("gradient", gradients), ("loss", losses))}
    unlike["entries"] = _entries_times_usual(case, numbers)
    worst = {
        n: max((float(values[i]), name == "entries", name) for name, values in unlike.items())
        for i, n in enumerate(numbers)
    }
    at_jump = _of_the_jump(case)
    least = {n: _AT_THE_JUMP if n == at_jump else _UNLIKE for n in numbers}
    suspects = sorted((n for n in numbers if n in met and worst[n][0] > least[n]), key=lambda n: -worst[n][0])
    # What its own entries show, or that it alone is high, is no accident of where the run has been thrown.
    shown = {n: n == at_jump or unlike["entries"][i] > 0 or math.isinf(worst[n][0]) for i, n in enumerate(numbers)}
    if not calm and not all(shown[n] for n in suspects):
        there = case.scaled(_ELSEWHERE)
        losses, gradients, _ = case.replays.measure(there.end.params if there.survives else training.params, numbers)
        again = np.maximum(_times_usual(losses), _times_usual(gradients))
        suspects = [n for n in suspects if shown[n] or again[numbers.index(n)] > _UNLIKE]
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
    named = "batch " + str(suspects[0]) if len(suspects) == 1 else f"batches {', '.join(map(str, sorted(suspects)))}"
    change = Change(f"without {named}", without=culprits)
    without = mended = case.replay(change, start=before)
    scale = 1.0
    if not _mends(case, without, culprits):
        # Two faults may each be enough: without both the run must do well, and with a shorter step alone it must not.
        probes = () if calm else (scaled(case, factor, change) for factor in (1 / 4, 1 / 16))
        both = next((o for o in probes if o.mends), None)
        if both is None or case.scaled(scale_of(both)).mends:
            return None
        mended, scale, before = both, scale_of(both), case.replays.start
    controls = []
    for other in _others(numbers, culprits):
        instead = Change(f"without batch {other} instead", without=frozenset({other}))
        control = case.replay(instead, start=before) if scale == 1 else scaled(case, scale, instead)
        if _mends(case, control, instead.without):
            return None
        controls.append(control)
    times, _, name = worst[suspects[0]]
    much = "not finite" if math.isinf(times) else f"{times:.3g} times as large as that of the others"
    what = {
        "gradient": "its gradient is",
        "loss": "its loss is",
        "entries": "an entry is" if math.isinf(times) else "its largest entry is",
    }[name]
    of_which = "" if len(suspects) == 1 else f"of batch {suspects[0]} "
    evidence = [
        f"{named}: {of_which}{what} {much}, at the parameters before step {mark.k}",
        tried(without, training.first),
    ]
    evidence += [tried(mended, training.first)] if mended is not without else []
    if scale == 1 and training.count is not None and case.trouble.sudden:
        evidence.append(_in_another_order(case, culprits))
    left = f"; left out, the run ends at a loss of {without.loss:.4g}" if without.survives else ""
    evidence += [f"as a check, {tried(control, training.first)}" for control in controls]
    return Finding(
        Cause.BAD_BATCH,
        _where(case, suspects, stop),
        f"{named} {'is' if len(suspects) == 1 else 'are'} unlike the others: {of_which}{what} {much}",
        tuple(evidence),
        (f"look at {named}{left}", *(() if calm else clipped_helps(case))),
        change,
        without,
    )


def _worth_a_look(case: Case) -> bool:
    """Whether a run that did not break has a batch whose losses stand out, or whose entries do."""
    if case.training.count is None or case.training.count < 4 or not case.survived:
        return False
    loss, batch = case.ran.loss, case.ran.batch
    around = np.array([np.median(loss[max(0, i - _AROUND) : i + _AROUND + 1]) for i in range(len(loss))])
    ratio = loss / np.maximum(np.abs(around), 1e-300)
    most = max(float(np.median(ratio[batch == n])) for n in np.unique(batch))
    return most > _HIGHER or bool((_entries_times_usual(case, case.replays.some()) > _UNLIKE).any())


def _of_the_jump(case: Case) -> int | None:
    """The batch with which the loss jumps, where the loss of the next one is as usual: no update did that."""
    place, loss = case.trouble.place, case.ran.loss
    if case.trouble.kind is not Kind.SPIKE or place + 1 >= len(loss):
        return None
    half = (case.trouble.level + float(loss[place])) / 2
    return int(case.ran.batch[place]) if loss[place + 1] < half else None


def _mends(case: Case, outcome: Outcome, without: frozenset[int]) -> bool:
    """Whether the trouble is gone; of a run that did not break, whether it gets far further, or jumps no more."""
    if case.trouble.kind is not Kind.NONE:
        return outcome.mends
    start, own = (case.replays.compared(m.params, without) for m in (case.replays.start, case.ran.checkpoints[-1]))
    further = own - outcome.loss > _GAINED * (start - outcome.loss) > 0
    middle = case.training.first + case.steps // 2
    before, after = (float(np.max(ran.loss[ran.steps >= middle])) for ran in (case.ran, outcome.ran))
    return outcome.survives and (further or after < _LOWER_PEAK * before)


def _others(numbers: list[int], culprits: frozenset[int]) -> list[int]:
    """Some batches that are like the others, from all over."""
    kept = [n for n in numbers if n not in culprits]
    return [kept[int(i)] for i in np.linspace(0, len(kept) - 1, min(_CONTROLS, len(kept)))]


def _where(case: Case, suspects: list[int], stop: int) -> int:
    """The step at which one of them came: the last before the trouble, or the first where there was none."""
    first = case.training.first
    where = np.flatnonzero(np.isin(case.ran.batch, suspects))
    before = where[where <= stop - first]
    return int(case.ran.steps[before[0 if case.trouble.kind is Kind.NONE else -1]])


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


def _entries_times_usual(case: Case, numbers: list[int]) -> np.ndarray:
    """Of batches, how many times as large as usual their largest entry is, of the part where that is most."""
    rows = [_largest([leaf for leaf in jax.tree.leaves(case.training.batch(n))]) for n in numbers]
    count = max(len(row) for row in rows)
    if not count:
        return np.zeros(len(numbers))
    table = np.array([row if len(row) == count else [math.nan] * count for row in rows])
    return np.nanmax(np.stack([_times_usual(column) for column in table.T]), axis=0)


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
