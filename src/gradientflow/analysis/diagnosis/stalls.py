"""Why a run that does not break hardly gets anywhere: each cause by its evidence and by a replay."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .advice import fall, longer, scale_of, shorter
from .besides import all_zero
from .case import Case
from .causes import Cause
from .finding import Finding, tried
from .outcome import Outcome
from .replay import Change, Checkpoint
from .sharpness import Reading

# A layer's gradient vanishes where it is, relative to its parameters, less than so much of another's.
_VANISHES = 1e-3
_LOST = 0.5
# Of the parameters a decay takes at least so much over the run.
_FELT = 0.1
# A sharpness within so much of its threshold is at it.
_AT = 1.05
# A run has got somewhere where so much of the fall that any replay made is its own.
ENOUGH = 0.3


def weight_decay(case: Case) -> Finding | None:
    """The optimizer shrinks the parameters harder than the loss pulls."""
    rate = _decay(case)
    # What takes next to nothing in the whole run holds nothing down.
    if not rate * case.steps > _FELT:
        return None
    without = Change("without weight decay", undecayed=True)
    free = case.replay(without, start=case.replays.start)
    if not case.gains(free):
        return None
    first, last = (float(case.ran.norm("size")[i]) for i in (0, -1))
    more = rate >= 2
    says = f"weight decay takes {rate:.3g} of the parameters a step" + (
        ", more than all of them twice over, so that they grow instead" if more else ", and holds them down"
    )
    return Finding(
        Cause.WEIGHT_DECAY,
        case.step if not case.survived else case.training.first,
        says,
        (f"‖params‖ goes from {first:.4g} to {last:.4g}", tried(free, case.training.first)),
        (f"a smaller weight decay; {tried(free, case.training.first)}",),
        without,
        free,
    )


def precision_of_updates(case: Case) -> Finding | None:
    """Updates are smaller than the parameters' last digit, and are lost."""
    half = len(case.ran.lost) // 2
    lost = float(np.median(case.ran.lost[half:])) if half else 0.0
    if jnp.finfo(case.coarsest).bits >= 64 or (lost < _LOST and jnp.finfo(case.coarsest).bits >= 32):
        return None
    wide = case.wider(case.replays.start)
    further = wide is not None and wide.survives and 2 * (case.start_loss - case.end_loss) < case.start_loss - wide.loss
    if wide is None or not (case.gains(wide) or (lost >= _LOST and further)):
        return None
    first = int(case.ran.steps[np.argmax(case.ran.lost >= _LOST)]) if lost >= _LOST else case.training.first
    says = (
        f"{lost:.0%} of the updates are smaller than the last digit of {case.coarsest}, and are lost"
        if lost >= _LOST
        else (f"{case.coarsest} is too coarse for this run")
    )
    return Finding(
        Cause.PRECISION,
        first,
        says,
        (tried(wide, case.training.first),),
        ("keep a copy of the parameters in higher precision and update that",),
        alone=fall(case, wide) >= ENOUGH * (case.start_loss - case.best),
    )


def vanishing_gradient(case: Case) -> Finding | None:
    """The gradient hardly reaches some layers."""
    names, _ = case.layers
    gradients, sizes = case.by_layer(case.ran.gradient), case.by_layer(case.ran.size)
    # At the start: what dies later may have died of the steps.
    early = slice(0, 3)
    with np.errstate(all="ignore"):
        relative = np.nanmedian((gradients / np.maximum(sizes, 1e-12))[early], axis=0)
        loss = np.maximum(np.abs(case.ran.loss), 1e-300)
        elastic = float(np.nanmedian((case.ran.norm("gradient") * case.ran.norm("size") / loss)[early]))
    most = float(relative.max())
    weak = [i for i in range(len(names)) if relative[i] <= _VANISHES * most]
    everywhere = elastic < 1e-5 and (case.start_loss - case.end_loss) < 0.05 * abs(case.start_loss)
    if not everywhere and (len(names) < 2 or not weak):
        return None
    level = case.replay(Change("every layer moved by 1 % of its size a step", level=0.01), start=case.replays.start)
    dead = not np.any(gradients[early][:, weak]) if weak else most == 0
    if not (case.gains(level) or (everywhere and case.best > 0.8 * case.end_loss) or (dead and _is_stuck(case))):
        return None
    if everywhere:
        says = f"no layer gets a gradient to speak of: 1 % of the parameters' size moves the loss by {elastic:.1g} %"
    else:
        shown = ", ".join(names[i] for i in weak[:4]) + (" …" if len(weak) > 4 else "")
        small = (
            "none at all"
            if dead
            else f"at most {max(relative[i] for i in weak) / most:.1g} of that of {names[int(relative.argmax())]}"
        )
        says = f"the gradient does not reach {shown}: relative to the parameters it is {small}"
    return Finding(
        Cause.VANISHING_GRADIENT,
        case.training.first,
        says,
        (tried(level, case.training.first),),
        (
            "look at what makes the batches: all that were looked at hold nothing but 0"
            if all_zero(case)
            else "activations that don't saturate, a larger initial scale, residual connections, normalization",
        ),
    )


