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
# What is counted, and what is known of the loss.
COUNTS = ("step", "good_step", "bad_step", "what", "above", "high_step")
RISE = ("first", "last", "scale", "mean", "scatter", "noise", "flutter", "low", "low_mean", "high")


class Looks(eqx.Module):
    """What the looks at the curvature leave; numbers that are not known yet are NaN.

    Attributes:
        direction: that of the greatest curvature, flat, to go on from.
        first: the greatest curvature and its direction at the first look.
        last: the same at the last look at a good step.
        gradient: the gradient there.
    """

    direction: Any
    first: tuple[Any, Any]
    last: tuple[Any, Any]
    gradient: Any


class WatchState(eqx.Module):
    """What `watch` carries: the optimizer's state, a ring of evidence, and the last good parameters.

    A training step hands every array of its state over, which costs more than small ones hold: numbers of one kind are
    one array.

    Attributes:
        inner: the optimizer's own state, of no use after the first bad step.
        counts: integers, shape (6,), named by `COUNTS`; −1 where there is none yet.
        rise: how the loss stands to the start's, shape (10,), named by `RISE`.
        ring: evidence, shape (keep, 5), its columns named by `RECORDED`.
        steps: the step each row of it belongs to, shape (keep,); −1 where there is none yet.
        good: the last good parameters, before the step `good_step`, and the optimizer's state there.
        lost: of each leaf of the gradient, whether it was not finite at the bad step.
        looks: what was seen of the curvature; `None` where the loss was not given.
        optimizer: the transformation watched.
    """

    inner: Any
    counts: Any
    rise: Any
    ring: Any
    steps: Any
    good: Any
    lost: Any
    looks: Looks | None
    optimizer: Any = eqx.field(static=True)

    def count(self, name: str) -> Any:
        """One of `counts`."""
        return self.counts[..., COUNTS.index(name)]

    def level(self, name: str) -> Any:
        """One of `rise`."""
        return self.rise[..., RISE.index(name)]


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
        inside = optax_optimizer.init(params)
        params = jax.tree.map(jnp.asarray, params)
        looks = None
        if loss is not None:
            direction, nan = start_direction(params), jnp.asarray(jnp.nan, real)
            looks = Looks(direction, (nan, direction), (nan, direction), jax.tree.map(jnp.zeros_like, params))
        counts = [0 if name in ("step", "above") else NOTHING if name == "what" else -1 for name in COUNTS]
        rise = [0.0 if name in ("scatter", "flutter") else jnp.nan for name in RISE]
        return WatchState(
            inside, jnp.asarray(counts, jnp.int32), jnp.asarray(rise, real),
            jnp.full((keep, len(RECORDED)), jnp.nan, real), jnp.full(keep, -1, jnp.int32), (params, inside),
            jnp.zeros(len(jax.tree.leaves(params)), bool), looks, optimizer,
        )  # fmt: skip

    def update(gradient: Any, state: WatchState, params: Any = None, *, value: Any = None, batch: Any = None,
               **extra: Any) -> tuple[Any, WatchState]:  # fmt: skip
        if params is None:
            raise ValueError("watch: `params` must be given to update: optimizer.update(gradient, state, params)")
        if value is not None:
            extra = {"value": value, **extra}
        updates, inside = optax_optimizer.update(gradient, state.inner, params, **extra)
        real = state.ring.dtype
        seen = jnp.asarray(jnp.nan if value is None else value, real)
        grad_norm, update_norm = (norm_of(tree, real) for tree in (gradient, updates))
        count = {name: state.count(name) for name in COUNTS}
        k, alive = count["step"], count["bad_step"] < 0
        fall = jax.lax.cond(k == 0, lambda: jnp.abs(inner(gradient, updates)).astype(real), lambda: jnp.zeros((), real))
        rise, above, high_step, rose = _risen({name: state.level(name) for name in RISE}, count, seen, fall, every)
        finite_update, lost = all_finite_of(updates, update_norm), _lost(gradient, grad_norm)
        floats = [leaf for leaf in jax.tree.leaves(batch) if jnp.issubdtype(jnp.result_type(leaf), jnp.inexact)]
        # What is looked for first is written last.
        what = jnp.asarray(NOTHING, jnp.int32)
        for code, bad in ((ROSE, rose), (UPDATE, ~finite_update), (GRADIENT, lost.any()),
                          (VALUE, jnp.asarray(False) if value is None else ~jnp.isfinite(seen)),
                          (BATCH, ~all_finite_of(floats, norm_of(floats, real)))):  # fmt: skip
            what = jnp.where(bad, jnp.asarray(code, jnp.int32), what)
        goes_on = alive & (what == NOTHING)
        # A point from which the run is already away is not the last good one.
        good = goes_on & (above == 0) & ~(seen > rise["first"] + rise["noise"])
        up = seen - rise["low_mean"]
        slack = jnp.fmax(_BACK_UP * (rise["first"] - rise["low_mean"]), _FLUTTERS * rise["flutter"])
        good = good & ~(up > slack)
        nan = jnp.asarray(jnp.nan, real)
        looks, sharpness, residual = state.looks, nan, nan
        if looks is not None:
            times = product_with_hessian(loss_of("watch", loss, batch), params)

            def look(before: Looks) -> Any:
                found = leading(times, before.direction, jnp.where(k == 0, _FIRST_LOOK, 1))
                now = found.value.astype(real), found.direction
                after = Looks(
                    now[1], one_of(k == 0, now, before.first),
                    *one_of(good, (now, gradient), (before.last, before.gradient)),
                )  # fmt: skip
                return after, now[0], found.residual.astype(real)

            looks, sharpness, residual = jax.lax.cond(
                alive & (k % every == 0), look, lambda before: (before, nan, nan), looks
            )
        record = jnp.stack([seen, grad_norm, update_norm, sharpness, residual])
        # Nothing is written any more after the first bad step: beyond the ring there is no place.
        slot = jnp.where(alive, k % keep, keep)
        found = {"step": k + alive, "good_step": jnp.where(good, k, count["good_step"]),
                 "bad_step": jnp.where(goes_on | ~alive, count["bad_step"], k), "what": what, "above": above,
                 "high_step": high_step}  # fmt: skip
        after = WatchState(
            inside, one_of(alive, jnp.stack([found[name].astype(k.dtype) for name in COUNTS]), state.counts),
            one_of(alive, jnp.stack([rise[name] for name in RISE]), state.rise),
            state.ring.at[slot].set(record, mode="drop"), state.steps.at[slot].set(k, mode="drop"),
            # A branch writes what it keeps, where a choice by entries would read both.
            jax.lax.cond(good, lambda: (params, state.inner), lambda: state.good),
            one_of(alive, lost, state.lost), looks, state.optimizer,
        )  # fmt: skip
        return jax.tree.map(lambda u: jnp.where(goes_on, u, jnp.zeros_like(u)), updates), after

    import optax

    return optax.GradientTransformationExtraArgs(init, in_one(update))  # pyright: ignore[reportArgumentType]


