"""What was read of a scheme on a sum f + g, beside the step that runs on the method's own sum."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradientflow.discretizers import advance
from gradientflow.flows import AbstractQuadratic, Flow, Proximable

from .leaf import NotExactError
from .trial import MOST_UNKNOWNS, TIME, Trial, is_shipped

# Near the kinks of g and far from them.
_SIZES = (1.0, 1e3)


def knows_its_sum(flow: Flow, discretizer: Any) -> bool:
    """Whether a step may look at what no mode has, and there is a sum to try it on, of a size that is known."""
    f = flow.energy.smooth
    known = flow.energy.nonsmooth is not None and isinstance(f, AbstractQuadratic) and f.linear.size <= MOST_UNKNOWNS
    return known and not is_shipped(type(discretizer))


def check_on_own_sum(trial: Trial, system: tuple[np.ndarray, ...], parts: tuple[int, ...]) -> None:
    """Compares a reading, answered by f's gradients and g's proximal maps, with the step.

    Args:
        trial: the step, all its numbers being floats, on the sum.
        system: A, B, C, D and the position's rows, in floating point.
        parts: of which energy each gradient is.

    Raises:
        NotExactError: if it is another step there.
    """
    flow, scheme = trial.flow, trial.discretizer
    f: Any = flow.energy.smooth
    x = jnp.zeros(f.linear.size, f.linear.dtype)
    still = flow.init(x)
    leaves, structure = jax.tree.flatten((still, scheme.init(flow, 0.0, still, trial.h)))
    moving = [i for i, leaf in enumerate(leaves) if hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.inexact)]
    for size in _SIZES:
        states = size * np.random.default_rng(2).normal(size=(len(moving), x.size))
        expected = _answered(system, parts, flow, states)
        if expected is None:
            return
        filled = list(leaves)
        for i, vector in zip(moving, states, strict=True):
            filled[i] = jnp.asarray(vector, leaves[i].dtype)
        z, memory = jax.tree.unflatten(structure, filled)
        out = jax.tree.leaves(advance(scheme, flow, TIME if trial.t is None else trial.t, z, trial.h, memory=memory))
        position = jax.tree.leaves(scheme.position(flow, z, trial.h))
        found = np.array([np.asarray(row, dtype=float) for row in (*(out[i] for i in moving), *position)])
        eps = float(jnp.finfo(x.dtype).eps)
        if not np.abs(found - expected).max() <= eps**0.5 * max(np.abs(expected).max(), np.abs(states).max()):
            raise NotExactError(
                f"{type(scheme).__name__} is another step on the method's own sum f + g than in general"
            )


def _answered(system: tuple[np.ndarray, ...], parts: tuple[int, ...], flow: Flow, states: np.ndarray) -> Any:
    """The next states, and the position, by the reading; `None` where an answer is not unique, or in no closed form."""
    A, B, C, D, position, of_inputs = system
    energies = flow.energy.smooth, flow.energy.nonsmooth
    inputs: list[np.ndarray] = []
    for i, part in enumerate(parts):
        energy, known = energies[part], C[i] @ states + sum(D[i, j] * inputs[j] for j in range(i))
        if not (B[:, i].any() or D[:, i].any() or of_inputs[:, i].any()):
            inputs.append(0 * known)
        elif D[i, i] < 0 and isinstance(energy, Proximable):
            inputs.append((known - np.asarray(energy.prox(jnp.asarray(known), -D[i, i]), float)) / -D[i, i])
        elif D[i, i] == 0 and part == 0 and energy is not None:
            inputs.append(np.asarray(energy.grad(jnp.asarray(known)), float))
        else:
            return None
    return np.vstack([A, position]) @ states + np.vstack([B, of_inputs]) @ np.array(inputs)