def noise_floor(case: Case) -> Finding | None:
    """The batches' noise, and no curvature, holds the loss up."""
    training, marks = case.training, case.ran.checkpoints
    if training.count == 1 or not training.batched or not case.survived:
        return None
    middle = marks[len(marks) // 2]
    # The loss must have stopped falling. Where it wanders one place tells little.
    half, end = _around(case, marks, len(marks) // 2), _around(case, marks, len(marks) - 1)
    numbers = case.replays.some(16)
    _, norms, size = case.replays.measure(marks[-1].params, numbers)
    # The mean square of what differs from the mean is the mean square less the mean's.
    noise = math.sqrt(max(0.0, float(np.mean(norms**2)) - size**2) * len(norms) / max(1, len(norms) - 1))
    if not noise > 0.5 * size or half - end > 0.1 * (case.start_loss - min(half, end)):
        return None
    averaged = case.averaged(middle)
    if averaged is None or not averaged.survives:
        return None
    # What is held up without the noise too, where another replay gets down, is not held up by noise.
    if not fall(case, averaged) >= ENOUGH * (case.start_loss - case.best):
        return None
    low = _around(case, averaged.ran.checkpoints, len(averaged.ran.checkpoints) - 1)
    down = end - low > 0.2 * (case.start_loss - low) or 0 < low < 0.7 * end
    tenth = case.replay(Change("learning rate × 0.1", scale=0.1), start=middle)
    if not down or not _around(case, tenth.ran.checkpoints, len(tenth.ran.checkpoints) - 1) < end:
        return None
    worst = case.worst
    evidence = [
        f"at the end one batch's gradient is off by {noise:.3g} where the mean is {size:.3g}",
        tried(averaged, training.first),
        tried(tenth, training.first),
    ]
    if worst is not None and math.isfinite(worst.ratio):
        evidence.append(f"the sharpness is {worst.ratio:.3g} of what the step allows")
        if worst.ratio > 1.2:
            return None
    return Finding(
        Cause.NOISE_FLOOR,
        middle.k,
        "the noise of the batches holds the loss up, not the curvature",
        tuple(evidence),
        ("a learning rate that decays, larger batches, or an average of the iterates", *_shorter_helps(case)),
    )


def step_too_short(case: Case) -> Finding | None:
    """With a much longer step the run gets much further."""
    if not (case.survived or case.stuck):
        return None
    _ = case.safe_scale
    tries = [
        o
        for o in case.outcomes.values()
        if o.survives
        and o.label.startswith("learning rate × ")
        and o.start == case.training.first
        and o.ran.steps[-1] == case.ran.steps[-1]
    ]
    best: Any = min(tries, key=lambda o: o.loss, default=None)
    if best is None or scale_of(best) < 3.5:
        return None
    whole, own = fall(case, best), case.start_loss - case.end_loss
    if not own < ENOUGH * whole:
        return None
    advised = longer(case, best)
    return Finding(
        Cause.STEP_TOO_SHORT,
        case.training.first,
        f"the step is too short: {case.steps} steps make {own / whole:.1%} of the way that longer ones make",
        (tried(best, case.training.first),),
        (tried(advised, case.training.first),),
    )


def too_long(case: Case) -> Finding | None:
    """A run that survives, but gets far less far than with a shorter step, which its curvature explains."""
    if not case.survived:
        return None
    gaining = next((o for o in map(case.scaled, (1 / 4, 1 / 16)) if case.gains(o) or _far_below(case, o)), None)
    if gaining is None:
        return None
    worst, over = case.worst, case.share_of_overshoots()
    unstable = worst is not None and worst.ratio > 1
    # Where neither the limit nor an own step can be read, the replay alone speaks.
    unread = worst is None and math.isnan(over)
    if not unstable and not over >= 0.3 and not unread:
        return None
    evidence = [tried(gaining, case.training.first)]
    if over >= 0.3:
        evidence.append(
            f"in {over:.0%} of the steps looked at the batch's own loss rises by its update, and falls by a "
            "quarter of it"
        )
    if unread:
        evidence.append(f"what the curvature allows can't be read: {case.readings[0].reason}")
    if unstable and worst is not None:
        evidence.append(f"before step {worst.k} λ_max(P⁻¹H) is {_against(worst)}")
    return Finding(
        Cause.BEYOND_STABILITY,
        case.training.first,
        "the step is too long for the run to get down",
        tuple(evidence),
        (tried(shorter(case) or gaining, case.training.first),),
    )


def held_up(case: Case) -> Finding | None:
    """A step that nothing shows to be unstable, and with which the run gets nowhere; with a shorter one it does."""
    if not case.survived:
        return None
    tries = [o for o in map(case.scaled, (1 / 4, 1 / 16)) if o.mends]
    gaining = max(tries, key=lambda o: fall(case, o), default=None)
    if gaining is None or not case.start_loss - case.end_loss < ENOUGH * fall(case, gaining):
        return None
    evidence = [
        tried(gaining, case.training.first),
        "no reading of the curvature on the way says so, only this replay does",
    ]
    if case.trouble.peak - case.start_loss > abs(case.start_loss):
        evidence.insert(0, f"on its way the loss rose to {case.trouble.peak:.4g}")
    return Finding(
        Cause.BEYOND_STABILITY,
        case.training.first,
        "the step is too long: with a shorter one the run gets down",
        tuple(evidence),
        (tried(shorter(case) or gaining, case.training.first),),
    )


def bounces(case: Case) -> Finding | None:
    """The step is too long for the run to settle: the loss stays up, and falls with half the step."""
    worst = case.worst
    late = [r for r in case.readings if math.isfinite(r.ratio)][-2:]
    if not case.survived or worst is None or not late or max(r.ratio for r in late) < 0.98:
        return None
    marks = case.ran.checkpoints
    middle = marks[len(marks) // 2]
    if case.replays.compared(marks[-1].params) < 0.9 * case.replays.compared(middle.params):
        return None
    half = case.replay(Change("learning rate × 0.5", scale=0.5), start=middle)
    if not (half.survives and half.loss < 0.5 * case.end_loss):
        return None
    highest = max(late, key=lambda r: r.ratio)
    ratio = highest.ratio
    return Finding(
        Cause.BEYOND_STABILITY,
        middle.k,
        "the loss bounces: the step is "
        + (f"{ratio:.3g} times as long as" if ratio > _AT else "the longest that")
        + " the curvature allows",
        (f"λ_max(P⁻¹H) is {_against(highest)} at the end", tried(half, case.training.first)),
        (tried(shorter(case) or half, case.training.first),),
    )


def _against(reading: Reading) -> str:
    """A sharpness against its threshold, in words."""
    if abs(reading.ratio - 1) < _AT - 1:
        return f"{reading.sharpness:.4g}, right at its threshold {reading.threshold:.4g}: the edge of stability"
    return f"{reading.ratio:.3g} times its threshold"


def _shorter_helps(case: Case) -> tuple[str, ...]:
    """A shorter step, in words, where it gets much further; nothing where it does not."""
    best = shorter(case) if any(case.gains(o) for o in map(case.scaled, (1 / 4, 1 / 16))) else None
    return () if best is None else (tried(best, case.training.first),)


def _around(case: Case, marks: Sequence[Checkpoint], place: int) -> float:
    """The mean of the losses at the checkpoints up to one."""
    return float(np.mean([case.replays.compared(mark.params) for mark in marks[max(0, place - 4) : place + 1]]))


def _far_below(case: Case, outcome: Outcome) -> bool:
    """Whether a replay ended at less than a quarter of where the run stayed, which is not yet near the bottom."""
    return outcome.survives and 0 < outcome.loss < case.end_loss / 4 and case.end_loss > 0.02 * case.start_loss


def _is_stuck(case: Case) -> bool:
    return case.start_loss - case.end_loss < 0.05 * abs(case.start_loss)


def _decay(case: Case) -> float:
    """The share of the parameters that an update takes away whatever the gradient; 0 where none, or it isn't linear."""
    training = case.training
    params = training.params
    key = training.key_of(training.first)
    batch = training.batch(training.number(training.first))
    undriven = training.programs.undriven
    try:
        none, once, twice = (
            undriven(training.held, params, training.state, jnp.asarray(factor), batch, key)
            for factor in (0.0, 1.0, 2.0)
        )
    except Exception:  # what it asks for beside the gradient isn't there
        return 0.0

    def flat(tree: Any) -> np.ndarray:
        return np.concatenate([np.ravel(np.asarray(leaf, float)) for leaf in jax.tree.leaves(tree)])

    p, a, b, c = flat(params), flat(none), flat(once), flat(twice)
    square = float(p @ p)
    if square == 0 or not np.allclose(c - a, 2 * (b - a), rtol=0.05, atol=1e-3 * (np.abs(b - a).max() + 1e-300)):
        return 0.0
    return -float((b - a) @ p) / square
