"""How long a step may be: read exactly from the scheme that runs, at a minimizer or from everywhere."""

import dataclasses
import math
import os
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd
import sympy

from gradientflow.discretizers import (
    ConstantStep,
    Discretizer,
    Method,
    Named,
    as_step_rule,
    check_answers,
)
from gradientflow.flows import (
    AbstractQuadratic,
    Composite,
    Flow,
    Mode,
    Quadratic,
    Trajectory,
    UnansweredQuestionError,
    dtype_of,
    looks_at_numbers,
    prepare,
    with_energy,
)
from gradientflow.flows.catalogue.adaptive.held import AdaptiveFlow, HeldMoments

from ..exact.leaf import ImpureError, NotExactError
from ..results.grades import Grade
from ..results.result import Drawn
from .arrays import eigenvalues, spectral_radii
from .contractivity import global_limit_of
from .curvature import Curvatures
from .field_rates import check_rest, rates_at
from .jacobian import is_affine, step_eigenvalues
from .measured import measured_limit, measured_lr_limit, unknown
from .place import check_minimizer, finite_curvatures, minimizer_of, says_nothing, unpacked
from .preconditioned import Held, HeldFamily, held_along, held_at, learning_rate, preconditioned_curvatures
from .reading import ModeReading, Recipe
from .step_limit import StepLimit, exact_limit, readable, without_roots


