"""The host's side of a solve: compiled stretches of a few hundred steps, looked at in between.

The host decides between stretches: it saves the path (so memory follows the steps taken, not the steps allowed), hands
over to a solver for stiff flows where stiffness shows, and sees when nothing moves any more.
"""

import dataclasses
import math
import warnings
from collections.abc import Callable
from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..flow import Flow
from ..numerics import dtype_of, size
from ..status import Status, decide, unseen
from ..trajectory import Stats, Trajectory
from .choice import FAR, chosen, first_look, first_step, for_stiff, held_back, is_stiff, may_switch
from .control import Tolerances
from .integration import Carry, Integration, Rows
from .spectrum import spectral_radius
from .stretch import End, Measured, Stretch, advanced, cut, joined

# Steps of one compiled stretch: the host looks at the path between them, to save it, to change solver or to give up.
_STEPS = 512
_ENTRIES = 2**25
# Where only some times are kept, a stretch can be longer.
_STEPS_BETWEEN_TIMES = 8 * _STEPS
# After a false alarm of a path that runs off, steps until it is looked at again.
_PATIENCE = 16
# The exponent p of a gradient's fall t^(−p) up to which a path is taken to run off; see `_runs_off`.
_SLOWEST_ARRIVAL = 1.1
# The share of the whole way that the second half of the time must still have moved for that.
_STILL = 1e-2
# The share of the fall for whose sake nobody goes so many times as far as for the rest of it.
_LAST_BIT = 1e-4


