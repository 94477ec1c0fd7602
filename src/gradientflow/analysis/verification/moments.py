r"""Mean and covariance of linear flows with additive noise, on one quadratic mode.

Of $dz = Az\,dt + B\,dW$ the covariance solves $\dot P = AP + PA^\top + BB^\top$. Both A and B are asked of the flow
that runs: $AP$ is the drift of P's columns, B the diffusion of a unit increment.
"""

from typing import Any

import jax

from gradientflow.flows import Flow

from ..exact.blame import blaming
from ..exact.leaf import Exact
from .claims import Claim
from .closed_forms import ClosedForm
from .decide import decide_equations, refuted_sibling

Matrix = list[list[Any]]


def covariance_claim(form: ClosedForm, subject: str, how_many: str = "") -> Claim:
    """The claim that P(t) = Σ + Φ(t)(P₀ − Σ)Φ(t)ᵀ solves the covariance equation, Φ being the mean's own matrix."""
    g = form.motion.generators
    stationary, start = stationary_covariance(form), _start(form, g)

    def evolved(limit: Matrix) -> Matrix:
        phi = _propagator(form)
        n = len(phi)
        gap = [[start[i][j] - limit[i][j] for j in range(n)] for i in range(n)]
        return [[limit[i][j] + sum(phi[i][k] * gap[k][m] * phi[j][m] for k in range(n) for m in range(n))
                 for j in range(n)] for i in range(n)]  # fmt: skip

    def equations(covariance: Matrix) -> dict[str, tuple[Exact, Exact]]:
        right = _right_side(form.flow, covariance)
        n = len(covariance)
        found = {f"dP{i}{j}/dt and its equation": (form.motion.derivative(covariance[i][j]), right[i][j])
                 for i in range(n) for j in range(i, n)}  # fmt: skip
        for i in range(n):
            found[f"P{i}{i}(0) and its start"] = form.motion.at_zero(covariance[i][i]), start[i][i]
        return found

    name = f"covariance of {subject}, {form.name}{how_many}"
    statement = r"P(t) = \Sigma + \Phi(t)\,(P_0 - \Sigma)\,\Phi(t)^\top,\quad \Sigma = " + _latex(len(start))
    false = statement.replace(r"\Sigma = ", r"\Sigma = \tfrac{1}{2} ")
    halved = [[entry / 2 for entry in row] for row in stationary]
    sibling = refuted_sibling(
        decide_equations(name, false, equations(evolved(halved)), "", at_start=form.motion.starts)
    )
    reason = "put into dP/dt = AP + PAᵀ + BBᵀ, with A and B asked of the flow, it holds identically"
    return decide_equations(name, statement, equations(evolved(stationary)), reason, sibling, form.motion.starts)


def stationary_covariance(form: ClosedForm) -> Matrix:
    """T/λ for positions, T/m for velocities: equipartition."""
    temperature, lam = form.flow.temperature, form.flow.energy.lam  # pyright: ignore[reportAttributeAccessIssue]
    if len(_propagator(form)) == 1:
        return [[temperature / lam]]
    zero = temperature * 0
    return [[temperature / lam, zero], [zero, temperature / form.flow.mass]]  # pyright: ignore[reportAttributeAccessIssue]


def stationary_claim(form: ClosedForm, subject: str) -> Claim:
    """The claim that the stationary covariance stays as it is."""
    stationary = stationary_covariance(form)
    name = f"stationary covariance of {subject}"

    def equations(covariance: Matrix) -> dict[str, tuple[Exact, Exact]]:
        right = _right_side(form.flow, covariance)
        n = len(right)
        return {f"dP{i}{j}/dt and 0": (right[i][j], 0 * right[i][j]) for i in range(n) for j in range(i, n)}

    doubled = [[2 * entry for entry in row] for row in stationary]
    latex = _latex(len(stationary))
    sibling = refuted_sibling(decide_equations(name, rf"\Sigma = 2\,{latex}", equations(doubled), ""))
    reason = "AΣ + ΣAᵀ + BBᵀ vanishes identically, with A and B asked of the flow"
    return decide_equations(name, rf"\Sigma = {latex}", equations(stationary), reason, sibling)


def _propagator(form: ClosedForm) -> Matrix:
    """Φ(t): the closed form from the unit states."""
    one = Exact(form.motion.field.one)
    columns = [jax.tree.leaves(form.solution(*unit)) for unit in ((one, one * 0), (one * 0, one))]
    n = len(columns[0])
    return [[columns[j][i] for j in range(n)] for i in range(n)]


def _right_side(flow: Flow, covariance: Matrix) -> Matrix:
    """AP + (AP)ᵀ + BBᵀ."""
    n = len(covariance)
    rest = flow.init(covariance[0][0] * 0)
    structure = jax.tree.structure(rest)
    with blaming(flow):
        columns = [jax.tree.leaves(flow.drift(Exact(0), jax.tree.unflatten(structure, [row[j] for row in covariance])))
                   for j in range(n)]  # fmt: skip
        noise = jax.tree.leaves(flow.diffusion(Exact(0), rest)(Exact(1)))
    return [[columns[j][i] + columns[i][j] + noise[i] * noise[j] for j in range(n)] for i in range(n)]


def _start(form: ClosedForm, g: dict[str, Exact]) -> Matrix:
    return [[g["p0"]]] if len(_propagator(form)) == 1 else [[g["p0"], g["q0"]], [g["q0"], g["r0"]]]


def _latex(n: int) -> str:
    return r"T/\lambda" if n == 1 else r"\mathrm{diag}(T/\lambda,\ T/m)"
