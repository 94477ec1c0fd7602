"""Methods: a flow, a discretizer and a step. What an optimizer's name stands for."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import numpy as np

from gradientflow.flows import Flow, Trajectory

from ..discretizer import Discretizer
from .as_optax import gradient_transformation
from .iterate import iterate

# Longer representations are told by their type.
_SHOWN = 60


def written(equation: str, made_of: str = "") -> Callable[[Callable[..., "Method"]], Any]:
    """Marks a function as the constructor of a named optimizer, and says its update in a line of plain text.

    Args:
        equation: the update.
        made_of: its scheme and its flow; found out by making one unless that takes more than a learning rate.
    """

    def mark(make: Any) -> Any:
        make.equation, make.made_of = equation, made_of
        return make

    return mark


class Method(eqx.Module):
    """A named optimizer: this scheme with this step on this flow.

    Attributes:
        flow: the flow that it discretizes.
        discretizer: the scheme.
        step: the scheme's step on the flow's clock: a number, a schedule or a step rule.
        family: (energy, lr) ↦ the same optimizer with another learning rate and its other parameters as they are;
            `None` where the method has no learning rate of its own.

    Raises:
        TypeError: for what is no flow or no scheme.

    Example:
        >>> import gradientflow as gf
        >>> method = gf.optimizers.gradient_descent(gf.landscapes.bowl(), lr=0.1)
        >>> method.iterate([3.0, 1.0], steps=2).x[-1].round(4)
        Array([2.43, 0.01], dtype=...)
    """

    flow: Flow
    discretizer: Discretizer
    step: Any
    family: Callable[[Any, Any], "Method"] | None = None

    def __check_init__(self) -> None:
        """Refuses what is no flow and what is no scheme."""
        if not isinstance(self.flow, Flow):
            raise TypeError(
                f"Method: `flow` must be a flow such as GradientFlow(energy), got {type(self.flow).__name__}"
            )
        if not isinstance(self.discretizer, Discretizer):
            raise TypeError(f"Method: `discretizer` must be one such as ForwardEuler(), got {self.discretizer!r}")

    @property
    def name(self) -> str:
        """The name under which results show it: its scheme and its flow."""
        return f"{self.discretizer.name} of {self.flow.name}"

    def iterate(self, x0: Any, steps: int | np.integer, save_every: int | np.integer = 1, **options: Any) -> Trajectory:
        """The method's iterates from x0; the options are those of `iterate`."""
        return iterate(self.flow, self.discretizer, x0, step=self.step, steps=steps, save_every=save_every, **options)

    def to_optax(self) -> Any:
        """The method as an `optax.GradientTransformation`, for a training loop that computes the gradients itself.

        Its energy is not used. It composes: `optax.chain(method.to_optax(), optax.scale_by_schedule(s))` has the
        learning rate lr·s(k).

        Raises:
            TypeError: when it runs, if the scheme asks for more than the gradient at the parameters.
        """
        return gradient_transformation(self.flow, self.discretizer, self.step)


class Asked(NamedTuple):
    """What a question is about.

    Attributes:
        method: the method, where it was asked about one.
        flow: its flow or the one given; `None` where a scheme was asked about alone.
        discretizer: the scheme.
        step: the method's step or the one given.
    """

    method: Method | None
    flow: Any
    discretizer: Discretizer
    step: Any


def as_method(
    where: str, subject: Any, discretizer: Any = None, step: Any = None, *, flow: Any = None, alone: bool = False
) -> Asked:
    """A Method, or a flow with its scheme, or, where that is enough, a scheme `alone`: what a question is asked about.

    Args:
        where: who asks.
        subject: what was given first.
        discretizer: the scheme, where the subject is a flow.
        step: its step.
        flow: for a scheme alone, the flow or its class, where it was given; a Method has its own.
        alone: whether a scheme is enough.

    Raises:
        TypeError: naming the argument, what it got, and the remedy.
    """
    if isinstance(subject, Method):
        if discretizer is not None or step is not None:
            name = "discretizer" if discretizer is not None else "step"
            raise TypeError(
                f"{where}: a Method has its own scheme; leave `{name}` out, and give what follows by name, x0=... say"
            )
        return Asked(subject, subject.flow if flow is None else flow, subject.discretizer, subject.step)
    if alone:
        if not isinstance(subject, Discretizer):
            raise TypeError(
                f"{where}: `discretizer` must be one such as ForwardEuler(), or a Method, got {_shown(subject)}"
            )
        return Asked(None, flow, subject, step)
    if not isinstance(subject, Flow):
        raise TypeError(
            f"{where}: `flow` must be a flow such as GradientFlow(energy), or a Method, got {_shown(subject)}"
        )
    if not isinstance(discretizer, Discretizer):
        raise TypeError(f"{where}: `discretizer` must be one such as ForwardEuler(), got {_shown(discretizer)}")
    return Asked(None, subject, discretizer, step)


def _shown(thing: Any) -> str:
    text = repr(thing)
    return text if len(text) <= _SHOWN and "\n" not in text else type(thing).__name__
