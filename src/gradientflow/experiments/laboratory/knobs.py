"""The numbers of a method that a page lets one turn."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from gradientflow.discretizers import Method
from gradientflow.flows import Energy, with_energy

# What a parameter is called where there is a letter for it.
_SYMBOLS = {"lr": "η", "step": "h", "beta": "β", "b1": "β₁", "b2": "β₂", "temperature": "T", "mass": "m",
            "friction": "γ", "decay": "ρ", "rho": "ρ", "momentum": "β"}  # fmt: skip
_STEPS = ("lr", "step")
# Guards against a division by zero: nobody learns from turning them.
_FIXED = ("eps", "eps_root", "epsilon", "regularization", "weight_decay")
# Fractions, which end below 1.
_FRACTIONS = ("beta", "b1", "b2", "decay", "rho", "momentum")


@dataclasses.dataclass(frozen=True)
class Knob:
    """One number that can be turned.

    Attributes:
        name: as the method calls it.
        value: what it is at first.
        low: the least.
        high: the greatest.
        log: whether equal ways are equal ratios.
    """

    name: str
    value: float
    low: float
    high: float
    log: bool

    @property
    def symbol(self) -> str:
        """Its letter, or its name."""
        return _SYMBOLS.get(self.name, self.name)

    @property
    def is_step(self) -> bool:
        """Whether it is how long a step is."""
        return self.name in _STEPS


def knobs_of(method: Method, limit: float | None, given: dict[str, Sequence[float]] | None = None) -> list[Knob]:
    """A method's own parameters, and the numbers of a flow of which a method without a name is made.

    Args:
        method: the method.
        limit: the longest stable step, where there is one: a page lets one go beyond.
        given: ranges by name.
    """
    values = {name: value for name, value in method.parameters.items() if _is_number(value)}
    if method.named is None:
        fields = {field.name: getattr(method.flow, field.name) for field in dataclasses.fields(method.flow)}
        values |= {name: value for name, value in fields.items() if _is_number(value)}
    return [
        _knob(name, float(value), limit, (given or {}).get(name))
        for name, value in values.items()
        if name not in _FIXED
    ]


def with_values(method: Method, values: dict[str, Any], energy: Energy | None = None) -> Method:
    """The method with other numbers, and on another energy: traced ones too."""
    if method.named is not None:
        return method.named.make(method.flow.energy if energy is None else energy, **(method.parameters | values))
    flow = method.flow if energy is None else with_energy(method.flow, energy)
    for name, value in values.items():
        if name not in method.parameters:
            flow = eqx.tree_at(lambda flow, name=name: getattr(flow, name), flow, jnp.asarray(value))
    return Method(flow, method.discretizer, values.get("step", method.step))


def _is_number(value: Any) -> bool:
    number = isinstance(value, (int, float, np.floating)) or (hasattr(value, "shape") and value.shape == ())
    return number and not isinstance(value, bool) and bool(jnp.issubdtype(jnp.result_type(value), jnp.floating))


def _knob(name: str, value: float, limit: float | None, given: Sequence[float] | None) -> Knob:
    if given is not None:
        return Knob(name, value, float(given[0]), float(given[1]), name in _STEPS)
    if name in _STEPS:
        top = 10 * value if limit is None or not np.isfinite(limit) or limit <= 0 else max(1.3 * limit, 1.5 * value)
        return Knob(name, value, min(value, top / 60), top, log=True)
    if name in _FRACTIONS:
        return Knob(name, value, 0.0, max(0.99, value), log=False)
    return Knob(name, value, 0.0 if name != "mass" else value / 20, max(4 * value, 0.1), log=False)
