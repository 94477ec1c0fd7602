"""Steps that keep within the stability of every mode, those that do not move included."""

from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp

from ..aliases import Time
from ..numerics import drawn, l2_norm

# The largest h|λ| at which Tsit5 follows what decays, and what oscillates too.
_DECAYING, _OSCILLATING = 3.0, 1.0


class WithinStability(dfx.AbstractAdaptiveStepSizeController):
    """A controller's steps, no longer than an explicit solver is stable for.

    Where a stiff mode stands still its error is nothing, and steps grow beyond its stability; the state is right all
    the same, but a derivative is in all modes: by steps of length h that of a mode λ is multiplied by R(hλ). The
    largest |λ| is followed by one product with the Jacobian a step, a power iteration along the path. The state is the
    inner controller's, the direction, and how many times as long it became at last.

    Attributes:
        rtol, atol, norm: the inner controller's.
        controller: chooses the steps.
        longest: the largest h|λ|.
        field: the right-hand side, of time, state and what the field is told.
    """

    rtol: Any
    atol: Any
    norm: Any
    controller: Any
    longest: float = eqx.field(static=True)
    field: Any = eqx.field(static=True)

    def __init__(self, controller: Any, field: Any, decays: bool) -> None:
        self.rtol, self.atol, self.norm = controller.rtol, controller.atol, controller.norm
        self.controller, self.longest, self.field = controller, _DECAYING if decays else _OSCILLATING, field

    def wrap(self, direction: Any) -> "WithinStability":
        """The same: time runs forward."""
        return self

    def init(
        self, terms: Any, t0: Time, t1: Time, y0: Any, dt0: Any, args: Any, func: Any, error_order: Any
    ) -> tuple[Any, Any]:
        """The end of the first step, which is the inner controller's, and the state."""
        end, inner = self.controller.init(terms, t0, t1, y0, dt0, args, func, error_order)
        keys = jax.random.split(jax.random.key(0), len(jax.tree.leaves(y0)))
        return end, (inner, *self._turned(t0, y0, args, drawn(jax.random.normal, keys, y0)))

    def adapt_step_size(
        self,
        t0: Time,
        t1: Time,
        y0: Any,
        y1_candidate: Any,
        args: Any,
        y_error: Any,
        error_order: Any,
        controller_state: Any,
    ) -> Any:
        """The inner controller's choice, cut off at the limit."""
        inner, direction, before = controller_state
        keep, start, end, jumped, inner, result = self.controller.adapt_step_size(
            t0, t1, y0, y1_candidate, args, y_error, error_order, inner
        )
        y = jax.tree.map(lambda a, b: jnp.where(keep, b, a), y0, y1_candidate)
        direction, longer = self._turned(start, y, args, direction)
        # With inertia a direction turns from position to velocity and back, λ times as long and then as long as it was.
        fastest = jnp.sqrt(before) * jnp.sqrt(longer)
        limit = jnp.where(fastest > 0, self.longest / jnp.where(fastest > 0, fastest, 1), jnp.inf)
        return keep, start, jnp.minimum(end, start + limit), jumped, (inner, direction, longer), result

    def _turned(self, t: Time, y: Any, args: Any, direction: Any) -> tuple[Any, Any]:
        """The direction times the Jacobian, made of length 1, and how many times as long it had become."""
        image = jax.lax.stop_gradient(jax.jvp(lambda y: self.field(t, y, args), (y,), (direction,))[1])
        length = l2_norm(image)
        turns = jnp.isfinite(length) & (length > 0)
        unit = jax.tree.map(lambda a, b: jnp.where(turns, a / jnp.where(turns, length, 1), b), image, direction)
        return unit, jnp.where(turns, length, 0)
