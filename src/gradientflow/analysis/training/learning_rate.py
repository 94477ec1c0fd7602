"""A learning rate for a loss and an optimizer: from what its curvature allows, and from short trials."""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from gradientflow.flows import SMALL_TRAINING, check_fits, check_integer, check_key, compiled, size
from gradientflow.flows import energy as as_energy
from gradientflow.flows.checks import by_name, in_a_line, moving_arrays, users_line

from ..linear_stability.held_step import HeldUpdate
from ..linear_stability.preconditioned import preconditioned_curvatures
from ..results.grades import Grade
from ..results.result import Drawn

_PROBE = 1e-2
_PER_DECADE = 4
# Rates tried, in decades around what the curvature allows, or around 1e-3 where that can't be read; more on the side on
# which the best is the last one, so many times.
_BELOW, _ABOVE, _AGAIN = 4, 2, 3
_UNREAD = 1e-3
# Of the greatest fall so much is as good; of the first rate that fails, or that the curvature forbids, so much is safe.
_AS_GOOD, _SAFE = 0.9, 0.5
# Trials that together have more numbers than this run one after the other.
_AT_ONCE = 10_000_000


@dataclasses.dataclass(frozen=True, repr=False)
class SuggestedRate(Drawn):
    """A learning rate, and the trials that it comes from.

    `.plot()` draws the loss after the trials over their learning rates.

    Attributes:
        lr: the learning rate; NaN where none made the loss fall.
        range: the least and the greatest that are as good: their loss falls by at least 90 % as much as the best one's.
        reason: why this one, in words.
        limit: the least learning rate tried, above those, whose trial failed; ∞ where none did.
        local_limit: the learning rate that the curvature at the start allows, by the optimizer's own update with what
            it adapts held; NaN where that can't be read.
        rates: the learning rates tried, increasing, shape (m,).
        losses: the loss each ended with, shape (m,): the median of its last quarter; NaN where that is not finite.
        failed: whether it ended above the start, or ever rose above the start's loss on the worst batch, shape (m,).
        start: the loss of the start, on the same batches.
        steps: how long a trial was.
        grade: measured; unknown where no trial made the loss fall.
    """

    drawn_by = "training.figures:plot_rates"

    lr: float
    range: tuple[float, float]
    reason: str
    limit: float
    local_limit: float
    rates: np.ndarray
    losses: np.ndarray
    failed: np.ndarray
    start: float
    steps: int
    grade: Grade

    def table(self) -> pd.DataFrame:
        """One row a trial."""
        columns = {"loss": self.losses, "failed": self.failed}
        return pd.DataFrame(columns, index=pd.Index(self.rates, name="lr"))

    def __repr__(self) -> str:
        """The learning rate, its range, and why."""
        low, high = self.range
        spread = "" if math.isnan(self.lr) else f", as good from {low:.3g} to {high:.3g}"
        return f"learning rate {self.lr:.3g}{spread}\n{self.grade}: {self.reason}"


