"""Experiments: a comparison as data that can be written down and run again."""

import dataclasses
import importlib.util
import math
import os
import pathlib
import re
import tomllib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tomli_w

from gradientflow.discretizers import (
    TABLEAUS,
    BackwardEuler,
    EulerMaruyama,
    ExactFlow,
    ForwardEuler,
    ImplicitMidpoint,
    Method,
    RungeKutta,
    optimizers,
)
from gradientflow.flows import (
    Energy,
    ExpressionEnergy,
    GradientFlow,
    KineticLangevin,
    Langevin,
    LeastSquares,
    LinearRegression,
    LogisticRegression,
    Outcome,
    check_positive,
    energy,
    from_expression,
    integrate,
    landscapes,
    prepare,
    read_table,
    regression,
    spectral_radius,
    standardized,
    unknown_name,
)

from .compare import Comparison, compare

_FILE = re.compile(r"(?P<file>.+\.py):(?P<function>\w+)")
_DEFAULT_METHODS = ("gradient_descent", "backward_euler", "implicit_midpoint", "rk4", "momentum")
# By default a flow is followed until it has lost all but this fraction of the energy that it will lose.
_REMAINING = 1e-6
_MOST_DEFAULT_STEPS = 2_000


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
    "gradient_descent": MethodKind(_of_gradient_flow(ForwardEuler()), "gradient flow by forward Euler"),
    "backward_euler": MethodKind(_of_gradient_flow(BackwardEuler()), "gradient flow by backward Euler: proximal point"),
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
    "langevin": MethodKind(
        lambda E, h, T: Method(Langevin(E, T), EulerMaruyama(), h), "overdamped Langevin by Euler–Maruyama",
        "temperature", 0.1,
    ),
    "kinetic_langevin": MethodKind(
        lambda E, h, T: Method(KineticLangevin(E, temperature=T), EulerMaruyama(), h),
        "kinetic Langevin by Euler–Maruyama", "temperature", 0.1,
    ),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A comparison as data.

    Attributes:
        energy: a landscape's name, `FILE.py:FUNCTION`, or a formula; empty for the running example
            ½‖Mx − v‖² with M = [[4, 1], [1, 3]] and v = [1, 2], or where `data` is given.
        data: a CSV file for regression.
        target: its target's column.
        model: linear, ridge or logistic.
        ridge: the penalty.
        x0: the start; the energy's customary one unless given.
        methods: `NAME[:step[:parameter]]`; the step is 1/(2L) on the flow's clock unless given, with L the
            energy's curvature bound, or its curvature at x0 where none is known.
        t1: how long [T]; unless given, until the gradient flow has all but arrived.
        solver: the flows' diffrax solver; chosen unless given.
        precision: float64 or float32.
        seed: of the noise.

    Example:
        >>> import gradientflow as gf
        >>> gf.Experiment(energy="beale", methods=("gradient_descent:0.001",)).to_toml().splitlines()[0]
        'energy = "beale"'
    """

    energy: str = ""
    data: str = ""
    target: str = ""
    model: str = "linear"
    ridge: float = 0.0
    x0: tuple[float, ...] = ()
    methods: tuple[str, ...] = _DEFAULT_METHODS
    t1: float | None = None
    solver: str = ""
    precision: str = "float64"
    seed: int = 0

    @staticmethod
    def from_toml(text: str, folder: str | os.PathLike[str] = ".") -> "Experiment":
        """Reads what `to_toml` wrote; relative files are looked for in `folder`.

        Raises:
            ValueError: if it isn't TOML, or has an unknown key or a value of the wrong type.
        """
        try:
            entries = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"experiment: not valid TOML: {error}") from None
        known = {field.name: field for field in dataclasses.fields(Experiment)}
        for name, value in entries.items():
            if name not in known:
                raise ValueError(f"experiment: {unknown_name('key', name, known)}")
            entries[name] = _typed(name, value)
        experiment = Experiment(**entries)
        found = _FILE.fullmatch(experiment.energy)
        if found:
            experiment = dataclasses.replace(
                experiment, energy=f"{pathlib.Path(folder, found['file'])}:{found['function']}"
            )
        if experiment.data:
            experiment = dataclasses.replace(experiment, data=str(pathlib.Path(folder, experiment.data)))
        return experiment

    def to_toml(self) -> str:
        """The experiment as TOML: what differs from the defaults, with files by absolute path."""
        entries: dict[str, Any] = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value != field.default and value is not None:
                entries[field.name] = list(value) if isinstance(value, tuple) else value
        if self.data:
            entries["data"] = str(pathlib.Path(self.data).resolve())
        found = _FILE.fullmatch(self.energy)
        if found:
            entries["energy"] = f"{pathlib.Path(found['file']).resolve()}:{found['function']}"
        return tomli_w.dumps(entries)

    def resolve(self) -> "Experiment":
        """The same experiment with every default filled in, so that it reads as what was run."""
        return self._resolve(self.make_energy())

    def _resolve(self, E: Energy) -> "Experiment":
        x0 = self._start(E)
        prepare("compare", GradientFlow(E), x0, None)
        h = 0.5 / _curvature(E, x0)
        methods = tuple(_filled(spec, h) for spec in self.methods)
        t1 = _default_time(E, x0, h) if self.t1 is None else self.t1
        return dataclasses.replace(self, x0=tuple(x0.tolist()), methods=methods, t1=t1)

    def make_energy(self) -> Energy:
        """The energy that the experiment names.

        Raises:
            ValueError: if it doesn't name one, or names two.
        """
        if self.data:
            if self.energy:
                raise ValueError("energy: give either `energy` or `data`, not both")
            if not self.target:
                raise ValueError("target: name the column of the data that is to be fitted")
            X, y, _ = read_table(self.data, self.target)
            return regression(self.model, standardized(X), y, self.ridge)
        if not self.energy:
            return LeastSquares([[4, 1], [1, 3]], [1, 2])
        if self.energy in landscapes.names():
            return landscapes.get(self.energy)
        found = _FILE.fullmatch(self.energy)
        if found:
            return energy(_load_function(found["file"], found["function"]))
        if self.energy.isidentifier() and len(self.energy) > 2:
            raise ValueError(f"energy: {unknown_name('landscape', self.energy, landscapes.names())}")
        return from_expression(self.energy)

    def run(self, progress: Callable[[str], None] | None = None) -> Comparison:
        """Runs it on the device that JAX is set to.

        Args:
            progress: called with the label of the method that is at work.

        Raises:
            ValueError: for anything in it that doesn't fit, or if JAX is set to another precision.
        """
        self.check_precision()
        E = self.make_energy()
        full = self._resolve(E)
        assert full.t1 is not None
        noisy = any(spec.split(":")[0].endswith("langevin") for spec in full.methods)
        methods = {_label(spec): make_method(spec, E) for spec in full.methods}
        key = jax.random.key(self.seed) if noisy else None
        x0, solver = jnp.asarray(full.x0), self.solver or None
        return compare(GradientFlow(E), methods, x0, full.t1, key=key, solver=solver, progress=progress)

    def check_precision(self) -> None:
        """Refuses to run in another precision than the experiment's: JAX's is set for the whole process.

        Raises:
            ValueError: saying how to set it.
        """
        if self.precision not in ("float64", "float32"):
            raise ValueError(f"precision: must be float64 or float32, got {self.precision!r}")
        double = self.precision == "float64"
        if jax.config.read("jax_enable_x64") != double:
            raise ValueError(
                f"precision: the experiment is in {self.precision} and JAX is not; call "
                f'jax.config.update("jax_enable_x64", {double}) first'
            )

    def _start(self, E: Energy) -> np.ndarray:
        if self.x0:
            return np.asarray(self.x0, dtype=float)
        match E:
            case landscapes.Landscape(start=start):
                return np.asarray(start)
            case LeastSquares():
                return np.asarray([4.0, -1.0])
            case LinearRegression(X=X) | LogisticRegression(X=X):
                return np.zeros(X.shape[1])
            case ExpressionEnergy(variables=variables):
                return np.ones(len(variables))
        raise ValueError("x0: a function from a file does not say its dimension; give the start, --x0 1,2 say")


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


def _filled(spec: str, h: float) -> str:
    name, step, parameter = parse_method(spec)
    kind = METHODS[name]
    chosen = kind.default if parameter is None else parameter
    step = kind.step_of(h, chosen) if step is None else step
    return f"{name}:{step:.6g}" + (f":{chosen:g}" if kind.parameter else "")


def _label(spec: str) -> str:
    """`momentum:0.01:0.9` as a reader's `momentum h=0.01 β=0.9`; the first number of momentum is its lr."""
    name, step, parameter = parse_method(spec)
    symbol = {"beta": "β", "temperature": "T"}.get(METHODS[name].parameter, "")
    step_name = "lr" if name == "momentum" else "h"
    return f"{name} {step_name}={step:.4g}" + (f" {symbol}={parameter:g}" if parameter is not None else "")


