"""Step rules: how long the next step is."""

import abc
import inspect
import numbers
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import eval_jaxpr

from gradientflow.flows import Flow, Told, check_positive
from gradientflow.flows.aliases import State, StepLength, Time
from gradientflow.flows.checks import in_a_line, users_line
from gradientflow.flows.inheriting import is_abstract, owners_of

from .discretizer import Discretizer


class StepRule(Told):
    """A map (flow, discretizer, t, z, rule_state) ↦ (h, rule_state).

    Attributes:
        equation: what it is, in a line of plain text, as tables show it.

    References:
        J. Nocedal, S. J. Wright, Numerical Optimization, 2nd ed. 2006, chapter 3, for steps that depend on the state.

    Example:
        >>> import jax.numpy as jnp
        >>> import gradientflow as gf
        >>> class MoveBy(gf.StepRule):
        ...     distance: float
        ...     def __call__(self, flow, discretizer, t, z, rule_state):
        ...         return self.distance / jnp.linalg.norm(flow.energy.grad(flow.position(z))), rule_state
        >>> flow = gf.GradientFlow(gf.Quadratic([[2.0]]))
        >>> run = gf.iterate(flow, gf.ForwardEuler(), [3.0], step=MoveBy(0.5), steps=2)
        >>> run.x[:, 0].tolist()
        [3.0, 2.5, 2.0]
    """

    equation: ClassVar[str] = ""

    def __init_subclass__(cls, **options: Any) -> None:
        """A rule that steps otherwise is not the one that it derives from: no one takes it for a constant step.

        Raises:
            TypeError: for a subclass of a rule with a `__call__` of its own.
        """
        super().__init_subclass__(**options)
        owner = owners_of(cls, "__call__")[:2][-1]
        if owner is not cls and "__call__" in vars(cls) and not is_abstract(owner.__call__):
            raise TypeError(f"{cls.__name__}: its steps are not those of {owner.__name__}; derive from StepRule")

    def known(self, flow: Flow) -> "StepRule":
        """The rule with what it has to know of the flow, looked up once and where values are known: itself."""
        return self

    @abc.abstractmethod
    def __call__(self, flow: Flow, discretizer: Discretizer, t: Time, z: State, rule_state: Any) -> tuple[Any, Any]:
        """The step from the state z at time t, and the rule's next state."""

    def init(self, flow: Flow, discretizer: Discretizer, t: Time, z: State) -> Any:
        """The rule's first state; `None` for a rule without one."""
        return None


class ConstantStep(StepRule):
    """The same step always: t_k = t₀ + kh.

    Args:
        h: the step [T].

    Raises:
        ValueError: if it is not finite and positive.

    References:
        Y. Nesterov, Introductory Lectures on Convex Optimization, 2004, section 1.2.3.

    Example:
        >>> import gradientflow as gf
        >>> gf.ConstantStep(0.1).h
        0.1
    """

    equation: ClassVar[str] = "h_k = h"
    h: Any

    def __init__(self, h: StepLength) -> None:
        check_positive("step", step=h)
        self.h = h

    def __call__(self, flow: Flow, discretizer: Discretizer, t: Time, z: State, rule_state: Any) -> tuple[Any, Any]:
        """The constant."""
        return self.h, rule_state


class ScheduledStep(StepRule):
    """A step for each index: h_k = schedule(k). On the flow's clock a change of time, t_k = Σ_{j<k} h_j.

    Args:
        schedule: k ↦ h, written with `jax.numpy`; k counts steps from 0. Any optax schedule is one.

    References:
        H. Robbins, S. Monro, A stochastic approximation method, Ann. Math. Statist. 22, 1951.

    Example:
        >>> import gradientflow as gf
        >>> rule = gf.ScheduledStep(lambda k: 1 / (k + 2))
        >>> flow = gf.GradientFlow(gf.Quadratic([[1.0]]))
        >>> run = gf.iterate(flow, gf.ForwardEuler(), [1.0], step=rule, steps=2)
        >>> [round(float(t), 4) for t in run.t]
        [0.0, 0.5, 0.8333]
    """

    equation: ClassVar[str] = "h_k = schedule(k)"
    schedule: Callable[[Any], Any]

    def __check_init__(self) -> None:
        as_schedule("ScheduledStep", self.schedule)

    def init(self, flow: Flow, discretizer: Discretizer, t: Time, z: State) -> Any:
        """The count of steps taken: 0."""
        return jnp.asarray(0)

    def __call__(self, flow: Flow, discretizer: Discretizer, t: Time, z: State, rule_state: Any) -> tuple[Any, Any]:
        """schedule(k), and k + 1.

        Raises:
            TypeError: as `at_step`.
        """
        return at_step(self.schedule, rule_state), rule_state + 1


