"""Which solver, and which first step, a flow and a start ask for."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import diffrax as dfx
import jax
import jax.numpy as jnp
from diffrax import with_stepsize_controller_tols

from ..aliases import State, Time
from ..checks import unknown_name
from ..compiling import compiled
from ..energies.constant_hessian import has_constant_hessian
from ..flow import Flow, ask
from ..implicit import krylov
from ..numerics import LARGEST_DENSE, dtype_of, max_norm, size
from ..solvers.exact_affine import ExactAffine
from ..solvers.exponential_rosenbrock import ExponentialRosenbrock
from ..solvers.newton import NewtonKvaerno3, NewtonKvaerno5, StageNewton
from ..solvers.rosenbrock_wanner import RosenbrockWanner
from ..solvers.stabilized_chebyshev import StabilizedChebyshev
from ..transforming import once_per_shape
from .spectrum import spectral_radius

# Beyond this many unknowns an implicit solve is not chosen unasked: its Krylov iterations cost more than small steps.
_LARGEST_IMPLICIT = 20_000
# An explicit solver that needs more steps than this for what stability alone asks is given up for an implicit one.
_STIFF_STEPS = 3_000.0
# The steps of a stabilized one of order 2 grow like rtol^(−1/3): it pays from so many times as many explicit ones on
# (measured: of a dense quadratic of 1,000 unknowns it takes nine times rtol^(−1/3), of some ten to forty drifts each).
_STABILIZED_STEPS = 45.0
# The eigenvalues of a matrix of n columns cost as much as gradients of so many n³ operations in all (measured: as 500
# of a dense quadratic of 1,000 unknowns); and beyond how many unknowns the matrix is too large.
_EIGENVALUES, _LARGEST_EIGENVALUES = 2.0, 3_000
# How many explicit steps are reckoned with where nobody knows how far rest is, and gradients to each.
_STEPS_TO_REST, _GRADIENTS = 300.0, 6
# Where every step is exact, one after another is longer by so much, so that a path has enough rows to be drawn.
_ROWS_APART = 1.5
# The length of a step at its limit of stability, in fastest modes' times.
_LONGEST_STABLE = 3
# A state so many times as large as the start has run off.
FAR = 1e6


class Start(NamedTuple):
    """What a first look at a state tells: the fastest mode's |λ| [1/T], the size of the state and of its drift."""

    radius: Any
    size: Any
    drift: Any


@compiled
def first_look(flow: Flow, t0: Time, z: State) -> Start:
    """One compiled look at a state."""
    # As a logarithm of 0 an entry stands for infinity, and is no measure of anything.
    sane = jax.tree.map(lambda leaf: jnp.where(jnp.abs(leaf) < float(jnp.finfo(leaf.dtype).max) ** 0.5, leaf, 0), z)
    return Start(spectral_radius(flow, t0, z), max_norm(sane), max_norm(flow.drift(t0, z)))


def first_step(start: Start, longest: Any, xp: Any = jnp) -> Any:
    """A tenth of the fastest mode's time, which diffrax's own guess overshoots on quartic-like energies [T]."""
    radius, size_of, drift = start
    known = xp.isfinite(radius) & (radius > 0)
    by_curvature = xp.where(known, 0.1 / xp.where(known, radius, 1), xp.inf)
    moves = xp.isfinite(drift) & (drift > 0)
    by_drift = xp.where(moves, 0.01 * (1 + size_of) / xp.where(moves, drift, 1), 1.0)
    return xp.minimum(xp.minimum(xp.where(moves, by_curvature, xp.inf), by_drift), longest)


def chosen(solver: Any, flow: Flow, z: State, stiff: bool, whole: float) -> dfx.AbstractSolver:
    """The solver that was asked for; for `None` one for stiff flows where a plain one would take too many steps.

    Args:
        solver: a diffrax solver, the name of one, or `None`.
        flow: the flow.
        z: its state.
        stiff: whether stability alone would ask an explicit solver for too many steps.
        whole: how long the solve is [T].

    Raises:
        ValueError: for a solver that doesn't estimate its error, or a name that there isn't.
    """
    if isinstance(solver, str):
        return named(solver, flow, z)
    if solver is None:
        # How far rest is, nobody knows: a large state may be there before small steps have cost as much as others do,
        # and one with inertia oscillates on its way, for which small steps are wanted anyway.
        settles = size(z) <= LARGEST_DENSE and ask(flow, "velocity", z) is None
        hurries = stiff and (settles or math.isfinite(whole))
        return for_stiff(flow, z) if may_switch(None, flow, z) and hurries else explicit()
    if not isinstance(solver, dfx.AbstractAdaptiveSolver):
        name = type(solver).__name__
        raise ValueError(
            f"integrate: `solver` must estimate its error to choose its steps, and {name} does not; "
            f"take fixed steps with iterate(flow, FromDiffrax({name}()), ...)"
        )
    return solver


def exact(flow: Flow, z: State, radius: float, whole: float, most: float) -> dfx.AbstractSolver | None:
    """The closed form of a large quadratic's gradient flow, where it costs less than steps that stability holds short.

    Args:
        flow: the flow.
        z: its state.
        radius: the fastest mode's |λ| [1/T].
        whole: how long the solve is [T].
        most: how many explicit steps are worth as much as what is taken instead of more.
    """
    n = size(z)
    if not (flow.is_gradient_flow and LARGEST_DENSE < n <= _LARGEST_EIGENVALUES and math.isfinite(radius)):
        return None
    steps = min(radius * whole / _LONGEST_STABLE, most) if math.isfinite(whole) else _STEPS_TO_REST
    if steps < _STEPS_TO_REST or not has_constant_hessian(flow.energy, flow.position(z)):
        return None
    known = jax.jit(lambda x: flow.energy.grad(x)).lower(flow.position(z)).cost_analysis() or {}
    pays = _EIGENVALUES * n**3 <= _GRADIENTS * steps * known.get("flops", 0.0)
    return _exact(flow, z) if pays else None


