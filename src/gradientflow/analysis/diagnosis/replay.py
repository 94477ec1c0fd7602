"""The run, in compiled blocks that keep evidence and checkpoints, and the same run with one thing changed."""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .norms import alike, host_norm, shape_of
from .programs import Second
from .training import Training

# Losses are compared on so many batches, and batches measured one by one up to so many.
_COMPARED, _MEASURED = 16, 64
# Of so many blocks of a run the checkpoints are kept.
BLOCKS = 20
# As many of them as fit into this.
_KEPT_BYTES = 2**31


@dataclasses.dataclass(frozen=True)
class Change:
    """What is changed in a replay.

    Attributes:
        label: in words.
        scale: updates are multiplied by it.
        ramp: over so many first steps updates grow from nothing to `scale`.
        clip: the greatest norm of a gradient.
        guard: whether entries of a gradient that are not finite count as 0.
        undecayed: whether the optimizer is shown parameters of 0, so that it decays nothing.
        level: every leaf's update gets this size, relative to the leaf; 0 leaves them.
        refresh: whether second moments are at least the gradient's square.
        decay: second moments decay by this at most: a smaller β₂.
        epsilon: its square is added to second moments.
        without: numbers of batches left out.
        shuffled: whether a list of batches is gone through in another order.
    """

    label: str
    scale: float = 1.0
    ramp: int = 0
    clip: float = math.inf
    guard: bool = False
    undecayed: bool = False
    level: float = 0.0
    refresh: bool = False
    decay: float = 1.0
    epsilon: float = 0.0
    without: frozenset[int] = frozenset()
    shuffled: bool = False


AS_IT_IS = Change("as it is")


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """Where a run stands before step k."""

    k: int
    params: Any
    state: Any


@dataclasses.dataclass
class Ran:
    """What a run left.

    Attributes:
        steps: the numbers of the steps looked at, the first that is not finite included.
        batch: the numbers of their batches.
        loss: of each step's batch before its update.
        gradient, update, size: norms, leaf by leaf, of shape (steps, leaves).
        lost: the share of the coordinates that an update would move and rounding doesn't let.
        odd: 0 where all is finite; 1 loss, 2 gradient, 3 update, 4 params.
        checkpoints: at the blocks' beginnings, and at the end.
    """

    steps: np.ndarray
    batch: np.ndarray
    loss: np.ndarray
    gradient: np.ndarray
    update: np.ndarray
    size: np.ndarray
    lost: np.ndarray
    odd: np.ndarray
    checkpoints: list[Checkpoint]

    @property
    def finite(self) -> bool:
        """Whether all was finite to the end."""
        return not self.odd.any()

    @property
    def first_odd(self) -> int | None:
        """The step at which something was not finite first."""
        return int(self.steps[np.argmax(self.odd > 0)]) if self.odd.any() else None

    def norm(self, name: str) -> np.ndarray:
        """A norm over all leaves, step by step."""
        with np.errstate(over="ignore", invalid="ignore"):
            return np.linalg.norm(getattr(self, name), axis=1)


