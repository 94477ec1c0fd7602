"""What a discretizer is: a one-step map of a flow, written as a recipe of the questions a flow answers."""

import abc
import inspect
from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from gradientflow.flows import Flow, Told, UnansweredQuestionError, drawn, dtype_of, lower, users_line
from gradientflow.flows.aliases import Increment, Position, State, StepLength, Time

_DROPPED = "it has noise, which this scheme would drop, since its step does not name `noise` among its arguments"


# What a scheme says of its step.
_OF_A_STEP = ("name", "equation", "order", "series_order")

# What a scheme is asked, and with which arguments, by position.
_ARGUMENTS = {
    "init": "flow, t, z, h", "step": "flow, t, z, h", "position": "flow, z, h", "check_start": "flow, t, z, h",
    "increments": "flow, z",
}  # fmt: skip


def _check_arguments(cls: type, own: Any, arguments: str) -> None:
    signature = inspect.signature(own)
    by_name = [name for name, given in signature.parameters.items() if given.kind is given.KEYWORD_ONLY]
    try:
        signature.bind("self", *arguments.split(", "), **dict.fromkeys(by_name))
    except TypeError:
        optional = ", **_" if own.__name__ == "step" else ""
        raise TypeError(
            f"{cls.__name__}.{own.__name__} is called with ({arguments}); define {own.__name__}(self, {arguments}"
            f"{optional}), got {own.__name__}{signature}"
        ) from None


class Discretizer(Told):
    """A one-step map z ↦ Φ_h(z) of any flow that answers what the recipe asks.

    A subclass defines `step` from `flow.drift`, `flow.resolvent`, `flow.parts` and `+ - * /` on states, and nothing
    else: then the same code runs on arrays and on exact numbers. With noise, `flow.diffusion(t, z)(noise)` is what the
    increments of this step do. Coefficients are written `h*2/3`, never `h*(2/3)`, so that they stay exact.

    Attributes:
        equation: what it is, in a line of plain text, as tables show it.
        order: the order of accuracy that the scheme claims, where it claims one.
        clock_only: whether h is only the clock: the scheme finds the length of its steps in the state, so that a short
            h says nothing of where it goes, and there is neither an order nor a limit of h.
        series_order: through which order its step is a B-series; `None` is through every order.

    A subclass that defines another `step` has no name, equation and order of the scheme that it derives from.

    References:
        A. M. Stuart, A. R. Humphries, Dynamical Systems and Numerical Analysis, 1996.

    Example:
        >>> import gradientflow as gf
        >>> class Heun(gf.Discretizer):
        ...     def step(self, flow, t, z, h, **_):
        ...         k1 = flow.drift(t, z)
        ...         k2 = flow.drift(t + h, z + h * k1)
        ...         return z + h * (k1 + k2) / 2
        >>> flow = gf.GradientFlow(gf.landscapes.bowl())
        >>> gf.iterate(flow, Heun(), [3.0, 1.0], step=0.1, steps=1).x[-1].round(4)
        Array([2.715, 0.505], dtype=...)
    """

    equation: ClassVar[str] = ""
    order: ClassVar[int | None] = None
    clock_only: ClassVar[bool] = False
    series_order: ClassVar[int | None] = None

    def __init_subclass__(cls, **options: Any) -> None:
        """A class with a step of its own claims what it says itself, and nothing of what its parents claimed.

        Raises:
            TypeError: for a method of the protocol that does not take the protocol's arguments.
        """
        super().__init_subclass__(**options)
        for question, arguments in _ARGUMENTS.items():
            if inspect.isfunction(own := vars(cls).get(question)):
                _check_arguments(cls, own, arguments)
        for claim in _OF_A_STEP if "step" in vars(cls) else ():
            if claim not in vars(cls):
                setattr(cls, claim, vars(Discretizer)[claim])

    @property
    def name(self) -> str:
        """The name under which results show it: its class's, unless a family's members have names of their own."""
        return type(self).__name__

    @abc.abstractmethod
    def step(
        self, flow: Flow, t: Time, z: State, h: StepLength, *, noise: Increment = None, memory: Any = None
    ) -> State:
        """The next state, or (next state, next memory) if the scheme has memory.

        Args:
            flow: the flow, which may be asked its questions.
            t: the time of the state z.
            z: the state.
            h: the step.
            noise: this step's Brownian increments, for flows with noise; `None` is no noise. A scheme whose `step`
                does not name it takes none, and is refused for such flows.
            memory: what the last step handed on, or `init` gave to the first.
        """

    def init(self, flow: Flow, t: Time, z: State, h: StepLength) -> Any:
        """The memory that the first step gets; `None` for a scheme without memory."""
        return None

    def check_start(self, flow: Flow, t: Time, z: State, h: StepLength) -> None:
        """Raises `ValueError` where the scheme can't start from the state z at time t; values are known here."""

    def increments(self, flow: Flow, z: State) -> int:
        """Over how many equal parts of a step `noise` holds the Brownian increments: one as such, more as a tuple."""
        return 1

    def position(self, flow: Flow, z: State, h: StepLength) -> Position:
        """The iterate that a state stands for: the flow's position, unless a scheme reads it elsewhere."""
        return flow.position(z)


