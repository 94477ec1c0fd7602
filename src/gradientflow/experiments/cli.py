"""The command line. Nothing numerical is imported before a command needs it."""

import json
import pathlib
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from .asked import Silent, ask, check_asked, check_export, numbers, run_asked, start_jax
from .entries import check_code, read_experiment, read_experiment_file, read_with_sweep
from .mistakes import OneLine, bad_input_is_one_line
from .options import (
    AllowCode,
    Dask,
    Data,
    Decimal,
    Device,
    EnergyOption,
    Json,
    Methods,
    Model,
    Out,
    Precision,
    Quiet,
    Ridge,
    Separator,
    Slurm,
    Start,
    Target,
    Time,
    Training,
)
from .signals import end_at_signals, first_interrupt_raises
from .swept import read_swept

app = typer.Typer(
    cls=OneLine,
    add_completion=False,
    pretty_exceptions_enable=False,
)


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
    ask("compare", x0, method, device, out, as_json, quiet, energy=energy, data=data, target=target, model=model,
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
    ask("stability", x0, method, device, out, as_json, quiet, energy=energy, data=data, target=target, model=model,
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
    found = ask("verify", x0, method, device, out, as_json, quiet, energy=energy, data=data, target=target,
                 model=model, ridge=ridge, sep=sep, decimal=decimal, t1=t1, precision=precision)  # fmt: skip
    if (found.table()["grade"] == "refuted").any():
        raise typer.Exit(1)


@app.command()
def run(
    experiment: Annotated[str, typer.Argument(help="An EXPERIMENT.toml, as `compare --out` writes it.")],
    allow_code: AllowCode = False,
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
        check_asked(device, out, entries, folder)
        from gradientflow.experiments.experiment import Experiment

        run_asked(Experiment.from_toml(text, folder), device, out, as_json, quiet)


@app.command()
def sweep(
    experiment: Annotated[str, typer.Argument(help=r"An experiment's file with a table \[sweep].")],
    store: Annotated[
        str, typer.Option(help="Keep it in this folder: ended early and called again, it goes on.", metavar="DIR")
    ] = "",
    status: Annotated[
        bool, typer.Option("--status", help="Say how much of the store is done, and run nothing.")
    ] = False,
    export: Annotated[str, typer.Option(help="Write a row a run.", metavar="FILE.csv|.parquet")] = "",
    dask: Dask = "",
    slurm: Slurm = "",
    allow_code: AllowCode = False,
    device: Device = "",
    out: Out = "",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run a method with many step sizes, parameters, starts or seeds, as an experiment's file says.

    Ctrl-C returns what is done by then, with exit status 130.
    """
    with bad_input_is_one_line():
        if status and not store:
            raise ValueError("status: say of which store, --store DIR")
        text, folder = read_experiment_file(experiment), pathlib.Path(experiment).parent
        entries, table = read_with_sweep(text)
        if table is None:
            raise ValueError(f"experiment: {experiment!r} has no table [sweep], which names what is swept and `steps`")
        check_code(entries, folder, allow_code)
        check_asked(device, out, entries, folder)
        swept = read_swept(entries, table)
        from . import clusters, sweeping

        if status:
            print(sweeping.status(store))
            return
        if export:
            sweeping.check_export(export)
        clusters.check_clusters(dask, slurm, store)
        asked = sweeping.Experiment.of_entries(entries, folder)
        start_jax(device, asked.precision)
        try:
            with first_interrupt_raises(), clusters.executor_of(dask, slurm, store) as executor:
                found = sweeping.run(asked, swept, store or None, quiet, executor)
        except KeyboardInterrupt:
            print("gradientflow: interrupted; nothing was done by then", file=sys.stderr)
            raise typer.Exit(130) from None
        if out:
            sweeping.save(found, out, asked, table)
        if export:
            sweeping.export(found, export)
    if as_json:
        print(sweeping.as_json(found))
    elif not quiet:
        print(sweeping.summary(found, swept))
    if found.done < len(found.lanes):
        again = f"the same command goes on where {store!r} ends" if store else "with --store DIR it would go on"
        print(f"gradientflow: interrupted; {again}", file=sys.stderr)
        raise typer.Exit(130)


@app.command()
def why(
    target: Training,
    steps: Annotated[int, typer.Option(help="How many steps to look at; 500, or as the function says.")] = 0,
    loss: Annotated[str, typer.Option(help="The log's column that is the loss.", metavar="COLUMN")] = "",
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
        asking.check_target(target, loss)
        if steps < 0:
            raise ValueError(f"steps: must be a whole number of at least 2, got {steps}")
        check_asked(device, out, {"precision": precision})
        start_jax(device, precision)
        progress = Console(stderr=True)
        with progress.status("replaying") if progress.is_terminal and not quiet else Silent():
            found = asking.ask(target, steps, loss)
        if out:
            found.save(out)
        if as_json:
            print(json.dumps(found.to_dict(), ensure_ascii=False, indent=2))
        elif not quiet:
            print(found)
            if out:
                print(f"report: {pathlib.Path(out) / 'report.html'}")


@app.command()
def lab(
    energy: EnergyOption = "",
    x0: Start = "",
    method: Methods = None,
    scene: Annotated[
        list[str] | None, typer.Option(help="A scene's file; may be repeated.", metavar="FILE.toml")
    ] = None,
    export: Annotated[
        str, typer.Option(help="Write the page to this file, and serve nothing.", metavar="FILE.html")
    ] = "",
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open it in the browser.")] = True,
    allow_code: AllowCode = False,
    device: Device = "",
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
) -> None:
    """Show the laboratory: a page in which one drags the start, the steps and the parameters of methods.

    The energy is one of two variables; another one is typed into the page, which this command serves on this machine
    until Ctrl-C ends it. Without options: the scenes that come with the package.
    """
    with bad_input_is_one_line():
        start = numbers("x0", x0) if x0 else ()
        # A point of the plane: a function from a file need not say its dimension.
        check_asked(device, "", {"energy": energy, "x0": start or (1.0, 1.0), "methods": tuple(method or ())})
        if export:
            check_export(export)
        elif quiet and not browser:
            raise ValueError(
                "quiet: without a browser nobody would know the address; leave out --quiet or --no-browser"
            )
        if scene and (energy or method or x0):
            raise ValueError("scene: its file has its energy, methods and start; leave --energy, --method and --x0 out")
        start_jax(device, "float64")
        from .laboratory import command

        console = Console(stderr=True)
        with console.status("reading") if console.is_terminal and not quiet else Silent() as status:
            page = command.page_of(energy, start, method or (), scene or (),
                                   lambda what: status.update(f"reading {what}"), allow_code)  # fmt: skip
            server = None if export else command.server_of(page, energy, method or ())
            if export:
                page.save(export)
        if server:
            command.serve(server, browser, quiet)
        elif not quiet:
            print(f"page: {export}")


@app.command("list")
def list_names(
    kind: Annotated[str, typer.Argument(help="Only this table: flows, schemes, optimizers, 'step rules', …")] = "",
    as_json: Json = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the tables as a page of documentation.")] = False,
) -> None:
    """List energies, flows, schemes, optimizers, step rules and methods with their equations."""
    from .listing import as_markdown, listing

    if markdown:
        print(as_markdown(), end="")
        return
    with bad_input_is_one_line():
        tables = listing(kind)
    if as_json:
        print(json.dumps(tables, ensure_ascii=False, indent=2))
        return
    for title, entries in tables.items():
        table = Table(title=title, title_justify="left", box=None, pad_edge=False)
        table.add_column("name", style="bold", no_wrap=True)
        table.add_column("what it is")
        for entry in entries.items():
            table.add_row(*entry)
        Console(markup=False).print(table)
        print()


def main() -> None:
    """The entry point of the command `gradientflow`."""
    end_at_signals()
    app()
