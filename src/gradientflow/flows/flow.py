"""What a flow is: a vector field on a phase space, built from an energy, and the questions it answers."""

import abc
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import equinox as eqx

from .aliases import Increment, Position, State, StepLength, Time
from .energies.energy import Energy
from .facts import Decrease
from .implicit import solve_resolvent
from .inheriting import forwards, owners_of
from .noise import Noise
from .state import lift, lower
from .told import Told


class UnansweredQuestionError(TypeError):
    """A scheme asked a flow a question that the flow does not answer.

    Attributes:
        question: the name of the question, `"parts"` say.
        why: why there is no answer.
    """

    def __init__(self, flow: Any, question: str, why: str) -> None:
        self.question, self.why = question, why
        super().__init__(f"{type(flow).__name__} does not answer `{question}`: {why}")


class Parts(dict[str, "Flow"]):
    """A flow's parts by name; asked for one that isn't there, it says which there are."""

    def __init__(self, flow: "Flow", **parts: "Flow") -> None:
        super().__init__(parts)
        self.flow = flow

    def __missing__(self, name: str) -> "Flow":
        """Raises `UnansweredQuestionError`, naming the parts that the flow has."""
        raise UnansweredQuestionError(self.flow, "parts", f"it has no part `{name}`, but {', '.join(self)}")


# What is known of a drift. Whoever moves otherwise, or finds another gradient, inherits none of it.
_OF_A_DRIFT = ("resolvent", "discrete_gradient_step", "parts", "solution")
# What is known of E along it, which is E at the position.
_BY_THE_POSITION = ("lyapunov", "residual")


class Flow(Told):
    """A vector field ż = f(t, z) on states z.

    Discretizers and solvers know a flow only by the questions below. `drift` is answered by every flow, `resolvent` too
    (numerically unless a flow knows better); the others raise `UnansweredQuestionError` where there is no answer.

    The flows of this package take any function of the position for an energy, as `gf.energy` makes it one.

    Attributes:
        equation: what it is, in a line of plain text, as tables show it.
        facts: what it claims of itself, as plain data, for `verify` to prove.

    A subclass that defines another `drift` or `gradient` inherits no facts, closed form, resolvent, parts and steps by
    discrete gradients of the flow that it derives from; one that defines another `position` no facts and no Lyapunov
    function.

    References:
        U. Helmke, J. B. Moore, Optimization and Dynamical Systems, 1994.

    Example:
        >>> import gradientflow as gf
        >>> class Slowing(gf.Flow):
        ...     energy: gf.Energy
        ...     def init(self, x):
        ...         return gf.flows.lift(x)
        ...     def position(self, z):
        ...         return gf.flows.lower(z)
        ...     def drift(self, t, z):
        ...         return -self.gradient(z) / (1 + t)
        >>> flow = Slowing(gf.Quadratic([[1.0]]))
        >>> round(float(gf.integrate(flow, [3.0], 1.0).x[-1, 0]), 4)  # 3/(1 + t)
        1.5
    """

    equation: ClassVar[str] = ""
    facts: ClassVar[tuple[Decrease, ...]] = ()

    energy: eqx.AbstractVar[Energy]

    def __init_subclass__(cls, **options: Any) -> None:
        """A class with a drift of its own answers what hangs on it anew, or as every flow does.

        What a wrapper forwards is the wrapped flow's, and it knows itself where that ends.

        Raises:
            TypeError: where the noise is told twice: by `diffusion` or `brownian`, and by a `noise` of the parent's.
        """
        super().__init_subclass__(**options)
        told = [name for name in ("diffusion", "brownian") if name in vars(cls)]
        if told and (owner := owners_of(cls, "noise")[0]) not in (cls, Flow):
            raise TypeError(
                f"{cls.__name__}: its `{told[0]}` is not in the `noise` of {owner.__name__}; define `noise`"
            )
        another = {"drift", "gradient"} & vars(cls).keys()
        hanging = (*(_OF_A_DRIFT if another else ()), *(_BY_THE_POSITION if "position" in vars(cls) else ()))
        for question in hanging:
            owner = owners_of(cls, question)[0]
            if owner is not cls and not forwards(owner):
                setattr(cls, question, vars(Flow)[question])

    @property
    def name(self) -> str:
        """The name under which results show it: its class's."""
        return type(self).__name__

    @property
    def has_energy(self) -> bool:
        """Whether there is an energy; else `energy` only stands for the force."""
        return True

    @property
    def is_gradient_flow(self) -> bool:
        """Whether its drift is −∇E(x) and nothing else."""
        return False

    @abc.abstractmethod
    def init(self, x: Position) -> State:
        """The state at rest at the position x."""

    @abc.abstractmethod
    def position(self, z: State) -> Position:
        """The position of a state, as the user's own pytree."""

    @abc.abstractmethod
    def drift(self, t: Time, z: State) -> State:
        """f(t, z)."""

    def resolvent(self, t: Time, z: State, h: StepLength) -> State:
        """The y with y = z + h f(t, y), or NaN where none was found. `t` is the time at which f is asked."""
        return solve_resolvent(self.drift, t, z, h)

    def plot(self, box: Any = None, **options: Any) -> Any:
        """`gf.plots.field(flow, box, ...)` in the plane, `gf.plots.phase_portrait` where there is one velocity."""
        from gradientflow.analysis.plots.landscape import plot_flow

        return plot_flow(self, box, **options)

    def discrete_gradient_step(self, t: Time, z: State, h: StepLength, rule: Any) -> State:
        """The z' with z' = z + h f̄, or NaN where none was found.

        f̄ is the drift at the time t + h/2 and the state (z + z')/2, with a discrete gradient ∇̄E(x, x') for ∇E.

        Args:
            t: the time of the state z.
            z: the state.
            h: the step.
            rule: the discrete gradient, a `DiscreteGradientRule`.
        """
        why = "discrete gradients need ẋ = −G⁻¹∇E(x) with a constant G, or inertia with friction linear in v"
        raise UnansweredQuestionError(self, "discrete_gradient_step", why)

    @property
    def parts(self) -> Mapping[str, "Flow"]:
        """The fields whose sum is the drift, by name; each is a flow on the same states."""
        raise UnansweredQuestionError(self, "parts", "its field does not split into named parts")

    @property
    def noise(self) -> Noise | None:
        """What drives it beside the drift; `None` for a flow without noise.

        A class may define `brownian(z)`, shaped like its Brownian motion, and `diffusion(t, z)` instead.
        """
        return told_by_methods(self)

    def diffusion(self, t: Time, z: State) -> Callable[[Any], Any]:
        """The linear map σ(t, z) from Brownian increments to changes of the state: that of the noise."""
        if (noise := self.noise) is None:
            raise UnansweredQuestionError(self, "diffusion", "it has no noise; use a deterministic scheme")
        return noise.sigma(t, z)

    def brownian(self, z: State) -> Any:
        """The pytree whose shape the noise has at z, or `None` for a flow without noise."""
        return None if (noise := self.noise) is None else noise.shape(z)

    def solution(self, t: Time, z: State, h: StepLength) -> State:
        """The exact state at t + h from z at t, in closed form; of a flow with noise, its mean."""
        raise UnansweredQuestionError(self, "solution", "no closed form is known for this energy")

    def check_start(self, t: Time, z: State) -> None:
        """Raises `ValueError` where the flow can't start from the state z at time t."""

    def velocity(self, z: State) -> Any:
        """The part of a state that vanishes at rest, or `None` where the state is only a position."""
        return None

    def residual(self, z: State) -> Any:
        """What vanishes where a position is stationary: ∇E(x), less what a constraint takes up."""
        return self.gradient(lift(self.position(z)))

    def lyapunov(self, t: Time, z: State) -> Any:
        """A function of the state that never rises along the flow."""
        raise UnansweredQuestionError(self, "lyapunov", "no Lyapunov function is known")

    def gradient(self, x: Position) -> Any:
        """∇E at a position given as a vector, as a vector."""
        return lift(self.energy.grad(lower(x)))


