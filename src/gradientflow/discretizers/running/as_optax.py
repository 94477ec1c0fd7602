"""Our methods as optax's gradient transformations."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from gradientflow.flows import Energy, Flow, dtype_of, is_stochastic, lift, numbers_to_arrays, with_energy

from ..discretizer import Discretizer, advance
from ..step_rule import as_step_rule


class GivenGradient(Energy):
    """An energy of which nothing is known but its gradient at one point, which a training loop has computed.

    Args:
        at: the point.
        gradient: ∇E there.
    """

    at: Any
    gradient: Any

    def value(self, x: Any) -> Any:
        """Refused."""
        raise TypeError("to_optax: the method asks for the energy's value, and optax hands out its gradient only")

    def grad(self, x: Any) -> Any:
        """The gradient, at the one point."""
        if any(a is not b for a, b in zip(jax.tree.leaves(x), jax.tree.leaves(self.at), strict=True)):
            raise TypeError(
                "to_optax: the scheme asks for a gradient at another point than the parameters, and optax hands out "
                "that one only; schemes with one gradient at the state's own position fit"
            )
        return self.gradient


class MethodState(NamedTuple):
    """What a method remembers between optax's updates.

    Attributes:
        t: the time.
        z: the flow's state; its position is overwritten by the parameters.
        memory: the scheme's.
        rule_state: the step rule's.
    """

    t: Any
    z: Any
    memory: Any
    rule_state: Any


def gradient_transformation(flow: Flow, discretizer: Discretizer, step: Any) -> Any:
    """The `optax.GradientTransformation` whose updates are the method's steps.

    Args:
        flow: its flow; its energy is replaced by the gradients that optax hands in.
        discretizer: its scheme.
        step: its step, a schedule or a step rule that asks for no more than gradients.
    """
    import optax

    rule = as_step_rule(step)

    def prepared(params: Any, gradient: Any) -> tuple[Flow, Discretizer, Any]:
        given = with_energy(flow, GivenGradient(params, gradient))
        # In half precision e^{−h/τ} would round to 1: numbers are kept in single at least.
        dtype = precision(params)
        scheme = numbers_to_arrays(discretizer, dtype, integers=False)
        return numbers_to_arrays(given, dtype), scheme, numbers_to_arrays(rule, dtype)

    def precision(params: Any) -> Any:
        return jnp.promote_types(dtype_of(params), jnp.float32)

    def init(params: Any) -> MethodState:
        params = jax.tree.map(jnp.asarray, params)
        seen, scheme, steps = prepared(params, jax.tree.map(jnp.zeros_like, params))
        t, z = jnp.zeros((), precision(params)), seen.init(params)
        if is_stochastic(seen, z):
            raise TypeError(
                f"to_optax: {type(flow).__name__} has noise, and optax draws none; iterate it here, or add "
                "optax.add_noise to the flow at temperature zero"
            )
        rule_state = steps.init(seen, scheme, t, z)
        h, _ = steps(seen, scheme, t, z, rule_state)
        return MethodState(t, z, scheme.init(seen, t, z, h), rule_state)

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, MethodState]:
        if params is None:
            raise ValueError("to_optax: `update` needs the parameters: update(gradients, state, params)")
        seen, scheme, steps = prepared(params, updates)
        z = _moved_to(seen, state.z, params)
        h, rule_state = steps(seen, scheme, state.t, z, state.rule_state)
        h = jnp.asarray(h, precision(params))
        z, memory = advance(scheme, seen, state.t, z, h, memory=state.memory)
        z = jax.tree.map(lambda new, old: jnp.asarray(new, old.dtype), z, state.z)
        moves = jax.tree.map(lambda new, old: jnp.asarray(new - old, old.dtype), seen.position(z), params)
        return moves, MethodState(state.t + h, z, memory, rule_state)

    return optax.GradientTransformation(init, update)


def _moved_to(flow: Flow, z: Any, params: Any) -> Any:
    """The state with its position overwritten: other transformations may have moved the parameters otherwise."""
    if hasattr(z, "x"):
        return eqx.tree_at(lambda state: state.x, z, lift(params))
    return flow.init(params)
