r"""What makes a quadratic form in the state, plus energies, a Lyapunov function with a given rate on all of F_{μ,L}.

Of a scheme: $V = \zeta^\top P\zeta + \sum_i p_i(E(y_i) - E^*)$ with ζ = (ξ − ξ*, u), and what is asked is
$V_{k+1} \le \rho^2 V_k$ and V ≥ 0. Of a flow: $V = \xi^\top P\xi + p(E(x) - E^*)$, with $\dot V \le -2rV$.

References:
    A. B. Taylor, B. Van Scoy, L. Lessard, Lyapunov functions for first-order methods: tight automated convergence
    guarantees, ICML 2018.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..exact.state_space import StateSpace
from .conditions import Condition, Inequalities, Points, points, product


def _identity(size: int, like: np.ndarray) -> np.ndarray:
    return np.eye(size, dtype=int).astype(like.dtype)


def _monomials(rows: np.ndarray) -> np.ndarray:
    """The matrices of ⟨zₐ, z_b⟩, a ≤ b."""
    a, b = np.triu_indices(rows.shape[0])
    return product(rows[a], rows[b])


def monomials(names: Sequence[str]) -> list[tuple[str, str]]:
    """The pairs of names that the weights of V's quadratic part stand before."""
    return list(itertools.combinations_with_replacement(names, 2))


def scheme_conditions(space: StateSpace, mu: Any, inverse_L: Any, squared_rate: Any) -> list[Condition]:
    r"""$\rho^2V_k - V_{k+1} \ge 0$ and V ≥ 0; the weights are P's upper triangle by rows, then p."""
    n, m = space.states, space.gradients
    unit = _identity(n + 2 * m, space.A)
    state, asked, asked_next = unit[:n], unit[n : n + m], unit[n + m :]
    state_next = space.A @ state + space.B @ asked
    here = space.C @ state + space.D @ asked
    there = space.C @ state_next + space.D @ asked_next
    quadratic = squared_rate * _monomials(np.vstack([state, asked])) - _monomials(np.vstack([state_next, asked_next]))
    values = _identity(m, space.A)
    both = points(np.vstack([here, there]), np.vstack([asked, asked_next]), _point_names(m) + _point_names(m, "k+1"))
    none = np.zeros((len(quadratic), 2 * m), dtype=values.dtype)
    falls = Condition(
        r"\rho^2 V_k - V_{k+1}",
        _nothing(n + 2 * m, 2 * m, space),
        (
            np.concatenate([quadratic, np.zeros((m, n + 2 * m, n + 2 * m), dtype=quadratic.dtype)]),
            np.vstack([none, np.hstack([squared_rate * values, -values])]),
        ),
        Inequalities(both, mu, inverse_L),
        (*_vectors(space), *(f"{name}'" for name in _vectors(space)[n:])),
    )  # fmt: skip
    now = points(here[:, : n + m], asked[:, : n + m], _point_names(m))
    return [falls, _positivity("V_k", space, _monomials(unit[: n + m, : n + m]), now, mu, inverse_L, _vectors(space))]


def flow_conditions(space: StateSpace, mu: Any, inverse_L: Any, rate: Any) -> list[Condition]:
    r"""$-\dot V - 2rV \ge 0$ and V ≥ 0; the weights are P's upper triangle by rows, then p."""
    n = space.states
    unit = _identity(n + 1, space.A)
    state, gradient = unit[:n], unit[n:]
    drift = space.A @ state + space.B @ gradient
    a, b = np.triu_indices(n)
    rising = product(drift[a], state[b]) + product(state[a], drift[b])
    position, velocity = space.position @ state, space.position @ drift
    power = product(gradient, velocity)
    here = points(position, gradient, _point_names(1, "x"))
    values = np.zeros((len(rising) + 1, 1), dtype=rising.dtype)
    values[-1, 0] = -2 * rate
    falls = Condition(
        r"-\dot V - 2r V",
        _nothing(n + 1, 1, space),
        (np.concatenate([-rising - 2 * rate * _monomials(state), -power]), values),
        Inequalities(here, mu, inverse_L),
        _vectors(space),
    )
    return [falls, _positivity("V", space, _monomials(state), here, mu, inverse_L, _vectors(space))]


def distance_conditions(space: StateSpace, mu: Any, inverse_L: Any, is_flow: bool) -> list[Condition]:
    r"""That ‖x − x*‖² itself is one, its rate being the weight: ρ² of a scheme, $-2r$ of a flow. One-state systems."""
    m = space.gradients
    unit = _identity(1 + m, space.A)
    state, asked = unit[:1], unit[1:]
    after = space.A @ state + space.B @ asked
    change = -2 * product(after, state) if is_flow else -product(after, after)
    here = points(space.C @ state + space.D @ asked, asked, _point_names(m, "x" if is_flow else "k"))
    falling = r"-\tfrac{d}{dt}\|x - x^*\|^2 - 2r\|x - x^*\|^2"
    statement = falling if is_flow else r"\rho^2\|x_k - x^*\|^2 - \|x_{k+1} - x^*\|^2"
    none = np.zeros(m, dtype=change.dtype)
    return [
        Condition(
            statement, (change[0], none), (product(state, state), none[None]), Inequalities(here, mu, inverse_L),
            _vectors(space),
        )
    ]  # fmt: skip


def _positivity(
    statement: str,
    space: StateSpace,
    quadratic: np.ndarray,
    at: Points,
    mu: Any,
    inverse_L: Any,
    basis: tuple[str, ...],
) -> Condition:
    """V ≥ 0, from what is known at this step's points alone; V's square part may hold fewer vectors than the points."""
    size, count = at.x.shape[1], len(at.names) - 1
    forms = np.zeros((len(quadratic) + count, size, size), dtype=space.A.dtype)
    inner = quadratic.shape[1]
    forms[: len(quadratic), :inner, :inner] = quadratic
    values = np.vstack([np.zeros((len(quadratic), count), dtype=space.A.dtype), _identity(count, space.A)])
    return Condition(statement, _nothing(size, count, space), (forms, values), Inequalities(at, mu, inverse_L), basis)


def _nothing(size: int, count: int, space: StateSpace) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((size, size), dtype=space.A.dtype), np.zeros(count, dtype=space.A.dtype)


def _vectors(space: StateSpace) -> tuple[str, ...]:
    gradients = ["g"] if space.gradients == 1 else [f"g_{{{i + 1}}}" for i in range(space.gradients)]
    return (*space.names, *gradients)


def _point_names(count: int, step: str = "k") -> tuple[str, ...]:
    return (step,) if count == 1 else tuple(f"{step};{i + 1}" for i in range(count))
