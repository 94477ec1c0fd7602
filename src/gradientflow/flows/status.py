"""How a trajectory ended: what was seen, one rule that decides, and the sentence that says it.

What was seen is `Evidence`: numbers, which may be traced, an entry a lane in a batch. `decide` makes a code and step
numbers of it. Words are formed on the host, when somebody asks for them.
"""

import dataclasses
import enum
from collections import Counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

# A rise of this much over the last half of a run is one that does not end.
_GROWN = 10
# A path that stands still where ∇E is so many times what it was has met an end.
STEEPER = 1_000
# The bit of what was lost by a field that was not finite where all else was.
FIELD_BEFORE = 16
# A rise above this many times the run's own scale is one that did not end well, wherever it has stopped.
_FAR = 1_000


class Outcome(enum.StrEnum):
    """The ways in which a trajectory can end.

    Example:
        >>> import gradientflow as gf
        >>> gf.Outcome("diverged").name
        'DIVERGED'
    """

    CONVERGED = "converged"
    REACHED_END = "reached the end"
    DIVERGED = "diverged"
    CYCLING = "cycling"
    STANDING_STILL = "standing still"
    PRECISION_FLOOR = "precision floor"
    OUT_OF_STEPS = "out of steps"
    RUNNING_OFF = "running off"

    @classmethod
    def _missing_(cls, value: object) -> "Outcome | None":
        # As files of earlier versions have it.
        return cls.RUNNING_OFF if value == "running off with falling energy" else None


OUTCOMES = tuple(Outcome)
_CODES = {outcome: code for code, outcome in enumerate(OUTCOMES)}


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Evidence:
    """What was seen of a trajectory: arrays, an entry a lane. A step number of −1 is none.

    Attributes:
        steps: how many steps were taken.
        at_end: whether the time or the count that was asked for is reached.
        out_of_steps: whether it stopped because no more steps were allowed.
        noisy: whether chance moves it, so that neither rest nor a cycle is to be expected.
        heated: whether a Brownian motion drives it, whose heat is a rise that ends.
        settled: whether it stands where a state of rest is.
        lost_from: the step from which something is not finite.
        lost: what was not finite there: 1 for the state, 2 for E, 4 for ∇E, 8 for the drift, 16 for the drift at the
            step before, and their sums.
        rises_from: the first step of the last rise above the start.
        rise: E at the end less E at the start, a median where chance moves it [E].
        rise_before: the largest such rise over the first half [E].
        first_fall: h‖∇E(x₀)‖², by which E would fall in the first step on a line [E].
        change: the median change of E in a step [E].
        still: whether the last step changed nothing.
        climbs: whether its velocity leads up E where it stopped.
        resolved: whether that step should have changed the state by more than its rounding.
        recurs: after how many steps the last saved state was met again, a multiple of any period; 0 for never.
        cycle_from: the first step of the cycle that the last states go through.
        period: the period of that cycle, in steps.
        runs_off: whether it goes to infinity while its energy falls.
        time: the time of the end [T].
        energy: E at the start and at the end, shape (2,) [E].
        grad_norm: ‖∇E‖∞ at the start and at the end, shape (2,) [E/X].
        left: what the Newton step from the end says is left to do, or `None` where it was not asked.
        moved: how far the position has been from its start [X].
        reach: the largest entry of the last position [X].
        stiff: whether stability held the steps of a solve back.
        has_energy: whether there is an energy to tell of; of a field E is 0 in all rows, and ∇E is −f.
        falls_on: how far beyond its state of rest E was seen to fall on [X]; `None` where it was not.
    """

    steps: Any
    at_end: Any
    out_of_steps: Any
    noisy: Any
    heated: Any
    settled: Any
    lost_from: Any
    lost: Any
    rises_from: Any
    rise: Any
    rise_before: Any
    first_fall: Any
    change: Any
    still: Any
    climbs: Any
    resolved: Any
    recurs: Any
    cycle_from: Any
    period: Any
    runs_off: Any
    time: Any
    energy: Any
    grad_norm: Any
    left: Any
    moved: Any
    reach: Any
    stiff: Any
    has_energy: bool = dataclasses.field(default=True, metadata={"static": True})
    falls_on: Any = None


