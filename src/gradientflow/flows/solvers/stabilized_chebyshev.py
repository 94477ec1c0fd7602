r"""The stabilized Runge–Kutta–Chebyshev method of order 2 with error control: explicit, for large stiff states.

$R(z) = 1 - b_sT_s(w_0) + b_sT_s(w_0 + w_1z)$ is stable on about ⅔s² of the negative real axis, so that s stages reach
s²/3 times as far as s steps of Euler's. How many a step takes follows from the field's spectral radius.

References:
    B. P. Sommeijer, L. F. Shampine, J. G. Verwer, RKC: an explicit solver for parabolic PDEs, J. Comput. Appl. Math.
    88, 1998.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, ClassVar, Literal

import diffrax as dfx
import equinox as eqx
import equinox.internal as eqxi
import jax
import jax.numpy as jnp
import numpy as np

from ..aliases import Time
from ..numerics import drawn, l2_norm
from .chebyshev_stages import second_order

_DAMPING = 2 / 13
# Stage counts to choose from, about a seventh apart; internal rounding grows like s², so that there are not more.
_COUNTS = (
    *range(2, 15),
    16,
    18,
    20,
    23,
    26,
    30,
    34,
    39,
    45,
    51,
    59,
    67,
    77,
    88,
    101,
    115,
    132,
    151,
    173,
    198,
    226,
    256,
)
# Power iterations at the start, and in every step, which goes on from the last one's direction.
_FIRST_ITERATIONS, _ITERATIONS = 20, 1
# They estimate from below: so much is added, as the authors of RKC do.
_SAFETY = 1.2
# Embedded pairs estimate the error of the worse of two solutions and go on from the better. Here it is the error of
# the very step, so that over a thousand steps more of it adds up: it is held to a tenth.
_STRICTNESS = 10


@cache
def _table() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All stages of all counts below each other, where each count begins, and how far it is stable: |hλ|."""
    stages = [second_order(count, _DAMPING) for count in _COUNTS]
    starts = np.cumsum([0, *map(len, stages[:-1])])
    reaches = np.array([2 / 3 * (count**2 - 1) * (1 - 2 / 15 * _DAMPING) for count in _COUNTS])
    return np.array([stage for chosen in stages for stage in chosen], float), starts, reaches


class StabilizedChebyshev(dfx.AbstractAdaptiveSolver):
    r"""The Runge–Kutta–Chebyshev method RKC of order 2: explicit, as many stages a step as its length asks for.

    Of s stages $R(z) = 1 - b_sT_s(w_0) + b_sT_s(w_0 + w_1z)$, which is stable to about ⅔(s² − 1).
    For fields whose Jacobian has a negative real spectrum, as those of gradient flows: large stiff states, of which no
    matrix is formed or factored. Where λ is the fastest rate, a step of length h takes about 1.35·√(hλ) drifts, and
    Euler's method hλ/2. λ is estimated by a power iteration that goes on from step to step. It is a solver of diffrax
    like any other.

    References:
        B. P. Sommeijer, L. F. Shampine, J. G. Verwer, RKC: an explicit solver for parabolic PDEs, J. Comput. Appl.
        Math. 88, 1998.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.GradientFlow(gf.landscapes.bowl())
        >>> path = gf.integrate(flow, [1.0, 0.0], 1.0, solver=gf.solvers.StabilizedChebyshev())
        >>> round(float(path.x[-1, 0]), 4)  # e⁻¹
        0.3679
    """

    term_structure: ClassVar = dfx.ODETerm
    interpolation_cls: ClassVar[Callable[..., Any]] = dfx.ThirdOrderHermitePolynomialInterpolation.from_k

    def order(self, terms: Any) -> int:
        """2."""
        return 2

    def error_order(self, terms: Any) -> int:
        """3: the estimate is of the step's own error, h³y‴/15."""
        return 3

    def init(self, terms: Any, t0: Time, t1: Time, y0: Any, args: Any) -> Any:
        """The field at the start, and the direction of its fastest mode."""
        keys = jax.random.split(jax.random.key(0), len(jax.tree.leaves(y0)))
        direction = drawn(jax.random.normal, keys, y0)
        field = eqx.filter_closure_convert(lambda t, y: terms.vf(t, y, args), t0, y0)
        return terms.vf(t0, y0, args), _fastest(field, t0, y0, direction, _FIRST_ITERATIONS)[1]

    def func(self, terms: Any, t0: Time, y0: Any, args: Any) -> Any:
        """The field."""
        return terms.vf(t0, y0, args)

    def step(
        self, terms: Any, t0: Time, t1: Time, y0: Any, args: Any, solver_state: Any, made_jump: Any
    ) -> tuple[Any, Any, Any, Any, dfx.RESULTS]:
        """One step from t0 to t1, its error, and what to interpolate by."""
        known, direction = solver_state
        field = eqx.filter_closure_convert(lambda t, y: terms.vf(t, y, args), t0, y0)
        first = jax.lax.cond(made_jump, lambda: field(t0, y0), lambda: known)
        rate, direction = _fastest(field, t0, y0, direction, _ITERATIONS)
        h = t1 - t0
        _, starts, reaches = map(jnp.asarray, _table())
        chosen = jnp.searchsorted(reaches, _SAFETY * rate * h)
        # A step that is too long even for the most stages is not taken: its error is infinite.
        possible = chosen < len(_COUNTS)
        count = jnp.where(possible, jnp.asarray(_COUNTS)[chosen], 0)
        moved = _moved((field, t0, y0, first, h), (starts[chosen], count))
        y1 = _plus(y0, moved)
        last = field(t1, y1)
        error = jax.tree.map(lambda d, f, g: _STRICTNESS * (0.4 * h * (f + g) - 0.8 * d), moved, first, last)
        error = jax.tree.map(lambda leaf: jnp.where(possible, leaf, jnp.inf), error)
        slopes = jax.tree.map(lambda *ends: h * jnp.stack(ends), first, last)
        return y1, error, {"y0": y0, "y1": y1, "k": slopes}, (last, direction), dfx.RESULTS.successful