def takes_noise(discretizer: Discretizer) -> bool:
    """Whether the scheme's `step` names `noise` among its arguments."""
    return "noise" in inspect.signature(discretizer.step).parameters


def packed(increments: Sequence[Any]) -> Any:
    """Increments as a step takes them: the one itself, or a tuple of several."""
    return increments[0] if len(increments) == 1 else tuple(increments)


def drawn_increments(key: Any, parts: int, shape: Any, h: StepLength, dtype: Any = None) -> Any:
    """Brownian increments over a step's equal parts, as a step takes them.

    Args:
        key: this step's.
        parts: how many.
        shape: the pytree in whose shape each is.
        h: the step.
        dtype: the precision in which they are drawn, their own unless given.
    """

    def normal(key: Any, shape: Any, own: Any) -> Any:
        return jnp.sqrt(h / parts) * jax.random.normal(key, shape, own if dtype is None else dtype).astype(own)

    keys = jax.random.split(key, (parts, len(jax.tree.leaves(shape))))
    return packed([drawn(normal, row, shape) for row in keys])


def advance(
    discretizer: Discretizer, flow: Flow, t: Time, z: State, h: StepLength, noise: Increment = None, memory: Any = None
) -> tuple[Any, Any]:
    """One step, given what the scheme takes: the next state and the next memory, `None` where it has none.

    Raises:
        TypeError: for Python's own branches and fractions in it, which arrays don't take, naming line and remedy; and
            for what is not shaped like a state, or a state and a memory.
    """
    given = {} if noise is None else {"noise": noise}
    try:
        if memory is None:
            answer = discretizer.step(flow, t, z, h, **given)
        else:
            answer = discretizer.step(flow, t, z, h, memory=memory, **given)
    except TypeError as error:
        if (remedy := _remedy(error)) is None:
            raise
        raise TypeError(f"{type(discretizer).__name__}.step{users_line(error)}: {remedy}") from None
    if (told := _misshapen(answer, z, memory)) is not None:
        raise TypeError(f"{type(discretizer).__name__}.step: {told}")
    return (answer, None) if memory is None else answer


def _misshapen(answer: Any, z: State, memory: Any) -> str | None:
    """What is wrong with what a step returned, if anything is."""
    pair = isinstance(answer, tuple) and len(answer) == 2
    if memory is None and pair and _shapes(answer[0]) == _shapes(z):
        return "it returns the next state and a memory, which no `init` has given; define init(self, flow, t, z, h)"
    if memory is not None and not pair:
        return f"`init` gives a memory, so it must return two things, (next state, next memory), got {_said(answer)}"
    after, remembered = (answer, None) if memory is None else answer
    if _shapes(after) != _shapes(z):
        return f"it must return the next state, shaped like z, {_said(z)}, got {_said(after)}"
    if _shapes(remembered) != _shapes(memory):
        return f"it must return a memory shaped like the one of `init`, {_said(memory)}, got {_said(remembered)}"
    return None


