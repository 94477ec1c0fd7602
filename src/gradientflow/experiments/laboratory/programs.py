"""What a page runs: the energy, the flow and each method, translated from the code that Python runs."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from gradientflow.analysis.b_series import ModifiedEquation, ModifiedFlow, modified_equation
from gradientflow.analysis.exact.leaf import NotExactError
from gradientflow.analysis.javascript import to_javascript
from gradientflow.discretizers import Discretizer, Iteration, Method, RungeKutta
from gradientflow.discretizers.running.checked import iteration_of
from gradientflow.flows import Energy, Flow, GradientFlow, Mode, UnansweredQuestionError, energy, is_stochastic
from gradientflow.flows.catalogue.adaptive.held import AdaptiveFlow
from gradientflow.flows.wrapped import WrappedFlow

from .knobs import Knob, with_values

# Terms of the modified equation: through h².
_TERMS = 3
# Two times: a step that is another program at them has no multiplier of its own.
_TIMES = (0.7, 1.9)
_REFUSED = (TypeError, ValueError, NotExactError, UnansweredQuestionError, NotImplementedError)


@dataclasses.dataclass(frozen=True)
class Programs:
    """Functions by name, as JavaScript; numbers of leaves where a page must know them.

    Attributes:
        code: name ↦ expression.
        facts: name ↦ number or truth value.
    """

    code: dict[str, str]
    facts: dict[str, Any]


def energy_programs(E: Energy, x: Any) -> Programs:
    """E, ∇E, its Hessian, and a step of the gradient flow, through whichever the page draws it.

    Raises:
        TypeError: if the energy uses what is not translated, naming it.
    """
    flow = GradientFlow(E)
    code = {
        "value": to_javascript(E.value, x),
        "grad": to_javascript(E.grad, x),
        "hessian": to_javascript(jax.hessian(E.value), x),
        "flow": to_javascript(lambda x, t, h: _through(flow, x, t, h), x, 0.0, 0.0),
    }
    return Programs(code, {})


def method_programs(method: Method, x: Any, knobs: list[Knob]) -> Programs:
    """A method's start, step and position; its step on a mode; its own flow, and the modified one where there is one.

    All take the knobs' numbers as their last arguments; of a method with noise the start and the step take a seed too.

    Raises:
        TypeError: if a step uses what is not translated, naming it.
    """
    noisy = is_stochastic(method.flow, method.flow.init(x))
    names, values = [knob.name for knob in knobs], [jnp.asarray(knob.value) for knob in knobs]

    def made(numbers: tuple[Any, ...], energy: Energy | None = None) -> Method:
        return with_values(method, dict(zip(names, numbers, strict=False)), energy)

    def iteration(numbers: tuple[Any, ...]) -> Iteration:
        one = made(numbers)
        key = {"key": jax.random.key(numbers[-1])} if noisy else {}
        return iteration_of("lab", one.flow, one.discretizer, x, step=one.step, **key)[0]

    def start(x: Any, *numbers: Any) -> Any:
        it = iteration(numbers)
        return it.start(it.flow.init(x))

    given = [*values, jnp.asarray(0)] if noisy else values
    carry = jax.eval_shape(start, x, *given)
    code = {
        "start": to_javascript(lambda *args: jax.tree.leaves(start(*args)), x, *given),
        "one": to_javascript(lambda c, *p: jax.tree.leaves(iteration(p).one(c)), carry, *given),
        "position": to_javascript(lambda c, *p: iteration(p).position(c), carry, *given),
        "time": to_javascript(lambda c, *p: c.t, carry, *given),
    }
    facts: dict[str, Any] = {"noisy": noisy, "gradients": gradients_of(method, x)}
    velocity = method.flow.velocity(method.flow.init(x))
    if velocity is not None:
        code["velocity"] = to_javascript(
            lambda c, *p: jax.tree.leaves(iteration(p).flow.velocity(c.z))[0], carry, *given
        )
    one = made(tuple(values))
    # What adapts is at rest nowhere: its step on a mode is another wherever it came from.
    asked = {} if isinstance(one.flow, AdaptiveFlow) else {"modes": _modes}
    asked |= {} if noisy else {"ownFlow": _own_flow, "modified": _modified}
    for name, program in asked.items():
        try:
            found = program(one, made, x, values)
        except _REFUSED:
            # Not every method is linear on a mode, has a flow without noise, or is a B-series.
            continue
        code |= {name if part == "" else f"{name}{part}": text for part, text in found.items()}
    facts["flowLeaves"] = len(jax.tree.leaves(method.flow.init(x)))
    return Programs(code, facts)


def _modes(one: Method, made: Callable[..., Method], x: Any, values: list[Any]) -> dict[str, str]:
    """(λ, numbers…) ↦ the Jacobian of a step on E = λx²/2 at rest, row by row: what a mode is multiplied by."""

    def jacobian(t: float, lam: Any, *numbers: Any) -> Any:
        method = made(numbers, Mode(lam))
        it = Iteration(method.flow, method.discretizer, method.step)
        first = it.start(method.flow.init(jnp.zeros(())), t)
        vector, carried = it.flat(first)
        return jax.jacfwd(lambda v: it.flat(it.one(carried(v)))[0])(vector)

    early, late = (to_javascript(functools.partial(jacobian, t), jnp.asarray(1.0), *values) for t in _TIMES)
    if early != late:
        raise ValueError("what a mode is multiplied by is another at every time")
    return {"": early}


def _own_flow(one: Method, made: Callable[..., Method], x: Any, values: list[Any]) -> dict[str, str]:
    return _flow_of(lambda numbers: made(numbers).flow, one, x, values)


def _modified(one: Method, made: Callable[..., Method], x: Any, values: list[Any]) -> dict[str, str]:
    equation = _equation(one.discretizer, type(one.flow))

    def flow(numbers: tuple[Any, ...]) -> Flow:
        method = made(numbers)
        return ModifiedFlow(method.flow, equation, method.step)

    return _flow_of(flow, one, x, values)


@functools.cache
def _equation(scheme: Discretizer, flow: type[Flow]) -> ModifiedEquation:
    """A scheme's modified equation, whose coefficients are the same on every flow of a class."""
    return modified_equation(scheme, _TERMS, flow)