@by_name
def suggest_lr(
    loss: Any, params: Any, make: Any, batches: Any = None, *, steps: int = 100, key: Any = None, has_aux: bool = False
) -> SuggestedRate:
    """A learning rate from short trials over many decades, at most half of the first that fails.

    The trials start from the same parameters, see the same batches, and run together where memory allows. One fails if
    its loss ends above the start's, or ever rises above that: a spike counts against a rate, and a lucky last step
    not for it. Where nothing adapts, half of what the curvature at the start allows is not exceeded either.
    It costs about `25 × steps` gradients.

    Args:
        loss: loss(params, batch); loss(params) where there are no batches, loss(params, batch, key) where `key` is
            given.
        params: the parameters to start from, any pytree; of an equinox module its arrays of floating-point numbers.
        make: lr ↦ an `optax.GradientTransformation`, `optax.adam` say.
        batches: a list of batches (cycled), or k ↦ batch.
        steps: the length of a trial.
        key: the key of what is random in the loss: dropout. All trials see the same keys, one a step.
        has_aux: whether the loss answers a pair, (loss, anything else).

    Raises:
        TypeError: if something is not what it should be, or the loss can't be traced.
        ValueError: if the loss is not finite at the start.

    References:
        L. N. Smith, Cyclical learning rates for training neural networks, WACV 2017, for a test over a range of rates.

    Example:
        >>> import gradientflow as gf
        >>> import optax
        >>> found = gf.suggest_lr(lambda x: x[0] ** 2 / 2 + 50 * x[1] ** 2, [1.0, 1.0], optax.sgd)
        >>> 0.001 < found.lr < 2 / 100 == round(found.local_limit, 6)
        True
    """
    for name, value in {"loss": loss, "make": make}.items():
        if not callable(value):
            remedy = "; give optax.adam, or lr -> an optimizer" if name == "make" else ""
            raise TypeError(f"suggest_lr: `{name}` must be a function, got {in_a_line(value)}{remedy}")
    check_integer("suggest_lr", 8, steps=steps)
    params, whole = moving_arrays("suggest_lr", "params", params)
    seen = _batches(batches, steps)
    key = None if key is None else check_key("suggest_lr", loss, key)

    def of_batch(p: Any, batch: Any, k: Any) -> Any:
        arguments = [p if whole is None else whole(p), *([] if batches is None else [batch])]
        found = loss(*arguments, *([] if key is None else [jax.random.fold_in(key, k)]))
        if has_aux and not isinstance(found, tuple):
            raise TypeError("has_aux=True is for a loss that answers a pair (loss, aux)")
        return found[0] if has_aux else found

    first = jax.tree.map(lambda leaf: leaf[0], seen)
    energy = as_energy(lambda p: of_batch(p, first, 0))
    check_fits("suggest_lr", "params", energy, params)
    trials = _Trials(of_batch, params, make, seen, steps)
    if not math.isfinite(trials.start):
        raise ValueError(f"suggest_lr: the loss is {trials.start} at `params`; start where it is finite")
    local, adaptive, unread = _local_limit(energy, params, make)
    rates = _grid(local if math.isfinite(local) else _UNREAD)
    losses, failed = trials(rates)
    for _ in range(_AGAIN):
        best = _best(losses, failed)
        if best is None or best == 0:
            more = rates[0] * 10.0 ** (-np.arange(4 * _PER_DECADE, 0, -1) / _PER_DECADE)
        elif best == len(rates) - 1:
            more = rates[-1] * 10.0 ** (np.arange(1, 2 * _PER_DECADE + 1) / _PER_DECADE)
        else:
            break
        more_losses, more_failed = trials(more)
        rates, losses, failed = (np.concatenate(pair) for pair in ((rates, more), (losses, more_losses),
                                                                   (failed, more_failed)))  # fmt: skip
        order = np.argsort(rates)
        rates, losses, failed = rates[order], losses[order], failed[order]
    common = {"local_limit": local, "rates": rates, "losses": losses, "failed": failed, "start": trials.start,
              "steps": steps}  # fmt: skip
    best = _best(losses, failed)
    if best is None:
        why = (
            f"no learning rate from {rates[0]:.1e} to {rates[-1]:.1e} made the loss fall below {trials.start:.4g} in "
            f"{steps} steps without a spike: the start may be a minimum, or noise hides the fall; try more steps"
        )
        return SuggestedRate(math.nan, (math.nan, math.nan), why, limit=math.nan, grade=Grade.UNKNOWN, **common)
    return _chosen(best, adaptive, unread, common)


def _chosen(best: int, adaptive: bool, unread: str, common: dict[str, Any]) -> SuggestedRate:
    rates, losses, failed, local = (common[name] for name in ("rates", "losses", "failed", "local_limit"))
    above = np.flatnonzero(failed[best:])
    end = best + int(above[0]) if above.size else len(rates)
    limit = float(rates[end]) if end < len(rates) else math.inf
    good = common["start"] - losses >= _AS_GOOD * (common["start"] - losses[best])
    low = high = best
    while low > 0 and good[low - 1] and not failed[low - 1]:
        low -= 1
    while high + 1 < end and good[high + 1]:
        high += 1
    # A spike is not far from the first rate that fails.
    caps = {"half of the first that failed": _SAFE * limit}
    if not adaptive and math.isfinite(local):
        caps["half of what the curvature at the start allows"] = _SAFE * local
    name, cap = min(caps.items(), key=lambda item: item[1])
    greatest = min(float(rates[high]), cap)
    spread = (min(float(rates[low]), greatest), greatest)
    fell = f"the loss falls from {common['start']:.4g} to {losses[best]:.4g} in {common['steps']} steps at the best"
    chosen = "the greatest that is as good" if greatest < cap else name
    failing = f"the first to fail is {limit:.3g}" if math.isfinite(limit) else f"none up to {rates[-1]:.3g} failed"
    curved = f"the curvature at the start allows {local:.3g}" if math.isfinite(local) else unread
    reason = f"{chosen}: {fell}; {failing}; {curved}"
    return SuggestedRate(greatest, spread, reason, limit=limit, grade=Grade.MEASURED, **common)


def _best(losses: np.ndarray, failed: np.ndarray) -> int | None:
    """The trial whose loss fell most, of those that did not fail."""
    fine = np.where(failed, np.inf, losses)
    return int(np.argmin(fine)) if np.isfinite(fine).any() else None


def _grid(centre: float) -> np.ndarray:
    return centre * 10.0 ** (np.arange(-_BELOW * _PER_DECADE, _ABOVE * _PER_DECADE + 1) / _PER_DECADE)