class Replays:
    """Runs a training, as it is and with things changed; one program for all of them.

    Args:
        training: the training.
        steps: how many.
        second: the second moments in the optimizer's state.
        like: another's replays, whose batches losses are compared on.
    """

    def __init__(
        self, training: Training, steps: int, second: tuple[Second, ...] = (), like: "Replays | None" = None
    ) -> None:
        self.training, self.steps, self.second, self.programs = training, steps, second, training.programs
        self.length = max(1, math.ceil(steps / BLOCKS))
        self.end = training.first + steps
        self.start = Checkpoint(training.first, training.params, training.state)
        self._stack: Any = None
        self._compared: dict[frozenset[int], list[int]] = {} if like is None else like._compared

    # --- runs -------------------------------------------------------------------------------------------------------

    def run(self, change: Change = AS_IT_IS, start: Checkpoint | None = None, steps: int | None = None) -> Ran:
        """A run from a checkpoint, unless from the start, to the end, or to what is no longer finite."""
        here = start or self.start
        stop = self.end if steps is None else min(self.end, here.k + steps)
        training, order = self.training, self._order(here.k, stop, change)
        rows: list[Any] = []
        marks = [here]
        params, state, k = here.params, here.state, here.k
        while k < stop:
            numbers = order[k - here.k : min(k + self.length, stop) - here.k]
            data, places, numbers = self._data(numbers)
            scale = np.full(self.length, change.scale)
            if change.ramp:
                scale *= np.minimum(1.0, (np.arange(self.length) + k - here.k + 1) / change.ramp)
            knobs = {
                "scale": scale, "clip": np.asarray(change.clip, float), "guard": np.asarray(change.guard),
                "undecayed": np.asarray(change.undecayed), "level": np.asarray(change.level, float),
                "refresh": np.asarray(change.refresh), "decay": np.asarray(change.decay, float),
                "epsilon": np.asarray(change.epsilon, float),
            }  # fmt: skip
            places = np.resize(places, self.length)
            (params, state), done, found = self.programs.block(
                training.held, params, state, data, places, k, len(numbers), knobs, second=self.second
            )
            done = int(done)
            found = {name: np.asarray(value)[:done] for name, value in found.items()}
            rows.append(found | {"batch": np.asarray(numbers[:done])})
            k += done
            if found["odd"].any():
                break
            marks.append(Checkpoint(k, params, state))
            size = sum(getattr(leaf, "nbytes", 0) for leaf in jax.tree.leaves((params, state)))
            if len(marks) > 4 and len(marks) * size > _KEPT_BYTES:
                del marks[1:-1:2]
        joined = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
        return Ran(np.arange(here.k, here.k + len(joined["odd"])), checkpoints=marks, **joined)

    def at(self, ran: Ran, k: int) -> Checkpoint:
        """Where a run stood right before step k, made again from the checkpoint before it."""
        before = max((mark for mark in ran.checkpoints if mark.k <= k), key=lambda mark: mark.k)
        return before if before.k == k else self.run(AS_IT_IS, before, k - before.k).checkpoints[-1]

    # --- losses -----------------------------------------------------------------------------------------------------

    def compared(self, params: Any, without: frozenset[int] = frozenset()) -> float:
        """The mean loss of some batches, always the same: those with a finite loss at the start, no outlier."""
        if without not in self._compared:
            numbers = [n for n in self.some(_COMPARED + len(without)) if n not in without][:_COMPARED]
            losses = self.losses(self.start.params, numbers)
            good = np.isfinite(losses)
            if good.any():
                middle = np.median(losses[good])
                good &= np.abs(losses - middle) <= 10 * max(1e-300, abs(middle))
            self._compared[without] = [n for n, ok in zip(numbers, good, strict=True) if ok] or numbers
        with np.errstate(all="ignore"):
            return float(np.mean(self.losses(params, self._compared[without])))

    def losses(self, params: Any, numbers: Sequence[int]) -> np.ndarray:
        """The losses of batches at some parameters."""
        return self._by_batch(functools.partial(self.programs.mean, self.training.held), params, numbers)

    def measure(self, params: Any, numbers: Sequence[int]) -> tuple[np.ndarray, np.ndarray, float]:
        """Batches one by one: their losses, their gradients' norms, and the norm of the mean gradient."""
        losses, norms, mean = [], [], None
        for n in numbers:
            value, gradient = self.gradient(params, n)
            losses.append(float(value))
            norms.append(host_norm(gradient))
            mean = gradient if mean is None else jax.tree.map(jnp.add, mean, gradient)
        return np.array(losses), np.array(norms), host_norm(mean) / max(1, len(numbers))

    def gradient(self, params: Any, number: int) -> tuple[Any, Any]:
        """A batch's loss and gradient."""
        training = self.training
        return self.measured(params, training.batch(number), training.key_of(training.first))

    def measured(self, params: Any, batch: Any, key: Any) -> tuple[Any, Any]:
        """A loss and its gradient."""
        return self.programs.measured(self.training.held, params, batch, key)

    def _by_batch(self, function: Any, params: Any, numbers: Sequence[int]) -> Any:
        training = self.training
        keys = [training.key_of(training.first + i) for i in range(len(numbers))]
        if not training.batched:
            return np.asarray(function(params, None, jnp.stack(keys[:1])), float)
        found = np.empty(len(numbers))
        for places in alike([training.batch(n) for n in numbers]):
            data = jax.tree.map(lambda *leaves: jnp.stack(leaves), *[training.batch(numbers[i]) for i in places])
            found[places] = np.asarray(function(params, data, jnp.stack([keys[i] for i in places])), float)
        return found

    def some(self, most: int = _MEASURED, until: int | None = None) -> list[int]:
        """Numbers of batches: all of a list, or some; of a function those of steps up to `until`, or of all."""
        count = self.training.count
        if count is None:
            last = self.end if until is None else until + 1
            return sorted({int(n) for n in np.linspace(self.training.first, last - 1, most)})
        return sorted({int(n) for n in np.linspace(0, count - 1, most)})

    # --- inside -----------------------------------------------------------------------------------------------------

    def _order(self, k: int, stop: int, change: Change) -> list[int]:
        """The numbers of the batches of steps k … stop."""
        training = self.training
        if training.count is not None and change.without:
            kept = [n for n in range(training.count) if n not in change.without]
            return [kept[j % len(kept)] for j in range(k, stop)] if kept else []
        if training.count is not None and change.shuffled:
            order = np.random.default_rng(0).permutation(training.count)
            return [int(order[training.number(j)]) for j in range(k, stop)]
        out: list[int] = []
        j = k
        while len(out) < stop - k:
            if training.number(j) not in change.without:
                out.append(training.number(j))
            j += 1
        return out

    def _data(self, numbers: list[int]) -> tuple[Any, np.ndarray, list[int]]:
        """The batches of a block, stacked, each step's place among them, their numbers, as far as they are alike."""
        training = self.training
        if not training.batched:
            return None, np.zeros(len(numbers), int), numbers
        if training.count is not None:
            if self._stack is None:
                batches = [training.batch(n) for n in range(training.count)]
                same = len(alike(batches)) == 1
                self._stack = jax.tree.map(lambda *leaves: jnp.stack(leaves), *batches) if same else False
            if self._stack is not False:
                return self._stack, np.asarray(numbers), numbers
        batches = [training.batch(n) for n in numbers]
        first = shape_of(batches[0])
        count = next((i for i, batch in enumerate(batches) if shape_of(batch) != first), len(batches))
        batches, numbers = batches[:count], numbers[:count]
        padded = batches + [batches[-1]] * (self.length - len(batches))
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *padded), np.arange(count), numbers
