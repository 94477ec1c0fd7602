"""Why a run breaks, diverges or spikes: each cause by its evidence, and by the replay that would refute it."""

import jax
import jax.numpy as jnp
import numpy as np

from .case import Case
from .causes import Cause
from .finding import Finding, same_place, slower, tried
from .replay import Change

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
