r"""What makes a quadratic form in the state, plus energies, a Lyapunov function with a given rate on all of F_{μ,L}.

Of a scheme: $V = \zeta^\top P\zeta + \sum_i p_i(E(y_i) - E^*)$ with ζ = (ξ − ξ*, u), and what is asked is
$V_{k+1} \le \rho^2 V_k$ and V ≥ 0; of a sum f + g the energies are those of
both parts, each less its tangent at x*. Of a flow: $V = \xi^\top P\xi + p(E(x) - E^*)$, with $\dot V \le -2rV$.

References:
    A. B. Taylor, B. Van Scoy, L. Lessard, Lyapunov functions for first-order methods: tight automated convergence
    guarantees, ICML 2018.
"""

import itertools
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from ..exact.state_space import StateSpace
from .conditions import Condition, Inequalities, points
from .forms import product
from .sums import known_of_g


def _identity(size: int, like: np.ndarray) -> np.ndarray:
    return np.eye(size, dtype=int).astype(like.dtype)


def _monomials(rows: np.ndarray) -> np.ndarray:
    """The matrices of ⟨zₐ, z_b⟩, a ≤ b."""
    a, b = np.triu_indices(rows.shape[0])
    return product(rows[a], rows[b])


def monomials(names: Sequence[str]) -> list[tuple[str, str]]:
    """The pairs of names that the weights of V's quadratic part stand before."""
    return list(itertools.combinations_with_replacement(names, 2))


def told(
    weights: Sequence[Fraction], sizes: Mapping[str, Fraction], energies: Sequence[str], unit: Fraction
) -> dict[tuple[str, str] | str, Fraction]:
    """V in the user's own units: what stands before every product of two vectors, and before every energy.

    Args:
        weights: of the products by rows, then of energies.
        sizes: what each vector is counted in, by name.
        energies: their names.
        unit: what they are counted in.
    """
    pairs = monomials(list(sizes))
    products = {(a, b): w / (sizes[a] * sizes[b]) for (a, b), w in zip(pairs, weights[: len(pairs)], strict=True) if w}
    return products | {name: w / unit for name, w in zip(energies, weights[len(pairs) :], strict=False)}


class Bounds(NamedTuple):
    """The class: μ and 1/L of E, or of f and of g.

    Attributes:
        mu: μ.
        inverse_L: 1/L.
        of_g: those of g, of a sum.
        unit: what energies are counted in.
    """

    mu: Any
    inverse_L: Any
    of_g: tuple[Any, Any] | None = None
    unit: Fraction = Fraction(1)


def scheme_conditions(space: StateSpace, bounds: Bounds, squared_rate: Any) -> list[Condition]:
    r"""$\rho^2V_k - V_{k+1} \ge 0$ and V ≥ 0; the weights are P's upper triangle by rows, then p."""
    n, m = space.states, space.gradients
    unit = _identity(n + 2 * m, space.A)
    state, asked, asked_next = unit[:n], unit[n : n + m], unit[n + m :]
    state_next = space.A @ state + space.B @ asked
    here = space.C @ state + space.D @ asked
    there = space.C @ state_next + space.D @ asked_next
    # An array comes first: a rational function takes none from the right.
    before = _monomials(np.vstack([state, asked])) * squared_rate
    quadratic = before - _monomials(np.vstack([state_next, asked_next]))
    values = _identity(m, space.A)
    asked_twice = np.vstack([here, there]), np.vstack([asked, asked_next]), _point_names(m) + _point_names(m, "k+1")
    both, order = _known(*asked_twice, space.parts * 2, bounds)
    none = np.zeros((len(quadratic), 2 * m), dtype=values.dtype)
    falls = Condition(
        r"\rho^2 V_k - V_{k+1}",
        _nothing(n + 2 * m, 2 * m, space),
        (
            np.concatenate([quadratic, np.zeros((m, n + 2 * m, n + 2 * m), dtype=quadratic.dtype)]),
            np.vstack([none, np.hstack([values * squared_rate, -values])])[:, order],
        ),
        both,
        (*_vectors(space), *(f"{name}'" for name in _vectors(space)[n:])),
    )
    now, order = _known(here[:, : n + m], asked[:, : n + m], _point_names(m), space.parts, bounds)
    return [falls, _positivity("V_k", space, _monomials(unit[: n + m, : n + m]), now, order)]


