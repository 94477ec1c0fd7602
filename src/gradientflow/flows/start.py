"""Where a trajectory starts: the checks that `integrate`, `iterate` and the analyses share."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .aliases import Position, State, Time
from .checks import position_arrays, real_arrays, users_line
from .clamped import entry_beyond
from .compiling import compiled
from .energies.energy import Energy
from .flow import Flow, ask
from .numerics import as_floating, as_floating_on_host, dtype_of, numbers_to_arrays
from .state import PytreeState, Vector
from .transforming import is_transformed, once_per_shape


def prepare(where: str, flow: Flow, x0: Position, state: Any, t0: Time = 0.0) -> tuple[Flow, Any]:
    """The flow with its parameters as arrays, and the checked initial state.

    Values are looked at only outside of transformations; shapes and kinds always.

    Raises:
        TypeError: if `flow` is not a flow, or the start is missing.
        ValueError: if the start is not finite, the energy is not a finite real scalar on it, or the flow can't start
            so.
    """
    flow, z = begin(where, flow, x0, state, t0)
    if not is_transformed():
        check_value(where, "x0" if state is None else "state", float(_value(flow, z)))
    return flow, z


def begin(where: str, flow: Flow, x0: Position, state: Any, t0: Time = 0.0) -> tuple[Flow, Any]:
    """`prepare`, but for the energy's value, which whoever computes it anyway checks by `check_value`."""
    if not isinstance(flow, Flow):
        got = f"the class {flow.__name__}" if isinstance(flow, type) else type(flow).__name__
        hint = ""
        if hasattr(flow, "iterate"):
            hint = "; iterate a method by method.iterate(x0, steps)"
        elif isinstance(flow, Energy) or (callable(flow) and not isinstance(flow, type)):
            hint = "; of an energy give GradientFlow(energy)"
        raise TypeError(f"{where}: `flow` must be a flow such as GradientFlow(energy), got {got}{hint}")
    if isinstance(x0, Vector) and not isinstance(x0, PytreeState):
        raise TypeError(
            f"{where}: `x0` is a position, and {type(x0).__name__} a full state; give it as `state=`, with x0=None"
        )
    name = "x0" if state is None else "state"
    if state is None:
        if x0 is None or not jax.tree.leaves(x0):
            raise TypeError(f"{where}: `x0` must be an array or a pytree of arrays, got {x0!r}")
        # What is only handed to a program needs no device before; a user's own `init` may ask for JAX's arrays.
        ours = type(flow).init.__module__.partition(".")[0] == __name__.partition(".")[0]
        convert = as_floating_on_host if ours and not is_transformed() else as_floating
        z = ask(flow, "init", position_arrays(where, "x0", x0, convert))
    elif isinstance(state, tuple):
        template = flow.init(real_arrays(where, "state", state[0]))
        parts = [real_arrays(where, "state", part) for part in state]
        z = jax.tree.unflatten(jax.tree.structure(template), jax.tree.leaves(parts))
    else:
        z = real_arrays(where, "state", state)
    if not is_transformed():
        if not all(np.isfinite(np.asarray(leaf)).all() for leaf in jax.tree.leaves(z)):
            raise ValueError(f"{where}: `{name}` must be finite, got {x0 if state is None else state}")
        ask(flow, "check_start", t0, z)
    flow = numbers_to_arrays(flow, dtype_of(z))
    dtypes = _carried(where, name, flow, z)
    return flow, jax.tree.map(lambda leaf, dtype: leaf if leaf.dtype == dtype else leaf.astype(dtype), z, dtypes)


def check_value(where: str, name: str, value: float) -> None:
    """Refuses a start at which the energy is not finite.

    Raises:
        ValueError: with the value.
    """
    if not np.isfinite(value):
        raise ValueError(f"{where}: the energy is {value} at `{name}`; start where it is finite")


