"""Vector fields without an energy, as flows: games, dynamics of any kind."""

import inspect
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from .aliases import Position, State, Time
from .checks import by_name, in_a_line
from .energies.energy import Energy
from .flow import FirstOrder, UnansweredQuestionError
from .numerics import is_numeric
from .state import lower


class NoEnergy(Energy):
    """What stands in an energy's place where there is none: 0, with a force beside it that is no gradient.

    Attributes:
        fn: x ↦ f(x), the force.
    """

    fn: Callable[[Any], Any]

    def value(self, x: Position) -> Any:
        """0, for rows and tables; whatever would draw a conclusion from it is refused."""
        return jnp.zeros((), jnp.result_type(*jax.tree.leaves(x)))

    def grad(self, x: Position) -> Any:
        """−f(x), in a gradient's place."""
        return jax.tree.map(lambda leaf: -leaf, self.fn(x))

    def hvp(self, x: Position, v: Any) -> Any:
        """Refused: a field's derivative is no Hessian.

        Raises:
            UnansweredQuestionError: always.
        """
        raise UnansweredQuestionError(self, "hvp", "a field without an energy has no Hessian")

    def inverse_hvp(self, x: Position, v: Any, shift: Any = 0.0) -> Any:
        """Refused likewise.

        Raises:
            UnansweredQuestionError: always.
        """
        return self.hvp(x, v)


class FieldFlow(FirstOrder):
    r"""A vector field as a flow, $\dot x = f(x)$, without an energy; made by `field`.

    The state is the position. Whatever asks for the field alone takes it: solvers, explicit and implicit schemes,
    oracles that change the force, stability at a point, orders. In a run's rows `energy` is 0 and `grad_norm` ‖f(x)‖∞.
    """

    equation: ClassVar[str] = "ẋ = f(x)"
    energy: Energy

    @property
    def has_energy(self) -> bool:
        """There is none."""
        return False

    def drift(self, t: Time, z: State) -> State:
        """f(x)."""
        if not all(map(is_numeric, jax.tree.leaves(z))):
            raise UnansweredQuestionError(self, "drift on a mode", "it is a field without an energy, and has no modes")
        return -self.gradient(z)

    def gradient(self, x: Position) -> Any:
        """−f(x), in a gradient's place; it must be shaped like x."""
        force = super().gradient(x)
        if jax.tree.structure(force) != jax.tree.structure(x) or any(
            jnp.shape(a) != jnp.shape(b) for a, b in zip(jax.tree.leaves(force), jax.tree.leaves(x), strict=True)
        ):
            raise ValueError(
                f"field: `fn` must return what is shaped like the position, {_shapes(lower(x))}, got "
                f"{_shapes(lower(force))}"
            )
        return force


@by_name
def field(fn: Any) -> FieldFlow:
    r"""Any vector field as a flow: $\dot x = f(x)$, with no energy behind it.

    Readings that need an energy say so: worst cases, line searches, curvatures.

    Args:
        fn: x ↦ f(x), from a position, any pytree of arrays, to its velocity [X/T], a pytree of the same shapes; written
            with `jax.numpy`. A field that changes in time has time for a coordinate, of velocity 1.

    Raises:
        TypeError: if it is not callable, or not with one argument.

    References:
        S. H. Strogatz, Nonlinear Dynamics and Chaos, 2nd ed. 2015.

    Example:
        >>> import gradientflow as gf
        >>> game = gf.field(lambda x: {"min": -x["max"], "max": x["min"]})  # min and max of the product
        >>> run = gf.iterate(game, gf.ForwardEuler(), {"min": 1.0, "max": 0.0}, step=0.1, steps=1)
        >>> [round(float(v), 3) for v in (run.x["min"][-1], run.x["max"][-1])]
        [1.0, 0.1]
    """
    if not callable(fn):
        raise TypeError(f"field: `fn` must be a function of the position, got {in_a_line(fn)}; pass lambda x: ...")
    wanted = _required(fn)
    if len(wanted) > 1:
        raise TypeError(
            f"field: `fn` must be a function of the position alone, got one of ({', '.join(wanted)}); a field that "
            "changes in time has time for a coordinate, of velocity 1"
        )
    return FieldFlow(NoEnergy(fn))


def _required(fn: Any) -> list[str]:
    """The arguments that a function can't be called without, by position; none where it does not say."""
    try:
        parameters = inspect.signature(fn).parameters.values()
    except ValueError:
        return []
    return [
        p.name for p in parameters if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]


def _shapes(tree: Any) -> str:
    return str(jax.tree.map(jnp.shape, tree))
