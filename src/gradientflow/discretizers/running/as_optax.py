"""Our methods as optax's gradient transformations."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from gradientflow.flows import Energy, Flow, dtype_of, is_stochastic, lift, numbers_to_arrays, with_energy
from gradientflow.flows.aliases import Position, State

from ..discretizer import Discretizer
from ..iteration import Iteration
from ..step_rule import as_step_rule


class GivenGradient(Energy):
    """An energy of which nothing is known but its gradient at one point, which a training loop has computed.

    Args:
        at: the point.
        gradient: ∇E there.
    """

    at: Any
    gradient: Any

    def value(self, x: Position) -> Any:
        """Refused."""
        raise TypeError("to_optax: the method asks for the energy's value, and optax hands out its gradient only")

    def grad(self, x: Position) -> Any:
        """The gradient, at the one point."""
        if any(a is not b for a, b in zip(jax.tree.leaves(x), jax.tree.leaves(self.at), strict=True)):
            raise TypeError(
                "to_optax: the scheme asks for a gradient at another point than the parameters, and optax hands out "
                "that one only; schemes with one gradient at the state's own position fit"
            )
        return self.gradient


def gradient_transformation(flow: Flow, discretizer: Discretizer, step: Any) -> Any:
    """The `optax.GradientTransformation` whose updates are the method's steps.

    Its state is the iteration's `Carry`, the position in which is overwritten by the parameters.

    Args:
        flow: its flow; its energy is replaced by the gradients that optax hands in.
        discretizer: its scheme.
        step: its step, a schedule or a step rule that asks for no more than gradients.
    """
    import optax

    rule = as_step_rule(step)

    def iteration(params: Any, gradient: Any) -> Iteration:
        given = with_energy(flow, GivenGradient(params, gradient))
        # In half precision e^{−h/τ} would round to 1: numbers are kept in single at least.
        dtype = jnp.promote_types(dtype_of(params), jnp.float32)
        scheme = numbers_to_arrays(discretizer, dtype, integers=False)
        return Iteration(numbers_to_arrays(given, dtype), scheme, numbers_to_arrays(rule, dtype))

    def init(params: Any) -> Any:
        params = jax.tree.map(jnp.asarray, params)
        seen = iteration(params, jax.tree.map(jnp.zeros_like, params))
        z = seen.flow.init(params)
        if is_stochastic(seen.flow, z):
            raise TypeError(
                f"to_optax: {type(flow).__name__} has noise, and optax draws none; iterate it here, or add "
                "optax.add_noise to the flow at temperature zero"
            )
        return seen.start(z)

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        if params is None:
            raise ValueError("to_optax: `update` needs the parameters: update(gradients, state, params)")
        seen = iteration(params, updates)
        after = seen.one(dataclasses.replace(state, z=_moved_to(seen.flow, state.z, params)))
        x = seen.flow.position(after.z)
        return jax.tree.map(lambda new, old: jnp.asarray(new - old, old.dtype), x, params), after

    return optax.GradientTransformation(init, update)


def _moved_to(flow: Flow, z: State, params: Any) -> Any:
    """The state with its position overwritten: other transformations may have moved the parameters otherwise."""
    if hasattr(z, "x"):
        return eqx.tree_at(lambda state: state.x, z, lift(params))
    return flow.init(params)