class FirstOrder(Flow):
    """A flow whose states are positions."""

    def init(self, x: Position) -> State:
        """The position itself."""
        return lift(x)

    def position(self, z: State) -> Position:
        """The state itself."""
        return lower(z)


def with_energy(flow: Flow, energy: Energy) -> Flow:
    """The flow on another energy, all else as it was."""
    return eqx.tree_at(lambda flow: flow.energy, flow, energy, is_leaf=lambda leaf: leaf is flow.energy)


def smooth_part(flow: Flow) -> Energy:
    """The flow's energy, without the penalty if it is a sum of both."""
    return flow.energy.smooth


def with_smooth_part(flow: Flow, energy: Energy) -> Flow:
    """The flow with its energy's smooth part replaced: what oracles change; a penalty stays whole."""
    return with_energy(flow, flow.energy.with_smooth(energy))


def check_energy(where: str, flow: Flow, why: str) -> None:
    """Refuses a field without an energy, for what asks for its values.

    Raises:
        TypeError: saying why they are asked for.
    """
    if not flow.has_energy:
        raise TypeError(f"{where}: {flow.name} is a field without an energy; {why}")


def told_by_methods(flow: Flow) -> Noise | None:
    """The noise of a class that tells of it by `brownian` and `diffusion`; its shape has to be a pytree at every z."""
    if type(flow).brownian is Flow.brownian:
        return None
    old = {name: getattr(flow, name) for name in ("additive", "transition") if hasattr(flow, name)}
    return Noise(flow.brownian, flow.diffusion, parts=getattr(flow, "increments", 1), **old)


def exact_transition(flow: Flow, t: Time, z: State, h: StepLength, noise: Increment) -> Any:
    """A state with exactly the law that the flow has at t + h from z at t, along Brownian increments.

    Raises:
        UnansweredQuestionError: if it is not known in closed form.
    """
    if flow.noise is None or flow.noise.transition is None:
        raise UnansweredQuestionError(flow, "noise.transition", "the law of its states is not known in closed form")
    return flow.noise.transition(t, z, h, noise)


def ask(flow: Flow, question: str, *arguments: Any) -> Any:
    """A flow's answer, `flow.question(*arguments)`, for what each call of a run goes through.

    Equinox makes a module of every method that one takes from a module, in 24 µs; a class hands out its functions.
    """
    if question in vars(flow):
        return vars(flow)[question](*arguments)
    return getattr(type(flow), question)(flow, *arguments)


def is_stochastic(flow: Flow, z: State) -> bool:
    """Whether a Brownian motion drives the flow."""
    return ask(flow, "brownian", z) is not None
