"""How a command asks its question: what is checked before anything numerical is imported, JAX's start, the answer."""

import os
import pathlib
from typing import Any

from rich.console import Console

from gradientflow import _files

from .entries import check
from .mistakes import bad_input_is_one_line
from .printing import PRINTERS
from .vocabulary import DEVICES


def ask(
    question: str, x0: str, method: list[str] | None, device: str, out: str, as_json: bool, quiet: bool, **options: Any
) -> Any:
    """Runs the experiment that the options describe."""
    with bad_input_is_one_line():
        if x0:
            options["x0"] = numbers("x0", x0)
        if method:
            options["methods"] = tuple(method)
        check_asked(device, out, {"question": question} | options)
        from gradientflow.experiments.experiment import Experiment

        return run_asked(Experiment(question=question, **options), device, out, as_json, quiet)


def check_asked(device: str, out: str, entries: dict[str, Any], folder: str | os.PathLike[str] = "") -> None:
    """What needs nothing numerical, which takes seconds to import."""
    if device and device not in DEVICES:
        raise ValueError(f"device: must be cpu, gpu or tpu, got {device!r}")
    check(entries, folder)
    if out:
        _files.check_writable(out)


def run_asked(experiment: Any, device: str, out: str, as_json: bool, quiet: bool) -> Any:
    """Runs an experiment, prints its answer, and writes its report where one is asked for."""
    start_jax(device, experiment.precision)
    progress = Console(stderr=True)
    with progress.status("compiling") if progress.is_terminal and not quiet else Silent() as status:
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


def check_export(file: str) -> None:
    """Refuses a file that can't be the page's, before anything is computed.

    Raises:
        ValueError: naming it, and the remedy.
    """
    if pathlib.Path(file).suffix not in (".html", ".htm"):
        raise ValueError(f"export: {file!r} must end in .html")
    if not pathlib.Path(file).resolve().parent.is_dir():
        raise ValueError(f"export: there is no folder {str(pathlib.Path(file).parent)!r}")


def start_jax(device: str, precision: str) -> None:
    """Sets JAX to a device and a precision.

    Raises:
        ValueError: if there is no such device.
    """
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


def numbers(name: str, text: str) -> tuple[float, ...]:
    """The numbers of an option.

    Raises:
        ValueError: naming it.
    """
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"{name}: must be numbers separated by commas, got {text!r}") from None


class Silent:
    """Stands in for a progress display where there is no terminal."""

    def __enter__(self) -> "Silent":
        return self

    def __exit__(self, *_: Any) -> None:
        return None

    def update(self, _: str) -> None:
        """Says nothing."""
