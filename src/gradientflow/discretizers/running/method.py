"""Methods: a flow, a discretizer and a step. What an optimizer's name stands for."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import numpy as np

import gradientflow
from gradientflow._meant import meant, meant_argument
from gradientflow.flows import Energy, Flow, Told, Trajectory, unknown_name
from gradientflow.flows.aliases import Position
from gradientflow.flows.checks import by_name, in_a_line

from ..discretizer import Discretizer
from .as_optax import gradient_transformation
from .checked import checked_run

# What a run takes beside the method's own, and what `iterate` of a method names itself.
_OPTIONS = [name for name in inspect.signature(checked_run).parameters if name not in (
    "flow", "discretizer", "x0", "step", "steps", "save_every",
)]  # fmt: skip

# Longer representations are told by their type.
_SHOWN = 60


def written(equation: str, made_of: str = "") -> Callable[[Callable[..., "Method"]], Any]:
    """Marks a function of an energy and of parameters as the constructor of a named optimizer.

    The methods that it makes know their parameters by the constructor's names.

    Args:
        equation: its update, in a line of plain text.
        made_of: its scheme and its flow; found out by making one unless that takes more than a learning rate.
    """

    def mark(make: Callable[..., Method]) -> Any:
        signature, told = inspect.signature(make), by_name(make)

        @functools.wraps(make)
        def named(*args: Any, **options: Any) -> Method:
            method = told(*args, **options)
            given = signature.bind(*args, **options)
            given.apply_defaults()
            _, *parameters = given.arguments.items()
            return Method(method.flow, method.discretizer, method.step, Named(named, dict(parameters), method.named))

        marked: Any = named
        marked.equation, marked.made_of = equation, made_of
        return marked

    return mark


class Named(eqx.Module):
    """How a named optimizer was made.

    Attributes:
        make: its constructor, (energy, parameters…) ↦ method.
        parameters: what that was given beside the energy, by name.
        inner: how the optimizer that it comes down to was made, momentum without momentum say; else `None`.
    """

    make: Callable[..., "Method"]
    parameters: dict[str, Any]
    inner: "Named | None" = None

    @property
    def family(self) -> Callable[[Any, Any], "Method"] | None:
        """(energy, lr) ↦ the same with another learning rate, or `None` where it has none."""
        if self.inner is not None:
            return self.inner.family
        rest = {name: value for name, value in self.parameters.items() if name != "lr"}
        return eqx.Partial(self.make, **rest) if "lr" in self.parameters else None


class Method(Told):
    """A named optimizer: this scheme with this step on this flow.

    Attributes:
        flow: the flow that it discretizes.
        discretizer: the scheme.
        step: the scheme's step on the flow's clock: a number, a schedule or a step rule.
        named: how it was made, of an optimizer by name.

    Raises:
        TypeError: for what is no flow or no scheme.

    Example:
        >>> import gradientflow as gf
        >>> method = gf.optimizers.gradient_descent(gf.landscapes.bowl(), lr=0.1)
        >>> method.iterate([3.0, 1.0], steps=2).x[-1].round(4)
        Array([2.43, 0.01], dtype=...)
        >>> gf.optimizers.momentum(gf.landscapes.bowl(), lr=0.1).with_parameters(beta=0.5).parameters
        {'lr': 0.1, 'beta': 0.5}
        >>> print(gf.optimizers.momentum(gf.landscapes.bowl(), lr=0.25, beta=0.5))
        momentum(lr=0.25, beta=0.5): MomentumEuler of HeavyBallFlow, step 0.5
    """

    flow: Flow
    discretizer: Discretizer
    step: Any
    named: Named | None = None

    def __check_init__(self) -> None:
        """Refuses what is no flow and what is no scheme."""
        if not isinstance(self.flow, Flow):
            raise TypeError(f"Method: `flow` must be a flow such as GradientFlow(energy), got {in_a_line(self.flow)}")
        if not isinstance(self.discretizer, Discretizer):
            raise TypeError(
                f"Method: `discretizer` must be one such as ForwardEuler(), got {in_a_line(self.discretizer)}"
            )

    def __str__(self) -> str:
        """One line: the optimizer with its parameters, and what it is."""
        if self.named is None:
            return f"{self.name}, step {_briefly(self.step)}"
        given = ", ".join(f"{name}={_briefly(value)}" for name, value in self.parameters.items())
        return f"{self.named.make.__name__}({given}): {self.name}, step {_briefly(self.step)}"

    @property
    def name(self) -> str:
        """The name under which results show it: its scheme and its flow."""
        return f"{self.discretizer.name} of {self.flow.name}"

    @property
    def parameters(self) -> dict[str, Any]:
        """The numbers of an optimizer by name as its constructor calls them, `lr` and `beta` say; else its `step`."""
        return {"step": self.step} if self.named is None else dict(self.named.parameters)

    def with_parameters(self, **changed: Any) -> "Method":
        """The same method with some of its `parameters` changed; traced, batched and differentiated values do too.

        Raises:
            ValueError: for a parameter that it does not have, with the nearest that it has; as its constructor does.

        Example:
            >>> import jax, gradientflow as gf
            >>> method = gf.optimizers.momentum(gf.landscapes.bowl(), lr=0.1)
            >>> end = lambda lr: method.with_parameters(lr=lr).iterate([3.0, 1.0], steps=20).energy[-1]
            >>> jax.vmap(end)(jax.numpy.asarray([0.01, 0.1])).shape
            (2,)
        """
        parameters = self.parameters
        for name in changed:
            if name not in parameters:
                raise ValueError(f"with_parameters: {unknown_name('parameter', name, parameters)}")
        parameters |= changed
        if self.named is None:
            return Method(self.flow, self.discretizer, **parameters)
        return self.named.make(self.flow.energy, **parameters)

    @property
    def family(self) -> Callable[[Any, Any], "Method"] | None:
        """(energy, lr) ↦ the same optimizer with another learning rate and its other parameters as they are.

        `None` where the method has no learning rate of its own.
        """
        return None if self.named is None else self.named.family

    def iterate(
        self, x0: Position, steps: int | np.integer, save_every: int | np.integer = 1, **options: Any
    ) -> Trajectory:
        """The method's iterates from x0; the options are those of `iterate`.

        Raises:
            TypeError: for an option that `iterate` doesn't have; else as `iterate`.
        """
        if unknown := [name for name in options if name not in _OPTIONS]:
            raise TypeError(meant_argument("iterate", unknown[0], ["x0", "steps", "save_every", *_OPTIONS]))
        return checked_run(
            self.flow, self.discretizer, x0, step=self.step, steps=steps, save_every=save_every, **options
        )

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


def as_run(where: str, subject: Any, discretizer: Any, step: Any, x0: Position) -> tuple[Asked, Any]:
    """What is run, a Method or a flow with its scheme and step, and its start, which follows the Method at once.

    Raises:
        TypeError: naming the argument, what it got, and the remedy.
    """
    if isinstance(subject, Method) and x0 is None and not isinstance(discretizer, Discretizer):
        discretizer, x0 = None, discretizer
    asked = as_method(where, subject, discretizer, step)
    if asked.step is None:
        raise TypeError(
            f"{where}: `step` must be given with a flow and its scheme: step=0.1, a schedule or a step rule"
        )
    return asked, x0


def _shown(thing: Any) -> str:
    if isinstance(thing, type):
        return f"the class; make one, {thing.__name__}(…)"
    if hasattr(thing, "init") and hasattr(thing, "update"):
        return "a transformation of optax's; its scheme is FromOptax(transformation)"
    if isinstance(thing, str):
        return f"the name {thing!r}{meant(thing, dir(gradientflow))}"
    if isinstance(thing, Energy):
        return "an energy; give GradientFlow(energy)"
    if callable(thing) and not isinstance(thing, eqx.Module):
        return "a function; give GradientFlow(function)"
    return _briefly(thing)


def _briefly(thing: Any) -> str:
    text = repr(thing)
    return text if len(text) <= _SHOWN and "\n" not in text else type(thing).__name__