def _batches(batches: Any, steps: int) -> Any:
    """The batches of all steps, stacked."""
    if batches is None:
        return jnp.zeros(steps)
    if callable(batches):
        some = [batches(k) for k in range(steps)]
    elif isinstance(batches, Sequence) and not isinstance(batches, str | bytes) and len(batches):
        shapes = [jax.tree.map(jnp.shape, batch) for batch in batches]
        # The last one of an epoch is often shorter.
        alike = [batch for batch, shape in zip(batches, shapes, strict=True) if shape == shapes[0]]
        some = [alike[k % len(alike)] for k in range(min(steps, len(alike)))]
    else:
        raise TypeError(
            f"suggest_lr: `batches` must be a list of batches, or a function k -> batch, got {type(batches).__name__}; "
            "one batch: [batch]"
        )
    try:
        return jax.tree.map(lambda *leaves: jnp.stack([jnp.asarray(leaf) for leaf in leaves]), *some)
    except (TypeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(f"suggest_lr: `batches` must be of one structure and shape: {reason}") from error


class _Trials:
    """Short runs from one start, one a learning rate."""

    def __init__(self, loss: Any, params: Any, make: Any, batches: Any, steps: int) -> None:
        count = len(jax.tree.leaves(batches)[0])
        late = jnp.arange(steps - max(steps // 4, 1), steps)

        def batch(batches: Any, k: Any) -> Any:
            return jax.tree.map(lambda leaf: leaf[k % count], batches)

        def trial(lr: Any, params: Any, batches: Any) -> Any:
            optimizer = make(lr)

            def one(carry: Any, k: Any) -> Any:
                at, state = carry
                value, gradient = jax.value_and_grad(loss)(at, batch(batches, k), k)
                updates, state = optimizer.update(gradient, state, at)
                return (jax.tree.map(lambda a, u: (a + u).astype(a.dtype), at, updates), state), value

            return jax.lax.scan(one, (params, optimizer.init(params)), jnp.arange(steps))[1]

        lanes = (_BELOW + _ABOVE) * _PER_DECADE + 1
        together = lanes * size(params) <= _AT_ONCE

        def many(rates: Any, params: Any, batches: Any) -> Any:
            if together:
                return jax.vmap(trial, in_axes=(0, None, None))(rates, params, batches)
            return jax.lax.map(lambda lr: trial(lr, params, batches), rates)

        def losses(params: Any, batches: Any) -> Any:
            return jax.lax.map(lambda k: loss(params, batch(batches, k), k), jnp.arange(steps))

        self._many, self._one, self._of = compiled(many, SMALL_TRAINING, jax.jit), trial, (params, batches)
        self._dtype = jnp.result_type(*jax.tree.leaves(params))
        first = np.asarray(compiled(losses, SMALL_TRAINING, jax.jit)(*self._of))
        self._first, self._late = first.astype(float), np.asarray(late)
        self.start = float(np.median(self._first[self._late]))

    def __call__(self, rates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What the loss of each ends at, and whether it failed."""
        try:
            runs = self._many(jnp.asarray(rates, self._dtype), *self._of)
        except (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError):
            # A `make` that looks at its number is given numbers.
            runs = [
                compiled(functools.partial(self._one, float(lr)), SMALL_TRAINING, jax.jit)(*self._of) for lr in rates
            ]
        except (TypeError, AttributeError) as error:
            reason = str(error).strip().splitlines()[0]
            raise TypeError(
                "suggest_lr: `make` must return an optax.GradientTransformation, optax.adam say; a trial of it "
                f"failed{users_line(error)}: {reason}"
            ) from error
        runs = np.array([np.asarray(run, dtype=float) for run in runs])
        with np.errstate(all="ignore"):
            ends = np.median(runs[:, self._late], axis=1)
            # Batches differ: above the start on the worst of them.
            rose = np.max(runs, axis=1) > np.max(self._first)
        finite = np.isfinite(runs).all(axis=1)
        return np.where(finite, ends, np.nan), ~finite | ~(ends < self.start) | rose


def _local_limit(energy: Any, params: Any, make: Any) -> tuple[float, bool, str]:
    """The learning rate that the curvature allows, whether the optimizer adapts, and why there is none."""
    unread = "what the curvature allows can't be read: "
    try:
        optimizer = make(_PROBE)
        reader = HeldUpdate(optimizer, params)
        step = reader.at(jax.grad(energy.value)(params), optimizer.init(params), params)
    except (TypeError, AttributeError, ValueError) as error:
        return math.nan, True, unread + str(error).splitlines()[0]
    if step.reason or step.inverse is None:
        return math.nan, True, unread + step.reason
    try:
        greatest = float(sum(preconditioned_curvatures(energy, params, step.inverse).greatest) / 2)
    except ArithmeticError:
        return math.nan, bool(reader.adaptive), f"{unread}the Hessian is not finite at the start"
    if not greatest > 0:
        return math.nan, bool(reader.adaptive), "no direction at the start is curved upwards"
    return _PROBE * step.threshold / greatest, bool(reader.adaptive), ""