def as_schedule(where: str, schedule: Any) -> Callable[[Any], Any]:
    """A function of a step's number, as it is.

    Raises:
        TypeError: for anything else, a class or a function of more or less than one argument among it.
    """
    if isinstance(schedule, type) or not callable(schedule):
        raise TypeError(f"{where}: must be a number, a schedule k -> h or a step rule, got {in_a_line(schedule)}")
    try:
        inspect.signature(schedule).bind(0)
    except TypeError as error:
        raise TypeError(f"{where}: a schedule is a function of the step's number, lambda k: …; here {error}") from None
    except ValueError:
        # What has no signature is tried as it is.
        pass
    return schedule


def at_step(schedule: Callable[[Any], Any], k: Any) -> Any:
    """schedule(k), of a k that may be traced.

    Raises:
        TypeError: where it can't be traced, with the user's line and the remedy, or answers nothing.
    """
    try:
        h = schedule(k)
    except (
        jax.errors.TracerIntegerConversionError, jax.errors.TracerArrayConversionError,
        jax.errors.ConcretizationTypeError,
    ) as error:  # fmt: skip
        raise TypeError(
            f"step: the schedule can't be traced{users_line(error)}: take steps from an array of jax.numpy's, "
            "jnp.asarray(steps)[k], and write jnp.where(condition, a, b) in place of `if`"
        ) from None
    if h is None:
        raise TypeError("step: the schedule must return a step, got None; is its `return` missing?")
    return h


# Of a longer run's schedule so many indices are looked at, evenly spread, with both ends.
_INDICES = 10_000


def check_schedule(where: str, schedule: Callable[[Any], Any], steps: int) -> None:
    """Refuses a schedule that is negative, infinite or not a number within a run.

    Raises:
        ValueError: naming the first such index and the remedy.
    """
    k = np.unique(np.linspace(0, max(steps - 1, 0), min(max(steps, 1), _INDICES)).astype(int))
    try:
        h = np.asarray(jax.vmap(lambda k: at_step(schedule, k))(jax.device_put(k)), float)
    except jax.errors.JAXTypeError:
        return
    bad = ~((h >= 0) & (h < np.inf))
    if bad.any():
        first = int(np.argmax(bad))
        raise ValueError(
            f"{where}: the schedule is {h[first]:g} at k = {k[first]}, of {steps} steps; a step must be finite and not "
            "negative: bound it, lambda k: jnp.maximum(schedule(k), 0.0), or make fewer steps"
        )


def check_table(where: str, schedule: Callable[[Any], Any], steps: int) -> None:
    """Refuses a schedule that looks up its steps in an array which is shorter than the run.

    JAX answers an index beyond an array with the last entry, and says nothing.

    Raises:
        ValueError: with how many entries are missing and the remedy.
    """
    try:
        program = jax.make_jaxpr(schedule)(0)
    except jax.errors.JAXTypeError:
        return
    for place, equation in enumerate(program.eqns):
        if equation.primitive.name != "dynamic_slice" or equation.invars[0] not in program.jaxpr.constvars:
            continue
        size, taken = equation.invars[0].aval.shape[0], equation.params["slice_sizes"][0]
        asked = program.jaxpr.replace(eqns=program.eqns[:place], outvars=[equation.invars[1]])
        (index,) = eval_jaxpr(asked, program.consts, steps - 1)
        if taken == 1 and int(index) >= size:
            raise ValueError(
                f"{where}: the schedule reads step {steps - 1} from an array of {size}, of which JAX gives the last; "
                f"give {steps} of them, or keep the last on purpose: lambda k: steps[jnp.minimum(k, {size - 1})]"
            )


def as_step_rule(step: Any) -> StepRule:
    """A number as a constant step, a callable as a schedule, a rule as itself.

    Raises:
        ValueError: if the number is not finite and positive.
        TypeError: if it is none of these.
    """
    if isinstance(step, StepRule):
        return step
    if callable(step):
        return ScheduledStep(as_schedule("step", step))
    if isinstance(step, (numbers.Real, np.generic, np.ndarray, jax.Array)) and not isinstance(step, bool):
        shape = getattr(step, "shape", ())
        if shape:
            raise TypeError(
                f"step: must be one number, got an array of shape {shape}; one run a step by jax.vmap, or "
                "lambda k: jnp.asarray(steps)[k] for a schedule"
            )
        return ConstantStep(step)
    if isinstance(step, (list, tuple)):
        raise TypeError(
            f"step: must be one number, a schedule k -> h or a step rule, got a {type(step).__name__} of {len(step)}; "
            "for a schedule make it an array, steps = jnp.asarray(…), and give lambda k: steps[k]"
        )
    raise TypeError(f"step: must be a number, a schedule k -> h or a step rule, got {in_a_line(step)}")
