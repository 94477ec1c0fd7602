"""Methods by name: `NAME[:step[:parameter]]`, as the command line and experiment files write them."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

from gradientflow.discretizers import (
    TABLEAUS,
    EulerMaruyama,
    ExactFlow,
    ForwardEuler,
    ImplicitMidpoint,
    Method,
    NesterovStep,
    RungeKutta,
    optimizers,
)
from gradientflow.flows import (
    Energy,
    GradientFlow,
    KineticLangevin,
    Langevin,
    Nesterov,
    NewtonFlow,
    check_positive,
    unknown_name,
)


def _step_is_h(h: float, parameter: float) -> float:
    """For methods whose own step is the flow's."""
    return h


@dataclasses.dataclass(frozen=True)
class MethodKind:
    """A method that can be named: how it is made from an energy, a step h on the flow's clock and a parameter.

    Attributes:
        make: (energy, step, parameter) ↦ the method.
        summary: what it is, in a line.
        parameter: the parameter's name, or empty.
        default: the parameter's default.
        step_of: (h, parameter) ↦ the step in the method's own words, for the default step.
    """

    make: Callable[[Energy, float, float], Method]
    summary: str
    parameter: str = ""
    default: float = math.nan
    step_of: Callable[[float, float], float] = _step_is_h


def _of_gradient_flow(discretizer: Any) -> Callable[[Energy, float, float], Method]:
    return lambda E, h, _: Method(GradientFlow(E), discretizer, h)


METHODS: Mapping[str, MethodKind] = {
    "gradient_descent": MethodKind(
        lambda E, lr, _: optimizers.gradient_descent(E, lr), "gradient flow by forward Euler"
    ),
    "backward_euler": MethodKind(
        lambda E, lr, _: optimizers.proximal_point(E, lr), "gradient flow by backward Euler: proximal point"
    ),
    "implicit_midpoint": MethodKind(_of_gradient_flow(ImplicitMidpoint()), "gradient flow by implicit midpoint"),
    "exact": MethodKind(_of_gradient_flow(ExactFlow()), "gradient flow in closed form, on quadratics"),
    **{
        name: MethodKind(_of_gradient_flow(RungeKutta(tableau)), f"gradient flow by Runge–Kutta, order {tableau.order}")
        for name, tableau in TABLEAUS.items()
        if name != "euler"
    },
    "momentum": MethodKind(
        lambda E, lr, beta: optimizers.momentum(E, lr, beta), "heavy ball, friction implicit; the step is optax's lr",
        "beta", 0.9, lambda h, beta: h * (1 - beta),
    ),
    "nesterov": MethodKind(
        lambda E, lr, beta: optimizers.nesterov(E, lr, beta), "heavy ball, the force ahead; the step is optax's lr",
        "beta", 0.9, lambda h, beta: h * (1 - beta) / beta,
    ),
    "accelerated": MethodKind(
        lambda E, h, r: Method(Nesterov(E, r), NesterovStep(), h), "Nesterov's flow, its gradient step being h²",
        "r", 3.0,
    ),
    "newton": MethodKind(
        lambda E, h, epsilon: Method(NewtonFlow(E, epsilon), ForwardEuler(), h), "Newton's flow by forward Euler",
        "regularization", 0.0,
    ),
    "adagrad": MethodKind(lambda E, lr, _: optimizers.adagrad(E, lr), "AdaGrad's flow, averages first"),
    "rmsprop": MethodKind(
        lambda E, lr, decay: optimizers.rmsprop(E, lr, decay), "RMSprop's flow, averages first", "decay", 0.9
    ),
    "adadelta": MethodKind(
        lambda E, lr, rho: optimizers.adadelta(E, lr, rho), "AdaDelta's flow, averages first", "rho", 0.9
    ),
    "adam": MethodKind(lambda E, lr, b1: optimizers.adam(E, lr, b1), "Adam's flow, averages first", "b1", 0.9),
    "adamw": MethodKind(
        lambda E, lr, decay: optimizers.adamw(E, lr, weight_decay=decay), "AdamW's flow, averages first",
        "weight_decay", 1e-4,
    ),
    "sign_descent": MethodKind(lambda E, lr, _: optimizers.sign_descent(E, lr), "sign flow by forward Euler"),
    "langevin": MethodKind(
        lambda E, h, T: Method(Langevin(E, T), EulerMaruyama(), h), "overdamped Langevin by Euler–Maruyama",
        "temperature", 0.1,
    ),
    "kinetic_langevin": MethodKind(
        lambda E, h, T: Method(KineticLangevin(E, temperature=T), EulerMaruyama(), h),
        "kinetic Langevin by Euler–Maruyama", "temperature", 0.1,
    ),
}  # fmt: skip


def make_method(spec: str, E: Energy) -> Method:
    """The method that `NAME:step[:parameter]` stands for, on an energy.

    Raises:
        ValueError: if the name is unknown, or a number is not one.
    """
    name, step, parameter = parse_method(spec)
    kind = METHODS[name]
    if step is None:
        raise ValueError(f"method: {spec!r} has no step; write {name}:0.1, say")
    return kind.make(E, step, kind.default if parameter is None else parameter)


def parse_method(spec: str) -> tuple[str, float | None, float | None]:
    """Name, step and parameter of `NAME[:step[:parameter]]`.

    Raises:
        ValueError: if the name is unknown, a number is not one, or the method takes no parameter.
    """
    name, *numbers = spec.split(":")
    if name not in METHODS:
        raise ValueError(f"method: {unknown_name('method', name, METHODS)}")
    try:
        values = [float(number) for number in numbers]
    except ValueError:
        raise ValueError(f"method: {spec!r} must be NAME[:step[:parameter]] with numbers") from None
    if len(values) > (2 if METHODS[name].parameter else 1):
        raise ValueError(
            f"method: {spec!r} has too many numbers; {name} takes a step"
            + (f" and {METHODS[name].parameter}" if METHODS[name].parameter else "")
        )
    if values:
        check_positive(f"method {spec!r}", step=values[0])
    return name, values[0] if values else None, values[1] if len(values) > 1 else None


def lacks_step(spec: str) -> bool:
    """Whether the method is named without its step."""
    return parse_method(spec)[1] is None


def with_step(spec: str, h: float) -> str:
    """The same method with its step and parameter written out; its step is h on the flow's clock unless given."""
    name, step, parameter = parse_method(spec)
    kind = METHODS[name]
    chosen = kind.default if parameter is None else parameter
    step = kind.step_of(h, chosen) if step is None else step
    return f"{name}:{step:.6g}" + (f":{chosen:g}" if kind.parameter else "")


def label(spec: str) -> str:
    """`momentum:0.01:0.9` as a reader's `momentum h=0.01 β=0.9`; the first number of momentum is its lr."""
    name, step, parameter = parse_method(spec)
    symbol = {"beta": "β", "temperature": "T"}.get(METHODS[name].parameter, METHODS[name].parameter)
    step_name = "lr" if name in ("momentum", "nesterov") else "h"
    return f"{name} {step_name}={step:.4g}" + (f" {symbol}={parameter:g}" if parameter is not None else "")
