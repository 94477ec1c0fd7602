r"""The closed form of any flow that is linear on a mode with one or two numbers: its matrix exponential.

With $\tau$ and $\delta$ the trace and determinant of A and $\omega^2 = \delta - \tau^2/4$,
$e^{At} = e^{\tau t/2}\left(C\,I + S\,(A - \tfrac\tau2 I)\right)$, where $C' = -\omega^2 S$, $S' = C$: cosine and sine
(or their hyperbolic relatives, or 1 and t: all regimes at once).
"""

from collections.abc import Mapping
from typing import Any

import jax
import sympy

from gradientflow.discretizers import Discretizer
from gradientflow.flows import Flow

from ..exact.amplification import Amplification, read_amplification
from ..exact.blame import blaming
from ..exact.leaf import Exact, NotExactError
from ..exact.mode import ExactMode
from ..exact.motion import Motion
from ..exact.parameters import flow_converted
from ..exact.trial import DriftAsStep
from .claims import Claim
from .decide import decide_equations, refuted_sibling


def matrix_exponential_claim(flow: Flow) -> Claim:
    """The claim that e^{At} solves the flow on every mode, A being asked of its drift and the candidate put into it.

    Raises:
        NotExactError: if the drift is not rational, not linear on a mode, or a mode has more than two numbers.
    """

    def build(generators: Mapping[str, Exact]) -> tuple[Flow, Discretizer, Any]:
        on_mode = flow_converted(flow, ExactMode(generators["lambda"]), lambda _, value: Exact(value))
        return on_mode, DriftAsStep(), None

    matrix = read_amplification(("lambda",), build)
    if matrix.size > 2:
        raise NotExactError(f"{type(flow).__name__} has {matrix.size} numbers a mode; closed forms are for one or two")
    trace, squared = _invariants(matrix)
    clock = Motion("lambda", "x0", "v0")
    g = clock.generators
    half, squared = _over(trace / 2, g), _over(squared, g)
    cosine, sine = clock.oscillation(-half, squared)
    on_mode = flow_converted(flow, ExactMode(g["lambda"]), lambda _, value: Exact(value))
    starts = [g["x0"], g["v0"]][: matrix.size]

    def candidate(sign: int) -> list[Exact]:
        rows = [[_over(entry, g) for entry in row] for row in matrix.rows]
        applied = [sum((row[j] * starts[j] for j in range(len(starts))), start=0 * half) for row in rows]
        return [cosine * start + sign * sine * (image - half * start)
                for start, image in zip(starts, applied, strict=True)]  # fmt: skip

    def equations(leaves: list[Exact]) -> dict[str, tuple[Exact, Exact]]:
        structure = jax.tree.structure(on_mode.init(g["x0"]))
        with blaming(flow):
            drift = jax.tree.leaves(on_mode.drift(Exact(0), jax.tree.unflatten(structure, leaves)))
        return {f"dz{i}/dt and the drift": (clock.derivative(leaf), slope)
                for i, (leaf, slope) in enumerate(zip(leaves, drift, strict=True))}  # fmt: skip

    name, statement = f"closed form of {flow.name} on every mode", _statement(matrix, clock)
    # With one number a mode the sine has no part in it: there the false sibling has the wrong rate.
    false = candidate(-1) if matrix.size == 2 else [cosine * leaf for leaf in candidate(1)]
    sibling = refuted_sibling(decide_equations(name, f"{statement} with a wrong sign or rate", equations(false), "",
                                               at_start=clock.starts))  # fmt: skip
    reason = "put into the drift, its derivative is the drift identically"
    return decide_equations(name, statement, equations(candidate(1)), reason, sibling, clock.starts)


def _invariants(matrix: Amplification) -> tuple[Any, Any]:
    """The trace, and ω² = δ − τ²/4; of one number a mode, 2a and 0."""
    if matrix.size == 1:
        return 2 * matrix.rows[0][0], matrix.field.zero
    (a, b), (c, d) = matrix.rows
    return a + d, a * d - b * c - (a + d) ** 2 / 4


def _over(element: Any, g: Mapping[str, Exact]) -> Exact:
    """An element of the matrix's field in the motion's."""
    total = []
    for part in (element.numer, element.denom):
        value: Any = 0 * g["lambda"]
        for monomial, coefficient in part.terms():
            term: Any = Exact(coefficient)
            for symbol, power in zip(part.ring.symbols, monomial, strict=True):
                term = term * g[str(symbol)] ** power if power else term
            value = value + term
        total.append(value)
    return total[0] / total[1]


def _statement(matrix: Amplification, clock: Motion) -> str:
    rows = [[entry.as_expr() for entry in row] for row in matrix.rows]
    return rf"z(t) = e^{{At}} z_0,\quad A = {sympy.latex(sympy.Matrix(rows) if len(rows) > 1 else rows[0][0])}"
