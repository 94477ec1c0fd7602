r"""The proximal map of an energy: in closed form where there is one, else Newton's method by optimistix.

Matrix-free (Krylov) where the state is large.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import lineax as lx
import optimistix as optx

from ..aliases import Position, StepLength
from ..checks import by_name, check_positive, real_arrays
from ..compiling import compiled
from ..implicit import newton, or_nan
from ..numerics import LARGEST_DENSE, all_finite, dtype_of, inner, max_norm, size
from ..state import Vector, lift, lower
from .composite_prox import composite_prox
from .energy import Energy, Proximable
from .energy import energy as as_energy


@by_name
def prox(energy: Callable[[Any], Any], x: Position, h: StepLength) -> Any:
    r"""The proximal point $\arg\min_y hE(y) + \tfrac12\|y - x\|^2$, compiled once for each kind of energy and shape.

    In closed form where the energy knows it. Otherwise Newton's method from x, and where that fails or climbs,
    BFGS, which only descends, polished by Newton's method. For a convex energy the answer is the minimizer; otherwise a
    stationary point whose objective does not exceed that at x. NaN where neither method finds one.

    Of a composite energy see `composite_prox`.

    Args:
        energy: E; any function of a position.
        x: the position, any pytree of arrays.
        h: the step [T], positive.

    Raises:
        TypeError: for what are no numbers.
        ValueError: for a step that is not positive.

    References:
        J.-J. Moreau, Proximité et dualité dans un espace hilbertien, 1965.

    Example:
        >>> import gradientflow as gf
        >>> float(gf.prox(lambda p: p["a"] ** 2 / 2, {"a": 3.0}, 0.5)["a"])
        2.0
    """
    check_positive("prox", h=h)
    vector = isinstance(x, Vector)
    x = x if vector else lift(real_arrays("prox", "x", x))
    y = _compiled(as_energy(energy), x, jnp.asarray(h, dtype_of(x)))
    return y if vector else lower(y)


def prox_of_vector(energy: Energy, x: Position, h: StepLength) -> Any:
    """`prox` of a position given as a vector, uncompiled: what flows and schemes are made of."""
    if isinstance(energy, Proximable):
        return lift(energy.prox(lower(x), h))
    if energy.nonsmooth is not None:
        return composite_prox(energy, x, h)

    def gradient(y: Any, _: Any = None) -> Any:
        return jax.tree.map(lambda a, b, g: a - b + h * g, y, x, lift(energy.grad(lower(y))))

    def objective(y: Any, _: Any = None) -> Any:
        away = jax.tree.map(jnp.subtract, y, x)
        return h * energy.value(lower(y)) + inner(away, away) / 2

    n, dtype = size(x), dtype_of(x)
    positive = n > LARGEST_DENSE
    root_finder = newton(dtype, n, positive)
    tags = frozenset({lx.positive_semidefinite_tag}) if positive else frozenset()
    precision = float(jnp.finfo(dtype).eps)
    start = objective(x)
    slack = 16 * precision * jnp.abs(start)
    scale = max_norm(x) + h * max_norm(lift(energy.grad(lower(x))))

    def polish(y: Any) -> Any:
        return optx.root_find(gradient, root_finder, y, tags=tags, max_steps=30, throw=False).value

    def good(y: Any) -> jax.Array:
        stationary = max_norm(gradient(y)) <= precision**0.5 * scale
        return all_finite(y) & stationary & (objective(y) <= start + slack)

    def descend(_: Any) -> Any:
        tolerance = precision**0.5
        lower_point = optx.minimise(objective, optx.BFGS(tolerance, tolerance), x, max_steps=500, throw=False).value
        polished = polish(lower_point)
        return jax.tree.map(lambda a, b: jnp.where(good(polished), a, b), polished, lower_point)

    first = polish(x)
    best = jax.lax.cond(good(first), lambda _: first, descend, None)
    return or_nan(good(best), best)


_compiled = compiled(prox_of_vector)
