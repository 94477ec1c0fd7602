"""The command line. Nothing numerical is imported before a command needs it."""

import json
import os
import pathlib
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from gradientflow import _files

from .entries import check, check_code, read_experiment, read_experiment_file
from .mistakes import OneLine, bad_input_is_one_line
from .printing import PRINTERS
from .signals import end_at_signals
from .vocabulary import DEVICES

app = typer.Typer(
    cls=OneLine,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Out = Annotated[str, typer.Option("--out", help="Directory for the report, figures and data.", metavar="DIR")]
Json = Annotated[bool, typer.Option("--json", help="Print the table as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print nothing but errors (and --json).")]
Device = Annotated[str, typer.Option(help="cpu, gpu or tpu; JAX's own choice unless given.")]


def _print_version(asked: bool) -> bool:
    if asked:
        from gradientflow import __version__

        print(f"gradientflow {__version__}")
        raise typer.Exit
    return asked


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Gradient flows, and the optimizers that discretize them."""


EnergyOption = Annotated[
    str, typer.Option(help="A landscape's name, FILE.py:FUNCTION, or a formula such as '(1-x)^2 + 100*(y-x^2)^2'.")
]
Data = Annotated[str, typer.Option(help="A CSV file to fit a model to.", metavar="FILE.csv")]
Target = Annotated[str, typer.Option(help="The column to fit.", metavar="COLUMN")]
Model = Annotated[str, typer.Option(help="linear, ridge or logistic.")]
Ridge = Annotated[float, typer.Option(help="The penalty of ridge and logistic.")]
Start = Annotated[str, typer.Option("--x0", help="The start, comma-separated: 1,-2.", metavar="NUMBERS")]
Methods = Annotated[
    list[str] | None,
    typer.Option(help="NAME[:step[:parameter]]; may be repeated. `gradientflow list` shows the names."),
]
Time = Annotated[float | None, typer.Option("--t1", help="How long, on the flow's clock.")]
Separator = Annotated[str, typer.Option("--sep", help="What separates the data's cells.", metavar="CHARACTER")]
Decimal = Annotated[str, typer.Option(help="What separates a number's fraction in the data.", metavar=".|,")]
Precision = Annotated[str, typer.Option(help="float64 or float32.")]


@app.command()
def compare(
    energy: EnergyOption = "",
    data: Data = "",
    target: Target = "",
    model: Model = "linear",
    ridge: Ridge = 0.0,
    sep: Separator = ",",
    decimal: Decimal = ".",
    x0: Start = "",
    method: Methods = None,
    t1: Time = None,
    solver: Annotated[str, typer.Option(help="The flow's solver; chosen unless given.")] = "",
    precision: Precision = "float64",
    device: Device = "",
    seed: Annotated[int, typer.Option(help="Seed of the noise.")] = 0,
    out: Out = "",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare a gradient flow with its discretizations.

    Without options: the least-squares example ½‖Mx − v‖² with M = [[4, 1], [1, 3]], v = [1, 2].
    """
    _ask("compare", x0, method, device, out, as_json, quiet, energy=energy, data=data, target=target, model=model,
         ridge=ridge, sep=sep, decimal=decimal, t1=t1, solver=solver, precision=precision, seed=seed)  # fmt: skip


@app.command()
def stability(
    energy: EnergyOption = "",
    data: Data = "",
    target: Target = "",
    model: Model = "linear",
    ridge: Ridge = 0.0,
    sep: Separator = ",",
    decimal: Decimal = ".",
    x0: Annotated[
        str, typer.Option("--x0", help="Where to look for a minimizer from, if none is known.", metavar="NUMBERS")
    ] = "",
    method: Methods = None,
    precision: Precision = "float64",
    device: Device = "",
    out: Out = "",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Find how long the steps of methods may be at a minimizer, and from everywhere where a theorem says so.

    On quadratics of up to 30 unknowns the limits are proved. Without options: as `compare`.
    """
    _ask("stability", x0, method, device, out, as_json, quiet, energy=energy, data=data, target=target, model=model,
         ridge=ridge, sep=sep, decimal=decimal, precision=precision)  # fmt: skip


@app.command()
def verify(
    energy: EnergyOption = "",
    data: Data = "",
    target: Target = "",
    model: Model = "linear",
    ridge: Ridge = 0.0,
    sep: Separator = ",",
    decimal: Decimal = ".",
    x0: Start = "",
    method: Methods = None,
    t1: Time = None,
    precision: Precision = "float64",
    device: Device = "",
    out: Out = "",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Prove closed forms, Lyapunov functions, iterates and step limits, each beside a false claim that is refuted.

    On quadratics the runs' own numbers are measured against them. Exit status 1 if a claim is refuted. Without options:
    as `compare`.
    """
    found = _ask("verify", x0, method, device, out, as_json, quiet, energy=energy, data=data, target=target,
                 model=model, ridge=ridge, sep=sep, decimal=decimal, t1=t1, precision=precision)  # fmt: skip
    if (found.table()["grade"] == "refuted").any():
        raise typer.Exit(1)


@app.command()
def run(
    experiment: Annotated[str, typer.Argument(help="An EXPERIMENT.toml, as `compare --out` writes it.")],
    allow_code: Annotated[
        bool, typer.Option("--allow-code", help="Run the Python file that it names, though that lies elsewhere.")
    ] = False,
    device: Device = "",
    out: Out = "",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run an experiment from its file."""
    with bad_input_is_one_line():
        text, folder = read_experiment_file(experiment), pathlib.Path(experiment).parent
        entries = read_experiment(text)
        check_code(entries, folder, allow_code)
        _check(device, out, entries, folder)
        from gradientflow.experiments.experiment import Experiment

        _run(Experiment.from_toml(text, folder), device, out, as_json, quiet)


@app.command()
def why(
    target: Annotated[
        str,
        typer.Argument(
            help="FILE.py:FUNCTION, which answers (loss, params, optimizer, batches); or a log FILE.csv with columns "
            "step and loss, and lr, grad_norm, update_norm where there are.",
            metavar="FILE.py:FUNCTION|LOG.csv",
        ),
    ],
    steps: Annotated[int, typer.Option(help="How many steps to look at; 500, or as the function says.")] = 0,
    precision: Annotated[str, typer.Option(help="float64 or float32: what JAX computes in unless told otherwise.")] = (
        "float32"
    ),
    device: Device = "",
    out: Out = "",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Tell why a training run diverges, breaks, spikes or stalls: by its own evidence, and by replaying it.

    The file is run. Of a log it is said what can be seen there, and that is not always a cause.
    """
    from . import why as asking

    with bad_input_is_one_line():
        asking.check_target(target)
        if steps < 0:
            raise ValueError(f"steps: must be a whole number of at least 2, got {steps}")
        _check(device, out, {"precision": precision})
        _start_jax(device, precision)
        progress = Console(stderr=True)
        with progress.status("replaying") if progress.is_terminal and not quiet else _Silent():
            found = asking.ask(target, steps)
        if out:
            found.save(out)
        if as_json:
            print(json.dumps(found.to_dict(), ensure_ascii=False, indent=2))
        elif not quiet:
            print(found)
            if out:
                print(f"report: {pathlib.Path(out) / 'report.html'}")


@app.command("list")
def list_names(
    as_json: Json = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the tables as a page of documentation.")] = False,
) -> None:
    """List energies, flows, schemes, optimizers, step rules and methods with their equations."""
    from .listing import as_markdown, listing

    if markdown:
        print(as_markdown(), end="")
        return
    if as_json:
        print(json.dumps(listing(), ensure_ascii=False, indent=2))
        return
    for title, entries in listing().items():
        table = Table(title=title, title_justify="left", box=None, pad_edge=False)
        table.add_column("name", style="bold", no_wrap=True)
        table.add_column("what it is")
        for entry in entries.items():
            table.add_row(*entry)
        Console().print(table)
        print()


def main() -> None:
    """The entry point of the command `gradientflow`."""
    end_at_signals()
    app()


def _ask(
    question: str, x0: str, method: list[str] | None, device: str, out: str, as_json: bool, quiet: bool, **options: Any
) -> Any:
    """Runs the experiment that the options describe."""
    with bad_input_is_one_line():
        if x0:
            options["x0"] = _numbers("x0", x0)
        if method:
            options["methods"] = tuple(method)
        _check(device, out, {"question": question} | options)
        from gradientflow.experiments.experiment import Experiment

        return _run(Experiment(question=question, **options), device, out, as_json, quiet)


def _check(device: str, out: str, entries: dict[str, Any], folder: str | os.PathLike[str] = "") -> None:
    """What needs nothing numerical, which takes seconds to import."""
    if device and device not in DEVICES:
        raise ValueError(f"device: must be cpu, gpu or tpu, got {device!r}")
    check(entries, folder)
    if out:
        _files.check_writable(out)


def _run(experiment: Any, device: str, out: str, as_json: bool, quiet: bool) -> Any:
    _start_jax(device, experiment.precision)
    progress = Console(stderr=True)
    with progress.status("compiling") if progress.is_terminal and not quiet else _Silent() as status:
        experiment.check_precision()
        experiment = experiment.resolve()
        found = experiment.run(lambda label: status.update(f"running {label}"))
    if out:
        found.save(out, experiment.to_toml())
    table = found.table()
    if as_json:
        print(table.reset_index().to_json(orient="records", force_ascii=False, indent=2))
    elif not quiet:
        PRINTERS[experiment.question](found)
        if out:
            print(f"report: {pathlib.Path(out) / 'report.html'}")
    return found


def _start_jax(device: str, precision: str) -> None:
    if device:
        # JAX reads this when it first starts, which is not before the computation below.
        os.environ["JAX_PLATFORMS"] = {"gpu": "cuda"}.get(device, device)
    import jax

    from .programs import keep_programs

    keep_programs()
    jax.config.update("jax_enable_x64", precision == "float64")
    if device:
        jax.config.update("jax_platforms", os.environ["JAX_PLATFORMS"])
        try:
            jax.devices()
        except (RuntimeError, AssertionError) as error:
            # JAX asserts that some platform starts, and says nothing where none does.
            reason = (str(error).splitlines() or [f"JAX starts no platform {os.environ['JAX_PLATFORMS']!r}"])[0]
            raise ValueError(f"device: no {device} here: {reason}; leave --device out for what there is") from None


def _numbers(name: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"{name}: must be numbers separated by commas, got {text!r}") from None


class _Silent:
    """Stands in for a progress display where there is no terminal."""

    def __enter__(self) -> "_Silent":
        return self

    def __exit__(self, *_: Any) -> None:
        return None

    def update(self, _: str) -> None:
        """Says nothing."""
