"""R(z), or the amplification matrix: what a step does to a quadratic mode, in symbols."""

import inspect
from typing import Any

import sympy

from gradientflow.discretizers import Discretizer, Method, as_method
from gradientflow.flows import Flow, GradientFlow, Mode, UnansweredQuestionError, looks_at_numbers
from gradientflow.flows.checks import in_a_line

from ..exact.algebra import rational_functions
from ..exact.amplification import Amplification, read_amplification
from ..exact.blame import blaming
from ..exact.leaf import NotExactError
from ..exact.mode import ExactMode
from .reading import LAM, STEP, ModeReading, Recipe

_Z = "z"


@looks_at_numbers
def stability_function(
    discretizer: Discretizer | Method, flow: type[Flow] | Flow | None = None
) -> sympy.Expr | sympy.Matrix:
    r"""The stability function R(z) of a scheme, z = hλ with the sign of $\dot x = \lambda x$; read from its own code.

    An expression has no grade: it is the scheme's own arithmetic on exact numbers, held against a step on vectors, and
    so it is proved, or refused.

    Args:
        discretizer: the scheme, a user's own as well; or a Method, read on its own flow.
        flow: for schemes that ask for a flow's parts, the flow's class (its parameters become symbols) or a flow (they
            become the exact numbers that they are).

    Returns:
        R(z) where the state is one number a mode. Otherwise the matrix of one step: in z for a scheme with memory; for
        a flow with velocities in its energy's curvature λ, the step h, and m and γ where they are its mass and
        friction.

    Raises:
        NotExactError: naming the line that is not rational arithmetic, or saying that the step isn't linear in the
            state, counts its steps, depends on time, or depends on h alone.
        UnansweredQuestionError: if the flow does not answer what the scheme asks.
        TypeError: if `flow` is neither a flow nor a class of flows that can be made from an energy alone.

    References:
        E. Hairer, G. Wanner, Solving Ordinary Differential Equations II, 2nd ed. 1996, section IV.2.

    Example:
        >>> import gradientflow as gf
        >>> gf.stability_function(gf.ImplicitMidpoint())
        (-z - 2)/(z - 2)
        >>> gf.stability_function(gf.MomentumEuler(), gf.HeavyBallFlow)[1, 1]
        m/(gamma*h + m)
    """
    _, flow, discretizer, _ = as_method("stability_function", discretizer, flow=flow, alone=True)
    if flow is None:
        return _shaped(read_in_z(discretizer))
    instance = _instance(flow)
    recipe = Recipe(instance, discretizer)
    if type(instance) is GradientFlow:
        return _shaped(read_in_z(discretizer))
    reading = recipe.read() if isinstance(flow, Flow) else recipe.read_symbolically()
    return _shaped(reading.amplification)


def read_in_z(discretizer: Discretizer) -> Amplification:
    """The step on a mode of the gradient flow over ℚ(z), z = −hλ, after a proof that h and λ enter only so.

    A memory of slopes brings its unit with it, which the eigenvalues don't see: it is measured in units of 1/h.
    """

    def build(generators: Any) -> tuple[Flow, Discretizer, Any]:
        return GradientFlow(ExactMode(generators[LAM])), discretizer, generators[STEP]

    try:
        amplification = read_amplification((LAM, STEP), build)
    except UnansweredQuestionError as error:
        hint = (
            "; a scheme made of a flow's parts has a matrix in the place of R(z): stability_function(method), or with "
            "`flow=HeavyBallFlow` say; stability_map draws it"
            if error.question == "parts"
            else ""
        )
        raise UnansweredQuestionError(GradientFlow(Mode(1)), error.question, error.why + hint) from None
    with blaming(discretizer):
        if not ModeReading(amplification, STEP).is_scale_free:
            entries = ", ".join(str(entry) for row in amplification.rows for entry in row)
            raise NotExactError(f"the step depends on h and λ by more than their product: it multiplies by {entries}")
    field = rational_functions((_Z,))

    def in_z(polynomial: Any) -> Any:
        terms = [((k,), (-1) ** k * coefficient) for (k, _), coefficient in polynomial.terms()]
        return field(sum((field.ring.from_dict({power: c}) for power, c in terms), field.ring.zero))

    rows = tuple(tuple(in_z(entry.numer) / in_z(entry.denom) for entry in row) for row in amplification.rows)
    return Amplification(rows, field)


def _instance(flow: Any) -> Flow:
    if isinstance(flow, Flow):
        return flow
    if not (inspect.isclass(flow) and issubclass(flow, Flow)):
        raise TypeError(
            f"stability_function: `flow` must be a flow or a class of flows such as HeavyBallFlow, "
            f"got {in_a_line(flow)}"
        )
    try:
        return flow(Mode(1.0))  # pyright: ignore[reportCallIssue]
    except TypeError as error:
        raise TypeError(
            f"stability_function: {flow.__name__} needs more than an energy ({error}); give a flow"
        ) from None


def _shaped(amplification: Amplification) -> sympy.Expr | sympy.Matrix:
    entries = [[entry.as_expr() for entry in row] for row in amplification.rows]
    return entries[0][0] if len(entries) == 1 else sympy.Matrix(entries)
