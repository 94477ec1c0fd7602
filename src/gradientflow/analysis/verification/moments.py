r"""Mean and covariance of linear flows with additive noise, on one quadratic mode.

Of $dz = Az\,dt + B\,dW$ the covariance solves $\dot P = AP + PA^\top + BB^\top$. Both A and B are asked of the flow
that runs: $AP$ is the drift of P's columns, B the diffusion of a unit increment.
"""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import sympy
from sympy.polys.matrices import DomainMatrix

from gradientflow.flows import Flow

from ..exact.blame import blaming
from ..exact.leaf import Exact, NotExactError
from ..exact.parameters import symbols_of_flow
from .claims import Claim
from .closed_forms import ClosedForm, closed_form
from .decide import decide_equations, refuted_sibling

Matrix = list[list[Any]]
# What the noise's strength is called, and where a covariance starts.
_STRENGTH, _STARTS = "dW", ("p0", "q0", "r0")


@dataclasses.dataclass(frozen=True)
class NoisyMode:
    """A flow with noise on one mode.

    Attributes:
        form: its mean's closed form.
        stationary: the covariance that stays as it is.
        square: the square of the strength by which the temperature is written, in words of the flow's numbers.
    """

    form: ClosedForm
    stationary: Matrix
    square: sympy.Expr

    @property
    def divisors(self) -> set[str]:
        """The symbols by which the stationary covariance is divided."""
        return {str(symbol) for row in self.stationary for entry in row
                for symbol in entry.value.denom.as_expr().free_symbols}  # fmt: skip

    @property
    def latex(self) -> str:
        """The stationary covariance as a formula."""
        strength = sympy.Symbol(_STRENGTH)
        rows = [[sympy.cancel(sympy.expand(entry.value.as_expr()).subs(strength**2, self.square)) for entry in row]
                for row in self.stationary]  # fmt: skip
        if len(rows) == 1:
            return sympy.latex(rows[0][0])
        if not any(rows[i][j] for i in range(len(rows)) for j in range(len(rows)) if i != j):
            return rf"\mathrm{{diag}}\left({', '.join(sympy.latex(row[i]) for i, row in enumerate(rows))}\right)"
        return sympy.latex(sympy.Matrix(rows))


def noisy_mode(flow: Flow) -> NoisyMode:
    """The flow with what its noise makes of a mode.

    Raises:
        NotExactError: if drift, noise or mean can't be read, or no covariance stays as it is.
        UnansweredQuestionError: if the mean has no closed form.
    """
    names = symbols_of_flow(flow)
    # √(2T), √(2γT): the temperature that makes the root rational, one by one.
    divisors = [name for name in names if name != "T"] if "T" in names else []
    for divisor in divisors:
        with contextlib.suppress(NotExactError):
            return _with_root_of(flow, divisor)
    return _with_root_of(flow, None)


def _with_root_of(flow: Flow, divisor: str | None) -> NoisyMode:
    """The flow at the temperature s²/2, or s² divided by twice a parameter, whose noise has the strength s."""

    def put(name: str, g: Mapping[str, Exact]) -> Exact | None:
        if name != "T":
            return None
        half = g[_STRENGTH] * g[_STRENGTH] / 2
        return half if divisor is None else half / g[divisor]

    form = closed_form(flow, (_STRENGTH, *_STARTS), put, shifted=False)
    square = 2 * sympy.Symbol("T") * (1 if divisor is None else sympy.Symbol(divisor))
    return NoisyMode(form, _stationary(form), square)