def _flow_of(flow: Callable[[Any], Flow], one: Method, x: Any, values: list[Any]) -> dict[str, str]:
    z, zero = one.flow.init(x), jnp.asarray(0.0)
    return {
        "": to_javascript(lambda z, t, h, *p: jax.tree.leaves(_through(flow(p), z, t, h)), z, zero, zero, *values),
        "Start": to_javascript(lambda x, *p: jax.tree.leaves(flow(p).init(x)), x, *values),
        "Position": to_javascript(lambda z, *p: flow(p).position(z), z, *values),
    }


class TracedOnce(WrappedFlow):
    """A flow whose field is traced once, however often a step asks for it: that of a modified flow is long."""

    # The same field: but whoever defines a drift of his own inherits no steps of the old one.
    changes = frozenset({"drift", "discrete_gradient_step", "parts", "resolvent", "solution", "lyapunov"})

    flow: Flow
    field: Callable[[Any, Any], Any]

    def __init__(self, flow: Flow) -> None:
        self.flow, self.field = flow, jax.jit(lambda t, z: flow.drift(t, z))

    def drift(self, t: Any, z: Any) -> Any:
        """f(t, z)."""
        return self.field(t, z)


def _through(flow: Flow, z: Any, t: Any, h: Any) -> Any:
    """A step along a flow; the page takes them as short as it must."""
    return RungeKutta("rk4").step(TracedOnce(flow), t, z, h)


def gradients_of(method: Method, x: Any) -> int | None:
    """How many gradients a step asks for; `None` where that depends on the state, as it does of implicit schemes.

    They are counted in the program: on E = Σ sin xᵢ a gradient is a cosine for each coordinate, and nothing else is.
    """
    one = with_values(method, {}, energy(lambda x: jnp.sum(jnp.sin(x))))
    key = {"key": jax.random.key(0)} if is_stochastic(one.flow, one.flow.init(x)) else {}
    try:
        it = iteration_of("lab", one.flow, one.discretizer, x, step=one.step, **key)[0]
        carry = it.start(it.flow.init(x))
        code = to_javascript(lambda c: jax.tree.leaves(it.one(c)), carry)
    except _REFUSED:
        return None
    return None if "for(;;)" in code else code.count("Math.cos(") // x.size
