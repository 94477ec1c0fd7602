"""What a flow's noise is: one object, of which schemes and solvers ask all that they need."""

from collections.abc import Callable
from typing import Any

import equinox as eqx

from .told import Told


class Noise(Told):
    r"""The noise of a flow, $dz = f(t, z)\,dt + \sigma(t, z)\,dW$ (Itô).

    Args:
        shape: z ↦ a pytree in whose shape the driving Brownian motion is.
        sigma: (t, z) ↦ σ(t, z), the linear map from Brownian increments [√T] to changes of the state.
        additive: whether σ is the same at every state.
        parts: over how many equal parts of a step `transition` takes the increments.
        transition: (t, z, h, noise) ↦ a state with exactly the law that the flow has at t + h from z at t; `noise` is
            the increment over h, or a tuple of `parts` of them. `None` where that is not known in closed form.
    """

    shape: Callable[[Any], Any]
    sigma: Callable[[Any, Any], Callable[[Any], Any]]
    additive: bool = eqx.field(static=True, default=True)
    parts: int = eqx.field(static=True, default=1)
    transition: Callable[[Any, Any, Any, Any], Any] | None = None