def unseen(xp: Any, energy: Any, grad_norm: Any) -> Evidence:
    """Nothing but the energy and the gradient at the start and the end of what has reached its end.

    Args:
        xp: the module of arrays.
        energy: E at both ends.
        grad_norm: ‖∇E‖∞ at both ends.
    """
    no, none, zero = xp.asarray(False), xp.asarray(-1), xp.zeros_like(energy[0])
    return Evidence(
        steps=xp.asarray(0), at_end=xp.asarray(True), out_of_steps=no, noisy=no, heated=no, settled=no, lost_from=none,
        lost=xp.asarray(0), rises_from=none, rise=zero, rise_before=zero, first_fall=zero, change=zero, still=no,
        climbs=no, resolved=no, recurs=xp.asarray(0), cycle_from=none, period=xp.asarray(0), runs_off=no, time=zero,
        energy=energy, grad_norm=grad_norm, left=None, moved=zero, reach=zero, stiff=no,
    )  # fmt: skip


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class Status:
    """How a trajectory ended; it equals the name of its outcome, and another with the same codes.

    A pytree of arrays, so that it goes through `jit` and `vmap`; of a batch each holds an entry a lane, and `tally`
    counts the outcomes.

    Attributes:
        code: the outcome's position in `Outcome`.
        step: where it began: of `diverged` the first step of the rise that did not end, of `cycling` the first of the
            cycle, of `standing still` the last; else −1, which `status.step` of a single run shows as `None`.
        first_not_finite: the first step after which something is not finite, shown likewise.
        evidence: what was seen, or `None` for what was read from a file.

    Example:
        >>> import gradientflow as gf
        >>> too_long = gf.optimizers.gradient_descent(gf.landscapes.bowl(), lr=0.3)
        >>> print(too_long.iterate([3.0, 1.0], steps=100).status)
        diverged at step 1
    """

    code: Any
    _step: Any
    _first_not_finite: Any
    evidence: Evidence | None = None
    said: str | None = dataclasses.field(default=None, metadata={"static": True})

    @property
    def outcome(self) -> Any:
        """What happened, an `Outcome`; of a batch an array of their names."""
        code = self._known(self.code)
        return OUTCOMES[int(code)] if code.ndim == 0 else np.asarray(OUTCOMES, dtype=object)[code]

    @property
    def step(self) -> Any:
        """Where it began, or `None`; of a batch an array, −1 for none."""
        return self._number(self._step)

    @property
    def first_not_finite(self) -> Any:
        """The first step after which the state, E or ∇E is not finite, or `None`; of a batch an array, −1 for none."""
        return self._number(self._first_not_finite)

    @property
    def ok(self) -> Any:
        """Whether the trajectory got where it was sent."""
        code = self._known(self.code)
        ok = (code == _CODES[Outcome.CONVERGED]) | (code == _CODES[Outcome.REACHED_END])
        return bool(ok) if code.ndim == 0 else ok

    @property
    def detail(self) -> str:
        """The sentence that says why, with figures; of a batch the tally."""
        if self.said is not None:
            return self.said
        if self._known(self.code).ndim:
            return self.tally
        return "" if self.evidence is None else _sentence(self)

    @property
    def tally(self) -> str:
        """How many lanes ended how."""
        counts = Counter(np.atleast_1d(self.outcome).ravel().tolist())
        return ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())

    def __str__(self) -> str:
        """The outcome, and the step where there is one; of a batch the tally."""
        if isinstance(self.code, Tracer):
            return "not known while it is traced"
        if np.ndim(self.code):
            return self.tally
        return str(self.outcome) if self.step is None else f"{self.outcome} at step {self.step}"

    def __repr__(self) -> str:
        """As it is said."""
        return f"Status({self})"

    def __eq__(self, other: object) -> Any:
        """`status == "converged"`, or the same codes; of a batch an array."""
        if isinstance(other, Status):
            mine, theirs = ((s.code, s._step, s._first_not_finite) for s in (self, other))
            return all(np.array_equal(a, b) for a, b in zip(mine, theirs, strict=True))
        if np.ndim(self.code):
            return self.outcome == other
        return self.outcome == other

    def __hash__(self) -> int:
        """That of the outcome's name, which it equals."""
        return hash(self.outcome)

    def _number(self, value: Any) -> Any:
        value = self._known(value)
        if value.ndim:
            return value
        return None if value < 0 else int(value)

    @staticmethod
    def _known(value: Any) -> np.ndarray:
        if isinstance(value, Tracer):
            raise TypeError(
                "a status has words only outside of jit, vmap and grad, where its numbers are known; inside, compare "
                "`status.code` with `list(gf.Outcome).index(...)`"
            )
        return np.asarray(value)


