"""Iterating a method, or a discretizer of a flow."""

from typing import Any

import numpy as np

from gradientflow.flows import Flow, Number, Trajectory
from gradientflow.flows.aliases import Position
from gradientflow.flows.checks import by_name

from ..discretizer import Discretizer
from .checked import checked_run
from .method import Method, as_run


@by_name
def iterate(
    flow: Flow | Method,
    discretizer: Discretizer | Any = None,
    x0: Position = None,
    *,
    steps: int | np.integer,
    step: Any = None,
    save_every: int | np.integer = 1,
    t0: Number = 0.0,
    state: Any = None,
    oracle: Any = None,
    key: Any = None,
    gtol: Number | None = None,
) -> Trajectory:
    r"""The iterates of a discretizer: $z_{k+1} = \Phi_{h_k}(z_k)$, on the flow's clock $t_k = t_0 + \sum_{j<k} h_j$.

    One compiled loop. Another step size, parameter or starting point of the same shape does not compile again, nor
    do more steps, as long as the saved rows stay below the same power of two. It may be traced, batched and
    differentiated in forward, reverse and nested mode.

    Args:
        flow: the flow; or a `Method`, which has its own scheme and step: `iterate(method, x0, steps=n)`.
        discretizer: the one-step map.
        x0: the initial position, any pytree of arrays; ignored (and may be `None`) where `state` is given.
        steps: how many.
        step: a number h [T], a schedule k ↦ h, or a step rule.
        save_every: save every so many steps; the last state is always saved.
        t0: the time at the start [T].
        state: a full state to start from, another run's `state[-1]` say.
        oracle: (flow, key, k) ↦ the flow that step k sees, for inexact gradients: `Minibatch`, `NoisyGradient`, or
            a function of yours. A tuple is several, one after the other. A `DeterministicOracle`, `ClippedGradient`
            say, needs no key.
        key: for flows with noise and for oracles, a key made by `jax.random.key`, and another one for a run that goes
            on where one ended, or it would see the same noise again; for flows with noise also a `BrownianPath`, to
            take the increments of a path that another run shares.
        gtol: an absolute criterion for the status `converged`, ‖∇E‖∞ ≤ gtol [E/X]. Unless given, it is the Newton step
            from the last iterate that must be a millionth of the way (1e-4 in single precision), whatever the units.

    Returns:
        The trajectory. An iteration that diverges is a result: its status names the first step of the rise that did
        not end, and the first after which something is not finite; of a cycle where it began. Rises and cycles are seen
        in the saved rows. Under jit, vmap and grad a trajectory of arrays, whose status has codes and no words yet.

    Raises:
        ValueError: for a step that is not finite and positive, or an x0 that isn't finite or doesn't fit.
        TypeError: for what is neither a Method nor a flow and its scheme, counts that aren't integers, a missing key.
        UnansweredQuestionError: if the scheme asks the flow what it doesn't answer.

    References:
        D. Scieur, V. Roulet, F. Bach, A. d'Aspremont, Integration methods and optimization algorithms, NeurIPS 2017:
        iterates on the clock of a flow.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.GradientFlow(gf.Quadratic([[1.0, 0.0], [0.0, 9.0]]))
        >>> run = gf.iterate(flow, gf.ForwardEuler(), [3.0, 1.0], step=0.1, steps=1)
        >>> [round(float(x), 3) for x in run.x[-1]]
        [2.7, 0.1]
    """
    asked, x0 = as_run("iterate", flow, discretizer, step, x0)
    return checked_run(
        asked.flow, asked.discretizer, x0, step=asked.step, steps=steps, save_every=save_every, t0=t0, state=state,
        oracle=oracle, key=key, gtol=gtol,
    )  # fmt: skip
