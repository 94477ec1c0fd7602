"""Methods by name: `NAME[:step[:parameter]]`, as the command line and experiment files write them.

What they are made of is imported when one is made.
"""

import dataclasses
import math
import sys
from collections.abc import Callable, Mapping
from typing import Any

import gradientflow as gf
from gradientflow._names import unknown_name

from .vocabulary import tableaus


@dataclasses.dataclass(frozen=True)
class MethodKind:
    """A method that can be named: how it is made from an energy, a step h on the flow's clock and a parameter.

    Attributes:
        make: (energy, step, parameter) ↦ the method.
        summary: what it is, in a line.
        parameter: the parameter's name, or empty.
        default: the parameter's default.
    """

    make: "Callable[[gf.Energy, float, float], gf.Method]"
    summary: str
    parameter: str = ""
    default: float = math.nan


def _of_gradient_flow(scheme: Callable[[], Any]) -> "Callable[[gf.Energy, float, float], gf.Method]":
    return lambda E, h, _: gf.Method(gf.GradientFlow(E), scheme(), h)


def _runge_kutta(name: str, order: int) -> "MethodKind":
    return MethodKind(_of_gradient_flow(lambda: gf.RungeKutta(name)), f"gradient flow by Runge–Kutta, order {order}")


METHODS: Mapping[str, MethodKind] = {
    "gradient_descent": MethodKind(
        lambda E, lr, _: gf.optimizers.gradient_descent(E, lr), "gradient flow by forward Euler"
    ),
    "backward_euler": MethodKind(
        lambda E, lr, _: gf.optimizers.proximal_point(E, lr), "gradient flow by backward Euler: proximal point"
    ),
    "implicit_midpoint": MethodKind(
        _of_gradient_flow(lambda: gf.ImplicitMidpoint()), "gradient flow by implicit midpoint"
    ),
    "discrete_gradient": MethodKind(
        _of_gradient_flow(lambda: gf.DiscreteGradient()), "gradient flow by Gonzalez's discrete gradient"
    ),
    "exact": MethodKind(_of_gradient_flow(lambda: gf.ExactSolution()), "gradient flow in closed form, on quadratics"),
    **{
        name: _runge_kutta(name, order)
        for name, order in tableaus().items()
        if name != "euler"
    },
    "momentum": MethodKind(
        lambda E, lr, beta: gf.optimizers.momentum(E, lr, beta),
        "heavy ball, friction implicit; the step is optax's lr",
        "beta", 0.9,
    ),
    "nesterov": MethodKind(
        lambda E, lr, beta: gf.optimizers.nesterov(E, lr, beta), "heavy ball, the force ahead; the step is optax's lr",
        "beta", 0.9,
    ),
    "accelerated": MethodKind(
        lambda E, h, r: gf.Method(gf.NesterovFlow(E, r), gf.NesterovScheme(), h),
        "Nesterov's flow, its gradient step being h²",
        "r", 3.0,
    ),
    "newton": MethodKind(
        lambda E, h, epsilon: gf.Method(gf.NewtonFlow(E, epsilon), gf.ForwardEuler(), h),
        "Newton's flow by forward Euler",
        "regularization", 0.0,
    ),
    "adagrad": MethodKind(lambda E, lr, _: gf.optimizers.adagrad(E, lr), "AdaGrad's flow, averages first"),
    "rmsprop": MethodKind(
        lambda E, lr, decay: gf.optimizers.rmsprop(E, lr, decay), "RMSprop's flow, averages first", "decay", 0.9
    ),
    "adadelta": MethodKind(
        lambda E, lr, rho: gf.optimizers.adadelta(E, lr, rho), "AdaDelta's flow, averages first", "rho", 0.9
    ),
    "adam": MethodKind(lambda E, lr, b1: gf.optimizers.adam(E, lr, b1), "Adam's flow, averages first", "b1", 0.9),
    "adamw": MethodKind(
        lambda E, lr, decay: gf.optimizers.adamw(E, lr, weight_decay=decay), "AdamW's flow, averages first",
        "weight_decay", 1e-4,
    ),
    "sign_descent": MethodKind(lambda E, lr, _: gf.optimizers.sign_descent(E, lr), "sign flow by forward Euler"),
    "signum": MethodKind(
        lambda E, lr, beta: gf.optimizers.signum(E, lr, beta), "sign descent along the averaged gradient", "beta", 0.9
    ),
    "lion": MethodKind(
        lambda E, lr, decay: gf.optimizers.lion(E, lr, weight_decay=decay), "Lion: signum that looks ahead",
        "weight_decay", 1e-3,
    ),
    "langevin": MethodKind(
        lambda E, h, T: gf.Method(gf.Langevin(E, T), gf.EulerMaruyama(), h), "overdamped Langevin by Euler–Maruyama",
        "temperature", 0.1,
    ),
    "kinetic_langevin": MethodKind(
        lambda E, h, T: gf.Method(gf.KineticLangevin(E, temperature=T), gf.EulerMaruyama(), h),
        "kinetic Langevin by Euler–Maruyama", "temperature", 0.1,
    ),
}  # fmt: skip


def make_method(spec: str, E: "gf.Energy") -> "gf.Method":
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
        _check_numbers(spec, *values)
    return name, values[0] if values else None, values[1] if len(values) > 1 else None


def _check_numbers(spec: str, step: float, parameter: float = 0.0) -> None:
    if not (math.isfinite(step) and step > 0):
        raise ValueError(f"method {spec!r}: `step` must be finite and positive, got {step}")
    if step < sys.float_info.min:
        raise ValueError(f"method {spec!r}: `step` is 0 to a processor below {sys.float_info.min:.3g}, got {step:.3g}")
    if not math.isfinite(parameter):
        raise ValueError(f"method {spec!r}: its parameter must be finite, got {parameter}")


def lacks_step(spec: str) -> bool:
    """Whether the method is named without its step."""
    return parse_method(spec)[1] is None


def with_step(spec: str, h: float) -> str:
    """The same method with its step and parameter written out; its step is h on the flow's clock unless given."""
    name, step, parameter = parse_method(spec)
    kind = METHODS[name]
    chosen = kind.default if parameter is None else parameter
    if step is None:
        # A method's step on the flow's clock is proportional to what it is given.
        step = h / float(kind.make(gf.landscapes.bowl(), 1.0, chosen).step)
    return f"{name}:{step:.6g}" + (f":{chosen:g}" if kind.parameter else "")


def label(spec: str, method: "gf.Method") -> str:
    """`momentum:0.01:0.9` as a reader's `momentum lr=0.01 β=0.9`; h where what it is given is the flow's own step."""
    name, step, parameter = parse_method(spec)
    symbol = {"beta": "β", "temperature": "T"}.get(METHODS[name].parameter, METHODS[name].parameter)
    step_name = "h" if method.step == step else "lr"
    return f"{name} {step_name}={step:.4g}" + (f" {symbol}={parameter:g}" if parameter is not None else "")