def said(outcome: Outcome, detail: str = "", step: int | None = None, first_not_finite: int | None = None) -> Status:
    """A status whose sentence is known: of what was read from a file, or was decided elsewhere."""
    numbers = [np.asarray(-1 if number is None else number) for number in (step, first_not_finite)]
    return Status(np.asarray(_CODES[outcome]), numbers[0], numbers[1], said=detail)


def decide(evidence: Evidence) -> Status:
    """The one rule for how a trajectory ended. Pure: it may be traced.

    `diverged` is what is not finite; and what ended above its start, by a rise that either grew tenfold over the last
    half of the run or exceeds a thousand times the run's own scale. A rise that is followed by a fall below the start
    is none, nor is a bounded cycle, nor the heat of a Brownian motion that a run started at its minimum takes up.
    """
    e = evidence
    # What is known is decided without a program of its own.
    xp: Any = np if all(isinstance(leaf, np.ndarray | np.generic) for leaf in jax.tree.leaves(e)) else jnp
    lost = e.lost_from >= 0
    cycling = (e.period > 1) & ~lost
    grown = e.rise > _GROWN * xp.maximum(e.rise_before, e.first_fall)
    grown = grown | (~e.heated & (e.rise > _FAR * xp.maximum(e.first_fall, e.change)))
    diverged = lost | ((e.rise > 0) & grown & ~cycling)
    rules = [
        (diverged, Outcome.DIVERGED),
        (cycling, Outcome.CYCLING),
        (e.runs_off & ~e.at_end, Outcome.RUNNING_OFF),
        (e.settled & ~e.noisy, Outcome.CONVERGED),
        (e.runs_off & ~e.noisy, Outcome.RUNNING_OFF),
        (e.still & e.resolved & ~e.climbs, Outcome.STANDING_STILL),
        (e.still, Outcome.PRECISION_FLOOR),
        (e.out_of_steps, Outcome.OUT_OF_STEPS),
    ]
    code = _first_that_holds(xp, [(holds, _CODES[outcome]) for holds, outcome in rules], _CODES[Outcome.REACHED_END])
    began = xp.where(e.rises_from >= 0, e.rises_from, e.lost_from)
    steps = ((Outcome.DIVERGED, began), (Outcome.CYCLING, e.cycle_from), (Outcome.STANDING_STILL, e.steps))
    step = _first_that_holds(xp, [(code == _CODES[outcome], step) for outcome, step in steps], -1)
    return Status(code, step, e.lost_from, e)


def _first_that_holds(xp: Any, rules: list[tuple[Any, Any]], otherwise: int) -> Any:
    """The value of the first rule whose condition holds."""
    if all(not np.ndim(condition) for condition, _ in rules) and xp is np:
        return np.asarray(next((value for condition, value in rules if condition), otherwise))
    conditions, values = zip(*rules, strict=True)
    return xp.select([xp.asarray(each) for each in conditions], [xp.asarray(each) for each in values], otherwise)