@dataclasses.dataclass(frozen=True)
class Stability(Drawn):
    """How long a step of a scheme may be.

    `.plot()` draws the spectral radius over the step, mode by mode, and the limit.

    Attributes:
        flow: the flow, which stays the same as the step changes.
        discretizer: the scheme.
        method: the optimizer that was asked about, if one was.
        at: the minimizer at which the flow is linearized.
        curvatures: the extreme curvatures there.
        step_limit: the limit of the step h on the flow's clock, with its bracket, formula, cause and grade.
        lr_step_limit: of an optimizer, the limit of its learning rate with its other parameters fixed; else `None`.
        global_limit: a step up to which distances to a minimizer never grow, from anywhere, on every convex energy
            whose curvature is bounded as this one's; `None` where no theorem for this very scheme says so.
        global_reason: the theorem, or why there is none.
        global_grade: how certain the global limit is.
        reading: the step on a mode, read exactly; `None` where it can't be.
        unread: why it can't be.
        is_linear: whether the step is affine in the state on this energy, by the reading or, to rounding, by trial.
        jacobian_eigenvalues: h ↦ the eigenvalues of the step's Jacobian at the minimizer.
        held: of an adaptive method, what it adapts as it was held; then `curvatures` are those of P⁻¹H, and λ in
            formulas is theirs.
    """

    drawn_by = "linear_stability.figures:plot_stability"

    flow: Flow
    discretizer: Discretizer
    method: Method | None
    at: Any
    curvatures: Curvatures
    step_limit: StepLimit
    lr_step_limit: StepLimit | None
    global_limit: float | None
    global_reason: str
    global_grade: Grade
    reading: ModeReading | None
    unread: str
    is_linear: bool
    jacobian_eigenvalues: Callable[[float], np.ndarray]
    held: Held | None = None

    @property
    def limit(self) -> float:
        """The bound below which every step h is stable at the point: ∞ if all are, 0 if none is. Units: T.

        On a quadratic that holds from everywhere; otherwise it is local, and says nothing about starts far away.
        """
        return self.step_limit.value

    @property
    def lr_limit(self) -> float | None:
        """The same in the optimizer's learning rate with its other parameters fixed; `None` where there is none."""
        return None if self.lr_step_limit is None else self.lr_step_limit.value

    @property
    def grade(self) -> Grade:
        """How certain the limit is."""
        return self.step_limit.grade

    def why_so(self) -> str:
        """What happens at the limit, how the curvatures were found, and why the scheme could not be read, if so."""
        return "; ".join(filter(None, (self.step_limit.cause, self.curvatures.how, self.unread)))

    @property
    def formula(self) -> sympy.Expr | None:
        """The limit in the greatest curvature λ and the flow's parameters, where it has a short formula."""
        return self.step_limit.formula

    @property
    def is_local(self) -> bool:
        """Whether the limit is that of the linearization only: the energy is not quadratic, or the step not linear."""
        quadratic = isinstance(self.flow.energy, (AbstractQuadratic, Mode))
        return not (self.is_linear and quadratic and self.held is None)

    @property
    def step(self) -> float | None:
        """The optimizer's own step h, where it is a constant."""
        rule = None if self.method is None else as_step_rule(self.method.step)
        return float(rule.h) if isinstance(rule, ConstantStep) else None

    def latex(self) -> str:
        """The steps that are stable at the minimizer, by their formula.

        Raises:
            ValueError: if the limit has none.
        """
        if self.formula is None:
            raise ValueError("latex: the limit has no short formula; it is `limit`, a number")
        return f"h < {sympy.latex(without_roots(self.formula), fold_short_frac=False)}"

    def spectral_radius(self, h: Any) -> Any:
        """The factor by which a step of length h multiplies the slowest mode's error in the long run.

        Args:
            h: a step, or an array of them.

        Returns:
            The largest |w| over all known modes, shaped like h. Below one is stable.
        """
        steps = np.asarray(h, dtype=float)
        if self.reading is None:
            radii = np.array([np.abs(self.eigenvalues(step)).max() for step in steps.ravel()]).reshape(steps.shape)
        else:
            radii = spectral_radii(self._on_arrays, np.unique(self.curvatures.values), steps[..., None]).max(axis=-1)
        return float(radii) if radii.ndim == 0 else radii

    def eigenvalues(self, h: float) -> np.ndarray:
        """The eigenvalues w of a step of length h at the minimizer, over all known modes: shape (n,), complex."""
        if self.reading is None:
            return np.asarray(self.jacobian_eigenvalues(float(h)), dtype=complex)
        modes = np.unique(self.curvatures.values)
        return eigenvalues(self._on_arrays, modes, np.full(modes.shape, float(h))).ravel()

    def _on_arrays(self, lam: Any, h: Any) -> Any:
        flow = self.flow.held() if isinstance(self.flow, AdaptiveFlow) else self.flow
        return Recipe(flow, self.discretizer).on_arrays(lam, h)

    def table(self) -> pd.DataFrame:
        """One row a limit: value, bracket, formula, grade, and what it means."""
        where = "at the minimizer" if self.held is None else "with P as it is"
        rows = [_row(f"h {where}", self.step_limit, self._scope(self.step_limit))]
        if self.lr_step_limit is not None:
            meaning = f"{self._scope(self.lr_step_limit)}; other parameters fixed"
            rows.append(_row(f"lr {where}", self.lr_step_limit, meaning))
        value = math.nan if self.global_limit is None else self.global_limit
        rows.append({"limit": "h from everywhere", "value": value, "low": math.nan, "high": math.nan, "formula": "",
                     "grade": str(self.global_grade), "meaning": self.global_reason})  # fmt: skip
        return pd.DataFrame(rows).set_index("limit")

    def _scope(self, limit: StepLimit) -> str:
        place = "near this point only" if self.is_local else "from everywhere"
        return f"{place if self.held is None else 'while P is as it is'}; {limit.cause}"

    def save(self, directory: str | os.PathLike[str]) -> None:
        """Writes `report.html`, `table.csv` and `figures/` into a directory, made if it isn't there.

        Raises:
            ValueError: if the directory can't be written.
        """
        from .survey import StabilitySurvey

        StabilitySurvey({f"{self.discretizer.name} of {self.flow.name}": self}).save(directory)

    @property
    def headline(self) -> str:
        """The scheme and the flow, where the curvatures come from, and why the scheme could not be read, if so."""
        name = f"{self.discretizer.name} of {self.flow.name}"
        low, high = (float(sum(bracket) / 2) for bracket in (self.curvatures.least, self.curvatures.greatest))
        unread = f"\n{self.unread}" if self.unread else ""
        of, held = ("", "") if self.held is None else (" of P⁻¹H", f"\n{self.held.words}")
        return f"{name}; curvatures{of} {low:.6g} to {high:.6g}, {self.curvatures.how}{held}{self._own_rate()}{unread}"

    def _own_rate(self) -> str:
        """What the limit means for the optimizer as it is."""
        lr = None if self.method is None else learning_rate(self.method)
        if lr is None or self.lr_limit is None or not 0 < self.lr_limit < math.inf:
            return ""
        share = lr / self.lr_limit
        if share <= 1:
            return f"\nyour lr = {lr:.4g} is {share:.3g} of the limit {self.lr_limit:.4g}"
        larger = ""
        if self.held is not None:
            larger = f"; it would be stable where P is {share:.3g} times as large: gradients that large, no smaller"
        return f"\nyour lr = {lr:.4g} is {share:.3g} times the limit {self.lr_limit:.4g}{larger}"

    def __repr__(self) -> str:
        """What it is about, and the table."""
        text = self.table().drop(columns=["low", "high"]).to_string(float_format=lambda v: f"{v:.10g}", na_rep="–")
        head, *unread = self.headline.split("\n", 1)
        return "\n".join([head, text, *unread])


