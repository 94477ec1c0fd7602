"""`gradientflow lab`: the page that the command line's options describe."""

import os
import pathlib
from collections.abc import Callable, Sequence

import numpy as np

from ..experiment import Experiment
from ..named import label, make_method
from .lab import Lab, aside, lab
from .scene import read_scene

# What is shown of an energy without a word about methods.
_METHODS = ("gradient_descent", "momentum")


def page_of(energy: str, x0: Sequence[float], methods: Sequence[str], scenes: Sequence[str],
            progress: Callable[[str], None]) -> Lab:  # fmt: skip
    """The page of an energy and methods, of scenes' files, or of the scenes that come with the package.

    Raises:
        ValueError: if a file can't be read or is no scene; as `lab` does.
        TypeError: likewise.
    """
    if scenes:
        return Lab([read_scene(_text(file), file) for file in scenes], progress)
    if not (energy or methods or x0):
        return lab(progress=progress)
    asked = Experiment(question="stability", energy=energy, x0=tuple(x0), methods=tuple(methods) or _METHODS).resolve()
    E = asked.make_energy()
    made = {}
    for spec in asked.methods:
        method = make_method(spec, E)
        short = label(spec, method).split(" ")[0]
        made[short if short not in made else label(spec, method)] = method
    start = np.asarray(asked.x0, dtype=float)
    if not x0 and start.shape == (2,):
        start = start + aside(E, start)
    return lab(E, made, start, progress=progress)


def _text(file: str | os.PathLike[str]) -> str:
    try:
        return pathlib.Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ValueError(f"scene: {os.fspath(file)!r} can't be read: {reason}") from None