def _known(
    x: np.ndarray, gradients: np.ndarray, names: tuple[str, ...], parts: tuple[int, ...], bounds: Bounds
) -> tuple[Inequalities, list[int]]:
    """What is known at points, and in which order their values stand: of a sum those of f come first."""
    if bounds.of_g is None:
        return Inequalities(points(x, gradients, names), bounds.mu, bounds.inverse_L), list(range(len(names)))
    own, others = ([i for i, of in enumerate(parts) if of == part] for part in (0, 1))
    of_f, of_g = (points(x[some], gradients[some], [names[i] for i in some]) for some in (own, others))
    further = known_of_g(of_g, bounds.of_g, len(own), bounds.unit)
    return Inequalities(of_f, bounds.mu, bounds.inverse_L, further), own + others


def flow_conditions(space: StateSpace, bounds: Bounds, rate: Any) -> list[Condition]:
    r"""$-\dot V - 2rV \ge 0$ and V ≥ 0; the weights are P's upper triangle by rows, then p."""
    n = space.states
    unit = _identity(n + 1, space.A)
    state, gradient = unit[:n], unit[n:]
    drift = space.A @ state + space.B @ gradient
    a, b = np.triu_indices(n)
    rising = product(drift[a], state[b]) + product(state[a], drift[b])
    position, velocity = space.position @ state, space.position @ drift
    power = product(gradient, velocity)
    here, order = _known(position, gradient, _point_names(1, "x"), (0,), bounds)
    values = np.zeros((len(rising) + 1, 1), dtype=rising.dtype)
    values[-1, 0] = -2 * rate
    falls = Condition(
        r"-\dot V - 2r V",
        _nothing(n + 1, 1, space),
        (np.concatenate([-rising - 2 * rate * _monomials(state), -power]), values),
        here,
        _vectors(space),
    )
    return [falls, _positivity("V", space, _monomials(state), here, order)]


def distance_conditions(space: StateSpace, bounds: Bounds, is_flow: bool) -> list[Condition]:
    r"""That ‖x − x*‖² itself is one, its rate being the weight: ρ² of a scheme, $-2r$ of a flow. One-state systems.

    Where the position is a proximal point of the state z it is ‖z − z*‖².
    """
    m = space.gradients
    unit = _identity(1 + m, space.A)
    state, asked = unit[:1], unit[1:]
    after = space.A @ state + space.B @ asked
    change = -2 * product(after, state) if is_flow else -product(after, after)
    parts = space.parts or (0,) * m
    here, _ = _known(space.C @ state + space.D @ asked, asked, _point_names(m, "x" if is_flow else "k"), parts, bounds)
    falling = r"-\tfrac{d}{dt}\|x - x^*\|^2 - 2r\|x - x^*\|^2"
    statement = falling if is_flow else r"\rho^2\|x_k - x^*\|^2 - \|x_{k+1} - x^*\|^2"
    if space.position_inputs.any():
        statement = statement.replace("x", "z")
    none = np.zeros(m, dtype=change.dtype)
    return [Condition(statement, (change[0], none), (product(state, state), none[None]), here, _vectors(space))]


def _positivity(
    statement: str, space: StateSpace, quadratic: np.ndarray, known: Inequalities, order: list[int]
) -> Condition:
    """V ≥ 0, from what is known at this step's points alone; V's square part may hold fewer vectors than the points."""
    size, count = known.at.x.shape[1], len(order)
    forms = np.zeros((len(quadratic) + count, size, size), dtype=space.A.dtype)
    inner = quadratic.shape[1]
    forms[: len(quadratic), :inner, :inner] = quadratic
    of_energies = _identity(count, space.A)[:, order]
    values = np.vstack([np.zeros((len(quadratic), count), dtype=space.A.dtype), of_energies])
    return Condition(statement, _nothing(size, count, space), (forms, values), known, _vectors(space))


def _nothing(size: int, count: int, space: StateSpace) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((size, size), dtype=space.A.dtype), np.zeros(count, dtype=space.A.dtype)


def _vectors(space: StateSpace) -> tuple[str, ...]:
    gradients = ["g"] if space.gradients == 1 else [f"g_{{{i + 1}}}" for i in range(space.gradients)]
    return (*space.names, *gradients)


def _point_names(count: int, step: str = "k") -> tuple[str, ...]:
    return (step,) if count == 1 else tuple(f"{step};{i + 1}" for i in range(count))