@looks_at_numbers
def stability(
    flow: Flow | Method, discretizer: Discretizer | None = None, at: Any = None, step: int | None = None
) -> Stability:
    r"""How long a step may be, at a fixed flow: the limit at a minimizer, and from everywhere where a theorem says so.

    One step on a quadratic mode, run on exact numbers, is a matrix of rational functions of h and λ; the steps at which
    its eigenvalues leave the unit disk are roots of polynomials. On a quadratic of up to 30 unknowns the greatest
    curvature is bracketed by exact inertia counts, and the limit is *proved*. At a minimizer of another energy it is
    that of the linearization.

    Args:
        flow: the flow; or a `Method`, which is asked about instead of a flow and a scheme.
        discretizer: the scheme.
        at: the minimizer at which to linearize; the energy's own unless given. Not needed for quadratics. Of adaptive
            methods (Adam, RMSprop, AdaGrad, AdaDelta) any point: what they adapt, the preconditioner P, is held as the
            gradient there makes it, and the limit is that of P⁻¹H. At a minimizer only ε is left of P. Or a run, whose
            averages are taken as they are; momentum's bias correction has settled.
        step: the step of that run, its last saved one unless given.

    Raises:
        ValueError: if the point is not stationary (naming its gradient norm) or not a minimizer (naming a negative
            curvature), if the Hessian is not finite there, or if none is known.
        TypeError: if a step rule or the scheme itself chooses the step from the state: then there is no one step to
            limit.

    References:
        E. I. Jury, Theory and Application of the z-Transform Method, 1964, for the conditions.

    Example:
        >>> import gradientflow as gf
        >>> E = gf.LeastSquares([[4.0, 1.0], [1.0, 3.0]], [1.0, 2.0])
        >>> found = gf.stability(gf.GradientFlow(E), gf.ForwardEuler())
        >>> print(found.formula, round(found.limit, 6), found.grade)
        2/lambda 0.093781 proved
    """
    method, flow, discretizer = unpacked("stability", flow, discretizer)
    if step is not None and not isinstance(at, Trajectory):
        raise ValueError(f"stability: `step` names a step of a run, and `at` is none; give at=run, got at={at!r}")
    if isinstance(flow, AdaptiveFlow):
        return _of_held(method, flow, discretizer, at, step)
    flow_on_arrays, z = prepare("stability", flow, minimizer_of(flow, at, step), None)
    check_answers(flow_on_arrays, discretizer, z)
    x = flow_on_arrays.position(z)
    if flow.has_energy:
        curvatures = finite_curvatures(flow_on_arrays.energy, x)
        check_minimizer(flow_on_arrays, z, curvatures)
    else:
        curvatures = rates_at(flow_on_arrays, z)
        check_rest(flow_on_arrays, z, curvatures)
    reading, unread = _try_reading(recipe := Recipe(flow, discretizer))
    silent = says_nothing(flow_on_arrays, discretizer, z, curvatures, reading is not None)
    limit = _limit(silent, recipe, reading, curvatures, lambda: measured_limit(flow_on_arrays, discretizer, z))
    global_limit, reason, global_grade = global_limit_of(flow_on_arrays, reading and discretizer, curvatures)
    return Stability(
        flow=flow, discretizer=discretizer, method=method, at=x, curvatures=curvatures, step_limit=limit,
        lr_step_limit=_lr_limit(method, curvatures, silent, x), global_limit=global_limit, global_reason=reason,
        global_grade=global_grade, reading=reading, unread=unread,
        is_linear=reading is not None or is_affine(flow_on_arrays, discretizer, z),
        jacobian_eigenvalues=step_eigenvalues(flow_on_arrays, discretizer, z),
    )  # fmt: skip


