r"""What is known of a sum f + g: the inequalities of g beside f's, and where a scheme for sums rests.

At the minimizer the gradients of f and g cancel: $\nabla f(x^*) = q$ and $-q \in \partial g(x^*)$. Where only
differences to rest matter, as in rates, f(x) − ⟨q, x − x*⟩ and g(x) + ⟨q, x − x*⟩ have the same sum, are of the same
classes and have their minima at x*, so that each part is an energy like that of a plain method; a scheme is one for
sums exactly if it rests whatever q is.
"""

import itertools
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from ..exact.algebra import solution_near
from ..exact.leaf import NotExactError
from ..exact.state_space import StateSpace
from .conditions import Further, Inequalities, Pair, Points

# A curvature beyond all bounds, as of the indicator of a point.
INFINITE = None


def known_of_g(
    at: Points,
    bounds: tuple[Any, Any],
    beside: int,
    unit: Fraction,
    vanishing: Sequence[int] = (),
    chosen: tuple[Pair, ...] | None = None,
) -> Further:
    """The inequalities of g, whose values come after so many of f's.

    Args:
        at: where g is known.
        bounds: μ and 1/L of g.
        beside: how many values f has.
        unit: what values are counted in.
        vanishing: at which points, from 0 for the one after the minimizer, g is known to be what it is there.
        chosen: of which pairs they are used, where not of all.
    """
    within = Inequalities(at, *bounds, chosen=chosen)
    own = within.values.copy()
    own[:, list(vanishing)] *= 0
    none = np.zeros((len(own), beside), dtype=int).astype(own.dtype)
    names = tuple(name.replace("I", "I'", 1) for name in within.names)
    return Further(within.forms, np.hstack([none, own]), names, (unit,) * len(names), within.far)


def rest_of_sum(where: str, space: StateSpace) -> np.ndarray:
    """Where a scheme rests at x* = 0, the minimizer of f + g, as multiples of q = ∇f(x*), (n, 1).

    Raises:
        NotExactError: if it does not: it minimizes something else.
    """
    at_rest = np.array([[Fraction(-1 if part else 1)] for part in space.parts], dtype=object)
    still = space.A - np.eye(space.states, dtype=int)
    left = np.vstack([still, space.C, space.position])
    right = -np.vstack([space.B @ at_rest, space.D @ at_rest, space.position_inputs @ at_rest])
    found = solution_near(np.hstack([left, -right]).tolist(), [Fraction(0)] * space.states)
    if found is None:
        raise NotExactError(
            f"{where}: it does not rest where the gradients of f and g cancel: it does not minimize the sum f + g"
        )
    return np.array([found], dtype=object).T


def follows_state(space: StateSpace, bounded: tuple[bool, bool]) -> bool:
    """Whether equal states have equal positions, with a constant: what the position takes of u is Lipschitz in ξ.

    Args:
        space: the system.
        bounded: of f and of g, whether their gradients are Lipschitz.
    """
    needed = np.asarray(space.position_inputs[0] != 0)
    for i in reversed(range(space.gradients)):
        if needed[i]:
            needed = needed | np.asarray(space.D[i] != 0)
    parts = space.parts or (0,) * space.gradients
    return all(space.D[i, i] < 0 or (space.D[i, i] == 0 and bounded[parts[i]]) for i in np.flatnonzero(needed))


def motions(space: StateSpace, curvatures: Sequence[Sequence[Fraction | None]]) -> list[np.ndarray]:
    """The state 1 of a system with one, with the inputs that it has on quadratics: rows (1, 1 + m).

    Args:
        space: the system.
        curvatures: of f and of g those to combine; `INFINITE` is one.
    """
    found = []
    m, parts = space.gradients, space.parts or (0,) * space.gradients
    for chosen in itertools.product(*curvatures):
        rows = []
        for i in range(m):
            lam = chosen[parts[i]]
            # u = λy, or y = 0.
            point = [*space.D[i], space.C[i, 0]]
            own = [Fraction(int(i == j)) for j in range(m)] + [Fraction(0)]
            rows.append(point if lam is INFINITE else [o - lam * p for o, p in zip(own, point, strict=True)])
        inputs = solution_near(rows, [Fraction(0)] * m)
        if inputs is not None:
            found.append(np.array([[Fraction(1), *inputs]], dtype=object))
    return found