class LyapunovWarning(UserWarning):
    """Along a numerical solution the flow's Lyapunov function rose, which the flow itself never does."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """The checked arguments of a solve; `atol` and `gtol` are `None` unless given."""

    t0: float
    t1: float
    ts: np.ndarray | None
    rtol: float
    atol: float | None
    gtol: float | None
    max_steps: int

    @property
    def to_rest(self) -> bool:
        """Whether the solve may end before its time."""
        return self.gtol is not None or math.isinf(self.t1)


class Solve:
    """A solve in progress."""

    def __init__(self, flow: Flow, z0: Any, limits: Limits, solver: Any, progress: Any) -> None:
        self.limits, self.progress = limits, progress
        self.dtype = dtype_of(z0)
        # Times since the start, as the precision holds them: an end between two floats would never be reached.
        self.times = None if limits.ts is None else self._rounded(limits.ts - limits.t0)
        self.end = float(self._rounded(limits.t1 - limits.t0) if self.times is None else self.times[-1])
        t0 = np.asarray(limits.t0, self.dtype)
        look = jax.device_get(first_look(flow, t0, z0))
        self.radius = float(look.radius)
        self.first_step = float(first_step(look, self.end, np))
        self.may_switch = may_switch(solver, flow, z0)
        solver = chosen(solver, flow, z0, self.radius, self.end)
        self.used = [type(solver).__name__]
        numbers = [None if number is None else np.asarray(number, self.dtype) for number in (limits.atol, limits.gtol)]
        tolerances = Tolerances(np.asarray(limits.rtol, self.dtype), numbers[0])
        self.integration = Integration(flow, solver, tolerances, t0, z0, limits.to_rest, numbers[1])
        # A power of two, for the rows are measured in batches.
        self.room = 1 << (max(16, min(_STEPS, _ENTRIES // max(size(z0), 1))).bit_length() - 1)
        self.stretches: list[Stretch] = []

    def run(self) -> Trajectory:
        """Stretch after stretch, until the end, an equilibrium, a standstill or the last step allowed."""
        carry = _begin(self.integration, np.asarray(self.first_step, self.dtype))
        state, runs_off, stuck = carry, False, False
        while True:
            carry, stretch = self._stretch(carry)
            self.stretches.append(stretch)
            state = jax.device_get(dataclasses.replace(carry, z=None, solver=None, controller=None))
            stuck = bool(state.stuck) or (self.limits.to_rest and self._unchanged())
            by_number = self.limits.gtol is not None and bool(state.rest)
            if math.isinf(self.limits.t1):
                asked = bool(state.spent) or by_number or stuck
                runs_off = self._far_and_flat() or (asked and self._runs_off())
            tried = int(state.taken) + int(state.rejected)
            ended = float(state.s) >= self.end or bool(state.rest) or runs_off or stuck
            if ended or tried >= self.limits.max_steps:
                return self._finish(carry, state, runs_off, stuck)
            if state.spent:
                later = (jnp.asarray(False), state.taken + _PATIENCE)
                carry = eqx.tree_at(lambda c: (c.spent, c.asks_from), carry, later)
            if self.progress is not None and math.isfinite(self.end):
                self.progress(float(state.s) / self.end)
            carry = self._maybe_switched(carry, state)

    def _stretch(self, carry: Carry) -> tuple[Carry, Stretch]:
        tried = int(carry.taken) + int(carry.rejected)
        left = self.limits.max_steps - tried
        if self.times is None:
            times, room = None, self.room
            most = min(room, left)
        else:
            times = _padded(self.times).astype(self.dtype)
            room, most = len(times), min(_STEPS_BETWEEN_TIMES, left)
        end = np.asarray(self.end, self.dtype)
        carry, stretch = advanced(self.integration, carry, times, end, np.asarray(most), room)
        return carry, cut(stretch, first=0 if tried == 0 else 1)

    def _rounded(self, number: Any) -> np.ndarray:
        return np.asarray(number, self.dtype).astype(float)

    def _unchanged(self) -> bool:
        """Whether a whole stretch of steps moved the state, or E, by no more than rounding."""
        rows, seen, _ = self.stretches[-1]
        states, energy = jax.tree.map(np.asarray, (rows.z, seen.energy))
        if self.times is not None or len(energy) < self.room // 2:
            return False
        largest = max(float(np.max(np.abs(leaf[-1]), initial=0)) for leaf in jax.tree.leaves(states))
        rounding = 4 * float(jnp.finfo(self.dtype).eps)
        level = self.integration.flow.has_energy and float(np.ptp(energy)) <= rounding * abs(float(energy[-1]))
        return _moved(states, 0) <= rounding * largest or level

    def _maybe_switched(self, carry: Carry, state: Carry) -> Carry:
        """Stiffness, not accuracy, holds an explicit solver's step back: hand over to one for stiff flows."""
        if not (self.may_switch and isinstance(self.integration.solver, dfx.Tsit5)):
            return carry
        now = np.asarray(self.limits.t0 + float(state.s), self.dtype)
        radius = float(spectral_radius(self.integration.flow, now, carry.z))
        if not held_back(radius, float(state.h), self.end - float(state.s), int(state.taken)):
            return carry
        solver = for_stiff(self.integration.flow, carry.z)
        self.used.append(type(solver).__name__)
        self.integration = eqx.tree_at(lambda i: i.solver, self.integration, solver)
        return _handed_over(self.integration, carry)

    def _finish(self, carry: Carry, state: Carry, runs_off: bool, stuck: bool) -> Trajectory:
        rows, seen, end = joined(self.stretches)
        limits, tolerances = self.limits, self.integration.tolerances
        times = limits.t0 + np.asarray(rows.s, dtype=float)
        status = self._status(state, rows, seen, end, runs_off, stuck)
        stats: dict[str, Any] = {
            "solver": " → ".join(self.used),
            "steps": int(state.taken),
            "rejected": int(state.rejected),
            "first_step": self.first_step,
            "rtol": limits.rtol,
            "atol": float(tolerances.absolute(np.asarray(carry.controller[1]))),
            "precision": str(self.dtype),
            "lyapunov_rises": self._count_rises(seen.lyapunov, int(state.taken)),
        }
        if limits.gtol is not None:
            stats["gtol"] = limits.gtol
        saved = rows.k, seen.x, rows.z, seen.energy, seen.grad_norm
        if self.times is not None and len(times) > 1 and self.times[0] > 0:
            # The start was not asked for.
            times, saved = times[1:], jax.tree.map(lambda leaf: leaf[1:], saved)
        steps, x, kept, energies, grad_norms = jax.tree.map(jnp.asarray, saved)
        return Trajectory(
            t=jnp.asarray(times, self.dtype), x=x, state=kept, energy=energies, grad_norm=grad_norms, status=status,
            stats=Stats(**stats), steps=steps, evaluate=self._evaluator(times, saved[2]),
        )  # fmt: skip

    def _status(self, state: Carry, rows: Rows, seen: Measured, end: End, runs_off: bool, stuck: bool) -> Status:
        limits = self.limits
        energies, grad_norms = np.asarray(seen.energy), np.asarray(seen.grad_norm)
        reach, start = (
            max(float(np.max(np.abs(np.asarray(leaf)[row]), initial=0)) for leaf in jax.tree.leaves(seen.x))
            for row in (-1, 0)
        )
        residuals = np.asarray(seen.residual)
        at_end = float(state.s) >= self.end
        # A minimum may be far from the start; then there is rest.
        far = energies[-1] < energies[0] and reach > FAR * (1 + start) and not bool(end.rest)
        lost = stuck and not bool(end.drift_finite)
        return decide(
            dataclasses.replace(
                unseen(np, energies[[0, -1]], grad_norms[[0, -1]]),
                steps=state.taken,
                time=np.asarray(limits.t0 + float(state.s)),
                at_end=np.asarray(at_end),
                out_of_steps=np.asarray(not at_end),
                settled=end.rest,
                lost_from=np.where(lost, state.taken, -1),
                lost=np.where(lost, 8, 0),
                still=np.asarray(stuck),
                resolved=residuals[-1] > float(jnp.finfo(self.dtype).eps) ** 0.5 * residuals[0],
                runs_off=np.asarray(not at_end and (far or runs_off)),
                left=end.left,
                moved=state.moved,
                reach=np.asarray(reach),
                stiff=np.asarray(is_stiff(self.radius, self.end)),
            )
        )

    def _far_and_flat(self) -> bool:
        """Whether it has gone very far on the last bit of the fall, its gradient no faster than t^(−p) with p ≤ 1."""
        if len(self.stretches[-1].rows.s) < self.room // 2:
            return False
        rows, seen, _ = joined(self.stretches)
        energy, away = np.asarray(seen.energy, float), np.maximum.accumulate(np.asarray(seen.away, float))
        first = int(np.argmax(energy - energy[-1] <= _LAST_BIT * (energy[0] - energy[-1])))
        if not (energy[-1] < energy[0] and away[-1] > away[first] / _LAST_BIT):
            return False
        (s0, s1), (g0, g1) = (np.asarray(each, float)[[first, -1]] for each in (rows.s, seen.residual))
        return g1 > 0 and math.log(g0 / g1) <= _SLOWEST_ARRIVAL * math.log(s1 / s0)

    def _runs_off(self) -> bool:
        rows, seen, _ = joined(self.stretches)
        return _falls_too_slowly(np.asarray(rows.s, float), jax.tree.map(np.asarray, seen.x), np.asarray(seen.residual))

    def _count_rises(self, values: Any, taken: int) -> int:
        """How often the flow's Lyapunov function rose from a row to the next; told on in a warning."""
        if values is None:
            return 0
        values = np.asarray(values, dtype=float)
        finite = values[np.isfinite(values)]
        if len(finite) < 2:
            return 0
        # A millionth of the whole descent is more than the tolerances of a sound solve let the function rise.
        slack = 1e-6 * (finite[0] - finite.min()) + 64 * float(jnp.finfo(self.dtype).eps) * np.abs(finite).max()
        rises = int((np.diff(finite) > slack).sum())
        if rises:
            warnings.warn(
                f"the Lyapunov function of {self.integration.flow.name} rose in {rises} of {taken} steps of "
                f"{self.used[-1]}, which the flow itself never does: tighten rtol (it is {self.limits.rtol:g}) or "
                "give an implicit solver",
                LyapunovWarning,
                stacklevel=5,
            )
        return rises

    def _evaluator(self, times: np.ndarray, states: Any) -> Callable[[Any], Any]:
        """Dense evaluation: the solve is resumed at the saved state before the time asked for."""
        flow, solver = self.integration.flow, self.integration.solver

        def evaluate(t: Any) -> Any:
            asked = np.unique(np.asarray(t, dtype=float))
            if not len(asked):
                raise ValueError("path(t): `t` must hold at least one time, got none")
            row = int(np.searchsorted(times, asked[0], side="right")) - 1
            at_row = jax.tree.map(lambda leaf: jnp.asarray(leaf[row]), states)
            start = float(times[row])
            later = asked[asked > start]
            positions = jax.tree.map(lambda leaf: np.asarray(leaf)[None], flow.position(at_row))
            if len(later):
                limits = dataclasses.replace(self.limits, t0=start, t1=float(later[-1]), ts=later, gtol=None)
                resumed = Solve(flow, at_row, limits, solver, None).run()
                positions = jax.tree.map(lambda a, b: np.concatenate([a, np.asarray(b)]), positions, resumed.x)
            first = 0 if asked[0] == start else 1
            index = np.searchsorted(asked, np.asarray(t, dtype=float)) + first
            return jax.tree.map(lambda leaf: jnp.asarray(leaf[index]), positions)

        return evaluate


