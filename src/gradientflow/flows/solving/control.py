"""What a solver's steps are held to, and the field that it sees."""

import dataclasses
from collections.abc import Callable
from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import optimistix as optx
from diffrax import with_stepsize_controller_tols

from ..aliases import State, Time
from ..energies.domain import is_finite_everywhere
from ..flow import Flow
from ..numerics import dtype_of, max_norm

# The share of what an explicit step moves that its error may be on the way to rest (a third to a hundredth do the same,
# measured), and the multiple of rounding that it may be in any case.
_SHARE, _ROUNDED = 0.1, 64


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Tolerances:
    """What a step's error is held to.

    Attributes:
        rtol: relative to the state.
        atol: absolute [X]; `None`: rtol times the largest entry so far, or 1 where that is larger, so that a problem
            in other units of x is solved to the same relative accuracy.
    """

    rtol: Any
    atol: Any = None

    def absolute(self, largest: Any, xp: Any = jnp) -> Any:
        """The absolute tolerance where the state's largest entry so far is known [X]."""
        return self.rtol * xp.minimum(1, largest) if self.atol is None else self.atol


class Controller(dfx.AbstractAdaptiveStepSizeController):
    """The steps whose error is within tolerances, from a given first one on, which may be traced.

    diffrax checks a `dt0` by a call to the host. Its state is the inner controller's and the largest entry so far.

    Attributes:
        rtol: the relative tolerance, as implicit stages ask for it.
        atol: the absolute tolerance, likewise [X].
        norm: how errors are measured.
        tolerances: what a step's error is held to.
        first: the first step [T].
        largest: the largest entry of the state so far [X].
        inside: from what the field is told and a state, whether a step may lead there.
        growth: how many times as long as a step the next one is at most.
    """

    rtol: Any
    atol: Any
    norm: Callable[[Any], Any]
    tolerances: Tolerances
    first: Any
    largest: Any
    inside: Callable[[Any, Any], Any] = eqx.field(static=True)
    growth: float = eqx.field(static=True)

    def __init__(
        self, tolerances: Tolerances, first: Any, largest: Any, inside: Callable[[Any, Any], Any], growth: float = 10.0
    ) -> None:
        self.rtol, self.atol, self.norm = tolerances.rtol, tolerances.absolute(largest), optx.rms_norm
        self.tolerances, self.first, self.largest, self.growth = tolerances, first, largest, growth
        self.inside = inside

    def wrap(self, direction: Any) -> "Controller":
        """The same: time runs forward."""
        return self

    def init(
        self, terms: Any, t0: Time, t1: Time, y0: Any, dt0: Any, args: Any, func: Any, error_order: Any
    ) -> tuple[Any, Any]:
        """The end of the first step, and the controller's state."""
        end, inner = self._pid(self.atol).init(terms, t0, t1, y0, self.first, args, func, error_order)
        return end, (inner, self.largest)

    def adapt_step_size(
        self,
        t0: Time,
        t1: Time,
        y0: Any,
        y1_candidate: Any,
        args: Any,
        y_error: Any,
        error_order: Any,
        controller_state: Any,
    ) -> Any:
        """The inner controller's choice.

        A step into what is not finite is no step, whatever its error is said to be; nor is one across the wall where E
        ends: behind a logarithm's pole the field is finite again.
        """
        inner, largest = controller_state
        inside = jax.lax.stop_gradient(jnp.asarray(self.inside(args, y1_candidate)))
        y_error = jax.tree.map(
            lambda leaf, state: jnp.where(jnp.isnan(leaf) | ~(jnp.isfinite(state) & inside), jnp.inf, leaf),
            y_error,
            y1_candidate,
        )
        keep, *following, inner, result = self._pid(self.tolerances.absolute(largest)).adapt_step_size(
            t0, t1, y0, y1_candidate, args, y_error, error_order, inner
        )
        reached = jnp.maximum(largest, jax.lax.stop_gradient(max_norm(y1_candidate)))
        return keep, *following, (inner, jnp.where(keep, reached, largest)), result

    def _pid(self, atol: Any) -> Any:
        return dfx.PIDController(rtol=self.rtol, atol=atol, norm=self.norm, factormax=self.growth)


# What stands in a root finder's tolerances that are to be its step's.
_AS_THE_STEP: Any = with_stepsize_controller_tols(optx.Newton)().rtol


def held_to(solver: Any, controller: Controller) -> Any:
    """The solver, with the equations of its stages solved to what its steps are held to, where it leaves that open."""
    finder = getattr(solver, "root_finder", None)
    if finder is None:
        return solver
    names = [name for name in ("rtol", "atol", "norm") if getattr(finder, name, None) is _AS_THE_STEP]
    if not names:
        return solver
    return eqx.tree_at(
        lambda solver: [getattr(solver.root_finder, name) for name in names],
        solver,
        [getattr(controller, name) for name in names],
    )


def held_to_the_motion(error: Any, before: Any, after: Any, tolerances: Tolerances, largest: Any) -> Any:
    """An explicit step's error, made larger where it is more than a share of what the step moves.

    Close to rest all motion is less than the tolerance, and a step at the limit of stability would be allowed errors in
    the fastest modes that keep them up for ever. Held to the motion they die out with it, and since it is stability
    that holds such steps short, that costs none.

    Args:
        error: the estimate of the step's error.
        before: the state that it leaves.
        after: the state that it leads to.
        tolerances: what its error is held to.
        largest: the largest entry of the state so far.
    """
    absolute, eps = tolerances.absolute(largest), float(jnp.finfo(dtype_of(after)).eps)
    units = jax.tree.map(lambda a, b: absolute + tolerances.rtol * jnp.maximum(jnp.abs(a), jnp.abs(b)), before, after)
    moved = optx.rms_norm(jax.tree.map(lambda a, b, unit: (b - a) / unit, before, after, units))
    rounding = optx.rms_norm(jax.tree.map(lambda a, unit: eps * a / unit, after, units))
    share = jnp.maximum(_SHARE * moved, _ROUNDED * rounding)
    return jax.tree.map(lambda leaf: leaf / jnp.where(share > 0, jnp.minimum(share, 1), 1), error)


def is_inside(flow: Flow, z: State) -> Any:
    """Whether E is finite at a state; not asked where its program says that it can only overflow."""
    energy, x = flow.energy, flow.position(z)
    if not flow.has_energy or is_finite_everywhere(energy, x):
        return True
    return jnp.isfinite(energy.value(x))


def finite_drift(flow: Flow, t: Time, z: State) -> Any:
    """A flow's drift in the state's precision, with infinities as NaN.

    A trial step that overflows to infinity makes diffrax's next step length NaN, and nothing after it is accepted; a
    step that meets NaN is rejected and halved.
    """
    return jax.tree.map(lambda f, a: jnp.where(jnp.isfinite(f), f, jnp.nan).astype(a.dtype), flow.drift(t, z), z)


def vector_field(flow: Flow) -> dfx.ODETerm:
    """A flow's drift as diffrax's term."""
    return dfx.ODETerm(lambda t, z, _: finite_drift(flow, t, z))
