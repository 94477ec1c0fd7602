"""`gradientflow lab`: the page that the command line's options describe, written or served."""

import contextlib
import os
import pathlib
import re
import threading
import webbrowser
from collections.abc import Callable, Sequence

import numpy as np

from gradientflow.flows import Energy

from ..entries import FILE
from ..experiment import Experiment
from ..named import label, make_method
from ..signals import first_interrupt_raises
from .kept import kept
from .lab import Lab, aside, lab
from .plane import plane_energy
from .scene import read_scene, shipped_scenes
from .server import Server

# What is shown of an energy without a word about methods.
_METHODS = ("gradient_descent", "momentum")
# The plane's customary start, for a function that says none.
_START = (1.0, 1.0)


def page_of(energy: str, x0: Sequence[float], methods: Sequence[str], scenes: Sequence[str],
            progress: Callable[[str], None], allow_code: bool = False) -> Lab:  # fmt: skip
    """The page of an energy and methods, of scenes' files, or of the scenes that come with the package.

    Args:
        energy: a landscape, a formula, or `FILE.py:FUNCTION`.
        x0: where runs start; the energy's customary start unless given.
        methods: `NAME[:step[:parameter]]`.
        scenes: files.
        progress: called with what is at work.
        allow_code: whether a scene may run a Python file that lies elsewhere.

    Raises:
        ValueError: if a file can't be read or is no scene, or runs what it may not; as `lab` does.
        TypeError: likewise.
    """
    if scenes:
        return Lab([read_scene(_text(file), file, pathlib.Path(file).parent, allow_code) for file in scenes], progress)
    if not (energy or methods or x0):
        return Lab(shipped_scenes(), progress, kept)
    E = Experiment(energy=energy).make_energy() if FILE.fullmatch(energy) or not energy else plane_energy(energy)
    return _on(E, x0 or (_START if FILE.fullmatch(energy) else ()), methods, progress, moved=not x0)


def server_of(page: Lab, energy: str, methods: Sequence[str]) -> Server:
    """What serves a page with a field for a formula.

    Args:
        page: the first one.
        energy: what stands in the field at first.
        methods: likewise, and what runs on a formula where nothing is said of methods.
    """

    def made(typed: str, named: str) -> str:
        specs = [spec for spec in re.split(r"[,;\s]+", named) if spec]
        shown = _on(plane_energy(typed.strip()), (), specs, lambda what: None, moved=True)
        return shown.write({"energy": typed.strip(), "methods": named.strip()})

    fields = {"energy": "" if FILE.fullmatch(energy) else energy, "methods": ", ".join(methods or _METHODS)}
    return Server(page.write(fields), made)


def serve(server: Server, browse: bool, quiet: bool) -> None:
    """Tells the address, opens a browser where that is wished, and serves until it is interrupted."""
    # From the moment that the address is told, Ctrl-C is how it ends.
    with first_interrupt_raises("\n"), contextlib.suppress(KeyboardInterrupt):
        if not quiet:
            print(f"page: {server.address} (Ctrl-C ends it)", flush=True)
        if browse:
            # A browser of the terminal returns when it is left.
            threading.Thread(target=webbrowser.open, args=(server.address,), daemon=True).start()
        server.run()


def _on(E: Energy, x0: Sequence[float], methods: Sequence[str], progress: Callable[[str], None], moved: bool) -> Lab:
    """Methods on an energy, with what is not said of steps and start; `moved`: from off where nothing would move."""
    asked = Experiment(question="stability", x0=tuple(x0), methods=tuple(methods) or _METHODS).resolve_on(E)
    made = {}
    for spec in asked.methods:
        method = make_method(spec, E)
        short = label(spec, method).split(" ")[0]
        made[short if short not in made else label(spec, method)] = method
    start = np.asarray(asked.x0, dtype=float)
    if moved and start.shape == (2,):
        start = start + aside(E, start)
    return lab(E, made, start, progress=progress)


def _text(file: str | os.PathLike[str]) -> str:
    try:
        return pathlib.Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ValueError(f"scene: {os.fspath(file)!r} can't be read: {reason}") from None
