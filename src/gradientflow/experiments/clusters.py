"""Executors of many machines, for a sweep on the command line: Dask's workers, or jobs of Slurm."""

import importlib.util
import pathlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# How long to wait for a scheduler [s].
_PATIENCE = 10


def check_clusters(dask: str, slurm: str, store: str) -> None:
    """Refuses what can't be reached, before anything numerical is imported.

    Raises:
        ValueError: naming the option and the remedy.
    """
    if dask and slurm:
        raise ValueError("sweep: give --dask or --slurm, not both")
    for name, asked, package in (("dask", dask, "distributed"), ("slurm", slurm, "submitit")):
        if asked and importlib.util.find_spec(package) is None:
            raise ValueError(f"{name}: {package} is not installed; pip install 'gradientflow[cluster]'")
    if slurm:
        if not store:
            raise ValueError("slurm: give --store DIR too, a folder that all machines see; jobs are kept beside it")
        if parameters_of(slurm).get("cluster") is None and shutil.which("srun") is None:
            raise ValueError("slurm: there is no Slurm here, srun is not found; run it on a login node, or give --dask")


@contextmanager
def executor_of(dask: str, slurm: str, store: str) -> Iterator[Any]:
    """An executor for a sweep's chunks; `None` where neither is asked for.

    Args:
        dask: the address of a scheduler of Dask's, `tcp://host:8786` say, or its file.
        slurm: parameters of submitit's by name, `slurm_partition=cpu,timeout_min=60`; with `cluster=local` jobs are
            processes on this machine.
        store: the sweep's folder; jobs and their logs go into one beside it, `-jobs`.

    Raises:
        ValueError: if it can't be reached, or a parameter is unknown.
    """
    if slurm:
        yield _of_slurm(slurm, store)
        return
    if not dask:
        yield None
        return
    distributed: Any = importlib.import_module("distributed")
    try:
        where = {"scheduler_file": dask} if pathlib.Path(dask).is_file() else {"address": dask}
        client = distributed.Client(**where, timeout=_PATIENCE)
    except (OSError, ValueError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"dask: no scheduler answers at {dask!r} within {_PATIENCE} s: {said}") from error
    with client:
        yield client.get_executor()


def parameters_of(text: str) -> dict[str, Any]:
    """`name=value` by commas, numbers as numbers.

    Raises:
        ValueError: if a part is none.
    """
    found: dict[str, Any] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = part.partition("=")
        if not equals or not name or not value:
            raise ValueError(f"slurm: parameters are written name=value,name=value, got {part!r}")
        found[name.strip()] = int(value) if value.strip().isdigit() else value.strip()
    return found


def _of_slurm(text: str, store: str) -> Any:
    submitit: Any = importlib.import_module("submitit")
    parameters = parameters_of(text)
    beside = pathlib.Path(store).with_name(f"{pathlib.Path(store).name}-jobs")
    try:
        executor = submitit.AutoExecutor(folder=beside, cluster=parameters.pop("cluster", None))
        executor.update_parameters(**parameters)
    except (NameError, TypeError, ValueError) as error:
        raise ValueError(f"slurm: {'; '.join(str(error).splitlines())}") from error
    return executor
