"""`gradientflow sweep`: the sweep that an experiment file describes, run, kept, shown and written."""

import contextlib
import importlib.util
import io
import json
import math
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import numpy as np
import tomli_w

from gradientflow._files import write_file, write_folder
from gradientflow.analysis.sweeps import Sweep, done_in, silent, sweep
from gradientflow.discretizers import Method
from gradientflow.flows import Energy, as_netcdf

from .experiment import Experiment
from .named import METHODS
from .swept import STEP, Range, Swept

_EXPORTED = (".csv", ".parquet")


class Making(eqx.Module):
    """From a method's step and parameter to the method.

    Attributes:
        energy: its energy.
        method: its name.
        fixed: what is not swept.
    """

    energy: Energy
    method: str
    fixed: dict[str, float]

    def __call__(self, **values: Any) -> Method:
        """The method with these values."""
        kind = METHODS[self.method]
        given = {"step" if name in STEP else name: value for name, value in (self.fixed | values).items()}
        return kind.make(self.energy, given["step"], given.get(kind.parameter, kind.default))


def run(experiment: Experiment, swept: Swept, store: str | None, quiet: bool = False, executor: Any = None) -> Sweep:
    """Runs it, or what of it is not in its store; quietly without a word of how far it is.

    Args:
        experiment: what the file says beside its sweep.
        swept: the sweep.
        store: its folder, if it is to be kept.
        quiet: whether to say nothing.
        executor: what chunks are sent to, unless they are run here.

    Raises:
        ValueError: as `sweep` does.
        TypeError: likewise.
    """
    E = experiment.make_energy()
    make = Making(E, swept.method, swept.fixed)
    over = {"key" if name == "seed" else name: _expanded(name, values) for name, values in swept.over.items()}
    options: dict[str, Any] = dict(swept.options)
    first = {name: values[0] for name, values in over.items() if name not in ("x0", "key")}
    if make(**first).flow.noise is None:
        if "key" in over:
            raise ValueError(f"sweep.over.seed: {swept.method} has no noise; leave `seed` out")
    elif "key" not in over:
        options["key"] = jax.random.key(experiment.seed)
    x0 = None if "x0" in over else experiment.start(E)
    with silent() if quiet else contextlib.nullcontext():
        return sweep(make, x0, over=over, store=store, executor=executor, **options)


def _expanded(name: str, values: Any) -> Any:
    if not isinstance(values, Range):
        return np.asarray(values)
    if name != "x0":
        return (np.geomspace if values.log else np.linspace)(values.first, values.last, values.count)
    sides = [np.linspace(*side) for side in zip(values.first, values.last, values.count, strict=True)]
    return np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, len(sides))


def summary(found: Sweep, swept: Swept) -> str:
    """How many ended how, the best lane, the longest step that did not diverge, and what is left to do."""
    lines = found.headline.split("\n")
    kept = np.flatnonzero(~np.isin(found.outcome.ravel(), ["diverged", "not run"]))
    name = next((name for name in STEP if name in swept.over), None)
    if name is not None and len(kept):
        steps = found.lanes.at(kept)[name]
        longest = found.lanes.one(int(kept[np.argmax(steps)]))
        told = ", ".join(f"{other} = {value:.6g}" for other, value in longest.items() if isinstance(value, float))
        lines.append(f"  longest step that did not diverge: {told}")
    return "\n".join(lines)


def status(store: str) -> str:
    """How much of a store is done.

    Raises:
        ValueError: if it is no sweep's store.
    """
    chunks, of_chunks, lanes, of_lanes = done_in(store)
    left = "nothing is left to do" if lanes == of_lanes else "the same command without --status goes on"
    return f"{store}: {lanes:,} of {of_lanes:,} lanes, {chunks} of {of_chunks} chunks; {left}"


def check_export(file: str) -> None:
    """Refuses what can't be written before anything is run.

    Raises:
        ValueError: naming the file and the remedy.
    """
    suffix = pathlib.Path(file).suffix
    if suffix not in _EXPORTED:
        raise ValueError(f"export: {file!r} must end in .csv or .parquet")
    if suffix == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise ValueError(
            f"export: {file!r} needs pyarrow, which is not installed: the extra [parquet]; or write a .csv"
        )


def export(found: Sweep, file: str) -> None:
    """A row a lane.

    Raises:
        OSError: if it can't be written.
    """
    table, buffer = found.table().reset_index(), io.BytesIO()
    if pathlib.Path(file).suffix == ".csv":
        table.to_csv(buffer, index=False)
    else:
        table.to_parquet(buffer, index=False)
    write_file("export", file, buffer.getvalue())


def save(found: Sweep, directory: str | os.PathLike[str], experiment: Experiment, table: Mapping[str, Any]) -> None:
    """Writes `table.csv`, `data.nc`, `figures/sweep.png` and `EXPERIMENT.toml`.

    Raises:
        ValueError: if the directory can't be written.
    """

    def fill(folder: pathlib.Path) -> None:
        found.plot().savefig(folder / "figures" / "sweep.png", dpi=140)
        found.table().to_csv(folder / "table.csv")
        (folder / "data.nc").write_bytes(as_netcdf(found.to_xarray()))
        (folder / "EXPERIMENT.toml").write_text(f"{experiment.to_toml()}\n{_as_toml(table)}", encoding="utf-8")

    write_folder(directory, fill)


def _as_toml(table: Mapping[str, Any]) -> str:
    """The table `[sweep]`, with what is swept in its order: the first is the figure's horizontal axis."""
    plain = tomli_w.dumps({"sweep": {name: value for name, value in table.items() if name != "over"}})
    over = []
    for name, value in table["over"].items():
        if isinstance(value, dict):
            parts = [" ".join(tomli_w.dumps({key: part}).split()) for key, part in value.items()]
            over.append(f"{name} = {{ {', '.join(parts)} }}")
        else:
            over.append(tomli_w.dumps({name: value}).strip())
    return "\n".join([plain, "[sweep.over]", *over, ""])


def as_json(found: Sweep) -> str:
    """A record a lane, to the last digit; null for what is not finite."""
    records = found.table().reset_index().astype(object).to_dict(orient="records")
    plain = [{name: _plain(value) for name, value in record.items()} for record in records]
    return json.dumps(plain, indent=2, ensure_ascii=False)


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
