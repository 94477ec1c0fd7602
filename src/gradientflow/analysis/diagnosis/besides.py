"""What is said besides a cause: layers that an optimizer leaves where they are, and batches that hold nothing."""

import jax
import jax.numpy as jnp
import numpy as np

from .case import Case

# A loss that another label changes by less than so much of itself does not look at it.
_FELT = 1e-6


def left_alone(case: Case) -> str:
    """In words, which layers have a gradient and no update at any step, where others move; or nothing."""
    names, _ = case.layers
    with np.errstate(all="ignore"):
        moved = np.nan_to_num(case.by_layer(case.ran.update), nan=1.0).max(axis=0) > 0
        pulled = np.nan_to_num(case.by_layer(case.ran.gradient)).max(axis=0) > 0
    still = [name for name, moves, pull in zip(names, moved, pulled, strict=True) if pull and not moves]
    if not still or not moved.any():
        return ""
    shown = ", ".join(still[:4]) + (" …" if len(still) > 4 else "")
    return (
        f"besides, {shown} never moved: every update there is exactly 0, though the gradient is not; frozen on purpose?"
    )


def indices_outside(case: Case) -> str:
    """In words, how many indices lie outside of what the loss takes from by them, where it feels them; or nothing."""
    training, programs = case.training, case.training.programs
    batches = [training.batch(n) for n in case.replays.some()] if training.batched else []
    if not any(jnp.issubdtype(leaf.dtype, jnp.integer) for leaf in jax.tree.leaves(batches[:1])):
        return ""
    rows = []
    for batch in batches:
        counts = programs.indexed(training.held, training.params, batch, training.key_of(training.first))
        felt = not abs(float(counts.felt)) <= _FELT * abs(case.start_loss)
        rows.append([np.asarray(counts.outside, int) * felt, np.asarray(counts.total, int),
                     np.asarray(counts.furthest, int)])  # fmt: skip
    if not all(len(row[0]) == len(programs.indices) > 0 for row in rows):
        return ""
    outside, total, furthest = (np.array(column) for column in zip(*rows, strict=True))
    outside, total, furthest = outside.sum(axis=0), total.sum(axis=0), furthest.max(axis=0)
    if not np.any(outside):
        return ""
    worst = int(np.argmax(outside))
    place, many, all_of_them = programs.indices[worst], int(outside[worst]), int(total[worst])
    line = f" in {place.line}" if place.line else ""
    largest = f", {int(furthest[worst])} say," if furthest[worst] >= place.places else ""
    if place.matched:
        return (f"of {all_of_them} labels in the batches {many} are none of the {place.places} classes{largest}{line}: "
                "nothing is expected of the model there")  # fmt: skip
    return (f"of {all_of_them} indices {many} are outside of the {place.places} places that they take from{largest}"
            f"{line}: JAX takes another place, or NaN, and says nothing")  # fmt: skip


def all_zero(case: Case) -> bool:
    """Whether all that the batches looked at hold, but whole numbers, is 0."""
    _, _, empty = _empty(case)
    return bool(empty.size) and bool(empty.all())


def holds_nothing(case: Case) -> str:
    """In words, which batches are 0 throughout in a part that isn't in most of the others; or that all of them are."""
    if all_zero(case):
        return "all batches looked at hold nothing but 0"
    numbers, names, empty = _empty(case)
    for name, column in zip(names, empty.T, strict=True):
        part = f"the part {name}" if name else "every entry"
        if column.all():
            return f"in all batches looked at {part} is 0 throughout"
        if column.any() and column.sum() <= len(column) // 2:
            some = [numbers[i] for i in np.flatnonzero(column)]
            shown = ", ".join(map(str, some[:4])) + (" …" if len(some) > 4 else "")
            return f"in batch{'es' if len(some) > 1 else ''} {shown} {part} is 0 throughout"
    return ""


def _empty(case: Case) -> tuple[list[int], list[str], np.ndarray]:
    """Numbers of batches, names of their arrays of floating point numbers, and which of these are 0 throughout."""
    training = case.training
    numbers = case.replays.some() if training.batched else []
    rows: list[dict[str, bool]] = []
    for number in numbers:
        named = jax.tree_util.tree_leaves_with_path(training.batch(number))
        rows.append({
            jax.tree_util.keystr(path): not bool(jnp.any(leaf)) for path, leaf in named
            if jnp.issubdtype(leaf.dtype, jnp.floating) and leaf.ndim
        })  # fmt: skip
    names = list(rows[0]) if rows else []
    if any(list(row) != names for row in rows):
        return [], [], np.zeros((0, 0), bool)
    return numbers, names, np.array([list(row.values()) for row in rows], bool).reshape(len(rows), len(names))
