"""Whether a run that ends below its start has learned anything: a lower end alone does not say so."""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .advice import fall, shorter
from .besides import all_zero, holds_nothing, indices_outside
from .case import Case
from .causes import Cause
from .finding import Finding, tried
from .norms import host_norm
from .replay import Change, Checkpoint

# A loss that rises to so many times its start has left it, and one that a replay keeps a tenth as high has not.
_ROSE = 10.0
# A shorter step must end so much lower to be the better one.
_LOWER = 0.9
# A gradient is hidden by a clip where most steps' are so many times what the clip lets through, ...
_HIDDEN = 100.0
# A clip is looked for down to so little of the gradient.
_LEAST = 1e-20
# ... and explodes where 1 % of the parameters' size moves the loss by so many percent.
_ELASTIC = 30.0
# Guessing costs the labels' entropy; an end so close to it is taken for it.
_GUESS = (0.95, 1.1)
_BATCHES = 16


def rose(case: Case) -> Finding | None:
    """On its way the loss rose by orders of magnitude; with a shorter step it does not, and ends lower."""
    peak = _peak(case)
    if not case.survived or not peak > _ROSE * abs(case.start_loss):
        return None
    tries = [o for o in map(case.scaled, (1 / 4, 1 / 16, 1 / 64)) if o.survives and o.peak * _ROSE < peak]
    best = max(tries, key=partial(fall, case), default=None)
    if best is None or not best.loss < min(_LOWER * case.end_loss, case.end_loss):
        return None
    return Finding(
        Cause.BEYOND_STABILITY,
        case.training.first,
        "the step is too long: it throws the run far up, and from there it comes down less far than a shorter one",
        (
            f"on its way the loss rose from {case.start_loss:.4g} to {peak:.4g}, with the shorter step to "
            f"{best.peak:.4g} at most",
            tried(best, case.training.first),
        ),
        (tried(shorter(case) or best, case.training.first),),
    )


def hidden_explosion(case: Case) -> Finding | None:
    """A clip hides a gradient that explodes: the run does not break, and does better from a smaller start."""
    times = _times_the_clip(case)
    if not times > _HIDDEN:
        return None
    training = case.training
    for factor in (1 / 2, 1 / 4):
        params = jax.tree.map(lambda p, f=factor: (p * f).astype(p.dtype), training.params)
        mark = Checkpoint(training.first, params, training.state)
        small = case.replay(Change(f"parameters × {factor:.4g} at the start"), start=mark)
        if small.survives and small.loss < min(_LOWER * case.end_loss, case.end_loss):
            break
    else:
        return None
    return Finding(
        Cause.EXPLODING_GRADIENT,
        training.first,
        f"the gradient explodes and the clip hides it: {_in_words(times)}",
        (tried(small, training.first), f"{tried(case.scaled(1 / 4), training.first)}, to compare"),
        ("a smaller initial scale, normalization, or gates and residual connections; a clip bounds the step, it mends "
         "no direction", tried(small, training.first)),
    )  # fmt: skip


def doubt(case: Case) -> tuple[str, tuple[str, ...]]:
    """Why nothing says that a run learned, though its loss fell, and what would tell; empty where nothing is odd."""
    fell = "the loss fell, and nothing says that the run learned"
    times, guess = _times_the_clip(case), _guessing(case)
    if times > _HIDDEN:
        return f"{fell}: {_in_words(times)}", (
            "a smaller initial scale, and the sizes of the gradient without the clip",
        )
    outside = indices_outside(case)
    if outside:
        return f"{fell}: {outside}", ("look at the labels and at the number of classes, or of tokens",)
    if all_zero(case):
        return f"{fell}: {holds_nothing(case)}", ("look at what makes the batches",)
    if guess is None:
        return "", ()
    says = (
        f"{fell}: it ends at {case.end_loss:.4g}, and if the integers in the batches are the labels of a cross-entropy "
        f"their shares alone give {guess:.4g} without a look at the inputs"
    )
    helps = (
        "check that labels belong to their inputs, that the inputs have a size of about 1, and that the layers get a "
        "gradient; a longer run tells whether it goes on",
    )
    lower = [o for o in case.outcomes.values()
             if o.label.startswith("learning rate × ") and o.survives and o.loss < _LOWER * case.end_loss]  # fmt: skip
    best = min(lower, key=lambda o: o.loss, default=None)
    return says, helps if best is None else (tried(best, case.training.first), *helps)


