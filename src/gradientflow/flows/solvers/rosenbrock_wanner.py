r"""Rosenbrock–Wanner methods: implicit steps that solve linear systems only, all with one matrix.

$$(I - h\gamma J)\,k_i = h f\Big(t + \alpha_i h,\; y + \sum_j \alpha_{ij} k_j\Big) + hJ \sum_j \gamma_{ij} k_j
+ \gamma_i h^2 \partial_t f, \qquad y_1 = y + \sum_i b_i k_i, \qquad J = \partial f/\partial y.$$

References:
    E. Hairer, G. Wanner, Solving Ordinary Differential Equations II, 2nd ed. 1996, section IV.7: the method is of the
    family of their code RODAS, and its free parameters are theirs.
"""

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any, ClassVar, NamedTuple

import diffrax as dfx
import jax
import jax.numpy as jnp
import jax.scipy.linalg as jsl
import numpy as np
from jax.flatten_util import ravel_pytree

from ..aliases import Time

_STAGES = 6
# Up to so many unknowns the inverse is written out: a library's call would cost more than the step.
_WRITTEN_OUT = 2


class Coefficients(NamedTuple):
    """A Rosenbrock–Wanner method's coefficients: exact fractions.

    Attributes:
        gamma: γ, the same in all stages.
        alpha: α_ij, of which a stage's argument is made.
        gammas: γ_ij below the diagonal.
        weights: b_i.
        embedded: those of the solution of one order less.
    """

    gamma: Fraction
    alpha: list[list[Fraction]]
    gammas: list[list[Fraction]]
    weights: list[Fraction]
    embedded: list[Fraction]


@cache
def stiffly_accurate() -> Coefficients:
    """Six stages, order 4 with an embedded 3, both stiffly accurate: exact solutions of their order conditions.

    With β = α + γ the last row of β is b and the last but one is the embedded method, which the last stage starts
    from. Where γ, the α_i, the first rows' β_i and b₅ are chosen, each group of conditions is linear in what it
    determines.
    """
    F = Fraction
    g, b5 = F(1, 4), F("-0.128676139927")
    a = [F(0), F("0.386"), F("0.21"), F("0.63")]
    below = [F(0), F("0.0317"), F("0.0635"), F("0.3438")]
    beta = [g + row for row in below]
    last = b5 + g
    powers = [[F(1)] * 4, beta, [x**2 for x in a], [x**3 for x in a]]
    b = _solve(powers, [1 - last, F(1, 2) - last, F(1, 3) - last, F(1, 4) - last])

    # Σ bᵢβᵢⱼβⱼ = 1/6 and Σ bᵢβᵢⱼαⱼ² = 1/12 give b₃β₃₂ + b₄β₄₂ and b₄β₄₃; Σ bᵢβᵢⱼβⱼₖβₖ = 1/24 then b₄β₄₃β₃₂.
    known = sum(x * g * y for x, y in zip(b, beta, strict=True)) + g * sum(x * y for x, y in zip(b, below, strict=True))
    squares = g * sum(x * y**2 for x, y in zip(b, a, strict=True))
    second, third = _solve(
        [below[1:3], [a[1] ** 2, a[2] ** 2]], [F(1, 6) - last / 2 - known, F(1, 12) - last / 3 - squares]
    )
    once = sum(x * y for x, y in zip(b, below, strict=True))
    twice = second * below[1] + third * below[2]
    chain = (F(1, 24) - last / 6 - g**3 * sum(b) - 3 * g**2 * once - 3 * g * twice) / below[1]
    b32, b43 = chain / third, third / b[3]
    b42 = (second - b[2] * b32) / b[3]
    rows = [
        [g],
        [below[1], g],
        [below[2] - b32, b32, g],
        [below[3] - b42 - b43, b42, b43, g],
    ]
    steps = [sum((x * y for x, y in zip(row, beta, strict=False)), F(0)) for row in rows]
    embedded = [*_solve([*powers[:3], steps], [1 - g, F(1, 2) - g, F(1, 3) - g, F(1, 6) - g / 2]), g]
    b = [*b, b5, g]

    # Of the α_ij only Σ bᵢαᵢαᵢⱼβⱼ = 1/8 is asked, which α₅₄ sees to.
    lower = [
        [],
        [a[1]],
        [a[2] - F("0.063925292475"), F("0.063925292475")],
        [a[3] - F("0.711151025168") - F("0.249660478499"), F("0.711151025168"), F("0.249660478499")],
    ]
    fifth = [F("1.710181363241"), F("4.014347332103")]
    so_far = sum(b[i] * a[i] * sum(x * y for x, y in zip(lower[i], beta, strict=False)) for i in range(4))
    so_far += b5 * (g + sum(x * y for x, y in zip(fifth, below[1:3], strict=True))) + g / 2
    a54 = (F(1, 8) - so_far) / (b5 * below[3])
    lower.append([1 - sum(fifth) - a54, *fifth, a54])
    lower.append(list(embedded))
    rows += [list(embedded), b]
    gammas = [[x - y for x, y in zip(row[:i], lower[i], strict=True)] for i, row in enumerate(rows)]
    return Coefficients(g, lower, gammas, b, [*embedded, F(0)])


