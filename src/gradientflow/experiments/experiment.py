"""Experiments: a question about methods as data that can be written down and run again."""

import dataclasses
import importlib.util
import math
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tomli_w

from gradientflow.analysis.comparison import Comparison, compare
from gradientflow.analysis.linear_stability import StabilitySurvey
from gradientflow.analysis.verification import VerificationSurvey
from gradientflow.flows import (
    Energy,
    ExpressionEnergy,
    GradientFlow,
    LeastSquares,
    LinearRegression,
    LogisticRegression,
    Outcome,
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

from .entries import FILE, check, read_experiment
from .named import label, lacks_step, make_method, with_step
from .questions import survey_proofs, survey_stability

_DEFAULT_METHODS = ("gradient_descent", "backward_euler", "implicit_midpoint", "rk4", "momentum")
# By default a flow is followed until it has lost all but this fraction of the energy that it will lose.
_REMAINING = 1e-6
# That takes at most so many steps; and more, up to so many times one over the energy's numbers, where they are cheap.
_MOST_DEFAULT_STEPS = 2_000
_MOST_DEFAULT_WORK = 100_000


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A question about methods on an energy, as data.

    Attributes:
        question: `compare`, `stability` or `verify`.
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
        sep: what separates the data's cells.
        decimal: what separates a number's fraction in the data.

    Example:
        >>> import gradientflow as gf
        >>> gf.Experiment(energy="beale", methods=("gradient_descent:0.001",)).to_toml().splitlines()[0]
        'energy = "beale"'
    """

    question: str = "compare"
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
    sep: str = ","
    decimal: str = "."

    @staticmethod
    def from_toml(text: str, folder: str | os.PathLike[str] = ".") -> "Experiment":
        """Reads what `to_toml` wrote; relative files are looked for in `folder`.

        Raises:
            ValueError: if it isn't TOML, or has an unknown key or a value of the wrong type.
        """
        return Experiment.of_entries(read_experiment(text), folder)

    @staticmethod
    def of_entries(entries: Mapping[str, Any], folder: str | os.PathLike[str] = ".") -> "Experiment":
        """The experiment that has these fields; relative files are looked for in `folder`."""
        experiment = Experiment(**entries)
        found = FILE.fullmatch(experiment.energy)
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
        found = FILE.fullmatch(self.energy)
        if found:
            entries["energy"] = f"{pathlib.Path(found['file']).resolve()}:{found['function']}"
        return tomli_w.dumps(entries)

    def resolve(self) -> "Experiment":
        """The same experiment with every default filled in, so that it reads as what was run."""
        return self._resolve(self.make_energy())

    def _resolve(self, E: Energy) -> "Experiment":
        x0 = self.start(E)
        prepare(self.question, GradientFlow(E), x0, None)
        x0_given = dataclasses.replace(self, x0=tuple(x0.tolist()))
        timeless = self.question == "stability"
        if (timeless or self.t1 is not None) and not any(lacks_step(spec) for spec in self.methods):
            return x0_given
        h = 0.5 / _curvature(E, x0)
        methods = tuple(with_step(spec, h) for spec in self.methods)
        for spec in methods:  # what is wrong with one is said before a flow is solved for its time
            make_method(spec, E)
        t1 = _default_time(E, x0, h) if self.t1 is None and not timeless else self.t1
        return dataclasses.replace(x0_given, methods=methods, t1=t1)

    def make_energy(self) -> Energy:
        """The energy that the experiment names.

        Raises:
            ValueError: if it doesn't name one, or names two.
        """
        if self.data:
            X, y, _ = read_table(self.data, self.target, self.sep, self.decimal)
            return regression(self.model, standardized(X), y, self.ridge)
        if not self.energy:
            return LeastSquares([[4, 1], [1, 3]], [1, 2])
        if self.energy in landscapes.names():
            return landscapes.get(self.energy)
        found = FILE.fullmatch(self.energy)
        if found:
            return energy(_load_function(found["file"], found["function"]))
        return from_expression(self.energy)

    def run(self, progress: Callable[[str], None] | None = None) -> "Comparison | StabilitySurvey | VerificationSurvey":
        """Runs it on the device that JAX is set to.

        Args:
            progress: called with the label of the method that is at work.

        Raises:
            ValueError: for anything in it that doesn't fit, or if JAX is set to another precision.
        """
        self.check_precision()
        E = self.make_energy()
        full = self._resolve(E)
        made = [(spec, make_method(spec, E)) for spec in full.methods]
        methods = {label(spec, method): method for spec, method in made}
        x0 = jnp.asarray(full.x0)
        if self.question == "stability":
            return survey_stability(E, methods, x0, progress)
        assert full.t1 is not None
        if self.question == "verify":
            return survey_proofs(E, methods, x0, full.t1, progress)
        noisy = any(method.flow.noise is not None for method in methods.values())
        key = jax.random.key(self.seed) if noisy else None
        solver = self.solver or None
        return compare(GradientFlow(E), methods, x0, full.t1, key=key, solver=solver, progress=progress)

    def check_precision(self) -> None:
        """Refuses to run in another precision than the experiment's: JAX's is set for the whole process.

        Raises:
            ValueError: saying how to set it; or for what is wrong with the experiment itself.
        """
        check(dataclasses.asdict(self))
        double = self.precision == "float64"
        if jax.config.read("jax_enable_x64") != double:
            raise ValueError(
                f"precision: the experiment is in {self.precision} and JAX is not; call "
                f'jax.config.update("jax_enable_x64", {double}) first'
            )

    def start(self, E: Energy) -> np.ndarray:
        """Where runs on its energy start: `x0`, or the energy's customary start.

        Raises:
            ValueError: if there is none.
        """
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


def _curvature(E: Energy, x0: np.ndarray) -> float:
    known = E.curvature
    if known is not None and float(known.L) > 0:
        return float(known.L)
    local = float(spectral_radius(GradientFlow(E), jnp.zeros(()), jnp.asarray(x0)))
    return local if math.isfinite(local) and local > 0 else 1.0


def _default_time(E: Energy, x0: np.ndarray, h: float) -> float:
    path = integrate(GradientFlow(E), jnp.asarray(x0), math.inf, max_steps=5_000)
    energies, times = np.asarray(path.energy, dtype=float), np.asarray(path.t, dtype=float)
    numbers = sum(leaf.size for leaf in jax.tree.leaves(E) if isinstance(leaf, jax.Array))
    longest = max(_MOST_DEFAULT_STEPS, _MOST_DEFAULT_WORK // max(x0.size, numbers)) * h
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
