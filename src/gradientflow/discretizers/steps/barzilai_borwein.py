"""Barzilai and Borwein's steps, read from the last two gradients."""

import abc
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp

from gradientflow.flows import (
    Flow,
    check_positive,
    dtype_of,
    inner_ratio,
    lift,
)
from gradientflow.flows.aliases import Position, State, StepLength, Time

from ..discretizer import Discretizer
from ..step_rule import StepRule


class Secant(eqx.Module):
    """What a Barzilai–Borwein step remembers.

    Attributes:
        x: the position of the last step, as a vector.
        gradient: ∇E there.
        h: the last step.
    """

    x: Any
    gradient: Any
    h: Any

    def differences(self, x: Position, gradient: Any) -> tuple[Any, Any]:
        """The differences s of the positions and y of the gradients."""
        return x - self.x, gradient - self.gradient


def _here(flow: Flow, z: State, h: StepLength) -> Secant:
    x = lift(flow.position(z))
    return Secant(x, flow.gradient(x), jnp.asarray(h, dtype_of(z)))


class BarzilaiBorwein(StepRule):
    """A step from the last differences s of the positions and y of the gradients; where it is not positive, the last.

    Args:
        initial: the first step [T].
    """

    initial: Any

    def __init__(self, initial: Any) -> None:
        check_positive(type(self).__name__, initial=initial)
        self.initial = initial

    @abc.abstractmethod
    def ratio(self, s: Any, y: Any) -> Any:
        """The step [T]."""

    def init(self, flow: Flow, discretizer: Discretizer, t: Time, z: State) -> Secant:
        """The start itself as the last position: without a difference the first step is taken again."""
        return _here(flow, z, self.initial)

    def __call__(self, flow: Flow, discretizer: Discretizer, t: Time, z: State, rule_state: Any) -> tuple[Any, Any]:
        """The ratio of the differences."""
        here = _here(flow, z, rule_state.h)
        ratio = self.ratio(*rule_state.differences(here.x, here.gradient))
        h = jnp.where(ratio > 0, ratio, here.h)
        return h, Secant(here.x, here.gradient, h)


class BarzilaiBorweinLong(BarzilaiBorwein):
    r"""The long Barzilai–Borwein step: $h = \langle s, s\rangle/\langle s, y\rangle$ of the last differences.

    These are $s = x - x_{-1}$ of the positions and $y = \nabla E(x) - \nabla E(x_{-1})$ of the gradients.
    The h for which $s/h$ is nearest to y: on quadratics the inverse of a mean curvature, and the exact line search's
    step of one step before. E does not fall at every step. In two dimensions, on quadratics, gradients fall faster than
    any geometric sequence. Where ⟨s, y⟩ is not positive, the last step again.

    Args:
        initial: the first step [T].

    Raises:
        ValueError: if it is not finite and positive.

    References:
        J. Barzilai, J. M. Borwein, Two-point step size gradient methods, IMA J. Numer. Anal. 8, 1988.

    Example:
        >>> import gradientflow as gf
        >>> rule = gf.BarzilaiBorweinLong(initial=0.1)
        >>> gf.optimizers.gradient_descent(gf.landscapes.bowl(), rule).iterate([3.0, 1.0], steps=20).status.outcome
        <Outcome.CONVERGED: 'converged'>
    """

    equation: ClassVar[str] = "h = ⟨s, s⟩/⟨s, y⟩, s and y the last differences of x and ∇E"

    def ratio(self, s: Any, y: Any) -> Any:
        """⟨s, s⟩/⟨s, y⟩."""
        return inner_ratio(s, s, s, y)


class BarzilaiBorweinShort(BarzilaiBorwein):
    r"""The short Barzilai–Borwein step: $h = \langle s, y\rangle/\langle y, y\rangle$ of the last differences.

    These are $s = x - x_{-1}$ of the positions and $y = \nabla E(x) - \nabla E(x_{-1})$ of the gradients.
    The h for which $hy$ is nearest to s; never longer than the long one. Where ⟨s, y⟩ is not positive, the last step
    again.

    Args:
        initial: the first step [T].

    Raises:
        ValueError: if it is not finite and positive.

    References:
        J. Barzilai, J. M. Borwein, Two-point step size gradient methods, IMA J. Numer. Anal. 8, 1988.

    Example:
        >>> import gradientflow as gf
        >>> rule = gf.BarzilaiBorweinShort(initial=0.1)
        >>> gf.optimizers.gradient_descent(gf.landscapes.bowl(), rule).iterate([3.0, 1.0], steps=20).status.outcome
        <Outcome.CONVERGED: 'converged'>
    """

    equation: ClassVar[str] = "h = ⟨s, y⟩/⟨y, y⟩, s and y the last differences of x and ∇E"

    def ratio(self, s: Any, y: Any) -> Any:
        """⟨s, y⟩/⟨y, y⟩."""
        return inner_ratio(s, y, y, y)
