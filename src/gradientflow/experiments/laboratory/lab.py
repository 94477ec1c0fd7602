"""`lab`: one self-contained page in which methods run on an energy of two variables."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, overload

import jax
import jax.numpy as jnp
import numpy as np

from gradientflow.analysis.linear_stability import EdgeOfStability
from gradientflow.discretizers import Discretizer, Method, optimizers
from gradientflow.flows import GradientFlow, Trajectory
from gradientflow.flows import energy as as_energy

from ..named import make_method
from .pages import Page, filled
from .plane import plane_energy
from .scene import Scene, label_of, shipped_scenes
from .writing import written

if TYPE_CHECKING:
    from gradientflow.analysis.curvature import Spectrum

    from .training import TrainingPage

_SCRIPTS = ("document.js", "numerics.js", "drawing.js", "panels.js", "words.js", "app.js")
# Gradients below it move nothing that is seen; where a start goes from such a point.
_STILL, _ASIDE = 1e-9, (-2.0, -0.5)


class Lab(Page):
    """A page of scenes: `.save(file)` writes it, a notebook shows it, `.html()` is its text.

    Attributes:
        scenes: what it shows, one at a time.

    Example:
        >>> import gradientflow as gf
        >>> E = gf.Quadratic([[1.0, 0.0], [0.0, 9.0]])
        >>> gf.lab(E, {"descent": gf.optimizers.gradient_descent(E, lr=0.1)}, x0=[3.0, 1.0])
        Lab(E = 0.5x² + 4.5y²); .save('lab.html') writes the page
    """

    def __init__(
        self,
        scenes: Iterable[Scene],
        progress: Callable[[str], None] | None = None,
        translate: Callable[[Scene, Callable[[str], None]], str] = written,
    ) -> None:
        self.scenes = list(scenes)
        self._translate = translate
        self._progress = progress or (lambda what: None)
        self._data = ""

    def write(self, served: Mapping[str, Any] | None = None) -> str:
        """The page's text; its programs are made once.

        Args:
            served: what a page that is served has in its fields; `None` for one that asks nothing of a network.
        """
        if not self._data:
            scenes = ",\n".join(self._translate(scene, self._progress) for scene in self.scenes)
            self._data = f"const SCENES = [{scenes}];"
        return filled("page.html", _SCRIPTS, self._data, served)

    def __repr__(self) -> str:
        """What is on it."""
        told = "; ".join(scene.title or scene.describe() for scene in self.scenes)
        return f"Lab({told}); .save('lab.html') writes the page"


@overload
def lab(  # pyright: ignore[reportOverlappingOverload]
    energy: EdgeOfStability,
    *,
    run: Trajectory | None = None,
    spectrum: "Spectrum | None" = None,
    paths: Mapping[str, Any] | None = None,
    title: str = "",
    question: str = "",
) -> "TrainingPage": ...
@overload
def lab(
    energy: Any = None,
    methods: Any = None,
    x0: Any = None,
    *,
    progress: Callable[[str], None] | None = None,
    **options: Any,
) -> Lab: ...
def lab(
    energy: Any = None,
    methods: Any = None,
    x0: Any = None,
    *,
    progress: Callable[[str], None] | None = None,
    **options: Any,
) -> "Lab | TrainingPage":
    r"""The laboratory: a page in which one drags the start, the steps and the parameters of methods.

    One file that works without a network: the iterates on the landscape beside the flow, energies on one clock, what a
    step multiplies each mode by, and in words how long a step may be, with the grade of how that is known. Its numbers
    are the package's own: what runs in the page is translated from the code that runs here (`to_javascript`).

    Of a run of training, `lab(edge_of_stability(method, run), run=run)`, the page shows the loss and the greatest
    curvature against what the step allows, to be scrubbed.

    Args:
        energy: an energy, any function of two variables, a formula in x and y, `"(1-x)^2 + 20*(y-x^2)^2"` say, or a
            landscape's name; or what `edge_of_stability` found; without one, the scenes that come with the package.
        methods: a `Method`, several, or several by label, each a `Method`, its name and numbers as the shell takes
            them ("momentum:0.1:0.9"), or a scheme of the gradient flow with its step; gradient descent with a fitting
            step unless given.
        x0: where they start; the energy's customary start unless given.
        progress: called with what is at work.
        options: `title`, `question`, `hint`, `box`, `steps`, `ranges`, `show`, as a `Scene` has them; of a run
            `title`, `question`, the `run` with its loss at every step, a `spectrum` (`curvature` along it) and `paths`:
            others on its clock by label, the flow's say, each a `Trajectory` or a pair of one and its `curvature`.

    Raises:
        TypeError: when it is written, if an energy or a method uses what has no counterpart in JavaScript, naming it;
            for what is no method.
        ValueError: if the positions are not two numbers, or a text is no such formula.

    Example:
        >>> import gradientflow as gf
        >>> E = gf.Quadratic([[1.0, 0.0], [0.0, 9.0]])
        >>> page = gf.lab(E, {"descent": gf.optimizers.gradient_descent(E, lr=0.2)}, x0=[3.0, 1.0])
        >>> "<script>" in page.html(), len(page.html()) < 400_000
        (True, True)
    """
    if isinstance(energy, EdgeOfStability):
        if methods is not None or x0 is not None:
            raise ValueError("lab: of a run `methods` and `x0` are what they were; leave them out")
        # It takes what most pages don't: pandas and SciPy's statistics, seconds to import.
        from .training import TrainingPage

        try:
            return TrainingPage(energy, **options)
        except TypeError as error:
            raise _about_lab(error) from None
    if energy is None:
        if methods is not None:
            raise ValueError("lab: `methods` go with an energy; give it first: lab(energy, methods)")
        return Lab(shipped_scenes(), progress)
    if of_a_run := [name for name in ("run", "spectrum", "paths") if name in options]:
        raise ValueError(f"lab: `{of_a_run[0]}` goes with a run of training: give edge_of_stability(method, run) first")
    E = plane_energy(energy) if isinstance(energy, str) else as_energy(energy)
    start = getattr(E, "start", None) if x0 is None else x0
    start = (1.0, 1.0) if start is None else start
    point = np.asarray(start, dtype=float)
    if point.shape != (2,) or not np.isfinite(point).all():
        raise ValueError(f"lab: `x0` must be two finite numbers, a point of the plane, got {start!r}")
    _check_plane(E, point)
    if x0 is None:
        point = point + aside(E, point)
    given = _methods(E, methods, point)
    named: dict[str, Method] = {}
    for label, method in given:
        named[label_of(label, method, list(named))] = method
    try:
        scene = Scene(E, named, (float(point[0]), float(point[1])), **options)
    except TypeError as error:
        raise _about_lab(error) from None
    return Lab([scene], progress)


def _about_lab(error: TypeError) -> TypeError:
    """The error with the name of what was called."""
    return error if str(error).startswith("lab: ") else TypeError(f"lab: {error}")


def _check_plane(E: Any, point: np.ndarray) -> None:
    try:
        value = jnp.asarray(E.value(jnp.asarray(point)))
    except Exception as error:
        raise ValueError(f"lab: `energy` can't be asked at {point.tolist()}, a point of the plane: {error}") from error
    if value.shape != ():
        raise ValueError(f"lab: `energy` must answer one number at a point of the plane, got shape {value.shape}")


def aside(E: Any, point: np.ndarray) -> np.ndarray:
    """A way off a point at which nothing would move: a start that nobody chose may be the minimum itself."""
    moves = bool(np.any(np.abs(np.asarray(jax.grad(E.value)(jnp.asarray(point)))) > _STILL))
    return np.zeros(2) if moves else np.array(_ASIDE)


def _as_method(E: Any, given: Any) -> Any:
    """A method, also by its name as in the shell; a pair is a scheme of the gradient flow and its step."""
    if isinstance(given, str):
        return make_method(given, E)
    pair = isinstance(given, tuple) and len(given) == 2 and isinstance(given[0], Discretizer)
    return Method(GradientFlow(E), *given) if pair else given


def _methods(E: Any, methods: Any, point: np.ndarray) -> list[tuple[str | None, Method]]:
    if methods is None:
        curvature = np.abs(np.linalg.eigvalsh(np.asarray(_hessian(E, point)))).max()
        methods = optimizers.gradient_descent(E, lr=float(f"{1 / max(curvature, 1e-12):.2g}"))
    if isinstance(methods, (Method, str)):
        methods = [methods]
    labelled = methods.items() if isinstance(methods, Mapping) else ((None, method) for method in methods)
    pairs: list[tuple[Any, Any]] = [(label, _as_method(E, method)) for label, method in labelled]
    for _, method in pairs:
        if not isinstance(method, Method):
            raise TypeError(
                f"lab: `methods` must be methods such as optimizers.gradient_descent(E, lr=0.1), got "
                f"{type(method).__name__}"
            )
    if not pairs:
        raise ValueError("lab: `methods` has none; give one, optimizers.gradient_descent(E, lr=0.1) say")
    return pairs


def _hessian(E: Any, point: np.ndarray) -> Any:
    return jax.hessian(E.value)(jnp.asarray(point))