@once_per_shape
def _carried(where: str, name: str, flow: Flow, z: State) -> Any:
    """The precision in which each leaf of the state is carried, once the energy is seen to fit it.

    A state of lower precision than its energy's data is carried in the precision of what the drift returns.
    """
    check_fits(where, name, flow.energy, jax.eval_shape(flow.position, z))
    drift = jax.eval_shape(flow.drift, np.zeros((), dtype_of(z)), z)
    return jax.tree.map(lambda leaf, f: jnp.result_type(leaf.dtype, f.dtype), z, drift)


def check_fits(where: str, name: str, energy: Energy, x: Position) -> None:
    """Refuses an energy that can't be traced at positions like x, or is no real scalar there; by shapes alone.

    Raises:
        TypeError: if it can't be traced, with the user's line.
        ValueError: if shapes don't fit, or it reads an entry that isn't there.
    """
    shapes = ", ".join(str(leaf.shape) for leaf in jax.tree.leaves(x))
    try:
        program, value = jax.make_jaxpr(energy.value, return_shape=True)(x)
    except jax.errors.JAXTypeError as error:
        raise TypeError(
            f"{where}: the energy can't be traced{users_line(error)}: write it with jax.numpy in place of numpy, math "
            "and float(…), and jnp.where(condition, a, b) in place of `if`"
        ) from error
    except (TypeError, ValueError, IndexError, KeyError) as error:
        reason = str(error).strip().splitlines()[0]
        if isinstance(error, KeyError):
            reason = f"there is no {reason} in it" + (
                f", only {', '.join(map(repr, x))}" if isinstance(x, dict) else ""
            )
        if "required positional argument" in reason:
            reason += "; of a loss of more than the position give lambda p: loss(p, batch)"
        at = energy.minimizer
        if at is not None and jax.tree.structure(at) == jax.tree.structure(x):
            own = ", ".join(str(np.shape(leaf)) for leaf in jax.tree.leaves(at))
            said = f"the energy, whose positions have shape {own}"
        else:
            said = f"the energy{users_line(error)}: {reason}"
        raise ValueError(f"{where}: `{name}` of shape {shapes} does not fit {said}") from error
    _check_one_start(where, name, energy, x)
    if beyond := entry_beyond(program.jaxpr):
        index, size = beyond
        raise ValueError(
            f"{where}: `{name}` of shape {shapes} does not fit the energy: it reads entry {index} of {size} along an "
            "axis, for which JAX would take the nearest that is there"
        )
    leaves = jax.tree.leaves(value)
    if (
        len(leaves) != 1
        or value is not leaves[0]
        or leaves[0].shape != ()
        or not jnp.issubdtype(leaves[0].dtype, jnp.floating)
    ):
        got = ", ".join(f"{leaf.dtype}{list(leaf.shape)}" for leaf in leaves) or repr(value)
        remedy = "sum or average its terms" if leaves else "is its `return` missing?"
        if len(leaves) > 1:
            remedy = "of a loss with more to tell give the loss alone, or has_aux=True to a question that takes it"
        raise ValueError(f"{where}: the energy must return one real scalar, got {got}; {remedy}")


def _check_one_start(where: str, name: str, energy: Energy, x: Position) -> None:
    """Refuses many starts stacked into one, where the energy knows what a position of its looks like."""
    at = energy.minimizer
    if at is None or jax.tree.structure(at) != jax.tree.structure(x):
        return
    for own, given in zip(jax.tree.leaves(at), jax.tree.leaves(x), strict=True):
        if np.ndim(own) and np.ndim(given) > np.ndim(own):
            raise ValueError(
                f"{where}: `{name}` of shape {np.shape(given)} does not fit the energy, whose positions have shape "
                f"{np.shape(own)}; it takes one start, many at once by jax.vmap(lambda x: {where}(flow, …, x, …))"
            )


@compiled
def _value(flow: Flow, z: State) -> Any:
    return flow.energy.value(flow.position(z))