def _solve(matrix: list[list[Fraction]], right: list[Fraction]) -> list[Fraction]:
    """The solution of a small regular system of fractions."""
    n = len(right)
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for i in range(n):
        pivot = next(r for r in range(i, n) if rows[r][i])
        rows[i], rows[pivot] = rows[pivot], rows[i]
        rows[i] = [x / rows[i][i] for x in rows[i]]
        rows = [row if r == i else [x - row[i] * y for x, y in zip(row, rows[i], strict=True)]
                for r, row in enumerate(rows)]  # fmt: skip
    return [row[-1] for row in rows]


@cache
def _transformed() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The coefficients for u = Γk, in which no product with J is left: a, c, m, the α_i and the γ_i."""
    method = stiffly_accurate()
    gamma, s = method.gamma, _STAGES
    Gamma = [[method.gammas[i][j] if j < i else gamma * (i == j) for j in range(s)] for i in range(s)]
    columns = [_solve(Gamma, [Fraction(i == j) for i in range(s)]) for j in range(s)]
    inverse = [[columns[j][i] for j in range(s)] for i in range(s)]
    alpha = [[*row, *[Fraction(0)] * (s - len(row))] for row in method.alpha]

    def times_inverse(row: list[Fraction]) -> list[Fraction]:
        return [sum((x * inverse[k][j] for k, x in enumerate(row)), Fraction(0)) for j in range(s)]

    a = [times_inverse(row) for row in alpha]
    c = [[(1 / gamma if i == j else Fraction(0)) - inverse[i][j] for j in range(s)] for i in range(s)]
    return tuple(
        np.array(table, dtype=float)
        for table in (a, c, times_inverse(method.weights), [sum(row) for row in alpha], [sum(row) for row in Gamma])
    )  # pyright: ignore[reportReturnType]


class RosenbrockWanner(dfx.AbstractAdaptiveSolver):
    """A stiffly accurate, L-stable Rosenbrock–Wanner method of order 4 with an embedded one of order 3: six stages.

    A step takes one Jacobian, one factorization and six systems with it, and no iteration: it can't fail to converge,
    and its error estimate is not blurred by a tolerance. For positions of up to about 200 unknowns. It is a solver of
    diffrax like any other.

    Args:
        symmetric: whether I − hγJ is symmetric, as it is of gradient flows: factored by Cholesky where it is positive
            definite. Without it LU is taken, which is right for any field.
        second_order: whether a state is a position x and a velocity v, shaped alike and in this order, with ẋ a
            multiple of v: a step then solves with a matrix of x's size only, the Schur complement of I − hγJ.

    References:
        E. Hairer, G. Wanner, Solving Ordinary Differential Equations II, 2nd ed. 1996, section IV.7.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.GradientFlow(gf.landscapes.bowl())
        >>> path = gf.integrate(flow, [1.0, 0.0], 1.0, solver=gf.solvers.RosenbrockWanner())
        >>> round(float(path.x[-1, 0]), 4)  # e⁻¹
        0.3679
    """

    symmetric: bool = False
    second_order: bool = False
    term_structure: ClassVar = dfx.ODETerm
    interpolation_cls: ClassVar[Callable[..., Any]] = dfx.ThirdOrderHermitePolynomialInterpolation.from_k

    def order(self, terms: Any) -> int:
        """4."""
        return 4

    def init(self, terms: Any, t0: Time, t1: Time, y0: Any, args: Any) -> Any:
        """The field at the start: the first stage of a step is the last thing that the one before knows."""
        return terms.vf(t0, y0, args)

    def func(self, terms: Any, t0: Time, y0: Any, args: Any) -> Any:
        """The field."""
        return terms.vf(t0, y0, args)

    def step(
        self, terms: Any, t0: Time, t1: Time, y0: Any, args: Any, solver_state: Any, made_jump: Any
    ) -> tuple[Any, Any, Any, Any, dfx.RESULTS]:
        """One step from t0 to t1, the difference to the embedded method, and what to interpolate by."""
        y, unravel = ravel_pytree(y0)
        dtype = y.dtype
        h = jnp.asarray(t1 - t0, dtype)
        a, c, m, times, slopes = (table.astype(dtype) for table in _transformed())
        gamma = float(stiffly_accurate().gamma)

        def field(t: Time, flat: Any) -> Any:
            return ravel_pytree(terms.vf(t, unravel(flat), args))[0]

        first = jax.lax.cond(made_jump, lambda: field(t0, y), lambda: ravel_pytree(solver_state)[0])
        by_time = jax.jvp(lambda t: field(t, y), (t0,), (jnp.ones_like(t0),))[1]
        if self.second_order:
            solve = _second_order_solver(lambda flat: field(t0, flat), y, 1 / (gamma * h))
        else:
            jacobian = jax.jacfwd(lambda flat: field(t0, flat))(y)
            solve = _solver_of(jnp.eye(y.size, dtype=dtype) / (gamma * h) - jacobian, self.symmetric)
        stages: list[Any] = []
        for i in range(_STAGES):
            at = y + sum((a[i, j] * u for j, u in enumerate(stages)), jnp.zeros_like(y))
            slope = field(t0 + times[i] * h, at) if i else first
            carried = sum((c[i, j] / h * u for j, u in enumerate(stages)), jnp.zeros_like(y))
            stages.append(solve(slope + carried + h * slopes[i] * by_time))
        end = y + sum((m[j] * u for j, u in enumerate(stages)), jnp.zeros_like(y))
        # Stiffly accurate, both of them: the last stage is what the step adds to the embedded one.
        error, after = stages[-1], field(t1, end)
        y1 = unravel(end)
        dense = {
            "y0": y0,
            "y1": y1,
            "k": jax.tree.map(lambda *ends: jnp.stack(ends), unravel(h * first), unravel(h * after)),
        }
        return y1, unravel(error), dense, unravel(after), dfx.RESULTS.successful


def _second_order_solver(field: Callable[[Any], Any], y: Any, shift: Any) -> Callable[[Any], Any]:
    r"""r ↦ (sI − J)⁻¹r for (x, v) with ẋ = cv: $(s^2 - sJ_v - cJ_x)\,v = s r_v + J_x r_x$, and $sx = r_x + cv$."""
    n = y.size // 2
    x, v = y[:n], y[n:]
    # Each half by itself: what is not asked for is not differentiated.
    by_x = jax.jacfwd(lambda x: field(jnp.concatenate([x, v]))[n:])(x)
    by_v = jax.jacfwd(lambda v: field(jnp.concatenate([x, v]))[n:])(v)
    c = jax.jvp(lambda v: field(jnp.concatenate([x, v]))[0], (v,), (jnp.ones_like(v),))[1]
    solve = _solver_of(shift**2 * jnp.eye(n, dtype=y.dtype) - shift * by_v - c * by_x, symmetric=False)

    def solved(right: Any) -> Any:
        of_v = solve(shift * right[n:] + by_x @ right[:n])
        return jnp.concatenate([(right[:n] + c * of_v) / shift, of_v])

    return solved


def _solver_of(matrix: Any, symmetric: bool) -> Callable[[Any], Any]:
    """v ↦ A⁻¹v, A factored once."""
    n = len(matrix)
    if n == 1:
        return lambda v: v / matrix[0]
    if n <= _WRITTEN_OUT:
        (p, q), (r, s) = matrix
        inverse = jnp.array([[s, -q], [-r, p]]) / (p * s - q * r)
        return lambda v: inverse @ v
    if not symmetric:
        factors = jsl.lu_factor(matrix)
        return lambda v: jsl.lu_solve(factors, v)
    lower = jnp.linalg.cholesky(matrix)
    definite = jnp.isfinite(lower).all()
    lu, pivots = jax.lax.cond(definite, lambda: (lower, jnp.arange(n, dtype=jnp.int32)), lambda: jsl.lu_factor(matrix))
    return lambda v: jax.lax.cond(definite, lambda: jsl.cho_solve((lu, True), v), lambda: jsl.lu_solve((lu, pivots), v))
