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
    ScheduledStep,
    as_method,
    as_step_rule,
    check_answers,
)
from gradientflow.flows import (
    AbstractQuadratic,
    Composite,
    Energy,
    Flow,
    Mode,
    UnansweredQuestionError,
    dtype_of,
    max_norm,
    prepare,
)

from ..exact.leaf import ImpureError, NotExactError
from ..results.grades import Grade
from ..results.result import Drawn
from .arrays import eigenvalues, spectral_radii
from .contractivity import global_limit_of
from .curvature import Curvatures, curvatures_at
from .field_rates import check_rest, rates_at
from .jacobian import has_no_derivative, is_affine, leaves_at_once, measured_limit, step_eigenvalues, unknown
from .reading import ModeReading, Recipe
from .step_limit import StepLimit, exact_limit, readable, without_roots

# How far from an equilibrium a point may be, relative to its size: 1e-6 in double precision, 2e-3 in single.
# ‖∇E‖/λ_max estimates the distance.
_STATIONARY_POWER = 0.375


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

    @property
    def formula(self) -> sympy.Expr | None:
        """The limit in the greatest curvature λ and the flow's parameters, where it has a short formula."""
        return self.step_limit.formula

    @property
    def is_local(self) -> bool:
        """Whether the limit is that of the linearization only: the energy is not quadratic, or the step not linear."""
        return not (self.is_linear and isinstance(self.flow.energy, (AbstractQuadratic, Mode)))

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
        return Recipe(self.flow, self.discretizer).on_arrays(lam, h)

    def table(self) -> pd.DataFrame:
        """One row a limit: value, bracket, formula, grade, and what it means."""
        rows = [_row("h at the minimizer", self.step_limit, self._scope())]
        if self.lr_step_limit is not None:
            rows.append(_row("lr at the minimizer", self.lr_step_limit, f"{self._scope()}; other parameters fixed"))
        value = math.nan if self.global_limit is None else self.global_limit
        rows.append({"limit": "h from everywhere", "value": value, "low": math.nan, "high": math.nan, "formula": "",
                     "grade": str(self.global_grade), "meaning": self.global_reason})  # fmt: skip
        return pd.DataFrame(rows).set_index("limit")

    def _scope(self) -> str:
        return f"{'near this point only' if self.is_local else 'from everywhere'}; {self.step_limit.cause}"

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
        return f"{name}; curvatures {low:.6g} to {high:.6g}, {self.curvatures.how}{unread}"

    def __repr__(self) -> str:
        """What it is about, and the table."""
        text = self.table().drop(columns=["low", "high"]).to_string(float_format=lambda v: f"{v:.10g}", na_rep="–")
        head, *unread = self.headline.split("\n", 1)
        return "\n".join([head, text, *unread])


