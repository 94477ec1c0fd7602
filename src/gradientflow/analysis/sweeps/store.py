"""A folder that a sweep is kept in: what it is, a file a chunk, and who is at work on it.

A chunk's file appears whole or not at all, and its bytes are the same whoever writes it and when.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import socket
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

import jax
import numpy as np

import gradientflow
from gradientflow._files import check_writable, write_file
from gradientflow.flows import Ended, Status, as_netcdf, put_together, take_apart

from .digest import digest
from .task import Task

_SPEC, _LOCK = "sweep.json", "lock"
_FORMAT = 1


def spec_of(task: Task, chunks: list[tuple[int, int]]) -> dict[str, Any]:
    """What decides what a sweep finds, by name, as digests where it is more than a number."""
    values = {name: digest(column.values) for name, column in task.lanes.columns.items()}
    rest = {name: digest(getattr(task, name)) for name in ("x0", "key", "oracle", "limits", "solver")}
    plain = {name: getattr(task, name) for name in ("t0", "steps", "save_every", "record")}
    return {
        "format": _FORMAT, "gradientflow": gradientflow.__version__, "jax": version("jax"),
        "precision": "double" if jax.config.read("jax_enable_x64") else "single", "make": digest(task.make),
        "axes": [list(axis) for axis in task.lanes.axes], "over": values, **rest, **plain,
        "gtol": None if task.gtol is None else float(task.gtol), "chunks": [list(chunk) for chunk in chunks],
    }  # fmt: skip


class Store:
    """The folder of one sweep, held by this process until it is released.

    Args:
        folder: its path; made if it isn't there.
        spec: what the sweep is.

    Raises:
        ValueError: if the folder holds something else, or another sweep, naming what differs; or can't be written.
        BlockingIOError: if another process is at work on it.
    """

    def __init__(self, folder: str | os.PathLike[str], spec: Mapping[str, Any]) -> None:
        self.folder = pathlib.Path(folder)
        check_writable(self.folder)
        names = {entry.name for entry in self.folder.iterdir()}
        if names - {_LOCK} and _SPEC not in names:
            raise ValueError(f"sweep: store {self._name} is no sweep's: it holds {min(names)!r}; name another")
        self._hold()
        try:
            self._begin(json.loads(json.dumps(spec)))
        except BaseException:
            self.release()
            raise

    def _begin(self, spec: dict[str, Any]) -> None:
        file = self.folder / _SPEC
        if file.exists():
            found = read_spec(self.folder)
            different = [name for name in spec if found.get(name) != spec[name]]
            if different:
                raise ValueError(
                    f"sweep: store {self._name} is that of another sweep: {', '.join(map(repr, different))} differ"
                    f"{'s' if len(different) == 1 else ''}; name a new folder"
                )
        else:
            write_file("sweep", file, json.dumps(spec, indent=1).encode())
        # What a killed process left unfinished.
        for entry in self.folder.glob(".*.nc.*"):
            entry.unlink(missing_ok=True)

    def has(self, number: int) -> bool:
        """Whether a chunk is there."""
        return self._file(number).exists()

    def write(self, number: int, ended: Ended) -> None:
        """Puts a chunk's file in place."""
        write_file("sweep", self._file(number), as_netcdf(_dataset(ended)))

    def read(self, number: int) -> Ended:
        """A chunk's ends.

        Raises:
            ValueError: if its file is damaged.
        """
        return read_chunk(self._file(number))

    def release(self) -> None:
        """Lets others at it."""
        (self.folder / _LOCK).unlink(missing_ok=True)

    def _file(self, number: int) -> pathlib.Path:
        return _chunk_in(self.folder, number)

    @property
    def _name(self) -> str:
        return repr(str(self.folder))

    def _hold(self) -> None:
        lock, mine = self.folder / _LOCK, {"pid": os.getpid(), "host": socket.gethostname()}
        for _ in range(2):
            try:
                with open(lock, "x") as file:
                    json.dump(mine, file)
            except FileExistsError:
                holder = _holder(lock)
                if holder.get("host") == mine["host"] and not _is_alive(holder.get("pid")):
                    lock.unlink(missing_ok=True)
                    continue
                raise BlockingIOError(
                    f"sweep: store {self._name} is in use by process {holder.get('pid', 'unknown')} on "
                    f"{holder.get('host', 'an unknown host')}; wait for it, or remove {str(lock)!r} if it is gone"
                ) from None
            return
        raise BlockingIOError(f"sweep: store {self._name} is in use")


