"""An adaptive solve in progress: compiled stretches of a few hundred steps, looked at in between.

The host decides between stretches: it saves the path (so memory follows the steps taken, not the steps allowed), hands
over to an implicit solver where stiffness shows, and sees when nothing moves any more.
"""

import dataclasses
import math
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..flow import Flow, UnansweredQuestionError
from ..numerics import all_finite, dtype_of, max_norm, size
from ..status import Outcome, Status, said
from ..trajectory import Stats, Trajectory, along, is_stationary, padded
from . import solvers
from .spectrum import spectral_radius

# Steps of one compiled solve: the host looks at the path between solves, to save it, to change solver or to give up.
_STEPS_A_SOLVE = 512
_ENTRIES_A_SOLVE = 2**25
# An explicit solver that needs more steps than this for what stability alone asks is given up for an implicit one.
_STIFF_STEPS = 3_000
# The exponent p of a gradient's fall t^(−p) up to which a path is taken to run off; see `_runs_off`.
_SLOWEST_ARRIVAL = 1.1
# The share of the whole way that the second half of the time must still have moved for that.
_STILL = 1e-2


class LyapunovWarning(UserWarning):
    """Along a numerical solution the flow's Lyapunov function rose, which the flow itself never does."""


@dataclasses.dataclass(frozen=True)
class Problem:
    """The checked arguments of a solve."""

    t0: float
    t1: float
    ts: np.ndarray | None
    rtol: float
    atol: float
    gtol: float
    stops: bool
    max_steps: int


class _Start(NamedTuple):
    """What is known of the first state: the fastest mode's |λ|, norms, and what stationarity is judged by."""

    radius: Any
    size: Any
    drift: Any
    energy: Any
    residual: Any
    speed: Any


