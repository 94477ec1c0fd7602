"""A run that is looked into: what happened, replays that are made once and written down, readings of its sharpness."""

import math
from functools import cached_property
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .operations import Operation, first_not_finite
from .outcome import Outcome
from .replay import AS_IT_IS, Change, Checkpoint, Ran, Replays
from .sharpness import Reading, Sharpness
from .training import Training
from .trouble import Kind, Trouble, what_happened

# Scales are tried by so much, at most so many up and down, and bisected to this.
_FACTOR, _UP, _DOWN, _PRECISE = 4.0, 5, 12, 1.2
# A loss that changes by less than so much of itself stays where it is.
_STILL = 1e-3
# At a level a loss ends at less than so many times the highest of its first quarter.
_WANDERS = 1.2
# The share of the threshold from which a sharpness speaks for a step too long.
NEAR = 0.9


class Case:
    """A training run, what happened in it, and what happens with things changed.

    Args:
        training: the run.
        steps: how many.
    """

    def __init__(self, training: Training, steps: int) -> None:
        self.training, self.steps = training, steps
        self.replays = Replays(training, steps, training.programs.second_moments)
        self.sharpness = Sharpness(self.replays)
        self.outcomes: dict[str, Outcome] = {}
        self.ran = self.replays.run()
        last = self.ran.checkpoints[-1]
        self.start_loss = self.replays.compared(training.params)
        self.end_loss = self.replays.compared(last.params) if self.ran.finite else math.nan
        self.survived = self.ran.finite and math.isfinite(self.end_loss) and self.end_loss < self.start_loss
        self.noisy = training.count != 1
        self.stuck = not self.survived and self.ran.finite and self._never_moved()
        self.bar, self.level = self.start_loss, False
        if not self.survived and self.ran.finite and not training.fresh:
            # A run gone on with where its loss had stopped falling wanders about its level.
            marks = self.ran.checkpoints[: max(2, len(self.ran.checkpoints) // 4)]
            bar = _WANDERS * max(self.replays.compared(mark.params) for mark in marks)
            self.level = self.end_loss < bar
            self.bar = bar if self.level else self.bar
        kept = self.survived or self.stuck or self.level
        self.trouble: Trouble = what_happened(self.ran.loss, not self.ran.finite, kept, self.noisy)

    def _never_moved(self) -> bool:
        """Whether the loss stays where it started."""
        near = _STILL * abs(self.start_loss)
        return all(abs(self.replays.compared(m.params) - self.start_loss) <= near for m in self.ran.checkpoints)

    # --- places -----------------------------------------------------------------------------------------------------

    @property
    def step(self) -> int:
        """The step at which it began."""
        return int(self.ran.steps[min(self.trouble.place, len(self.ran.steps) - 1)])

    @cached_property
    def good(self) -> Checkpoint:
        """The last checkpoint before it began."""
        return max((m for m in self.ran.checkpoints if m.k <= self.step), key=lambda m: m.k)

    @cached_property
    def odd_place(self) -> Checkpoint | None:
        """Right before what is not finite."""
        return None if self.ran.first_odd is None else self.replays.at(self.ran, self.ran.first_odd)

    @cached_property
    def still_odd(self) -> Checkpoint | None:
        """Where what is not finite is so at the start's own parameters: no step is to blame for it."""
        if self.ran.first_odd is None or self.odd_at_once:
            return self.odd_place
        k = self.hardly_moved.first_odd
        return None if k is None else Checkpoint(k, self.training.params, self.training.state)

    @property
    def hardly_moved(self) -> Outcome:
        """The run with the shortest steps that are tried."""
        return self.scaled(_FACTOR**-_DOWN)

    @property
    def odd_at_once(self) -> bool:
        """Whether the loss or its gradient is not finite at the start: no step was taken."""
        return bool(self.ran.first_odd == self.training.first and self.ran.odd[0] < 3)

    def arguments(self, mark: Checkpoint) -> tuple[Any, Any, Any]:
        """What the loss takes at a checkpoint."""
        training, ran = self.training, self.ran
        place = mark.k - training.first
        number = int(ran.batch[place]) if place < len(ran.batch) else training.number(mark.k)
        return mark.params, training.batch(number), training.key_of(mark.k)

    @cached_property
    def operation(self) -> Operation | None:
        """The operation that made the first value that is not finite."""
        place = self.still_odd or self.odd_place
        if place is None:
            return None
        params, batch, key = self.arguments(place)
        if not self.training.batched:
            found = first_not_finite(lambda p: self.training.loss(p, None, key), params)
        else:
            found = first_not_finite(lambda p, b: self.training.loss(p, b, key), params, batch)
        return found

    # --- replays ----------------------------------------------------------------------------------------------------

    def replay(self, change: Change, *, start: Checkpoint | None = None, replays: Replays | None = None,
               steps: int | None = None) -> Outcome:  # fmt: skip
        """The run again from a checkpoint, unless from the last good one, with one thing changed; made once."""
        where = self.good if start is None else start
        name = f"{change.label} from {where.k}"
        if name not in self.outcomes:
            engine = replays or self.replays
            ran = engine.run(change, where, steps)
            # Whatever the run was made with, the losses compared are the training's own.
            self.outcomes[name] = self._outcome(change.label, where, ran, self.replays, change.without)
        return self.outcomes[name]

    def _outcome(self, label: str, where: Checkpoint, ran: Ran, engine: Replays,
                 without: frozenset[int] = frozenset()) -> Outcome:  # fmt: skip
        end = ran.checkpoints[-1]
        loss = engine.compared(end.params, without) if ran.finite else math.nan
        start = self.replays.compared(self.training.params, without) if without else self.bar
        survives = ran.finite and math.isfinite(loss) and loss < start
        finite = ran.loss[np.isfinite(ran.loss)]
        peak = float(finite.max()) if len(finite) else math.nan
        mends = survives
        if self.trouble.kind is Kind.SPIKE:
            height = self.trouble.peak - self.trouble.level
            after = ran.loss[ran.steps >= min(self.step, ran.steps[-1]) - 1]
            peak = float(np.nanmax(after))
            usual = 2 * max(abs(start), abs(self.trouble.level))
            mends = survives and peak - self.trouble.level < min(0.5 * height, usual)
        return Outcome(label, where.k, ran.first_odd, loss, peak, mends, survives, end, ran)

    @property
    def best(self) -> float:
        """The lowest loss at the end that any replay reached, the run itself included."""
        found = [o.loss for o in self.outcomes.values() if o.survives and o.end.k == self.replays.end]
        found += [self.end_loss] if self.survived else []
        return min(found) if found else math.nan

    def gains(self, outcome: Outcome) -> bool:
        """Whether a replay got far below where the run stayed: by a fifth of the whole fall, or to a half of it."""
        if not outcome.survives or not self.survived:
            return outcome.mends
        whole = self.start_loss - min(self.best, self.end_loss)
        gain = self.end_loss - outcome.loss
        return whole > 0 and gain > 0.2 * whole

    # --- scales -----------------------------------------------------------------------------------------------------

    def scaled(self, scale: float) -> Outcome:
        """From the start, with all updates multiplied."""
        return self.replay(Change(f"learning rate × {scale:.4g}", scale=scale), start=self.replays.start)

    @cached_property
    def safe_scale(self) -> float:
        """The largest multiple of the updates with which the run survives; 0 where none was found."""
        moved = False

        def survives(scale: float) -> bool:
            nonlocal moved
            if scale == 1:
                return self.survived or self.stuck or self.level
            found = self.scaled(scale)
            moved |= found.survives
            # Where nothing moves a longer step may.
            still = found.first_odd is None and abs(found.loss - self.start_loss) <= _STILL * abs(self.start_loss)
            return found.survives or (self.stuck and still)

        # Of a start that isn't finite no step helps.
        if self.odd_at_once:
            return 0.0
        good, bad = (1.0, None) if survives(1.0) else (None, 1.0)
        tried = 1.0
        # What breaks at the same step however short the steps are is not theirs.
        breaks = not good and self.ran.first_odd is not None
        if breaks and self.hardly_moved.first_odd == self.ran.first_odd:
            return 0.0
        for _ in range(_UP if good else _DOWN):
            tried = tried * _FACTOR if bad is None else tried / _FACTOR
            if survives(tried):
                good = tried
            else:
                bad = tried
            if good is not None and bad is not None:
                break
        if good is None:
            return 0.0
        while bad is not None and bad > _PRECISE * good:
            middle = math.sqrt(good * bad)
            good, bad = (middle, bad) if survives(middle) else (good, middle)
        return 0.0 if self.stuck and not moved else good

    # --- sharpness --------------------------------------------------------------------------------------------------

    def reading(self, mark: Checkpoint) -> Reading:
        """The sharpness at a checkpoint."""
        return self.sharpness.at(mark)

    @cached_property
    def readings(self) -> list[Reading]:
        """Along the run, and closer where the trouble began."""
        marks = self.ran.checkpoints
        some = {marks[int(i)].k: marks[int(i)] for i in np.linspace(0, len(marks) - 1, min(5, len(marks)))}
        some[self.good.k] = self.good
        if self.trouble.kind is not Kind.NONE and self.good.k < self.step:
            near = self.replays.at(self.ran, max(self.good.k, self.step - 1))
            some[near.k] = near
        return [self.reading(some[k]) for k in sorted(some)]

    @cached_property
    def worst(self) -> Reading | None:
        """The reading that is the furthest above its threshold: close to where the trouble began, or else before it."""
        known = [r for r in self.readings if math.isfinite(r.ratio)]
        if self.trouble.kind is not Kind.NONE:
            known = [r for r in known if r.k <= self.step] or known
        # An average of squared gradients that has seen none yet says nothing of the steps to come.
        fresh = self.training.first if self.replays.second and self.training.fresh else -1
        seen = [r for r in known if r.k != fresh] or known
        near = [r for r in seen if r.k >= self.good.k] if self.trouble.kind is not Kind.NONE else seen
        if not any(r.ratio >= NEAR for r in near):
            near = seen
        return max(near, key=lambda r: r.ratio, default=None)

    def overshoots(self) -> bool | None:
        """Whether an own batch's loss rises by its own update where the trouble began, and falls by a quarter of it."""
        return self.overshoots_at(self.replays.at(self.ran, max(self.good.k, self.step - 1)))

    def share_of_overshoots(self) -> float:
        """Of the steps at the checkpoints, in how many that is so; NaN where none of them moves."""
        found = [self.overshoots_at(mark) for mark in self.ran.checkpoints[:-1]]
        return float(np.mean([one for one in found if one is not None] or [math.nan]))

    def loss_at(self, params: Any, batch: Any, key: Any) -> float:
        """A batch's loss."""
        return float(self.replays.measured(params, batch, key)[0])

    def overshoots_at(self, mark: Checkpoint) -> bool | None:
        """Whether that is so at a checkpoint; `None` where it isn't finite, or nothing moves."""
        params, batch, key = self.arguments(mark)
        after = self.replays.run(AS_IT_IS, mark, 1).checkpoints[-1].params
        if after is mark.params:
            return None
        values = [
            self.loss_at(jax.tree.map(lambda a, b, s=s: (a + s * (b - a)).astype(a.dtype), params, after), batch, key)
            for s in (0.0, 0.25, 1.0)
        ]  # fmt: skip
        still = len(set(values)) == 1
        return values[2] > values[0] >= values[1] if np.isfinite(values[:2]).all() and not still else None

    # --- layers -----------------------------------------------------------------------------------------------------

    @cached_property
    def layers(self) -> tuple[list[str], np.ndarray]:
        """The layers' names, and each leaf's: the first part of the leaves' paths that tells two apart."""
        paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(self.training.params)]
        deepest = max(len(path) for path in paths)
        names = [["params"] for _ in paths]
        for depth in range(1, deepest + 1):
            names = [[jax.tree_util.keystr(path[:depth]) or "params"] for path in paths]
            if len({name[0] for name in names}) > 1:
                break
        flat = [name[0] for name in names]
        unique = list(dict.fromkeys(flat))
        return unique, np.array([unique.index(name) for name in flat])

    def by_layer(self, norms: np.ndarray) -> np.ndarray:
        """Norms by leaf, the last axis, as norms by layer."""
        names, owner = self.layers
        with np.errstate(over="ignore", invalid="ignore"):
            return np.stack([np.linalg.norm(norms[..., owner == i], axis=-1) for i in range(len(names))], axis=-1)

    # --- another precision --------------------------------------------------------------------------------------------

    @cached_property
    def coarsest(self) -> str:
        """The coarsest precision among the parameters' leaves."""
        return str(min((leaf.dtype for leaf in jax.tree.leaves(self.training.params)), key=lambda d: jnp.finfo(d).bits))

    def wider(self, start: Checkpoint) -> Outcome | None:
        """The run from a checkpoint in float32, of half precision, or in float64; `None` where there is none wider."""
        bits = jnp.finfo(self.coarsest).bits
        if bits >= 64:
            return None
        wide = "float32" if bits < 32 else "float64"

        def cast(tree: Any) -> Any:
            def one(leaf: Any) -> Any:
                floating = eqx.is_array(leaf) and jnp.issubdtype(leaf.dtype, jnp.floating)
                return leaf.astype(wide) if floating and jnp.finfo(leaf.dtype).bits < jnp.finfo(wide).bits else leaf

            return jax.tree.map(one, tree)

        name = f"in {wide} from {start.k}"
        if name not in self.outcomes:
            with jax.enable_x64(wide == "float64" or bool(jax.config.read("jax_enable_x64"))):
                training = self.training.in_precision(cast)
                engine = Replays(training, self.steps, like=self.replays)
                mark = Checkpoint(start.k, cast(start.params), cast(start.state))
                self.outcomes[name] = self._outcome(f"in {wide}", mark, engine.run(AS_IT_IS, mark), engine)
        return self.outcomes[name]

    # --- less noise -------------------------------------------------------------------------------------------------

    def averaged(self, start: Checkpoint) -> Outcome | None:
        """The run with every gradient a mean over several batches; `None` where there are no others."""
        training = self.training
        count = training.count
        if count == 1:
            return None
        many = 8 if count is None else min(8, count)
        name = f"gradients averaged over {many} batches"
        try:
            engine = Replays(training.averaged(many), self.steps)
            return self.replay(Change(name), start=start, replays=engine)
        except (TypeError, ValueError):  # batches of different shapes can't be stacked
            return None