@eqx.filter_jit
def _begin(integration: Integration, h: Any) -> Carry:
    return integration.start(h)


@eqx.filter_jit
def _handed_over(integration: Integration, carry: Carry) -> Carry:
    """Where another solver left off."""
    fresh = integration.start(carry.h)
    return eqx.tree_at(
        lambda c: (c.solver, c.controller), carry, (fresh.solver, (fresh.controller[0], carry.controller[1]))
    )


def _padded(times: np.ndarray) -> np.ndarray:
    """Times that are never reached, up to a power of two: another number of times does not compile again."""
    # One row more for the start, and one time more that is never reached.
    length = 1 << max(len(times) + 1, 64).bit_length()
    return np.concatenate([times, np.full(length - len(times), np.inf)])


def _falls_too_slowly(elapsed: np.ndarray, positions: Any, residuals: np.ndarray) -> bool:
    """Whether the gradient falls so slowly, as t^(−p) with p ≤ 1, that what it still moves adds up to infinity.

    Towards a minimizer, however flat, the fall is faster: p = (q − 1)/(q − 2) for an energy like |x|^q, and any
    exponential beats every p. The steepest slope over the last half of the time counts, and only where the state still
    moved in it: a gradient that is nothing but rounding does not fall either.
    """
    half = int(np.searchsorted(elapsed, elapsed[-1] / 2, side="right")) - 1
    late = (np.arange(len(elapsed)) >= max(half, 1)) & (elapsed < elapsed[-1])
    if not late.any() or _moved(positions, half) <= _STILL * _moved(positions, 0):
        return False
    norms = np.maximum(residuals.astype(float), 1e-300)
    fall = np.log(norms[late] / norms[-1])
    return float(np.max(fall / np.log(elapsed[-1] / elapsed[late]))) <= _SLOWEST_ARRIVAL


def _moved(states: Any, row: int) -> float:
    """How far the last state is from that of a row."""
    return max(float(np.max(np.abs(leaf[-1] - leaf[row]), initial=0)) for leaf in jax.tree.leaves(states))