def covariance_claims(flow: Flow, mode: NoisyMode) -> Iterator[Claim]:
    """That P(t) = Σ + Φ(t)(P₀ − Σ)Φ(t)ᵀ solves the covariance equation, Φ being the mean's matrix; and that Σ stays."""
    form, stationary = mode.form, mode.stationary
    motion, n = form.motion, len(stationary)
    p, q, r = (motion.generators[name] for name in _STARTS)
    start = [[p]] if n == 1 else [[p, q], [q, r]]
    phi = _propagator(form)

    def evolved(limit: Matrix) -> Matrix:
        gap = [[start[i][j] - limit[i][j] for j in range(n)] for i in range(n)]
        return [[limit[i][j] + sum(phi[i][k] * gap[k][m] * phi[j][m] for k in range(n) for m in range(n))
                 for j in range(n)] for i in range(n)]  # fmt: skip

    def moves(covariance: Matrix) -> dict[str, tuple[Exact, Exact]]:
        right = _right_side(form, covariance)
        found = {f"dP{i}{j}/dt and its equation": (motion.derivative(covariance[i][j]), right[i][j])
                 for i in range(n) for j in range(i, n)}  # fmt: skip
        for i in range(n):
            found[f"P{i}{i}(0) and its start"] = motion.at_zero(covariance[i][i]), start[i][i]
        return found

    def stays(covariance: Matrix) -> dict[str, tuple[Exact, Exact]]:
        right = _right_side(form, covariance)
        return {f"dP{i}{j}/dt and 0": (right[i][j], 0 * right[i][j]) for i in range(n) for j in range(i, n)}

    def times(number: Any) -> Matrix:
        return [[number * entry for entry in row] for row in stationary]

    name = f"covariance of {flow.name} on quadratics, every mode"
    statement = r"P(t) = \Sigma + \Phi(t)\,(P_0 - \Sigma)\,\Phi(t)^\top,\quad \Sigma = "
    false = decide_equations(name, rf"{statement}\tfrac{{1}}{{2}}{mode.latex}", moves(evolved(times(Exact(1) / 2))), "",
                             at_start=motion.starts)  # fmt: skip
    reason = "put into dP/dt = AP + PAᵀ + BBᵀ, with A and B asked of the flow, it holds identically"
    right = moves(evolved(stationary))
    yield decide_equations(name, statement + mode.latex, right, reason, refuted_sibling(false), motion.starts)

    name = f"stationary covariance of {flow.name}"
    false = decide_equations(name, rf"\Sigma = 2\,{mode.latex}", stays(times(2)), "")
    reason = "AΣ + ΣAᵀ + BBᵀ vanishes identically, with A and B asked of the flow"
    yield decide_equations(name, rf"\Sigma = {mode.latex}", stays(stationary), reason, refuted_sibling(false))


def _stationary(form: ClosedForm) -> Matrix:
    """The Σ with AΣ + ΣAᵀ + BBᵀ = 0, by linear algebra over the rational functions."""
    one = Exact(form.motion.field.one)
    n = len(jax.tree.leaves(form.start))
    places = [(i, j) for i in range(n) for j in range(i, n)]

    def image(entries: list[Exact]) -> list[Exact]:
        matrix = [[0 * one] * n for _ in range(n)]
        for (i, j), entry in zip(places, entries, strict=True):
            matrix[i][j] = matrix[j][i] = entry
        right = _right_side(form, matrix)
        return [right[i][j] for i, j in places]

    constant = image([0 * one] * len(places))
    columns = [image([one if k == m else 0 * one for m in range(len(places))]) for k in range(len(places))]
    domain = form.motion.field.to_domain()
    rows = [[(columns[k][m] - constant[m]).value for k in range(len(places))] for m in range(len(places))]
    system = DomainMatrix(rows, (len(places), len(places)), domain)
    if not system.charpoly()[-1]:
        raise NotExactError("no covariance of it stays as it is")
    found = system.lu_solve(DomainMatrix([[(-entry).value] for entry in constant], (len(places), 1), domain))
    solved = dict(zip(places, map(Exact, found.to_list_flat()), strict=True))
    return [[solved[min(i, j), max(i, j)] for j in range(n)] for i in range(n)]


def _propagator(form: ClosedForm) -> Matrix:
    """Φ(t): the closed form from the unit states."""
    one = Exact(form.motion.field.one)
    n = len(jax.tree.leaves(form.start))
    columns = [form.from_start(*(one if i == j else 0 * one for i in range(n))) for j in range(n)]
    return [[columns[j][i] for j in range(n)] for i in range(n)]


def _right_side(form: ClosedForm, covariance: Matrix) -> Matrix:
    """AP + (AP)ᵀ + BBᵀ."""
    n, flow = len(covariance), form.flow
    structure = jax.tree.structure(form.start)
    zero = 0 * Exact(form.motion.field.one)
    rest = jax.tree.unflatten(structure, [zero] * n)
    with blaming(flow):
        columns = [jax.tree.leaves(flow.drift(zero, jax.tree.unflatten(structure, [row[j] for row in covariance])))
                   for j in range(n)]  # fmt: skip
        noise = jax.tree.leaves(flow.diffusion(zero, rest)(Exact(1)))
    return [[columns[j][i] + columns[i][j] + noise[i] * noise[j] for j in range(n)] for i in range(n)]