def _sentence(status: Status) -> str:
    e: Any = jax.tree.map(np.asarray, status.evidence)
    outcome = status.outcome
    (energy0, energy), (grad0, grad) = e.energy, e.grad_norm
    after = f"at t = {float(e.time):.6g} after {int(e.steps)} steps"
    name = "‖∇E‖∞" if e.has_energy else "‖f‖∞"
    path = f"{name} {grad0:.3g} → {grad:.3g} {after}"
    if e.has_energy:
        path = f"energy {energy0:.4g} → {energy:.4g}, {path}"
    rose, lost_from = int(e.rises_from), int(e.lost_from)
    single = np.asarray(e.energy).dtype.itemsize < 8
    if outcome is Outcome.DIVERGED and lost_from >= 0:
        names = ((1, "the state"), (2, "E"), (4, "∇E"), (8, "the drift"))
        what = " and ".join(name for bit, name in names if int(e.lost) & bit)
        lost = f"not finite from step {lost_from} on: {what}"
        if (before := int(e.lost) & FIELD_BEFORE) or (int(e.lost) == 8 and np.isfinite(energy) and np.isfinite(grad)):
            where = f" at step {lost_from - 1}" if before else ""
            return (
                f"{lost}; E and ∇E were finite{where} and the flow's own field was not: it needs more than them, as a "
                "Hessian or a metric, which is singular or not finite there"
            )
        if 0 <= rose < lost_from:
            return f"the energy began to rise at step {rose} and did not stop; {lost}"
        if lost_from > 1 and int(e.lost) & 1:
            # It was the step that made it so, of what was finite and did not grow.
            lost += ", though nothing grew: if a step solves an equation, it found no solution; where E has a kink "
            lost += "give it a prox, as gf.penalties have"
        return lost
    if outcome is Outcome.DIVERGED:
        return f"the energy began to rise at step {rose} and did not stop: {path}"
    if outcome is Outcome.CYCLING:
        return f"a cycle of {int(e.period)} steps since step {int(e.cycle_from)}: {path}"
    if outcome is Outcome.RUNNING_OFF:
        far = f", ‖x‖∞ = {float(e.reach):.3g}" if e.reach > 0 else ""
        return f"the energy falls and nothing comes to rest, it may have no minimizer this way: {path}{far}"
    if outcome is Outcome.STANDING_STILL and grad > STEEPER * grad0:
        return f"it ends there: ever steeper, no step is short enough, as where E stops being defined: {path}"
    if outcome is Outcome.STANDING_STILL:
        return f"the last step moved nothing, though the gradient is not zero: {path}"
    if outcome is Outcome.PRECISION_FLOOR and e.climbs and grad > STEEPER * grad0:
        return (
            f"it runs up a wall of E, which turns it back within less time than the numbers tell apart: {path}; "
            "give more friction, or a wall that is less steep"
        )
    if outcome is Outcome.PRECISION_FLOOR:
        remedy = "loosen gtol or use double precision" if single else "loosen gtol"
        return f"the last steps were below the resolution of the numbers: {path}; {remedy}"
    if outcome is Outcome.OUT_OF_STEPS:
        remedy = "stiff: give an implicit solver, or raise max_steps" if e.stiff else "raise max_steps or loosen rtol"
        return f"{path}; {remedy}"
    share = f", {grad / grad0:.2g} of the first," if grad0 > 0 and np.isfinite(grad) else ""
    said = f"{name} = {grad:.3g}{share} {after}" + (f", energy {energy:.6g}" if e.has_energy else "")
    if outcome is Outcome.CONVERGED and e.left is not None and e.left.unstable:
        said += "; at a saddle or a maximum, which the least nudge leaves"
    if e.falls_on is not None:
        said += f"; no minimizer: {float(e.falls_on):.2g} beyond it E falls ever steeper, as past an inflection"
    return said
