"""Other libraries' steps as discretizers."""

from typing import Any, ClassVar

import diffrax as dfx
import jax.numpy as jnp

from gradientflow.flows import Flow
from gradientflow.flows.aliases import State, StepLength, Time
from gradientflow.flows.checks import in_a_line
from gradientflow.flows.solving.control import vector_field

from ..discretizer import Discretizer


class FromDiffrax(Discretizer):
    """One step of any diffrax solver of ordinary differential equations, at the step size that is asked.

    The solver's own state (a stage it reuses, say) is this scheme's memory.

    Args:
        solver: a diffrax solver; an implicit one needs a root finder with tolerances of its own.

    Raises:
        TypeError: if it is not a diffrax solver.

    References:
        P. Kidger, On Neural Differential Equations, PhD thesis, University of Oxford, 2021: diffrax.

    Example:
        >>> import diffrax, gradientflow as gf
        >>> flow = gf.GradientFlow(gf.landscapes.bowl())
        >>> gf.iterate(flow, gf.FromDiffrax(diffrax.Euler()), [3.0, 1.0], step=0.1, steps=1).x[-1].round(4)
        Array([2.7, 0.1], dtype=...)
    """

    equation: ClassVar[str] = "one step of a diffrax solver"
    solver: dfx.AbstractSolver

    def __init__(self, solver: dfx.AbstractSolver) -> None:
        if not isinstance(solver, dfx.AbstractSolver):
            raise TypeError(
                f"FromDiffrax: `solver` must be a diffrax solver such as diffrax.Tsit5(), got {in_a_line(solver)}"
            )
        self.solver = solver

    @property
    def name(self) -> str:
        """The solver's own name, and where it is from."""
        return f"{type(self.solver).__name__} (diffrax)"

    @property
    def order(self) -> int | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The order that the solver reports."""
        return self.solver.order(dfx.ODETerm(lambda t, y, args: y))

    def init(self, flow: Flow, t: Time, z: State, h: StepLength) -> Any:
        """The solver's own initial state, in a tuple: it may be `None`."""
        return (self.solver.init(vector_field(flow), t, t + h, z, None),)

    def step(self, flow: Flow, t: Time, z: State, h: StepLength, *, memory: Any = None, **_: Any) -> State:
        """One `solver.step` over [t, t + h]."""
        after, _error, _dense, state, _result = self.solver.step(
            vector_field(flow), t, t + h, z, None, memory[0], made_jump=jnp.asarray(False)
        )
        return after, (state,)


class FromOptax(Discretizer):
    """Any optax transformation, descending along the flow's field: its gradients are −f(t, z).

    Its learning rate is in the transformation; the step is only the clock, so give the learning rate there too. Its
    state is this scheme's memory. Transformations that line-search or want curvature (`optax.lbfgs`) are given the
    energy.

    Args:
        transformation: an `optax.GradientTransformation`.

    Raises:
        TypeError: if it is not one.

    References:
        I. Babuschkin et al., The DeepMind JAX Ecosystem, 2020: optax.

    Example:
        >>> import optax, gradientflow as gf
        >>> flow = gf.GradientFlow(gf.landscapes.bowl())
        >>> gf.iterate(flow, gf.FromOptax(optax.sgd(0.1)), [3.0, 1.0], step=0.1, steps=1).x[-1].round(4)
        Array([2.7, 0.1], dtype=...)
    """

    equation: ClassVar[str] = "one update of an optax transformation, its gradient −f(t, z)"
    clock_only: ClassVar[bool] = True
    transformation: Any

    def __init__(self, transformation: Any) -> None:
        if not (callable(getattr(transformation, "init", None)) and callable(getattr(transformation, "update", None))):
            raise TypeError(
                f"FromOptax: `transformation` must be an optax transformation such as optax.adam(1e-3), "
                f"got {in_a_line(transformation)}"
            )
        self.transformation = transformation

    def init(self, flow: Flow, t: Time, z: State, h: StepLength) -> Any:
        """The transformation's own initial state, in a tuple: it may be `None`."""
        return (self.transformation.init(z),)

    def step(self, flow: Flow, t: Time, z: State, h: StepLength, *, memory: Any = None, **_: Any) -> State:
        """One `update`, applied."""
        import optax

        def value_fn(state: Any) -> Any:
            return flow.energy.value(flow.position(state))

        gradient = -flow.drift(t, z)
        update = optax.with_extra_args_support(self.transformation).update
        updates, state = update(gradient, memory[0], z, value=value_fn(z), grad=gradient, value_fn=value_fn)
        return optax.apply_updates(z, updates), (state,)
