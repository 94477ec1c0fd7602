"""A trajectory from the file that it was saved in."""

import json
import os
from typing import Any

import jax

from .checks import by_name
from .saved import put_together, restored, unnamed
from .status import Outcome, said
from .trajectory import Stats, Trajectory


@by_name
def load(file: str | os.PathLike[str]) -> Trajectory:
    """Reads what `Trajectory.save` wrote, with positions and states as they were: `load(file).state[-1]` goes on.

    A class of the user's own comes back as a dictionary by its fields.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is not a saved trajectory.

    Example:
        >>> import pathlib, tempfile
        >>> import gradientflow as gf
        >>> run = gf.optimizers.gradient_descent(gf.landscapes.bowl(), lr=0.1).iterate([3.0, 1.0], steps=100)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     run.save(pathlib.Path(folder, "run.nc"))
        ...     gf.load(pathlib.Path(folder, "run.nc")).x.shape
        (101, 2)
    """
    name = os.fspath(file)
    if not os.path.exists(name):
        raise FileNotFoundError(f"load: there is no file {name!r}")
    try:
        data = _read(name)
        return _trajectory(data, json.loads(data.attrs.get("structure", "null")))
    except (KeyError, json.JSONDecodeError):
        raise ValueError(f"load: {name!r} is not a trajectory saved by gradientflow") from None


def _read(name: str) -> Any:
    """A file's dataset."""
    import xarray as xr

    if not os.path.isfile(name):
        raise ValueError(f"load: {name!r} is no file; give the one that `save` wrote")
    try:
        with xr.open_dataset(name, engine="h5netcdf") as dataset:
            return dataset.load()
    except PermissionError as error:
        raise PermissionError(f"load: {name!r} can't be read: {error.strerror}") from None
    # What is no NetCDF file fails in xarray, h5netcdf or HDF5, each in its own way.
    except Exception:
        raise ValueError(f"load: {name!r} is not a trajectory saved by gradientflow: it is no NetCDF file") from None


def _trajectory(data: Any, structure: Any) -> Trajectory:
    def number(*names: str) -> int | None:
        value = next((int(data.attrs[name]) for name in names if name in data.attrs), -1)
        return None if value < 0 else value

    def floats(name: str) -> jax.Array:
        return restored(data[name].values, structure["dtype"] if structure else "")

    leaves = {str(name): data[name].values for name in data.data_vars}
    return Trajectory(
        t=floats("t"),
        x=put_together(structure["x"] if structure else unnamed("x", leaves), leaves),
        state=put_together(structure["state"] if structure else unnamed("state", leaves), leaves),
        energy=floats("energy"),
        grad_norm=floats("grad_norm"),
        status=said(
            Outcome(data.attrs["outcome"]),
            data.attrs["detail"],
            number("step", "diverged_at_step"),
            number("first_not_finite"),
        ),
        stats=Stats(**json.loads(data.attrs["stats"])),
        steps=jax.device_put(data["step"].values),
    )
