"""What was meant by a name that the front door doesn't have. It is looked up by reading files, not by running them."""

import ast
import difflib
import inspect
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

_HERE = pathlib.Path(__file__).parent
# The rooms whose functions and classes people look for at the front door.
_ROOMS = {
    "optimizers": "discretizers/optimizers/__init__.py",
    "solvers": "flows/solvers/__init__.py",
    "plots": "analysis/plots/__init__.py",
    "landscapes": "flows/energies/landscapes/__init__.py",
    "schedules": "discretizers/steps/schedules.py",
    "norms": "flows/sets/norms/__init__.py",
    "penalties": "flows/sets/penalties/__init__.py",
    "potentials": "flows/sets/potentials/__init__.py",
    "constraints": "flows/sets/constraints.py",
}
# What the field calls by other names than a class of its own.
_SPOKEN: Mapping[str, str] = {
    **{name: f'RungeKutta("{name}")' for name in ("midpoint", "heun", "ralston", "rk3", "ssp3", "rk4", "rk38")},
    "sgd": "optimizers.gradient_descent",
    "gd": "optimizers.gradient_descent",
    "euler": "ForwardEuler",
    "expliciteuler": "ForwardEuler",
    "impliciteuler": "BackwardEuler",
    "bdf": "discretizers.BackwardDifferentiation",
    "bdf2": "discretizers.BackwardDifferentiation",
    "heavyballmethod": "optimizers.momentum",
    "minimize": "iterate",
    "run": "iterate",
    "solve": "integrate",
    "solveivp": "integrate",
    "odeint": "integrate",
    "tableaus": "RungeKutta",
    "lasso": "penalties.L1",
}


# What the field gives one argument as names: whoever writes one of them meant the one that a function has.
_ALIKE = (
    {"step", "lr", "h", "dt", "eta", "alpha", "learning_rate", "rate", "step_size", "stepsize", "size"},
    {"steps", "n", "n_steps", "num_steps", "nsteps", "n_iter", "num_iter", "iterations", "maxiter", "max_iter",
     "max_steps", "epochs"},
    {"t1", "t", "T", "time", "end", "t_end", "tend", "t_max", "tmax", "t_final", "horizon"},
    {"beta", "momentum", "gamma", "friction"},
    {"b1", "beta1", "betas"},
    {"b2", "beta2", "betas"},
    {"x0", "x", "start", "init", "initial", "x_init", "y0", "z0", "w0", "theta", "params"},
    {"key", "seed", "rng", "random_state", "prng"},
    {"temperature", "T", "temp", "kT"},
    {"discretizer", "scheme", "method", "integrator", "optimizer"},
    {"methods", "schemes", "optimizers", "discretizers"},
    {"flow", "energy", "E", "f", "fn", "loss"},
    {"rtol", "tol", "tolerance", "eps"},
    {"mu", "m", "strong_convexity"},
    {"L", "smoothness", "lipschitz"},
    {"file", "path", "filename", "out", "save"},
    {"draws", "samples", "n_samples", "num_samples"},
    {"burn_in", "burnin", "warmup", "warm_up"},
    {"chains", "n_chains", "particles"},
    {"batch_size", "batch", "size", "minibatch"},
    {"schedule", "fn", "function", "scheduler"},
    {"weight", "lam", "lmbda", "reg", "penalty"},
    {"radius", "r"},
    {"H", "A", "Q", "hessian", "matrix"},
    {"tableau", "name"},
)  # fmt: skip


def misfit(name: str, signature: inspect.Signature, args: Iterable[Any], options: Mapping[str, Any]) -> str:
    """The message about arguments that don't fit a function, and how it is called; empty where they fit."""
    try:
        signature.bind(*args, **options)
    except TypeError as error:
        said, shown, named = str(error), [], False
        for one in signature.parameters.values():
            if one.kind is one.KEYWORD_ONLY and not named:
                shown.append("*")
            named = named or one.kind in (one.KEYWORD_ONLY, one.VAR_POSITIONAL)
            stars = {one.VAR_POSITIONAL: "*", one.VAR_KEYWORD: "**"}.get(one.kind, "")
            shown.append(stars + one.name + ("" if stars or one.default is one.empty else "=…"))
        return f"{name}: {said}; it is called {name}({', '.join(shown)})"
    return ""


