"""`film`: a flow and its iterates on one clock, an ensemble that spreads, a step that grows."""

import functools
import html
import os
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradientflow._files import write_file
from gradientflow.discretizers import Chains
from gradientflow.flows import Trajectory, check_fits, check_integer, check_positive, looks_at_numbers
from gradientflow.flows.checks import in_a_line

from ..comparison.compare import Comparison
from ..linear_stability.stability import Stability
from .asked import flow_of
from .ensembles import of_chains
from .scene import Scene
from .steps import of_stability
from .ways import of_comparison, of_runs
from .writing import WRITERS, as_page


class Film:
    """A film: `.save(file)` writes it, a notebook shows it with its controls, `.html()` is the page.

    Attributes:
        scene: what is shown.
        seconds: how long it takes [s].

    Example:
        >>> import gradientflow as gf
        >>> descent = gf.optimizers.gradient_descent(gf.landscapes.bowl(), lr=0.1)
        >>> film = gf.film({"descent": descent.iterate([3.0, 1.0], steps=20)}, frames=10)
        >>> film, film.html().startswith("<!doctype html>")
        (Film(descent: 10 frames, 8 s); .save('film.gif') writes it, True)
    """

    def __init__(self, scene: Scene, seconds: float) -> None:
        self.scene, self.seconds = scene, seconds

    @functools.cached_property
    def _page(self) -> str:
        return as_page(self.scene, self.seconds)

    def html(self) -> str:
        """A page that needs nothing beside it: play, pause, a slider, and keys (space, arrows, home, end)."""
        return self._page

    def save(self, file: str | os.PathLike[str]) -> None:
        """Writes it, as its name ends: .gif, .mp4 or .html.

        Raises:
            ValueError: for another ending.
            ModuleNotFoundError: for .mp4 without imageio-ffmpeg, which `pip install gradientflow[film]` brings.
            TypeError: for what is no path.
            OSError: if its folder isn't there, or it can't be written.
        """
        write_file("film", file, WRITERS[_ending(file)](self.scene, self.seconds))

    def __repr__(self) -> str:
        """What it shows, and how long it takes."""
        return (
            f"Film({self.scene.name}: {len(self.scene.said)} frames, {self.seconds:g} s); .save('film.gif') writes it"
        )

    def _repr_html_(self) -> str:
        """For notebooks: the page in a frame of its own."""
        page = html.escape(self.html(), quote=True)
        width, height = (int(100 * inches) for inches in self.scene.figure.get_size_inches())
        return (
            f'<iframe title="film" sandbox="allow-scripts" srcdoc="{page}" '
            f'style="width: 100%; max-width: {width + 40}px; height: {height + 110}px; border: 0"></iframe>'
        )


@looks_at_numbers
def film(
    what: Any, file: str | os.PathLike[str] | None = None, *, flow: Any = None, frames: int = 200,
    seconds: float = 8.0, title: str | None = None,
) -> Film:  # fmt: skip
    """A film on the flow's own clock: at each moment every path and every run is where it is at that time.

    Of a comparison, a path, a run, or several by their labels: the landscape with their ways growing on it, and below
    it their energies. Of more than two unknowns the landscape is cut by the plane in which most of the first one's way
    lies, as `gf.plots.plane` cuts it, and the share of the way that the plane holds is told; of one it is the graph.
    A run that diverges leaves the frame, and is drawn as long as it is finite; the legend says until when that is.
    Of chains (`gf.sample`): the particles, and in one dimension how often they are where beside e^(−E/T). Of a
    stability reading the clock is the step h: the eigenvalues of a step as it grows, against the unit circle.

    Args:
        what: a `Comparison`, a `Trajectory` or a batch of one, {label: Trajectory}, `Chains`, or a `Stability`.
        file: where to write it, ending in .gif, .mp4 (which takes `pip install gradientflow[film]`) or .html, a page
            with controls; without one it is shown by a notebook, and written by `.save`.
        flow: a flow or an energy: whose landscape lies below paths, runs and chains, which know of none. Of chains
            its temperature is that of the density.
        frames: how many pictures.
        seconds: how long it takes [s].
        title: a title.

    Raises:
        TypeError: for what can't be filmed.
        FileNotFoundError: for a file in a folder that isn't there.
        ValueError: for a file with another ending, a flow of other positions, runs that don't move in more than two
            unknowns, or a batch or chains of more than two.
        ModuleNotFoundError: for .mp4 without imageio-ffmpeg.

    Example:
        >>> import gradientflow as gf
        >>> E = gf.Quadratic([[1.0, 0.0], [0.0, 9.0]])
        >>> path = gf.integrate(gf.GradientFlow(E), [3.0, 1.0], 2.0)
        >>> run = gf.optimizers.gradient_descent(E, lr=0.2).iterate([3.0, 1.0], 10)
        >>> gf.film({"flow": path, "gradient descent": run}, flow=E, frames=50)
        Film(flow, gradient descent: 50 frames, 8 s); .save('film.gif') writes it
    """
    check_integer("film", 2, frames=frames)
    check_positive("film", seconds=seconds)
    if file is not None:
        _ending(file)
    below = None if flow is None else flow_of("film", flow, "`flow`")
    made = Film(_scene(what, below, frames, title), float(seconds))
    if file is not None:
        made.save(file)
    return made


def _scene(what: Any, flow: Any, frames: int, title: str | None) -> Scene:
    if isinstance(what, Comparison):
        return of_comparison(what, frames, title)
    if isinstance(what, Stability):
        return of_stability(what, frames, title)
    if isinstance(what, Chains):
        _check_flow(flow, what.x, leading=2)
        return of_chains(what, flow, frames, title)
    runs = {"": what} if isinstance(what, Trajectory) else what
    if not (isinstance(runs, Mapping) and runs and all(isinstance(run, Trajectory) for run in runs.values())):
        raise TypeError(
            "film: the first argument must be a comparison, a path or run, several by label, chains, or a stability "
            f"reading, got {in_a_line(what)}"
        )
    for run in runs.values():
        _check_flow(flow, run.x, leading=np.ndim(run.t))
    return of_runs(runs, flow, frames, title)


def _check_flow(flow: Any, x: Any, leading: int) -> None:
    """Refuses a flow whose energy is not one of the positions that are filmed."""
    if flow is not None and flow.has_energy:
        first = jax.tree.map(lambda leaf: jnp.asarray(leaf)[(0,) * leading], x)
        try:
            check_fits("film", "flow", flow.energy, first)
        except ValueError:
            shapes = ", ".join(str(leaf.shape) for leaf in jax.tree.leaves(first))
            raise ValueError(
                f"film: `flow` must take the positions that are filmed, of shape {shapes}, and this {flow.name} doesn't"
            ) from None


def _ending(file: str | os.PathLike[str]) -> str:
    try:
        name = os.fspath(file)
    except TypeError:
        raise TypeError(f"film: `file` must be a path, 'film.gif' say, got {in_a_line(file)}") from None
    ending = os.path.splitext(name)[1].lower()
    if ending not in WRITERS:
        raise ValueError(f"film: `file` must end in {', '.join(WRITERS)}, got {name!r}")
    folder = os.path.dirname(name)
    if folder and not os.path.isdir(folder):
        raise FileNotFoundError(f"film: `file` must lie in a folder that is there, got {name!r}; make {folder!r} first")
    return ending
