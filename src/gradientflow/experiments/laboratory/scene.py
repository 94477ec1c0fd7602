"""Scenes: an energy, methods and a start that ask one question. Those that come with the package are small files."""

import dataclasses
import math
import os
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradientflow.analysis.results.page import describe_energy
from gradientflow.discretizers import Method
from gradientflow.flows import Energy, GradientFlow, Quadratic, integrate, landscapes

from ..entries import check_code
from ..experiment import Experiment
from ..named import label, make_method

_KEYS = ("title", "question", "hint", "energy", "matrix", "methods", "x0", "box", "steps", "ranges", "show", "clock",
         "minima")  # fmt: skip
PANELS = ("slice", "energy", "distance", "modes", "phase", "density", "sharpness")
CLOCKS = ("time", "gradients", "steps")
# So near 0 a gradient of rounded numbers is one of 0.
_FLAT = 1e-9
_SHOWN = ("slice", "energy", "modes")


@dataclasses.dataclass(frozen=True)
class Scene:
    """What a page shows at once.

    Attributes:
        energy: of two variables.
        methods: by label.
        x0: where they start.
        title: its name in the list.
        question: what it asks, in a sentence.
        hint: what to try.
        box: a lower and an upper bound for each coordinate.
        steps: how many are drawn.
        ranges: by a parameter's name, its least and its greatest value.
        clock: on which clock methods are compared: `time`, `gradients` or `steps`.
        given_minima: minima, where the energy doesn't tell them itself.
        show: the panels beside the landscape, of `PANELS`.
    """

    energy: Energy
    methods: Mapping[str, Method]
    x0: tuple[float, float]
    title: str = ""
    question: str = ""
    hint: str = ""
    box: tuple[Any, Any] | None = None
    steps: int = 60
    ranges: Mapping[str, Sequence[float]] = dataclasses.field(default_factory=dict)
    show: tuple[str, ...] = _SHOWN
    clock: str = "time"
    given_minima: tuple[tuple[float, float], ...] = ()

    def minima(self) -> list[tuple[float, float]]:
        """The minima that are known, or the one at which the gradient flow from the start comes to rest.

        Raises:
            ValueError: if one that was given is none, as far as derivatives say.
        """
        for point in self.given_minima:
            _check_minimum(self.energy, point)
        known = self.given_minima or getattr(self.energy, "minima", ())
        if known:
            return [(float(p[0]), float(p[1])) for p in known]
        at = self.energy.minimizer
        if at is None and getattr(self.energy, "minima", None) is None:
            path = integrate(GradientFlow(self.energy), jnp.asarray(self.x0), math.inf)
            at = path.x[-1] if path.status == "converged" else None
        return [] if at is None else [(float(at[0]), float(at[1]))]

    def window(self, minima: list[tuple[float, float]]) -> tuple[tuple[float, float], tuple[float, float]]:
        """What of the plane is drawn: the box, the energy's own, or what holds the start and the minima."""
        known = self.energy.domain if self.box is None and isinstance(self.energy, landscapes.Landscape) else self.box
        if known is not None:
            (a, b), (c, d) = known
            return (float(a), float(b)), (float(c), float(d))
        points = np.array([self.x0, *minima])
        middle = (points.max(axis=0) + points.min(axis=0)) / 2
        half = max(0.75 * float(np.ptp(points, axis=0).max()), 1.5)
        (a, b), (c, d) = ((float(m) - half, float(m) + half) for m in middle)
        return ((a, b), (c, d))

    def describe(self) -> str:
        """The energy in a line; a quadratic of the plane with its numbers."""
        if isinstance(self.energy, Quadratic) and np.shape(self.energy.H) == (2, 2):
            (a, b), (_, d) = np.asarray(self.energy.H)
            terms = [(a / 2, "x²"), (b, "xy"), (d / 2, "y²"), *zip(-np.asarray(self.energy.b), "xy", strict=True)]
            shown = " + ".join(f"{'' if c == 1 else f'{c:g}'}{name}" for c, name in terms if c)
            return f"E = {shown.replace('+ -', '− ')}"
        return describe_energy(self.energy)


def _check_minimum(E: Energy, point: tuple[float, float]) -> None:
    # In one program: operation by operation it would be dozens.
    derivatives = jax.jit(lambda x: (jax.grad(E.value)(x), jax.hessian(E.value)(x)))
    slope, hessian = map(np.asarray, derivatives(jnp.asarray(point)))
    bends = np.linalg.eigvalsh(hessian)
    if not (np.abs(slope).max() <= _FLAT * max(1.0, np.abs(bends).max()) and bends[0] >= -_FLAT * np.abs(bends).max()):
        raise ValueError(f"scene: `minima` has {list(point)}, where the gradient is {slope.tolist()}, no minimum")


def read_scene(text: str, where: str = "scene", folder: str | os.PathLike[str] = ".",
               allow_code: bool = False) -> Scene:  # fmt: skip
    """A scene from its file.

    Args:
        text: what the file has.
        where: its name, for what is said of it.
        folder: where it lies, and what it names.
        allow_code: whether it may run a Python file that lies elsewhere.

    Raises:
        ValueError: if it isn't TOML, an entry is not known or missing, its energy or a method is none, or it runs what
            it may not.
    """
    try:
        entries = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{where}: not valid TOML: {error}") from None
    unknown = sorted(set(entries) - set(_KEYS))
    if unknown:
        raise ValueError(f"{where}: unknown entry {unknown[0]!r}. Known: {', '.join(_KEYS)}")
    missing = [name for name in ("title", "question", "methods", "x0") if name not in entries]
    if missing:
        raise ValueError(f"{where}: the entry {missing[0]!r} is missing")
    shown = tuple(entries.get("show", _SHOWN))
    if set(shown) - set(PANELS):
        raise ValueError(f"{where}: `show` may have {', '.join(PANELS)}, got {', '.join(shown)}")
    clock = entries.get("clock", "time")
    if clock not in CLOCKS:
        raise ValueError(f"{where}: `clock` must be {', '.join(CLOCKS)}, got {clock!r}")
    x0 = tuple(float(number) for number in entries["x0"])
    if "matrix" in entries:
        E: Energy = Quadratic(entries["matrix"])
    else:
        asked = {"energy": entries.get("energy", ""), "x0": x0}
        check_code(asked, folder, allow_code)
        E = Experiment.of_entries(asked, folder).make_energy()
    methods = {}
    for spec in entries["methods"]:
        method = make_method(spec, E)
        methods[label(spec, method).split(" ")[0]] = method
    box = entries.get("box")
    return Scene(
        E, methods, (x0[0], x0[1]), entries["title"], entries["question"], entries.get("hint", ""),
        None if box is None else (tuple(box[0]), tuple(box[1])), int(entries.get("steps", 60)),
        entries.get("ranges", {}), shown, clock,
        tuple((float(p[0]), float(p[1])) for p in entries.get("minima", ())),
    )  # fmt: skip


def shipped_scenes() -> list[Scene]:
    """The scenes that come with the package, in order."""
    folder = resources.files("gradientflow.experiments.laboratory").joinpath("scenes")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".toml")), key=lambda file: file.name)
    return [read_scene(file.read_text(encoding="utf-8"), file.name) for file in files]


def label_of(given: Any, method: Method, taken: Sequence[str]) -> str:
    """A method's label: the one given, its constructor's name, or its scheme's and flow's."""
    if given is not None:
        return str(given)
    name = method.name if method.named is None else getattr(method.named.make, "__name__", method.name)
    found, number = name, 2
    while found in taken:
        found, number = f"{name} {number}", number + 1
    return found
