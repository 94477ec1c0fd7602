"""Files that are never worse after a failure than before: written beside, synced, and put in place by one rename.

Nothing numerical is imported here.
"""

import contextlib
import ctypes
import os
import pathlib
import secrets
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator

# What is being written beside its place, for `abandon`.
_unfinished: set[pathlib.Path] = set()
# Held while results are begun and put in place; by a process that ends, for ever.
_placing = threading.Lock()
_ending = threading.Event()
_AT_WORKING_DIRECTORY, _EXCHANGE = -100, 2


def write_file(where: str, file: str | os.PathLike[str], content: bytes) -> None:
    """Writes a file, or leaves what was there.

    Args:
        where: who asks.
        file: its path.
        content: all of it.

    Raises:
        OSError: of its own kind, in a line: if it can't be written.
    """
    target = _place(file)
    had = _kept(target)
    try:
        if target.exists() and not target.is_file():
            # A device or a pipe is written to; a folder refuses it.
            target.write_bytes(content)
            return
        with _beside(target, folder=False) as new:
            new.write_bytes(content)
            _keep_mode(target, new)
            _sync(new)
            with _placing:
                os.replace(new, target)
        _sync(target.parent)
    except OSError as error:
        raise type(error)(f"{where}: {os.fspath(file)!r} can't be written: {error.strerror}{had}") from None


def write_folder(directory: str | os.PathLike[str], fill: Callable[[pathlib.Path], None]) -> None:
    """Makes a folder's contents in a new one beside it, which then takes its place: all of a result, or the old one.

    Where the folder holds what no result has, or nothing can be made beside it, files are put in place one by one.

    Args:
        directory: where they go; made if it isn't there.
        fill: writes them into a folder that it is given, which has an empty folder `figures`.

    Raises:
        ValueError: if the directory can't be written; what was there stays.
    """
    target = _place(directory)
    had = _kept(target)
    check_writable(directory)
    try:
        inside = not _is_ours(target) or os.path.ismount(target) or not _can_write(target.parent)
        with _beside(target / "new" if inside else target, folder=True) as new:
            (new / "figures").mkdir()
            fill(new)
            for entry in new.rglob("*"):
                _sync(entry)
            with _placing:
                _put_inside(new, target) if inside else _put(new, target)
            _sync(target if inside else target.parent)
    except OSError as error:
        raise ValueError(
            f"out: directory {os.fspath(directory)!r} can't be written: {error.strerror or error}{had}"
        ) from None


def check_writable(directory: str | os.PathLike[str]) -> None:
    """Refuses a directory that can't be made or written to, before any work is done.

    Raises:
        ValueError: naming it.
    """
    target = pathlib.Path(directory)
    try:
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=target):
            pass
    except OSError as error:
        raise ValueError(f"out: directory {str(target)!r} can't be written: {error.strerror}") from None


def abandon() -> None:
    """Removes what is unfinished, before a process ends in the middle of its work; waits for what is being placed."""
    _ending.set()
    _placing.acquire(timeout=10)
    for path in list(_unfinished):
        _remove(path)


# The names of which a result consists.
_OURS = frozenset({"report.html", "table.csv", "data.nc", "figures", "EXPERIMENT.toml"})


def _is_ours(folder: pathlib.Path) -> bool:
    """Whether it holds one of our results, or nothing, and nothing else."""
    names = {entry.name for entry in folder.iterdir()}
    return not names or ("report.html" in names and names <= _OURS)


def _place(path: str | os.PathLike[str]) -> pathlib.Path:
    """The absolute path, through links: what a link stands for is replaced, and not the link."""
    return pathlib.Path(os.path.realpath(path))


@contextlib.contextmanager
def _beside(target: pathlib.Path, folder: bool) -> Iterator[pathlib.Path]:
    """A new file or folder in the same folder; what is left of it in the end is removed."""
    new = target.with_name(f".{target.name[:100]}.{secrets.token_hex(4)}")
    with _placing:
        _unfinished.add(new)
        new.mkdir() if folder else new.touch()
    try:
        yield new
    except OSError:
        # Its files were removed below it: there is nothing to say beside what is said of the end.
        while _ending.is_set():
            time.sleep(1)
        raise
    finally:
        _remove(new)
        _unfinished.discard(new)


def _remove(path: pathlib.Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def _put(new: pathlib.Path, target: pathlib.Path) -> None:
    """The new folder in the old one's place; the old one in the new one's, or nowhere."""
    _keep_mode(target, new)
    if not any(target.iterdir()):
        os.rename(new, target)
    elif not _exchanged(new, target):
        old = new.with_name(f"{new.name}.old")
        os.rename(target, old)
        os.rename(new, target)
        _remove(old)


def _put_inside(new: pathlib.Path, target: pathlib.Path) -> None:
    """Every file of the new folder in its place; the report last, so that it never stands beside older numbers."""
    for entry in sorted(new.rglob("*"), key=lambda entry: (entry.is_file(), entry.name == "report.html")):
        place = target / entry.relative_to(new)
        if entry.is_dir():
            place.mkdir(exist_ok=True)
        else:
            os.replace(entry, place)


def _exchanged(one: pathlib.Path, other: pathlib.Path) -> bool:
    """Exchanges two folders in one step where the system can."""
    if sys.platform != "linux":
        return False
    try:
        exchange = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    here = _AT_WORKING_DIRECTORY
    return exchange(here, os.fsencode(one), here, os.fsencode(other), _EXCHANGE) == 0


def _keep_mode(old: pathlib.Path, new: pathlib.Path) -> None:
    """Mode and owner of what is replaced; what is new has them by the umask."""
    with contextlib.suppress(OSError):
        found = os.stat(old)
        os.chmod(new, found.st_mode & 0o7777)
        if (found.st_uid, found.st_gid) != (os.geteuid(), os.getegid()):
            os.chown(new, found.st_uid, found.st_gid)


def _can_write(folder: pathlib.Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _sync(path: pathlib.Path) -> None:
    """To the disk; where folders can't be synced there is nothing to do."""
    if path.is_dir() and os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _kept(target: pathlib.Path) -> str:
    full = (target.is_dir() and any(target.iterdir())) or target.is_file()
    return "; what was there is unchanged" if full else ""
