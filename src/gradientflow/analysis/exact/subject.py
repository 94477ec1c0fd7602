"""What is asked about, a method with its constant step or a flow, read exactly."""

import contextlib
import math
import numbers
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradientflow.discretizers import ConstantStep, Method, ScheduledStep, as_step_rule
from gradientflow.discretizers.step_rule import check_table
from gradientflow.flows import Flow, Mode, is_stochastic
from gradientflow.flows.catalogue.adaptive.held import AdaptiveFlow
from gradientflow.flows.checks import in_a_line

from .algebra import fraction, rational_functions
from .leaf import Exact, ImpureError, NotExactError
from .state_reading import Reading, read_drift, read_step
from .state_space import StateSpace


def read_subject(where: str, subject: Any, flows: bool, sums: bool = False) -> StateSpace:
    """A method with its constant step, or a flow, read exactly.

    Args:
        where: the function that asks, for the message.
        subject: a method or a flow.
        flows: whether it may be a flow.
        sums: whether it may be a method of a sum f + g.

    Raises:
        TypeError: if it is neither, or the method's step is not a constant; or of a sum f + g where it may not.
        ValueError: if it has noise, or the step is not finite.
        NotExactError: if it can't be read exactly.
    """
    if flows and isinstance(subject, Flow):
        _check_noise(where, subject)
        return read_drift(subject).at()
    h = check_method(where, subject, flows)
    method: Method = subject
    space = read_step(method.flow, method.discretizer, h).at()
    if not sums:
        refuse_sums(where, method)
    return space


def refuse_sums(where: str, method: Method) -> None:
    """Refuses a method of a sum f + g, whether it asks for g or not, for what speaks of one energy.

    Raises:
        TypeError: with the remedy.
    """
    if method.flow.energy.nonsmooth is not None:
        raise TypeError(
            f"{where}: of a sum f + g rates and bounds after N steps are known: worst_case_rate, worst_case_bound; "
            "or ask about a method of f"
        )


def read_run(where: str, method: Any, steps: int) -> tuple[StateSpace, ...]:
    """The steps of a run from t = 0, read exactly: one system for all, or one for each of a schedule's.

    A step whose coefficients depend on the time, as of friction r/t, is read at the times of the run.

    Raises:
        TypeError: if it is no method, or a step rule looks at the state.
        ValueError: if it has noise, or a step is not finite and positive.
        NotExactError: if a step can't be read exactly.
    """
    if not isinstance(method, Method) or not isinstance(rule := as_step_rule(method.step), ScheduledStep):
        h = check_method(where, method)
        try:
            return (read_step(method.flow, method.discretizer, h).at(),)
        except NotExactError as refused:
            if not isinstance(h, Fraction):
                raise
            lengths, refusal = [h] * steps, refused
    else:
        _check_noise(where, method.flow)
        lengths, refusal = _lengths(where, rule, steps), None
    alike: dict[Fraction, StateSpace] = {}
    read: list[StateSpace] = []
    for k, h in enumerate(lengths):
        try:
            if refusal is None and h not in alike:
                alike[h] = read_step(method.flow, method.discretizer, h).at()
        except NotExactError as refused:
            refusal = refused
        try:
            t = sum(lengths[:k], Fraction(0))
            read.append(alike[h] if refusal is None else read_step(method.flow, method.discretizer, h, t=t).at())
        except NotExactError:
            # Where the time is no remedy, what was wrong without it is what there is to say.
            raise refusal or AssertionError from None
    return tuple(space.with_position_in_state(where) for space in read)


def read_descent(where: str, method: Method) -> StateSpace:
    """A step of gradient descent, with h = 1, of a method that looks for its h along it.

    Raises:
        ValueError: if it has noise.
        NotExactError: if it is another step.
    """
    _check_noise(where, method.flow)
    field = rational_functions(["h"])
    read = read_step(method.flow, method.discretizer, Exact(field.gens[0]), field)
    space = read_step(method.flow, method.discretizer, Fraction(1)).at()
    plain = len(read.names) == 1 and read.after.shape == (1, 2) and (read.points == read.position).all()
    if not plain or read.after[0, 0] != 1 or read.after[0, 1] != field.gens[0] * space.B[0, 0] or space.B[0, 0] >= 0:
        raise NotExactError(
            f"{where}: of an exact line search steps of gradient descent are known, and this is another"
        )
    return space


