"""The greatest curvature of a loss inside a traced training step: power iteration that goes on where it was."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from gradientflow.flows import SMALL_TRAINING, Number, compiled

_SEED = 0
# By so much of its size the spectrum is shifted upwards, so that of ±λ the positive one wins.
_SHIFT = 0.5


class Leading(NamedTuple):
    """A Rayleigh quotient, its residual, and the direction to go on from."""

    value: Any
    residual: Any
    direction: Any


def loss_of(where: str, loss: Any, batch: Any) -> Callable[[Any], Any]:
    """The loss as a function of the parameters alone; one that can't be called so says it in a line."""

    def of(params: Any) -> Any:
        try:
            return loss(params) if batch is None else loss(params, batch)
        except (TypeError, ValueError, AttributeError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            called = "loss(params)" if batch is None else "loss(params, batch)"
            remedy = (
                "give update batch=… where it takes one"
                if batch is None
                else "where the parameters are half a model give lambda p, b: loss(eqx.combine(p, static), b)"
            )
            raise TypeError(f"{where}: `loss` can't be called as {called}: {reason}; {remedy}") from error

    return of


def in_one(update: Callable[..., Any]) -> Callable[..., Any]:
    """An optax `update` as one program, for loops without jit; as it is, where an argument is a function."""
    program = compiled(update, SMALL_TRAINING)

    def updated(gradient: Any, state: Any, params: Any = None, **extra: Any) -> Any:
        if not all(map(eqx.is_array_like, jax.tree.leaves(extra))):
            return update(gradient, state, params, **extra)
        # Numbers as arrays, or every value of the loss would be another program.
        return program(gradient, state, params, **jax.tree.map(_array, extra))

    return updated


def _array(leaf: Any) -> Any:
    return leaf if isinstance(leaf, jax.Array) else np.asarray(leaf)


def start_direction(params: Any) -> Any:
    """A random direction of length 1, flat, shape (n,)."""
    flat = ravel_pytree(params)[0]
    direction = np.random.default_rng(_SEED).normal(size=flat.size)
    return jnp.asarray(direction / np.linalg.norm(direction), flat.dtype)


def leading(times: Callable[[Any], Any], direction: Any, count: Number) -> Leading:
    """The greatest eigenvalue of a symmetric matrix by its products with vectors of shape (n,).

    Args:
        times: v ↦ Hv.
        direction: where to start, of length 1.
        count: how many products; it may be traced.
    """

    def one(_: Any, found: Leading) -> Leading:
        v = found.direction
        image = times(v)
        value = jnp.vdot(v, image)
        residual = jnp.linalg.norm(image - value * v)
        ahead = image + _SHIFT * jnp.abs(value) * v
        length = jnp.linalg.norm(ahead)
        usable = jnp.isfinite(length) & (length > 0)
        return Leading(value, residual, jnp.where(usable, ahead / jnp.where(usable, length, 1), v))

    unknown = jnp.asarray(jnp.nan, direction.dtype)
    return jax.lax.fori_loop(0, count, one, Leading(unknown, unknown, direction))


def product_with_hessian(loss: Callable[[Any], Any], params: Any) -> Callable[[Any], Any]:
    """v ↦ Hv of a loss at its parameters, on flat vectors."""
    _, unravel = ravel_pytree(params)

    def times(v: Any) -> Any:
        return ravel_pytree(jax.jvp(jax.grad(loss), (params,), (unravel(v),))[1])[0]

    return times