def _fastest(field: Any, t: Time, y: Any, direction: Any, iterations: int) -> tuple[Any, Any]:
    """The fastest rate of a field and its direction, as a power iteration has them; without derivatives."""
    field, t, y, direction = jax.tree.map(
        lambda leaf: jax.lax.stop_gradient(leaf) if eqx.is_array(leaf) else leaf, (field, t, y, direction)
    )

    def multiply(_: Any, carry: tuple[Any, Any]) -> tuple[Any, Any]:
        _, v = carry
        norm = l2_norm(v)
        unit = jax.tree.map(lambda leaf: leaf / jnp.where(norm > 0, norm, 1), v)
        image = jax.jvp(lambda state: field(t, state), (y,), (unit,))[1]
        rate = l2_norm(image)
        # A field without a slope, or whose slope is not finite, leaves the direction as it is.
        usable = jnp.isfinite(rate) & (rate > 0)
        return rate, jax.tree.map(lambda new, old: jnp.where(usable, new, old), image, v)

    return jax.lax.fori_loop(0, iterations, multiply, (jnp.zeros_like(l2_norm(direction)), direction))


@eqx.filter_custom_jvp
def _moved(known: Any, chosen: Any) -> Any:
    """How far the last stage has moved."""
    return _recurred(known, chosen, "lax")


@_moved.def_jvp
def _(primals: Any, tangents: Any) -> Any:
    (known, chosen), (changed, _) = primals, tangents
    # A loop that ends where it may can be differentiated one way only, one of bounded length both ways.
    return eqx.filter_jvp(lambda known: _recurred(known, chosen, "bounded"), (known,), (changed,))


def _recurred(known: Any, chosen: Any, kind: Literal["lax", "bounded"]) -> Any:
    (field, t, y, first, h), (start, count) = known, chosen
    table = jnp.asarray(_table()[0], h.dtype)

    def stage(carry: tuple[Any, Any, Any, Any]) -> tuple[Any, Any, Any, Any]:
        j, before, moved, time = carry
        last, earlier, slope, constant, reached = table[start + j]
        new = jax.tree.map(
            lambda d, e, f, g: last * d + earlier * e + h * (slope * f + constant * g),
            moved, before, field(t + time * h, _plus(y, moved)), first,
        )  # fmt: skip
        return j + 1, moved, new, reached

    still = jax.tree.map(jnp.zeros_like, y)
    begun = jax.tree.map(lambda f: h * table[start, 2] * f, first)
    carry = (jnp.ones((), int), still, begun, table[start, 4])
    return eqxi.while_loop(lambda carry: carry[0] < count, stage, carry, max_steps=_COUNTS[-1], kind=kind)[2]


def _plus(y: Any, moved: Any) -> Any:
    return jax.tree.map(lambda a, d: a + d, y, moved)
