"""Whether the batches come sorted: each of another kind, so that each undoes what the last one taught."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from .case import Case
from .causes import Cause
from .finding import Finding, tried
from .outcome import Outcome
from .replay import Change, Replays

# Means of batches that differ by so many times what chance lets them, as variances; chance alone: about 1.
_SORTED = 10.0
# The examples drawn anew must end at less than so much of what the run, or a shorter step, gets to.
_LOWER = 0.7
_FEWEST = 4
# One batch of so many may be unlike the others: that is no order.
_ODD_ONES = 8
# Batches of more than so much are not put together.
_MOST_BYTES = 2**29


def batch_order(case: Case) -> Finding | None:
    """Batches differ by far more than chance lets them, and with their examples drawn anew the run does well."""
    times = _apart(case)
    if not times > _SORTED:
        return None
    drawn = _drawn_anew(case)
    if drawn is None or not drawn.mends:
        return None
    others = [o.loss for o in map(case.scaled, (1 / 4, 1 / 16)) if o.survives]
    others += [case.end_loss] if case.survived else []
    if others and not 0 < drawn.loss < _LOWER * min(others):
        return None
    return Finding(
        Cause.BATCH_ORDER,
        case.training.first,
        "the batches are sorted: each holds examples of another kind, and unteaches what the last one taught",
        (
            f"the means of the batches differ {times:.3g} times as much as those of batches drawn at random "
            "(as variances)",
            tried(drawn, case.training.first),
        ),
        ("shuffle the examples before they are put into batches", tried(drawn, case.training.first)),
    )


def _stacks(case: Case, numbers: Sequence[int]) -> list[np.ndarray] | None:
    """The leaves of batches of a list, of shape (batches, examples, …); `None` where they have no such shape."""
    training = case.training
    if not training.batched or training.count is None or len(numbers) < _FEWEST:
        return None
    columns = [jax.tree.leaves(training.batch(n)) for n in numbers]
    if sum(leaf.nbytes for leaves in columns for leaf in leaves) > _MOST_BYTES:
        return None
    shapes = {tuple(leaf.shape for leaf in leaves) for leaves in columns}
    sizes = {shape[:1] for shape in next(iter(shapes))}
    if len(shapes) != 1 or len(sizes) != 1 or sizes == {()} or min(sizes)[0] < _FEWEST:
        return None
    return [np.stack([np.asarray(leaf) for leaf in leaves]) for leaves in zip(*columns, strict=True)]


def _apart(case: Case) -> float:
    """How many times as much the means of batches differ as by chance, for the leaf where they differ most."""
    found = [0.0]
    for stack in _stacks(case, case.replays.some()) or ():
        with np.errstate(all="ignore"):
            examples = stack.reshape(*stack.shape[:2], -1).astype(float).mean(axis=2)
            means = examples.mean(axis=1)
            nearest = np.argsort(np.abs(means - np.median(means)))[: len(means) - len(means) // _ODD_ONES]
            within = float(np.mean(examples[nearest].var(axis=1, ddof=1)))
            between = examples.shape[1] * float(means[nearest].var(ddof=1))
        # Batches of one class each have nothing within.
        spread = max(within, 1e-6 * between)
        found.append(between / spread if np.isfinite(between) and between > 0 else 0.0)
    return max(found)


def _drawn_anew(case: Case) -> Outcome | None:
    """The run with the examples of all batches shuffled into new ones of the same size."""
    stacks = _stacks(case, range(case.training.count or 0))
    if stacks is None:
        return None
    count, size = stacks[0].shape[:2]
    order = np.random.default_rng(0).permutation(count * size)
    mixed: Any = [stack.reshape(-1, *stack.shape[2:])[order].reshape(stack.shape) for stack in stacks]
    structure = jax.tree.structure(case.training.batch(0))
    batches = [jax.tree.unflatten(structure, [jax.device_put(stack[i]) for stack in mixed]) for i in range(count)]
    engine = Replays(case.training.with_batches(batches), case.steps, case.replays.second, case.replays)
    change = Change("examples shuffled into other batches")
    return case.replay(change, start=case.replays.start, replays=engine)