def _curvature(E: Energy, x0: np.ndarray) -> float:
    known = E.curvature
    if known is not None and float(known.L) > 0:
        return float(known.L)
    local = float(spectral_radius(GradientFlow(E), jnp.zeros(()), jnp.asarray(x0)))
    return local if math.isfinite(local) and local > 0 else 1.0


def _default_time(E: Energy, x0: np.ndarray, h: float) -> float:
    path = integrate(GradientFlow(E), jnp.asarray(x0), math.inf, max_steps=5_000)
    energies, times = np.asarray(path.energy, dtype=float), np.asarray(path.t, dtype=float)
    longest = _MOST_DEFAULT_STEPS * h
    if path.status.outcome is Outcome.RUNNING_OFF or energies[0] <= energies[-1]:
        return float(min(longest, 100 * h))
    arrived = times[np.argmax(energies - energies[-1] <= _REMAINING * (energies[0] - energies[-1]))]
    return float(f"{min(max(arrived, 10 * h), longest):.3g}")


def _load_function(file: str, name: str) -> Any:
    if not os.path.isfile(file):
        raise ValueError(f"energy: there is no file {file!r}")
    spec = importlib.util.spec_from_file_location("gradientflow_user_energy", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ValueError(f"energy: {file!r} can't be run: {type(error).__name__}: {error}") from error
    functions = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
    if name not in functions:
        raise ValueError(f"energy: {file!r}: {unknown_name('function', name, functions)}")
    return getattr(module, name)


def _typed(name: str, value: Any) -> Any:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if name in ("ridge", "t1") and number:
        return float(value)
    if name == "seed" and isinstance(value, int) and not isinstance(value, bool):
        return value
    if name == "x0" and isinstance(value, list) and all(isinstance(item, (int, float)) for item in value):
        return tuple(float(item) for item in value)
    if name == "methods" and isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    if name not in ("ridge", "t1", "seed", "x0", "methods") and isinstance(value, str):
        return value
    raise ValueError(f"experiment: `{name}` has a value of the wrong type: {value!r}")
