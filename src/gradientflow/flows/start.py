"""Where a trajectory starts: the checks that `integrate` and `iterate` share."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .checks import real_arrays
from .energies.energy import Energy
from .flow import Flow
from .numerics import all_finite, dtype_of, is_concrete, numbers_to_arrays


def prepare(where: str, flow: Flow, x0: Any, state: Any, t0: Any = 0.0) -> tuple[Flow, Any]:
    """The flow with its parameters as arrays, and the checked initial state.

    Raises:
        TypeError: if `flow` is not a flow, the start is missing, or either is being traced.
        ValueError: if the start is not finite, the energy is not a finite real scalar on it, or the flow can't start
            so.
    """
    if not isinstance(flow, Flow):
        got = f"the class {flow.__name__}" if isinstance(flow, type) else type(flow).__name__
        hint = "; iterate a method by method.iterate(x0, steps)" if hasattr(flow, "iterate") else ""
        raise TypeError(f"{where}: `flow` must be a flow such as GradientFlow(energy), got {got}{hint}")
    name = "x0" if state is None else "state"
    if state is None:
        if x0 is None or not jax.tree.leaves(x0):
            raise TypeError(f"{where}: `x0` must be an array or a pytree of arrays, got {x0!r}")
        z = flow.init(real_arrays(where, "x0", x0))
    elif isinstance(state, tuple):
        template = flow.init(real_arrays(where, "state", state[0]))
        z = jax.tree.unflatten(jax.tree.structure(template), jax.tree.leaves(real_arrays(where, "state", state)))
    else:
        z = real_arrays(where, "state", state)
    if not is_concrete(z, flow):
        raise TypeError(
            f"{where} can't be traced by jit, vmap or grad: every start has its own steps and status, and lanes "
            "in lockstep would all wait for the stiffest; loop over the starts, what is compiled is used again"
        )
    if not bool(all_finite(z)):
        raise ValueError(f"{where}: `{name}` must be finite, got {x0 if state is None else state}")
    flow.check_start(t0, z)
    flow = numbers_to_arrays(flow, dtype_of(z))
    _check_energy(where, name, flow.energy, flow.position(z))
    # A state of lower precision than its energy's data is carried in the precision of what the drift returns.
    drift = jax.eval_shape(flow.drift, jnp.zeros((), dtype_of(z)), z)
    return flow, jax.tree.map(lambda leaf, f: leaf.astype(jnp.result_type(leaf, f)), z, drift)


def _check_energy(where: str, name: str, energy: Energy, x: Any) -> None:
    shapes = ", ".join(str(leaf.shape) for leaf in jax.tree.leaves(x))
    try:
        value = jax.eval_shape(energy.value, x)
    except (TypeError, ValueError, IndexError, KeyError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(f"{where}: `{name}` of shape {shapes} does not fit the energy: {reason}") from error
    leaves = jax.tree.leaves(value)
    if len(leaves) != 1 or leaves[0].shape != () or not jnp.issubdtype(leaves[0].dtype, jnp.floating):
        got = ", ".join(f"{leaf.dtype}{list(leaf.shape)}" for leaf in leaves) or repr(value)
        raise ValueError(f"{where}: the energy must return one real scalar, got {got}; sum or average its terms")
    if not math.isfinite(first := float(_value(energy, x))):
        raise ValueError(f"{where}: the energy is {first} at `{name}`; start where it is finite")


@eqx.filter_jit
def _value(energy: Energy, x: Any) -> Any:
    return energy.value(x)
