"""What is asked about, a method with its constant step or a flow, read exactly."""

import math
import numbers
from fractions import Fraction
from typing import Any

import jax.numpy as jnp

from gradientflow.discretizers import ConstantStep, Method, as_step_rule
from gradientflow.flows import Flow, is_stochastic

from .state_space import StateSpace, read_drift, read_step


def read_subject(where: str, subject: Any) -> StateSpace:
    """A method with its constant step, or a flow, read exactly.

    Raises:
        TypeError: if it is neither, or the method's step is not a constant.
        ValueError: if it has noise, or the step is not finite.
        NotExactError: if it can't be read exactly.
    """
    flow = subject.flow if isinstance(subject, Method) else subject
    if isinstance(flow, Flow) and is_stochastic(flow, flow.init(jnp.zeros(()))):
        raise ValueError(f"{where}: {type(flow).__name__} has noise, with which no step is like another")
    if isinstance(subject, Method):
        return read_step(subject.flow, subject.discretizer, constant_step(where, subject)).at()
    if isinstance(subject, Flow):
        return read_drift(subject).at()
    raise TypeError(
        f"{where}: needs a Method such as optimizers.gradient_descent(E, lr=0.1), or a flow, got {subject!r}; a "
        "scheme of one's own is Method(flow, scheme, step)"
    )


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
        return Fraction(int(value.numerator), int(value.denominator))
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{where}: `{name}` must be a number, got {value!r}") from None
    if math.isnan(number):
        raise ValueError(f"{where}: `{name}` must be a number, got {value!r}")
    return Fraction(number) if math.isfinite(number) else None