def _chunk_in(folder: pathlib.Path, number: int) -> pathlib.Path:
    return folder / f"chunk-{number:06d}.nc"


def done_in(folder: str | os.PathLike[str]) -> tuple[int, int, int, int]:
    """How many chunks of a store are there, of how many; and how many lanes are in them, of how many.

    Raises:
        ValueError: if the folder is no sweep's.
    """
    place = pathlib.Path(folder)
    sizes = [stop - start for start, stop in read_spec(place)["chunks"]]
    there = [size for number, size in enumerate(sizes) if _chunk_in(place, number).exists()]
    return len(there), len(sizes), sum(there), sum(sizes)


def read_spec(folder: pathlib.Path) -> dict[str, Any]:
    """What a store says that its sweep is.

    Raises:
        ValueError: if it can't be read.
    """
    try:
        return dict(json.loads((folder / _SPEC).read_text()))
    except FileNotFoundError:
        raise ValueError(f"sweep: there is no store in {str(folder)!r} yet; a sweep begins one") from None
    except (OSError, ValueError):
        raise ValueError(f"sweep: {str(folder / _SPEC)!r} can't be read: it is no sweep's, or damaged") from None


def read_chunk(file: pathlib.Path) -> Ended:
    """The ends that a chunk's file holds.

    Raises:
        ValueError: if it is damaged.
    """
    import xarray as xr

    try:
        with xr.open_dataset(file, engine="h5netcdf") as dataset:
            data = dataset.load()
        leaves = {str(name): data[name].values for name in data.data_vars}
        if data.attrs["digest"] != _digest(leaves):
            raise ValueError
        structure = json.loads(data.attrs["structure"])
    # What is no NetCDF file fails in xarray, h5netcdf or HDF5, each in its own way.
    except Exception:
        raise ValueError(f"sweep: {str(file)!r} is damaged; remove it, and its lanes are run again") from None
    x, rows = (jax.tree.map(np.asarray, put_together(structure[name], leaves)) for name in ("x", "rows"))
    energy, grad_norm, t, steps = (leaves[name] for name in ("energy", "grad_norm", "t", "steps"))
    status = Status(leaves["code"], leaves["step"], leaves["first_not_finite"])
    return Ended(x, energy, grad_norm, t, steps, status, rows)


def _dataset(ended: Ended) -> Any:
    import xarray as xr

    status = ended.status
    leaves: dict[str, np.ndarray] = {
        name: np.asarray(leaf)
        for name, leaf in zip(
            ("energy", "grad_norm", "t", "steps", "code", "step", "first_not_finite"),
            (*ended[1:5], status.code, status._step, status._first_not_finite),
            strict=True,
        )
    }
    structure = {name: take_apart(name, tree, leaves) for name, tree in (("x", ended.x), ("rows", ended.rows))}
    data = {
        name: (["lane", *(f"{name}_{axis}" for axis in range(leaf.ndim - 1))], leaf) for name, leaf in leaves.items()
    }
    return xr.Dataset(data, attrs={"structure": json.dumps(structure), "digest": _digest(leaves)})


def _digest(leaves: Mapping[str, np.ndarray]) -> str:
    found = hashlib.sha256()
    for name in sorted(leaves):
        found.update(name.encode() + np.ascontiguousarray(leaves[name]).tobytes())
    return found.hexdigest()


def _holder(lock: pathlib.Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        return dict(json.loads(lock.read_text()))
    return {}


def _is_alive(pid: Any) -> bool:
    if not isinstance(pid, int):
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextlib.contextmanager
def held(folder: str | os.PathLike[str] | None, task: Task, chunks: list[tuple[int, int]]) -> Iterator[Store | None]:
    """The store of a sweep, or none."""
    if folder is None:
        yield None
        return
    store = Store(folder, spec_of(task, chunks))
    try:
        yield store
    finally:
        store.release()