def _lengths(where: str, rule: ScheduledStep, steps: int) -> list[Fraction]:
    """A schedule's steps as it runs, on arrays: the dyadic rationals that its floats are."""
    try:
        with jax.enable_x64(True):
            run, again = (np.asarray(jax.vmap(rule.schedule)(jnp.arange(steps))) for _ in range(2))
    except Exception as error:
        raise NotExactError(
            f"{where}: the schedule does not run on arrays ({type(error).__name__}); write it with jax.numpy, "
            "lambda k: steps[k] say, with an array of steps"
        ) from None
    check_table(where, rule.schedule, steps)
    if not np.array_equal(run, again, equal_nan=True):
        raise ImpureError("the schedule")
    lengths = []
    for k, value in enumerate(run.tolist()):
        h = exact_number(where, f"step({k})", value)
        if h is None or h <= 0:
            raise ValueError(f"{where}: `step` must be finite and positive, got {value} at k = {k}")
        lengths.append(h)
    return lengths


def check_method(where: str, method: Any, flows: bool = False) -> Fraction | Exact:
    """The step of a method without noise, exactly; one that is an exact leaf as it is.

    Raises:
        TypeError: if it is no method, or its step is not a constant.
        ValueError: if it has noise, or the step is not finite.
    """
    if not isinstance(method, Method):
        also = ", or a flow" if flows else ""
        is_flow = isinstance(method, Flow)
        remedy = "; of a flow ask worst_case_rate" if is_flow else ""
        got = f"the flow {type(method).__name__}" if is_flow else repr(method)
        raise TypeError(
            f"{where}: needs a Method such as optimizers.gradient_descent(E, lr=0.1){also}, got {got}; a scheme "
            f"of one's own is Method(flow, scheme, step){remedy}"
        )
    _check_noise(where, method.flow)
    _refuse_what_adapts(where, method)
    return method.step if isinstance(method.step, Exact) else constant_step(where, method)


def read_family(
    where: str, optimizer: Any, symbols: dict[str, Exact], field: Any, sample: dict[str, float], hint: str = ""
) -> Reading:
    """The step of the methods that an optimizer makes, with symbols for their numbers.

    Args:
        where: the function that asks, for the message.
        optimizer: (energy, **numbers) ↦ a method.
        symbols: elements of a field of rational functions, by name.
        field: that field.
        sample: numbers that it takes.
        hint: what else may help.

    Raises:
        TypeError: if it makes no method, or one of a sum f + g.
        NotExactError: if the step can't be read so, naming the line.
    """
    try:
        method = optimizer(Mode(None), **symbols)
        h = check_method(where, method)
        refuse_sums(where, method)
        return read_step(method.flow, method.discretizer, h, field)
    except NotExactError as error:
        with contextlib.suppress(ValueError):
            _refuse_what_adapts(where, optimizer(Mode(1.0), **sample))
        name = getattr(optimizer, "__name__", type(optimizer).__name__)
        name = "it" if name == "<lambda>" else name
        raise NotExactError(
            f"{where}: {name} is not linear in its gradients with rational coefficients of {', '.join(symbols)}, as "
            f"momentum and nesterov are{hint}: {error}"
        ) from error


def _refuse_what_adapts(where: str, method: Any) -> None:
    """Refuses what divides by its own gradients.

    Raises:
        NotExactError: with the remedy.
    """
    if isinstance(method, Method) and isinstance(method.flow, AdaptiveFlow):
        raise NotExactError(
            f"{where}: {method.name} divides by what its gradients have been, so that its step is linear on no class "
            "of energies; ask stability(method, at=x), or at=run, which holds that as it is there"
        )


def _check_noise(where: str, flow: Flow) -> None:
    if is_stochastic(flow, flow.init(jnp.zeros(()))):
        raise ValueError(f"{where}: {type(flow).__name__} has noise, with which no step is like another")


def constant_step(where: str, method: Method) -> Fraction:
    """A method's step, exactly.

    Raises:
        TypeError: if it is not a constant.
        ValueError: if it is not finite.
    """
    rule = as_step_rule(method.step)
    if not isinstance(rule, ConstantStep):
        raise TypeError(
            f"{where}: the step must be a constant, got {type(rule).__name__}: ask about "
            "Method(method.flow, method.discretizer, h)"
        )
    h = exact_number(where, "step", rule.h)
    if h is None:
        raise ValueError(f"{where}: `step` must be finite, got {rule.h}")
    return h


def exact_number(where: str, name: str, value: Any) -> Fraction | None:
    """The rational that a number is; `None` for ∞."""
    if isinstance(value, numbers.Rational):
        return fraction(value)
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{where}: `{name}` must be a number, got {in_a_line(value)}") from None
    if math.isnan(number):
        raise ValueError(f"{where}: `{name}` must be a number, got {in_a_line(value)}")
    if number == -math.inf:
        raise ValueError(f"{where}: `{name}` must not be −∞")
    return Fraction(number) if math.isfinite(number) else None
