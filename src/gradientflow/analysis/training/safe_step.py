"""Steps that stay below the limit of the optimizer's own update, read every so often from the curvature."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from gradientflow.flows import check_integer, check_number
from gradientflow.flows.checks import by_name, in_a_line

from ..linear_stability.held_step import HeldUpdate
from .sharpness import in_one, leading, loss_of, product_with_hessian, start_direction
from .watch import all_finite_of, checked_optimizer, norm_of

# Products with the preconditioned Hessian: at the first reading, and at the others, which go on where it was.
_FIRST, _LATER = 12, 1
# A gradient so many times what it was at the last reading is one to go back from, with so much of the step.
_BLOWN_UP, _SHORTER, _LONGER = 100.0, 0.25, 2.0
# So is a batch's loss above what it is at the last look's parameters by so much of itself, or of the start's.
_RISEN = 0.05
# From one look to the next the curvature taken falls by no more than so many times: one product follows a direction
# that turns with a delay, and the batches differ.
_FORGOTTEN = 1.5
# Of the first gradient's norm so much is none.
_NONE = 1e-8


class SafeStepState(eqx.Module):
    """What `safe_step` carries.

    Attributes:
        inner: the optimizer's own state.
        step: how many steps there were.
        scale: what the limit lets of an update, at most 1.
        held_back: what steps from which the run had to go back have left of it, at most 1.
        sharpness: the greatest eigenvalue of P⁻¹H taken at the last reading, P⁻¹ each coordinate's gain.
        returns: how often the run went back.
        direction: the direction of that eigenvalue, flat.
        good: the parameters and the optimizer's state at the last look, to go back to.
        reference: the gradient's norm there.
        values: the loss at the start, and the highest since the last look that was found to be no rise.
        least: what of a gradient's norm counts as none.
        due: whether to look at once, after going back.
    """

    inner: Any
    step: Any
    scale: Any
    held_back: Any
    sharpness: Any
    returns: Any
    direction: Any
    good: Any
    reference: Any
    values: Any
    least: Any
    due: Any


@by_name
def safe_step(optimizer: Any, loss: Any, every: int = 20, margin: float = 0.9) -> Any:
    r"""Wraps an optax optimizer so that its steps stay below the limit that the curvature sets.

    Every so many steps the greatest eigenvalue λ of P⁻¹H is looked at by power iteration that goes on where it was,
    P⁻¹ each coordinate's gain with what the optimizer adapts held, and updates are scaled by
    $\min(1, \text{margin}\cdot\tau/\lambda)$, τ the greatest with which what starts at rest never gets further from
    its minimum than it was: 2 for gradient descent, 11.3 for Adam, which is stable up to 38, but swings far beyond
    first. From one look to the next they grow by a half at most. Between two looks curvature can still grow,
    and no local limit sees a cliff. So where the loss or the gradient is not finite, the gradient a hundred times what
    it was at the last look, or the loss of the step's own batch more than 5 % above what it is there, the run goes back
    to the last look and takes shorter steps.

    Args:
        optimizer: an `optax.GradientTransformation` whose update is linear in the gradient with what it adapts held.
        loss: loss(params, batch), or loss(params).
        every: between how many steps to look.
        margin: how much of the limit a step may be, in (0, 1].

    Returns:
        An `optax.GradientTransformationExtraArgs`: `update(gradient, state, params, value=…, batch=…)`; without the
        value a rise is seen at the next look only.

    Raises:
        TypeError: if it is no optimizer, or `loss` no function.
        ValueError: if the optimizer's update can't be read, as a sign's can't; by `init`.

    References:
        J. M. Cohen, S. Kaur, Y. Li, J. Z. Kolter, A. Talwalkar, Gradient descent on neural networks typically occurs at
        the edge of stability, ICLR 2021, for curvature that grows until it meets the limit.

    Example:
        >>> import gradientflow as gf
        >>> import jax, jax.numpy as jnp, optax
        >>> loss = lambda x: jnp.sum(jnp.array([1.0, 30.0]) * x**2) / 2
        >>> optimizer = gf.safe_step(optax.sgd(1.0), loss)  # fifteen times the limit, 2/30
        >>> x = jnp.ones(2)
        >>> state = optimizer.init(x)
        >>> for _ in range(100):
        ...     updates, state = optimizer.update(jax.grad(loss)(x), state, x)
        ...     x = optax.apply_updates(x, updates)
        >>> bool(loss(x) < 1e-4), round(float(state.scale), 3)
        (True, 0.06)
    """
    own = checked_optimizer("safe_step", optimizer)
    if not callable(loss):
        raise TypeError(f"safe_step: `loss` must be a function of (params, batch), or of params, got {in_a_line(loss)}")
    check_integer("safe_step", 1, every=every)
    check_number("safe_step", margin=margin)
    if not 0 < margin <= 1:
        raise ValueError(f"safe_step: `margin` must lie in (0, 1], got {margin}")
    readers: dict[Any, tuple[HeldUpdate, Any, float]] = {}

    def reader_for(params: Any) -> tuple[HeldUpdate, Any, float]:
        """The reading of the update on parameters of such shapes, and its threshold: values don't matter."""
        leaves, structure = jax.tree.flatten(params)
        key = (structure, tuple((np.shape(leaf), jnp.result_type(leaf)) for leaf in leaves))
        if key not in readers:
            with jax.ensure_compile_time_eval():
                readers[key] = _read(own, leaves, structure)
        return readers[key]

    def init(params: Any) -> SafeStepState:
        params = jax.tree.map(jnp.asarray, params)
        reader_for(params)
        real = jnp.result_type(float)
        one, nan = jnp.ones((), real), jnp.asarray(jnp.nan, real)
        zero = jnp.asarray(0, jnp.int32)
        inner = own.init(params)
        values, due = jnp.full(2, jnp.nan, real), jnp.asarray(True)
        return SafeStepState(
            inner, zero, one, one, nan, zero, start_direction(params), (params, inner), nan, values,
            jnp.zeros((), real), due,
        )  # fmt: skip

    def update(gradient: Any, state: SafeStepState, params: Any = None, *, value: Any = None, batch: Any = None,
               **extra: Any) -> tuple[Any, SafeStepState]:  # fmt: skip
        if params is None:
            raise ValueError("safe_step: `params` must be given to update: optimizer.update(gradient, state, params)")
        reader, memories, threshold = reader_for(params)
        real = state.scale.dtype
        norm, k = norm_of(gradient, real), state.step
        lost = ~jnp.isfinite(norm) | (norm > _BLOWN_UP * state.reference)
        if value is not None:
            extra, lost = {"value": value, **extra}, lost | ~jnp.isfinite(value)
        updates, inner = own.update(gradient, state.inner, params, **extra)
        of = loss_of("safe_step", loss, batch)

        def rises(here: Any) -> Any:
            """Whether the batch's loss is above what it is where one would go back to."""
            there = of(state.good[0]).astype(real)
            slack = _RISEN * jnp.fmax(jnp.abs(state.values[0]), jnp.abs(there))
            return ~jnp.isfinite(here) | (here - there > slack)

        ceiling = state.values[1]
        if value is not None:
            # Batches differ: only where a loss is above all since the last look is that worth an evaluation.
            value = jnp.asarray(value, real)
            high = ~lost & (k > 0) & (value > ceiling + _RISEN * jnp.abs(state.values[0]))
            lost = lost | jax.lax.cond(high, rises, lambda _: jnp.asarray(False), value)
            ceiling = jnp.fmax(ceiling, jnp.where(lost, ceiling, value))
        due = (state.due | (k % every == 0)) & ~lost

        def look(direction: Any) -> Any:
            # Beyond a wall a gradient can be finite: that of a logarithm is.
            here = of(params).astype(real)
            first = jnp.where(k == 0, here, state.values[0])
            sound = jnp.isfinite(here) & ((k == 0) | ~rises(here))
            inverse = ravel_pytree(reader.inverse_at(gradient, state.inner, params, memories))[0]
            root = jnp.sqrt(inverse)
            times = product_with_hessian(of, params)
            found = leading(lambda v: root * times(root * v), direction, jnp.where(k == 0, _FIRST, _LATER))
            # A Rayleigh quotient is too small by at most about its residual.
            greatest = (found.value + found.residual).astype(real)
            greatest = jnp.where(jnp.isfinite(greatest), jnp.fmax(greatest, state.sharpness / _FORGOTTEN), greatest)
            allowed = jnp.where(greatest > 0, margin * threshold / greatest, 1)
            scale = jnp.where(jnp.isfinite(greatest), jnp.minimum(1, allowed), state.scale).astype(real)
            kept = (params, state.inner), jnp.maximum(norm, state.least), jnp.stack([first, here])
            kept = jax.tree.map(lambda new, old: jnp.where(sound, new, old), kept, known)
            return scale, jnp.where(jnp.isfinite(greatest), greatest, state.sharpness), found.direction, *kept, ~sound

        def look_away(direction: Any) -> Any:
            return state.scale, state.sharpness, direction, *known, jnp.asarray(False)

        known = state.good, state.reference, jnp.stack([state.values[0], ceiling])
        scale, sharpness, direction, good, reference, values, astray = jax.lax.cond(
            due, look, look_away, state.direction
        )
        lost = lost | astray
        # Longer again after a stretch that went well, not at the look from which it went wrong.
        longer = due & ~state.due
        held_back = state.held_back * jnp.where(lost, _SHORTER, jnp.where(longer, _LONGER, 1)).astype(real)
        held_back = jnp.minimum(held_back, 1)

        def scaled(u: Any) -> Any:
            return (u * (scale * held_back).astype(u.dtype)).astype(u.dtype)

        updates = jax.tree.map(scaled, updates)
        reached = jax.tree.map(lambda p, u: p + u, params, updates), inner
        stays = all_finite_of(reached, norm_of(reached, real))
        back = lost | ~stays

        # From the very start there is nothing to go back to. Most steps stay, and read nothing of where that would be.
        def go_back() -> Any:
            home = jax.tree.map(lambda g, p, u: (g - p).astype(u.dtype), good[0], params, updates)
            return home, jax.tree.map(lambda old, new: jnp.asarray(old, new.dtype), good[1], inner)

        updates, inner = jax.lax.cond(back, go_back, lambda: (updates, inner))
        after = SafeStepState(
            inner, k + jnp.asarray(1, k.dtype), scale, held_back, sharpness, state.returns + back.astype(k.dtype),
            direction, good, reference, values, jnp.where(k == 0, _NONE * norm, state.least).astype(real), back,
        )  # fmt: skip
        return updates, after

    import optax

    return optax.GradientTransformationExtraArgs(init, in_one(update))  # pyright: ignore[reportArgumentType]


def _read(optimizer: Any, leaves: Any, structure: Any) -> tuple[HeldUpdate, Any, float]:
    """The update read at parameters of these shapes, which memories each leaf sees, and its threshold."""
    draw = np.random.default_rng(0)

    def some() -> Any:
        drawn = [jnp.asarray(draw.normal(size=np.shape(leaf)), jnp.result_type(leaf)) for leaf in leaves]
        return jax.tree.unflatten(structure, drawn)

    params, gradient = some(), some()
    _, state = optimizer.update(gradient, optimizer.init(params), params)
    reader = HeldUpdate(optimizer, params)
    step = reader.at(gradient, state, params)
    if step.reason or not step.threshold > 0:
        raise ValueError(
            f"safe_step: `optimizer` has no limit that can be read: {step.reason or 'no step of it is stable'}; give "
            "one whose update is linear in the gradient with its averages held, optax.sgd or optax.adam say"
        )
    return reader, reader.memories(gradient, state, params), step.threshold_from_rest
