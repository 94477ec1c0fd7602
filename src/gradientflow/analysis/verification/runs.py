"""A run's own numbers against closed forms: a path's against its flow's, a method's against powers of its step."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradientflow.discretizers import ConstantStep, Discretizer, Method, as_step_rule
from gradientflow.flows import AbstractQuadratic, Flow, Trajectory

from ..linear_stability.arrays import mode_matrices
from ..linear_stability.reading import Recipe
from ..results.grades import Grade
from .claims import Claim, Evidence

# A path may differ from its closed form by so many times the solver's tolerances, an iterate by so many roundings.
_TOLERANCES, _ROUNDINGS = 100.0, 1e5
# From this power of the greatest number on, a step's sums may overflow.
_NEARLY_OVERFLOWING = 0.95


def path_claim(flow: Flow, path: Trajectory) -> Claim:
    """The largest distance of a path from the flow's closed form, its `solution`, at the path's own times.

    Raises:
        UnansweredQuestionError: if the flow knows none.
    """
    with jax.enable_x64(True):
        start = jax.tree.map(lambda leaf: jnp.asarray(leaf[0], float), path.state)
        t0, h = float(path.t[0]), jnp.asarray(np.asarray(path.t, dtype=float) - float(path.t[0]))
        exact = jax.vmap(lambda h: flow.position(flow.solution(t0, start, h)))(h)
    expected = np.asarray(exact, dtype=float)
    # What a solver's tolerances leave it to be off.
    largest = float(np.abs(expected[np.isfinite(expected)]).max(initial=0))
    off = _TOLERANCES * (float(path.stats["rtol"]) * largest + float(path.stats["atol"]))
    statement = r"x(t_k) = \text{the flow's closed form}"
    return _decided("the path's numbers", statement, path, expected, off * np.ones(len(expected)))


def iterates_claim(method: Method, run: Trajectory) -> Claim | None:
    """The largest distance of a run from the powers of its step's matrix; `None` for steps that aren't constant."""
    rule, energy = as_step_rule(method.step), method.flow.energy
    if not isinstance(rule, ConstantStep) or not isinstance(energy, AbstractQuadratic):
        return None
    lam, modes, rest, is_rest = _modes(energy)
    if not is_rest or type(method.discretizer).position is not Discretizer.position:
        return None
    matrices = mode_matrices(Recipe(method.flow, method.discretizer).on_arrays, lam, np.full(lam.shape, float(rule.h)))
    leaves = [modes.T @ (np.asarray(leaf, dtype=float) - shift) for leaf, shift in _first_state(run, rest)]
    if matrices.shape[-1] != len(leaves):
        return None
    state = np.stack(leaves, axis=-1)[..., None]
    rows = []
    with np.errstate(over="ignore", invalid="ignore"):
        for k in np.diff(np.asarray(run.steps), prepend=0):
            state = np.linalg.matrix_power(matrices, int(k)) @ state
            rows.append(modes @ state[:, 0, 0] + rest)
    expected = np.array(rows)
    eps = float(jnp.finfo(run.t.dtype).eps)
    size = max(float(np.abs(rest).max()), float(np.abs(np.asarray(run.x[0], dtype=float) - rest).max()))
    allowed = _ROUNDINGS * eps * np.maximum(np.maximum.accumulate(np.abs(expected).max(axis=1)), size)
    return _decided("the run's numbers", r"x_k = x^* + A^k (x_0 - x^*)", run, expected, allowed)


def _decided(name: str, statement: str, run: Trajectory, expected: np.ndarray, allowed: np.ndarray) -> Claim:
    actual = np.asarray(run.x, dtype=float)
    comparable, there = np.isfinite(expected).all(axis=1), np.isfinite(actual).all(axis=1)
    # A run that diverges agrees until it overflows, which sums inside a step do before their result does.
    with np.errstate(invalid="ignore"):
        overflows = ~(np.abs(expected).max(axis=1) < float(jnp.finfo(run.x.dtype).max) ** _NEARLY_OVERFLOWING)
    comparable &= ~np.logical_or.accumulate(overflows & ~there)
    away = np.full(len(expected), np.inf)
    both = there & comparable
    away[both] = np.abs(actual[both] - expected[both]).max(axis=1)
    if not comparable.any():
        return Claim(name, statement, Grade.UNKNOWN, "the closed form overflows at every saved time")
    away, allowed, t = away[comparable], np.maximum(allowed[comparable], 1e-300), np.asarray(run.t)[comparable]
    evidence = Evidence(np.asarray(t, dtype=float), away, allowed)
    worst = int(np.argmax(away / allowed))
    found = f"largest difference {away.max():.2e} over {len(away)} saved times"
    if len(away) < len(expected):
        found += f" until it overflows at t = {float(run.t[len(away)]):.6g}"
    if away[worst] <= allowed[worst]:
        reason = f"{found}, allowed {allowed[worst]:.1e} there"
        return Claim(name, statement, Grade.MEASURED, reason, evidence=evidence)
    where = f"at t = {float(t[worst]):.6g} it is off by {away[worst]:.3g}; allowed is {allowed[worst]:.1e}"
    return Claim(name, statement, Grade.REFUTED, found, where, evidence=evidence)


def _modes(energy: AbstractQuadratic) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    """Curvatures, modes, a point of rest (of several the one of least norm), and whether it is one: Hx* = b."""
    hessian, linear = np.asarray(energy.hessian, dtype=float), np.asarray(energy.linear, dtype=float)
    lam, modes = np.linalg.eigh((hessian + hessian.T) / 2)
    rest = np.linalg.lstsq(hessian, linear, rcond=None)[0]
    scale = float(np.abs(hessian).max(initial=0) * np.abs(rest).max(initial=0) + np.abs(linear).max(initial=0))
    return lam, modes, rest, bool(np.abs(hessian @ rest - linear).max(initial=0) <= 1e-6 * scale)


def _first_state(run: Trajectory, rest: np.ndarray) -> list[tuple[Any, Any]]:
    """The first state's leaves, each with where it rests."""
    state = run.state
    return [(state.x[0], rest), (state.v[0], 0.0)] if hasattr(state, "v") else [(state[0], rest)]
