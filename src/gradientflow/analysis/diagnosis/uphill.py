"""Whether the updates go up the gradient: a sign that was forgotten, or one too many."""

import jax
import jax.numpy as jnp
import numpy as np

from .advice import fall, plain
from .case import Case
from .causes import Cause
from .finding import Finding, tried
from .replay import AS_IT_IS, Change, Checkpoint

# Most of the updates looked at.
_MOST = 0.5
# A multiple that is so small may survive by rounding alone.
_HARDLY = 1e-4
_TURNED = (1.0, 1 / 4, 1 / 16, 1 / 64)


def uphill(case: Case) -> Finding | None:
    """Updates point up the gradient, no multiple of them survives, and with their sign turned the run goes down."""
    if case.survived or case.odd_at_once or case.still_odd is not None:
        return None
    # A step too long goes uphill as well, beyond a valley: not where it starts, and not by any multiple.
    found = [_slope(case, mark) for mark in case.ran.checkpoints[:-1] or case.ran.checkpoints]
    along = [float(one.sum()) for one in found if one.any()]
    if not along or not along[0] > 0 or not np.mean(np.sign(along) > 0) > _MOST or not (case.stuck or _all_fail(case)):
        return None
    for scale in _TURNED:
        label = "every update with its sign turned" + (f", learning rate × {scale:.4g}" if scale != 1 else "")
        turned = case.replay(Change(label, scale=-scale), start=case.replays.start)
        if turned.survives and fall(case, turned) > 0:
            break
    else:
        return None
    share = float(np.mean(np.sign(along) > 0))
    some = _some_layers(case, next(one for one in found if one.any()))
    return Finding(
        Cause.UPHILL,
        case.training.first,
        f"the updates{f' of {some}' if some else ''} point uphill: along them the loss rises, by its gradient",
        (
            f"⟨update, gradient⟩ is above 0 at {share:.0%} of the {len(along)} steps looked at, the first one included",
            *(() if case.stuck else (f"no step is short enough: {tried(case.hardly_moved, case.training.first)}",)),
            tried(turned, case.training.first),
        ),
        (
            f"look at what the optimizer does with {some}, and with no other layer: optax.masked hands on the gradient "
            "itself where its mask is False",
        )
        if some
        else (
            "scale by −learning rate: optax.scale_by_learning_rate(lr), which turns the sign, or optax.scale(-lr) "
            "at the end of the chain",
            tried(turned, case.training.first),
        ),
    )


def _all_fail(case: Case) -> bool:
    """Whether no learning rate that was tried gets down by more than rounding does."""
    if case.safe_scale > _HARDLY:
        return False
    digit = 16 * float(jnp.finfo(case.coarsest).eps) * abs(case.start_loss)
    return all(not one.survives or fall(case, one) <= digit for one in plain(case))


def _some_layers(case: Case, slopes: np.ndarray) -> str:
    """The layers whose updates go uphill, where those of others go down; empty where all are alike."""
    names, owner = case.layers
    by_layer = np.array([slopes[owner == i].sum() for i in range(len(names))])
    up = [name for name, slope in zip(names, by_layer, strict=True) if slope > 0]
    return ", ".join(up[:4]) + (" …" if len(up) > 4 else "") if (by_layer < 0).any() else ""


def _slope(case: Case, mark: Checkpoint) -> np.ndarray:
    """⟨update, gradient⟩ of the step at a checkpoint, leaf by leaf; 0 where there is none, or it isn't finite."""
    params, batch, key = case.arguments(mark)
    after = case.replays.run(AS_IT_IS, mark, 1).checkpoints[-1].params
    _, gradient = case.replays.measured(params, batch, key)
    pairs = zip(*map(jax.tree.leaves, (params, after, gradient)), strict=True)
    with np.errstate(all="ignore"):
        each = np.array([float(np.vdot(np.asarray(b, float) - np.asarray(a, float), np.asarray(g, float)))
                         for a, b, g in pairs])  # fmt: skip
    return each if np.isfinite(each).all() else np.zeros(len(each))