def _of_held(method: Method | None, flow: AdaptiveFlow, discretizer: Discretizer, at: Any,
             step: int | None) -> Stability:  # fmt: skip
    """The limits of an adaptive method with what it adapts held as it is at a point or in a run."""
    held = held_along(flow, at, step) if isinstance(at, Trajectory) else held_at(flow, minimizer_of(flow, at, None))
    curvatures = preconditioned_curvatures(held.flow.energy, held.x, held.inverse)
    read = flow.held()
    reading, unread = _try_reading(recipe := Recipe(read, discretizer))
    # Its modes are those of P⁻¹H, and each is a problem of its own.
    modes = jnp.asarray(np.unique(np.maximum(curvatures.values, 0)), dtype_of(held.x))
    on_modes, z = prepare("stability", with_energy(read, Quadratic(jnp.diag(modes))), jnp.zeros_like(modes), None)
    silent = "" if curvatures.greatest[0] > 0 else "no curvature is positive at this point, and nothing limits the step"
    limit = _limit(silent, recipe, reading, curvatures, lambda: measured_limit(on_modes, discretizer, z))
    if isinstance(read, HeldMoments) and reading is None:
        unread = "of h, at fixed averaging times τ, the limit is measured: β = e^{−h/τ} is not rational in h"
    lr_limit = None
    if method is not None and method.family is not None:
        on_mode = Method(on_modes, discretizer, method.step, Named(HeldFamily(method.family), {"lr": None}))
        lr_limit = _lr_limit(on_mode, curvatures, silent, on_modes.position(z))
    return Stability(
        flow=flow, discretizer=discretizer, method=method, at=held.x, curvatures=curvatures, step_limit=limit,
        lr_step_limit=lr_limit, global_limit=None, global_reason=f"no theorem is known here for schemes of {flow.name}",
        global_grade=Grade.UNKNOWN, reading=reading, unread=unread, is_linear=True,
        jacobian_eigenvalues=step_eigenvalues(on_modes, discretizer, z), held=held,
    )  # fmt: skip


def _try_reading(recipe: Recipe) -> tuple[ModeReading | None, str]:
    try:
        return recipe.read(), ""
    except ImpureError:
        raise
    except (NotExactError, UnansweredQuestionError) as error:
        return None, str(error)


def _lr_limit(method: Method | None, curvatures: Curvatures, silent: str, x: Any) -> StepLimit | None:
    # Of a sum no mode is alone: what a proximal method does there hangs on its other part.
    if method is None or method.family is None or isinstance(method.flow.energy, Composite):
        return None
    reading, _ = _try_reading(recipe := Recipe(method.flow, method.discretizer, method.family))
    greatest = float(curvatures.greatest[1])
    return _limit(
        silent, recipe, reading, curvatures, lambda: measured_lr_limit(method, x, greatest) if greatest > 0 else None
    )


def _limit(
    silent: str, recipe: Recipe, reading: ModeReading | None, curvatures: Curvatures, measured: Callable[[], Any]
) -> Any:
    """The exact limit, or what is measured where there is none, or none before minutes have passed."""
    if silent:
        return unknown(silent)
    try:
        return measured() if reading is None else exact_limit(recipe, reading, curvatures)
    except NotExactError:
        return measured()


def _row(name: str, limit: StepLimit, meaning: str) -> dict[str, Any]:
    return {"limit": name, "value": limit.value, "low": limit.low, "high": limit.high,
            "formula": readable(limit.formula), "grade": str(limit.grade), "meaning": meaning}  # fmt: skip