def _shapes(tree: Any) -> Any:
    leaves, structure = jax.tree.flatten(tree)
    return structure, [jnp.shape(leaf) for leaf in leaves]


def _said(tree: Any) -> str:
    return "nothing (is its `return` missing?)" if tree is None else str(jax.tree.map(jnp.shape, lower(tree)))


def _remedy(error: TypeError) -> str | None:
    """What to write instead of what arrays don't take."""
    if isinstance(error, jax.errors.TracerBoolConversionError):
        return "`if`, `and`, `min` ask for a value while the step is compiled; write jnp.where(condition, a, b)"
    if isinstance(error, jax.errors.ConcretizationTypeError | jax.errors.TracerArrayConversionError):
        return "Python or NumPy asks for a value while the step is compiled; use jax.numpy in its place"
    if "'Fraction'" in str(error):
        return "an array takes no Fraction; write h*1/10, its numerator and its denominator one after the other"
    return None


def refuse_dropped_noise(flow: Flow, discretizer: Discretizer, z: State) -> None:
    """Refuses a scheme that would drop the noise of a flow.

    Raises:
        UnansweredQuestionError: saying why.
    """
    if flow.brownian(z) is not None and not takes_noise(discretizer):
        raise UnansweredQuestionError(flow, "drift alone", _DROPPED)


def check_answers(flow: Flow, discretizer: Discretizer, z: State) -> None:
    """Tries one abstract step, so that a question without an answer is told before anything runs.

    Raises:
        UnansweredQuestionError: naming the question and the schemes that fit.
    """
    try:
        _try(flow, discretizer, z)
    except UnansweredQuestionError as error:
        raise with_schemes_that_fit(error, flow, discretizer, z) from None


def with_schemes_that_fit(
    error: UnansweredQuestionError, flow: Flow, discretizer: Discretizer, z: State
) -> UnansweredQuestionError:
    """The error, with the schemes that ask the flow nothing that it does not answer."""
    fitting = ", ".join(sorted(type(scheme).__name__ for scheme in _shipped() if fits(flow, scheme, z)))
    why = f"{error.why}. {type(discretizer).__name__} needs it; schemes that fit: {fitting}"
    return UnansweredQuestionError(flow, error.question, why)


def _shipped() -> list[Discretizer]:
    """The schemes that come with the package and need no arguments."""
    own = [cls for cls in _derived(Discretizer) if cls.__module__.startswith("gradientflow.discretizers.")]
    return [
        cls()
        for cls in own
        if not inspect.isabstract(cls) and all(map(_is_optional, inspect.signature(cls).parameters.values()))
    ]


def _derived(cls: type[Discretizer]) -> list[type[Discretizer]]:
    return [one for child in cls.__subclasses__() for one in (child, *_derived(child))]


def _is_optional(parameter: inspect.Parameter) -> bool:
    return parameter.kind is parameter.VAR_POSITIONAL or parameter.default is not parameter.empty


def _try(flow: Flow, discretizer: Discretizer, z: State) -> None:
    def once(z: State) -> Any:
        t, h = jnp.zeros((), dtype_of(z)), jnp.ones((), dtype_of(z))
        shape = flow.brownian(z)
        refuse_dropped_noise(flow, discretizer, z)
        noise = None if shape is None else packed((shape,) * discretizer.increments(flow, z))
        return advance(discretizer, flow, t, z, h, noise, discretizer.init(flow, t, z, h))

    jax.eval_shape(once, z)


def fits(flow: Flow, discretizer: Discretizer, z: State) -> bool:
    """Whether a scheme asks a flow nothing that it does not answer."""
    try:
        _try(flow, discretizer, z)
    except UnansweredQuestionError:
        return False
    return True
