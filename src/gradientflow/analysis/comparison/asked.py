"""What is asked of a comparison: methods by label, and how many steps reach the end."""

import math
from collections.abc import Mapping
from typing import Any

from gradientflow.discretizers import ConstantStep, Method, as_method
from gradientflow.flows import Flow
from gradientflow.flows.checks import in_a_line

MOST_STEPS = 1_000_000


def checked_methods(where: str, flow: Flow, methods: Any) -> dict[str, Method]:
    """The methods by label.

    Raises:
        TypeError: for what is no mapping, or holds what is neither a `Method` nor a pair.
        ValueError: for an empty one.
    """
    if not isinstance(methods, Mapping):
        raise TypeError(
            f"{where}: `methods` must be labels with methods, {{'momentum': method}} say, got {in_a_line(methods)}"
        )
    if not methods:
        raise ValueError(f"{where}: `methods` is empty; give {{'gradient descent': (ForwardEuler(), 0.1)}}, say")
    return {label: _as_method(where, flow, label, method) for label, method in methods.items()}


def steps_needed(where: str, rule: ConstantStep, t0: float, t1: float) -> int:
    """How many steps of one length reach t1.

    Raises:
        ValueError: if they are too many.
    """
    needed = (t1 - t0) / float(rule.h) * (1 - 1e-9)
    if not needed <= MOST_STEPS:
        raise ValueError(
            f"{where}: {needed:.3g} steps of {float(rule.h):g} to t1 = {t1:g} are too many; raise the step"
        )
    return max(1, math.ceil(needed))


def _as_method(where: str, flow: Flow, label: str, given: Any) -> Method:
    where = f"{where}: method {label!r}"
    # A transformation of optax's is a pair too, of functions by name.
    pair = given if type(given) is tuple and len(given) == 2 else None
    if hasattr(given, "update"):
        raise TypeError(f"{where}: of a transformation of optax's give (FromOptax(transformation), step)")
    if pair is None and not isinstance(given, Method):
        raise TypeError(f"{where} must be a Method or (discretizer, step), got {in_a_line(given)}")
    asked = as_method(where, given) if pair is None else as_method(where, flow, *pair)
    return asked.method or Method(asked.flow, asked.discretizer, asked.step)
