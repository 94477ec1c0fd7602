r"""An exponential Rosenbrock method: the linear part of a step in closed form, whatever its stiffness.

$$u = y + h\varphi_1(hJ)f + h^2\varphi_2(hJ)\,\partial_t f, \qquad
y_1 = u + 2h\varphi_3(hJ)\,d, \qquad d = f(t+h, u) - f - J(u - y) - h\,\partial_t f,$$

with $J = \partial f/\partial y$ and f at the start of the step: order 3, and u of order 2, for stiff fields as well.

References:
    M. Hochbruck, A. Ostermann, J. Schweitzer, Exponential Rosenbrock-type methods, SIAM J. Numer. Anal. 47, 2009,
    section 5.1: the method exprb32.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import diffrax as dfx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from ..aliases import Time
from ..linear.krylov import krylov_basis, phi_times


class ExponentialRosenbrock(dfx.AbstractAdaptiveSolver):
    r"""The exponential Rosenbrock method exprb32 of order 3 with an embedded one of order 2; no matrix is formed.

    $u = y + h\varphi_1(hJ)f(y)$, $y' = u + 2h\varphi_3(hJ)(f(u) - f(y) - J(u - y))$, $\varphi_1(z) = (e^z - 1)/z$.
    For large stiff states whose field is nearly linear, as that of a gradient flow near a minimizer or on an energy
    that is nearly quadratic: of an affine field a step is the solution itself. Functions of the Jacobian times a vector
    are taken on a Krylov space; what they miss counts into the error of the step, so that steps get as long as that
    allows. A step costs 3m/2 products with the Jacobian. It is a solver of diffrax like any other.

    Args:
        symmetric: whether the Jacobian is, as it is of gradient flows. Without it the basis takes m times as many
            operations on vectors.
        dimension: m, of the Krylov space.

    References:
        M. Hochbruck, A. Ostermann, J. Schweitzer, Exponential Rosenbrock-type methods, SIAM J. Numer. Anal. 47, 2009.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.GradientFlow(gf.landscapes.bowl())
        >>> path = gf.integrate(flow, [1.0, 0.0], 1.0, solver=gf.solvers.ExponentialRosenbrock())
        >>> round(float(path.x[-1, 0]), 4)  # e⁻¹
        0.3679
    """

    symmetric: bool = False
    dimension: int = 30
    term_structure: ClassVar = dfx.ODETerm
    interpolation_cls: ClassVar[Callable[..., Any]] = dfx.ThirdOrderHermitePolynomialInterpolation.from_k

    def __check_init__(self) -> None:
        """Refuses a space without room."""
        if not (isinstance(self.dimension, int) and self.dimension >= 2):
            raise ValueError(f"ExponentialRosenbrock: `dimension` must be an integer ≥ 2, got {self.dimension}")

    def order(self, terms: Any) -> int:
        """3."""
        return 3

    def init(self, terms: Any, t0: Time, t1: Time, y0: Any, args: Any) -> Any:
        """The field at the start, which every step leaves for the next one."""
        return terms.vf(t0, y0, args)

    def func(self, terms: Any, t0: Time, y0: Any, args: Any) -> Any:
        """The field."""
        return terms.vf(t0, y0, args)

    def step(
        self, terms: Any, t0: Time, t1: Time, y0: Any, args: Any, solver_state: Any, made_jump: Any
    ) -> tuple[Any, Any, Any, Any, dfx.RESULTS]:
        """One step from t0 to t1, the difference to the embedded method, and what to interpolate by."""
        y, unravel = ravel_pytree(y0)
        h = jnp.asarray(t1 - t0, y.dtype)

        def field(t: Time, flat: Any) -> Any:
            return ravel_pytree(terms.vf(t, unravel(flat), args))[0]

        first = jax.lax.cond(made_jump, lambda: field(t0, y), lambda: ravel_pytree(solver_state)[0])
        _, product = jax.linearize(lambda flat: field(t0, flat), y)
        by_time = jax.jvp(lambda t: field(t, y), (t0,), (jnp.ones_like(t0),))[1]

        def phi(order: int, v: Any, dimension: int) -> tuple[Any, Any]:
            return phi_times(krylov_basis(product, v, dimension, self.symmetric), h, order)

        moved, missed = phi(1, first, self.dimension)
        # Of a field that does not depend on the time nothing is to be computed.
        timed, also_missed = jax.lax.cond(
            jnp.any(by_time != 0),
            lambda: phi(2, by_time, self.dimension),
            lambda: (jnp.zeros_like(y), jnp.zeros_like(y)),
        )
        towards = h * (moved + h * timed)
        bent = field(t1, y + towards) - first - product(towards) - h * by_time
        # The correction is small, and so is what a smaller space misses of it.
        corrected, last_missed = phi(3, bent, max(2, self.dimension // 2))
        end = y + towards + 2 * h * corrected
        error = jnp.abs(2 * h * corrected) + jnp.abs(h * (missed + h * also_missed)) + jnp.abs(2 * h * last_missed)
        after = field(t1, end)
        slopes = jax.tree.map(lambda *ends: h * jnp.stack(ends), unravel(first), unravel(after))
        # A step so long that the exponential overflows is not taken.
        error = jnp.where(jnp.isfinite(error), error, jnp.inf)
        return (
            unravel(end),
            unravel(error),
            {"y0": y0, "y1": unravel(end), "k": slopes},
            unravel(after),
            dfx.RESULTS.successful,
        )