def rose_in_words(case: Case) -> str:
    """That the loss rose on its way, where it did by much."""
    peak = _peak(case)
    return f"; on its way it rose to {peak:.4g}" if peak > _ROSE * abs(case.start_loss) else ""


def _in_words(times: float) -> str:
    return f"at most steps it is over {times:.2g} times what the optimizer lets through"


def _peak(case: Case) -> float:
    finite = case.ran.loss[np.isfinite(case.ran.loss)]
    return float(finite.max()) if len(finite) else math.nan


def _times_the_clip(case: Case) -> float:
    """How many times what the optimizer lets through the gradient is at most steps; 0 where nothing is cut off."""
    if not case.survived:
        return 0.0
    norms = case.ran.norm("gradient")
    with np.errstate(all="ignore"):
        elastic = norms * case.ran.norm("size") / np.maximum(np.abs(case.ran.loss), 1e-300)
    if not np.median(elastic) > _ELASTIC:
        return 0.0
    clip = _clip_of(case, float(np.median(norms)))
    return float(np.median(norms)) / clip if clip else 0.0


def _clip_of(case: Case, top: float) -> float:
    """The norm above which, up to `top`, the optimizer does not see how large a gradient is; 0 where there is none.

    Above it neither the update nor the state tell one length from another; below they do, or it is a sign.
    """
    training, mark = case.training, case.ran.checkpoints[0]
    params, batch, key = case.arguments(mark)
    value, gradient = case.replays.measured(params, batch, key)
    size = host_norm(gradient)
    if not (math.isfinite(size) and size > 0):
        return 0.0

    def seen(norm: float) -> np.ndarray:
        scaled = jax.tree.map(lambda g: (g / size * norm).astype(g.dtype), gradient)
        out: Any = training.programs.updated(training.held, scaled, mark.state, params, value, batch, key)
        return np.concatenate([np.ravel(np.asarray(leaf, float)) for leaf in jax.tree.leaves(out)])

    def alike(norm: float) -> bool:
        return np.allclose(seen(norm), whole, rtol=1e-3, atol=1e-6 * float(np.abs(whole).max()))

    low, high = top * _LEAST, top / 2
    try:
        whole = seen(top)
        if not alike(high) or alike(low):
            return 0.0
    except Exception:  # what it asks for beside the gradient isn't there
        return 0.0
    while high > 1.1 * low:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if alike(middle) else (middle, high)
    return high


def _guessing(case: Case) -> float | None:
    """The entropy of integers in the batches that the loss ends at; `None` where it ends at none."""
    if not case.training.batched:
        return None
    batches = [case.training.batch(n) for n in case.replays.some(_BATCHES)]
    columns = zip(*map(jax.tree.leaves, batches), strict=True)
    for leaves in columns:
        if not all(jnp.issubdtype(leaf.dtype, jnp.integer) and leaf.ndim <= 2 for leaf in leaves):
            continue
        _, counts = np.unique(np.concatenate([np.ravel(np.asarray(leaf)) for leaf in leaves]), return_counts=True)
        shares = counts / counts.sum()
        entropy = float(-np.sum(shares * np.log(shares)))
        # What hardly ever comes twice is a number of the example's, no label.
        few = 2 <= len(counts) <= counts.sum() / 2
        if few and _GUESS[0] * entropy <= case.end_loss <= _GUESS[1] * entropy:
            return entropy
    return None