def stability(flow: Flow | Method, discretizer: Discretizer | None = None, at: Any = None) -> Stability:
    r"""How long a step may be, at a fixed flow: the limit at a minimizer, and from everywhere where a theorem says so.

    One step on a quadratic mode, run on exact numbers, is a matrix of rational functions of h and λ; the steps at which
    its eigenvalues leave the unit disk are roots of polynomials. On a quadratic of up to 30 unknowns the greatest
    curvature is bracketed by exact inertia counts, and the limit is *proved*. At a minimizer of another energy it is
    that of the linearization.

    Args:
        flow: the flow; or a `Method`, which is asked about instead of a flow and a scheme.
        discretizer: the scheme.
        at: the minimizer at which to linearize; the energy's own unless given. Not needed for quadratics.

    Raises:
        ValueError: if the point is not stationary (naming its gradient norm) or not a minimizer (naming a negative
            curvature), or if none is known.
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
    x = _minimizer(flow, at)
    flow_on_arrays, z = prepare("stability", flow, x, None)
    check_answers(flow_on_arrays, discretizer, z)
    x = flow_on_arrays.position(z)
    if flow.has_energy:
        curvatures = curvatures_at(flow_on_arrays.energy, x)
        _check_minimizer(flow_on_arrays.energy, x, curvatures)
    else:
        curvatures = rates_at(flow_on_arrays, z)
        check_rest(flow_on_arrays, z, curvatures)
    reading, unread = _try_reading(recipe := Recipe(flow, discretizer))
    silent = _says_nothing(flow_on_arrays, discretizer, z, curvatures)
    if silent:
        limit = unknown(silent)
    elif reading is None:
        limit = measured_limit(flow_on_arrays, discretizer, z)
    else:
        limit = exact_limit(recipe, reading, curvatures)
    global_limit, reason, global_grade = global_limit_of(flow_on_arrays, discretizer, curvatures)
    return Stability(
        flow=flow, discretizer=discretizer, method=method, at=x, curvatures=curvatures, step_limit=limit,
        lr_step_limit=_lr_limit(method, curvatures, silent), global_limit=global_limit, global_reason=reason,
        global_grade=global_grade, reading=reading, unread=unread,
        is_linear=reading is not None or is_affine(flow_on_arrays, discretizer, z),
        jacobian_eigenvalues=step_eigenvalues(flow_on_arrays, discretizer, z),
    )  # fmt: skip


def unpacked(where: str, flow: Any, discretizer: Any) -> tuple[Method | None, Flow, Discretizer]:
    """The method (if it was given as one), the flow and the scheme that a question is about.

    Raises:
        TypeError: if they aren't, or if a step rule or the scheme itself chooses the step from the state.
    """
    method, flow, discretizer, step = as_method(where, flow, discretizer)
    if method is not None and not isinstance(as_step_rule(step), (ConstantStep, ScheduledStep)):
        raise TypeError(
            f"{where}: {type(step).__name__} chooses the step from the state, so that there is no one step to "
            f"limit; ask {where}(method.flow, …, method.discretizer) about constant steps"
        )
    if discretizer.clock_only:
        name = type(discretizer).__name__
        raise TypeError(f"{where}: {name} finds its steps in the state; h is only its clock, which has no limit")
    return method, flow, discretizer


def _minimizer(flow: Flow, at: Any) -> Any:
    if at is not None:
        return at
    match flow.energy:
        case Mode():
            return jnp.zeros(())
        case AbstractQuadratic() as energy:
            known = energy.minimizer
            return jnp.zeros(energy.linear.shape, energy.linear.dtype) if known is None else known
    if flow.energy.minimizer is None:
        raise ValueError(
            "stability: no minimizer of this energy is known; give `at`, integrate(flow, x0, math.inf).x[-1] say"
        )
    return flow.energy.minimizer


def _check_minimizer(energy: Energy, x: Any, curvatures: Curvatures) -> None:
    if float(curvatures.least[1]) < 0:
        raise ValueError(
            f"stability: not a minimizer: the least curvature is {float(curvatures.least[1]):.6g} < 0, so that the "
            "flow itself leaves it; give `at`, a minimizer"
        )
    if isinstance(energy, (AbstractQuadratic, Mode)):
        return
    gradient = float(max_norm(energy.grad(x)))
    away = gradient / max(float(curvatures.greatest[1]), 1e-300)
    if away > float(jnp.finfo(dtype_of(x)).eps) ** _STATIONARY_POWER * max(1.0, float(max_norm(x))):
        raise ValueError(
            f"stability: `at` is not stationary: ‖∇E‖∞ = {gradient:.3g} there; follow the flow to its end, "
            "integrate(flow, at, math.inf).x[-1], with a smaller gtol where the curvature vanishes"
        )


def _try_reading(recipe: Recipe) -> tuple[ModeReading | None, str]:
    try:
        return recipe.read(), ""
    except ImpureError:
        raise
    except (NotExactError, UnansweredQuestionError) as error:
        return None, str(error)


def _says_nothing(flow: Flow, discretizer: Discretizer, z: Any, curvatures: Curvatures) -> str:
    """Why the linearization of what is no quadratic says nothing at the point; empty where it does."""
    if isinstance(flow.energy, (AbstractQuadratic, Mode, Composite)):
        return ""
    if flow.has_energy and curvatures.greatest[0] <= 0:
        return "the Hessian vanishes at the point, and says nothing of what is near: follow a run instead"
    if has_no_derivative(flow, discretizer, z) and not leaves_at_once(flow, discretizer, z):
        return (
            "the gradient has a kink at the point: the curvature differs from side to side; ask `at` a point beside it"
        )
    return ""


def _lr_limit(method: Method | None, curvatures: Curvatures, silent: str) -> StepLimit | None:
    # Of a sum no mode is alone: what a proximal method does there hangs on its other part.
    if method is None or method.family is None or isinstance(method.flow.energy, Composite):
        return None
    recipe = Recipe(method.flow, method.discretizer, method.family)
    reading, _ = _try_reading(recipe)
    if reading is not None and silent:
        return unknown(silent)
    return None if reading is None else exact_limit(recipe, reading, curvatures)


def _row(name: str, limit: StepLimit, meaning: str) -> dict[str, Any]:
    return {"limit": name, "value": limit.value, "low": limit.low, "high": limit.high,
            "formula": readable(limit.formula), "grade": str(limit.grade), "meaning": meaning}  # fmt: skip
