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

from ..aliases import State, StepLength, Time
from ..beyond import look_beyond
from ..compiling import compiled, on_device
from ..flow import Flow
from ..numerics import dtype_of, on_host, size
from ..trajectory import Stats, Trajectory
from .choice import chosen, exact, first_look, first_step, for_stiff, held_back, is_stiff, may_switch, most_explicit
from .control import Tolerances
from .integration import Carry, Integration
from .spectrum import spectral_radius
from .stretch import Stretch, advanced, cut, joined
from .watched import Limits, Watched

# Steps of one compiled stretch: the host looks at the path between them, to save it, to change solver or to give up.
_STEPS = 512
_ENTRIES = 2**25
# Where only some times are kept, or nothing is asked but whether the end is reached, a stretch can be longer.
STEPS_BETWEEN_TIMES, _STEPS_TO_A_TIME = 8 * _STEPS, 4 * _STEPS
# A path that rises in a larger share of its steps than one in so many chatters.
_OF_CHATTER = 4
# After a false alarm of a path that runs off, steps until it is looked at again.
_PATIENCE = 16


class LyapunovWarning(UserWarning):
    """Along a numerical solution the flow's Lyapunov function rose, which the flow itself never does."""


class Solve:
    """A solve in progress."""

    def __init__(self, flow: Flow, z0: State, limits: Limits, solver: Any, progress: Any) -> None:
        self.limits, self.progress = limits, progress
        self.dtype = dtype_of(z0)
        self.times, self.end = limits.times(self.dtype), limits.end(self.dtype)
        t0 = np.asarray(limits.t0, self.dtype)
        look = on_host(first_look(flow, t0, z0))
        self.first_step = float(first_step(look, self.end, np))
        self.may_switch = may_switch(solver, flow, z0)
        self.most_explicit = most_explicit(flow.is_gradient_flow, z0, limits.rtol)
        radius = float(look.radius)
        if solver is None:
            solver = exact(flow, z0, radius, self.end, self.most_explicit)
        solver = chosen(solver, flow, z0, is_stiff(radius, self.end, self.most_explicit), self.end)
        self.used = [type(solver).__name__]
        self.integration = Integration(
            flow, solver, tolerances_of(limits, self.dtype), t0, z0, limits.to_rest,
            None if limits.gtol is None else np.asarray(limits.gtol, self.dtype),
        )  # fmt: skip
        self.watched = Watched(limits, self.dtype, room_for(z0, limits.to_rest), flow.has_energy, radius)

    def run(self) -> Trajectory:
        """Stretch after stretch, until the end, an equilibrium, a standstill or the last step allowed."""
        carry, watched = _begin(self.integration, np.asarray(self.first_step, self.dtype)), self.watched
        while True:
            carry, stretch = self._stretch(carry)
            state = on_host(dataclasses.replace(carry, z=None, solver=None, controller=None))
            watched.take(state, stretch)
            if watched.ended:
                return self._finish(carry)
            carry = looking_later(carry) if state.spent else carry
            if self.progress is not None and math.isfinite(self.end):
                self.progress(float(state.s) / self.end)
            carry = self._maybe_switched(carry, state)

    def _stretch(self, carry: Carry) -> tuple[Carry, Stretch]:
        tried = int(carry.taken) + int(carry.rejected)
        left = self.limits.max_steps - tried
        if self.times is None:
            times, room = None, self.watched.room
            most = min(room, left)
        else:
            times = padded(self.times).astype(self.dtype)
            room, most = len(times), min(STEPS_BETWEEN_TIMES, left)
        end = np.asarray(self.end, self.dtype)
        carry, stretch = advanced(self.integration, carry, times, end, np.asarray(most), room)
        return carry, cut(stretch, first=0 if tried == 0 else 1)

    def _maybe_switched(self, carry: Carry, state: Carry) -> Carry:
        """Stiffness, not accuracy, holds an explicit solver's step back: hand over to one for stiff flows."""
        if not (self.may_switch and isinstance(self.integration.solver, dfx.Tsit5)):
            return carry
        now = np.asarray(self.limits.t0 + float(state.s), self.dtype)
        radius = float(spectral_radius(self.integration.flow, now, carry.z))
        rest = self.end - float(state.s)
        if not held_back(radius, float(state.h), rest, int(state.taken), self.most_explicit):
            return carry
        solver = for_stiff(self.integration.flow, carry.z)
        self.used.append(type(solver).__name__)
        self.integration = eqx.tree_at(lambda i: i.solver, self.integration, solver)
        return handed_over(self.integration, carry)

    def _finish(self, carry: Carry) -> Trajectory:
        state = self.watched.state
        rows, seen, _ = joined(self.watched.stretches)
        limits, tolerances = self.limits, self.integration.tolerances
        times = limits.t0 + np.asarray(rows.s, dtype=float)
        x = jax.tree.map(lambda leaf: leaf[-1], seen.x)
        status = look_beyond(self.integration.flow, np.asarray(times[-1], self.dtype), x, self.watched.status())
        stats: dict[str, Any] = {
            "solver": " → ".join(self.used),
            "steps": int(state.taken),
            "rejected": int(state.rejected),
            "first_step": self.first_step,
            "rtol": limits.rtol,
            "atol": float(tolerances.absolute(np.asarray(carry.controller[1]), np)),
            "precision": str(self.dtype),
            "lyapunov_rises": self._count_rises(seen.lyapunov, int(state.taken)),
        }
        if limits.gtol is not None:
            stats["gtol"] = limits.gtol
        saved = rows.k, seen.x, rows.z, seen.energy, seen.grad_norm
        if self.times is not None and len(times) > 1 and self.times[0] > 0:
            # The start was not asked for.
            times, saved = times[1:], jax.tree.map(lambda leaf: leaf[1:], saved)
        t, steps, x, kept, energies, grad_norms = on_device((times.astype(self.dtype), *saved))
        return Trajectory(
            t=t, x=x, state=kept, energy=energies, grad_norm=grad_norms, status=status,
            stats=Stats(**stats), steps=steps, evaluate=self._evaluator(times, kept, (x, energies, grad_norms)),
        )  # fmt: skip

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
            # Across a kink every other step leads up, however short they are.
            kink = "; where E has a kink, as |x| has, neither helps: give that part as a penalty, Composite(f, "
            kink += "penalties.L1(1.0)), to a scheme with its proximal map, ForwardBackward()"
            warnings.warn(
                f"the Lyapunov function of {self.integration.flow.name} rose in {rises} of {taken} steps of "
                f"{self.used[-1]}, which the flow itself never does: tighten rtol (it is {self.limits.rtol:g}) or "
                f"give an implicit solver{kink if rises > taken / _OF_CHATTER else ''}",
                LyapunovWarning,
                stacklevel=5,
            )
        return rises

    def _evaluator(self, times: np.ndarray, states: Any, seen: Any) -> Callable[[Any], Any]:
        """Dense evaluation of what is seen: the solve is resumed at the saved state before the time asked for."""
        flow, solver = self.integration.flow, self.integration.solver

        def evaluate(t: Time) -> Any:
            asked = np.unique(np.asarray(t, dtype=float))
            if not len(asked):
                raise ValueError("path(t): `t` must hold at least one time, got none")
            row = int(np.searchsorted(times, asked[0], side="right")) - 1
            start = float(times[row])
            later = asked[asked > start]
            answers = jax.tree.map(lambda leaf: np.asarray(leaf)[row][None], seen)
            if len(later):
                limits = dataclasses.replace(self.limits, t0=start, t1=float(later[-1]), ts=later, gtol=None)
                at_row = jax.device_put(jax.tree.map(lambda leaf: np.asarray(leaf)[row], states))
                found = Solve(flow, at_row, limits, solver, None).run()
                resumed = found.x, found.energy, found.grad_norm
                answers = jax.tree.map(lambda a, b: np.concatenate([a, np.asarray(b)]), answers, resumed)
            first = 0 if asked[0] == start else 1
            index = np.searchsorted(asked, np.asarray(t, dtype=float)) + first
            return jax.device_put(jax.tree.map(lambda leaf: leaf[index], answers))

        return evaluate


