"""A recorded run of training as a page: its loss and its curvature against what the step allows, scrubbed."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from gradientflow.analysis.curvature import Spectrum
from gradientflow.analysis.linear_stability import EdgeOfStability
from gradientflow.flows import Trajectory

from .pages import Page, as_literal, filled

_SCRIPTS = ("document.js", "drawing.js", "training.js")
# Of a longer run every so many-th step is shown: a picture has fewer points, and a page has an end.
_MOST_STEPS = 6000
# What is left of digits that no picture shows.
_DIGITS = 6
# A limit that is inversely proportional to the curvature is one curvature, whatever the run met.
_SAME = 1e-6


class TrainingPage(Page):
    """A page of a recorded run: `.save(file)` writes it, a notebook shows it, `.html()` is its text.

    Attributes:
        edge: the curvature along the run, and what the step allows.
        run: the run itself, with the loss at each saved step; of `None` that at the steps that were looked at.
        spectrum: more of the greatest eigenvalues along the run.
        paths: by label, others on the same clock: paths, and what is known of their curvature.
        title: of the page.
        question: in a sentence.
    """

    def __init__(
        self,
        edge: EdgeOfStability,
        run: Any = None,
        spectrum: Any = None,
        paths: Mapping[str, Any] | None = None,
        title: str = "",
        question: str = "",
    ) -> None:
        self.edge, self.run, self.spectrum = edge, run, spectrum
        self.paths = {label: _pair(label, path) for label, path in (paths or {}).items()}
        self.title, self.question = title, question
        for name, kind, value in (("run", Trajectory, run), ("spectrum", Spectrum, spectrum)):
            if value is not None and not isinstance(value, kind):
                raise TypeError(f"lab: `{name}` must be a {kind.__name__}, got {type(value).__name__}")
        if spectrum is not None and spectrum.steps is None:
            raise ValueError("lab: `spectrum` is that of a point; give the run's, curvature(loss, run, top=3)")
        if run is not None and not _is_of(edge, run):
            raise ValueError("lab: `run` has other losses than those that `edge_of_stability` met; give it that run's")

    def facts(self) -> dict[str, Any]:
        """What the page shows: lists of numbers by name, with `None` for what is not finite."""
        edge, run = self.edge, self.run
        steps, loss = (edge.steps, edge.energy) if run is None else (np.asarray(run.steps), np.asarray(run.energy))
        every = -(-len(steps) // _MOST_STEPS)
        held = edge.preconditioned is not None
        return {
            "title": self.title or "A run of training",
            "question": self.question,
            "every": int(every),
            "steps": steps[::every].tolist(),
            "loss": _rounded(loss[::every]),
            "looked": {
                "steps": edge.steps.tolist(),
                "curvature": _rounded(edge.preconditioned if held else edge.sharpness),
                "allowed": _rounded(allowed(edge)),
                "share": _rounded(_share(edge)),
            },
            "held": held,
            "grade": str(edge.grade),
            "why": edge.why_so(),
            "more": [] if self.spectrum is None or held else self._more(self.spectrum),
            "paths": [self._path(label, *pair) for label, pair in self.paths.items()],
        }

    def write(self, served: Mapping[str, Any] | None = None) -> str:
        """The page's text.

        Args:
            served: of no use here: there is nothing to type.
        """
        return filled("training.html", _SCRIPTS, f"const RUN = {as_literal(self.facts())};")

    def __repr__(self) -> str:
        """What is on it."""
        beside = "".join(f", beside {label}" for label in self.paths)
        return f"TrainingPage({len(self.edge.steps)} looks{beside}); .save('run.html') writes the page"

    def _more(self, spectrum: Spectrum) -> list[dict[str, Any]]:
        """The eigenvalues below the greatest one, which the edge has."""
        assert spectrum.steps is not None
        rows = spectrum.eigenvalues
        return [
            {"steps": np.asarray(spectrum.steps).tolist(), "curvature": _rounded(rows[:, column])}
            for column in range(rows.shape[1] - 2, -1, -1)
        ]

    def _path(self, label: str, path: Trajectory, spectrum: Spectrum | None) -> dict[str, Any]:
        """Another run at the steps at which this one has its times."""
        steps = self._steps_at(np.asarray(path.t, dtype=float))
        every = -(-len(steps) // _MOST_STEPS)
        found = {"label": label, "steps": _rounded(steps[::every]), "loss": _rounded(np.asarray(path.energy)[::every])}
        if spectrum is not None:
            # The spectrum's steps are the path's own, by which its rows are found.
            rows = np.searchsorted(np.asarray(path.steps), np.asarray(spectrum.steps))
            found["looked"] = {"steps": _rounded(steps[rows]), "curvature": _rounded(spectrum.sharpness)}
        return found

    def _steps_at(self, t: np.ndarray) -> np.ndarray:
        own_t, own = (self.edge.t, self.edge.steps) if self.run is None else (self.run.t, self.run.steps)
        return np.interp(t, np.asarray(own_t, dtype=float), np.asarray(own, dtype=float), right=np.nan)


def allowed(edge: EdgeOfStability) -> np.ndarray:
    """The curvature that the step allows at each look: 2/h of gradient descent; of what adapts the threshold of P⁻¹H.

    NaN where the limit is known as a step only, as of a flow with inertia whose friction stays.
    """
    if edge.preconditioned is not None:
        assert edge.threshold is not None
        return np.asarray(edge.threshold, dtype=float)
    with np.errstate(all="ignore"):
        if edge.lr_limit is not None and edge.lr is not None:
            found = edge.sharpness * edge.lr_limit / edge.lr
        else:
            product = edge.sharpness * edge.limit
            fits = product[np.isfinite(product)]
            same = fits.size and np.ptp(fits) <= _SAME * np.abs(fits).max()
            found = np.where(np.isfinite(product), product, fits.mean()) / edge.h if same else np.nan * edge.h
    # What is not curved upwards says nothing of it: it is as at the other looks.
    known = np.isfinite(found)
    return np.interp(edge.steps, edge.steps[known], found[known]) if known.any() else found


def _share(edge: EdgeOfStability) -> np.ndarray:
    """The step over the one that is allowed: above 1 it is too long for the curvature there."""
    if edge.preconditioned is not None or edge.lr_limit is None or edge.lr is None:
        return edge.ratio
    with np.errstate(divide="ignore"):
        return edge.lr / edge.lr_limit


def _is_of(edge: EdgeOfStability, run: Trajectory) -> bool:
    """Whether a run is where the edge was looked at, wherever both have rows."""
    losses = dict(zip(np.asarray(run.steps).tolist(), np.asarray(run.energy, dtype=float).tolist(), strict=True))
    met = zip(np.asarray(edge.steps).tolist(), np.asarray(edge.energy, dtype=float).tolist(), strict=True)
    both = np.array([(losses[k], loss) for k, loss in met if k in losses]).reshape(-1, 2)
    # Where next to nothing is left of a loss it is rounding.
    rounding = 1e-9 * np.abs(both[np.isfinite(both)]).max(initial=0)
    return len(both) > 0 and bool(np.isclose(*both.T, rtol=1e-3, atol=rounding, equal_nan=True).all())


def _pair(label: str, given: Any) -> tuple[Trajectory, Spectrum | None]:
    path, spectrum = given if isinstance(given, tuple) and len(given) == 2 else (given, None)
    if not isinstance(path, Trajectory) or not (spectrum is None or isinstance(spectrum, Spectrum)):
        raise TypeError(f"lab: `paths` must have trajectories, or each with its curvature, got {label!r}: "
                        f"{type(path).__name__}")  # fmt: skip
    if spectrum is not None and spectrum.steps is None:
        raise ValueError(f"lab: `paths` has for {label!r} the curvature of a point; give curvature(loss, path)")
    return path, spectrum


def _rounded(values: Any) -> list[float | None]:
    return [float(f"{v:.{_DIGITS}g}") if np.isfinite(v) else None for v in np.asarray(values, dtype=float)]
