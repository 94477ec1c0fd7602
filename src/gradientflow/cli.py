"""The command line. Nothing numerical is imported before a command needs it."""

import json
import os
import pathlib
import sys
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Gradient flows, and the optimizers that discretize them.",
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
    """Holds the options that go before a command."""


@app.command()
def compare(
    energy: Annotated[
        str, typer.Option(help="A landscape's name, FILE.py:FUNCTION, or a formula such as '(1-x)^2 + 100*(y-x^2)^2'.")
    ] = "",
    data: Annotated[str, typer.Option(help="A CSV file to fit a model to.", metavar="FILE.csv")] = "",
    target: Annotated[str, typer.Option(help="The column to fit.", metavar="COLUMN")] = "",
    model: Annotated[str, typer.Option(help="linear, ridge or logistic.")] = "linear",
    ridge: Annotated[float, typer.Option(help="The penalty of ridge and logistic.")] = 0.0,
    x0: Annotated[str, typer.Option("--x0", help="The start, comma-separated: 1,-2.", metavar="NUMBERS")] = "",
    method: Annotated[
        list[str] | None,
        typer.Option(help="NAME[:step[:parameter]]; may be repeated. `gradientflow list` shows the names."),
    ] = None,
    t1: Annotated[float | None, typer.Option("--t1", help="How long, on the flow's clock.")] = None,
    solver: Annotated[str, typer.Option(help="The flow's solver; chosen unless given.")] = "",
    precision: Annotated[str, typer.Option(help="float64 or float32.")] = "float64",
    device: Device = "",
    seed: Annotated[int, typer.Option(help="Seed of the noise.")] = 0,
    out: Out = "",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare a gradient flow with its discretizations.

    Without options: the least-squares example ½‖Mx − v‖² with M = [[4, 1], [1, 3]], v = [1, 2].
    """
    options: dict[str, Any] = {
        "energy": energy, "data": data, "target": target, "model": model, "ridge": ridge, "t1": t1, "solver": solver,
        "precision": precision, "seed": seed,
    }  # fmt: skip
    with _bad_input_is_one_line():
        if x0:
            options["x0"] = _numbers("x0", x0)
        if method:
            options["methods"] = tuple(method)
        from gradientflow.analysis import Experiment

        _run(Experiment(**options), device, out, as_json, quiet)


@app.command()
def run(
    experiment: Annotated[str, typer.Argument(help="An EXPERIMENT.toml, as `compare --out` writes it.")],
    device: Device = "",
    out: Out = "",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run an experiment from its file."""
    with _bad_input_is_one_line():
        try:
            text = pathlib.Path(experiment).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"experiment: {experiment!r} can't be read: {error}") from None
        from gradientflow.analysis import Experiment

        _run(Experiment.from_toml(text, pathlib.Path(experiment).parent), device, out, as_json, quiet)


@app.command("list")
def list_names(as_json: Json = False) -> None:
    """List the named energies and methods."""
    from gradientflow.analysis.named_methods import METHODS
    from gradientflow.flows import landscapes

    energies = {name: landscapes.get(name).formula for name in landscapes.names()}
    methods = {name: kind.summary for name, kind in METHODS.items()}
    if as_json:
        print(json.dumps({"energies": energies, "methods": methods}, ensure_ascii=False, indent=2))
        return
    for title, entries in (("energies", energies), ("methods", methods)):
        table = Table(title=title, title_justify="left", box=None, pad_edge=False)
        table.add_column("name", style="bold")
        table.add_column("what it is")
        for entry in entries.items():
            table.add_row(*entry)
        Console().print(table)
        print()


def main() -> None:
    """The entry point of the command `gradientflow`."""
    app()


def _run(experiment: Any, device: str, out: str, as_json: bool, quiet: bool) -> None:
    if device:
        # JAX reads this when it first starts, which is not before the computation below.
        if device not in ("cpu", "gpu", "tpu"):
            raise ValueError(f"device: must be cpu, gpu or tpu, got {device!r}")
        os.environ["JAX_PLATFORMS"] = {"gpu": "cuda"}.get(device, device)
    import jax

    jax.config.update("jax_enable_x64", experiment.precision == "float64")
    if device:
        jax.config.update("jax_platforms", os.environ["JAX_PLATFORMS"])
        try:
            jax.devices()
        except RuntimeError as error:
            raise ValueError(f"device: no {device} here: {str(error).splitlines()[0]}") from None
    if out:
        from gradientflow.analysis.report import check_writable

        check_writable(out)
    progress = Console(stderr=True)
    with progress.status("compiling") if progress.is_terminal and not quiet else _Silent() as status:
        experiment.check_precision()
        experiment = experiment.resolve()
        comparison = experiment.run(lambda label: status.update(f"running {label}"))
    if out:
        comparison.save(out, experiment.to_toml())
    table = comparison.table()
    if as_json:
        print(table.reset_index().to_json(orient="records", force_ascii=False, indent=2))
    elif not quiet:
        _print_table(table)
        if out:
            print(f"report: {pathlib.Path(out) / 'report.html'}")


def _print_table(frame: Any) -> None:
    shown = frame.drop(columns=["flow", "scheme", "t"])
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("method", no_wrap=True)
    for column in shown.columns:
        table.add_column(column, justify="left" if column == "status" else "right", overflow="fold")
    for label, values in zip(shown.index, shown.to_numpy(), strict=True):
        table.add_row(str(label), *map(_cell, values))
    console = Console()
    # A pipe has no width: lines are not to be broken for it.
    Console(width=max(console.width, 160) if not console.is_terminal else None).print(table)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "–" if value != value else f"{value:.4g}"
    return str(value)


def _numbers(name: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"{name}: must be numbers separated by commas, got {text!r}") from None


class _bad_input_is_one_line:
    """Bad input ends the command with one line on standard error and exit status 2."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, (ValueError, TypeError)):
            _fail(str(error))


def _fail(message: str) -> NoReturn:
    print(f"gradientflow: {' '.join(message.split())}", file=sys.stderr)
    raise SystemExit(2)


class _Silent:
    """Stands in for a progress display where there is no terminal."""

    def __enter__(self) -> "_Silent":
        return self

    def __exit__(self, *_: Any) -> None:
        return None

    def update(self, _: str) -> None:
        """Says nothing."""
