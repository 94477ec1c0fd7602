"""Polyak's step, read from the energy above its minimum."""

from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from gradientflow.flows import (
    Flow,
    check_energy,
    check_number,
    check_positive,
    dtype_of,
    inner,
    is_concrete,
    scaled_to_unit,
)
from gradientflow.flows.aliases import State, Time

from ..discretizer import Discretizer
from ..step_rule import StepRule


class PolyakStep(StepRule):
    r"""Polyak's step: $h = (E(x) - E^*)/\|\nabla E(x)\|^2$, 0 where the gradient is.

    With forward Euler of the gradient flow, on convex energies, the distance to every minimizer falls: it is the h that
    minimizes the bound $\|x' - x^*\|^2 \le \|x - x^*\|^2 - 2h(E - E^*) + h^2\|\nabla E\|^2$. On ½λ(x − x*)² it halves
    the distance. An energy below E* counts as E*.

    Args:
        minimum: E*, the least value of E; what the energy knows of itself unless given.
        longest: a step that is never exceeded [T]; `None` is no limit.

    Raises:
        ValueError: if `minimum` is not finite, or `longest` not finite and positive; when it runs, if no minimum is
            given and the energy knows none.

    References:
        B. T. Polyak, Minimization of unsmooth functionals, USSR Comput. Math. Math. Phys. 9, 1969.

    Example:
        >>> import gradientflow as gf
        >>> E = gf.energy(lambda x: (x - 3) ** 2 / 2, minimum=0.0)
        >>> gf.optimizers.gradient_descent(E, gf.PolyakStep()).iterate(0.0, steps=3).x.tolist()
        [0.0, 1.5, 2.25, 2.625]
    """

    equation: ClassVar[str] = "h = (E(x) − E*)/‖∇E(x)‖²"
    minimum: Any
    longest: Any

    def __init__(self, minimum: Any = None, longest: Any = None) -> None:
        if minimum is not None:
            check_number("PolyakStep", minimum=minimum)
            if is_concrete(minimum) and not np.isfinite(minimum):
                raise ValueError(f"PolyakStep: `minimum` must be finite, got {minimum}; it is the least value of E")
        if longest is not None:
            check_positive("PolyakStep", longest=longest)
        self.minimum, self.longest = minimum, longest

    def known(self, flow: Flow) -> "PolyakStep":
        """With E*, asked for once: an energy may have to solve for it.

        Raises:
            ValueError: if it is not known.
            TypeError: of a field without an energy.
        """
        check_energy("PolyakStep", flow, "the step is found from its value: give a step size")
        minimum = flow.energy.minimum if self.minimum is None else self.minimum
        if minimum is None:
            name = type(flow.energy).__name__
            raise ValueError(f"PolyakStep: the minimum of {name} is not known; give `minimum`, the least value of E")
        return PolyakStep(minimum, self.longest)

    def init(self, flow: Flow, discretizer: Discretizer, t: Time, z: State) -> Any:
        """E*."""
        return jnp.asarray(self.known(flow).minimum, dtype_of(z))

    def __call__(self, flow: Flow, discretizer: Discretizer, t: Time, z: State, rule_state: Any) -> tuple[Any, Any]:
        """(E − E*)/‖∇E‖², or `longest`."""
        x = flow.position(z)
        gradient = flow.energy.grad(x)
        unit, scale = scaled_to_unit(gradient)
        square = inner(unit, unit)
        above = jnp.maximum(flow.energy.value(x) - rule_state, 0)
        h = jnp.where(square > 0, above / scale / jnp.where(square > 0, square, 1) / scale, 0)
        return h if self.longest is None else jnp.minimum(h, self.longest), rule_state
