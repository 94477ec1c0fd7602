"""Oracles: what a step sees instead of the flow itself."""

import abc
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from gradientflow.flows import (
    Energy,
    Flow,
    Told,
    WrappedEnergy,
    check_positive,
    l2_norm,
    with_smooth_part,
)
from gradientflow.flows.aliases import Position
from gradientflow.flows.checks import in_a_line


class DeterministicOracle(Told):
    """A map (flow, key, k) ↦ the flow that step k sees, without randomness: `iterate` needs no key for it.

    A subclass defines `__call__` and ignores its key, which is `None`.

    Attributes:
        equation: what it shows in place of the energy or its gradient, in a line of plain text.
    """

    equation: ClassVar[str] = ""

    @abc.abstractmethod
    def __call__(self, flow: Flow, key: Any, k: Any) -> Flow:
        """The flow that step k sees."""


class RandomOracle(Told):
    """A map (flow, key, k) ↦ the flow that step k sees, which draws from its key.

    A plain function will do where every step has a key of its own. A subclass of this one may have several steps in a
    row share theirs, the steps of an epoch say.

    Attributes:
        equation: what it shows in place of the energy or its gradient, in a line of plain text.
    """

    equation: ClassVar[str] = ""

    @abc.abstractmethod
    def __call__(self, flow: Flow, key: Any, k: Any) -> Flow:
        """The flow that step k sees."""

    def steps_per_key(self, flow: Flow) -> int:
        """How many steps in a row get the same key."""
        return 1


# What step k sees: a function (flow, key, k) ↦ flow, one of the classes above, or a tuple of them, from first to last.
Oracle = Callable[[Flow, Any, Any], Flow] | tuple[Callable[[Flow, Any, Any], Flow], ...]


def check_oracle(where: str, oracle: Any) -> None:
    """Refuses what is no oracle.

    Raises:
        TypeError: saying what an oracle is.
    """
    each = oracle if isinstance(oracle, tuple) else (oracle,)
    if oracle is not None and not all(callable(one) and not isinstance(one, type) for one in each):
        raise TypeError(
            f"{where}: `oracle` must be one such as Minibatch(32), a function (flow, key, k) ↦ flow, or a tuple of "
            f"these, got {in_a_line(oracle)}"
        )


def is_random(oracle: Oracle | None) -> bool:
    """Whether an oracle draws at random, and so needs a key."""
    return not all(isinstance(each, DeterministicOracle) for each in _in_order(oracle))


def flow_seen(oracle: Oracle | None, flow: Flow, key: Any, k: Any) -> Flow:
    """The flow that step k of a run sees.

    Args:
        oracle: an oracle, a tuple of them, or `None`, which is the flow itself.
        flow: the flow.
        key: the run's; each oracle of a tuple gets keys of its own. `None` where nothing is random.
        k: the step's number.
    """
    for place, each in enumerate(_in_order(oracle)):
        if isinstance(each, DeterministicOracle):
            flow = each(flow, None, k)
        else:
            period = each.steps_per_key(flow) if isinstance(each, RandomOracle) else 1
            flow = each(flow, jax.random.fold_in(jax.random.fold_in(key, place), k // period), k)
    return flow


def _in_order(oracle: Oracle | None) -> tuple[Callable[[Flow, Any, Any], Flow], ...]:
    if oracle is None:
        return ()
    return oracle if isinstance(oracle, tuple) else (oracle,)


class ClippedGradient(DeterministicOracle):
    r"""Gradient clipping: the flow with $\nabla E\,\min(1, \tau/\|\nabla E\|)$ in place of ∇E.

    The norm is Euclidean, over all leaves of the position. The energies that a step rule sees stay those of E. For a
    bound on the step itself, whatever the gradient, see `ClippedStep`.

    Args:
        threshold: τ [E/X].

    Raises:
        ValueError: if it is not finite and positive.

    References:
        R. Pascanu, T. Mikolov, Y. Bengio, On the difficulty of training recurrent neural networks, ICML 2013.

    Example:
        >>> import gradientflow as gf
        >>> method = gf.optimizers.gradient_descent(gf.Quadratic([[6.0, 0.0], [0.0, 8.0]]), lr=0.2)
        >>> run = method.iterate([1.0, 1.0], steps=1, oracle=gf.ClippedGradient(1.5))  # ∇E = (6, 8), times 0.15
        >>> run.x[-1].round(6).tolist()
        [0.82, 0.76]
    """

    equation: ClassVar[str] = "∇E min(1, τ/‖∇E‖)"
    threshold: Any

    def __init__(self, threshold: Any) -> None:
        check_positive("ClippedGradient", threshold=threshold)
        self.threshold = threshold

    def __call__(self, flow: Flow, key: Any, k: Any) -> Flow:
        """The flow of the clipped gradient."""
        return with_smooth_part(flow, ClippedEnergy(flow.energy.smooth, self.threshold))


class ClippedEnergy(WrappedEnergy):
    """An energy with its gradient clipped, and all else as it was; made by `ClippedGradient`."""

    changes: ClassVar[frozenset[str]] = frozenset(("grad",))

    energy: Energy
    threshold: Any

    def grad(self, x: Position) -> Any:
        """∇E(x) min(1, τ/‖∇E(x)‖)."""
        gradient = self.energy.grad(x)
        # τ over the larger of both: 1 below the threshold, and nothing to divide by zero.
        factor = self.threshold / jnp.maximum(l2_norm(gradient), self.threshold)
        return jax.tree.map(lambda leaf: factor * leaf, gradient)