def _risen(rise: dict[str, Any], count: dict[str, Any], value: Any, fall: Any, every: int) -> tuple[Any, ...]:
    """How the loss stands to the start's, how long it has been above, where it was highest, and whether that is a rise.

    Args:
        rise: what was known.
        count: the step, and what was counted.
        value: the loss there.
        fall: |⟨g, u⟩|, how much it should change.
        every: how long an average may stay above the start.
    """
    k = count["step"]
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
    high_step = jnp.where((k == 0) | (high > rise["high"]), k, count["high_step"])
    step = jnp.where(k == 0, 0, jnp.abs(value - rise["last"]))
    flutter = rise["flutter"] + (step - rise["flutter"]) / _AVERAGED
    above = jnp.where(is_above, count["above"] + 1, 0)
    rose = (value - first > _FAR * jnp.fmax(scale, jnp.abs(first))) | (above > every)
    known = {"first": first, "last": value, "scale": scale, "mean": mean, "scatter": scatter, "noise": noise,
             "flutter": flutter, "low": low, "low_mean": low_mean, "high": high}  # fmt: skip
    return known, above, high_step, rose


def one_of(condition: Any, new: Any, old: Any) -> Any:
    """The one tree or the other, entry by entry."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), new, old)


def _lost(gradient: Any, norm: Any) -> Any:
    """Of each leaf, whether it is not finite."""
    leaves = jax.tree.leaves(gradient)

    def looked_at() -> Any:
        return jnp.stack([~jnp.isfinite(leaf).all() for leaf in leaves])

    return jax.lax.cond(jnp.isfinite(norm), lambda: jnp.zeros(len(leaves), bool), looked_at)


def all_finite_of(tree: Any, norm: Any) -> Any:
    """Whether all of a tree is finite, whose norm is known: entries are looked at only where that is not finite."""
    return jax.lax.cond(jnp.isfinite(norm), lambda: jnp.asarray(True), lambda: all_finite(tree))


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