def meant_argument(where: str, name: str, known: Iterable[str]) -> str:
    """The message about an argument that a function doesn't have.

    Args:
        where: the function's name.
        name: the argument's.
        known: the arguments that it has.
    """
    known = [*known]
    alike = [one for one in known for group in _ALIKE if name in group and one in group]
    near = alike or difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    hint = f"; did you mean `{near[0]}`?" if near else "."
    return f"{where}: there is no argument `{name}`{hint} It takes {', '.join(known)}"


# What people call what a run or a result has.
_HELD = (
    {"energy", "loss", "losses", "energies", "objective", "fun", "f", "E", "value", "values"},
    {"x", "y", "xs", "ys", "path", "positions", "iterates", "trajectory", "solution", "params", "position"},
    {"state", "z", "states", "v", "velocity", "velocities", "momentum"},
    {"lr_limit", "lr", "max_lr", "lr_max"},
    {"limit", "max_step", "h", "h_max", "stepsize", "threshold"},
    {"t", "ts", "time", "times"},
    {"grad_norm", "grad", "gradient", "gradients", "grad_norms"},
    {"table", "to_pandas", "to_dataframe", "to_frame", "dataframe", "df", "summary"},
    {"stats", "info", "statistics"},
    {"status", "success", "message", "result", "converged", "diverged"},
    {"save", "to_netcdf", "to_file"},
    {"to_xarray", "to_dict", "dataset", "to_numpy"},
    {"plot", "show", "draw", "figure"},
    {"latex", "to_latex", "tex", "formula"},
)


def meant_attribute(thing: object, name: str) -> AttributeError:
    """The error of an attribute that a run or a result doesn't have, with what it has for it."""
    kind = type(thing)
    said = f"{kind.__name__!r} object has no attribute {name!r}"
    if not name.startswith("_"):
        held = {*dir(kind), *getattr(kind, "__dataclass_fields__", ())}
        known = sorted(one for one in held if not one.startswith("_"))
        alike = [one for one in known for group in _HELD if name in group and one in group]
        near = alike or difflib.get_close_matches(name, known, n=1, cutoff=0.6)
        said += f"; did you mean .{near[0]}?" if near else ""
    return AttributeError(said, name=name, obj=thing)


def meant(name: str, public: Iterable[str]) -> str:
    """The end of a message about a name that is not there: what was meant, where something is near.

    Args:
        name: the name.
        public: the front door's names.
    """
    known = {**_SPOKEN, **{_letters(one): one for one in public}}
    for room, file in _ROOMS.items():
        known = {_letters(one): f"{room}.{one}" for one in _defined(_HERE / file)} | known
    return _nearest(name, known)


def meant_in(room: str, name: str, public: Iterable[str]) -> str:
    """The same of a name that a room doesn't have.

    Args:
        room: what the front door calls it.
        name: the name.
        public: the room's names.
    """
    spoken = {one: path for one, path in _SPOKEN.items() if path.startswith(f"{room}.")}
    return _nearest(name, spoken | {_letters(one): f"{room}.{one}" for one in public})


def _nearest(name: str, known: Mapping[str, str]) -> str:
    near = difflib.get_close_matches(_letters(name), known, n=1, cutoff=0.75)
    return f"; did you mean gradientflow.{known[near[0]]}?" if near else ""


def _letters(name: str) -> str:
    return name.replace("_", "").lower()


def _defined(file: pathlib.Path) -> list[str]:
    """The public functions and classes that a module defines or passes on."""
    body = ast.parse(file.read_text(encoding="utf-8")).body
    passed_on = [alias.asname for node in body if isinstance(node, ast.ImportFrom) for alias in node.names]
    own = [node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    return [name for name in [*passed_on, *own] if name and not name.startswith("_")]
