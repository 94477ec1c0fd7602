"""What no flow stands behind, kept to compare with."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from gradientflow.flows import (
    Flow,
    GradientFlow,
    Number,
    Stats,
    Status,
    Trajectory,
    at_rest,
    check_integer,
    check_positive,
    decide,
    energy,
    left_where_known,
    max_norm,
    measure,
    prepare,
    small,
    unseen,
)
from gradientflow.flows.aliases import Position
from gradientflow.flows.checks import by_name


@by_name
def nelder_mead(E: Any, x0: Position, steps: int | np.integer, *, gtol: Number | None = None) -> Trajectory:
    """Nelder and Mead's simplex search, by SciPy: a baseline that asks for values only, and discretizes no flow.

    Its clock counts iterations, at each of which it asks for a few values; they are no times of any flow. Gradients are
    measured after the fact, for the table and the status. It may stop at points that are not stationary.

    Args:
        E: an energy or a callable.
        x0: the initial position, any pytree of arrays. The first simplex has it as a vertex, and from it along each
            coordinate a step of 5 %, or of 0.00025 where the coordinate is 0.
        steps: how many iterations; fewer if the simplex shrinks to a point before.
        gtol: an absolute criterion for the status `converged` [E/X]; unless given, that of `iterate`.

    Returns:
        The trajectory: at 0 the start, at k the best vertex after k iterations. `state` is the position, so that
        `state[-1]` starts a run of the gradient flow. `stats["evaluations"]` is how many values were asked for.

    Raises:
        ValueError: for an x0 that isn't finite or doesn't fit the energy.
        TypeError: if `steps` is not an integer, or x0 holds no real numbers.

    References:
        J. A. Nelder, R. Mead, A simplex method for function minimization, Computer J. 7, 1965.

    Example:
        >>> import gradientflow as gf
        >>> run = gf.nelder_mead(gf.landscapes.beale(), [1.0, 1.0], steps=150)
        >>> run.x[-1].round(4), str(run.status)
        (Array([3. , 0.5], dtype=...), 'converged')
    """
    from scipy.optimize import minimize

    check_integer("nelder_mead", 1, steps=steps)
    if gtol is not None:
        check_positive("nelder_mead", gtol=gtol)
    flow, z0 = prepare("nelder_mead", GradientFlow(energy(E)), x0, None)
    start, unravel = ravel_pytree(z0)
    best = [np.asarray(start)]

    def value(point: np.ndarray) -> float:
        return float(_value(flow, unravel, jnp.asarray(point, start.dtype)))

    # SciPy tells by the argument's name that the callback wants the result so far.
    def note(intermediate_result: Any) -> None:
        best.append(np.array(intermediate_result.x, start.dtype))
        if len(best) > steps:
            raise StopIteration

    # SciPy counts its first simplex as an iteration, so that its own limit would come one too early.
    options = {"maxiter": int(steps) + 1, "xatol": 0, "fatol": 0}
    found = minimize(value, best[0], method="Nelder-Mead", callback=note, options=options)
    states = jax.vmap(unravel)(jax.device_put(np.stack(best)))
    positions = flow.position(states)
    energies, grad_norms = measure(flow.energy, positions)
    given = {} if gtol is None else {"gtol": float(gtol)}
    count = np.arange(len(best))
    stats = Stats(
        scheme="nelder_mead",
        steps=len(best) - 1,
        evaluations=int(found.nfev),
        precision=str(start.dtype),
        **given,
    )
    return Trajectory(
        t=jnp.asarray(count, start.dtype), x=positions, state=states, energy=energies, grad_norm=grad_norms,
        status=_status(flow, positions, energies, grad_norms, gtol), stats=stats, steps=jax.device_put(count),
    )  # fmt: skip


@eqx.filter_jit
def _value(flow: Flow, unravel: Any, flat: Any) -> Any:
    return flow.energy.value(flow.position(unravel(flat)))


def _status(flow: Flow, positions: Any, energies: Any, grad_norms: Any, gtol: Number | None) -> Status:
    first, last = (jax.tree.map(lambda leaf, i=i: leaf[i], positions) for i in (0, -1))
    energies, grad_norms = np.asarray(energies), np.asarray(grad_norms)
    moved = np.asarray(max_norm(jax.tree.map(lambda a, b: a - b, last, first)))
    left = left_where_known(flow, 0.0, last, small(energies.dtype).way * moved)
    lost = ~np.isfinite(energies + grad_norms)
    if gtol is None:
        settled = at_rest(left, moved, energies[0], energies[-1], energies.dtype, np)
    else:
        settled = grad_norms[-1] <= gtol
    steps = np.asarray(len(energies) - 1)
    return decide(
        dataclasses.replace(
            unseen(np, energies[[0, -1]], grad_norms[[0, -1]]),
            steps=steps,
            time=steps,
            settled=np.asarray(settled),
            lost_from=np.asarray(np.argmax(lost) if lost.any() else -1),
            lost=np.where(lost.any(), 2, 0),
            left=left,
            moved=moved,
        )
    )