class Solve:
    """A solve in progress: compiled stretches of at most a few hundred steps, looked at in between."""

    def __init__(self, flow: Flow, z0: Any, problem: Problem, solver: Any, progress: Any) -> None:
        self.flow, self.z0, self.problem, self.progress = flow, z0, problem, progress
        self.n, self.dtype = size(z0), dtype_of(z0)
        self.rows = max(16, min(_STEPS_A_SOLVE, _ENTRIES_A_SOLVE // self.n))
        # Times as the precision holds them: an end between two floats would never be reached.
        self.ts = None if problem.ts is None else self._rounded(problem.ts)
        self.end = float(self._rounded(problem.t1) if self.ts is None else self.ts[-1])
        self.start = _Start(*(float(value) for value in _survey(flow, self._array(problem.t0), z0)))
        self.may_switch = solver is None and self.n <= solvers.LARGEST_IMPLICIT
        self.solver = solvers.named(solver, self.n, self.dtype) if isinstance(solver, str) else solver
        if self.solver is None:
            hurry = self.start.radius * (self.end - problem.t0) / 3 > _STIFF_STEPS
            self.solver = solvers.implicit(self.n, self.dtype) if self.may_switch and hurry else solvers.explicit()
        elif not isinstance(self.solver, dfx.AbstractAdaptiveSolver):
            name = type(self.solver).__name__
            raise ValueError(
                f"integrate: `solver` must estimate its error to choose its steps, and {name} does not; "
                f"take fixed steps with iterate(flow, FromDiffrax({name}()), ...)"
            )
        self.used = [type(self.solver).__name__]
        self.taken = self.rejected = 0
        self.times, self.states = [self._rounded([problem.t0])], [jax.tree.map(lambda leaf: np.asarray(leaf)[None], z0)]

    def _array(self, number: Any) -> jax.Array:
        return jnp.asarray(number, self.dtype)

    def _rounded(self, number: Any) -> np.ndarray:
        return np.asarray(self._array(number), dtype=float)

    def run(self) -> Trajectory:
        """Stretch after stretch, until the end, an equilibrium, a standstill or the last step allowed."""
        problem = self.problem
        first_step = h = self._first_step()
        t, z = float(self._rounded(problem.t0)), self.z0
        energy0 = self.start.energy
        at_rest = is_stationary(problem.gtol, energy0, energy0, self.start.residual, self.start.speed)
        stopped = problem.stops and bool(at_rest)
        stuck = False
        while t < self.end and not stopped and not stuck and self.taken + self.rejected < problem.max_steps:
            times, states, rejected, stopped = self._advance(z, t, h, energy0)
            self.taken, self.rejected = self.taken + len(times), self.rejected + rejected
            stuck = len(times) == 0
            if stuck:
                continue
            self.times.append(times)
            self.states.append(states)
            steps = np.diff(np.concatenate([[t], times]))
            t, z = float(times[-1]), jax.tree.map(lambda leaf: jnp.asarray(leaf[-1]), states)
            h = float(steps[-2:].max())
            stuck = not math.isfinite(h) or (problem.stops and _unchanged(self.states[-1], self.dtype))
            if self.progress is not None and math.isfinite(self.end):
                self.progress((t - problem.t0) / (self.end - problem.t0))
            if not stopped:
                self._maybe_switch(t, z, h)
        return self._finish(t, stopped, stuck, energy0, first_step)

    def _first_step(self) -> float:
        """A tenth of the fastest mode's time, which diffrax's own guess overshoots on quartic-like energies."""
        start, longest = self.start, self.end - self.problem.t0
        if not math.isfinite(start.drift) or start.drift == 0:
            return min(1.0, longest)
        by_curvature = 0.1 / start.radius if start.radius > 0 and math.isfinite(start.radius) else math.inf
        return min(by_curvature, 0.01 * (1 + start.size) / start.drift, longest)

    def _advance(self, z: Any, t: float, h: float, energy0: float) -> tuple[np.ndarray, Any, int, bool]:
        problem = self.problem
        clip = None if self.ts is None else self._array(_padded(self.ts[self.ts > float(self._rounded(problem.t0))]))
        ts, ys, accepted, rejected, stopped = _stretch(
            self.flow, self.solver, z, self._array(t), self._array(self.end), self._array(min(h, self.end - t)),
            self._array(problem.rtol), self._array(problem.atol),
            self._array(problem.gtol) if problem.stops else None, self._array(energy0), clip,
            min(self.rows, problem.max_steps - self.taken - self.rejected),
        )  # fmt: skip
        # Rows beyond the accepted steps are diffrax's padding.
        times, states = jax.tree.map(lambda leaf: np.asarray(leaf)[: int(accepted)], (ts, ys))
        return times.astype(float), states, int(rejected), bool(stopped)

    def _maybe_switch(self, t: float, z: Any, h: float) -> None:
        """Stiffness, not accuracy, holds an explicit solver's step back: hand over to an implicit one."""
        if not (self.may_switch and isinstance(self.solver, dfx.Tsit5)):
            return
        radius = float(spectral_radius(self.flow, self._array(t), z))
        remaining = (self.end - t) * radius / 3
        if radius * h > 1 and remaining > _STIFF_STEPS:
            self.solver = solvers.implicit(self.n, self.dtype)
            self.used.append(type(self.solver).__name__)

    def _finish(self, t: float, stopped: bool, stuck: bool, energy0: float, first_step: float) -> Trajectory:
        problem, dtype = self.problem, self.dtype
        times = np.concatenate(self.times)
        states = jax.tree.map(lambda *leaves: np.concatenate(leaves), *self.states)
        rows = padded((times.astype(dtype), states))
        measured = jax.tree.map(np.asarray, along(_measure, rows, self.flow))
        positions, energies, grad_norms, residuals, speeds = jax.tree.map(lambda leaf: leaf[: len(times)], measured)
        settled = bool(is_stationary(problem.gtol, energy0, energies[-1], residuals[-1], speeds[-1]))
        status = self._status(t, stopped or settled, stuck, times, states, energies, residuals)
        stats = Stats(
            solver=" → ".join(self.used),
            steps=self.taken,
            rejected=self.rejected,
            first_step=first_step,
            rtol=problem.rtol,
            atol=problem.atol,
            gtol=problem.gtol,
            precision=str(dtype),
            lyapunov_rises=self._count_rises(rows, len(times)),
        )
        steps, saved = np.arange(len(times)), (positions, states, energies, grad_norms)
        if self.ts is not None:
            # Each was reached by a step of its own; where none was, the start is what there is.
            after = np.clip(np.searchsorted(times, self.ts[self.ts <= t]), 1, len(times) - 1)
            nearer = after - (self.ts[self.ts <= t] - times[after - 1] <= times[after] - self.ts[self.ts <= t])
            keep = np.unique(nearer) if len(nearer) else np.zeros(1, int)
            times, steps, saved = jax.tree.map(lambda leaf: leaf[keep], (times, steps, saved))
        x, kept, energies, grad_norms = jax.tree.map(jnp.asarray, saved)
        return Trajectory(
            t=jnp.asarray(times, dtype), x=x, state=kept, energy=energies, grad_norm=grad_norms, status=status,
            stats=stats, steps=jnp.asarray(steps), evaluate=self._evaluator(times, saved[1]),
        )  # fmt: skip

    def _status(
        self, t: float, settled: bool, stuck: bool, times: np.ndarray, states: Any, energies: np.ndarray,
        residuals: np.ndarray,
    ) -> Status:  # fmt: skip
        problem = self.problem
        fell = float(energies[0] - energies[-1])
        where = f"at t = {t:.6g} after {self.taken} steps ({self.used[-1]}), energy {float(energies[-1]):.6g}"
        far = float(max_norm(jax.tree.map(lambda leaf: leaf[-1], states)))
        reach = 1e6 * (1 + float(max_norm(self.z0)))
        if fell > 0 and (far > reach or (settled and math.isinf(problem.t1) and _runs_off(times, states, residuals))):
            if t >= self.end:
                return said(Outcome.REACHED_END, f"running off: ‖z‖∞ = {far:.3g} {where}")
            return said(Outcome.RUNNING_OFF, f"‖z‖∞ = {far:.3g} {where}; the energy may have no minimizer this way")
        if settled:
            return said(Outcome.CONVERGED, where)
        if t >= self.end:
            return said(Outcome.REACHED_END, where)
        if stuck and not bool(all_finite(self.flow.drift(self._array(t), jax.tree.map(lambda a: a[-1], states)))):
            return said(Outcome.DIVERGED, f"the drift is not finite {where}")
        if stuck:
            remedy = "loosen gtol" if jnp.finfo(self.dtype).bits >= 64 else "loosen gtol or use double precision"
            return said(Outcome.PRECISION_FLOOR, f"{self.dtype} can't tell further steps apart {where}; {remedy}")
        stiff = self.start.radius * (self.end - problem.t0) / 3 > self.problem.max_steps
        cause = "stiff: give an implicit solver, or raise max_steps" if stiff else "raise max_steps or loosen rtol"
        return said(Outcome.OUT_OF_STEPS, f"{where}; {cause}")

    def _count_rises(self, rows: tuple[np.ndarray, Any], count: int) -> int:
        """How often the flow's Lyapunov function rose from a row to the next; told on in a warning."""
        try:
            values = np.asarray(along(_lyapunov, rows, self.flow), dtype=float)[:count]
        except UnansweredQuestionError:
            return 0
        finite = values[np.isfinite(values)]
        if len(finite) < 2:
            return 0
        # A millionth of the whole descent is more than the tolerances of a sound solve let the function rise.
        slack = 1e-6 * (finite[0] - finite.min()) + 64 * float(jnp.finfo(self.dtype).eps) * np.abs(finite).max()
        rises = int((np.diff(finite) > slack).sum())
        if rises:
            warnings.warn(
                f"the Lyapunov function of {type(self.flow).__name__} rose in {rises} of {self.taken} steps of "
                f"{self.used[-1]}, which the flow itself never does: tighten rtol (it is {self.problem.rtol:g}) or "
                "give an implicit solver",
                LyapunovWarning,
                stacklevel=5,
            )
        return rises

    def _evaluator(self, times: np.ndarray, states: Any) -> Callable[[Any], Any]:
        """Dense evaluation: the solve is resumed at the saved state before the time asked for."""

        def evaluate(t: Any) -> Any:
            asked = np.unique(np.asarray(t, dtype=float))
            if not len(asked):
                raise ValueError("path(t): `t` must hold at least one time, got none")
            row = int(np.searchsorted(times, asked[0], side="right")) - 1
            at_row = jax.tree.map(lambda leaf: jnp.asarray(leaf[row]), states)
            start = float(times[row])
            later = asked[asked > start]
            positions = jax.tree.map(np.asarray, _stacked(self.flow.position(at_row)))
            if len(later):
                limits = dataclasses.replace(self.problem, t0=start, t1=float(later[-1]), ts=later, stops=False)
                resumed = Solve(self.flow, at_row, limits, self.solver, None).run()
                positions = jax.tree.map(lambda a, b: np.concatenate([a, np.asarray(b)]), positions, resumed.x)
            first = 0 if asked[0] == start else 1
            index = np.searchsorted(asked, np.asarray(t, dtype=float)) + first
            return jax.tree.map(lambda leaf: jnp.asarray(leaf[index]), positions)

        return evaluate


def _padded(ts: np.ndarray) -> np.ndarray:
    """Times that are never reached, up to a power of two: another number of times does not compile again."""
    length = 1 << max(len(ts) - 1, 63).bit_length()
    return np.concatenate([ts, np.full(length - len(ts), np.inf)])


@eqx.filter_jit
def _survey(flow: Flow, t: Any, z: Any) -> _Start:
    """One compiled look at the first state."""
    x = flow.position(z)
    drift = flow.drift(t, z)
    return _Start(
        spectral_radius(flow, t, z), max_norm(z), max_norm(drift), flow.energy.value(x), max_norm(flow.residual(z)),
        _speed(flow, z),
    )  # fmt: skip


def _measure(row: tuple[Any, Any], flow: Flow) -> tuple[Any, Any, Any, Any, Any]:
    """Position, energy, ‖∇E‖∞, what of it no constraint takes up, and speed at a row."""
    _, z = row
    x = flow.position(z)
    return x, flow.energy.value(x), max_norm(flow.energy.grad(x)), max_norm(flow.residual(z)), _speed(flow, z)


def _lyapunov(row: tuple[Any, Any], flow: Flow) -> Any:
    return flow.lyapunov(*row)


def _stacked(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], tree)


def _speed(flow: Flow, z: Any) -> Any:
    velocity = flow.velocity(z)
    return jnp.zeros(()) if velocity is None else max_norm(velocity)


def _unchanged(states: Any, dtype: Any) -> bool:
    """Whether a whole stretch of steps moved the state by no more than rounding."""
    first, last = (jax.tree.map(lambda leaf, i=i: leaf[i], states) for i in (0, -1))
    moved = float(max_norm(jax.tree.map(lambda a, b: a - b, last, first)))
    many = len(jax.tree.leaves(states)[0]) > 1
    return many and moved <= 4 * float(jnp.finfo(dtype).eps) * float(max_norm(last))


def _runs_off(times: np.ndarray, states: Any, residuals: np.ndarray) -> bool:
    """Whether the gradient falls so slowly, as t^(−p) with p ≤ 1, that what it still moves adds up to infinity.

    Towards a minimizer, however flat, the fall is faster: p = (q − 1)/(q − 2) for an energy like |x|^q, and any
    exponential beats every p. The steepest slope over the last half of the time counts, and only where the state still
    moved in it: a gradient that is nothing but rounding does not fall either.
    """
    elapsed = times - times[0]
    half = int(np.searchsorted(elapsed, elapsed[-1] / 2, side="right")) - 1
    late = (np.arange(len(elapsed)) >= max(half, 1)) & (elapsed < elapsed[-1])
    if not late.any() or _moved(states, half) <= _STILL * _moved(states, 0):
        return False
    norms = np.maximum(residuals.astype(float), 1e-300)
    fall = np.log(norms[late] / norms[-1])
    return float(np.max(fall / np.log(elapsed[-1] / elapsed[late]))) <= _SLOWEST_ARRIVAL


def _moved(states: Any, row: int) -> float:
    """How far the last state is from that of a row."""
    return float(max_norm(jax.tree.map(lambda leaf: leaf[-1] - leaf[row], states)))


@eqx.filter_jit
def _stretch(
    flow: Flow, solver: Any, z: Any, t0: Any, t1: Any, h: Any, rtol: Any, atol: Any, gtol: Any, energy0: Any,
    clip: Any, rows: int,
) -> tuple[Any, Any, Any, Any, Any]:  # fmt: skip
    """At most `rows` steps, every accepted one saved; `gtol` `None` never stops early.

    Returns times, states (both padded to `rows`), how many steps were accepted and rejected, whether it stopped early.
    """

    def settled(t: Any, y: Any, args: Any, **_: Any) -> Any:
        far = max_norm(y) > 1e12 * (1 + max_norm(z))
        energy = flow.energy.value(flow.position(y))
        return is_stationary(gtol, energy0, energy, max_norm(flow.residual(y)), _speed(flow, y)) | far

    controller: Any = dfx.PIDController(rtol=rtol, atol=atol)
    if clip is not None:
        controller = dfx.ClipStepSizeController(controller, step_ts=clip)
    solution = dfx.diffeqsolve(
        solvers.vector_field(flow), solver, t0, t1, h, z, saveat=dfx.SaveAt(steps=True),
        stepsize_controller=controller, max_steps=rows, throw=False,
        event=None if gtol is None else dfx.Event(settled),
    )  # fmt: skip
    stopped = solution.result == dfx.RESULTS.event_occurred
    stats = solution.stats
    return solution.ts, solution.ys, stats["num_accepted_steps"], stats["num_rejected_steps"], stopped
