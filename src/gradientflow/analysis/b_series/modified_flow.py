"""The modified flow: a flow that one can integrate, on any energy, by nested derivatives of the drift."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from gradientflow.discretizers import Discretizer
from gradientflow.flows import Flow, UnansweredQuestionError, WrappedFlow, check_integer, check_positive

from .modified_equation import ModifiedEquation, modified_equation
from .trees import Tree


class ModifiedFlow(WrappedFlow):
    r"""The flow that a scheme's iterates follow to one order of h more with each term of its modified equation.

    $\dot z = \sum_{|\tau| \le p} h^{|\tau|-1} c_\tau F(\tau)(z)$, the coefficients exact, from the scheme's own code;
    the elementary differentials by nested forward-mode derivatives (jvp) of the flow's drift, or of its parts'.

    Args:
        flow: the flow that is discretized.
        discretizer: the scheme; or an equation of its own, that of a slow manifold say.
        step: its step h [T].
        order: p: terms through $h^{p-1}$; 1 is the flow itself. An equation has its own.

    Raises:
        NotExactError: if the scheme is no B-series, naming its line, or has memory.
        ValueError: if a number is out of its range.

    References:
        E. Hairer, C. Lubich, G. Wanner, Geometric Numerical Integration, 2nd ed. 2006, chapter IX.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.GradientFlow(gf.energy(lambda x: x**2 / 2))
        >>> modified = gf.ModifiedFlow(flow, gf.ForwardEuler(), step=0.5, order=3)
        >>> float(modified.drift(0.0, 1.0))  # −(1 + h/2 + h²/3), towards log(1 − h)/h
        -1.3333333333333333
    """

    equation: ClassVar[str] = "ż = f(z) + h f₂(z) + h² f₃(z) + …"
    changes: ClassVar[frozenset[str]] = frozenset(
        ("drift", "resolvent", "discrete_gradient_step", "parts", "noise", "solution", "lyapunov")
    )
    flow: Flow
    step: Any
    terms: tuple[tuple[Tree, float], ...] = eqx.field(static=True)

    def __init__(
        self, flow: Flow, discretizer: Discretizer | ModifiedEquation, step: Any, order: int | None = None
    ) -> None:
        check_positive("ModifiedFlow", step=step)
        if isinstance(discretizer, ModifiedEquation):
            if order is not None:
                raise TypeError("ModifiedFlow: an equation has its own `order`; leave it out")
            equation = discretizer
        else:
            check_integer("ModifiedFlow", 1, order=order)
            equation = modified_equation(discretizer, order or 1, flow)
        self.flow, self.step = flow, step
        self.terms = tuple((tree, float(c)) for tree, c in equation.coefficients.items())

    @property
    def noise(self) -> None:
        """None; a flow with noise is refused.

        Raises:
            UnansweredQuestionError: if the flow that is discretized has noise.
        """
        if self.flow.noise is not None:
            raise UnansweredQuestionError(self, "noise", "modified flows of flows with noise aren't known here")

    def drift(self, t: Any, z: Any) -> Any:
        """The modified field. Of a flow that depends on time it is right for schemes that ask at the right times."""
        if not self.terms:
            return 0 * z
        fields = _fields(self.flow, {tree.colour for tree, _ in self.terms})
        known: dict[Tree, Any] = {}
        t = jnp.asarray(t, jnp.result_type(float, *jax.tree.leaves(z)))
        total = None
        for tree, c in self.terms:
            term = self.step ** (tree.order - 1) * c * _differential(tree, fields, t, z, known)
            total = term if total is None else total + term
        return total


def _fields(flow: Flow, colours: set[str]) -> Mapping[str, Callable[[Any, Any], Any]]:
    """The fields (t, z) ↦ f that trees' colours stand for."""
    parts = flow.parts if colours != {""} else {"": flow}
    return {colour: part.drift for colour, part in parts.items()}


def _differential(
    tree: Tree, fields: Mapping[str, Callable[[Any, Any], Any]], t: Any, z: Any, known: dict[Tree, Any]
) -> Any:
    r"""$F(\tau)(t, z)$: the root's derivative along its children's vectors, which stay; t moves with the field."""
    if tree not in known:
        function = fields[tree.colour]
        for child in tree.children:
            moves = 0.0 if child.children or child.colour else 1.0
            function = _along(
                function, jnp.asarray(moves, jnp.result_type(t)), _differential(child, fields, t, z, known)
            )
        known[tree] = function(t, z)
    return known[tree]


def _along(function: Callable[[Any, Any], Any], time: Any, direction: Any) -> Callable[[Any, Any], Any]:
    return lambda t, z: jax.jvp(function, (t, z), (time, direction))[1]