@compiled
def _begin(integration: Integration, h: StepLength) -> Carry:
    return integration.start(h)


@compiled
def handed_over(integration: Integration, carry: Carry) -> Carry:
    """A carry for another solver: where another solver left off, of which it knows the slope there."""
    fresh = dataclasses.replace(integration, t0=integration.t0 + carry.s, z0=carry.z).start(carry.h)
    return eqx.tree_at(
        lambda c: (c.solver, c.controller), carry, (fresh.solver, (fresh.controller[0], carry.controller[1]))
    )


def looking_later(carry: Carry) -> Carry:
    """Where a path that was taken to run off goes on after all: it is looked at again some steps later."""
    again = np.where(carry.spent, carry.taken + _PATIENCE, carry.asks_from)
    return dataclasses.replace(carry, spent=np.zeros_like(carry.spent), asks_from=again)


def tolerances_of(limits: Limits, dtype: Any) -> Tolerances:
    """What a step's error is held to, in a precision."""
    return Tolerances(np.asarray(limits.rtol, dtype), None if limits.atol is None else np.asarray(limits.atol, dtype))


def room_for(z: State, to_rest: bool = True) -> int:
    """For how many rows of a state there is room in a stretch: a power of two, for they are measured in batches."""
    most = _STEPS if to_rest else _STEPS_TO_A_TIME
    return 1 << (max(16, min(most, _ENTRIES // max(size(z), 1))).bit_length() - 1)


def padded(times: np.ndarray) -> np.ndarray:
    """Times that are never reached, up to a power of two: another number of times does not compile again."""
    # One row more for the start, and one time more that is never reached.
    length = 1 << max(len(times) + 1, 64).bit_length()
    return np.concatenate([times, np.full(length - len(times), np.inf)])