@compiled
def _exact(flow: Flow, z: State) -> ExactAffine:
    return ExactAffine.at(lambda z: flow.drift(0.0, z), z)


def growth_of(solver: dfx.AbstractSolver) -> float:
    """How many times as long as a step the next one may be."""
    return _ROWS_APART if isinstance(solver, ExactAffine) else 10.0


def explicit() -> dfx.AbstractSolver:
    """Tsitouras' 5(4) pair."""
    return dfx.Tsit5()


def for_stiff(flow: Flow, z: State) -> dfx.AbstractSolver:
    """A Rosenbrock–Wanner method; beyond a few hundred unknowns one that forms no matrix.

    Of gradient flows that is a stabilized explicit method, of others Kvaerno's 3(2) with Newton–Krylov stages.
    """
    if size(ask(flow, "position", z)) <= LARGEST_DENSE and (size(z) <= LARGEST_DENSE or is_second_order(flow, z)):
        return _rosenbrock_wanner(flow, z)
    return StabilizedChebyshev() if flow.is_gradient_flow else _krylov_kvaerno(z)


def _rosenbrock_wanner(flow: Flow, z: State) -> RosenbrockWanner:
    return RosenbrockWanner(symmetric=flow.is_gradient_flow, second_order=is_second_order(flow, z))


@once_per_shape
def is_second_order(flow: Flow, z: State) -> bool:
    """Whether a state is (x, v) with ẋ = v, read off the drift's program: its first half hands v on as it is."""
    if flow.velocity(z) is None:
        return False
    program = jax.make_jaxpr(lambda z: flow.drift(jnp.zeros((), dtype_of(z)), z))(z).jaxpr
    half, odd = divmod(len(program.invars), 2)
    handed_on = all(given is out for given, out in zip(program.invars[half:], program.outvars[:half], strict=True))
    return not odd and handed_on


def _krylov_kvaerno(z: State) -> dfx.AbstractSolver:
    finder = with_stepsize_controller_tols(StageNewton)(linear_solver=krylov(dtype_of(z)), cauchy_termination=False)
    return NewtonKvaerno3(root_finder=finder, root_find_max_steps=20)


def _newton_kvaerno(flow: Flow, z: State) -> dfx.AbstractSolver:
    if size(z) > LARGEST_DENSE:
        return _krylov_kvaerno(z)
    finder = with_stepsize_controller_tols(StageNewton)(cauchy_termination=False)
    return NewtonKvaerno5(root_finder=finder, root_find_max_steps=20)


_NAMED: Mapping[str, Callable[[Flow, Any], dfx.AbstractSolver]] = {
    "tsit5": lambda flow, z: dfx.Tsit5(),
    "dopri5": lambda flow, z: dfx.Dopri5(),
    "dopri8": lambda flow, z: dfx.Dopri8(),
    "kvaerno5": _newton_kvaerno,
    "chebyshev": lambda flow, z: StabilizedChebyshev(),
    "exponential-rosenbrock": lambda flow, z: ExponentialRosenbrock(symmetric=flow.is_gradient_flow),
    "rosenbrock-wanner": _rosenbrock_wanner,
}


def most_explicit(is_gradient_flow: bool, z: State, rtol: float) -> float:
    """From how many steps for stability's sake on an explicit solver costs more than the one for stiff flows."""
    stabilized = is_gradient_flow and size(z) > LARGEST_DENSE
    return _STABILIZED_STEPS * max(rtol, 1e-12) ** (-1 / 3) if stabilized else _STIFF_STEPS


def named(name: str, flow: Flow, z: State) -> dfx.AbstractSolver:
    """The solver of that name.

    Raises:
        ValueError: if there is none, naming the nearest.
    """
    if name.lower() not in _NAMED:
        raise ValueError(f"integrate: {unknown_name('solver', name, _NAMED)}")
    return _NAMED[name.lower()](flow, z)


def may_switch(solver: Any, flow: Flow, z: State) -> bool:
    """Whether the solver is ours to choose, and there is one for stiff states of that size."""
    return solver is None and (flow.is_gradient_flow or size(z) <= _LARGEST_IMPLICIT)


def is_stiff(radius: Any, whole: float, most: float = _STIFF_STEPS) -> Any:
    """Whether stability alone would ask an explicit solver for too many steps; `radius` may hold an entry a lane."""
    return radius * whole / _LONGEST_STABLE > most


def held_back(radius: float, h: float, rest: float, taken: int, most: float) -> bool:
    """Whether stability, and not accuracy, holds an explicit solver's step back, for long enough to matter.

    Args:
        radius: the fastest mode's |λ| [1/T].
        h: the step [T].
        rest: how long it has still to go [T]; where that is not known, it counts how many steps it has taken.
        taken: how many steps that was.
        most: how many steps for stability's sake an explicit solver is worth where it is known how long it goes.
    """
    long = is_stiff(radius, rest, most) if math.isfinite(rest) else taken >= _STIFF_STEPS
    return radius * h > 1 and math.isfinite(radius) and long
