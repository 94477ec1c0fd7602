"""An eye on a training loop: what it did lately, its last good parameters, and no step after the first bad one."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from gradientflow.flows import all_finite, check_integer, inner
from gradientflow.flows.checks import by_name, in_a_line

from .sharpness import in_one, leading, loss_of, product_with_hessian, start_direction

# What was bad: codes, in the order in which they are looked for.
NOTHING, BATCH, VALUE, GRADIENT, UPDATE, ROSE = range(6)
# A rise is one without return if it is so many times the run's scale; or if an average over about so many steps has
# stayed above the start, by more than so many times what the values scatter, for as long as `every`.
_FAR, _AVERAGED, _SCATTER = 1000.0, 10, 10.0
# A run that is back up by so much of its fall, and so many times what the loss goes from step to step, is past
# its last good point.
_BACK_UP, _FLUTTERS = 0.5, 3.0
# Products with the Hessian at the first look; one at each of the others, which go on where it was.
_FIRST_LOOK = 12
RECORDED = ("value", "grad_norm", "update_norm", "sharpness", "residual")


class WatchState(eqx.Module):
    """What `watch` carries: the optimizer's state, a ring of evidence, and the last good parameters.

    Attributes:
        inner: the optimizer's own state, of no use after the first bad step.
        step: how many steps there were.
        ring: evidence, arrays of shape (keep,) by name; the step each entry belongs to is `steps`.
        steps: −1 where there is none yet.
        good: the last good parameters, before the step `good_step`, and the optimizer's state and gradient there.
        good_step: its number; −1 if there was none.
        bad_step: the first bad step; −1 as long as there is none.
        what: what was bad, a code.
        lost: of each leaf of the gradient, whether it was not finite at the bad step.
        rise: how the loss stands to the start's.
        direction: the direction of the greatest curvature, flat.
        looks: the greatest curvature and its direction at the first look, and at the last one at a good step.
        optimizer: the transformation watched.
        sees_loss: whether it was given the loss; without, no gradient is kept.
    """

    inner: Any
    step: Any
    ring: dict[str, Any]
    steps: Any
    good: Any
    good_step: Any
    bad_step: Any
    what: Any
    lost: Any
    rise: dict[str, Any]
    direction: Any
    looks: Any
    optimizer: Any = eqx.field(static=True)
    sees_loss: bool = eqx.field(static=True)


@by_name
def watch(optimizer: Any, loss: Any = None, every: int = 50, keep: int = 64) -> Any:
    """Wraps an optax optimizer so that a run that fails can say afterwards what happened.

    Its updates are the optimizer's own until the first bad step: one at which the batch, the loss, the gradient or the
    update is not finite, or at which a rise of the loss has not ended. From there on they are zero. `gf.report(state)`
    says on the host what happened; it has the last good parameters. The state goes through `jit` and `lax.scan`; it
    holds the parameters and the optimizer's state once more, and with the loss the gradient.

    Args:
        optimizer: any `optax.GradientTransformation`.
        loss: loss(params, batch), or loss(params): the greatest curvature is then looked at too.
        every: between how many steps, by one Hessian-vector product that goes on where the last one ended.
        keep: of how many steps evidence is kept.

    Returns:
        An `optax.GradientTransformationExtraArgs`: `update(gradient, state, params, value=…, batch=…)`, value the loss,
        without which a rise is not seen, and batch what `loss` takes.

    Raises:
        TypeError: if it is no optimizer.

    Example:
        >>> import gradientflow as gf
        >>> import jax, jax.numpy as jnp, optax
        >>> loss = lambda x: jnp.sum(jnp.array([1.0, 30.0]) * x**2) / 2
        >>> optimizer = gf.watch(optax.sgd(0.1), loss)  # 2/30 is the limit
        >>> x = jnp.ones(2)
        >>> state = optimizer.init(x)
        >>> for _ in range(60):
        ...     value, gradient = jax.value_and_grad(loss)(x)
        ...     updates, state = optimizer.update(gradient, state, x, value=value)
        ...     x = optax.apply_updates(x, updates)
        >>> str(gf.report(state).cause)
        'beyond_stability'
    """
    optax_optimizer = checked_optimizer("watch", optimizer)
    if loss is not None and not callable(loss):
        raise TypeError(f"watch: `loss` must be a function of (params, batch), or of params, got {in_a_line(loss)}")
    check_integer("watch", 1, every=every)
    check_integer("watch", 4, keep=keep)

    def init(params: Any) -> WatchState:
        real = jnp.result_type(float)
        nan, none = jnp.asarray(jnp.nan, real), jnp.asarray(-1, jnp.int32)
        inside = optax_optimizer.init(params)
        params = jax.tree.map(jnp.asarray, params)
        rise = dict.fromkeys(("first", "scale", "mean", "low", "low_mean", "high", "last"), nan)
        rise |= dict.fromkeys(("scatter", "noise", "flutter"), jnp.zeros((), real))
        rise |= {"above": jnp.asarray(0, jnp.int32), "high_step": none}
        direction = start_direction(params) if loss is not None else jnp.zeros(0, real)
        kept = (params, inside, None if loss is None else jax.tree.map(jnp.zeros_like, params))
        ring = {name: jnp.full(keep, jnp.nan, real) for name in RECORDED}
        lost = jnp.zeros(len(jax.tree.leaves(params)), bool)
        return WatchState(
            inside, jnp.asarray(0, jnp.int32), ring, jnp.full(keep, -1, jnp.int32), kept, none, none,
            jnp.asarray(NOTHING, jnp.int32), lost, rise, direction, ((nan, direction),) * 2, optimizer,
            loss is not None,
        )  # fmt: skip

    def update(gradient: Any, state: WatchState, params: Any = None, *, value: Any = None, batch: Any = None,
               **extra: Any) -> tuple[Any, WatchState]:  # fmt: skip
        if params is None:
            raise ValueError("watch: `params` must be given to update: optimizer.update(gradient, state, params)")
        if value is not None:
            extra = {"value": value, **extra}
        updates, inside = optax_optimizer.update(gradient, state.inner, params, **extra)
        real = state.ring["value"].dtype
        seen = jnp.asarray(jnp.nan if value is None else value, real)
        grad_norm, update_norm = (norm_of(tree, real) for tree in (gradient, updates))
        alive = state.bad_step < 0
        k, rise = state.step, state.rise
        fall = jax.lax.cond(k == 0, lambda: jnp.abs(inner(gradient, updates)).astype(real), lambda: jnp.zeros((), real))
        rise, rose = _risen(rise, k, seen, fall, every)
        lost = jnp.stack([~jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient)])
        floats = [leaf for leaf in jax.tree.leaves(batch) if jnp.issubdtype(jnp.result_type(leaf), jnp.inexact)]
        # What is looked for first is written last.
        what = jnp.asarray(NOTHING, jnp.int32)
        for code, bad in ((ROSE, rose), (UPDATE, ~jnp.isfinite(update_norm)), (GRADIENT, lost.any()),
                          (VALUE, jnp.asarray(False) if value is None else ~jnp.isfinite(seen)),
                          (BATCH, ~all_finite(floats))):  # fmt: skip
            what = jnp.where(bad, jnp.asarray(code, jnp.int32), what)
        sharpness, residual, direction = jnp.asarray(jnp.nan, real), jnp.asarray(jnp.nan, real), state.direction
        due = jnp.asarray(False)
        if loss is not None:
            times = product_with_hessian(loss_of("watch", loss, batch), params)

            def look(direction: Any) -> Any:
                found = leading(times, direction, jnp.where(k == 0, _FIRST_LOOK, 1))
                return found.value.astype(real), found.residual.astype(real), found.direction

            def look_away(direction: Any) -> Any:
                return jnp.asarray(jnp.nan, real), jnp.asarray(jnp.nan, real), direction

            due = alive & (k % every == 0)
            sharpness, residual, direction = jax.lax.cond(due, look, look_away, state.direction)
        bad = what != NOTHING
        goes_on = alive & ~bad
        # A point from which the run is already away is not the last good one.
        good = goes_on & (rise["above"] == 0) & ~(seen > rise["first"] + rise["noise"])
        up = seen - rise["low_mean"]
        slack = jnp.fmax(_BACK_UP * (rise["first"] - rise["low_mean"]), _FLUTTERS * rise["flutter"])
        good = good & ~(up > slack)
        record = {"value": seen, "grad_norm": grad_norm, "update_norm": update_norm, "sharpness": sharpness,
                  "residual": residual}  # fmt: skip
        slot = k % keep
        kept = (params, state.inner, gradient if state.sees_loss else None)

        def one_of(condition: Any, new: Any, old: Any) -> Any:
            return jax.tree.map(lambda a, b: jnp.where(condition, a, b), new, old)

        after = WatchState(
            inside, k + alive.astype(k.dtype),
            {name: one_of(alive, entry.at[slot].set(record[name]), entry) for name, entry in state.ring.items()},
            one_of(alive, state.steps.at[slot].set(k), state.steps),
            one_of(good, kept, state.good), jnp.where(good, k, state.good_step),
            jnp.where(alive & bad, k, state.bad_step), jnp.where(alive, what, state.what),
            jnp.where(alive, lost, state.lost), one_of(alive, rise, state.rise), direction,
            tuple(one_of(now, (sharpness, direction), before)
                  for now, before in zip((due & (k == 0), due & good), state.looks, strict=True)),
            state.optimizer, state.sees_loss,
        )  # fmt: skip
        return jax.tree.map(lambda u: jnp.where(goes_on, u, jnp.zeros_like(u)), updates), after

    import optax

    return optax.GradientTransformationExtraArgs(init, in_one(update))  # pyright: ignore[reportArgumentType]


def _risen(rise: dict[str, Any], k: Any, value: Any, fall: Any, every: int) -> tuple[dict[str, Any], Any]:
    """How the loss stands to the start's, and whether a rise has not ended.

    Args:
        rise: what was known.
        k: the step.
        value: the loss there.
        fall: |⟨g, u⟩|, how much it should change.
        every: how long an average may stay above the start.
    """
    first = jnp.where(k == 0, value, rise["first"])
    # The run's own scale: what a step should do, what it has done, how deep it has been.
    low = jnp.where(k == 0, value, jnp.fmin(rise["low"], value))
    scale = jnp.where(k == 0, fall, jnp.fmax(rise["scale"], first - low))
    mean = jnp.where(k == 0, value, rise["mean"] + (value - rise["mean"]) / _AVERAGED)
    early = (k > 0) & (k <= _AVERAGED)
    scatter = jnp.where(early, jnp.maximum(rise["scatter"], jnp.abs(value - rise["mean"])), rise["scatter"])
    noise = _SCATTER * jnp.where(k <= _AVERAGED, 0, scatter)
    is_above = mean > first + jnp.fmax(noise, scale)
    low_mean = jnp.where(k == 0, value, jnp.fmin(rise["low_mean"], mean))
    high = jnp.where(k == 0, value, jnp.fmax(rise["high"], value))
    high_step = jnp.where((k == 0) | (high > rise["high"]), k, rise["high_step"])
    step = jnp.where(k == 0, 0, jnp.abs(value - rise["last"]))
    flutter = rise["flutter"] + (step - rise["flutter"]) / _AVERAGED
    above = jnp.where(is_above, rise["above"] + 1, 0).astype(rise["above"].dtype)
    rose = (value - first > _FAR * jnp.fmax(scale, jnp.abs(first))) | (above > every)
    known = {"first": first, "last": value, "scale": scale, "mean": mean, "scatter": scatter, "noise": noise,
             "flutter": flutter, "above": above, "low": low, "low_mean": low_mean, "high": high,
             "high_step": high_step}  # fmt: skip
    return known, rose


def norm_of(tree: Any, real: Any) -> Any:
    """The Euclidean norm in one pass, which a training step can afford; ∞ where its square is."""
    return jnp.sqrt(sum(jnp.sum(jnp.square(leaf.astype(real))) for leaf in jax.tree.leaves(tree)))


def checked_optimizer(where: str, optimizer: Any) -> Any:
    """An optax optimizer that takes extra arguments.

    Raises:
        TypeError: if it is no optimizer.
    """
    import optax

    if not (hasattr(optimizer, "init") and hasattr(optimizer, "update")):
        raise TypeError(f"{where}: `optimizer` must be an optax.GradientTransformation, optax.adam(1e-3) say, got "
                        f"{optimizer!r}")  # fmt: skip
    return optax.with_extra_args_support(optimizer)
