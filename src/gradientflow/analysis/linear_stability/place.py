"""What is asked about, and where its flow is linearized."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradientflow.discretizers import (
    ConstantStep,
    Discretizer,
    FromOptax,
    Method,
    ScheduledStep,
    as_method,
    as_step_rule,
)
from gradientflow.flows import (
    AbstractQuadratic,
    Composite,
    Energy,
    Flow,
    Mode,
    SteepestDescentFlow,
    Trajectory,
    WrappedFlow,
    dtype_of,
    falls_on_beyond,
    max_norm,
    prepare,
)

from .curvature import Curvatures, curvatures_at
from .silence import (
    bends_less_from_nearer,
    changes_with_age,
    differs_beside,
    has_no_derivative,
    leaves_at_once,
    stands_still,
)

# How far from an equilibrium a point may be, relative to its size: 1e-6 in double precision, 2e-3 in single.
# ‖∇E‖/λ_max estimates the distance.
_STATIONARY_POWER = 0.375


def unpacked(
    where: str, flow: Any, discretizer: Any, own_clock: type | None = None
) -> tuple[Method | None, Flow, Discretizer]:
    """The method (if it was given as one), the flow and the scheme that a question is about.

    Of schemes that have a clock only, those of the class `own_clock` are welcome.

    Raises:
        TypeError: if they aren't, or if a step rule or the scheme itself chooses the step
            from the state.
    """
    method, flow, discretizer, step = as_method(where, flow, discretizer)
    if method is not None and not isinstance(as_step_rule(step), (ConstantStep, ScheduledStep)):
        raise TypeError(
            f"{where}: {type(step).__name__} chooses the step from the state, so that there is no one step to "
            f"limit; ask {where}(method.flow, …, method.discretizer) about constant steps"
        )
    if discretizer.clock_only and not (own_clock is not None and isinstance(discretizer, own_clock)):
        name = type(discretizer).__name__
        why, remedy = "finds its steps in the state", ""
        if isinstance(discretizer, FromOptax):
            why = "has its learning rate inside"
            remedy = (
                "; along a run edge_of_stability(method, run) reads what its own update allows, and at a point "
                "stability(optimizers.adam(E, lr), at=x) say does of an optimizer by name"
            )
        raise TypeError(f"{where}: {name} {why}; h is only its clock, which has no limit{remedy}")
    return method, flow, discretizer


def minimizer_of(flow: Flow, at: Any, step: int | None) -> Any:
    """The point at which a flow is linearized: the one given, that of a run, or its energy's minimizer.

    Raises:
        ValueError: if none is known, or the flow has no such position.
    """
    if isinstance(at, Trajectory):
        row = row_of("stability", at, step)
        return jax.tree.map(lambda leaf: leaf[row], at.x)
    if at is not None:
        return at
    known = _own_minimizer(flow.energy)
    if known is None:
        raise ValueError(
            "stability: no minimizer of this energy is known; give `at`, integrate(flow, x0, math.inf).x[-1] say"
        )
    try:
        prepare("stability", flow, known, None)
    except ValueError:
        raise ValueError(
            f"stability: the energy's own minimizer is no position of {flow.name}, which comes to rest elsewhere; give "
            "`at`, integrate(flow, x0, math.inf).x[-1] say"
        ) from None
    return known


def _own_minimizer(energy: Energy) -> Any:
    match energy:
        case Mode():
            return jnp.zeros(())
        case AbstractQuadratic():
            known = energy.minimizer
            return jnp.zeros(energy.linear.shape, energy.linear.dtype) if known is None else known
    return energy.minimizer


def is_stationary(energy: Energy, x: Any, greatest: float) -> bool:
    """Whether a gradient is as small as rounding makes it beside a curvature."""
    return _is_small(float(max_norm(energy.grad(x))), x, greatest)


def _is_small(gradient: float, x: Any, greatest: float) -> bool:
    away = gradient / max(greatest, 1e-300)
    return away <= float(jnp.finfo(dtype_of(x)).eps) ** _STATIONARY_POWER * max(1.0, float(max_norm(x)))


def finite_curvatures(energy: Energy, x: Any) -> Curvatures:
    """The extreme curvatures at a point.

    Raises:
        ValueError: where the Hessian is not finite.
    """
    try:
        return curvatures_at(energy, x)
    except ArithmeticError as error:
        raise ValueError(
            f"stability: {error} at the point, which limits no step and allows none; give `at`, a minimizer around "
            "which E is smooth, or follow a run: edge_of_stability(method, run)"
        ) from None


def check_minimizer(flow: Flow, z: Any, curvatures: Curvatures) -> None:
    """Refuses a state that is no minimizer; where a constraint takes up a gradient, the rest of it counts.

    Raises:
        ValueError: naming the negative curvature, or the gradient's norm.
    """
    energy, x = flow.energy, flow.position(z)
    free = isinstance(energy, (AbstractQuadratic, Mode)) and not _has_constraint(flow)
    gradient, residual = (float(max_norm(g)) for g in (energy.grad(x), flow.residual(z)))
    held = residual < gradient and not is_stationary(energy, x, float(curvatures.greatest[1]))
    if float(curvatures.least[1]) < 0 and not held:
        raise ValueError(
            f"stability: not a minimizer: the least curvature is {float(curvatures.least[1]):.6g} < 0, so that the "
            "flow itself leaves it; give `at`, a minimizer"
        )
    if free:
        # One linearization serves them all.
        return
    if not _is_small(residual, x, float(curvatures.greatest[1])):
        raise ValueError(
            f"stability: `at` is not stationary: ‖∇E‖∞ = {residual:.3g} there; follow the flow to its end, "
            "integrate(flow, at, math.inf).x[-1], with a smaller gtol where the curvature vanishes"
        )


def _has_constraint(flow: Flow) -> bool:
    """Whether something takes up gradients."""
    while isinstance(flow, WrappedFlow):
        flow = flow.flow
    return type(flow).residual is not Flow.residual


def row_of(where: str, run: Trajectory, step: int | None) -> int:
    """The row of a run at which a step was saved; the last one unless a step is named.

    Raises:
        ValueError: if it wasn't.
    """
    steps = np.asarray(run.steps)
    if step is None:
        return len(steps) - 1
    found = np.flatnonzero(steps == step)
    if not found.size:
        saved = f"{steps[0]} to {steps[-1]}" + ("" if len(steps) < 2 else f", every {steps[1] - steps[0]}")
        raise ValueError(f"{where}: step={step} was not saved by the run, which has {saved}; give one of those")
    return int(found[0])


def says_nothing(flow: Flow, discretizer: Discretizer, z: Any, curvatures: Curvatures, is_read: bool) -> str:
    """Why the linearization says nothing at the point; empty where it does, as of a step read on a quadratic."""
    if isinstance(flow.energy, Composite) or (is_read and isinstance(flow.energy, (AbstractQuadratic, Mode))):
        return ""
    if flow.has_energy and curvatures.greatest[0] <= 0:
        return "the Hessian vanishes at the point, and says nothing of what is near: follow a run instead"
    if has_no_derivative(flow, discretizer, z) and not leaves_at_once(flow, discretizer, z):
        if isinstance(flow, SteepestDescentFlow):
            return "a step of steepest descent has no derivative at the point; smoothness(E, norm).step_limit limits it"
        if bends_less_from_nearer(flow, discretizer, z):
            return (
                "the curvature is another one close beside the point, as where E is flat beyond second order; follow a "
                "run instead"
            )
        return (
            "the gradient has a kink at the point: the curvature differs from side to side; ask `at` a point beside it"
        )
    if flow.has_energy and falls_on_beyond(flow, flow.position(z)):
        return "no minimizer: E falls along a direction in which its Hessian vanishes; follow a run instead"
    if leaves_at_once(flow, discretizer, z):
        return ""
    if differs_beside(flow, discretizer, z):
        return (
            "the derivative at the point is none of what is beside it, as where branches meet; ask `at` a point there"
        )
    return "" if is_read else _measures_nothing(flow, discretizer, z)


def _measures_nothing(flow: Flow, discretizer: Discretizer, z: Any) -> str:
    """Why the derivative of a step that can't be read says nothing of the step."""
    if changes_with_age(flow, discretizer, z):
        return (
            "no step is like another: what the scheme keeps counts them, and a step changes with it; let what changes "
            "be a schedule, or a function of the time t"
        )
    if stands_still(flow, discretizer, z):
        return (
            "along some direction a step does not move to first order, whatever its length, though the flow does: "
            "its derivative says nothing of what it does there; follow a run instead"
        )
    if differs_beside(flow, discretizer, z):
        return (
            "the derivative at the point is none of what is beside it, as where branches meet; ask `at` a point there"
        )
    return ""
